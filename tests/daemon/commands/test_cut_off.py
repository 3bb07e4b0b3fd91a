"""Real trading that is cut off by a kill, of `pitboss panic` or of the daemon whose orders a dead man's switch guards.

Daemon and panic are processes; both families of markets; at the end both books are held against each other.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors import messages as m
from actors.runtime.journal import FILE_NAME, JournalReader, decode_effects
from tests.chaos.venue_books import PANIC_MARK, Books
from tests.chaos.venue_worlds import Perpetual, World

if TYPE_CHECKING:
    from tests.daemon.commands.conftest import Loopback
    from tests.daemon.conftest import Daemon, Nursery, Run

pytestmark = pytest.mark.slow

SPOT, CONTRACT = "BTC/USDT", "BTC/USDT:USDT"
REAL = (
    *("--mode", "real", "--set", "live.armed=true", "--set", "risk.max_daily_loss=5000"),
    *("--set", "risk.max_notional=90000", "--set", "risk.max_orders_per_minute=600"),
    *("--set", "exchange.streams=['bars', 'trades']"),
)
TERMS = {
    SPOT: (),
    CONTRACT: ("--set", "exchange.id=binanceusdm", "--set", "exchange.leverage=20"),
}
API = {SPOT: "/api/v3/order", CONTRACT: "/fapi/v1/order"}


class Account:
    """Our account on an exchange, and the daemons and panics on it."""

    def __init__(self, loopback: Loopback, start: Nursery, state: Path, symbol: str) -> None:
        self.loopback = loopback
        self.state = state
        self.symbol = symbol
        self._start = start
        self._world = World(symbol, {}) if symbol == SPOT else Perpetual(symbol, {})
        self._before = self._world.wallet(loopback.book())

    def daemon(self, *terms: str) -> Daemon:
        """Start a daemon and wait until the venue and it agree."""
        where = ("--set", f"exchange.symbols=['{self.symbol}']", *TERMS[self.symbol], *self.loopback.settings)
        started: dict[str, Any] = {
            "state_dir": self.state,
            "tape": (),
            "strategy": self._start.keeper,
            "speed": None,
            "ready": False,
        }
        daemon = self._start(*REAL, *where, *terms, **started).wait_ready()
        daemon.wait_for(lambda status: status["venue"]["ready"], "it agrees with the venue")
        return daemon

    def trading(self, *terms: str) -> Daemon:
        """Start a daemon, and have it hold something and an order of its rest."""
        daemon = self.daemon(*terms)

        def trades(status: Any) -> bool:
            if not status["orders"]:
                self.loopback.trade("100.00", symbol=self.symbol)
            return bool(status["positions"]) and bool(self.orders("NEW"))

        daemon.wait_for(trades, "it holds something, and an order rests")
        return daemon

    def orders(self, *statuses: str) -> list[Any]:
        """Return the orders in such a state."""
        return [row for row in self.loopback.book()["orders"] if row["status"] in statuses]

    def panics(self) -> list[Any]:
        """Return the orders that panic sent."""
        return [row for row in self.loopback.book()["orders"] if PANIC_MARK in row["client_order_id"]]

    def kill_panic(self, held_back: str, when: Callable[[], Any]) -> None:
        """Start `pitboss panic`, never let it have the replies of a kind, and kill it once something is so."""
        self.loopback.fault("reply_delayed", seconds=5, on=f"{held_back} {API[self.symbol]}")
        command = ("panic", "--state-dir", str(self.state), "--yes", "--json")
        process = subprocess.Popen([sys.executable, "-m", "daemon.cli", *command], stdout=subprocess.PIPE)
        try:
            self._start.eventually(when, "panic came this far")
            assert process.poll() is None
        finally:
            process.kill()
            said, _ = process.communicate()
        assert said == b""
        self.loopback.fault("reply_delayed", 0.0)

    def differences(self) -> list[str]:
        """Return in words what differs between the exchange's book and the journal."""
        return self._world.differences(Books(self.state / FILE_NAME), self.loopback.book(), self._before)


def decided(state: Path, kind: type[Any]) -> list[Any]:
    """Return every decision of a kind."""
    reader = JournalReader(state / FILE_NAME)
    try:
        return [
            decision
            for session in reader.sessions()
            for record in reader.records(session.number)
            for decision in (decode_effects(record.effects) if record.effects else ())
            if isinstance(decision, kind)
        ]
    finally:
        reader.close()


@pytest.fixture
def account(loopback: Loopback, start: Nursery, tmp_path: Path, request: pytest.FixtureRequest) -> Account:
    """Return an account in a market that stands still unless somebody trades."""
    return Account(loopback, start, tmp_path / "state", request.param)


@pytest.fixture
def panic(account: Account, invoke: Callable[..., Run]) -> Callable[..., Run]:
    """Return a run of `pitboss panic` that nothing cuts off."""
    return lambda *more: invoke("panic", "--state-dir", str(account.state), "--yes", "--json", *more)


@pytest.mark.parametrize("account", [SPOT], indirect=True)
def test_a_panic_that_was_killed_half_way_is_finished_by_the_next(account: Account, panic: Callable[..., Run]) -> None:
    daemon = account.trading()
    refused = panic()
    assert f"in use by another daemon (process {daemon.pid}); it would trade on" in refused.refusal
    assert account.orders("NEW")
    daemon.kill()

    account.kill_panic("DELETE", lambda: not account.orders("NEW"))
    assert account.panics() == []
    account.loopback.fault("partial_fill", times=1)
    account.kill_panic("POST", account.panics)
    assert [row["status"] for row in account.panics()] == ["PARTIALLY_FILLED"]
    run = panic()

    assert (run.code, run.json["flat"], run.json["left"]) == (0, True, []), run
    assert [deed["action"] for deed in run.json["deeds"]] == ["cancel", "sell"]
    assert "books these trades when it next looks, and is halted until it is resumed" in run.json["notes"][0]
    again = panic()
    assert (again.code, again.json["deeds"], len(account.panics())) == (0, [], 2)
    assert 1 <= account.loopback.total("BTC") < 1.00001, "the coin that was there before stays"

    daemon = account.daemon()
    halted = daemon.wait_for(lambda status: "the books have followed" in status["reason"], "it has heard of panic")
    assert (halted["state"], halted["positions"], halted["orders"]) == ("halted", [], [])
    finish(account, daemon)
    adopted = [(each.order_id, each.quantity_lots) for each in decided(account.state, m.Adopted)]
    assert adopted == [(row["client_order_id"], int(Decimal(row["filled"]) * 10**8)) for row in account.panics()]


@pytest.mark.parametrize("account", [CONTRACT], indirect=True)
def test_a_daemon_after_half_a_panic_tells_what_that_left_open_and_follows_the_next(
    account: Account, panic: Callable[..., Run]
) -> None:
    account.trading().kill()
    account.loopback.fault("partial_fill", times=1)
    account.kill_panic("POST", account.panics)

    daemon = account.daemon()
    halted = daemon.wait_for(lambda status: "the books have followed" in status["reason"], "it has heard of panic")
    assert [row["quantity"] for row in halted["positions"]] == [0.25]
    (left,) = account.panics()
    words = f"{CONTRACT}: {left['order_id']} is open and not ours"
    assert halted["venue"]["reconciled"]["differences"] == [words]
    run = panic("--force")

    assert (run.code, [deed["action"] for deed in run.json["deeds"]]) == (0, ["cancel", "sell"]), run
    assert all(Decimal(row["amount"]) == 0 for row in account.loopback.book()["positions"])
    daemon.wait_for(lambda status: not status["positions"], "its books have followed")
    finish(account, daemon)
    assert [each.quantity_lots for each in decided(account.state, m.Adopted)] == [250, 250]


@pytest.mark.parametrize("account", [CONTRACT], indirect=True)
def test_what_rests_for_a_killed_daemon_is_withdrawn_by_the_venue_and_the_next_start_knows(account: Account) -> None:
    guarded = ("--set", "live.dead_man_s=5")
    daemon = account.trading(*guarded)
    (resting,) = account.orders("NEW")
    daemon.kill()
    killed_ms = time.time_ns() // 1_000_000
    daemon.eventually(lambda: not account.orders("NEW"), "the countdown ends", within_s=15)

    again = account.daemon(*guarded)

    status = again.wait_for(lambda status: not status["orders"], "it has heard of the order's end")
    assert [row["quantity"] for row in status["positions"]] == [0.5]
    (held,) = status["margin"]["positions"]
    (there,) = [row for row in account.loopback.book()["positions"] if Decimal(row["amount"])]
    assert (held["symbol"], held["quantity"], held["leverage"]) == (CONTRACT, 0.5, 20)
    assert held["initial_margin"] == pytest.approx(0.5 * held["mark_price"] / 20)
    assert (held["liquidation_price"], held["liquidation_distance"]) == (None, None), "the wallet outweighs it"
    assert held["entry_price"] * 0.5 == pytest.approx(float(there["cost"]))
    (ended,) = account.orders("CANCELED")
    assert ended["client_order_id"] == resting["client_order_id"]
    assert 2_000 < ended["updated_ms"] - killed_ms <= 5_500, "the switch was wound up within the last third"
    assert [each.order_id for each in decided(account.state, m.Cancelled)] == [resting["client_order_id"]]
    again.command("flatten")
    again.wait_for(lambda status: not status["positions"], "it closes what was left without its order")
    finish(account, again)


def finish(account: Account, daemon: Daemon) -> None:
    """Have it trade on, end it, and compare the books."""
    daemon.command("resume")
    status = daemon.wait_for(lambda status: status["state"] == "running", "it goes on")
    assert status["venue"]["in_doubt"] == {}
    assert daemon.end() == 0
    assert account.differences() == []
    replayed = daemon.replayed()
    assert (replayed.equal, replayed.runs) == (True, 2)
