"""What changes under a session that trades: rules, a symbol that is gone, a fault of the core."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.journal import FILE_NAME, JournalReader
from replay.journal import decode_plan
from tests.chaos.venue_rounds import PATIENCE_S, PITBOSS, Round, eventually, http
from tests.chaos.venue_worlds import WORLDS

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
FAULTY = """
import sys
from actors.ledger import Ledger
booked, on_fill = [], Ledger.on_fill
def fail_at_the_third(self, fill):
    booked.append(fill)
    assert len(booked) < 3, "made up by a test"
    on_fill(self, fill)
Ledger.on_fill = fail_at_the_third
from daemon.cli import main
sys.argv[0] = "pitboss"
main()
"""


@pytest.fixture
def this(tmp_path: Path) -> Iterator[Round]:
    """An exchange and a daemon that trades on it, holds something and has orders at work."""
    this = Round(5, tmp_path, WORLDS["one symbol"])
    this.terms = ["exchange.rules_s=0.5"]
    this.start_exchange()
    this.before = this.world.wallet(http(f"{this.admin}/control/book"))
    try:
        yield this
    finally:
        this.close()


def trade_for_a_while(this: Round) -> None:
    this.bring_up_daemon("the daemon is ready to trade")
    eventually(lambda: this.status()["positions"] and this.status()["orders"], "it holds something, and orders work")


def change(this: Round, **terms: Any) -> None:
    http(f"{this.admin}/control/market", {"symbol": SYMBOL, **terms})


def halted(this: Round, words: str) -> None:
    eventually(lambda: this.status()["state"] == "halted" and words in this.status()["reason"], f"halted: {words}")


def working(this: Round) -> list[Any]:
    rows = http(f"{this.admin}/control/book")["orders"]
    return [row for row in rows if row["symbol"] == SYMBOL and row["status"] in ("NEW", "PARTIALLY_FILLED")]


def finish(this: Round) -> None:
    """Flatten, end, and compare."""
    this._heal()
    assert this._compare() == [], (this.folder / "daemon.log").read_text()[-3_000:]


def sessions(this: Round) -> list[tuple[str, Decimal | None]]:
    reader = JournalReader(this.daemon_dir / FILE_NAME)
    try:
        return [(row.status, decode_plan(row.plan).instruments[0].step) for row in reader.sessions()]
    finally:
        reader.close()


def test_a_step_that_changes_halts_by_name_and_the_next_session_goes_on_by_it(this: Round) -> None:
    trade_for_a_while(this)
    change(this, lot="0.0001")
    halted(this, "the venue changed its quantity step from 0.00001 to 0.0001; stop this session and start again")
    eventually(lambda: not working(this), "what worked is withdrawn")
    held = [row["quantity"] for row in this.status()["positions"]]
    this.kill("daemon")
    this.bring_up_daemon("it goes on with the session, halted")
    halted(this, "quantity step")
    this.command("stop")
    assert this.daemon is not None
    assert this.daemon.wait(PATIENCE_S) == 0
    this.bring_up_daemon("the next session is ready")
    assert [row["quantity"] for row in this.status()["positions"]] == held
    assert this.status()["state"] == "running"
    assert sessions(this) == [("sealed", Decimal("0.00001")), ("open", Decimal("0.0001"))]
    finish(this)


def test_a_symbol_that_is_not_traded_for_a_while_halts_by_name_and_is_come_back_to(this: Round) -> None:
    trade_for_a_while(this)
    change(this, trading=False)
    halted(this, "the venue does not trade it any more")
    assert this.status()["positions"]
    this.kill("daemon")
    this.bring_up_daemon("it goes on with the session, though nothing is traded")
    halted(this, "the venue does not trade it any more")
    change(this, trading=True)
    executions = len(http(f"{this.admin}/control/book")["fills"])

    def trades_again() -> bool:
        this.command("resume")
        return len(http(f"{this.admin}/control/book")["fills"]) > executions

    eventually(trades_again, "it trades again")
    assert len(sessions(this)) == 1
    finish(this)


def test_a_minimum_notional_that_changes_stops_nothing(this: Round) -> None:
    trade_for_a_while(this)
    change(this, min_notional="6")
    executions = len(http(f"{this.admin}/control/book")["fills"])
    eventually(lambda: "rules_changed" in (this.folder / "daemon.log").read_text(), "it is told")
    eventually(lambda: len(http(f"{this.admin}/control/book")["fills"]) > executions + 1, "it goes on trading")
    assert this.daemon is not None
    this.daemon.send_signal(signal.SIGTERM)
    assert this.daemon.wait(PATIENCE_S) == 0
    this.bring_up_daemon("the same session goes on")
    assert this.status()["state"] == "running"
    assert len(sessions(this)) == 1
    finish(this)


def test_a_fault_of_the_core_ends_it_and_leaves_its_orders_to_the_next_start(this: Round) -> None:
    this.program = (sys.executable, "-c", FAULTY)
    this.start_daemon()
    assert this.daemon is not None
    assert this.daemon.wait(PATIENCE_S) == 1
    assert "core_fault" in (this.folder / "daemon.log").read_text()
    left = {row["client_order_id"] for row in working(this)}
    this.program = PITBOSS
    this.bring_up_daemon("the next start finds out what became of everything")
    known = {row["order_id"] for row in this.status()["orders"]}
    assert left <= known | {row["client_order_id"] for row in http(f"{this.admin}/control/book")["orders"]}
    assert len(sessions(this)) == 1
    finish(this)
