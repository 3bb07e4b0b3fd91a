"""Volume by price: the point of control and the value area of a window."""

from math import inf, nan

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, outputs
from strategies.indicators.kernels.parts import greater, lesser

SEEN = 0  # Stops at PERIOD.
PERIOD = 1
BINS = 2
AREA = 3
POSITION = 4
RINGS = 5  # Highs, lows, typical prices, volumes; then the bins.


def volume_profile_slots(period: int, bins: int, _: float) -> int:
    """Give the length of the state."""
    return RINGS + 4 * period + bins


@compiled(outputs(3), STATE, VALUE, VALUE, VALUE, VALUE)
def volume_profile_step(
    state: Vector, high: float, low: float, close: float, volume: float
) -> tuple[float, float, float]:
    """Take one bar in; give the point of control and both edges of the value area."""
    period = int(state[PERIOD])
    bins = int(state[BINS])
    position = int(state[POSITION])
    typical = (high + low + close) / 3.0
    highs = state[RINGS : RINGS + period]
    lows = state[RINGS + period : RINGS + 2 * period]
    prices = state[RINGS + 2 * period : RINGS + 3 * period]
    volumes = state[RINGS + 3 * period : RINGS + 4 * period]
    parts = state[RINGS + 4 * period : RINGS + 4 * period + bins]
    highs[position], lows[position], prices[position], volumes[position] = high, low, typical, volume
    state[POSITION] = 0.0 if position + 1 == period else position + 1.0
    if state[SEEN] < period:
        state[SEEN] += 1.0
        if state[SEEN] < period:
            return nan, nan, nan
    top, bottom = -inf, inf
    for slot in range(period):
        top = greater(top, highs[slot])
        bottom = lesser(bottom, lows[slot])
    width = (top - bottom) / bins
    if width == 0.0:
        return typical, typical, typical
    parts[:] = 0.0
    last = bins - 1.0
    scale = 1.0 / width
    total = 0.0
    for slot in range(period):
        place = (prices[slot] - bottom) * scale
        # Written so that NaN, which has no place, falls into the first part.
        part = int(min(place, last)) if place > 0.0 else 0
        parts[part] += volumes[slot]
        total += volumes[slot]
    if total == 0.0:
        return typical, typical, typical
    best = 0
    for part in range(1, bins):
        if parts[part] > parts[best]:
            best = part
    wanted = state[AREA] * total
    first, end, held = best, best + 1, parts[best]
    while held < wanted and (first > 0 or end < bins):
        below = parts[first - 1] if first > 0 else -1.0
        above = parts[end] if end < bins else -1.0
        if above >= below:
            held += above
            end += 1
        else:
            held += below
            first -= 1
    return bottom + (best + 0.5) * width, bottom + first * width, bottom + end * width


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE, STATE, STATE)
def volume_profile_batch(
    state: Vector,
    high: Vector,
    low: Vector,
    close: Vector,
    volume: Vector,
    poc: Vector,
    area_low: Vector,
    area_high: Vector,
) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    for row in range(high.size):
        poc[row], area_low[row], area_high[row] = volume_profile_step(
            state, high[row], low[row], close[row], volume[row]
        )
