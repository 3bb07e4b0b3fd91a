"""Expressions as text, for rule files and the command line: the same words as in Python, and nothing else of it.

    crossed_above(ema(10), ema(50)) and rsi(14) < 70
    (close - ema(50).on("1h")) / atr(14) > 2 or external("fear_greed") < 20

Names are columns of the bar, `hl2`, `hlc3`, `ohlc4`, and whatever else the caller knows by name.  Calls are
indicators, with their parameters by place or name and what they read behind them.  `.name` picks one of
several values, `.on("1h")` another timeframe, `.on(symbol="ETHUSDT")` another symbol, `.lag(3)` an earlier
bar.  `and`, `or`, `not` combine conditions.  Nothing of it is run as Python.
"""

from __future__ import annotations

import ast
from inspect import signature
from typing import TYPE_CHECKING

from config.errors import nearest
from strategies import indicators
from strategies.indicators.declaration import KINDS
from strategies.indicators.expression import COLUMNS, Column, Expression, Placed, external, lifted

if TYPE_CHECKING:
    from collections.abc import Mapping

PRICES = {name: getattr(indicators, name) for name in ("hl2", "hlc3", "ohlc4")}
_TEXT_MAX = 10_000
_SHOWN_MAX = 80
_REFUSAL_MAX = 1_000
_DEPTH_MAX = 100

_OPERATORS: dict[type[ast.operator | ast.cmpop], str] = {
    ast.Add: "__add__",
    ast.Sub: "__sub__",
    ast.Mult: "__mul__",
    ast.Div: "__truediv__",
    ast.BitAnd: "__and__",
    ast.BitOr: "__or__",
    ast.Lt: "__lt__",
    ast.LtE: "__le__",
    ast.Gt: "__gt__",
    ast.GtE: "__ge__",
}


def parse(text: str, names: Mapping[str, Expression] | None = None) -> Expression:
    """Read an expression.

    Args:
        text: one expression; line breaks within brackets are fine.
        names: what else may be referred to by name, such as a strategy's other features.

    Raises:
        ValueError: it is none; one line with the place (column, from 1) and the nearest known name.
    """
    if len(text) > _TEXT_MAX:
        message = f"an expression of {len(text)} characters; {_TEXT_MAX} at most"
        raise ValueError(message)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        message = f"{_place(text, error.lineno or 1, error.offset or 1)}: {error.msg}: {_shown(text)}"
        raise ValueError(message) from None
    except (RecursionError, MemoryError):
        message = f"nested too deeply: {_shown(text)}"
        raise ValueError(message) from None
    return _Reader(text, names or {}).read(tree.body)


class _RefusedError(ValueError):
    """Names the place already."""


class _Reader:
    """Turns a syntax tree into an expression; knows where it is for the refusals."""

    def __init__(self, text: str, names: Mapping[str, Expression]) -> None:
        self._text = text
        self._names = names
        self._depth = 0

    def read(self, node: ast.expr) -> Expression:
        """Return the expression of a node."""
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise self._refusal(node, "nested too deeply")
        try:
            found = self._read(node)
        except _RefusedError:
            raise
        except ValueError as error:
            raise self._refusal(node, str(error)) from None
        self._depth -= 1
        return found

    def _read(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant():
                return self._number(node)
            case ast.Name():
                return self._name(node)
            case ast.BinOp() | ast.UnaryOp() | ast.BoolOp() | ast.Compare():
                return self._combine(node)
            case ast.Attribute():
                return self.read(node.value)[node.attr]
            case ast.Subscript(slice=ast.Constant(value=str() as name)):
                return self.read(node.value)[name]
            case ast.Call():
                return self._call(node)
        raise self._refusal(node, f"{self._shown(node)} has no place in an expression")

    def _number(self, node: ast.Constant) -> Expression:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._refusal(node, f"{node.value!r} is no number")
        return lifted(node.value)

    def _combine(self, node: ast.BinOp | ast.UnaryOp | ast.BoolOp | ast.Compare) -> Expression:
        match node:
            case ast.BinOp(op=op) if type(op) in _OPERATORS:
                return self._operate(type(op), node.left, node.right)
            case ast.Compare(ops=[op], comparators=[right]) if type(op) in _OPERATORS:
                return self._operate(type(op), node.left, right)
            case ast.Compare(ops=[_]):
                raise self._refusal(node, "compare with < <= > >=")
            case ast.Compare():
                raise self._refusal(node, "comparisons do not chain: combine two of them with and")
            case ast.BoolOp():
                found, *others = map(self.read, node.values)
                for other in others:
                    found = found & other if isinstance(node.op, ast.And) else found | other
                return found
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if _is_number(value):
                return lifted(-value)
            case ast.UnaryOp(op=ast.USub()):
                return -self.read(node.operand)
            case ast.UnaryOp(op=ast.Not() | ast.Invert()):
                return ~self.read(node.operand)
        raise self._refusal(node, f"{self._shown(node)} has no place in an expression")

    def _operate(self, operator: type[ast.operator | ast.cmpop], left: ast.expr, right: ast.expr) -> Expression:
        combine = getattr(self.read(left), _OPERATORS[operator])
        found: Expression = combine(self.read(right))
        return found

    def _name(self, node: ast.Name) -> Expression:
        if node.id in self._names:
            return self._names[node.id]
        if node.id in PRICES:
            price: Expression = PRICES[node.id]
            return price
        if node.id in COLUMNS:
            return Column(node.id)
        if node.id in KINDS:
            raise self._refusal(node, f"{node.id} is an indicator: write {node.id}(...)")
        known = [*self._names, *COLUMNS, *PRICES, *KINDS]
        raise self._refusal(node, f"there is no {node.id}{nearest(node.id, known)}")

    def _call(self, node: ast.Call) -> Expression:
        match node.func:
            case ast.Attribute(value=of, attr="on"):
                return self._place(node, self.read(of))
            case ast.Attribute(value=of, attr="lag"):
                self._plain(node, 1)
                return self.read(of).lag(*(self._argument(arg) for arg in node.args))  # type: ignore[arg-type]
            case ast.Name(id="external"):
                self._plain(node, 1)
                match node.args:
                    case [ast.Constant(value=str() as series)]:
                        return external(series)
                raise self._refusal(node, 'external takes the name of a series, as in external("fear_greed")')
            case ast.Name(id=name) if name in KINDS:
                return self._indicator(node, name)
            case ast.Name(id=name):
                raise self._refusal(node, f"there is no indicator {name}{nearest(name, KINDS)}")
        raise self._refusal(node, f"{self._shown(node.func)} cannot be called")

    def _indicator(self, node: ast.Call, name: str) -> Expression:
        maker = getattr(indicators, name)
        given = [self._argument(arg) for arg in node.args]
        named = {}
        takes = signature(maker).parameters
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._refusal(node, "** has no place in an expression")
            if keyword.arg in named:
                raise self._refusal(node, f"{name} is given {keyword.arg} twice")
            if keyword.arg not in takes:
                known = f"it takes {', '.join(takes)}" if takes else "it takes nothing"
                raise self._refusal(node, f"{name} has no {keyword.arg}{nearest(keyword.arg, takes)}; {known}")
            named[keyword.arg] = self._argument(keyword.value)
        try:
            found: Expression = maker(*given, **named)
        except TypeError as error:
            raise self._refusal(node, str(error)) from None
        return found

    def _argument(self, node: ast.expr) -> object:
        """Return a number as it is, whole where it is written so, and anything else as an expression."""
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if _is_number(value):
                return -value
            case _:
                return self.read(node)

    def _place(self, node: ast.Call, of: Expression) -> Expression:
        texts: dict[str, str] = {}
        words = ("timeframe", "symbol")
        for word, value in [*zip(words, node.args, strict=False), *((k.arg, k.value) for k in node.keywords)]:
            if word in texts:
                raise self._refusal(node, f".on is given the {word} twice")
            if word not in words or not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                raise self._refusal(node, '.on takes a timeframe and a symbol, as in .on("1h", symbol="ETHUSDT")')
            texts[word] = value.value
        if len(node.args) > 1:
            raise self._refusal(node, '.on takes the symbol by name, as in .on(symbol="ETHUSDT")')
        return Placed(of, texts.get("timeframe"), texts.get("symbol"))

    def _plain(self, node: ast.Call, most: int) -> None:
        if node.keywords or len(node.args) > most:
            raise self._refusal(node, f"{self._shown(node.func)} takes {most} argument")

    def _shown(self, node: ast.expr) -> str:
        """Return what stands there in the text; writing it anew would recurse as deep as it is nested."""
        return _shown(ast.get_source_segment(self._text.strip(), node) or "it")

    def _refusal(self, node: ast.expr, why: str) -> _RefusedError:
        line = self._text.strip().split("\n")[node.lineno - 1]
        column = len(line.encode()[: node.col_offset].decode()) + 1
        return _RefusedError(f"{_place(self._text, node.lineno, column)}: {_cut(why, _REFUSAL_MAX)}")


def _place(text: str, line: int, column: int) -> str:
    """Name a place of the text without the space around it, as one of the text as it was given."""
    before = text[: len(text) - len(text.lstrip())]
    line += before.count("\n")
    if line == 1 + before.count("\n"):
        column += len(before) - before.rfind("\n") - 1
    return f"line {line}, column {column}" if line > 1 else f"column {column}"


def _shown(text: str) -> str:
    return _cut(" ".join(text.split()), _SHOWN_MAX)


def _cut(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[:most]}..."


def _is_number(value: float) -> bool:
    """Return whether a sign before it makes another number; one before a truth is a mistake."""
    return value != 0 and not isinstance(value, bool)
