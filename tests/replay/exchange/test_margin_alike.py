"""The simulated venue beside the loopback exchange: the same orders, marks and funding lead to the same account.

Wallet, positions, margins, prices of liquidation, refusals and forced trades are equal to the unit.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import messages as m
from actors.features import SeriesKey
from actors.instrument import Instrument, InstrumentSpec, to_atoms
from actors.ledger import Account
from actors.margin import Tiers
from actors.system import Core, SeriesPlan, StrategyPlan
from config.load import check_settings
from replay.exchange import model as x
from replay.exchange.perpetual import PerpetualEngine
from strategies.base import Strategy
from strategies.features.graph import FeatureGraph
from strategies.features.rows import FeatureRows

D = Decimal
TICKS = {"A": "0.01", "B": "0.07"}
LOT = D("0.001")
CASH = D(60)
MAKER, TAKER, LIQUIDATION = D("0.0002"), D("0.0007"), D("0.0125")
ROWS = [(0, 100, D("0.004")), (60, 50, D("0.006")), (200, 20, D("0.02")), (900, 10, D("0.05"))]
LEVERAGE = {"A": 20, "B": 7}
MINUTE = 60_000_000_000
REFUSED = {"Margin is insufficient.", "Exceeded the maximum allowable position at current leverage."}

markets = st.sampled_from(["A", "B"])
sides = st.sampled_from([1, -1])
prices = st.integers(500, 1_800)
lots = st.integers(1, 12_000)
steps = st.one_of(
    st.tuples(st.just("print"), markets, prices),
    st.tuples(st.just("print"), markets, prices),
    st.tuples(st.just("market"), markets, sides, lots, st.sampled_from([False, False, True])),
    st.tuples(st.just("limit"), markets, sides, lots, prices),
    st.tuples(st.just("limit"), markets, sides, lots, prices),
    st.tuples(st.just("amend"), markets, lots, prices),
    st.tuples(st.just("cancel"), markets),
    st.tuples(st.just("mark"), markets, st.integers(300, 2_500)),
    st.tuples(st.just("fund"), markets, st.sampled_from([D("0.0001"), D("-0.003"), D("0.01")])),
)


class Asks(Strategy):
    """Does what it is asked to when something is published."""

    asked: Any = None

    def on_start(self) -> None:
        """Begin with no order."""
        self.newest = 0

    def on_bar(self, bar: m.Bar, f: Any, /) -> None:
        """Decide nothing."""

    def on_external(self, external: m.External, /) -> None:
        """Do what is asked."""
        if external.name == self.symbol:
            type(self).asked(self)


class Paper:
    """The simulated venue in its core, with one strategy on each contract."""

    def __init__(self, modes: dict[str, bool]) -> None:
        tiers = [{"above": above, "leverage": leverage, "rate": rate} for above, leverage, rate in ROWS]
        contracts = {
            name: {"leverage": LEVERAGE[name], "margin_mode": "isolated" if isolated else "cross"}
            for name, isolated in modes.items()
        }
        venue = {"leverage": 1, "tiers": tiers, "contracts": contracts, "liquidation_fee": LIQUIDATION}
        venue |= {"maker_fee": MAKER, "taker_fee": TAKER}
        specs = [InstrumentSpec(symbol=name, tick=D(tick), lot=LOT, contract=True) for name, tick in TICKS.items()]
        self.instruments = {spec.symbol: Instrument(spec) for spec in specs}
        graph = FeatureGraph(dict.fromkeys(TICKS, MINUTE))
        rows = {name: FeatureRows({}, graph, SeriesKey(name, MINUTE)) for name in TICKS}
        self.said: list[Any] = []
        self.core = Core(
            check_settings({"venue": venue, "market": {"stale_after_bars": 10**6}}, "test"),
            self.instruments,
            [SeriesPlan(name, MINUTE) for name in TICKS],
            [StrategyPlan(name, name, MINUTE, Asks(), rows[name]) for name in TICKS],
            Account(to_atoms(CASH)),
            nonce="t",
            start_ns=MINUTE,
            engine=graph,
            observers={kind: [self.said.append] for kind in (m.Rejected, m.AmendRejected, m.Liquidated, m.Insured)},
        )
        for actor in self.core.strategies:
            actor.start()
        self.last: dict[str, int] = {}

    def print(self, name: str, ticks: int) -> None:
        self.last[name] = ticks
        price = self.instruments[name].price_float(ticks)
        now_ns = self.core.context.now_ns
        self._post(m.Bar(name, MINUTE, now_ns, now_ns + MINUTE, price, price, price, price, 1.0), now_ns + MINUTE)

    def ask(self, name: str, what: Any) -> None:
        Asks.asked = staticmethod(what)
        now_ns = self.core.context.now_ns + 1
        self._post(m.External(name, 0.0, now_ns, now_ns), now_ns)
        self.print(name, self.last[name])

    def mark(self, name: str, ticks: int) -> None:
        self._post(m.Mark(name, self.instruments[name].price_float(ticks), 0.0, 0), self.core.context.now_ns + 1)

    def fund(self, name: str, rate: Decimal) -> None:
        now_ns = self.core.context.now_ns + 1
        self._post(m.Funding(name, float(rate), now_ns, now_ns), now_ns)
        self.core.scheduler.fire_before(now_ns + 1)

    def _post(self, message: m.Message, now_ns: int) -> None:
        self.core.scheduler.fire_before(now_ns)
        self.core.scheduler.post(now_ns, message)
        self.core.ledger.take_marks()


class Pair:
    """Both venues, step by step."""

    def __init__(self, modes: dict[str, bool]) -> None:
        self.paper = Paper(modes)
        listed = [
            x.perpetual_of(
                x.Market(symbol=f"{name}/Q", id=name, base=name, quote="Q", tick=D(tick), lot=LOT, min_notional=D(0))
            )
            for name, tick in TICKS.items()
        ]
        terms = {"brackets": Tiers(ROWS), "liquidation_fee": LIQUIDATION, "funding_rate": D(0)}
        self.engine = PerpetualEngine(listed, {"Q": CASH}, MAKER, TAKER, **terms)  # type: ignore[arg-type]
        self.now_ms = 1_000
        for name, isolated in modes.items():
            self.engine.set_leverage(name, LEVERAGE[name], self.tick())
            if isolated:
                self.engine.set_margin_type(name, isolated, self.tick())
        self.count = 0
        self.refs: dict[str, int] = {}
        self.refused = 0
        self.liquidated = 0
        for name in TICKS:
            self.do(("print", name, 1_000))

    def tick(self) -> int:
        self.now_ms += 1
        return self.now_ms

    def do(self, step: Any) -> None:
        """Do one thing at both, and compare."""
        getattr(self, f"do_{step[0]}")(*step[1:])
        self.compare(step)

    def do_print(self, name: str, ticks: int) -> None:
        self.paper.print(name, ticks)
        self.engine.print_trade(name, ticks, 10**9, self.tick())

    def do_mark(self, name: str, ticks: int) -> None:
        self.paper.mark(name, ticks)
        self.engine.set_mark(name, ticks, self.tick())

    def do_fund(self, name: str, rate: Decimal) -> None:
        self.paper.fund(name, rate)
        self.engine.set_funding_rate(rate, self.tick(), name)
        self.engine.settle_funding(self.tick())
        self.engine.set_funding_rate(D(0), self.tick(), name)

    def do_market(self, name: str, side: int, lots: int, reduce_only: bool) -> None:
        self._order(name, side, lots, None, reduce_only=reduce_only)

    def do_limit(self, name: str, side: int, lots: int, ticks: int) -> None:
        self._order(name, side, lots, ticks)

    def _order(self, name: str, side: int, lots: int, ticks: int | None, *, reduce_only: bool = False) -> None:
        instrument = self.paper.instruments[name]
        limit = None if ticks is None else instrument.price_float(ticks)

        def ask(strategy: Any) -> None:
            wish = strategy.buy if side > 0 else strategy.sell
            self.refs[name] = wish(instrument.quantity_float(lots), limit=limit, reduce_only=reduce_only)

        self.paper.ask(name, ask)
        self.count += 1
        new = x.NewOrder(
            id=name,
            side="BUY" if side > 0 else "SELL",
            type="MARKET" if ticks is None else "LIMIT",
            quantity=lots * LOT,
            price=None if ticks is None else ticks * D(TICKS[name]),
            client_order_id=f"{name}{self.refs[name]}",
            reduce_only=reduce_only,
        )
        self._try(lambda: self.engine.place(new, self.tick()))

    def do_amend(self, name: str, lots: int, ticks: int) -> None:
        ref = self.refs.get(name, 0)
        open_order = next((o for o in self.engine.open_orders(name) if o.client_order_id == f"{name}{ref}"), None)
        if open_order is None:
            return
        instrument = self.paper.instruments[name]
        quantity, limit = instrument.quantity_float(lots), instrument.price_float(ticks)
        self.paper.ask(name, lambda strategy: strategy.amend(ref, quantity=quantity, limit=limit))
        price = ticks * D(TICKS[name])
        known = {"client_order_id": open_order.client_order_id, "side": open_order.side}
        self._try(lambda: self.engine.amend(name, self.tick(), quantity=lots * LOT, price=price, **known))  # type: ignore[arg-type]

    def do_cancel(self, name: str) -> None:
        refs = [int(order.client_order_id.removeprefix(name)) for order in self.engine.open_orders(name)]
        self.paper.ask(name, lambda strategy: [strategy.cancel(ref) for ref in refs])
        self.engine.cancel_all(name, self.tick())

    def _try(self, ask: Any) -> None:
        try:
            ask()
        except x.VenueError as error:
            if error.code not in {-2019, -2027, -2022, -5027}:
                raise
            self.refused += error.code in {-2019, -2027}

    def compare(self, step: Any) -> None:
        """Assert that both accounts are one."""
        account = self.paper.core.margin.account  # type: ignore[union-attr]
        account.check()
        self.engine.audit()
        wallet = next(each for each in self.engine.wallets() if each.asset == "Q")
        mark = account.view()
        ours = (mark.wallet_atoms, mark.initial_atoms, mark.maintenance_atoms, mark.available_atoms)
        orders_atoms = wallet.position_margin_atoms + wallet.order_margin_atoms
        assert ours == (wallet.wallet_atoms, orders_atoms, wallet.maintenance_atoms, wallet.available_atoms), step
        for view in self.engine.positions():
            held = account.held(view.id)
            assert held is not None
            kept = (held.lots, held.cost_atoms, held.isolated_atoms, account.liquidation_ticks(held))
            told = (view.amount_lots, view.cost_atoms, view.isolated_atoms, view.liquidation_ticks)
            assert kept == told, step
        said = [each for each in self.paper.said if isinstance(each, m.Liquidated)]
        forced = [
            (name, trade.side, trade.price_ticks, trade.quantity_lots, trade.commission_atoms)
            for name in TICKS
            for trade, order in (
                (trade, self.engine.order(name, trade.order_id)) for trade in self.engine.my_trades(name, limit=1_000)
            )
            if order.client_order_id.startswith("autoclose-")
        ]
        booked = [
            (each.symbol, "SELL" if each.side < 0 else "BUY", each.price_ticks, each.quantity_lots, each.fee_atoms)
            for each in said
        ]
        assert sorted(booked) == sorted(forced), step
        cleared = sum(each.amount_atoms for each in self.engine.income("INSURANCE_CLEAR", limit=1_000))
        insured = sum(each.amount_atoms for each in self.paper.said if isinstance(each, m.Insured))
        assert insured + sum(each.insured_atoms - each.liquidation_fee_atoms for each in said) == cleared, step
        self.liquidated = len(said)
        open_there = {order.client_order_id for order in self.engine.open_orders()}
        open_here = {f"{o.request.symbol}{o.request.ref}" for o in self.paper.core.execution.orders.values()}
        assert open_here == open_there, step
        refusals = [each for each in self.paper.said if getattr(each, "reason", "") in REFUSED]
        assert len(refusals) == self.refused, step


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.booleans(), st.lists(steps, min_size=5, max_size=40))
def test_both_venues_keep_the_same_account(a_isolated: bool, b_isolated: bool, done: list[Any]) -> None:
    pair = Pair({"A": a_isolated, "B": b_isolated})
    for step in done:
        pair.do(step)


def test_both_make_good_what_a_close_far_from_the_mark_has_cost_too_much() -> None:
    pair = Pair({"A": False, "B": False})
    for step in (
        ("mark", "A", 1_000),
        ("market", "A", 1, 80_000, False),
        ("print", "A", 900),
        ("market", "A", -1, 80_000, False),
    ):
        pair.do(step)
    (paid,) = [each for each in pair.paper.said if isinstance(each, m.Insured)]
    assert paid.amount_atoms > 20 * 10**8
    assert pair.liquidated == 0
    assert pair.paper.core.ledger.cash_atoms == 0


def long_session(seed: int) -> Pair:
    """Play prices that walk and jump, and orders that are large, on either kind of margin."""
    source = random.Random(seed)
    pair = Pair({"A": bool(seed & 1), "B": bool(seed & 2)})
    prices = {"A": 1_000, "B": 1_000}
    for _ in range(150):
        name = source.choice("AB")
        reach = source.choice((6, 6, 6, 6, 6, 6, 70))
        prices[name] = max(300, min(3_000, prices[name] + source.randint(-reach, reach)))
        near = prices[name] + source.randint(-20, 20)
        side, size = source.choice((1, -1)), source.randint(100, 9_000)
        step = source.choice(
            [
                *[("print", name, prices[name])] * 4,
                *[("market", name, side, size, source.random() < 0.2)] * 2,
                ("limit", name, side, size, near),
                ("amend", name, size, near),
                ("cancel", name),
                ("fund", name, D(source.randint(-30, 30)) / 10_000),
                *([("mark", name, prices[name])] * 2 if seed > 7 else []),
            ]
        )
        pair.do(step)
    return pair


@pytest.mark.slow
def test_long_sessions_meet_refusals_liquidations_their_fee_and_the_insurance_fund() -> None:
    pairs = [long_session(seed) for seed in range(24)]
    cleared = [each.amount_atoms for pair in pairs for each in pair.engine.income("INSURANCE_CLEAR", limit=1_000)]
    met = {
        "refused": sum(pair.refused for pair in pairs),
        "liquidated": sum(pair.liquidated for pair in pairs),
        "fees": sum(atoms < 0 for atoms in cleared),
        "insured": sum(atoms > 0 for atoms in cleared),
    }
    assert all(count >= 3 for count in met.values()), met
