"""Straight lines through windows: LINEARREG, its slope, intercept and angle, and TSF."""

from math import atan, pi

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.regression import line_next, line_run, line_slots

PERIOD = 1
LINE = 2
STRETCH = 4096
"""Rows a temporary column has room for, so that it stays in the cache."""


def linearreg_slots(period: int) -> int:
    """Give the length of the state."""
    return LINE + line_slots(period)


linearreg_slope_slots = linearreg_intercept_slots = linearreg_angle_slots = tsf_slots = linearreg_slots


@inlined
def _stretch(period: int) -> int:
    """Give so many rows that most of them are of whole blocks."""
    return period * max(4, STRETCH // period)


@inlined
def _along(state: Vector, reach: float, values: Vector, out: Vector) -> None:
    """Fill a column with the lines' values `reach` bars from their middle."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    slopes = np.empty(min(values.size, stretch))
    for first in range(0, values.size, stretch):
        last = min(first + stretch, values.size)
        filled = out[first:last]
        line_run(state, LINE, period, values[first:last], filled, slopes)
        for row in range(filled.size):
            filled[row] = filled[row] + slopes[row] * reach


@compiled(outputs(1), STATE, VALUE)
def linearreg_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the fitted line's value at the newest bar (TA-Lib LINEARREG)."""
    middle, slope = line_next(state, LINE, int(state[PERIOD]), value)
    return (middle + slope * (0.5 * (state[PERIOD] - 1.0)),)


@compiled(VOID, STATE, COLUMN, STATE)
def linearreg_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n fitted values to `out`."""
    _along(state, 0.5 * (state[PERIOD] - 1.0), values, out)


@compiled(outputs(1), STATE, VALUE)
def linearreg_intercept_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the fitted line's value at the oldest bar (TA-Lib LINEARREG_INTERCEPT)."""
    middle, slope = line_next(state, LINE, int(state[PERIOD]), value)
    return (middle + slope * (-0.5 * (state[PERIOD] - 1.0)),)


@compiled(VOID, STATE, COLUMN, STATE)
def linearreg_intercept_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n intercepts to `out`."""
    _along(state, -0.5 * (state[PERIOD] - 1.0), values, out)


@compiled(outputs(1), STATE, VALUE)
def tsf_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the fitted line's value one bar ahead (TA-Lib TSF)."""
    middle, slope = line_next(state, LINE, int(state[PERIOD]), value)
    return (middle + slope * (0.5 * (state[PERIOD] + 1.0)),)


@compiled(VOID, STATE, COLUMN, STATE)
def tsf_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n forecasts to `out`."""
    _along(state, 0.5 * (state[PERIOD] + 1.0), values, out)


@inlined
def _slopes(state: Vector, values: Vector, out: Vector) -> None:
    """Fill a column with the lines' slopes."""
    period = int(state[PERIOD])
    stretch = _stretch(period)
    middles = np.empty(min(values.size, stretch))
    for first in range(0, values.size, stretch):
        last = min(first + stretch, values.size)
        line_run(state, LINE, period, values[first:last], middles, out[first:last])


@compiled(outputs(1), STATE, VALUE)
def linearreg_slope_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the fitted line's rise per bar (TA-Lib LINEARREG_SLOPE)."""
    return (line_next(state, LINE, int(state[PERIOD]), value)[1],)


@compiled(VOID, STATE, COLUMN, STATE)
def linearreg_slope_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n slopes to `out`."""
    _slopes(state, values, out)


@compiled(outputs(1), STATE, VALUE)
def linearreg_angle_step(state: Vector, value: float) -> tuple[float]:
    """Take one bar in; give the fitted line's angle in degrees (TA-Lib LINEARREG_ANGLE)."""
    return (atan(line_next(state, LINE, int(state[PERIOD]), value)[1]) * (180.0 / pi),)


@compiled(VOID, STATE, COLUMN, STATE)
def linearreg_angle_batch(state: Vector, values: Vector, out: Vector) -> None:
    """Take a chunk of n values in and write n angles to `out`."""
    _slopes(state, values, out)
    for row in range(out.size):
        out[row] = atan(out[row]) * (180.0 / pi)
