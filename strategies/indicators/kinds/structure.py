"""Market structure: turning points, told when they are confirmed, and the levels and trends made of them."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare, number
from strategies.indicators.expression import VALUE

_SIDES = (bars("left", 5), bars("right", 5))
_BAR = ("high", "low", "close")
_SWING = ("level", "age", "found")
_PERCENT_MIN = 0.001
_PERCENT_MAX = 99.0


def _both(left: int, right: int, *_: int) -> int:
    """Count the bars before one can have so many on either side."""
    return left + right


add(
    Kind("swing_high", "structure", _SIDES, ("high",), _SWING, _both, kernel="swing", constants=(1.0,)),
    Kind("swing_low", "structure", _SIDES, ("low",), _SWING, _both, kernel="swing", constants=(-1.0,)),
    Kind("market_structure", "structure", _SIDES, _BAR, ("trend", "broken"), _both),
    Kind(
        "support_resistance",
        "structure",
        (*_SIDES, bars("count", 10, high=1_000)),
        _BAR,
        ("support", "resistance", "below", "above"),
        _both,
    ),
    Kind("breakout", "structure", (bars(default=20),), _BAR, VALUE, lambda period: period),
    Kind("fair_value_gap", "structure", (), ("high", "low"), VALUE, lambda: 2, bound=True),
    Kind(
        "zigzag",
        "structure",
        (number("percent", 5.0, _PERCENT_MIN, _PERCENT_MAX),),
        ("high", "low"),
        ("pivot", "extreme", "direction", "found"),
        lambda _: 0,
    ),
)


def swing_high(left: int = 5, right: int = 5, source: Source = "high") -> Indicator:
    """Declare the last swing high: above the `left` bars before it, not below the `right` after it (Williams' fractal).

    The outputs are its level, its age in bars, and found, 1.0 on the bar that confirms it: `right` bars later.  Until
    there is one, level and age are those of the highest so far.  Of equal highs the first is the swing.
    """
    return declare("swing_high", left, right, sources=(source,))


def swing_low(left: int = 5, right: int = 5, source: Source = "low") -> Indicator:
    """Declare the last swing low; as `swing_high`, upside down."""
    return declare("swing_low", left, right, sources=(source,))


def market_structure(left: int = 5, right: int = 5) -> Indicator:
    """Declare what the confirmed swings say (Dow): trend and broken.

    The trend is 1 while the last swing high and the last swing low are both above those before them, -1 while both are
    below, else 0.  Broken is 1 on the first close above the last swing high, -1 on the first below the last swing low.
    """
    return declare("market_structure", left, right)


def support_resistance(left: int = 5, right: int = 5, count: int = 10) -> Indicator:
    """Declare the nearest of the last `count` swings below and above the close, and how far they are.

    The outputs are support, resistance, and below and above, the distances in percent of the close.  Where no swing is
    below or above, the lowest low or highest high so far stands for it.
    """
    return declare("support_resistance", left, right, count)


def breakout(period: int) -> Indicator:
    """Declare 1 where the close is above all highs of the `period` bars before, -1 where below all lows, else 0."""
    return declare("breakout", period)


def fair_value_gap() -> Indicator:
    """Declare the gap that a bar and the one two before it leave: above it positive, below it negative, else 0."""
    return declare("fair_value_gap")


def zigzag(percent: float = 5.0) -> Indicator:
    """Declare the zigzag of turns by at least `percent`: pivot, extreme, direction and found.

    Pivot is the last confirmed turning point, extreme the highest or lowest since, direction 1 or -1; found is 1.0 on
    the bar that confirms the pivot.  A bar that goes on with the leg does not end it.  Before the first pivot the
    direction is 0, pivot and extreme the lowest and highest so far.
    """
    return declare("zigzag", percent)
