"""Declare indicators: what to compute from which columns, as plain values.

A declaration is cheap.  It can be compared, hashed, stored and sent, and costs no numba: kernels
are imported, and on the very first use compiled, by `Indicator.start`.

What can be declared is a table of kinds, filled by the families in `kinds/` when this package is
imported.
"""

from collections.abc import Callable
from operator import index
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex

import msgspec

from config.errors import nearest

if TYPE_CHECKING:
    from strategies.indicators.state import IndicatorState

Source = str
"""A column an indicator reads, by its name."""

SOURCES = ("open", "high", "low", "close", "volume")
PERIOD_MAX = 100_000  # TA-Lib's bound; one bar in `period` costs time in proportion to it.

NUMBER_MIN = 1e-9
NUMBER_MAX = 1e9


class Param(NamedTuple):
    """One parameter of a kind, with the bounds that are still allowed."""

    name: str
    default: float
    low: float
    high: float
    whole: bool

    def check(self, kind: str, value: float) -> None:
        """Refuse a value no kernel can take.

        Raises:
            ValueError: it is not whole where it must be, or out of bounds; one line.
        """
        # Written so that NaN fails as well; the range first, because infinity has no int.
        if not self.low <= value <= self.high or (self.whole and value != int(value)):
            raise self.refusal(kind, value)

    def refusal(self, kind: str, value: object) -> ValueError:
        """Word the one refusal."""
        if self.whole:
            message = f"{kind}: {self.name} must be a whole number {self.low:.0f} to {self.high:.0f}, got {value!r}"
        else:
            message = f"{kind}: {self.name} must be a number {self.low:g} to {self.high:g}, got {value!r}"
        return ValueError(message)


def bars(name: str = "period", default: int = 14, low: int = 1, high: int = PERIOD_MAX) -> Param:
    """Describe a whole number of bars."""
    return Param(name, default, low, high, whole=True)


def number(name: str, default: float, low: float = NUMBER_MIN, high: float = NUMBER_MAX) -> Param:
    """Describe any number within bounds, both allowed; positive unless `low` says otherwise."""
    return Param(name, default, low, high, whole=False)


class Kind(NamedTuple):
    """One kind of indicator, as a table's row.

    Attributes:
        name: What it is called, also the prefix of its kernels: `<name>_step`, `<name>_batch`, `<name>_slots`.
        kernels: The module in `kernels/` they stand in.
        params: Its parameters, in the order of the declaration.
        sources: The columns it reads unless told otherwise.
        outputs: The names of its results; a single one is called "value".
        warmup: From the parameters, how many leading bars have no value (NaN).
        check: Refuses parameters that fit their own bounds but not each other, by a ValueError.
    """

    name: str
    kernels: str
    params: tuple[Param, ...]
    sources: tuple[Source, ...]
    outputs: tuple[str, ...]
    warmup: Callable[..., int]
    check: Callable[..., None] | None = None


VALUE = ("value",)

KINDS: dict[str, Kind] = {}
"""Every kind, by name."""


def add(*kinds: Kind) -> None:
    """Put kinds into the table.

    Raises:
        ValueError: there is one of that name.
    """
    for kind in kinds:
        if kind.name in KINDS:
            message = f"there is an indicator {kind.name} already"
            raise ValueError(message)
        KINDS[kind.name] = kind


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
    sources: tuple[Source, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what no kernel can compute, also when decoded from bytes.

        Raises:
            ValueError: A field is wrong; the message is one line and names it.
        """
        kind = kind_of(self.kind)
        if len(self.params) != len(kind.params):
            message = f"{self.kind}: expected {len(kind.params)} params, got {self.params}"
            raise ValueError(message)
        for param, value in zip(kind.params, self.params, strict=True):
            param.check(self.kind, value)
        if kind.check is not None:
            kind.check(*self.params)
        for source in self.sources:
            if source not in SOURCES:
                message = f"{self.kind}: unknown source {source!r}, use {', '.join(SOURCES)}"
                raise ValueError(message)
        if len(self.sources) != len(kind.sources):
            message = f"{self.kind}: expected {len(kind.sources)} sources, got {self.sources}"
            raise ValueError(message)
        if self.outputs != kind.outputs:
            message = f"{self.kind}: the outputs are {kind.outputs}, not {self.outputs}"
            raise ValueError(message)

    @property
    def warmup(self) -> int:
        """Count the leading bars without a value (NaN), as many as in TA-Lib."""
        kind = KINDS[self.kind]
        return kind.warmup(
            *(int(value) if param.whole else value for param, value in zip(kind.params, self.params, strict=True))
        )

    def start(self) -> "IndicatorState":
        """Make a fresh state, ahead of the first bar."""
        # Here rather than on top: this import loads numba and the kernels.
        from strategies.indicators.state import IndicatorState

        return IndicatorState(self)


def kind_of(name: str) -> Kind:
    """Return a kind by its name.

    Raises:
        ValueError: there is none; the line names the nearest.
    """
    kind = KINDS.get(name)
    if kind is None:
        message = f"unknown indicator {name!r}{nearest(name, KINDS)}"
        raise ValueError(message)
    return kind


def declare(name: str, *params: float | SupportsIndex, sources: tuple[Source, ...] | None = None) -> Indicator:
    """Make an indicator from its kind's name and parameters; what the makers of the families call.

    Whole numbers of any type will do for a count of bars, True and 20.0 will not.

    Raises:
        ValueError: a parameter or a source is wrong; one line.
    """
    kind = kind_of(name)
    values = [_value(kind.name, param, given) for param, given in zip(kind.params, params, strict=True)]
    return Indicator(name, tuple(values), kind.sources if sources is None else sources, kind.outputs)


def _value(kind: str, param: Param, given: float | SupportsIndex) -> float:
    if not param.whole:
        if isinstance(given, bool):
            raise param.refusal(kind, given)
        try:
            return float(given)
        except (TypeError, ValueError, OverflowError):
            raise param.refusal(kind, given) from None
    if isinstance(given, bool) or not isinstance(given, SupportsIndex):
        raise param.refusal(kind, given)
    whole = index(given)
    param.check(kind, whole)
    return float(whole)
