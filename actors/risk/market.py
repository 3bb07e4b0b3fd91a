"""The market as risk sees it: newest prices, quotes and funding times, and how bars have moved.

Nothing here is told of what no rule needs; the newest bar of a symbol is read from its lane, which costs nothing.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, sqrt
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from actors.instrument import Instrument
    from actors.messages import Bar, BookSnapshot, Funding, Mark, Quote, Trade
    from actors.runtime.scheduler import Context

_YEAR_NS = 365 * 86_400_000_000_000
_TOGETHER_MIN = 30
"""Fewest returns that two symbols must share for a correlation; or half of the bars looked at, if that is less."""
_STILL = 1e-20
"""What is left of the squares of returns that are all the same, by rounding, and more."""


class Seen(msgspec.Struct):
    """The newest of one symbol between its bars."""

    price: float = 0.0
    price_ns: int = 0
    """Of the newest trade, quote or book, and when it was."""
    bid: float = 0.0
    ask: float = 0.0
    mark: float = 0.0
    funding_ns: int = 0
    """When the next funding is paid, as announced."""
    paid_ns: int = 0
    """When the last one was."""


class Newest:
    """The newest of every symbol."""

    def __init__(self, context: Context, instruments: Mapping[str, Instrument]) -> None:
        self._context = context
        self._instruments = instruments
        self.seen: dict[str, Seen] = {}

    def of(self, symbol: str) -> Seen:
        """Return what is known of a symbol between its bars."""
        return self.seen.setdefault(symbol, Seen())

    def on_trade(self, trade: Trade) -> None:
        """Note a price."""
        self._price(trade.symbol, trade.price, trade.time_ns)

    def on_quote(self, quote: Quote) -> None:
        """Note the best prices."""
        self._best(quote.symbol, quote.bid, quote.ask, quote.time_ns)

    def on_book(self, book: BookSnapshot) -> None:
        """Note the best prices; a book of one side shows none."""
        if book.bids and book.asks:
            self._best(book.symbol, book.bids[0][0], book.asks[0][0], book.time_ns)

    def on_mark(self, mark: Mark) -> None:
        """Note what a contract is valued at."""
        self.of(mark.symbol).mark = mark.price

    def on_funding(self, funding: Funding) -> None:
        """Note when a contract pays next."""
        seen = self.of(funding.symbol)
        if seen.funding_ns != funding.next_ns and seen.funding_ns <= self._context.now_ns:
            seen.paid_ns = seen.funding_ns
        seen.funding_ns = funding.next_ns

    def last(self, symbol: str) -> float:
        """Return the newest close, trade or middle; 0.0 before the first."""
        bar = self._context.lane(symbol).bar
        seen = self.seen.get(symbol)
        if seen is not None and seen.price and (bar is None or seen.price_ns >= bar.close_ns):
            return seen.price
        return 0.0 if bar is None else bar.close

    def last_ticks(self, symbol: str) -> int:
        """Return the same in ticks; 0 before the first."""
        price = self.last(symbol)
        return self._instruments[symbol].price_to_ticks(price) if price else 0

    def value_ticks(self, symbol: str) -> int:
        """Return what a symbol is valued at: its mark, if one was told, or else its last price; 0 before the first."""
        seen = self.seen.get(symbol)
        return self._instruments[symbol].price_to_ticks(seen.mark) if seen and seen.mark else self.last_ticks(symbol)

    def told_ns(self, symbol: str) -> int:
        """Return the time of the newest bar close, trade, quote or book; 0 before the first."""
        bar = self._context.lane(symbol).bar
        seen = self.seen.get(symbol)
        return max(0 if bar is None else bar.close_ns, 0 if seen is None else seen.price_ns)

    def _best(self, symbol: str, bid: float, ask: float, time_ns: int) -> None:
        seen = self.of(symbol)
        seen.bid, seen.ask = bid, ask
        self._price(symbol, (bid + ask) / 2, time_ns)

    def _price(self, symbol: str, price: float, time_ns: int) -> None:
        seen = self.of(symbol)
        seen.price, seen.price_ns = price, max(seen.price_ns, time_ns or self._context.now_ns)


class Moves(msgspec.Struct):
    """How one symbol's bars have moved."""

    closes_ns: list[int] = []
    returns: list[float] = []
    """Of each bar against the close before it, newest last."""
    close: float = 0.0
    timeframe_ns: int = 0
    since_gap: int = -1
    """Bars since one opened with a gap, itself the first; -1 while none did."""


class Windows:
    """The moves of every symbol, as far back as any rule looks.

    Attributes:
        bars: how many bars are looked back to.
        gap: a bar that opens farther from the close before it, as a fraction of that, begins a gap; None for no bar.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self.bars = 1
        self.gap: Fraction | None = None
        self.moves: dict[str, Moves] = {}
        self._correlations: dict[tuple[str, str, int], tuple[int, int, float | None]] = {}
        """By two symbols in order, and bars: the newest closes of both, and what was worked out then."""

    def on_bar(self, bar: Bar) -> None:
        """Note the move of a bar."""
        moves = self.moves.get(bar.symbol)
        if moves is None:
            moves = self.moves[bar.symbol] = Moves()
        if moves.close:
            moves.closes_ns.append(bar.close_ns)
            moves.returns.append(bar.close / moves.close - 1)
            if len(moves.returns) > 2 * self.bars:
                del moves.closes_ns[: -self.bars], moves.returns[: -self.bars]
            if self.gap is not None and self._gapped(bar, moves.close, self.gap):
                moves.since_gap = 1
            elif moves.since_gap >= 0:
                moves.since_gap += 1
        moves.close, moves.timeframe_ns = bar.close, bar.timeframe_ns

    def _gapped(self, bar: Bar, close: float, most: Fraction) -> bool:
        to_ticks = self._instruments[bar.symbol].price_to_ticks
        close_ticks = to_ticks(close)
        return abs(to_ticks(bar.open) - close_ticks) * most.denominator > most.numerator * close_ticks

    def volatility(self, symbol: str, bars: int) -> float | None:
        """Return the standard deviation of the last `bars` returns, as a fraction a year; None with fewer."""
        moves = self.moves.get(symbol)
        if moves is None or len(moves.returns) < bars:
            return None
        deviation = float(np.std(np.array(moves.returns[-bars:]), ddof=1))
        return deviation * sqrt(_YEAR_NS / moves.timeframe_ns)

    def shortfall(self, values: Mapping[str, float], bars: int, tail: float) -> float | None:
        """Return the mean of the worst losses positions of these values would have made over the last bars.

        Args:
            values: signed value of each symbol's position.
            bars: how many bar closes to look back to, those of all symbols together.
            tail: the fraction of them that is the worst; None with too few of them to hold one.
        """
        held = [(value, self.moves[symbol]) for symbol, value in values.items() if symbol in self.moves and value]
        times_ns: NDArray[np.int64] = np.unique(
            np.concatenate([np.array(moves.closes_ns[-bars:], np.int64) for _, moves in held])
            if held
            else np.empty(0, np.int64)
        )[-bars:]
        worst = ceil(len(times_ns) * tail)
        if not held:
            return 0.0
        if len(times_ns) * tail < 1:
            return None
        profits = np.zeros(len(times_ns))
        for value, moves in held:
            closes_ns = np.array(moves.closes_ns[-bars:], np.int64)
            known = closes_ns >= times_ns[0]
            rows = np.searchsorted(times_ns, closes_ns[known])
            profits[rows] += value * np.array(moves.returns[-bars:])[known]
        return -float(np.sort(profits)[:worst].mean())

    def correlation(self, one: str, other: str, bars: int) -> float | None:
        """Return the correlation of the last `bars` returns of two symbols, from -1 to 1.

        Where they did not close together, returns are taken between the closes that both have. None with fewer bars of
        either, with too few that both have, and where one stands still.
        """
        one, other = sorted((one, other))
        first, second = self.moves.get(one), self.moves.get(other)
        if first is None or second is None or min(len(first.returns), len(second.returns)) < bars:
            return None
        key, newest = (one, other, bars), (first.closes_ns[-1], second.closes_ns[-1])
        known = self._correlations.get(key)
        if known is None or known[:2] != newest:
            known = self._correlations[key] = (*newest, _correlation(*_together(first, second, bars)))
        return known[2]


def _together(first: Moves, second: Moves, bars: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the returns of two symbols between the closes that both have, of the last `bars` of each."""
    returns = np.array(first.returns[-bars:]), np.array(second.returns[-bars:])
    if first.closes_ns[-bars:] == second.closes_ns[-bars:]:
        return returns
    closes_ns = np.array(first.closes_ns[-bars:], np.int64), np.array(second.closes_ns[-bars:], np.int64)
    _, *rows = np.intersect1d(*closes_ns, assume_unique=True, return_indices=True)
    if len(rows[0]) <= min(bars // 2, _TOGETHER_MIN):
        return np.empty(0), np.empty(0)
    levels = [np.cumprod(1.0 + each)[at] for each, at in zip(returns, rows, strict=True)]
    return levels[0][1:] / levels[0][:-1] - 1.0, levels[1][1:] / levels[1][:-1] - 1.0


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if not len(first):
        return None
    squares: list[float] = []
    away = [first - first.mean(), second - second.mean()]
    for returns, deviations in zip((first, second), away, strict=True):
        squares.append(float((deviations * deviations).sum()))
        if squares[-1] <= _STILL * float((returns * returns).sum()):
            return None
    return float((away[0] * away[1]).sum()) / sqrt(squares[0] * squares[1])
