"""The player: a tape as public trades, at the exchange's own time.

Every bar becomes four trades on the path that matching assumes (open, nearer extreme, other extreme, close),
its volume spread over them, so that the candles made of them are the tape's bars again. The tape is moved in
time once, by whole bars, so that it begins where the exchange first started; from there it runs `speed`
times as fast as the wall. A tape of trades is played trade by trade.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from actors.execution.matching import path_points, point_times
from actors.messages import SELL, Trade
from config.errors import UserError
from replay.exchange.tape_print import TapePrint
from replay.exchange.trade_tape import TradeSeries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from actors.instrument import Instrument
    from replay.exchange.book import Book
    from replay.exchange.trade_tape import TradeTape
    from replay.tape import Series, Tape

PRINTS_PER_BAR = 4

_NS_PER_MS = 1_000_000


class Clock(msgspec.Struct, frozen=True):
    """Exchange time as a function of the wall's."""

    wall_ns: int
    """A moment of the wall ..."""
    exchange_ns: int
    """... and what time the exchange had then."""
    speed: float
    shift_ns: int
    """By how much the tape's times are moved."""

    def now_ns(self, wall_ns: int) -> int:
        """Return exchange time."""
        elapsed_ns = wall_ns - self.wall_ns
        return self.exchange_ns + (elapsed_ns if self.speed == 1 else int(elapsed_ns * self.speed))

    def wait_s(self, wall_ns: int, time_ms: int) -> float:
        """Return how long the wall has to wait for a time of the exchange; negative if it is past."""
        return (time_ms * _NS_PER_MS - self.now_ns(wall_ns)) / self.speed / 1e9

    def set(self, wall_ns: int, exchange_ns: int, speed: float) -> Clock:
        """Return the clock that shows `exchange_ns` at `wall_ns` and goes on from there."""
        return Clock(wall_ns, exchange_ns, speed, self.shift_ns)


def start_clock(tape: Tape | TradeTape | None, wall_ns: int, speed: float) -> Clock:
    """Return the clock of an exchange that starts for the first time: now, with the bar around now as the first."""
    if tape is None:
        return Clock(wall_ns, wall_ns, 1.0, 0)
    longest_ns = max(series.timeframe_ns for series in tape.series)
    first_ns = min(series.first_open_ns for series in tape.series)
    return Clock(wall_ns, wall_ns, speed, wall_ns // longest_ns * longest_ns - first_ns // longest_ns * longest_ns)


class Player:
    """What is still to be played of a tape.

    Args:
        tape: the tape.
        books: the markets by id; each series needs one of its symbol, or the perpetual on it.
        shift_ns: by how much the tape's times are moved.
        played: trades already played, by market.

    Raises:
        UserError: a series has no market, or the tape cannot be read.
    """

    def __init__(
        self, tape: Tape | TradeTape, books: Mapping[str, Book], shift_ns: int, played: Mapping[str, int]
    ) -> None:
        by_symbol = {book.market.symbol.partition(":")[0]: book for book in books.values()}
        for series in tape.series:
            if series.symbol not in by_symbol:
                message = f"{series.symbol} is on the tape but not traded here: name it with --symbol {series.symbol}"
                raise UserError(message)
        self.bar_ms = min(series.timeframe_ns for series in tape.series) // _NS_PER_MS
        self._prints = heapq.merge(
            *(
                series_prints(
                    series,
                    by_symbol[series.symbol].market.id,
                    by_symbol[series.symbol].instrument,
                    shift_ns,
                    played.get(by_symbol[series.symbol].market.id, 0),
                )
                for series in tape.series
            )
        )
        self._next = next(self._prints, None)

    @property
    def next_ms(self) -> int | None:
        """Time of the next trade, None at the end of the tape."""
        return None if self._next is None else self._next.time_ms

    def due(self, now_ms: int, count_max: int) -> Sequence[TapePrint]:
        """Take the trades that are due, at most so many."""
        taken: list[TapePrint] = []
        while self._next is not None and self._next.time_ms <= now_ms and len(taken) < count_max:
            taken.append(self._next)
            self._next = next(self._prints, None)
        return taken


def series_prints(
    series: Series | TradeSeries, market_id: str, instrument: Instrument, shift_ns: int, first_step: int
) -> Iterator[TapePrint]:
    """Yield the trades of one series from number `first_step` on."""
    if isinstance(series, TradeSeries):
        yield from series.prints(market_id, instrument, shift_ns, first_step)
        return
    if series.ticks is not None:
        trades = (each for stream in series.ticks.streams() for each in stream if isinstance(each, Trade))
        for step, trade in islice(enumerate(trades), first_step, None):
            yield TapePrint(
                (trade.time_ns + shift_ns) // _NS_PER_MS,
                series.ordinal,
                step,
                market_id,
                max(1, instrument.price_to_ticks(trade.price)),
                instrument.quantity_to_lots(trade.quantity),
                None if not trade.side else trade.side == SELL,
            )
        return
    step = first_step - first_step % PRINTS_PER_BAR
    for columns in series.chunks(step // PRINTS_PER_BAR):
        rows = zip(
            columns.open_ns.tolist(),
            columns.open.tolist(),
            columns.high.tolist(),
            columns.low.tolist(),
            columns.close.tolist(),
            columns.volume.tolist(),
            strict=True,
        )
        for open_ns, *prices, volume in rows:
            points = path_points(*(max(1, instrument.price_to_ticks(price)) for price in prices))
            times_ns = point_times(open_ns + shift_ns, open_ns + shift_ns + series.timeframe_ns)
            for time_ns, price_ticks, lots in zip(times_ns, points, _spread(instrument, volume), strict=True):
                if step >= first_step:
                    yield TapePrint(time_ns // _NS_PER_MS, series.ordinal, step, market_id, price_ticks, lots)
                step += 1


def _spread(instrument: Instrument, volume: float) -> tuple[int, ...]:
    """Return the volume of a bar in lots, as four parts; the first takes what is left over."""
    part, rest = divmod(instrument.quantity_to_lots(volume), PRINTS_PER_BAR)
    return (part + rest, part, part, part)
