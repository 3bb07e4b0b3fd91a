"""The venue's rules change in mid-session: one test a row of the table in `actors.execution.rules`."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.system import CoreSnapshot
from strategies.base import Strategy
from tests.actors.execution.test_remote import Desk, reported, trade

Scripted = Callable[..., Strategy]
Of = Callable[[type[Any], list[m.Message]], list[Any]]


def rules(
    tick: str = "0.01", step: str = "1e-5", least: str = "0", *, trading: bool = True, symbol: str = "BTC/USDT"
) -> m.InstrumentChanged:
    return m.InstrumentChanged(symbol, "period", trading, Decimal(tick), Decimal(step), Decimal(least))


@pytest.fixture
def desk(scripted: Scripted) -> Desk:
    """A desk whose strategy asks for 10 steps at 100 on every bar, the first of which rests at the venue."""
    desk = Desk(scripted({index: lambda s: s.buy(10e-5, limit=100) for index in range(9)}))
    desk.connect()
    desk.bar()
    desk.post(reported("open", 0))
    return desk


def test_a_minimum_notional_applies_from_now_on(desk: Desk, of: Of) -> None:
    said = desk.post(rules(least="0.02"))
    assert said == []
    assert [veto.reason for veto in of(m.RiskVeto, desk.bar())] == ["below the minimum notional"]
    desk.post(rules(least="0.01"))
    assert len(of(m.SendOrder, desk.bar())) == 1
    assert desk.halted == ""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (rules(tick="0.10"), "the venue changed its price step from 0.01 to 0.1; stop this session and start again"),
        (rules(tick="0.001"), "the venue changed its price step from 0.01 to 0.001; stop"),
        (rules(step="0.001"), "the venue changed its quantity step from 0.00001 to 0.001; stop"),
        (
            rules("0.1", "1e-4"),
            "the venue changed its price step from 0.01 to 0.1 and its quantity step from 0.00001 to 0.0001; stop",
        ),
        (rules(trading=False), "the venue does not trade it any more; its positions stay in the books"),
    ],
    ids=["coarser prices", "finer prices", "quantities", "both", "not traded"],
)
def test_what_this_session_cannot_trade_by_halts_and_withdraws_what_works(
    desk: Desk, of: Of, changed: m.InstrumentChanged, words: str
) -> None:
    said = desk.post(changed)
    assert desk.halted.startswith(f"BTC/USDT: {words}")
    assert [cancel.order_id for cancel in of(m.SendCancel, said)] == ["pbn0n1"]
    assert desk.post(changed) == [], "told once"
    desk.post(reported("cancelled", 0))
    desk.post(m.Resume("c1"))
    (refused,) = of(m.Rejected, desk.bar())
    assert refused.reason == words.partition(";")[0]


def test_rules_that_are_what_they_were_let_orders_leave_again(desk: Desk, of: Of) -> None:
    desk.post(rules(trading=False))
    desk.post(reported("cancelled", 0))
    assert desk.post(rules()) == []
    assert desk.halted != "", "nobody but the operator ends a halt"
    desk.post(m.Resume("c1"))
    assert len(of(m.SendOrder, desk.bar())) == 1
    desk.post(rules(tick="0.1"))
    assert "price step" in desk.halted, "a second change is news"


@pytest.mark.parametrize(
    ("changed", "leaves"),
    [(rules(tick="0.1"), True), (rules(tick="0.001"), False), (rules(step="3e-5"), False), (rules(step="5e-5"), True)],
    ids=["coarser prices", "finer prices", "steps it does not fit", "steps it fits"],
)
def test_a_flatten_closes_what_fits_old_steps_and_new_ones(
    desk: Desk, of: Of, changed: m.InstrumentChanged, leaves: bool
) -> None:
    """Executions at prices between our ticks could not be booked, so none are asked for."""
    desk.post(trade(1, 10))
    desk.post(changed)
    said = desk.post(m.Flatten("c1"))
    assert len(of(m.SendOrder, said)) == leaves
    assert len(of(m.Rejected, said)) == (0 if leaves else 3)


def test_a_closing_order_that_waits_for_the_venue_is_judged_when_it_would_leave(desk: Desk, of: Of) -> None:
    desk.post(trade(1, 10))
    desk.post(m.VenueLink(up=False, reason="closed"))
    desk.post(m.Flatten("c1"))
    desk.post(rules(trading=False))
    desk.post(m.VenueLink(up=True))
    said = desk.reconcile("0.0001", "99999.99")
    assert of(m.SendOrder, said) == []
    assert of(m.Rejected, said)[0].reason == "the venue does not trade it any more"


def test_a_stranger_symbol_is_nothing_to_us(desk: Desk) -> None:
    assert desk.post(rules(trading=False, symbol="ETH/USDT")) == []
    assert desk.halted == ""


def test_a_recovered_core_knows_the_rules_of_now(scripted: Scripted, of: Of) -> None:
    plan = {index: lambda s: s.buy(10e-5, limit=100) for index in range(9)}
    one, two = Desk(scripted(plan)), Desk(scripted(plan))
    one.connect()
    one.post(rules(least="0.02"))
    two.core.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(one.core.snapshot()), type=CoreSnapshot))
    assert [veto.reason for veto in of(m.RiskVeto, two.bar())] == ["below the minimum notional"]
    one.post(rules(tick="0.1", least="0.001"))
    two.core.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(one.core.snapshot()), type=CoreSnapshot))
    two.post(m.Resume("c1"))
    assert "price step" in of(m.Rejected, two.bar())[0].reason
    assert two.post(rules(tick="0.1", least="0.001")) == [], "known, and told before"
