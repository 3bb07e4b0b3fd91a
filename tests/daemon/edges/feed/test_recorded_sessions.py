"""What is recorded of a live feed, over real sockets and in processes of their own, replays to the same decisions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from actors import messages as m
from replay.journal import replay_journal
from replay.tape import open_tape
from replay.tape.catalogue import Catalogue, SeriesKey
from tests.daemon.conftest import environment
from tests.daemon.edges.feed.test_feed_processes import ROOT, Venue, decisions, inputs, of

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

TICKS = "exchange.streams=['bars', 'trades', 'quotes', 'book']"
STRATEGY = '''
from pitboss import Bar, Quote, Strategy, Trade


class Climber(Strategy):
    """Is long after a rising bar; knows nothing of the time before it began."""

    def on_start(self):
        self.last = 0.0

    def on_bar(self, bar: Bar, f):
        self.target(0.02 if bar.close > self.last > 0 else 0.0)
        self.last = bar.close


class Maker(Strategy):
    """Rests beside the best bid and takes what rose; decides on trades, quotes and bars."""

    def on_start(self):
        self.bid, self.heard, self.asked = 0.0, 0, 0

    def on_bar(self, bar: Bar, f):
        if self.position > 0.03:
            self.target(0.0)

    def on_quote(self, quote: Quote):
        self.bid = quote.bid

    def on_trade(self, trade: Trade):
        self.heard += 1
        if self.bid and self.heard % 4 == 0:
            self.buy(0.01, limit=self.bid)
        if self.heard % 11 == 0 and self.position:
            self.sell(0.01)
'''


@pytest.fixture
def exchange(tmp_path: Path, start: Any) -> Iterator[Venue]:
    venue = Venue(tmp_path, start.eventually)
    yield venue
    venue.kill()


@pytest.fixture
def strategies(tmp_path: Path) -> Path:
    path = tmp_path / "traders.py"
    path.write_text(STRATEGY)
    return path


def session(start: Any, exchange: Venue, use: str, *more: str) -> Any:
    """Start a paper session on the exchange's feed."""
    settings = (
        "feed.source=exchange",
        f"exchange.file={exchange.folder / 'ccxt.json'}",
        "exchange.stall_s=2",
        "supervision.restarts_max=1000",
        *more,
    )
    return start(*(word for setting in settings for word in ("--set", setting)), tape=(), strategy=use, speed=None)


class Recorder:
    """`pitboss record` in a process of its own, into one catalogue."""

    def __init__(self, folder: Path, exchange: Venue, kinds: str, *more: str) -> None:
        self.data = folder / "data"
        self.log = folder / f"recorder-{len(list(folder.glob('recorder-*')))}.log"
        settings = (f"exchange.file={exchange.folder / 'ccxt.json'}", "exchange.stall_s=2", *more)
        command = [sys.executable, "-m", "daemon.cli", "record", "--kinds", kinds, "--json", "--data-dir"]
        with self.log.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, str(self.data), *(word for setting in settings for word in ("--set", setting))],
                cwd=ROOT,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def written(self) -> int:
        """Return how many lines are on their way into the catalogue."""
        return sum(path.read_bytes().count(b"\n") for path in self.data.glob(".recording/*.lines"))

    def end(self) -> Any:
        """Ask it to end; return its report."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.log.read_text()
        return json.loads(output)

    def kill(self) -> None:
        assert self.process.poll() is None, self.log.read_text()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def recorder(tmp_path: Path, exchange: Venue) -> Iterator[Callable[..., Recorder]]:
    started: list[Recorder] = []

    def begin(kinds: str, *more: str) -> Recorder:
        started.append(Recorder(tmp_path, exchange, kinds, *more))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.kill()


def kept(data: Path) -> list[tuple[int, Any]]:
    """Return what the catalogue has of the feed."""
    return list(open_tape(["feed:binance:BTC/USDT"], data_dir=data).stamped())


def replayed(invoke: Callable[..., Run], tape: str, use: str) -> Any:
    """Return what a replay of a tape comes to."""
    return invoke("replay", "--tape", tape, "--strategy", use, "--json").json


def exported(invoke: Callable[..., Run], folder: Path, out: Path) -> str:
    """Return the tape of a session."""
    assert invoke("journal", "export", "--state-dir", str(folder), "--out", str(out)).code == 0
    return str(out / "tape.parquet")


def lines(data: Path) -> str:
    return "".join(path.read_text() for path in data.glob(".recording/*.lines"))


def test_bars_recorded_with_a_kill_in_the_middle_decide_as_the_session_beside_it_did(
    tmp_path: Path, start: Any, exchange: Venue, strategies: Path, recorder: Any, invoke: Callable[..., Run]
) -> None:
    """By the venue's clock a bar has one time, whoever hears it: two processes on two sockets have one tape."""
    exchange.start("--fault", "message_lost=0.01", "--fault", "close=0.003")
    use, folder = f"{strategies}:Climber", tmp_path / "state"
    first = recorder("bars", "exchange.clock=venue")
    start.eventually(lambda: first.written() > 1, "it records")
    daemon = session(start, exchange, use, "exchange.clock=venue")
    daemon.wait_for(lambda _: decisions(folder)["Fill"] >= 2, "it trades")
    first.kill()
    second = recorder("bars", "exchange.clock=venue")
    daemon.wait_for(lambda _: decisions(folder)["Fill"] >= 6, "it trades on")
    assert daemon.end() == 0
    told = of(m.Bar, inputs(folder))
    last_ns = told[-1].close_ns
    start.eventually(lambda: f",{last_ns}," in lines(second.data), "the recorder has heard of it, too")
    (row,) = second.end()["symbols"]

    assert (row["series"], row["missing"]) == ("feed:binance:BTC/USDT", 0)
    heard = [bar for _, bar in kept(second.data)]
    opens = [bar.open_ns for bar in heard]
    assert opens == list(range(opens[0], opens[-1] + 1, 60_000_000_000)), "what was missed was fetched"
    assert [bar for bar in heard if told[0].open_ns <= bar.open_ns < last_ns] == told

    live = replay_journal(folder / "journal.sqlite")
    rows = Catalogue(second.data).scan(SeriesKey("feed", "binance", "BTC/USDT")).collect()
    opening = rows.head(1).with_columns(pl.lit(told[0].open_ns).alias("ts"))
    stretch = rows.filter(pl.col("ts").is_between(told[0].close_ns, last_ns) & (pl.col("seq") > 0))
    pl.concat([opening, stretch]).write_parquet(tmp_path / "stretch.parquet")
    for tape in (exported(invoke, folder, tmp_path / "out"), str(tmp_path / "stretch.parquet")):
        assert replayed(invoke, tape, use)["digest"] == live.digest_live, tape


def test_ticks_recorded_with_a_kill_in_the_middle_are_those_of_the_session_beside_it(
    tmp_path: Path,
    start: Any,
    exchange: Venue,
    strategies: Path,
    recorder: Any,
    invoke: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the wall's clock; the session is killed, too, and its own tape comes to its own digest."""
    exchange.start("--fault", "message_lost=0.01", "--fault", "close=0.003")
    use, folder = f"{strategies}:Maker", tmp_path / "state"
    first = recorder("trades,quotes,book")
    daemon = session(start, exchange, use, TICKS)
    start.eventually(lambda: first.written() > 60, "it records")
    first.kill()
    second = recorder("trades,quotes,book")
    daemon.wait_for(lambda _: decisions(folder)["Fill"] >= 2, "it trades")
    daemon.kill()
    daemon = session(start, exchange, use, TICKS)
    fills = decisions(folder)["Fill"]
    daemon.wait_for(lambda _: decisions(folder)["Fill"] >= fills + 3, "it trades on")
    assert daemon.end() == 0
    told = inputs(folder)
    last_id = of(m.Trade, told)[-1].trade_id
    for what in (f'["Trade","BTC/USDT",{last_id + 40},', '["BookSnapshot",', '["Quote",'):
        start.eventually(lambda what=what: what in lines(second.data), what)
    (row,) = second.end()["symbols"]

    assert row["missing"] == 0
    assert row["messages"].keys() == {"Bar", "BookSnapshot", "Quote", "Trade"}
    stamped = kept(second.data)
    heard = [message for _, message in stamped]
    numbers = [trade.trade_id for trade in of(m.Trade, heard)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(stamped))
    for kind in (m.Trade, m.Bar):
        both = set(of(kind, told)) & set(of(kind, heard))
        assert [each for each in of(kind, told) if each in both] == of(kind, told)[-len(both) :], "nothing else"

    live = replay_journal(folder / "journal.sqlite")
    assert live.equal, live.first_difference
    own = replayed(invoke, exported(invoke, folder, tmp_path / "out"), use)
    assert (own["digest"], own["fills"]) == (live.digest_live, live.fills)
    assert any("session broke once" in note and "run 2" in note for note in own["notes"])

    monkeypatch.setenv("PITBOSS_DATA_DIR", str(second.data))
    name = "feed:binance:BTC/USDT"
    whole = replayed(invoke, name, use)
    assert whole["fills"] > 2
    assert any("nobody listened from" in note for note in whole["notes"])
    data = {"PITBOSS_DATA_DIR": str(second.data)}
    played = start(state_dir=tmp_path / "played", tape=("--tape", name), strategy=use, speed=0, env=data)
    status = played.wait_for(lambda status: status["tape_ended"], "the tape's end")
    assert status["digest"] == whole["digest"], "a daemon makes of it what a replay does"
