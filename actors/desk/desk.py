"""What a strategy calls: orders in its own floats, said as intents; its symbols and how it stands in them.

Where no symbol is named, the one in hand is meant: that of the bar, tick, fill or order the strategy is being told
of; the first of its symbols in everything else.

An order's number counts up, and says which symbol it is of: ``count x (number of symbols) + place of the symbol``.
For a strategy on one symbol that is the count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from actors.desk.standing import Standing
from actors.messages import Intent, OrderKind, RiskVeto, TimeInForce
from actors.runtime.timers import NEVER_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.instrument import Instrument
    from actors.runtime.scheduler import Context

_NS_PER_S = 1_000_000_000
_Terms = tuple[OrderKind, float | None, float | None, TimeInForce, bool, bool]
_MARKET: _Terms = ("market", None, None, "gtc", False, False)


class Desk:
    """One strategy's desk.

    Args:
        context: the core's.
        strategy: whose.
        books: every symbol's exact units, lots held and their cost, in the order of the symbols.

    Attributes:
        hand: the symbol in hand.
        count: how many wishes were numbered.
        muted: whether nothing is said, because it was said before.
        in_history: whether what is in hand is of the time before the session.
        armed: timers that were asked for: name and due time.
        past_ns: the time of what is told again; None for the time of the input in hand.
    """

    __slots__ = (
        "_context",
        "_emit",
        "armed",
        "count",
        "hand",
        "in_history",
        "muted",
        "past_ns",
        "standings",
        "strategy",
        "symbols",
        "width",
    )

    def __init__(self, context: Context, strategy: str, books: Sequence[tuple[Instrument, int, int]]) -> None:
        self._context = context
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
        self.armed: list[tuple[str, int]] = []
        self.past_ns: int | None = None

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
    ) -> int:
        """Wish for an order; return its number."""
        terms = (kind, limit_price, stop_price, time_in_force, reduce_only, post_only)
        return self._wish("order", self.hand if symbol is None else self.standing(symbol), side, quantity, terms)

    def target(self, quantity: float, symbol: str | None = None) -> int:
        """Wish for a signed position; return the number of the order this may take."""
        return self._wish("target", self.hand if symbol is None else self.standing(symbol), 0, quantity)

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
        self.armed.append((name, min(NEVER_NS, self.now_ns + round(seconds * _NS_PER_S))))

    def arm(self, actor: str) -> None:
        """Set the timers that were asked for."""
        for name, due_ns in self.armed:
            self._context.timers.arm(actor, name, due_ns)
        self.armed.clear()

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
        terms: _Terms = _MARKET,
    ) -> int:
        self.count += 1
        ref = self.count * self.width + standing.index
        if self.muted:
            return ref
        if self.in_history:
            self._emit(RiskVeto(self.strategy, standing.symbol, ref, "warming up"))
        else:
            price = standing.price()
            self._emit(Intent(self.strategy, standing.symbol, ref, action, side, quantity + 0.0, *terms, price))
        return ref
