"""The order of bars, where chunks begin, and where a restart continues."""

from __future__ import annotations

from itertools import islice, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.tape import (
    Columns,
    Series,
    Tape,
    open_tape,
    parse_timeframe,
    synthetic_tape,
    tape_from_frame,
)
from replay.tape.arrays import BlockSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.messages import Bar

UNITS = ("1m", "5m", "1h")
START_MS = 1_700_000_000_000

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def series_of(ordinal: int, unit: str, minutes: Sequence[int], blocks: Sequence[int] = ()) -> Series:
    """Return a series with bars that open at `minutes`, stored in blocks cut at `blocks`."""
    count = len(minutes)
    price = 100.0 + np.arange(count)
    table = {
        "ts": START_MS + 60_000 * np.array(minutes, np.int64),
        "open": price,
        "high": price + 1,
        "low": price - 1,
        "close": price + 0.5,
        "volume": np.full(count, float(ordinal)),
    }
    (whole,) = tape_from_frame(table, symbol=f"S{ordinal}", timeframe=unit).series
    columns = next(whole.chunks())
    cuts = sorted({0, *(cut for cut in blocks if cut < count), count})
    source = BlockSource([columns.between(start, stop) for start, stop in pairwise(cuts)])
    return Series(
        symbol=whole.symbol,
        timeframe_ns=whole.timeframe_ns,
        ordinal=ordinal,
        rows=count,
        first_open_ns=whole.first_open_ns,
        last_open_ns=whole.last_open_ns,
        fingerprint=whole.fingerprint,
        instrument=whole.instrument,
        source=source,
    )


@st.composite
def tapes(draw: st.DrawFn) -> Tape:
    """Draw one to four series of different timeframes with gaps, cut into blocks anywhere."""
    series = []
    for ordinal in range(draw(st.integers(1, 4))):
        unit = draw(st.sampled_from(UNITS))
        step = parse_timeframe(unit) // parse_timeframe("1m")
        slots = draw(st.lists(st.integers(0, 60), min_size=1, max_size=40, unique=True))
        offset = draw(st.integers(0, 3))
        cuts = draw(st.lists(st.integers(1, 40), max_size=5))
        series.append(series_of(ordinal, unit, [offset + step * slot for slot in sorted(slots)], cuts))
    return Tape(series)


def all_sorted(tape: Tape) -> list[Bar]:
    """Return the bars of all series by the rule: close time, then ordinal."""
    ordinals = {series.symbol: series.ordinal for series in tape.series}
    bars = [bar for series in tape.series for bar in Tape([series]).bars()]
    return sorted(bars, key=lambda bar: (bar.close_ns, ordinals[bar.symbol]))


@few
@given(tapes())
def test_bars_come_in_the_order_they_were_knowable(tape: Tape) -> None:
    assert list(tape.bars()) == all_sorted(tape)


@few
@given(tapes(), st.integers(1, 9))
def test_the_size_of_a_round_changes_nothing(tape: Tape, rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replay.tape.merge.ROUND_ROWS", rows)
        assert list(tape.bars()) == all_sorted(tape)


@few
@given(tapes(), st.integers(0, 200))
def test_bars_skipped_are_only_missing_at_the_front(tape: Tape, skip: int) -> None:
    assert list(tape.bars(skip)) == list(tape.bars())[skip:]


@few
@given(tapes(), st.integers(0, 60), st.integers(1, 9))
def test_a_chunk_is_announced_right_before_its_first_bar(tape: Tape, skip: int, rows: int) -> None:
    due: dict[str, list[int]] = {series.symbol: [] for series in tape.series}
    delivered = 0
    announced_at: list[tuple[int, str, int]] = []

    def announce(series: Series, columns: Columns) -> None:
        assert due[series.symbol] == [], "bars of the previous chunk are still undelivered"
        assert len(columns)
        due[series.symbol] = columns.open_ns.tolist()
        announced_at.append((delivered, series.symbol, due[series.symbol][0]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replay.tape.merge.ROUND_ROWS", rows)
        bars = list(tape.bars(skip))
        for bar in tape.bars(skip, announce):
            assert due[bar.symbol].pop(0) == bar.open_ns
            assert bar == bars[delivered]
            delivered += 1
    assert delivered == len(bars)
    assert not any(due.values())
    for position, symbol, open_ns in announced_at:
        assert (bars[position].symbol, bars[position].open_ns) == (symbol, open_ns)


@few
@given(tapes(), st.integers(1, 50), st.integers(0, 50))
def test_the_size_of_chunks_changes_nothing(tape: Tape, size: int, start: int) -> None:
    (series, *_) = tape.series
    whole = np.concatenate([columns.close for columns in series.chunks()])
    chunks = list(series.chunks(start, size))
    assert all(0 < len(columns) <= size for columns in chunks)
    assert [value for columns in chunks for value in columns.close] == whole[start:].tolist()


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "streamed"])
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz"])
def test_a_file_can_be_entered_at_any_row(
    write: Callable[..., str],
    make_table: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kept: bool,
) -> None:
    """Blocks are made small, so that rows fall on, before and behind their borders."""
    monkeypatch.setattr("replay.tape.csv_file.BLOCK_BYTES", 4_000)
    monkeypatch.setattr("replay.tape.parquet.SLICE_ROWS", 256)
    monkeypatch.setattr("replay.tape.parquet.BLOCK_ROWS", 64)
    if not kept:
        monkeypatch.setattr("replay.tape.opening.KEPT_ROWS_MAX", 0)
    table = make_table(1_000)
    bars = list(tape_from_frame(table, symbol="A").bars())
    tape = open_tape([f"A={write(name, table)}"])
    for skip in (0, 1, 63, 64, 65, 255, 256, 257, 640, 999, 1_000, 5_000):
        assert list(tape.bars(skip)) == bars[skip:]
        assert [x for c in tape.series[0].chunks(skip, 10) for x in c.open_ns.tolist()] == [
            bar.open_ns for bar in bars[skip:]
        ]


def test_at_equal_times_the_series_named_first_goes_first() -> None:
    tape = Tape([series_of(0, "5m", [0, 5]), series_of(1, "1m", [4, 9])])
    assert [bar.symbol for bar in tape.bars()] == ["S0", "S1", "S0", "S1"]


def test_a_long_bar_comes_when_it_closes() -> None:
    tape = Tape([series_of(0, "1h", [0]), series_of(1, "1m", [0, 30, 59, 60])])
    assert [bar.symbol for bar in tape.bars()] == ["S1", "S1", "S0", "S1", "S1"]


def test_series_of_very_different_lengths_are_merged(
    make_table: Callable[..., dict[str, Any]],
) -> None:
    minutes = tape_from_frame(make_table(50_000), symbol="A").series[0]
    hours = tape_from_frame(make_table(900, step_ms=3_600_000), symbol="B").series[0]
    tape = Tape([minutes, hours])
    bars = list(tape.bars())
    assert bars == sorted(bars, key=attrgetter("close_ns", "symbol"))
    assert tape.rows == len(bars) == 50_900
    assert list(tape.bars(20_123)) == bars[20_123:]


def test_bars_are_made_only_when_asked_for() -> None:
    bars = synthetic_tape("3:endless").bars()
    assert len(list(islice(bars, 10))) == 10


def test_chunks_can_be_given_to_compiled_kernels(
    write: Callable[..., str], make_table: Callable[..., dict[str, Any]]
) -> None:
    """Contiguous, writable, native float64: what an explicit numba signature insists on."""
    table = make_table(300)
    sources = [
        open_tape([write("a.parquet", table)]),
        open_tape([write("a.csv", table)]),
        tape_from_frame(table, symbol="A"),
        synthetic_tape("1:300"),
    ]
    for tape in sources:
        for columns in tape.series[0].chunks(7, 100):
            for array in (columns.open, columns.high, columns.low, columns.close, columns.volume):
                assert array.dtype == np.dtype("<f8")
                assert array.flags.carray
            assert columns.open_ns.dtype == np.dtype("<i8")
            assert columns.open_ns.flags.carray
