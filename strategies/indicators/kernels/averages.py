"""Moving averages."""

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, outputs
from strategies.indicators.kernels.parts import EMA_SLOTS, ema_next, ema_run, sma_next, sma_run
from strategies.indicators.kernels.parts import sma_slots as sma_block

PERIOD = 1
EMA = 2
SMA = 2


def ema_slots(_: int) -> int:
    """Give the length of an EMA's state."""
    return EMA + EMA_SLOTS


@compiled(outputs(1), STATE, VALUE)
def ema_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into an exponential moving average (TA-Lib EMA)."""
    return (ema_next(state, EMA, state[PERIOD], value),)


@compiled(VOID, STATE, COLUMN, STATE)
def ema_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into an EMA and write n means to `out`."""
    ema_run(state, EMA, state[PERIOD], values, out)


def sma_slots(period: int) -> int:
    """Give the length of an SMA's state."""
    return SMA + sma_block(period)


@compiled(outputs(1), STATE, VALUE)
def sma_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a simple moving average (TA-Lib SMA)."""
    return (sma_next(state, SMA, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def sma_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into an SMA and write n means to `out`."""
    sma_run(state, SMA, int(state[PERIOD]), values, out)
