"""Clearing: what binds one strategy's orders, and the closing of its books, or of one of them, by command.

The account's trading state and a strategy's own are apart, and the stricter counts. A book that is being closed takes
no orders of its strategy until it is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import BooksClosed, CancelRequest, CommandAnswered
from actors.risk.working import CLEARING, exits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from actors.instrument import Instrument
    from actors.messages import ClosePosition, Message, StrategyStateChanged
    from actors.risk.books import Book, Books
    from actors.risk.closing import Closing
    from actors.risk.working import Working


class Clearing:
    """The strategies that are not running, and the books that are being closed.

    Attributes:
        states: of the strategies that are not running.
        scopes: what is being closed: (strategy, symbol), or (strategy, "") for all its books.
    """

    def __init__(self, books: Books, closing: Closing, emit: Callable[[Message], None]) -> None:
        self._books = books
        self._closing = closing
        self._emit = emit
        self.states: dict[str, str] = {}
        self.scopes: list[tuple[str, str]] = []

    def bound(self, strategy: str, symbol: str, trading: str) -> tuple[str, str]:
        """Return the trading state that binds a wish, and in words what it is that does."""
        if trading == "running" and not self.states and not self.scopes:
            return trading, ""
        own = self.states.get(strategy, "running")
        if trading in CLEARING:
            return trading, f"trading is {trading}"
        if own == "flattening":
            return own, f"strategy {strategy} is {own}"
        if (strategy, symbol) in self.scopes:
            return "flattening", f"strategy {strategy} is being taken out of {symbol}"
        if trading != "running":
            return trading, f"trading is {trading}"
        return own, f"strategy {strategy} is {own}"

    def holds(self, order: Working) -> bool:
        """Return whether an order closes a book for somebody who asked for that."""
        return order.closing and self.covers(order.strategy, order.symbol)

    def covers(self, strategy: str, symbol: str) -> bool:
        """Return whether a book is being closed."""
        return (strategy, "") in self.scopes or (strategy, symbol) in self.scopes

    def begin(self, strategy: str, symbol: str = "") -> list[tuple[str, int]]:
        """Begin to close; return the orders that have to go first."""
        if (strategy, symbol) not in self.scopes:
            self.scopes.append((strategy, symbol))
        for book in self._of(strategy, symbol):
            self._closing.refusals.pop(book, None)
        return [
            key
            for key, order in self._books.working.items()
            if order.strategy == strategy and symbol in ("", order.symbol) and not order.closing
        ]

    def go_on(self) -> None:
        """Close each book in which nothing works any more; say of what all is closed."""
        for strategy, symbol in list(self.scopes):
            if any(each.strategy == strategy and symbol in ("", each.symbol) for each in self._books.working.values()):
                continue
            flat, left = self._closing.order_away(self._of(strategy, symbol))
            if flat:
                self.scopes.remove((strategy, symbol))
                refused = f"the venue refuses to close {', '.join(left)}" if left else ""
                self._emit(BooksClosed(strategy, symbol, refused))

    def _of(self, strategy: str, symbol: str) -> list[Book]:
        return [book for book in self._books.positions if book[0] == strategy and symbol in ("", book[1])]


class Commanded:
    """The part of risk that does what is asked of one strategy or one book."""

    _clearing: Clearing
    _emit: Callable[[Message], None]
    _instruments: Mapping[str, Instrument]
    _positions: dict[Book, int]
    _trading: str
    _working: dict[tuple[str, int], Working]

    def on_strategy_state(self, message: StrategyStateChanged) -> None:
        """Be bound by a strategy's new state."""
        strategy, scope = message.strategy, (message.strategy, "")
        if message.state == "running":
            self._clearing.states.pop(strategy, None)
        else:
            self._clearing.states[strategy] = message.state
        if message.state != "flattening" and scope in self._clearing.scopes:
            self._clearing.scopes.remove(scope)

    def on_strategy_state_heard(self, message: StrategyStateChanged) -> None:
        """Once all know of the state, do what may end it: withdraw what it forbids, close the books if asked to."""
        strategy = message.strategy
        if message.state == "flattening":
            self._cancel(self._clearing.begin(strategy))
            self._clearing.go_on()
        elif message.state != "running":
            kept = exits(self._working, self._positions)
            self._cancel([key for key in self._working if key[0] == strategy and key not in kept])

    def on_close(self, message: ClosePosition) -> None:
        """Close one book, whatever works in it withdrawn first; or say why not."""
        book = (message.strategy, message.symbol)
        if message.symbol not in self._instruments:
            self._emit(CommandAnswered(message.command_id, "refused", f"there is no symbol {message.symbol}"))
            return
        if not self._positions.get(book) and not any(
            (each.strategy, each.symbol) == book for each in self._working.values()
        ):
            self._emit(CommandAnswered(message.command_id, "done", "nothing was held, and nothing worked"))
            return
        self._cancel(self._clearing.begin(*book))
        self._clearing.go_on()

    def is_clearing(self, strategy: str, symbol: str) -> bool:
        """Return whether a book is being closed, alone or with all others."""
        return self._trading == "flattening" or self._clearing.covers(strategy, symbol)

    def _cancel_all_but(self, kept: Collection[tuple[str, int]]) -> None:
        self._cancel([key for key in self._working if key not in kept])

    def _cancel(self, keys: Iterable[tuple[str, int]]) -> None:
        for key in keys:
            order = self._working[key]
            order.refused = False
            self._emit(CancelRequest(order.strategy, order.symbol, order.ref))
