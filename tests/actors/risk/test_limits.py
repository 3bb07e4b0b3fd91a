"""Limits in force: tightened while trading runs, loosened by another configuration alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import messages as m
from actors.risk.limits import NAMES, LimitError, active_limits, each_limit, tighten, value_of
from config.risk import Risk
from tests.actors.risk.desk import BUY, NOON, Desk, limits, passed, vetoed

KNOWN = {"symbols": ["X", "Y"], "strategies": ["a", "b"], "margin": ["X"]}
GROUP: Any = {"groups": {"pair": {"symbols": ["X", "Y"], "max_group_net": "100"}}}


def tightened(name: str, value: str, **before: Any) -> Any:
    return value_of(tighten(limits(**before), name, value, KNOWN), name)


def refused(name: str, value: str, **before: Any) -> LimitError:
    with pytest.raises(LimitError) as caught:
        tighten(limits(**before), name, value, KNOWN)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("name", "value", "before", "after"),
    [
        ("max_net", "99.9", {"max_net": 100}, "99.9"),
        ("max_net", "1e9", {}, "1E+9"),
        ("max_orders_per_minute", "4", {"max_orders_per_minute": 5}, "4"),
        ("max_data_age_s", "0.5", {"max_data_age_s": 1}, "0.5"),
        ("loss_cooldown_s", "3601", {}, "3601.0"),
        ("funding_veto_minutes", "6", {"funding_veto_minutes": 5}, "6.0"),
        ("trading_hours", "mon 09:00-10:00", {"trading_hours": ["mon-fri 08:00-16:00"]}, "('mon 09:00-10:00',)"),
        ("trading_hours", "mon 09:00-10:00, tue 01:00-02:00", {}, "('mon 09:00-10:00, tue 01:00-02:00',)"),
        ("symbols.X.max_position", "2", {"symbols": {"X": {"max_position": "3"}}}, "2"),
        ("symbols.Y.max_symbol_net", "2", {"symbols": {"X": {"max_position": "3"}}}, "2"),
        ("strategies.a.max_strategy_gross", "2", {}, "2"),
        ("groups.pair.max_group_net", "99", GROUP, "99"),
        ("groups.pair.max_group_gross", "99", GROUP, "99"),
    ],
)
def test_a_limit_becomes_tighter(name: str, value: str, before: Any, after: str) -> None:
    assert str(tightened(name, value, **before)) == after


@pytest.mark.parametrize(
    ("name", "value", "before", "words"),
    [
        ("max_net", "100.1", {"max_net": 100}, "max_net is 100, and 100.1 would loosen it: a limit is loosened only"),
        ("max_net", "null", {"max_net": 100}, "max_net is 100, and off would loosen it"),
        ("max_net", "100.0", {"max_net": 100}, "max_net is 100 already"),
        ("max_open_orders", "6", {"max_open_orders": 5}, "max_open_orders is 5, and 6 would loosen it"),
        ("loss_cooldown_s", "3599", {}, "loss_cooldown_s is 3600, and 3599 would loosen it"),
        ("funding_veto_minutes", "4", {"funding_veto_minutes": 5}, "funding_veto_minutes is 5, and 4 would loosen it"),
        (
            "trading_hours",
            "mon 09:00-16:01",
            {"trading_hours": ["mon-fri 08:00-16:00"]},
            "trading_hours is mon-fri 08:00-16:00, and mon 09:00-16:01 would loosen it",
        ),
        (
            "symbols.X.max_position",
            "4",
            {"symbols": {"X": {"max_position": "3"}}},
            "symbols.X.max_position is 3, and 4",
        ),
    ],
)
def test_a_limit_does_not_become_looser(name: str, value: str, before: Any, words: str) -> None:
    error = refused(name, value, **before)
    assert str(error).startswith(words)
    assert error.loosens


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_nett", "1", "there is no limit max_nett (did you mean 'max_net'?)"),
        ("volatility_bars", "5", "there is no limit volatility_bars"),
        ("actions", "veto", "there is no limit actions"),
        ("risk.max_net", "1", "limits are called by their names below [risk]: write max_net"),
        ("symbol.X.max_position", "1", "there is no table symbol of limits (did you mean 'symbols'?)"),
        ("symbols.Z.max_position", "1", "symbols.Z.max_position: there is no Z among the symbols"),
        ("symbols.X.max_positions", "1", "there is no limit symbols.X.max_positions (did you mean 'max_position'?)"),
        ("groups.pear.max_group_net", "1", "groups.pear.max_group_net: there is no pear among the groups (did"),
        ("symbols", "1", "there is no limit symbols"),
        ("max_net", "much", "max_net: much cannot be its value: "),
        ("max_net", "-1", "max_net: -1 cannot be its value: max_net must be a number of at least 1E-12, not -1"),
        ("max_net", "NaN", "max_net: NaN cannot be its value: max_net must be a number"),
        (
            "max_net",
            "1e999999999",
            "max_net: 1e999999999 cannot be its value: max_net must be a number of at least 1E-12 and",
        ),
        ("max_position", "1e31", "max_position: 1e31 cannot be its value: max_position must be a number of at least"),
        ("max_open_orders", "9" * 30, f"max_open_orders: {'9' * 30} cannot be its value: Expected `int` <= "),
        ("max_open_orders", "2.5", "max_open_orders: 2.5 cannot be its value: Expected `int"),
        ("trading_hours", "mon 9-17", "trading_hours: mon 9-17 cannot be its value: trading_hours: 'mon 9-17' is no"),
    ],
)
def test_what_makes_no_sense_is_one_line(name: str, value: str, words: str) -> None:
    error = refused(name, value, **GROUP)
    assert str(error).startswith(words)
    assert not error.loosens


def test_limits_on_margin_need_contracts_on_margin() -> None:
    with pytest.raises(LimitError, match="max_margin: there are no contracts on margin"):
        tighten(Risk(), "max_margin", "0.5", KNOWN | {"margin": []})


def test_every_limit_of_the_settings_can_be_tightened() -> None:
    assert {name for name, _ in each_limit(Risk())} == set(NAMES[""])
    for name in NAMES[""]:
        value = "mon 08:00-09:00" if name == "trading_hours" else "9999" if name == "loss_cooldown_s" else "1"
        assert tightened(name, value) is not None, name


def test_only_limits_that_are_on_are_listed() -> None:
    assert active_limits(Risk()) == []
    shown = limits(max_net=5, max_consecutive_losses=3, trading_hours=["mon 08:00-09:00"], **GROUP)
    assert active_limits(shown) == [
        "max_consecutive_losses=3",
        "loss_cooldown_s=3600",
        "trading_hours=mon 08:00-09:00",
        "max_net=5",
        "groups.pair.max_group_net=100",
    ]


# --- in the actor -----------------------------------------------------------------------------------


def configure(desk: Desk, *, reset: bool = False, **values: Any) -> list[Any]:
    desk.risk.on_configured(m.LimitsConfigured(msgspec.json.encode(limits(**values)).decode(), reset))
    return desk.said()


def test_a_tightened_limit_is_in_force_at_once_and_after_a_restart() -> None:
    desk = Desk(max_position=10)
    desk.risk.on_tighten(m.Tighten("c1", "max_position", "4"))
    assert desk.said() == [m.LimitChanged("max_position", "10", "4", "c1")]
    assert passed(desk.order(BUY, 9)).quantity_lots == 4
    assert vetoed(desk.again().order(BUY, 1)) == "position limit 4"


def test_what_cannot_be_tightened_is_said_and_changes_nothing() -> None:
    desk = Desk(max_position=10)
    before = desk.risk.dump()
    desk.risk.on_tighten(m.Tighten("c1", "max_position", "11"))
    (changed,) = desk.said()
    assert (changed.before, changed.after, changed.command_id) == ("10", "11", "c1")
    assert "11 would loosen it" in changed.refused
    assert desk.risk.dump() == before


def test_a_limit_whose_configuration_is_another_takes_it_and_the_others_stay_tightened() -> None:
    desk = Desk(max_position=10, max_net=1_000, max_open_orders=5)
    for limit, value in (("max_position", "4"), ("max_net", "900"), ("symbols.X.max_symbol_net", "800")):
        desk.risk.on_tighten(m.Tighten("c", limit, value))
    desk.said()
    said = configure(desk, max_position=20, max_net=1_000, max_gross=5_000)
    assert said == [
        m.LimitChanged("max_open_orders", "5", "off"),
        m.LimitChanged("max_position", "4", "20"),
        m.LimitChanged("max_gross", "off", "5000"),
    ]
    assert active_limits(desk.risk.in_force.limits) == [
        "max_position=20",
        "max_net=900",
        "max_gross=5000",
        "symbols.X.max_symbol_net=800",
    ]
    again = desk.again()
    assert again.risk.in_force.limits == desk.risk.in_force.limits
    assert again.risk.in_force.configured == limits(max_position=20, max_net=1_000, max_gross=5_000)


def test_whatever_else_is_configured_otherwise_is_said_too() -> None:
    desk = Desk(max_net=5, **GROUP)
    changed: Any = {"groups": {"pair": {"symbols": ["X"], "max_group_net": "100"}}, "actions": {"max_net": "veto"}}
    assert configure(desk, max_net=5, gap_bars=7, **changed) == [
        m.LimitChanged("gap_bars", "60", "7"),
        m.LimitChanged("actions.max_net", "clip", "veto"),
        m.LimitChanged("groups.pair.symbols", "X, Y", "X"),
    ]
    assert vetoed(desk.order(BUY, 1)) == "net limit 5 of the account"


def test_what_a_rule_knew_before_it_was_switched_off_is_forgotten() -> None:
    desk = Desk(max_daily_loss=5, max_gap="0.1", max_spread_bps=5, max_consecutive_losses=1)
    desk.risk.on_needs = lambda: desk.risk.note_equity(10**10) if "equity" in desk.risk.needs else None
    desk.mark(1_000)
    desk.bars(100, 100)
    desk.risk.on_quote(m.Quote("X", 50.0, 1.0, 150.0, 1.0, NOON))
    for lots, realized in ((1, 0), (0, -9)):
        desk.risk.on_trip(m.PositionChanged("a", "X", lots, 0, realized, 0, 0))
    configure(desk)
    configure(desk, max_daily_loss=5, max_gap="0.1", max_spread_bps=5, max_consecutive_losses=1)
    assert desk.mark(100) == []
    desk.bars(200)
    passed(desk.order(BUY, 1))


def test_the_same_configuration_changes_nothing() -> None:
    desk = Desk(max_position=10)
    desk.risk.on_tighten(m.Tighten("c", "max_position", "4"))
    desk.said()
    assert configure(desk, max_position=10) == []
    assert passed(desk.order(BUY, 5)).quantity_lots == 4


def test_a_reset_takes_the_configuration_as_it_is() -> None:
    desk = Desk(max_position=10)
    desk.risk.on_tighten(m.Tighten("c", "max_position", "4"))
    desk.said()
    assert configure(desk, reset=True, max_position=10) == [m.LimitChanged("max_position", "4", "10")]
    assert passed(desk.order(BUY, 50)).quantity_lots == 10


def test_what_no_limit_needed_is_counted_from_when_one_does() -> None:
    desk = Desk(max_position=10)
    needed: list[Any] = []
    desk.risk.on_needs = lambda: needed.append(desk.risk.needs)
    desk.risk.on_trip(m.PositionChanged("a", "X", 1, 0, 0, 0, 0))
    for limit, value in (("max_consecutive_losses", "1"), ("max_daily_loss", "5"), ("max_net", "9999")):
        desk.risk.on_tighten(m.Tighten("c", limit, value))
    assert needed == [("positions",), ("equity", "positions", "answers")]
    desk.risk.on_trip(m.PositionChanged("a", "X", 0, 0, -5, 9, 0))
    desk.said()
    passed(desk.order(BUY, 1))
    desk.mark(1_000, NOON)
    assert desk.mark(995, NOON + 1) == [m.Halt("daily loss limit 5 reached")]


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["max_net", "max_gross", "max_open_orders", "loss_cooldown_s"]), st.integers(1, 9_999)
        ),
        max_size=20,
    )
)
def test_however_it_is_asked_a_limit_only_ever_becomes_tighter(steps: list[tuple[str, int]]) -> None:
    desk = Desk(max_net=5_000)
    for name, value in steps:
        before = value_of(desk.risk.in_force.limits, name)
        desk.risk.on_tighten(m.Tighten("c", name, str(value)))
        after = value_of(desk.risk.in_force.limits, name)
        more = name == "loss_cooldown_s"
        assert before is None or after == before or (after > before if more else after < before)
