"""Strategies with something wrong in each, in a file as a user would write it."""

from __future__ import annotations

import random
import time
from collections import deque
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numba import njit

from pitboss import Strategy, ta
from strategies.indicators import custom

ROWS = [tuple(map(float, line.split(","))) for line in Path(__file__).with_name("tape.csv").read_text().split()[1:]]
TIMES = [row[0] / 1_000 for row in ROWS]
CLOSES = np.array([row[4] for row in ROWS])
RISES = {when: float(later > now) for when, now, later in zip(TIMES, CLOSES, CLOSES[1:], strict=False)}
"""By when a bar opens, whether the next one closes higher."""
COUNTED: list[int] = []
SEEN: dict[int, float] = {}


class NextClose(Strategy):
    """Reads the bar after from a list it closes over."""

    def features(self) -> dict[str, Any]:
        prices = [row[4] for row in ROWS]

        def ahead(state: Any, close: float) -> float:
            state[0] += 1
            return prices[min(int(state[0]), len(prices) - 1)] / close

        return {"mean": ta.sma(5), "ahead": custom(ahead, slots=1)}


@njit
def compiled_ahead(state: Any, close: float) -> float:
    """Give the change to the bar after, from a global array."""
    state[0] += 1
    return CLOSES[min(int(state[0]), len(CLOSES) - 1)] - close


class CompiledAhead(Strategy):
    """The same, compiled."""

    def features(self) -> dict[str, Any]:
        return {"ahead": custom(compiled_ahead, slots=1), "mean": ta.sma(5)}


class ByDate(Strategy):
    """Looks up what will be, by the date."""

    def features(self) -> dict[str, Any]:
        return {"mean": ta.sma(5), "rises": custom(lambda _, when: RISES.get(when, 0.0), sources=("time",))}


class WallClock(Strategy):
    """Reads the clock of the machine."""

    def features(self) -> dict[str, Any]:
        return {"mean": ta.sma(5), "noisy": custom(lambda _, close: close + time.time() % 1e-3)}


class SlowClock(Strategy):
    """Reads a clock that stands still from one run to the next."""

    def features(self) -> dict[str, Any]:
        return {"mean": ta.sma(5), "day": custom(lambda _, close: close + time.localtime().tm_yday)}


class Chance(Strategy):
    """Draws a number."""

    def features(self) -> dict[str, Any]:
        return {"mean": ta.sma(5), "noisy": custom(lambda _, close: close * random.random())}


class Counter(Strategy):
    """Counts bars in its module, over all sessions."""

    def features(self) -> dict[str, Any]:
        def count(_: Any, close: float) -> float:
            COUNTED.append(1)
            return close + len(COUNTED)

        return {"mean": ta.sma(5), "counted": custom(count)}


class Forgetful(Strategy):
    """Keeps the last price where no snapshot finds it."""

    def features(self) -> dict[str, Any]:
        memory = {"last": 0.0}

        def change(_: Any, close: float) -> float:
            before, memory["last"] = memory["last"], close
            return close - before

        return {"mean": ta.sma(5), "change": custom(change, warmup=1)}


class Normalised(Strategy):
    """Knows how every price stands to all of them."""

    def features(self) -> dict[str, Any]:
        scores = ((CLOSES - CLOSES.mean()) / CLOSES.std()).tolist()

        def score(state: Any, _: float) -> float:
            state[0] += 1
            return float(scores[int(state[0]) - 1])

        return {"mean": ta.sma(5), "score": custom(score, slots=1)}


class Sides(Strategy):
    """Knows the side to be on at every price."""

    sides: ClassVar[dict[float, float]] = dict(zip(TIMES, np.sign(np.diff(CLOSES, append=0.0)).tolist(), strict=True))

    def on_bar(self, bar: Any, _: Any, /) -> None:
        self.target(self.sides.get(bar.open_ns / 1e9, 0.0))


class ByBar(Strategy):
    """Knows every bar of the tape when it comes."""

    table: ClassVar[dict[tuple[float, ...], bool]] = {row[1:5]: after[4] > row[4] for row, after in pairwise(ROWS)}

    def on_bar(self, bar: Any, _: Any, /) -> None:
        self.target(float(self.table.get((bar.open, bar.high, bar.low, bar.close), False)))


class SumOfAll(Strategy):
    """Sums up from the first bar on."""

    def features(self) -> dict[str, Any]:
        def total(state: Any, volume: float) -> float:
            state[0] += volume
            return float(state[0])

        return {"mean": ta.sma(5), "total": custom(total, sources=("volume",), slots=1)}


class HalfWindow(Strategy):
    """Tells the mean of a window before the window is full."""

    def features(self) -> dict[str, Any]:
        def mean(state: Any, close: float) -> float:
            state[1:] = np.append(state[2:], close)
            state[0] = min(state[0] + 1, 30)
            return float(state[-int(state[0]) :].sum() / state[0])

        return {"half": custom(mean, slots=31, warmup=3), "mean": ta.sma(5)}


class NoValue(Strategy):
    """Fails on every bar."""

    def features(self) -> dict[str, Any]:
        return {"mean": ta.sma(5), "broken": custom(lambda _, close: close / 0)}


class KnowsTheTape(Strategy):
    """Has the tape in its module, and trades on what comes next."""

    prices: ClassVar[deque[float]] = deque(CLOSES.tolist())

    def on_start(self) -> None:
        self.bars = 0

    def on_bar(self, bar: Any, _: Any, /) -> None:
        self.bars += 1
        self.target(1 if self.prices[min(self.bars, len(self.prices) - 1)] > bar.close else 0)


class Precomputes(Strategy):
    """Keeps what one session saw for the next."""

    def on_bar(self, bar: Any, _: Any, /) -> None:
        SEEN[bar.open_ns] = bar.close
        self.target(1 if SEEN.get(bar.open_ns + bar.timeframe_ns, 0.0) > bar.close else 0)


class Dice(Strategy):
    """Trades by chance."""

    def on_bar(self, _: Any, __: Any, /) -> None:
        self.target(random.choice([0, 1]))


class Calendar(Strategy):
    """Trades on what it looks up by date: a note, for it may be a calendar."""

    def on_bar(self, bar: Any, _: Any, /) -> None:
        self.target(RISES.get(bar.open_ns / 1e9, 0.0))
