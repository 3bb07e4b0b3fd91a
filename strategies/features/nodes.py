"""What a lane of the feature graph is made of: operators, indicators, and users' own functions.

Every node computes one bar by `run` and a chunk of them by `compute`, to the same bits.
"""

from __future__ import annotations

from math import isnan, nan
from operator import ge, gt, itemgetter, le, lt
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from actors.runtime.supervision import words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from strategies.indicators.custom import Custom
    from strategies.indicators.declaration import Indicator

    Values = list[float]
    Slots = Values | dict[int, float]
    Columns = dict[int, NDArray[np.float64]]


class Operator:
    """An operator over one or two slots."""

    __slots__ = ("inputs", "name", "output", "result")

    def __init__(self, name: str, inputs: tuple[int, ...], output: int) -> None:
        self.name = name
        self.inputs = inputs
        self.output = output
        self.result: Callable[..., float] = (_ON_ONE if len(inputs) == 1 else _ON_TWO)[name]

    def run(self, values: Values) -> None:
        """Compute the value of one bar."""
        inputs = self.inputs
        if len(inputs) == 1:
            values[self.output] = self.result(values[inputs[0]])
        else:
            values[self.output] = self.result(values[inputs[0]], values[inputs[1]])

    def compute(self, columns: Columns) -> None:
        """Compute a chunk."""
        columns[self.output] = _ON_COLUMNS[self.name](*(columns[slot] for slot in self.inputs))

    def dump(self) -> tuple[bool, bytes]:
        """Return nothing: it remembers nothing."""
        return True, b""

    def load(self, started: bool, state: bytes) -> None:  # noqa: FBT001 - a pair, as `dump` gives it
        """Take nothing."""


class Kernel:
    """An indicator at work; a session runs hundreds of them a bar, most with one input or three and one output."""

    __slots__ = ("inputs", "outputs", "read", "started", "state", "step", "vector")

    def __init__(self, indicator: Indicator, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
        self.state = indicator.start()
        self.step, self.vector = self.state.kernel, self.state.state
        self.inputs = inputs
        self.outputs = outputs
        self.read: Callable[[Values], tuple[float, ...]] | None = itemgetter(*inputs) if len(inputs) > 1 else None
        self.started = False

    def run(self, values: Values) -> None:
        """Take one bar in, once everything it reads has had a value."""
        if not self.started:
            if any(isnan(values[slot]) for slot in self.inputs):
                return
            self.started = True
        read, outputs = self.read, self.outputs
        if read is None:
            found = self.step(self.vector, values[self.inputs[0]])
        else:
            found = self.step(self.vector, *read(values))
        if len(outputs) == 1:
            values[outputs[0]] = found[0]
        else:
            for slot, value in zip(outputs, found, strict=True):
                values[slot] = value

    def compute(self, columns: Columns) -> None:
        """Take a chunk in."""
        given = [columns[slot] for slot in self.inputs]
        first = 0
        if not self.started:
            missing = np.logical_or.reduce([np.isnan(column) for column in given])
            there = np.flatnonzero(~missing)
            first = int(there[0]) if there.size else missing.size
            self.started = bool(there.size)
        found = self.state.batch(*(column[first:] for column in given))
        for slot, column in zip(self.outputs, found, strict=True):
            columns[slot] = np.concatenate((np.full(first, nan), column)) if first else column

    def dump(self) -> tuple[bool, bytes]:
        """Return its state."""
        return self.started, self.state.dump()

    def load(self, started: bool, state: bytes) -> None:  # noqa: FBT001 - a pair, as `dump` gives it
        """Restore its state."""
        self.started = started
        self.state.load(state)


class _OwnState(msgspec.Struct, array_like=True):
    """What a snapshot keeps of a user's step function."""

    seen: int
    vector: bytes
    words: str = ""


class Own:
    """A user's step function at work; what it raises is kept for whoever reads its value."""

    __slots__ = ("custom", "error", "failure", "inputs", "outputs", "seen", "state", "words")

    def __init__(self, custom: Custom, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
        self.custom = custom
        self.inputs = inputs
        self.outputs = outputs
        self.state = np.zeros(custom.slots)
        self.seen = -1
        """Bars since everything it reads had a value; -1 before."""
        self.error: Exception | None = None
        """What it raised on the bar in hand; gone in a session that was continued since."""
        self.words = ""
        """The same in words; empty if it raised nothing."""
        self.failure: Exception | None = None
        """What it raised first."""

    def run(self, values: Slots) -> None:
        """Take one bar in; a failure leaves its memory as it was, and no value."""
        given = [values[slot] for slot in self.inputs]
        if self.seen < 0 and any(map(isnan, given)):
            return
        before = self.state.copy()
        try:
            told = self._numbers(self.custom.step(self.state, *given, *self.custom.params))
            self.error, self.words = None, ""
        except Exception as error:  # noqa: BLE001 - the user's own code
            self.state[:] = before
            self.error, self.words = error, words_of(error)
            self.failure = self.failure or error
            told = (nan,) * len(self.outputs)
        self.seen = min(self.seen + 1, self.custom.warmup)
        for slot, value in zip(self.outputs, told, strict=True):
            values[slot] = value if self.seen >= self.custom.warmup else nan

    def _numbers(self, found: object) -> tuple[float, ...]:
        given = found if isinstance(found, tuple) else (found,)
        if len(given) != len(self.outputs):
            message = f"{self.custom} gave {len(given)} values, and names {len(self.outputs)}"
            raise ValueError(message)
        for value in given:
            if isinstance(value, str | bytes | bytearray):  # float() would read them
                message = f"{self.custom} gave {value!r}, which is no number"
                raise TypeError(message)
        return tuple(map(float, given))

    def compute(self, columns: Columns) -> None:
        """Take a chunk in, bar by bar."""
        given = [columns[slot].tolist() for slot in self.inputs]
        values: dict[int, float] = dict.fromkeys(self.outputs, nan)
        told: list[list[float]] = [[] for _ in self.outputs]
        for row in zip(*given, strict=True):
            values.update(zip(self.inputs, row, strict=True))
            self.run(values)
            for column, slot in zip(told, self.outputs, strict=True):
                column.append(values[slot])
        columns.update((slot, np.array(column)) for slot, column in zip(self.outputs, told, strict=True))

    def dump(self) -> tuple[bool, bytes]:
        """Return its memory."""
        return self.seen >= 0, msgspec.msgpack.encode(_OwnState(self.seen, self.state.tobytes(), self.words))

    def load(self, started: bool, state: bytes) -> None:  # noqa: ARG002, FBT001 - a pair, as `dump` gives it
        """Restore its memory."""
        kept = msgspec.msgpack.decode(state, type=_OwnState)
        self.seen, self.words, self.error = kept.seen, kept.words, None
        self.state[:] = np.frombuffer(kept.vector, np.float64)


def _true(value: float) -> bool:
    return value != 0.0 and value == value  # noqa: PLR0124 - NaN differs from itself


def _compared(compare: Callable[[float, float], bool]) -> Callable[[float, float], float]:
    return lambda left, right: 1.0 if compare(left, right) else 0.0


_ON_ONE: dict[str, Callable[[float], float]] = {
    "neg": lambda value: -value,
    "not": lambda value: 0.0 if _true(value) else 1.0,
}
_ON_TWO: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right if right else nan,
    "<": _compared(lt),
    "<=": _compared(le),
    ">": _compared(gt),
    ">=": _compared(ge),
    "&": lambda left, right: 1.0 if _true(left) and _true(right) else 0.0,
    "|": lambda left, right: 1.0 if _true(left) or _true(right) else 0.0,
}


def _divided(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.full(left.shape, nan)
    np.divide(left, right, out=out, where=right != 0.0)
    return out


def _truths(column: NDArray[np.float64]) -> NDArray[np.bool_]:
    truths: NDArray[np.bool_] = (column != 0.0) & ~np.isnan(column)
    return truths


def _numbers(truths: NDArray[np.bool_]) -> NDArray[np.float64]:
    return truths.astype(np.float64)


_ON_COLUMNS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "neg": np.negative,
    "not": lambda column: _numbers(~_truths(column)),
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _divided,
    "<": lambda left, right: _numbers(left < right),
    "<=": lambda left, right: _numbers(left <= right),
    ">": lambda left, right: _numbers(left > right),
    ">=": lambda left, right: _numbers(left >= right),
    "&": lambda left, right: _numbers(_truths(left) & _truths(right)),
    "|": lambda left, right: _numbers(_truths(left) | _truths(right)),
}


Node = Operator | Kernel | Own
