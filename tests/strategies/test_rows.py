"""A strategy's declared features as rows of named values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actors.messages import Bar
from config.errors import UserError
from strategies.indicators import Indicator, atr, bbands, ema, rsi, sma
from strategies.rows import FeatureRows


class Columns:
    """A chunk of bars by column."""

    def __init__(self, rows: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        self.open, self.high, self.low, self.close, self.volume = (np.ascontiguousarray(c) for c in rows.T)

    def __len__(self) -> int:
        return len(self.close)


def market(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    generator = np.random.default_rng(5)
    close = 100 + np.cumsum(generator.normal(size=count))
    opened = np.roll(close, 1)
    high, low = np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5
    return np.column_stack([opened, high, low, close, generator.uniform(1, 9, count)])


def bars(rows: np.ndarray[Any, np.dtype[np.float64]]) -> list[Bar]:
    return [Bar("X", 60, 0, 60, *map(float, row)) for row in rows]


DECLARED: dict[str, Indicator] = {
    "fast": ema(5),
    "bands": bbands(7, 1.5),
    "range": atr(4),
    "power": rsi(6),
    "v": sma(3, "volume"),
}


def values(row: Any) -> list[float]:
    return [getattr(row, name) for name in row.__struct_fields__]


def test_a_row_has_a_value_for_every_output_under_its_name() -> None:
    rows = FeatureRows(DECLARED)
    row = rows.step(bars(market(1))[0])
    assert row.__struct_fields__ == ("fast", "bands_upper", "bands_middle", "bands_lower", "range", "power", "v")


def test_the_slowest_indicator_decides_the_warm_up() -> None:
    assert FeatureRows(DECLARED).warmup_bars == 6
    assert FeatureRows({}).warmup_bars == 0
    table = market(10)
    rows = FeatureRows(DECLARED)
    complete = [not np.isnan(values(rows.step(bar))).any() for bar in bars(table)]
    assert complete == [False] * 6 + [True] * 4


@pytest.mark.parametrize("chunks", [[200], [1] * 200, [7, 50, 1, 142], [199, 1]])
def test_batches_of_any_length_equal_steps_to_the_bit(chunks: list[int]) -> None:
    table = market(200)
    stepped, batched = FeatureRows(DECLARED), FeatureRows(DECLARED)
    expected = np.array([values(stepped.step(bar)) for bar in bars(table)])
    found: list[list[float]] = []
    start = 0
    for count in chunks:
        found += [values(row) for row in batched.batch(Columns(table[start : start + count]))]
        start += count
    assert np.array_equal(np.array(found).view(np.int64), expected.view(np.int64))
    assert batched.dump() == stepped.dump()


def test_a_strategy_without_features_gets_empty_rows() -> None:
    rows = FeatureRows({})
    assert values(rows.step(bars(market(1))[0])) == []
    assert [values(row) for row in rows.batch(Columns(market(3)))] == [[], [], []]


def test_values_are_plain_floats() -> None:
    rows = FeatureRows({"fast": ema(2)})
    stepped = rows.step(bars(market(1))[0])
    (batched,) = FeatureRows({"fast": ema(1)}).batch(Columns(market(1)))
    assert type(stepped.fast) is type(batched.fast) is float


def test_kernels_survive_a_restart() -> None:
    table = market(60)
    whole = FeatureRows(DECLARED)
    expected = [values(whole.step(bar)) for bar in bars(table)][30:]
    first, second = FeatureRows(DECLARED), FeatureRows(DECLARED)
    for bar in bars(table[:30]):
        first.step(bar)
    second.load(first.dump())
    assert [values(second.step(bar)) for bar in bars(table[30:])] == expected


@pytest.mark.parametrize(
    "declared",
    [
        {"a b": ema(3)},
        {"": ema(3)},
        {"bands": bbands(3), "bands_upper": ema(3)},
    ],
)
def test_names_that_cannot_be_told_apart_are_refused(declared: dict[str, Indicator]) -> None:
    with pytest.raises(UserError, match="names must be identifiers, each used once"):
        FeatureRows(declared)
