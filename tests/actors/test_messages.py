"""The vocabulary: what journals hold must come back as it was, in this release and in later ones."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest

from actors import messages as m
from actors.runtime.journal import decode_effects, decode_input, encode_input

REQUEST = m.OrderRequest("a", "X", 3, m.SELL, 7, "stop_limit", 90, 91, "ioc", reduce_only=True, closing=True)
EVENT = ("pbt1", "a", "X", 3)
BAR = m.Bar("X", 60, 120, 180, 1.5, 2.5, 0.5, 2.0, 3.25)

BY = m.Sender("control", "desk", "::1", 7)
REPORT = m.OrderReported("pbt1", "77", "cancelled", 5, "by the user", asked=True, quantity_lots=7, limit_ticks=90)
TRADE = m.TradeReported("pbt1", "X", 9, m.BUY, 100, 5, "BTC", 3, "maker", 77, realized_atoms=-4, fee_value_atoms=9)
FORCED = m.ForcedTrade("X", "liquidation", "autoclose-1", 13, m.SELL, 100, 5, "USDT", 3, -400, 79)
FUNDING = m.FundingPaid("X", 12, -55, "USDT", 78)

INPUTS: list[Any] = [
    BAR,
    m.WarmUp("X", 0, 60),
    m.Trade("X", 7, 100.5, 0.25, m.SELL, 99),
    m.Quote("X", 100.0, 1.5, 101.0, 2.5, 99),
    m.BookSnapshot("X", 12, ((100.0, 1.0), (99.5, 2.0)), ((100.5, 3.0),), 99),
    m.Mark("X", 100.5, 100.25, 99),
    m.Funding("X", -0.0001, 3600, 99),
    m.OpenInterest("X", 5.0, 500.0, 3),
    m.Liquidation("X", m.SELL, 99.5, 2.0, 3),
    m.External("fng", 30.0, 1, 3),
    m.TapeEnded(),
    m.TimerFired("strategy.a", "x", 5),
    m.Pause("c1", "key"),
    m.Resume("c1"),
    m.Flatten("c1"),
    m.Stop("c1", "key", BY),
    m.Halt("journal: full"),
    m.Tighten("c1", "max_net", "5000", "key"),
    m.PauseStrategy("c1", "a", "key", BY),
    m.ResumeStrategy("c1", "a"),
    m.FlattenStrategy("c1", "a", by=BY),
    m.ClosePosition("c1", "a", "X", "key", BY),
    m.WithdrawOrder("c1", "pbt1", by=BY),
    m.RestartActor("c1", "strategy.a", anew=True, by=BY),
    m.LimitsConfigured('{"max_net": "5000"}', reset=True),
    m.VenueLink(up=False, reason="closed"),
    REPORT,
    m.OrderInDoubt("pbt1", "timed out"),
    m.OrderAbsent("pbt1"),
    m.CancelRefused("pbt1", "unknown order"),
    m.AmendRefused("pbt1", "pbt2", "partly filled", withdraw_first=True),
    TRADE,
    m.AccountReported(
        "start",
        (REPORT,),
        ("pbt2",),
        (TRADE,),
        (m.BalanceReported("BTC", 10**8),),
        (m.ForeignOrder("web_1", "78", "X"),),
        positions=(m.PositionReported("X", -5),),
        funding=(FUNDING,),
        forced=(FORCED,),
    ),
    FUNDING,
    m.InstrumentChanged("X", "period", False, Decimal("0.10"), Decimal("1e-5"), Decimal(5)),
    FORCED,
]
DECISIONS: list[Any] = [
    m.Intent("a", "X", 1, "order", m.BUY, 0.1, "limit", 99.5, None, "fok", post_only=True, reference_price=100.0),
    m.ProtectedIntent("a", "X", 1, "order", m.BUY, 0.1, protective_stop=99.5, stop_distance=0.5),
    m.RiskVeto("a", "X", 1, "no"),
    REQUEST,
    m.CancelRequest("a", "X", 1),
    m.AmendRequest("a", "X", 1, 7, 90, 91),
    m.AmendVeto("a", "X", 1, "no"),
    m.Accepted(*EVENT),
    m.Rejected(*EVENT, "no"),
    m.Cancelled(*EVENT, "no"),
    m.Expired(*EVENT, "no"),
    m.CancelRejected(*EVENT, "too late"),
    m.Amended(*EVENT, "pbt2", 7, 90, 91),
    m.AmendRejected(*EVENT, "too late"),
    m.Fill(*EVENT, 9, m.BUY, 100, 5, 2, -3, "maker", 77, synthetic=True),
    m.Adopted("a", "X", "pbt-1", 9, m.SELL, 100, 5, 3, 77),
    m.FeeInBase("a", "X", 9, 3, 300),
    m.FeeInAsset("a", "X", 9, "BNB", -4, -240),
    m.PositionChanged("a", "X", -5, -500, 10, 3, 10**15),
    m.FundingShared("a", "X", 12, -55, 78),
    m.Liquidated("a", "X", "autoclose-9", 9, m.SELL, 100, 5, 3, 2, 1, 77, "liquidated"),
    m.StopProtects("s", "X", 5, 17, 300),
    m.OneCancelsOther("s", (5, 6)),
    m.Insured("a", "X", 9, 5, 77),
]


def test_the_samples_are_all_there_is() -> None:
    assert {type(sample) for sample in INPUTS} == set(get_args(m.Input))
    assert {type(sample) for sample in DECISIONS} == set(get_args(m.Decision))


@pytest.mark.parametrize("message", INPUTS, ids=lambda message: type(message).__name__)
def test_an_input_survives_the_journal(message: m.Message) -> None:
    assert decode_input(encode_input(message)) == message


@pytest.mark.parametrize("message", DECISIONS, ids=lambda message: type(message).__name__)
def test_a_decision_survives_the_journal(message: m.Message) -> None:
    assert decode_effects(msgspec.msgpack.encode([message])) == [message]


@pytest.mark.parametrize("message", [*INPUTS, *DECISIONS], ids=lambda message: type(message).__name__)
def test_a_message_is_an_array_that_starts_with_its_name(message: m.Message) -> None:
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
    assert plain[0] == type(message).__name__
    assert len(plain) == 1 + len(message.__struct_fields__)


@pytest.mark.parametrize("message", [*INPUTS, *DECISIONS], ids=lambda message: type(message).__name__)
def test_a_message_cannot_be_changed(message: m.Message) -> None:
    for name in message.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(message, name, None)


def test_a_decision_is_no_input_and_the_other_way_round() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_input(msgspec.msgpack.encode(m.RiskVeto("a", "X", 1, "no")))
    with pytest.raises(msgspec.ValidationError):
        decode_effects(msgspec.msgpack.encode([m.Pause("c")]))


def test_a_record_of_a_release_without_the_last_field_still_decodes() -> None:
    """New fields go last and have defaults: that is what makes this work."""
    old = msgspec.msgpack.encode(["Pause", "c1"])
    assert decode_input(old) == m.Pause("c1")


def test_a_record_of_a_release_with_more_fields_still_decodes() -> None:
    newer = msgspec.msgpack.encode(["Pause", "c1", "key", ["control", "desk", "::1", 7, "more"], "and more"])
    assert decode_input(newer) == m.Pause("c1", "key", BY)
