"""Market streams of perpetuals: those of spot in another dialect, and the mark price and liquidations beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replay.exchange.model import BookChanged, Event, Executed, MarkPrice
from replay.exchange.protocol import futures_shapes as shapes
from replay.exchange.protocol import tickers
from replay.exchange.protocol.futures_data import INTERVALS
from replay.exchange.protocol.market_data import touch
from replay.exchange.protocol.streams import Dialect, Session, Streams

if TYPE_CHECKING:
    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.protocol.desk import Desk
    from replay.exchange.protocol.shapes import Json, MarketText

_SPEEDS = ("", "@100ms", "@250ms", "@500ms")
_MARKS = ("markPrice", "markPrice@1s")
_ALL_MARKS = ("!markPrice@arr", "!markPrice@arr@1s")
_ALL_BEST = "!bookTicker"
_FORCED = "forceOrder"
_ALL_FORCED = "!forceOrder@arr"
_FORCED_NAMES = ("s", "S", "o", "f", "q", "p", "ap", "X", "l", "z", "T")
_LIQUIDATION = "LIQUIDATION"

FUTURES = Dialect(
    name="futures",
    trades={"trade": shapes.trade_event, "aggTrade": shapes.aggregate_event},
    tickers={"ticker": shapes.ticker_event, "miniTicker": tickers.mini_ticker_event},
    diffs=tuple(f"depth{speed}" for speed in _SPEEDS),
    partial={f"depth{levels}{speed}": levels for levels in (5, 10, 20) for speed in _SPEEDS},
    intervals=INTERVALS,
    change=shapes.depth_event,
    snapshot=shapes.partial_event,
    best=shapes.best_event,
    other=(*_MARKS, _FORCED),
    everywhere=(*_ALL_MARKS, _ALL_BEST, _ALL_FORCED),
)


class FuturesStreams(Streams):
    """Sends the market of perpetuals to whoever listens.

    A mark is told when the engine tells of it, and by the wall's second where the market stands still.
    """

    def __init__(self, desk: Desk[PerpetualEngine], messages_per_s: int) -> None:
        super().__init__(desk, messages_per_s, FUTURES)
        self._marked: set[str] = set()
        """Markets whose mark was sent since the last second."""

    def _subscribe(self, session: Session, name: str) -> None:
        super()._subscribe(session, name)
        self._watch_marks()

    def _unsubscribe(self, session: Session, name: str) -> None:
        super()._unsubscribe(session, name)
        self._watch_marks()

    def _watch_marks(self) -> None:
        for text in self._desk.texts.values():
            self._desk.venue.engine.watch(text.market.id, self._hears_mark(text))

    def _hears_mark(self, text: MarketText) -> bool:
        everywhere = any(name in self._listeners for name in _ALL_MARKS)
        return everywhere or any(self._heard(text, channel) for channel in _MARKS)

    def _tell(self, event: Event, now_ms: int) -> None:
        super()._tell(event, now_ms)
        if isinstance(event, MarkPrice):
            self._marked.add(event.id)
            self._send_marks([event], now_ms)
        elif isinstance(event, BookChanged) and _ALL_BEST in self._listeners:
            text = self._desk.texts[event.id]
            self._send_to(_ALL_BEST, shapes.best_event(text, event, touch(self._desk, text), now_ms))
        elif isinstance(event, Executed) and event.order.type == _LIQUIDATION:
            self._send_forced(event, now_ms)

    def send_tickers(self) -> None:
        """Send the last 24 hours and the marks to those who have subscribed to them."""
        super().send_tickers()
        quiet = [text for text in self._desk.texts.values() if text.market.id not in self._marked]
        self._marked.clear()
        marks = [self._desk.venue.engine.mark(text.market.id) for text in quiet if self._hears_mark(text)]
        if marks:
            self._send_marks(marks, self._desk.venue.now_ms())

    def _send_marks(self, marks: list[MarkPrice], now_ms: int) -> None:
        rows: list[Json] = []
        for mark in marks:
            text = self._desk.texts[mark.id]
            rows.append(shapes.mark_event(text, mark, now_ms))
            for channel in _MARKS:
                if self._heard(text, channel):
                    self._send(text, channel, rows[-1])
        for name in _ALL_MARKS:
            if name in self._listeners:
                self._send_to(name, rows)

    def _send_forced(self, event: Executed, now_ms: int) -> None:
        text = self._desk.texts[event.order.id]
        order = shapes.order_update(text, event)["o"]
        content = {
            "e": "forceOrder",
            "E": now_ms,
            "o": {key: order[key] for key in ("s", "S", "o", "f", "q", "p", "ap", "X", "l", "z", "T")},
        }
        if self._heard(text, _FORCED):
            self._send(text, _FORCED, content)
        if _ALL_FORCED in self._listeners:
            self._send_to(_ALL_FORCED, content)
