"""A market out of a seed: several symbols with regimes, jumps, clustered volatility and gaps, for tests and trials.

What `replay.tape.synthetic` is for one endless series, this is for many finite ones. Here too everything is drawn as
integers and moved by integer sums; floats appear only in single IEEE operations, so that a seed gives the same bytes on
every machine. A longer market begins with the rows of a shorter one, and a symbol's rows do not depend on how many
symbols there are beside it.

* Regimes - calm, rising, falling, stormy - change about every twelve hours, for all symbols at once.
* Volatility is a product of factors that live for 16, 256 and 4,096 bars, so that it comes in clusters: for all, too.
* A symbol's step is part the market's and part its own: the share is the correlation.
* Jumps are a symbol's own, of 2 to 10 percent; gaps are stretches of bars that nobody recorded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from config.errors import UserError
from replay.tape.columns import Columns
from replay.tape.synthetic import (
    DEVIATION,
    LOG_BITS,
    PERIODS,
    START_NS,
    TIMEFRAME_NS,
    VOLATILITY,
    centred,
    cents_of,
    shorts,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from replay.tape.columns import Integers

MARKET_ROWS_MAX = 5_000_000
"""Bars of a market are made at once: nine years of minutes, 400 MB."""
SYMBOLS_MAX = 64
UNIT = 10_000
"""Units of volume in one: quantities are whole multiples of 0.0001."""

_ONE = 1 << LOG_BITS
_PER_TEN_THOUSAND = 10_000
_SHARE_BITS = 15
_REGIME_CHANGES = 91
"""Of 65,536 bars: a regime lasts 720 bars on average."""
_REGIMES = np.array([[2, 0], [4, _ONE // 20_000], [5, -_ONE // 20_000], [12, 0]], np.int64)
"""Volatility in quarters and drift in a bar, of the calm, the rising, the falling and the stormy regime."""
_JUMP = _ONE // 50
_GAP_ROWS_MAX = 240
_TRADES_MIN = 16
"""Units of volume a bar has at least, so that each of its trades has one."""


class MarketSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to make; two equal ones make equal bytes."""

    seed: int
    rows: int
    """Minute bars of each symbol, before gaps are taken out."""
    symbols: tuple[str, ...] = ("SYN/USDT",)
    correlation: float = 0.6
    """Of the returns of two symbols, between 0 and 1."""
    jumps: int = 2
    """Of 10,000 bars, about so many begin with a jump."""
    gaps: int = 0
    """Before so many of 10,000 bars, about, up to 240 are missing."""


class Bars(msgspec.Struct, frozen=True, eq=False):
    """Bars of a symbol as integers: prices in cents, volumes in units of 0.0001."""

    ts: Integers
    open: Integers
    high: Integers
    low: Integers
    close: Integers
    volume: Integers

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.ts)

    def columns(self) -> Columns:
        """Return the bars as a tape has them."""
        volume = self.volume / float(UNIT)
        return Columns(self.ts, self.open / 100.0, self.high / 100.0, self.low / 100.0, self.close / 100.0, volume)


class SyntheticMarket:
    """The bars of a market.

    Raises:
        UserError: the market asked for is none.
    """

    def __init__(self, spec: MarketSpec) -> None:
        _check(spec)
        self.spec = spec
        self._common = centred(shorts(self.words(0, 0, spec.rows)).reshape(-1, 4))
        draws = shorts(self.words(0, 1, spec.rows)).reshape(-1, 4)
        regime = np.cumsum(draws[:, 0] < _REGIME_CHANGES)
        states = self.words(0, 2, int(regime[-1]) + 1) >> np.uint64(62)
        self.regimes: Integers = states.astype(np.int64)[regime]
        """The regime of each bar: 0 calm, 1 rising, 2 falling, 3 stormy."""
        self._scale = self._volatility()

    def words(self, symbol: int, stream: int, count: int) -> NDArray[np.uint64]:
        """Return random words of one stream of a symbol, or of the market as number 0."""
        return np.random.PCG64([self.spec.seed, 1_000_003, symbol, stream]).random_raw(count)

    def number(self, symbol: str) -> int:
        """Return the number of a symbol, from 1.

        Raises:
            UserError: it is not of this market.
        """
        if symbol not in self.spec.symbols:
            message = f"{symbol!r} is not of this market; it has: {', '.join(self.spec.symbols)}"
            raise UserError(message)
        return self.spec.symbols.index(symbol) + 1

    def bars(self, symbol: str) -> Bars:
        """Return the bars of a symbol, without those in gaps.

        Raises:
            UserError: it is not of this market.
        """
        number = self.number(symbol)
        rows = self.spec.rows
        draws = shorts(self.words(number, 0, 2 * rows)).reshape(-1, 8)
        volatility = self._scale
        walk = np.zeros(rows + 1, np.int64)
        np.cumsum(self._steps(centred(draws[:, :4])) + self._jumps(number), out=walk[1:])
        start = 3_000_000.0 / (1 << ((number - 1) % 12))
        cents = np.maximum(cents_of(walk, start), 2.0)
        opens, closes = cents[:-1], cents[1:]
        reach = volatility * (DEVIATION * 2.0**-LOG_BITS)
        upper, lower = np.maximum(opens, closes), np.minimum(opens, closes)
        top = upper + np.floor(upper * reach * (draws[:, 4] * 2.0**-16))
        bottom = np.maximum(lower - np.floor(lower * reach * (draws[:, 5] * 2.0**-16)), 1.0)
        activity = (draws[:, 6].astype(np.int64) * draws[:, 7]) >> 16
        volume = _TRADES_MIN + ((activity * volatility) >> 11)
        times = START_NS + TIMEFRAME_NS * np.arange(rows, dtype=np.int64)
        kept = self._recorded(number)
        whole = [price.astype(np.int64)[kept] for price in (opens, top, bottom, closes)]
        return Bars(times[kept], whole[0], whole[1], whole[2], whole[3], volume[kept])

    def _volatility(self) -> Integers:
        """Return the scale of each bar's step: factors uniform between 1/4 and 7/4, times the regime's."""
        rows = self.spec.rows
        volatility = np.full(rows, VOLATILITY, np.int64)
        for stream, period in enumerate(PERIODS, start=3):
            words = self.words(0, stream, -(-rows // period))
            factors = 16_384 + (((words >> np.uint64(48)).astype(np.int64) * 3) >> 1)
            volatility = (volatility * np.repeat(factors, period)[:rows]) >> 16
        scaled: Integers = (volatility * _REGIMES[self.regimes, 0]) >> 2
        return scaled

    def _steps(self, own: Integers) -> Integers:
        """Return each bar's step of the logarithm: the market's share, its own, and the regime's drift."""
        share = int(math.sqrt(self.spec.correlation) * (1 << _SHARE_BITS))
        rest = int(math.sqrt(1.0 - self.spec.correlation) * (1 << _SHARE_BITS))
        mixed = (self._common * share + own * rest) >> _SHARE_BITS
        steps: Integers = mixed * self._scale + _REGIMES[self.regimes, 1]
        return steps

    def _jumps(self, number: int) -> Integers:
        draws = shorts(self.words(number, 4, self.spec.rows)).reshape(-1, 4).astype(np.int64)
        jumped = draws[:, 0] < self.spec.jumps * 65_536 // _PER_TEN_THOUSAND
        size = _JUMP + ((_JUMP * 4 * (draws[:, 1] >> 4)) >> 12)
        jumps: Integers = np.where(jumped, np.where(draws[:, 2] & 1, size, -size), 0)
        return jumps

    def _recorded(self, number: int) -> NDArray[np.bool_]:
        """Return which bars are not in a gap; the first one never is."""
        rows = self.spec.rows
        draws = shorts(self.words(number, 5, rows)).reshape(-1, 4)
        begins = np.flatnonzero(draws[:, 0] < self.spec.gaps * 65_536 // _PER_TEN_THOUSAND)
        ends = begins + 1 + (draws[begins, 1] % _GAP_ROWS_MAX)
        open_gaps = np.zeros(rows + _GAP_ROWS_MAX + 1, np.int64)
        np.add.at(open_gaps, begins, 1)
        np.add.at(open_gaps, ends, -1)
        recorded: NDArray[np.bool_] = np.cumsum(open_gaps)[:rows] == 0
        recorded[0] = True
        return recorded


def _check(spec: MarketSpec) -> None:
    """Refuse what cannot be made.

    Raises:
        UserError: naming the field and its bounds.
    """
    for name, value, low, high in (
        ("seed", spec.seed, 0, 10**20),
        ("rows", spec.rows, 1, MARKET_ROWS_MAX),
        ("symbols", len(set(spec.symbols)), 1, SYMBOLS_MAX),
        ("correlation", spec.correlation, 0, 1),
        ("jumps", spec.jumps, 0, _PER_TEN_THOUSAND),
        ("gaps", spec.gaps, 0, _PER_TEN_THOUSAND),
    ):
        if not low <= value <= high:
            message = f"a synthetic market's {name} must be between {low:,} and {high:,}, not {value:,}"
            raise UserError(message)
    if len(set(spec.symbols)) != len(spec.symbols):
        message = "a synthetic market has each symbol once"
        raise UserError(message)
