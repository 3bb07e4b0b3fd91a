"""A real venue as the core sees it: one test a row of its table, and what reconciliation does with both accounts."""

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
from actors.system import Core, CoreSnapshot, SeriesPlan, StrategyPlan
from config.load import check_settings
from strategies.base import Strategy

MINUTE = 60_000_000_000
UNIT = 10**8
LOT = 1_000
"""Lots of 1e-8 in a step of 1e-5: every order of these tests is a multiple of it."""
BTC = InstrumentSpec(
    symbol="BTC/USDT",
    tick=Decimal("0.01"),
    lot=Decimal("1e-8"),
    step=Decimal("1e-5"),
    base="BTC",
    quote="USDT",
    long_only=True,
)

Scripted = Callable[..., Strategy]
Of = Callable[[type[Any], list[m.Message]], list[Any]]


class Desk:
    """A core that trades at a real venue; whoever holds it plays the venue."""

    def __init__(
        self,
        strategy: Strategy,
        held: tuple[Holding, ...] = (),
        supervision: dict[str, Any] | None = None,
        **risk: Any,
    ) -> None:
        self.heard: list[m.Message] = []
        kinds = [kind for kind in vars(m).values() if isinstance(kind, type) and issubclass(kind, m.Message)]
        self.isolated, self.name = False, "desk"
        self.core = Core(
            check_settings({"risk": risk, "supervision": supervision or {}}, "test"),
            {"BTC/USDT": Instrument(BTC)},
            [SeriesPlan("BTC/USDT", MINUTE)],
            [StrategyPlan("a", "BTC/USDT", MINUTE, strategy, NoFeatures())],
            Account(100_000 * UNIT, list(held)),
            nonce="n0n",
            start_ns=0,
            real=True,
            observers={kind: [self.on_any] for kind in kinds},
        )
        self.core.strategies[0].start()
        self.bars = 0

    @property
    def venue(self) -> RemoteVenue:
        assert isinstance(self.core.venue, RemoteVenue)
        return self.core.venue

    def on_any(self, message: m.Message) -> None:
        self.heard.append(message)

    def post(self, message: m.Message) -> list[Any]:
        """Post an input; return what was said about it."""
        self.heard.clear()
        self.core.scheduler.post(self.core.context.now_ns, message)
        return list(self.heard)

    def bar(self, price: float = 100.0) -> list[Any]:
        self.bars += 1
        close_ns = self.bars * MINUTE
        self.heard.clear()
        self.core.scheduler.fire_before(close_ns)
        self.core.scheduler.post(
            close_ns, m.Bar("BTC/USDT", MINUTE, close_ns - MINUTE, close_ns, price, price, price, price, 1.0)
        )
        return list(self.heard)

    def connect(self, btc: str = "0", usdt: str = "100000") -> None:
        self.post(m.VenueLink(up=True))
        self.reconcile(btc, usdt)
        assert self.is_ready()

    def is_ready(self) -> bool:
        return self.venue.ready

    def reconcile(self, btc: str, usdt: str, **parts: Any) -> list[Any]:
        """Answer the newest question about the account."""
        return self.post(account(btc, usdt, ask=self.venue.inquiry.asked, **parts))

    @property
    def halted(self) -> str:
        return self.core.control.reason if self.core.control.trading == "halted" else ""


def account(
    btc: str, usdt: str, *, reason: str = "start", others: dict[str, int] | None = None, **parts: Any
) -> m.AccountReported:
    totals = {"BTC": int(Decimal(btc) * UNIT), "USDT": int(Decimal(usdt) * UNIT), **(others or {})}
    balances = tuple(m.BalanceReported(name, atoms) for name, atoms in totals.items())
    values: dict[str, Any] = {"orders": (), "absent": (), "trades": (), "foreign": ()} | parts
    return m.AccountReported(reason, balances=balances, **values)


def trade(
    number: int,
    steps: int,
    *,
    order: str = "pbn0n1",
    side: int = m.BUY,
    fee: tuple[str, int] = ("USDT", 0),
    fee_value: int = -1,
) -> Any:
    return m.TradeReported(
        order, "BTC/USDT", number, side, 10_000, steps * LOT, *fee, "taker", 5, fee_value_atoms=fee_value
    )


def reported(state: str, steps: int, reason: str = "") -> m.OrderReported:
    return m.OrderReported("pbn0n1", "77", state, steps * LOT, reason)  # type: ignore[arg-type]


def last(said: list[Any]) -> m.Reconciled:
    (found,) = [each for each in said if isinstance(each, m.Reconciled)]
    return found


@pytest.fixture
def desk(scripted: Scripted) -> Desk:
    """Return a desk whose strategy buys ten steps on its first bar and asks to cancel on its third."""
    made = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100), 2: lambda s: s.cancel(1)}))
    made.connect()
    return made


def names(messages: list[Any]) -> list[str]:
    """Return what happened to orders, in order."""
    wanted = (m.Accepted, m.Rejected, m.Cancelled, m.Expired, m.CancelRejected, m.Fill, m.Halt)
    asked = (m.SendOrder, m.SendCancel, m.AskOrder, m.AskAccount)
    return [type(message).__name__ for message in messages if isinstance(message, wanted + asked)]


# --- what leaves ------------------------------------------------------------------------------------


def test_an_order_leaves_as_an_effect_and_nothing_is_known_of_it_yet(desk: Desk) -> None:
    said = desk.bar()
    assert names(said) == ["SendOrder"]
    assert desk.core.execution.orders["pbn0n1"].state == "submitted"


@pytest.mark.parametrize("state", ["never linked", "linked and not compared", "link lost"])
def test_no_order_leaves_before_the_accounts_were_compared(scripted: Scripted, state: str) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    if state == "linked and not compared":
        assert names(desk.post(m.VenueLink(up=True))) == ["AskAccount"]
    elif state == "link lost":
        desk.connect()
        desk.post(m.VenueLink(up=False, reason="closed"))
    said = desk.bar()
    assert names(said) == ["Rejected"]
    assert desk.core.execution.orders == {}


def test_a_cancel_leaves_and_the_order_is_open_until_the_venue_says_otherwise(desk: Desk) -> None:
    desk.bar()
    desk.post(reported("open", 0))
    desk.bar()
    assert names(desk.bar())[-1:] == ["SendCancel"]
    assert desk.core.execution.orders["pbn0n1"].state == "cancelling"
    assert names(desk.post(reported("cancelled", 0, "as requested"))) == ["Cancelled"]
    assert desk.core.execution.orders == {}


@pytest.mark.parametrize(("minutes_late", "leaves"), [(0, True), (2, True), (3, False), (600, False)])
def test_nothing_is_opened_on_bars_of_long_ago(scripted: Scripted, minutes_late: int, leaves: bool) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    desk.connect()
    desk.core.context.now_ns = MINUTE * (1 + minutes_late)
    data = m.Bar("BTC/USDT", MINUTE, 0, MINUTE, 100.0, 100.0, 100.0, 100.0, 1.0)
    assert names(desk.post(data)) == (["SendOrder"] if leaves else ["Rejected"])


@pytest.mark.parametrize(("asleep", "leaves"), [(0, True), (600 * MINUTE, False)])
def test_nothing_is_opened_by_a_timer_that_was_slept_through(scripted: Scripted, asleep: int, leaves: bool) -> None:
    desk = Desk(scripted({0: lambda s: s.set_timer("soon", 30)}, on_timer=lambda s, _: s.buy(10e-5)))
    desk.connect()
    desk.bar()
    desk.heard.clear()
    desk.core.scheduler.fire_before(2 * MINUTE + asleep, since_ns=asleep)
    assert ("SendOrder" in names(desk.heard)) == leaves


def test_what_is_held_may_be_sold_on_bars_of_long_ago(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100), 1: lambda s: s.target(0)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, 10))
    desk.core.context.now_ns = 900 * MINUTE
    data = m.Bar("BTC/USDT", MINUTE, MINUTE, 2 * MINUTE, 100.0, 100.0, 100.0, 100.0, 1.0)
    assert "SendOrder" in names(desk.post(data))


# --- the table --------------------------------------------------------------------------------------

STORIES: dict[str, tuple[list[m.Message], list[str], str]] = {
    "in doubt: ask": ([m.OrderInDoubt("pbn0n1", "timed out")], ["AskOrder"], "submitted"),
    "in doubt, and it is there": (
        [m.OrderInDoubt("pbn0n1", "timed out"), reported("open", 0)],
        ["AskOrder", "Accepted"],
        "working",
    ),
    "in doubt, and it was filled": (
        [m.OrderInDoubt("pbn0n1", "x"), trade(1, 10), reported("filled", 10)],
        ["AskOrder", "Accepted", "Fill"],
        "",
    ),
    "in doubt, and it never arrived": (
        [m.OrderInDoubt("pbn0n1", "x"), m.OrderAbsent("pbn0n1")],
        ["AskOrder", "Rejected"],
        "",
    ),
    "open: accepted": ([reported("open", 0)], ["Accepted"], "working"),
    "open twice": ([reported("open", 0), reported("open", 0)], ["Accepted"], "working"),
    "open with executions we have not heard of": ([reported("open", 4)], ["Accepted"], "working"),
    "filled before its trades: ask for them": ([reported("filled", 10)], ["Accepted", "AskOrder"], "working"),
    "filled, then its trades": (
        [reported("filled", 10), trade(1, 4), trade(2, 6)],
        ["Accepted", "AskOrder", "Fill", "Fill"],
        "",
    ),
    "trades, then filled": ([trade(1, 4), trade(2, 6), reported("filled", 10)], ["Accepted", "Fill", "Fill"], ""),
    "cancelled whole": ([reported("open", 0), reported("cancelled", 0)], ["Accepted", "Cancelled"], ""),
    "cancelled in part, trade late": (
        [reported("cancelled", 4), trade(1, 4)],
        ["Accepted", "AskOrder", "Fill", "Cancelled"],
        "",
    ),
    "cancelled in part, trade first": ([trade(1, 4), reported("cancelled", 4)], ["Accepted", "Fill", "Cancelled"], ""),
    "expired": ([reported("expired", 0, "ioc")], ["Accepted", "Expired"], ""),
    "rejected": ([reported("rejected", 0, "no money")], ["Rejected"], ""),
    "rejected after it was accepted": ([reported("open", 0), reported("rejected", 0)], ["Accepted", "Rejected"], ""),
    "rejected after an execution": ([trade(1, 4), reported("rejected", 4)], ["Accepted", "Fill", "Expired"], ""),
    "a trade before anything else": ([trade(1, 4)], ["Accepted", "Fill"], "partly_filled"),
    "a trade twice": ([trade(1, 4), trade(1, 4)], ["Accepted", "Fill"], "partly_filled"),
    "trades out of order": ([trade(9, 4), trade(3, 6)], ["Accepted", "Fill", "Fill"], ""),
    "a late open": ([trade(1, 4), reported("open", 0)], ["Accepted", "Fill"], "partly_filled"),
    "anything after the end": (
        [
            reported("cancelled", 0),
            reported("open", 0),
            m.OrderInDoubt("pbn0n1", "x"),
            m.OrderAbsent("pbn0n1"),
            m.CancelRefused("pbn0n1", "unknown"),
        ],
        ["Accepted", "Cancelled"],
        "",
    ),
    "the venue takes back an execution": (
        [trade(1, 4), reported("cancelled", 0)],
        ["Accepted", "Fill", "Halt"],
        "partly_filled",
    ),
    "more executed than ordered": ([trade(1, 11)], ["Halt"], "submitted"),
    "executed on the other side": ([trade(1, 4, side=m.SELL)], ["Halt"], "submitted"),
    "executed after it had ended": ([reported("cancelled", 0), trade(1, 4)], ["Accepted", "Cancelled", "Halt"], ""),
    "forgotten after it was accepted": (
        [reported("open", 0), m.OrderAbsent("pbn0n1")],
        ["Accepted", "Halt"],
        "working",
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_row_of_the_table(scripted: Scripted, story: str) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    desk.connect()
    desk.bar()
    messages, expected, state = STORIES[story]
    said = [name for message in messages for name in names(desk.post(message))]
    if "Halt" in expected:  # a halt also withdraws what is open
        assert desk.halted.startswith("BTC/USDT: ")
        said = [name for name in said if name != "SendCancel"]
        state = "cancelling" if state else ""
    assert said == expected
    orders = desk.core.execution.orders
    assert (orders["pbn0n1"].state if orders else "") == state
    assert set(desk.venue.sent) == set(orders)


def test_a_refused_cancel_is_asked_about_and_sent_again_while_the_order_is_open(desk: Desk) -> None:
    """An order that had not arrived yet could not be withdrawn either."""
    desk.bar()
    desk.bar()
    desk.bar()
    assert names(desk.post(m.CancelRefused("pbn0n1", "unknown order"))) == ["AskOrder"]
    assert names(desk.post(reported("open", 0))) == ["Accepted", "SendCancel"]
    assert names(desk.post(m.CancelRefused("pbn0n1", "not now"))) == ["AskOrder"]
    assert names(desk.post(reported("open", 0))) == ["SendCancel"]
    assert names(desk.post(m.CancelRefused("pbn0n1", "never"))) == ["CancelRejected", "AskOrder"]
    assert names(desk.post(reported("open", 0))) == []
    assert desk.core.execution.orders["pbn0n1"].state == "working"


def test_a_cancel_in_doubt_is_sent_again_once_the_order_is_known_to_be_open(desk: Desk) -> None:
    desk.bar()
    desk.post(reported("open", 0))
    desk.bar()
    desk.bar()
    desk.post(m.OrderInDoubt("pbn0n1", "timed out"))
    assert names(desk.post(reported("open", 0))) == ["SendCancel"]
    assert names(desk.post(reported("open", 0))) == []


# --- fees -------------------------------------------------------------------------------------------


def test_a_fee_in_quote_is_paid_from_cash(desk: Desk) -> None:
    desk.bar()
    desk.post(trade(1, 10, fee=("USDT", 777)))
    held = desk.core.ledger.holdings["a", "BTC/USDT"]
    assert (held.quantity_lots, held.fees_atoms) == (10 * LOT, 777)
    assert desk.core.ledger.cash_atoms == 100_000 * UNIT - UNIT // 100 - 777


def test_a_fee_in_base_leaves_less_of_what_was_bought(desk: Desk, of: Of) -> None:
    desk.bar()
    said = desk.post(trade(1, 10, fee=("BTC", 10)))
    held = desk.core.ledger.holdings["a", "BTC/USDT"]
    assert held.quantity_lots == 10 * LOT - 10
    assert held.fees_atoms == 1_000
    assert held.cost_atoms == UNIT // 100 - 1_000
    assert [change.quantity_lots for change in of(m.PositionChanged, said)] == [10 * LOT, 10 * LOT - 10]
    assert desk.halted == ""


def test_what_is_left_below_a_step_is_flat_to_a_flatten(scripted: Scripted, of: Of) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, 10, fee=("BTC", 10)))
    (send,) = of(m.SendOrder, desk.post(m.Flatten("c1")))
    assert send.request.quantity_lots == 9 * LOT
    sold = trade(2, 9, order=send.order_id, side=m.SELL)
    assert of(m.Flattened, desk.post(sold)) == [m.Flattened()]
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == LOT - 10


def test_a_close_of_what_was_bought_in_a_flatten_leaves_out_the_fee_in_base(scripted: Scripted, of: Of) -> None:
    """It is decided on the execution, before the fee is heard of; the rest would be sold from what is not ours."""
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    desk.connect(btc="1")
    desk.bar()
    desk.post(m.Flatten("c1"))
    said = desk.post(trade(1, 10, fee=("BTC", 10)))
    assert [send.request.quantity_lots for send in of(m.SendOrder, said)] == [9 * LOT]


def test_what_is_sold_on_an_execution_is_no_more_than_its_fee_has_left(scripted: Scripted, of: Of) -> None:
    once = iter((10e-5, 9e-5))
    desk = Desk(
        scripted(
            {0: lambda s: s.buy(10e-5, limit=100), 1: lambda s: s.sell(next(once))},
            on_fill=lambda s, _: s.sell(next(once)),
        )
    )
    desk.connect(btc="1")
    desk.bar()
    said = desk.post(trade(1, 10, fee=("BTC", 10)))
    assert of(m.SendOrder, said) == []
    assert [rejected.reason for rejected in of(m.Rejected, said)] == ["its book holds less by now"]
    assert [send.request.quantity_lots for send in of(m.SendOrder, desk.bar())] == [9 * LOT]


def test_a_fee_in_an_asset_without_a_price_halts_by_its_name(desk: Desk) -> None:
    desk.bar()
    desk.post(trade(1, 10, fee=("BNB", 5)))
    assert "BNB" in desk.halted
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 10 * LOT


@pytest.mark.parametrize(("paid", "value"), [(5, 3_000), (-5, -3_000)], ids=["fee", "rebate"])
def test_a_fee_in_a_third_asset_is_owed_at_its_value_and_costs_no_cash(
    desk: Desk, of: Of, paid: int, value: int
) -> None:
    desk.bar()
    cash_atoms = desk.core.ledger.cash_atoms
    said = desk.post(trade(1, 10, fee=("BNB", paid), fee_value=3_000))
    assert of(m.FeeInAsset, said) == [m.FeeInAsset("a", "BTC/USDT", 1, "BNB", paid, value)]
    assert [fill.fee_atoms for fill in of(m.Fill, said)] == [0]
    assert desk.core.ledger.cash_atoms == cash_atoms - UNIT // 100
    assert desk.core.ledger.holdings["a", "BTC/USDT"].fees_atoms == value
    assert desk.core.ledger.equity_atoms == cash_atoms - value
    assert desk.halted == ""


def test_the_asset_of_a_fee_is_compared_to_the_unit_from_what_was_there_before(desk: Desk) -> None:
    desk.reconcile("0", "100000", others={"BNB": 700, "DOGE": 1})
    desk.bar()
    desk.post(trade(1, 10, fee=("BNB", 5), fee_value=3_000))
    desk.post(m.VenueLink(up=True))
    assert last(desk.reconcile("0.0001", "99999.99", others={"BNB": 695, "DOGE": 9})).differences == ()
    for _ in range(2):
        desk.reconcile("0.0001", "99999.99", others={"BNB": 694})
    assert desk.halted == "the accounts differ: BNB: the venue holds 0.00000694, we expect 0.00000695"


def test_the_asset_of_a_fee_that_is_in_the_first_account_already_begins_there(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, 10, fee=("BNB", 5), fee_value=3_000))
    desk.post(m.VenueLink(up=True))
    assert last(desk.reconcile("0.0001", "99999.99")).differences == (
        "BNB: the venue holds 0.00000000, we expect -0.00000005",
    )


def test_trades_that_were_missed_bring_their_fees_in_third_assets(desk: Desk, of: Of) -> None:
    desk.bar()
    desk.post(m.VenueLink(up=False, reason="closed"))
    desk.post(m.VenueLink(up=True))
    trades = (trade(5, 4, fee=("BNB", 2), fee_value=1_200), trade(6, 6, fee=("BNB", 3), fee_value=1_800))
    said = desk.reconcile("0.0001", "99999.99", trades=trades, orders=(reported("filled", 10),), others={"BNB": -5})
    assert [fee.value_atoms for fee in of(m.FeeInAsset, said)] == [1_200, 1_800]
    desk.reconcile("0.0001", "99999.99", others={"BNB": -5})
    assert desk.is_ready()
    (owed,) = desk.core.ledger.others.values()
    assert (owed.asset, owed.amount_atoms, owed.value_atoms) == ("BNB", -5, -3_000)


# --- both accounts ----------------------------------------------------------------------------------


def test_what_the_account_held_before_is_not_ours(scripted: Scripted) -> None:
    desk = Desk(scripted({}))
    desk.connect(btc="3.5", usdt="12")
    assert desk.venue.last is not None
    assert desk.venue.last.differences == ()


def test_trades_missed_while_away_are_booked_once(desk: Desk, of: Of) -> None:
    desk.bar()
    desk.post(m.VenueLink(up=False, reason="closed"))
    (ask,) = of(m.AskAccount, desk.post(m.VenueLink(up=True)))
    assert (ask.reason, ask.orders) == ("reconnect", (("pbn0n1", "BTC/USDT"),))
    trades, orders = (trade(5, 4), trade(6, 6)), (reported("filled", 10),)
    said = desk.reconcile("0.0001", "99999.99", reason="reconnect", trades=trades, orders=orders)
    assert [fill.trade_id for fill in of(m.Fill, said)] == [5, 6]
    assert of(m.Reconciled, said) == [m.Reconciled("reconnect", (), 2)]
    assert [ask.reason for ask in of(m.AskAccount, said)] == ["doubt"], "balances asked for before they were booked"
    assert not desk.is_ready()
    assert of(m.Fill, desk.reconcile("0.0001", "99999.99", trades=trades, orders=orders)) == []
    assert desk.is_ready()
    (ask,) = of(m.AskAccount, desk.post(m.VenueLink(up=True)))
    assert ask.trades_after == (("BTC/USDT", 6),)


def test_an_order_the_venue_never_had_is_given_up_on_reconciling(desk: Desk) -> None:
    desk.bar()
    assert names(desk.reconcile("0", "100000", absent=("pbn0n1",))) == ["Rejected"]


def test_a_foreign_order_is_told_of_and_left_alone(desk: Desk) -> None:
    said = desk.reconcile("0", "100000", foreign=(m.ForeignOrder("web_1", "78", "BTC/USDT"),))
    assert names(said) == []
    assert desk.venue.last is not None
    assert "78" in desk.venue.last.differences[0]
    assert desk.halted == ""


def test_a_difference_halts_when_it_is_there_twice_and_says_what_differs(desk: Desk) -> None:
    assert names(desk.reconcile("0.5", "100000")) == ["AskAccount"]
    assert desk.halted == ""
    desk.reconcile("0.5", "100000", reason="doubt")
    assert "BTC: the venue holds 0.50000000, we expect 0.00000000" in desk.halted
    desk.post(m.Resume("c1"))
    desk.reconcile("0.5", "100000")
    assert desk.halted == "", "told once, it is what is"


def test_a_difference_that_goes_away_is_nothing(desk: Desk) -> None:
    desk.reconcile("0.5", "100000")
    desk.reconcile("0", "100000", reason="doubt")
    desk.reconcile("0.5", "100000")
    assert desk.halted == ""


def test_the_accounts_are_compared_on_a_period(desk: Desk, of: Of) -> None:
    asks = [ask.reason for _ in range(5) for ask in of(m.AskAccount, desk.bar())]
    assert asks
    assert set(asks) == {"period"}


def test_a_question_that_takes_longer_than_the_period_is_not_taken_back(desk: Desk, of: Of) -> None:
    """Asked anew it would begin from the start, and with many orders open never come to an end."""
    (ask,) = of(m.AskAccount, [said for _ in range(2) for said in desk.bar()])
    later = [each for _ in range(20) for each in of(m.AskAccount, desk.bar())]
    assert later == []
    said = desk.reconcile("0", "100000", reason="period", orders=(reported("open", 0),))
    assert last(said).reason == "period"
    assert [each.reason for _ in range(2) for each in of(m.AskAccount, desk.bar())] == ["period"]
    assert ask.ask + 1 == desk.venue.inquiry.asked


def test_a_question_that_is_never_answered_is_asked_again_in_the_end(desk: Desk, of: Of) -> None:
    asks = [ask for _ in range(70) for ask in of(m.AskAccount, desk.bar())]
    assert 2 <= len(asks) <= 3


@pytest.mark.parametrize("story", STORIES)
def test_a_restored_core_goes_on_as_if_nothing_had_been(scripted: Scripted, story: str) -> None:
    plan = {0: lambda s: s.buy(10e-5, limit=100)}
    one, two = Desk(scripted(plan)), Desk(scripted(plan))
    one.connect()
    one.bar()
    for message in STORIES[story][0]:
        two.core.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(one.core.snapshot()), type=CoreSnapshot))
        assert names(two.post(message)) == names(one.post(message))
        assert two.core.snapshot() == one.core.snapshot()


def test_everyone_who_hears_something_has_a_name(desk: Desk) -> None:
    """The status counts what each has heard."""
    desk.bar()
    assert desk.core.scheduler.processed()["venue"] > 0


def test_a_flatten_goes_on_closing_however_often_its_orders_get_lost(scripted: Scripted, of: Of) -> None:
    """Lost is not refused: a venue that says no three times is believed, a network is not."""
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, 10))
    (send,) = of(m.SendOrder, desk.post(m.Flatten("c1")))
    for _ in range(10):
        said = desk.post(m.OrderAbsent(send.order_id))
        assert [each.reason for each in of(m.Expired, said)] == ["it never arrived at the venue"]
        (send,) = of(m.SendOrder, said)
    assert desk.core.control.trading == "flattening"
    desk.post(trade(2, 10, order=send.order_id, side=m.SELL))
    assert desk.core.control.trading == "paused"
