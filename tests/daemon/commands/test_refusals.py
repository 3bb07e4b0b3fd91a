"""Commands that are asked wrongly: one line that names the file, row or key, exit code 2, and nothing half-written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

GOOD = """\
ts,open,high,low,close,volume
1700000000000,10,12,9,11,1
1700000060000,11,12,10,12,1
1700000120000,12,13,11,12,1
"""

TAPES = {
    "empty.csv": "",
    "header.csv": GOOD.splitlines()[0] + "\n",
    "columns.csv": "time,price\n1,2\n",
    "text.csv": GOOD.replace("1700000060000,11", "1700000060000,eleven"),
    "nan.csv": GOOD.replace("60000,11,12", "60000,nan,12"),
    "negative.csv": GOOD.replace("60000,11,12,10", "60000,11,12,-10"),
    "zero.csv": GOOD.replace("60000,11,12,10", "60000,11,12,0"),
    "high_below_low.csv": GOOD.replace("60000,11,12,10,12", "60000,11,9,10,12"),
    "backwards.csv": GOOD.replace("1700000120000", "1699999940000"),
    "duplicate.csv": GOOD.replace("1700000060000", "1700000000000"),
    "not.parquet": "PAR1 this is not",
}

VALUES = {
    "values.csv": "ts,value\n1700000000000,1\n",
    "no_number.csv": "ts,value\n1700000000000,high\n",
    "two_columns.csv": "ts,fast,slow\n1700000000000,1,2\n",
    "mixed_units.csv": "ts,value\n1700000000000,1\n1700000060,2\n",
}

STRATEGIES = """
import sys
from pitboss import Strategy, ema
class FeaturesRaise(Strategy):
    def features(self): return {"x": 1 / 0}
class FeaturesAreNumbers(Strategy):
    def features(self): return {"x": 3}
class FeaturesAreNothing(Strategy):
    def features(self): return None
class FeaturesAreNumbered(Strategy):
    def features(self): return {1: ema(3)}
class FeatureNames(Strategy):
    def features(self): return {"a b": ema(3)}
class StartRaises(Strategy):
    def on_start(self): raise ValueError("not today")
class Unkeepable(Strategy):
    def on_start(self): self.callback = lambda: 1
class OddTimeframe(Strategy):
    timeframe = "90s"
class NoTimeframe(Strategy):
    timeframe = 15
class NotAStrategy:
    pass
"""

FILES = {
    **TAPES,
    **VALUES,
    "good.csv": GOOD,
    "mine.py": STRATEGIES,
    "syntax.py": "import os\nclass Broken(:\n",
    "raises.py": "x = {}['missing']\n",
    "type.toml": '[account]\ncash = "much"\n',
    "table.toml": "[acount]\ncash = 1\n",
    "key.toml": "[account]\ncsah = 1\n",
    "broken.toml": "[account\n",
    "bound.toml": "[http]\nport = 70000\n",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, full of files that are wrong in one way each."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "latin.toml").write_bytes(b"[account] # \xe9\n")
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        if name.startswith("PITBOSS_"):
            monkeypatch.delenv(name)
    return folder


Case = tuple[tuple[str, ...], str]

WRONG_TAPES: list[Case] = [
    (("--tape", "nope.csv"), "nope.csv: no such file"),
    (("--tape", "."), ".: this is a directory"),
    (("--tape", "empty.csv"), "empty.csv: the file is empty"),
    (("--tape", "header.csv"), "header.csv: "),
    (("--tape", "columns.csv"), "columns.csv: "),
    (("--tape", "text.csv"), "text.csv: row 2: "),
    (("--tape", "nan.csv"), "nan.csv: row 2: "),
    (("--tape", "negative.csv"), "negative.csv: row 2: "),
    (("--tape", "zero.csv"), "zero.csv: row 2: "),
    (("--tape", "high_below_low.csv"), "high_below_low.csv: row 2: "),
    (("--tape", "backwards.csv"), "backwards.csv: row 3: "),
    (("--tape", "duplicate.csv"), "duplicate.csv: row 2: "),
    (("--tape", "not.parquet"), "not.parquet: "),
    (("--tape", "good.csv", "--tape", "good.csv"), "good"),
    (
        ("--tape", "BTC/USDT=good.csv", "--tape", "ETH/BTC=good.csv"),
        "a session counts in one quote currency, and these are quoted in 2: BTC/USDT in USDT; ETH/BTC in BTC;",
    ),
    (("--tape", "good.csv", "--synthetic", "7:5"), "--tape and --synthetic exclude each other"),
    (("--tape", "good.csv", "--timeframe", "1x"), "'1x' is no timeframe"),
    (("--synthetic", "seven:5"), "--synthetic seven:5: write it as SEED:BARS"),
    (("--synthetic", "7:0"), "--synthetic 7:0: the number of bars must be"),
    (("--synthetic", "7:-5"), "--synthetic 7:-5: "),
    (("--synthetic", "7:5", "--series", "values.csv"), "--series values.csv: write it as NAME=FILE"),
    (("--synthetic", "7:5", "--series", "a=nope.csv"), "nope.csv: no such file"),
    (("--synthetic", "7:5", "--series", "a=values.csv,dely=8h"), "(did you mean 'delay'?)"),
    (("--synthetic", "7:5", "--series", "a=values.csv,delay=later"), "delay 'later': write a whole number and a unit"),
    (("--synthetic", "7:5", "--series", "a=no_number.csv"), "no_number.csv: row 1: value 'high' is not a number"),
    (("--synthetic", "7:5", "--series", "a=two_columns.csv"), "two_columns.csv: which column holds the values?"),
    (("--synthetic", "7:5", "--series", "a=mixed_units.csv"), "mixed_units.csv: row 2: ts '1700000060' is not a time"),
    (("--synthetic", "7:5", "--series", "a=not.parquet"), "not.parquet: neither a CSV nor a Parquet file"),
    (("--tape", "BTCUSDT=good.csv", "--series", "BTCUSDT=values.csv"), "values.csv: BTCUSDT is a symbol of the tape"),
]

WRONG_SPANS: list[Case] = [
    (("--tape", "good.csv", "--from", "2024-01-01"), "good.csv: a file is played whole; only of the catalogue's bars"),
    (("--synthetic", "7:5", "--to", "2024-01-01"), "--from and --to play a part of the catalogue's bars"),
    (("--tape", "a:b:1m", "--to", "31.1.2024"), "--to 31.1.2024: write a date or a time, such as 2024-01-31"),
    (("--tape", "a:b:1m", "--from", "2024-02-01", "--to", "2024-01-01"), "there is nothing between them"),
]

WRONG_SETTINGS: list[Case] = [
    (("--set", "account.csah=1"), "there is no setting account.csah (did you mean 'cash'?)"),
    (("--set", "acount.cash=1"), "there is no setting acount (did you mean 'account'?)"),
    (("--set", "nonsense"), "--set nonsense: write it as section.key=value"),
    (("--set", "=1"), "--set =1: write it as section.key=value"),
    (("--set", "account=1"), "account is a table of settings"),
    (("--set", "account.cash=much"), "--set account.cash=much: account.cash: "),
    (("--set", "account.cash=nan"), "--set account.cash=nan: account"),
    (("--set", "account.cash.x=1"), "--set account.cash.x=1: account.cash: "),
    (("--set", "venue.latency_ms=-1"), "--set venue.latency_ms=-1: venue.latency_ms: "),
    (("--set", "http.port=70000"), "--set http.port=70000: http.port: "),
    (
        ("--set", "exchange.symbols=['BTC/USDT','ETH/EUR','SOL/USDT:USDT']"),
        "quoted in 2: BTC/USDT, SOL/USDT:USDT in USDT; ETH/EUR in EUR; run one daemon for each",
    ),
    (
        ("--set", "exchange.symbols=['BTC/USDT','ETH/USDT:USDT']"),
        "a session trades spot or contracts, and BTC/USDT is spot, ETH/USDT:USDT is not; run one daemon for each",
    ),
    (("--set", "exchange.leverage=0"), "--set exchange.leverage=0: exchange.leverage: "),
    (("--set", "log.level=loud"), "--set log.level=loud: log.level: "),
    (("--config", "nope.toml"), "nope.toml: No such file or directory"),
    (("--config", "."), ".: Is a directory"),
    (("--config", "type.toml"), "type.toml: account.cash: "),
    (("--config", "table.toml"), "table.toml: there is no setting acount (did you mean 'account'?)"),
    (("--config", "key.toml"), "key.toml: there is no setting account.csah (did you mean 'cash'?)"),
    (("--config", "broken.toml"), "broken.toml: not valid TOML: "),
    (("--config", "bound.toml"), "bound.toml: http.port: "),
    (("--config", "latin.toml"), "latin.toml: is not UTF-8 text"),
]

WRONG_STRATEGIES: list[Case] = [
    (("-s", "ema_cros"), "there is no strategy ema_cros (did you mean 'ema_cross'?)"),
    (("-s", "EmaCross"), "there is no strategy EmaCross"),
    (("-s", ""), "there is no strategy "),
    (("-s", "mine.py"), "mine.py: name the class too, as mine.py:ClassName"),
    (("-s", "nope.py:Mine"), "nope.py: No such file or directory"),
    (("-s", ".:Mine"), ".: Is a directory"),
    (("-s", "syntax.py:Broken"), "syntax.py:2: "),
    (("-s", "raises.py:Mine"), "raises.py: KeyError while it was loaded: 'missing'"),
    (("-s", "mine.py:StartsRaise"), "there is no strategy StartsRaise (did you mean 'StartRaises'?)"),
    (("-s", "mine.py:NotAStrategy"), "there is no strategy NotAStrategy"),
    (("-s", "mine.py:FeaturesRaise"), "features(): ZeroDivisionError: division by zero"),
    (("-s", "mine.py:FeaturesAreNumbers"), "features() must return features by name"),
    (("-s", "mine.py:FeaturesAreNothing"), "features() must return features by name"),
    (("-s", "mine.py:FeaturesAreNumbered"), "features() must return features by name"),
    (("-s", "mine.py:FeatureNames"), "feature 'a b': names must be identifiers"),
    (("-s", "mine.py:StartRaises"), "strategy StartRaises: on_start: ValueError: not today"),
    (("-s", "mine.py:Unkeepable"), "self.callback cannot be kept across a restart"),
    (("-s", "mine.py:OddTimeframe"), "strategy OddTimeframe: 90s bars cannot be built from 1m bars"),
    (("-s", "mine.py:NoTimeframe"), "timeframe must be text such as '15m', not 15"),
    (("-p", "fsat=5"), "there is no parameter fsat (did you mean 'fast'?)"),
    (("-p", "fast"), "-p fast: write it as name=value"),
    (("-p", "=5"), "-p =5: write it as name=value"),
    (("-p", "fast=0"), "parameter fast: "),
    (("-p", "fast=10001"), "parameter fast: "),
    (("-p", "fast=ten"), "parameter fast: "),
    (("-p", "fast=1.5"), "parameter fast: "),
    (("-p", "fast=true"), "parameter fast: "),
    (("-p", "quantity=-1"), "parameter quantity: "),
    (("-p", "quantity=nan"), "parameter quantity: "),
    (("-p", "quantity=inf"), "parameter quantity: "),
]


@pytest.mark.parametrize(("arguments", "reason"), WRONG_TAPES + WRONG_SPANS + WRONG_SETTINGS + WRONG_STRATEGIES)
def test_a_replay_that_is_asked_wrongly_writes_nothing(
    invoke: Callable[..., Run], here: Path, arguments: tuple[str, ...], reason: str
) -> None:
    tape = () if {"--tape", "--synthetic"} & set(arguments) else ("--tape", "good.csv")
    before = set(here.iterdir())

    run = invoke("replay", *tape, *arguments, "--json", "--out", "results")

    assert reason in run.refusal
    assert list((here / "results").glob("*")) == []
    assert set(here.iterdir()) - before <= {here / "results"}


@pytest.mark.parametrize(("arguments", "reason"), WRONG_TAPES + WRONG_SETTINGS + WRONG_STRATEGIES)
@pytest.mark.usefixtures("here")
def test_a_run_that_is_asked_wrongly_begins_no_session(
    invoke: Callable[..., Run], tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    tape = () if {"--tape", "--synthetic"} & set(arguments) else ("--tape", "good.csv")
    state = tmp_path / "state"

    run = invoke("run", "--state-dir", str(state), "--port", "0", "--exit-at-end", *tape, *arguments)

    assert reason in run.refusal
    assert not (state / "endpoint.json").exists()
    assert sessions(state) == 0


def sessions(state: Path) -> int:
    if not (state / "journal.sqlite").exists():
        return 0
    with closing(sqlite3.connect(state / "journal.sqlite")) as db:
        ((count,),) = db.execute("SELECT count(*) FROM sessions")
    return int(count)


@pytest.mark.usefixtures("here")
def test_a_replay_needs_a_tape_that_ends(invoke: Callable[..., Run]) -> None:
    assert "nothing to replay" in invoke("replay").refusal
    assert "never ends" in invoke("replay", "--synthetic", "7").refusal


@pytest.mark.parametrize(("out", "reason"), [("good.csv", "File exists"), ("good.csv/below", "Not a directory")])
@pytest.mark.usefixtures("here")
def test_results_that_could_not_be_written_are_refused_before_the_work(
    invoke: Callable[..., Run], out: str, reason: str
) -> None:
    assert invoke("replay", "--tape", "good.csv", "--out", out).refusal == f"--out {out}: {reason}"


def test_results_that_may_not_be_written_are_refused_before_the_work(invoke: Callable[..., Run], here: Path) -> None:
    (here / "locked").mkdir(mode=0o500)
    if os.access(here / "locked", os.W_OK):
        pytest.skip("permission bits do not bind this user")

    assert "Permission denied" in invoke("replay", "--tape", "good.csv", "--out", "locked").refusal


@pytest.mark.usefixtures("here")
def test_a_tape_that_may_not_be_read_is_refused(invoke: Callable[..., Run], here: Path) -> None:
    (here / "good.csv").chmod(0)
    if os.access(here / "good.csv", os.R_OK):
        pytest.skip("permission bits do not bind this user")

    assert invoke("replay", "--tape", "good.csv").refusal.startswith("good.csv: cannot be read")


@pytest.mark.usefixtures("here")
def test_a_variable_of_the_environment_is_named(invoke: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITBOSS_ACCOUNT__CASH", "much")

    refusal = invoke("replay", "--tape", "good.csv").refusal

    assert refusal.startswith("environment variable PITBOSS_ACCOUNT__CASH: account.cash: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nope",),
        ("run", "--nope"),
        ("run", "--speed", "fast"),
        ("run", "--port", "http"),
        ("journal", "export"),
        ("ctl", "nope"),
        ("replay", "stray"),
    ],
)
def test_what_no_command_knows_is_refused_with_its_usage(
    invoke: Callable[..., Run], arguments: tuple[str, ...]
) -> None:
    run = invoke(*arguments)

    assert (run.code, run.output) == (2, "")
    assert "Usage: pitboss" in run.errors
    assert "Traceback" not in run.errors


@pytest.mark.usefixtures("here")
def test_a_strategys_own_mistakes_at_run_time_are_no_mistakes_of_the_command(invoke: Callable[..., Run]) -> None:
    Path("wild.py").write_text(
        "from pitboss import Strategy\nclass Wild(Strategy):\n    def on_bar(self, bar, f): self.buy(float('nan'))\n"
    )

    run = invoke("replay", "--synthetic", "7:4", "-s", "wild.py:Wild", "--json")

    assert (run.code, run.errors) == (0, "")
    assert (run.json["dead_letters"], run.json["fills"]) == (4, 0)
