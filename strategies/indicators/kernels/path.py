"""What a series has come through: SUM, log returns, drawdowns, Hurst's exponent, and when its extremes were."""

from math import inf, log, nan

from strategies.indicators.kernels.ages import age_next, age_run, age_slots
from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.lags import LAG_RING, lag_next, lag_run, lag_slots
from strategies.indicators.kernels.parts import greater, lesser
from strategies.indicators.kernels.sums import SUM_RING, sum_next, sum_run, sum_slots

SEEN = 0
PERIOD = 1
BLOCK = 2


# SUM


def total_slots(period: int) -> int:
    """Give the length of the state."""
    return BLOCK + sum_slots(period)


@compiled(outputs(1), STATE, VALUE)
def total_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a rolling sum (TA-Lib SUM)."""
    return (sum_next(state, BLOCK, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def total_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n sums to `out`."""
    sum_run(state, BLOCK, int(state[PERIOD]), values, out)


# LOG RETURNS


def log_return_slots(bars: int) -> int:
    """Give the length of the state."""
    return BLOCK + lag_slots(bars)


@inlined
def _log_return(value: float, before: float) -> float:
    """Give the logarithm of a ratio; NaN of what is not positive."""
    return log(value / before) if value > 0.0 and before > 0.0 else nan


@compiled(outputs(1), STATE, VALUE)
def log_return_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the logarithm of its ratio to that of PERIOD bars before."""
    return (_log_return(value, lag_next(state, BLOCK, int(state[PERIOD]), value)),)


@compiled(VOID, STATE, COLUMN, STATE)
def log_return_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n logarithms to `out`."""
    lag_run(state, BLOCK, int(state[PERIOD]), values, out)
    for row in range(values.size):
        out[row] = _log_return(values[row], out[row])


# DRAWDOWN -- from the highest so far; SEEN stops at 1.

PEAK = 1


def drawdown_slots() -> int:
    """Give the length of the state."""
    return PEAK + 1


@inlined
def _drop(peak: float, value: float) -> float:
    """Give the relative change from a peak, which is 0 from one that is not positive."""
    return value / peak - 1.0 if peak > 0.0 else peak * 0.0


@compiled(outputs(1), STATE, VALUE)
def drawdown_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give its relative distance from the highest so far, 0 or less."""
    state[PEAK] = value if state[SEEN] == 0.0 else greater(state[PEAK], value)
    state[SEEN] = 1.0
    return (_drop(state[PEAK], value),)


@compiled(VOID, STATE, COLUMN, STATE)
def drawdown_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n distances to `out`."""
    for row in range(values.size):
        out[row] = drawdown_step(state, values[row])[0]


# MAX_DRAWDOWN -- windows are cut at blocks: the worst of a window is that of its tail, that of its head, or from
# the tail's highest to the head's lowest.
# Block: seen, head's highest, lowest and worst; ring of raw values (new block) and tails' highest (old block), and
# one of the tails' worst.

WORST_HIGHEST = 3
WORST_LOWEST = 4
WORST = 5
WORST_RING = 6


def max_drawdown_slots(period: int) -> int:
    """Give the length of the state."""
    return WORST_RING + 2 * period


@compiled(outputs(1), STATE, VALUE)
def max_drawdown_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the worst relative change from a value to a later one in the window, 0 or less."""
    period = int(state[PERIOD])
    seen = int(state[BLOCK])
    position = seen - period if seen >= period else seen
    ring = WORST_RING + position
    state[ring] = value
    if position + 1 == period:
        highest, lowest, worst = -inf, inf, 0.0
        for slot in range(ring, ring - period, -1):
            now = state[slot]
            highest = greater(highest, now)
            lowest = lesser(lowest, now)
            worst = lesser(worst, _drop(now, lowest))
            state[slot] = highest
            state[slot + period] = worst
        state[BLOCK] = period
        state[WORST_HIGHEST], state[WORST_LOWEST], state[WORST] = -inf, inf, 0.0
        return (worst,)
    state[BLOCK] = seen + 1
    if seen < period:
        return (nan,)
    state[WORST_HIGHEST] = greater(state[WORST_HIGHEST], value)
    state[WORST_LOWEST] = lesser(state[WORST_LOWEST], value)
    state[WORST] = lesser(state[WORST], _drop(state[WORST_HIGHEST], value))
    across = _drop(state[ring + 1], state[WORST_LOWEST])
    return (lesser(lesser(state[ring + 1 + period], state[WORST]), across),)


@compiled(VOID, STATE, COLUMN, STATE)
def max_drawdown_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n changes to `out`."""
    for row in range(values.size):
        out[row] = max_drawdown_step(state, values[row])[0]


# HURST -- from the mean squares of changes over 1, 2, 4, 8 and 16 bars within the window.  SEEN stops at 16.
# Behind the parameter: a LAG for each, then a SUM for each.

LAGS = 5
LONGEST = 16
LAGS_SLOTS = LAGS * LAG_RING + 2 * LONGEST - 1


def hurst_slots(period: int) -> int:
    """Give the length of the state."""
    return BLOCK + sum(lag_slots(1 << at) + sum_slots(period - (1 << at)) for at in range(LAGS))


@compiled(outputs(1), STATE, VALUE)
def hurst_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give half the slope of log mean squared change over log distance."""
    period = int(state[PERIOD])
    seen = state[SEEN]
    if seen < LONGEST:
        state[SEEN] += 1.0
    lag_base = BLOCK
    sum_base = BLOCK + LAGS_SLOTS
    slope = 0.0
    still = False
    stuck = False
    ready = True
    for at in range(LAGS):
        distance = 1 << at
        before = lag_next(state, lag_base, distance, value)
        lag_base += LAG_RING + distance
        count = period - distance
        if seen >= distance:
            moved = value - before
            squares = sum_next(state, sum_base, count, moved * moved)
            if squares > 0.0:
                slope += (at - 2.0) * log(squares / count)
            elif squares == 0.0:
                still = still or at == 0
                stuck = True
            else:
                ready = False
        else:
            ready = False
        sum_base += SUM_RING + 2 * count
    if not ready:
        return (nan,)
    if stuck:
        return (0.5 if still else 0.0,)
    return (slope / (20.0 * log(2.0)),)


@compiled(VOID, STATE, COLUMN, STATE)
def hurst_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n exponents to `out`."""
    for row in range(values.size):
        out[row] = hurst_step(state, values[row])[0]


# BARS SINCE an extreme


def bars_since_highest_slots(period: int) -> int:
    """Give the length of the state."""
    return BLOCK + age_slots(period)


bars_since_lowest_slots = bars_since_highest_slots


@compiled(outputs(1), STATE, VALUE)
def bars_since_highest_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give how many bars ago the highest of the window was (TA-Lib MAXINDEX)."""
    return (age_next(state, BLOCK, int(state[PERIOD]), value),)


@compiled(VOID, STATE, COLUMN, STATE)
def bars_since_highest_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n ages to `out`."""
    age_run(state, BLOCK, int(state[PERIOD]), 1.0, values, out)


@compiled(outputs(1), STATE, VALUE)
def bars_since_lowest_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give how many bars ago the lowest of the window was (TA-Lib MININDEX)."""
    return (age_next(state, BLOCK, int(state[PERIOD]), -value),)


@compiled(VOID, STATE, COLUMN, STATE)
def bars_since_lowest_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n ages to `out`."""
    age_run(state, BLOCK, int(state[PERIOD]), -1.0, values, out)
