"""`pitboss doctor` at the loopback exchange: one finding a line, each with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from actors.instrument import InstrumentSpec
from config.load import load_settings
from daemon.commands.doctor_venue import examine_venue

if TYPE_CHECKING:
    from tests.daemon.commands.conftest import Loopback
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

REAL = (
    *("--mode", "real", "--set", "live.armed=true", "--set", "risk.max_daily_loss=5000"),
    *("--set", "risk.max_notional=90000", "--set", "risk.max_orders_per_minute=60"),
)
Diagnose = Callable[..., tuple[int, dict[str, tuple[str, str]]]]


@pytest.fixture
def diagnose(invoke: Callable[..., Run], loopback: Loopback, tmp_path: Path) -> Diagnose:
    """Return a run of the doctor at the loopback: the exit code, and (verdict, detail) by check."""

    def diagnose(*arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
        where = ("--state-dir", str(tmp_path / "state"), "--set", "http.port=0")
        run = invoke("doctor", "--json", *where, *loopback.settings, *arguments)
        assert run.errors == ""
        return run.code, {row["check"]: (row["verdict"], row["detail"]) for row in run.json}

    return diagnose


def test_where_all_is_well_it_says_what_it_saw(diagnose: Diagnose, loopback: Loopback) -> None:
    code, findings = diagnose(*REAL)

    assert code == 0
    assert findings["keys"] == ("ok", f"from {loopback.file}")
    assert findings["venue"] == ("ok", "binance answers, 1 market")
    assert findings["symbol BTC/USDT"] == (
        "ok",
        "price step 0.01, quantity step 0.00001, at least 5 USDT an order",
    )
    assert findings["key"] == ("ok", "accepted, may not withdraw; the account holds 1 BTC, 100000 USDT")
    assert findings["real mode"][0] == findings["clock skew"][0] == "ok"


def test_on_paper_keys_and_limits_do_not_matter(diagnose: Diagnose) -> None:
    code, findings = diagnose()

    assert code == 0
    assert {"venue", "clock skew", "symbol BTC/USDT"} <= findings.keys()
    assert not {"keys", "key", "real mode"} & findings.keys()


def test_everything_that_real_mode_lacks_is_listed_at_once(diagnose: Diagnose) -> None:
    code, findings = diagnose("--mode", "real", "--set", "feed.source=tape", "--set", "risk.max_notional=1")

    verdict, detail = findings["real mode"]
    assert (code, verdict) == (1, "error")
    assert detail.partition("add ")[2].split(" --set ") == [
        "--set feed.source=exchange",
        "live.armed=true",
        "risk.max_daily_loss=...",
        "risk.max_orders_per_minute=...",
    ]


def test_a_key_of_the_environment_comes_first_and_is_named(diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITBOSS_API_KEY", "k" * 64)
    monkeypatch.setenv("PITBOSS_API_SECRET", "s" * 64)

    code, findings = diagnose(*REAL)

    assert (code, findings["keys"]) == (1, ("ok", "from the environment"))
    assert findings["key"][0] == "error"
    assert "does not accept the key" in findings["key"][1]
    assert "s" * 64 not in str(findings)


def test_no_keys_are_an_error(diagnose: Diagnose, loopback: Loopback) -> None:
    arguments = json.loads(loopback.file.read_text())
    del arguments["binance"]["secret"]
    loopback.file.write_text(json.dumps(arguments))

    code, findings = diagnose(*REAL)

    assert (code, findings["keys"][0]) == (1, "error")
    assert "set PITBOSS_API_KEY and PITBOSS_API_SECRET" in findings["keys"][1]
    assert "key" not in findings
    assert findings["symbol BTC/USDT"][0] == "ok", "what needs no key is looked at all the same"


def test_a_file_of_keys_that_others_can_read_is_a_warning(diagnose: Diagnose, loopback: Loopback) -> None:
    loopback.file.chmod(0o644)

    code, findings = diagnose(*REAL)

    assert (code, findings["keys"]) == (0, ("warning", f"from {loopback.file}, which others can read; chmod 600 it"))


def test_a_key_that_may_withdraw_is_an_error(diagnose: Diagnose, loopback: Loopback) -> None:
    loopback.fault("withdrawals_allowed")

    code, findings = diagnose(*REAL)

    assert (code, findings["key"][0]) == (1, "error")
    assert "this key may withdraw" in findings["key"][1]
    assert "must not withdraw" in findings["key"][1]


@pytest.mark.parametrize(
    ("seconds", "verdict", "words"),
    [
        (60.0, "error", "behind the venue's, so signed requests are refused; set it by NTP"),
        (-60.0, "error", "ahead of the venue's, so signed requests are refused; set it by NTP"),
        (2.5, "warning", "behind the venue's; set it by NTP before"),
        (-0.8, "warning", "ahead of the venue's; set it by NTP before"),
    ],
)
def test_a_clock_that_is_off_is_told_with_its_direction(
    seconds: float, verdict: str, words: str, diagnose: Diagnose, loopback: Loopback
) -> None:
    loopback.fault("clock_skew", seconds=seconds)

    _, findings = diagnose()

    assert findings["clock skew"][0] == verdict
    assert words in findings["clock skew"][1]


def test_a_venue_whose_time_runs_faster_is_found_and_can_be_followed(
    exchange_at: Callable[[float], Loopback], invoke: Callable[..., Run], tmp_path: Path
) -> None:
    with exchange_at(600.0) as loopback:
        base = ("doctor", "--json", "--state-dir", str(tmp_path), "--set", "http.port=0", *loopback.settings)
        by_wall, by_venue = (
            {row["check"]: row for row in invoke(*base, "--set", f"exchange.clock={clock}").json}["clock skew"]
            for clock in ("wall", "venue")
        )

    assert (by_wall["verdict"], by_venue["verdict"]) == ("error", "ok")
    assert "--set exchange.clock=venue" in by_wall["detail"]


@pytest.mark.parametrize(
    ("setting", "check", "words"),
    [
        ("exchange.symbols=['BTC/USDT','BTX/USDT']", "symbol BTX/USDT", "(did you mean 'BTC/USDT'?); see exchange.sym"),
        ("exchange.timeframe=7m", "timeframe", "has no bars of 7m; it has"),
        ("exchange.id=binanse", "venue", "says nothing of 'binanse', only of binance"),
        ("exchange.urls={api={public='http://127.0.0.1:1/api/v3'}}", "venue", "see exchange.id, exchange.file and"),
        ("strategies=[{use='ema_cross',symbol='BTCUSDT'}]", "strategy ema_cross", "(did you mean 'BTC/USDT'?)"),
    ],
)
def test_what_the_venue_does_not_have_is_an_error(setting: str, check: str, words: str, diagnose: Diagnose) -> None:
    code, findings = diagnose("--set", setting, "--set", "exchange.timeout_ms=500")

    assert (code, findings[check][0]) == (1, "error")
    assert words in findings[check][1]


def test_filters_that_changed_since_the_session_began_are_an_error(loopback: Loopback) -> None:
    settings = load_settings(None, [f"exchange.file={loopback.file}", "feed.source=exchange"])
    then = InstrumentSpec(
        symbol="BTC/USDT", tick=Decimal("0.1"), lot=Decimal("1e-8"), step=Decimal("0.001"), base="BTC", quote="USDT"
    )

    found = [row for row in examine_venue(settings, {"BTC/USDT": then}, real=False) if row.check == "symbol BTC/USDT"]

    assert [row.verdict for row in found] == ["error"]
    assert "the open session began with price step 0.1, quantity step 0.001" in found[0].detail
    assert "it will go on halted; stop it" in found[0].detail


def test_another_minimum_notional_is_no_obstacle(loopback: Loopback) -> None:
    from tests.daemon.commands.journals import SPEC

    settings = load_settings(None, [f"exchange.file={loopback.file}", "feed.source=exchange"])
    then = msgspec.structs.replace(SPEC, min_notional=Decimal(50))

    found = [row for row in examine_venue(settings, {"BTC/USDT": then}, real=False) if row.check == "symbol BTC/USDT"]

    assert [row.verdict for row in found] == ["ok"]


def test_the_journals_session_is_what_filters_are_compared_with(
    diagnose: Diagnose, loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.daemon.commands.journals import SPEC, write_journal

    write_journal(tmp_path / "state", (loopback.file, True, ()))
    assert diagnose()[1]["symbol BTC/USDT"][0] == "ok"

    (tmp_path / "state" / "journal.sqlite").unlink()
    coarse = msgspec.structs.replace(SPEC, step=Decimal("0.01"))
    write_journal(tmp_path / "state", (loopback.file, True, ()), spec=coarse)
    assert diagnose()[1]["symbol BTC/USDT"][0] == "error"


def test_a_mode_there_is_not_is_refused(invoke: Callable[..., Run], tmp_path: Path) -> None:

    refusal = invoke("doctor", "--state-dir", str(tmp_path), "--mode", "rael").refusal

    assert refusal == "--mode rael: it is paper or real (did you mean 'real'?)"
