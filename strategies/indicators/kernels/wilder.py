"""Wilder's averages: RSI and ATR."""

from math import nan

from strategies.indicators.kernels.compiled import (
    COLUMN,
    STATE,
    VALUE,
    VOID,
    Vector,
    compiled,
    outputs,
)

SEEN = 0
PERIOD = 1


# RSI -- Wilder's averages of gains and losses, seeded with the means of the first PERIOD changes.
# SEEN stops at PERIOD + 1; until then the two averages are sums.

RSI_PREVIOUS = 2
RSI_GAIN = 3
RSI_LOSS = 4
RSI_SLOTS = 5


@compiled(outputs(1), STATE, VALUE)
def rsi_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a relative strength index, 0 to 100 (Wilder, TA-Lib RSI).

    Where nothing has moved yet it is 0, as in TA-Lib.  TA-Lib 0.6 also says 0 once both averages
    have shrunk below 1e-14, which a quiet market in a cheap coin does reach; here the ratio stands,
    as it does in TA-Lib 0.8.
    """
    period = state[PERIOD]
    seen = state[SEEN]
    change = value - state[RSI_PREVIOUS]
    state[RSI_PREVIOUS] = value
    if seen == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    gain = state[RSI_GAIN]
    loss = state[RSI_LOSS]
    if seen > period:
        gain *= period - 1.0
        loss *= period - 1.0
    else:
        state[SEEN] = seen + 1.0
    if change < 0.0:
        loss -= change
    else:
        gain += change
    if seen >= period:
        gain /= period
        loss /= period
    state[RSI_GAIN] = gain
    state[RSI_LOSS] = loss
    if seen < period:
        return (nan,)
    total = gain + loss
    return (0.0 if total == 0.0 else 100.0 * (gain / total),)


@compiled(VOID, STATE, COLUMN, STATE)
def rsi_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into an RSI and write n indices to `out`."""
    for row in range(values.size):
        out[row] = rsi_step(state, values[row])[0]


# ATR -- Wilder's average of true ranges, seeded with the mean of the first PERIOD of them.
# SEEN stops at PERIOD + 1; until then the average is a sum.

ATR_CLOSE = 2
ATR_RANGE = 3
ATR_SLOTS = 4


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def atr_step(state: Vector, high: float, low: float, close: float) -> tuple[float]:
    """Take one bar into an average true range (Wilder, TA-Lib ATR).

    The first bar has no close before it and only lends its own to the second.
    """
    period = state[PERIOD]
    seen = state[SEEN]
    previous = state[ATR_CLOSE]
    state[ATR_CLOSE] = close
    if seen == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    true_range = high - low
    true_range = max(true_range, abs(high - previous))
    true_range = max(true_range, abs(low - previous))
    average = state[ATR_RANGE]
    if seen > period:
        average *= period - 1.0
    else:
        state[SEEN] = seen + 1.0
    average += true_range
    if seen >= period:
        average /= period
    state[ATR_RANGE] = average
    return (average if seen >= period else nan,)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def atr_batch(state: Vector, high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Take a chunk of n bars into an ATR and write n ranges to `out`."""
    for row in range(close.size):
        out[row] = atr_step(state, high[row], low[row], close[row])[0]
