"""A change of an order at a real venue: one test a row of its table, and never more at work than the total."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.features import NoFeatures
from actors.instrument import Instrument, InstrumentSpec
from actors.ledger import Account
from actors.system import Core, CoreSnapshot, SeriesPlan, StrategyPlan
from config.load import check_settings
from strategies.base import Strategy

MINUTE = 60_000_000_000
UNIT = 10**8
OLD, NEW, REST = "pbn0n1", "pbn0n2", "pbn0n3"
"""Ids of the order, of what replaces it, and of its rest once it was withdrawn: the core's counter draws them."""
Scripted = Callable[..., Strategy]
Of = Callable[[type[Any], list[m.Message]], list[Any]]


class Desk:
    """A core that trades at a real venue, with ticks of 1 and lots of 0.001; whoever holds it plays the venue."""

    def __init__(self, strategy: Strategy, *, contract: bool = False) -> None:
        self.heard: list[m.Message] = []
        kinds = [kind for kind in vars(m).values() if isinstance(kind, type) and issubclass(kind, m.Message)]
        self.isolated, self.name = False, "desk"
        self.symbol = "BTC/USDT:USDT" if contract else "BTC/USDT"
        spec = InstrumentSpec(
            symbol=self.symbol,
            tick=Decimal(1),
            lot=Decimal("0.001"),
            base="BTC",
            quote="USDT",
            long_only=not contract,
            contract=contract,
        )
        self.core = Core(
            check_settings({"exchange": {"reconcile_s": 3600}}, "test"),
            {self.symbol: Instrument(spec)},
            [SeriesPlan(self.symbol, MINUTE)],
            [StrategyPlan("a", self.symbol, MINUTE, strategy, NoFeatures())],
            Account(100_000 * UNIT),
            nonce="n0n",
            start_ns=0,
            real=True,
            observers={kind: [self.on_any] for kind in kinds},
        )
        self.core.strategies[0].start()
        self.bars = 0

    @property
    def venue(self) -> Any:
        return self.core.venue

    def on_any(self, message: m.Message) -> None:
        self.heard.append(message)

    def post(self, *messages: m.Message) -> list[Any]:
        """Post inputs; return what was said about them."""
        self.heard.clear()
        for message in messages:
            self.core.scheduler.post(self.core.context.now_ns, message)
        return list(self.heard)

    def bar(self) -> list[Any]:
        self.bars += 1
        close_ns = self.bars * MINUTE
        self.heard.clear()
        self.core.scheduler.fire_before(close_ns)
        bar = m.Bar(self.symbol, MINUTE, close_ns - MINUTE, close_ns, 100.0, 100.0, 100.0, 100.0, 1.0)
        self.core.scheduler.post(close_ns, bar)
        return list(self.heard)

    def reconcile(self, **parts: Any) -> list[Any]:
        """Answer the newest question about the account with balances that agree, and these parts."""
        for asset in self.venue._accounts.assets.values():
            asset.baseline_atoms = None
        values: dict[str, Any] = {"orders": (), "absent": (), "trades": (), "foreign": (), "balances": ()} | parts
        return self.post(m.AccountReported("start", ask=self.venue.inquiry.asked, **values))

    def connect(self) -> None:
        self.post(m.VenueLink(up=True))
        self.reconcile()
        assert self.venue.ready

    def reported(self, order_id: str, state: Any, filled: int, **more: Any) -> m.OrderReported:
        number = {OLD: "77", NEW: "78", REST: "79"}[order_id]
        return m.OrderReported(order_id, number, state, filled, **more)

    def traded(self, order_id: str, number: int, lots: int) -> m.TradeReported:
        return m.TradeReported(order_id, self.symbol, number, m.BUY, 100, lots, "USDT", 0, "maker", 5)

    @property
    def halted(self) -> str:
        return self.core.control.reason if self.core.control.trading == "halted" else ""

    @property
    def order(self) -> Any:
        """The order as the core knows it, or None."""
        orders = list(self.core.execution.orders.values())
        return orders[0] if orders else None


def names(messages: list[Any]) -> list[str]:
    """Return what happened to orders and what left, in order."""
    said = (m.Accepted, m.Rejected, m.Cancelled, m.Expired, m.CancelRejected, m.Amended, m.AmendRejected, m.Fill)
    left = (m.SendOrder, m.SendCancel, m.SendAmend, m.AskOrder, m.AskAccount, m.Halt)
    return [type(message).__name__ for message in messages if isinstance(message, said + left)]


def make(scripted: Scripted, *, contract: bool = False, **change: Any) -> Desk:
    """Return a desk with an order for ten lots at 100 that the venue has taken, and a change of it under way."""
    desk = ready(scripted, contract=contract, **change)
    assert names(desk.bar()) == ["SendAmend"]
    return desk


def ready(scripted: Scripted, *, contract: bool = False, **change: Any) -> Desk:
    """Return a desk whose strategy changes its order on the next bar, and cancels it on the one after."""
    change = change or {"limit": 99}
    plan = {0: lambda s: s.buy(0.010, limit=100), 1: lambda s: s.amend(1, **change), 2: lambda s: s.cancel(1)}
    desk = Desk(scripted(plan), contract=contract)
    desk.connect()
    desk.bar()
    desk.post(desk.reported(OLD, "open", 0))
    return desk


# --- what leaves ------------------------------------------------------------------------------------


def test_a_change_leaves_as_an_effect_and_nothing_is_changed_yet(scripted: Scripted, of: Of) -> None:
    desk = ready(scripted, limit=99, quantity=0.012)
    (sent,) = of(m.SendAmend, desk.bar())
    assert (sent.order_id, sent.venue_order_id, sent.new_order_id, sent.booked_lots) == (OLD, "77", NEW, 0)
    assert (sent.request.quantity_lots, sent.request.limit_ticks, sent.request.ref) == (12, 99, 1)
    assert (desk.order.order_id, desk.order.state, desk.order.request.limit_ticks) == (OLD, "amending", 100)


def test_the_venue_is_told_what_it_shall_have_of_an_order_that_took_anothers_place(scripted: Scripted, of: Of) -> None:
    """Four of ten were filled before the first change: of a total of twelve, eight are the new order's."""
    plan = {
        0: lambda s: s.buy(0.010, limit=100),
        1: lambda s: s.amend(1, limit=99),
        2: lambda s: s.amend(1, quantity=0.012),
    }
    desk = Desk(scripted(plan))
    desk.connect()
    desk.bar()
    desk.post(desk.reported(OLD, "open", 0), desk.traded(OLD, 1, 4))
    desk.bar()
    desk.post(m.AmendRefused(OLD, NEW, "x", withdraw_first=True), desk.reported(OLD, "cancelled", 4))
    desk.post(desk.reported(REST, "open", 0))
    (sent,) = of(m.SendAmend, desk.bar())
    assert (sent.order_id, sent.request.quantity_lots, sent.booked_lots) == (REST, 8, 0)
    (amended,) = of(m.Amended, desk.post(m.OrderReported("pbn0n4", "80", "open", 0)))
    assert (amended.new_order_id, amended.quantity_lots) == ("pbn0n4", 12)


@pytest.mark.parametrize("state", ["link lost", "linked and not compared", "long ago"])
def test_no_change_leaves_while_nobody_could_say_what_became_of_it(scripted: Scripted, state: str) -> None:
    desk = ready(scripted)
    if state == "long ago":
        desk.core.context.now_ns = 900 * MINUTE
        bar = m.Bar(desk.symbol, MINUTE, MINUTE, 2 * MINUTE, 100.0, 100.0, 100.0, 100.0, 1.0)
        assert names(desk.post(bar))[-1:] == ["AmendRejected"]
    else:
        desk.post(m.VenueLink(up=state != "link lost"))
        assert names(desk.bar()) == ["AmendRejected"]
    assert desk.order.state == "working"
    assert desk.order.request.limit_ticks == 100


def test_a_change_to_no_more_than_is_filled_withdraws_the_rest(scripted: Scripted, of: Of) -> None:
    desk = ready(scripted, quantity=0.004)
    desk.post(desk.traded(OLD, 1, 4))
    assert names(desk.bar()) == ["SendCancel"]
    (end,) = of(m.Cancelled, desk.post(desk.reported(OLD, "cancelled", 4)))
    assert end.reason == "amended to what was already filled"
    assert desk.venue.sent == {}


# --- the table --------------------------------------------------------------------------------------

Story = tuple[Callable[[Desk], list[m.Message]], list[str], str, str]
"""What the venue says, what the core says and sends, the order's id and state at the end; "" where it has ended."""

ROWS: dict[str, Story] = {
    "the replacement is open: amended": (
        lambda d: [d.reported(NEW, "open", 0)],
        ["Amended"],
        NEW,
        "working",
    ),
    "an execution of the replacement before anything else": (
        lambda d: [d.traded(NEW, 1, 3), d.reported(NEW, "open", 3)],
        ["Amended", "Fill"],
        NEW,
        "partly_filled",
    ),
    "the replacement is filled at once": (
        lambda d: [d.traded(NEW, 1, 10), d.reported(NEW, "filled", 10)],
        ["Amended", "Fill"],
        "",
        "",
    ),
    "the replacement is filled, and its trades come late": (
        lambda d: [d.reported(NEW, "filled", 10), d.traded(NEW, 1, 10)],
        ["Amended", "AskOrder", "Fill"],
        "",
        "",
    ),
    "the old order's end comes first": (
        lambda d: [d.reported(OLD, "cancelled", 0), d.reported(NEW, "open", 0)],
        ["Amended"],
        NEW,
        "working",
    ),
    "the old order's end comes last": (
        lambda d: [d.reported(NEW, "open", 0), d.reported(OLD, "cancelled", 0)],
        ["Amended"],
        NEW,
        "working",
    ),
    "in doubt, and the replacement is there": (
        lambda d: [m.OrderInDoubt(NEW, "timed out"), d.reported(NEW, "open", 0, asked=True)],
        ["AskOrder", "Amended"],
        NEW,
        "working",
    ),
    "in doubt, and it never arrived": (
        lambda d: [m.OrderInDoubt(NEW, "timed out"), m.OrderAbsent(NEW), d.reported(OLD, "open", 0, asked=True)],
        ["AskOrder", "AskOrder", "AmendRejected"],
        OLD,
        "working",
    ),
    "what is said of the order before it was asked decides nothing": (
        lambda d: [m.OrderAbsent(NEW), d.reported(OLD, "open", 0)],
        ["AskOrder"],
        OLD,
        "amending",
    ),
    "in doubt, and only the cancel was done": (
        lambda d: [m.OrderInDoubt(NEW, "x"), d.reported(OLD, "cancelled", 0), m.OrderAbsent(NEW)],
        ["AskOrder", "Cancelled"],
        "",
        "",
    ),
    "refused, and the old order works on": (
        lambda d: [m.AmendRefused(OLD, NEW, "no money"), d.reported(OLD, "open", 0, asked=True)],
        ["AskOrder", "AmendRejected"],
        OLD,
        "working",
    ),
    "refused, and the old order is gone": (
        lambda d: [m.AmendRefused(OLD, NEW, "no money"), d.reported(OLD, "cancelled", 0, asked=True)],
        ["AskOrder", "Cancelled"],
        "",
        "",
    ),
    "refused, and the old order was filled": (
        lambda d: [m.AmendRefused(OLD, NEW, "gone"), d.traded(OLD, 1, 10), d.reported(OLD, "filled", 10, asked=True)],
        ["AskOrder", "Fill"],
        "",
        "",
    ),
    "the old order is filled before the change arrives": (
        lambda d: [d.traded(OLD, 1, 10), m.AmendRefused(OLD, NEW, "gone"), m.OrderAbsent(NEW)],
        ["Fill"],
        "",
        "",
    ),
    "the old order expires while the change is open, and the change was refused": (
        lambda d: [d.reported(OLD, "expired", 0, reason="day"), m.AmendRefused(OLD, NEW, "gone")],
        ["Expired"],
        "",
        "",
    ),
    "partly executed meanwhile: withdrawn, and the rest is sent": (
        lambda d: [
            d.traded(OLD, 1, 4),
            m.AmendRefused(OLD, NEW, "restricted", withdraw_first=True),
            d.reported(OLD, "cancelled", 4),
            d.reported(REST, "open", 0),
        ],
        ["Fill", "SendCancel", "SendOrder", "Amended"],
        REST,
        "working",
    ),
    "withdrawn with more executed than we know: the rest waits for it": (
        lambda d: [
            m.AmendRefused(OLD, NEW, "restricted", withdraw_first=True),
            d.reported(OLD, "cancelled", 4),
            d.traded(OLD, 1, 4),
            d.reported(REST, "open", 0),
        ],
        ["SendCancel", "AskOrder", "Fill", "SendOrder", "Amended"],
        REST,
        "working",
    ),
    "withdrawn, and wholly executed meanwhile": (
        lambda d: [m.AmendRefused(OLD, NEW, "x", withdraw_first=True), d.traded(OLD, 1, 10)],
        ["SendCancel", "Fill"],
        "",
        "",
    ),
    "withdrawn, and the cancel is in doubt": (
        lambda d: [
            m.AmendRefused(OLD, NEW, "x", withdraw_first=True),
            m.OrderInDoubt(OLD, "cancel: timed out"),
            d.reported(OLD, "open", 0, asked=True),
            d.reported(OLD, "cancelled", 0),
        ],
        ["SendCancel", "AskOrder", "SendCancel", "SendOrder"],
        OLD,
        "amending",
    ),
    "withdrawn in vain three times: it works on as it was": (
        lambda d: [
            m.AmendRefused(OLD, NEW, "x", withdraw_first=True),
            *(m.CancelRefused(OLD, "not now") for _ in range(3)),
            d.reported(OLD, "open", 0),
        ],
        ["SendCancel", "AskOrder", "AskOrder", "AmendRejected", "AskOrder"],
        OLD,
        "working",
    ),
    "withdrawn, and the rest is refused": (
        lambda d: [
            m.AmendRefused(OLD, NEW, "x", withdraw_first=True),
            d.reported(OLD, "cancelled", 0),
            d.reported(REST, "rejected", 0, reason="no money"),
        ],
        ["SendCancel", "SendOrder", "Cancelled"],
        "",
        "",
    ),
    "withdrawn, and the rest never arrives": (
        lambda d: [
            m.AmendRefused(OLD, NEW, "x", withdraw_first=True),
            d.reported(OLD, "cancelled", 0),
            m.OrderInDoubt(REST, "x"),
            m.OrderAbsent(REST),
        ],
        ["SendCancel", "SendOrder", "AskOrder", "Cancelled"],
        "",
        "",
    ),
    "anything twice": (
        lambda d: [
            d.reported(NEW, "open", 0),
            d.reported(NEW, "open", 0),
            m.AmendRefused(OLD, NEW, "x"),
            m.OrderAbsent(OLD),
            d.reported(OLD, "open", 0),
        ],
        ["Amended"],
        NEW,
        "working",
    ),
}


def tell(desk: Desk, messages: list[m.Message]) -> list[str]:
    return [name for message in messages for name in names(desk.post(message))]


def state_of(desk: Desk) -> tuple[str, str]:
    return (desk.order.order_id, desk.order.state) if desk.order else ("", "")


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_table(scripted: Scripted, row: str) -> None:
    desk = make(scripted)
    messages, expected, order_id, state = ROWS[row]
    assert tell(desk, messages(desk)) == expected
    assert state_of(desk) == (order_id, state)
    assert not desk.halted
    if not desk.order:
        assert desk.venue.sent == {}


@pytest.mark.parametrize("row", ROWS)
def test_a_core_restored_in_the_midst_of_it_goes_on_alike(scripted: Scripted, row: str) -> None:
    messages, expected, order_id, state = ROWS[row]
    for cut in range(len(messages(make(scripted))) + 1):
        desk = make(scripted)
        story = messages(desk)
        said = tell(desk, story[:cut])
        other = make(scripted)
        snapshot = msgspec.msgpack.encode(desk.core.snapshot())
        other.core.restore(msgspec.msgpack.decode(snapshot, type=CoreSnapshot))
        assert msgspec.msgpack.encode(other.core.snapshot()) == snapshot
        assert said + tell(other, story[cut:]) == expected
        assert state_of(other) == (order_id, state)


def test_what_works_after_a_change_is_never_more_than_the_total(scripted: Scripted, of: Of) -> None:
    desk = make(scripted, quantity=0.012, limit=99)
    desk.post(desk.traded(OLD, 1, 4), m.AmendRefused(OLD, NEW, "x", withdraw_first=True))
    desk.post(desk.traded(OLD, 2, 3))
    (sent,) = of(m.SendOrder, desk.post(desk.reported(OLD, "cancelled", 7)))
    assert (sent.order_id, sent.request.quantity_lots, sent.request.limit_ticks) == (REST, 5, 99)
    (amended,) = of(m.Amended, desk.post(desk.reported(REST, "open", 0)))
    assert (amended.order_id, amended.new_order_id, amended.quantity_lots) == (OLD, REST, 12)
    (fill,) = of(m.Fill, desk.post(desk.traded(REST, 3, 5)))
    assert fill.remaining_lots == 0
    assert desk.core.ledger.holdings["a", desk.symbol].quantity_lots == 12


def test_a_replacement_of_what_was_executed_halts(scripted: Scripted) -> None:
    desk = make(scripted)
    desk.post(desk.traded(OLD, 1, 4))
    desk.post(desk.reported(NEW, "open", 0))
    assert "although 4 lots of it were executed" in desk.halted
    assert desk.order.request.quantity_lots == 14, "what is at work is not hidden"


def test_an_execution_of_the_old_order_after_it_was_replaced_halts(scripted: Scripted) -> None:
    desk = make(scripted)
    desk.post(desk.reported(NEW, "open", 0))
    desk.post(desk.traded(OLD, 1, 4))
    assert "had ended" in desk.halted


def test_the_reason_of_a_refused_replacement_is_told(scripted: Scripted, of: Of) -> None:
    desk = make(scripted)
    said = desk.post(m.AmendRefused(OLD, NEW, "no money"), desk.reported(OLD, "cancelled", 0))
    assert [each.reason for each in of(m.Cancelled, said)] == ["amended: no money"]


# --- changed in its place ---------------------------------------------------------------------------

IN_PLACE: dict[str, tuple[dict[str, Any], Story]] = {
    "the reply has the new terms": (
        {"limit": 99},
        (
            lambda d: [d.reported(OLD, "open", 0, quantity_lots=10, limit_ticks=99), m.OrderAbsent(NEW)],
            ["Amended"],
            OLD,
            "working",
        ),
    ),
    "the reply has other terms": (
        {"limit": 99},
        (
            lambda d: [
                d.reported(OLD, "open", 0, quantity_lots=10, limit_ticks=100),
                m.OrderAbsent(NEW),
                d.reported(OLD, "open", 0, quantity_lots=10, limit_ticks=100, asked=True),
            ],
            ["AskOrder", "AmendRejected"],
            OLD,
            "working",
        ),
    ),
    "in doubt, and it was done": (
        {"limit": 99},
        (
            lambda d: [
                m.OrderInDoubt(NEW, "timed out"),
                m.OrderAbsent(NEW),
                d.reported(OLD, "open", 0, quantity_lots=10, limit_ticks=99, asked=True),
            ],
            ["AskOrder", "AskOrder", "Amended"],
            OLD,
            "working",
        ),
    ),
    "executed on the old terms before": (
        {"limit": 99},
        (
            lambda d: [d.traded(OLD, 1, 4), d.reported(OLD, "open", 4, quantity_lots=10, limit_ticks=99)],
            ["Fill", "Amended"],
            OLD,
            "working",
        ),
    ),
    "made larger, and executed to the old total before we hear of it": (
        {"quantity": 0.015},
        (
            lambda d: [
                d.traded(OLD, 1, 10),
                d.reported(OLD, "open", 10, quantity_lots=15, limit_ticks=100),
                d.traded(OLD, 2, 5),
            ],
            ["AskOrder", "Amended", "Fill", "Fill"],
            "",
            "",
        ),
    ),
    "to be made larger, and filled before it could be": (
        {"quantity": 0.015},
        (
            lambda d: [
                d.traded(OLD, 1, 10),
                d.traded(OLD, 1, 10),
                d.reported(OLD, "filled", 10, quantity_lots=10, limit_ticks=100),
                m.AmendRefused(OLD, NEW, "gone"),
            ],
            ["AskOrder", "Fill"],
            "",
            "",
        ),
    ),
    "made smaller to what was executed meanwhile": (
        {"quantity": 0.005},
        (
            lambda d: [d.traded(OLD, 1, 5), d.reported(OLD, "filled", 5, quantity_lots=5, limit_ticks=100)],
            ["Fill", "Cancelled"],
            "",
            "",
        ),
    ),
    "more executed than it shall have: the venue ends it": (
        {"quantity": 0.005},
        (
            lambda d: [d.traded(OLD, 1, 7), d.reported(OLD, "cancelled", 7), m.OrderAbsent(NEW)],
            ["Fill", "Cancelled"],
            "",
            "",
        ),
    ),
}


@pytest.mark.parametrize("row", IN_PLACE)
def test_a_change_in_its_place(scripted: Scripted, row: str) -> None:
    change, (messages, expected, order_id, state) = IN_PLACE[row]
    desk = make(scripted, contract=True, **change)
    assert tell(desk, messages(desk)) == expected
    assert state_of(desk) == (order_id, state)
    assert not desk.halted
    if not desk.order:
        assert desk.venue.sent == {}


def test_an_order_changed_in_its_place_may_execute_its_new_total(scripted: Scripted, of: Of) -> None:
    desk = make(scripted, contract=True, quantity=0.015)
    desk.post(desk.reported(OLD, "open", 0, quantity_lots=15, limit_ticks=100))
    (fill,) = of(m.Fill, desk.post(desk.traded(OLD, 1, 14)))
    assert fill.remaining_lots == 1
    desk.post(desk.traded(OLD, 2, 2))
    assert "does not fit" in desk.halted


# --- cancels, pauses, lost links --------------------------------------------------------------------


def test_a_cancel_while_a_change_is_open_withdraws_whichever_works(scripted: Scripted) -> None:
    desk = make(scripted)
    assert names(desk.bar()) == ["SendCancel"]
    assert names(desk.post(desk.reported(NEW, "open", 0))) == ["Amended", "SendCancel"]
    assert state_of(desk) == (NEW, "cancelling")
    assert names(desk.post(desk.reported(NEW, "cancelled", 0))) == ["Cancelled"]


def test_a_cancel_while_a_change_is_open_and_comes_to_nothing(scripted: Scripted) -> None:
    desk = make(scripted)
    desk.bar()
    assert names(desk.post(desk.reported(OLD, "cancelled", 0))) == []
    assert names(desk.post(m.AmendRefused(OLD, NEW, "unknown order"))) == ["Cancelled"]
    assert desk.venue.sent == {}


def test_a_cancel_while_it_is_withdrawn_to_be_changed_sends_no_rest(scripted: Scripted) -> None:
    desk = make(scripted)
    desk.post(m.AmendRefused(OLD, NEW, "x", withdraw_first=True))
    desk.bar()
    assert names(desk.post(desk.reported(OLD, "cancelled", 0))) == ["Cancelled"]
    assert desk.venue.sent == {}


def test_a_cancel_while_the_rest_is_on_its_way_withdraws_the_rest(scripted: Scripted, of: Of) -> None:
    desk = make(scripted)
    desk.post(m.AmendRefused(OLD, NEW, "x", withdraw_first=True), desk.reported(OLD, "cancelled", 0))
    (cancel,) = of(m.SendCancel, desk.bar())
    assert cancel.order_id == REST
    assert names(desk.post(desk.reported(REST, "open", 0))) == ["Amended"], "it is asked to leave already"
    assert names(desk.post(desk.reported(REST, "cancelled", 0))) == ["Cancelled"]


@pytest.mark.parametrize("command", [m.Pause("c1"), m.Flatten("c1"), m.Stop("c1"), m.Halt("because")])
def test_no_rest_is_sent_once_trading_stops(scripted: Scripted, command: m.Message) -> None:
    desk = make(scripted)
    desk.post(m.AmendRefused(OLD, NEW, "x", withdraw_first=True))
    desk.post(command)
    assert "SendOrder" not in names(desk.post(desk.reported(OLD, "cancelled", 0)))
    assert desk.order is None


def test_the_rest_waits_for_a_lost_link_and_for_the_accounts(scripted: Scripted, of: Of) -> None:
    desk = make(scripted)
    desk.post(m.AmendRefused(OLD, NEW, "x", withdraw_first=True), m.VenueLink(up=False))
    desk.post(m.VenueLink(up=True))
    said = desk.reconcile(orders=(desk.reported(OLD, "cancelled", 0),))
    (sent,) = of(m.SendOrder, said)
    assert sent.order_id == REST
    assert names(said)[-1] == "SendOrder"


def test_a_rest_that_waited_too_long_is_not_sent(scripted: Scripted, of: Of) -> None:
    desk = make(scripted)
    desk.post(m.AmendRefused(OLD, NEW, "x", withdraw_first=True), m.VenueLink(up=False))
    desk.core.context.now_ns = 900 * MINUTE
    desk.post(m.VenueLink(up=True))
    (end,) = of(m.Cancelled, desk.reconcile(orders=(desk.reported(OLD, "cancelled", 0),)))
    assert (end.order_id, end.reason) == (OLD, "decided on market data of long ago")


def test_a_rest_that_waits_can_be_cancelled(scripted: Scripted) -> None:
    desk = make(scripted)
    desk.post(m.AmendRefused(OLD, NEW, "x", withdraw_first=True), m.VenueLink(up=False))
    desk.post(desk.reported(OLD, "cancelled", 0))
    assert names(desk.bar()) == ["Cancelled"]
    assert desk.order is None
    assert desk.venue.sent == {}


def test_after_a_lost_link_both_orders_are_asked_for_and_a_lost_question_is_repeated(
    scripted: Scripted, of: Of
) -> None:
    desk = make(scripted)
    desk.post(m.VenueLink(up=False))
    (ask,) = of(m.AskAccount, desk.post(m.VenueLink(up=True)))
    assert {name for name, _ in ask.orders} == {OLD, NEW}
    said = desk.reconcile(orders=(desk.reported(OLD, "open", 0),), absent=(NEW,))
    assert names(said)[:1] == ["AskOrder"], "what the account said of it may be older than the end of the doubt"
    desk.post(m.VenueLink(up=False))
    assert names(desk.post(m.VenueLink(up=True))) == ["AskAccount", "AskOrder"]
    assert names(desk.post(desk.reported(OLD, "open", 0, asked=True))) == ["AmendRejected"]


def test_a_strategy_hears_what_became_of_its_change(scripted: Scripted) -> None:
    heard: list[tuple[int, str]] = []
    strategy = scripted(
        {0: lambda s: s.buy(0.010, limit=100), 1: lambda s: s.amend(1, limit=99), 2: lambda s: s.amend(1, limit=98)},
        on_order=lambda _, update: heard.append((update.ref, update.state)),
    )
    desk = Desk(strategy)
    desk.connect()
    desk.bar()
    desk.post(desk.reported(OLD, "open", 0))
    desk.bar()
    desk.post(desk.reported(NEW, "open", 0))
    desk.bar()
    desk.post(m.AmendRefused(NEW, "pbn0n4", "no"), desk.reported(NEW, "open", 0, asked=True))
    assert heard == [(1, "accepted"), (1, "amended"), (1, "amend_rejected")]
    assert desk.core.execution.counter == 5


# --- panic meanwhile --------------------------------------------------------------------------------


def test_what_panic_closed_of_an_execution_that_was_kept_back_is_closed_in_our_books(
    scripted: Scripted, of: Of
) -> None:
    """Killed after the change left: the order was filled on its new terms, and panic sold what it had bought."""
    desk = make(scripted, contract=True, quantity=0.014)
    desk.post(m.VenueLink(up=False, reason="killed"), m.VenueLink(up=True))
    bought = desk.traded(OLD, 19, 10), desk.traded(OLD, 20, 4)
    sold = m.TradeReported("pbn0n-k3x90", desk.symbol, 21, m.SELL, 100, 14, "USDT", 0, "taker", 5)
    filled = desk.reported(OLD, "filled", 14, quantity_lots=14, limit_ticks=100)
    said = desk.reconcile(orders=(filled,), absent=(NEW,), trades=(*bought, sold))
    assert [share.quantity_lots for share in of(m.Adopted, said)] == [14]
    assert desk.core.ledger.holdings["a", desk.symbol].quantity_lots == 0
    assert "the books have followed" in desk.halted
