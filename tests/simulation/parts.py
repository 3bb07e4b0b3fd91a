"""What the simulated world is made of: its market, the strategy that lives in it, and their translators."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from actors import messages as m
from actors.instrument import InstrumentSpec
from replay.exchange.model import Market, OrderView, TradeView
from strategies.base import Strategy

MS = 1_000_000
SECOND = 1_000 * MS
MINUTE = 60 * SECOND
UNIT = 10**8
LOTS_PER_STEP = 1_000
"""The venue counts in steps of 1e-5, the core books lots of 1e-8."""

SYMBOL = "BTC/USDT"
VENUE_MARKET = Market(symbol=SYMBOL, id="BTCUSDT", base="BTC", quote="USDT", tick=Decimal("0.01"), lot=Decimal("1e-5"))
SPEC = InstrumentSpec(
    symbol=SYMBOL,
    tick=Decimal("0.01"),
    lot=Decimal("1e-8"),
    step=Decimal("1e-5"),
    min_notional=Decimal(5),
    base="BTC",
    quote="USDT",
    long_only=True,
)
STATES: dict[str, Any] = {
    "NEW": "open",
    "PARTIALLY_FILLED": "open",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
}
TYPES: dict[str, Any] = {"market": "MARKET", "limit": "LIMIT", "stop": "STOP_LOSS", "stop_limit": "STOP_LOSS_LIMIT"}


class Restless(Strategy):
    """Does all a strategy can do, as its own numbers tell it; long only, for there is no short on spot."""

    seed: int = 1

    def on_start(self) -> None:
        self.random = self.seed
        self.refs: list[int] = []

    def draw(self, choices: int) -> int:
        self.random = (self.random * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.random >> 33) % choices

    def on_bar(self, bar: m.Bar, _: Any, /) -> None:
        size = 0.002 * (1 + self.draw(3))
        away = bar.close * (1 + self.draw(5)) / 2_000
        held = self.position
        action = self.draw(16)
        if action == 0:
            self.refs.append(self.buy(size))
        elif action == 1 and held > 0.001:
            self.refs.append(self.sell(held / 2))
        elif action in (2, 3):
            self.refs.append(self.buy(size, limit=bar.close - away))
        elif action == 4 and held > 0.001:
            self.refs.append(self.sell(held / 2, limit=bar.close + away))
        elif action == 5 and held > 0.001:
            self.refs.append(self.sell(held / 2, stop=bar.close - away))
        elif action == 6:
            self.refs.append(self.buy(size, stop=bar.close + away, limit=bar.close + 2 * away))
        elif action in (7, 8) and self.refs:
            self.cancel(self.refs[self.draw(len(self.refs))])
        elif action == 9:
            self.target(size if self.draw(2) else 0)
        elif action == 10:
            self.buy(size, limit=bar.close + away, time_in_force="ioc")
        elif action == 11:
            self.refs.append(self.buy(size, limit=bar.close - away, post_only=True))
        elif action > 11 and self.refs:
            self.change(self.refs[self.draw(len(self.refs))], bar.close, away, size)
        del self.refs[:-8]

    def change(self, ref: int, price: float, away: float, size: float) -> None:
        """Amend some order, whatever it is and whether or not it still works."""
        kind = self.draw(4)
        if kind == 0:
            self.amend(ref, limit=price - away)
        elif kind == 1:
            self.amend(ref, limit=price + away, quantity=size)
        elif kind == 2:
            self.amend(ref, quantity=size / 2)
        else:
            self.amend(ref, stop=price - away)


class Totals:
    """What may be executed of each wish, and by which orders: the newest total that was asked for or is in force."""

    def __init__(self) -> None:
        self.asked: dict[tuple[str, int], int] = {}
        self.in_force: dict[tuple[str, int], int] = {}
        self.orders: dict[tuple[str, int], set[str]] = {}

    def hear(self, message: m.Message) -> None:
        if isinstance(message, m.OrderRequest | m.AmendRequest):
            key = (message.strategy, message.ref)
            self.asked[key] = message.quantity_lots
            self.in_force.setdefault(key, message.quantity_lots)
        elif isinstance(message, m.Amended):
            self.in_force[message.strategy, message.ref] = message.quantity_lots

    def sent(self, order_id: str, request: m.OrderRequest) -> None:
        self.orders.setdefault((request.strategy, request.ref), set()).add(order_id)

    def excess(self, request: m.OrderRequest, find: Callable[[str], OrderView | None]) -> str:
        """Say what a wish's orders may still execute beyond its total; empty if nothing."""
        key = (request.strategy, request.ref)
        lots = 0
        for order_id in self.orders[key]:
            order = find(order_id)
            if order is not None:
                lots += order.quantity_lots if STATES[order.status] == "open" else order.filled_lots
        most = max(self.asked[key], self.in_force[key])
        return (
            "" if lots * LOTS_PER_STEP <= most else f"{key}: {lots * LOTS_PER_STEP} lots at work or done, {most} asked"
        )


def reported(order: OrderView) -> m.OrderReported:
    return m.OrderReported(
        order.client_order_id, str(order.order_id), STATES[order.status], order.filled_lots * LOTS_PER_STEP
    )


def traded(order_id: str, trade: TradeView) -> m.TradeReported:
    return m.TradeReported(
        order_id,
        SYMBOL,
        trade.trade_id,
        m.BUY if trade.side == "BUY" else m.SELL,
        trade.price_ticks,
        trade.quantity_lots * LOTS_PER_STEP,
        trade.commission_asset,
        trade.commission_atoms,
        "maker" if trade.is_maker else "taker",
        trade.time_ms * MS,
    )
