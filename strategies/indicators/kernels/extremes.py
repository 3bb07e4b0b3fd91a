"""Rolling extremes: MAX and MIN."""

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, outputs
from strategies.indicators.kernels.parts import (
    extreme_slots,
    highest_next,
    highest_run,
    lowest_next,
    lowest_run,
)

PERIOD = 1
WINDOW = 2


def highest_slots(period: int) -> int:
    """Give the length of a rolling maximum's state."""
    return WINDOW + extreme_slots(period)


@compiled(outputs(1), STATE, VALUE)
def highest_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a rolling maximum (TA-Lib MAX)."""
    return (highest_next(state, WINDOW, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def highest_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a rolling maximum and write n maxima to `out`."""
    highest_run(state, WINDOW, int(state[PERIOD]), values, out)


def lowest_slots(period: int) -> int:
    """Give the length of a rolling minimum's state."""
    return WINDOW + extreme_slots(period)


@compiled(outputs(1), STATE, VALUE)
def lowest_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a rolling minimum (TA-Lib MIN)."""
    return (lowest_next(state, WINDOW, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def lowest_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into a rolling minimum and write n minima to `out`."""
    lowest_run(state, WINDOW, int(state[PERIOD]), values, out)
