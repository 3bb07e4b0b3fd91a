"""Contracts on margin: how much of the money they take, and how far they are from liquidation.

An account has one position in a contract, that of all books together. On cross margin all of the equity but what is
held on spot stands behind it; on isolated margin it is judged as if it had just been entered at the newest price.
Equity is that of the last bar close.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from actors.margin import initial_margin, share_of
from actors.risk.rules.base import Proposal, Rule, Verdict, most_lots

if TYPE_CHECKING:
    from decimal import Decimal

    from actors.risk.rules.base import Action
    from actors.risk.sources import Sources


class MarginUse(Rule):
    """Initial margin of all contracts, every working order filled as far as that makes it larger."""

    __slots__ = ("_given", "_most")

    holds = True

    needs = ("equity", "marks")

    def __init__(self, limit: Decimal, action: Action, given: Sources) -> None:
        super().__init__("max_margin", f"{limit}", action)
        self._most = Fraction(limit)
        self._given = given

    def judge(self, order: Proposal) -> Verdict | None:
        """Let as much pass as the equity has margin for."""
        given, words = self._given, f"margin limit {self.limit} of the equity"
        if order.lots <= 0 or order.symbol not in given.margin:
            return None
        held: dict[str, list[int]] = {symbol: [0, 0, 0] for symbol in given.margin}
        for (_, symbol), exposure in order.exposures.items():
            if symbol in held:
                held[symbol][0] += exposure.held_lots
                held[symbol][1] += exposure.buying_lots
                held[symbol][2] += exposure.selling_lots
        others_atoms = 0
        for symbol, lots in held.items():
            if symbol != order.symbol and any(lots):
                ticks = given.newest.value_ticks(symbol)
                if not ticks:
                    return Verdict(f"{words}, and no price of {symbol} is known yet")
                others_atoms += self._margin(symbol, ticks, *lots)
        if not order.price_ticks:
            return Verdict(f"{words}, and no price is known yet")
        most_atoms = max(0, given.equity.atoms) * self._most.numerator // self._most.denominator
        own_lots, buying_lots, selling_lots = held[order.symbol]

        def fits(lots: int) -> bool:
            buys = buying_lots + (lots if order.side > 0 else 0)
            sells = selling_lots + (lots if order.side < 0 else 0)
            return others_atoms + self._margin(order.symbol, order.price_ticks, own_lots, buys, sells) <= most_atoms

        return None if fits(order.lots) else Verdict(words, most_lots(order, fits))

    def _margin(self, symbol: str, ticks: int, held_lots: int, buying_lots: int, selling_lots: int) -> int:
        value = self._given.instruments[symbol].value_atoms
        leverage = self._given.margin[symbol].leverage
        margin = initial_margin(
            value(ticks, held_lots), value(ticks, buying_lots), value(ticks, selling_lots), leverage
        )
        return margin.position_atoms + margin.order_atoms


class LiquidationDistance(Rule):
    """How far a contract's price is from where its position would be liquidated, if no other price moved."""

    __slots__ = ("_given", "_least")

    holds = True

    needs = ("equity", "marks")

    def __init__(self, limit: Decimal, action: Action, given: Sources) -> None:
        super().__init__("min_liquidation_distance", f"{limit}", action)
        self._least = Fraction(limit)
        self._given = given

    def judge(self, order: Proposal) -> Verdict | None:
        """Let as much pass as leaves the position that far away, or makes it no larger."""
        if order.lots <= 0 or order.symbol not in self._given.margin:
            return None
        if not order.price_ticks:
            return Verdict(f"liquidation distance {self.limit}, and no price is known yet")
        held = self._held()
        before_lots = held.get(order.symbol, 0)
        books = order.exposures.items()
        ahead_lots = sum(exposure.net_lots(order.side) for (_, symbol), exposure in books if symbol == order.symbol)

        def fits(lots: int) -> bool:
            after_lots = order.side * (ahead_lots + lots)
            if abs(after_lots) <= abs(before_lots):
                return True
            return self._is_far(order.symbol, after_lots, order.price_ticks, held)

        return None if fits(order.lots) else Verdict(self._words(order.symbol), most_lots(order, fits))

    def breached(self) -> str:
        """Look at every position as it is."""
        held = self._held()
        for symbol in self._given.margin:
            ticks, lots = self._given.newest.value_ticks(symbol), held.get(symbol, 0)
            if lots and ticks and not self._is_far(symbol, lots, ticks, held):
                return self._words(symbol)
        return ""

    def _held(self) -> dict[str, int]:
        """Return the account's position in every symbol."""
        held: dict[str, int] = {}
        for (_, symbol), lots in self._given.books.positions.items():
            held[symbol] = held.get(symbol, 0) + lots
        return held

    def _is_far(self, symbol: str, lots: int, ticks: int, held: dict[str, int]) -> bool:
        """Return whether a position of so many lots, at this price, is far enough from its liquidation."""
        instrument, terms = self._given.instruments[symbol], self._given.margin[symbol]
        value_atoms = instrument.value_atoms(ticks, lots)
        if terms.isolated:
            behind_atoms = share_of(abs(value_atoms), terms.leverage)
        else:
            behind_atoms = self._given.equity.atoms - self._others_atoms(symbol, held)
        liquidation_ticks = terms.tiers.liquidation_ticks(instrument, lots, value_atoms, behind_atoms)
        if not liquidation_ticks:
            return True
        away_ticks = ticks - liquidation_ticks if lots > 0 else liquidation_ticks - ticks
        return away_ticks * self._least.denominator >= self._least.numerator * ticks

    def _others_atoms(self, symbol: str, held: dict[str, int]) -> int:
        """Return what of the equity does not stand behind a position on cross margin: spot, and what others keep."""
        given, kept_atoms = self._given, 0
        for other, lots in held.items():
            if other == symbol or not lots:
                continue
            value_atoms = given.instruments[other].value_atoms(given.newest.value_ticks(other), lots)
            terms = given.margin.get(other)
            if terms is None:
                kept_atoms += value_atoms
            elif terms.isolated:
                kept_atoms += share_of(abs(value_atoms), terms.leverage)
            else:
                kept_atoms += terms.tiers.maintenance_atoms(abs(value_atoms))
        return kept_atoms

    def _words(self, symbol: str) -> str:
        return f"{symbol} would be less than {self.limit} of its price from liquidation"
