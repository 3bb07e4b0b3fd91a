"""Flattening an account without the daemon: what is ours there, and how it is got rid of.

Nothing here needs the core, which may be what is broken. What we hold is counted from the executions that the
journal recorded and from those the venue lists after them. Every sale follows a look at the venue, and whether
all is done is what the last look says, not what the requests came to.
"""

from __future__ import annotations

import secrets
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from actors.execution.adoption import PANIC_MARK
from actors.execution.orders import ORDER_ID_MAX, PREFIX, base36
from actors.instrument import ATOM, Instrument, InstrumentSpec
from actors.messages import AccountReported, ForcedTrade, TradeReported
from actors.runtime.journal import FILE_NAME, JournalReader, decode_input
from config.errors import UserError
from config.schema import Exchange as ExchangeSettings
from daemon.edges.venue.contract_client import ContractClient
from daemon.edges.venue.errors import RequestError
from daemon.edges.venue.limits import Limits, Priority
from daemon.edges.venue.questions import Caller, Names, Questions
from daemon.edges.venue.reports import decimal, exact
from daemon.edges.venue.weights import POSITION, SEND
from daemon.state_dir import SNAPSHOT_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from daemon.edges.venue.client import VenueClient

_ROUNDS = 6
_AHEAD_S = 1.0
"""A venue takes a time stamp that is this far in its future."""
_SINCE_MARGIN_MS = 60_000
_NS_PER_MS = 1_000_000
_WRITTEN = (FILE_NAME, f"{FILE_NAME}-wal", SNAPSHOT_NAME)


class _Settings(msgspec.Struct):
    exchange: ExchangeSettings


class _Plan(msgspec.Struct):
    """What matters here of a session's plan, read without anything that could run it."""

    settings: _Settings
    instruments: list[InstrumentSpec]
    start_ns: int
    real: bool = False
    nonce: str = ""


_decode_plan = msgspec.json.Decoder(_Plan).decode


class Books(msgspec.Struct, kw_only=True):
    """What a journal says of our dealings at a venue."""

    session: str
    prefix: str
    """What the ids of its orders start with; ours get the same, so that it knows their executions for its own."""
    is_open: bool
    """Whether it was left open, so that its next start goes on with it."""
    exchange: ExchangeSettings
    symbols: list[str]
    since_ms: int
    """Nothing of ours was executed before."""
    held: dict[str, Decimal]
    """What we hold by symbol, in base units, of the executions in `known`."""
    known: set[tuple[str, int]]
    """Executions by symbol and the venue's number."""
    complete_to: dict[str, int]
    """Up to this number, by symbol, the venue has listed all our executions and the journal has them."""


class OpenOrder(msgspec.Struct, frozen=True):
    """One open order at the venue."""

    symbol: str
    order_id: str
    venue_order_id: str
    ours: bool
    terms: str


class Position(msgspec.Struct, frozen=True):
    """Something that is to be sold, or bought back."""

    symbol: str
    asset: str
    quantity: Decimal
    """What there is of it, in whole steps: negative for a short."""
    sellable: Decimal
    """How much of that can be closed now, as other orders may have locked the rest."""


class Look(msgspec.Struct, frozen=True):
    """What was open when we looked."""

    orders: list[OpenOrder]
    positions: list[Position]
    notes: list[str]

    @property
    def flat(self) -> bool:
        """Whether nothing is left to do."""
        return not self.orders and not self.positions


class Deed(msgspec.Struct, frozen=True):
    """One thing that was done, and what it came to."""

    action: str
    symbol: str
    what: str
    outcome: str


def read_books(path: Path) -> Books | None:
    """Return what a journal says of real trading; None where it knows of none.

    Sessions at another venue than that of the newest one count for nothing.

    Raises:
        UserError: the journal is damaged.
    """
    if not path.exists():
        return None
    reader = JournalReader(path)
    try:
        return _read(reader)
    except msgspec.MsgspecError as error:
        message = f"{path}: corrupt: {error}"
        raise UserError(message) from error
    finally:
        reader.close()


def _read(reader: JournalReader) -> Books | None:
    real = [(row, plan) for row in reader.sessions() if (plan := _decode_plan(row.plan)).real]
    if not real:
        return None
    last_row, last_plan = real[-1]
    same = [(row, plan) for row, plan in real if _venue(plan) == _venue(last_plan)]
    books = Books(
        session=last_row.id,
        prefix=PREFIX + last_plan.nonce,
        is_open=last_row.status == "open",
        exchange=last_plan.settings.exchange,
        symbols=list(dict.fromkeys(spec.symbol for _, plan in reversed(same) for spec in plan.instruments)),
        since_ms=min(plan.start_ns for _, plan in same) // _NS_PER_MS - _SINCE_MARGIN_MS,
        held={},
        known=set(),
        complete_to={},
    )
    for row, plan in same:
        specs = {spec.symbol: spec for spec in plan.instruments}
        _read_session(books, specs, (decode_input(record.payload) for record in reader.records(row.number)))
    return books


def _venue(plan: _Plan) -> tuple[object, ...]:
    exchange = plan.settings.exchange.without_secrets()  # journals of old hold what newer ones leave out
    return exchange.id, exchange.file, exchange.urls, exchange.options


def _read_session(books: Books, specs: dict[str, InstrumentSpec], inputs: Iterable[object]) -> None:
    newest: dict[str, int] = {}
    compared: dict[str, int] = {}
    for message in inputs:
        if isinstance(message, TradeReported | ForcedTrade):
            _book(books, specs, newest, message)
        elif isinstance(message, AccountReported):
            trades: list[TradeReported | ForcedTrade] = [*message.trades, *message.forced]
            for trade in trades:
                _book(books, specs, newest, trade)
            # a push may have overtaken the list this comparison was made of, but not the list of the one before
            books.complete_to |= compared
            compared = dict(newest)


def _book(
    books: Books, specs: dict[str, InstrumentSpec], newest: dict[str, int], trade: TradeReported | ForcedTrade
) -> None:
    key = (trade.symbol, trade.trade_id)
    newest[trade.symbol] = max(trade.trade_id, newest.get(trade.symbol, 0))
    if key not in books.known:
        books.known.add(key)
        books.held[trade.symbol] = books.held.get(trade.symbol, Decimal(0)) + _change(trade, specs[trade.symbol])


def _change(trade: TradeReported | ForcedTrade, spec: InstrumentSpec) -> Decimal:
    """Return what an execution changed about what we hold."""
    fee = trade.fee_atoms * ATOM if trade.fee_asset == spec.base else Decimal(0)
    return trade.side * trade.quantity_lots * spec.lot - fee


def window_s(settings: ExchangeSettings) -> float:
    """Return for how long after it was sent the venue takes a request."""
    return settings.recv_window_ms / 1000 + _AHEAD_S


def lived_s_ago(state_dir: Path) -> float:
    """Return how long ago a daemon wrote into its state directory; it does so for as long as it can send anything.

    What was written in the future, by a clock that was put back since, was written just now as far as anybody knows.
    """
    written_s = [path.stat().st_mtime for name in _WRITTEN if (path := state_dir / name).exists()]
    return max(0.0, time.time() - max(written_s, default=0.0))


class Flattener:
    """Cancels and closes until a look shows that nothing is left.

    Args:
        client: the venue, with keys.
        instruments: what is looked at.
        books: what the journal says, if it says anything.
        settings: bounds.
        everything: whether what is not ours goes, too.
        arriving_s: so long a request that the daemon sent may still arrive at the venue.
    """

    def __init__(
        self,
        client: VenueClient,
        instruments: Sequence[InstrumentSpec],
        books: Books | None,
        settings: ExchangeSettings,
        *,
        everything: bool,
        arriving_s: float = 0.0,
    ) -> None:
        self.deeds: list[Deed] = []
        self.seen = Look([], [], [])
        """The last look."""
        self._client = client
        self._specs = list(instruments)
        self._everything = everything
        self._quiet_s = time.monotonic() + arriving_s
        self._window_s = window_s(settings)
        self._since_ms = 0 if books is None else books.since_ms
        self._held: dict[str, Decimal] = {} if books is None else dict(books.held)
        self._known: set[tuple[str, int]] = set() if books is None else set(books.known)
        self._complete_to: dict[str, int] = {} if books is None else dict(books.complete_to)
        self._counted = books is not None and not everything
        self._caller = Caller(client, Limits(client.weight_per_minute))
        self._sent_s: dict[str, float] = {}
        units = {spec.symbol: Instrument(spec) for spec in instruments}
        self._questions = Questions(client, self._caller, units, Names(PREFIX), self._too_late_s, _unvalued)
        owner = f"{PREFIX}panic" if books is None else f"{books.prefix}{PANIC_MARK}"
        self._name = f"{owner}{base36(secrets.randbelow(36**7)).rjust(7, '0')}"

    async def flatten(self) -> None:
        """Cancel and close what the last look has shown, and what those after it show.

        Nothing is closed, and nothing said to be flat, while a sale or purchase of the daemon's may still arrive.

        Raises:
            RequestError: the venue will never answer.
            UserError: it does not say how it executed a sale.
        """
        for _ in range(_ROUNDS):
            look = self.seen
            arriving_s = self._quiet_s - time.monotonic()
            if look.flat and arriving_s <= 0:
                break
            for order in look.orders:
                await self._cancel(order)
            if arriving_s > 0:
                await anyio.sleep(arriving_s)
                await self.look()
                continue
            if look.orders:
                look = await self.look()
            for position in look.positions:
                await self._close(position)
            await self.look()

    # --- looking ------------------------------------------------------------------------------------

    async def look(self) -> Look:
        """Return what is open now.

        Raises:
            RequestError: the venue will never answer.
        """
        look = Look([], [], [])
        for spec in self._specs:
            look.orders.extend(await self._orders(spec.symbol))
            if self._counted:
                await self._count(spec)
        balances = await self._ask(self._client.weights.balances, self._client.balances)
        for spec in self._specs:
            await self._weigh(spec, balances, look)
        self.seen = look
        return look

    async def _orders(self, symbol: str) -> list[OpenOrder]:
        rows = await self._ask(self._client.weights.open_orders, lambda: self._client.open_orders(symbol))
        orders = []
        for row in rows:
            name = str(row.get("clientOrderId") or "")
            ours = name.startswith(PREFIX)
            if ours or self._everything:
                price = row.get("price") or row.get("triggerPrice") or "market"
                terms = f"{row.get('side')} {row.get('remaining') or row.get('amount')} at {price}"
                orders.append(OpenOrder(symbol, name, str(row.get("id")), ours, terms))
        return orders

    async def _count(self, spec: InstrumentSpec) -> None:
        """Count the executions of ours that the journal does not know."""
        symbol = spec.symbol
        if symbol not in self._complete_to:
            first = await self._ask(
                self._client.weights.trades, lambda: self._client.trades_since(self._since_ms, symbol)
            )
            if not first:
                return
            self._complete_to[symbol] = min(int(row["id"]) for row in first) - 1
        ours, the_venues = await self._questions.trades_after(self._complete_to[symbol], symbol)
        self._take(spec, [*ours, *the_venues])

    def _take(self, spec: InstrumentSpec, trades: Iterable[TradeReported | ForcedTrade]) -> None:
        for trade in trades:
            key = (trade.symbol, trade.trade_id)
            if key not in self._known:
                self._known.add(key)
                self._held[spec.symbol] = self._held.get(spec.symbol, Decimal(0)) + _change(trade, spec)

    async def _weigh(self, spec: InstrumentSpec, balances: dict[str, Any], look: Look) -> None:
        """Add what is to be sold of one symbol to a look."""
        if isinstance(self._client, ContractClient):
            await self._weigh_contract(self._client, spec, look)
            return
        step = spec.step or spec.lot
        taken = sum((each.sellable for each in look.positions if each.asset == spec.base), Decimal(0))
        total = (decimal((balances.get("total") or {}).get(spec.base)) or Decimal(0)) - taken
        free = (decimal((balances.get("free") or {}).get(spec.base)) or Decimal(0)) - taken
        held = total if self._everything else self._held.get(spec.symbol, Decimal(0))
        if held > total:
            look.notes.append(f"{spec.symbol}: we bought {exact(held)} {spec.base}, the account holds {exact(total)}")
        quantity = _whole(min(held, total), step)
        if quantity > 0 and spec.min_notional:
            price = decimal(
                await self._ask(self._client.weights.ticker, lambda: self._client.last_price(spec.symbol))
            ) or Decimal(0)
            if price and quantity * price < spec.min_notional:
                quantity = Decimal(0)
        if quantity > 0:
            look.positions.append(
                Position(spec.symbol, spec.base, quantity, max(Decimal(0), _whole(min(quantity, free), step)))
            )
        elif min(held, total) > 0:
            look.notes.append(f"{spec.symbol}: {exact(min(held, total))} {spec.base} stay: less than the venue trades")

    async def _weigh_contract(self, client: ContractClient, spec: InstrumentSpec, look: Look) -> None:
        """Add what is to be closed of a contract: ours, but never more than there is, nor beyond flat."""
        total = await self._ask(POSITION, lambda: client.position(spec.symbol))
        held = total if self._everything else self._held.get(spec.symbol, Decimal(0))
        quantity = min(abs(held), abs(total)) if held * total > 0 else Decimal(0)
        if abs(held) > quantity:
            what = f"our executions make a position of {exact(held)} {spec.base}, the account's is {exact(total)}"
            look.notes.append(f"{spec.symbol}: {what}")
        if quantity:
            look.positions.append(Position(spec.symbol, spec.base, quantity.copy_sign(total), quantity))

    async def _ask(self, weight: int, call: Any) -> Any:  # noqa: ANN401 - ccxt's structures
        return await self._caller.until_answered(Priority.EXIT, weight, call)

    # --- doing --------------------------------------------------------------------------------------

    async def _cancel(self, order: OpenOrder) -> None:
        try:
            await self._caller.once(
                Priority.CANCEL,
                SEND,
                lambda: self._client.cancel_by_venue_id(order.venue_order_id, order.symbol),
            )
            outcome = "cancelled"
        except RequestError as failure:
            outcome = f"not cancelled yet: {failure.reason}"
        self.deeds.append(Deed("cancel", order.symbol, f"{order.terms} ({order.order_id})", outcome))

    async def _close(self, position: Position) -> None:
        """Close what can be closed; an order whose fate is not known is asked for and never sent again."""
        quantity = exact(position.sellable)
        side = "sell" if position.quantity > 0 else "buy"
        if not position.sellable:
            outcome = "not sold: locked by orders that are not ours (--all cancels them)"
            self.deeds.append(Deed(side, position.symbol, exact(position.quantity), outcome))
            return
        order_id = f"{self._name}{base36(len(self._sent_s))}"
        assert len(order_id) <= ORDER_ID_MAX, order_id
        self._sent_s[order_id] = time.monotonic()
        params: dict[str, Any] = {"clientOrderId": order_id}
        if isinstance(self._client, ContractClient):
            params["reduceOnly"] = True
        try:
            await self._caller.once(
                Priority.EXIT,
                SEND,
                lambda: self._client.submit(position.symbol, "market", side, quantity, None, params),
            )
        except RequestError as failure:
            if failure.outcome != "doubt":
                self.deeds.append(Deed(side, position.symbol, quantity, f"refused: {failure.reason}"))
                return
        self._sent_s[order_id] = time.monotonic()
        self.deeds.append(Deed(side, position.symbol, quantity, await self._sold(order_id, position.symbol)))

    async def _sold(self, order_id: str, symbol: str) -> str:
        """Return what became of a closing order, in words."""
        answer = await self._questions.order(order_id, symbol, Priority.EXIT)
        if answer is None:
            return "it never arrived at the venue"
        report, trades = answer
        spec = next(spec for spec in self._specs if spec.symbol == symbol)
        self._take(spec, trades)
        listed = sum(trade.quantity_lots for trade in trades)
        if listed < report.filled_lots:
            message = f"the venue executed order {order_id} and does not list how; look again in a minute"
            raise UserError(message)
        value = sum((trade.price_ticks * spec.tick * trade.quantity_lots * spec.lot for trade in trades), Decimal(0))
        at = f" for {exact(value)} {spec.quote}" if listed else ""
        return f"{report.state}: {exact(listed * spec.lot)} {spec.base}{at} ({order_id})"

    async def _too_late_s(self, order_id: str) -> float:
        return self._sent_s[order_id] + self._window_s


async def _unvalued(trades: list[TradeReported]) -> list[TradeReported]:
    """Return executions as they are: nothing is booked here."""
    return trades


def _whole(quantity: Decimal, step: Decimal) -> Decimal:
    """Return the whole steps in a quantity."""
    return quantity // step * step
