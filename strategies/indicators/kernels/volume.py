"""Volume from the first bar on: OBV, AD, ADOSC, NVI, PVI, PVT, EFI, Klinger, PVO, CVD; of one bar, MARKETFI."""

from math import nan

import numpy as np

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs
from strategies.indicators.kernels.parts import EMA_SLOTS, ema_next, ema_run

SEEN = 0  # Stops at 1 wherever the first bar only lends its values to the second.


# OBV

OBV_PREVIOUS = 1
OBV_TOTAL = 2


def obv_slots() -> int:
    """Give the length of the state."""
    return OBV_TOTAL + 1


@inlined
def _signed(value: float, previous: float, volume: float) -> float:
    """Give the volume, negative where the value fell, 0 where it stayed."""
    return volume if value > previous else -volume if value < previous else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE)
def obv_step(state: Vector, value: float, volume: float) -> tuple[float]:
    """Take one bar into on-balance volume (Granville, TA-Lib OBV)."""
    moved = volume if state[SEEN] == 0.0 else _signed(value, state[OBV_PREVIOUS], volume)
    state[SEEN] = 1.0
    state[OBV_PREVIOUS] = value
    state[OBV_TOTAL] += moved
    return (state[OBV_TOTAL],)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def obv_batch(state: Vector, values: Vector, volumes: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n totals to `out`."""
    if values.size == 0:
        return
    out[0] = obv_step(state, values[0], volumes[0])[0]
    total = state[OBV_TOTAL]
    before, after, moving, filled = values[: values.size - 1], values[1:], volumes[1:], out[1:]
    for row in range(before.size):
        total += _signed(after[row], before[row], moving[row])
        filled[row] = total
    state[OBV_TOTAL] = total
    state[OBV_PREVIOUS] = values[values.size - 1]


# AD and ADOSC

AD_TOTAL = 1


def ad_slots() -> int:
    """Give the length of the state."""
    return AD_TOTAL + 1


@inlined
def money_flow(high: float, low: float, close: float, volume: float) -> float:
    """Give the volume times where the bar closed in its range, -1 to 1; 0 where it has none."""
    width = high - low
    return ((close - low) - (high - close)) / width * volume if width > 0.0 else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def ad_step(state: Vector, high: float, low: float, close: float, volume: float) -> tuple[float]:
    """Take one bar into the accumulation/distribution line (Chaikin, TA-Lib AD)."""
    state[AD_TOTAL] += money_flow(high, low, close, volume)
    return (state[AD_TOTAL],)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def ad_batch(state: Vector, high: Vector, low: Vector, close: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n totals to `out`."""
    for row in range(out.size):
        out[row] = money_flow(high[row], low[row], close[row], volume[row])
    total = state[AD_TOTAL]
    for row in range(out.size):
        total += out[row]
        out[row] = total
    state[AD_TOTAL] = total


ADOSC_FAST = 1
ADOSC_SLOW = 2
ADOSC_TOTAL = 3
ADOSC_FAST_MEAN = 4
ADOSC_SLOW_MEAN = 5


def adosc_slots(_: int, __: int) -> int:
    """Give the length of the state."""
    return ADOSC_SLOW_MEAN + 1


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def adosc_step(state: Vector, high: float, low: float, close: float, volume: float) -> tuple[float]:
    """Take one bar into the Chaikin oscillator (TA-Lib ADOSC); SEEN stops at SLOW."""
    seen = state[SEEN]
    total = state[ADOSC_TOTAL] + money_flow(high, low, close, volume)
    state[ADOSC_TOTAL] = total
    if seen == 0.0:
        state[ADOSC_FAST_MEAN] = state[ADOSC_SLOW_MEAN] = total
    else:
        fast_weight, slow_weight = 2.0 / (state[ADOSC_FAST] + 1.0), 2.0 / (state[ADOSC_SLOW] + 1.0)
        state[ADOSC_FAST_MEAN] = total * fast_weight + state[ADOSC_FAST_MEAN] * (1.0 - fast_weight)
        state[ADOSC_SLOW_MEAN] = total * slow_weight + state[ADOSC_SLOW_MEAN] * (1.0 - slow_weight)
    if seen < state[ADOSC_SLOW]:
        seen += 1.0
        state[SEEN] = seen
    return (nan if seen < state[ADOSC_SLOW] else state[ADOSC_FAST_MEAN] - state[ADOSC_SLOW_MEAN],)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def adosc_batch(state: Vector, high: Vector, low: Vector, close: Vector, volume: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n differences to `out`."""
    begin = 0
    while begin < out.size and state[SEEN] < state[ADOSC_SLOW]:
        out[begin] = adosc_step(state, high[begin], low[begin], close[begin], volume[begin])[0]
        begin += 1
    total, fast, slow = state[ADOSC_TOTAL], state[ADOSC_FAST_MEAN], state[ADOSC_SLOW_MEAN]
    fast_weight, slow_weight = 2.0 / (state[ADOSC_FAST] + 1.0), 2.0 / (state[ADOSC_SLOW] + 1.0)
    fast_rest, slow_rest = 1.0 - fast_weight, 1.0 - slow_weight
    highs, lows, closes, volumes, filled = high[begin:], low[begin:], close[begin:], volume[begin:], out[begin:]
    for row in range(filled.size):
        total += money_flow(highs[row], lows[row], closes[row], volumes[row])
        fast = total * fast_weight + fast * fast_rest
        slow = total * slow_weight + slow * slow_rest
        filled[row] = fast - slow
    state[ADOSC_TOTAL], state[ADOSC_FAST_MEAN], state[ADOSC_SLOW_MEAN] = total, fast, slow


# NVI, PVI and PVT

INDEX_CLOSE = 1
INDEX_VOLUME = 2
INDEX = 3
INDEX_START = 1000.0


def nvi_slots() -> int:
    """Give the length of the state."""
    return INDEX + 1


pvi_slots = pvt_slots = nvi_slots


@inlined
def _grown(value: float, close: float, previous: float) -> float:
    """Give an index that moved as the close did; from a close of 0 it does not."""
    return value + value * (close - previous) / previous if previous != 0.0 else value


@inlined
def _begin(state: Vector, close: float, volume: float, start: float) -> bool:
    """Take the first bar in and say that it was one."""
    if state[SEEN] != 0.0:
        return False
    state[SEEN] = 1.0
    state[INDEX_CLOSE] = close
    state[INDEX_VOLUME] = volume
    state[INDEX] = start
    return True


@compiled(outputs(1), STATE, VALUE, VALUE)
def nvi_step(state: Vector, close: float, volume: float) -> tuple[float]:
    """Take one bar into the negative volume index (Dysart and Fosback, TA-Lib NVI)."""
    if not _begin(state, close, volume, INDEX_START):
        if volume < state[INDEX_VOLUME]:
            state[INDEX] = _grown(state[INDEX], close, state[INDEX_CLOSE])
        state[INDEX_CLOSE] = close
        state[INDEX_VOLUME] = volume
    return (state[INDEX],)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def nvi_batch(state: Vector, closes: Vector, volumes: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n indices to `out`."""
    if closes.size == 0:
        return
    out[0] = nvi_step(state, closes[0], volumes[0])[0]
    index = out[0]
    for row in range(1, closes.size):
        if volumes[row] < volumes[row - 1]:
            index = _grown(index, closes[row], closes[row - 1])
        out[row] = index
    state[INDEX] = index
    state[INDEX_CLOSE] = closes[closes.size - 1]
    state[INDEX_VOLUME] = volumes[volumes.size - 1]


@compiled(outputs(1), STATE, VALUE, VALUE)
def pvi_step(state: Vector, close: float, volume: float) -> tuple[float]:
    """Take one bar into the positive volume index (Dysart and Fosback, TA-Lib PVI)."""
    if not _begin(state, close, volume, INDEX_START):
        if volume > state[INDEX_VOLUME]:
            state[INDEX] = _grown(state[INDEX], close, state[INDEX_CLOSE])
        state[INDEX_CLOSE] = close
        state[INDEX_VOLUME] = volume
    return (state[INDEX],)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def pvi_batch(state: Vector, closes: Vector, volumes: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n indices to `out`."""
    if closes.size == 0:
        return
    out[0] = pvi_step(state, closes[0], volumes[0])[0]
    index = out[0]
    for row in range(1, closes.size):
        if volumes[row] > volumes[row - 1]:
            index = _grown(index, closes[row], closes[row - 1])
        out[row] = index
    state[INDEX] = index
    state[INDEX_CLOSE] = closes[closes.size - 1]
    state[INDEX_VOLUME] = volumes[volumes.size - 1]


@inlined
def _priced(close: float, previous: float, volume: float) -> float:
    """Give the volume times the relative change of the close; 0 from a close of 0."""
    return volume * ((close - previous) / previous) if previous != 0.0 else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE)
def pvt_step(state: Vector, close: float, volume: float) -> tuple[float]:
    """Take one bar into the price volume trend (TA-Lib PVT)."""
    if not _begin(state, close, volume, 0.0):
        state[INDEX] += _priced(close, state[INDEX_CLOSE], volume)
        state[INDEX_CLOSE] = close
        state[INDEX_VOLUME] = volume
    return (state[INDEX],)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def pvt_batch(state: Vector, closes: Vector, volumes: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n totals to `out`."""
    if closes.size == 0:
        return
    out[0] = pvt_step(state, closes[0], volumes[0])[0]
    before, after, moving, filled = closes[: closes.size - 1], closes[1:], volumes[1:], out[1:]
    for row in range(before.size):
        filled[row] = _priced(after[row], before[row], moving[row])
    total = out[0]
    for row in range(before.size):
        total += filled[row]
        filled[row] = total
    state[INDEX] = total
    state[INDEX_CLOSE] = closes[closes.size - 1]
    state[INDEX_VOLUME] = volumes[volumes.size - 1]


# EFI

EFI_PERIOD = 1
EFI_CLOSE = 2
EFI = 3


def efi_slots(_: int) -> int:
    """Give the length of the state."""
    return EFI + EMA_SLOTS


@compiled(outputs(1), STATE, VALUE, VALUE)
def efi_step(state: Vector, close: float, volume: float) -> tuple[float]:
    """Take one bar into the force index (Elder, TA-Lib EFI)."""
    previous = state[EFI_CLOSE]
    state[EFI_CLOSE] = close
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        return (nan,)
    return (ema_next(state, EFI, state[EFI_PERIOD], (close - previous) * volume),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def efi_batch(state: Vector, closes: Vector, volumes: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n forces to `out`."""
    if closes.size == 0:
        return
    out[0] = efi_step(state, closes[0], volumes[0])[0]
    before, after, moving, filled = closes[: closes.size - 1], closes[1:], volumes[1:], out[1:]
    for row in range(before.size):
        filled[row] = (after[row] - before[row]) * moving[row]
    ema_run(state, EFI, state[EFI_PERIOD], filled, filled)
    state[EFI_CLOSE] = closes[closes.size - 1]


# KLINGER -- EMAs of the volume force, whose sign is the trend's and which grows with how far the trend has
# measured (Klinger 1997).  Block behind the parameters: previous sum of high, low and close, trend (0 until it is
# known), previous range, range of the trend so far, then three EMAs.

KLINGER_FAST = 1
KLINGER_SLOW = 2
KLINGER_SIGNAL = 3
KLINGER_PRICE = 4
KLINGER_TREND = 5
KLINGER_RANGE = 6
KLINGER_MEASURE = 7
KLINGER_EMAS = 8


def klinger_slots(_: int, __: int, ___: int) -> int:
    """Give the length of the state."""
    return KLINGER_EMAS + 3 * EMA_SLOTS


@inlined
def _force(state: Vector, high: float, low: float, close: float, volume: float) -> float:
    """Take one bar behind the first in and give the volume force."""
    price = high + low + close
    previous = state[KLINGER_PRICE]
    trend = 1.0 if price > previous else -1.0 if price < previous else state[KLINGER_TREND]
    width = high - low
    measure = state[KLINGER_MEASURE] if trend == state[KLINGER_TREND] else state[KLINGER_RANGE]
    measure += width
    state[KLINGER_PRICE] = price
    state[KLINGER_TREND] = trend
    state[KLINGER_RANGE] = width
    state[KLINGER_MEASURE] = measure
    return volume * abs(2.0 * (width / measure) - 1.0) * trend * 100.0 if measure > 0.0 else 0.0


@compiled(outputs(2), STATE, VALUE, VALUE, VALUE, VALUE)
def klinger_step(state: Vector, high: float, low: float, close: float, volume: float) -> tuple[float, float]:
    """Take one bar in; give the oscillator and its signal line."""
    if state[SEEN] == 0.0:
        state[SEEN] = 1.0
        state[KLINGER_PRICE] = high + low + close
        state[KLINGER_RANGE] = high - low
        state[KLINGER_MEASURE] = high - low
        return nan, nan
    force = _force(state, high, low, close, volume)
    fast = ema_next(state, KLINGER_EMAS, state[KLINGER_FAST], force)
    slow = ema_next(state, KLINGER_EMAS + EMA_SLOTS, state[KLINGER_SLOW], force)
    if state[KLINGER_EMAS + EMA_SLOTS] < state[KLINGER_SLOW]:
        return nan, nan
    signal = ema_next(state, KLINGER_EMAS + 2 * EMA_SLOTS, state[KLINGER_SIGNAL], fast - slow)
    return (nan if state[KLINGER_EMAS + 2 * EMA_SLOTS] < state[KLINGER_SIGNAL] else fast - slow), signal


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE, STATE)
def klinger_batch(
    state: Vector, high: Vector, low: Vector, close: Vector, volume: Vector, line: Vector, signal: Vector
) -> None:
    """Take a chunk of n bars in and write n values to each output."""
    begin = 0
    signals = KLINGER_EMAS + 2 * EMA_SLOTS
    while begin < line.size and state[signals] < state[KLINGER_SIGNAL]:
        line[begin], signal[begin] = klinger_step(state, high[begin], low[begin], close[begin], volume[begin])
        begin += 1
    for row in range(begin, line.size):
        line[row] = _force(state, high[row], low[row], close[row], volume[row])
    rest = line[begin:]
    slow = np.empty(rest.size)
    ema_run(state, KLINGER_EMAS + EMA_SLOTS, state[KLINGER_SLOW], rest, slow)
    ema_run(state, KLINGER_EMAS, state[KLINGER_FAST], rest, rest)
    for row in range(rest.size):
        rest[row] -= slow[row]
    ema_run(state, signals, state[KLINGER_SIGNAL], rest, signal[begin:])


# MARKETFI


def marketfi_slots() -> int:
    """Give the length of the state: it keeps nothing."""
    return 1


@inlined
def _eased(width: float, volume: float) -> float:
    """Give the range per unit of volume; 0 without."""
    return width / volume if volume != 0.0 else 0.0


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE)
def marketfi_step(state: Vector, high: float, low: float, volume: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take one bar in; give its range per unit of volume, 0 without (Williams, TA-Lib MARKETFI)."""
    return (_eased(high - low, volume),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, STATE)
def marketfi_batch(state: Vector, high: Vector, low: Vector, volume: Vector, out: Vector) -> None:  # noqa: ARG001 - as above
    """Take a chunk of n bars, one by one."""
    for row in range(out.size):
        out[row] = _eased(high[row] - low[row], volume[row])


# PVO

PVO_FAST = 1
PVO_SLOW = 2
PVO = 3


def pvo_slots(_: int, __: int) -> int:
    """Give the length of the state."""
    return PVO + 2 * EMA_SLOTS


@inlined
def _percent(fast: float, slow: float) -> float:
    """Give a difference in percent of the second; 0 of nothing."""
    return 100.0 * ((fast - slow) / slow) if slow != 0.0 else 0.0


@compiled(outputs(1), STATE, VALUE)
def pvo_step(state: Vector, volume: float) -> tuple[float]:
    """Take one bar into the percentage volume oscillator (TA-Lib PVO, matype EMA)."""
    fast = ema_next(state, PVO, state[PVO_FAST], volume)
    slow = ema_next(state, PVO + EMA_SLOTS, state[PVO_SLOW], volume)
    return (_percent(fast, slow),)


@compiled(VOID, STATE, COLUMN, STATE)
def pvo_batch(state: Vector, volumes: Vector, out: Vector) -> None:
    """Take a chunk of n volumes in and write n percentages to `out`."""
    slow = np.empty(out.size)
    ema_run(state, PVO, state[PVO_FAST], volumes, out)
    ema_run(state, PVO + EMA_SLOTS, state[PVO_SLOW], volumes, slow)
    for row in range(out.size):
        out[row] = _percent(out[row], slow[row])


# CVD

CVD_TOTAL = 1


def cvd_slots() -> int:
    """Give the length of the state."""
    return CVD_TOTAL + 1


@compiled(outputs(1), STATE, VALUE, VALUE)
def cvd_step(state: Vector, bought: float, sold: float) -> tuple[float]:
    """Take one bar in; give what takers bought so far less what they sold."""
    state[CVD_TOTAL] += bought - sold
    return (state[CVD_TOTAL],)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def cvd_batch(state: Vector, bought: Vector, sold: Vector, out: Vector) -> None:
    """Take a chunk of n bars in and write n totals to `out`."""
    total = state[CVD_TOTAL]
    for row in range(out.size):
        total += bought[row] - sold[row]
        out[row] = total
    state[CVD_TOTAL] = total
