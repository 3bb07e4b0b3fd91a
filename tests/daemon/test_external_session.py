"""A session with values from outside: as a replay, as a run, and killed in the middle and recovered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors import messages as m
from actors.runtime.journal import FILE_NAME, JournalReader, decode_input
from replay.tape import synthetic_tape

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

BARS = 3_000
MINUTE_MS = 60_000
STRATEGY = '''
"""Follows a score, and gets out when funding turns against it."""

from pitboss import Strategy


class Follower(Strategy):
    def on_start(self):
        self.score = 50.0

    def on_bar(self, bar, f):
        if bar.close > bar.open:
            self.buy(0.1, limit=bar.low)

    def on_external(self, external):
        self.score = external.value
        self.target((self.score - 50) / 50)

    def on_funding(self, funding):
        if funding.rate * self.position > 0:
            self.target(0)
'''


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Return a tape of 3,000 bars, a score that is published late, and the funding of its market."""
    series = synthetic_tape(f"7:{BARS}").series[0]
    generator = np.random.default_rng(3)
    first_ms = series.first_open_ns // 1_000_000
    score, funding = tmp_path / "score.csv", tmp_path / "funding.csv"
    score_ms = first_ms + np.sort(generator.integers(-5_000, BARS * MINUTE_MS, 900))
    rows = dict(zip(score_ms.tolist(), generator.integers(0, 100, 900).tolist(), strict=True))
    score.write_text("ts,value\n" + "".join(f"{ts},{value}\n" for ts, value in rows.items()))
    paid_ms = range(first_ms, first_ms + BARS * MINUTE_MS, 60 * MINUTE_MS)
    rates = zip(paid_ms, _rates(generator), strict=True)
    funding.write_text("ts,rate\n" + "".join(f"{ts},{rate}\n" for ts, rate in rates))
    return ["--series", f"score={score},delay=2m", "--series", f"{series.symbol}={funding}"]


def _rates(generator: np.random.Generator) -> list[str]:
    return [f"{rate:.6f}" for rate in generator.normal(0, 0.001, BARS // 60)]


def test_a_replay_a_run_and_a_killed_run_decide_the_same(
    start: Nursery, invoke: Callable[..., Run], tmp_path: Path, arguments: list[str]
) -> None:
    file = tmp_path / "follower.py"
    file.write_text(STRATEGY)
    tape, strategy = ["--synthetic", f"7:{BARS}"], f"{file}:Follower"
    replayed = invoke("replay", *tape, *arguments, "-s", strategy, "--json").json
    assert replayed["fills"] > 500
    assert any("series score: 9" in note or "series score: 8" in note for note in replayed["notes"])
    state = ("--set", "journal.snapshot_inputs=700")

    whole = start(
        "--exit-at-end", *state, *arguments, tape=tape, strategy=strategy, speed=0, ready=False,
        state_dir=tmp_path / "whole",
    )  # fmt: skip
    killed = start("--exit-at-end", *state, *arguments, tape=tape, strategy=strategy, speed=30_000)
    killed.wait_for(lambda status: status["last_input"]["seq"] > 1_100, "a third of the tape")
    killed.kill()
    recovered = start("--exit-at-end", *state, *arguments, tape=tape, strategy=strategy, speed=0, ready=False)

    assert (whole.wait(), recovered.wait()) == (0, 0)
    assert recovered.snapshot()["run"] == 2
    assert whole.snapshot()["digest"] == recovered.snapshot()["digest"] == replayed["digest"]
    assert recovered.replayed().equal
    kinds = _inputs(recovered.state_dir)
    assert kinds == _inputs(tmp_path / "whole")
    assert {m.Bar, m.External, m.Funding, m.TimerFired} <= set(kinds)


def _inputs(state_dir: Path) -> list[type[m.Message]]:
    reader = JournalReader(state_dir / FILE_NAME)
    try:
        session = reader.session()
        assert session is not None
        return [type(decode_input(record.payload)) for record in reader.records(session.number)]
    finally:
        reader.close()


def test_an_open_session_is_not_continued_with_another_series(
    start: Nursery, invoke: Callable[..., Run], tmp_path: Path, arguments: list[str]
) -> None:
    tape = ["--synthetic", f"7:{BARS}"]
    first = start(*arguments, tape=tape, speed=60_000)
    first.wait_for(lambda status: status["last_input"]["seq"] > 100, "a beginning")
    first.kill()
    refused = invoke("run", "--state-dir", str(first.state_dir), *tape, "--speed", "0", *arguments[:2])
    assert "the tape differs" in refused.refusal
    shifted = [arguments[1].replace("delay=2m", "delay=3m"), *arguments[2:]]
    refused = invoke("run", "--state-dir", str(first.state_dir), *tape, "--speed", "0", "--series", *shifted)
    assert "the tape differs" in refused.refusal
