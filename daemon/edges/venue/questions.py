"""Questions to the venue: asked until they are answered, and answered only with what is certain.

An order the venue does not know is absent only once no request of ours can still be on its way. An answer about
an order comes with its executions, as many as the venue says it has.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import structlog

from actors.execution.adoption import is_of_panic
from actors.messages import AccountReported, ForcedTrade, ForeignOrder, OrderReported, TradeReported
from daemon.edges.venue.errors import RequestError, broken
from daemon.edges.venue.limits import Priority
from daemon.edges.venue.reports import (
    balance_reports,
    forced_kind,
    forced_report,
    margin_report,
    order_report,
    trade_report,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from actors.instrument import Instrument
    from actors.messages import AskAccount
    from daemon.edges.venue.client import VenueClient
    from daemon.edges.venue.contracts import Contracts
    from daemon.edges.venue.limits import Limits

T = TypeVar("T")

_BACKOFF_S = 0.1
_BACKOFF_MAX_S = 5.0
_TRADE_TRIES = 6
_BEGAN_MARGIN_MS = 60_000
"""Our clock may be that much ahead of the venue's when a session begins."""
_NAMES_MAX = 10_000

log = structlog.get_logger()


def backoff_s(attempt: int, first_s: float = _BACKOFF_S, most_s: float = _BACKOFF_MAX_S) -> float:
    """Return the pause after a number of failures in a row: never under half of the first, with jitter."""
    pause_s: float = min(most_s, first_s * 2.0 ** min(attempt, 16))
    return pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret


class Caller:
    """Makes requests when it is their turn, and heeds what the venue says about their number and our clock.

    Args:
        client: the venue.
        limits: whose turn it is.
    """

    def __init__(self, client: VenueClient, limits: Limits) -> None:
        self._client = client
        self._limits = limits

    async def now(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a request whose turn has come.

        Raises:
            RequestError: it did not come to a good answer.
        """
        try:
            return await call()
        except RequestError as failure:
            if failure.slow_down:
                log.warning("venue_wants_a_pause", pause_s=self._client.pause_s, reason=failure.reason)
                self._limits.pause(self._client.pause_s)
            if failure.clock:
                await self._correct_clock(failure)
            raise
        finally:
            used = self._client.used_weight()
            if used is not None:
                self._limits.observe(used)

    async def once(self, priority: Priority, weight: int, call: Callable[[], Awaitable[T]]) -> T:
        """Make a request when it is its turn."""
        await self._limits.turn(priority, weight)
        return await self.now(call)

    async def until_answered(self, priority: Priority, weight: int, call: Callable[[], Awaitable[T]]) -> T:
        """Ask again until there is an answer.

        Raises:
            RequestError: the venue knows nothing of it, or will never answer.
        """
        attempt = 0
        while True:
            try:
                return await self.once(priority, weight, call)
            except RequestError as failure:
                if failure.outcome != "retry":
                    raise
                log.info("venue_is_asked_again", reason=failure.reason, attempt=attempt + 1)
            await anyio.sleep(backoff_s(attempt))
            attempt += 1

    async def _correct_clock(self, failure: RequestError) -> None:
        log.warning("venue_clock_differs", reason=failure.reason)
        try:
            await self._client.correct_clock()
        except RequestError as second:
            log.warning("venue_clock_not_told", reason=second.reason)


class Names:
    """Our id of an order by the venue's, for the newest orders; a stranger's is the empty string."""

    def __init__(self, own_prefix: str) -> None:
        self._own_prefix = own_prefix
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._forced: dict[tuple[str, str], str] = {}
        """Client ids of orders the venue itself made on our account."""

    def learn(self, order: Mapping[str, Any]) -> str:
        """Take an order of ccxt's; return our id of it, or the empty string."""
        client_id = str(order.get("clientOrderId") or "")
        name = client_id if client_id.startswith(self._own_prefix) else ""
        key = (str(order.get("symbol")), str(order.get("id")))
        if forced_kind(client_id):
            self._forced[key] = client_id
        self._known[key] = name
        self._known.move_to_end(key)
        if len(self._known) > _NAMES_MAX:
            self._known.popitem(last=False)
        return name

    def of(self, symbol: str, venue_order_id: str) -> str | None:
        """Return our id, the empty string for a stranger's order, or None where we do not know."""
        return self._known.get((symbol, venue_order_id))

    def forced(self, symbol: str, venue_order_id: str) -> str:
        """Return the client id of an order the venue itself made; empty where it is none that we know of."""
        return self._forced.get((symbol, venue_order_id), "")


class Questions:
    """Answers about orders and the account.

    Args:
        client: the venue.
        caller: makes the requests.
        instruments: what is traded.
        names: orders by the venue's ids.
        settled: waits until no request for an order is under way here; returns when one that was lost is too late.
        valued: gives executions the values of their fees.
        contracts: what is asked about contracts only; None where there are none.
        began_ms: when the session began: nothing of it was executed before.
    """

    def __init__(
        self,
        client: VenueClient,
        caller: Caller,
        instruments: Mapping[str, Instrument],
        names: Names,
        settled: Callable[[str], Awaitable[float]],
        valued: Callable[[list[TradeReported]], Awaitable[list[TradeReported]]],
        contracts: Contracts | None = None,
        began_ms: int = 0,
    ) -> None:
        self._client = client
        self._caller = caller
        self._instruments = instruments
        self._names = names
        self._settled = settled
        self._valued = valued
        self._contracts = contracts
        self._since_ms = began_ms - _BEGAN_MARGIN_MS

    async def order(
        self, order_id: str, symbol: str, priority: Priority = Priority.ORDER_QUESTION
    ) -> tuple[OrderReported, list[TradeReported]] | None:
        """Return what the venue says of an order and its executions, or None: it does not know it, for good.

        Raises:
            RequestError: the venue will never answer.
            OffGridError: it says what cannot be.
        """
        too_late_s = await self._settled(order_id)
        attempt = 0
        while True:
            asked_s = time.monotonic()
            try:
                row = await self._caller.until_answered(
                    priority,
                    self._client.weights.order,
                    lambda: self._named(order_id, self._client.order(order_id, symbol)),
                )
            except RequestError as failure:
                if failure.outcome != "absent":
                    raise
                if asked_s >= too_late_s:
                    return None
                await anyio.sleep(max(0.0, min(backoff_s(attempt), too_late_s - time.monotonic())))
                attempt += 1
                continue
            report = order_report(row, order_id, self._instruments[symbol])
            return report, await self.trades(report, symbol, priority)

    async def trades(self, report: OrderReported, symbol: str, priority: Priority) -> list[TradeReported]:
        """Return the executions of an order: as many as it has, or those the venue lists after some tries."""
        trades: list[TradeReported] = []
        if not report.filled_lots:
            return trades
        for attempt in range(_TRADE_TRIES):
            rows = await self._caller.until_answered(
                priority,
                self._client.weights.order_trades,
                lambda: self._client.trades_of(report.venue_order_id, symbol),
            )
            instrument = self._instruments[symbol]
            trades = [
                trade_report(row, report.order_id, instrument)
                for row in rows
                if str(row.get("order")) == report.venue_order_id
            ]
            if sum(trade.quantity_lots for trade in trades) >= report.filled_lots:
                break
            await anyio.sleep(backoff_s(attempt))
        return await self._valued(sorted(trades, key=lambda trade: trade.trade_id))

    async def account(self, ask: AskAccount) -> AccountReported:
        """Return one view of the account.

        Raises:
            RequestError: the venue will never answer.
            OffGridError: it says what cannot be.
        """
        priority = Priority.ACCOUNT_QUESTION
        asked = dict(ask.orders)
        reports: dict[str, OrderReported] = {}
        foreign: list[ForeignOrder] = []
        for symbol, instrument in self._instruments.items():
            for row in await self._caller.until_answered(
                priority, self._client.weights.open_orders, partial(self._client.open_orders, symbol)
            ):
                name = self._names.learn(row)
                if name and not is_of_panic(name):
                    reports[name] = order_report(row, name, instrument)
                else:
                    foreign.append(ForeignOrder(str(row.get("clientOrderId") or ""), str(row.get("id")), symbol))
        trades: dict[tuple[str, int], TradeReported] = {}
        absent: list[str] = []
        for order_id, symbol in asked.items():
            if order_id in reports:
                found = await self.trades(reports[order_id], symbol, priority)
            else:
                answer = await self.order(order_id, symbol, priority)
                if answer is None:
                    absent.append(order_id)
                    continue
                reports[order_id], found = answer
            trades |= {(trade.symbol, trade.trade_id): trade for trade in found}
        forced: list[ForcedTrade] = []
        newest: list[tuple[str, int]] = []
        for symbol, known_to in ask.trades_after:
            after = known_to
            if known_to < 0:
                after, is_newest = await self._newest_before_ours(symbol, priority)
                newest.append((symbol, after))
                if is_newest:
                    continue
            ours, the_venues = await self.trades_after(after, symbol)
            forced += the_venues
            for trade in ours:
                trades.setdefault((symbol, trade.trade_id), trade)
        contracts = self._contracts
        positions, margins = ((), ()) if contracts is None else await contracts.positions()
        funding = () if contracts is None else await contracts.since(ask.funding_after)
        balances = await self._caller.until_answered(priority, self._client.weights.balances, self._client.balances)
        return AccountReported(
            ask.reason,
            tuple(reports.values()),
            tuple(absent),
            tuple(trades[key] for key in sorted(trades)),
            balance_reports(balances),
            tuple(foreign),
            ask.ask,
            positions,
            funding,
            tuple(forced),
            tuple(newest),
            None if contracts is None else margin_report(balances, contracts.quote, margins),
        )

    async def trades_after(self, trade_id: int, symbol: str) -> tuple[list[TradeReported], list[ForcedTrade]]:
        """Return executions of a symbol after one: ours, and those the venue ordered itself."""
        trades: list[TradeReported] = []
        forced: list[ForcedTrade] = []
        more = True
        while more:
            rows, more = await self._caller.until_answered(
                Priority.ACCOUNT_QUESTION,
                self._client.weights.trades,
                partial(self._client.trades_after, trade_id, symbol),
            )
            for row in rows:
                trade_id = int(row["id"])  # the page after goes on from here
                name = await self._name(symbol, str(row.get("order")))
                the_venues = self._names.forced(symbol, str(row.get("order")))
                if name:
                    trades.append(trade_report(row, name, self._instruments[symbol]))
                elif the_venues:
                    forced.append(forced_report(row, the_venues, self._instruments[symbol]))
        return await self._valued(trades), forced

    async def _newest_before_ours(self, symbol: str, priority: Priority) -> tuple[int, bool]:
        """Return the number of the newest execution before all of ours, 0 for none, and whether none of ours follow.

        The session itself may have executed nothing, and been killed before it ever asked: `pitboss panic`, whose
        orders have its prefix, may then have been here.
        """
        rows = await self._caller.until_answered(
            priority, self._client.weights.trades, partial(self._client.newest_trades, symbol)
        )
        for row in rows:
            is_new = int(row.get("timestamp") or 0) >= self._since_ms
            if is_new and await self._name(symbol, str(row.get("order"))):
                return int(row["id"]) - 1, False
        return (int(rows[-1]["id"]) if rows else 0), True

    async def _name(self, symbol: str, venue_order_id: str) -> str:
        """Return our id of an order; the empty string for a stranger's."""
        name = self._names.of(symbol, venue_order_id)
        if name is None:
            try:
                row = await self._caller.until_answered(
                    Priority.ACCOUNT_QUESTION,
                    self._client.weights.order,
                    lambda: self._client.order_by_venue_id(venue_order_id, symbol),
                )
            except RequestError as failure:
                if failure.outcome != "absent":
                    raise
                return ""
            name = self._names.learn(row)
        return name

    async def _named(self, order_id: str, call: Awaitable[Any]) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return the order if it is the one that was asked for."""
        row = await call
        if not row.get("id") or row.get("clientOrderId") != order_id:
            raise broken("question", f"asked for order {order_id}, told of {row.get('clientOrderId')}")
        self._names.learn(row)
        return row
