"""A risk actor on a bench: wishes go in, what it says comes out, and the market is whatever a test makes of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from actors import messages as m
from actors.execution.margin_account import Terms
from actors.instrument import Instrument, InstrumentSpec
from actors.ledger import Begun
from actors.margin import Tiers
from actors.risk import Risk
from actors.risk.account import Equity
from actors.runtime.scheduler import Context
from config.risk import Risk as Limits

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
NOON = 20_000 * DAY + DAY // 2
"""Of a Friday."""
UNIT = 10**8
BUY, SELL = m.BUY, m.SELL


def on_margin(leverage: int = 10, rate: str = "0.5", *, isolated: bool = False) -> dict[str, Terms]:
    """Return X and Y held with a leverage and one rate of maintenance margin."""
    return dict.fromkeys("XY", Terms(leverage, isolated, Tiers([(0, 100, Decimal(rate))])))


def limits(**values: Any) -> Limits:
    """Return limits as a file would set them."""
    plain = {name: str(value) if isinstance(value, (int, float)) else value for name, value in values.items()}
    return msgspec.convert(plain, Limits, strict=False)


class Desk:
    """A risk actor with instruments X, Y and Z, whose tick and lot are 1 unless said otherwise."""

    def __init__(
        self,
        *positions: tuple[str, str, int],
        cancel_on_halt: bool = True,
        tick: str = "1",
        lot: str = "1",
        min_notional: str = "0",
        contract: bool = False,
        equity: float = 0,
        begun: Begun | None = None,
        margin: dict[str, Terms] | None = None,
        **values: Any,
    ) -> None:
        self.context = Context()
        self.context.now_ns = NOON
        self.instruments = {
            symbol: Instrument(
                InstrumentSpec(
                    symbol=symbol,
                    tick=Decimal(tick),
                    lot=Decimal(lot),
                    min_notional=Decimal(min_notional),
                    contract=contract,
                )
            )
            for symbol in "XYZ"
        }
        self.limits = limits(**values)
        self.cancel_on_halt = cancel_on_halt
        self.margin = margin
        self.equity_atoms = round(equity * UNIT)
        self.begun = begun
        self.risk = self.make(positions)
        self.refs: dict[str, int] = {}
        self.open_ns = NOON

    def make(self, positions: Any = ()) -> Risk:
        return Risk(
            self.context,
            self.instruments,
            self.limits,
            positions,
            cancel_on_halt=self.cancel_on_halt,
            equity=Equity.of(self.equity_atoms, self.begun),
            strategies=("a", "b"),
            margin=self.margin,
        )

    def said(self) -> list[Any]:
        said = list(self.context.outbox)
        self.context.outbox.clear()
        return said

    def wish(self, action: Any, side: int, quantity: float, **terms: Any) -> list[Any]:
        strategy, symbol = terms.pop("strategy", "a"), terms.pop("symbol", "X")
        ref = self.refs[strategy] = self.refs.get(strategy, 0) + 1
        terms.setdefault("reference_price", 100.0)
        kind = m.ProtectedIntent if {"protective_stop", "stop_distance"} & terms.keys() else m.Intent
        intent = kind(strategy, symbol, ref, action, side, quantity, **terms)
        self.risk.on_intent(intent)
        self.risk.on_intent_answered(intent)
        return self.said()

    def order(self, side: int, quantity: float, **terms: Any) -> list[Any]:
        return self.wish("order", side, quantity, **terms)

    def target(self, quantity: float, **terms: Any) -> list[Any]:
        return self.wish("target", 0, quantity, **terms)

    def amend(self, ref: int, quantity: float = 0.0, limit: float | None = None, **terms: Any) -> Any:
        given: dict[str, Any] = {"limit_price": limit, "reference_price": 100.0} | terms
        self.risk.on_intent(m.Intent("a", "X", ref, "amend", 0, quantity, **given))
        (answer,) = self.said()
        return answer

    def fill(self, request: m.OrderRequest, quantity: int | None = None) -> list[Any]:
        """Fill an order, in full unless told otherwise, the way the ledger and the venue tell of it."""
        open_lots = self.risk._working[request.strategy, request.ref].open_lots
        quantity = open_lots if quantity is None else quantity
        key = (request.strategy, request.symbol)
        lots = self.risk._positions.get(key, 0) + request.side * quantity
        self.risk.on_position_changed(m.PositionChanged(*key, lots, 0, 0, 0, 0))
        remaining = open_lots - quantity
        event = ("o", *key, request.ref)
        self.risk.on_fill(m.Fill(*event, 1, request.side, 100, quantity, remaining, 0, "taker", 0))
        return self.said()

    def end(self, request: m.OrderRequest) -> list[Any]:
        self.risk.on_order_ended(m.Cancelled("o", request.strategy, request.symbol, request.ref, "as requested"))
        return self.said()

    def state(self, state: str) -> list[Any]:
        self.risk.on_trading_state(m.TradingStateChanged(state, "because"))
        return self.said()

    def mark(self, equity: float, at_ns: int | None = None) -> list[Any]:
        at_ns = self.context.now_ns if at_ns is None else at_ns
        self.risk.on_equity(m.EquityMark(round(equity * UNIT), at_ns))
        return self.said()

    def bar(self, close: float, open_: float | None = None, symbol: str = "X", timeframe_ns: int = MINUTE) -> None:
        """Close a bar now, as the core does it: the lane has it, and who needs bars hears it."""
        close, open_ = float(close), float(close if open_ is None else open_)
        open_ns = self.context.now_ns - timeframe_ns
        high, low = max(open_, close), min(open_, close)
        bar = m.Bar(symbol, timeframe_ns, open_ns, self.context.now_ns, open_, high, low, close, 1.0)
        self.context.lane(symbol).bar = bar
        if "bars" in self.risk.needs:
            self.risk.on_bar(bar)

    def bars(self, *closes: float, symbol: str = "X") -> None:
        """Close bars a minute apart."""
        for close in closes:
            self.context.now_ns += MINUTE
            self.bar(close, symbol=symbol)

    def again(self) -> Desk:
        """Return a desk restored from this one's state."""
        other = Desk(cancel_on_halt=self.cancel_on_halt)
        other.instruments, other.limits = self.instruments, self.limits
        other.context.now_ns = self.context.now_ns
        other.context.lanes = self.context.lanes
        other.risk = other.make()
        other.risk.load(self.risk.dump())
        other.refs = dict(self.refs)
        assert other.risk.dump() == self.risk.dump()
        return other


def passed(said: list[Any]) -> m.OrderRequest:
    (request,) = said
    assert isinstance(request, m.OrderRequest), said
    return request


def vetoed(said: list[Any]) -> str:
    (veto,) = said
    assert isinstance(veto, m.RiskVeto), said
    return veto.reason
