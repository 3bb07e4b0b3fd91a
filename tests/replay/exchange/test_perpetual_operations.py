"""Whatever is done to perpetuals, in whatever order: no money is off, and the record of it leads to the same state."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.exchange import model as x
from replay.exchange.perpetual import PerpetualEngine
from replay.exchange.perpetual_account import LEVERAGE_MAX

D = Decimal
MARKETS = [
    x.perpetual_of(x.Market(symbol=f"{base}/Q", id=base, base=base, quote="Q", tick=D(tick), lot=D("0.001")))
    for base, tick in (("A", "0.01"), ("B", "0.07"))
]
HOUR_MS = 3_600_000

markets = st.sampled_from(["A", "B"])
sides = st.sampled_from(["BUY", "SELL"])
prices = st.integers(1_000, 1_600)
lots = st.integers(1, 40_000)
flags = st.booleans()
numbers = st.integers(1, 30)
percents = st.sampled_from([D("0.5"), D(5)])

terms = st.fixed_dictionaries(
    {
        "market": markets,
        "side": sides,
        "price": prices,
        "lots": lots,
        "reduce_only": st.sampled_from([False, False, False, True]),
        "time_in_force": st.sampled_from(["GTC", "GTC", "GTC", "GTC", "IOC", "FOK", "GTX"]),
    }
)
conditionals = st.tuples(
    st.sampled_from(["STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]),
    st.tuples(terms, prices, percents, flags, st.sampled_from([False, False, True])),
)
amends = st.tuples(st.just("amend"), st.tuples(numbers, prices, lots))
trades = st.one_of(
    *[st.tuples(st.just("print"), st.tuples(markets, prices, st.integers(0, 30_000)))] * 4,
    *[st.tuples(st.just("limit"), terms)] * 3,
    *[st.tuples(st.just("market"), terms)] * 2,
    *[conditionals] * 2,
    amends,
)
others = st.one_of(
    st.tuples(st.just("cancel"), numbers),
    st.tuples(st.just("cancel_conditional"), numbers),
    st.tuples(st.sampled_from(["cancel_all", "cancel_all_conditionals"]), markets),
    st.tuples(st.just("leverage"), st.tuples(markets, st.sampled_from([0, 5, 20, LEVERAGE_MAX]))),
    st.tuples(st.just("margin"), st.tuples(markets, flags)),
    st.tuples(st.just("mark"), st.tuples(markets, st.one_of(st.none(), prices))),
    st.tuples(st.just("rate"), st.sampled_from([D("0.01"), D("-0.02")])),
    st.tuples(st.just("fund"), st.none()),
    st.tuples(st.just("arm"), st.tuples(markets, st.sampled_from([0, 1_500, HOUR_MS]))),
    st.tuples(st.just("wait"), st.integers(1, 20 * HOUR_MS)),
    st.tuples(st.just("filters"), st.tuples(markets, st.sampled_from([D("0.07"), D("0.14"), D("0.02")]))),
    st.tuples(st.just("trading"), st.tuples(markets, st.sampled_from([True, True, True, False]))),
    st.tuples(st.just("hedge"), st.sampled_from([False, False, False, True])),
)
steps = st.one_of(trades, trades, trades, others)


def make(**changes: Any) -> PerpetualEngine:
    return PerpetualEngine(MARKETS, {"Q": D(300)}, D("0.0002"), D("0.0007"), 2, bounded=True, **changes)


class Days:
    """Does one thing after another to an engine, a second apart."""

    def __init__(self, engine: PerpetualEngine) -> None:
        self.engine = engine
        self.now_ms = HOUR_MS
        self.count = 0

    def do(self, what: str, given: Any) -> None:
        self.now_ms += given if what == "wait" else 1_000
        self.count += 1
        done: dict[str, Callable[[], Any]] = {
            "print": lambda: self.engine.print_trade(*given, self.now_ms),
            "limit": lambda: self.place(given, "LIMIT"),
            "market": lambda: self.place(given, "MARKET"),
            "amend": lambda: self.amend(*given),
            "cancel": lambda: self.cancel(given),
            "cancel_conditional": lambda: self.cancel_conditional(given),
            "cancel_all": lambda: self.engine.cancel_all(given, self.now_ms),
            "cancel_all_conditionals": lambda: self.engine.cancel_all_conditionals(given, self.now_ms),
            "leverage": lambda: self.engine.set_leverage(given[0], given[1], self.now_ms),
            "margin": lambda: self.engine.set_margin_type(given[0], given[1], self.now_ms),
            "mark": lambda: self.engine.set_mark(given[0], given[1], self.now_ms),
            "rate": lambda: self.engine.set_funding_rate(given, self.now_ms),
            "fund": lambda: self.engine.settle_funding(self.now_ms),
            "arm": lambda: self.engine.arm_countdown(given[0], given[1], self.now_ms),
            "wait": lambda: self.engine.advance(self.now_ms),
            "filters": lambda: self.engine.change_filters(*given, now_ms=self.now_ms),
            "trading": lambda: self.engine.set_trading(given[0], given[1], self.now_ms),
            "hedge": lambda: self.engine.set_position_mode(given, self.now_ms),
        }
        try:
            done.get(what, lambda: self.place_conditional(what, *given))()
        except (x.VenueError, ValueError):
            return

    def open(self, number: int) -> x.OrderView | None:
        """Return the open order of a number, counted round and round."""
        orders = self.engine.open_orders()
        return orders[number % len(orders)] if orders else None

    def cancel(self, number: int) -> None:
        order = self.open(number)
        self.engine.cancel(order.id if order else "A", self.now_ms, order.order_id if order else number)

    def cancel_conditional(self, number: int) -> None:
        waiting = self.engine.open_conditionals()
        algo_id = waiting[number % len(waiting)].algo_id if waiting else number
        self.engine.cancel_conditional(None, self.now_ms, algo_id)

    def place(self, given: Any, kind: Any) -> None:
        unit = self.engine.market(given["market"])
        new = x.NewOrder(
            id=unit.id,
            side=given["side"],
            type=kind,
            quantity=given["lots"] * unit.lot,
            price=given["price"] * unit.tick if kind == "LIMIT" else None,
            time_in_force=given["time_in_force"],
            client_order_id=f"o{self.count}",
            reduce_only=given["reduce_only"],
        )
        self.engine.place(new, self.now_ms)

    def place_conditional(
        self, kind: Any, given: Any, trigger: int, percent: Decimal, on_mark: bool, closes: bool
    ) -> None:
        unit = self.engine.market(given["market"])
        new = x.NewConditional(
            id=unit.id,
            side=given["side"],
            type=kind,
            quantity=D(0) if closes else given["lots"] * unit.lot,
            price=given["price"] * unit.tick,
            trigger_price=trigger * unit.tick,
            working_type="MARK_PRICE" if on_mark else "CONTRACT_PRICE",
            time_in_force=given["time_in_force"],
            client_algo_id=f"o{self.count}",
            reduce_only=given["reduce_only"],
            close_position=closes,
            callback_rate=percent,
        )
        self.engine.place_conditional(new, self.now_ms)

    def amend(self, number: int, price: int, size: int) -> None:
        order = self.open(number)
        if order is not None:
            unit = self.engine.market(order.id)
            quantity, wanted = size * unit.lot, price * unit.tick
            self.engine.amend(order.id, self.now_ms, order.order_id, side=order.side, quantity=quantity, price=wanted)


def events_without_books(events: list[x.Event]) -> list[x.Event]:
    return [each for each in events if not isinstance(each, x.Printed | x.Candle | x.BookChanged)]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(day=st.lists(steps, min_size=1, max_size=60), seed=st.integers(0, 99))
def test_money_is_conserved_and_the_record_leads_to_the_same_state(day: list[tuple[str, Any]], seed: int) -> None:
    """Conservation is asserted by the engine at each step; here the whole account is worked out anew in the end."""
    engine, operations = make(), list[Any]()
    engine.recorder = operations.append
    drawn = random.Random(seed)
    engine.portion = lambda wanted: drawn.randint(1, wanted)
    days = Days(engine)
    days.do("print", ("A", 1_300, 10))
    for step in day:
        days.do(*step)
    told = engine.drain()
    engine.audit()
    for asset, holding in engine.account.wallet.holdings.items():
        assert holding.total_atoms + holding.world_atoms == holding.opening_atoms, asset

    again, quiet, halves = make(), make(), make()
    quiet.tells_market = False
    for number, operation in enumerate(operations):
        again.apply(operation)
        quiet.apply(operation)
        halves.apply(operation)
        if number == len(operations) // 2:
            kept, halves = halves.dump(), make()
            halves.load(kept)
    assert again.dump() == engine.dump() == quiet.dump() == halves.dump()
    assert again.drain() == told
    assert events_without_books(quiet.drain()) == events_without_books(told)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(day=st.lists(steps, min_size=1, max_size=60))
def test_reduce_only_never_opens_and_who_holds_nothing_owes_nothing(day: list[tuple[str, Any]]) -> None:
    engine = make()
    days = Days(engine)
    days.do("print", ("A", 1_300, 10))
    held = {each.id: each.amount_lots for each in engine.positions()}
    for step in day:
        days.do(*step)
        for event in engine.drain():
            if not isinstance(event, x.Executed) or event.trade is None:
                continue
            before = held[event.trade.id]
            signed = event.trade.quantity_lots * (1 if event.trade.side == "BUY" else -1)
            held[event.trade.id] = before + signed
            if event.order.reduce_only:
                assert before * signed < 0
                assert abs(signed) <= abs(before)
        assert held == {each.id: each.amount_lots for each in engine.positions()}
        for asset in engine.wallets():
            if not any(held.values()):
                assert asset.wallet_atoms >= 0
                assert (
                    asset.wallet_atoms == asset.cross_wallet_atoms == asset.available_atoms + asset.order_margin_atoms
                )
        for position in engine.positions():
            assert bool(position.amount_lots) == bool(position.initial_margin_atoms)
            assert bool(position.amount_lots) == bool(position.maintenance_atoms)
            assert position.isolated or not position.isolated_atoms
