"""What is recorded of a live feed, over real sockets and in processes of their own, replays to the same decisions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors import messages as m
from replay.journal import replay_journal
from tests.daemon.edges.feed.test_feed_processes import Venue, decisions, inputs, of

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

STRATEGY = '''
from pitboss import Bar, BookSnapshot, Quote, Strategy, Trade, ema


class Turner(Strategy):
    """Turns with a mean of few bars, and so needs a little history."""

    warmup = 2

    def features(self):
        return {"mean": ema(3)}

    def on_bar(self, bar: Bar, f):
        self.target(0.02 if bar.close > f.mean else 0.0)


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


TICKS = "exchange.streams=['bars', 'trades', 'quotes', 'book']"


@pytest.mark.parametrize(
    ("trader", "more"),
    [
        pytest.param("Turner", ("exchange.clock=venue",), id="bars by the venue's clock"),
        pytest.param("Maker", (TICKS,), id="ticks by the wall clock"),
    ],
)
def test_the_tape_of_a_session_replays_to_its_digest(
    tmp_path: Path,
    start: Any,
    exchange: Venue,
    strategies: Path,
    pitboss: Callable[..., Run],
    trader: str,
    more: tuple[str, ...],
) -> None:
    """Killed in the middle and gone on; the exchange loses messages and breaks its sockets."""
    exchange.start("--fault", "message_lost=0.01", "--fault", "close=0.003")
    use, folder = f"{strategies}:{trader}", tmp_path / "state"
    daemon = session(start, exchange, use, *more)
    daemon.wait_for(lambda _: decisions(folder)["Fill"] >= 2, "it trades")
    daemon.kill()
    daemon = session(start, exchange, use, *more)
    fills = decisions(folder)["Fill"]
    daemon.wait_for(lambda _: decisions(folder)["Fill"] >= fills + 3, "it trades on")
    assert daemon.end() == 0

    out = tmp_path / "out"
    assert pitboss("journal", "export", "--state-dir", str(folder), "--out", str(out)).code == 0
    tape = ("--tape", str(out / "tape.parquet"), "--strategy", use)
    replayed = pitboss("replay", *tape, "--json").json
    live = replay_journal(folder / "journal.sqlite")
    assert live.equal, live.first_difference
    assert replayed["digest"] == live.digest_live
    assert replayed["fills"] == live.fills == decisions(folder)["Fill"]
    assert replayed["final_equity"] == float(live.final_equity)
    told = inputs(folder)
    assert bool(of(m.Trade, told)) == (trader == "Maker")
    assert any("session broke once" in note and "run 2" in note for note in replayed["notes"])
    played = start(*tape[2:], state_dir=tmp_path / "played", tape=tape[:2], strategy=None, speed=0)
    status = played.wait_for(lambda status: status["tape_ended"], "the tape's end")
    assert status["digest"] == live.digest_live, "and so does a daemon that plays it"
    assert json.loads((out / "inputs.jsonl").read_text().splitlines()[0])["seq"] == 1
