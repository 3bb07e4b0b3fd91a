"""The Sundays on which clocks are changed in Europe and in North America."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

DAY_NS = 86_400_000_000_000
HOUR_NS = 3_600_000_000_000
_MARCH, _OCTOBER, _NOVEMBER = 3, 10, 11


def is_clock_change(ns: int) -> bool:
    """Return whether the UTC day of a time is one of a change, by the rules since 2007."""
    return ns // DAY_NS in _days_of(datetime.fromtimestamp(ns // 1_000_000_000, UTC).year)


@lru_cache(maxsize=256)
def _days_of(year: int) -> frozenset[int]:
    """Return the changes of a year as days since the epoch."""
    days = (
        _sunday(year, _MARCH, 2),
        _sunday(year, _NOVEMBER, 1),
        _sunday(year, _MARCH + 1, 1) - timedelta(weeks=1),
        _sunday(year, _OCTOBER + 1, 1) - timedelta(weeks=1),
    )
    return frozenset((day - date(1970, 1, 1)).days for day in days)


def _sunday(year: int, month: int, number: int) -> date:
    """Return the first, second, ... Sunday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7, weeks=number - 1)
