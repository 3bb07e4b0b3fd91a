"""Microstructure: order books, who trades, what trading costs, and how far it moves the price.

The first three read quotes and books, the next three trades; all others make do with bars.
"""

from strategies.indicators.declaration import Indicator, Kind, Source, add, bars, declare
from strategies.indicators.expression import VALUE

_TRADES = ("buy_volume", "sell_volume")


def _window(period: int) -> int:
    """Count the bars before a window is full."""
    return period - 1


def _changes(period: int) -> int:
    """Count the bars before a window of changes is full."""
    return period


add(
    Kind("book_imbalance", "quotes", (), ("bid_quantity", "ask_quantity"), VALUE, lambda: 0),
    Kind("microprice", "quotes", (), ("bid", "ask", "bid_quantity", "ask_quantity"), VALUE, lambda: 0, bound=True),
    Kind("quoted_spread", "quotes", (), ("bid", "ask"), VALUE, lambda: 0, bound=True),
    Kind("trade_imbalance", "impact", (bars(default=20),), _TRADES, VALUE, _window, kernel="flow", constants=(0.0,)),
    Kind("vpin", "impact", (bars(default=50),), _TRADES, VALUE, _window, kernel="flow", constants=(1.0,)),
    Kind("kyle_lambda", "impact", (bars(default=50, low=2),), ("close", *_TRADES), VALUE, _changes),
    Kind("kyle_lambda_tick", "impact", (bars(default=50, low=2),), ("close", "volume"), VALUE, _changes),
    Kind(
        "vpin_bulk",
        "impact",
        (bars(default=50, low=2),),
        ("close", "volume"),
        VALUE,
        lambda period: 2 * period - 1,
    ),
    Kind("amihud", "impact", (bars(default=20),), ("close", "volume"), VALUE, _changes),
    Kind("roll", "impact", (bars(default=20, low=2),), ("close",), VALUE, lambda period: period + 1),
    Kind("corwin_schultz", "impact", (bars(default=20),), ("high", "low"), VALUE, _changes),
)


def book_imbalance(bid: Source = "bid_quantity", ask: Source = "ask_quantity") -> Indicator:
    """Declare (bid - ask) / (bid + ask), -1 to 1, 0 of nothing; of a whole book with bid_depth and ask_depth."""
    return declare("book_imbalance", sources=(bid, ask))


def microprice() -> Indicator:
    """Declare the price between bid and ask, as near to the ask as the bid's part of both quantities (Stoikov, 2018).

    Where neither has a quantity it is the middle.
    """
    return declare("microprice")


def quoted_spread() -> Indicator:
    """Declare the spread as a part of the middle of bid and ask."""
    return declare("quoted_spread")


def trade_imbalance(period: int) -> Indicator:
    """Declare what was bought less what was sold over `period` bars, as a part of both: -1 to 1, 0 of nothing."""
    return declare("trade_imbalance", period)


def vpin(period: int) -> Indicator:
    """Declare the sum of the bars' imbalances of `period` bars, whichever their side, by all volume: 0 to 1.

    Easley, Lopez de Prado and O'Hara (2012), with bars in place of volume buckets and true sides; 0 of nothing.
    """
    return declare("vpin", period)


def vpin_bulk(period: int) -> Indicator:
    """Declare `vpin` without trades: of a bar's volume N(change / deviation of `period` changes) was bought.

    Bulk volume classification (Easley, Lopez de Prado and O'Hara, 2012); nothing to tell of a market at rest, 0.
    """
    return declare("vpin_bulk", period)


def kyle_lambda(period: int) -> Indicator:
    """Declare the slope of the close's changes by volume bought less volume sold, over `period` bars (Kyle, 1985).

    0 where that does not differ from bar to bar.
    """
    return declare("kyle_lambda", period)


def kyle_lambda_tick(period: int) -> Indicator:
    """Declare `kyle_lambda` without trades: a bar's volume counts with the sign of its change, of none not at all."""
    return declare("kyle_lambda_tick", period)


def amihud(period: int) -> Indicator:
    """Declare the mean of the absolute return by turnover of `period` bars (Amihud, 2002); 0 of bars without volume."""
    return declare("amihud", period)


def roll(period: int, source: Source = "close") -> Indicator:
    """Declare the spread by which prices bounce (Roll, 1984): twice the root of minus the autocovariance of changes.

    Over `period` pairs of changes, in units of the price; 0 where the covariance is not negative.
    """
    return declare("roll", period, sources=(source,))


def corwin_schultz(period: int) -> Indicator:
    """Declare the spread as a part of the price, from ranges of one and two bars (Corwin and Schultz, 2012).

    The mean of the `period` last estimates, each of two bars, of which negative ones are 0; gaps are not adjusted
    for, in markets that do not close.
    """
    return declare("corwin_schultz", period)
