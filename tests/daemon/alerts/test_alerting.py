"""A daemon that tells people what happens, while its console is killed and while nobody listens."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.runtime.journal import FILE_NAME
from tests.daemon.conftest import eventually
from tests.daemon.console.conftest import WITH_CONSOLE, Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.daemon.alerts.conftest import Listener
    from tests.daemon.conftest import Daemon, Nursery, Run

pytestmark = pytest.mark.slow

SECRET = "hook-s3cr3t"


def configured(folder: Path, *targets: tuple[str, str], more: str = "") -> Path:
    path = folder / "alerts.toml"
    tables = [f'[[alerts.targets]]\nname = "{name}"\nurl = "{url}"\n' for name, url in targets]
    path.write_text(f"[alerts]\nper_minute = 1000\n{more}\n" + "\n".join(tables))
    return path


def fills_of(daemon: Daemon) -> set[int]:
    with sqlite3.connect(f"file:{daemon.state_dir / FILE_NAME}?mode=ro", uri=True) as db:
        found = {row[0] for row in db.execute("SELECT trade_id FROM fills")}
    db.close()
    return found


def told_fills(listener: Listener) -> list[str]:
    return [line for line in listener.lines if re.search(r" (bought|sold) ", line)]


def counters(client: Client) -> dict[str, float]:
    """Return every counter but those of the console's own process."""
    families = text_string_to_metric_families(client.ask("GET", "/metrics").raw.decode())
    samples = [sample for family in families if family.type == "counter" for sample in family.samples]
    found = {f"{one.name}{one.labels}": one.value for one in samples if "console_process" not in one.name}
    return found if found.get("pitboss_alert_messages_total{'target': 'phone'}") else {}


def test_every_fill_is_told_though_the_console_is_killed(start: Nursery, listener: Listener) -> None:
    config = configured(start.folder, ("phone", listener.url), (r"gone \"for\ngood", "json://127.0.0.1:9/" + SECRET))
    daemon = start(
        *WITH_CONSOLE, "--config", str(config), "--param", "fast=3", "--param", "slow=6", strategy="ema_cross"
    )
    client = Client(daemon)
    eventually(lambda: len(told_fills(listener)) >= 3, "three fills are told")

    counted = eventually(lambda: counters(client), "counters")
    killed = client.pid
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: "the console was started again" in str(listener.lines), "the restart is told")
    before = len(told_fills(listener))
    eventually(lambda: len(told_fills(listener)) > before, "fills are told again")
    for action in ("pause", "resume"):  # over before anybody looks
        answer = client.ask("POST", "/api/live/control", b'{"action": "%s"}' % action.encode())
        assert answer.status == 202
    eventually(lambda: "trading is paused" in str(listener.lines), "the pause is told")
    eventually(lambda: "trading is running" in str(listener.lines), "its end is told")
    client.ask("POST", "/api/live/control", b'{"action": "pause"}')
    daemon.wait_for(lambda s: s["state"] == "paused", "it is paused")
    metrics = client.ask("GET", "/metrics").raw.decode()
    shown = client.ask("GET", "/api/live/config").raw.decode()

    eventually(lambda: len(set(told_fills(listener))) >= len(fills_of(daemon)), "every fill is told")
    lines = told_fills(listener)
    numbers = {int(line.rpartition("#")[2]) for line in lines}
    assert len(set(lines)) == len(numbers) == len(fills_of(daemon))
    assert len(lines) - len(numbers) <= 20, "only the message that was under way is told again, under its numbers"
    assert 'pitboss_alert_messages_total{target="phone"}' in metrics
    assert re.search(r'pitboss_alert_failures_total\{target="gone \\"for\\ngood"\} [1-9]', metrics), metrics
    after = counters(client)
    assert {sample: value for sample, value in counted.items() if after[sample] < value} == {}, "over a restart"
    assert SECRET not in shown + metrics + daemon.log_text() + answer.raw.decode()
    assert "[redacted]" in shown

    assert daemon.end() == 0
    assert SECRET.encode() not in (daemon.state_dir / FILE_NAME).read_bytes()


def test_a_target_that_cannot_be_read_is_refused_before_anything_starts(
    invoke: Callable[..., Run], tmp_path: Path
) -> None:
    config = tmp_path / "alerts.toml"
    config.write_text('[[alerts.targets]]\nname = "phone"\nfile = "nowhere.url"\n')

    run = invoke("run", "--state-dir", str(tmp_path / "state"), "--synthetic", "7:50", "--config", str(config))

    assert run.refusal == "alerts: target phone: file nowhere.url: No such file or directory"
    assert not (tmp_path / "state" / FILE_NAME).exists()


def test_a_test_says_what_came_of_it(invoke: Callable[..., Run], listener: Listener, tmp_path: Path) -> None:
    config = configured(tmp_path, ("phone", listener.url), ("gone", f"json://127.0.0.1:9/{SECRET}"))

    run = invoke("alerts", "test", "--config", str(config))

    first, second = run.output.splitlines()
    assert first.startswith("phone: told (")
    assert second.startswith("gone: NOT told: ")
    assert (run.code, len(listener.heard)) == (1, 1)
    assert SECRET not in run.output + run.errors
    assert invoke("alerts", "test", "phone", "--config", str(config)).code == 0
    assert invoke("alerts", "test", "phonne", "--config", str(config)).refusal == (
        "alerts: there is no target phonne (did you mean 'phone'?)"
    )
    assert invoke("alerts", "test").refusal == ("there is nobody to be told: the settings have no [[alerts.targets]]")


def test_a_test_of_a_target_that_hangs_ends(pitboss: Callable[..., Run], listener: Listener, tmp_path: Path) -> None:
    listener.gate.clear()
    config = configured(tmp_path, ("phone", listener.url + "?rto=60"), more="timeout_s = 0.5")
    started_s = time.monotonic()

    run = pitboss("alerts", "test", "--config", str(config))

    assert run.output.startswith("phone: NOT told: it has not answered within 0.5 s (")
    assert (run.code, run.errors) == (1, "")
    assert time.monotonic() - started_s < 25, "the listener takes 30 s"
