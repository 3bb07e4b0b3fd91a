"""What a trader writes: a class with typed parameters, declared features and a few methods.

    class Momentum(Strategy):
        lookback: Annotated[int, Meta(ge=2, le=500)] = 20
        quantity: Annotated[float, Meta(gt=0)] = 0.1

        def features(self) -> Features:
            return {"high": highest(self.lookback), "low": lowest(self.lookback)}

        def on_bar(self, bar: Bar, f: Any) -> None:
            if bar.high >= f.high:
                self.target(self.quantity)
            elif bar.low <= f.low:
                self.target(0)

Whatever a strategy stores on `self` survives restarts. `on_bar` is not called before every feature has
warmed up. Orders decided on one bar can fill on the next at the earliest.

A strategy on several symbols says so with `markets`. It has its features of each of them, `on_bar` is called
for each symbol's bars, and `on_slice` once for each close, with the rows of all. An order, a position or a price
is of the symbol in hand unless it is named: that of the bar, tick, fill or order it is being told of, the first
of `symbols` in everything else.
"""

from __future__ import annotations

from math import isfinite
from operator import index
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args

import msgspec
from msgspec import Meta

from actors.messages import (
    BUY,
    SELL,
    Bar,
    BookSnapshot,
    External,
    Funding,
    Liquidation,
    Mark,
    OpenInterest,
    Quote,
    TimeInForce,
    Trade,
)
from actors.strategy_port import Execution, OrderUpdate
from strategies.managing import ManagesPositions, check_order, check_positive
from strategies.state import dump_state, load_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.desk.desk import Desk, Protection
    from actors.messages import OrderKind
    from strategies.indicators import Expression

    Features = Mapping[str, Expression]

__all__ = [
    "Annotated",
    "Bar",
    "BookSnapshot",
    "Execution",
    "External",
    "Funding",
    "Liquidation",
    "Mark",
    "Meta",
    "OpenInterest",
    "OrderUpdate",
    "Quote",
    "Strategy",
    "Trade",
]

DESK = "_desk"
"""Where a strategy keeps the desk it gives its orders at; all else of it is its own."""
_TIMES_IN_FORCE = get_args(TimeInForce)


class Strategy(ManagesPositions, msgspec.Struct, kw_only=True, forbid_unknown_fields=True, dict=True, eq=False):
    """Base of every strategy; its annotated fields are the parameters."""

    timeframe: ClassVar[str | None] = None
    """Bars to decide on, for example ``"15m"``; the tape's own unless set. Built from the tape's bars."""

    warmup: ClassVar[int] = 0
    """Bars of the time before a live session that `on_bar` is to see, beyond those its features take.

    What it orders on them is vetoed ("warming up").
    """

    markets: ClassVar[int | None] = 1
    """How many symbols it trades: the first so many of the session's, unless the configuration names them; None for
    as many as are named, or all there are."""

    def features(self) -> Mapping[str, Expression]:
        """Declare features by name; `on_bar` gets their values under these names.

        A feature is an indicator or any expression of them (`strategies.indicators.expression`). One with several
        outputs gives one value for each: ``bands`` becomes ``bands_upper`` and so on.
        """
        return {}

    def on_start(self) -> None:
        """Run once, when a session begins; not again after a restart."""

    def on_bar(self, bar: Bar, f: Any, /) -> None:  # noqa: ANN401 - one float attribute per declared feature
        """Decide at the close of a bar."""

    def on_slice(self, bars: dict[str, Bar], rows: dict[str, Any], /) -> None:
        """Decide on the bars of one close, once all symbols have had theirs, after every `on_bar` of them.

        Both are by symbol, in the order of `symbols`. A symbol without a bar of that close, or whose features are still
        warming up, is in neither. Who is missing is waited for until a later bar comes, or for `market.slice_wait_s`.
        """

    def on_fill(self, execution: Execution, /) -> None:
        """Learn of a fill."""

    def on_order(self, update: OrderUpdate, /) -> None:
        """Learn that an order was accepted, rejected, cancelled, expired, vetoed or amended, or that it was not."""

    def on_timer(self, name: str, /) -> None:
        """Act on a timer set with `set_timer`."""

    # What follows comes from a live feed that was asked for it (`exchange.streams`); or from `--series`.

    def on_trade(self, trade: Trade, /) -> None:
        """Learn of a public trade: each one once, in order of `trade_id`."""

    def on_quote(self, quote: Quote, /) -> None:
        """Learn of the best bid and ask; under load the newest only."""

    def on_book(self, book: BookSnapshot, /) -> None:
        """Learn of the best levels of the order book (`exchange.book_levels`); under load the newest only."""

    def on_mark(self, mark: Mark, /) -> None:
        """Learn of the price a contract is valued at; under load the newest only."""

    def on_funding(self, funding: Funding, /) -> None:
        """Learn of a contract's funding rate when it is announced or changes; from a series, when it is paid."""

    # What follows comes from `--series`, beside the bars of a tape.

    def on_open_interest(self, interest: OpenInterest, /) -> None:
        """Learn of a contract's open interest when it is published."""

    def on_liquidation(self, liquidation: Liquidation, /) -> None:
        """Learn of an order by which the venue closed somebody's position."""

    def on_external(self, external: External, /) -> None:
        """Learn of a value when it is published, never before; of every series, whatever symbol is traded."""

    # --- what a strategy can do ---------------------------------------------------------------------

    def buy(
        self,
        quantity: float,
        *,
        limit: float | None = None,
        stop: float | None = None,
        time_in_force: TimeInForce = "gtc",
        reduce_only: bool = False,
        post_only: bool = False,
        symbol: str | None = None,
        protective_stop: float | None = None,
        stop_distance: float | None = None,
    ) -> int:
        """Order `quantity` base units; return a number to cancel it by.

        Without `limit` and `stop` it is a market order, with one of them a limit or a stop order, with both
        a stop-limit order. `protective_stop` is the price at which you get out if it goes wrong, `stop_distance` how
        far that is from the order's own price, such as ``2 * f.atr``: the limit `risk.max_trade_risk` judges by one of
        them. Neither places an order.
        """
        protection = _protection(protective_stop, stop_distance)
        return self._order(BUY, quantity, limit, stop, time_in_force, reduce_only, post_only, symbol, protection)

    def sell(
        self,
        quantity: float,
        *,
        limit: float | None = None,
        stop: float | None = None,
        time_in_force: TimeInForce = "gtc",
        reduce_only: bool = False,
        post_only: bool = False,
        symbol: str | None = None,
        protective_stop: float | None = None,
        stop_distance: float | None = None,
    ) -> int:
        """Order to sell `quantity` base units; terms and result as for `buy`."""
        protection = _protection(protective_stop, stop_distance)
        return self._order(SELL, quantity, limit, stop, time_in_force, reduce_only, post_only, symbol, protection)

    def target(
        self,
        quantity: float,
        *,
        symbol: str | None = None,
        protective_stop: float | None = None,
        stop_distance: float | None = None,
    ) -> int:
        """Bring the position to `quantity` base units (negative is short) with one market order.

        Market orders already under way count. Returns the number that order will carry.
        """
        if not isfinite(quantity):
            message = f"target({quantity}): the quantity must be a finite number"
            raise ValueError(message)
        return self._bound().target(float(quantity), symbol, _protection(protective_stop, stop_distance))

    def cancel(self, ref: int) -> None:
        """Withdraw an order by its number; one that is already done is fine."""
        self._bound().cancel(index(ref))

    def amend(
        self, ref: int, *, quantity: float | None = None, limit: float | None = None, stop: float | None = None
    ) -> None:
        """Change the terms of a working order by its number, which it keeps; what is not given stays as it is.

        `quantity` is the total in base units, what is already filled included: one that is filled already ends the
        order. A limit needs an order that has a limit, a stop one that has a trigger. The order goes to the end of
        its queue, and may fill on its old terms until the venue has changed it. `on_order` tells ``amended``, or
        ``amend_rejected``, after which the order works on as it was.
        """
        if quantity is None and limit is None and stop is None:
            message = f"amend({ref}): nothing to change was given"
            raise ValueError(message)
        check_positive((("quantity", quantity), ("limit", limit), ("stop", stop)))
        self._bound().amend(
            index(ref),
            0.0 if quantity is None else float(quantity),
            None if limit is None else float(limit),
            None if stop is None else float(stop),
        )

    def set_timer(self, name: str, seconds: float) -> None:
        """Ask for `on_timer(name)` once, in so many seconds of the strategy's time (a tape's, in a replay)."""
        if not 0 < seconds < float("inf"):
            message = f"set_timer({name!r}, {seconds}): the delay must be a positive number of seconds"
            raise ValueError(message)
        if type(name) is not str:
            message = f"set_timer({name!r}, {seconds}): the name must be a string"
            raise TypeError(message)
        if not name.isascii() and name != name.encode("utf-8", "replace").decode():
            message = f"set_timer({name!r}, {seconds}): the name must be text that UTF-8 can say"
            raise ValueError(message)
        self._bound().set_timer(name, float(seconds))

    @property
    def position(self) -> float:
        """Signed position in base units, in the symbol in hand."""
        return self._bound().position

    def position_of(self, symbol: str) -> float:
        """Return the signed position in `symbol`, in base units."""
        return self._bound().position_of(symbol)

    def price_of(self, symbol: str) -> float:
        """Return the newest price seen of `symbol`: a close, or what came between bars; 0.0 before there was one."""
        return self._bound().price_of(symbol)

    @property
    def symbol(self) -> str:
        """The symbol in hand: the one it trades, if it trades only one."""
        return self._bound().symbol

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols it trades, in order."""
        return self._bound().symbols

    @property
    def equity(self) -> float:
        """The account's equity: cash and every position at its symbol's newest close, in quote units."""
        return self._bound().equity

    @property
    def profit(self) -> float:
        """What its own books made in this session: realised or not, after fees and funding, in quote units."""
        return self._bound().profit

    @property
    def cash(self) -> float:
        """The account's cash, in quote units; orders under way are not taken off."""
        return self._bound().cash

    def fit(self, quantity: float, *, price: float | None = None, symbol: str | None = None) -> float:
        """Return the part of a signed quantity that can be ordered: whole lots, on spot no more than the cash pays for.

        Args:
            quantity: in base units, negative to sell.
            price: at which the cash is counted, with the taker's fee; the newest price unless given.
            symbol: the one in hand unless given.

        Returns:
            0.0 where it is less than a lot, or less than the smallest value the venue takes.
        """
        if not isfinite(quantity):
            message = f"fit({quantity}): the quantity must be a finite number"
            raise ValueError(message)
        if price is not None:
            check_positive((("price", price),))
        return self._bound().fit(float(quantity), price, symbol)

    @property
    def now_ns(self) -> int:
        """The time, in nanoseconds UTC: the close of the bar in hand, or the due time of the timer."""
        return self._bound().now_ns

    # --- what the actor needs -----------------------------------------------------------------------

    def bind(self, desk: Desk, /) -> None:
        """Receive the desk orders are given at."""
        self.__dict__[DESK] = desk

    def hears(self, method: str, /) -> bool:
        """Return whether the user's class overrides `method`."""
        return getattr(type(self), method) is not getattr(Strategy, method)

    def dump_state(self) -> bytes:
        """Return every attribute that is not a parameter."""
        return dump_state({name: value for name, value in self.__dict__.items() if name != DESK})

    def load_state(self, state: bytes, /) -> None:
        """Restore every attribute that is not a parameter."""
        desk = self._bound()
        self.__dict__.clear()
        self.__dict__.update(load_state(state))
        self.__dict__[DESK] = desk

    def _bound(self) -> Desk:
        desk: Desk | None = self.__dict__.get(DESK)
        if desk is None:
            message = "a strategy can act only while it is run; use on_start for what must happen first"
            raise RuntimeError(message)
        return desk

    def _order(
        self,
        side: int,
        quantity: float,
        limit: float | None,
        stop: float | None,
        time_in_force: TimeInForce,
        reduce_only: bool,  # noqa: FBT001 - as they come
        post_only: bool,  # noqa: FBT001
        symbol: str | None,
        protection: Protection,
    ) -> int:
        check_order(quantity, limit, stop, time_in_force, post_only=post_only)
        kind: OrderKind = "market"
        if limit is not None:
            kind = "limit" if stop is None else "stop_limit"
        elif stop is not None:
            kind = "stop"
        # A number of another type, such as numpy's, is taken at its value: messages hold plain ones only.
        return self._bound().order(
            side,
            float(quantity),
            kind,
            None if limit is None else float(limit),
            None if stop is None else float(stop),
            time_in_force,
            reduce_only=bool(reduce_only),
            post_only=bool(post_only),
            symbol=symbol,
            protection=protection,
        )


def _protection(protective_stop: float | None, stop_distance: float | None) -> Protection:
    if protective_stop is None and stop_distance is None:
        return None
    check_positive((("protective_stop", protective_stop), ("stop_distance", stop_distance)))
    return (
        None if protective_stop is None else float(protective_stop),
        None if stop_distance is None else float(stop_distance),
    )
