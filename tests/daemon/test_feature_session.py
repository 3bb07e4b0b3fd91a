"""A session whose features read longer bars, another symbol and values from outside, killed and recovered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

BARS = 3_000
FIRST_MS = 1_700_006_400_000
MINUTE_MS = 60_000
STRATEGY = '''
"""Decides on quarters of an hour by what the hours, the other symbol and a score say."""

from pitboss import Strategy, ta


def fading(state, close):
    state[0] = close if state[0] == 0 else state[0] + 0.3 * (close - state[0])
    return state[0]


class Wide(Strategy):
    timeframe = "15m"

    def features(self):
        ratio = ta.close / ta.close.on(symbol="Y/USD")
        return {
            "hour": ta.ema(3).on("1h"),
            "other_hour": ta.rsi(3).on("1h", symbol="Y/USD"),
            "ratio": ratio - ta.sma(8, ratio),
            "score": ta.external("score"),
            "paid": ta.Column("funding"),
            "own": ta.custom(fading, slots=1),
        }

    def on_bar(self, bar, f):
        wish = (f.score - 50) / 100 + (0.5 if f.other_hour > 50 else -0.5) + (0.5 if bar.close > f.hour else -0.5)
        self.target(round(wish + 100 * f.ratio + 1000 * f.paid + (0.1 if f.own > bar.close else 0), 2))
'''


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[list[str], list[str]]:
    """Return two tapes with holes, a score that is published late, and funding of the first."""
    generator = np.random.default_rng(3)
    tapes: list[str] = []
    for name, price in (("X", 100.0), ("Y", 50.0)):
        closes = price + np.cumsum(generator.integers(-3, 4, BARS)) / 100
        opens = np.append(price, closes[:-1])
        lines = ["ts,open,high,low,close,volume"]
        for row, (first, last) in enumerate(zip(opens, closes, strict=True)):
            if generator.random() > 0.02:
                high, low = max(first, last) + 0.02, min(first, last) - 0.02
                lines.append(f"{FIRST_MS + row * MINUTE_MS},{first:.2f},{high:.2f},{low:.2f},{last:.2f},{row % 50 + 1}")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
        tapes += ["--tape", f"{name}/USD={tmp_path / f'{name}.csv'}"]
    times = sorted(set((FIRST_MS + generator.integers(0, BARS * MINUTE_MS, 500)).tolist()))
    (tmp_path / "score.csv").write_text("ts,value\n" + "".join(f"{ts},{ts % 97}\n" for ts in times))
    paid = range(FIRST_MS, FIRST_MS + BARS * MINUTE_MS, 60 * MINUTE_MS)
    (tmp_path / "funding.csv").write_text(
        "ts,rate\n" + "".join(f"{ts},{(ts // 3_600_000 % 7 - 3) / 1e5}\n" for ts in paid)
    )
    series = ["--series", f"score={tmp_path / 'score.csv'},delay=2m", "--series", f"X/USD={tmp_path / 'funding.csv'}"]
    return tapes, series


def test_a_replay_a_run_and_a_killed_run_decide_the_same_by_features_of_several_series(
    start: Nursery, invoke: Callable[..., Run], tmp_path: Path, arguments: tuple[list[str], list[str]]
) -> None:
    tape, series = arguments
    (tmp_path / "wide.py").write_text(STRATEGY)
    strategy = f"{tmp_path / 'wide.py'}:Wide"
    replayed = invoke("replay", *tape, *series, "-s", strategy, "--json").json
    assert replayed["fills"] > 100
    state = ("--set", "journal.snapshot_inputs=700")
    whole = start(
        "--exit-at-end", *state, *series, tape=tape, strategy=strategy, speed=0, ready=False,
        state_dir=tmp_path / "whole",
    )  # fmt: skip
    killed = start("--exit-at-end", *state, *series, tape=tape, strategy=strategy, speed=60_000)
    killed.wait_for(lambda status: status["last_input"]["seq"] > 2_100, "a third of the tape")
    killed.kill()
    recovered = start("--exit-at-end", *state, *series, tape=tape, strategy=strategy, speed=0, ready=False)
    assert (whole.wait(), recovered.wait()) == (0, 0)
    assert recovered.snapshot()["run"] == 2
    assert whole.snapshot()["digest"] == recovered.snapshot()["digest"] == replayed["digest"]
    assert recovered.replayed().equal

    refused = invoke("replay", *tape, *series[2:], "-s", strategy).refusal
    assert refused.endswith(
        'strategy Wide: feature score: there is no series "score": give it with --series score=FILE'
    )
    refused = invoke("replay", *tape, *series[:2], "-s", strategy).refusal
    assert "feature paid: nothing tells funding of X/USD: give it with --series X/USD=FILE" in refused
