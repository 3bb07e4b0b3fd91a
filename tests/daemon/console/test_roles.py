"""Who may do what: every route of the table, under everything that can be shown to it, on a running console."""

from __future__ import annotations

import json
import re
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING

import pytest

from daemon.console.table import ROUTES
from daemon.control.keys import rotate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.daemon.console.conftest import Client

pytestmark = pytest.mark.slow

LET_IN = "let in"
ANSWERS = {401: "nobody", 403: "not allowed"}
ALLOWED = {"open": {"open"}, "read": {"open", "read"}, "control": {"open", "read", "control"}}
"""By the role of a token: whose routes it opens."""


def log_in(client: Client, token: str) -> tuple[str, str]:
    """Return the cookie and the word of a session."""
    headers = {"Origin": client.url, "Content-Type": "application/json"}
    answer = client.ask("POST", "/api/login", json.dumps({"token": token}).encode(), headers, token=None)
    (kept,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    return f"{kept.key}={kept.value}", answer.body["csrf"]


def test_every_route_lets_in_whom_its_role_says_and_nobody_else(client: Client) -> None:
    folder = client.daemon.state_dir
    gone = rotate(folder, "control", "gone").read_text().strip()
    rotate(folder, "control", "gone")
    tokens = {"read": (folder / "read.token").read_text().strip(), "control": client.daemon.token}

    sessions = {shown: log_in(client, token) for shown, token in tokens.items()}
    commands = client.daemon.status()["commands"]

    def asked(method: str, path: str, shown: Mapping[str, str]) -> str:
        headers = {"Origin": client.url, "Content-Type": "application/json", **shown}
        body = None if method == "GET" else b"{}"
        answer = client.ask(method, re.sub(r"{\w+}", "1", path), body, headers, token=None)
        assert answer.status < 500, (path, answer)
        return ANSWERS.get(answer.status, LET_IN)

    def expected(role: str, shown: str) -> str:
        return LET_IN if role in ALLOWED[shown] else ANSWERS[403]

    for route in ROUTES:
        place = (route.method, route.path)
        is_open, changes = route.role == "open", route.method != "GET"
        unknown = LET_IN if is_open else ANSWERS[401]
        assert asked(*place, {}) == unknown, place
        assert asked(*place, {"Authorization": f"Bearer {gone}"}) == unknown, (place, "rotated away")
        for elsewhere in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            assert asked(*place, {"Authorization": f"Bearer {tokens['control']}"} | elsewhere) == ANSWERS[403], place
        for shown, token in tokens.items():
            assert asked(*place, {"Authorization": f"Bearer {token}"}) == expected(route.role, shown), (place, shown)
            cookie, word = sessions[shown]
            without = ANSWERS[403] if changes and not is_open else expected(route.role, shown)
            assert asked(*place, {"Cookie": cookie}) == without, (place, shown, "cookie alone")
            both = {"Cookie": cookie, "X-Pitboss-CSRF": word}
            assert asked(*place, both) == expected(route.role, shown), (place, shown, "cookie and word")
            if route.name == "logout":
                assert asked("GET", "/api/session", both) == ANSWERS[401], "it has logged out"
                sessions[shown] = log_in(client, token)
    assert client.ask("GET", "/nowhere", token=None).status == 401
    assert client.ask("GET", "/nowhere").status == 404
    assert client.ask("GET", "/api/live/posititions").body["error"].endswith("(did you mean '/api/live/positions'?)")
    there = client.daemon.get("/api/live/positions")
    assert (there.status, there.body["error"].endswith(f"at the console, {client.url}/")) == (404, True), there
    wrong = client.ask("GET", "/api/meta", token="none-of-ours")
    assert (wrong.status, wrong.body["error"].startswith("this token opens nothing")) == (401, True), wrong
    assert client.daemon.status()["commands"] == commands


def test_who_was_refused_a_command_stands_in_the_log(client: Client) -> None:
    phone = rotate(client.daemon.state_dir, "read", "phone").read_text().strip()

    refused = client.ask("POST", "/api/live/control", b'{"action": "stop"}', token=phone)
    loosened = client.ask("POST", "/api/live/control", b'{"action": "cancel", "order_id": "none"}')

    assert (refused.status, loosened.status) == (403, 409)
    (line,) = client.daemon.events("not_allowed")[-1:]
    assert (line["role"], line["name"], line["address"], line["needed"]) == ("read", "phone", "127.0.0.1", "control")
    (line,) = client.daemon.events("command_refused")[-1:]
    assert (line["role"], line["name"], line["address"]) == ("control", "control", "127.0.0.1")
    assert line["reason"] == loosened.body["error"]
