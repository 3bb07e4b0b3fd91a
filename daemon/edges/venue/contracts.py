"""What is asked of a venue about contracts only: positions, the account's modes, and funding.

A venue says that it paid funding in one place, and how much on what in another, a little later. So word of a payment
is followed by questions until the venue's list has it, and a comparison of the accounts waits for that: the wallet
has the payment at once. Where the list was asked for before the word came, the word tells nothing new.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import anyio
import structlog

from actors.messages import PositionMargin, PositionReported
from daemon.edges.venue.errors import RequestError
from daemon.edges.venue.limits import Priority
from daemon.edges.venue.questions import backoff_s
from daemon.edges.venue.reports import OffGridError, count, funding_report, position_margin
from daemon.edges.venue.weights import INCOME, MODES, POSITION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from actors.instrument import Instrument
    from actors.messages import FundingPaid, Message
    from daemon.edges.venue.contract_client import ContractClient
    from daemon.edges.venue.questions import Caller
    from daemon.edges.venue.stream import FundingWord

_TRIES = 10
_FIRST_S = 0.2
_APART_NS = 60_000_000_000
"""Most time between a payment and the word of it, by the venue's clock; two payments are at least an hour apart."""
_EARLY_MAX = 1_000
_HEARD_MAX = 100
_NS_PER_MS = 1_000_000

log = structlog.get_logger()


class Contracts:
    """Asks, and says what was paid.

    Args:
        client: the venue.
        caller: makes the requests.
        instruments: what is traded, contracts all.
        post: takes what was paid.
    """

    def __init__(
        self,
        client: ContractClient,
        caller: Caller,
        instruments: Mapping[str, Instrument],
        post: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._client = client
        self._caller = caller
        self._instruments = instruments
        self._post = post
        self._after: dict[str, int] = {}
        """Since when the core wants to know, by symbol."""
        self._seen: set[tuple[str, int]] = set()
        self._heard: deque[str] = deque(maxlen=_HEARD_MAX)
        """The newest words, as they were said."""
        self._words: list[int] = []
        """Times of the payments we have word of, but which no list has shown."""
        self._early: list[int] = []
        """Times of the payments that a list has shown, but of which there was no word yet."""
        self._due = anyio.Event()
        self._listed = anyio.Event()
        self._listed.set()

    async def mode_troubles(self) -> list[str]:
        """Return how the account's modes differ from what is configured.

        Raises:
            RequestError: the venue will never answer.
        """
        weight = MODES * (1 + len(self._instruments))
        return await self._caller.until_answered(
            Priority.ACCOUNT_QUESTION, weight, lambda: self._client.mode_troubles(self._instruments)
        )

    async def positions(self) -> tuple[tuple[PositionReported, ...], tuple[PositionMargin, ...]]:
        """Return the account's positions, and how they are held where that is told.

        Raises:
            RequestError: the venue will never answer.
            OffGridError: it says what cannot be.
        """
        reports: list[PositionReported] = []
        margins: list[PositionMargin] = []
        for symbol, instrument in self._instruments.items():
            row = await self._caller.until_answered(
                Priority.ACCOUNT_QUESTION, POSITION, partial(self._client.position_risk, symbol)
            )
            lots = count(row.get("positionAmt", 0), instrument.spec.lot, f"{symbol}: position")
            if lots:
                reports.append(PositionReported(symbol, lots))
                margin = position_margin(row, symbol, lots)
                margins += [] if margin is None else [margin]
        return tuple(reports), tuple(margins)

    @property
    def quote(self) -> str:
        """The currency of the wallet: contracts of several are not traded together."""
        return next(iter(self._instruments.values())).spec.quote

    # --- funding ------------------------------------------------------------------------------------

    def told(self, word: FundingWord) -> None:
        """Take word that something was paid."""
        if word.said in self._heard:
            return  # it is said twice
        self._heard.append(word.said)
        paid_ns = word.paid_ns
        for early_ns in self._early:
            if abs(early_ns - paid_ns) <= _APART_NS:
                self._early.remove(early_ns)
                return
        self._words.append(paid_ns)
        self._due.set()
        if self._listed.is_set():
            self._listed = anyio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._due.wait()
            self._due = anyio.Event()
            try:
                await self._look()
            except (RequestError, OffGridError) as error:
                log.warning(
                    "funding_not_told", reason=str(error)
                )  # the next comparison asks again, and halts if need be
            self._words.clear()
            self._listed.set()

    async def _look(self) -> None:
        """Ask until everything there is word of is listed."""
        for attempt in range(_TRIES):
            if not self._words:
                return
            fresh = self._fresh(
                [
                    paid
                    for symbol, after_ns in list(self._after.items())
                    for paid in await self._list(symbol, after_ns, Priority.ORDER_QUESTION)
                ]
            )
            for paid in fresh:
                await self._post(paid)
            if not fresh:
                await anyio.sleep(backoff_s(attempt, _FIRST_S))
        log.warning("funding_not_listed", tries=_TRIES)

    async def since(self, after: tuple[tuple[str, int], ...]) -> tuple[FundingPaid, ...]:
        """Return what was paid at (symbol, time in ns) or later, once what was told of is listed.

        Raises:
            RequestError: the venue will never answer.
            OffGridError: it says what cannot be.
        """
        self._after = dict(after)
        await self._listed.wait()
        paid = [each for symbol, ns in after for each in await self._list(symbol, ns, Priority.ACCOUNT_QUESTION)]
        self._fresh(paid)
        self._seen = {(each.symbol, each.funding_id) for each in paid}
        return tuple(paid)

    def _fresh(self, listed: list[FundingPaid]) -> list[FundingPaid]:
        """Return what of a list was not listed before; each answers one word, which may be yet to come."""
        fresh = [paid for paid in listed if (paid.symbol, paid.funding_id) not in self._seen]
        self._seen |= {(paid.symbol, paid.funding_id) for paid in fresh}
        for paid in fresh:
            if self._words:
                self._words.pop(0)
            else:
                self._early.append(paid.paid_ns)
        del self._early[:-_EARLY_MAX]
        return fresh

    async def _list(self, symbol: str, after_ns: int, priority: Priority) -> list[FundingPaid]:
        since_ms = after_ns // _NS_PER_MS
        rows = await self._caller.until_answered(
            priority, INCOME, partial(self._client.funding_since, since_ms, symbol)
        )
        return sorted({funding_report(row, symbol) for row in rows}, key=lambda paid: (paid.paid_ns, paid.funding_id))
