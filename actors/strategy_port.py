"""What a user's strategy is to the core, and what it is told of its orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from actors.desk.desk import Desk
    from actors.messages import (
        Bar,
        BookSnapshot,
        External,
        Funding,
        Liquidation,
        Mark,
        OpenInterest,
        Quote,
        Trade,
    )


class Execution(msgspec.Struct, frozen=True):
    """A fill as a strategy sees it."""

    ref: int
    """The number `buy`, `sell` or `target` returned; negative for an order of a flatten, 0 for one of the venue's."""
    price: float
    quantity: float
    """Base units, positive for a buy and negative for a sell."""
    fee: float
    """Quote units, positive is paid."""
    liquidity: Literal["maker", "taker"]
    ts_ns: int
    """The venue's time of the trade."""
    done: bool
    """Whether the order has nothing left to fill."""
    symbol: str = ""
    forced: str = ""
    """Why the venue closed it itself, in words; empty for an order of ours. The fee is then all that it cost."""


class OrderUpdate(msgspec.Struct, frozen=True):
    """What became of an order, other than a fill."""

    ref: int
    state: Literal["accepted", "rejected", "cancelled", "expired", "vetoed", "amended", "amend_rejected"]
    """After `amend_rejected` the order works on as it was."""
    reason: str = ""
    symbol: str = ""


class StrategyPort(Protocol):
    """What the actor needs of a user's strategy."""

    def on_start(self) -> None:
        """Run once, before the first message of a session."""
        ...

    def on_bar(self, bar: Bar, features: Any, /) -> None:  # noqa: ANN401 - the row type is the strategy's own
        """Decide at a bar's close."""
        ...

    def on_slice(self, bars: dict[str, Bar], rows: dict[str, Any], /) -> None:
        """Decide on the bars of one close of several symbols."""
        ...

    def on_fill(self, execution: Execution, /) -> None:
        """Learn of a fill."""
        ...

    def on_order(self, update: OrderUpdate, /) -> None:
        """Learn what became of an order."""
        ...

    def on_timer(self, name: str, /) -> None:
        """Act on a timer."""
        ...

    def on_trade(self, trade: Trade, /) -> None:
        """Learn of a public trade."""
        ...

    def on_quote(self, quote: Quote, /) -> None:
        """Learn of the best bid and ask."""
        ...

    def on_book(self, book: BookSnapshot, /) -> None:
        """Learn of the best levels of the book."""
        ...

    def on_mark(self, mark: Mark, /) -> None:
        """Learn of a contract's mark price."""
        ...

    def on_funding(self, funding: Funding, /) -> None:
        """Learn of an announced funding rate."""
        ...

    def on_open_interest(self, interest: OpenInterest, /) -> None:
        """Learn of a contract's open interest."""
        ...

    def on_liquidation(self, liquidation: Liquidation, /) -> None:
        """Learn of a liquidation."""
        ...

    def on_external(self, external: External, /) -> None:
        """Learn of a published value of an external series."""
        ...

    def bind(self, desk: Desk, /) -> None:
        """Receive the desk to give orders at."""
        ...

    def hears(self, method: str, /) -> bool:
        """Return whether the user wrote this method at all."""
        ...

    def dump_state(self) -> bytes:
        """Return everything the strategy remembers."""
        ...

    def load_state(self, state: bytes, /) -> None:
        """Restore what `dump_state` returned."""
        ...
