"""A user's own step function as an expression.

    def force(state, close, volume):
        before, state[0] = state[0], close
        return (close - before) * volume

    {"force": custom(force, sources=("close", "volume"), slots=1, warmup=1)}

The function may be plain Python or compiled by numba.  It is called once per bar with a float64 vector that
is its memory, zeros at first, then what it reads, then its parameters, and returns its value, or one per
output.  It must depend on nothing else, or a replay would not repeat it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from strategies.indicators.declaration import PERIOD_MAX, Source
from strategies.indicators.expression import VALUE, Expression, lifted, single

_SLOTS_MAX = 1_000_000


class Custom(Expression, frozen=True):
    """An indicator of the user's own."""

    step: Callable[..., Any]
    sources: tuple[Expression, ...]
    params: tuple[float, ...]
    slots: int
    warmup: int
    outputs: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its results."""
        return self.outputs

    @property
    def parts(self) -> tuple[Expression, ...]:
        """What it reads."""
        return self.sources

    def _write(self, parts: Sequence[str]) -> str:
        """Return how it is called; such a function cannot be written in a file of rules."""
        given = [*parts, *(f"{value:g}" for value in self.params)]
        return f"{getattr(self.step, '__name__', 'custom')}({', '.join(given)})"


def custom(
    step: Callable[..., Any],
    *params: float,
    sources: tuple[Source, ...] = ("close",),
    slots: int = 0,
    warmup: int = 0,
    outputs: tuple[str, ...] = VALUE,
) -> Custom:
    """Declare a feature by a step function of one's own.

    Args:
        step: `step(state, *sources, *params)` gives one float, or a tuple of one per output.
        params: plain numbers handed to every call.
        sources: what it reads: columns by name, or expressions.
        slots: the length of its state vector.
        warmup: how many bars it takes until its value means something; so many are not told.
        outputs: the names of its values.

    Raises:
        TypeError: `step` is no function, or a text stands where several names belong.
        ValueError: something else does not fit; one line.
    """
    name = getattr(step, "__name__", "custom")
    given: object = step
    if not callable(given):
        message = f"custom: {given!r} is no function"
        raise TypeError(message)
    for word, value, most in (("slots", slots, _SLOTS_MAX), ("warmup", warmup, PERIOD_MAX)):
        if type(value) is not int or not 0 <= value <= most:
            message = f"{name}: {word} must be a whole number 0 to {most}, got {value!r}"
            raise ValueError(message)
    several: tuple[tuple[str, object], ...] = (("sources", sources), ("outputs", outputs))
    for word, many in several:
        if isinstance(many, str):
            message = f"{name}: {word} must be several, as in {word}=({many!r},)"
            raise TypeError(message)
    for param in params:
        if isinstance(param, bool) or not isinstance(param, int | float) or not abs(param) < float("inf"):
            message = f"{name}: parameters must be finite numbers, got {param!r}"
            raise ValueError(message)
    if not sources or not outputs or len(set(outputs)) < len(outputs) or not all(map(_is_name, outputs)):
        message = f"{name}: it needs at least one source, and outputs with names of their own"
        raise ValueError(message)
    read = tuple(single(lifted(source)) for source in sources)
    return Custom(step, read, tuple(map(float, params)), slots, warmup, tuple(outputs))


def _is_name(output: object) -> bool:
    return isinstance(output, str) and output.isidentifier()
