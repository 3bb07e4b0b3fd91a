"""Declare indicators: what to compute from which columns, as plain values.

A declaration is cheap.  It can be compared, hashed, stored and sent, and costs no numba: kernels
are imported, and on the very first use compiled, by `Indicator.start`.
"""

from operator import index
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex

import msgspec

if TYPE_CHECKING:
    from strategies.indicators.state import IndicatorState

SOURCES = ("open", "high", "low", "close", "volume")
PERIOD_MAX = 100_000  # TA-Lib's bound; one bar in `period` costs time in proportion to it.


class _Rule(NamedTuple):
    """What a valid declaration of one kind looks like."""

    outputs: tuple[str, ...]
    source_count: int
    params_count: int
    period_min: int
    needs_previous: bool  # Whether a bar means something only beside the bar before it.


_VALUE = ("value",)
_RULES = {
    "ema": _Rule(_VALUE, 1, 1, 1, needs_previous=False),
    "sma": _Rule(_VALUE, 1, 1, 1, needs_previous=False),
    "stddev": _Rule(_VALUE, 1, 1, 2, needs_previous=False),
    "bbands": _Rule(("upper", "middle", "lower"), 1, 2, 2, needs_previous=False),
    "rsi": _Rule(_VALUE, 1, 1, 2, needs_previous=True),
    "atr": _Rule(_VALUE, 3, 1, 1, needs_previous=True),
    "highest": _Rule(_VALUE, 1, 1, 1, needs_previous=False),
    "lowest": _Rule(_VALUE, 1, 1, 1, needs_previous=False),
}
KINDS = tuple(_RULES)


class Indicator(msgspec.Struct, frozen=True):
    """A declared indicator.  Use `ema`, `sma` and their like to make one.

    Attributes:
        kind: Which indicator, one of `KINDS`.
        params: The period in bars, then whatever else the kind takes.
        sources: The columns it reads, in the order in which its state takes them.
        outputs: The names of its results; a single one is called "value".
    """

    kind: str
    params: tuple[float, ...]
    sources: tuple[str, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what no kernel can compute, also when decoded from bytes.

        Raises:
            ValueError: A field is wrong; the message is one line and names it.
        """
        rule = _RULES.get(self.kind)
        if rule is None:
            message = f"unknown indicator {self.kind!r}, expected one of {', '.join(KINDS)}"
            raise ValueError(message)
        if len(self.params) != rule.params_count:
            message = f"{self.kind}: expected {rule.params_count} params, got {self.params}"
            raise ValueError(message)
        _check_period(self.kind, self.params[0])
        # Written so that NaN fails as well.
        if not all(0.0 < param < float("inf") for param in self.params[1:]):
            message = f"{self.kind}: deviations must be positive and finite, got {self.params[1]}"
            raise ValueError(message)
        for source in self.sources:
            if source not in SOURCES:
                message = f"{self.kind}: unknown source {source!r}, use {', '.join(SOURCES)}"
                raise ValueError(message)
        if len(self.sources) != rule.source_count:
            message = f"{self.kind}: expected {rule.source_count} sources, got {self.sources}"
            raise ValueError(message)
        if self.outputs != rule.outputs:
            message = f"{self.kind}: the outputs are {rule.outputs}, not {self.outputs}"
            raise ValueError(message)

    @property
    def warmup(self) -> int:
        """Count the leading bars without a value (NaN), as many as in TA-Lib."""
        period = int(self.params[0])
        return period if _RULES[self.kind].needs_previous else period - 1

    def start(self) -> "IndicatorState":
        """Make a fresh state, ahead of the first bar."""
        # Here rather than on top: this import loads numba and the kernels.
        from strategies.indicators.state import IndicatorState

        return IndicatorState(self)


def ema(period: int, source: str = "close") -> Indicator:
    """Declare an exponential moving average of `period` >= 1 bars, SMA first (TA-Lib EMA)."""
    return _declare("ema", period, (source,))


def sma(period: int, source: str = "close") -> Indicator:
    """Declare a simple moving average of `period` >= 1 bars (TA-Lib SMA)."""
    return _declare("sma", period, (source,))


def stddev(period: int, source: str = "close") -> Indicator:
    """Declare the population standard deviation of `period` >= 2 bars (TA-Lib STDDEV, nbdev 1)."""
    return _declare("stddev", period, (source,))


def bbands(period: int, deviations: float = 2.0, source: str = "close") -> Indicator:
    """Declare Bollinger bands `deviations` off the SMA of `period` >= 2 bars (TA-Lib BBANDS).

    The outputs are upper, middle and lower.
    """
    return _declare("bbands", period, (source,), deviations)


def rsi(period: int, source: str = "close") -> Indicator:
    """Declare Wilder's relative strength index of `period` >= 2 changes, 0 to 100 (TA-Lib RSI)."""
    return _declare("rsi", period, (source,))


def atr(period: int) -> Indicator:
    """Declare Wilder's average true range over `period` >= 1 bars (TA-Lib ATR)."""
    return _declare("atr", period, ("high", "low", "close"))


def highest(period: int, source: str = "high") -> Indicator:
    """Declare the maximum of the last `period` >= 1 bars, the current one included (TA-Lib MAX)."""
    return _declare("highest", period, (source,))


def lowest(period: int, source: str = "low") -> Indicator:
    """Declare the minimum of the last `period` >= 1 bars, the current one included (TA-Lib MIN)."""
    return _declare("lowest", period, (source,))


def _declare(kind: str, period: SupportsIndex, sources: tuple[str, ...], *more: float) -> Indicator:
    """Make an indicator; whole numbers of any type will do as period, True and 20.0 will not."""
    if isinstance(period, bool) or not isinstance(period, SupportsIndex):
        raise _bad_period(kind, period)
    whole = index(period)
    _check_period(kind, whole)
    params = (float(whole), *(float(param) for param in more))
    return Indicator(kind, params, sources, _RULES[kind].outputs)


def _check_period(kind: str, period: float) -> None:
    """Raise ValueError unless `period` is whole and within the kind's bounds."""
    # The range first: it also excludes NaN and infinity, which have no int.
    if not _RULES[kind].period_min <= period <= PERIOD_MAX or period != int(period):
        raise _bad_period(kind, period)


def _bad_period(kind: str, period: object) -> ValueError:
    """Word the one refusal of a period."""
    low = _RULES[kind].period_min
    return ValueError(f"{kind}: period must be a whole number {low} to {PERIOD_MAX}, got {period!r}")
