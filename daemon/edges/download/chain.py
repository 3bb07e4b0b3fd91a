"""Trades of venues that do not number them without holes: page after page by time, each linked to the one before.

A page is asked for from the newest trade that is known, and has to hold it again: then there is nothing between them.
Venues page in three ways, which are told apart by what they give, not by name. *Forward*: the first trades from a time
on. *Backward*: the last ones before a time, so that an hour is asked for from its end. *Newest only*, whatever is asked
for: what may lie between those and what is known is reported as not listed. Which stretches are whole is kept with the
series, so that the next download asks for the others only.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from config.errors import UserError
from daemon.edges.download.numbered import SIDES
from daemon.edges.download.work import NS_PER_MS
from daemon.edges.venue.errors import RequestError

if TYPE_CHECKING:
    from daemon.edges.download.work import Work

    Row = tuple[Any, ...]
    """Of one trade: ts, price, quantity, side, id."""

_PAGE_ROWS = 1_000
_HOUR_MS = 3_600_000
_LISTED_AFTER_MS = 10_000
"""How long a venue may take to list a trade: newer ones are left to the next download."""
_DAY_MS = 24 * _HOUR_MS
"""How long before a stretch a venue is asked whether it still lists anything."""


async def all_trades_by_time(work: Work) -> int:
    """Return 0: what the venue lists is stored; what it does not, `Work.unlisted` says.

    Raises:
        UserError: more trades have one time than the venue gives at once.
    """
    now_ms = await work.client.server_time_ns() // NS_PER_MS
    work.until_ms = max(work.since_ms, min(work.until_ms, now_ms - _LISTED_AFTER_MS))
    chain = _Chain(work)
    for start_ms, end_ms in work.uncovered():
        await chain.follow(start_ms, end_ms)
    return 0


class _Chain:
    """Follows the trades of one venue.

    Args:
        work: which ones, and where they go.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._by_until = False
        """Whether it has turned out that pages are asked for by their end."""
        self._newest_only = False
        self._numbered: bool | None = None if work.has("id") else False

    async def follow(self, start_ms: int, end_ms: int) -> None:
        """Fetch the trades from one time to another that is not wanted any more."""
        work, known_ms, whole_from_ms = self._work, None, start_ms
        position_ms, stands_still = start_ms, False
        held: list[Row] = []
        self._by_until = False
        while position_ms < end_ms:
            rows, reached_ms = await self._next(position_ms, end_ms, known_ms)
            first_ms = rows[0][0] // NS_PER_MS if rows else end_ms
            if await self._is_gap(rows, first_ms, position_ms, known_ms):
                work.unlisted.append((position_ms * NS_PER_MS, min(first_ms, end_ms) * NS_PER_MS))
                await work.take(held, covering=(whole_from_ms, position_ms))
                await work.write(covering=(whole_from_ms, position_ms))
                held, whole_from_ms = [], first_ms
            if not rows:
                break
            newest_ms = rows[-1][0] // NS_PER_MS
            if newest_ms == position_ms and reached_ms is None and await self._newest_ms() > newest_ms:
                if stands_still:
                    self._refuse_standstill()
                stands_still = True
                continue
            inside = [row for row in rows if row[0] < end_ms * NS_PER_MS]
            held = [row for row in inside if row[0] // NS_PER_MS == newest_ms]
            await work.take(inside[: len(inside) - len(held)], covering=(whole_from_ms, newest_ms))
            work.progress(newest_ms)
            if (known_ms == newest_ms and reached_ms is None) or (reached_ms or 0) >= end_ms:
                break
            stands_still, position_ms, known_ms = False, newest_ms, newest_ms
        await work.take(held, covering=(whole_from_ms, end_ms))
        await work.write(covering=(whole_from_ms, end_ms))

    async def _is_gap(self, rows: list[Row], first_ms: int, position_ms: int, known_ms: int | None) -> bool:
        """Return whether trades may lie between what is known and these, which the venue does not list."""
        if known_ms is not None:
            return first_ms > known_ms
        if not rows or first_ms - position_ms < _HOUR_MS or not (self._newest_only or self._by_until):
            return False
        return self._newest_only or not await self._page(position_ms - _DAY_MS, position_ms)

    async def _next(self, position_ms: int, end_ms: int, known_ms: int | None) -> tuple[list[Row], int | None]:
        """Return trades from a time on, all of them up to the last, and up to which time there are no more if known."""
        if self._by_until:
            return await self._window(position_ms, end_ms)
        rows = await self._page(position_ms) or await self._page(position_ms)
        if rows and (self._newest_only or await self._is_linked(rows, position_ms, known_ms)):
            return rows, None
        if rows:
            self._by_until = True
        return await self._window(position_ms, end_ms) if self._is_by_until() else ([], end_ms)

    def _is_by_until(self) -> bool:
        return self._by_until

    async def _is_linked(self, rows: list[Row], position_ms: int, known_ms: int | None) -> bool:
        """Return whether nothing can be between a position and these trades."""
        first_ms, last_ms = int(rows[0][0]) // NS_PER_MS, int(rows[-1][0]) // NS_PER_MS
        if known_ms is not None:
            return first_ms <= known_ms
        newest = await self._newest_ms()
        if last_ms < newest:
            return True  # it does not end with the newest trade there is, so it begins with the first
        before = await self._page(position_ms - _HOUR_MS)
        times_ms: list[int] = [row[0] // NS_PER_MS for row in before]
        return bool(before) and times_ms[0] < position_ms and times_ms[-1] >= first_ms

    async def _window(self, position_ms: int, end_ms: int) -> tuple[list[Row], int | None]:
        """Return the trades of an hour, or of the first longer stretch that has any, asked for from its end."""
        length_ms = _HOUR_MS
        while True:
            until_ms = min(end_ms, position_ms + length_ms)
            rows = await self._page(position_ms, until_ms) or await self._page(position_ms, until_ms)
            if rows and rows[-1][0] >= until_ms * NS_PER_MS:
                self._by_until, self._newest_only = False, True
                return rows, None
            later = await self._page(rows[-1][0] // NS_PER_MS, until_ms) if rows else []
            if later and later[-1][0] > rows[-1][0]:
                self._by_until = False  # it does begin with the first
                return rows, None
            while rows:
                older = await self._page(position_ms, rows[0][0] // NS_PER_MS + 1)
                merged = _merged(older, rows)
                if len(merged) == len(rows):
                    break
                rows = merged
            if until_ms == end_ms or (rows and rows[-1][0] > position_ms * NS_PER_MS):
                return rows, until_ms
            length_ms *= 2

    def _refuse_standstill(self) -> None:
        """Refuse to go on where the venue has newer trades, and gives the same again."""
        message = (
            f"{self._work.key}: {self._work.key.venue} lists more trades of one time than it gives at once;"
            " what was downloaded is kept"
        )
        raise UserError(message)

    async def _newest_ms(self) -> int:
        work = self._work
        page = await work.ask(
            work.client.weights.public_trades, partial(work.exchange.fetch_trades, work.key.symbol, None, _PAGE_ROWS)
        )
        newest_ms: int = max((each["timestamp"] for each in page), default=0)
        return newest_ms

    async def _page(self, since_ms: int, until_ms: int | None = None) -> list[Row]:
        """Return what the venue gives from a time on, and before another if that is said, sorted.

        It is asked for the millisecond before, too: some venues leave out the time that is named.
        """
        work = self._work
        params = {} if until_ms is None else {"until": until_ms - 1}
        ask = partial(work.exchange.fetch_trades, work.key.symbol, since_ms - 1, _PAGE_ROWS, params)
        try:
            page = await work.ask(work.client.weights.public_trades, ask)
        except UserError as error:
            cause = error.__cause__
            if until_ms is None and isinstance(cause, RequestError) and cause.kind == "ArgumentsRequired":
                self._by_until = True
                return []
            raise
        if self._numbered is None and page:
            self._numbered = all(str(each.get("id")).isdigit() for each in page)
        rows = (self._row(each) for each in page if each["timestamp"] >= since_ms)
        return sorted(rows, key=lambda row: row[0])

    def _row(self, raw: Any) -> Row:  # noqa: ANN401 - ccxt's structure
        row = (
            raw["timestamp"] * NS_PER_MS,
            float(raw["price"]),
            float(raw["amount"]),
            SIDES.get(raw.get("side"), 0),
        )
        return (*row, int(raw["id"])) if self._numbered else row


def _merged(older: list[Row], rows: list[Row]) -> list[Row]:
    """Return two pages as one: the older one ends within the first time of the other, which both may have in part."""
    shared_ns = rows[0][0]
    before = [row for row in older if row[0] < shared_ns]
    one, other = ([row for row in page if row[0] == shared_ns] for page in (older, rows))
    return before + max(one, other, key=len) + [row for row in rows if row[0] > shared_ns]
