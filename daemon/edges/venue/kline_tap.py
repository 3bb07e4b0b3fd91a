"""The mark of a closed candle, which Binance sends and ccxt drops.

`tapped` gives a plain subclass of a ccxt.pro class with one method extended, so that the unmodified package is
used and a closed bar is known with the message that closes it, without waiting for the next one's first trade.
Each message is told, also those that ccxt would show together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FIELDS = ("t", "o", "h", "l", "c", "v")
_MARKED = frozenset({"binance", "binanceus", "binanceusdm", "binancecoinm"})
"""ids whose kline messages say `x`."""


class KlineTap:
    """Mixed into a ccxt.pro class of the Binance family, ahead of it."""

    on_kline: Callable[[str, str, Sequence[Any], bool], None] | None = None
    """Told the symbol, the timeframe, a row as of ccxt's OHLCV, and whether the candle is closed."""

    def handle_ohlcv(self, client: Any, message: Any) -> None:  # noqa: ANN401 - ccxt's own signature
        """Tell the listener, then do what ccxt does."""
        exchange: Any = self
        kline = message.get("k")
        if self.on_kline is not None and message.get("e") == "kline" and isinstance(kline, dict):
            kind = "spot" if exchange.is_spot_url(client) else "contract"
            symbol = exchange.safe_symbol(kline.get("s"), None, None, kind)
            timeframe = exchange.find_timeframe(kline.get("i"))
            row = [kline.get(field) for field in _FIELDS]
            self.on_kline(symbol, timeframe, row, kline.get("x") is True)
        super().handle_ohlcv(client, message)  # type: ignore[misc]


def is_marked(exchange_class: type) -> bool:
    """Return whether the venue of a ccxt.pro class marks closed candles: Binance's family does."""
    return exchange_class.__name__ in _MARKED


def tapped(exchange_class: type) -> type:
    """Return the class with the tap where its venue marks closed candles, otherwise the class as it is."""
    if not is_marked(exchange_class) or issubclass(exchange_class, KlineTap):
        return exchange_class
    return type(exchange_class.__name__, (KlineTap, exchange_class), {})
