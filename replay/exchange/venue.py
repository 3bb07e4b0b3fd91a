"""The exchange at work: engine, player and store behind one door, where everything said is durable.

Work is done at once and in order; whoever asked for it, and everybody who listens, hears of it only once it
is on disk. While one batch is written, the next gathers.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from config.errors import UserError
from replay.exchange.candles import BASE_INTERVAL, INTERVALS
from replay.exchange.engine import Engine
from replay.exchange.fees import AUTO
from replay.exchange.model import VenueError
from replay.exchange.operations import Print
from replay.exchange.player import Player, start_clock
from replay.exchange.store import FILE_NAME, Setup, Snapshot, open_store
from replay.tape import format_timeframe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from replay.exchange.model import Event, Market
    from replay.exchange.operations import AnyOperation
    from replay.exchange.player import Clock
    from replay.exchange.store import Store
    from replay.exchange.trade_tape import TradeTape
    from replay.tape import Tape

T = TypeVar("T")
E = TypeVar("E", bound="Engine")
"""The engine of a family of markets."""

SNAPSHOT_EVERY = 5_000
"""Operations between two snapshots, at least."""
CATCH_UP_BARS_MAX = 20_000
"""After a longer absence time goes on where it stood, instead of playing what was missed."""

_SNAPSHOT_BYTES_PER_OPERATION = 50
"""What operations take to be written again by a snapshot: a longer state is written more rarely."""
_SLICE = 256
"""Trades of the tape in one transaction."""
_RETRY_S = 1.0
_NS_PER_MS = 1_000_000
_UNKNOWN = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."


class Venue(Generic[E]):
    """One running exchange.

    Args:
        setup: what it runs with.
        engine: its engine, as far as it got.
        player: what is to be played, or None.
        store: where operations go, or None to keep nothing.
        played: trades of the tape played, by market.
    """

    def __init__(
        self, setup: Setup, engine: E, player: Player | None, store: Store | None, played: dict[str, int]
    ) -> None:
        self.engine = engine
        self.markets = setup.markets
        self.maker_fee = setup.maker_fee
        self.taker_fee = setup.taker_fee
        self._clock = setup.clock
        self._intervals = tuple(dict.fromkeys((BASE_INTERVAL, *setup.intervals)))
        self._player = player
        self._store = store
        self._played = played
        self._listeners: list[Callable[[Sequence[Event]], None]] = []
        self._operations: list[AnyOperation] = []
        """Done, and not yet durable."""
        self._events: list[Event] = []
        """What they led to."""
        self._writing: asyncio.Task[bool] | None = None
        self._done_count = 0
        self._durable_count = 0
        self._snapshot_in = SNAPSHOT_EVERY
        self._last_ms = 0
        engine.recorder = self._take_note

    def now_ms(self) -> int:
        """Return exchange time: it never goes back, and never passes a trade of the tape that is not played yet."""
        now_ms = self._clock.now_ns(time.time_ns()) // _NS_PER_MS
        next_ms = None if self._player is None else self._player.next_ms
        self._last_ms = max(self._last_ms, now_ms if next_ms is None else min(now_ms, next_ms))
        return self._last_ms

    def intervals(self, market_id: str) -> tuple[str, ...]:
        """Return the intervals whose candles are told of a market."""
        assert market_id in self.engine.books, market_id
        return self._intervals

    def listen(self, listener: Callable[[Sequence[Event]], None]) -> None:
        """Have `listener` called with events, in order, once they are durable; it must not fail."""
        self._listeners.append(listener)

    async def commit(self, work: Callable[[E, int], T]) -> T:
        """Do `work` on the engine, at once, and return its result once all it can have seen is durable.

        Args:
            work: called with the engine and exchange time; a question is work too.

        Raises:
            VenueError: as `work` does, when what it did before is durable; or -1007 if the disk refused.
        """
        try:
            result = work(self.engine, self.now_ms())
        except VenueError:
            await self._settle()
            raise
        await self._settle()
        return result

    async def print_trade(self, market_id: str, price: Decimal, quantity: Decimal) -> None:
        """Print a public trade by hand."""
        market = self.engine.market(market_id)
        ticks, lots = price / market.tick, quantity / market.lot
        assert ticks == int(ticks), f"{price} is off the tick {market.tick}"
        assert lots == int(lots), f"{quantity} is off the lot {market.lot}"
        await self.commit(lambda engine, now_ms: engine.print_trade(market_id, int(ticks), int(lots), now_ms))

    async def run(self) -> None:
        """Play the tape until cancelled."""
        while True:
            try:
                busy = await self._play()
            except VenueError:  # the disk refuses: time stands still until it takes what was done
                await asyncio.sleep(_RETRY_S)
                continue
            wait_s = 0.0 if busy else self._idle_s()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            else:
                await asyncio.sleep(0)

    async def catch_up(self) -> None:
        """Play what is already due."""
        busy = True
        while busy:
            busy = await self._play()

    async def close(self) -> None:
        """Make everything durable and let go of the store."""
        if self._store is None:
            return
        try:
            await self._settle()
        finally:
            await asyncio.shield(self._store.close())

    async def _play(self) -> bool:
        """Print what is due, up to a slice; return whether there may be more."""
        await self._settle()
        if self._player is None:
            await self.commit(lambda engine, now_ms: engine.close_candles(now_ms))
            return False
        now_ms = self._clock.now_ns(time.time_ns()) // _NS_PER_MS
        due = self._player.due(now_ms, _SLICE)
        for each in due:
            told = (each.id, each.price_ticks, each.quantity_lots, each.time_ms)
            self.engine.print_trade(*told, step=each.step, buyer_is_maker=each.buyer_is_maker)
        await self.commit(lambda engine, reached_ms: engine.close_candles(reached_ms))
        return len(due) == _SLICE

    def _idle_s(self) -> float:
        """Return how long nothing will happen by itself."""
        times_ms = [self.engine.next_close_ms(), None if self._player is None else self._player.next_ms]
        waiting = [time_ms for time_ms in times_ms if time_ms is not None]
        if not waiting:
            return _RETRY_S
        return min(_RETRY_S, self._clock.wait_s(time.time_ns(), min(waiting)))

    def _take_note(self, operation: AnyOperation) -> None:
        self._operations.append(operation)
        self._done_count += 1
        if isinstance(operation, Print) and operation.step >= 0:
            self._played[operation.id] = operation.step + 1

    async def _settle(self) -> None:
        """Return once everything done so far is durable and told.

        The write is a task of its own: a caller who is cancelled while he waits must not tear it.
        """
        self._events.extend(self.engine.drain())
        wanted = self._done_count
        while self._durable_count < wanted:
            if self._writing is None or self._writing.done():
                self._writing = asyncio.create_task(self._write())
            if not await asyncio.shield(self._writing):
                raise VenueError(-1007, _UNKNOWN, 504)

    async def _write(self) -> bool:
        """Write what has gathered, then tell of it; return whether the disk took it."""
        operations, self._operations = self._operations, []
        events, self._events = self._events, []
        if self._store is not None:
            snapshot = None
            self._snapshot_in -= len(operations)
            if self._snapshot_in <= 0:
                snapshot = Snapshot(self.engine.dump(), dict(self._played))
                self._snapshot_in = max(SNAPSHOT_EVERY, len(snapshot.engine) // _SNAPSHOT_BYTES_PER_OPERATION)
            try:
                await self._store.append(operations, snapshot)
            except sqlite3.Error:
                self._operations[:0] = operations
                self._events[:0] = events
                return False
        self._durable_count += len(operations)
        for listener in self._listeners:
            listener(events)
        return True


async def open_venue(
    *,
    state_dir: Path | None,
    tape: Tape | TradeTape | None,
    markets: Sequence[Market],
    balances: Mapping[str, Decimal],
    maker_fee: Decimal,
    taker_fee: Decimal,
    speed: float = 1.0,
    spread_ticks: int = 0,
    fee_asset: str = AUTO,
    bounded: bool = False,
    catch_up: bool = True,
) -> Venue[Engine]:
    """Open the exchange in `state_dir` as it was, or start a new one.

    Args:
        state_dir: where its store is; None keeps nothing.
        tape: where prices come from, bars or trades; without one exchange time is the wall's.
        markets: what is traded; none that was there before may be missing or have changed.
        balances: what the account has at the first start.
        maker_fee: rate of the commission on orders that rested.
        taker_fee: rate of the commission on orders that did not.
        speed: exchange seconds per second of the wall, where there is a tape.
        spread_ticks: distance of best bid and best ask.
        fee_asset: what commissions are paid in; "auto" for what was received.
        bounded: whether a print fills no more than its own quantity.
        catch_up: whether what was missed is played at the start, unless it is far too much.

    Raises:
        UserError: the store cannot be used, or belongs to another exchange or tape.
    """
    if not speed > 0:
        message = f"--speed {speed:g}: it must be positive"
        raise UserError(message)
    wall_ns = time.time_ns()
    timeframes = () if tape is None else tuple(format_timeframe(each.timeframe_ns) for each in tape.series)
    setup = Setup(
        markets=tuple(markets),
        balances=dict(balances),
        maker_fee=maker_fee,
        taker_fee=taker_fee,
        spread_ticks=spread_ticks,
        fee_asset=fee_asset,
        bounded=bounded,
        intervals=tuple(sorted({each for each in timeframes if each in INTERVALS})),
        tape="" if tape is None else tape.fingerprint,
        clock=start_clock(tape, wall_ns, speed),
    )
    store = None if state_dir is None else await open_store(state_dir / FILE_NAME)
    try:
        engine, played = _make_engine(setup), dict[str, int]()
        if store is not None:
            snapshot, operations = await store.read()
            if store.setup is not None:
                setup = _continue(store.setup, setup, state_dir)
                played = _restore(engine, store.setup, snapshot, operations)
        player = None if tape is None else Player(tape, engine.books, setup.clock.shift_ns, played)
        setup = msgspec.structs.replace(
            setup, clock=_go_on(setup, player, wall_ns, speed, catch_up=catch_up or not played)
        )
        if store is not None:
            await store.begin(setup, Snapshot(engine.dump(), played))
        venue = Venue(setup, engine, player, store, played)
        await venue.catch_up()
    except BaseException:
        if store is not None:
            await asyncio.shield(store.close())
        raise
    return venue


def _make_engine(setup: Setup) -> Engine:
    return Engine(
        setup.markets,
        setup.balances,
        setup.maker_fee,
        setup.taker_fee,
        setup.spread_ticks,
        setup.fee_asset,
        bounded=setup.bounded,
        intervals=setup.intervals,
    )


def _restore(
    engine: Engine, kept: Setup, snapshot: Snapshot | None, operations: Sequence[AnyOperation]
) -> dict[str, int]:
    """Bring `engine` to where the kept exchange was; return what it had played of its tape."""
    former = _make_engine(kept)
    played: dict[str, int] = {}
    if snapshot is not None:
        former.load(snapshot.engine)
        played = dict(snapshot.played)
    for operation in operations:
        former.apply(operation)
        if isinstance(operation, Print) and operation.step >= 0:
            played[operation.id] = operation.step + 1
    engine.load(former.dump())
    return played


def _continue(kept: Setup, wanted: Setup, state_dir: Path | None) -> Setup:
    """Return what goes on: fees and spread may change, the account, the tape and the markets' units may not."""
    if kept.tape != wanted.tape:
        message = f"{state_dir} is an exchange with another tape: give it the same one, or another --state-dir"
        raise UserError(message)
    traded = {market.id: market for market in wanted.markets}
    for market in kept.markets:
        now = traded.get(market.id)
        if now is None or msgspec.structs.replace(now, min_notional=market.min_notional) != market:
            message = (
                f"{state_dir} is an exchange that trades {market.symbol} with tick {market.tick} and lot {market.lot}"
            )
            raise UserError(message)
    return msgspec.structs.replace(wanted, balances=wanted.balances | kept.balances, clock=kept.clock)


def _go_on(setup: Setup, player: Player | None, wall_ns: int, speed: float, *, catch_up: bool) -> Clock:
    """Return the clock from now on: another speed, or too long an absence, starts it anew where it stands."""
    clock = setup.clock
    if player is None:
        return clock
    if clock.speed != speed:
        clock = clock.set(wall_ns, clock.now_ns(wall_ns), speed)
    next_ms = player.next_ms
    missed_bars_max = CATCH_UP_BARS_MAX if catch_up else 0
    if next_ms is not None and clock.now_ns(wall_ns) // _NS_PER_MS - next_ms > missed_bars_max * player.bar_ms:
        clock = clock.set(wall_ns, next_ms * _NS_PER_MS, speed)
    return clock
