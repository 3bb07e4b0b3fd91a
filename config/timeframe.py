"""The length of a bar, as people write it (`5m`) and as the core counts it (nanoseconds)."""

import re

from config.errors import UserError

NS_PER_S = 1_000_000_000
_UNITS_NS = {
    "w": 604_800 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
    "h": 3_600 * NS_PER_S,
    "m": 60 * NS_PER_S,
    "s": NS_PER_S,
}
_FIRST_MONDAY_NS = 4 * _UNITS_NS["d"]
"""5 January 1970."""
_WEEKS_MAX = 5_200
"""A century: the end of a bar must still be a time that 64 bits hold."""
_PATTERN = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)


def parse_timeframe(text: str) -> int:
    """Return the nanoseconds of a timeframe such as ``"5m"``.

    Raises:
        UserError: the text is not a positive whole number and one of the units s, m, h, d, w; or it is too long.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        message = f"{text!r} is no timeframe: write a whole number and one of the units s, m, h, d, w, for example 5m"
        raise UserError(message)
    timeframe_ns = int(match[1]) * _UNITS_NS[match[2]]
    if timeframe_ns > _WEEKS_MAX * _UNITS_NS["w"]:
        message = f"{text!r} is no timeframe: the longest is {_WEEKS_MAX}w"
        raise UserError(message)
    return timeframe_ns


def format_timeframe(timeframe_ns: int) -> str:
    """Return the shortest text for a timeframe: ``"1h"`` rather than ``"60m"``."""
    for unit, unit_ns in _UNITS_NS.items():
        if timeframe_ns % unit_ns == 0:
            return f"{timeframe_ns // unit_ns}{unit}"
    return f"{timeframe_ns / NS_PER_S:g}s"


def origin_ns(timeframe_ns: int) -> int:
    """Return where bars of a timeframe are counted from: 1970, and its first Monday where they are whole weeks."""
    return _FIRST_MONDAY_NS if timeframe_ns % _UNITS_NS["w"] == 0 else 0


def opening_ns(ts_ns: int, timeframe_ns: int) -> int:
    """Return when the bar that a time falls into begins."""
    return ts_ns - (ts_ns - origin_ns(timeframe_ns)) % timeframe_ns
