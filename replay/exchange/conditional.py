"""Conditional orders: what waits beside the book until a price is touched, and becomes an order then.

A stop is triggered at or beyond its price against the position it stops, a profit is taken on the other
side. A trailing stop follows the best price since it became active and is triggered a given percentage
behind it. The price that counts is the last one or the mark.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

from actors.execution.matching import find_touch
from actors.messages import BUY, SELL
from replay.exchange.contract_orders import to_lots, to_ticks
from replay.exchange.model import (
    MAX_NUM_CONDITIONALS,
    ConditionalStatus,
    ConditionalView,
    ContractOrderType,
    Side,
    TimeInForce,
    VenueError,
    WorkingType,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replay.exchange.model import Market, NewConditional

_TRAILING: Literal["TRAILING_STOP_MARKET"] = "TRAILING_STOP_MARKET"
_LIMITS: frozenset[ContractOrderType] = frozenset({"STOP", "TAKE_PROFIT"})
_PROFITS: frozenset[ContractOrderType] = frozenset({"TAKE_PROFIT", "TAKE_PROFIT_MARKET"})
_CLOSING: frozenset[ContractOrderType] = frozenset({"STOP_MARKET", "TAKE_PROFIT_MARKET"})
_KINDS: frozenset[ContractOrderType] = _LIMITS | _CLOSING | {_TRAILING}
_CALLBACK_MIN, _CALLBACK_MAX = Decimal("0.1"), Decimal(10)
_PERCENT = Decimal(100)


class Conditional(msgspec.Struct, array_like=True):
    """A conditional order and what became of it so far."""

    algo_id: int
    client_algo_id: str
    id: str
    side: Side
    type: ContractOrderType
    time_in_force: TimeInForce
    working_type: WorkingType
    quantity_lots: int
    price_ticks: int
    trigger_ticks: int
    reduce_only: bool
    close_position: bool
    callback_rate: Decimal | None
    created_ms: int
    updated_ms: int
    turn: int
    """Its place in the queue of its market, among the orders."""
    status: ConditionalStatus = "NEW"
    best_ticks: int = 0
    """Of a trailing stop: the best price since it became active, 0 before."""
    triggered_ms: int = 0
    actual_order_id: int = 0
    reason: str = ""

    @property
    def sign(self) -> int:
        """BUY or SELL, as the core counts them."""
        return BUY if self.side == "BUY" else SELL

    def is_touched(self, price_ticks: int) -> bool:
        """Return whether a price triggers it; a trailing stop takes note of the price."""
        if self.type != _TRAILING:
            side = -self.sign if self.type in _PROFITS else self.sign
            return find_touch(side, self.trigger_ticks, (price_ticks,)) is not None
        if not self.best_ticks:
            waits = self.trigger_ticks and self.sign * (price_ticks - self.trigger_ticks) > 0
            self.best_ticks = 0 if waits else price_ticks
            return False
        assert self.callback_rate is not None, self
        share = self.callback_rate / _PERCENT
        if self.sign == SELL:
            self.best_ticks = max(self.best_ticks, price_ticks)
            return price_ticks <= int((self.best_ticks * (1 - share)).to_integral_value(ROUND_FLOOR))
        self.best_ticks = min(self.best_ticks, price_ticks)
        return price_ticks >= int((self.best_ticks * (1 + share)).to_integral_value(ROUND_CEILING))

    def view(self) -> ConditionalView:
        """Return it as others see it."""
        return ConditionalView(
            algo_id=self.algo_id,
            client_algo_id=self.client_algo_id,
            id=self.id,
            side=self.side,
            type=self.type,
            time_in_force=self.time_in_force,
            working_type=self.working_type,
            quantity_lots=self.quantity_lots,
            price_ticks=self.price_ticks,
            trigger_ticks=self.trigger_ticks,
            reduce_only=self.reduce_only,
            close_position=self.close_position,
            status=self.status,
            created_ms=self.created_ms,
            updated_ms=self.updated_ms,
            triggered_ms=self.triggered_ms,
            actual_order_id=self.actual_order_id,
            callback_rate=self.callback_rate,
            reason=self.reason,
        )


def make_conditional(new: NewConditional, market: Market, algo_id: int, turn: int, now_ms: int) -> Conditional:
    """Return a wish in whole ticks and lots.

    Raises:
        VenueError: it is none that the market knows, or its terms do not go together.
    """
    if new.type not in _KINDS:
        raise VenueError(-1116, "Invalid orderType.")
    if new.close_position and new.type not in _CLOSING:
        raise VenueError(-4136, f"Target strategy invalid for orderType {new.type},closePosition true")
    if new.close_position and new.quantity:
        raise VenueError(-4137, "Quantity must be zero with closePosition equals true")
    if new.type == _TRAILING and not _CALLBACK_MIN <= (new.callback_rate or Decimal(0)) <= _CALLBACK_MAX:
        raise VenueError(-2007, "Invalid callBack rate")
    has_trigger = new.type != _TRAILING or new.trigger_price is not None
    return Conditional(
        algo_id,
        new.client_algo_id,
        new.id,
        new.side,
        new.type,
        new.time_in_force if new.type in _LIMITS else "GTC",
        new.working_type,
        0 if new.close_position else to_lots(new.quantity, market),
        to_ticks(new.price, market) if new.type in _LIMITS else 0,
        to_ticks(new.trigger_price, market) if has_trigger else 0,
        new.reduce_only or new.close_position,
        new.close_position,
        new.callback_rate if new.type == _TRAILING else None,
        now_ms,
        now_ms,
        turn,
    )


class ConditionalsState(msgspec.Struct, array_like=True):
    """What conditional orders are restored from."""

    next_algo_id: int
    all: list[Conditional]


class Conditionals:
    """All conditional orders of the account, and the ways to find them; they only ever grow."""

    def __init__(self, market_ids: Iterable[str]) -> None:
        self.open: dict[str, dict[int, Conditional]] = {market_id: {} for market_id in market_ids}
        """Those that wait, by market, in order of arrival."""
        self.next_algo_id = 1
        self._all: dict[int, Conditional] = {}
        self._by_client_id: dict[tuple[str, str], Conditional] = {}

    def check_new(self, made: Conditional) -> None:
        """Refuse one too many, one whose client id waits already, or a second one that closes the position.

        Raises:
            VenueError: it is such.
        """
        waiting = self.open[made.id].values()
        if any(each.client_algo_id == made.client_algo_id for each in waiting):
            raise VenueError(-4116, "ClientOrderId is duplicated.")
        if len(waiting) >= MAX_NUM_CONDITIONALS:
            raise VenueError(-4045, "Reach max stop order limit.")
        twins = [each for each in waiting if each.close_position and each.side == made.side and each.type == made.type]
        if made.close_position and twins:
            raise VenueError(
                -4130,
                "An open stop or take profit order with GTE and closePosition in the direction is existing.",
            )

    def add(self, made: Conditional) -> None:
        """Take one in, waiting or not."""
        self.next_algo_id = made.algo_id + 1
        self._all[made.algo_id] = made
        self._by_client_id[made.id, made.client_algo_id] = made
        if made.status == "NEW":
            self.open[made.id][made.algo_id] = made

    def end(self, conditional: Conditional, status: ConditionalStatus, now_ms: int, reason: str = "") -> None:
        """Give one another status than to wait."""
        self.open[conditional.id].pop(conditional.algo_id, None)
        conditional.status = status
        conditional.updated_ms = now_ms
        conditional.reason = reason

    def find(self, market_id: str | None, algo_id: int | None, client_algo_id: str | None) -> Conditional | None:
        """Return one, by either id; of several with one client id, the newest."""
        if algo_id is not None:
            found = self._all.get(algo_id)
        else:
            names = self.open if market_id is None else (market_id,)
            candidates = [self._by_client_id.get((name, client_algo_id or "")) for name in names]
            found = next((each for each in candidates if each is not None), None)
        if found is None or market_id not in (None, found.id) or client_algo_id not in (None, found.client_algo_id):
            return None
        return found

    def all(
        self, market_id: str, from_algo_id: int | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[Conditional]:
        """Return them by ascending id: the first of those asked for, or the newest where no start is given."""
        found = [
            each
            for each in self._all.values()
            if each.id == market_id
            and (from_algo_id is None or each.algo_id >= from_algo_id)
            and (start_ms is None or each.created_ms >= start_ms)
            and (end_ms is None or each.created_ms <= end_ms)
        ]
        return found[:limit] if from_algo_id is not None or start_ms is not None else found[-limit:]

    def dump(self) -> ConditionalsState:
        """Return the state."""
        return ConditionalsState(self.next_algo_id, list(self._all.values()))

    def load(self, state: ConditionalsState) -> None:
        """Restore the state, of the same markets or of fewer."""
        for waiting in self.open.values():
            waiting.clear()
        self._all.clear()
        self._by_client_id.clear()
        for each in state.all:
            self.add(each)
        self.next_algo_id = state.next_algo_id
