"""Oscillators: how far and how fast a price went, mostly within fixed bounds."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare
from strategies.indicators.expression import VALUE

_BAR = ("high", "low", "close")
_LINES = ("k", "d")


def _whole(period: int) -> int:
    """Count the bars before one that looks back by `period` of them."""
    return period


def _from_first(period: int) -> int:
    """Count the bars before a window of `period` is full."""
    return period - 1


def _slow_window(_: int, slow: int) -> int:
    return slow - 1


def _rising(kind: str, fast: float, slow: float) -> None:
    if fast >= slow:
        message = f"{kind}: fast must be below slow, got {fast:g} and {slow:g}"
        raise ValueError(message)


def _ultosc_check(fast: float, middle: float, slow: float) -> None:
    if not fast <= middle <= slow:
        message = f"ultosc: fast, middle and slow must rise, got {fast:g}, {middle:g} and {slow:g}"
        raise ValueError(message)


def _kst_warmup(*params: int) -> int:
    rates = zip(params[:4], params[4:8], strict=True)
    return max(rate + mean - 1 for rate, mean in rates) + params[8] - 1


add(
    Kind("rsi", "oscillators", (bars(low=2),), ("close",), VALUE, _whole),
    Kind("cmo", "changes", (bars(low=2),), ("close",), VALUE, _whole),
    Kind("mom", "changes", (bars(default=10),), ("close",), VALUE, _whole),
    Kind("roc", "changes", (bars(default=10),), ("close",), VALUE, _whole),
    Kind("rocp", "changes", (bars(default=10),), ("close",), VALUE, _whole),
    Kind("rocr", "changes", (bars(default=10),), ("close",), VALUE, _whole),
    Kind("rocr100", "changes", (bars(default=10),), ("close",), VALUE, _whole),
    Kind("dpo", "changes", (bars(default=20),), ("close",), VALUE, lambda period: max(period - 1, period // 2 + 1)),
    Kind(
        "coppock",
        "changes",
        (bars(default=10), bars("fast", 11), bars("slow", 14)),
        ("close",),
        VALUE,
        lambda period, fast, slow: max(fast, slow) + period - 1,
    ),
    Kind(
        "kst",
        "changes",
        (
            *(bars(f"rate_{at}", bar_count) for at, bar_count in enumerate((10, 15, 20, 30), 1)),
            *(bars(f"mean_{at}", bar_count) for at, bar_count in enumerate((10, 10, 10, 15), 1)),
            bars("signal", 9),
        ),
        ("close",),
        ("kst", "signal"),
        _kst_warmup,
    ),
    Kind("bop", "changes", (), ("open", *_BAR), VALUE, lambda: 0, bound=True),
    Kind("trix", "smoothed", (bars(default=18),), ("close",), VALUE, lambda period: 3 * (period - 1) + 1),
    Kind(
        "macd",
        "differences",
        (bars("fast", 12), bars("slow", 26), bars("signal", 9)),
        ("close",),
        ("macd", "signal", "histogram"),
        lambda _, slow, signal: slow - 1 + signal - 1,
        lambda fast, slow, _: _rising("macd", fast, slow),
    ),
    Kind(
        "apo",
        "differences",
        (bars("fast", 12), bars("slow", 26)),
        ("close",),
        VALUE,
        _slow_window,
        lambda fast, slow: _rising("apo", fast, slow),
    ),
    Kind(
        "ppo",
        "differences",
        (bars("fast", 12), bars("slow", 26)),
        ("close",),
        VALUE,
        _slow_window,
        lambda fast, slow: _rising("ppo", fast, slow),
    ),
    Kind(
        "ao",
        "differences",
        (bars("fast", 5), bars("slow", 34)),
        ("high", "low"),
        VALUE,
        _slow_window,
        lambda fast, slow: _rising("ao", fast, slow),
    ),
    Kind(
        "ac",
        "differences",
        (bars("fast", 5), bars("slow", 34), bars("signal", 5)),
        ("high", "low"),
        VALUE,
        lambda _, slow, signal: slow - 1 + signal - 1,
        lambda fast, slow, _: _rising("ac", fast, slow),
    ),
    Kind(
        "tsi",
        "differences",
        (bars("first", 25), bars("second", 13)),
        ("close",),
        VALUE,
        lambda first, second: first + second - 1,
    ),
    Kind(
        "stoch",
        "places",
        (bars("fast", 5), bars("slow", 3), bars("signal", 3)),
        _BAR,
        _LINES,
        lambda fast, slow, signal: fast - 1 + slow - 1 + signal - 1,
    ),
    Kind(
        "stochf",
        "places",
        (bars("fast", 5), bars("signal", 3)),
        _BAR,
        _LINES,
        lambda fast, signal: fast - 1 + signal - 1,
    ),
    Kind(
        "stochrsi",
        "places",
        (bars(low=2), bars("fast", 5), bars("signal", 3)),
        ("close",),
        _LINES,
        lambda period, fast, signal: period + fast - 1 + signal - 1,
    ),
    Kind("willr", "places", (bars(),), _BAR, VALUE, _from_first),
    Kind("fisher", "places", (bars(default=10),), ("high", "low"), ("fisher", "signal"), _from_first),
    Kind("cci", "pressures", (bars(default=20),), _BAR, VALUE, _from_first),
    Kind("mfi", "pressures", (bars(),), (*_BAR, "volume"), VALUE, _whole),
    Kind(
        "ultosc",
        "pressures",
        (bars("fast", 7), bars("middle", 14), bars("slow", 28)),
        _BAR,
        VALUE,
        lambda _, __, slow: slow,
        _ultosc_check,
    ),
)


def rsi(period: int, source: Source = "close") -> Indicator:
    """Declare Wilder's relative strength index of `period` >= 2 changes, 0 to 100 (TA-Lib RSI)."""
    return declare("rsi", period, sources=(source,))


def cmo(period: int, source: Source = "close") -> Indicator:
    """Declare Chande's momentum oscillator of `period` >= 2 changes, -100 to 100 (1994, TA-Lib CMO).

    Gains and losses are averaged as in RSI, which is TA-Lib's way; where nothing moved yet it is 0.
    """
    return declare("cmo", period, sources=(source,))


def mom(period: int, source: Source = "close") -> Indicator:
    """Declare what a column has moved since `period` >= 1 bars ago (TA-Lib MOM)."""
    return declare("mom", period, sources=(source,))


def roc(period: int, source: Source = "close") -> Indicator:
    """Declare the change since `period` >= 1 bars ago in percent (TA-Lib ROC); 0 if that was 0, as in its like."""
    return declare("roc", period, sources=(source,))


def rocp(period: int, source: Source = "close") -> Indicator:
    """Declare the change since `period` >= 1 bars ago as a share (TA-Lib ROCP)."""
    return declare("rocp", period, sources=(source,))


def rocr(period: int, source: Source = "close") -> Indicator:
    """Declare a column over its value of `period` >= 1 bars ago (TA-Lib ROCR)."""
    return declare("rocr", period, sources=(source,))


def rocr100(period: int, source: Source = "close") -> Indicator:
    """Declare a column in percent of its value of `period` >= 1 bars ago (TA-Lib ROCR100)."""
    return declare("rocr100", period, sources=(source,))


def dpo(period: int, source: Source = "close") -> Indicator:
    """Declare the value of period / 2 + 1 bars ago less the SMA of `period` >= 1 bars (TA-Lib DPO)."""
    return declare("dpo", period, sources=(source,))


def coppock(period: int = 10, fast: int = 11, slow: int = 14, source: Source = "close") -> Indicator:
    """Declare Coppock's curve: the WMA of the sum of two rates of change in percent (1962, TA-Lib COPPOCK)."""
    return declare("coppock", period, fast, slow, sources=(source,))


def kst(
    rate_1: int = 10,
    rate_2: int = 15,
    rate_3: int = 20,
    rate_4: int = 30,
    mean_1: int = 10,
    mean_2: int = 10,
    mean_3: int = 10,
    mean_4: int = 15,
    signal: int = 9,
    source: Source = "close",
) -> Indicator:
    """Declare Pring's "know sure thing" (1992): 1, 2, 3 and 4 times the SMAs of four rates of change in percent.

    The outputs are kst and signal, its SMA.
    """
    rates = (rate_1, rate_2, rate_3, rate_4)
    return declare("kst", *rates, mean_1, mean_2, mean_3, mean_4, signal, sources=(source,))


def bop() -> Indicator:
    """Declare the balance of power, a bar's body over its range, -1 to 1 (Livshin 2001, TA-Lib BOP).

    It is 0 where there is no range.
    """
    return declare("bop")


def trix(period: int, source: Source = "close") -> Indicator:
    """Declare the change of a threefold EMA of `period` >= 1 bars in percent (Hutson 1983, TA-Lib TRIX)."""
    return declare("trix", period, sources=(source,))


def macd(fast: int = 12, slow: int = 26, signal: int = 9, source: Source = "close") -> Indicator:
    """Declare Appel's convergence and divergence of two EMAs (TA-Lib MACD).

    The outputs are macd, signal (its EMA) and histogram, what it is above that.
    """
    return declare("macd", fast, slow, signal, sources=(source,))


def apo(fast: int = 12, slow: int = 26, source: Source = "close") -> Indicator:
    """Declare what a fast EMA is above a slow one (TA-Lib APO with EMAs)."""
    return declare("apo", fast, slow, sources=(source,))


def ppo(fast: int = 12, slow: int = 26, source: Source = "close") -> Indicator:
    """Declare what a fast EMA is above a slow one in percent of that (TA-Lib PPO with EMAs)."""
    return declare("ppo", fast, slow, sources=(source,))


def ao(fast: int = 5, slow: int = 34) -> Indicator:
    """Declare Williams' awesome oscillator: two SMAs of the bars' middles, fast less slow (1995, TA-Lib AO)."""
    return declare("ao", fast, slow)


def ac(fast: int = 5, slow: int = 34, signal: int = 5) -> Indicator:
    """Declare Williams' accelerator: what `ao` is above its SMA (1995, TA-Lib AC)."""
    return declare("ac", fast, slow, signal)


def tsi(first: int = 25, second: int = 13, source: Source = "close") -> Indicator:
    """Declare Blau's true strength index, twice averaged by EMAs, -100 to 100 (1991, TA-Lib TSI).

    It is 0 where nothing moved yet.
    """
    return declare("tsi", first, second, sources=(source,))


def stoch(fast: int = 5, slow: int = 3, signal: int = 3) -> Indicator:
    """Declare Lane's slow stochastic, 0 to 100 (TA-Lib STOCH with SMAs); 0 where `fast` bars have no range.

    The outputs are k, averaged over `slow` bars, and d, its average over `signal` bars.
    """
    return declare("stoch", fast, slow, signal)


def stochf(fast: int = 5, signal: int = 3) -> Indicator:
    """Declare Lane's fast stochastic, 0 to 100 (TA-Lib STOCHF with an SMA); the outputs are k and d."""
    return declare("stochf", fast, signal)


def stochrsi(period: int = 14, fast: int = 5, signal: int = 3, source: Source = "close") -> Indicator:
    """Declare the fast stochastic of `rsi(period)` (Chande and Kroll 1994, TA-Lib STOCHRSI).

    The outputs are k and d; both are 0 where the RSI rests.
    """
    return declare("stochrsi", period, fast, signal, sources=(source,))


def willr(period: int) -> Indicator:
    """Declare Williams' %R of `period` >= 1 bars, -100 to 0 (TA-Lib WILLR); 0 where there is no range."""
    return declare("willr", period)


def fisher(period: int = 10) -> Indicator:
    """Declare Fisher's transform of where the bars' middles stand in the range of `period` >= 1 (Ehlers 2002).

    The outputs are fisher and signal, that of the bar before.
    """
    return declare("fisher", period)


def cci(period: int) -> Indicator:
    """Declare Lambert's commodity channel index of `period` >= 1 bars (1980, TA-Lib CCI); 0 where none is off the mean.

    A bar costs time in proportion to the period.
    """
    return declare("cci", period)


def mfi(period: int) -> Indicator:
    """Declare the money flow index of `period` >= 1 bars, 0 to 100 (Quong and Soudack 1989, TA-Lib MFI).

    It is 0 where nothing flowed.
    """
    return declare("mfi", period)


def ultosc(fast: int = 7, middle: int = 14, slow: int = 28) -> Indicator:
    """Declare Williams' ultimate oscillator, 0 to 100 (1985, TA-Lib ULTOSC)."""
    return declare("ultosc", fast, middle, slow)
