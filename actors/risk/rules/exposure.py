"""What may be held together: in one symbol, by one strategy, in a group of symbols, by the account.

Groups are those that were named, and those that are found: a symbol with all whose returns move with its own.

Everything is judged at its worst: the book of the order once all that works on either side of it has filled, as far
as that makes the figure larger. Other books are valued at their symbol's newest price, the order's own at the price of
the decision. *Gross* is the sum of the books' |positions|, *net* their sum in the order's direction.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from actors.instrument import to_atoms
from actors.risk.rules.base import Ceiling, Proposal, Rule, Verdict, most_lots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from actors.risk.rules.base import Action
    from actors.risk.sources import Sources
    from config.risk import GroupRisk

Scope = Literal["symbol", "group", "correlated", "strategy", "account"]
Measure = Literal["net", "gross", "leverage"]

ACCOUNT = ""
"""The name of the only thing of its scope."""


class SymbolPosition(Rule):
    """|Position| of all strategies together in one symbol, in base units."""

    __slots__ = ("_most",)

    holds = True

    def __init__(self, most: Ceiling, action: Action) -> None:
        super().__init__("max_symbol_position", f"{most}", action)
        self._most = most

    def judge(self, order: Proposal) -> Verdict | None:
        """Let as much pass as the symbol may still take in the order's direction."""
        most = self._most.of(order.symbol)
        if most is None or order.lots <= 0:
            return None
        books = order.exposures.items()
        exposed_lots = sum(exposure.net_lots(order.side) for (_, symbol), exposure in books if symbol == order.symbol)
        left_lots = int(most / order.instrument.spec.lot) - exposed_lots
        if order.lots <= left_lots:
            return None
        return Verdict(f"position limit {most} of all strategies in {order.symbol}", max(0, left_lots))


class Together(Rule):
    """Net or gross value, or leverage, of whatever belongs to one scope."""

    __slots__ = ("_given", "_groups", "_measure", "_most", "_scope")

    holds = True

    def __init__(
        self,
        name: str,
        scope: Scope,
        measure: Measure,
        most: Ceiling,
        action: Action,
        given: Sources,
        groups: Mapping[str, GroupRisk],
    ) -> None:
        """Limit by `most`, whose names are symbols, groups or strategies."""
        super().__init__(name, f"{most}", action)
        self._scope = scope
        self._measure = measure
        self._most = most
        self._given = given
        self._groups = groups

    def judge(self, order: Proposal) -> Verdict | None:
        """Let as much pass as everything the order belongs to may still take."""
        if order.lots <= 0:
            return None
        worst: Verdict | None = None
        for subject in self._subjects(order):
            most = self._most.of(subject)
            found = None if most is None else self._judge_one(order, subject, most)
            if found is not None and (worst is None or found.lots < worst.lots):
                worst = found
        return worst

    def _subjects(self, order: Proposal) -> list[str]:
        match self._scope:
            case "symbol":
                return [order.symbol]
            case "strategy":
                return [order.strategy]
            case "group":
                return [name for name, group in self._groups.items() if order.symbol in group.symbols]
            case _:
                return [ACCOUNT]

    def _sign(self, strategy: str, symbol: str, subject: str) -> int:
        """Return 1 if a book belongs to the subject, -1 if it does the other way round, 0 if it does not."""
        match self._scope:
            case "symbol":
                return symbol == subject
            case "strategy":
                return strategy == subject
            case "group":
                return symbol in self._groups[subject].symbols
            case _:
                return 1

    def _judge_one(self, order: Proposal, subject: str, most: Decimal) -> Verdict | None:
        own_sign = self._sign(order.strategy, order.symbol, subject)
        others_atoms = 0
        for (strategy, symbol), exposure in order.exposures.items():
            sign = self._sign(strategy, symbol, subject)
            if not sign or (strategy, symbol) == (order.strategy, order.symbol):
                continue
            net = self._measure == "net"
            lots = exposure.net_lots(order.side * own_sign * sign) if net else exposure.worst_lots(order.side)
            ticks = order.price_ticks if symbol == order.symbol else self._given.newest.last_ticks(symbol)
            if lots and not ticks:
                return Verdict(f"{self._words(order, subject, most)}, and no price of {symbol} is known yet")
            others_atoms += self._given.instruments[symbol].value_atoms(ticks, lots)
        if not order.price_ticks:
            return Verdict(f"{self._words(order, subject, most)}, and no price is known yet")
        fits = self._fits(order, self._most_atoms(most), others_atoms)
        return None if fits(order.lots) else Verdict(self._words(order, subject, most), most_lots(order, fits))

    def _words(self, order: Proposal, subject: str, most: Decimal) -> str:
        return f"{self._measure} limit {most} of {self._called(order, subject)}"

    def _fits(self, order: Proposal, most_atoms: int, others_atoms: int) -> Callable[[int], bool]:
        """Return whether so many lots of the order leave the figure within the limit."""
        own = order.exposures.get((order.strategy, order.symbol))
        net = self._measure == "net"

        def fits(lots: int) -> bool:
            if own is None:
                worst_lots = lots
            else:
                worst_lots = own.net_lots(order.side) + lots if net else own.worst_lots(order.side, lots)
            return others_atoms + order.instrument.value_atoms(order.price_ticks, worst_lots) <= most_atoms

        return fits

    def _most_atoms(self, most: Decimal) -> int:
        return to_atoms(most)

    def _called(self, order: Proposal, subject: str) -> str:  # noqa: ARG002 - a group that is found depends on it
        match self._scope:
            case "symbol" | "strategy":
                return subject
            case "group":
                return f"group {subject}"
            case _:
                return "the account"


class Leverage(Together):
    """Gross value of whatever belongs to one scope, as a multiple of the account's equity."""

    __slots__ = ()

    needs = ("equity",)

    def _most_atoms(self, most: Decimal) -> int:
        times = Fraction(most)
        return max(0, self._given.equity.atoms) * times.numerator // times.denominator


class Correlated(Together):
    """Net or gross value of a symbol and of all that moves with it, or against it.

    Each symbol in which something is held, or may come to be, has such a group; an order is judged in every one its
    own symbol is in. What moves against the symbol counts the other way round in its net.
    """

    __slots__ = ("_bars", "_threshold")

    needs = ("bars",)

    def __init__(
        self, name: str, measure: Measure, most: Decimal, threshold: Decimal, bars: int, action: Action, given: Sources
    ) -> None:
        """Put together what has a correlation of `threshold`, or more, over the last `bars` bars."""
        super().__init__(name, "correlated", measure, Ceiling(most, {}), action, given, {})
        self._threshold = float(threshold)
        self._bars = bars

    def _subjects(self, order: Proposal) -> list[str]:
        held = [symbol for (_, symbol), exposure in order.exposures.items() if exposure.worst_lots(order.side)]
        return [symbol for symbol in dict.fromkeys((order.symbol, *held)) if self._sign("", order.symbol, symbol)]

    def _sign(self, strategy: str, symbol: str, subject: str) -> int:  # noqa: ARG002 - whose it is does not matter
        if symbol == subject:
            return 1
        correlation = self._given.windows.correlation(subject, symbol, self._bars)
        if correlation is None or abs(correlation) < self._threshold:
            return 0
        return 1 if correlation > 0 else -1

    def _called(self, order: Proposal, subject: str) -> str:
        others = dict.fromkeys((order.symbol, *(symbol for _, symbol in order.exposures)))
        found = [
            f"{symbol} ({self._given.windows.correlation(subject, symbol, self._bars):.2f})"
            for symbol in others
            if symbol != subject and self._sign("", symbol, subject)
        ]
        return (
            f"{subject} and what moves with it: {', '.join(found)}" if found else f"{subject}, with which nothing moves"
        )
