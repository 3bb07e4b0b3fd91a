"""One kernel, two drivers: streaming, batch and chunked batch agree bit for bit."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strategies.indicators import (
    Indicator,
    atr,
    bbands,
    ema,
    highest,
    lowest,
    rsi,
    sma,
    stddev,
)
from strategies.indicators.declaration import KINDS
from strategies.indicators.kernels import averages, deviations, extremes, wilder
from strategies.indicators.state import IndicatorState

Columns = tuple[NDArray[np.float64], ...]

INDICATORS = (
    *(maker(period) for maker in (ema, sma, highest, lowest) for period in (1, 2, 7, 50)),
    *(maker(period) for maker in (stddev, bbands, rsi) for period in (2, 7, 50)),
    *(atr(period) for period in (1, 7, 50)),
)
ROLLING = tuple(one for one in INDICATORS if one.kind not in {"ema", "rsi", "atr"})


def named(indicator: Indicator) -> str:
    """Give the test's name for an indicator."""
    return f"{indicator.kind}-{indicator.params[0]:.0f}"


by_indicator = pytest.mark.parametrize("indicator", INDICATORS, ids=named)


def columns_of(indicator: Indicator, row_count: int, seed: int) -> Columns:
    """Make one column per source: a walk with ties, gaps and a jump in scale."""
    draw = np.random.default_rng(seed)
    steps = draw.integers(-3, 4, row_count) * 0.01
    steps[draw.random(row_count) < 0.01] *= 1e4
    close = 100.0 + np.cumsum(steps)
    spread = draw.integers(0, 5, (2, row_count)) * 0.01
    made = {"high": close + spread[0], "low": close - spread[1], "close": close}
    return tuple(made[source] for source in indicator.sources)


def streamed(state: IndicatorState, columns: Columns) -> Columns:
    """Step through the columns bar by bar and give the outputs as columns."""
    rows = [state.step(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    empty = (np.empty(0),) * len(state.indicator.outputs)
    return tuple(np.array(out) for out in zip(*rows, strict=True)) if rows else empty


def bits(columns: Columns) -> list[list[int]]:
    """Give the columns' bits, by which NaN equals NaN and 0.0 differs from -0.0."""
    return [np.asarray(column, np.float64).view(np.int64).tolist() for column in columns]


def test_every_kind_is_tested_here() -> None:
    """A new kind has to join the list above."""
    assert {indicator.kind for indicator in INDICATORS} == set(KINDS)


def test_the_kernels_agree_on_the_slots_that_the_state_fills() -> None:
    """These stand in every kernel's file, since numba's cache sees changes of that file alone."""
    for family in (averages, deviations, extremes, wilder):
        assert (family.SEEN, family.PERIOD) == (0, 1)
    assert deviations.BANDS_DEVIATIONS == 2


@by_indicator
def test_streaming_equals_batch(indicator: Indicator) -> None:
    """The long run: thousands of bars, and the state afterwards is the same, too."""
    columns = columns_of(indicator, 3_000, seed=1)
    stream, batch = indicator.start(), indicator.start()
    assert bits(streamed(stream, columns)) == bits(batch.batch(*columns))
    assert stream.dump() == batch.dump()


@by_indicator
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_chunks_of_any_size_by_either_driver_equal_one_batch(indicator: Indicator, data: st.DataObject) -> None:
    """Bars are divided at will, empty chunks included, and each chunk takes either driver.

    Between chunks the state moves to another holder through `dump` and `load`.
    """
    row_count = data.draw(st.integers(0, 200), label="rows")
    columns = columns_of(indicator, row_count, seed=data.draw(st.integers(0, 99), label="seed"))
    cuts = sorted(data.draw(st.lists(st.integers(0, row_count), max_size=8), label="cuts"))
    state = indicator.start()
    pieces: list[Columns] = []
    for begin, end in pairwise([0, *cuts, row_count]):
        chunk = tuple(column[begin:end] for column in columns)
        by_bar = data.draw(st.booleans(), label="by bar")
        pieces.append(streamed(state, chunk) if by_bar else state.batch(*chunk))
        heir = indicator.start()
        heir.load(state.dump())
        state = heir
    joined = tuple(np.concatenate(parts) for parts in zip(*pieces, strict=True))
    whole = indicator.start()
    assert bits(joined) == bits(whole.batch(*columns))
    assert state.dump() == whole.dump()


@by_indicator
def test_warmup_is_exactly_the_leading_nan(indicator: Indicator) -> None:
    """As many as declared, in every output, and none after."""
    for out in indicator.start().batch(*columns_of(indicator, 200, seed=2)):
        assert np.isnan(out).tolist() == [row < indicator.warmup for row in range(200)]


@by_indicator
def test_the_past_does_not_change_with_the_future(indicator: Indicator) -> None:
    """A shorter tape gives the same rows as far as it goes."""
    columns = columns_of(indicator, 300, seed=3)
    full = indicator.start().batch(*columns)
    cut = indicator.start().batch(*(column[:171] for column in columns))
    assert bits(cut) == bits(tuple(out[:171] for out in full))


@pytest.mark.parametrize("indicator", ROLLING, ids=named)
@pytest.mark.parametrize("intruder", [np.nan, np.inf, -np.inf, 1e300])
def test_a_window_forgets_a_bad_value_completely(indicator: Indicator, intruder: float) -> None:
    """Once it has left the window the outputs are those of a series that never had it."""
    period = int(indicator.params[0])
    (clean,) = columns_of(indicator, 400, seed=4)
    spoilt = clean.copy()
    spoilt[120] = intruder
    outs = zip(indicator.start().batch(clean), indicator.start().batch(spoilt), strict=True)
    for expected, found in outs:
        np.testing.assert_array_equal(found[:120], expected[:120])
        np.testing.assert_array_equal(found[120 + period :], expected[120 + period :])
        if np.isnan(intruder):
            assert np.isnan(found[120 : 120 + period]).all()


@by_indicator
def test_batch_takes_columns_as_they_come(indicator: Indicator) -> None:
    """Read-only, strided, converted from integers, or plain lists: only the values count."""
    # Adding 0.0 turns -0.0, which integers do not have, into 0.0.
    columns = tuple(np.rint(column * 100) + 0.0 for column in columns_of(indicator, 150, seed=5))
    expected = bits(indicator.start().batch(*columns))
    frozen = tuple(column.copy() for column in columns)
    for column in frozen:
        column.flags.writeable = False
    strided = tuple(np.repeat(column, 3)[::3] for column in columns)
    whole = tuple(column.astype(np.int64) for column in columns)
    listed = tuple(column.tolist() for column in columns)
    for variant in (frozen, strided, whole, listed):
        assert bits(indicator.start().batch(*variant)) == expected


@by_indicator
def test_batch_leaves_its_inputs_alone_and_its_outputs_to_the_caller(indicator: Indicator) -> None:
    """A later chunk does not write into what an earlier one returned."""
    columns = columns_of(indicator, 150, seed=6)
    before = bits(columns)
    state = indicator.start()
    first = state.batch(*columns)
    kept = bits(first)
    state.batch(*columns)
    assert bits(first) == kept
    assert bits(columns) == before


@by_indicator
def test_step_takes_whole_numbers_and_numpy_scalars(indicator: Indicator) -> None:
    """A feed may hand over 100 for 100.0."""
    plain, mixed = indicator.start(), indicator.start()
    for row in range(120):
        value = 100 + row * row % 7
        inputs = len(indicator.sources)
        expected = plain.step(*[float(value)] * inputs)
        found = mixed.step(*[np.float64(value) if row % 2 else value] * inputs)
        assert bits((np.array(found),)) == bits((np.array(expected),))


def test_step_gives_one_float_per_output() -> None:
    """Plain Python floats, by position."""
    state = bbands(2, 2.0).start()
    state.step(1.0)
    assert state.step(3.0) == (4.0, 2.0, 0.0)
    assert all(type(value) is float for value in state.step(5.0))


def test_step_refuses_a_wrong_number_of_inputs() -> None:
    """ATR reads three columns."""
    with pytest.raises(TypeError):
        atr(3).start().step(1.0)


def test_batch_refuses_columns_that_do_not_fit() -> None:
    """One line, and the state has not moved."""
    state = atr(3).start()
    before = state.dump()
    with pytest.raises(ValueError, match=r"^atr reads high, low, close: got 1 columns"):
        state.batch([1.0, 2.0])
    with pytest.raises(ValueError, match=r"^atr: columns must be of one length"):
        state.batch([1.0, 2.0], [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"^atr: columns must be of one length"):
        state.batch(np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2)))
    assert state.dump() == before


@by_indicator
def test_state_is_one_float_vector_and_dump_is_its_bytes(indicator: Indicator) -> None:
    """Snapshots need to know no more."""
    state = indicator.start()
    state.batch(*columns_of(indicator, 77, seed=7))
    assert state.state.dtype == np.float64
    assert state.state.ndim == 1
    assert state.dump() == state.state.tobytes()


@by_indicator
def test_load_refuses_a_wrong_length(indicator: Indicator) -> None:
    """A float more or less, part of one, or nothing; the state is kept."""
    state = indicator.start()
    state.batch(*columns_of(indicator, 77, seed=8))
    good = state.dump()
    for bad in (b"", good[:-1], good[:-8], good + bytes(8)):
        with pytest.raises(ValueError, match=rf"^{indicator.kind}: state has \d+ bytes, got"):
            state.load(bad)
    assert state.dump() == good


def test_load_refuses_the_state_of_other_parameters() -> None:
    """It could be as long: an EMA's state has one length whatever its period."""
    with pytest.raises(ValueError, match=r"^ema: state is for params \(9.0,\), not \(5.0,\)"):
        ema(5).start().load(ema(9).start().dump())
    with pytest.raises(ValueError, match=r"^bbands: state is for params"):
        bbands(20, 2.0).start().load(bbands(20, 2.5).start().dump())


@by_indicator
@pytest.mark.parametrize("seen", [-1.0, 0.5, 1e6, float("nan"), float("inf")])
def test_load_refuses_a_counter_that_would_lead_out_of_the_vector(indicator: Indicator, seen: float) -> None:
    """Kernels index by it unchecked, so a damaged snapshot must not get that far."""
    damaged = indicator.start().state.copy()
    damaged[averages.SEEN] = seen
    with pytest.raises(ValueError, match="state is damaged"):
        indicator.start().load(damaged.tobytes())
