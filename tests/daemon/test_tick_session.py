"""A session over ticks: as a replay, as a run, and killed in the middle and recovered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from actors import messages as m
from actors.runtime.journal import FILE_NAME, JournalReader, decode_input

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

STRATEGY = '''
"""Decides on bars and between them, and keeps orders of every kind at work."""

from pitboss import Strategy


class Scalper(Strategy):
    def on_start(self):
        self.count = 0
        self.set_timer("beat", 7)

    def on_bar(self, bar, f):
        self.target(0.5 if bar.close > bar.open else -0.5)
        self.buy(0.2, limit=bar.low)

    def on_trade(self, trade):
        self.count += 1
        if self.count % 17 == 0:
            self.sell(0.3, limit=round(trade.price + 0.02, 2), post_only=True)
        if self.count % 41 == 0:
            self.buy(0.4, stop=round(trade.price + 0.03, 2))

    def on_quote(self, quote):
        if self.count % 23 == 0:
            self.buy(0.1, limit=quote.ask, time_in_force="ioc")

    def on_fill(self, fill):
        if self.position > 3:
            self.target(0)

    def on_timer(self, name):
        self.set_timer("beat", 7)
        self.sell(0.1)
'''


@pytest.fixture
def tape(tmp_path: Path) -> list[str]:
    """Return the arguments of a tape of 3,000 trades and 3,000 quotes, in ten minutes."""
    generator = np.random.default_rng(5)
    count = 3_000
    times = 1_700_000_040_000 + np.sort(generator.integers(0, 600_000, count))
    cents = 10_000 + np.cumsum(generator.integers(-1, 2, count))
    sides = generator.choice([1, -1], count)
    trades, quotes = tmp_path / "trades.parquet", tmp_path / "quotes.parquet"
    pl.DataFrame(
        {
            "ts": times,
            "price": (cents + (sides > 0)) / 100,
            "quantity": generator.integers(1, 20, count) / 10,
            "side": sides,
            "id": np.arange(1, count + 1),
        }
    ).write_parquet(trades)
    sizes = generator.integers(1, 30, (2, count)) / 10
    pl.DataFrame(
        {
            "ts": times,
            "bid": cents / 100,
            "bid_quantity": sizes[0],
            "ask": (cents + 1) / 100,
            "ask_quantity": sizes[1],
        }
    ).write_parquet(quotes)
    return ["--tape", f"X/USD={trades}", "--tape", f"X/USD={quotes}", "--set", "venue.latency_ms=150"]


def test_a_replay_a_run_and_a_killed_run_decide_the_same(
    start: Nursery, invoke: Callable[..., Run], tmp_path: Path, tape: list[str]
) -> None:
    file = tmp_path / "scalper.py"
    file.write_text(STRATEGY)
    strategy = f"{file}:Scalper"
    replayed = invoke("replay", *tape, "-s", strategy, "--json").json
    assert replayed["fills"] > 200
    state = ("--set", "journal.snapshot_inputs=700")

    whole = start(
        "--exit-at-end", *state, tape=tape, strategy=strategy, speed=0, ready=False, state_dir=tmp_path / "whole"
    )
    killed = start("--exit-at-end", *state, tape=tape, strategy=strategy, speed=100)
    killed.wait_for(lambda status: status["last_input"]["seq"] > 2_000, "a third of the tape")
    killed.kill()
    recovered = start("--exit-at-end", *state, tape=tape, strategy=strategy, speed=0, ready=False)

    assert (whole.wait(), recovered.wait()) == (0, 0)
    assert recovered.snapshot()["run"] == 2
    assert whole.snapshot()["digest"] == recovered.snapshot()["digest"] == replayed["digest"]
    assert recovered.replayed().equal


def test_the_journal_of_a_killed_run_holds_every_input_once(start: Nursery, tape: list[str]) -> None:
    killed = start(*tape, tape=(), speed=50)
    killed.wait_for(lambda status: status["last_input"]["seq"] > 1_000, "some of the tape")
    killed.kill()
    recovered = start("--exit-at-end", *tape, tape=(), speed=0, ready=False)

    assert recovered.wait() == 0
    reader = JournalReader(recovered.state_dir / FILE_NAME)
    (session,) = reader.sessions()
    inputs = [decode_input(record.payload) for record in reader.records(session.number)]
    reader.close()
    trades = [each.trade_id for each in inputs if isinstance(each, m.Trade)]
    bars = [each.open_ns for each in inputs if isinstance(each, m.Bar)]
    assert trades == list(range(1, 3_001))
    assert sum(isinstance(each, m.Quote) for each in inputs) == 3_000
    assert bars == sorted(set(bars))
    assert len(bars) in {9, 10}
