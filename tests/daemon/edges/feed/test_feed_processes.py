"""A paper session on the live feed of an exchange in a process of its own: streams, strategies, journal, `kill -9`."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import messages as m
from actors.runtime.journal import FILE_NAME, JournalReader, decode_effects, decode_input
from replay.journal import replay_journal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]
STRATEGY = '''
from pitboss import BookSnapshot, Quote, Strategy, Trade, sma


class Tape(Strategy):
    """Follows trades: long after ten rising prices in twenty, flat otherwise; remembers what it saw."""

    warmup = 2

    def features(self):
        return {"mean": sma(3)}

    def on_start(self):
        self.prices, self.books, self.quotes, self.rows = [], 0, 0, 0

    def on_bar(self, bar, f):
        self.rows += 1
        if not self.position:
            self.buy(0.01, reduce_only=False)

    def on_trade(self, trade: Trade):
        self.prices = [*self.prices[-20:], trade.price]
        if trade.trade_id % 10 == 0:
            self.target(0.02 if self.prices[-1] > self.prices[0] else 0.0)

    def on_book(self, book: BookSnapshot):
        assert book.bids[0][0] < book.asks[0][0]
        self.books += 1

    def on_quote(self, quote: Quote):
        self.quotes += 1


class Carry(Strategy):
    """Is short while the rate is paid by longs, and notes what it hears."""

    def on_start(self):
        self.marks, self.rates = 0, 0

    def on_mark(self, mark):
        self.marks += 1

    def on_funding(self, funding):
        self.rates += 1
        self.target(-0.5 if funding.rate > 0 else 0.5)
'''


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Venue:
    """A loopback exchange in a process of its own, always on the same port and books."""

    def __init__(self, folder: Path, eventually: Any) -> None:
        self.folder = folder / "exchange"
        self.port = free_port()
        self._log = folder / "exchange.log"
        self._eventually = eventually
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, speed: int = 600) -> None:
        ready = self.folder / "ccxt.json"
        inode = ready.stat().st_ino if ready.exists() else None
        command = [sys.executable, "-m", "daemon.cli", "exchange", "--port", str(self.port), "--admin-port", "0"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--state-dir", str(self.folder), "--speed", str(speed), "--seed", "5", *arguments],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self._eventually(lambda: ready.exists() and ready.stat().st_ino != inode, "the exchange is ready")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture
def exchange(tmp_path: Path, start: Any) -> Iterator[Venue]:
    venue = Venue(tmp_path, start.eventually)
    yield venue
    venue.kill()


def inputs(folder: Path) -> list[m.Message]:
    """Return what the journal holds, in order."""
    reader = JournalReader(folder / FILE_NAME)
    try:
        session = reader.session()
        assert session is not None
        return [decode_input(record.payload) for record in reader.records(session.number)]
    finally:
        reader.close()


def decided(folder: Path, kind: type[Any] = m.Message) -> list[Any]:
    """Return the decisions of one kind that the journal holds, in order."""
    reader = JournalReader(folder / FILE_NAME)
    try:
        session = reader.session()
        assert session is not None
        effects = [record.effects for record in reader.records(session.number) if record.effects]
        return [decision for each in effects for decision in decode_effects(each) if isinstance(decision, kind)]
    finally:
        reader.close()


def decisions(folder: Path) -> Counter[str]:
    return Counter(type(decision).__name__ for decision in decided(folder))


def run(start: Any, tmp_path: Path, exchange: Venue, *more: str, strategy: str = "Tape") -> Any:
    path = tmp_path / "tape.py"
    path.write_text(STRATEGY)
    settings = (
        "feed.source=exchange",
        f"exchange.file={exchange.folder / 'ccxt.json'}",
        "exchange.clock=venue",
        "exchange.stall_s=2",
        "exchange.streams=['bars', 'trades', 'book', 'quotes']",
        "supervision.restarts_max=1000",
        *more,
    )
    arguments = [word for setting in settings for word in ("--set", setting)]
    return start(*arguments, tape=(), strategy=f"{path}:{strategy}", speed=None)


def of(kind: type[Any], messages: list[m.Message]) -> list[Any]:
    return [message for message in messages if type(message) is kind]


def test_a_session_with_all_streams_trades_on_them_and_replays_bit_for_bit(
    tmp_path: Path, start: Any, exchange: Venue
) -> None:
    exchange.start()
    daemon = run(start, tmp_path, exchange)
    status = daemon.wait_for(lambda status: status["last_input"]["seq"] > 300 and status["positions"], "it trades")
    rows = {row["stream"]: row for row in status["streams"]}
    assert set(rows) == {"bars", "trades", "book", "quotes"}
    assert all(row["symbol"] == "BTC/USDT" and row["age_s"] < 5 and row["delivered"] for row in rows.values())
    assert all(row["missing"] == 0 for row in rows.values())
    assert {actor["name"] for actor in status["actors"]} >= {"feed", "streams", "ticks"}
    assert daemon.end() == 0

    told = inputs(tmp_path / "state")
    numbers = [trade.trade_id for trade in of(m.Trade, told)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) > 50
    assert of(m.BookSnapshot, told)
    assert of(m.Quote, told)
    assert decisions(tmp_path / "state")["Fill"] >= 1
    summary = replay_journal(tmp_path / "state" / FILE_NAME)
    assert summary.equal, summary.first_difference
    assert summary.inputs == len(told)


def test_history_warms_a_new_session_up_and_is_not_fetched_for_one_that_goes_on(
    tmp_path: Path, start: Any, exchange: Venue, pitboss: Any
) -> None:
    exchange.start()
    exchange.kill()
    exchange.start()  # what was missed is played at once, so that there is a past
    daemon = run(start, tmp_path, exchange)
    daemon.wait_for(lambda status: status["last_input"]["seq"] > 100, "it runs")
    assert daemon.end() == 0
    daemon = run(start, tmp_path, exchange)
    seq = daemon.status()["last_input"]["seq"]
    daemon.wait_for(lambda status: status["last_input"]["seq"] > seq + 50, "it goes on")
    assert daemon.end() == 0

    told = inputs(tmp_path / "state")
    (warm_up,) = of(m.WarmUp, told)
    bars = of(m.Bar, told)
    past = [bar for bar in bars if bar.close_ns <= warm_up.start_ns]
    assert [bar.close_ns for bar in bars] == sorted({bar.close_ns for bar in bars})
    wanted = (warm_up.start_ns - warm_up.first_open_ns) // bars[0].timeframe_ns
    assert wanted == 4, "three for the mean, less one, and two to see"
    assert len(past) <= wanted
    missing = sum(line["count"] for each in start.daemons for line in each.events("history_missing"))
    assert len(past) + missing == wanted
    assert told.index(warm_up) < told.index(bars[0])
    summary = replay_journal(tmp_path / "state" / FILE_NAME)
    assert summary.equal, summary.first_difference
    assert summary.bars == len(bars) - len(past)
    diff = pitboss("journal", "diff", "--state-dir", str(tmp_path / "state"), "--json")
    assert diff.code == 0, diff


@pytest.mark.parametrize("who", ["exchange", "daemon"])
def test_trades_and_bars_survive_a_kill_each_exactly_once(
    tmp_path: Path, start: Any, exchange: Venue, who: str
) -> None:
    exchange.start("--fault", "message_lost=0.02", "--fault", "close=0.005", "--fault", "duplicate=0.05")
    daemon = run(start, tmp_path, exchange, "feed.mailbox_max=16")
    for _ in range(2):
        seq = daemon.wait_for(lambda status: status["last_input"]["seq"] > 50, "it runs")["last_input"]["seq"]
        if who == "exchange":
            exchange.kill()
            exchange.start()
        else:
            daemon.kill()
            daemon = run(start, tmp_path, exchange, "feed.mailbox_max=16")
        daemon.wait_for(lambda status, seq=seq: status["last_input"]["seq"] > seq + 100, "it goes on")
    daemon.wait_for(lambda _: len(of(m.Trade, inputs(tmp_path / "state"))) > 100, "trades enough")
    assert daemon.end() == 0

    told = inputs(tmp_path / "state")
    numbers = [trade.trade_id for trade in of(m.Trade, told)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "every trade once and in order"
    (start_ns,) = (each.start_ns for each in of(m.WarmUp, told))
    opens = [bar.open_ns for bar in of(m.Bar, told) if bar.open_ns >= start_ns]
    assert opens == [opens[0] + index * 60_000_000_000 for index in range(len(opens))], "and every bar"
    books = of(m.BookSnapshot, told)
    assert all(book.bids[0][0] < book.asks[0][0] for book in books if book.bids and book.asks)
    summary = replay_journal(tmp_path / "state" / FILE_NAME)
    assert summary.equal, summary.first_difference


def test_a_perpetual_on_paper_is_paid_its_funding_and_replays_bit_for_bit(
    tmp_path: Path, start: Any, exchange: Venue
) -> None:
    """Eight hours of the exchange pass in five seconds."""
    exchange.start(speed=6_000)
    daemon = run(
        start,
        tmp_path,
        exchange,
        "exchange.id=binanceusdm",
        "exchange.symbols=['BTC/USDT:USDT']",
        "exchange.streams=['bars', 'trades', 'book', 'quotes', 'mark', 'funding']",
        strategy="Carry",
    )
    folder = tmp_path / "state"
    daemon.wait_for(lambda _: decisions(folder)["FundingShared"] >= 2, "funding is paid twice")
    rows = {row["stream"]: row for row in daemon.status()["streams"]}
    assert set(rows) == {"bars", "trades", "book", "quotes", "mark", "funding"}
    assert all(row["delivered"] for row in rows.values())
    assert daemon.end() == 0

    told = inputs(folder)
    numbers = [trade.trade_id for trade in of(m.Trade, told)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert of(m.Mark, told)
    hours = {funding.next_ns for funding in of(m.Funding, told)}
    assert len(hours) >= 2
    made = decided(folder, m.FundingShared)
    assert {paid.paid_ns for paid in made} <= hours
    assert all(paid.amount_atoms > 0 for paid in made), "shorts are paid at a positive rate"
    assert len({paid.paid_ns for paid in made}) == len(made), "once for each time"
    summary = replay_journal(folder / FILE_NAME)
    assert summary.equal, summary.first_difference
