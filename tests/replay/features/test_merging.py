"""What a row knows of a longer timeframe: the bar that closed with it, and not one nanosecond more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from config.load import check_settings
from replay.features.frame import FeatureFrame
from replay.plan import build_core, plan_session
from replay.run import register_class
from strategies.base import Strategy
from strategies.indicators import Column, Expression, close, ema, sma

MINUTE = 60_000_000_000
QUARTER, HOUR = 15 * MINUTE, 60 * MINUTE


class Wide(Strategy):
    """Reads what it does not trade."""

    timeframe = "15m"
    warmup = 4

    def features(self) -> Mapping[str, Expression]:
        return {
            "a": sma(20),
            "hour": ema(10).on("1h"),
            "other": sma(7).on("4h", symbol="Y/USD"),
            "now": close.on(symbol="Y/USD"),
        }


def test_a_quarter_knows_the_hour_that_closed_with_it_and_nothing_later(walk: Any, tape_of: Any) -> None:
    table = walk(3, 600)
    frame = FeatureFrame({"hour": close.on("1h"), "began": Column("time").on("1h")}, tape_of(table), "X/USD", QUARTER)
    (block,) = frame.blocks()
    closes = dict(zip((table["ts"] * 1_000_000 + MINUTE).tolist(), table["close"].tolist(), strict=True))
    for open_ns, hour, began in zip(block.opens_ns, block.values["hour"], block.values["began"], strict=True):
        close_ns = int(open_ns) + QUARTER
        ended_ns = close_ns - close_ns % HOUR
        if ended_ns - HOUR < block.opens_ns[0]:
            assert np.isnan(hour)
            continue
        assert began == (ended_ns - HOUR) / 1e9
        assert hour == closes[ended_ns], "an hour is known from its end on: at that very close, not before"


def test_history_reaches_as_far_as_the_longest_of_all_series_that_are_read(
    walk: Any, tape_of: Any, joined: Any
) -> None:
    tape = joined(tape_of(walk(1, 50), "X/USD"), tape_of(walk(2, 50), "Y/USD"))
    settings = check_settings({"strategies": [{"use": register_class(Wide)}]}, "test")
    history = build_core(plan_session(settings, tape)).history()
    assert history["X/USD"].bars == max((19 + 4 + 1) * 15, (9 + 1) * 60), "an hour more, for the first may be cut"
    assert history["Y/USD"].bars == (6 + 1) * 240
    assert history["Y/USD"].strategies == ("Wide",)
