"""One kernel, two drivers: streaming, batch and chunked batch agree bit for bit."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strategies.indicators import KINDS, Indicator, Kind, atr, bbands, ema
from strategies.indicators.state import PARAMS, IndicatorState
from tests.strategies.indicators.definitions import named

Columns = tuple[NDArray[np.float64], ...]

NEVER_FORGETS = {
    *("heikin_ashi", "swing_high", "swing_low", "market_structure", "support_resistance", "zigzag"),
    *("ema", "rsi", "atr", "bars_since", "crossed_above", "crossed_below"),
    *("plus_dm", "minus_dm", "plus_di", "minus_di", "dx", "adx", "adxr", "dmi"),
    *("natr", "sar", "supertrend", "chandelier"),
    *("dema", "tema", "t3", "rma", "zlema", "kama", "mcginley"),
    *("obv", "ad", "adosc", "nvi", "pvi", "pvt", "efi", "klinger", "vwap", "vwap_session", "vwap_since"),
    *("mass_index", "keltner", "atr_bands", "chaikin_volatility", "rvi"),
    *("drawdown", "cvd", "pvo"),
    *("trix", "macd", "apo", "ppo", "tsi", "cmo", "stochrsi", "fisher"),
}
"""Kinds in which a value may leave a trace for ever."""

INTRUDERS = (np.nan, np.inf, -np.inf, 1e300)


def declared(kind: Kind) -> list[Indicator]:
    """Declare a kind with its defaults, and with the shortest periods that go together."""
    defaults = tuple(param.default for param in kind.params)
    shortest = tuple(param.low if param.whole else param.default for param in kind.params)
    rising = tuple(param.low + 1.0 + at if param.whole else param.default for at, param in enumerate(kind.params))
    found: list[Indicator] = []
    for params in dict.fromkeys((defaults, shortest, rising)):
        try:
            found.append(Indicator(kind.name, params, kind.sources, kind.outputs))
        except ValueError:
            assert params != defaults, f"{kind.name}: its own defaults are refused"
    return found[:2]


PATTERNS = tuple(kind for kind in KINDS.values() if kind.kernels == KINDS["cdl_doji"].kernels)
KINDS_TRIED = tuple(kind for kind in KINDS.values() if kind not in PATTERNS) + PATTERNS[::8]
"""Candlestick patterns run by one kernel, and each is compared with TA-Lib bar by bar elsewhere: some stand for all."""

INDICATORS = tuple(indicator for kind in KINDS_TRIED for indicator in declared(kind))
PLAIN = tuple(declared(kind)[0] for kind in KINDS_TRIED)
"""Each kind once, with its defaults."""
ROLLING = tuple(one for one in PLAIN if one.kind not in NEVER_FORGETS)

by_indicator = pytest.mark.parametrize("indicator", INDICATORS, ids=named)
by_kind = pytest.mark.parametrize("indicator", PLAIN, ids=named)


def columns_of(indicator: Indicator, row_count: int, seed: int) -> Columns:
    """Make one column per source: a walk with ties, gaps and a jump in scale."""
    draw = np.random.default_rng(seed)
    steps = draw.integers(-3, 4, row_count) * 0.01
    steps[draw.random(row_count) < 0.01] *= 1e4
    close = 20_000.0 + np.cumsum(steps)
    spread = draw.integers(0, 5, (2, row_count)) * 0.01
    made = {"high": close + spread[0], "low": close - spread[1], "close": close}
    opened = np.concatenate((close[:1], close[:-1]))
    made["open"] = np.clip(opened, made["low"], made["high"])
    made["volume"] = draw.integers(0, 50, row_count) * 0.1
    made["time"] = 1_577_836_800.0 + 900.0 * np.arange(row_count)
    made["bid"], made["ask"] = close - 0.01, close + draw.integers(0, 3, row_count) * 0.01
    for name in ("bid_quantity", "ask_quantity", "buy_volume", "sell_volume"):
        made[name] = draw.integers(0, 50, row_count) * 0.1
    return tuple(made[source] for source in indicator.columns)


def streamed(state: IndicatorState, columns: Columns) -> Columns:
    """Step through the columns bar by bar and give the outputs as columns."""
    rows = [state.step(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
    empty = (np.empty(0),) * len(state.indicator.outputs)
    return tuple(np.array(out) for out in zip(*rows, strict=True)) if rows else empty


def bits(columns: Columns) -> list[list[int]]:
    """Give the columns' bits, by which NaN equals NaN and 0.0 differs from -0.0."""
    return [np.asarray(column, np.float64).view(np.int64).tolist() for column in columns]


def test_what_never_forgets_exists() -> None:
    """A name misspelt there would leave a kind out of the tests below."""
    assert set(KINDS) >= NEVER_FORGETS


@by_indicator
def test_streaming_equals_batch(indicator: Indicator) -> None:
    """The long run: thousands of bars, and the state afterwards is the same, too."""
    columns = columns_of(indicator, 3_000, seed=1)
    stream, batch = indicator.start(), indicator.start()
    assert bits(streamed(stream, columns)) == bits(batch.batch(*columns))
    assert stream.dump() == batch.dump()


@by_indicator
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
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


@by_kind
def test_the_past_does_not_change_with_the_future(indicator: Indicator) -> None:
    """A shorter tape gives the same rows as far as it goes."""
    columns = columns_of(indicator, 300, seed=3)
    full = indicator.start().batch(*columns)
    cut = indicator.start().batch(*(column[:171] for column in columns))
    assert bits(cut) == bits(tuple(out[:171] for out in full))


def outputs_without_and_with(indicator: Indicator, intruder: float) -> tuple[list[Columns], int]:
    """Give the outputs of a series, and of the same with a bad value in row 120; and the row by which it has left."""
    clean = columns_of(indicator, 400, seed=4)
    spoilt = tuple(column.copy() for column in clean)
    for column in spoilt:
        column[120] = intruder
    return [indicator.start().batch(*columns) for columns in (clean, spoilt)], 120 + indicator.warmup + 1


@pytest.mark.parametrize("indicator", ROLLING, ids=named)
def test_a_window_forgets_a_bad_value_completely(indicator: Indicator) -> None:
    """Once it has left the window the outputs are those of a series that never had it."""
    for intruder in INTRUDERS:
        (expected, found), left = outputs_without_and_with(indicator, intruder)
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(other[:120], one[:120], f"{intruder}")
            np.testing.assert_array_equal(other[left:], one[left:], f"{intruder}")


def test_what_never_forgets_does_not() -> None:
    """A kind that is listed there without need would be left out of the test above."""
    forgetful = set(NEVER_FORGETS)
    for indicator in PLAIN:
        for intruder in INTRUDERS:
            (expected, found), left = outputs_without_and_with(indicator, intruder)
            if bits(tuple(out[left:] for out in expected)) != bits(tuple(out[left:] for out in found)):
                forgetful.discard(indicator.kind)
    # What these keep is of a condition, which a row of these columns does not change for good.
    assert forgetful == {"bars_since", "crossed_below", "vwap_since"}


@by_kind
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


@by_kind
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


@by_kind
def test_step_takes_whole_numbers_and_numpy_scalars(indicator: Indicator) -> None:
    """A feed may hand over 100 for 100.0."""
    plain, mixed = indicator.start(), indicator.start()
    for row in range(120):
        value = 100 + row * row % 7
        inputs = len(indicator.columns)
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


@by_kind
def test_state_is_one_float_vector_that_begins_with_the_parameters(indicator: Indicator) -> None:
    """Kernels rely on where their parameters stand, and never write there."""
    state = indicator.start()
    state.batch(*columns_of(indicator, 77, seed=7))
    assert state.state.dtype == np.float64
    assert state.state.ndim == 1
    assert tuple(state.state[PARAMS : PARAMS + len(indicator.params)]) == indicator.params
    assert state.dump().startswith(state.state.tobytes())


@by_indicator
def test_a_market_at_rest_divides_by_nothing(indicator: Indicator) -> None:
    """Hours of one price and no volume: every value is a finite number, by whatever rule its kind documents."""
    made = {
        "open": 50.0,
        "high": 50.0,
        "low": 50.0,
        "close": 50.0,
        "volume": 0.0,
        "time": 0.0,
        "bid": 50.0,
        "ask": 50.0,
    }
    made |= dict.fromkeys(("bid_quantity", "ask_quantity", "buy_volume", "sell_volume"), 0.0)
    outs = indicator.start().batch(*(np.full(400, made[source]) for source in indicator.columns))
    for name, out in zip(indicator.outputs, outs, strict=True):
        assert np.isfinite(out[indicator.warmup :]).all(), name


@by_kind
def test_both_drivers_agree_on_what_is_no_number(indicator: Indicator) -> None:
    """Such rows never reach a session; what a user feeds by hand must not tell the two apart, nor crash."""
    for intruder in (np.nan, np.inf, -np.inf):
        columns = tuple(column.copy() for column in columns_of(indicator, 150, seed=9))
        for column in columns:
            column[90] = intruder
        found, expected = streamed(indicator.start(), columns), indicator.start().batch(*columns)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other, f"{intruder}")


def test_load_refuses_the_state_of_other_parameters() -> None:
    """It could be as long: an EMA's state has one length whatever its period."""
    with pytest.raises(ValueError, match=r"^ema: state is for params \(9.0,\), not \(5.0,\)"):
        ema(5).start().load(ema(9).start().dump())
    with pytest.raises(ValueError, match=r"^bbands: state is for params"):
        bbands(20, 2.0).start().load(bbands(20, 2.5).start().dump())


@by_kind
def test_load_refuses_a_state_that_is_damaged_or_of_a_wrong_length(indicator: Indicator) -> None:
    """Kernels index by its counters unchecked, so a damaged snapshot must not get that far; the state is kept."""
    state = indicator.start()
    state.batch(*columns_of(indicator, 77, seed=8))
    good = state.dump()
    for bad in (b"", good[:-1], good[:-8], good + bytes(8)):
        with pytest.raises(ValueError, match=rf"^{indicator.kind}: state has \d+ bytes, got"):
            state.load(bad)
    for at in (0, len(good) // 2, len(good) - 1):
        damaged = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises(ValueError, match=rf"^{indicator.kind}: state is damaged"):
            state.load(damaged)
    assert state.dump() == good
