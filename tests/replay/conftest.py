"""A trader who uses everything, tapes to let him loose on, and a driver that goes input by input."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from actors import messages as m
from actors.instrument import InstrumentSpec
from actors.runtime import journal
from actors.system import Core, CoreSnapshot
from config.load import check_settings
from config.schema import Settings
from replay.journal import encode_plan
from replay.plan import SessionPlan, build_core, plan_session, start_core
from replay.tape import Tape, tape_from_frame

MINUTE = 60_000_000_000
START_MS = 1_700_002_800_000
"""A whole hour."""

TRADER = '''
"""Acts at random, from a seed it keeps in its own state, with everything a strategy can do."""

from collections import deque

import msgspec
import numpy as np

from pitboss import Strategy, atr, bbands, ema


class Seen(msgspec.Struct):
    fills: int = 0
    updates: dict = {}
    last: tuple = ()


class Trader(Strategy):
    seed: int = 1
    quantity: float = 0.5

    def features(self):
        return {"fast": ema(3), "bands": bbands(8, 1.5), "range": atr(5)}

    def on_start(self):
        self.random = self.seed
        self.refs = deque(maxlen=6)
        self.closes = np.zeros(16)
        self.seen = Seen()
        self.count = 0
        self.set_timer("beat", 777)

    def draw(self, count):
        self.random = (self.random * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.random >> 33) % count

    def on_bar(self, bar, f):
        self.closes[self.count % 16] = bar.close
        self.count += 1
        reach = max(f.range, 0.01) * (1 + self.draw(4)) / 2
        size = self.quantity * (1 + self.draw(3))
        action = self.draw(16)
        if action == 0:
            self.refs.append(self.buy(size))
        elif action == 1:
            self.refs.append(self.sell(size))
        elif action == 2:
            self.refs.append(self.buy(size, limit=bar.close - reach))
        elif action == 3:
            self.refs.append(self.sell(size, limit=bar.close + reach))
        elif action == 4:
            self.refs.append(self.buy(size, stop=bar.close + reach))
        elif action == 5:
            self.refs.append(self.sell(size, stop=bar.close - reach))
        elif action == 6:
            self.refs.append(self.buy(size, stop=bar.close + reach, limit=bar.close + 1.5 * reach))
        elif action == 7:
            self.refs.append(self.sell(size, stop=bar.close - reach, limit=bar.close - 0.5 * reach))
        elif action == 8 and self.refs:
            self.cancel(self.refs[self.draw(len(self.refs))])
        elif action == 9:
            self.target((self.draw(5) - 2) * self.quantity)
        elif action == 10 and self.position:
            leave = self.sell if self.position > 0 else self.buy
            self.refs.append(leave(abs(self.position), stop=f.bands_middle, reduce_only=True))
        elif action == 11:
            self.buy(size, limit=bar.close + reach, time_in_force="ioc")
        elif action == 12:
            self.sell(size, limit=bar.close + reach, post_only=True)
        elif action == 13 and self.closes.mean() < bar.close:
            self.set_timer("later", 60 + self.draw(400))
        elif action == 14 and self.refs:
            self.amend(self.refs[self.draw(len(self.refs))], limit=bar.close + (self.draw(5) - 2) * reach / 2)
        elif action == 15 and self.refs:
            stop = bar.close + (self.draw(5) - 2) * reach if self.draw(2) else None
            self.amend(self.refs[self.draw(len(self.refs))], quantity=size, stop=stop)

    def on_fill(self, execution):
        self.seen.fills += 1
        self.seen.last = (execution.ref, execution.price, self.position)
        if execution.ref > 0 and self.draw(3) == 0 and self.position > 0:
            self.refs.append(self.sell(self.position, stop=execution.price * 0.999, reduce_only=True))

    def on_order(self, update):
        self.seen.updates[update.state] = self.seen.updates.get(update.state, 0) + 1
        if update.state == "cancelled" and self.draw(4) == 0:
            self.set_timer("after", 30 + self.draw(90))

    def on_timer(self, name):
        if name == "beat":
            self.set_timer("beat", 500 + self.draw(900))
        if self.draw(3) == 0:
            self.target(0)


class Slow(Trader):
    timeframe = "5m"


class Sized(Trader):
    """Sizes its orders by what the account is worth, and remembers that."""

    def on_bar(self, bar, f):
        self.money = (self.equity, self.profit, self.cash)
        if self.draw(3) == 0:
            side = 1 if self.draw(2) else -1
            self.target(self.fit(side * self.equity * 0.3 / bar.close))
        elif self.draw(5) == 0:
            self.buy(max(0.001, self.fit(1e9)), limit=bar.close - 0.5)

    def on_fill(self, execution):
        self.seen.last = (execution.ref, self.equity, self.profit)


class Pair(Trader):
    markets = None
    stumble: int = 0
    """Fails on a slice whose first close, in cents, is a multiple of this."""

    def on_slice(self, bars, rows):
        self.count += len(bars)
        self.told = list(bars)
        action = self.draw(8)
        other = self.symbols[self.draw(len(self.symbols))]
        if action == 0:
            for place, symbol in enumerate(bars):
                self.target((1 - 2 * place) * self.quantity, symbol=symbol)
        elif action == 1 and other in rows:
            self.refs.append(self.buy(self.quantity, limit=rows[other].fast - 0.2, symbol=other))
        elif action == 2:
            self.target(0, symbol=other)
        elif action == 3 and self.position_of(other) > 0:
            self.refs.append(self.sell(self.position_of(other), stop=self.price_of(other) * 0.999, symbol=other))
        elif action == 4 and self.refs:
            self.amend(self.refs[self.draw(len(self.refs))], limit=self.price_of(other))
        elif action == 5 and self.refs:
            self.cancel(self.refs[self.draw(len(self.refs))])
        if self.stumble and round(next(iter(bars.values())).close * 100) % self.stumble == 0:
            raise ValueError("a slice I cannot stand")


class SlowPair(Pair):
    timeframe = "5m"
'''


class Drive:
    """A core driven input by input, as the live driver does it."""

    def __init__(self, plan: SessionPlan) -> None:
        self.plan = plan
        self.core: Core = build_core(plan)
        self.decisions: list[tuple[int, bytes]] = []
        """What every input that decided anything decided, with its time."""

    def start(self) -> Drive:
        start_core(self.core)
        return self

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.core.snapshot())

    def restored(self, snapshot: bytes) -> Drive:
        """Return to a snapshot taken of another core of the same plan."""
        self.core.restore(msgspec.msgpack.decode(snapshot, type=CoreSnapshot))
        return self

    def play(self, inputs: Iterable[m.Message], after: Callable[[], None] | None = None) -> Drive:
        """Post inputs and the timers due before them; call `after` behind each."""
        scheduler = self.core.scheduler

        def keep(now_ns: int, _: m.Message, effects: bytes | None) -> None:
            self.core.ledger.take_marks()
            if effects is not None:
                self.decisions.append((now_ns, effects))
            if after is not None:
                after()

        for message in inputs:
            now_ns = self.core.context.now_ns
            ts_ns = message.close_ns if isinstance(message, m.Bar) else now_ns
            if isinstance(message, m.TapeEnded):
                scheduler.fire_before(now_ns + 1, keep)
                ts_ns = self.core.context.now_ns
            else:
                scheduler.fire_before(ts_ns, keep)
            keep(ts_ns, message, scheduler.post(ts_ns, message))
        return self

    @property
    def digest(self) -> bytes:
        return self.core.digest.value


def walk(seed: int, count: int, gaps: bool = False) -> dict[str, Any]:
    """Return a table of bars that walk at random on a grid of 0.01; with `gaps`, some minutes are missing."""
    generator = np.random.default_rng(seed)
    cents = 10_000 + np.cumsum(generator.integers(-40, 41, count))
    opened = np.concatenate([[10_000], cents[:-1]]) + generator.integers(-5, 6, count)
    high = np.maximum(opened, cents) + generator.integers(0, 30, count)
    low = np.minimum(opened, cents) - generator.integers(0, 30, count)
    minutes = np.arange(count)
    if gaps:
        minutes = minutes + np.cumsum(generator.choice([0, 0, 0, 0, 0, 0, 1, 7], count))
    prices = {"open": opened, "high": high, "low": low, "close": cents}
    return {
        "ts": START_MS + 60_000 * minutes,
        **{name: column / 100 for name, column in prices.items()},
        "volume": generator.integers(1, 100, count).astype(float),
    }


def tape_of(table: dict[str, Any], symbol: str = "X/USD", count: int | None = None) -> Tape:
    """Return a tape of the first `count` rows; the tick is given, because inferring it would look ahead."""
    cut = {name: column[:count] for name, column in table.items()}
    return tape_from_frame(cut, symbol=symbol, timeframe="1m", tick=Decimal("0.01"), lot=Decimal("0.001"))


def joined(*tapes: Tape) -> Tape:
    """Return one tape of several series."""
    return Tape([series for tape in tapes for series in tape.series])


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of recorded market data, or skip the test."""
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("PITBOSS_SHARED_DATA", root / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded data at {folder} (set PITBOSS_SHARED_DATA)")
    return folder


@pytest.fixture
def trader(tmp_path: Path) -> str:
    """Return the path of a user's file with the strategies Trader and Slow."""
    path = tmp_path / "trader.py"
    path.write_text(TRADER)
    return str(path)


def _symbols_of(named: str | None) -> dict[str, Any]:
    if named is None:
        return {}
    return {"symbols": named.split(",")} if "," in named else {"symbol": named}


@pytest.fixture
def configure(trader: str) -> Callable[..., Settings]:
    """Return a maker of settings for traders: (class, id, symbol, seed), and settings by dotted name."""

    def configure(*entries: tuple[str, str, str | None, int], **values: Any) -> Settings:
        layers: dict[str, Any] = {
            "strategies": [
                {"use": f"{trader}:{kind}", "id": identity, "params": {"seed": seed}} | _symbols_of(s)
                for kind, identity, s, seed in entries or [("Trader", "t", None, 1)]
            ]
        }
        for name, value in values.items():
            section, key = name.split("__")
            layers.setdefault(section, {})[key] = value
        return check_settings(layers, "test")

    return configure


@pytest.fixture
def drive() -> Callable[[Settings, Tape], Drive]:
    """Return a maker of driven cores, not yet started."""

    def make(settings: Settings, tape: Tape) -> Drive:
        return Drive(plan_session(settings, tape))

    return make


@pytest.fixture(name="walk")
def walk_fixture() -> Callable[..., dict[str, Any]]:
    return walk


@pytest.fixture(name="tape_of")
def tape_of_fixture() -> Callable[..., Tape]:
    return tape_of


@pytest.fixture(name="joined")
def joined_fixture() -> Callable[..., Tape]:
    return joined


FLIP = '''
"""Buys and sells by turns, and leaves a bid far below the market."""

from pitboss import Strategy, ema


class Flip(Strategy):
    quantity: float = 0.5

    def features(self):
        return {"fast": ema(3)}

    def on_start(self):
        self.bars = 0

    def on_bar(self, bar, f):
        self.bars += 1
        if self.bars % 4 == 1:
            self.buy(self.quantity)
        elif self.bars % 4 == 3:
            self.target(0)
        if self.bars == 2:
            self.buy(self.quantity, limit=bar.close / 2)
'''

LAG_NS = 300_000_000
"""Live, a bar is known some time after its close."""


class Exchange:
    """A real venue as far as a core can tell: fills market orders at the last close, `slip_ticks` against us.

    A buy's fee is taken in the base asset, a sale's in the quote asset, as on spot.
    """

    def __init__(self, slip_ticks: int = 0, refuse: Iterable[int] = (), parts: int = 1) -> None:
        self.slip_ticks = slip_ticks
        self.refuse = frozenset(refuse)
        """Numbers of the orders it rejects, from 1."""
        self.parts = parts
        """In how many trades it fills an order."""
        self.last_ticks = 0
        self.orders = 0
        self.trades = 0
        self.effects: list[m.Message] = []

    def observers(self) -> Any:
        return {kind: [self.on_effect] for kind in (m.SendOrder, m.SendCancel, m.AskAccount)}

    name = "exchange"
    isolated = False

    def on_effect(self, effect: m.Message) -> None:
        self.effects.append(effect)

    def answers(self) -> list[m.Message]:
        """Return what it says to all that was asked since the last call."""
        effects, self.effects = self.effects, []
        return [answer for effect in effects for answer in self._answer(effect)]

    def _answer(self, effect: m.Message) -> list[m.Message]:
        if isinstance(effect, m.AskAccount):
            return [m.AccountReported(effect.reason, (), (), (), (), (), effect.ask)]
        if isinstance(effect, m.SendCancel):
            return [m.OrderReported(effect.order_id, "v", "cancelled", 0)]
        assert isinstance(effect, m.SendOrder)
        self.orders += 1
        request = effect.request
        if self.orders in self.refuse:
            return [m.OrderReported(effect.order_id, "", "rejected", 0, "no balance")]
        said: list[m.Message] = [m.OrderReported(effect.order_id, "v", "open", 0)]
        return said if request.kind == "limit" else [*said, *self._trades(effect)]

    def _trades(self, effect: m.SendOrder) -> list[m.Message]:
        request = effect.request
        trades: list[m.Message] = []
        for part in range(self.parts):
            self.trades += 1
            lots = request.quantity_lots // self.parts
            ticks = self.last_ticks + request.side * (self.slip_ticks + part)
            fee = ("X", lots // 1000) if request.side == m.BUY else ("USD", ticks * lots // 100 // 1000)
            trades.append(
                m.TradeReported(
                    effect.order_id, "X/USD", self.trades, request.side, ticks, lots, *fee, "taker", self.trades
                )
            )
        return trades


class Keeper:
    """Runs a session and keeps its journal, as the daemon's writer would leave it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(
        self, plan: SessionPlan, inputs: Iterable[m.Message], exchange: Exchange | None = None, code: str = "a"
    ) -> Path:
        core = build_core(plan, None if exchange is None else exchange.observers())
        start_core(core)
        rows: list[tuple[Any, ...]] = []
        chain = journal.CHAIN_GENESIS

        def keep(now_ns: int, message: m.Message, effects: bytes | None) -> None:
            nonlocal chain
            core.ledger.take_marks()
            seq, payload, digest = core.scheduler.seq, journal.encode_input(message), core.digest.value
            chain = journal.link(chain, seq, now_ns, payload, effects, digest)
            rows.append((seq, 1, now_ns, payload, effects, digest, chain))

        def post(ts_ns: int, message: m.Message) -> None:
            core.scheduler.fire_before(ts_ns, keep)
            keep(ts_ns, message, core.scheduler.post(ts_ns, message))

        lag_ns = 0 if exchange is None else LAG_NS
        for message in [*([] if exchange is None else [m.VenueLink(up=True)]), *inputs]:
            now_ns = core.context.now_ns
            if isinstance(message, m.Bar):
                now_ns = message.close_ns + lag_ns
                if exchange is not None:
                    exchange.last_ticks = core.instruments[message.symbol].price_to_ticks(message.close)
            post(now_ns, message)
            while exchange is not None and (answers := exchange.answers()):
                for answer in answers:
                    post(core.context.now_ns, answer)
        self.write(plan, rows, code)
        return self.path

    def write(self, plan: SessionPlan, rows: list[tuple[Any, ...]], code: str) -> None:
        db = sqlite3.connect(self.path)
        db.executescript(journal.SCHEMA)
        db.execute("INSERT INTO sessions VALUES (1, 'one', 0, ?, 'open', NULL)", (encode_plan(plan),))
        db.execute("INSERT INTO runs VALUES (1, 1, 0, NULL, 'running', ?)", (code,))
        db.executemany("INSERT INTO inputs VALUES (1, ?, ?, ?, ?, ?, ?, ?)", rows)
        db.commit()
        db.close()

    @contextmanager
    def rewritten(self) -> Iterator[list[list[Any]]]:
        """Let the rows of the journal be changed, then chain them anew: a forger who knows the format."""
        db = sqlite3.connect(self.path)
        sql = "SELECT seq, run, ts_ns, payload, effects, digest FROM inputs ORDER BY seq"
        rows = [list(row) for row in db.execute(sql)]
        yield rows
        chain = journal.CHAIN_GENESIS
        db.execute("DELETE FROM inputs")
        for seq, run, ts_ns, payload, effects, digest in rows:
            chain = journal.link(chain, seq, ts_ns, payload, effects, digest)
            values = (seq, run, ts_ns, payload, effects, digest, chain)
            db.execute("INSERT INTO inputs VALUES (1, ?, ?, ?, ?, ?, ?, ?)", values)
        db.commit()
        db.close()


@pytest.fixture
def keep(tmp_path: Path) -> Keeper:
    """Return what runs a session and keeps its journal."""
    return Keeper(tmp_path / journal.FILE_NAME)


@pytest.fixture
def venue() -> type[Exchange]:
    """Return a maker of real venues."""
    return Exchange


@pytest.fixture
def flip(tmp_path: Path) -> Path:
    """Return the file of a user's strategy Flip."""
    path = tmp_path / "flip.py"
    path.write_text(FLIP)
    return path


@pytest.fixture
def real_plan(flip: Path) -> Callable[..., SessionPlan]:
    """Return a maker of plans of a session of Flip that trades for real on spot."""

    def make(tape: Tape, **values: Any) -> SessionPlan:
        layers: dict[str, Any] = {
            "strategies": [{"use": f"{flip}:Flip", "id": "f"}],
            "exchange": {"reconcile_s": 1e8},
        }
        for name, value in values.items():
            section, key = name.split("__")
            layers.setdefault(section, {})[key] = value
        plan = plan_session(check_settings(layers, "test"), tape, nonce="abcdefg", real=True)
        spec = InstrumentSpec(
            symbol="X/USD",
            tick=Decimal("0.01"),
            lot=Decimal("1e-8"),
            step=Decimal("0.001"),
            base="X",
            quote="USD",
            long_only=True,
        )
        return msgspec.structs.replace(plan, instruments=[spec])

    return make
