"""What `pitboss panic` did from outside: the books follow, each by its share, and the accounts agree to the unit."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import messages as m
from actors.execution.adoption import Adoption
from actors.execution.booking import Booking
from actors.execution.contracts import Contracts
from actors.execution.reconciliation import Accounts
from actors.instrument import Instrument, InstrumentSpec
from actors.ledger import Account, Holding, Ledger
from actors.runtime.scheduler import Context
from actors.system import CoreSnapshot
from strategies.base import Strategy
from tests.actors.execution.test_remote import LOT, MINUTE, UNIT, Desk, trade

Scripted = Callable[..., Strategy]
Of = Callable[[type[Any], list[m.Message]], list[Any]]
PANIC = "pbn0n-k3x90"
SPOT = InstrumentSpec(
    symbol="BTC/USDT", tick=Decimal("0.01"), lot=Decimal("1e-8"), step=Decimal("1e-5"), base="BTC", quote="USDT"
)


@pytest.fixture
def desk(scripted: Scripted) -> Desk:
    """A desk that has bought 10 steps at 100."""
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100), 1: lambda s: s.buy(5e-5, limit=100)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, 10))
    return desk


def told(desk: Desk, sold: m.TradeReported) -> None:
    """Have the stream tell of an execution of panic's, and the next comparison as well."""
    desk.post(sold)
    desk.reconcile("0", "100000", trades=(sold,))


def test_a_session_finds_what_panic_sold_while_it_was_away(desk: Desk, of: Of) -> None:
    desk.post(m.VenueLink(up=False, reason="killed"))
    desk.post(m.VenueLink(up=True))
    sold = trade(2, 10, order=PANIC, side=m.SELL, fee=("USDT", 1_000))
    said = desk.reconcile("0", "99999.99999", trades=(sold,))
    assert of(m.Adopted, said) == [m.Adopted("a", "BTC/USDT", PANIC, 2, m.SELL, 10_000, 10 * LOT, 1_000, 5)]
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0
    assert desk.halted == "BTC/USDT: pitboss panic sold 0.0001; the books have followed, resume to trade on"
    desk.reconcile("0", "99999.99999", trades=(sold,))
    assert desk.venue.last is not None
    assert desk.venue.last.differences == ()
    assert desk.core.ledger.cash_atoms == 100_000 * UNIT - 1_000
    desk.post(m.Resume("c1"))
    assert desk.post(sold) == [], "booked once"
    assert desk.halted == ""


def test_a_halt_withdraws_nothing_of_which_the_same_news_says_that_it_is_gone(scripted: Scripted) -> None:
    """The halt is heard first; what was withdrawn had never been heard to be accepted."""
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100), 1: lambda s: s.buy(10e-5, limit=99)}))
    desk.connect()
    desk.bar()
    desk.post(trade(1, 10))
    desk.bar()
    desk.post(m.VenueLink(up=False, reason="killed"))
    desk.post(m.VenueLink(up=True))
    gone = m.OrderReported("pbn0n2", "78", "cancelled", 0)
    desk.reconcile("0", "100000", trades=(trade(2, 10, order=PANIC, side=m.SELL),), orders=(gone,))
    assert desk.halted
    assert desk.core.execution.orders == {}
    assert desk.venue.sent == {}


def test_what_was_bought_and_sold_by_panic_while_away_is_booked_in_one_go(scripted: Scripted, of: Of) -> None:
    """The ledger hears of neither before both are booked."""
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    desk.connect()
    desk.bar()
    desk.post(m.VenueLink(up=False, reason="killed"))
    desk.post(m.VenueLink(up=True))
    missed = (trade(1, 4, fee=("BTC", 7)), trade(2, 6), trade(3, 9, order=PANIC, side=m.SELL))
    said = desk.reconcile("0", "0", trades=missed)
    assert [share.quantity_lots for share in of(m.Adopted, said)] == [9 * LOT]
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == LOT - 7
    told(desk, trade(4, 2, order=PANIC, side=m.SELL))
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0, "the fee in base has left the book, too"


def test_what_was_told_of_panic_by_the_stream_halts_at_once_and_is_booked_with_the_next_comparison(
    desk: Desk, of: Of
) -> None:
    first, second = (
        trade(2, 4, order=PANIC, side=m.SELL),
        trade(3, 6, order=PANIC, side=m.SELL, fee=("BNB", 7), fee_value=4_200),
    )
    (ask,) = of(m.AskAccount, desk.post(first))
    assert desk.halted == "BTC/USDT: pitboss panic sold 0.00004; the books follow"
    assert (ask.reason, ask.trades_after) == ("panic", (("BTC/USDT", 0),))
    assert not desk.is_ready()
    assert of(m.AskAccount, desk.post(second)) == [], "one question at a time"
    said = desk.reconcile("0.0001", "99999.99", trades=(trade(1, 10), first))
    assert [share.trade_id for share in of(m.Adopted, said)] == [2], "the other was told after the question"
    (ask,) = of(m.AskAccount, said)
    assert ask.trades_after == (("BTC/USDT", 0),), "the other still waits"
    desk.reconcile("0", "100000", trades=(first, second))
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0
    assert desk.core.ledger.others["BNB"].value_atoms == -4_200
    assert not desk.is_ready(), "balances that may be of before were not compared"
    desk.reconcile("0", "100000", others={"BNB": -7})
    assert desk.is_ready()


def test_an_execution_of_ours_that_the_stream_lost_is_booked_before_panic_closes_it(desk: Desk, of: Of) -> None:
    """And one of panic's that it lost is asked for, although a newer one was heard of."""
    lost, also_lost, heard = (
        trade(2, 5, order="pbn0n2"),
        trade(3, 6, order=PANIC, side=m.SELL),
        trade(4, 9, order=PANIC, side=m.SELL),
    )
    desk.bar()
    desk.reconcile("0.0001", "99999.99", trades=(trade(1, 10),))
    (ask,) = of(m.AskAccount, desk.post(heard))
    assert ask.trades_after == (("BTC/USDT", 1),)
    desk.reconcile("0", "100000", trades=(lost, also_lost, heard))
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0
    assert desk.core.ledger.cash_atoms == 100_000 * UNIT


def test_the_books_follow_only_once_all_of_ours_is_booked(desk: Desk, of: Of) -> None:
    desk.bar()
    filled = m.OrderReported("pbn0n2", "78", "filled", 5 * LOT)
    sold = trade(3, 15, order=PANIC, side=m.SELL)
    desk.post(sold)
    said = desk.reconcile("0", "100000", trades=(sold,), orders=(filled,))
    assert of(m.Adopted, said) == []
    (ask,) = of(m.AskAccount, said)
    assert ask.trades_after == (("BTC/USDT", 0),)
    desk.post(trade(2, 5, order="pbn0n2"))
    said = desk.reconcile("0", "100000", trades=(sold,))
    assert [share.quantity_lots for share in of(m.Adopted, said)] == [15 * LOT]
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0


def test_a_close_that_waited_for_the_link_is_not_sent_for_what_panic_has_sold_meanwhile(desk: Desk, of: Of) -> None:
    """It would sell what the account holds beside our books."""
    desk.post(m.VenueLink(up=False, reason="killed"))
    desk.post(m.Flatten("c1"))
    (held,) = desk.venue.sent.values()
    assert held.held
    assert held.request.quantity_lots == 10 * LOT
    desk.post(m.VenueLink(up=True))
    sold = trade(2, 9, order=PANIC, side=m.SELL)
    heard = desk.reconcile("0.00001", "99999.999", trades=(sold,))
    heard += desk.reconcile("0.00001", "99999.999", trades=(sold,))
    assert of(m.Expired, heard) == [
        m.Expired(held.order_id, "a", "BTC/USDT", held.request.ref, "what it was to close has changed while it waited")
    ]
    assert [send.request.quantity_lots for send in of(m.SendOrder, heard)] == [1 * LOT], "what is left of it"


def test_nothing_closes_while_the_books_have_not_followed_what_a_comparison_on_the_period_told(
    desk: Desk, of: Of
) -> None:
    """The stream had lost it, and orders could leave until then."""
    desk.bar()
    desk.core.scheduler.fire_before(5 * MINUTE)
    assert desk.is_ready()
    filled = m.OrderReported("pbn0n2", "78", "filled", 5 * LOT)
    sold = trade(3, 15, order=PANIC, side=m.SELL)
    said = desk.reconcile("0", "100000", trades=(sold,), orders=(filled,))
    assert [ask.reason for ask in of(m.AskAccount, said)] == ["doubt"]
    said = desk.post(trade(2, 5, order="pbn0n2"))
    said += desk.post(m.Flatten("c1"))
    assert of(m.SendOrder, said) == []
    said = desk.reconcile("0", "100000", trades=(sold,))
    said += desk.reconcile("0", "100000", trades=(sold,))
    assert of(m.SendOrder, said) == []
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0
    assert desk.is_ready()


def test_a_halt_that_flattens_closes_nothing_that_panic_has_sold(scripted: Scripted, of: Of) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}), supervision={"safe_state": "flatten"})
    desk.connect(btc="1")
    desk.bar()
    desk.post(trade(1, 10))
    desk.core.scheduler.fire_before(5 * MINUTE)
    sold = trade(2, 10, order=PANIC, side=m.SELL)
    said = desk.reconcile("1", "100000", trades=(sold,))
    said += desk.reconcile("1", "100000", trades=(sold,))
    assert of(m.SendOrder, said) == []
    assert desk.core.control.trading == "halted"
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0


def test_what_panic_did_is_asked_for_where_nothing_else_of_the_symbol_is_known(scripted: Scripted, of: Of) -> None:
    """Else no answer ever told of it, and no order would leave again."""
    desk = Desk(scripted({}), held=(Holding("a", "BTC/USDT", 10 * LOT, UNIT // 100),))
    desk.connect(btc="0.0001")
    second, first = trade(8, 6, order=PANIC, side=m.SELL), trade(7, 4, order=PANIC, side=m.SELL)
    (ask,) = of(m.AskAccount, desk.post(second))
    assert ask.trades_after == (("BTC/USDT", 7),)
    desk.post(first)
    said = desk.reconcile("0", "100000.01", trades=(second,))
    (ask,) = of(m.AskAccount, said)
    assert ask.trades_after == (("BTC/USDT", 6),), "the one that was told later came first"
    desk.reconcile("0", "100000.01", trades=(first, second))
    desk.reconcile("0", "100000.01")
    assert desk.is_ready()
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0


def test_what_panic_sold_of_an_inherited_book_is_asked_for_though_the_session_has_executed_nothing(
    scripted: Scripted, of: Of
) -> None:
    """What was executed before the first look is not asked for: the account may have a long past."""
    desk = Desk(scripted({}), held=(Holding("a", "BTC/USDT", 10 * LOT, UNIT // 100),))
    (ask,) = of(m.AskAccount, desk.post(m.VenueLink(up=True)))
    assert ask.trades_after == (("BTC/USDT", -1),)
    desk.reconcile("0.0001", "100000", newest=(("BTC/USDT", 41),))
    assert desk.is_ready()
    desk.post(m.VenueLink(up=False, reason="killed"))
    other = Desk(scripted({}), held=(Holding("a", "BTC/USDT", 10 * LOT, UNIT // 100),))
    other.core.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(desk.core.snapshot()), type=CoreSnapshot))
    (ask,) = of(m.AskAccount, other.post(m.VenueLink(up=True)))
    assert ask.trades_after == (("BTC/USDT", 41),)
    sold = trade(42, 10, order=PANIC, side=m.SELL)
    said = other.reconcile("0", "100000.01", trades=(sold,))
    assert [share.quantity_lots for share in of(m.Adopted, said)] == [10 * LOT]
    other.reconcile("0", "100000.01")
    assert other.venue.last is not None
    assert other.venue.last.differences == ()


def test_what_waits_for_the_books_to_follow_survives_a_snapshot(desk: Desk, scripted: Scripted, of: Of) -> None:
    sold = trade(2, 10, order=PANIC, side=m.SELL)
    desk.post(sold)
    other = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    other.core.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(desk.core.snapshot()), type=CoreSnapshot))
    said = other.reconcile("0", "100000", trades=(sold,))
    assert [share.quantity_lots for share in of(m.Adopted, said)] == [10 * LOT]
    said = other.reconcile("0", "100000", trades=(sold,))
    assert of(m.Adopted, said) == []
    assert other.is_ready()


def test_an_order_of_ours_has_a_prefix_of_its_own_and_one_of_the_venue_with_a_dash_is_none(desk: Desk) -> None:
    desk.post(trade(2, 10, order="settlement_autoclose-3", side=m.SELL))
    assert desk.halted == "BTC/USDT: trade 2 executed order settlement_autoclose-3, which had ended"
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 10 * LOT


def test_what_panic_sold_beyond_our_books_is_not_ours(scripted: Scripted) -> None:
    desk = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    desk.connect(btc="0.5")
    desk.bar()
    desk.post(trade(1, 10))
    told(desk, trade(2, 30, order=PANIC, side=m.SELL))
    assert desk.core.ledger.cash_atoms == 100_000 * UNIT, "of the price of 30 steps that of 10 is ours"
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0
    desk.post(m.VenueLink(up=True))
    for _ in range(2):
        desk.reconcile("0.4998", "100000.02")
    assert desk.venue.last is not None
    assert desk.venue.last.differences == ()


def test_an_execution_that_closes_nothing_of_ours_changes_no_book(scripted: Scripted) -> None:
    desk = Desk(scripted({}))
    desk.connect()
    told(desk, trade(2, 30, order=PANIC, side=m.SELL))
    assert desk.core.ledger.cash_atoms == 100_000 * UNIT
    assert desk.core.ledger.holdings == {}
    assert "pitboss panic sold" in desk.halted


def test_a_recovered_core_knows_whose_the_lots_are(desk: Desk, scripted: Scripted) -> None:
    other = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    other.core.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(desk.core.snapshot()), type=CoreSnapshot))
    told(other, trade(2, 10, order=PANIC, side=m.SELL))
    assert other.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == 0


def test_a_fee_of_panic_that_cannot_be_valued_is_said(desk: Desk) -> None:
    told(desk, trade(2, 10, order=PANIC, side=m.SELL, fee=("BNB", 7)))
    assert "the books have followed" in desk.halted
    assert "was charged in BNB, whose worth in USDT is not known" in desk.halted


@settings(deadline=None)
@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=5),
    st.integers(1, 10**9),
    st.integers(1, 10**7),
    st.integers(-(10**6), 10**6),
    st.sampled_from([m.BUY, m.SELL]),
)
def test_the_shares_add_up_to_the_unit(lots: list[int], sold: int, price: int, fee: int, side: int) -> None:
    """Position, cash and fees of all books together change by exactly what the venue says; no book changes its side."""
    books = [(f"s{number}", "BTC/USDT", held) for number, held in enumerate(lots)]
    instruments = {"BTC/USDT": Instrument(SPOT)}
    context = Context()
    holdings = [Holding(strategy, symbol, held, held) for strategy, symbol, held in books if held]
    ledger = Ledger(context, instruments, Account(10**17, holdings), emit_marks=False)
    said: list[m.Message] = []

    def emit(message: m.Message) -> None:
        said.append(message)
        if isinstance(message, m.Adopted):
            ledger.on_fill(message)

    context.emit = emit
    accounts = Accounts(instruments, books)
    contracts = Contracts(context, instruments, accounts, books)
    booking = Booking(context, instruments, accounts, contracts, books)
    taken = m.TradeReported(PANIC, "BTC/USDT", 7, side, price, sold, "USDT", fee, "taker", 5)

    adoption = Adoption(context, instruments, accounts, contracts, booking)
    adoption.hear(taken)

    assert adoption.follow({("BTC/USDT", 7)}, set()) == 1

    closable = sum(abs(held) for held in lots if held * side < 0)
    shares = [message for message in said if isinstance(message, m.Adopted)]
    assert sum(share.quantity_lots for share in shares) == min(closable, sold)
    for strategy, symbol, held in books:
        book = ledger.holdings.get((strategy, symbol))
        assert book is None or book.quantity_lots * held >= 0
    if closable >= sold:
        value = instruments["BTC/USDT"].value_atoms(price, sold)
        assert ledger.cash_atoms == 10**17 - side * value - fee


def test_books_that_inherited_more_than_the_account_has_halt_at_the_first_look(scripted: Scripted) -> None:
    desk = Desk(scripted({}), held=(Holding("a", "BTC/USDT", 10 * LOT, UNIT // 100),))
    desk.post(m.VenueLink(up=True))
    desk.reconcile("0.00009", "100000")
    assert desk.halted == (
        "the accounts differ: BTC: the books hold 0.00010000, the account only 0.00009000; if it was sold elsewhere,"
        " begin anew with another --state-dir"
    )
    enough = Desk(scripted({}), held=(Holding("a", "BTC/USDT", 10 * LOT, UNIT // 100),))
    enough.connect(btc="0.0001")
    assert enough.halted == ""
