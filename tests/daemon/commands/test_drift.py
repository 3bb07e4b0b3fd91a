"""`journal diff`: what it prints, with which exit code, and the whole way from a loopback exchange to its report."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Nursery, Run

REPOSITORY = Path(__file__).resolve().parents[3]
STRATEGIES = Path(__file__).parents[1] / "user_strategies.py"
BARS = 60

FLIP = """
from pitboss import Strategy


class Flip(Strategy):
    def on_start(self):
        self.bars = 0

    def on_bar(self, bar, f):
        self.bars += 1
        if self.bars % 2:
            self.buy(0.01)
        else:
            self.target(0)
"""


@pytest.fixture
def state(invoke: Callable[..., Run], tmp_path: Path) -> Path:
    """Return the state directory of a paper session that reached the end of its tape."""
    folder = tmp_path / "state"
    run = invoke(
        *("run", "--state-dir", str(folder), "--port", "0", "--speed", "0", "--exit-at-end"),
        *("--synthetic", f"7:{BARS}", "-s", f"{STRATEGIES}:Holder"),
    )
    assert run.code == 0
    return folder


def test_a_paper_session_has_no_drift_and_exits_0(invoke: Callable[..., Run], state: Path) -> None:
    run = invoke("journal", "diff", "--state-dir", str(state), "--json")
    replayed = invoke("journal", "replay", "--state-dir", str(state), "--json").json

    report = run.json
    total = report["drift"]["total"]
    assert (run.code, run.errors) == (0, "")
    assert (report["session"], report["real"], report["runs"]) == (replayed["session"], False, 1)
    assert (report["own"]["equal"], report["own"]["digest_live"]) == (True, replayed["digest_live"])
    assert report["drift"]["tape"] == "the session's own bars"
    assert total["fills_live"] == total["fills_replay"] == replayed["fills"]
    assert (total["cost"], total["missed"], total["extra"], total["pending"]) == (0, 0, 0, 0)
    assert report["drift"]["equity_live"] == report["drift"]["equity_replay"] == replayed["final_equity"]


def test_its_tape_may_be_named(invoke: Callable[..., Run], state: Path) -> None:
    own = invoke("journal", "diff", "--state-dir", str(state), "--json").json
    taped = invoke("journal", "diff", "--state-dir", str(state), "--synthetic", f"7:{BARS + 9}", "--json").json

    assert taped["drift"].pop("tape") == f"synthetic 7:{BARS + 9}"
    own["drift"].pop("tape")
    assert taped["drift"] == own["drift"]


def test_for_people_it_is_tables(invoke: Callable[..., Run], state: Path) -> None:
    run = invoke("journal", "diff", "--state-dir", str(state), "--synthetic", "8:600")

    assert run.code == 0
    for words in ("equal", "Live and the simulated venue", "cost of the drift", "Orders that differ most", "Holder"):
        assert words in run.output
    assert "{" not in run.output


def test_a_decision_that_differs_is_exit_code_1_with_field_and_cause(invoke: Callable[..., Run], state: Path) -> None:
    arguments = ("journal", "diff", "--state-dir", str(state), "--set", "venue.taker_fee=0.002")
    told, shown = invoke(*arguments, "--json"), invoke(*arguments)

    found = told.json["own"]["divergence"]
    assert (told.code, shown.code) == (1, 1)
    assert (found["seq"], found["input"], found["field"]) == (2, "Bar", "fee_atoms")
    assert found["cause"].endswith("the settings [venue] differ")
    text = " ".join(shown.output.split())
    assert "first difference: input 2 (Bar at " in text
    assert "likely cause: another plan than the session had" in text


def test_the_file_of_now_can_be_replayed(invoke: Callable[..., Run], tmp_path: Path) -> None:
    file, state = tmp_path / "flip.py", str(tmp_path / "state")
    file.write_text(FLIP)
    run = invoke(
        *("run", "--state-dir", state, "--port", "0", "--speed", "0", "--exit-at-end"),
        *("--synthetic", "7:20", "-s", f"{file}:Flip"),
    )
    assert run.code == 0
    file.write_text(FLIP.replace("0.01", "0.02"))

    stored = invoke("journal", "diff", "--state-dir", state, "--json")
    now = invoke("journal", "diff", "--state-dir", state, "--current", "--json")

    assert (stored.code, now.code) == (0, 1)
    assert now.json["own"]["divergence"]["cause"].endswith("the file of strategy Flip has changed")
    assert now.json["drift"]["total"]["intents_resized"] == 10


def test_nothing_stored_is_exit_code_1(invoke: Callable[..., Run], tmp_path: Path) -> None:
    run = invoke("journal", "diff", "--state-dir", str(tmp_path))

    assert (run.code, run.output) == (1, "")
    assert run.errors == f"pitboss: {tmp_path}/journal.sqlite: no journal there\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--synthetic", "7"), "synthetic 7: never ends; a comparison needs SEED:BARS"),
        (("--synthetic", "7:9", "--tape", "x.csv"), "--tape and --synthetic exclude each other"),
        (("--tape", "/no/such.csv"), "/no/such.csv: no such file"),
        (("--set", "venue.fee=1"), "--set venue.fee=1: there is no setting venue.fee"),
        (("--set", "account.cash=1"), "--set account.*: the session's own account is part of what it recorded"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(
    invoke: Callable[..., Run], state: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert invoke("journal", "diff", "--state-dir", str(state), *arguments).refusal.startswith(words)


def test_an_unknown_session_is_refused_with_the_nearest(invoke: Callable[..., Run], state: Path) -> None:
    known = invoke("journal", "diff", "--state-dir", str(state), "--json").json["session"]

    refusal = invoke("journal", "diff", "--state-dir", str(state), "--session", f"{known}0").refusal

    assert refusal.endswith(f"no session {known}0 (did you mean '{known}'?)")


def test_looking_at_a_journal_changes_nothing(invoke: Callable[..., Run], state: Path) -> None:
    before = (state / "journal.sqlite").read_bytes()

    invoke("journal", "diff", "--state-dir", str(state))

    assert (state / "journal.sqlite").read_bytes() == before


# --- a session traded for real on the loopback exchange ---------------------------------------------


@pytest.fixture
def exchange(tmp_path: Path, start: Nursery) -> Iterator[Path]:
    """Run the loopback exchange on a synthetic market, two bars a second; return its `ccxt.json`."""
    folder = tmp_path / "exchange"
    errors = (tmp_path / "exchange.log").open("wb")
    command = [sys.executable, "-m", "daemon.cli", "exchange", "--port", "0", "--admin-port", "0"]
    process = subprocess.Popen(
        [*command, "--speed", "120", "--seed", "7", "--state-dir", str(folder)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=errors,
        stderr=errors,
    )
    try:
        start.eventually((folder / "ccxt.json").is_file, "the exchange is ready")
        yield folder / "ccxt.json"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        errors.close()


@pytest.mark.slow
def test_a_session_traded_for_real_is_told_as_the_exchange_keeps_it(
    exchange: Path, start: Nursery, invoke: Callable[..., Run], tmp_path: Path
) -> None:
    file = tmp_path / "flip.py"
    file.write_text(FLIP)
    settings = {
        "feed.source": "exchange",
        "exchange.file": str(exchange),
        "exchange.clock": "venue",
        "live.armed": "true",
        "risk.max_daily_loss": "5000",
        "risk.max_notional": "50000",
        "risk.max_orders_per_minute": "100",
    }
    arguments = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    daemon = start("--mode", "real", *arguments, tape=(), strategy=f"{file}:Flip", speed=None)

    daemon.eventually(lambda: len(daemon.events("fill")) >= 6, "six fills")
    daemon.end()

    run = invoke("journal", "diff", "--state-dir", str(daemon.state_dir), "--json")
    report: Any = run.json
    total, rows = report["drift"]["total"], {row["order_id"]: row for row in report["drift"]["orders"]}
    assert (run.code, report["real"], report["own"]["equal"]) == (0, True, True)
    assert total["intents_matched"] == total["intents_live"] == total["intents_replay"] >= 6
    kept = filled(exchange.parent)
    executed = [row for row in rows.values() if row["quantity_live"]]
    assert len(executed) == total["filled_both"] + total["extra"] + total["pending"] >= 6
    for row in executed:
        quantity, value = kept[row["order_id"]]
        assert row["quantity_live"] == pytest.approx(quantity)
        assert row["price_live"] == pytest.approx(value / quantity)

    taped = invoke("journal", "diff", "--state-dir", str(daemon.state_dir), "--synthetic", "7:900", "--json").json
    bars = taped["drift"]["bars"]
    assert (bars["different"], bars["only_live"], bars["shifted_ns"] > 0) == (0, 0, True)
    for row in taped["drift"]["orders"]:
        if row["outcome"] == "both" and rows[row["order_id"]]["outcome"] == "both":
            assert row == rows[row["order_id"]]


def filled(folder: Path) -> dict[str, tuple[float, float]]:
    """Return what the exchange's own book says was executed: quantity and value by our order id."""
    lines = (folder.parent / "exchange.log").read_text().splitlines()
    address = next(json.loads(line)["admin_url"] for line in lines if "admin_url" in line)
    with urllib.request.urlopen(f"{address}/control/book", timeout=30) as answer:
        book = json.load(answer)
    found: dict[str, tuple[float, float]] = {}
    for fill in book["fills"]:
        name, quantity = fill["client_order_id"], float(fill["quantity"])
        before = found.get(name, (0.0, 0.0))
        found[name] = (before[0] + quantity, before[1] + quantity * float(fill["price"]))
    return found
