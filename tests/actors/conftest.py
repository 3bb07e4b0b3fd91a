"""A core on a bench: scripted strategies, bars one by one, and everything that was said about each."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.features import SeriesKey
from actors.instrument import Instrument, InstrumentSpec, to_atoms
from actors.ledger import Account
from actors.runtime.journal import decode_effects
from actors.runtime.scheduler import Context
from actors.system import Core, CoreSnapshot, SeriesPlan, StrategyPlan
from config.load import check_settings
from strategies.base import Strategy
from strategies.features.graph import FeatureGraph
from strategies.features.rows import FeatureRows

MINUTE = 60_000_000_000
START_NS = 1_700_002_800_000_000_000
"""A whole hour."""

Act = Callable[[Any], object]


class Ear:
    """An observer that remembers what it hears."""

    isolated = False

    def __init__(self) -> None:
        self.name = "ear"
        self.heard: list[m.Message] = []

    def on_any(self, message: m.Message) -> None:
        self.heard.append(message)

    def table(self) -> dict[type[m.Message], list[Callable[[Any], None]]]:
        return {kind: [self.on_any] for kind in all_messages()}


def all_messages() -> list[type[m.Message]]:
    """Return every message type of the vocabulary."""
    return [
        kind
        for kind in vars(m).values()
        if isinstance(kind, type) and issubclass(kind, m.Message) and kind not in (m.Message, m.OrderEvent)
    ]


class Rig:
    """One core, driven like the live driver does: timers before the datum, then the datum."""

    def __init__(
        self,
        *strategies: Strategy | tuple[Strategy, str] | tuple[Strategy, tuple[str, ...]],
        settings: dict[str, Any] | None = None,
        symbols: tuple[str, ...] = ("X",),
        tick: str = "1",
        lot: str = "1",
        min_notional: str = "0",
        cash: str = "1000000",
        account: Account | None = None,
        timeframe_ns: int = MINUTE,
        contract: bool = False,
        spot: tuple[str, ...] = (),
        ticks: tuple[str, ...] = (),
        long_only: bool = False,
    ) -> None:
        instruments = {
            symbol: Instrument(
                InstrumentSpec(
                    symbol=symbol,
                    tick=Decimal(tick),
                    lot=Decimal(lot),
                    min_notional=Decimal(min_notional),
                    contract=contract and symbol not in spot,
                    long_only=long_only,
                )
            )
            for symbol in symbols
        }
        plans = []
        graph = FeatureGraph(dict.fromkeys(symbols, timeframe_ns))
        for index, given in enumerate(strategies):
            strategy, traded = given if isinstance(given, tuple) else (given, symbols[0])
            symbol, *further = (traded,) if isinstance(traded, str) else traded
            kind = type(strategy)
            minutes = int(kind.timeframe.removesuffix("m")) if kind.timeframe else timeframe_ns // MINUTE
            rows, *others = (
                FeatureRows(strategy.features(), graph, SeriesKey(name, minutes * MINUTE))
                for name in (symbol, *further)
            )
            more = tuple(zip(further, others, strict=True))
            plans.append(StrategyPlan("abcdefgh"[index], symbol, minutes * MINUTE, strategy, rows, kind.warmup, more))
        self.ear = Ear()
        self.timeframe_ns = timeframe_ns
        self.core = Core(
            check_settings(settings or {}, "test"),
            instruments,
            [SeriesPlan(symbol, timeframe_ns, symbol in ticks) for symbol in symbols],
            plans,
            account or Account(to_atoms(Decimal(cash))),
            nonce="t",
            start_ns=START_NS,
            engine=graph,
            observers=self.ear.table(),
        )
        self.opens_ns = dict.fromkeys(symbols, START_NS)
        for actor in self.core.strategies:
            actor.start()

    @property
    def now_ns(self) -> int:
        return self.core.context.now_ns

    def bar(
        self,
        open: float,  # noqa: A002 - the word for it
        high: float | None = None,
        low: float | None = None,
        close: float | None = None,
        *,
        symbol: str = "X",
        skip: int = 0,
        volume: float = 1.0,
    ) -> list[m.Message]:
        """Post the symbol's next bar, `skip` bars later; return what was said about it and the timers before."""
        close = open if close is None else close
        high = max(open, close) if high is None else high
        low = min(open, close) if low is None else low
        open_ns = self.opens_ns[symbol] + skip * self.timeframe_ns
        close_ns = open_ns + self.timeframe_ns
        self.opens_ns[symbol] = close_ns
        prices = (float(open), float(high), float(low), float(close))
        return self.post(m.Bar(symbol, self.timeframe_ns, open_ns, close_ns, *prices, volume))

    def flat(self, price: float, count: int = 1) -> list[m.Message]:
        """Post bars that stand still."""
        return [message for _ in range(count) for message in self.bar(price)]

    def post(self, message: m.Message) -> list[m.Message]:
        """Post one input and the timers due before it; return all that was said."""
        self.ear.heard.clear()
        ts_ns = message.close_ns if isinstance(message, m.Bar) else self.now_ns
        self.core.scheduler.fire_before(ts_ns)
        effects = self.core.scheduler.post(max(ts_ns, self.now_ns), message)
        self.decided: list[Any] = [] if effects is None else decode_effects(effects)
        self.core.ledger.take_marks()
        return list(self.ear.heard)

    def snapshot(self) -> bytes:
        """Return the whole state as a journal keeps it."""
        return msgspec.msgpack.encode(self.core.snapshot())

    def restore(self, snapshot: bytes) -> None:
        """Return to `snapshot`, taken of a rig made alike."""
        self.core.restore(msgspec.msgpack.decode(snapshot, type=CoreSnapshot))
        self.opens_ns = dict.fromkeys(self.opens_ns, self.now_ns)


def scripted(
    plan: dict[int, Act] | None = None,
    *,
    on_fill: Callable[[Any, Any], object] | None = None,
    on_order: Callable[[Any, Any], object] | None = None,
    on_timer: Callable[[Any, str], object] | None = None,
    every_bar: Callable[[Any, m.Bar], object] | None = None,
    timeframe: str | None = None,
) -> Strategy:
    """Return a strategy that acts on the bars named by their index, from 0, and on what it hears."""

    def on_start(self: Any) -> None:
        self.count = 0

    def on_bar(self: Any, bar: m.Bar, _: Any) -> None:
        index = self.count
        self.count += 1
        if every_bar is not None:
            every_bar(self, bar)
        if plan is not None and index in plan:
            plan[index](self)

    body: dict[str, Any] = {"on_start": on_start, "on_bar": on_bar, "timeframe": timeframe}
    for name, handler in (("on_fill", on_fill), ("on_order", on_order), ("on_timer", on_timer)):
        if handler is not None:
            body[name] = handler
    kind: type[Strategy] = type(Strategy)("Scripted", (Strategy,), body)
    return kind()


def of(kind: type[Any], messages: list[m.Message]) -> list[Any]:
    """Return the messages of one type."""
    return [message for message in messages if type(message) is kind]


@pytest.fixture
def rig() -> type[Rig]:
    return Rig


@pytest.fixture(name="scripted")
def scripted_fixture() -> Callable[..., Strategy]:
    return scripted


@pytest.fixture(name="of")
def of_fixture() -> Callable[[type[Any], list[m.Message]], list[Any]]:
    return of


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def said(context: Context) -> Callable[[], list[m.Message]]:
    """Return what an actor said through `context` since it was last asked."""

    def take() -> list[m.Message]:
        taken = list(context.outbox)
        context.outbox.clear()
        return taken

    return take


@pytest.fixture
def units() -> Instrument:
    """Return an instrument whose tick and lot are 1: numbers in tests are then prices and quantities."""
    return Instrument(InstrumentSpec(symbol="X", tick=Decimal(1), lot=Decimal(1)))


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of recorded market data, or skip the test."""
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("PITBOSS_SHARED_DATA", root / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded data at {folder} (set PITBOSS_SHARED_DATA)")
    return folder
