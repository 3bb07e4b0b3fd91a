"""Trading hours: windows of the week such as ``mon-fri 08:00-16:30``, in UTC, as the minutes they hold.

A window is named by the day it begins on, so that ``sun 22:00-02:00`` ends on Monday; without days it is every
day's. Its first minute belongs to it, the one it ends with does not. Without any window every minute is open.
"""

import re
from collections.abc import Iterable

from config.errors import nearest

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""Each may be written as its first three letters."""
_DAY_MINUTES = 1_440
WEEK_MINUTES = 7 * _DAY_MINUTES
_WEEK = (1 << WEEK_MINUTES) - 1
_EPOCH_DAY = 3
"""1970-01-01 was a Thursday."""
_MINUTE_NS = 60_000_000_000
_WINDOW = re.compile(r"(?:([a-z]+)(?:-([a-z]+))?\s+)?(\d\d):(\d\d)-(\d\d):(\d\d)")


def minute_of_week(ts_ns: int) -> int:
    """Return how many whole minutes of the week have passed, from 0 at Monday 00:00 UTC."""
    return (ts_ns // _MINUTE_NS + _EPOCH_DAY * _DAY_MINUTES) % WEEK_MINUTES


def open_minutes(windows: Iterable[str]) -> int:
    """Return the minutes of the week some windows hold, bit by bit.

    Raises:
        ValueError: names the window and what is wrong with it.
    """
    found = 0
    for window in windows:
        for part in window.split(","):
            found |= _minutes(part.strip())
    return found


def _minutes(window: str) -> int:
    match = _WINDOW.fullmatch(window.lower())
    if match is None:
        message = f"{window!r} is no window; write it as 'mon-fri 08:00-16:30', in UTC"
        raise ValueError(message)
    first, last, *clock = match.groups()
    begins = 0 if first is None else _day(first, window)
    ends = len(DAYS) - 1 if first is None else begins if last is None else _day(last, window)
    opens = _minute(clock[0], clock[1], window)
    closes = _minute(clock[2], clock[3], window)
    if opens in (closes, _DAY_MINUTES):
        message = f"{window!r} holds no minute"
        raise ValueError(message)
    length = closes - opens if closes > opens else closes + _DAY_MINUTES - opens
    found = 0
    for day in range(begins, (ends if ends >= begins else ends + len(DAYS)) + 1):
        minutes = ((1 << length) - 1) << (day * _DAY_MINUTES % WEEK_MINUTES + opens)
        found |= minutes & _WEEK | minutes >> WEEK_MINUTES
    return found


def _day(name: str, window: str) -> int:
    for index, known in enumerate(DAYS):
        if name in (known, known[:3]):
            return index
    message = f"{window!r}: there is no day {name}{nearest(name, [day[:3] for day in DAYS])}"
    raise ValueError(message)


def _minute(hours: str, minutes: str, window: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) >= 60 or minute > _DAY_MINUTES:  # noqa: PLR2004 - minutes of an hour
        message = f"{window!r}: there is no time {hours}:{minutes}"
        raise ValueError(message)
    return minute
