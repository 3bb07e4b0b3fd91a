"""Bar statistics: what one bar looks like, beside the bar before it."""

from strategies.indicators.declaration import Indicator, Kind, add, declare
from strategies.indicators.expression import VALUE

_BAR = ("open", "high", "low", "close")
_SHAPES = ("body_ratio", "upper_wick", "lower_wick", "close_location", "range_percent")
_BESIDE = ("gap_percent", "inside_bar", "outside_bar")


def _row(name: str, number: int, lookback: int) -> Kind:
    """Make the row of a shape: one kernel has them all, by number."""
    return Kind(
        name, "bar_shapes", (), _BAR, VALUE, lambda: lookback, bound=True, kernel="shape", constants=(float(number),)
    )


add(
    *(_row(name, number, 0) for number, name in enumerate(_SHAPES)),
    *(_row(name, len(_SHAPES) + number, 1) for number, name in enumerate(_BESIDE)),
    Kind("heikin_ashi", "bar_shapes", (), _BAR, ("open", "high", "low", "close"), lambda: 0, bound=True),
    Kind(
        "pivots",
        "bar_shapes",
        (),
        ("high", "low", "close"),
        ("pivot", "r1", "r2", "r3", "s1", "s2", "s3"),
        lambda: 0,
        bound=True,
    ),
)


def body_ratio() -> Indicator:
    """Declare the body as a part of the range, 0 to 1; 0 of a bar without range."""
    return declare("body_ratio")


def upper_wick() -> Indicator:
    """Declare the upper shadow as a part of the range, 0 to 1; 0 of a bar without range."""
    return declare("upper_wick")


def lower_wick() -> Indicator:
    """Declare the lower shadow as a part of the range, 0 to 1; 0 of a bar without range."""
    return declare("lower_wick")


def close_location() -> Indicator:
    """Declare Chaikin's close location value: -1 a close at the low, 1 at the high; 0 of a bar without range."""
    return declare("close_location")


def range_percent() -> Indicator:
    """Declare the range in percent of the close."""
    return declare("range_percent")


def gap_percent() -> Indicator:
    """Declare how far the bar opened from the close before it, in percent of that."""
    return declare("gap_percent")


def inside_bar() -> Indicator:
    """Declare 1.0 on bars with a lower high and a higher low than the bar before, else 0.0."""
    return declare("inside_bar")


def outside_bar() -> Indicator:
    """Declare 1.0 on bars with a higher high and a lower low than the bar before, else 0.0."""
    return declare("outside_bar")


def heikin_ashi() -> Indicator:
    """Declare the Heikin-Ashi bar (Valcu, 2004): open, high, low, close.

    The close is the mean of the four prices; the open that of the last averaged open and close, of the first bar
    that of its own.
    """
    return declare("heikin_ashi")


def pivots() -> Indicator:
    """Declare the floor pivots a bar leaves to the next: pivot, r1, r2, r3, s1, s2, s3.

    Those of a day within it are `pivots().on("1d")`, which is of the last day that has closed.
    """
    return declare("pivots")
