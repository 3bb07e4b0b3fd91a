"""Contracts at a real venue as the core sees them: shorts, wallets, funding, and what the venue does on its own."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.execution.remote import RemoteVenue
from actors.features import NoFeatures
from actors.instrument import Instrument, InstrumentSpec
from actors.ledger import Account, Holding
from actors.runtime.journal import decode_input, encode_input
from actors.system import Core, CoreSnapshot, SeriesPlan, StrategyPlan
from config.load import check_settings
from strategies.base import Strategy

MINUTE = 60_000_000_000
UNIT = 10**8
X = "BTC/USDT:USDT"
SPEC = InstrumentSpec(
    symbol=X,
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    min_notional=Decimal(5),
    base="BTC",
    quote="USDT",
    contract=True,
)

Scripted = Callable[..., Strategy]


class Desk:
    """A core that trades a contract at a real venue; whoever holds it plays the venue."""

    def __init__(self, *strategies: Strategy, held: tuple[Holding, ...] = (), **risk: Any) -> None:
        self.heard: list[m.Message] = []
        kinds = [kind for kind in vars(m).values() if isinstance(kind, type) and issubclass(kind, m.Message)]
        self.isolated, self.name = False, "desk"
        self.core = Core(
            check_settings({"risk": risk}, "test"),
            {X: Instrument(SPEC)},
            [SeriesPlan(X, MINUTE)],
            [StrategyPlan(name, X, MINUTE, each, NoFeatures()) for name, each in zip("ab", strategies, strict=False)],
            Account(100_000 * UNIT, list(held)),
            nonce="n0n",
            start_ns=0,
            real=True,
            observers={kind: [self.on_any] for kind in kinds},
        )
        for strategy in self.core.strategies:
            strategy.start()
        self.bars = 0

    @property
    def venue(self) -> RemoteVenue:
        assert isinstance(self.core.venue, RemoteVenue)
        return self.core.venue

    @property
    def halted(self) -> str:
        return self.core.control.reason if self.core.control.trading == "halted" else ""

    def on_any(self, message: m.Message) -> None:
        self.heard.append(message)

    def post(self, message: m.Message) -> list[Any]:
        """Post an input as a journal would give it back; return what was said about it."""
        self.heard.clear()
        self.core.scheduler.post(self.core.context.now_ns, decode_input(encode_input(message)))
        return list(self.heard)

    def bar(self, price: float = 50_000.0) -> list[Any]:
        self.bars += 1
        close_ns = self.bars * MINUTE
        self.heard.clear()
        self.core.scheduler.fire_before(close_ns)
        self.core.scheduler.post(
            close_ns, m.Bar(X, MINUTE, close_ns - MINUTE, close_ns, price, price, price, price, 1.0)
        )
        return list(self.heard)

    def connect(self, usdt: str = "1000", lots: int = 0) -> None:
        self.post(m.VenueLink(up=True))
        self.reconcile(usdt, lots)
        assert self.venue.ready

    def reconcile(self, usdt: str, lots: int, **parts: Any) -> list[Any]:
        """Answer the newest question about the account."""
        values: dict[str, Any] = {"orders": (), "absent": (), "trades": (), "foreign": ()} | parts
        balances = (m.BalanceReported("USDT", int(Decimal(usdt) * UNIT)),)
        positions = (m.PositionReported(X, lots),) if lots else ()
        ask = self.venue.inquiry.asked
        return self.post(m.AccountReported("start", balances=balances, positions=positions, ask=ask, **values))

    def book(self, name: str = "a") -> Holding:
        return self.core.ledger.holdings[name, X]


def trade(number: int, side: int, lots: int, price: int = 500_000, **other: Any) -> m.TradeReported:
    values: dict[str, Any] = {"order": "pbn0n1", "fee": 0, "realized": 0, "at": 5} | other
    return m.TradeReported(
        values["order"],
        X,
        number,
        side,
        price,
        lots,
        "USDT",
        values["fee"],
        "taker",
        values["at"],
        realized_atoms=values["realized"],
    )


def of(said: list[Any], *kinds: type[m.Message]) -> list[Any]:
    return [message for message in said if isinstance(message, kinds)]


# --- orders -----------------------------------------------------------------------------------------


def test_what_is_not_held_can_be_sold_and_bought_back(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.target(-0.01), 1: lambda s: s.target(0)}))
    desk.connect()
    (sent,) = of(desk.bar(), m.SendOrder)
    assert (sent.request.side, sent.request.quantity_lots) == (m.SELL, 10)
    desk.post(trade(1, m.SELL, 10, fee=20))
    assert (desk.book().quantity_lots, desk.book().cost_atoms) == (-10, -500 * UNIT)
    (sent,) = of(desk.bar(), m.SendOrder)
    assert (sent.request.side, sent.request.quantity_lots) == (m.BUY, 10)
    desk.post(trade(2, m.BUY, 10, 490_000, order="pbn0n2", realized=10 * UNIT))
    assert (desk.book().quantity_lots, desk.book().realized_atoms) == (0, 10 * UNIT)
    desk.post(m.VenueLink(up=True))
    assert of(desk.reconcile("1009.9999998", 0), m.Reconciled)[-1].differences == ()


def test_limits_hold_for_shorts(scripted: Scripted) -> None:
    desk = Desk(
        scripted({0: lambda s: s.target(-1), 1: lambda s: s.target(-1)}), max_notional="1000", max_position="0.5"
    )
    desk.connect()
    (sent,) = of(desk.bar(), m.SendOrder)
    assert (sent.request.side, sent.request.quantity_lots) == (m.SELL, 20), "1000 at 50000"
    desk.post(trade(1, m.SELL, 20))
    (veto,) = of(desk.bar(), m.RiskVeto)
    assert "notional limit" in veto.reason


def test_reduce_only_goes_to_the_venue_of_a_book_that_is_alone(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(0.01), 1: lambda s: s.sell(0.01, reduce_only=True)}))
    desk.connect()
    assert [each.reduce_only for each in of(desk.bar(), m.SendOrder)] == [False]
    desk.post(trade(1, m.BUY, 10))
    assert [each.reduce_only for each in of(desk.bar(), m.SendOrder)] == [True]


@pytest.mark.parametrize("why", ["another strategy", "an inherited book", "a foreign position"])
def test_reduce_only_stays_here_where_the_venue_knows_more_than_the_book(scripted: Scripted, why: str) -> None:
    script = {0: lambda s: s.buy(0.01), 1: lambda s: s.sell(0.01, reduce_only=True)}
    others = (scripted({}),) if why == "another strategy" else ()
    held = (Holding("old", X, -30, -1_500 * UNIT),) if why == "an inherited book" else ()
    desk = Desk(scripted(script), *others, held=held)
    desk.connect(lots={"a foreign position": 5, "an inherited book": -30}.get(why, 0))
    desk.bar()
    desk.post(trade(1, m.BUY, 10))
    (sent,) = of(desk.bar(), m.SendOrder)
    assert sent.request.reduce_only
    assert not sent.reduce_only


@pytest.mark.parametrize(("price", "others", "told"), [(4_000, 0, True), (6_000, 0, False), (4_000, -10, False)])
def test_the_last_bit_of_a_book_beside_others_is_reduce_only_where_it_reduces_the_account(
    scripted: Scripted, price: float, others: int, told: bool
) -> None:
    """The venue takes nothing so small otherwise, and no book could ever be flat again."""
    script = {0: lambda s: s.buy(0.002), 1: lambda s: s.sell(0.001, reduce_only=True)}
    desk = Desk(scripted(script), scripted({}))
    desk.connect(lots=others)
    desk.bar(price)
    desk.post(trade(1, m.BUY, 2, round(price * 10)))
    (sent,) = of(desk.bar(price), m.SendOrder)
    assert (sent.request.quantity_lots, sent.reduce_only) == (1, told)


def test_a_flatten_closes_a_short_however_small(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.sell(0.01)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, m.SELL, 10, 4_000))
    (sent,) = of(desk.post(m.Flatten("c")), m.SendOrder)
    assert (sent.request.side, sent.request.quantity_lots, sent.reduce_only) == (m.BUY, 10, True)
    said = desk.post(trade(2, m.BUY, 10, 4_000, order=sent.order_id))
    assert of(said, m.Flattened)


# --- comparing --------------------------------------------------------------------------------------


def test_a_position_from_before_is_left_alone_and_told(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(0.01)}))
    desk.connect(lots=-7)
    assert of(desk.heard, m.Reconciled)[-1].differences == (f"{X}: a position of -0.007 is not ours",)
    desk.bar()
    desk.post(trade(1, m.BUY, 10))
    desk.post(m.VenueLink(up=True))
    assert of(desk.reconcile("1000", 3), m.Reconciled)[-1].differences == (f"{X}: a position of -0.007 is not ours",)
    assert desk.venue.ready
    assert not desk.halted


def test_an_inherited_position_is_ours(scripted: Scripted) -> None:
    desk = Desk(scripted({}), held=(Holding("a", X, 10, 500 * UNIT),))
    desk.connect(lots=10)
    assert of(desk.heard, m.Reconciled)[-1].differences == ()


@pytest.mark.parametrize(
    ("usdt", "lots", "words"),
    [
        ("1000", 9, f"{X}: the venue's position is 0.009, we expect 0.01"),
        ("999.99999999", 10, "USDT: the venue holds 999.99999999, we expect 1000.00000000"),
    ],
)
def test_a_difference_of_one_unit_halts_once_it_is_there_twice(
    scripted: Scripted, usdt: str, lots: int, words: str
) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(0.01)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, m.BUY, 10))
    desk.post(m.VenueLink(up=True))
    said = desk.reconcile(usdt, lots)
    assert of(said, m.AskAccount)
    assert not desk.halted
    desk.reconcile(usdt, lots)
    assert desk.halted == f"the accounts differ: {words}"


def test_a_position_that_is_still_under_way_does_not_halt(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(0.01)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, m.BUY, 10))
    desk.post(m.VenueLink(up=True))
    desk.reconcile("1000", 0)
    desk.reconcile("1000", 10)
    assert desk.venue.ready
    assert not desk.halted


# --- orders that only reduce ------------------------------------------------------------------------


def beside(scripted: Scripted, *others: Strategy) -> Desk:
    """Return a desk whose first strategy holds 0.01, with a stop and a profit for all of it that only reduce."""
    exits = (("limit", 60_000), ("stop", 40_000))
    plan = {0: lambda s: s.buy(0.01), 1: lambda s: [s.sell(0.01, **{k: v}, reduce_only=True) for k, v in exits]}
    desk = Desk(scripted(plan), *others)
    desk.connect()
    desk.bar()
    desk.post(trade(1, m.BUY, 10))
    assert [sent.reduce_only for sent in of(desk.bar(), m.SendOrder)] == [not others] * 2
    for order_id in ("pbn0n2", "pbn0n3"):
        desk.post(m.OrderReported(order_id, "7", "open", 0))
    return desk


def test_beside_other_books_what_only_reduces_is_kept_within_its_own(scripted: Scripted) -> None:
    """The venue is not told, for it knows the position of all: the stop would sell what the profit has sold before."""
    desk = beside(scripted, scripted())
    (amend,) = of(desk.post(trade(2, m.SELL, 4, 600_000, order="pbn0n2")), m.SendAmend)
    assert (amend.order_id, amend.request.quantity_lots, amend.request.stop_ticks) == ("pbn0n3", 6, 400_000)
    assert of(desk.post(trade(3, m.SELL, 1, 600_000, order="pbn0n2")), m.SendAmend) == [], "one change at a time"
    (amend,) = of(desk.post(m.OrderReported(amend.new_order_id, "8", "open", 0)), m.SendAmend)
    assert (amend.order_id, amend.request.quantity_lots) == ("pbn0n4", 5)
    desk.post(m.OrderReported(amend.new_order_id, "9", "open", 0))
    said = desk.post(trade(4, m.SELL, 5, 600_000, order="pbn0n2"))
    assert [sent.order_id for sent in of(said, m.SendCancel)] == ["pbn0n6"], "nothing is left"


def test_what_could_not_be_made_smaller_is_made_so_after_the_next_comparison(scripted: Scripted) -> None:
    desk = beside(scripted, scripted())
    (amend,) = of(desk.post(trade(2, m.SELL, 4, 600_000, order="pbn0n2")), m.SendAmend)
    desk.post(m.AmendRefused("pbn0n3", amend.new_order_id, "busy"))
    desk.post(m.OrderReported("pbn0n3", "7", "open", 0, asked=True, quantity_lots=10))
    assert "pbn0n3" in desk.core.execution.orders, "it protects until then"
    desk.post(m.VenueLink(up=True))
    orders = tuple(m.OrderReported(order_id, "7", "open", lots) for order_id, lots in (("pbn0n2", 4), ("pbn0n3", 0)))
    (amend,) = of(desk.reconcile("1000", 6, orders=orders), m.SendAmend)
    assert (amend.order_id, amend.request.quantity_lots) == ("pbn0n3", 6)


def test_a_venue_that_knows_the_book_sees_to_that_itself(scripted: Scripted) -> None:
    said = beside(scripted).post(trade(2, m.SELL, 4, 600_000, order="pbn0n2"))
    assert of(said, m.SendAmend, m.SendCancel) == []


# --- funding ----------------------------------------------------------------------------------------


def test_funding_is_shared_once_however_often_it_is_told(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(0.03)}), scripted({0: lambda s: s.sell(0.01)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, m.BUY, 30))
    desk.post(trade(2, m.SELL, 10, order="pbn0n2"))
    desk.bar()
    paid = m.FundingPaid(X, 900, -200, "USDT", desk.core.context.now_ns)
    cash_atoms = desk.core.ledger.cash_atoms
    assert [(each.strategy, each.amount_atoms) for each in of(desk.post(paid), m.FundingShared)] == [
        ("a", -300),
        ("b", 100),
    ]
    assert desk.core.ledger.cash_atoms == cash_atoms - 200
    assert (desk.book("a").funding_atoms, desk.book("b").funding_atoms) == (-300, 100)
    assert of(desk.post(paid), m.FundingShared) == []
    desk.post(m.VenueLink(up=True))
    said = desk.reconcile("999.999998", 20, funding=(paid,))
    assert of(said, m.FundingShared) == []
    assert of(said, m.Reconciled)[-1].differences == ()


def test_funding_that_was_missed_comes_with_the_account(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(0.01)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, m.BUY, 10))
    (ask,) = of(desk.post(m.VenueLink(up=True)), m.AskAccount)
    assert dict(ask.funding_after)[X] <= desk.core.context.now_ns
    paid = m.FundingPaid(X, 900, -200, "USDT", desk.core.context.now_ns)
    desk.reconcile("999.999998", 10, funding=(paid,))
    (ask,) = of(desk.heard, m.AskAccount)
    assert dict(ask.funding_after)[X] == paid.paid_ns
    desk.reconcile("999.999998", 10, funding=(paid,))
    assert desk.book().funding_atoms == -200
    assert desk.venue.ready
    assert not desk.halted


def test_funding_told_before_an_execution_that_earned_it_waits_for_the_comparison(scripted: Scripted) -> None:
    """The stream lost the execution; taken at once, the payment would be nobody's."""
    desk = Desk(scripted({0: lambda s: s.buy(0.01)}))
    desk.connect()
    desk.bar()
    paid = m.FundingPaid(X, 900, -200, "USDT", desk.core.context.now_ns)
    assert of(desk.post(paid), m.FundingShared) == []
    desk.post(m.VenueLink(up=True))
    said = desk.reconcile("999.999998", 10, trades=(trade(1, m.BUY, 10),), funding=(paid,))
    assert [(each.strategy, each.amount_atoms) for each in of(said, m.FundingShared)] == [("a", -200)]
    assert desk.book().funding_atoms == -200


@pytest.mark.parametrize("closed", [2, 4])
def test_funding_of_before_a_liquidation_is_shared_by_what_was_held_before_it(scripted: Scripted, closed: int) -> None:
    """Told after it: by what the venue had left, the books would get twice what was paid, or one of them all."""
    desk = Desk(scripted({0: lambda s: s.buy(0.03)}), scripted({0: lambda s: s.buy(0.01)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, m.BUY, 30))
    desk.post(trade(2, m.BUY, 10, order="pbn0n2"))
    desk.bar()
    now_ns = desk.core.context.now_ns
    money = ("USDT", 0, 0)
    desk.post(m.ForcedTrade(X, "liquidation", "autoclose-1", 3, m.SELL, 500_000, 10 * closed, *money, now_ns + 1))
    other = Desk(scripted(), scripted())
    other.core.restore(desk.core.snapshot())
    for each in (desk, other):
        said = each.post(m.FundingPaid(X, 900, -400, "USDT", now_ns))
        assert [(part.strategy, part.amount_atoms) for part in of(said, m.FundingShared)] == [("a", -300), ("b", -100)]


def test_funding_survives_a_snapshot(scripted: Scripted) -> None:
    def make() -> Desk:
        return Desk(scripted({0: lambda s: s.sell(0.01)}))

    desk, other = make(), make()
    desk.connect(lots=4)
    desk.bar()
    desk.post(trade(1, m.SELL, 10))
    desk.bar()
    paid = m.FundingPaid(X, 900, 60, "USDT", desk.core.context.now_ns)
    desk.post(paid)
    other.core.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(desk.core.snapshot()), type=CoreSnapshot))
    assert of(other.post(paid), m.FundingShared) == []
    assert other.book().funding_atoms == 100, "ours is 10 of the 6 lots short"
    for each in (desk, other):
        each.post(m.VenueLink(up=True))
        each.reconcile("1000.0000006", -6)
    assert other.core.digest.value == desk.core.digest.value
    assert other.venue.ready


def test_funding_in_a_strange_asset_halts_by_name(scripted: Scripted) -> None:
    desk = Desk(scripted({}))
    desk.connect()
    desk.post(m.FundingPaid(X, 900, -200, "BNB", 5))
    assert "funding was paid in BNB" in desk.halted


# --- what the venue does on its own -----------------------------------------------------------------


def test_a_liquidation_halts_by_name_and_nothing_more_is_sent(scripted: Scripted) -> None:
    script = {0: lambda s: s.buy(0.01), 1: lambda s: s.target(0), 2: lambda s: s.buy(0.01)}
    desk = Desk(scripted(script))
    desk.connect()
    desk.bar()
    desk.post(trade(1, m.BUY, 10))
    forced = m.ForcedTrade(
        X, "liquidation", "autoclose-77", 2, m.SELL, 400_000, 10, "USDT", 400_000_000, -100 * UNIT, 9
    )
    said = desk.post(forced)
    assert "liquidation: the venue's order autoclose-77 sold 0.01 at 40000" in desk.halted
    assert of(desk.post(forced), m.Halt) == []
    desk.post(m.VenueLink(up=True))
    said = desk.reconcile("896", 0, forced=(forced,))
    assert not [each for each in of(said, m.Reconciled)[-1].differences if "expect" in each]
    desk.post(m.Resume("c"))
    (refused,) = of(desk.bar(), m.Rejected)
    assert "autoclose-77" in refused.reason
    desk.post(m.Flatten("c2"))
    assert of(desk.heard, m.SendOrder) == []
    assert "the venue refuses to close" in desk.halted
