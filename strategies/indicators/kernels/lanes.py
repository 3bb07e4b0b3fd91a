"""Moving averages of few bars, many blocks side by side.

A block of a few values is done before a processor has got going: the sums of one wait for each other, and
every block begins anew.  Those of different blocks do not, so here they advance together, a position at a
time.  The arithmetic of each is that of `parts` and `weighted`, operation for operation.
"""

import numpy as np

from strategies.indicators.kernels.compiled import Vector, inlined

LANES = 64
MEAN_BARS_MAX = 10
LINEAR_BARS_MAX = 6
"""Up to so many bars it is the faster way."""


@inlined
def mean_lanes(values: Vector, period: int, anchor: float, tails: Vector, out: Vector) -> float:
    """Fill whole blocks with simple averages, as many as there are by LANES.

    `anchor` and `tails`, which are written over, are those of the block before; of the last one in the end.
    """
    anchors = np.empty(LANES + 1)
    sums = np.empty((period, LANES + 1))
    totals = np.empty(LANES)
    anchors[LANES] = anchor
    for position in range(period):
        sums[position, LANES] = tails[position]
    for row in range(0, values.size, period * LANES):
        # What belongs to a block stands one lane further right than the block: where the next one looks for it.
        anchors[0] = anchors[LANES]
        for lane in range(LANES):
            anchors[1 + lane] = values[row + period - 1 + lane * period]
        totals[:] = 0.0
        for back in range(period - 1, -1, -1):
            block = values[row + back : row + period * LANES : period]
            line = sums[back]
            line[0] = line[LANES]
            after = line[1:]
            own = anchors[1:]
            for lane in range(LANES):
                totals[lane] += block[lane] - own[lane]
                after[lane] = totals[lane]
        filled = out[row + period - 1 : row + period * LANES : period]
        own = anchors[1:]
        for lane in range(LANES):
            filled[lane] = own[lane] + totals[lane] / period
        totals[:] = 0.0
        for position in range(period - 1):
            block = values[row + position : row + period * LANES : period]
            filled = out[row + position : row + period * LANES : period]
            line = sums[position + 1]
            for lane in range(LANES):
                totals[lane] += block[lane] - anchors[lane]
                filled[lane] = anchors[lane] + (line[lane] + totals[lane]) / period
    for position in range(period):
        tails[position] = sums[position, LANES]
    return anchors[LANES]


@inlined
def linear_lanes(values: Vector, period: int, anchor: float, tails: Vector, out: Vector) -> float:
    """Fill whole blocks with linearly weighted averages, as `mean_lanes`."""
    anchors = np.empty(LANES + 1)
    sums = np.empty((period, LANES + 1))
    totals = np.empty(LANES)
    weighted = np.empty(LANES)
    weights = 0.5 * period * (period + 1.0)
    anchors[LANES] = anchor
    for position in range(period):
        sums[position, LANES] = tails[position]
    for row in range(0, values.size, period * LANES):
        anchors[0] = anchors[LANES]
        for lane in range(LANES):
            anchors[1 + lane] = values[row + period - 1 + lane * period]
        totals[:] = 0.0
        weighted[:] = 0.0
        for back in range(period - 1, -1, -1):
            block = values[row + back : row + period * LANES : period]
            line = sums[back]
            line[0] = line[LANES]
            after = line[1:]
            own = anchors[1:]
            for lane in range(LANES):
                totals[lane] += block[lane] - own[lane]
                weighted[lane] += totals[lane]
                after[lane] = weighted[lane]
        filled = out[row + period - 1 : row + period * LANES : period]
        own = anchors[1:]
        for lane in range(LANES):
            filled[lane] = own[lane] + weighted[lane] / weights
        totals[:] = 0.0
        weighted[:] = 0.0
        for position in range(period - 1):
            block = values[row + position : row + period * LANES : period]
            filled = out[row + position : row + period * LANES : period]
            line = sums[position + 1]
            weight = position + 1.0
            older = period - 1.0 - position
            for lane in range(LANES):
                difference = block[lane] - anchors[lane]
                totals[lane] += difference
                weighted[lane] += weight * difference
                filled[lane] = anchors[lane] + (line[lane] + (weighted[lane] + older * totals[lane])) / weights
    for position in range(period):
        tails[position] = sums[position, LANES]
    return anchors[LANES]
