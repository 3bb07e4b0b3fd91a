"""A catalogue in a folder of its own, and frames to put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from replay.tape.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MINUTE = 60_000_000_000
START = 1_704_067_200_000_000_000
"""2024-01-01 00:00 UTC."""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "data")


@pytest.fixture
def bars() -> Callable[..., pl.DataFrame]:
    """Return a maker of sound bars of one minute."""

    def make(rows: int = 6, first_ns: int = START, **columns: pl.Series | pl.Expr) -> pl.DataFrame:
        steps = np.arange(rows, dtype=np.int64)
        close = np.round(100 + 3 * np.sin((first_ns // MINUTE + steps) / 5.0), 2)
        return pl.DataFrame(
            {
                "ts": first_ns + MINUTE * steps,
                "open": close,
                "high": close + 0.25,
                "low": close - 0.25,
                "close": close,
                "volume": 1.0 + steps % 7,
            }
        ).with_columns(**columns)

    return make
