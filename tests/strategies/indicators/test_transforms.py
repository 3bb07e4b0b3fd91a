"""Transforms: what they are, said once more in plain Python."""

from __future__ import annotations

from math import exp as exp_of
from math import inf, isnan, nan
from math import log as log_of

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.indicators import (
    Indicator,
    absolute,
    bars_since,
    change,
    clip,
    crossed_above,
    crossed_below,
    exp,
    lag,
    log,
    maximum,
    minimum,
    sign,
    sqrt,
    where,
)

numbers = st.lists(st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, nan]), min_size=1, max_size=40)


def computed(indicator: Indicator, *columns: list[float]) -> list[float]:
    (found,) = indicator.start().batch(*columns)
    return [float(value) for value in found]


def assert_same(found: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(found, expected)


@settings(deadline=None)  # The first example waits for the compiler.
@given(values=numbers, bars=st.integers(1, 45))
def test_the_value_and_the_change_of_bars_ago(values: list[float], bars: int) -> None:
    before = [nan] * min(bars, len(values)) + values[: max(0, len(values) - bars)]
    assert_same(computed(lag(bars), values), before)
    assert_same(computed(change(bars), values), [value - old for value, old in zip(values, before, strict=True)])


@settings(deadline=None)  # The first example waits for the compiler.
@given(values=numbers)
def test_of_one_value(values: list[float]) -> None:
    assert_same(computed(absolute(), values), [abs(value) for value in values])
    assert_same(computed(sign(), values), [nan if isnan(v) else float((v > 0) - (v < 0)) for v in values])
    assert_same(computed(sqrt(), values), [value**0.5 if value >= 0 else nan for value in values])
    assert computed(log(), values) == pytest.approx([log_of(v) if v > 0 else nan for v in values], nan_ok=True)
    assert computed(exp(), values) == pytest.approx([exp_of(value) for value in values], nan_ok=True)
    assert_same(computed(clip(-1, 2), values), [nan if isnan(v) else max(-1.0, min(2.0, v)) for v in values])


@settings(deadline=None)  # The first example waits for the compiler.
@given(pairs=st.lists(st.tuples(*[st.sampled_from([-1.0, 0.0, 1.0, 2.0, inf, nan])] * 3), min_size=1, max_size=40))
def test_of_several_values(pairs: list[tuple[float, float, float]]) -> None:
    left, right, other = (list(column) for column in zip(*pairs, strict=True))
    either_nan = [isnan(a) or isnan(b) for a, b in zip(left, right, strict=True)]
    lesser = [nan if none else min(a, b) for none, a, b in zip(either_nan, left, right, strict=True)]
    greater = [nan if none else max(a, b) for none, a, b in zip(either_nan, left, right, strict=True)]
    assert_same(computed(minimum("close", "open"), left, right), lesser)
    assert_same(computed(maximum("close", "open"), left, right), greater)
    picked = [yes if truth != 0.0 and not isnan(truth) else no for truth, yes, no in pairs]
    assert_same(computed(where("close", "high", "low"), left, right, other), picked)


@settings(deadline=None)  # The first example waits for the compiler.
@given(pairs=st.lists(st.tuples(*[st.sampled_from([1.0, 2.0, 3.0, nan])] * 2), min_size=1, max_size=40))
def test_a_cross_is_from_one_side_to_the_other_with_any_number_of_touches_between(
    pairs: list[tuple[float, float]],
) -> None:
    above, below = [nan], [nan]
    side = (pairs[0][0] > pairs[0][1]) - (pairs[0][0] < pairs[0][1])
    for left, right in pairs[1:]:
        now = (left > right) - (left < right)
        above.append(float(now == 1 and side == -1))
        below.append(float(now == -1 and side == 1))
        side = now or side
    columns = [list(column) for column in zip(*pairs, strict=True)]
    assert_same(computed(crossed_above("close", "open"), *columns), above)
    assert_same(computed(crossed_below("close", "open"), *columns), below)


def test_bars_since_counts_from_the_last_time_it_was_true() -> None:
    assert computed(bars_since("close"), [0.0, nan, 1.0, 0.0, nan, 2.0, -1.0, 0.0]) == [1, 2, 0, 1, 2, 0, 0, 1]


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="clip: low must be below high, got 2 and 1"):
        clip(2, 1)
