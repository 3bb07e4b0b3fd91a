"""The mirror: what a client that has some version is told."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from daemon.console.frames import Frame, decode_frame, encode
from daemon.console.mirror import Mirror


def frame(events: list[Any] | None = None, *, full: bool = False, missed: int = 0, **sections: dict[str, Any]) -> Frame:
    told = {"full": full, "sections": sections, "events": events or [], "rows": [], "lines": [], "missed": missed}
    return decode_frame(encode(told))


def mirror(*frames: Frame, events_kept: int = 4) -> Mirror:
    made = Mirror(events_kept)
    for one in frames:
        made.take(one)
    return made


def delta(of: Mirror, since: int) -> Any:
    message = json.loads(of.delta(since))
    assert (message.pop("type"), message.pop("epoch"), message.pop("seq")) == ("delta", of.epoch, of.seq)
    return message


def test_who_is_new_is_told_everything() -> None:
    made = mirror(frame(full=True, orders={"a": 1, "b": 2}, summary={"": {"x": 1}}), frame(["filled"], orders={"b": 3}))

    assert json.loads(made.snapshot()) == {
        "type": "snapshot",
        "epoch": made.epoch,
        "seq": 2,
        "data": {"orders": {"b": 3}, "summary": {"": {"x": 1}}},
        "events": ["filled"],
    }
    assert made.rows("orders") == {"b": msgspec.Raw(b"3")}


def test_who_has_a_version_is_told_what_is_younger_and_each_row_once() -> None:
    made = mirror(
        frame(["old"], full=True, orders={"a": 1, "b": 1}),
        frame(orders={"a": 1, "b": 2, "c": 1}),
        frame(["new"], orders={"b": 3}),
    )

    assert delta(made, 3) == {"set": {}, "gone": {}, "events": [], "missed": 0}
    assert delta(made, 2) == {
        "set": {"orders": {"b": 3}},
        "gone": {"orders": ["c", "a"]},
        "events": ["new"],
        "missed": 0,
    }
    assert delta(made, 1)["set"] == {"orders": {"b": 3}}


def test_what_was_gone_and_came_back_is_not_gone() -> None:
    made = mirror(frame(full=True, orders={"a": 1}), frame(orders={}), frame(orders={"a": 1}))

    assert delta(made, 1) == {"set": {"orders": {"a": 1}}, "gone": {}, "events": [], "missed": 0}


def test_a_frame_that_says_nothing_new_is_no_version() -> None:
    made = mirror(frame(full=True, orders={"a": 1}))

    made.take(frame(orders={"a": 1}))

    assert made.seq == 1


def test_a_full_frame_ends_sections_it_does_not_have() -> None:
    made = mirror(frame(full=True, orders={"a": 1}), frame(full=True))

    assert delta(made, 1)["gone"] == {"orders": ["a"]}


def test_events_that_nobody_kept_are_counted() -> None:
    made = mirror(frame(full=True, orders={}, a={"b": 1}), frame([1, 2, 3]), frame([4], missed=5), frame([5, 6]))

    told = delta(made, 1)

    assert (told["events"], told["missed"]) == ([3, 4, 5, 6], 7)
    assert (delta(made, 3)["events"], delta(made, 3)["missed"]) == ([5, 6], 0)


def test_only_what_is_still_known_can_be_gone_on_from() -> None:
    made = mirror(*(frame([n], full=n == 0, orders={str(n): n}) for n in range(10)))

    assert made.resumes(made.epoch, 10)
    assert made.resumes(made.epoch, 7)
    assert not made.resumes(made.epoch, 11), "the future"
    assert not made.resumes(made.epoch, 6), "events of then are not counted any more"
    assert not made.resumes("another", 10)


def test_ten_thousand_changes_later_a_client_is_told_each_row_once_and_nothing_has_grown() -> None:
    made = mirror(frame(full=True, orders={"a": 0, "b": 0}))
    for number in range(1, 10_001):
        made.take(frame(orders={"a": number, "b": 0} | {f"c{number}": 1}))

    assert made.seq == 10_001
    assert made.resumes(made.epoch, 2)
    told = delta(made, 2)
    assert told["set"] == {"orders": {"a": 10_000, "c10000": 1}}
    assert len(told["gone"]["orders"]) == 9_999
    assert not made.resumes(made.epoch, 10_002)
    for since in range(1, 10_001, 50):
        assert len(made.delta(since)) > 0
    assert len(made._messages) <= 64
    assert len(made._gone) <= 10_000


def test_a_section_of_the_consoles_own_outlives_full_frames_and_is_told_like_any_other() -> None:
    made = mirror(frame(full=True, orders={"a": 1}))
    made.put("backtests", {"1": msgspec.Raw(b"1"), "2": msgspec.Raw(b"2")})
    made.put("backtests", {"1": msgspec.Raw(b"1"), "2": msgspec.Raw(b"2")})
    assert made.seq == 2

    made.take(frame(full=True))
    assert set(made.rows("backtests")) == {"1", "2"}
    made.put("backtests", {"2": msgspec.Raw(b"3")})

    assert made.rows("backtests") == {"2": msgspec.Raw(b"3")}
    told = delta(made, 2)
    assert (told["set"], told["gone"]) == ({"backtests": {"2": 3}}, {"backtests": ["1"], "orders": ["a"]})
