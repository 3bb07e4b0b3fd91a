"""What a strategy calls: orders in its own floats, said as intents; its symbols and how it stands in them.

Where no symbol is named, the one in hand is meant: that of the bar, tick, fill or order the strategy is being told
of; the first of its symbols in everything else.

An order's number counts up, and says which symbol it is of: ``count x (number of symbols) + place of the symbol``.
For a strategy on one symbol that is the count.
"""

from __future__ import annotations

from math import nextafter
from typing import TYPE_CHECKING, Any, Literal, Protocol

from actors.desk.exits import Entry, Exits
from actors.desk.standing import Standing
from actors.instrument import ATOMS_PER_UNIT
from actors.messages import BUY, SELL, Intent, OrderKind, ProtectedIntent, RiskVeto, TimeInForce
from actors.runtime.timers import NEVER_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.instrument import Instrument, Rate
    from actors.messages import Bar, Message
    from actors.runtime.scheduler import Context

_NS_PER_S = 1_000_000_000
_Terms = tuple[OrderKind, float | None, float | None, TimeInForce, bool, bool]
Protection = tuple[float | None, float | None] | None
"""(protective stop, distance to it) of an order, if its strategy gives either."""
_MARKET: _Terms = ("market", None, None, "gtc", False, False)


class Money(Protocol):
    """What the desk may ask the ledger, in atoms."""

    cash_atoms: int

    def equity_now(self) -> int:
        """Return the account's equity at the newest bars."""
        ...

    def profit_now(self, strategy: str) -> int:
        """Return what a strategy's books have made in this session."""
        ...


class Desk:
    """One strategy's desk.

    Args:
        context: the core's.
        strategy: whose.
        books: every symbol's exact units, lots held and their cost, in the order of the symbols.
        money: the account.
        fee: of an execution that takes, as the simulated venue has it.
        alone: the symbols of which only one exit may rest for each lot.
        follow: has the strategy told what becomes of its orders, from now on.

    Attributes:
        hand: the symbol in hand.
        count: how many wishes were numbered.
        muted: whether nothing is said, because it was said before.
        in_history: whether what is in hand is of the time before the session.
        armed: timers that were asked for: in whose name, theirs, and when they are due; and None while there is
            something to look after behind every message.
        exits: what becomes of its positions.
        past_ns: the time of what is told again; None for the time of the input in hand.
        since: what the strategy was told since its checkpoint; the actor's.
        told: how many of that were told, while it is told again.
        answers: what the ledger said since then, each with how much had been told by then: who is told again is
            answered the same.
    """

    __slots__ = (
        "_context",
        "_emit",
        "_fee",
        "_money",
        "_next",
        "answers",
        "armed",
        "count",
        "exits",
        "follow",
        "hand",
        "in_history",
        "muted",
        "past_ns",
        "since",
        "standings",
        "strategy",
        "symbols",
        "told",
        "width",
    )

    def __init__(
        self,
        context: Context,
        strategy: str,
        books: Sequence[tuple[Instrument, int, int]],
        money: Money,
        fee: Rate,
        alone: frozenset[str] = frozenset(),
        follow: Callable[[], object] = int,
    ) -> None:
        self._context = context
        self._money = money
        self._fee = fee
        self._emit = context.emit
        self.strategy = strategy
        self.standings = {
            instrument.symbol: Standing(instrument, index, lots, cost_atoms)
            for index, (instrument, lots, cost_atoms) in enumerate(books)
        }
        self.symbols = tuple(self.standings)
        self.width = len(self.symbols)
        self.hand = self.standings[self.symbols[0]]
        self.count = 0
        self.muted = False
        self.in_history = False
        self.armed: list[tuple[str, str, int] | None] = []
        self.exits = Exits(self, alone)
        self.follow = follow
        self.past_ns: int | None = None
        self.since: list[tuple[Bar, Any] | tuple[int, Any]] = []
        self.told = 0
        self.answers: list[tuple[int, int]] = []
        self._next = 0

    @property
    def now_ns(self) -> int:
        """Time of the input in hand."""
        return self._context.now_ns if self.past_ns is None else self.past_ns

    @property
    def symbol(self) -> str:
        """The symbol in hand."""
        return self.hand.symbol

    def standing(self, symbol: str | None) -> Standing:
        """Return how a symbol stands, the one in hand for None.

        Raises:
            ValueError: it is none of the strategy's.
        """
        if symbol is None:
            return self.hand
        try:
            return self.standings[symbol]
        except KeyError:
            message = f"{symbol} is none of its symbols, which are {', '.join(self.symbols)}"
            raise ValueError(message) from None

    @property
    def position(self) -> float:
        """Signed position in the symbol in hand, in base units."""
        return self.hand.instrument.quantity_float(self.hand.lots)

    def position_of(self, symbol: str) -> float:
        """Return the signed position in `symbol`, in base units."""
        standing = self.standing(symbol)
        return standing.instrument.quantity_float(standing.lots)

    def price_of(self, symbol: str) -> float:
        """Return the newest price the strategy saw of `symbol`; 0.0 before there was one."""
        return self.standing(symbol).price()

    # --- money --------------------------------------------------------------------------------------

    @property
    def equity(self) -> float:
        """The account's equity in quote units, at the newest bars of all symbols."""
        return self._ask(self._money.equity_now) / ATOMS_PER_UNIT

    @property
    def profit(self) -> float:
        """What the strategy's own books have made in this session, in quote units."""
        return self._ask(lambda: self._money.profit_now(self.strategy)) / ATOMS_PER_UNIT

    @property
    def cash(self) -> float:
        """The account's cash in quote units."""
        return self._ask(lambda: self._money.cash_atoms) / ATOMS_PER_UNIT

    def fit(self, quantity: float, price: float | None, symbol: str | None) -> float:
        """Return the part of a signed quantity that is whole lots and that spot can trade, in base units."""
        standing = self.standing(symbol)
        instrument = standing.instrument
        lots = instrument.quantity_to_lots(quantity)
        side = BUY if lots > 0 else SELL
        lots = abs(lots)
        ticks = instrument.price_to_ticks(standing.price() if price is None else price)
        if not instrument.spec.contract:
            closing = max(0, -side * standing.lots)
            if side == BUY:
                lots = min(lots, closing + self._affordable(instrument, ticks, lots))
            elif instrument.spec.long_only:
                lots = min(lots, closing)
        lots -= lots % instrument.step_lots
        if instrument.value_atoms(ticks, lots) < instrument.min_notional_atoms:
            lots = 0
        quantity = instrument.quantity_float(lots)
        while instrument.quantity_to_lots(quantity) > lots:  # more lots than a float can tell apart
            quantity = nextafter(quantity, 0.0)
        return side * quantity

    def _affordable(self, instrument: Instrument, ticks: int, most_lots: int) -> int:
        """Return how many of so many lots the account's cash pays for, with the fee of taking them."""
        cash_atoms = self._ask(lambda: self._money.cash_atoms)
        if cash_atoms < 0 or ticks <= 0:
            return 0
        low, high = 0, most_lots + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._cost(instrument, ticks, middle) <= cash_atoms else (low, middle)
        return low

    def _cost(self, instrument: Instrument, ticks: int, lots: int) -> int:
        value_atoms = instrument.value_atoms(ticks, lots)
        return value_atoms + self._fee.of(value_atoms)

    def _ask(self, question: Callable[[], int]) -> int:
        """Return what the ledger says, or said when the message in hand was told for the first time."""
        if not self.muted:
            answer = question()
            self.answers.append((len(self.since), answer))
            return answer
        answers = self.answers
        while self._next < len(answers) and answers[self._next][0] < self.told:
            self._next += 1
        if self._next == len(answers) or answers[self._next][0] > self.told:
            return question()  # it asks for more than it did
        self._next += 1
        return answers[self._next - 1][1]

    # --- what is told again -------------------------------------------------------------------------

    def begin_again(self) -> None:
        """Say nothing from here on, and answer as before."""
        self.muted = True
        self.armed.clear()
        self.told = self._next = 0

    def end_again(self) -> None:
        """End that; what was asked on the message that is skipped was never asked."""
        self.muted = False
        self.past_ns = None
        while self.answers and self.answers[-1][0] > len(self.since):
            self.answers.pop()

    def forget(self) -> None:
        """Forget what was told: there is a checkpoint."""
        self.since.clear()
        self.answers.clear()

    # --- orders -------------------------------------------------------------------------------------

    def order(
        self,
        side: int,
        quantity: float,
        kind: OrderKind,
        limit_price: float | None,
        stop_price: float | None,
        time_in_force: TimeInForce,
        *,
        reduce_only: bool,
        post_only: bool,
        symbol: str | None = None,
        protection: Protection = None,
    ) -> int:
        """Wish for an order; return its number."""
        terms = (kind, limit_price, stop_price, time_in_force, reduce_only, post_only)
        standing = self.hand if symbol is None else self.standing(symbol)
        return self._wish("order", standing, side, quantity, terms, protection)

    def target(self, quantity: float, symbol: str | None = None, protection: Protection = None) -> int:
        """Wish for a signed position; return the number of the order this may take."""
        standing = self.hand if symbol is None else self.standing(symbol)
        return self._wish("target", standing, 0, quantity, _MARKET, protection)

    def cancel(self, ref: int) -> None:
        """Wish to withdraw an order."""
        standing = self._of(ref)
        if standing is not None:
            self._emit(Intent(self.strategy, standing.symbol, ref, "cancel", 0, 0.0))

    def amend(self, ref: int, quantity: float, limit_price: float | None, stop_price: float | None) -> None:
        """Wish to change an order; a quantity of 0 and prices of None stay as they are."""
        standing = self._of(ref)
        if standing is not None:
            self._emit(
                Intent(
                    self.strategy,
                    standing.symbol,
                    ref,
                    "amend",
                    0,
                    quantity,
                    limit_price=limit_price,
                    stop_price=stop_price,
                    reference_price=standing.price(),
                )
            )

    def set_timer(self, name: str, seconds: float) -> None:
        """Ask for `on_timer(name)` in so many seconds of the core's time."""
        due_ns = min(NEVER_NS, self.now_ns + round(seconds * _NS_PER_S))
        self.armed.append((f"strategy.{self.strategy}", name, due_ns))

    def settle(self) -> None:
        """Behind a message: order what the exits lack, and set the timers that were asked for."""
        busy = self.exits.used and self.exits.settle()
        for asked in self.armed:
            if asked is not None and not self.muted:
                actor, name, due_ns = asked
                self._context.timers.arm(actor, name, due_ns)
        self.armed.clear()
        if busy:
            self.look_after()

    def look_after(self) -> None:
        """Have `settle` called behind every message."""
        self.armed.append(None)

    def disarm(self, actor: str, name: str) -> None:
        """Forget a timer."""
        if not self.muted:
            self._context.timers.disarm(actor, name)

    def next_ref(self, standing: Standing) -> int:
        """Return the number the next wish in a symbol will have."""
        return (self.count + 1) * self.width + standing.index

    def tell(self, message: Message) -> None:
        """Say something of orders to come."""
        if not self.muted and not self.in_history:
            self._emit(message)

    def veto(self, standing: Standing, reason: str) -> int:
        """Answer a wish with a veto; return its number."""
        ref = self.next_ref(standing)
        self.count += 1
        self.tell(RiskVeto(self.strategy, standing.symbol, ref, reason))
        return ref

    def enter(self, standing: Standing, side: int, entry: Entry, protection: Protection) -> int:
        """Wish for an order that opens a position; return its number."""
        kind = kind_of(entry.limit, entry.trigger)
        terms: _Terms = (kind, entry.limit, entry.trigger, entry.time_in_force, False, entry.post_only)
        return self._wish("order", standing, side, abs(entry.quantity), terms, protection)

    def _of(self, ref: int) -> Standing | None:
        """Return the symbol of an order that may be spoken of just now."""
        count, index = divmod(ref, self.width)
        if self.muted or self.in_history or not 0 < count <= self.count:
            return None
        return self.standings[self.symbols[index]]

    def _wish(
        self,
        action: Literal["order", "target"],
        standing: Standing,
        side: int,
        quantity: float,
        terms: _Terms,
        protection: Protection,
    ) -> int:
        ref = self.next_ref(standing)
        self.count += 1
        if self.muted:
            return ref
        if self.in_history:
            self._emit(RiskVeto(self.strategy, standing.symbol, ref, "warming up"))
        elif protection is None:
            price = standing.price()
            self._emit(Intent(self.strategy, standing.symbol, ref, action, side, quantity + 0.0, *terms, price))
        else:
            wish = (self.strategy, standing.symbol, ref, action, side, quantity + 0.0, *terms, standing.price())
            self._emit(ProtectedIntent(*wish, *protection))
        return ref


def kind_of(limit: float | None, stop: float | None) -> OrderKind:
    """Return what kind of order has these prices."""
    if limit is not None:
        return "limit" if stop is None else "stop_limit"
    return "market" if stop is None else "stop"
