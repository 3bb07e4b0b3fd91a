"""The short way for the messages that come by the thousand: from the socket's text to our own structs.

`exchange.direct` switches it on for Binance's family. Sockets, subscriptions, pings, reconnects and every other
message stay ccxt.pro's; only the text of a trade or of a candle is taken before ccxt would parse it, and
decoded by msgspec straight into what the feed wants. What does not look as expected goes ccxt's way. Who waits in
a `watch` call then waits until the socket breaks; the listener tells his pump that there was life.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from actors.messages import BUY, SELL, Trade
from daemon.edges.venue.kline_tap import KlineTap, is_marked

if TYPE_CHECKING:
    from collections.abc import Callable

_NS_PER_MS = 1_000_000


class _AggregateTrade(msgspec.Struct, tag_field="e", tag="aggTrade", gc=False):
    """What Binance says of a trade: names are its own, prices its strings."""

    s: str
    a: int
    p: float
    q: float
    T: int
    m: bool


class _Candle(msgspec.Struct, gc=False):
    t: int
    i: str
    o: float
    h: float
    l: float  # noqa: E741 - the venue's name
    c: float
    v: float
    x: bool


class _Kline(msgspec.Struct, tag_field="e", tag="kline", gc=False):
    s: str
    k: _Candle


_decode = msgspec.json.Decoder(_AggregateTrade | _Kline, strict=False).decode
_BEGINNINGS = ('{"e":"aggTrade"', '{"e":"kline"')


class DirectPath(KlineTap):
    """Mixed into a ccxt.pro class of the Binance family, ahead of it."""

    def __init__(self, config: Any = None) -> None:  # noqa: ANN401 - ccxt's own
        """Take ccxt's constructor arguments."""
        self._ears: dict[str, Callable[[Trade], None]] = {}
        self._unified: dict[tuple[str, str], str] = {}
        super().__init__(config or {})  # type: ignore[call-arg]

    def on_trades(self, symbol: str, ear: Callable[[Trade], None]) -> None:
        """Have `ear` told every aggregate trade of `symbol` that its stream tells, as it comes; it must not wait."""
        self._ears[symbol] = ear

    def client(self, url: str) -> Any:  # noqa: ANN401 - ccxt's own
        """Return the socket of an address, as ccxt does, with the short way in front."""
        exchange: Any = super()
        client = exchange.client(url)
        if not isinstance(client.handle_text_or_binary_message, partial):
            ccxts_way = client.handle_text_or_binary_message
            client.handle_text_or_binary_message = partial(self._take, client, ccxts_way)
        return client

    def _take(self, client: Any, ccxts_way: Callable[[Any], None], data: Any) -> None:  # noqa: ANN401 - ccxt's own
        if not (isinstance(data, str) and data.startswith(_BEGINNINGS)):
            ccxts_way(data)
            return
        try:
            message = _decode(data)
        except msgspec.MsgspecError:
            ccxts_way(data)
            return
        symbol = self._symbol(client, message.s)
        if isinstance(message, _AggregateTrade):
            ear = self._ears.get(symbol)
            if ear is None:
                ccxts_way(data)
                return
            side = SELL if message.m else BUY  # the buyer rested: the seller took
            ear(Trade(symbol, message.a, message.p, message.q, side, message.T * _NS_PER_MS))
        elif self.on_kline is None:
            ccxts_way(data)
        else:
            candle = message.k
            row = (candle.t, candle.o, candle.h, candle.l, candle.c, candle.v)
            self.on_kline(symbol, self._timeframe(candle.i), row, candle.x)

    def _symbol(self, client: Any, market_id: str) -> str:  # noqa: ANN401 - ccxt's own
        exchange: Any = self
        symbol = self._unified.get((client.url, market_id))
        if symbol is None:
            kind = "spot" if exchange.is_spot_url(client) else "contract"
            symbol = self._unified[client.url, market_id] = exchange.safe_symbol(market_id, None, None, kind)
        return symbol

    def _timeframe(self, interval: str) -> str:
        exchange: Any = self
        timeframe: str = exchange.find_timeframe(interval)
        return timeframe


def direct(exchange_class: type) -> type:
    """Return the class with the short way where its venue is Binance's, otherwise the class as it is."""
    if not is_marked(exchange_class) or issubclass(exchange_class, DirectPath):
        return exchange_class
    return type(exchange_class.__name__, (DirectPath, exchange_class), {})
