"""A tape laid over a session: the bars of the same symbols in the same period, with the session's commands between.

A venue that plays history does so in its own time. Where a tape does not reach into the session's period at all,
it is shifted to where its bars are those the session saw.

Where the session's orders were matched on ticks, those of the tape come between its bars; if it has none, the
session's own do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from actors.messages import Bar, BookSnapshot, Quote, Trade
from config.errors import UserError, nearest
from replay.tape import format_timeframe
from replay.tape.columns import join, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from replay.activity import Session
    from replay.plan import SessionPlan
    from replay.tape import Columns, Series, Tape

_TICKS = (Trade, Quote, BookSnapshot)

_PROBE_BARS = 8
"""So many of a session's first bars must be found on a tape, one behind the other, for it to be shifted there."""

_ROWS_MAX = 5_000_000
"""Rows of a tape that are looked through at most."""

Prices = tuple[float, float, float, float]


class BarsCompared(msgspec.Struct, frozen=True, kw_only=True):
    """The session's bars and the tape's, in the same period."""

    live: int
    replay: int
    only_live: int
    only_replay: int
    """Bars the live feed missed."""
    different: int
    """Bars with another open, high, low or close."""
    shifted_ns: int = 0
    """What was added to the tape's times."""


class Aligned:
    """A tape over a session.

    Args:
        plan: the session's.
        inputs: its bars and commands.
        tape: what to lay over it; of one symbol, or with the session's own names.

    Raises:
        UserError: a symbol or timeframe the tape has not, or no common period.
    """

    def __init__(self, plan: SessionPlan, inputs: Iterable[Session], tape: Tape) -> None:
        self._commands: list[tuple[tuple[int, int], Session]] = []
        """With the time and ordinal of the newest bar before each."""
        self._ordinals = {series.symbol: ordinal for ordinal, series in enumerate(plan.series)}
        self._seen: dict[str, dict[int, Prices]] = {series.symbol: {} for series in plan.series}
        self._names: dict[str, str] = {}
        """What the tape calls a symbol that it has ticks of."""
        newest = (0, 0)
        for message in inputs:
            if isinstance(message, Bar):
                newest = max(newest, self._place(message))
                prices = (message.open, message.high, message.low, message.close)
                self._seen[message.symbol].setdefault(message.open_ns, prices)
            else:
                self._commands.append((newest, message))
        self._shift_ns = 0
        self._bars: list[Bar] = []
        for series in plan.series:
            if self._seen[series.symbol]:
                found = _series_of(tape, series.symbol, series.timeframe_ns, alone=len(plan.series) == 1)
                if found.ticks is not None:
                    self._names[series.symbol] = found.symbol
                self._add(series.symbol, found)
        self._bars.sort(key=self._place)
        self._tape = tape
        self._ticks = {series.symbol for series in plan.series if series.ticks} & self._names.keys()
        own = [said for _, said in self._commands if self._is_tick(said)]
        self._commands = [each for each in self._commands if not self._is_tick(each[1])]
        times_ns = [said.time_ns for said in own if isinstance(said, _TICKS)]
        times_ns += [time_ns for bar in self._bars for time_ns in (bar.open_ns, bar.close_ns)]
        self._span_ns = (min(times_ns, default=0), max(times_ns, default=0))

    def inputs(self) -> Iterator[Session]:
        """Yield what is on the tape, with the session's commands behind the bars they came after.

        Raises:
            UserError: the tape cannot be read any more.
        """
        given = 0
        for message in self._played():
            if isinstance(message, Bar):
                while given < len(self._commands) and self._commands[given][0] < self._place(message):
                    yield self._commands[given][1]
                    given += 1
            yield message
        for _, command in self._commands[given:]:
            yield command

    def _played(self) -> Iterator[Session]:
        """Yield the bars, and between them the ticks of the same period."""
        if not self._ticks or not self._bars:
            yield from self._bars
            return
        first_ns, last_ns = self._span_ns
        symbols = {self._names[symbol]: symbol for symbol in self._ticks}
        waiting = iter(self._bars)
        bar = next(waiting, None)
        for message in self._tape.inputs():
            if not isinstance(message, _TICKS) or message.symbol not in symbols:
                continue
            time_ns = message.time_ns + self._shift_ns
            if time_ns < first_ns:
                continue
            while bar is not None and bar.close_ns <= time_ns:
                yield bar
                bar = next(waiting, None)
            if time_ns > last_ns:
                break
            yield msgspec.structs.replace(message, symbol=symbols[message.symbol], time_ns=time_ns)
        if bar is not None:
            yield bar
        yield from waiting

    def compared(self) -> BarsCompared:
        """Return how the bars of both compare."""
        live = sum(len(seen) for seen in self._seen.values())
        common = different = 0
        for bar in self._bars:
            prices = self._seen[bar.symbol].get(bar.open_ns)
            if prices is not None:
                common += 1
                different += prices != (bar.open, bar.high, bar.low, bar.close)
        return BarsCompared(
            live=live,
            replay=len(self._bars),
            only_live=live - common,
            only_replay=len(self._bars) - common,
            different=different,
            shifted_ns=self._shift_ns,
        )

    def _is_tick(self, message: Session) -> bool:
        """Return whether it is a tick of a symbol that the tape has ticks of."""
        return isinstance(message, _TICKS) and message.symbol in self._ticks

    def _place(self, bar: Bar) -> tuple[int, int]:
        return bar.close_ns, self._ordinals[bar.symbol]

    def _add(self, symbol: str, series: Series) -> None:
        """Take the bars of one symbol that lie in the session's period."""
        seen = self._seen[symbol]
        first_ns, last_ns = min(seen), max(seen)
        shift_ns = 0
        if series.first_open_ns > last_ns or (series.last_open_ns is not None and series.last_open_ns < first_ns):
            shift_ns = _shift(series, symbol, seen)
            if self._shift_ns not in (0, shift_ns):
                message = f"the tape of {symbol} lies {shift_ns} ns from the session, that of others {self._shift_ns}"
                raise UserError(message)
            self._shift_ns = shift_ns
        for columns in series.chunks():
            opens_ns = columns.open_ns + shift_ns
            if opens_ns[0] > last_ns:
                break
            inside = np.flatnonzero((opens_ns >= first_ns) & (opens_ns <= last_ns))
            if len(inside):
                self._bars.extend(_bars(symbol, series.timeframe_ns, columns, opens_ns, inside))


def _bars(
    symbol: str, timeframe_ns: int, columns: Columns, opens_ns: NDArray[Any], rows: NDArray[Any]
) -> Iterator[Bar]:
    for row in rows.tolist():
        open_ns = int(opens_ns[row])
        yield Bar(
            symbol,
            timeframe_ns,
            open_ns,
            open_ns + timeframe_ns,
            float(columns.open[row]),
            float(columns.high[row]),
            float(columns.low[row]),
            float(columns.close[row]),
            float(columns.volume[row]),
        )


def _series_of(tape: Tape, symbol: str, timeframe_ns: int, *, alone: bool) -> Series:
    """Return the tape's series of a symbol; BTC/USDT may be called BTCUSDT, and the only one anything."""
    named = {_plain(series.symbol): series for series in tape.series}
    found = named.get(_plain(symbol))
    if found is None and alone and len(tape.series) == 1:
        found = tape.series[0]
    if found is None:
        message = f"the session trades {symbol}, which the tape does not have{nearest(_plain(symbol), named)}"
        raise UserError(message)
    if found.timeframe_ns != timeframe_ns:
        wanted, given = format_timeframe(timeframe_ns), format_timeframe(found.timeframe_ns)
        message = f"the session's bars of {symbol} are of {wanted}, the tape's of {given}"
        raise UserError(message)
    return found


def _plain(symbol: str) -> str:
    return symbol.partition(":")[0].replace("/", "").replace("-", "").upper()


def _shift(series: Series, symbol: str, seen: dict[int, Prices]) -> int:
    """Return how much later the session saw the tape's bars than the tape says.

    Raises:
        UserError: it did not see them at all.
    """
    opens_ns = sorted(seen)
    probe = opens_ns[:_PROBE_BARS]
    blocks: list[Columns] = []
    rows = 0
    for block in series.chunks():
        blocks.append(block)
        rows += len(block)
        if rows >= _ROWS_MAX:
            break
    columns = join(blocks)
    wanted = seen[probe[0]]
    first_rows = np.flatnonzero(_equal(columns, wanted))
    for row in first_rows.tolist():
        shift_ns = probe[0] - int(columns.open_ns[row])
        if _fits(columns, shift_ns, probe, seen):
            return shift_ns
    newest_ns = int(columns.open_ns[-1])
    message = (
        f"the tape of {symbol} reaches from {time_text(series.first_open_ns)} to {time_text(newest_ns)}, the session"
        f" from {time_text(opens_ns[0])} to {time_text(opens_ns[-1])}, and its bars are nowhere on the tape"
    )
    raise UserError(message)


def _equal(columns: Columns, prices: Prices) -> NDArray[Any]:
    opened, high, low, close = prices
    equal: NDArray[Any] = (
        (columns.open == opened) & (columns.high == high) & (columns.low == low) & (columns.close == close)
    )
    return equal


def _fits(columns: Columns, shift_ns: int, probe: Sequence[int], seen: dict[int, Prices]) -> bool:
    """Return whether all of `probe` are on the tape under that shift, with the same prices."""
    rows = np.searchsorted(columns.open_ns, np.array(probe, np.int64) - shift_ns)
    if rows[-1] >= len(columns):
        return False
    return all(
        int(columns.open_ns[row]) + shift_ns == open_ns
        and (columns.open[row], columns.high[row], columns.low[row], columns.close[row]) == seen[open_ns]
        for row, open_ns in zip(rows.tolist(), probe, strict=True)
    )
