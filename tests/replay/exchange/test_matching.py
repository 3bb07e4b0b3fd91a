"""The same trades and the same orders, through the engine and through two others: equal to the unit.

One other is the project's simulated venue, fed bars that are single points. Its orders wait for the next bar
where the exchange's meet the touch at once, so it is shown the last point again after each order: a point
that is repeated changes nothing for the orders that rested. The other is a reference written here, in
fractions and for one order at a time, that shares no code with the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors import messages as m
from actors.execution.simulated import SimulatedVenue
from actors.instrument import Instrument, InstrumentSpec
from actors.ledger import Account, Holding, Ledger
from actors.runtime.scheduler import Context
from config.schema import Venue
from replay.exchange import model as x
from replay.exchange.engine import Engine
from replay.exchange.perpetual import PerpetualEngine

D = Decimal
ATOMS = 10**8
TICK, LOT = D("0.07"), D("0.00000003")
"""A tick and a lot whose product is a fraction of an atom, so that rounding counts."""
MARKET = x.Market(symbol="B/Q", id="BQ", base="B", quote="Q", tick=TICK, lot=LOT, min_notional=D(0))
FEES = st.sampled_from([D(0), D("0.001"), D("0.00075"), D("0.1"), D("0.0333333")])
PRICES = st.integers(20, 40)
STEP_MS = 1_000

terms = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["BUY", "SELL"]),
        "type": st.sampled_from(x.OrderType.__args__),  # type: ignore[attr-defined]
        "lots": st.integers(1, 9_999_999),
        "price": PRICES,
        "stop": PRICES,
        "time_in_force": st.sampled_from(["GTC", "GTC", "IOC", "FOK"]),
    }
)
arrivals = st.one_of(
    st.tuples(st.just("print"), PRICES),
    st.tuples(st.just("print"), PRICES),
    st.tuples(st.just("place"), terms),
    st.tuples(st.just("place"), terms),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
)
days = st.lists(arrivals, min_size=1, max_size=40)


def wish(order: dict[str, Any], number: int) -> x.NewOrder:
    kind = order["type"]
    limited = kind in ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
    return x.NewOrder(
        id="BQ",
        side=order["side"],
        type=kind,
        quantity=order["lots"] * LOT,
        price=order["price"] * TICK if limited else None,
        stop_price=order["stop"] * TICK if kind.startswith(("STOP", "TAKE")) else None,
        time_in_force=order["time_in_force"] if limited and kind != "LIMIT_MAKER" else "GTC",
        client_order_id=f"o{number}",
    )


def outcome(ask: Any, *args: Any, **terms: Any) -> str:
    """Return the status of the order, or the text of the refusal."""
    try:
        status: str = ask(*args, **terms).status
    except x.VenueError as refusal:
        return refusal.text
    return status


# --- the simulated venue --------------------------------------------------------------------------------

KINDS: dict[str, m.OrderKind] = {
    "MARKET": "market",
    "LIMIT": "limit",
    "LIMIT_MAKER": "limit",
    "STOP_LOSS": "stop",
    "STOP_LOSS_LIMIT": "stop_limit",
}
TOUCHED, SIXTH = "Stop price would trigger immediately.", "Filter failure: MAX_NUM_ALGO_ORDERS"
TERMS: dict[str, m.TimeInForce] = {"GTC": "gtc", "IOC": "ioc", "FOK": "fok"}


class Floor:
    """The simulated venue without latency, on bars of one point each."""

    def __init__(self, maker_fee: Decimal, taker_fee: Decimal) -> None:
        self.context = Context()
        instruments = {"BQ": Instrument(InstrumentSpec(symbol="BQ", tick=TICK, lot=LOT))}
        fees = Venue(maker_fee=maker_fee, taker_fee=taker_fee)
        self.venue = SimulatedVenue(self.context, instruments, fees, ())
        self.price = 0.0
        self.now_ns = 0

    def point(self, price: float) -> None:
        self.price = price
        bar = m.Bar("BQ", 1, self.now_ns, self.now_ns + 1, price, price, price, price, 0.0)
        self.now_ns += 1
        self.context.now_ns = self.now_ns
        self.venue.on_bar(bar)

    def place(self, new: x.NewOrder) -> None:
        request = m.OrderRequest(
            "s",
            "BQ",
            0,
            m.BUY if new.side == "BUY" else m.SELL,
            int(new.quantity / LOT),
            KINDS[new.type],
            int((new.price or 0) / TICK),
            int((new.stop_price or 0) / TICK),
            TERMS[new.time_in_force],
            post_only=new.type == "LIMIT_MAKER",
        )
        self.venue.on_submit(m.SubmitOrder(new.client_order_id, request))
        self.point(self.price)

    def cancel(self, name: str) -> None:
        self.venue.on_cancel(m.CancelOrder(name))

    def said(self) -> list[Any]:
        said, self.context.outbox[:] = list(self.context.outbox), []
        return said


def fills_of_floor(said: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (fill.order_id, fill.side, fill.price_ticks, fill.quantity_lots, fill.fee_atoms, fill.liquidity)
        for fill in said
        if isinstance(fill, m.Fill)
    ]


def fills_of_engine(events: list[x.Event]) -> list[tuple[Any, ...]]:
    return [
        (
            event.order.client_order_id,
            m.BUY if event.trade.side == "BUY" else m.SELL,
            event.trade.price_ticks,
            event.trade.quantity_lots,
            event.trade.commission_atoms,
            "maker" if event.trade.is_maker else "taker",
        )
        for event in events
        if isinstance(event, x.Executed) and event.trade is not None
    ]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(day=days, maker_fee=FEES, taker_fee=FEES)
def test_fills_are_those_of_the_simulated_venue(
    day: list[tuple[str, Any]], maker_fee: Decimal, taker_fee: Decimal
) -> None:
    """Same trades, same arrivals, same fee asset: the same fills in the same order, fees included."""
    engine = Engine([MARKET], {"B": D(10**6), "Q": D(10**9)}, maker_fee, taker_fee, 0, "Q")
    floor = Floor(maker_fee, taker_fee)
    engine.print_trade("BQ", 30, 0, 0)
    floor.point(30 * float(TICK))
    for number, (what, value) in enumerate(day):
        engine.drain()
        floor.said()
        if what == "print":
            engine.print_trade("BQ", value, 0, number)
            floor.point(value * float(TICK))
        elif what == "cancel":
            name = f"o{value}"
            if any(order.client_order_id == name for order in engine.open_orders()):
                engine.cancel("BQ", number, client_order_id=name)
                floor.cancel(name)
        elif value["type"] in KINDS:
            new = wish(value, number)
            # A stop that is touched already is filled there and refused here, as Binance does; a sixth one is refused.
            if outcome(engine.place, new, number) not in (TOUCHED, SIXTH):
                floor.place(new)
        fills = fills_of_engine(engine.drain())
        assert fills == fills_of_floor(floor.said())
    left = sorted(resting.order_id for resting in floor.venue._resting["BQ"])
    assert left == sorted(order.client_order_id for order in engine.open_orders())
    engine.audit()


PERPETUAL = x.Market(symbol="B/Q:Q", id="BQ", base="B", quote="Q", settle="Q", tick=TICK, lot=LOT, min_notional=D(0))
CONDITIONAL: dict[str, x.ContractOrderType] = {"STOP_LOSS": "STOP_MARKET", "STOP_LOSS_LIMIT": "STOP"}
REFUSED = {-2021: "it is touched already", -5021: "it cannot fill", -5022: "it would take"}


def place_on_margin(engine: PerpetualEngine, new: x.NewOrder, now_ms: int) -> bool:
    """Place a spot order as what it is called on a perpetual; return whether it was taken."""
    try:
        if new.type in CONDITIONAL:
            engine.place_conditional(
                x.NewConditional(
                    id="BQ",
                    side=new.side,
                    type=CONDITIONAL[new.type],
                    quantity=new.quantity,
                    price=new.price,
                    trigger_price=new.stop_price,
                    time_in_force=new.time_in_force,
                    client_algo_id=new.client_order_id,
                ),
                now_ms,
            )
        elif new.type == "LIMIT_MAKER":
            engine.place(msgspec.structs.replace(new, type="LIMIT", time_in_force="GTX"), now_ms)
        else:
            engine.place(new, now_ms)
    except x.VenueError as refusal:
        assert refusal.code in REFUSED, refusal  # noqa: PT017 - what is refused must be for one of these reasons
        return False
    return True


def cancel_on_margin(engine: PerpetualEngine, name: str, now_ms: int) -> bool:
    if any(order.client_order_id == name for order in engine.open_orders()):
        engine.cancel("BQ", now_ms, client_order_id=name)
    elif any(each.client_algo_id == name for each in engine.open_conditionals()):
        engine.cancel_conditional("BQ", now_ms, client_algo_id=name)
    else:
        return False
    return True


TWO_SELLS = {"side": "SELL", "lots": 1, "stop": 20, "time_in_force": "GTC"}
A_STOP_BEFORE_A_LIMIT = [
    ("place", TWO_SELLS | {"type": "STOP_LOSS_LIMIT", "price": 21}),
    ("place", TWO_SELLS | {"type": "LIMIT", "price": 31}),
    ("print", 20),
    ("print", 32),
]
"""The stop came first, but is in the book last: nothing else waits for its price when both are met."""


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(day=days, maker_fee=FEES, taker_fee=FEES)
@example(day=A_STOP_BEFORE_A_LIMIT, maker_fee=D(0), taker_fee=D(0))
def test_fills_on_margin_are_those_of_the_simulated_venue_and_positions_those_of_the_ledger(
    day: list[tuple[str, Any]], maker_fee: Decimal, taker_fee: Decimal
) -> None:
    """Same trades, same arrivals: the same fills; and the wallet is the ledger's cash with its inventory at cost."""
    engine = PerpetualEngine([PERPETUAL], {"Q": D(10**6)}, maker_fee, taker_fee, 0, leverage=125)
    floor = Floor(maker_fee, taker_fee)
    instruments = {"BQ": Instrument(InstrumentSpec(symbol="BQ", tick=TICK, lot=LOT))}
    ledger = Ledger(Context(), instruments, Account(10**6 * ATOMS), emit_marks=False)
    engine.print_trade("BQ", 30, 0, 0)
    floor.point(30 * float(TICK))
    for number, (what, value) in enumerate(day):
        engine.drain()
        floor.said()
        if what == "print":
            engine.print_trade("BQ", value, 0, number)
            floor.point(value * float(TICK))
        elif what == "cancel":
            if cancel_on_margin(engine, f"o{value}", number):
                floor.cancel(f"o{value}")
        elif value["type"] in KINDS:
            new = wish(value, number)
            if place_on_margin(engine, new, number):
                floor.place(new)
        said = floor.said()
        assert fills_of_engine(engine.drain()) == fills_of_floor(said)
        for fill in said:
            if isinstance(fill, m.Fill):
                ledger.on_fill(fill)
        held = ledger.holdings.get(("s", "BQ"), Holding("s", "BQ"))
        (position,) = engine.positions("BQ")
        assert (position.amount_lots, position.cost_atoms) == (held.quantity_lots, held.cost_atoms)
        assert position.realized_atoms == held.realized_atoms
        assert engine.wallets()[0].wallet_atoms == ledger.cash_atoms + held.cost_atoms
    left = [order.client_order_id for order in engine.open_orders()]
    left += [each.client_algo_id for each in engine.open_conditionals()]
    assert sorted(left) == sorted(resting.order_id for resting in floor.venue._resting["BQ"])
    engine.audit()


# --- a reference ----------------------------------------------------------------------------------------


def rounded(value: Fraction) -> int:
    """Return the nearest whole number, halves away from zero."""
    return int((D(value.numerator) / D(value.denominator)).quantize(D(1), rounding=ROUND_HALF_UP))


@dataclass
class Wish:
    """An order of the reference, in plain fractions."""

    new: x.NewOrder
    waiting: bool
    status: str = "NEW"
    locked: int = 0

    @property
    def buys(self) -> bool:
        return self.new.side == "BUY"


@dataclass
class Reference:
    """The rules of the exchange, said as simply as possible: whole fills only, money in atoms by asset."""

    maker_fee: Decimal
    taker_fee: Decimal
    spread: int
    fee_asset: str
    free: dict[str, int]
    last: int = 0
    orders: dict[str, Wish] = field(default_factory=dict)
    fills: list[tuple[Any, ...]] = field(default_factory=list)

    def touch(self, *, buys: bool) -> int:
        bid = self.last - self.spread // 2
        return bid + self.spread if buys else bid

    def value(self, ticks: Fraction, quantity: Decimal) -> int:
        return rounded(ticks * Fraction(TICK) * Fraction(quantity) * ATOMS)

    def place(self, new: x.NewOrder) -> str:
        """Return the status, or the text of the refusal."""
        buys = new.side == "BUY"
        stop = None if new.stop_price is None else Fraction(new.stop_price) / Fraction(TICK)
        limit = None if new.price is None else Fraction(new.price) / Fraction(TICK)
        stops = [order for order in self.orders.values() if order.status == "NEW" and order.new.stop_price]
        if stop is not None and len(stops) == x.MAX_NUM_ALGO_ORDERS:
            return "Filter failure: MAX_NUM_ALGO_ORDERS"
        if stop is not None and self.last and self.touched(new, stop):
            return "Stop price would trigger immediately."
        if new.type == "LIMIT_MAKER" and self.last and limit is not None:
            touch = self.touch(buys=buys)
            if limit >= touch if buys else limit <= touch:
                return "Order would immediately match and take."
        order = Wish(new, waiting=stop is not None)
        if not buys:
            order.locked = int(new.quantity * ATOMS)
        else:
            price = limit or stop or (Fraction(self.touch(buys=True)) if self.last else Fraction(0))
            order.locked = self.value(price, new.quantity)
        if new.type == "MARKET" and not self.last:
            order.locked = 0
        pays = "Q" if buys else "B"
        if order.locked > self.free[pays]:
            return "Account has insufficient balance for requested action."
        self.free[pays] -= order.locked
        self.orders[new.client_order_id] = order
        if not order.waiting:
            self.arrive(order)
        return order.status

    def touched(self, new: x.NewOrder, stop: Fraction) -> bool:
        rises = (new.side == "BUY") != new.type.startswith("TAKE_PROFIT")
        return self.last >= stop if rises else self.last <= stop

    def arrive(self, order: Wish) -> None:
        new = order.new
        touch = self.touch(buys=order.buys)
        limit = None if new.price is None else Fraction(new.price) / Fraction(TICK)
        fits = limit is None or (limit >= touch if order.buys else limit <= touch)
        if self.last and fits:
            self.fill(order, Fraction(touch), self.taker_fee, "taker")
        elif new.time_in_force != "GTC" or limit is None:
            self.end(order, "EXPIRED")

    def trade(self, ticks: int) -> None:
        self.last = ticks
        for order in list(self.orders.values()):
            if order.status != "NEW":
                continue
            new = order.new
            if order.waiting:
                assert new.stop_price is not None
                if self.touched(new, Fraction(new.stop_price) / Fraction(TICK)):
                    order.waiting = False
                    self.arrive(order)
            elif new.price is not None:
                limit = Fraction(new.price) / Fraction(TICK)
                if ticks < limit if order.buys else ticks > limit:
                    self.fill(order, limit, self.maker_fee, "maker")

    def fill(self, order: Wish, ticks: Fraction, rate: Decimal, liquidity: str) -> None:
        cost = self.value(ticks, order.new.quantity)
        base = int(order.new.quantity * ATOMS)
        pays, paid, gets, got = ("Q", cost, "B", base) if order.buys else ("B", base, "Q", cost)
        if paid > self.free[pays] + order.locked:
            self.end(order, "EXPIRED")
            return
        self.end(order, "FILLED")
        self.free[pays] -= paid
        self.free[gets] += got
        asset, fee = gets, rounded(Fraction(rate) * got)
        if self.fee_asset == "Q" != gets:
            in_quote = rounded(Fraction(rate) * cost)
            if in_quote <= self.free["Q"]:
                asset, fee = "Q", in_quote
        self.free[asset] -= fee
        self.fills.append((order.new.client_order_id, int(ticks), paid, got, asset, fee, liquidity))

    def end(self, order: Wish, status: str) -> None:
        order.status = status
        self.free["Q" if order.buys else "B"] += order.locked
        order.locked = 0

    def cancel(self, name: str) -> str:
        order = self.orders.get(name)
        if order is None or order.status != "NEW":
            return "Unknown order sent."
        self.end(order, "CANCELED")
        return "CANCELED"

    def locked(self, asset: str) -> int:
        return sum(order.locked for order in self.orders.values() if ("Q" if order.buys else "B") == asset)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    day=days,
    fees=st.tuples(FEES, FEES),
    spread=st.integers(0, 5),
    fee_asset=st.sampled_from(["auto", "Q"]),
    rich=st.booleans(),
    open_at=st.sampled_from([0, 30]),
)
def test_fills_and_balances_are_those_of_the_reference(
    day: list[tuple[str, Any]],
    fees: tuple[Decimal, Decimal],
    spread: int,
    fee_asset: str,
    rich: bool,
    open_at: int,
) -> None:
    """After every step, refusals by their text, fills, statuses, and both sides of every balance; rich or poor."""
    balances = {"B": D(1), "Q": D(10)} if rich else {"B": D("0.3"), "Q": D("0.9")}
    engine = Engine([MARKET], balances, *fees, spread, fee_asset)
    reference = Reference(*fees, spread, fee_asset, {asset: int(amount * ATOMS) for asset, amount in balances.items()})
    operations: list[Any] = []
    engine.recorder = operations.append
    if open_at:
        engine.print_trade("BQ", open_at, 0, 0)
        reference.trade(open_at)
    for number, (what, value) in enumerate(day):
        if what == "print":
            engine.print_trade("BQ", value, 0, number)
            reference.trade(value)
        elif what == "cancel":
            answer = outcome(engine.cancel, "BQ", number, client_order_id=f"o{value}")
            assert answer == reference.cancel(f"o{value}")
        else:
            answer = outcome(engine.place, wish(value, number), number)
            assert answer == reference.place(wish(value, number))
        assert {each.client_order_id: each.status for each in engine.all_orders("BQ")} == {
            name: order.status for name, order in reference.orders.items()
        }
        assert {each.asset: (each.free_atoms, each.locked_atoms) for each in engine.balances()} == {
            asset: (reference.free[asset], reference.locked(asset)) for asset in balances
        }
    names = {order.order_id: order.client_order_id for order in engine.all_orders("BQ")}
    assert reference.fills == [
        (
            names[trade.order_id],
            trade.price_ticks,
            *_exchanged(trade),
            trade.commission_asset,
            trade.commission_atoms,
            "maker" if trade.is_maker else "taker",
        )
        for trade in engine.my_trades("BQ")
    ]
    engine.audit()
    again = Engine([MARKET], balances, *fees, spread, fee_asset)
    for operation in operations:
        again.apply(operation)
    assert again.dump() == engine.dump()
    loaded = Engine([MARKET], balances, *fees, spread, fee_asset)
    loaded.load(engine.dump())
    assert loaded.dump() == engine.dump()


def _exchanged(trade: x.TradeView) -> tuple[int, int]:
    """Return what was paid and what was got, in atoms, of a trade that was its order's only one."""
    base = int(trade.quantity_lots * LOT * ATOMS)
    quote = rounded(Fraction(trade.price_ticks) * Fraction(TICK) * Fraction(trade.quantity_lots * LOT) * ATOMS)
    return (quote, base) if trade.side == "BUY" else (base, quote)
