"""A strategy's declared features as rows of named values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from actors.features import SeriesKey
from actors.messages import Bar
from config.errors import UserError
from strategies.features.graph import FeatureGraph
from strategies.features.rows import FeatureRows
from strategies.indicators import Expression, atr, bbands, close, crossed_above, ema, rsi, sma, where

MINUTE = 60_000_000_000
X = SeriesKey("X", MINUTE)


class Columns:
    """A chunk of bars by column."""

    def __init__(self, rows: np.ndarray[Any, np.dtype[np.float64]], first: int = 0) -> None:
        self.open, self.high, self.low, self.close, self.volume = (np.ascontiguousarray(c) for c in rows.T)
        self.open_ns = (np.arange(len(rows)) + first) * MINUTE

    def __len__(self) -> int:
        return len(self.close)


def market(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    generator = np.random.default_rng(5)
    close = 100 + np.cumsum(generator.normal(size=count))
    opened = np.roll(close, 1)
    high, low = np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5
    return np.column_stack([opened, high, low, close, generator.uniform(1, 9, count)])


def bars(rows: np.ndarray[Any, np.dtype[np.float64]], first: int = 0) -> list[Bar]:
    return [
        Bar("X", MINUTE, (first + at) * MINUTE, (first + at + 1) * MINUTE, *map(float, row))
        for at, row in enumerate(rows)
    ]


def declare(declared: Mapping[str, Expression]) -> tuple[FeatureRows, FeatureGraph]:
    graph = FeatureGraph({"X": MINUTE})
    return FeatureRows(declared, graph, X), graph


DECLARED: dict[str, Expression] = {
    "fast": ema(5),
    "bands": bbands(7, 1.5),
    "range": atr(4),
    "power": rsi(6),
    "v": sma(3, "volume"),
    "spread": (ema(5) - ema(9)) / atr(4),
    "over": ema(4, rsi(6)),
    "crossed": crossed_above(ema(5), ema(9)),
    "state": (rsi(6) > 50) & ~(close < ema(9)) | (close >= bbands(7, 1.5)["upper"]),
    "picked": where(close > ema(9), 1, -close),
    "before": ema(5).lag(3) * 2,
}


def values(row: Any) -> list[float]:
    return [getattr(row, name) for name in row.__struct_fields__]


def told(rows: FeatureRows, table: np.ndarray[Any, np.dtype[np.float64]], first: int = 0) -> list[list[float] | None]:
    return [None if row is None else values(row) for row in map(rows.step, bars(table, first))]


def test_a_row_has_a_value_for_every_output_under_its_name() -> None:
    rows, _ = declare({"fast": ema(5), "bands": bbands(7)})
    assert rows.names == ("fast", "bands_upper", "bands_middle", "bands_lower")


def test_there_is_no_row_before_every_feature_has_had_a_value() -> None:
    rows, _ = declare(DECLARED)
    complete = [row is not None for row in told(rows, market(20))]
    first = complete.index(True)
    assert first == 9, "an average of four of an index that begins with the seventh bar"
    assert complete == [False] * first + [True] * (20 - first)
    assert rows.history == {X: 9}
    nothing, _ = declare({})
    assert told(nothing, market(1)) == [[]]


@pytest.mark.parametrize("chunks", [[200], [1] * 200, [7, 50, 1, 142], [199, 1]])
def test_batches_of_any_length_equal_steps_to_the_bit(chunks: list[int]) -> None:
    table = market(200)
    (stepped, graph), (batched, other) = declare(DECLARED), declare(DECLARED)
    assert batched.by_chunks
    expected = told(stepped, table)
    found: list[list[float] | None] = []
    start = 0
    for count in chunks:
        cold, made = batched.batch(Columns(table[start : start + count], start))
        listed = list(made)
        assert [row is None for row in listed] == [True] * cold + [False] * (count - cold)
        found += [None if row is None else values(row) for row in listed]
        start += count
    assert [row is None for row in found] == [row is None for row in expected]
    one, two = (np.array([row for row in listed if row is not None]).view(np.int64) for listed in (found, expected))
    assert np.array_equal(one, two)
    assert other.dump() == graph.dump()
    assert told(batched, market(3), 200) == told(stepped, market(3), 200)


def test_a_strategy_without_features_gets_empty_rows() -> None:
    rows, _ = declare({})
    cold, made = rows.batch(Columns(market(3)))
    assert (cold, [values(row) for row in made]) == (0, [[], [], []])


def test_values_are_plain_floats() -> None:
    stepped = declare({"fast": ema(1), "above": close > 5})[0].step(bars(market(1))[0])
    _, (batched,) = declare({"fast": ema(1), "above": close > 5})[0].batch(Columns(market(1)))
    for row in (stepped, batched):
        assert {type(row.fast), type(row.above)} == {float}
    assert stepped == type(stepped)(*values(batched))


def test_everything_survives_a_restart() -> None:
    table = market(60)
    expected = told(declare(DECLARED)[0], table)[30:]
    first, before = declare(DECLARED)
    told(first, table[:30])
    second, after = declare(DECLARED)
    after.load(before.dump())
    second.warm = first.warm
    assert told(second, table[30:], 30) == expected


@pytest.mark.parametrize(
    "declared",
    [
        {"a b": ema(3)},
        {"": ema(3)},
        {"bands": bbands(3), "bands_upper": ema(3)},
    ],
)
def test_names_that_cannot_be_told_apart_are_refused(declared: dict[str, Expression]) -> None:
    with pytest.raises(UserError, match="names must be identifiers, each used once"):
        declare(declared)
