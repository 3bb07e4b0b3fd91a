"""The audit: every command with who gave it, when, and what became of it, however it was given."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.journal import FILE_NAME
from daemon.control.keys import rotate
from tests.daemon.console.conftest import WITH_CONSOLE, Client

if TYPE_CHECKING:
    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

CONTROL = "/api/live/control"
SUPERVISION = ("--set", "supervision.restarts_max=0", "--set", "supervision.safe_state=halt")
SPOILT = """\
from pitboss import Strategy

class Spoilt(Strategy):
    def on_bar(self, bar, f):
        if hasattr(self, "file"):
            raise RuntimeError("no idea")
        self.file = object()
"""
KEPT = "what strategy.Spoilt knew could not be kept; begin it anew"


def by_page(client: Client, token: str) -> dict[str, str]:
    """Return what a page that has logged in sends with a command."""
    headers = {"Origin": client.url, "Content-Type": "application/json"}
    answer = client.ask("POST", "/api/login", json.dumps({"token": token}).encode(), headers, token=None)
    (cookie,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    return headers | {"Cookie": f"{cookie.key}={cookie.value}", "X-Pitboss-CSRF": answer.body["csrf"]}


def test_a_command_that_is_refused_or_fails_stands_there_whoever_gave_it(
    start: Nursery, invoke: Callable[..., Run]
) -> None:
    strategy = start.folder / "spoilt.py"
    strategy.write_text(SPOILT)
    tape: dict[str, Any] = {"tape": ("--synthetic", "7:20"), "speed": 0}
    daemon = start(*WITH_CONSOLE, *SUPERVISION, strategy=f"{strategy}:Spoilt", **tape)
    daemon.wait_for(lambda s: s["tape_ended"] and s["state"] == "halted", "the strategy was given up")
    client, folder = Client(daemon), daemon.state_dir
    phone = rotate(folder, "read", "phone").read_text().strip()
    desk = rotate(folder, "control", "desk").read_text().strip()
    page = by_page(client, rotate(folder, "control", "page").read_text().strip())
    restart, pause = b'{"action": "restart", "actor": "strategy.Spoilt"}', b'{"action": "pause"}'

    for ask, token, status in ((client.ask, phone, 403), (daemon.ask, phone, 403), (client.ask, "wrong", 401)):
        assert ask("POST", CONTROL, restart, token=token).status == status
    assert client.ask("POST", CONTROL, restart, page | {"X-Pitboss-CSRF": "no"}, token=None).status == 403
    assert daemon.ask("POST", CONTROL, b'{"action": "restart", "actor": "strategy.B"}', token=desk).status == 400

    assert client.ask("POST", CONTROL, restart, token=desk).status == 202
    assert client.ask("POST", CONTROL, restart, page, token=None).status == 202
    given = invoke("ctl", "restart", "strategy.Spoilt", "--state-dir", str(folder))
    assert (given.code, f"refused: {KEPT}" in given.output) == (1, True)
    assert daemon.ask("POST", CONTROL, pause, token=desk).status == 202

    rows = client.get("/api/live/audit")["rows"][::-1]
    daemon.kill()
    with closing(sqlite3.connect(folder / FILE_NAME)) as journal:
        kept = journal.execute("SELECT command_id, sent_ns, outcome FROM commands ORDER BY seq").fetchall()
    assert kept == [(row["command_id"], row["sent_ns"], row["outcome"]) for row in rows]
    assert [(row["name"], row["action"], row["outcome"], row["note"]) for row in rows] == [
        ("desk", "restart strategy.Spoilt", "refused", KEPT),
        ("page", "restart strategy.Spoilt", "refused", KEPT),
        ("control", "restart strategy.Spoilt", "refused", KEPT),
        ("desk", "pause", "done", ""),
    ], "and no word of what did not become a command"
    assert {(row["role"], row["address"]) for row in rows} == {("control", "127.0.0.1")}
    assert [row["sent_ns"] for row in rows] == sorted(row["sent_ns"] for row in rows)
    assert all(row["sent_ns"] > 10**18 and row["ended_ns"] == row["ts_ns"] for row in rows)

    lines = [(line["event"], line["name"]) for line in daemon.log() if line["event"].endswith(("_allowed", "_refused"))]
    assert lines == [*[("not_allowed", "phone")] * 2, *[("not_allowed", "")] * 2, ("command_refused", "desk")]
