"""What was gained by day, week and month: periods of a journal written by hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from actors.ledger import Begun
from actors.messages import EquityMark
from actors.risk.account import Equity
from actors.runtime.journal import SCHEMA
from daemon.console.profit import spans_of, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.console.profit import Period

DAY_NS = 86_400 * 10**9
CLOSES = {
    "2024-01-30T23:59": 1_000,
    "2024-01-31T00:00": 1_010,  # of the 30th
    "2024-01-31T00:01": 1_007,
    "2024-02-02T12:00": 1_100,  # a Friday, after a day without any bar
    "2024-02-05T00:00": 1_090,  # of Sunday
    "2024-02-05T00:01": 1_095,
}
FILLS = ("2024-01-30T23:58", "2024-01-31T00:00", "2024-02-02T11:00", "2024-02-02T11:30")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture
def journal() -> Iterator[sqlite3.Connection]:
    """Return a journal with two sessions, one of them of nothing but one close."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        marks = [(1, at(when), atoms) for when, atoms in CLOSES.items()]
        db.executemany("INSERT INTO equity VALUES (?, ?, ?)", [*marks, (2, at("2024-02-01T00:00"), 5)])
        rows = [(1, n, n, at(when), "o", "s", "X", 1, 1, 1, 1) for n, when in enumerate(FILLS)]
        db.executemany("INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        yield db


def told(db: sqlite3.Connection, by: Period, begun: Begun | None = None) -> list[tuple[str, int, int, int]]:
    """Return (first day, what it began with, what it came to, executions) of every period, page by page."""
    rows: list[tuple[str, int, int, int]] = []
    cursor: int | None = None
    more = True
    while more:
        (span,), more = spans_of(db, 1, begun, by, cursor, 1)
        day = datetime.fromtimestamp(span.start_ns / 1e9, UTC).strftime("%m-%d")
        rows.append((day, span.start_atoms, span.atoms, span.fills))
        cursor = span.start_ns
    whole, more = spans_of(db, 1, begun, by, None, 100)
    assert (more, [(span.start_atoms, span.fills) for span in whole]) == (False, [(row[1], row[3]) for row in rows])
    return rows


def test_a_close_at_midnight_is_of_the_day_before_and_a_day_without_bars_is_left_out(
    journal: sqlite3.Connection,
) -> None:
    assert told(journal, "day") == [
        ("02-05", 1_090, 1_095, 0),
        ("02-04", 1_100, 1_090, 0),
        ("02-02", 1_007, 1_100, 2),
        ("01-31", 1_010, 1_007, 1),
        ("01-30", 1_000, 1_010, 1),
    ]
    assert told(journal, "week") == [("02-05", 1_090, 1_095, 0), ("01-29", 1_000, 1_090, 4)]
    assert told(journal, "month") == [("02-01", 1_007, 1_095, 2), ("01-01", 1_000, 1_007, 2)]
    assert spans_of(journal, 3, None, "day", None, 5) == ([], False)


def test_days_and_weeks_that_a_session_before_began_are_counted_as_risk_counts_them(
    journal: sqlite3.Connection,
) -> None:
    day = at("2024-01-30T00:00") // DAY_NS
    of_then = Begun(day, 900, (day + 3) // 7, 800, 990)
    equity = Equity.of(990, of_then)
    for when, atoms in list(CLOSES.items())[:2]:
        equity.on_mark(EquityMark(equity_atoms=atoms, ts_ns=at(when)))

    (first,) = [row for row in told(journal, "day", of_then) if row[0] == "01-30"]
    assert first[1] == equity.day_atoms == 900
    assert told(journal, "week", of_then)[-1][1] == equity.week_atoms == 800
    assert told(journal, "month", of_then)[-1][1] == 990, "what its month began with nobody followed"
    earlier = Begun(day - 1, 900, (day - 7) // 7, 800, 990)
    assert [told(journal, by, earlier)[-1][1] for by in ("day", "week")] == [990, 990]


@pytest.mark.parametrize("ts_ns", [0, 2**63 - 1, -(2**63)])
def test_any_time_is_of_a_period(ts_ns: int) -> None:
    starts = [start_of(ts_ns, by) for by in ("month", "week", "day")]

    assert all(start <= ts_ns < start + 31 * DAY_NS for start in starts)
    assert all(start % DAY_NS == 0 for start in starts)
