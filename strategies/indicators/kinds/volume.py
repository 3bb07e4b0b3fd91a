"""Volume: how much was traded, at which prices, and which way it pushed."""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare, number
from strategies.indicators.expression import VALUE


def _at_once(*_: float) -> int:
    """Say that there is a value from the first bar on."""
    return 0


def _from_first(period: int, *_: float) -> int:
    """Count the bars before a window of `period` is full."""
    return period - 1


def _after(period: int, *_: float) -> int:
    """Count the bars before a window of `period` changes is full."""
    return period


def _rising(fast: int, slow: int, *_: int) -> None:
    if fast >= slow:
        message = f"fast must be below slow, got {fast:g} and {slow:g}"
        raise ValueError(message)


_BAR = ("high", "low", "close", "volume")
_WEEK = 7

add(
    Kind("obv", "volume", (), ("close", "volume"), VALUE, _at_once),
    Kind("ad", "volume", (), _BAR, VALUE, _at_once),
    Kind("adosc", "volume", (bars("fast", 3), bars("slow", 10)), _BAR, VALUE, lambda _, slow: slow - 1, _rising),
    Kind("nvi", "volume", (), ("close", "volume"), VALUE, _at_once),
    Kind("pvi", "volume", (), ("close", "volume"), VALUE, _at_once),
    Kind("pvt", "volume", (), ("close", "volume"), VALUE, _at_once),
    Kind("efi", "volume", (bars(default=13),), ("close", "volume"), VALUE, _after),
    Kind(
        "klinger",
        "volume",
        (bars("fast", 34), bars("slow", 55), bars("signal", 13)),
        _BAR,
        ("line", "signal"),
        lambda _, slow, signal: slow + signal - 1,
        _rising,
    ),
    Kind("cmf", "flow", (bars(default=20),), _BAR, VALUE, _from_first),
    Kind("rvol", "flow", (bars(default=20),), ("volume",), VALUE, _after),
    Kind("vwap", "flow", (), _BAR, VALUE, _at_once),
    Kind("vwap_rolling", "flow", (bars(default=20),), _BAR, VALUE, _from_first),
    Kind("vwap_session", "flow", (bars("days", 1, 1, _WEEK),), (*_BAR, "time"), VALUE, _at_once),
    Kind("vwap_since", "flow", (), ("open", *_BAR), VALUE, _at_once),
    Kind("eom", "flow", (bars(), number("scale", 1e8)), ("high", "low", "volume"), VALUE, _after),
    Kind("marketfi", "volume", (), ("high", "low", "volume"), VALUE, _at_once),
    Kind("pvo", "volume", (bars("fast", 12), bars("slow", 26)), ("volume",), VALUE, lambda _, slow: slow - 1, _rising),
    Kind("cvd", "volume", (), ("buy_volume", "sell_volume"), VALUE, _at_once),
    Kind(
        "volume_profile",
        "profile",
        (bars(default=100), bars("bins", 24, 2, 1000), number("area", 0.7, 0.01, 1.0)),
        _BAR,
        ("poc", "low", "high"),
        _from_first,
    ),
)


def obv(source: Source = "close", volume: Source = "volume") -> Indicator:
    """Declare on-balance volume: the volume of bars that rose, less that of bars that fell (TA-Lib OBV).

    It begins with the first bar's volume.  Only its changes mean anything: it depends on where it began.
    """
    return declare("obv", sources=(source, volume))


def ad(high: Source = "high", low: Source = "low", close: Source = "close", volume: Source = "volume") -> Indicator:
    """Declare Chaikin's accumulation/distribution line (TA-Lib AD).

    Volume counts by where the bar closed in its range, -1 to 1; a bar without range counts 0.
    """
    return declare("ad", sources=(high, low, close, volume))


def adosc(fast: int = 3, slow: int = 10) -> Indicator:
    """Declare the Chaikin oscillator: EMAs of AD over `fast` < `slow` bars, the difference (TA-Lib ADOSC)."""
    return declare("adosc", fast, slow)


def nvi(source: Source = "close", volume: Source = "volume") -> Indicator:
    """Declare the negative volume index: 1000, moving with the close where volume falls (TA-Lib NVI)."""
    return declare("nvi", sources=(source, volume))


def pvi(source: Source = "close", volume: Source = "volume") -> Indicator:
    """Declare the positive volume index: 1000, moving with the close where volume rises (TA-Lib PVI)."""
    return declare("pvi", sources=(source, volume))


def pvt(source: Source = "close", volume: Source = "volume") -> Indicator:
    """Declare the price volume trend: the sum of volume times the relative change of the close (TA-Lib PVT)."""
    return declare("pvt", sources=(source, volume))


def efi(period: int = 13) -> Indicator:
    """Declare Elder's force index: the EMA over `period` >= 1 of volume times the close's change (TA-Lib EFI)."""
    return declare("efi", period)


def klinger(fast: int = 34, slow: int = 55, signal: int = 13) -> Indicator:
    """Declare Klinger's volume oscillator, `fast` < `slow`, with its signal line (Klinger 1997).

    The outputs are line and signal, in 100 units of volume.
    """
    return declare("klinger", fast, slow, signal)


def cmf(period: int = 20) -> Indicator:
    """Declare Chaikin's money flow over `period` >= 1 bars, -1 to 1; 0 where nothing was traded (TA-Lib CMF)."""
    return declare("cmf", period)


def rvol(period: int = 20, source: Source = "volume") -> Indicator:
    """Declare volume by the mean of the `period` >= 1 bars before (TA-Lib RVOL).

    It is 0 after bars without volume, where TA-Lib has no number.
    """
    return declare("rvol", period, sources=(source,))


def vwap(high: Source = "high", low: Source = "low", close: Source = "close", volume: Source = "volume") -> Indicator:
    """Declare the mean typical price of all that was traded since the first bar (TA-Lib VWAP).

    Before anything was traded it is the bar's own typical price; TA-Lib says 0.
    """
    return declare("vwap", sources=(high, low, close, volume))


def vwap_rolling(period: int = 20) -> Indicator:
    """Declare the mean typical price of what was traded in `period` >= 1 bars, the bar's own if nothing was."""
    return declare("vwap_rolling", period)


def vwap_session(days: int = 1) -> Indicator:
    """Declare the mean typical price of what was traded since the session began, the bar's own if nothing was.

    A session is so many UTC days, 1 to 7; 7 begin on Mondays.
    """
    return declare("vwap_session", days)


def vwap_since(
    condition: Source,
    high: Source = "high",
    low: Source = "low",
    close: Source = "close",
    volume: Source = "volume",
) -> Indicator:
    """Declare the mean typical price of what was traded since the condition was last neither 0 nor NaN.

    That bar counts; before there was one, all bars do.  Without volume it is the bar's own typical price.
    """
    return declare("vwap_since", sources=(condition, high, low, close, volume))


def eom(period: int = 14, scale: float = 1e8) -> Indicator:
    """Declare Arms' ease of movement, averaged over `period` >= 1 bars.

    Per bar it is what the middle moved, times the range, times `scale`, by the volume; 0 without volume.
    """
    return declare("eom", period, scale)


def marketfi(high: Source = "high", low: Source = "low", volume: Source = "volume") -> Indicator:
    """Declare the market facilitation index: the range per unit of volume, 0 without volume (TA-Lib MARKETFI)."""
    return declare("marketfi", sources=(high, low, volume))


def pvo(fast: int = 12, slow: int = 26, source: Source = "volume") -> Indicator:
    """Declare by how much percent the EMA of volume over `fast` bars is off that over `slow` > `fast` (TA-Lib PVO).

    It is 0 where nothing was traded.
    """
    return declare("pvo", fast, slow, sources=(source,))


def cvd(bought: Source = "buy_volume", sold: Source = "sell_volume") -> Indicator:
    """Declare the cumulative volume delta: what takers bought less what they sold, since the first bar."""
    return declare("cvd", sources=(bought, sold))


def volume_profile(period: int = 100, bins: int = 24, area: float = 0.7) -> Indicator:
    """Declare where volume was traded in `period` >= 1 bars (Steidlmayer's market profile).

    The range is cut into `bins` equal parts, 2 to 1000; a bar's volume falls where its typical price lies.  The
    outputs are poc, the middle of the part that traded most (the lower of equals), and low and high, the edges of
    the value area: from there on the greater neighbour joins (the upper of equals) until `area` of the volume is
    in it.  Where the price rests or nothing was traded, all three are the newest typical price.
    """
    return declare("volume_profile", period, bins, area)
