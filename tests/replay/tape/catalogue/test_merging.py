"""Whatever comes in whatever order: the series is what a dictionary, or a bag, would have made of it."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.tape.catalogue import Catalogue, ConflictError, Provenance, SeriesKey

if TYPE_CHECKING:
    from replay.tape.catalogue import OnConflict

MINUTE = 60_000_000_000
START = 1_706_745_540_000_000_000
"""2024-01-31 23:59 UTC: the second minute is in another month."""
BARS = SeriesKey("bars", "venue", "BTCUSDT", MINUTE)
TRADES = SeriesKey("trades", "venue", "BTCUSDT")
FILE = Provenance("file.csv")

imports = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 1.0, 1.0, 2.0])), min_size=1, max_size=8),
    min_size=1,
    max_size=4,
)
"""Several imports of (minute, price)."""
examples = settings(max_examples=25, deadline=None)


def bars(rows: list[tuple[int, float]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"ts": pl.Int64, "open": pl.Float64}, orient="row")
    price = pl.col("open")
    return frame.with_columns(ts=START + MINUTE * pl.col("ts"), high=price, low=price, close=price, volume=pl.lit(1.0))


def trades(rows: list[tuple[int, float]], ids: list[int] | None = None) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"ts": pl.Int64, "price": pl.Float64}, orient="row")
    frame = frame.with_columns(ts=START + MINUTE * pl.col("ts"), quantity=pl.lit(1.0), side=pl.lit(0, pl.Int8))
    return frame if ids is None else frame.with_columns(id=pl.Series(ids, dtype=pl.Int64))


def split(frame: pl.DataFrame, rows: int) -> list[pl.DataFrame]:
    return [frame.slice(start, rows) for start in range(0, frame.height, rows)]


def content(catalogue: Catalogue, key: SeriesKey) -> list[tuple[int, float]]:
    price = "open" if key.kind == "bars" else "price"
    rows = catalogue.scan(key).select((pl.col("ts") - START) // MINUTE, price).collect().rows()
    return [(int(minute), float(value)) for minute, value in rows]


@pytest.mark.slow
@examples
@given(imports, st.sampled_from(["keep", "replace"]), st.integers(1, 4), st.sampled_from([0, 3, 1_000]))
def test_rows_of_one_time_are_one_row(
    brought: list[list[tuple[int, float]]], on_conflict: OnConflict, block: int, pending: int
) -> None:
    expected: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder, patch("replay.tape.catalogue.spill.PENDING_ROWS_MAX", pending):
        catalogue = Catalogue(Path(folder))
        for rows in brought:
            before, differ = dict(expected), False
            for minute, price in rows:
                differ |= expected.get(minute, price) != price
                if on_conflict == "replace" or minute not in expected:
                    expected[minute] = price
            report = catalogue.write(BARS, split(bars(rows), block), FILE, on_conflict)
            assert content(catalogue, BARS) == sorted(expected.items())
            assert report.rows_new == len(expected) - len(before)
            assert report.changed == (expected != before)
            assert (report.conflicts > 0) == differ or len(rows) > len(dict(rows))
            assert report.rows_read == len(rows)
            assert catalogue.damaged(report.manifest) == []
            again = catalogue.write(BARS, [bars(sorted(expected.items()))], FILE)
            assert not again.changed


@pytest.mark.slow
@examples
@given(imports, st.integers(1, 4), st.sampled_from([0, 3, 1_000]))
def test_an_import_with_a_difference_is_refused_whole(
    brought: list[list[tuple[int, float]]], block: int, pending: int
) -> None:
    expected: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder, patch("replay.tape.catalogue.spill.PENDING_ROWS_MAX", pending):
        catalogue = Catalogue(Path(folder))
        for rows in brought:
            if len(set(rows) | set(expected.items())) == len(dict(rows) | expected):
                expected |= dict(rows)
                catalogue.write(BARS, split(bars(rows), block), FILE)
            else:
                with pytest.raises(ConflictError):
                    catalogue.write(BARS, split(bars(rows), block), FILE)
            if expected:
                assert content(catalogue, BARS) == sorted(expected.items())
            else:
                assert catalogue.series() == []


@pytest.mark.slow
@examples
@given(imports, st.integers(1, 4), st.sampled_from([0, 3, 1_000]))
def test_trades_without_ids_are_as_many_as_the_import_that_had_most(
    brought: list[list[tuple[int, float]]], block: int, pending: int
) -> None:
    expected: Counter[tuple[int, float]] = Counter()
    with tempfile.TemporaryDirectory() as folder, patch("replay.tape.catalogue.spill.PENDING_ROWS_MAX", pending):
        catalogue = Catalogue(Path(folder))
        for rows in brought:
            expected |= Counter(rows)
            catalogue.write(TRADES, split(trades(rows), block), FILE)
            found = content(catalogue, TRADES)
            assert Counter(found) == expected
            assert [minute for minute, _ in found] == sorted(minute for minute, _ in found)


@pytest.mark.slow
@examples
@given(st.lists(st.sets(st.integers(0, 30), min_size=1), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_trades_with_ids_are_a_set_in_the_order_of_time_and_id(brought: list[set[int]], random: object) -> None:
    expected: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Catalogue(Path(folder))
        for numbers in brought:
            expected |= numbers
            ids = sorted(numbers)
            random.shuffle(ids)  # type: ignore[attr-defined]
            catalogue.write(TRADES, [trades([(number // 7, float(number)) for number in ids], ids)], FILE)
            assert catalogue.scan(TRADES).collect().get_column("id").to_list() == sorted(expected)
