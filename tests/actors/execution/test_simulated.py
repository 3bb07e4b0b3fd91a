"""The simulated venue: what a bar does to the orders that rest."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from actors import messages as m
from actors.execution.simulated import SimulatedVenue
from actors.instrument import Instrument, InstrumentSpec
from actors.runtime.scheduler import Context
from config.schema import Venue

MINUTE = 60_000_000_000
SECOND = 1_000_000_000
BUY, SELL = m.BUY, m.SELL
UNIT = 10**8
"""Atoms of one tick times one lot: both are 1."""


class Floor:
    """A venue with an instrument of tick 1 and lot 1, fed bar by bar."""

    def __init__(self, positions: tuple[tuple[str, str, int], ...] = (), **settings: Any) -> None:
        decimals: dict[str, Any] = {
            name: Decimal(str(value)) for name, value in settings.items() if name != "latency_ms"
        }
        self.settings = Venue(**decimals, latency_ms=settings.get("latency_ms", 0.0))
        self.context = Context()
        self.instruments = {
            symbol: Instrument(InstrumentSpec(symbol=symbol, tick=Decimal(1), lot=Decimal(1))) for symbol in "XY"
        }
        self.venue = SimulatedVenue(self.context, self.instruments, self.settings, positions)
        self.count = 0
        self.opens_ns = 0

    def say(self) -> list[Any]:
        said = list(self.context.outbox)
        self.context.outbox.clear()
        return said

    def submit(
        self, side: int, quantity: int, kind: Any = "market", limit: int = 0, stop: int = 0, **terms: Any
    ) -> Any:
        """Send an order; return what the venue says about it."""
        self.count += 1
        strategy = terms.pop("strategy", "a")
        symbol = terms.pop("symbol", "X")
        request = m.OrderRequest(strategy, symbol, self.count, side, quantity, kind, limit, stop, **terms)
        self.venue.on_submit(m.SubmitOrder(f"o{self.count}", request))
        return self.say()

    def cancel(self, order_id: str) -> list[Any]:
        self.venue.on_cancel(m.CancelOrder(order_id))
        return self.say()

    def bar(self, opened: float, high: float, low: float, close: float, symbol: str = "X") -> list[Any]:
        """Play the next bar; return what the venue says."""
        prices = (float(opened), float(high), float(low), float(close))
        bar = m.Bar(symbol, MINUTE, self.opens_ns, self.opens_ns + MINUTE, *prices, 1.0)
        self.opens_ns += MINUTE
        self.context.now_ns = bar.close_ns
        self.venue.on_bar(bar)
        return self.say()

    def end(self) -> list[Any]:
        self.venue.on_tape_ended(m.TapeEnded())
        return self.say()


def fills(said: list[Any]) -> list[tuple[str, int, int, str]]:
    """Return (order, price, quantity, liquidity) of every fill."""
    return [(e.order_id, e.price_ticks, e.quantity_lots, e.liquidity) for e in said if isinstance(e, m.Fill)]


def ends(said: list[Any]) -> list[tuple[str, str]]:
    """Return (order, kind of end) of every order that ended unfilled."""
    kinds = (m.Rejected, m.Cancelled, m.Expired)
    return [(e.order_id, type(e).__name__) for e in said if isinstance(e, kinds)]


@pytest.fixture
def floor() -> Floor:
    """Return a venue that has seen one bar, closing at 100."""
    floor = Floor()
    floor.bar(100, 101, 99, 100)
    return floor


# --- market -----------------------------------------------------------------------------------------


def test_a_market_order_fills_at_the_next_open_and_knows_its_time(floor: Floor) -> None:
    (accepted,) = floor.submit(BUY, 3)
    assert isinstance(accepted, m.Accepted)
    (fill,) = floor.bar(102, 105, 101, 104)
    assert fill == m.Fill("o1", "a", "X", 1, 1, BUY, 102, 3, 0, 102 * 3 * UNIT // 1_000, "taker", executed_ns=MINUTE)


def test_a_bar_of_another_symbol_fills_nothing(floor: Floor) -> None:
    floor.submit(BUY, 3)
    assert floor.bar(50, 50, 50, 50, symbol="Y") == []
    assert fills(floor.bar(102, 105, 101, 104)) == [("o1", 102, 3, "taker")]


def test_trades_are_numbered_without_a_gap(floor: Floor) -> None:
    numbers = []
    for _ in range(3):
        floor.submit(BUY, 1)
        floor.submit(SELL, 1)
        numbers += [fill.trade_id for fill in floor.bar(100, 100, 100, 100)]
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_market_orders_fill_in_the_order_they_arrived(floor: Floor) -> None:
    for quantity in (1, 2, 3):
        floor.submit(BUY, quantity)
    assert [each[0] for each in fills(floor.bar(100, 101, 99, 100))] == ["o1", "o2", "o3"]


# --- limit ------------------------------------------------------------------------------------------


def test_a_limit_that_is_touched_waits_and_one_that_is_passed_fills_as_maker(floor: Floor) -> None:
    floor.submit(BUY, 2, "limit", 95)
    assert floor.bar(100, 101, 95, 100) == []
    (fill,) = floor.bar(100, 101, 94, 100)
    assert (fill.price_ticks, fill.liquidity) == (95, "maker")


def test_a_gap_through_a_limit_fills_at_the_limit_and_no_better(floor: Floor) -> None:
    floor.submit(BUY, 2, "limit", 95)
    assert fills(floor.bar(80, 85, 79, 82)) == [("o1", 95, 2, "maker")]
    floor.submit(SELL, 2, "limit", 90)
    assert fills(floor.bar(110, 112, 109, 111)) == [("o2", 90, 2, "maker")]


def test_a_limit_met_by_the_market_on_arrival_takes_the_next_open(floor: Floor) -> None:
    floor.submit(BUY, 2, "limit", 105)
    assert fills(floor.bar(103, 106, 102, 104)) == [("o1", 103, 2, "taker")]


def test_a_limit_whose_market_is_gone_by_the_open_rests(floor: Floor) -> None:
    floor.submit(BUY, 2, "limit", 105)
    assert floor.bar(106, 108, 105, 107) == []
    assert fills(floor.bar(107, 108, 104, 107)) == [("o1", 105, 2, "maker")]


def test_a_limit_was_marketable_on_arrival_or_never(floor: Floor) -> None:
    """The market runs away before the order can take it; when it comes back, the order has long been resting."""
    floor.submit(BUY, 2, "limit", 105)
    assert floor.bar(106, 108, 105, 107) == []
    assert fills(floor.bar(90, 95, 89, 92)) == [("o1", 105, 2, "maker")]


# --- stop and stop-limit ----------------------------------------------------------------------------


def test_a_stop_fills_at_its_trigger_as_taker(floor: Floor) -> None:
    floor.submit(SELL, 2, "stop", stop=95)
    assert floor.bar(100, 101, 96, 98) == []
    assert fills(floor.bar(98, 99, 95, 97)) == [("o1", 95, 2, "taker")]


@pytest.mark.parametrize(("side", "stop", "opened"), [(SELL, 95, 90), (BUY, 105, 110)])
def test_a_gap_beyond_a_stop_fills_at_the_worse_open(floor: Floor, side: int, stop: int, opened: int) -> None:
    floor.submit(side, 2, "stop", stop=stop)
    assert fills(floor.bar(opened, opened + 1, opened - 1, opened)) == [("o1", opened, 2, "taker")]


def test_a_stop_limit_is_no_order_before_its_trigger(floor: Floor) -> None:
    floor.submit(BUY, 2, "stop_limit", 108, 105)
    assert floor.bar(100, 104, 95, 100) == []
    assert fills(floor.bar(100, 106, 99, 105)) == [("o1", 105, 2, "taker")]


def test_a_stop_limit_that_is_jumped_over_rests_as_a_limit_on_later_bars(floor: Floor) -> None:
    floor.submit(BUY, 2, "stop_limit", 108, 105)
    assert floor.bar(110, 112, 109, 111) == []
    assert floor.bar(111, 112, 108, 110) == []
    assert fills(floor.bar(110, 112, 100, 110)) == [("o1", 108, 2, "maker")]


# --- terms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "limit"), [(BUY, 100), (BUY, 101), (SELL, 100), (SELL, 99)])
def test_post_only_that_would_take_is_rejected(floor: Floor, side: int, limit: int) -> None:
    (rejected,) = floor.submit(side, 1, "limit", limit, post_only=True)
    assert isinstance(rejected, m.Rejected)
    assert "post-only" in rejected.reason
    assert floor.bar(100, 200, 1, 100) == []


@pytest.mark.parametrize(("side", "limit"), [(BUY, 99), (SELL, 101)])
def test_post_only_that_rests_is_a_maker(floor: Floor, side: int, limit: int) -> None:
    floor.submit(side, 1, "limit", limit, post_only=True)
    assert fills(floor.bar(100, 110, 90, 100)) == [("o1", limit, 1, "maker")]


def test_post_only_before_the_first_bar_is_decided_at_its_open() -> None:
    floor = Floor()
    floor.submit(BUY, 1, "limit", 105, post_only=True)
    floor.submit(BUY, 1, "limit", 95, post_only=True)
    assert ends(floor.bar(100, 101, 99, 100)) == [("o1", "Rejected")]


@pytest.mark.parametrize("tif", ["ioc", "fok"])
def test_at_once_or_never(floor: Floor, tif: str) -> None:
    floor.submit(BUY, 2, "limit", 105, time_in_force=tif)
    floor.submit(BUY, 2, "limit", 99, time_in_force=tif)
    said = floor.bar(100, 106, 90, 100)
    assert fills(said) == [("o1", 100, 2, "taker")]
    assert ends(said) == [("o2", "Expired")], "what comes later in the bar is too late"
    assert floor.bar(50, 50, 50, 50) == []


@pytest.mark.parametrize("tif", ["ioc", "fok"])
def test_a_stop_limit_at_once_or_never_lives_until_its_trigger(floor: Floor, tif: str) -> None:
    floor.submit(BUY, 2, "stop_limit", 106, 105, time_in_force=tif)
    floor.submit(BUY, 2, "stop_limit", 98, 105, time_in_force=tif)
    assert floor.bar(100, 104, 99, 100) == []
    said = floor.bar(100, 105, 90, 100)
    assert fills(said) == [("o1", 105, 2, "taker")]
    assert ends(said) == [("o2", "Expired")]


def test_reduce_only_is_clipped_to_what_is_held_and_the_rest_expires() -> None:
    floor = Floor(positions=(("a", "X", 5),))
    floor.submit(SELL, 8, reduce_only=True)
    said = floor.bar(100, 101, 99, 100)
    assert fills(said) == [("o1", 100, 5, "taker")]
    assert said[0].remaining_lots == 3
    assert ends(said) == [("o1", "Expired")]


@pytest.mark.parametrize(("held", "side"), [(0, SELL), (0, BUY), (5, BUY), (-5, SELL)])
def test_reduce_only_that_would_increase_expires(held: int, side: int) -> None:
    floor = Floor(positions=(("a", "X", held),))
    floor.submit(side, 1, reduce_only=True)
    said = floor.bar(100, 101, 99, 100)
    assert (fills(said), ends(said)) == ([], [("o1", "Expired")])


def test_reduce_only_looks_at_the_strategys_own_book() -> None:
    floor = Floor(positions=(("a", "X", 5), ("b", "X", -3), ("a", "Y", 9)))
    floor.submit(SELL, 9, reduce_only=True)
    floor.submit(BUY, 9, reduce_only=True, strategy="b")
    assert fills(floor.bar(100, 101, 99, 100)) == [("o1", 100, 5, "taker"), ("o2", 100, 3, "taker")]


def test_two_exits_in_one_bar_never_turn_the_position_round() -> None:
    floor = Floor(positions=(("a", "X", 5),))
    floor.submit(SELL, 5, reduce_only=True)
    floor.submit(SELL, 5, reduce_only=True)
    said = floor.bar(100, 101, 99, 100)
    assert (fills(said), ends(said)) == ([("o1", 100, 5, "taker")], [("o2", "Expired")])


# --- several orders in one bar ----------------------------------------------------------------------


def test_if_a_stop_and_a_target_both_fit_the_stop_fills() -> None:
    """The path goes up to the target first; the pessimist sells at the stop."""
    floor = Floor(positions=(("a", "X", 5),))
    floor.submit(SELL, 5, "limit", 104, reduce_only=True)
    floor.submit(SELL, 5, "stop", stop=90, reduce_only=True)
    said = floor.bar(100, 105, 85, 95)
    assert (fills(said), ends(said)) == ([("o2", 90, 5, "taker")], [("o1", "Expired")])


def test_a_target_met_by_the_very_first_price_goes_before_the_stop() -> None:
    floor = Floor(positions=(("a", "X", 5),))
    floor.bar(100, 101, 99, 100)
    floor.submit(SELL, 5, "limit", 104, reduce_only=True)
    floor.submit(SELL, 5, "stop", stop=90, reduce_only=True)
    said = floor.bar(106, 107, 85, 95)
    assert (fills(said), ends(said)) == ([("o1", 104, 5, "maker")], [("o2", "Expired")])


@pytest.mark.parametrize("other", [{"strategy": "b"}, {"side": BUY}])
def test_a_stop_holds_back_limits_of_its_own_book_and_side_only(other: dict[str, Any]) -> None:
    floor = Floor(positions=(("a", "X", 5),))
    side = other.pop("side", SELL)
    floor.submit(side, 1, "limit", 103 if side == SELL else 99, **other)
    floor.submit(SELL, 5, "stop", stop=90)
    order = [each[0] for each in fills(floor.bar(100, 104, 85, 95))]
    assert order == ["o1", "o2"]


def test_fills_happen_along_the_path() -> None:
    """The path is 100, 95, 120, 110: what is lower down is met first."""
    floor = Floor()
    floor.bar(100, 100, 100, 100)
    floor.submit(BUY, 1, "stop", stop=115)
    floor.submit(BUY, 1, "stop", stop=105)
    floor.submit(SELL, 1, "stop", stop=97)
    said = floor.bar(100, 120, 95, 110)
    assert [each[0] for each in fills(said)] == ["o3", "o2", "o1"]
    times = [fill.executed_ns - MINUTE for fill in said]
    assert times == sorted(times)
    assert times[0] > 0


# --- latency ----------------------------------------------------------------------------------------


def delayed(seconds: float) -> Floor:
    """Return a venue whose points of a bar are reached at 0, 20, 40 and 59.99 seconds."""
    floor = Floor(latency_ms=1_000 * seconds)
    floor.bar(100, 101, 99, 100)
    return floor


@pytest.mark.parametrize(
    ("seconds", "price"), [(0, 100), (0.001, 95), (20, 95), (20.001, 120), (40, 120), (40.001, 110), (59.9, 110)]
)
def test_an_order_that_goes_live_inside_a_bar_uses_only_later_points(seconds: float, price: int) -> None:
    floor = delayed(seconds)
    floor.submit(BUY, 1)
    assert fills(floor.bar(100, 120, 95, 110)) == [("o1", price, 1, "taker")]


def test_an_order_that_travels_longer_than_a_bar_waits_for_its_time() -> None:
    floor = delayed(90)
    floor.submit(BUY, 1)
    assert floor.bar(100, 120, 95, 110) == []
    assert fills(floor.bar(200, 220, 195, 210)) == [("o1", 220, 1, "taker")], "live at 30 s: the third point"


def test_what_the_path_did_before_an_order_arrived_does_not_fill_it() -> None:
    floor = delayed(30)
    floor.submit(BUY, 1, "limit", 97)
    floor.submit(SELL, 1, "stop", stop=97)
    assert floor.bar(100, 120, 95, 110) == [], "97 was passed on the way to 95, before both arrived"


def test_marketability_is_decided_on_arrival_not_on_departure() -> None:
    """At departure the market stood at 100, on arrival between 95 and 120."""
    floor = delayed(30)
    floor.submit(SELL, 1, "limit", 99, post_only=True)
    floor.submit(SELL, 1, "limit", 90, post_only=True)
    said = floor.bar(100, 120, 95, 110)
    assert fills(said) == [("o1", 99, 1, "maker")]
    assert ends(said) == [("o2", "Rejected")]


def test_latency_applies_to_every_order_and_fills_no_bar_it_was_decided_on() -> None:
    floor = Floor(latency_ms=1)
    floor.submit(BUY, 1)
    floor.context.now_ns = 0
    (fill,) = floor.bar(100, 120, 95, 110)
    assert fill.executed_ns == MINUTE // 3
    assert fill.price_ticks == 95


# --- costs ------------------------------------------------------------------------------------------


def test_takers_and_makers_pay_their_own_rate() -> None:
    floor = Floor(taker_fee="0.002", maker_fee="-0.0005")
    floor.bar(100, 101, 99, 100)
    floor.submit(BUY, 3)
    floor.submit(BUY, 3, "limit", 95)
    taker, maker = floor.bar(100, 101, 90, 100)
    assert taker.fee_atoms == 100 * 3 * UNIT * 2 // 1_000
    assert maker.fee_atoms == -95 * 3 * UNIT * 5 // 10_000


@pytest.mark.parametrize(
    ("side", "kind", "terms", "price"),
    [
        (BUY, "market", {}, 1_002),
        (SELL, "market", {}, 998),
        (BUY, "stop", {"stop": 1_005}, 1_007),
        (SELL, "stop", {"stop": 995}, 993),
        (BUY, "limit", {"limit": 1_001}, 1_001),
        (SELL, "limit", {"limit": 999}, 999),
        (BUY, "limit", {"limit": 1_009}, 1_002),
        (BUY, "limit", {"limit": 995}, 995),
        (BUY, "stop_limit", {"limit": 1_006, "stop": 1_005}, 1_006),
    ],
    ids=[
        "buys higher",
        "sells lower",
        "stop buys higher",
        "stop sells lower",
        "never above a buy limit",
        "never below a sell limit",
        "a taking limit slips, too",
        "a maker never slips",
        "a stop-limit slips to its limit",
    ],
)
def test_slippage_is_adverse_and_rounded_away_from_us(side: int, kind: str, terms: dict[str, int], price: int) -> None:
    """15 basis points of 1,000 are a tick and a half."""
    floor = Floor(slippage_bps=15)
    floor.bar(1_000, 1_000, 1_000, 1_000)
    floor.submit(side, 1, kind, **terms)
    assert [each[1] for each in fills(floor.bar(1_000, 1_010, 990, 1_000))] == [price]


def test_slippage_leaves_at_least_a_tick() -> None:
    floor = Floor(slippage_bps=5_000)
    floor.bar(1, 1, 1, 1)
    floor.submit(SELL, 1)
    assert [each[1] for each in fills(floor.bar(1, 1, 1, 1))] == [1]


# --- cancels ----------------------------------------------------------------------------------------


def test_a_cancelled_order_is_gone(floor: Floor) -> None:
    floor.submit(BUY, 1)
    assert floor.cancel("o1") == [m.Cancelled("o1", "a", "X", 1, "as requested")]
    assert floor.bar(100, 101, 99, 100) == []


def test_a_cancel_that_crosses_its_own_fill_is_refused_and_the_fill_stands(floor: Floor) -> None:
    """Both fills of a bar are decided before anybody hears of the first: the pair of a bracket meets this."""
    floor.submit(BUY, 1)
    floor.submit(BUY, 1, time_in_force="ioc", kind="limit", limit=90)
    said = floor.bar(100, 101, 99, 100)
    assert (len(fills(said)), len(ends(said))) == (1, 1)
    assert floor.cancel("o1") == [m.CancelRejected("o1", "a", "X", 1, "too late")]
    assert floor.cancel("o2") == [m.CancelRejected("o2", "a", "X", 2, "too late")]


def test_a_cancel_of_an_order_the_venue_never_had_is_a_fault(floor: Floor) -> None:
    with pytest.raises(AssertionError, match="o9 was never at the venue"):
        floor.cancel("o9")


# --- the end of a tape ------------------------------------------------------------------------------


def test_orders_of_a_flatten_fill_at_the_last_close_when_the_tape_ends() -> None:
    floor = Floor(positions=(("a", "X", 5),), slippage_bps=50)
    floor.bar(100, 108, 99, 107)
    floor.submit(SELL, 5, reduce_only=True, closing=True)
    floor.submit(BUY, 5)
    (fill,) = floor.end()
    assert fill.synthetic
    assert (fill.price_ticks, fill.liquidity, fill.executed_ns) == (107, "taker", MINUTE)
    assert fill.fee_atoms == 107 * 5 * UNIT // 1_000


def test_orders_of_a_flatten_after_the_end_fill_at_once() -> None:
    floor = Floor(positions=(("a", "X", 5),))
    floor.bar(100, 108, 99, 107)
    assert floor.end() == []
    accepted, fill = floor.submit(SELL, 5, reduce_only=True, closing=True)
    assert isinstance(accepted, m.Accepted)
    assert (fill.synthetic, fill.price_ticks) == (True, 107)
    assert floor.cancel("o1") == [m.CancelRejected("o1", "a", "X", 1, "too late")]


def test_no_other_order_fills_after_the_end() -> None:
    floor = Floor()
    floor.bar(100, 108, 99, 107)
    floor.end()
    (accepted,) = floor.submit(BUY, 5)
    assert isinstance(accepted, m.Accepted)


# --- state ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency_ms", [0, 25_000])
def test_a_restored_venue_goes_on_as_if_nothing_had_been(latency_ms: int) -> None:
    """Resting, triggered, in flight, marketable: whatever an order is at the cut."""

    def begin() -> Floor:
        floor = Floor(positions=(("a", "X", 4),), latency_ms=latency_ms, slippage_bps=7)
        floor.bar(1_000, 1_010, 990, 1_000)
        floor.submit(BUY, 2, "limit", 1_003)
        floor.submit(SELL, 2, "stop", stop=960, reduce_only=True)
        floor.submit(BUY, 2, "stop_limit", 1_001, 1_005)
        floor.submit(BUY, 2, "stop_limit", 1_030, 1_100)
        floor.submit(SELL, 1, "limit", 1_050, post_only=True)
        floor.submit(SELL, 9, reduce_only=True, strategy="b")
        floor.submit(BUY, 1, "limit", 970, time_in_force="fok")
        return floor

    rest = [(1_020, 1_030, 1_010, 1_015), (1_015, 1_060, 1_000, 1_020), (1_020, 1_021, 940, 950)]
    whole = begin()
    expected = [whole.bar(*bar) for bar in rest]
    for cut in range(len(rest) + 1):
        first = begin()
        for bar in rest[:cut]:
            first.bar(*bar)
        second = Floor(latency_ms=latency_ms, slippage_bps=7)
        second.venue.load(first.venue.dump())
        second.context.now_ns, second.opens_ns = first.context.now_ns, first.opens_ns
        assert second.venue.dump() == first.venue.dump()
        assert [second.bar(*bar) for bar in rest[cut:]] == expected[cut:]
        assert second.venue.dump() == whole.venue.dump()


@pytest.mark.parametrize("seconds", [0, 5, 70])
def test_a_lone_market_order_fills_like_one_in_company(seconds: float) -> None:
    """The short way and the long one."""
    alone, company = (Floor(latency_ms=1_000 * seconds, slippage_bps=13) for _ in range(2))
    seen: list[list[tuple[int, int]]] = []
    for floor in (alone, company):
        floor.bar(1_000, 1_001, 999, 1_000)
        floor.submit(BUY, 2)
        if floor is company:
            floor.submit(BUY, 1, "limit", 1)
        said = floor.bar(1_010, 1_050, 990, 1_020) + floor.bar(1_020, 1_030, 1_010, 1_025)
        seen.append([(fill.price_ticks, fill.executed_ns) for fill in said])
    assert len(seen[0]) == 1
    assert seen[0] == seen[1]
