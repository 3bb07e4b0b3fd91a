"""From the queue to a target that hangs, fails or is gone; and nobody is told too often, or nothing in silence."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from structlog.testing import capture_logs

from config.alerts import Alerts, AlertTarget
from config.errors import UserError
from daemon.alerts.news import Alert
from daemon.alerts.secret import secret_of
from daemon.alerts.store import Counts, Store
from daemon.alerts.targets import Target
from daemon.alerts.teller import Ask, Courier

if TYPE_CHECKING:
    from pathlib import Path

    from config.alerts import AlertKind, AlertLevel
    from tests.daemon.alerts.conftest import Listener

PATIENCE_S = 10.0


def alert(key: str, text: str = "", kind: AlertKind = "fill", level: AlertLevel = "info") -> Alert:
    return Alert(kind, level, key, text or f"about {key}")


def store_at(path: Path, settings: Alerts) -> Store:
    return Store(path / "alerts.sqlite", settings.queue_max, round(settings.window_s * 1e9))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process's, or a thread's
            await asyncio.sleep(0.01)


@asynccontextmanager
async def telling(store: Store, url: str, settings: Alerts, pause_s: float = 0.02) -> AsyncIterator[Courier]:
    target = Target(AlertTarget(name="phone", url=url), settings.timeout_s)
    courier = Courier(target, store, Ask(), settings, "pitboss")
    task = asyncio.create_task(courier.run(pause_s=pause_s))
    yield courier
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def settings_of(url: str = "json://127.0.0.1", **changed: Any) -> Alerts:
    return Alerts(targets=(AlertTarget(name="phone", url=url),), **changed)


def add(store: Store, settings: Alerts, *alerts: Alert, seen: bytes = b"{}") -> None:
    store.add(alerts, settings.targets, seen, time.time_ns())


async def test_what_waits_is_told_together_and_once(listener: Listener, tmp_path: Path) -> None:
    settings = settings_of()
    store = store_at(tmp_path, settings)
    add(store, settings, *(alert(f"fill {number}") for number in range(50)), alert("halt", level="error"))

    async with telling(store, listener.url, settings) as courier:
        await until(lambda: courier.counts.sent == 3)

    assert [len(message["message"].splitlines()) for message in listener.heard] == [20, 20, 11]
    assert listener.lines[:2] == ["about fill 0 #1", "about fill 1 #2"]
    assert listener.lines[19] == "about halt #51", "the worst is told first, in the order in which all of it happened"
    assert listener.heard[0]["title"] == "pitboss: 20 alerts, error"
    assert [message["type"] for message in listener.heard] == ["failure", "info", "info"]
    assert (courier.counts.failed, courier.counts.dropped, store.waiting("phone")) == (0, 0, 0)


async def test_no_message_is_longer_than_its_service_takes_it(listener: Listener, tmp_path: Path) -> None:
    settings = settings_of()
    store = store_at(tmp_path, settings)
    add(
        store,
        settings,
        *(alert(f"fill {number}", "x" * 60) for number in range(7)),
        alert("a\nlong one", "one\n" * 900),
    )

    async with telling(store, listener.url, settings) as courier:
        courier.target.chars_max = 500
        await until(lambda: not store.waiting("phone"))

    assert all(len(message["title"] + message["message"]) <= 500 for message in listener.heard)
    assert [line.rpartition(" #")[2] for line in listener.lines] == [str(number) for number in range(1, 9)]
    assert listener.lines[-1].startswith("one one one")
    assert "one… #8" in listener.lines[-1]


async def test_what_happens_again_within_the_window_is_counted_and_told_as_one(
    listener: Listener, tmp_path: Path
) -> None:
    settings = settings_of(window_s=0.4)
    store = store_at(tmp_path, settings)
    add(store, settings, alert("reject a", "first"))

    async with telling(store, listener.url, settings) as courier:
        await until(lambda: courier.counts.sent == 1)
        for number in range(5):
            add(store, settings, alert("reject a", f"again {number}"))
        told_ns = time.monotonic_ns()
        await until(lambda: courier.counts.sent == 2)

    (first, first_number), (again, second_number) = (line.split(" #") for line in listener.lines)
    assert (first, again) == ("first", "again 4 (5 times)")
    assert int(second_number) > int(first_number), "a number of its own, or it would pass for the first told twice"
    assert time.monotonic_ns() - told_ns > 0.2e9


async def test_what_happens_again_while_a_message_is_under_way_is_not_lost(listener: Listener, tmp_path: Path) -> None:
    settings = settings_of(window_s=0.1)
    store = store_at(tmp_path, settings)
    add(store, settings, alert("stale", "one"))
    listener.gate.clear()

    async with telling(store, listener.url, settings) as courier:
        await until(lambda: listener.tries)
        add(store, settings, alert("stale", "two"), alert("stale", "three"))
        listener.gate.set()
        await until(lambda: courier.counts.sent == 2)

    (one, one_number), (three, three_number) = (line.split(" #") for line in listener.lines)
    assert (one, three) == ("one", "three (2 times)")
    assert int(three_number) > int(one_number)


async def test_no_more_messages_go_out_in_a_minute_than_are_allowed(listener: Listener, tmp_path: Path) -> None:
    settings = settings_of(per_minute=2)
    store = store_at(tmp_path, settings)

    async with telling(store, listener.url, settings) as courier:
        for number in range(4):
            add(store, settings, alert(f"fill {number}"))
            courier.wake()
            await until(lambda number=number: courier.counts.sent > min(number, 1))
        await asyncio.sleep(0.1)

    assert (len(listener.heard), store.waiting("phone")) == (2, 2)


async def test_a_target_that_fails_is_tried_again_and_given_up_loudly(listener: Listener, tmp_path: Path) -> None:
    settings = settings_of(tries_max=3)
    store = store_at(tmp_path, settings)
    listener.status = 500
    add(store, settings, alert("fill 1"))

    with capture_logs() as logs:
        async with telling(store, listener.url, settings) as courier:
            await until(lambda: courier.counts.dropped)
            listener.status = 200
            add(store, settings, alert("fill 2"))
            courier.wake()
            await until(lambda: courier.counts.sent)

    assert (listener.tries, courier.counts.failed, courier.counts.dropped) == (4, 3, 1)
    assert listener.lines == ["1 alerts before these could not be told", "about fill 2 #2"]
    assert [line["event"] for line in logs] == ["alert_not_told", "alerts_given_up"]
    assert "500" in logs[0]["reason"]
    assert "s3cr3t" not in str(logs)


async def test_a_target_that_hangs_holds_nobody_up_and_gets_no_second_message_meanwhile(
    listener: Listener, tmp_path: Path
) -> None:
    settings = settings_of(timeout_s=0.1)
    store = store_at(tmp_path, settings)
    listener.gate.clear()
    add(store, settings, alert("fill 1"))

    async with telling(store, listener.url, settings) as courier:
        await until(lambda: courier.counts.failed >= 3)
        assert listener.tries == 1
        assert courier.target.reason == "it has not answered the last message for more than 0.1 s"
        listener.gate.set()
        await until(lambda: courier.counts.sent)

    assert set(listener.lines) == {"about fill 1 #1"}


async def test_a_target_that_is_gone_is_told_once_it_is_back(listener: Listener, tmp_path: Path) -> None:
    settings = settings_of()
    store = store_at(tmp_path, settings)
    gone = listener.url
    listener.close()
    add(store, settings, alert("fill 1"))

    async with telling(store, gone, settings) as courier:
        await until(lambda: courier.counts.failed)
        assert "s3cr3t" not in courier.target.reason

    assert [each.key for each in store.due("phone", time.time_ns(), 9)] == ["fill 1"]


async def test_what_the_disk_does_not_let_go_of_is_not_told_over_and_over(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of()
    store = store_at(tmp_path, settings)
    add(store, settings, alert("fill 1"))
    refused = 0

    def full(*_: object) -> None:
        nonlocal refused
        refused += 1
        raise sqlite3.OperationalError("disk is full")

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(store, "confirm", full)
        async with telling(store, listener.url, settings):
            await until(lambda: refused >= 3)
            broken.undo()
            await until(lambda: not store.waiting("phone"))

    assert (listener.lines, store.counts("phone").sent) == (["about fill 1 #1"], 1)
    assert [line["event"] for line in logs] == ["alerts_delayed"]


async def test_what_is_urgent_waits_for_no_pause_of_a_queue_that_cannot_be_read(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of()
    store = store_at(tmp_path, settings)
    refused = 0

    def locked(*_: object) -> None:
        nonlocal refused
        refused += 1
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(store, "waiting", locked)
    async with telling(store, listener.url, settings, pause_s=60) as courier:
        await until(lambda: refused)
        for _ in range(2):
            courier.tell_unqueued([alert("state halted", "trading is halted", "halt", "error")])
        await until(lambda: listener.lines)

    assert listener.lines == ["trading is halted"]


def test_the_queue_is_bounded_survives_and_keeps_how_far_it_came_what_is_worst_and_its_counts(tmp_path: Path) -> None:
    settings = settings_of(queue_max=3)
    store = store_at(tmp_path, settings)
    add(store, settings, alert("halt", level="error"), alert("stale", level="warning"))
    fills = [alert(f"fill {number}") for number in range(4)]
    assert store.add(fills, settings.targets, b"far", time.time_ns()) == {"phone": 3}
    told = store.due("phone", time.time_ns(), 9)
    assert store.fail("phone", told, 20) == 0
    said = store.lost("phone")
    assert store.add(fills[:2], settings.targets, b"far", time.time_ns()) == {"phone": 2}
    store.confirm("phone", told, said, time.time_ns())
    store.close()

    again = store_at(tmp_path, settings)

    assert [each.key for each in told] == ["halt", "stale", "fill 3"]
    assert (again.seen(), again.lost("phone"), [each.key for each in again.due("phone", time.time_ns(), 9)]) == (
        b"far",
        2,
        ["fill 1"],
    )
    assert again.counts("phone") == Counts(sent=1, failed=1, dropped=5)
    assert (tmp_path / "alerts.sqlite").stat().st_mode & 0o077 == 0


def test_what_is_wrong_is_held_back_by_nothing_and_what_is_not_true_any_more_is_not_told(tmp_path: Path) -> None:
    settings = settings_of()
    store = store_at(tmp_path, settings)
    now_ns = time.time_ns()
    halted = Alert("halt", "error", "state halted", "trading is halted", "state running")
    running = Alert("halt", "info", "state running", "trading is running")
    for again in range(2):
        for each in (halted, running):
            store.add([each], settings.targets, b"", now_ns)
            due = store.due("phone", now_ns, 9)
            assert [one.key for one in due] == ([each.key] if each is halted or not again else [])
            store.confirm("phone", due, 0, now_ns)

    assert store.waiting("phone") == 1, "that it runs again waits for the window"
    store.add([halted], settings.targets, b"", now_ns)
    assert [one.text for one in store.due("phone", now_ns + 10**12, 9)] == ["trading is halted"]


def test_a_clock_that_is_set_back_holds_nothing_back(tmp_path: Path) -> None:
    settings = settings_of(window_s=60)
    store = store_at(tmp_path, settings)
    second_ns = 10**9
    before_ns = time.time_ns()
    store.add([alert("told"), alert("held")], settings.targets, b"", before_ns)
    store.confirm("phone", store.due("phone", before_ns, 9), 0, before_ns)
    store.add([alert("held"), alert("new")], settings.targets, b"", before_ns)
    store.add([alert("halt", level="error")], settings.targets, b"", before_ns)
    assert [one.key for one in store.due("phone", before_ns, 9)] == ["halt", "new"]
    assert store.due("phone", before_ns - 30 * second_ns, 9)[0].key == "halt", "set back a little"

    now_ns = before_ns - 6 * 3_600 * second_ns
    store.add([alert("told")], settings.targets, b"", now_ns)
    due = store.due("phone", now_ns, 9)

    assert [one.key for one in due] == ["halt", "held", "new", "told"]
    store.confirm("phone", due, 0, now_ns)
    store.add([alert("told"), alert("new")], settings.targets, b"", now_ns + second_ns)
    assert store.due("phone", now_ns + 59 * second_ns, 9) == [], "the window is one of the new time"
    assert [one.key for one in store.due("phone", now_ns + 61 * second_ns, 9)] == ["told", "new"]


def test_a_target_is_told_only_what_it_wants(tmp_path: Path) -> None:
    every = AlertTarget(name="every", url="json://127.0.0.1")
    severe = msgspec.structs.replace(every, name="severe", level="warning")
    fills = msgspec.structs.replace(every, name="fills", kinds=("fill",))
    settings = Alerts(targets=(every, severe, fills))
    store = store_at(tmp_path, settings)

    add(store, settings, alert("a"), alert("b", kind="halt", level="error"))

    waiting = {one.name: [each.key for each in store.due(one.name, time.time_ns(), 9)] for one in settings.targets}
    assert waiting == {"every": ["b", "a"], "severe": ["b"], "fills": ["a"]}


def test_an_alert_that_cannot_be_queued_is_not_taken_for_seen(tmp_path: Path) -> None:
    settings = settings_of()
    store = store_at(tmp_path, settings)
    add(store, settings, seen=b"before")

    with pytest.raises(AttributeError):
        store.add([alert("a"), None], settings.targets, b"after", time.time_ns())  # type: ignore[list-item]

    assert (store.seen(), store.waiting("phone")) == (b"before", 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("", "what it has is no URL"),
        ("nowhere", "what it has is no URL"),
        ("nothing://x-s3cr3t-key", "apprise knows no such service"),
        ("tgram://s3cr3t", "apprise knows no such service, or something is missing"),
    ],
)
def test_an_url_that_cannot_be_used_is_refused_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None, words: str
) -> None:
    file = tmp_path / "phone.url"
    if content is not None:
        file.write_text(content)

    with caplog.at_level(logging.DEBUG), pytest.raises(UserError) as refused:
        Target(AlertTarget(name="phone", file=str(file)), 1)

    assert str(refused.value).startswith("alerts: target phone: ")
    assert words in str(refused.value)
    assert "s3cr3t" not in str(refused.value) + caplog.text


def test_an_url_may_be_one_of_systemds_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "phone").write_text("json://127.0.0.1/s3cr3t\n# of ours\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert secret_of(AlertTarget(name="phone", file="phone")) == "json://127.0.0.1/s3cr3t"
