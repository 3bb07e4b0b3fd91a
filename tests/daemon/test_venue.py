"""What real orders need before they may leave, when they leave, and what the clock of a live feed does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from actors import messages as m
from actors.instrument import InstrumentSpec
from actors.runtime.clock import LiveClock, VenueClock
from actors.runtime.journal import CHAIN_GENESIS, FILE_NAME, Record
from actors.system import Core
from config.errors import UserError
from config.load import load_settings
from config.schema import Settings
from daemon.edges.journal import open_journal
from daemon.edges.outbox import Outbox
from daemon.live import LiveDriver
from daemon.recovery import close_run, draw_nonce, open_session
from daemon.venue import EFFECTS, check_real, venue_markets
from replay.plan import SIMULATED_NONCE, SessionPlan, build_core, difference, plan_session, start_core

MINUTE = 60_000_000_000
SPEC = InstrumentSpec(
    symbol="BTC/USDT",
    tick=Decimal("0.01"),
    lot=Decimal("1e-8"),
    step=Decimal("1e-5"),
    base="BTC",
    quote="USDT",
    long_only=True,
)
BUYER = '''
from pitboss import Strategy


class Buyer(Strategy):
    """Rests one bid below the market on its first bar."""

    def on_start(self):
        self.done = False

    def on_bar(self, bar, f):
        if not self.done:
            self.buy(0.01, limit=bar.close - 1)
            self.done = True


class Waits(Strategy):
    """Trades a timer after its first bar."""

    def on_bar(self, bar, f):
        self.set_timer("later", 0.05)

    def on_timer(self, name):
        self.buy(0.01)
'''
ALLOWED = (
    "feed.source=exchange",
    "live.armed=true",
    "risk.max_daily_loss=100",
    "risk.max_notional=5000",
    "risk.max_orders_per_minute=10",
)


class Disk:
    """Fits what the driver needs of a `JournalWriter`: durable when a test says so."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.failure: str | None = None
        self.full = False
        self.on_durable: Callable[[int], None] = lambda _: None

    def append(self, record: Record, marks: Iterable[tuple[int, int]], _: Iterable[object] = ()) -> None:
        self.records.append(record)
        list(marks)

    def append_snapshot(self, *_: Any) -> None:
        pass

    def trouble(self) -> None:
        return None

    async def durable(self, _: int) -> None:
        self.commit()

    def commit(self) -> None:
        self.on_durable(len(self.records))


class Real:
    """A driver of a real session; `left` is what the gateway was given."""

    def __init__(self, folder: Path, clock: Any, strategy: str = "Buyer", *overrides: str) -> None:
        path = folder / "buyer.py"
        path.write_text(BUYER)
        self.settings = load_settings(None, [*ALLOWED, f"strategies=[{{use='{path}:{strategy}'}}]", *overrides], {})
        markets = venue_markets(self.settings, {"BTC/USDT": SPEC}, 0)
        self.left: list[m.Message] = []
        self.outbox = Outbox("gateway", EFFECTS, lambda _, message: self.left.append(message))
        plan = plan_session(self.settings, markets, real=True, nonce="abc")
        self.core: Core = build_core(plan, self.outbox.observers())
        start_core(self.core)
        self.outbox.attach(self.core)
        self.disk = Disk()
        self.driver = LiveDriver(
            self.core,
            self.disk,  # type: ignore[arg-type]
            clock,
            self.settings,
            run=1,
            chain=CHAIN_GENESIS,
        )
        self.driver.on_durable = self.outbox.release

    async def connect(self) -> None:
        await self.driver.post(m.VenueLink(up=True))
        balances = (m.BalanceReported("BTC", 0), m.BalanceReported("USDT", 10**13))
        await self.driver.post(m.AccountReported("start", (), (), (), balances, (), 1))
        await anyio.wait_all_tasks_blocked()

    async def bar(self, index: int) -> None:
        close_ns = (index + 1) * MINUTE
        bar = m.Bar("BTC/USDT", MINUTE, close_ns - MINUTE, close_ns, 100.0, 100.0, 100.0, 100.0, 1.0)
        await self.driver.post(bar)
        await anyio.wait_all_tasks_blocked()

    async def during(self, play: Callable[[], Any]) -> None:
        """Run the driver while `play` plays."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.driver.run)
            await anyio.wait_all_tasks_blocked()
            await play()
            group.cancel_scope.cancel()


# --- before anything leaves -------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ALLOWED)
def test_real_orders_are_refused_unless_everything_is_allowed_and_bounded(missing: str) -> None:
    check_real(load_settings(None, ALLOWED, {}))
    rest = [value for value in ALLOWED if value != missing]
    with pytest.raises(UserError, match=missing.partition("=")[0].replace(".", r"\.")):
        check_real(load_settings(None, rest, {}))


def test_real_contracts_need_the_leverage_of_the_account() -> None:
    contracts = [*ALLOWED, "exchange.symbols=['BTC/USDT:USDT']"]
    with pytest.raises(UserError, match=r"exchange\.leverage"):
        check_real(load_settings(None, contracts, {}))
    check_real(load_settings(None, [*contracts, "exchange.leverage=5"], {}))


def test_a_session_is_of_its_exchange_symbols_and_timeframe() -> None:
    def fingerprint(*overrides: str) -> str:
        settings: Settings = load_settings(None, overrides, {})
        return venue_markets(settings, dict.fromkeys(settings.exchange.symbols, SPEC), 90_000_000_000).fingerprint

    prints = {
        fingerprint(),
        fingerprint("exchange.id=kraken"),
        fingerprint("exchange.timeframe=5m"),
        fingerprint("exchange.symbols=['BTC/USDT', 'ETH/USDT']"),
    }
    assert len(prints) == 4
    assert fingerprint() == fingerprint("exchange.stall_s=5")


def test_paper_is_not_continued_for_real_nor_by_other_rules() -> None:
    settings = load_settings(None, ALLOWED, {})
    markets = venue_markets(settings, {"BTC/USDT": SPEC}, 0)
    kept = plan_session(settings, markets, real=True)
    paper = plan_session(settings, markets)
    assert difference(kept, kept) is None
    assert "paper was asked for" in str(difference(kept, plan_session(settings, markets)))
    coarser = InstrumentSpec(
        symbol="BTC/USDT", tick=Decimal("0.1"), lot=SPEC.lot, step=SPEC.step, base="BTC", quote="USDT"
    )
    now = venue_markets(settings, {"BTC/USDT": coarser}, 0)
    assert "tick 0.01 then, 0.1 now" in str(difference(paper, plan_session(settings, now)))


def test_paper_matches_on_trades_where_they_are_streamed_and_is_not_continued_without_them() -> None:
    bars = load_settings(None, ALLOWED, {})
    trades = load_settings(None, [*ALLOWED, "exchange.streams=['bars', 'trades', 'quotes']"], {})
    quotes = load_settings(None, [*ALLOWED, "exchange.streams=['bars', 'quotes']"], {})
    on_bars, on_ticks, on_quotes = (
        plan_session(settings, venue_markets(settings, {"BTC/USDT": SPEC}, 0)) for settings in (bars, trades, quotes)
    )
    assert [each.series[0].ticks for each in (on_bars, on_ticks, on_quotes)] == [False, True, False]
    assert difference(on_bars, on_ticks) is None, "it goes on as it began"
    assert "the feed now has none" in str(difference(on_ticks, on_bars))
    real = msgspec.structs.replace(on_ticks, real=True)
    assert difference(real, msgspec.structs.replace(on_bars, real=True)) is None


def test_a_real_session_goes_on_by_its_own_rules_in_the_same_market_only() -> None:
    """The venue's new rules are told to it, as an input."""
    settings = load_settings(None, ALLOWED, {})

    def plan(**terms: Any) -> SessionPlan:
        spec = msgspec.structs.replace(SPEC, **terms)
        return plan_session(settings, venue_markets(settings, {"BTC/USDT": spec}, 0), real=True)

    changed = plan(tick=Decimal("0.1"), step=Decimal("0.001"), min_notional=Decimal(99))
    assert difference(plan(), changed) is None
    assert "long_only True then, False now" in str(difference(plan(), plan(long_only=False)))
    assert "quote USDT then, USDC now" in str(difference(plan(), plan(quote="USDC")))


@pytest.mark.parametrize("real", [False, True])
async def test_paper_money_does_not_become_real(tmp_path: Path, real: bool) -> None:
    settings = load_settings(None, [*ALLOWED, "account.cash=500"], {})
    path = tmp_path / FILE_NAME
    markets = venue_markets(settings, {"BTC/USDT": SPEC}, 0)
    db = await open_journal(path, settings.journal)
    try:
        paper = await open_session(db, path, settings, markets, "feed", new_session=False)
        paper.core.ledger.cash_atoms = 777 * 10**8
        await close_run(db, paper, outcome="ended", seal=True)
        opened = await open_session(db, path, settings, markets, "feed", new_session=False, real=real)
        assert opened.plan.account.cash_atoms == (500 if real else 777) * 10**8
        assert opened.plan.real is real
        assert (opened.plan.nonce == SIMULATED_NONCE) is not real
    finally:
        await db.close()


def test_no_two_sessions_draw_one_nonce() -> None:
    drawn = {draw_nonce() for _ in range(1_000)}
    assert len(drawn) == 1_000
    assert {len(nonce) for nonce in drawn} == {7}


# --- when it leaves ---------------------------------------------------------------------------------


async def test_an_order_leaves_only_once_its_input_is_durable(tmp_path: Path) -> None:
    real = Real(tmp_path, VenueClock())

    async def play() -> None:
        await real.connect()
        real.disk.commit()
        assert [type(effect) for effect in real.left] == [m.AskAccount]
        await real.bar(0)
        assert len(real.left) == 1, "decided, and not yet durable"
        real.disk.commit()
        (_, order) = real.left
        assert isinstance(order, m.SendOrder)
        assert order.order_id == "pbabc1"

    await real.during(play)


async def test_a_stop_waits_until_the_venue_has_withdrawn_what_is_open(tmp_path: Path) -> None:
    real = Real(tmp_path, VenueClock())

    async def play() -> None:
        await real.connect()
        await real.bar(0)
        await real.driver.post(m.OrderReported("pbabc1", "1", "open", 0))
        await real.driver.post(m.Stop("c1"))
        await anyio.wait_all_tasks_blocked()
        assert isinstance(real.disk.records[-1], Record)
        real.disk.commit()
        assert isinstance(real.left[-1], m.SendCancel)
        assert not real.driver.finished.is_set()
        await real.driver.post(m.OrderReported("pbabc1", "1", "cancelled", 0))
        with anyio.fail_after(60):
            await real.driver.finished.wait()

    await real.during(play)


async def test_a_stop_that_the_venue_never_confirms_ends_the_run_and_seals_nothing(tmp_path: Path) -> None:
    real = Real(tmp_path, VenueClock(), "Buyer", "exchange.recv_window_ms=100", "exchange.timeout_ms=100")

    async def play() -> None:
        await real.connect()
        await real.bar(0)
        await real.driver.post(m.Stop("c1"))

    async with anyio.create_task_group() as group:
        group.start_soon(play)
        with anyio.fail_after(60):
            await real.driver.run()
    assert list(real.core.execution.orders) == ["pbabc1"]
    assert not real.driver.finished.is_set()


async def test_by_the_wall_a_timer_fires_though_nothing_arrives(tmp_path: Path) -> None:
    real = Real(tmp_path, LiveClock(time.time_ns), "Waits")

    async def play() -> None:
        await real.connect()
        await real.bar(time.time_ns() // MINUTE - 1)
        with anyio.fail_after(60):
            while not real.core.execution.orders:  # noqa: ASYNC110 - the wall is what is tested
                await anyio.sleep(0.01)
        assert list(real.core.execution.orders) == ["pbabc1"]

    await real.during(play)


def test_what_was_said_while_a_core_was_recovered_does_not_leave_again(tmp_path: Path) -> None:
    real = Real(tmp_path, VenueClock())
    fresh = Outbox("gateway", EFFECTS, lambda _, message: real.left.append(message))
    fresh.on_message(m.SendCancel("pbabc1", "BTC/USDT"))
    fresh.attach(real.core)
    fresh.release(10**9)
    assert real.left == []


def test_the_venues_clock_takes_the_newest_time_and_never_goes_back() -> None:
    clock = VenueClock(5)
    assert [clock.stamp(given) for given in (None, 9, 7, None)] == [5, 9, 9, 9]
