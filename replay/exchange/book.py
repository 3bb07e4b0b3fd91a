"""The public side of one market: the last price, a book at a fixed spread around it, prints and candles.

Our own resting orders are in the book that is shown, added to the levels of others; what others would trade
with at once is not, so that it is never crossed. Matching knows nothing of that: it goes by the touch, which
is the others'.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import ATOM, Instrument, InstrumentSpec, to_atoms
from actors.messages import BUY
from replay.exchange.candles import BASE_INTERVAL, CandleSeries, Kept
from replay.exchange.model import BookChanged, Printed
from replay.exchange.public_trades import PublicTrades, TradesState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from replay.exchange.model import Candle, Event, Market

LEVELS = 10
"""Levels of the book on each side, a tick apart."""
_UPDATES = 2 * LEVELS
"""Update ids a change of the book takes, however many levels it moves."""

_NO_PRICE = 2**62

Level = tuple[int, int]
"""(price in ticks, lots)."""
Resting = tuple[dict[int, int], dict[int, int]]
"""Our own bids and asks: lots by price in ticks."""


Sides = tuple[tuple[Level, ...], tuple[Level, ...]]
"""Bids and asks."""


class Changed(msgspec.Struct, array_like=True, frozen=True):
    """What was changed of a market since it was listed."""

    price_step: Decimal | None = None
    quantity_step: Decimal | None = None
    min_notional: Decimal | None = None
    trading: bool = True


class BookState(msgspec.Struct, array_like=True):
    """What a book is restored from."""

    id: str
    last_ticks: int
    update_id: int
    trade_id: int
    recent: list[tuple[int, int, int, int, bool]]
    """Trades as an older release kept them."""
    candles: dict[str, tuple[bool, list[Kept]]]
    changed: Changed = Changed()
    trades: TradesState = TradesState()


class Book:
    """One market's public side.

    Args:
        market: the market.
        spread_ticks: distance between the best bid and the best ask; 0 puts both at the last price.
        intervals: intervals whose candles are told as they grow and close.

    Raises:
        ValueError: the lot is no whole number of atoms.
    """

    def __init__(self, market: Market, spread_ticks: int, intervals: Sequence[str]) -> None:
        atoms = market.lot / ATOM
        if atoms != int(atoms):
            message = f"{market.symbol}: the lot {market.lot} is no multiple of {ATOM}"
            raise ValueError(message)
        self.market = market
        self.lot_atoms = int(atoms)
        self.instrument = Instrument(InstrumentSpec(symbol=market.symbol, tick=market.tick, lot=market.lot))
        self._changed = Changed()
        self.last_ticks = 0
        """0 before the first print."""
        self.resting: Resting = ({}, {})
        self._trades = PublicTrades(market.id)
        self._spread_ticks = spread_ticks
        self._level_lots = max(1, int(1 / market.lot))
        self._update_id = 0
        self._trade_id = 0
        self._told = [CandleSeries(market.id, interval) for interval in dict.fromkeys((BASE_INTERVAL, *intervals))]
        self._series = {series.interval: series for series in self._told}

    @property
    def min_notional_atoms(self) -> int:
        """Smallest value of an order."""
        return to_atoms(self.market.min_notional)

    @property
    def bid_ticks(self) -> int:
        """Best bid, never below one tick."""
        return max(1, self.last_ticks - self._spread_ticks // 2)

    @property
    def ask_ticks(self) -> int:
        """Best ask."""
        return self.last_ticks - self._spread_ticks // 2 + self._spread_ticks

    def touch_ticks(self, side: int) -> int:
        """Return the price at which a market order of `side` trades."""
        return self.ask_ticks if side == BUY else self.bid_ticks

    def take(
        self, price_ticks: int, quantity_lots: int, time_ms: int, *, buyer_is_maker: bool | None = None
    ) -> Iterator[Event]:
        """Take in a print; yield what it changes in public."""
        moves = price_ticks != self.last_ticks
        before = self._levels() if moves else ((), ())
        printed = self._print(price_ticks, quantity_lots, time_ms, buyer_is_maker=buyer_is_maker)
        yield from self.close_candles(time_ms)
        yield printed
        for series in self._series.values():
            series.take(time_ms, price_ticks, quantity_lots, bought=not printed.buyer_is_maker)
            if series in self._told:
                yield series.newest()
        if moves:
            self._update_id += _UPDATES
            yield self._changed_from(before, self._update_id - _UPDATES + 1, time_ms)

    def rest(self, resting: Resting, time_ms: int, *, heard: bool) -> Iterator[Event]:
        """Have the book show these of our orders; yield what that changes, if anybody hears it."""
        if resting == self.resting:
            return
        before = self._levels() if heard else ((), ())
        self.resting = resting
        self._update_id += 1
        if heard:
            yield self._changed_from(before, self._update_id, time_ms)

    def take_unheard(
        self, price_ticks: int, quantity_lots: int, time_ms: int, *, buyer_is_maker: bool | None = None
    ) -> None:
        """Take in a print that nobody wants to hear of: the state is that after `take`, for less work."""
        self._update_id += _UPDATES * (price_ticks != self.last_ticks)
        printed = self._print(price_ticks, quantity_lots, time_ms, buyer_is_maker=buyer_is_maker)
        for series in self._told:
            series.close_before(time_ms)
        for series in self._series.values():
            series.take(time_ms, price_ticks, quantity_lots, bought=not printed.buyer_is_maker)

    def close_candles(self, time_ms: int) -> Iterator[Candle]:
        """Yield the candles that are complete by `time_ms`, each once."""
        for series in self._told:
            candle = series.close_before(time_ms)
            if candle is not None:
                yield candle

    def next_close_ms(self) -> int | None:
        """Return when the next candle that is told will be complete, None if all are."""
        return min((series.kept[-1].next_ms for series in self._told if not series.closed), default=None)

    def depth(self, limit: int) -> tuple[int, list[Level], list[Level]]:
        """Return (last update id, bids, asks), best first."""
        bids, asks = self._levels()
        return self._update_id, list(bids)[:limit], list(asks)[:limit]

    def trades(
        self, limit: int, from_id: int | None = None, start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Printed]:
        """Return public trades oldest first: from an id or a time on if one is given, else the newest."""
        return self._trades.between(self._trade_id, limit, from_id, start_ms, end_ms)

    def candles(self, interval: str) -> CandleSeries:
        """Return the candles of an interval, which are kept up to date from now on."""
        series = self._series.get(interval)
        if series is None:
            series = self._series[interval] = CandleSeries(self.market.id, interval)
            if interval != "1s":
                series.extend(self._series[BASE_INTERVAL].kept)
        return series

    def change_filters(self, tick: Decimal | None, lot: Decimal | None, min_notional: Decimal | None) -> None:
        """Set the filters of new orders; None leaves one as it is.

        Raises:
            ValueError: a step is not positive, or no multiple of the unit that is counted in.
        """
        for name, step, unit in (("tick", tick, self.market.tick), ("lot", lot, self.market.lot)):
            if step is not None and (not step.is_finite() or step <= 0 or step % unit):
                message = f"{name}: {step} is no multiple of {unit} above 0"
                raise ValueError(message)
        if min_notional is not None and not (min_notional.is_finite() and min_notional >= 0):
            message = f"min_notional: {min_notional} is no value"
            raise ValueError(message)
        now = self._changed
        self._change(
            msgspec.structs.replace(
                now,
                price_step=now.price_step if tick is None else tick,
                quantity_step=now.quantity_step if lot is None else lot,
                min_notional=now.min_notional if min_notional is None else min_notional,
            )
        )

    def set_trading(self, *, trading: bool) -> None:
        """Open or close the market."""
        self._change(msgspec.structs.replace(self._changed, trading=trading))

    def _change(self, changed: Changed) -> None:
        self._changed = changed
        self.market = msgspec.structs.replace(
            self.market,
            price_step=changed.price_step,
            quantity_step=changed.quantity_step,
            min_notional=self.market.min_notional if changed.min_notional is None else changed.min_notional,
            trading=changed.trading,
        )

    def _print(self, price_ticks: int, quantity_lots: int, time_ms: int, *, buyer_is_maker: bool | None) -> Printed:
        if buyer_is_maker is None:
            buyer_is_maker = price_ticks < self.last_ticks
        self.last_ticks = price_ticks
        self._trade_id += 1
        printed = Printed(self.market.id, self._trade_id, price_ticks, quantity_lots, time_ms, buyer_is_maker)
        self._trades.add(printed)
        return printed

    def _changed_from(self, before: Sides, first_update_id: int, time_ms: int) -> BookChanged:
        """Return the difference between the levels of before and those of now."""
        bids, asks = (_difference(old, new) for old, new in zip(before, self._levels(), strict=True))
        return BookChanged(self.market.id, first_update_id, self._update_id, time_ms, bids, asks)

    def _levels(self) -> Sides:
        """Return bids and asks, best first, with our own."""
        bids, asks = self._others()
        own_bids, own_asks = self.resting
        if not own_bids and not own_asks:
            return bids, asks
        highest, lowest = max(own_bids, default=0), min(own_asks, default=_NO_PRICE)
        shown_bids = [level for level in _add(bids, own_bids) if level[0] < lowest]
        shown_asks = [level for level in _add(asks, own_asks) if level[0] > highest]
        return tuple(sorted(shown_bids, reverse=True)), tuple(sorted(shown_asks))

    def _others(self) -> Sides:
        if not self.last_ticks:
            return (), ()
        bid, ask, lots = self.bid_ticks, self.ask_ticks, self._level_lots
        bids = tuple((bid - step, lots * (step + 1)) for step in range(min(LEVELS, bid)))
        return bids, tuple((ask + step, lots * (step + 1)) for step in range(LEVELS))

    def dump(self) -> BookState:
        """Return the state."""
        return BookState(
            self.market.id,
            self.last_ticks,
            self._update_id,
            self._trade_id,
            [],
            {series.interval: (series.closed, series.kept) for series in self._told},
            self._changed,
            self._trades.dump(),
        )

    def load(self, state: BookState) -> None:
        """Restore the state."""
        self.last_ticks = state.last_ticks
        self._update_id = state.update_id
        self._trade_id = state.trade_id
        self._trades.load(state.trades, state.recent)
        for series in self._told:
            series.closed, series.kept = state.candles.get(series.interval, (True, []))
            for candle in series.kept:
                if not candle.turnover:  # an older release did not keep it
                    candle.turnover = candle.close_ticks * candle.volume_lots
        self._series = {series.interval: series for series in self._told}
        self._change(state.changed)


def _add(levels: tuple[Level, ...], own: dict[int, int]) -> Iterable[Level]:
    """Return levels with our own lots added."""
    lots = dict(levels)
    for price, count in own.items():
        lots[price] = lots.get(price, 0) + count
    return lots.items()


def _difference(old: tuple[Level, ...], new: tuple[Level, ...]) -> tuple[Level, ...]:
    """Return the levels to set, and those to remove as (price, 0)."""
    held, wanted = dict(old), dict(new)
    gone = tuple((price, 0) for price in held if price not in wanted)
    return gone + tuple(level for level in new if held.get(level[0]) != level[1])
