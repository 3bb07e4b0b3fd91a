"""Managed exits at a real venue: what becomes of a position's stop while news, orders and links get lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors import messages as m
from strategies.base import Strategy
from tests.actors.execution.test_contracts import Desk as Contracts
from tests.actors.execution.test_contracts import trade as traded
from tests.actors.execution.test_remote import LOT, Desk, names, trade

Scripted = Callable[..., Strategy]
Of = Callable[[type[Any], list[m.Message]], list[Any]]

ENTRY, STOP, SECOND = "pbn0n1", "pbn0n2", 10**9


def opens(scripted: Scripted, **acts: Any) -> Strategy:
    """Return a strategy that buys ten steps with a stop at 95 on its first bar."""
    return scripted({0: lambda s: s.bracket(10e-5, stop=95.0)} | {int(bar[1:]): act for bar, act in acts.items()})


@pytest.fixture
def desk(scripted: Scripted) -> Desk:
    """Return a desk with a position of ten steps whose stop has left."""
    made = Desk(opens(scripted))
    made.connect()
    made.bar()
    (stop,) = sends(made.post(trade(1, 10)))
    assert (stop.order_id, stop.request.kind, stop.request.quantity_lots) == (STOP, "stop", 10 * LOT)
    return made


def sends(said: list[m.Message]) -> list[m.SendOrder]:
    return [each for each in said if isinstance(each, m.SendOrder)]


def stops_of(said: list[m.Message]) -> list[tuple[str, int, int]]:
    """Return the stops that leave: id, lots, trigger."""
    return [
        (each.order_id, each.request.quantity_lots, each.request.stop_ticks)
        for each in sends(said)
        if each.request.kind == "stop"
    ]


def said_of(order_id: str, state: Any, reason: str = "") -> m.OrderReported:
    return m.OrderReported(order_id, "77", state, 0, reason)


def pass_time(desk: Desk, seconds: float) -> list[m.Message]:
    """Let time go by, with timers but without a bar."""
    desk.heard.clear()
    now_ns = desk.core.context.now_ns + round(seconds * SECOND)
    desk.core.scheduler.fire_before(now_ns)
    desk.core.context.now_ns = now_ns
    return list(desk.heard)


def test_a_stop_that_never_arrived_is_sent_again_at_once(desk: Desk) -> None:
    """As after a kill between the entry's execution and the stop's departure."""
    said = desk.post(m.OrderAbsent(STOP))
    assert names(said) == ["Expired", "SendOrder"]
    assert stops_of(said) == [("pbn0n3", 10 * LOT, 9_500)]


def test_an_entry_that_is_heard_of_after_a_reconnect_has_its_stop_once_the_accounts_agree(scripted: Scripted) -> None:
    """While they are compared no order may leave, and a bar may be far away."""
    desk = Desk(opens(scripted))
    desk.connect()
    desk.bar()
    desk.post(m.VenueLink(up=False))
    desk.post(m.VenueLink(up=True))
    filled = m.OrderReported(ENTRY, "77", "filled", 10 * LOT)
    said = desk.reconcile("0.0001", "99999.99", orders=(filled,), trades=(trade(1, 10),))
    assert names(said)[1:] == ["Fill", "Rejected", "AskAccount"]
    assert stops_of(desk.reconcile("0.0001", "99999.99")) == [("pbn0n3", 10 * LOT, 9_500)]


@pytest.mark.parametrize("state", ["cancelled", "expired"])
def test_a_stop_that_somebody_withdrew_is_placed_again_once(desk: Desk, state: str) -> None:
    """The venue's dead-man switch, or a person at the venue, who is not fought over it."""
    desk.post(said_of(STOP, "open"))
    assert stops_of(desk.post(said_of(STOP, state))) == [("pbn0n3", 10 * LOT, 9_500)]
    desk.post(said_of("pbn0n3", "open"))
    assert stops_of(desk.post(said_of("pbn0n3", state))) == []
    assert stops_of(desk.bar()) == [("pbn0n4", 10 * LOT, 9_500)]


def test_what_the_venue_refuses_is_tried_again_soon_and_later_each_time(desk: Desk) -> None:
    number, waits = 2, []
    for seconds in (1, 2, 4, 8):
        assert stops_of(desk.post(said_of(f"pbn0n{number}", "rejected", "busy"))) == []
        waits.append((stops_of(pass_time(desk, seconds)), stops_of(pass_time(desk, 1e-9))))
        number += 1
    assert waits == [([], [(f"pbn0n{number}", 10 * LOT, 9_500)]) for number in (3, 4, 5, 6)]


@pytest.mark.parametrize(
    "reason",
    ["OrderImmediatelyFillable: binance Stop price would trigger immediately.", "Order would immediately trigger."],
)
def test_a_stop_whose_trigger_the_market_is_beyond_already_closes_the_position(desk: Desk, reason: str) -> None:
    (close,) = sends(desk.post(said_of(STOP, "rejected", reason)))
    assert (close.request.kind, close.request.side, close.request.quantity_lots) == ("market", m.SELL, 10 * LOT)


def test_a_stop_that_grows_waits_for_the_fee_taken_from_what_it_is_to_close(scripted: Scripted, of: Of) -> None:
    desk = Desk(opens(scripted, b1=lambda s: s.bracket(10e-5, limit=99.0)))
    desk.connect(btc="1")
    desk.bar()
    desk.post(trade(1, 10))
    desk.post(said_of(STOP, "open"))
    desk.bar()
    said = desk.post(trade(2, 10, order="pbn0n3", fee=("BTC", 10)))
    assert [each.reason for each in of(m.AmendRejected, said)] == ["its book holds less by now"]
    assert [each.request.quantity_lots for each in of(m.SendAmend, said)] == [19 * LOT]


def test_what_is_sold_beside_a_stop_that_still_works_is_no_more_than_the_fee_has_left(
    scripted: Scripted, of: Of
) -> None:
    """Each by itself is covered, both together are not: the second is decided between an execution and its fee."""
    desk = Desk(scripted({0: lambda s: s.buy(20e-5, limit=100), 1: lambda s: s.sell(10e-5, stop=95.0)}, on_fill=sells))
    desk.connect(btc="1")
    desk.bar()
    desk.post(trade(1, 10))
    desk.bar()
    said = desk.post(trade(2, 10, fee=("BTC", 10)))
    assert [each.reason for each in of(m.Rejected, said)] == ["its book holds less by now"]


def sells(strategy: Any, _: Any) -> None:
    """Sell what was bought last, from the second time on."""
    if strategy.position > 15e-5:
        strategy.sell(10e-5)


def test_what_fees_have_left_of_a_position_does_not_stand_in_the_way_of_the_next(scripted: Scripted, of: Of) -> None:
    """It cannot be sold, and is no position: an entry is not withdrawn because of it."""
    desk = Desk(opens(scripted, b2=lambda s: s.bracket(10e-5, limit=99.0, stop=95.0)))
    desk.connect(btc="1")
    desk.bar()
    said = desk.post(trade(1, 10, fee=("BTC", 10)))
    (stop,) = sends(said)
    desk.post(said_of(stop.order_id, "open"))
    desk.bar()
    desk.post(trade(2, 9, order=stop.order_id, side=m.SELL))
    assert desk.core.ledger.holdings["a", "BTC/USDT"].quantity_lots == LOT - 10
    said = desk.bar()
    assert names(said) == ["SendOrder"]
    (entry,) = sends(said)
    assert names(desk.post(said_of(entry.order_id, "open"))) == ["Accepted"]
    assert stops_of(desk.post(trade(3, 10, order=entry.order_id))) != []


def test_a_stop_of_a_contract_follows_a_position_below_the_least_that_can_be_opened(scripted: Scripted, of: Of) -> None:
    """Else it would stay larger than the position, and where two books share a contract, turn it."""
    desk = Contracts(scripted({0: lambda s: s.bracket(0.002, stop=3_000.0), 1: lambda s: s.scale_out(0.5)}), scripted())
    desk.connect()
    desk.bar(4_000.0)
    desk.post(traded(1, m.BUY, 2, 40_000))
    desk.post(said_of(STOP, "open"))
    (amend,) = of(m.SendAmend, desk.bar(4_000.0))
    assert (amend.order_id, amend.request.quantity_lots) == (STOP, 1)
