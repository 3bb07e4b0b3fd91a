"""A market out of a seed: the same on every machine, at every row, for ever plausible."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import UserError
from replay.tape import Columns, synthetic_tape
from replay.tape.synthetic import ROWS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

PINNED = "a9f1d0313ac5ba120598d9ede76b4d9f4c519e752d8a29ab6d84f2c7fe68eba8"
ROOT = Path(__file__).parents[3]


def content(chunks: Iterable[Columns]) -> str:
    """Return a hash of all bytes of all columns."""
    digests = [hashlib.sha256() for _ in range(6)]
    for chunk in chunks:
        columns = (chunk.open_ns, chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume)
        for digest, column in zip(digests, columns, strict=True):
            digest.update(column.tobytes())
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()


def whole(spec: str) -> Columns:
    """Return a synthetic series as one chunk."""
    chunks = list(synthetic_tape(spec).series[0].chunks())
    return Columns(*(np.concatenate([getattr(c, name) for c in chunks]) for name in Columns.__struct_fields__))


def test_the_first_rows_are_the_pinned_ones() -> None:
    """Raise `_VERSION` with this hash: sessions on the old bytes must be refused."""
    assert content(synthetic_tape("7:10000").series[0].chunks()) == PINNED


def test_bytes_do_not_depend_on_vector_instructions() -> None:
    code = (
        "import hashlib, replay.tape as t\n"
        "d = [hashlib.sha256() for _ in range(6)]\n"
        "for c in t.synthetic_tape('7:10000').series[0].chunks():\n"
        "    for h, a in zip(d, (c.open_ns, c.open, c.high, c.low, c.close, c.volume)):\n"
        "        h.update(a.tobytes())\n"
        "print(hashlib.sha256(b''.join(h.digest() for h in d)).hexdigest())\n"
    )
    found = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    dispatched = np._core._multiarray_umath.__cpu_dispatch__  # type: ignore[attr-defined]
    disabled = " ".join(feature for feature in dispatched if found.get(feature))
    if not disabled:
        pytest.skip("numpy dispatches on no feature of this machine")
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled, "PYTHONHASHSEED": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == PINNED


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30_000), st.integers(1, 20_000))
def test_any_row_can_be_made_without_those_before_it(start: int, size: int) -> None:
    series = synthetic_tape("11:30000").series[0]
    from_start = list(islice((x for c in series.chunks() for x in c.close.tolist()), start, start + 50))
    assert list(islice((x for c in series.chunks(start, size) for x in c.close.tolist()), 50)) == from_start


def test_a_restart_far_into_an_endless_tape_is_immediate() -> None:
    bars = synthetic_tape("5:endless").bars(100_000_000)
    first, second = islice(bars, 2)
    assert second.open == first.close
    assert first.open_ns == 1_704_067_200 * 10**9 + 100_000_000 * 60 * 10**9


def test_a_shorter_tape_is_the_beginning_of_a_longer_one() -> None:
    short, long = synthetic_tape("5:5000"), synthetic_tape("5:endless")
    assert list(short.bars()) == list(islice(long.bars(), 5_000))
    assert short.fingerprint != long.fingerprint


def test_bars_are_sound_and_join_one_another() -> None:
    bars = whole("1:60000")
    assert bars.open[0] == 30_000
    assert (bars.open[1:] == bars.close[:-1]).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (np.diff(bars.open_ns) == 60 * 10**9).all()
    assert (bars.volume > 0).all()
    for price in (bars.open, bars.high, bars.low, bars.close):
        assert (np.round(price, 2) == price).all()


def test_returns_look_like_a_market() -> None:
    """Of the wished size, without memory in their sign, with memory in their size, fat-tailed."""
    returns = np.diff(np.log(whole("2:300000").close))
    sizes = np.abs(returns)
    assert 0.0006 < returns.std() < 0.0010
    assert abs(np.corrcoef(returns[:-1], returns[1:])[0, 1]) < 0.02
    assert np.corrcoef(sizes[:-100], sizes[100:])[0, 1] > 0.1
    assert ((returns - returns.mean()) ** 4).mean() / returns.var() ** 2 > 5


@pytest.mark.parametrize("seed", range(4))
def test_prices_stay_in_bounds_for_ever(seed: int) -> None:
    series = synthetic_tape(f"{seed}:endless").series[0]
    for row in range(0, ROWS_MAX, 3_000_000):
        chunk = next(series.chunks(row))
        assert chunk.low.min() > 3_900
        assert chunk.high.max() < 230_000


def test_an_endless_tape_ends_with_its_calendar() -> None:
    *_, last = synthetic_tape("1").bars(ROWS_MAX - 3)
    assert last.close_ns < 2**63
    assert last.open_ns == 1_704_067_200 * 10**9 + (ROWS_MAX - 1) * 60 * 10**9


def test_seeds_differ() -> None:
    assert next(synthetic_tape("1:1").bars()) != next(synthetic_tape("2:1").bars())


def test_the_series_says_what_it_is() -> None:
    tape = synthetic_tape("9:1000")
    (series,) = tape.series
    assert (series.symbol, series.rows, tape.rows, series.notes) == ("SYN/USDT", 1_000, 1_000, ())
    assert series.timeframe_ns == 60 * 10**9
    assert (series.instrument.tick, series.instrument.inferred) == (Decimal("0.01"), False)
    *_, last = tape.bars()
    assert series.last_open_ns == last.open_ns


@pytest.mark.parametrize("spec", ["9", "9:endless", " 9:endless"])
def test_an_endless_series_has_no_end(spec: str) -> None:
    tape = synthetic_tape(spec)
    assert (tape.rows, tape.series[0].rows, tape.series[0].last_open_ns) == (None, None, None)
    assert tape.fingerprint == synthetic_tape("9").fingerprint


@pytest.mark.parametrize("spec", ["", ":", "a:5", "-1:5", "1:", "1:x", "1:5:6", "1.5:5", "1:1e3", "9" * 21])
def test_nonsense_is_refused_with_an_example(spec: str) -> None:
    with pytest.raises(UserError, match="for example 7:100000"):
        synthetic_tape(spec)


@pytest.mark.parametrize("bars", ["0", str(ROWS_MAX + 1)])
def test_a_number_of_bars_that_cannot_be_is_refused(bars: str) -> None:
    with pytest.raises(UserError, match="between 1 and 125,"):
        synthetic_tape(f"1:{bars}")
