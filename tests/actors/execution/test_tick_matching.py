"""The simulated venue on trades, quotes and books: what fills, when, for how much, and what never does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import messages as m
from actors.execution.simulated import SimulatedVenue
from actors.instrument import Instrument, InstrumentSpec
from actors.runtime.scheduler import Context
from config.schema import Venue

BUY, SELL = m.BUY, m.SELL
MS = 1_000_000


class Floor:
    """A venue with ticks in X, an instrument of tick 1 and lot 1, fed by the millisecond."""

    def __init__(self, positions: tuple[tuple[str, str, int], ...] = (), latency_ms: float = 0, **fees: Any) -> None:
        self.context = Context()
        instruments = {s: Instrument(InstrumentSpec(symbol=s, tick=Decimal(1), lot=Decimal(1))) for s in "XY"}
        decimals: dict[str, Any] = {name: Decimal(str(value)) for name, value in fees.items()}
        settings = Venue(latency_ms=latency_ms, **decimals)
        self.venue = SimulatedVenue(self.context, instruments, settings, positions, ["X"])
        self.count = 0

    def say(self) -> list[Any]:
        said = list(self.context.outbox)
        self.context.outbox.clear()
        for fill in said:
            if isinstance(fill, m.Fill):
                self.venue.untold.on_heard(fill)
        return said

    def at(self, ms: int) -> Floor:
        self.context.now_ns = ms * MS
        return self

    def submit(self, side: int, lots: int, kind: Any = "market", limit: int = 0, stop: int = 0, **terms: Any) -> Any:
        self.count += 1
        request = m.OrderRequest(terms.pop("strategy", "a"), "X", self.count, side, lots, kind, limit, stop, **terms)
        self.venue.on_submit(m.SubmitOrder(f"o{self.count}", request))
        return self.say()

    def amend(self, number: int, lots: int, limit: int) -> list[Any]:
        (old,) = [each for each in self.venue.ticks._resting["X"] if each.order_id == f"o{number}"]
        request = msgspec.structs.replace(old.request, quantity_lots=lots, limit_ticks=limit)
        self.venue.on_amend(m.AmendOrder(f"o{number}", f"o{number}b", request, "spare"))
        return self.say()

    def trade(self, ms: int, price: int, lots: float, side: int = 0) -> list[Any]:
        self.at(ms).venue.ticks.on_trade(m.Trade("X", 0, float(price), float(lots), side, ms * MS))
        return self.say()

    def quote(self, ms: int, bid: int, bid_lots: float, ask: int, ask_lots: float) -> list[Any]:
        self.at(ms).venue.ticks.on_quote(m.Quote("X", bid, bid_lots, ask, ask_lots, ms * MS))
        return self.say()

    def book(self, ms: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> list[Any]:
        self.at(ms).venue.ticks.on_book(m.BookSnapshot("X", 0, tuple(bids), tuple(asks), ms * MS))
        return self.say()

    def bar(self, ms: int, opened: int, high: int, low: int, close: int, symbol: str = "X") -> list[Any]:
        self.at(ms).venue.on_bar(m.Bar(symbol, 60_000 * MS, (ms - 60_000) * MS, ms * MS, opened, high, low, close, 9.0))
        return self.say()


def fills(said: list[Any]) -> list[tuple[str, int, int, str]]:
    """Return (order, price, quantity, liquidity) of every fill."""
    return [(e.order_id, e.price_ticks, e.quantity_lots, e.liquidity) for e in said if isinstance(e, m.Fill)]


def ends(said: list[Any]) -> list[tuple[str, str, str]]:
    """Return (order, kind of end, reason) of every order that ended unfilled."""
    kinds = (m.Rejected, m.Cancelled, m.Expired, m.AmendRejected)
    return [(e.order_id, type(e).__name__, e.reason) for e in said if isinstance(e, kinds)]


@pytest.fixture
def bare() -> Floor:
    """Return a venue that knows one trade, at 100, and nothing of the book."""
    floor = Floor()
    floor.trade(1, 100, 1)
    return floor


@pytest.fixture
def quoted() -> Floor:
    """Return a venue that knows 5 lots at 99 and 3 at 101."""
    floor = Floor()
    floor.trade(1, 100, 1)
    floor.quote(1, 99, 5, 101, 3)
    return floor


# --- market orders ----------------------------------------------------------------------------------


def test_without_quotes_a_market_order_takes_the_next_trades_for_their_quantities(bare: Floor) -> None:
    assert fills(bare.submit(BUY, 5)) == []
    assert fills(bare.trade(2, 103, 2)) == [("o1", 103, 2, "taker")]
    (fill,) = bare.trade(3, 104, 9)
    assert (fill.price_ticks, fill.quantity_lots, fill.remaining_lots, fill.executed_ns) == (104, 3, 0, 3 * MS)
    assert bare.trade(4, 104, 9) == []


def test_a_market_order_takes_what_was_displayed_when_it_arrived(quoted: Floor) -> None:
    quoted.submit(BUY, 2)
    (fill,) = quoted.trade(7, 90, 50)
    assert (fill.price_ticks, fill.quantity_lots, fill.liquidity, fill.executed_ns) == (101, 2, "taker", MS + 1)


def test_a_market_order_walks_the_book_and_waits_for_more(quoted: Floor) -> None:
    quoted.book(2, [(99, 5)], [(101, 3), (102, 1), (105, 2)])
    quoted.submit(BUY, 8)
    said = quoted.trade(3, 101, 50, BUY)
    assert fills(said) == [("o1", 101, 3, "taker"), ("o1", 102, 1, "taker"), ("o1", 105, 2, "taker")]
    assert quoted.trade(4, 101, 50, BUY) == []
    assert fills(quoted.quote(5, 99, 5, 106, 9)) == [("o1", 106, 2, "taker")]


def test_what_one_order_took_is_gone_until_the_next_quote(quoted: Floor) -> None:
    quoted.submit(BUY, 2)
    quoted.submit(BUY, 2)
    assert fills(quoted.trade(2, 100, 1)) == [("o1", 101, 2, "taker"), ("o2", 101, 1, "taker")]
    assert fills(quoted.quote(3, 99, 5, 103, 3)) == [("o2", 103, 1, "taker")]


def test_slippage_is_a_takers(quoted: Floor) -> None:
    floor = Floor(slippage_bps=200, taker_fee="0.001", maker_fee=0)
    floor.quote(1, 9_900, 5, 10_100, 3)
    floor.submit(SELL, 1)
    floor.submit(BUY, 1, "limit", 9_900)
    taken, rested = floor.trade(2, 9_899, 9, SELL)
    assert (taken.price_ticks, taken.fee_atoms) == (9_702, 9_702 * 10**5)
    assert (rested.price_ticks, rested.fee_atoms) == (9_900, 0)


# --- no look-ahead ----------------------------------------------------------------------------------


def test_nothing_of_the_time_of_the_decision_fills(bare: Floor) -> None:
    bare.at(5)
    bare.submit(BUY, 1)
    bare.submit(BUY, 1, "limit", 100)
    bare.submit(SELL, 1, "stop", stop=100)
    assert bare.trade(5, 90, 50) == []
    assert fills(bare.trade(6, 98, 50)) == [("o1", 98, 1, "taker"), ("o2", 98, 1, "taker")]
    assert fills(bare.trade(7, 97, 50)) == [("o3", 97, 1, "taker")]


@pytest.mark.parametrize("latency_ms", [0, 1, 2, 3, 10])
def test_an_order_is_blind_to_every_trade_before_it_arrives(latency_ms: int) -> None:
    """Whatever trades at or before its arrival is shifted about: the fill stays what it is."""
    outcomes = set()
    for early in (50, 100, 150):
        floor = Floor(latency_ms=latency_ms)
        floor.trade(1, 100, 1)
        floor.at(4)
        floor.submit(BUY, 3, "stop", stop=120)
        floor.submit(SELL, 3, "limit", 110)
        floor.submit(BUY, 3)
        for ms in range(4, 4 + latency_ms):
            assert floor.trade(ms, early, 9) == []
        last = floor.trade(4 + max(1, latency_ms), 105, 2)
        outcomes.add(tuple(fills(last)))
    assert outcomes == {(("o3", 105, 2, "taker"),)}


def test_a_queue_is_not_shortened_by_trades_before_the_arrival() -> None:
    floor = Floor(latency_ms=5)
    floor.quote(1, 99, 5, 101, 3)
    floor.submit(BUY, 2, "limit", 99)
    floor.trade(3, 99, 4, SELL)
    assert floor.trade(8, 99, 5, SELL) == []
    assert fills(floor.trade(9, 99, 1, SELL)) == [("o1", 99, 1, "maker")]


def test_bars_of_a_symbol_with_ticks_fill_nothing_and_others_do(bare: Floor) -> None:
    bare.submit(BUY, 1, "limit", 90)
    bare.submit(BUY, 1)
    assert bare.bar(60_000, 100, 200, 50, 100) == []
    bare.count += 1
    request = m.OrderRequest("a", "Y", bare.count, BUY, 1, "market", 0, 0)
    bare.venue.on_submit(m.SubmitOrder(f"o{bare.count}", request))
    assert [type(each) for each in bare.bar(120_000, 7, 7, 7, 7, symbol="Y")] == [m.Accepted, m.Fill]


# --- limits that rest -------------------------------------------------------------------------------


def test_a_limit_fills_behind_the_queue_and_by_what_is_traded(quoted: Floor) -> None:
    quoted.submit(BUY, 4, "limit", 99)
    assert quoted.trade(2, 99, 3, SELL) == []
    assert fills(quoted.trade(3, 99, 3, SELL)) == [("o1", 99, 1, "maker")]
    assert fills(quoted.trade(4, 99, 9, SELL)) == [("o1", 99, 3, "maker")]


def test_a_trade_whose_taker_was_on_our_side_leaves_the_queue_alone(quoted: Floor) -> None:
    quoted.submit(SELL, 4, "limit", 101)
    assert quoted.trade(2, 101, 50, SELL) == []
    assert fills(quoted.trade(3, 101, 4, BUY)) == [("o1", 101, 1, "maker")]


def test_a_trade_that_does_not_say_who_took_is_told_by_what_was_displayed(quoted: Floor) -> None:
    quoted.submit(SELL, 1, "limit", 101)
    quoted.submit(BUY, 1, "limit", 100)
    assert quoted.trade(2, 99, 1) != [], "through ours at 100"
    quoted.submit(BUY, 1, "limit", 100)
    assert quoted.trade(3, 100, 50) == [], "between bid and ask nobody knows who took"
    assert quoted.trade(4, 101, 3) == [], "of a buyer, who met the queue"
    assert fills(quoted.trade(5, 101, 1)) == [("o1", 101, 1, "maker")]


def test_nobody_stands_first_where_a_trade_has_used_up_what_was_displayed(quoted: Floor) -> None:
    quoted.trade(2, 95, 9, SELL)
    quoted.submit(BUY, 1, "limit", 95)
    assert quoted.trade(3, 95, 9, SELL) == []
    quoted.quote(4, 95, 2, 97, 1)
    assert quoted.trade(5, 95, 2, SELL) == []
    assert fills(quoted.trade(6, 95, 1, SELL)) == [("o1", 95, 1, "maker")]


def test_a_trade_through_a_limit_does_away_with_the_queue_but_fills_no_more_than_was_traded(quoted: Floor) -> None:
    quoted.submit(BUY, 4, "limit", 99)
    assert fills(quoted.trade(2, 98, 1, SELL)) == [("o1", 99, 1, "maker")]
    assert fills(quoted.trade(3, 99, 2, SELL)) == [("o1", 99, 2, "maker")]


def test_cancellations_are_taken_to_have_stood_behind_us(quoted: Floor) -> None:
    quoted.submit(BUY, 1, "limit", 99)
    quoted.quote(2, 99, 1, 101, 3)
    assert quoted.trade(3, 99, 5, SELL) == []
    assert fills(quoted.trade(4, 99, 1, SELL)) == [("o1", 99, 1, "maker")]


def test_nobody_stands_before_a_limit_that_is_the_new_best(quoted: Floor) -> None:
    quoted.submit(BUY, 2, "limit", 100)
    assert fills(quoted.trade(2, 100, 1, SELL)) == [("o1", 100, 1, "maker")]


def test_a_limit_at_a_price_nobody_showed_is_last_until_it_is_shown(quoted: Floor) -> None:
    quoted.submit(BUY, 2, "limit", 97)
    assert quoted.trade(2, 97, 50, SELL) == []
    quoted.quote(3, 97, 4, 99, 1)
    assert quoted.trade(4, 97, 4, SELL) == []
    assert fills(quoted.trade(5, 97, 4, SELL)) == [("o1", 97, 2, "maker")]


def test_a_book_tells_of_queues_below_the_best_and_of_empty_prices_between(quoted: Floor) -> None:
    quoted.book(2, [(99, 5), (96, 2)], [(101, 3)])
    quoted.submit(BUY, 1, "limit", 96)
    quoted.submit(BUY, 1, "limit", 97)
    assert fills(quoted.trade(3, 97, 1, SELL)) == [("o2", 97, 1, "maker")]
    assert fills(quoted.trade(4, 96, 3, SELL)) == [("o1", 96, 1, "maker")]


def test_a_quote_renews_the_best_and_leaves_what_the_book_showed_behind_it(quoted: Floor) -> None:
    quoted.book(2, [(99, 5), (98, 2), (96, 2)], [(101, 3), (103, 4)])
    quoted.quote(3, 98, 1, 102, 1)
    quoted.submit(BUY, 4)
    assert fills(quoted.trade(4, 100, 1)) == [("o1", 102, 1, "taker"), ("o1", 103, 3, "taker")]
    quoted.submit(BUY, 1, "limit", 96)
    assert fills(quoted.trade(5, 96, 3, SELL)) == [("o2", 96, 1, "maker")]


def test_orders_of_ours_share_a_trade_the_better_price_first(quoted: Floor) -> None:
    quoted.submit(BUY, 2, "limit", 99)
    quoted.submit(BUY, 2, "limit", 100)
    assert fills(quoted.trade(2, 98, 3, SELL)) == [("o2", 100, 2, "maker"), ("o1", 99, 1, "maker")]


def test_what_was_traded_before_both_of_two_orders_shortens_both_queues(quoted: Floor) -> None:
    quoted.submit(BUY, 2, "limit", 99)
    quoted.quote(2, 99, 8, 101, 3)
    quoted.submit(BUY, 2, "limit", 99)
    assert fills(quoted.trade(3, 99, 6, SELL)) == [("o1", 99, 1, "maker")]
    assert fills(quoted.trade(4, 99, 5, SELL)) == [("o1", 99, 1, "maker"), ("o2", 99, 1, "maker")]


# --- limits that take -------------------------------------------------------------------------------


def test_a_limit_that_is_met_takes_and_rests_with_what_is_left(quoted: Floor) -> None:
    quoted.book(2, [(99, 5)], [(101, 3), (103, 2)])
    quoted.submit(BUY, 5, "limit", 102)
    assert fills(quoted.trade(3, 103, 1)) == [("o1", 101, 3, "taker")]
    assert fills(quoted.trade(4, 102, 1, SELL)) == [("o1", 102, 1, "maker")]


def test_without_quotes_a_limit_takes_the_very_next_trade_or_rests(bare: Floor) -> None:
    bare.submit(BUY, 3, "limit", 105)
    bare.submit(BUY, 3, "limit", 102)
    assert fills(bare.trade(2, 104, 1)) == [("o1", 104, 1, "taker")]
    assert fills(bare.trade(3, 101, 3)) == [("o1", 105, 2, "maker"), ("o2", 102, 1, "maker")]


def test_a_post_only_order_that_would_take_is_rejected(quoted: Floor) -> None:
    quoted.submit(BUY, 1, "limit", 101, post_only=True)
    quoted.submit(BUY, 1, "limit", 100, post_only=True)
    assert ends(quoted.trade(2, 100, 1, BUY)) == [("o1", "Rejected", "post-only, and it would take liquidity")]
    assert fills(quoted.trade(3, 100, 1, SELL)) == [("o2", 100, 1, "maker")]


@pytest.mark.parametrize(
    ("tif", "limit", "filled"),
    [("ioc", 101, 3), ("ioc", 100, 0), ("fok", 101, 0), ("fok", 102, 5), ("ioc", 110, 5), ("fok", 110, 5)],
)
def test_time_in_force_knows_the_levels(quoted: Floor, tif: str, limit: int, filled: int) -> None:
    quoted.book(2, [(99, 5)], [(101, 3), (102, 2)])
    quoted.submit(BUY, 5, "limit", limit, time_in_force=tif)
    said = quoted.trade(3, 90, 99)
    assert sum(each[2] for each in fills(said)) == filled
    assert bool(ends(said)) == (filled < 5)
    assert quoted.trade(4, 90, 99) == []


@pytest.mark.parametrize(
    ("tif", "limit", "filled"), [("ioc", 104, 2), ("ioc", 102, 0), ("fok", 104, 0), ("ioc", 103, 2)]
)
def test_without_quotes_the_next_trade_decides_on_time_in_force(bare: Floor, tif: str, limit: int, filled: int) -> None:
    bare.submit(BUY, 5, "limit", limit, time_in_force=tif)
    said = bare.trade(2, 103, 2)
    assert sum(each[2] for each in fills(said)) == filled
    assert [each[1] for each in ends(said)] == ["Expired"]
    assert bare.trade(3, 90, 99) == []


def test_a_post_only_order_that_must_fill_at_once_cannot(bare: Floor) -> None:
    bare.submit(BUY, 1, "limit", 99, post_only=True, time_in_force="ioc")
    said = bare.trade(2, 90, 5)
    assert (fills(said), [each[1] for each in ends(said)]) == ([], ["Expired"])


def test_reduce_only_fills_no_more_than_is_held_over_several_parts() -> None:
    floor = Floor((("a", "X", 3),))
    floor.quote(1, 99, 2, 101, 3)
    floor.submit(SELL, 9, "limit", 101, reduce_only=True)
    said = floor.trade(2, 101, 4, BUY) + floor.trade(3, 101, 1, BUY) + floor.trade(4, 101, 9, BUY)
    assert [each[2] for each in fills(said)] == [1, 1, 1]
    assert ends(said) == [("o1", "Expired", "reduce-only, and nothing is left to reduce")]


# --- stops ------------------------------------------------------------------------------------------


def test_a_stop_is_set_off_by_a_trade_and_takes_what_comes_after(bare: Floor) -> None:
    bare.submit(SELL, 2, "stop", stop=95)
    assert bare.trade(2, 96, 9) == []
    assert bare.trade(3, 95, 9) == []
    assert fills(bare.trade(4, 93, 9)) == [("o1", 93, 2, "taker")]


def test_with_quotes_a_stop_takes_the_best_that_stands_after_its_trade(quoted: Floor) -> None:
    quoted.submit(SELL, 2, "stop", stop=99)
    quoted.trade(2, 99, 9, SELL)
    quoted.quote(2, 97, 9, 99, 1)
    assert fills(quoted.trade(3, 110, 9)) == [("o1", 97, 2, "taker")]


@pytest.mark.parametrize(("side", "far", "near"), [(SELL, 94, 93), (BUY, 106, 107)])
def test_a_stop_never_takes_what_its_own_trade_went_through(quoted: Floor, side: int, far: int, near: int) -> None:
    quoted.submit(side, 2, "stop", stop=95 if side == SELL else 105)
    quoted.trade(2, far, 9, side)
    assert fills(quoted.trade(3, far, 9, side)) == []
    best = {SELL: (near, 9, near + 1, 9), BUY: (near - 1, 9, near, 9)}[side]
    assert fills(quoted.quote(4, *best)) == [("o1", near, 2, "taker")]


def test_a_stop_takes_the_levels_its_trade_has_left(quoted: Floor) -> None:
    quoted.book(2, [(99, 5), (97, 1), (94, 1), (93, 4)], [(101, 3)])
    quoted.submit(SELL, 3, "stop", stop=95)
    quoted.trade(3, 94, 9, SELL)
    assert fills(quoted.trade(4, 94, 9, SELL)) == [("o1", 94, 1, "taker"), ("o1", 93, 2, "taker")]


def test_a_market_order_does_not_take_what_was_traded_through_before_it_was_decided(quoted: Floor) -> None:
    quoted.trade(2, 90, 1, SELL)
    quoted.submit(SELL, 1)
    assert fills(quoted.trade(3, 90, 1, SELL)) == []
    assert fills(quoted.quote(4, 89, 1, 91, 1)) == [("o1", 89, 1, "taker")]


def test_a_quote_sets_off_nothing(quoted: Floor) -> None:
    quoted.submit(SELL, 2, "stop", stop=95)
    assert quoted.quote(2, 90, 9, 91, 1) == []
    assert quoted.trade(3, 96, 1) == []


def test_a_stop_limit_is_a_limit_once_it_is_set_off(quoted: Floor) -> None:
    quoted.submit(BUY, 4, "stop_limit", 101, 100)
    assert quoted.trade(2, 99, 9, SELL) == []
    quoted.trade(3, 100, 1)
    assert fills(quoted.trade(4, 105, 1)) == [("o1", 101, 3, "taker")]
    assert fills(quoted.quote(5, 99, 5, 101, 7)) == [("o1", 101, 1, "taker")]


# --- amends, cancels, the end, state ----------------------------------------------------------------


def test_an_amended_order_keeps_what_was_filled_and_loses_its_place(quoted: Floor) -> None:
    quoted.submit(BUY, 4, "limit", 99)
    quoted.trade(2, 99, 6, SELL)
    quoted.amend(1, 6, 99)
    said = quoted.trade(3, 99, 6, SELL)
    assert [type(each) for each in said] == [m.Amended, m.Fill]
    assert (said[1].order_id, said[1].quantity_lots, said[1].remaining_lots) == ("o1b", 1, 4)


def test_an_amend_to_less_than_is_filled_by_then_is_refused() -> None:
    floor = Floor(latency_ms=5)
    floor.quote(1, 99, 0.5, 101, 3)
    floor.submit(BUY, 4, "limit", 99)
    floor.trade(10, 99, 2, SELL)
    floor.amend(1, 2, 99)
    assert fills(floor.trade(12, 99, 1, SELL)) == [("o1", 99, 1, "maker")]
    assert ends(floor.trade(20, 120, 1, BUY)) == [("o1", "AmendRejected", "as much is filled already")]
    assert fills(floor.trade(21, 99, 5, SELL)) == [("o1", 99, 2, "maker")]


def test_what_is_cancelled_between_two_parts_fills_no_more(quoted: Floor) -> None:
    quoted.submit(BUY, 4, "limit", 99)
    quoted.trade(2, 99, 6, SELL)
    quoted.venue.on_cancel(m.CancelOrder("o1"))
    assert [each[1] for each in ends(quoted.say())] == ["Cancelled"]
    assert quoted.trade(3, 99, 6, SELL) == []


def test_at_the_end_a_flatten_fills_at_the_last_trade(quoted: Floor) -> None:
    quoted.trade(9, 104, 1)
    quoted.submit(SELL, 2, closing=True)
    quoted.venue.on_tape_ended(m.TapeEnded())
    (fill,) = quoted.say()
    assert (fill.price_ticks, fill.executed_ns, fill.synthetic) == (104, 9 * MS, True)


def test_a_restored_venue_goes_on_in_the_middle_of_a_queue(quoted: Floor) -> None:
    quoted.submit(BUY, 4, "limit", 99)
    quoted.submit(BUY, 1, "stop", stop=120)
    quoted.trade(2, 99, 3, SELL)
    other = Floor()
    other.venue.load(quoted.venue.dump())
    assert other.venue.dump() == quoted.venue.dump()
    for floor in (quoted, other):
        assert fills(floor.trade(3, 99, 3, SELL)) == [("o1", 99, 1, "maker")]
        floor.trade(4, 121, 1)
        assert fills(floor.quote(5, 99, 5, 122, 1)) == [("o2", 122, 1, "taker")]


# --- against a reference ----------------------------------------------------------------------------


class Slow:
    """The same story told lot by lot: queues are lists of names, sides are lists of prices."""

    def __init__(self) -> None:
        self.asks: list[int] = []
        self.bids: list[int] = []
        self.last_ask = self.last_bid = 0
        self.waiting: list[list[Any]] = []
        self.taking: list[list[Any]] = []
        self.lines: dict[tuple[int, int], list[str]] = {}
        """(side, price) -> who stands there, front first; "" is a stranger's lot, of whom more come behind."""
        self.unseen: list[list[Any]] = []
        self.filled: list[tuple[str, int]] = []
        """(order, price) of every single lot."""

    def submit(self, name: str, side: int, lots: int, limit: int) -> None:
        self.waiting.append([name, side, lots, limit])

    def arrive(self) -> None:
        waiting, self.waiting = self.waiting, []
        for order in waiting:
            self.take(order)

    def take(self, order: list[Any]) -> None:
        name, side, _, limit = order
        shown = self.asks if side > 0 else self.bids
        while order[2] and shown and (not limit or side * (limit - shown[0]) >= 0):
            self.filled.append((name, shown.pop(0)))
            order[2] -= 1
        best = shown[0] if shown else (self.last_ask if side > 0 else self.last_bid)
        if not order[2]:
            return
        if not limit or (not shown and side * (limit - best) >= 0):
            self.taking.append(order)
            return
        self.stand(order)

    def stand(self, order: list[Any]) -> None:
        name, side, lots, limit = order
        own_side = self.bids if side > 0 else self.asks
        best = own_side[0] if own_side else (self.last_bid if side > 0 else self.last_ask)
        if side * (best - limit) > 0 or (not own_side and best == limit):
            self.unseen.append(order)
            return
        strangers = own_side.count(limit)
        line = self.lines.setdefault((side, limit), [])
        place = 0
        while place < len(line) and (strangers or line[place] != ""):
            strangers -= line[place] == ""
            place += 1
        line[place:place] = [""] * strangers + [name] * lots

    def quote(self, bid: int, bid_lots: int, ask: int, ask_lots: int) -> None:
        self.arrive()
        self.bids, self.asks = [bid] * bid_lots, [ask] * ask_lots
        self.last_bid, self.last_ask = bid, ask
        again = [(*each, "taking") for each in self.taking] + [(*each, "unseen") for each in self.unseen]
        again.sort(key=lambda each: int(each[0][1:]))
        self.taking, self.unseen = [], []
        for *order, why in again:
            if why == "taking":
                self.take(order)
            else:
                self.stand(order)

    def trade(self, price: int, lots: int, taker: int) -> None:
        self.arrive()
        for side in (1, -1):
            for order in [each for each in self.unseen if each[1] == side and side * (each[3] - price) > 0]:
                self.unseen.remove(order)
                self.lines.setdefault((side, order[3]), []).extend([order[0]] * order[2])
        through = {key: line for key, line in self.lines.items() if key[0] * (key[1] - price) > 0}
        met = [
            (-abs(key[1] - price), int(name[1:]), key, name) for key, line in through.items() for name in line if name
        ]
        for line in through.values():
            line[:] = sorted((name for name in line if name), key=lambda name: int(name[1:]))
        for _, _, key, name in sorted(met)[:lots]:
            self.filled.append((name, key[1]))
            through[key].remove(name)
        lots = max(0, lots - len(met))
        line = self.lines.get((-taker, price), [])
        while line and lots:
            if name := line.pop(0):
                self.filled.append((name, price))
            lots -= 1
        if self.last_bid > price:
            self.bids, self.last_bid = [], price
        if self.last_ask < price:
            self.asks, self.last_ask = [], price


LOTS = st.integers(1, 6)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(-2, 1), st.integers(1, 9), st.sampled_from([BUY, SELL])),
        st.tuples(st.just("quote"), st.integers(-2, 0), LOTS, st.integers(1, 2), LOTS),
        st.tuples(st.just("limit"), st.sampled_from([BUY, SELL]), LOTS, st.integers(-2, 1)),
        st.tuples(st.just("limit"), st.just(BUY), LOTS, st.just(-1)),
        st.tuples(st.just("market"), st.sampled_from([BUY, SELL]), LOTS),
    ),
    min_size=6,
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=300)
@given(events=EVENTS)
def test_queues_and_parts_are_those_of_a_market_told_lot_by_lot(events: list[tuple[Any, ...]]) -> None:
    floor, slow = Floor(), Slow()
    floor.quote(1, 99, 3, 101, 3)
    slow.quote(99, 3, 101, 3)
    lots: list[tuple[str, int]] = []
    for ms, event in enumerate([*events, ("trade", 0, 1, BUY)], 2):
        said: list[Any] = []
        match event:
            case ("trade", away, count, side):
                said = floor.trade(ms, 100 + away, count, side)
                slow.trade(100 + away, count, side)
            case ("quote", away, bid_lots, spread, ask_lots):
                said = floor.quote(ms, 100 + away, bid_lots, 100 + away + spread, ask_lots)
                slow.quote(100 + away, bid_lots, 100 + away + spread, ask_lots)
            case (kind, side, count, *rest):
                limit = 100 + rest[0] if rest else 0
                floor.submit(side, count, kind, limit)
                slow.submit(f"o{floor.count}", side, count, limit)
        lots += [(name, price) for name, price, count, _ in fills(said) for _ in range(count)]
        assert sorted(lots) == sorted(slow.filled)


def test_an_order_may_be_withdrawn_on_the_news_of_another_that_one_trade_filled_with_it(
    rig: Any, scripted: Any
) -> None:
    """Three are bought at 99, and two of nine at 98: what is done about the first is done before the second is told."""
    heard: list[Any] = []

    def on_fill(strategy: Any, execution: Any) -> None:
        heard.append((execution.ref, execution.quantity, execution.done))
        strategy.cancel(2)

    plan = {0: lambda s: (s.buy(3, limit=99), s.buy(9, limit=98))}
    bench = rig(scripted(plan, on_fill=on_fill, on_order=lambda _, news: heard.append(news.state)), ticks=("X",))
    now_ns = bench.now_ns
    bench.post(m.Trade("X", 1, 100.0, 1.0, m.BUY, now_ns))
    bench.flat(100)
    heard.clear()
    bench.core.scheduler.post(bench.now_ns + 1, m.Trade("X", 2, 97.0, 5.0, m.SELL, bench.now_ns + 1))
    assert heard == [(1, 3.0, True), (2, 2.0, False), "cancelled"]
    assert bench.core.execution.orders == {}
    assert bench.core.risk._working == {}


def test_an_order_may_be_withdrawn_on_the_news_of_its_change_though_it_was_filled_with_that(
    rig: Any, scripted: Any
) -> None:
    heard: list[Any] = []

    def on_order(strategy: Any, news: Any) -> None:
        heard.append((news.ref, news.state))
        if news.state == "amended":
            strategy.cancel(news.ref)

    plan = {0: lambda s: s.buy(9, limit=95), 1: lambda s: s.amend(1, limit=98)}
    bench = rig(scripted(plan, on_order=on_order, on_fill=lambda _, fill: heard.append(fill.quantity)), ticks=("X",))
    bench.post(m.Trade("X", 1, 100.0, 1.0, m.BUY, bench.now_ns))
    bench.flat(100, 2)
    heard.clear()
    bench.core.scheduler.post(bench.now_ns + 1, m.Trade("X", 2, 97.0, 2.0, m.SELL, bench.now_ns + 1))
    assert heard == [(1, "amended"), 2.0, (1, "cancelled")]
    assert bench.core.execution.orders == bench.core.risk._working == {}


def test_an_order_may_be_withdrawn_on_the_news_of_another_though_its_own_change_was_refused_just_now(
    rig: Any, scripted: Any
) -> None:
    heard: list[Any] = []

    def on_order(strategy: Any, news: Any) -> None:
        heard.append((news.ref, news.state))
        if news.state == "amended":
            strategy.cancel(2)

    def change(strategy: Any) -> None:
        strategy.amend(1, limit=91)
        strategy.amend(2, quantity=3)

    plan = {0: lambda s: (s.buy(9, limit=90), s.buy(9, limit=98)), 1: change}
    bench = rig(scripted(plan, on_order=on_order), ticks=("X",), settings={"venue": {"latency_ms": 250}})
    bench.post(m.Trade("X", 1, 100.0, 1.0, m.BUY, bench.now_ns))
    bench.flat(100, 2)
    heard.clear()
    for number, ms in ((2, 100), (3, 300)):  # the second is on its way while three are bought
        now_ns = bench.now_ns + ms * MS
        bench.core.scheduler.post(now_ns, m.Trade("X", number, 97.0, 3.0, m.SELL, now_ns))
    assert heard == [(1, "amended"), (2, "amend_rejected"), (2, "cancelled")]
    assert [order.request.ref for order in bench.core.execution.orders.values()] == [1]
