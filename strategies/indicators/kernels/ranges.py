"""What a bar's range is, for the kernels that build on it."""

from strategies.indicators.kernels.compiled import Vector, inlined


@inlined
def true_range(high: float, low: float, previous: float) -> float:
    """Give a bar's range, stretched to the close before it."""
    return max(high - low, abs(high - previous), abs(low - previous))


@inlined
def true_ranges(high: Vector, low: Vector, close: Vector, out: Vector) -> None:
    """Fill row i of n - 1 with the true range of row i + 1 of n bars."""
    tops, bottoms = high[1:], low[1:]
    for row in range(out.size):
        out[row] = true_range(tops[row], bottoms[row], close[row])
