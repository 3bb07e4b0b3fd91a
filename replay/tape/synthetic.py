"""A market out of a seed: minute bars without end, the same bytes on every machine.

Everything is drawn as integers and moved by integer sums, so that order and vector width cannot
matter; floats appear only in single IEEE operations (numpy's exp and log differ between machines).

* The logarithm of the price walks in units of 2**-40. It is reflected at +-2, so that the price
  stays between about 4,000 and 221,000 for ever.
* Volatility is a product of three factors that live for 16, 256 and 4,096 bars: calm and storm come
  in clusters on every scale.
* A block of bars is a bridge between two points of a coarse walk. Any row can hence be made without
  the rows before it: a restart at row 100,000,000 costs a sum over 24,000 numbers.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from config.errors import UserError
from replay.tape.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from replay.tape.columns import Floats, Integers

    Words = NDArray[np.uint64]

START_NS = 1_704_067_200_000_000_000
"""2024-01-01 00:00 UTC."""
TIMEFRAME_NS = 60_000_000_000
ROWS_MAX = (2**63 - 1 - START_NS) // TIMEFRAME_NS - 1
"""Bars until int64 nanoseconds end, in April 2262: where even an endless tape ends."""
SYMBOL = "SYN/USDT"
TICK = Decimal("0.01")

_VERSION = 1
"""Part of the fingerprint; raised whenever the bytes change."""
_BLOCK_BITS = 12
_BLOCK_ROWS = 1 << _BLOCK_BITS
_START_CENTS = 3_000_000.0
LOG_BITS = 40
_LOG_BOUND = 2 << LOG_BITS
_SQUARINGS = 10
DEVIATION = 37_837
"""Standard deviation of the sum of four uniform 16-bit numbers."""
VOLATILITY = 17_965
"""Scale of a step: with the factors' own spread, returns deviate by 0.0008 a bar."""
PERIODS = (16, 256, 4_096)
"""Lives of the factors of volatility, in bars; divisors of a block."""
_BLOCK_SCALE = 1_487_815
"""Scale of the coarse walk's step: 0.0008 times the root of a block's rows."""
_BLOCK_WORDS = (2 * _BLOCK_ROWS, *(_BLOCK_ROWS // period for period in PERIODS))
"""Words a block takes from the streams of the bars and of each factor."""
_RAMP = np.arange(_BLOCK_ROWS + 1, dtype=np.int64)
_USAGE = "write it as SEED:BARS, for example 7:100000, or as SEED:endless"


class SyntheticSource:
    """The rows of a synthetic tape."""

    __slots__ = ("_seed", "rows_guess")

    def __init__(self, seed: int, rows: int | None) -> None:
        self._seed = seed
        self.rows_guess = ROWS_MAX if rows is None else rows

    def blocks(self, start_row: int) -> Iterator[Columns]:
        """Yield the rows from `start_row` on."""
        number = start_row >> _BLOCK_BITS
        coarse, *streams = (np.random.PCG64([self._seed, stream]) for stream in range(5))
        level = int(_deviates(coarse.random_raw(number)).sum()) * _BLOCK_SCALE
        for stream, words in zip(streams, _BLOCK_WORDS, strict=True):
            stream.advance(number * words)
        skipped = start_row - number * _BLOCK_ROWS
        while (first_row := number * _BLOCK_ROWS) + skipped < self.rows_guess:
            target = int(_deviates(coarse.random_raw(1))[0]) * _BLOCK_SCALE
            draws = [stream.random_raw(words) for stream, words in zip(streams, _BLOCK_WORDS, strict=True)]
            block = _block(draws, first_row, level, target)
            yield block.between(skipped, min(_BLOCK_ROWS, self.rows_guess - first_row))
            level += target
            number += 1
            skipped = 0


def parse_synthetic(spec: str) -> tuple[int, int | None]:
    """Return the seed and the number of bars (``None`` for endless) of ``SEED:BARS``.

    Raises:
        UserError: it is written in another way, or asks for more bars than time has room for.
    """
    seed_text, colon, rows_text = spec.strip().partition(":")
    endless = rows_text == "endless" or not colon
    if not _is_whole(seed_text) or not (endless or _is_whole(rows_text)):
        message = f"--synthetic {spec}: {_USAGE}"
        raise UserError(message)
    rows = None if endless else int(rows_text)
    if rows is not None and not 0 < rows <= ROWS_MAX:
        message = f"--synthetic {spec}: the number of bars must be between 1 and {ROWS_MAX:,}"
        raise UserError(message)
    return int(seed_text), rows


def synthetic_fingerprint(seed: int, rows: int | None) -> str:
    """Return what stands for the content: the generator's version, the seed and the length."""
    return hashlib.sha256(f"synthetic {_VERSION} {seed} {rows or 'endless'}".encode()).hexdigest()[:32]


def _is_whole(text: str) -> bool:
    return text.isascii() and text.replace("_", "").isdigit() and len(text) <= 20  # noqa: PLR2004


def _block(draws: list[Words], first_row: int, level: int, target: int) -> Columns:
    """Return one block of bars, whose walk leads from `level` to `level + target`."""
    bars = shorts(draws[0]).reshape(-1, 8)
    volatility = _volatility(draws[1:])
    walk = np.zeros(_BLOCK_ROWS + 1, np.int64)
    np.cumsum(centred(bars[:, :4]) * volatility, out=walk[1:])
    walk += (_RAMP * (target - int(walk[-1]))) >> _BLOCK_BITS
    walk += level
    cents = cents_of(walk)
    opens, closes = cents[:-1], cents[1:]
    top, bottom = np.maximum(opens, closes), np.minimum(opens, closes)
    reach = volatility * (DEVIATION * 2.0**-LOG_BITS)
    top += np.floor(top * reach * (bars[:, 4] * 2.0**-16))
    bottom -= np.floor(bottom * reach * (bars[:, 5] * 2.0**-16))
    activity = (bars[:, 6].astype(np.int64) * bars[:, 7]) >> 16
    return Columns(
        (_RAMP[:-1] + first_row) * TIMEFRAME_NS + START_NS,
        opens / 100.0,
        top / 100.0,
        bottom / 100.0,
        closes / 100.0,
        (1 + ((activity * volatility) >> 11)) / 10_000.0,
    )


def _volatility(draws: list[Words]) -> Integers:
    """Return each bar's scale: every factor is uniform between 1/4 and 7/4."""
    volatility = np.full(_BLOCK_ROWS, VOLATILITY, np.int64)
    for words, period in zip(draws, PERIODS, strict=True):
        factors = 16_384 + (((words >> np.uint64(48)).astype(np.int64) * 3) >> 1)
        lives = volatility.reshape(-1, period)
        lives *= factors[:, None]
        lives >>= 16
    return volatility


def cents_of(walk: Integers, start_cents: float = _START_CENTS) -> Floats:
    """Return prices in whole cents: the start times (1 + x / 1024) ** 1024, nearly e ** x."""
    folded = _LOG_BOUND - np.abs(((walk + _LOG_BOUND) & (4 * _LOG_BOUND - 1)) - 2 * _LOG_BOUND)
    cents: Floats = folded * 2.0 ** -(LOG_BITS + _SQUARINGS)
    cents += 1.0
    for _ in range(_SQUARINGS):
        cents *= cents
    cents *= start_cents
    np.rint(cents, out=cents)
    return cents


def _deviates(words: Words) -> Integers:
    """Return nearly normal integers of deviation `DEVIATION`, one a word."""
    return centred(shorts(words).reshape(-1, 4))


def centred(shorts: NDArray[np.uint16]) -> Integers:
    """Return the sums of four uniform 16-bit numbers each, centred at zero."""
    total = shorts[:, 0].astype(np.int64)
    for column in range(1, 4):
        total += shorts[:, column]
    total -= 2 * 65_535
    return total


def shorts(words: Words) -> NDArray[np.uint16]:
    """Return the four 16-bit numbers in each word, least first, whatever the machine's order."""
    return words.astype("<u8", copy=False).view("<u2")
