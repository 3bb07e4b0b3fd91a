"""The line of equity: its dots and what it remembers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

import tui.panels.equity
from tui.panels.equity import Equity, plot
from tui.status import Clock, Status


def status(ts_ns: int, equity: str, session: str = "one") -> Status:
    return Status("running", session, Decimal(equity), Decimal(0), clock=Clock(ts_ns))


def dots(lines: list[str]) -> set[tuple[int, int]]:
    """Return (x, y) of every dot, y counted from the top."""
    bits = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
    return {
        (2 * column + x, 4 * row + y)
        for row, line in enumerate(lines)
        for column, char in enumerate(line)
        for x in range(2)
        for y in range(4)
        if char != " " and (ord(char) - 0x2800) & bits[x][y]
    }


def test_a_rise_runs_from_the_lower_left_to_the_upper_right() -> None:
    drawn = dots(plot([(0, 1.0), (10, 2.0)], 4, 2))
    assert {(x, 7 - x) for x in range(8)} <= drawn
    assert all(y in (7 - x, 8 - x) for x, y in drawn), "each step is one dot up"


def test_a_line_without_change_runs_along_the_middle() -> None:
    assert {y for _, y in dots(plot([(0, 5.0), (10, 5.0)], 6, 3))} == {6}


def test_a_single_point_is_a_dot() -> None:
    assert len(dots(plot([(7, 5.0)], 6, 3))) == 1


def test_time_is_to_scale() -> None:
    """A value that held for nine tenths of the time fills nine tenths of the width."""
    drawn = dots(plot([(0, 1.0), (90, 1.0), (91, 2.0), (100, 2.0)], 50, 2))
    assert max(x for x, y in drawn if y == 7) in range(88, 92)


@given(
    st.lists(st.tuples(st.integers(1, 10**15), st.floats(-1e12, 1e12)), min_size=1, max_size=40),
    st.integers(1, 40),
    st.integers(1, 8),
)
def test_the_line_fills_its_room_and_has_no_hole(steps: list[tuple[int, float]], width: int, height: int) -> None:
    points, ts_ns = [], 0
    for step_ns, value in steps:
        ts_ns += step_ns
        points.append((ts_ns, value))

    lines = plot(points, width, height)

    drawn = dots(lines)
    assert [len(line) for line in lines] == [width] * height
    if len(points) > 1:
        assert {x for x, _ in drawn} == set(range(2 * width))
    values = [value for _, value in points]
    if max(values) > min(values):
        assert {0, 4 * height - 1} <= {y for _, y in drawn}
    for x in range(1, 2 * width):
        here, before = [y for a, y in drawn if a == x], [y for a, y in drawn if a == x - 1]
        if here and before:
            assert min(here) <= max(before) + 1
            assert min(before) <= max(here) + 1


@pytest.fixture
def line() -> Any:
    """An equity panel that is not on a screen."""
    return Equity()


def test_points_are_bounded_and_the_first_and_the_last_stay(line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tui.panels.equity.POINTS_MAX >= 1_000
    monkeypatch.setattr("tui.panels.equity.POINTS_MAX", 64)
    count = 1_000
    for index in range(count):
        line.watch_status(status(index, str(index)))
    assert 32 <= len(line.points) <= 64
    assert line.points[0] == (0, Decimal(0))
    assert line.points[-1] == (count - 1, Decimal(count - 1))
    assert line.points == sorted(line.points)


def test_while_the_clock_stands_the_last_point_is_corrected(line: Any) -> None:
    for ts_ns, equity in ((1, "10"), (2, "11"), (2, "12")):
        line.watch_status(status(ts_ns, equity))
    assert line.points == [(1, Decimal(10)), (2, Decimal(12))]


@pytest.mark.parametrize("later", [status(9, "50", session="two"), status(1, "50")])
def test_another_session_or_a_clock_set_back_begins_a_new_line(line: Any, later: Status) -> None:
    for ts_ns, equity in ((5, "10"), (6, "11")):
        line.watch_status(status(ts_ns, equity))
    line.watch_status(later)
    assert [equity for _, equity in line.points] == [Decimal(50)]


@pytest.mark.parametrize(
    ("equity", "change", "colour"),
    [("110", "+10.00 (+10.00%)", "$success"), ("95", "-5.00 (-5.00%)", "$error"), ("100", "0.00", "$muted")],
)
def test_the_title_tells_the_change_since_the_console_was_opened(
    line: Any, equity: str, change: str, colour: str
) -> None:
    line.watch_status(status(0, "100"))
    line.watch_status(status(60_000_000_000, equity))
    title = Content.from_markup(line.border_title)
    assert title.plain == f"Equity {change} since 1970-01-01 00:00:00 UTC"
    assert str(title.spans[0].style) == colour


def test_an_account_at_nothing_has_no_share(line: Any) -> None:
    line.watch_status(status(0, "0"))
    line.watch_status(status(1, "3"))
    assert Content.from_markup(line.border_title).plain.startswith("Equity +3.00 since")
