"""Limits in the simulated world: drawn from its seed, and judged by somebody who shares no code with risk."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any

from actors import messages as m

if TYPE_CHECKING:
    from actors.system import Core

MINUTE = 60 * 10**9
PASSING = (
    "trading is",
    "strategy a",
    "strategy b",
    "reduce-only",
    "quantity is below",
    "below the minimum notional",
    "larger than can be counted",
)
"""How reasons begin that are no rule's."""


def drawn_limits(seed: int, symbols: list[str], names: list[str], *, on_margin: bool) -> dict[str, Any]:
    """Return the risk settings of a seed: none for every other one, and of the rest a few each."""
    draw = random.Random(f"limits {seed}")
    if seed % 2 == 0:
        return {}
    possible: dict[str, Any] = {
        "max_open_orders": draw.randrange(2, 6),
        "max_orders_per_minute": draw.randrange(1, 4),
        "max_order_notional": draw.choice(["200", "350"]),
        "max_notional": draw.choice(["250", "500"]),
        "max_symbol_gross": draw.choice(["300", "700"]),
        "max_net": draw.choice(["400", "800"]),
        "max_leverage": draw.choice(["0.005", "0.02"]),
        "max_daily_loss": draw.choice(["0.5", "2", "20"]),
        "max_drawdown": draw.choice(["0.00002", "0.0005"]),
        "max_consecutive_losses": draw.randrange(1, 4),
        "price_collar_bps": draw.choice(["20", "100"]),
        "max_gap": "0.0005",
        "max_volatility_ratio": "1.5",
        "max_shortfall": draw.choice(["0.5", "3"]),
        "max_data_age_s": draw.choice([61, 300]),
        "trading_hours": ["00:00-23:00"],
        "funding_veto_minutes": 3,
    }
    if on_margin:
        possible |= {"max_margin": draw.choice(["0.0005", "0.002"]), "min_liquidation_distance": "0.9"}
    limits = {name: possible[name] for name in draw.sample(sorted(possible), draw.randrange(1, 6))}
    limits["symbols"] = {symbol: {"max_position": _base(symbol, draw.choice([1, 2]))} for symbol in symbols}
    if draw.random() < 0.5:
        limits["groups"] = {"all": {"symbols": symbols, "max_group_gross": draw.choice(["500", "900"])}}
    if draw.random() < 0.5:
        limits["strategies"] = {names[0]: {"max_strategy_net": draw.choice(["300", "600"])}}
    limits["actions"] = {
        name: draw.choice(["pause", "cancel_all", "flatten", "halt", "veto"])
        for name in ("max_daily_loss", "max_drawdown", "max_order_notional")
    }
    return limits | {
        "volatility_bars": 5,
        "regime_bars": 30,
        "gap_bars": 2,
        "shortfall_bars": 60,
        "loss_cooldown_s": 600,
    }


def _base(symbol: str, orders: int) -> str:
    """Return so many orders of a strategy's largest size, in base units."""
    return f"{orders * 3 * (0.03 if symbol.startswith('ETH') else 0.002):.4f}"


class Watch:
    """Follows what is wished, ordered and filled, and notes what no limit should have let happen."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.refused = 0
        """Vetoes by a rule."""
        self.exits = 0
        """Wishes that could only close."""
        self._exits: dict[tuple[str, int], str] = {}
        self._wishes: dict[tuple[str, int], m.Intent] = {}
        self._ordered_ns: deque[int] = deque()

    def restart(self) -> None:
        """Forget what a process that died has said; it may never have been."""
        self._exits.clear()
        self._ordered_ns.clear()

    def hear(self, core: Core, message: m.Message) -> None:
        """Look at a message before anybody else does."""
        match message:
            case m.Intent():
                self._wish(core, message)
            case m.RiskVeto():
                self._veto(message)
            case m.OrderRequest():
                self._order(core, message)
            case m.AmendRequest():
                self._ordered_ns.append(core.context.now_ns)
            case m.PositionChanged():
                self._position(core, message)

    def _wish(self, core: Core, intent: m.Intent) -> None:
        key = (intent.strategy, intent.ref)
        self._wishes[key] = intent
        if intent.action not in ("order", "target") or core.control.trading != "running":
            return
        if core.risk.is_clearing(intent.strategy, intent.symbol):
            return
        held = _held(core, intent.strategy, intent.symbol)
        if intent.action == "order":
            side, lots = intent.side, core.instruments[intent.symbol].quantity_to_lots(intent.quantity)
        elif intent.quantity == 0 and not _ahead(core, intent.strategy, intent.symbol):
            side, lots = (m.SELL if held > 0 else m.BUY), abs(held)
        else:
            return
        if 0 < lots <= -side * held - _ahead(core, intent.strategy, intent.symbol, side):
            self.exits += 1
            self._exits[key] = f"{intent.strategy}: {lots} lots of {intent.symbol} against {held}"

    def _veto(self, veto: m.RiskVeto) -> None:
        by_rule = not veto.reason.startswith(PASSING) and not veto.reason.endswith("nothing is left to sell")
        self.refused += by_rule
        if by_rule and (veto.strategy, veto.ref) in self._exits:
            self.found.append(f"an exit was refused, {veto.reason}: {self._exits[veto.strategy, veto.ref]}")

    def _order(self, core: Core, request: m.OrderRequest) -> None:
        now_ns, limits = core.context.now_ns, core.risk.in_force.limits
        while self._ordered_ns and self._ordered_ns[0] <= now_ns - MINUTE:
            self._ordered_ns.popleft()
        if not request.closing and not request.reduce_only and not self._only_closes(core, request):
            works = len(core.execution.orders)
            if limits.max_open_orders is not None and works >= limits.max_open_orders:
                self.found.append(f"{request.strategy}: an entry beside {works} open orders")
            if limits.max_orders_per_minute is not None and len(self._ordered_ns) >= limits.max_orders_per_minute:
                self.found.append(f"{request.strategy}: an entry after {len(self._ordered_ns)} orders in a minute")
            self._value(core, request)
        self._ordered_ns.append(now_ns)

    def _only_closes(self, core: Core, request: m.OrderRequest) -> bool:
        long_only = core.instruments[request.symbol].spec.long_only
        closable = -request.side * _held(core, request.strategy, request.symbol)
        closable -= _ahead(core, request.strategy, request.symbol, request.side)
        return request.quantity_lots <= closable or (long_only and request.side == m.SELL)

    def _value(self, core: Core, request: m.OrderRequest) -> None:
        """Check what is held of the symbol, this order filled, in the strategy's own floats."""
        limits, spec = core.risk.in_force.limits, core.instruments[request.symbol].spec
        price = self._wishes[request.strategy, request.ref].reference_price
        lots = request.side * _held(core, request.strategy, request.symbol) + request.quantity_lots
        value = lots * float(spec.lot) * price
        others = sum(
            abs(book.quantity_lots)
            for (strategy, symbol), book in core.ledger.holdings.items()
            if symbol == request.symbol and strategy != request.strategy
        )
        gross = value + others * float(spec.lot) * price
        ordered = request.quantity_lots * float(spec.lot) * price
        closing = max(0, -request.side * _held(core, request.strategy, request.symbol)) * float(spec.lot) * price
        for name, figure in (
            ("max_notional", value),
            ("max_symbol_gross", gross),
            ("max_order_notional", ordered if ordered > closing else 0),
        ):
            limit = getattr(limits, name)
            if limit is not None and figure > float(limit) * (1 + 1e-6):
                self.found.append(f"{request.strategy}: {name} is {limit}, and an order makes it {figure:.2f}")

    def _position(self, core: Core, message: m.PositionChanged) -> None:
        """Check a book after a fill: no limit on positions is ever tightened here, so none may be exceeded."""
        own = core.risk.in_force.limits.symbols.get(message.symbol)
        lot = core.instruments[message.symbol].spec.lot
        if own is not None and own.max_position is not None and abs(message.quantity_lots) * lot > own.max_position:
            held = message.quantity_lots * lot
            self.found.append(f"{message.strategy} holds {held} {message.symbol}, {own.max_position} allowed")


def _held(core: Core, strategy: str, symbol: str) -> int:
    book = core.ledger.holdings.get((strategy, symbol))
    return 0 if book is None else book.quantity_lots


def _ahead(core: Core, strategy: str, symbol: str, side: int = 0) -> int:
    """Return what open orders of a book, of one side or both, may still fill; those that only reduce left out."""
    return sum(
        order.request.quantity_lots - order.filled_lots
        for order in core.execution.orders.values()
        if (order.request.strategy, order.request.symbol) == (strategy, symbol)
        and side in (0, order.request.side)
        and not order.request.reduce_only
    )
