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


@pytest.mark.parametrize(
    "commands",
    [(m.Flatten("c"), m.Resume("d")), (m.FlattenStrategy("c", "a"), m.ResumeStrategy("d", "a"))],
    ids=["account", "strategy"],
)
def test_a_close_that_was_taken_back_before_it_was_sent_never_is(
    desk: Desk, commands: tuple[m.Message, m.Message]
) -> None:
    desk.post(reported("open", 0))
    desk.post(trade(1, 10))
    desk.post(m.VenueLink(up=False, reason="broken"))
    for command in commands:
        desk.post(command)
    assert desk.core.execution.orders == {}
    desk.post(m.VenueLink(up=True))
    assert names(desk.reconcile("0.0001", "99999.99")) == []


@pytest.mark.parametrize(
    "command",
    [m.Flatten("c"), m.FlattenStrategy("c", "a"), m.ClosePosition("c", "a", "BTC/USDT"), m.Pause("c")],
    ids=lambda command: type(command).__name__,
)
def test_what_the_venue_would_not_withdraw_is_asked_for_again_as_long_as_it_has_to_go(
    desk: Desk, command: m.Message
) -> None:
    """A flatten waits for it, and would for ever; in a pause it would open."""
    desk.post(reported("open", 0))
    desk.post(trade(1, 4))
    desk.post(command)
    for _ in range(3):
        desk.post(m.CancelRefused("pbn0n1", "the market is closed"))
        desk.post(reported("open", 4))
    desk.post(m.VenueLink(up=True))
    first = (reported("open", 4),)
    said = desk.reconcile("0.00004", "99999.996", orders=first, trades=(trade(1, 4),))
    assert names(said) == ["SendCancel"]
    assert names(desk.post(reported("cancelled", 4)))[0] == "Cancelled"
    if isinstance(command, m.Pause):
        return
    desk.post(trade(2, 4, order="pbn0n2", side=m.SELL))
    assert last(desk) == ("done", "")


def test_an_order_that_may_work_again_is_left_alone(desk: Desk) -> None:
    desk.post(reported("open", 0))
    desk.post(m.Pause("c"))
    for _ in range(3):
        desk.post(m.CancelRefused("pbn0n1", "the market is closed"))
        desk.post(reported("open", 0))
    desk.post(m.Resume("d"))
    desk.post(m.VenueLink(up=True))
    assert names(desk.reconcile("0", "100000", orders=(reported("open", 0),))) == []


@pytest.mark.parametrize("continued", [False, True])
def test_what_is_opened_while_a_strategy_is_given_up_is_protected_once_it_begins_again(
    scripted: Scripted, continued: bool
) -> None:
    """Its entry fills before the venue withdraws it: a stop is to follow the price that it had not yet."""

    def make() -> Desk:
        def fail(_: Any, bar: m.Bar) -> None:
            if bar.close == 101:
                raise ValueError("poison")

        plan = {0: lambda s: s.bracket(10e-5, limit=100, trail=5)}
        supervision = {"restarts_max": 0, "safe_state": "halt"}
        return Desk(scripted(plan, every_bar=fail), supervision=supervision)

    desk = make()
    desk.connect()
    desk.bar(100)
    desk.post(reported("open", 0))
    assert names(desk.bar(101))[-1] == "SendCancel"
    desk.post(trade(1, 10))
    if continued:
        other = make()
        other.core.restore(desk.core.snapshot())
        other.bars = desk.bars
        desk = other
    desk.post(m.RestartActor("c", "strategy.a"))
    (stop,) = [each.request for each in desk.post(m.Resume("d")) if isinstance(each, m.SendOrder)]
    assert (stop.kind, stop.quantity_lots, stop.stop_ticks) == ("stop", 10_000, 9_600)


def test_a_session_goes_on_with_what_its_commands_wait_for(desk: Desk, scripted: Scripted) -> None:
    desk.post(WITHDRAW)
    other: Any = Desk(scripted({0: lambda s: s.buy(10e-5, limit=100)}))
    other.core.restore(desk.core.snapshot())
    for each in (desk, other):
        each.post(reported("cancelled", 0))
        assert last(each) == ("done", "")
    assert other.core.digest.value == desk.core.digest.value
