"""Small sound tables of bars, ways to write them down, and the recorded data next door."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Table = dict[str, Any]

NAMES = ("ts", "open", "high", "low", "close", "volume")
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of recorded market data, or skip the test."""
    folder = Path(os.environ.get("PITBOSS_SHARED_DATA", REPOSITORY / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded data at {folder} (set PITBOSS_SHARED_DATA)")
    return folder


@pytest.fixture
def listed(shared_data: Path) -> Callable[[], dict[str, tuple[int, str]]]:
    """Return a reader of what the list of the recorded data says of each file: its rows, and its defects in words."""

    def read() -> dict[str, tuple[int, str]]:
        said = {}
        for line in (shared_data / "README.md").read_text().splitlines():
            row = re.match(r"\| `([^`*/]+)` \| ([\d,]+) \|.*\| ([^|]*) \|$", line)
            if row is not None:
                said[row[1]] = (int(row[2].replace(",", "")), row[3])
        files = {path.name for path in shared_data.rglob("*") if path.is_file()}
        assert said.keys() == files - {"README.md", "SHA256SUMS"}
        return said

    return read


@pytest.fixture
def make_table() -> Callable[..., Table]:
    """Return a maker of sound tables; keywords replace whole columns."""

    def make(rows: int = 6, step_ms: int = 60_000, first_ms: int = 1_700_000_000_000, **columns: Any) -> Table:
        steps = np.arange(rows)
        close = np.round(100 + 3 * np.sin(steps / 5.0), 2)
        opened = np.round(100 + 3 * np.sin((steps - 1) / 5.0), 2)
        table: Table = {
            "ts": first_ms + step_ms * steps,
            "open": opened,
            "high": np.round(np.maximum(opened, close) + 0.25, 2),
            "low": np.round(np.minimum(opened, close) - 0.25, 2),
            "close": close,
            "volume": 1.0 + steps % 7,
        }
        table.update(columns)
        return table

    return make


@pytest.fixture
def write(tmp_path: Path, make_table: Callable[..., Table]) -> Callable[..., str]:
    """Return a writer of tables into files, by suffix; returns the file's name."""

    def write(name: str = "BTCUSDT.csv", table: Table | None = None, **columns: Any) -> str:
        path = tmp_path / name
        frame = pl.DataFrame(make_table(**columns) if table is None else table)
        if name.endswith(".parquet"):
            frame.write_parquet(path)
        elif name.endswith(".gz"):
            path.write_bytes(gzip.compress(frame.write_csv().encode()))
        else:
            frame.write_csv(path)
        return str(path)

    return write


@pytest.fixture
def spoil(make_table: Callable[..., Table]) -> Callable[..., Table]:
    """Return a maker of sound tables but for one value: of a column, in a row counted from 1."""

    def spoil(column: str, row: int, value: Any, rows: int = 6) -> Table:
        table = make_table(rows)
        values = table[column].tolist()
        values[row - 1] = value
        return {**table, column: values}

    return spoil
