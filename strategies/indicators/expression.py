"""Expressions: features declared as plain values and combined with Python's operators.

    fast, slow = ema(10), ema(50)
    {"trend": (fast - slow) / atr(14), "hourly": rsi(14).on("1h"), "cross": crossed_above(fast, slow)}

An expression computes nothing; `strategies.features` does.  Equal expressions are equal values, so that what
several features or strategies ask for is computed once.  `str` of one gives text that reads back
(`strategies.features.text`).  Comparisons and logic give 1.0 and 0.0.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import msgspec

from config.errors import UserError, nearest
from config.timeframe import parse_timeframe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from strategies.indicators.declaration import Indicator

BAR_COLUMNS = ("open", "high", "low", "close", "volume")
"""What every bar has."""

NEWEST = (
    "bid", "ask", "bid_quantity", "ask_quantity", "bid_depth", "ask_depth",
    "mark", "index", "funding", "open_interest", "open_interest_value",
)  # fmt: skip
"""What was told last by the close of the bar: by quotes and books (depth: the quantity of all levels told), by
marks, by the announced or paid funding rate, by open interest in base and in quote units."""

SUMMED = ("buy_volume", "sell_volume", "trade_count", "long_liquidations", "short_liquidations")
"""What came since the bar before: trades by who took, in base units, and forced orders by the side that lost."""

COLUMNS = (*BAR_COLUMNS, "time", *NEWEST, *SUMMED)
"""Every column a feature can read; `time` is when the bar opened, in seconds since 1970 UTC."""

VALUE = ("value",)

_ARITHMETIC = ("+", "-", "*", "/")
_COMPARISONS = ("<", "<=", ">", ">=")
_LOGIC = ("&", "|")
OPERATORS = (*_ARITHMETIC, *_COMPARISONS, *_LOGIC, "neg", "not")

_BINDS = {"|": 1, "&": 2, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6}
"""How tightly an operator of the written form binds; `not` is 3, a sign 7, everything else an atom, 9."""
_ATOM = 9
_WRITTEN_MAX = 10_000
_WORDS = {"&": "and", "|": "or"}


class Expression(msgspec.Struct, frozen=True):
    """Base of everything that has a value at the close of a bar."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its values; a single one is called "value"."""
        return VALUE

    @property
    def parts(self) -> tuple[Expression, ...]:
        """The expressions it is computed from."""
        return ()

    def __add__(self, other: Operand) -> Combined:
        """Return the sum."""
        return Combined("+", (self, lifted(other)))

    def __radd__(self, other: Operand) -> Combined:
        """Return the sum."""
        return Combined("+", (lifted(other), self))

    def __sub__(self, other: Operand) -> Combined:
        """Return the difference."""
        return Combined("-", (self, lifted(other)))

    def __rsub__(self, other: Operand) -> Combined:
        """Return the difference."""
        return Combined("-", (lifted(other), self))

    def __mul__(self, other: Operand) -> Combined:
        """Return the product."""
        return Combined("*", (self, lifted(other)))

    def __rmul__(self, other: Operand) -> Combined:
        """Return the product."""
        return Combined("*", (lifted(other), self))

    def __truediv__(self, other: Operand) -> Combined:
        """Return the quotient; NaN where the divisor is 0."""
        return Combined("/", (self, lifted(other)))

    def __rtruediv__(self, other: Operand) -> Combined:
        """Return the quotient; NaN where the divisor is 0."""
        return Combined("/", (lifted(other), self))

    def __neg__(self) -> Combined:
        """Return the value with its sign turned."""
        return Combined("neg", (self,))

    def __lt__(self, other: Operand) -> Combined:
        """Return 1.0 where it is less, else 0.0."""
        return Combined("<", (self, lifted(other)))

    def __le__(self, other: Operand) -> Combined:
        """Return 1.0 where it is less or equal, else 0.0."""
        return Combined("<=", (self, lifted(other)))

    def __gt__(self, other: Operand) -> Combined:
        """Return 1.0 where it is greater, else 0.0."""
        return Combined(">", (self, lifted(other)))

    def __ge__(self, other: Operand) -> Combined:
        """Return 1.0 where it is greater or equal, else 0.0."""
        return Combined(">=", (self, lifted(other)))

    def __and__(self, other: Operand) -> Combined:
        """Return 1.0 where both are neither 0 nor NaN, else 0.0."""
        return Combined("&", (self, lifted(other)))

    def __rand__(self, other: Operand) -> Combined:
        """Return 1.0 where both are neither 0 nor NaN, else 0.0."""
        return Combined("&", (lifted(other), self))

    def __or__(self, other: Operand) -> Combined:
        """Return 1.0 where at least one is neither 0 nor NaN, else 0.0."""
        return Combined("|", (self, lifted(other)))

    def __ror__(self, other: Operand) -> Combined:
        """Return 1.0 where at least one is neither 0 nor NaN, else 0.0."""
        return Combined("|", (lifted(other), self))

    def __invert__(self) -> Combined:
        """Return 1.0 where it is 0 or NaN, else 0.0."""
        return Combined("not", (self,))

    def __bool__(self) -> bool:
        """Refuse: `and`, `or`, `if` and chained comparisons would throw half of the expression away.

        Raises:
            TypeError: always.
        """
        message = f"{self} has a value per bar, not one truth: combine with & | ~ and single comparisons"
        raise TypeError(message)

    def __getitem__(self, name: str) -> Output:
        """Return one of several values by its name, as in `bbands(20)["upper"]`.

        Raises:
            ValueError: it has no such value.
        """
        return Output(self, name)

    def lag(self, bars: int = 1) -> Indicator:
        """Return the value of so many bars ago."""
        from strategies.indicators.kinds.transforms import lag

        return lag(bars, self)

    def on(self, timeframe: str | None = None, *, symbol: str | None = None) -> Placed:
        """Return what it is on another timeframe, another symbol, or both: as of the last bar closed there."""
        return Placed(self, timeframe, symbol)

    def __str__(self) -> str:
        """Return the written form; the beginning of it where it would be too long to be read back."""
        return _written(self)

    def _write(self, parts: Sequence[str]) -> str:  # noqa: ARG002 - for those that have some
        """Return the written form, given those of its parts."""
        return type(self).__name__

    def _bound(self) -> int:
        """How tightly the written form holds together."""
        return _ATOM


Operand = Expression | float | int


class Column(Expression, frozen=True):
    """A column of the bar, or of what came between this bar and the one before it."""

    name: str

    def __post_init__(self) -> None:
        """Refuse a name that is no column.

        Raises:
            ValueError: it is none; the line names the nearest.
        """
        if self.name not in COLUMNS:
            message = f"there is no column {self.name!r}{nearest(self.name, COLUMNS)}, there are {', '.join(COLUMNS)}"
            raise ValueError(message)

    def _write(self, _: Sequence[str]) -> str:
        return self.name


class Constant(Expression, frozen=True):
    """A number."""

    value: float

    def _write(self, _: Sequence[str]) -> str:
        return f"{self.value:.17g}" if f"{self.value:g}" != repr(self.value) else f"{self.value:g}"

    def _bound(self) -> int:
        return _ATOM - 1 if self.value >= 0 else 7


class Combined(Expression, frozen=True):
    """An operator over one or two expressions, or three of `where`."""

    operator: str
    args: tuple[Expression, ...]

    def __post_init__(self) -> None:
        """Refuse what has several values at once.

        Raises:
            ValueError: one of the arguments has; the line names its values.
        """
        for arg in self.args:
            single(arg)

    @property
    def parts(self) -> tuple[Expression, ...]:
        """Its arguments."""
        return self.args

    def _write(self, parts: Sequence[str]) -> str:
        bound = self._bound()
        if self.operator == "neg":
            return f"-{_within(self.args[0], parts[0], bound)}"
        if self.operator == "not":
            return f"not {_within(self.args[0], parts[0], bound)}"
        left, right = self.args
        # Comparisons do not chain, and a difference of a difference is not the same read the other way round.
        first = bound + 1 if self.operator in _COMPARISONS else bound
        word = _WORDS.get(self.operator, self.operator)
        return f"{_within(left, parts[0], first)} {word} {_within(right, parts[1], bound + 1)}"

    def _bound(self) -> int:
        return {"neg": 7, "not": 3}.get(self.operator) or _BINDS[self.operator]


class Output(Expression, frozen=True):
    """One of the values of an expression that has several."""

    of: Expression
    name: str

    def __post_init__(self) -> None:
        """Refuse a name that does not exist.

        Raises:
            ValueError: it does not; the line lists those that do.
        """
        if self.name not in self.of.names:
            message = f"{self.of} has no {self.name!r}, it has {', '.join(self.of.names)}"
            raise ValueError(message)

    @property
    def parts(self) -> tuple[Expression, ...]:
        """What it is a value of."""
        return (self.of,)

    def _write(self, parts: Sequence[str]) -> str:
        return f"{_within(self.of, parts[0], _ATOM)}.{self.name}"


class Placed(Expression, frozen=True):
    """An expression over the bars of another series, as of the last one closed."""

    of: Expression
    timeframe: str | None
    symbol: str | None

    def __post_init__(self) -> None:
        """Refuse what names no other series.

        Raises:
            ValueError: neither timeframe nor symbol is given, or it is no timeframe.
        """
        if self.timeframe is not None:
            try:
                parse_timeframe(self.timeframe)
            except UserError as error:
                raise ValueError(str(error)) from None
        if self.timeframe is None and self.symbol is None:
            message = f"({self.of}).on() needs a timeframe or a symbol"
            raise ValueError(message)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of what is placed."""
        of = self.of
        while isinstance(of, Placed):
            of = of.of
        return of.names

    @property
    def parts(self) -> tuple[Expression, ...]:
        """What is placed."""
        return (self.of,)

    def _write(self, parts: Sequence[str]) -> str:
        given = [repr(self.timeframe)] if self.timeframe is not None else []
        if self.symbol is not None:
            given.append(f"symbol={self.symbol!r}")
        return f"{_within(self.of, parts[0], _ATOM)}.on({', '.join(given)})"


class Published(Expression, frozen=True):
    """The newest value of an external series that had been published by the close of the bar."""

    series: str

    def _write(self, _: Sequence[str]) -> str:
        return f"external({self.series!r})"


def external(series: str) -> Published:
    """Return the newest published value of an external series, by the name `--series` gives it."""
    return Published(series)


def lifted(operand: object) -> Expression:
    """Return a number as an expression, a name as the column of that name, and an expression as it is.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(operand, Expression):
        return operand
    if isinstance(operand, str):
        return Column(operand)
    try:
        # Numpy's numbers have no common type; a truth is none of them.
        number = nan if isinstance(operand, bool) else float(operand)  # type: ignore[arg-type]
    except OverflowError:
        number = nan
    except (TypeError, ValueError):
        message = f"{operand!r} is neither a number nor an expression"
        raise ValueError(message) from None
    if not abs(number) < float("inf"):
        shown = "one of more than 308 digits" if isinstance(operand, int) and abs(operand) > 1 else operand
        message = f"a constant must be a finite number, not {shown}"
        raise ValueError(message)
    return Constant(number + 0.0)  # -0.0 becomes the 0.0 it equals


def single(expression: Expression) -> Expression:
    """Return the expression if it has one value.

    Raises:
        ValueError: it has several.
    """
    if len(expression.names) > 1:
        names = expression.names
        message = f"{expression} has {len(names)} values: pick one, such as .{names[0]} or [{names[0]!r}]"
        raise ValueError(message)
    return expression


def in_order(expression: Expression) -> Iterator[tuple[Expression, tuple[Expression, ...]]]:
    """Yield everything an expression is made of, each once and behind its parts, with these; itself last.

    However deep it is nested, and however often it names the same part: neither recursion nor a hash of it would do.
    """
    parts: dict[int, tuple[Expression, ...]] = {}
    done: set[int] = set()
    waiting = [expression]
    while waiting:
        one = waiting[-1]
        if id(one) not in parts:
            parts[id(one)] = one.parts  # kept, lest another object be given the place of one that is gone
            waiting.extend(part for part in reversed(parts[id(one)]) if id(part) not in done)
            continue
        waiting.pop()
        if id(one) not in done:
            done.add(id(one))
            yield one, parts[id(one)]


def _written(expression: Expression) -> str:
    texts: dict[int, str] = {}
    for one, parts in in_order(expression):
        text = one._write([texts[id(part)] for part in parts])  # noqa: SLF001 - of its own family
        texts[id(one)] = text if len(text) <= _WRITTEN_MAX else f"{text[:_WRITTEN_MAX]}..."
    return texts[id(expression)]


def _within(expression: Expression, written: str, bound: int) -> str:
    return written if expression._bound() >= bound else f"({written})"  # noqa: SLF001 - of its own family


high = Column("high")
low = Column("low")
close = Column("close")
volume = Column("volume")
hl2 = (high + low) / 2
hlc3 = (high + low + close) / 3
ohlc4 = (Column("open") + high + low + close) / 4
