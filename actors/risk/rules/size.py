"""How large one order may be, and what one book may come to hold; what it may lose."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from actors.instrument import to_atoms
from actors.messages import BUY
from actors.risk.rules.base import Ceiling, Proposal, Rule, Verdict, most_lots

if TYPE_CHECKING:
    from decimal import Decimal

    from actors.risk.account import Equity
    from actors.risk.market import Newest
    from actors.risk.rules.base import Action

_PROBE_LOTS = 10**12
"""Lots whose value gives the price of one lot with twelve digits to spare."""


class OrderNotional(Rule):
    """The value of one order: what nobody means to order."""

    __slots__ = ("_most_atoms", "_newest")

    def __init__(self, limit: Decimal, action: Action, newest: Newest) -> None:
        super().__init__("max_order_notional", f"{limit}", action)
        self._most_atoms = to_atoms(limit)
        self._newest = newest

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass that are worth no more at the highest of their own prices and the last."""
        ticks = max(order.limit_ticks, order.stop_ticks, order.price_ticks, self._newest.last_ticks(order.symbol))
        if not ticks:
            return Verdict(f"order notional limit {self.limit}, and no price is known yet")

        def fits(lots: int) -> bool:
            return order.instrument.value_atoms(ticks, order.resting_lots + lots) <= self._most_atoms

        if fits(order.lots):
            return None
        lots = most_lots(order, fits) if order.lots > 0 else 0
        return Verdict(f"order notional limit {self.limit}", lots)


class TradeRisk(Rule):
    """What one order loses, of the equity, if its strategy gets out where it said it would.

    It is the way from the order's own price (its limit, its trigger, or else the price of the decision) to the
    protective stop, or the distance that was given; fees, slippage and gaps come on top. An order that says neither
    is refused. A change of an order is judged by what was said with the order.
    """

    __slots__ = ("_equity", "_most")

    needs = ("equity",)

    def __init__(self, limit: Decimal, action: Action, equity: Equity) -> None:
        super().__init__("max_trade_risk", f"{limit}", action)
        self._most = Fraction(limit)
        self._equity = equity

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass that lose no more than the limit of the equity."""
        if order.lots <= 0 and order.protective_stop is None:
            return None  # a change that adds nothing, and the way to the stop is as long as it was
        instrument = order.instrument
        if order.protective_stop is not None:
            stop_ticks = (
                instrument.price_to_ticks_down(order.protective_stop)
                if order.side == BUY
                else instrument.price_to_ticks_up(order.protective_stop)
            )
            away_ticks = order.side * (order.own_ticks - stop_ticks)
        elif order.stop_distance is not None:
            away_ticks = instrument.price_to_ticks_up(order.stop_distance)
        else:
            return Verdict(f"trade risk limit {self.limit}, and no protective stop was given")
        if not order.own_ticks:
            return Verdict(f"trade risk limit {self.limit}, and no price is known yet")
        if away_ticks <= 0:
            price = instrument.price(order.own_ticks).normalize()
            return Verdict(f"the protective stop is not on the losing side of the order's price, {price:f}")
        most_atoms = max(0, self._equity.atoms) * self._most.numerator // self._most.denominator

        def fits(lots: int) -> bool:
            return instrument.value_atoms(away_ticks, order.resting_lots + lots - order.free_lots) <= most_atoms

        if fits(order.lots):
            return None
        return Verdict(f"trade risk limit {self.limit} of the equity", most_lots(order, fits))


class Position(Rule):
    """|Position| of one book, in base units, once every working order of its side has filled."""

    __slots__ = ("_most",)

    holds = True

    def __init__(self, most: Ceiling, action: Action) -> None:
        super().__init__("max_position", f"{most}", action)
        self._most = most

    def judge(self, order: Proposal) -> Verdict | None:
        """Let as much pass as the book may still take."""
        most = self._most.of(order.symbol)
        if most is None or order.lots <= 0:
            return None
        left_lots = int(most / order.instrument.spec.lot) - order.exposed_lots
        return None if order.lots <= left_lots else Verdict(f"position limit {most}", max(0, left_lots))


class Notional(Rule):
    """|Position| of one book, in quote units at the price of the decision, likewise."""

    __slots__ = ("_most_atoms",)

    holds = True

    def __init__(self, limit: Decimal, action: Action) -> None:
        super().__init__("max_notional", f"{limit}", action)
        self._most_atoms = to_atoms(limit)

    def judge(self, order: Proposal) -> Verdict | None:
        """Let as much pass as the book may still take."""
        if order.lots <= 0:
            return None
        probe_atoms = order.instrument.value_atoms(order.price_ticks, _PROBE_LOTS)
        if not probe_atoms:
            return Verdict(f"notional limit {self.limit}, and no price is known yet")
        most = self._most_atoms * _PROBE_LOTS // probe_atoms
        if order.exposed_lots + order.lots <= most:
            return None
        return Verdict(f"notional limit {self.limit}", max(0, most - order.exposed_lots))
