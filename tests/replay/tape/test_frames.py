"""Tapes made by Python code, from frames and arrays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from config.errors import UserError
from replay.tape import Tape, open_tape, tape_from_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    Tables = Callable[..., dict[str, Any]]
    Writer = Callable[..., str]


def test_a_frame_of_polars_is_read_like_its_file(write: Writer, make_table: Tables) -> None:
    frame = pl.DataFrame(make_table())
    assert list(tape_from_frame(frame, symbol="BTCUSDT").bars()) == list(open_tape([write()]).bars())


def test_a_frame_of_pandas_is_read_like_its_file(write: Writer, make_table: Tables) -> None:
    frame = pd.DataFrame(make_table())
    bars = list(open_tape([write()]).bars())
    assert list(tape_from_frame(frame, symbol="BTCUSDT").bars()) == bars
    frame["ts"] = pd.to_datetime(frame["ts"], unit="ms")
    assert list(tape_from_frame(frame, symbol="BTCUSDT").bars()) == bars
    frame["ts"] = frame["ts"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    assert list(tape_from_frame(frame, symbol="BTCUSDT").bars()) == bars


def test_a_tape_from_arrays_does_not_change_with_them(make_table: Tables) -> None:
    table = make_table()
    tape = tape_from_frame(table, symbol="A")
    before = list(tape.bars())
    table["close"][:] = 1.0
    assert list(tape.bars()) == before


def test_series_of_several_tapes_make_a_new_one(make_table: Tables) -> None:
    first, second = (tape_from_frame(make_table(), symbol=symbol) for symbol in "AB")
    both = Tape([*first.series, *second.series])
    assert [series.ordinal for series in both.series] == [0, 1]
    assert [bar.symbol for bar in both.bars()] == ["A", "B"] * 6


def test_a_frame_is_refused_by_its_symbol(spoil: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UserError, match=r"^tape ABC: row 2: low 0\.0 is not positive$"):
        tape_from_frame(spoil("low", 2, 0.0), symbol="ABC")


def test_columns_of_different_lengths(make_table: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UserError, match=re.escape("not of one length (ts 6, open 5,")):
        tape_from_frame(make_table(open=[100.0] * 5), symbol="ABC")


def test_a_column_of_text(make_table: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UserError, match="column 'open' holds str"):
        tape_from_frame(make_table(open=["100"] * 6), symbol="ABC")


def test_times_that_are_missing(make_table: Callable[..., dict[str, Any]]) -> None:
    times = make_table()["ts"].astype("datetime64[ms]")
    times[2] = np.datetime64("NaT")
    with pytest.raises(UserError, match=r"row 3: ts is empty"):
        tape_from_frame(make_table(ts=times), symbol="ABC")
