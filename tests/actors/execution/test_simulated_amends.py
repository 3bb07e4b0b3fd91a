"""Amends at the simulated venue: they travel, they lose their place, and what happens meanwhile happens first."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.execution.simulated import SimulatedVenue
from actors.instrument import Instrument, InstrumentSpec
from actors.runtime.scheduler import Context
from config.schema import Venue

MINUTE = 60_000_000_000
BUY, SELL = m.BUY, m.SELL


class Floor:
    """A venue with an instrument of tick 1 and lot 1 that has seen one bar, closing at 100."""

    def __init__(self, latency_ms: float = 0.0) -> None:
        self.context = Context()
        self.instruments = {"X": Instrument(InstrumentSpec(symbol="X", tick=Decimal(1), lot=Decimal(1)))}
        self.settings = Venue(latency_ms=latency_ms)
        self.venue = SimulatedVenue(self.context, self.instruments, self.settings, [])
        self.requests: dict[str, m.OrderRequest] = {}
        self.count = 0
        self.bars = 0
        self.bar(100, 101, 99, 100)

    def say(self) -> list[Any]:
        said = list(self.context.outbox)
        self.context.outbox.clear()
        return said

    def submit(self, side: int, kind: Any = "limit", limit: int = 0, stop: int = 0, **terms: Any) -> str:
        """Send an order for ten lots; return its id."""
        self.count += 1
        name = f"o{self.count}"
        strategy = terms.pop("strategy", "a")
        self.requests[name] = m.OrderRequest(strategy, "X", self.count, side, 10, kind, limit, stop, **terms)
        self.venue.on_submit(m.SubmitOrder(name, self.requests[name]))
        assert [type(each) for each in self.say()] == [m.Accepted]
        return name

    def amend(self, name: str, **changes: Any) -> list[Any]:
        """Amend order oN into pN; return what is said about it at once."""
        request = msgspec.structs.replace(self.requests[name], **changes)
        new = "p" + name[1:]
        self.requests[new] = request
        self.venue.on_amend(m.AmendOrder(name, new, request))
        return self.say()

    def cancel(self, name: str) -> list[Any]:
        self.venue.on_cancel(m.CancelOrder(name))
        return self.say()

    def bar(self, opened: float, high: float, low: float, close: float) -> list[Any]:
        """Play the next bar; return what the venue says."""
        prices = (float(opened), float(high), float(low), float(close))
        bar = m.Bar("X", MINUTE, self.bars * MINUTE, (self.bars + 1) * MINUTE, *prices, 1.0)
        self.bars += 1
        self.context.now_ns = bar.close_ns
        self.venue.on_bar(bar)
        return self.say()

    def again(self) -> Floor:
        """Return a floor restored from this one's state."""
        other = Floor()
        other.venue = SimulatedVenue(other.context, self.instruments, self.settings, [])
        other.venue.load(self.venue.dump())
        assert other.venue.dump() == self.venue.dump()
        other.context.now_ns, other.bars = self.context.now_ns, self.bars
        return other


def names(said: list[Any]) -> list[tuple[str, str]]:
    return [(type(each).__name__, each.order_id) for each in said]


def fills(said: list[Any]) -> list[tuple[str, int, str]]:
    return [(each.order_id, each.price_ticks, each.liquidity) for each in said if isinstance(each, m.Fill)]


def test_without_latency_an_amend_is_done_at_once() -> None:
    floor = Floor()
    floor.submit(BUY, limit=90)
    (amended,) = floor.amend("o1", limit_ticks=95, quantity_lots=7)
    assert amended == m.Amended("o1", "a", "X", 1, "p1", 7, 95, 0)
    (fill,) = floor.bar(100, 101, 94, 96)
    assert (fill.order_id, fill.price_ticks, fill.quantity_lots, fill.remaining_lots) == ("p1", 95, 7, 0)


def test_the_bar_an_amend_was_decided_on_fills_nothing_on_the_new_terms() -> None:
    """The close was known when it was decided; the next bar's open is the first price it may use."""
    floor = Floor()
    floor.submit(BUY, limit=90)
    floor.bar(100, 101, 92, 100)
    floor.amend("o1", limit_ticks=95)
    assert floor.bar(100, 100, 96, 98) == []
    assert fills(floor.bar(98, 98, 94, 95)) == [("p1", 95, "maker")]


def test_an_amended_order_is_marketable_or_not_as_the_market_is_when_it_arrives() -> None:
    floor = Floor()
    floor.submit(BUY, limit=90)
    floor.amend("o1", limit_ticks=105)
    assert fills(floor.bar(101, 102, 100, 101)) == [("p1", 101, "taker")]


@pytest.mark.parametrize("latency_ms", [0.0, 30_000.0])
def test_a_post_only_order_that_would_take_after_its_amend_is_gone(latency_ms: float) -> None:
    floor = Floor(latency_ms)
    floor.submit(BUY, limit=90, post_only=True)
    floor.bar(100, 101, 99, 100)
    said = floor.amend("o1", limit_ticks=105) or floor.bar(100, 101, 99, 100)
    assert said == [m.Cancelled("o1", "a", "X", 1, "amended: post-only, and it would take liquidity")]
    assert floor.bar(80, 80, 80, 80) == []


def test_an_amend_loses_its_place_among_orders_of_the_same_price() -> None:
    floor = Floor()
    floor.submit(BUY, limit=90, strategy="a")
    floor.submit(BUY, limit=90, strategy="b")
    floor.amend("o1", quantity_lots=11)
    assert [name for name, *_ in fills(floor.bar(100, 100, 89, 90))] == ["o2", "p1"]


# --- an amend that travels: thirty seconds are half a bar, so that it arrives between its second and third point ----


def test_until_it_arrives_an_order_fills_on_its_old_terms_and_the_amend_is_too_late() -> None:
    floor = Floor(30_000)
    floor.submit(BUY, limit=95)
    floor.bar(100, 100, 99, 100)
    assert floor.amend("o1", limit_ticks=90) == []
    assert fills(floor.bar(100, 109, 94, 105)) == [("o1", 95, "maker")]
    assert floor.bar(89, 89, 89, 89) == []


def test_the_low_that_comes_after_its_arrival_meets_only_the_new_terms() -> None:
    floor = Floor(30_000)
    floor.submit(BUY, limit=95)
    floor.bar(100, 100, 99, 100)
    floor.amend("o1", limit_ticks=85)
    assert names(floor.bar(100, 104, 90, 100)) == [("Amended", "o1")]
    assert fills(floor.bar(84, 84, 84, 84)) == [("p1", 85, "maker")]


def test_it_may_fill_within_the_bar_it_arrives_in_but_not_on_what_was_before() -> None:
    floor = Floor(30_000)
    floor.submit(BUY, limit=80)
    floor.bar(100, 100, 99, 100)
    floor.amend("o1", limit_ticks=95)
    assert names(floor.bar(100, 120, 94, 110)) == [("Amended", "o1")], "the low was its second point, before the amend"
    assert fills(floor.bar(110, 110, 94, 96)) == [("p1", 95, "maker")]
    floor.submit(BUY, limit=80)
    floor.bar(100, 100, 99, 100)
    floor.amend("o2", limit_ticks=95)
    assert names(floor.bar(100, 104, 94, 96)) == [("Amended", "o2"), ("Fill", "p2")]


def test_an_amend_that_takes_longer_than_a_bar_arrives_later() -> None:
    floor = Floor(90_000)
    floor.submit(BUY, limit=80)
    floor.bar(100, 100, 99, 100)
    floor.bar(100, 100, 99, 100)
    floor.amend("o1", limit_ticks=98)
    assert floor.bar(100, 100, 90, 100) == []
    assert names(floor.bar(100, 100, 90, 100)) == [("Amended", "o1"), ("Fill", "p1")]


def test_a_cancel_takes_an_amend_that_travels_with_it() -> None:
    floor = Floor(30_000)
    floor.submit(BUY, limit=90)
    floor.bar(100, 100, 99, 100)
    floor.amend("o1", limit_ticks=95)
    assert names(floor.cancel("o1")) == [("Cancelled", "o1")]
    assert floor.bar(80, 80, 80, 80) == []


def test_an_order_that_expires_takes_an_amend_that_travels_with_it() -> None:
    floor = Floor(90_000)
    floor.submit(BUY, limit=90, time_in_force="ioc")
    assert floor.bar(100, 100, 99, 100) == [], "it has not arrived yet"
    floor.amend("o1", limit_ticks=95)
    assert names(floor.bar(100, 100, 99, 100)) == [("Expired", "o1")]
    assert floor.bar(80, 80, 80, 80) == []


def test_a_stop_that_is_amended_waits_for_its_new_trigger() -> None:
    floor = Floor()
    floor.submit(SELL, "stop", stop=95)
    floor.amend("o1", stop_ticks=90)
    assert floor.bar(100, 100, 94, 96) == []
    assert fills(floor.bar(96, 96, 89, 90)) == [("p1", 90, "taker")]


@pytest.mark.parametrize(("stop", "fills_at_once"), [(105, True), (110, False)])
def test_a_stop_limit_stays_triggered_unless_its_trigger_is_changed(stop: int, fills_at_once: bool) -> None:
    floor = Floor()
    floor.submit(BUY, "stop_limit", limit=100, stop=105)
    assert floor.bar(103, 106, 103, 104) == [], "triggered, and beyond its limit"
    floor.amend("o1", limit_ticks=102, stop_ticks=stop)
    assert bool(floor.bar(104, 104, 101, 102)) is fills_at_once


def test_an_order_that_ended_with_the_same_input_is_not_amended() -> None:
    floor = Floor()
    floor.submit(BUY, limit=90)
    assert names(floor.bar(89, 89, 89, 89)) == [("Fill", "o1")]
    assert floor.amend("o1", limit_ticks=95) == [m.AmendRejected("o1", "a", "X", 1, "too late")]


def test_a_cancel_that_crosses_its_amend_says_nothing_for_it_is_asked_again() -> None:
    floor = Floor(30_000)
    floor.submit(BUY, limit=90)
    floor.bar(100, 100, 99, 100)
    floor.amend("o1", limit_ticks=85)
    assert names(floor.bar(100, 100, 99, 100)) == [("Amended", "o1")]
    assert floor.cancel("o1") == []
    assert names(floor.cancel("p1")) == [("Cancelled", "p1")]


def test_an_amend_may_be_amended() -> None:
    floor = Floor()
    floor.submit(BUY, limit=90)
    floor.amend("o1", limit_ticks=91)
    request = msgspec.structs.replace(floor.requests["p1"], limit_ticks=92)
    floor.venue.on_amend(m.AmendOrder("p1", "q1", request))
    assert names(floor.say()) == [("Amended", "p1")]
    assert fills(floor.bar(100, 100, 91, 95)) == [("q1", 92, "maker")]


def test_a_restored_venue_knows_an_amend_that_travels() -> None:
    floor = Floor(30_000)
    floor.submit(BUY, limit=95)
    floor.bar(100, 100, 99, 100)
    floor.amend("o1", limit_ticks=85)
    other = floor.again()
    for each in (floor, other):
        assert names(each.bar(100, 104, 90, 100)) == [("Amended", "o1")]
        assert fills(each.bar(84, 84, 84, 84)) == [("p1", 85, "maker")]


def test_an_order_is_changed_before_its_market_has_been_seen(rig: Any, scripted: Any) -> None:
    """A strategy of two symbols may order one of them while it has only seen the other."""

    def begin(strategy: Any) -> None:
        strategy.first = strategy.buy(5, limit=90, symbol="Y")

    bench = rig((scripted({0: begin, 1: lambda s: s.amend(s.first, limit=95)}), ("X", "Y")), symbols=("X", "Y"))
    bench.flat(100, 2)
    bench.bar(100, 100, 94, 100, symbol="Y", skip=2)
    (held,) = [each for each in bench.core.ledger.holdings.values() if each.quantity_lots]
    assert (held.symbol, held.quantity_lots, held.cost_atoms) == ("Y", 5, 5 * 95 * 10**8)
