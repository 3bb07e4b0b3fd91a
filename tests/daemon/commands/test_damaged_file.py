"""A file over which polars ends the whole process is refused like any other that is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Run


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return bars of which one bit in a page's header is another: polars 2.1 does not survive it."""
    rows = 20_000
    generator = np.random.default_rng(1)
    close = (100 + np.cumsum(generator.integers(-3, 4, rows)) / 100).round(2)
    opened = np.append(100.0, close[:-1])
    high, low = np.maximum(opened, close) + 0.02, np.minimum(opened, close) - 0.02
    ts = 1_700_006_400_000 + 60_000 * np.arange(rows)
    bars = {"ts": ts, "open": opened, "high": high, "low": low, "close": close, "volume": np.ones(rows)}
    path = tmp_path_factory.mktemp("damaged") / "bars.parquet"
    pl.DataFrame(bars).write_parquet(path)
    data = bytearray(path.read_bytes())
    data[16] ^= 1
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "--tape", "{file}"),
        ("features", "build", "--tape", "X={file}", "--out", "{folder}/out.parquet"),
        ("replay", "--synthetic", "1:100", "--series", "mood={file},column=close"),
        ("data", "import", "{file}", "--venue", "x", "--symbol", "X", "--data-dir", "{folder}"),
        ("data", "check", "{file}"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_flipped_bit_is_one_line_and_exit_code_two(
    invoke: Callable[..., Run], tmp_path: Path, damaged: Path, arguments: tuple[str, ...]
) -> None:
    refusal = invoke(*(one.format(file=damaged, folder=tmp_path) for one in arguments)).refusal
    assert "it is damaged: whoever reads it breaks off" in refusal
    assert damaged.name in refusal
    assert not list(tmp_path.iterdir())
