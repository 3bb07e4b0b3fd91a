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
from replay.exchange.perpetual import PerpetualEngine
from replay.exchange.perpetual_account import FUNDING_HOURS, FUNDING_RATE, LEVERAGE, LEVERAGE_MAX
from replay.exchange.player import Player, start_clock
from replay.exchange.store import FILE_NAME, FUTURES_FILE_NAME, Setup, Snapshot, open_store
from replay.exchange.trading import TradingEngine
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
E = TypeVar("E", bound=TradingEngine)

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
    """One running family of markets.

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
        self.played = played
        self.played_before = dict(played)
        """What was played when it was opened."""
        self.markets = setup.markets
        self.maker_fee = setup.maker_fee
        self.taker_fee = setup.taker_fee
        self.clock = setup.clock
        self._intervals = tuple(dict.fromkeys((BASE_INTERVAL, *setup.intervals)))
        self._player = player
        self._store = store
        self._listeners: list[tuple[Callable[[Sequence[Event]], None], Callable[[], bool]]] = []
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
        now_ms = self.clock.now_ns(time.time_ns()) // _NS_PER_MS
        next_ms = None if self._player is None else self._player.next_ms
        self._last_ms = max(self._last_ms, now_ms if next_ms is None else min(now_ms, next_ms))
        return self._last_ms

    def intervals(self, market_id: str) -> tuple[str, ...]:
        """Return the intervals whose candles are told of a market."""
        assert market_id in self.engine.books, market_id
        return self._intervals

    def listen(
        self, listener: Callable[[Sequence[Event]], None], hears_market: Callable[[], bool] = lambda: True
    ) -> None:
        """Have `listener` called with events, in order, once they are durable; it must not fail.

        Args:
            listener: told of everything on the account, and of the market while anybody hears it.
            hears_market: whether it needs trades, candles and books right now; where nobody does, prints are
                cheaper.
        """
        self._listeners.append((listener, hears_market))

    async def commit(self, work: Callable[[E, int], T]) -> T:
        """Do `work` on the engine, at once, and return its result once all it can have seen is durable.

        Args:
            work: called with the engine and exchange time; a question is work too.

        Raises:
            VenueError: as `work` does, when what it did before is durable; or -1007 if the disk refused.
        """
        self._look_for_hearers()
        try:
            result = work(self.engine, self.now_ms())
        except VenueError:
            await self._settle()
            raise
        await self._settle()
        return result

    async def print_trade(self, market_id: str, price: Decimal, quantity: Decimal, step: int = -1) -> None:
        """Print a public trade by hand, or that of line `step` of a recorded feed."""
        market = self.engine.market(market_id)
        ticks, lots = price / market.tick, quantity / market.lot
        assert ticks == int(ticks), f"{price} is off the tick {market.tick}"
        assert lots == int(lots), f"{quantity} is off the lot {market.lot}"
        told = (market_id, int(ticks), int(lots))
        await self.commit(lambda engine, now_ms: engine.print_trade(*told, now_ms, step=step))

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
        self._look_for_hearers()
        if self._player is None:
            await self.commit(lambda engine, now_ms: engine.advance(now_ms))
            return False
        now_ms = self.clock.now_ns(time.time_ns()) // _NS_PER_MS
        due = self._player.due(now_ms, _SLICE)
        for each in due:
            told = (each.id, each.price_ticks, each.quantity_lots, each.time_ms)
            self.engine.print_trade(*told, step=each.step, buyer_is_maker=each.buyer_is_maker)
        await self.commit(lambda engine, reached_ms: engine.advance(reached_ms))
        return len(due) == _SLICE

    def _idle_s(self) -> float:
        """Return how long nothing will happen by itself."""
        times_ms = [self.engine.next_due_ms(), None if self._player is None else self._player.next_ms]
        waiting = [time_ms for time_ms in times_ms if time_ms is not None]
        if not waiting:
            return _RETRY_S
        return min(_RETRY_S, self.clock.wait_s(time.time_ns(), min(waiting)))

    def _look_for_hearers(self) -> None:
        self.engine.tells_market = any(hears_market() for _, hears_market in self._listeners)

    def _take_note(self, operation: AnyOperation) -> None:
        self._operations.append(operation)
        self._done_count += 1
        if isinstance(operation, Print) and operation.step >= 0:
            self.played[operation.id] = operation.step + 1

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
                snapshot = Snapshot(self.engine.dump(), dict(self.played))
                self._snapshot_in = max(SNAPSHOT_EVERY, len(snapshot.engine) // _SNAPSHOT_BYTES_PER_OPERATION)
            try:
                await self._store.append(operations, snapshot)
            except sqlite3.Error:
                self._operations[:0] = operations
                self._events[:0] = events
                return False
        self._durable_count += len(operations)
        for listener, _ in self._listeners:
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
    recording: str = "",
) -> Venue[Engine]:
    """Open the spot markets in `state_dir` as they were, or start new ones.

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
        recording: fingerprint of the recorded feed that will be played; another one begins at its beginning.

    Raises:
        UserError: the store cannot be used, or belongs to another exchange or tape.
    """
    if not speed > 0:
        message = f"--speed {speed:g}: it must be positive"
        raise UserError(message)
    wall_ns = time.time_ns()
    setup = Setup(
        markets=tuple(markets),
        balances=dict(balances),
        maker_fee=maker_fee,
        taker_fee=taker_fee,
        spread_ticks=spread_ticks,
        fee_asset=fee_asset,
        bounded=bounded,
        intervals=_intervals(tape),
        tape="" if tape is None else tape.fingerprint,
        clock=start_clock(tape, wall_ns, speed),
        recording=recording,
    )

    def go_on(kept: Setup, player: Player | None, played: Mapping[str, int]) -> Clock:
        return _go_on(kept, player, wall_ns, speed, catch_up=catch_up or not played)

    path = None if state_dir is None else state_dir / FILE_NAME
    return await _open(path, tape, setup, _make_engine, {}, go_on)


async def open_futures(
    beside: Venue[Engine],
    *,
    state_dir: Path | None,
    tape: Tape | TradeTape | None,
    markets: Sequence[Market],
    balances: Mapping[str, Decimal],
    maker_fee: Decimal,
    taker_fee: Decimal,
    spread_ticks: int = 0,
    fee_asset: str = AUTO,
    bounded: bool = False,
    leverage: int = LEVERAGE,
    funding_rate: Decimal = FUNDING_RATE,
    funding_hours: int = FUNDING_HOURS,
    recording: str = "",
) -> Venue[PerpetualEngine]:
    """Open the perpetuals beside the spot markets: the same tape at the same time, an account of its own.

    A first start beside spot markets that are already at work begins where their tape is.

    Args:
        beside: the spot markets; their clock is the only one.
        state_dir: where the store is; None keeps nothing.
        tape: where prices come from, the one the spot markets play.
        markets: what is traded; none that was there before may be missing or have changed.
        balances: what the wallet has at the first start.
        maker_fee: rate of the commission on orders that rested.
        taker_fee: rate of the commission on orders that did not.
        spread_ticks: distance of best bid and best ask.
        fee_asset: what commissions are paid in; "auto" for the settle asset.
        bounded: whether a print fills no more than its own quantity.
        leverage: of markets whose leverage was never set.
        funding_rate: of markets whose rate was never set, as a fraction per settlement.
        funding_hours: hours of exchange time between settlements.
        recording: fingerprint of the recorded feed that will be played.

    Raises:
        UserError: the store cannot be used, or belongs to another exchange or tape.
    """
    if not 1 <= leverage <= LEVERAGE_MAX:
        message = f"--leverage {leverage}: from 1 to {LEVERAGE_MAX}"
        raise UserError(message)
    if funding_hours < 1:
        message = f"--funding-hours {funding_hours}: at least 1"
        raise UserError(message)
    setup = Setup(
        markets=tuple(markets),
        balances=dict(balances),
        maker_fee=maker_fee,
        taker_fee=taker_fee,
        spread_ticks=spread_ticks,
        fee_asset=fee_asset,
        bounded=bounded,
        intervals=_intervals(tape),
        tape="" if tape is None else tape.fingerprint,
        clock=beside.clock,
        leverage=leverage,
        funding_rate=funding_rate,
        funding_hours=funding_hours,
        recording=recording,
    )
    path = None if state_dir is None else state_dir / FUTURES_FILE_NAME
    played = {} if tape is None else dict(beside.played_before)
    return await _open(path, tape, setup, _make_perpetuals, played, lambda *_: beside.clock)


async def _open(
    path: Path | None,
    tape: Tape | TradeTape | None,
    setup: Setup,
    make: Callable[[Setup], E],
    played: dict[str, int],
    go_on: Callable[[Setup, Player | None, Mapping[str, int]], Clock],
) -> Venue[E]:
    """Open a venue in its store, with the tape where it was, and play what is due.

    Args:
        path: the store, None to keep nothing.
        tape: what is played.
        setup: what it is to run with.
        make: makes its engine.
        played: trades of the tape that a first start does not play, by market.
        go_on: returns the clock from now on.
    """
    store = None if path is None else await open_store(path)
    try:
        engine = make(setup)
        if store is not None:
            snapshot, operations = await store.read()
            if store.setup is not None:
                setup = _continue(store.setup, setup, path)
                played = _restore(engine, make(store.setup), snapshot, operations)
                if setup.recording != store.setup.recording:
                    played = {}
        player = None if tape is None else Player(tape, engine.books, setup.clock.shift_ns, played)
        setup = msgspec.structs.replace(setup, clock=go_on(setup, player, played))
        if store is not None:
            await store.begin(setup, Snapshot(engine.dump(), played))
        venue = Venue(setup, engine, player, store, played)
        await venue.catch_up()
    except BaseException:
        if store is not None:
            await asyncio.shield(store.close())
        raise
    return venue


def _intervals(tape: Tape | TradeTape | None) -> tuple[str, ...]:
    timeframes = () if tape is None else tuple(format_timeframe(each.timeframe_ns) for each in tape.series)
    return tuple(sorted({each for each in timeframes if each in INTERVALS}))


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


def _make_perpetuals(setup: Setup) -> PerpetualEngine:
    return PerpetualEngine(
        setup.markets,
        setup.balances,
        setup.maker_fee,
        setup.taker_fee,
        setup.spread_ticks,
        setup.fee_asset,
        bounded=setup.bounded,
        intervals=setup.intervals,
        leverage=setup.leverage,
        funding_rate=setup.funding_rate,
        funding_hours=setup.funding_hours,
    )


def _restore(engine: E, former: E, snapshot: Snapshot | None, operations: Sequence[AnyOperation]) -> dict[str, int]:
    """Bring `engine` to where the kept exchange was; return what it had played of its tape.

    Args:
        engine: the one that goes on.
        former: one with the settings the operations were done under.
        snapshot: what was kept first.
        operations: what was done since.
    """
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


def _continue(kept: Setup, wanted: Setup, path: Path | None) -> Setup:
    """Return what goes on: fees and spread may change, the account, the tape and the markets' units may not."""
    folder = None if path is None else path.parent
    if kept.tape != wanted.tape:
        message = f"{folder} is an exchange with another tape: give it the same one, or another --state-dir"
        raise UserError(message)
    traded = {market.id: market for market in wanted.markets}
    for market in kept.markets:
        now = traded.get(market.id)
        if now is None or msgspec.structs.replace(now, min_notional=market.min_notional) != market:
            message = (
                f"{folder} is an exchange that trades {market.symbol} with tick {market.tick} and lot {market.lot}"
            )
            raise UserError(message)
    recording = wanted.recording or kept.recording
    balances = wanted.balances | kept.balances
    return msgspec.structs.replace(wanted, balances=balances, clock=kept.clock, recording=recording)


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
