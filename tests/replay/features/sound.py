"""A strategy with nothing wrong, in a file as a user would write it."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from pitboss import Strategy, ta
from strategies.indicators import Column, custom

WEIGHTS = np.random.default_rng(1).normal(size=1_600)
RAMP = list(range(3_000))
RARE = {float(minute): float(minute % 97 == 0) for minute in range(5_000)}
"""Numbers that have nothing to do with any tape."""


class Clean(Strategy):
    """Has averages that fade, a step function with a memory, a longer timeframe and a state of its own."""

    timeframe = "5m"

    def features(self) -> dict[str, Any]:
        def fading(state: Any, close: float) -> float:
            state[0] = close if not state[1] else state[0] + 0.2 * (close - state[0])
            state[1] = 1.0
            return float(state[0])

        fast, slow = ta.ema(9), ta.ema(21)
        return {
            "fast": fast,
            "apart": (fast - slow) / ta.atr(14),
            "up": ta.crossed_above(fast, slow),
            "hour": ta.rsi(5).on("1h"),
            "own": custom(fading, slots=2),
            "since": ta.bars_since(ta.rsi(14) > 60),
            "noon": custom(lambda _, when: float(when % 86_400 < 43_200), sources=("time",)),
            "last": Column("close").lag(3),
        }

    def on_start(self) -> None:
        self.closes: deque[float] = deque(maxlen=50)

    def on_bar(self, bar: Any, f: Any, /) -> None:
        self.closes.append(bar.close)
        self.target(1 if f.apart > 0 and bar.close > min(self.closes) else 0)
