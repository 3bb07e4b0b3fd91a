"""Drawdown and Sharpe ratio in one pass: the chunks in which marks come must not show."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.metrics import EquityCurve

DAY = 86_400_000_000_000
Marks = list[tuple[int, int]]


def curve(start: int, *chunks: Marks) -> EquityCurve:
    made = EquityCurve(start)
    for chunk in chunks:
        made.add([at for at, _ in chunk], [atoms for _, atoms in chunk])
    made.finish()
    return made


def test_a_fall_is_measured_from_the_highest_point_before_it() -> None:
    marks = [(1, 110), (2, 99), (3, 120), (4, 90), (5, 95)]
    assert curve(100, marks).max_drawdown == pytest.approx(0.25)


def test_the_start_is_the_first_peak() -> None:
    assert curve(100, [(1, 80), (2, 90)]).max_drawdown == pytest.approx(0.2)


def test_a_rise_is_no_drawdown() -> None:
    assert curve(100, [(1, 101), (2, 102)]).max_drawdown == 0.0
    assert curve(100).max_drawdown == 0.0


def test_of_marks_at_one_time_the_last_counts() -> None:
    """Two series close together: in between, only one of them is marked."""
    assert curve(100, [(1, 50), (1, 99), (2, 100)]).max_drawdown == pytest.approx(0.01)
    assert curve(100, [(1, 50)], [(1, 99), (2, 100)]).max_drawdown == pytest.approx(0.01)
    assert curve(100, [(1, 50)], [(1, 60)], [(1, 99)]).max_drawdown == pytest.approx(0.01)


def test_an_account_without_money_has_no_drawdown() -> None:
    assert curve(0, [(1, 0), (2, -5)]).max_drawdown == 0.0


def test_three_days_are_enough_for_a_sharpe_ratio_and_two_are_not() -> None:
    days = [(DAY, 101), (2 * DAY, 103), (3 * DAY, 102)]
    assert curve(100, days[:2]).sharpe() is None
    returns = [0.01, 103 / 101 - 1, 102 / 103 - 1]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((each - mean) ** 2 for each in returns) / 2)
    assert curve(100, days).sharpe() == pytest.approx(mean / deviation * math.sqrt(365))


def test_the_close_at_midnight_belongs_to_the_day_that_ends() -> None:
    """Three days of two marks each, the second at the stroke of twelve."""
    marks = [(day * DAY + half * DAY // 2, 100 + day + 10 * (half == 2)) for day in range(3) for half in (1, 2)]
    assert curve(100, marks).sharpe() == curve(100, marks[1::2]).sharpe()


@pytest.mark.parametrize("flat", [100, 0, -5])
def test_without_any_change_or_money_there_is_no_ratio(flat: int) -> None:
    assert curve(flat, [(day * DAY, flat) for day in range(1, 6)]).sharpe() is None


marks = st.lists(st.tuples(st.integers(0, DAY), st.integers(1, 10**12)), min_size=1, max_size=60)


@pytest.mark.slow
@given(st.integers(1, 10**12), marks, st.lists(st.integers(1, 10), max_size=30))
@settings(deadline=None, max_examples=200)
def test_chunks_do_not_show(start: int, steps: Marks, lengths: list[int]) -> None:
    at, history = 0, []
    for step, atoms in steps:
        at += step
        history.append((at, atoms))
    chunks, rest = [], history
    for length in [*lengths, len(history)]:
        chunks.append(rest[:length])
        rest = rest[length:]
    whole, pieces = curve(start, history), curve(start, *chunks)
    assert pieces.max_drawdown == whole.max_drawdown
    assert pieces.sharpe() == whole.sharpe()
