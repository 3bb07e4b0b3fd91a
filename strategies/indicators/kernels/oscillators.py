"""Oscillators: RSI."""

from math import nan

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.parts import RMA_SLOTS, rma_next

SEEN = 0
PERIOD = 1


# RSI -- Wilder's averages of gains and losses.  The first value only lends itself to the second; SEEN stops
# at 1.

RSI_PREVIOUS = 2
RSI_GAIN = 3
RSI_LOSS = RSI_GAIN + RMA_SLOTS


def rsi_slots(_: int) -> int:
    """Give the length of an RSI's state."""
    return RSI_LOSS + RMA_SLOTS


@inlined
def _index(gain: float, loss: float) -> float:
    """Give the share of gains in all moves, 0 to 100."""
    total = gain + loss
    return 0.0 if total == 0.0 else 100.0 * (gain / total)


@compiled(outputs(1), STATE, VALUE)
def rsi_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar into a relative strength index, 0 to 100 (Wilder, TA-Lib RSI).

    Where nothing has moved yet it is 0, as in TA-Lib.  TA-Lib 0.6 also says 0 once both averages
    have shrunk below 1e-14, which a quiet market in a cheap coin does reach; here the ratio stands,
    as it does in TA-Lib 0.8.
    """
    period = state[PERIOD]
    change = value - state[RSI_PREVIOUS]
    state[RSI_PREVIOUS] = value
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    gain = rma_next(state, RSI_GAIN, period, max(change, 0.0))
    loss = rma_next(state, RSI_LOSS, period, -change if change < 0.0 else 0.0)
    return (nan if state[RSI_GAIN] < period else _index(gain, loss),)


@compiled(VOID, STATE, COLUMN, STATE)
def rsi_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values into an RSI and write n indices to `out`."""
    period = state[PERIOD]
    row = 0
    while row < values.size and state[RSI_GAIN] < period:
        out[row] = rsi_step(state, values[row])[0]
        row += 1
    previous = state[RSI_PREVIOUS]
    gain = state[RSI_GAIN + 1]
    loss = state[RSI_LOSS + 1]
    weight = 1.0 / period
    for later in range(row, values.size):
        change = values[later] - previous
        previous = values[later]
        gain = ((max(change, 0.0)) - gain) * weight + gain
        loss = ((-change if change < 0.0 else 0.0) - loss) * weight + loss
        out[later] = _index(gain, loss)
    state[RSI_PREVIOUS] = previous
    state[RSI_GAIN + 1] = gain
    state[RSI_LOSS + 1] = loss
