"""What else there is in a synthetic market: trades, quotes, books, funding, open interest, liquidations, mood and flow.

Everything follows from the bars of `SyntheticMarket` and further draws of its seed: the trades of a minute make up its
bar exactly, quotes stand where trades happen, funding follows the price, liquidations its falls. Series are frames of
the canonical columns, as the catalogue takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from config.errors import UserError, nearest
from replay.tape.kinds import KINDS, POLARS_NAMES
from replay.tape.synthetic import TIMEFRAME_NS, shorts
from replay.tape.synthetic_market import UNIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from replay.tape.columns import Integers
    from replay.tape.synthetic_market import Bars, SyntheticMarket

    Arrays = Mapping[str, NDArray[np.generic]]

TRADES_MAX = 12
"""Trades of a bar; there are four at least."""
BOOK_LEVELS = 10
_BOOK_ROWS = 16_384
"""Messages made at once."""
_HOUR_NS = 3_600_000_000_000
_DAY_NS = 24 * _HOUR_NS
_FUNDING_NS = 8 * _HOUR_NS
_INTEREST_NS = 5 * TIMEFRAME_NS
_NS_PER_MS = 1_000_000
_BAR_MS = 60_000
_FUNDING_BASE = 10_000
"""0.01 percent in units of 1e-8, the rate of a quiet market."""
_FUNDING_MAX = 750_000


def synthetic_series(market: SyntheticMarket, name: str, symbol: str) -> pl.DataFrame:
    """Return one series of a market.

    Args:
        market: the market.
        name: ``bars``, ``trades``, ``quotes``, ``book``, ``funding``, ``open_interest``, ``liquidations``, or, of kind
            ``values``, ``sentiment`` (a day's mood from 0 to 100, published when the day is over) and ``flow`` (what
            was bought in an hour less what was sold, published when the hour is over).
        symbol: one of the market's.

    Raises:
        UserError: there is no such series or symbol.
    """
    import polars as pl

    if name not in _MAKERS:
        message = f"a synthetic market has no {name!r}{nearest(name, _MAKERS)}; it has: {', '.join(_MAKERS)}"
        raise UserError(message)
    arrays = _MAKERS[name](market, symbol)
    types = KINDS["values" if name in {"sentiment", "flow"} else name].types()
    return pl.DataFrame(
        {column: pl.Series(values).cast(getattr(pl, POLARS_NAMES[types[column]])) for column, values in arrays.items()}
    )


def _bars(market: SyntheticMarket, symbol: str) -> Arrays:
    columns = market.bars(symbol).columns()
    names = ("open", "high", "low", "close", "volume")
    return {"ts": columns.open_ns} | {name: getattr(columns, name) for name in names}


def _trades(market: SyntheticMarket, symbol: str) -> Arrays:
    """Return trades that open at the bar's open, touch its high and low, and end at its close, with all its volume."""
    bars = market.bars(symbol)
    prices, sizes, used, times = _prints(market, symbol, bars)
    path = prices[used]
    moves = np.sign(np.diff(path, prepend=path[0]))
    coins = 1 - 2 * (shorts(market.words(market.number(symbol), 21, -(-len(path) // 4)))[: len(path)] & 1).astype(int)
    return {
        "ts": times[used],
        "price": path / 100.0,
        "quantity": sizes[used] / float(UNIT),
        "side": np.where(moves == 0, coins, moves),
        "id": np.arange(1, len(path) + 1),
    }


def _prints(market: SyntheticMarket, symbol: str, bars: Bars) -> tuple[Integers, Integers, NDArray[np.bool_], Integers]:
    """Return prices in cents, sizes in units and times of up to `TRADES_MAX` trades a bar, and which there are."""
    draws = shorts(market.words(market.number(symbol), 20, 7 * len(bars))).reshape(-1, 28).astype(np.int64)
    places = np.arange(TRADES_MAX)
    count = 4 + draws[:, 0] % (TRADES_MAX - 3)
    used: NDArray[np.bool_] = places < count[:, None]
    span = bars.high - bars.low + 1
    prices = bars.low[:, None] + ((draws[:, 1 : 1 + TRADES_MAX] * span[:, None]) >> 16)
    high_first = (draws[:, 25] & 1).astype(np.bool_)
    prices[:, 0] = bars.open
    prices[:, 1] = np.where(high_first, bars.high, bars.low)
    prices[:, 2] = np.where(high_first, bars.low, bars.high)
    np.put_along_axis(prices, (count - 1)[:, None], bars.close[:, None], axis=1)
    weights = np.where(used, draws[:, 13 : 13 + TRADES_MAX] + 1, 0)
    sizes = used + ((bars.volume - count)[:, None] * weights) // weights.sum(axis=1)[:, None]
    sizes[:, 0] += bars.volume - sizes.sum(axis=1)
    offsets = (places * _BAR_MS + ((draws[:, 13 : 13 + TRADES_MAX] * _BAR_MS) >> 16)) // count[:, None]
    return prices, sizes, used, bars.ts[:, None] + offsets * _NS_PER_MS


def _quotes(market: SyntheticMarket, symbol: str) -> Arrays:
    """Return the quote each trade meets: a buyer's at the ask, a seller's at the bid."""
    trades = _trades(market, symbol)
    bid, ask = _touch(market, symbol, trades)
    rows = len(bid)
    sizes = shorts(market.words(market.number(symbol), 23, -(-rows // 2))).reshape(-1, 2)[:rows].astype(np.int64) + 1
    return {
        "ts": trades["ts"],
        "bid": bid / 100.0,
        "bid_quantity": sizes[:, 0] / float(UNIT),
        "ask": ask / 100.0,
        "ask_quantity": sizes[:, 1] / float(UNIT),
    }


def _touch(market: SyntheticMarket, symbol: str, trades: Arrays) -> tuple[Integers, Integers]:
    """Return best bid and ask in cents at each trade, 1 to 4 cents apart."""
    price = np.rint(trades["price"].astype(np.float64) * 100.0).astype(np.int64)
    rows = len(price)
    spread = 1 + (shorts(market.words(market.number(symbol), 22, -(-rows // 4)))[:rows] & 3).astype(np.int64)
    bought = trades["side"].astype(np.int64) > 0
    bid = np.maximum(np.where(bought, price - spread, price), 1)
    return bid, np.where(bought, np.maximum(price, bid + 1), bid + spread)


def _book(market: SyntheticMarket, symbol: str) -> Arrays:
    """Return a snapshot of ten levels a side, and what changes with every trade."""
    trades = _trades(market, symbol)
    touch = _touch(market, symbol, trades)
    draws = shorts(market.words(market.number(symbol), 24, 5 * len(touch[0]))).reshape(-1, 2, BOOK_LEVELS)
    starts = range(0, len(draws), _BOOK_ROWS)
    parts = [_messages(touch, draws, start, min(start + _BOOK_ROWS, len(draws))) for start in starts]
    message, sides, prices, sizes = (np.concatenate([part[each] for part in parts]) for each in range(4))
    return {
        "ts": trades["ts"][message],
        "seq": message + 1,
        "snapshot": message == 0,
        "side": sides,
        "price": prices / 100.0,
        "quantity": sizes / float(UNIT),
    }


def _messages(
    touch: tuple[Integers, Integers], draws: NDArray[np.uint16], start: int, stop: int
) -> tuple[Integers, Integers, Integers, Integers]:
    """Return message, side, price and size of each change: levels that are left, with no size, then those there are."""
    depth = np.arange(BOOK_LEVELS)
    columns = []
    for index, side in enumerate((1, -1)):
        best = touch[index][start:stop, None]
        before = touch[index][max(start - 1, 0) : stop - 1, None]
        before = np.vstack([best[:1], before]) if start == 0 else before
        levels, gone = best - side * depth, before - side * depth
        left = (side * gone > side * best) | (side * gone < side * levels[:, -1:])
        prices = np.hstack([gone, levels])
        present = np.hstack([left, np.ones_like(left)]) & (prices > 0)
        sizes = np.hstack([np.zeros_like(gone), draws[start:stop, index].astype(np.int64) + 1])
        columns.append((prices, sizes, present, np.full(prices.shape, side)))
    prices, sizes, present, sides = (np.hstack([columns[0][each], columns[1][each]]) for each in range(4))
    message = np.repeat(np.arange(start, stop)[:, None], prices.shape[1], axis=1)
    return message[present], sides[present], prices[present], sizes[present]


def _funding(market: SyntheticMarket, symbol: str) -> Arrays:
    """Return a payment every eight hours: the more the price rose in them, the more the long side pays."""
    bars = market.bars(symbol)
    at = _closing(bars, _FUNDING_NS)
    before, after = bars.close[at[:-1]], bars.close[at[1:]]
    noise = shorts(market.words(market.number(symbol), 25, -(-len(after) // 4)))[: len(after)].astype(np.int64) >> 4
    rate = np.clip(
        _FUNDING_BASE + ((after - before) * 1_000_000) // before + noise - 2_048, -_FUNDING_MAX, _FUNDING_MAX
    )
    ends = (bars.ts[at[1:]] // _FUNDING_NS + 1) * _FUNDING_NS
    return {"ts": ends, "rate": rate / 1e8, "mark": after / 100.0, "interval_h": np.full(len(ends), 8.0)}


def _open_interest(market: SyntheticMarket, symbol: str) -> Arrays:
    """Return open interest every five minutes; it wanders, and is never below 1,000."""
    bars = market.bars(symbol)
    at = _closing(bars, _INTEREST_NS)
    draws = shorts(market.words(market.number(symbol), 26, -(-len(at) // 2))).reshape(-1, 2)[: len(at)].astype(np.int64)
    level = 1_000 * UNIT + np.abs(9_000 * UNIT + np.cumsum((draws[:, 0] - draws[:, 1]) * 4))
    ends = (bars.ts[at] // _INTEREST_NS + 1) * _INTEREST_NS
    return {
        "ts": ends,
        "open_interest": level / float(UNIT),
        "value": (level * bars.close[at] // UNIT) / 100.0,
    }


def _liquidations(market: SyntheticMarket, symbol: str) -> Arrays:
    """Return one forced order in every bar that moves by more than half a percent, at its extreme."""
    bars = market.bars(symbol)
    moved = np.flatnonzero(np.abs(bars.close - bars.open) * 200 > bars.open)
    fell = bars.close[moved] < bars.open[moved]
    sizes = shorts(market.words(market.number(symbol), 27, -(-len(bars) // 4)))[: len(bars)].astype(np.int64)[moved] + 1
    return {
        "ts": bars.ts[moved] + TIMEFRAME_NS // 2,
        "side": np.where(fell, -1, 1),
        "price": np.where(fell, bars.low[moved], bars.high[moved]) / 100.0,
        "quantity": (sizes * 16) / float(UNIT),
    }


def _sentiment(market: SyntheticMarket, symbol: str) -> Arrays:
    """Return a day's mood, from 0 (fear) to 100 (greed): its return, and chance."""
    bars = market.bars(symbol)
    at = _closing(bars, _DAY_NS)
    before = bars.close[np.concatenate([[0], at[:-1]])]
    noise = shorts(market.words(market.number(symbol), 28, -(-len(at) // 4)))[: len(at)].astype(np.int64) >> 12
    mood = np.clip(50 + ((bars.close[at] - before) * 500) // before + noise - 8, 0, 100)
    days = bars.ts[at] // _DAY_NS * _DAY_NS
    return {"ts": days, "value": mood.astype(np.float64), "published": days + _DAY_NS}


def _flow(market: SyntheticMarket, symbol: str) -> Arrays:
    """Return what was bought less what was sold in each hour that is over, by the sides of the trades."""
    trades = _trades(market, symbol)
    hours = trades["ts"].astype(np.int64) // _HOUR_NS
    units = np.rint(trades["quantity"].astype(np.float64) * UNIT).astype(np.int64) * trades["side"].astype(np.int64)
    starts = np.flatnonzero(np.diff(hours, prepend=hours[0] - 1))
    sums = np.add.reduceat(units, starts)
    at = hours[starts] * _HOUR_NS
    over = at + _HOUR_NS <= int(market.bars(symbol).ts[-1]) + TIMEFRAME_NS
    return {"ts": at[over], "value": sums[over] / float(UNIT), "published": at[over] + _HOUR_NS}


def _closing(bars: Bars, step_ns: int) -> Integers:
    """Return the last bar of every stretch of time, if the stretch is over and any bar was in it."""
    stretch = bars.ts // step_ns
    last = np.flatnonzero(np.diff(stretch))
    is_over = (bars.ts[-1] + TIMEFRAME_NS) % step_ns == 0
    return np.append(last, len(bars) - 1) if is_over else last


_MAKERS: dict[str, Callable[[SyntheticMarket, str], Arrays]] = {
    "bars": _bars,
    "trades": _trades,
    "quotes": _quotes,
    "book": _book,
    "funding": _funding,
    "open_interest": _open_interest,
    "liquidations": _liquidations,
    "sentiment": _sentiment,
    "flow": _flow,
}

SERIES_NAMES = tuple(_MAKERS)
"""What a market has."""
