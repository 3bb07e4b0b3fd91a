"""Declare indicators: what to compute from which columns, as plain values.

A declaration is cheap.  It can be compared, hashed, stored and sent, and costs no numba: kernels
are imported, and on the very first use compiled, by `Indicator.start`.

What can be declared is a table of kinds, filled by the families in `kinds/` when this package is
imported.
"""

from collections.abc import Callable, Sequence
from operator import index
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex

from config.errors import nearest
from strategies.indicators.expression import COLUMNS, Column, Expression, lifted, single

if TYPE_CHECKING:
    from strategies.indicators.state import IndicatorState

Source = str | Expression
"""What an indicator reads: a column by its name, or any expression, another indicator among them."""

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
        bound: Whether its maker takes no sources, so that the written form has none.
        kernel: The prefix of its kernels, where several kinds share them; else the name.
        constants: What tells such kinds apart: numbers that stand in the state, behind the parameters.
    """

    name: str
    kernels: str
    params: tuple[Param, ...]
    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    warmup: Callable[..., int]
    check: Callable[..., None] | None = None
    bound: bool = False
    kernel: str = ""
    constants: tuple[float, ...] = ()

    @property
    def prefix(self) -> str:
        """What its kernels' names begin with."""
        return self.kernel or self.name


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


class Indicator(Expression, frozen=True):
    """A declared indicator.  Use `ema`, `sma` and their like to make one.

    Attributes:
        kind: Which indicator, one of `KINDS`.
        params: The period in bars, then whatever else the kind takes.
        sources: What it reads, in the order in which its state takes them: columns by name, or expressions.
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
        if len(self.sources) != len(kind.sources):
            message = f"{self.kind}: expected {len(kind.sources)} sources, got {self.sources}"
            raise ValueError(message)
        for source in self.sources:
            if isinstance(source, str):
                _check_column(self.kind, source)
            else:
                single(source)
        if self.outputs != kind.outputs:
            message = f"{self.kind}: the outputs are {kind.outputs}, not {self.outputs}"
            raise ValueError(message)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its results."""
        return self.outputs

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads, if these are columns alone.

        Raises:
            ValueError: they are not.
        """
        found = tuple(source for source in self.sources if isinstance(source, str))
        if len(found) < len(self.sources):
            message = f"{self} does not read columns alone"
            raise ValueError(message)
        return found

    @property
    def parts(self) -> tuple[Expression, ...]:
        """What it reads, as expressions."""
        return tuple(lifted(source) for source in self.sources)

    def _write(self, parts: Sequence[str]) -> str:
        kind = KINDS[self.kind]
        given = [f"{value:.17g}" if value != float(f"{value:g}") else f"{value:g}" for value in self.params]
        if self.sources != kind.sources or not (kind.params or kind.bound):
            given += parts
        return f"{self.kind}({', '.join(given)})"

    @property
    def warmup(self) -> int:
        """Count the leading bars without a value (NaN) from the first its sources have one, as many as in TA-Lib."""
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


def declare(name: str, *params: float | SupportsIndex, sources: tuple[Source | float, ...] | None = None) -> Indicator:
    """Make an indicator from its kind's name and parameters; what the makers of the families call.

    Whole numbers of any type will do for a count of bars, True and 20.0 will not.

    Raises:
        ValueError: a parameter or a source is wrong; one line.
    """
    kind = kind_of(name)
    values = [_value(kind.name, param, given) for param, given in zip(kind.params, params, strict=True)]
    read = kind.sources if sources is None else tuple(_source(name, source) for source in sources)
    return Indicator(name, tuple(values), read, kind.outputs)


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


def _source(kind: str, given: object) -> Source:
    """Take a name for a column, and a number for itself.

    Raises:
        ValueError: there is no such column, or it is nothing that has one value.
    """
    if isinstance(given, str):
        _check_column(kind, given)
        return given
    expression = single(lifted(given))
    return expression.name if isinstance(expression, Column) else expression


def _check_column(kind: str, name: str) -> None:
    if name not in COLUMNS:
        message = f"{kind}: unknown source {name!r}{nearest(name, COLUMNS)}, use {', '.join(COLUMNS)}"
        raise ValueError(message)
