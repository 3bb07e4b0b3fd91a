"""Commands at a real venue: what they wait for, and what its answers make of them."""

from __future__ import annotations

from typing import Any

import pytest

from actors import messages as m
from tests.actors.execution.test_remote import Desk, Scripted, names, reported, trade


@pytest.fixture
def desk(scripted: Scripted) -> Desk:
    """Return a desk whose strategy has ten steps on the way, sent and not yet answered."""
    made = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    made.connect()
    made.bar()
    return made


def last(desk: Desk) -> tuple[str, str]:
    command = desk.core.control.commands[-1]
    return command.outcome, command.note


WITHDRAW = m.WithdrawOrder("c", "pbn0n1")


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([reported("open", 0), reported("cancelled", 0)], ("done", "")),
        ([reported("open", 0), trade(1, 4), reported("cancelled", 4)], ("done", "")),
        ([reported("open", 0), trade(1, 10)], ("refused", "it was executed before it could be withdrawn")),
        ([reported("expired", 0, "over")], ("done", "expired: over")),
        ([reported("rejected", 0, "no money")], ("done", "rejected: no money")),
        (
            [reported("open", 0), *[m.CancelRefused("pbn0n1", "not now")] * 3],
            ("refused", "the venue does not withdraw it: not now"),
        ),
    ],
    ids=["cancelled", "in part", "executed", "expired", "rejected", "refused"],
)
def test_a_command_to_withdraw_an_order_waits_for_its_end(
    desk: Desk, answers: list[m.Message], outcome: tuple[str, str]
) -> None:
    assert names(desk.post(WITHDRAW)) == ["SendCancel"]
    for answer in answers:
        assert last(desk) == ("pending", "")
        desk.post(answer)
    assert last(desk) == outcome
    assert not desk.core.control.follows_orders


def test_an_order_in_doubt_is_withdrawn_once_it_is_known(desk: Desk) -> None:
    desk.post(m.OrderInDoubt("pbn0n1", "timed out"))
    desk.post(WITHDRAW)
    note = "whether the venue has it is in doubt (timed out); it is withdrawn once that is known"
    assert last(desk) == ("pending", note)
    assert names(desk.post(reported("open", 0))) == ["Accepted", "SendCancel"]
    desk.post(reported("cancelled", 0))
    assert last(desk) == ("done", note)


def test_a_strategys_flatten_waits_for_a_venue_that_is_away(desk: Desk) -> None:
    desk.post(reported("open", 0))
    desk.post(trade(1, 10))
    desk.post(reported("filled", 10))
    desk.post(m.VenueLink(up=False, reason="broken"))
    assert names(desk.post(m.FlattenStrategy("c", "a"))) == []
    assert (last(desk)[0], desk.core.control.state_of("a")) == ("pending", "flattening")

    desk.post(m.VenueLink(up=True))
    said = desk.reconcile("0.0001", "99999.99")
    (sent,) = [each for each in said if isinstance(each, m.SendOrder)]
    assert (sent.request.side, sent.request.closing, sent.order_id) == (m.SELL, True, "pbn0n2")
    desk.post(trade(2, 10, order="pbn0n2", side=m.SELL))
    assert (last(desk), desk.core.control.state_of("a")) == (("done", ""), "paused")


def test_a_session_goes_on_with_what_its_commands_wait_for(desk: Desk, scripted: Scripted) -> None:
    desk.post(WITHDRAW)
    other: Any = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    other.core.restore(desk.core.snapshot())
    for each in (desk, other):
        each.post(reported("cancelled", 0))
        assert last(each) == ("done", "")
    assert other.core.digest.value == desk.core.digest.value
