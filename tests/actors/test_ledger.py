"""The ledger, against an independent book in fractions and decimals, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import messages as m
from actors.instrument import Instrument, InstrumentSpec
from actors.ledger import Account, Holding, Ledger, OtherAsset
from actors.runtime.scheduler import Context

MINUTE = 60_000_000_000
UNIT = 10**8
BUY, SELL = m.BUY, m.SELL

Said = Callable[[], list[Any]]


def instrument(symbol: str, tick: str = "1", lot: str = "1") -> Instrument:
    return Instrument(InstrumentSpec(symbol=symbol, tick=Decimal(tick), lot=Decimal(lot)))


def fill(
    side: int, quantity: int, price: int, fee: int = 0, strategy: str = "a", symbol: str = "X", trade: int = 1
) -> m.Fill:
    return m.Fill("o", strategy, symbol, 1, trade, side, price, quantity, 0, fee, "taker", 0)


def bar(close: float, symbol: str = "X", at: int = MINUTE) -> m.Bar:
    return m.Bar(symbol, MINUTE, at - MINUTE, at, close, close, close, close, 1.0)


@pytest.fixture
def ledger(context: Context) -> Ledger:
    """Return a ledger with 1,000 quote units in cash and instruments whose tick and lot are 1."""
    return Ledger(context, {"X": instrument("X"), "Y": instrument("Y")}, Account(1_000 * UNIT), emit_marks=False)


# --- by hand ----------------------------------------------------------------------------------------


def test_a_first_fill_opens_a_book_and_says_how_it_stands(ledger: Ledger, said: Said) -> None:
    ledger.on_fill(fill(BUY, 3, 100, fee=5))
    assert said() == [m.PositionChanged("a", "X", 3, 300 * UNIT, 0, 5, 700 * UNIT - 5)]


def test_a_short_has_negative_cost_and_brings_cash(ledger: Ledger, said: Said) -> None:
    ledger.on_fill(fill(SELL, 3, 100))
    assert said() == [m.PositionChanged("a", "X", -3, -300 * UNIT, 0, 0, 1_300 * UNIT)]


def test_a_fee_in_another_asset_is_owed_and_leaves_the_cash_alone(ledger: Ledger, said: Said) -> None:
    ledger.on_fill(fill(BUY, 3, 100))
    ledger.on_fee_in_asset(m.FeeInAsset("a", "X", 1, "BNB", 7, 4 * UNIT))
    ledger.on_fee_in_asset(m.FeeInAsset("a", "X", 2, "BNB", -1, -UNIT))
    assert said()[1:] == [
        m.PositionChanged("a", "X", 3, 300 * UNIT, 0, 4 * UNIT, 700 * UNIT),
        m.PositionChanged("a", "X", 3, 300 * UNIT, 0, 3 * UNIT, 700 * UNIT),
    ]
    (owed,) = ledger.others.values()
    assert (owed.amount_atoms, owed.value_atoms) == (-6, -3 * UNIT)
    assert ledger.equity_atoms == 997 * UNIT
    ledger.on_fill(fill(SELL, 3, 110, trade=2))
    assert ledger.equity_atoms == 1_027 * UNIT


def test_what_is_owed_of_other_assets_goes_with_the_account(ledger: Ledger, context: Context) -> None:
    ledger.on_fill(fill(BUY, 3, 100))
    ledger.on_fee_in_asset(m.FeeInAsset("a", "X", 1, "BNB", 7, 4 * UNIT))
    instruments = {"X": instrument("X"), "Y": instrument("Y")}
    heir = Ledger(context, instruments, ledger.account(), emit_marks=False)
    restored = Ledger(context, instruments, Account(5, [], [OtherAsset("EUR", 1, 1)]), emit_marks=False)
    restored.load(ledger.dump())
    for other in (heir, restored):
        assert other.equity_atoms == ledger.equity_atoms == 996 * UNIT
        assert other.start_atoms == ledger.start_atoms
        other.on_fill(fill(SELL, 3, 110, trade=2))
        assert other.equity_atoms == 1_026 * UNIT
    assert ledger.others["BNB"].amount_atoms == -7, "the account is a copy"


def test_a_full_close_leaves_no_cost_and_counts_a_round_trip(ledger: Ledger) -> None:
    ledger.on_fill(fill(BUY, 3, 100))
    ledger.on_fill(fill(SELL, 3, 110))
    held = ledger.holdings["a", "X"]
    assert (held.quantity_lots, held.cost_atoms, held.realized_atoms) == (0, 0, 30 * UNIT)
    assert (held.round_trips, held.fills) == (1, 2)
    assert ledger.cash_atoms == ledger.equity_atoms == 1_030 * UNIT


def test_a_partial_close_takes_its_share_of_the_cost_floored(context: Context) -> None:
    """Seven lots for 10 atoms: one lot is 1 3/7 atoms, so closing one takes 1, two take 2, and so on."""
    ledger = Ledger(context, {"X": instrument("X", "1e-8", "1")}, Account(10**6), emit_marks=False)
    ledger.on_fill(fill(BUY, 3, 2))
    ledger.on_fill(fill(BUY, 4, 1))
    held = ledger.holdings["a", "X"]
    costs = [held.cost_atoms]
    for _ in range(7):
        ledger.on_fill(fill(SELL, 1, 1))
        costs.append(held.cost_atoms)
    assert costs == [10, 9, 8, 7, 6, 4, 2, 0]
    assert held.realized_atoms == 7 - 10


def test_the_share_of_a_shorts_cost_is_floored_by_magnitude(context: Context) -> None:
    ledger = Ledger(context, {"X": instrument("X", "1e-8", "1")}, Account(10**6), emit_marks=False)
    ledger.on_fill(fill(SELL, 3, 2))
    ledger.on_fill(fill(SELL, 4, 1))
    held = ledger.holdings["a", "X"]
    ledger.on_fill(fill(BUY, 1, 1))
    assert (held.cost_atoms, held.realized_atoms) == (-9, 0)


def test_a_fill_through_zero_closes_the_old_and_opens_the_new_at_its_price(ledger: Ledger) -> None:
    ledger.on_fill(fill(BUY, 3, 100))
    ledger.on_fill(fill(SELL, 5, 110))
    held = ledger.holdings["a", "X"]
    assert (held.quantity_lots, held.cost_atoms, held.realized_atoms) == (-2, -220 * UNIT, 30 * UNIT)
    assert held.round_trips == 1
    ledger.on_fill(fill(BUY, 4, 100))
    assert (held.quantity_lots, held.cost_atoms, held.realized_atoms) == (2, 200 * UNIT, 50 * UNIT)
    assert held.round_trips == 2


def test_a_rebate_is_a_negative_fee(ledger: Ledger) -> None:
    ledger.on_fill(fill(BUY, 1, 100, fee=-7))
    assert ledger.cash_atoms == 900 * UNIT + 7
    assert ledger.holdings["a", "X"].fees_atoms == -7


def test_strategies_and_symbols_have_books_of_their_own(ledger: Ledger) -> None:
    ledger.on_fill(fill(BUY, 1, 100))
    ledger.on_fill(fill(SELL, 1, 100, strategy="b"))
    ledger.on_fill(fill(BUY, 2, 50, symbol="Y"))
    assert {key: held.quantity_lots for key, held in ledger.holdings.items()} == {
        ("a", "X"): 1,
        ("b", "X"): -1,
        ("a", "Y"): 2,
    }


# --- equity -----------------------------------------------------------------------------------------


def test_equity_is_cash_plus_positions_at_their_last_close(ledger: Ledger) -> None:
    ledger.on_bar(bar(100))
    ledger.on_fill(fill(BUY, 3, 100))
    assert ledger.equity_atoms == 1_000 * UNIT
    ledger.on_bar(bar(110))
    assert ledger.equity_atoms == 1_030 * UNIT
    ledger.on_bar(bar(90, "Y"))
    assert ledger.equity_atoms == 1_030 * UNIT
    held = ledger.holdings["a", "X"]
    assert ledger.unrealized_atoms(held) == 30 * UNIT
    assert ledger.mark_price("X") == 110
    assert ledger.mark_price("Z") is None


def test_before_the_first_close_a_position_counts_at_cost(context: Context) -> None:
    account = Account(500 * UNIT, [Holding("a", "X", 2, 300 * UNIT)])
    ledger = Ledger(context, {"X": instrument("X")}, account, emit_marks=False)
    assert ledger.equity_atoms == 800 * UNIT
    ledger.on_bar(bar(100))
    assert ledger.equity_atoms == 700 * UNIT


def test_marks_are_noted_at_every_close_and_handed_over_once(ledger: Ledger) -> None:
    ledger.on_bar(bar(100, at=MINUTE))
    ledger.on_fill(fill(SELL, 2, 100))
    ledger.on_bar(bar(90, at=2 * MINUTE))
    assert ledger.take_marks() == ([MINUTE, 2 * MINUTE], [1_000 * UNIT, 1_020 * UNIT])
    assert ledger.take_marks() == ([], [])


@pytest.mark.parametrize("emit", [True, False])
def test_marks_are_said_only_where_somebody_listens(context: Context, said: Said, emit: bool) -> None:
    ledger = Ledger(context, {"X": instrument("X")}, Account(UNIT), emit_marks=emit)
    ledger.on_bar(bar(100))
    assert said() == ([m.EquityMark(UNIT, MINUTE)] if emit else [])


def test_a_fill_of_nothing_is_a_fault(ledger: Ledger) -> None:
    with pytest.raises(AssertionError):
        ledger.on_fill(fill(BUY, 0, 100))


@pytest.mark.parametrize("spoil", ["cash", "cost", "realized", "fees"])
def test_money_that_is_not_conserved_is_a_fault(ledger: Ledger, spoil: str) -> None:
    ledger.on_fill(fill(BUY, 2, 100, fee=3))
    held = ledger.holdings["a", "X"]
    if spoil == "cash":
        ledger.cash_atoms += 1
    else:
        setattr(held, f"{spoil}_atoms", getattr(held, f"{spoil}_atoms") + 1)
    with pytest.raises(AssertionError, match="money was not conserved"):
        ledger.on_fill(fill(BUY, 1, 100))


def test_more_money_than_a_journal_can_hold_is_a_fault_and_no_overflow(ledger: Ledger) -> None:
    ledger.on_fill(fill(SELL, 9 * 10**8, 100))
    with pytest.raises(AssertionError, match="more money than can be counted"):
        ledger.on_fill(fill(SELL, 9 * 10**7, 100))


# --- conservation, whatever happens -----------------------------------------------------------------


class Book:
    """One strategy's book, kept the slow way: exact decimals in, atoms rounded where the contract says."""

    def __init__(self) -> None:
        self.lots = 0
        self.cost = 0
        self.realized = 0
        self.fees = 0
        self.trips = 0


def atoms(value: Fraction) -> int:
    """Round half-up by magnitude."""
    magnitude = int((2 * abs(value) + 1) // 2)
    return -magnitude if value < 0 else magnitude


TICKS = {"X": ("0.01", "0.00001"), "Y": ("1e-8", "1"), "Z": ("0.3", "1e-8")}


class Accountant:
    """A whole account, kept the slow way."""

    def __init__(self, cash: int) -> None:
        self.start = self.cash = cash
        self.books: dict[tuple[str, str], Book] = {}

    def value(self, symbol: str, price: int, lots: int) -> int:
        tick, lot = (Fraction(Decimal(step)) for step in TICKS[symbol])
        return atoms(tick * price * lot * lots * UNIT)

    def take(self, each: m.Fill) -> None:
        book = self.books.setdefault((each.strategy, each.symbol), Book())
        signed = each.side * each.quantity_lots
        paid = each.side * self.value(each.symbol, each.price_ticks, each.quantity_lots)
        self.cash -= paid + each.fee_atoms
        book.fees += each.fee_atoms
        before, after = book.lots, book.lots + signed
        if before * signed >= 0:
            book.cost += paid
        elif abs(signed) < abs(before):
            share = abs(book.cost) * abs(signed) // abs(before) * (1 if book.cost > 0 else -1)
            book.realized += -paid - share
            book.cost -= share
        else:
            opened = self.value(each.symbol, each.price_ticks, after)
            book.realized += -paid + opened - book.cost
            book.cost = opened
            book.trips += 1
        book.lots = after

    @property
    def conserved(self) -> bool:
        books = self.books.values()
        return self.cash + sum(b.cost for b in books) == self.start + sum(b.realized - b.fees for b in books)


fills = st.builds(
    fill,
    side=st.sampled_from([BUY, SELL]),
    quantity=st.one_of(st.integers(1, 12), st.integers(1, 10**8)),
    price=st.integers(1, 10**7),
    fee=st.integers(-(10**6), 10**9),
    strategy=st.sampled_from("ab"),
    symbol=st.sampled_from("XYZ"),
)


@pytest.mark.slow
@given(st.integers(-(10**15), 10**15), st.lists(fills, max_size=40))
@settings(deadline=None, max_examples=300)
def test_random_fills_agree_with_the_accountant_to_the_atom(cash: int, history: list[m.Fill]) -> None:
    context = Context()
    units = {symbol: instrument(symbol, *steps) for symbol, steps in TICKS.items()}
    ledger, accountant = Ledger(context, units, Account(cash), emit_marks=False), Accountant(cash)
    for each in history:
        ledger.on_fill(each)
        accountant.take(each)
        assert accountant.conserved
        (message,) = context.outbox
        context.outbox.clear()
        book = accountant.books[each.strategy, each.symbol]
        assert message == m.PositionChanged(
            each.strategy, each.symbol, book.lots, book.cost, book.realized, book.fees, accountant.cash
        )
        assert book.lots != 0 or book.cost == 0
    held = ledger.holdings
    assert {key: h.round_trips for key, h in held.items()} == {key: b.trips for key, b in accountant.books.items()}
    assert sum(h.fills for h in held.values()) == len(history)


marks = st.builds(bar, close=st.integers(1, 10**6).map(lambda cents: cents / 100), symbol=st.sampled_from("XYZ"))


@pytest.mark.slow
@given(st.lists(st.one_of(fills, marks), max_size=40), st.integers(0, 40))
@settings(deadline=None, max_examples=200)
def test_equity_is_the_slow_sum_also_behind_a_restart(history: list[m.Fill | m.Bar], cut: int) -> None:
    units = {symbol: instrument(symbol, *steps) for symbol, steps in TICKS.items()}
    ledger = Ledger(Context(), units, Account(10**12), emit_marks=False)
    accountant = Accountant(10**12)
    closes: dict[str, float] = {}
    for index, each in enumerate(history):
        if index == cut:
            restored = Ledger(Context(), units, Account(0), emit_marks=False)
            restored.load(ledger.dump())
            assert restored.dump() == ledger.dump()
            ledger = restored
        if isinstance(each, m.Fill):
            ledger.on_fill(each)
            accountant.take(each)
        else:
            ledger.on_bar(each)
            closes[each.symbol] = each.close
        expected = accountant.cash
        for (_, symbol), book in accountant.books.items():
            if symbol in closes:
                ticks = atoms(Fraction(Decimal(repr(closes[symbol]))) / Fraction(Decimal(TICKS[symbol][0])))
                expected += accountant.value(symbol, ticks, book.lots)
            else:
                expected += book.cost
        assert ledger.equity_atoms == expected


class Chunk:
    """Columns of a tape, as much of them as the ledger reads."""

    def __init__(self, closes: list[float]) -> None:
        self.open_ns = np.arange(len(closes)) * MINUTE
        self.close = np.array(closes)


@pytest.mark.slow
@given(
    st.lists(st.one_of(st.integers(1, 10**6).map(lambda cents: cents / 100), st.floats(1e-3, 1e14)), min_size=1),
    st.dictionaries(st.integers(0, 30), st.lists(fills, min_size=1, max_size=3)),
    st.sampled_from([10**12, -(10**15), 2**62 - 10**17]),
)
@settings(deadline=None, max_examples=300)
def test_a_chunk_marked_at_once_equals_its_bars_marked_one_by_one(
    closes: list[float], at: dict[int, list[m.Fill]], cash: int
) -> None:
    units = {"X": instrument("X", *TICKS["X"])}
    holding = Holding("b", "X", quantity_lots=-7, cost_atoms=-(10**6))
    contexts = Context(), Context()
    one, two = (Ledger(context, units, Account(cash, [copy(holding)]), emit_marks=False) for context in contexts)
    assert two.preload("X", Chunk(closes), MINUTE)
    expected: tuple[list[int], list[int]] = ([], [])
    for index, close in enumerate(closes):
        data = bar(close, at=(index + 1) * MINUTE)
        for context, ledger in zip(contexts, (one, two), strict=True):
            context.now_ns = data.close_ns
            for each in at.get(index, ()):
                ledger.on_fill(msgspec.structs.replace(each, symbol="X"))
            ledger.on_bar(data)
        for all_of_it, part in zip(expected, one.take_marks(), strict=True):
            all_of_it.extend(part)
    times_ns, equity_atoms = two.take_marks()
    assert (list(times_ns), list(equity_atoms)) == expected
    assert two.equity_atoms == one.equity_atoms
    assert two.dump() == one.dump()


def test_a_chunk_is_marked_bar_by_bar_where_there_is_another_market_or_somebody_listens(
    ledger: Ledger, context: Context
) -> None:
    assert not ledger.preload("X", Chunk([1.0]), MINUTE)
    heard = Ledger(context, {"X": instrument("X")}, Account(UNIT), emit_marks=True)
    assert not heard.preload("X", Chunk([1.0]), MINUTE)
    ledger.on_bar(bar(100))
    assert ledger.take_marks() == ([MINUTE], [1_000 * UNIT])


def test_a_chunk_that_was_not_marked_is_a_fault(context: Context) -> None:
    ledger = Ledger(context, {"X": instrument("X")}, Account(UNIT), emit_marks=False)
    ledger.preload("X", Chunk([1.0]), MINUTE)
    with pytest.raises(AssertionError, match="left unmarked"):
        ledger.preload("X", Chunk([2.0]), MINUTE)


def test_an_account_is_handed_over_as_a_copy(ledger: Ledger) -> None:
    ledger.on_fill(fill(BUY, 2, 100))
    account = ledger.account()
    ledger.on_fill(fill(BUY, 2, 100))
    assert account.holdings[0].quantity_lots == 2
    assert account.cash_atoms == 800 * UNIT
