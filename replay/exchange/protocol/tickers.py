"""The last 24 hours of a market, as Binance tells them over REST and over streams."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors.instrument import ATOM
from replay.exchange.protocol.shapes import atoms_text

if TYPE_CHECKING:
    from replay.exchange.model import Candle
    from replay.exchange.protocol.shapes import Json, MarketText


def ticker_row(text: MarketText, candles: list[Candle], bid_ask: tuple[int, int, int, int], now_ms: int) -> Json:
    """Return the last 24 hours of a market as `ticker/24hr` says them.

    Args:
        text: the market.
        candles: those of the window, oldest first.
        bid_ask: best bid and ask with their lots: (ticks, lots, ticks, lots), 0 without.
        now_ms: the end of the window.
    """
    opened = candles[0].open_ticks if candles else 0
    last = candles[-1].close_ticks if candles else 0
    volume = sum(candle.volume_lots for candle in candles)
    value = sum(text.value_atoms(1, candle.turnover) for candle in candles)
    traded = Decimal(volume) * text.market.lot
    average = Decimal(value) * ATOM / traded if volume else Decimal(0)
    percent = Decimal(100 * (last - opened)) / opened if opened else Decimal(0)
    bid, bid_lots, ask, ask_lots = bid_ask
    return {
        "symbol": text.market.id,
        "priceChange": text.price(last - opened),
        "priceChangePercent": f"{percent:.3f}",
        "weightedAvgPrice": f"{average:.8f}",
        "prevClosePrice": text.price(opened),
        "lastPrice": text.price(last),
        "lastQty": text.quantity(candles[-1].volume_lots if candles else 0),
        "bidPrice": text.price(bid),
        "bidQty": text.quantity(bid_lots),
        "askPrice": text.price(ask),
        "askQty": text.quantity(ask_lots),
        "openPrice": text.price(opened),
        "highPrice": text.price(max((candle.high_ticks for candle in candles), default=0)),
        "lowPrice": text.price(min((candle.low_ticks for candle in candles), default=0)),
        "volume": text.quantity(volume),
        "quoteVolume": atoms_text(value),
        "openTime": now_ms - 86_400_000,
        "closeTime": now_ms,
        "firstId": -1,
        "lastId": -1,
        "count": sum(candle.trades for candle in candles),
    }


_TICKER_NAMES = {
    "s": "symbol", "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice",
    "c": "lastPrice", "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty", "o": "openPrice",
    "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime", "C": "closeTime",
    "F": "firstId", "L": "lastId", "n": "count",
}  # fmt: skip


def ticker_event(row: Json, now_ms: int) -> Json:
    """Return a row of `ticker_row` as `@ticker` sends it."""
    return {"e": "24hrTicker", "E": now_ms} | {short: row[name] for short, name in _TICKER_NAMES.items()}


def mini_ticker_event(row: Json, now_ms: int) -> Json:
    """Return a row of `ticker_row` as `@miniTicker` sends it."""
    return {"e": "24hrMiniTicker", "E": now_ms} | {key: row[_TICKER_NAMES[key]] for key in "scohlvq"}
