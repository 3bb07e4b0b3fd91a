"""`pitboss panic` on the loopback exchange: what is ours goes, what is not stays, and 0 means that nothing is left."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.messages import AccountReported, TradeReported
from actors.runtime.journal import FILE_NAME
from daemon.panic import read_books
from tests.daemon.commands.journals import SPEC, write_journal

if TYPE_CHECKING:
    from tests.daemon.commands.conftest import Loopback
    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

QUICK = ("--set", "exchange.recv_window_ms=500", "--set", "exchange.timeout_ms=1000")
Panic = Callable[..., "Run"]


def told(fill: dict[str, Any]) -> TradeReported:
    """Return a fill of the exchange's book as the gateway tells it."""
    return TradeReported(
        fill["client_order_id"],
        fill["symbol"],
        fill["trade_id"],
        1 if fill["side"] == "BUY" else -1,
        int(Decimal(fill["price"]) / SPEC.tick),
        int(Decimal(fill["quantity"]) / SPEC.lot),
        fill["commission_asset"],
        int(Decimal(fill["commission"]) * 10**8),
        "taker",
        fill["time_ms"] * 1_000_000,
    )


def compared(*trades: TradeReported) -> AccountReported:
    return AccountReported("period", (), (), trades, (), ())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def panic(invoke: Panic, state: Path) -> Panic:
    """Return a run of `pitboss panic --yes --json` on the state directory of this test."""

    def run(*arguments: str) -> Run:
        return invoke("panic", "--state-dir", str(state), "--yes", "--json", *arguments)

    return run


def actions(run: Run) -> list[str]:
    return [deed["action"] for deed in run.json["deeds"]]


# --- beside a daemon --------------------------------------------------------------------------------


def test_with_force_it_flattens_beside_a_daemon(loopback: Loopback, start: Nursery, panic: Panic, state: Path) -> None:
    """What a kill leaves of a daemon's own journal, and of panic, is told in `test_cut_off`."""
    daemon = start(state_dir=state)
    loopback.order("pb0000000a", "buy", "0.1", "50")

    run = panic("--force", *loopback.settings)

    assert daemon.process.poll() is None
    assert loopback.statuses() == {"pb0000000a": "CANCELED"}
    assert (run.code, run.json["flat"]) == (1, False), "a journal of paper says nothing about positions"


def test_what_the_journal_leaves_out_of_the_way_to_the_venue_is_asked_for(panic: Panic, state: Path) -> None:
    """A journal holds no secrets; those of older versions did, and speak of the same venue."""
    way = 'exchange.options={broker = {sessionToken = "a-secret-of-the-venue"}}'
    file = state / "ccxt.json"
    write_journal(state, (file, True, ()), (file, True, ()), further=[way])
    with closing(sqlite3.connect(state / FILE_NAME)) as db, db:
        (plan,) = db.execute("SELECT plan FROM sessions WHERE number = 1").fetchone()
        assert plan.count(b"[redacted]") == 1
        whole = plan.replace(b"[redacted]", b"a-secret-of-the-venue").replace(b"BTC/USDT", b"ETH/USDT")
        db.execute("UPDATE sessions SET plan = ? WHERE number = 1", (whole,))

    assert panic().refusal == (
        "exchange.options.broker.sessionToken is a secret, which the journal leaves out: give the daemon's own --config"
    )
    assert "a-secret" not in panic("--set", way).refusal
    books = read_books(state / FILE_NAME)
    assert books is not None
    assert books.symbols == ["BTC/USDT", "ETH/USDT"]


# --- what is ours -----------------------------------------------------------------------------------


def test_only_what_is_ours_goes(loopback: Loopback, panic: Panic, state: Path) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.order("pb0000000b", "buy", "0.1", "50")
    loopback.order("stranger-1", "buy", "0.3")
    loopback.order("stranger-2", "buy", "0.1", "50")

    run = panic()

    assert (run.code, actions(run)) == (0, ["cancel", "sell"])
    statuses = loopback.statuses()
    assert (statuses["pb0000000b"], statuses["stranger-2"]) == ("CANCELED", "NEW")
    assert loopback.total("BTC") == pytest.approx(1 + 0.3 * 0.999, abs=1e-9), "0.4995 of ours is gone, a fee being kept"


def test_with_all_everything_goes(loopback: Loopback, panic: Panic, state: Path) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.order("stranger-2", "sell", "0.1", "200")

    run = panic("--all")

    assert run.code == 0, run
    assert loopback.statuses()["stranger-2"] == "CANCELED"
    assert loopback.total("BTC") < 0.00001


def test_executions_the_journal_knows_and_those_it_does_not_count_once_each(
    loopback: Loopback, panic: Panic, state: Path
) -> None:
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.order("pb0000000b", "sell", "0.2")
    loopback.order("pb0000000c", "buy", "0.1")
    first, second, third = (told(fill) for fill in loopback.book()["fills"])
    loopback.order("pb0000000d", "buy", "0.4", "90")
    write_journal(
        state, (loopback.file, True, (first, compared(first), second, compared(second), compared(), third, first))
    )
    loopback.trade("89.00")

    run = panic()

    assert run.code == 0, run
    (sale,) = run.json["deeds"]
    assert sale["what"] == "0.799", "0.4995 - 0.2 + 0.0999 + 0.3996"
    assert 1 <= loopback.total("BTC") < 1.00001


def test_an_execution_that_a_push_overtook_is_not_forgotten(loopback: Loopback, panic: Panic, state: Path) -> None:
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.order("pb0000000b", "buy", "0.2")
    _, second = (told(fill) for fill in loopback.book()["fills"])
    write_journal(state, (loopback.file, True, (compared(), second, compared())))

    run = panic()

    assert [deed["what"] for deed in run.json["deeds"]] == ["0.6993"]


def test_a_session_on_paper_and_one_at_another_venue_count_for_nothing(tmp_path: Path, state: Path) -> None:
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    bought = TradeReported("pb1", "BTC/USDT", 5, 1, 10_000, 10**8, "USDT", 0, "taker", 0)
    more = TradeReported("pb2", "BTC/USDT", 6, 1, 10_000, 10**7, "BTC", 10**4, "taker", 0)
    write_journal(
        state,
        (there, True, (bought,)),
        (here, True, (more, compared(more), compared(), bought)),
        (here, False, (bought,)),
    )

    books = read_books(state / FILE_NAME)

    assert books is not None
    assert (books.session, books.exchange.file) == ("session-2", str(here))
    assert books.held == {"BTC/USDT": Decimal("1.0999")}
    assert books.complete_to == {"BTC/USDT": 6}


def test_without_a_journal_only_orders_can_be_told_to_be_ours(loopback: Loopback, panic: Panic, state: Path) -> None:
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.order("pb0000000b", "buy", "0.1", "50")

    run = panic(*loopback.settings)

    assert (run.code, run.json["flat"], actions(run)) == (1, False, ["cancel"])
    assert "knows of no real trading" in run.json["notes"][0]
    assert not state.exists(), "nothing is left behind"

    assert panic("--all", *loopback.settings).code == 0
    assert loopback.total("BTC") < 0.00001


def test_a_damaged_journal_does_not_keep_orders_from_being_cancelled(
    loopback: Loopback, panic: Panic, state: Path
) -> None:
    write_journal(state, (loopback.file, True, (compared(), compared())))
    with closing(sqlite3.connect(state / FILE_NAME)) as db, db:
        db.execute("DELETE FROM inputs WHERE seq = 1")
    loopback.order("pb0000000b", "buy", "0.1", "50")

    run = panic(*loopback.settings)

    assert (run.code, actions(run)) == (1, ["cancel"])
    assert "corrupt at input 1" in run.json["notes"][0]


def test_what_is_too_little_to_trade_stays_and_is_told(loopback: Loopback, panic: Panic, state: Path) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.06")
    loopback.order("pb0000000b", "sell", "0.05")

    run = panic()

    assert (run.code, run.json["deeds"]) == (0, [])
    assert run.json["notes"] == ["BTC/USDT: 0.00994 BTC stay: less than the venue trades"]


def test_what_a_strangers_order_has_locked_is_left_and_is_no_success(
    loopback: Loopback, panic: Panic, state: Path
) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.order("stranger-1", "sell", "1.4", "200")

    run = panic()

    assert run.code == 1
    assert loopback.statuses()["stranger-1"] == "NEW"
    assert loopback.total("BTC") == pytest.approx(1.4, abs=1e-5), "the part that was free is sold"
    assert any("--all" in deed["outcome"] for deed in run.json["deeds"])
    assert run.json["left"] == ["BTC/USDT: position of 0.4 BTC"]
    assert panic("--all").code == 0


def test_what_somebody_has_sold_already_is_not_sold_again(loopback: Loopback, panic: Panic, state: Path) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.order("stranger-1", "sell", "1.4995")

    run = panic()

    assert (run.code, run.json["deeds"]) == (0, [])
    assert "the account holds 0" in run.json["notes"][0]


def test_what_a_dead_daemon_had_sent_may_still_arrive_and_is_waited_for(
    loopback: Loopback, panic: Panic, state: Path
) -> None:
    """Sold before, coins would be sold twice, the second time a stranger's; bought after, nobody would sell them.

    It is not waited for longer than that where the clock was put back by an hour since the daemon died.
    """
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.order("pb0000000b", "buy", "0.1", "50")
    late = threading.Thread(target=arrive_once, args=(loopback, "pb0000000b"))
    late.start()
    write_journal(state, (loopback.file, True, ()), age_s=-3_600.0)

    run = panic(*loopback.settings, "--set", "exchange.recv_window_ms=4500", *QUICK[2:])
    late.join()

    assert run.code == 0, run
    assert actions(run) == ["cancel", "cancel", "sell"]
    assert loopback.statuses()["pb0000000d"] == "CANCELED"
    assert loopback.total("BTC") == pytest.approx(1, abs=1e-5), "what was ours is gone, once"


def arrive_once(loopback: Loopback, cancelled: str) -> None:
    """Let a sale and an entry arrive when panic has begun, which shows by what it cancels."""
    deadline_s = time.monotonic() + 30
    while loopback.statuses()[cancelled] != "CANCELED" and time.monotonic() < deadline_s:
        time.sleep(0.05)
    loopback.order("pb0000000c", "sell", "0.2")
    loopback.order("pb0000000d", "buy", "0.1", "50")


# --- a venue that misbehaves ------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["reply_lost", "reply_empty", "reply_broken", "status_unknown", "request_lost"])
def test_a_sale_whose_reply_is_lost_is_asked_for_and_done_once(
    fault: str, loopback: Loopback, panic: Panic, state: Path
) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.fault(fault, times=1, on="POST /api/v3/order")

    run = panic(*loopback.settings, *QUICK)

    assert run.code == 0, run
    sold = [row for row in loopback.book()["orders"] if row["client_order_id"].startswith("pb0000000-")]
    assert [(row["side"], row["status"], Decimal(row["filled"])) for row in sold] == [
        ("SELL", "FILLED", Decimal("0.4995"))
    ]
    assert not any("refused" in deed["outcome"] for deed in run.json["deeds"])


def test_a_sale_that_fills_in_part_is_withdrawn_and_the_rest_sold_anew(
    loopback: Loopback, panic: Panic, state: Path
) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.fault("partial_fill", times=1)

    run = panic()

    assert (run.code, actions(run)) == (0, ["sell", "cancel", "sell"])
    assert 1 <= loopback.total("BTC") < 1.00001


def test_a_venue_that_wants_to_be_left_alone_is_asked_again(loopback: Loopback, panic: Panic, state: Path) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.order("pb0000000b", "buy", "0.1", "50")
    loopback.fault("maintenance", times=2)
    loopback.fault("rate_limit_storm", times=1, seconds=0.1, on="DELETE /api/v3/order")

    run = panic()

    assert run.code == 0, run
    assert loopback.statuses()["pb0000000b"] == "CANCELED"
    assert 1 <= loopback.total("BTC") < 1.00001


def test_a_sale_the_venue_refuses_is_no_success(loopback: Loopback, panic: Panic, state: Path) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.5")
    loopback.fault("order_rejected")

    run = panic()

    assert run.code == 1
    assert run.json["left"] == ["BTC/USDT: position of 0.4995 BTC"]
    assert all("refused" in deed["outcome"] for deed in run.json["deeds"])


def test_a_key_the_venue_refuses_is_told_in_one_line(loopback: Loopback, panic: Panic, state: Path) -> None:
    arguments = json.loads(loopback.file.read_text())
    arguments["binance"]["apiKey"] = "wrong" * 12
    loopback.file.write_text(json.dumps(arguments))

    assert "binance: AuthenticationError" in panic(*loopback.settings).refusal


def test_a_symbol_the_venue_no_longer_has_does_not_keep_the_others(
    loopback: Loopback, panic: Panic, state: Path
) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000b", "buy", "0.1", "50")

    run = panic(*loopback.settings, "--set", "exchange.symbols=['BTC/USDT','OLD/USDT']")

    assert (run.code, run.json["flat"]) == (1, False)
    assert "does not trade OLD/USDT" in run.json["left"][0]
    assert loopback.statuses() == {"pb0000000b": "CANCELED"}


# --- the person -------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["no\n", "\n", ""])
def test_nothing_is_done_unless_a_person_says_yes(
    answer: str, loopback: Loopback, invoke: Panic, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000b", "buy", "0.1", "50")
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))

    run = invoke("panic", "--state-dir", str(state))

    assert (run.code, run.output) == (2, "")
    assert "order pb0000000b, buy 0.1" in run.errors
    assert run.errors.splitlines()[-1].endswith("pitboss: not confirmed, nothing was done; --yes confirms beforehand")
    assert loopback.statuses() == {"pb0000000b": "NEW"}


def test_a_person_sees_a_table(loopback: Loopback, invoke: Panic, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_journal(state, (loopback.file, True, ()))
    loopback.order("pb0000000a", "buy", "0.5")
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))

    run = invoke("panic", "--state-dir", str(state))

    assert run.code == 0
    assert "session-1" in run.errors
    assert "pitboss panic at binance" in run.output
    assert "A second look shows nothing left to do: flat." in run.output


def test_when_there_is_nothing_to_do_nobody_is_asked(loopback: Loopback, invoke: Panic, state: Path) -> None:
    write_journal(state, (loopback.file, True, ()))

    run = invoke("panic", "--state-dir", str(state))

    assert (run.code, run.errors) == (0, "")


def test_the_core_is_not_needed() -> None:
    program = "import sys, json, daemon.commands.panic; sys.stdout.write(json.dumps(sorted(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert {"actors.system", "strategies", "replay", "numba"}.isdisjoint(json.loads(done.stdout))
