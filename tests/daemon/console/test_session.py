"""Who may do what at the console, and what the core is told of it; one daemon, whose tokens are replaced as it runs."""

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from daemon.control.keys import rotate
from daemon.control.tls import client_context
from tests.daemon.console.conftest import WITH_CONSOLE, Client, Stream
from tests.daemon.control.certificates import write_certificate

if TYPE_CHECKING:
    from tests.daemon.conftest import Nursery

pytestmark = pytest.mark.slow

PAUSE, RESUME = b'{"action": "pause"}', b'{"action": "resume"}'
CONTROL = "/api/live/control"


async def test_roles_sessions_and_rotation_hold_at_the_console_too(start: Nursery) -> None:
    daemon = start(*WITH_CONSOLE)
    client = Client(daemon)
    folder, origin = daemon.state_dir, client.url

    phone = rotate(folder, "read", "phone").read_text().strip()
    assert client.ask("GET", "/api/live/status", token=phone).status == 200
    assert client.ask("POST", CONTROL, PAUSE, token=phone).status == 403
    desk = rotate(folder, "control", "desk").read_text().strip()
    assert client.ask("POST", CONTROL, PAUSE, token=desk).status == 202
    forged = {"X-Pitboss-Caller": "control;root;192.0.2.1"}
    assert daemon.ask("POST", CONTROL, RESUME, forged, token=desk).status == 202
    assert [row["by"]["name"] for row in daemon.status()["commands"]] == ["desk", "desk"], "told by the console, or not"
    assert {row["by"]["address"] for row in daemon.status()["commands"]} == {"127.0.0.1"}

    page = _logged_in(client, desk)
    cookie = page["Cookie"]
    assert client.ask("GET", "/api/live/orders", headers={"Cookie": cookie}, token=None).status == 200
    assert client.ask("POST", CONTROL, PAUSE, page, token=None).status == 202
    assert daemon.status()["commands"][-1]["by"]["name"] == "desk"
    for without in page:
        sent = {name: value for name, value in page.items() if name != without}
        assert client.ask("POST", CONTROL, RESUME, sent, token=None).status in (401, 403)
    form = {"Cookie": cookie, "Origin": "http://127.0.0.1:1", "Content-Type": "application/x-www-form-urlencoded"}
    for foreign in (
        page | {"Origin": "http://127.0.0.1:1"},
        page | {"Origin": origin.replace("127.0.0.1", "localhost")},
        page | {"Sec-Fetch-Site": "same-site"},
        page | {"X-Pitboss-CSRF": "x" * len(page["X-Pitboss-CSRF"])},
        form,
        form | {"Content-Type": "text/plain"},
    ):
        assert client.ask("POST", CONTROL, RESUME, foreign, token=None).status == 403, foreign
        assert client.ask("POST", "/api/backtests/run", b"{}", foreign, token=None).status == 403
        assert client.ask("POST", "/api/logout", headers=foreign, token=None).status == 403
    assert daemon.ask("POST", CONTROL, RESUME, page, token=None).status in (401, 403), "the core knows no cookies"
    assert daemon.status()["state"] == "paused"

    pages: list[Any] = []
    cursor: int | None = 0
    while cursor is not None:
        found = client.get(f"/api/live/audit?limit=2&cursor={cursor}")
        pages, cursor = pages + found["rows"], found["next"]
    assert [(row["action"], row["outcome"], row["role"], row["name"]) for row in pages] == [
        ("pause", "done", "control", "desk"),
        ("resume", "done", "control", "desk"),
        ("pause", "done", "control", "desk"),
    ]
    assert all(row["ended_ns"] >= row["ts_ns"] and row["sent_ns"] > 10**18 for row in pages)
    assert client.ask("GET", "/api/live/audit?session=none").status == 404

    async with aiohttp.ClientSession(origin) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/api/stream", headers={"Cookie": cookie, "Origin": "http://127.0.0.1:1"})
        assert refused.value.status == 403
        async with http.ws_connect("/api/stream", headers={"Cookie": cookie, "Origin": origin}) as socket:
            stream = Stream(socket)
            assert (await stream.next())["type"] == "snapshot"
            rotate(folder, "control", "desk")
            await stream.ended()
            assert socket.close_code == 1008, "who is not let in any more is told nothing more"
    assert client.ask("GET", "/api/live/orders", headers={"Cookie": cookie}, token=None).status == 401
    assert client.ask("GET", "/api/live/orders", token=desk).status == 401
    assert client.ask("GET", "/api/live/orders", token=phone).status == 200
    assert daemon.end() == 0
    assert daemon.replayed().equal


@pytest.mark.parametrize("tcp", [True, False])
async def test_the_console_speaks_tls_and_reaches_the_core_however_that_listens(
    start: Nursery, tmp_path: Path, tcp: bool
) -> None:
    certificate, key = write_certificate(tmp_path)
    settings = (
        f"http.certificate={certificate}",
        f"http.key={key}",
        "http.unix_socket=true",
        f"http.tcp={str(tcp).lower()}",
    )
    daemon = start(*WITH_CONSOLE, *(part for each in settings for part in ("--set", each)), ready=False)
    endpoint = daemon.eventually(lambda: _endpoint(daemon.state_dir), "an endpoint")
    assert endpoint["console"].startswith("https://127.0.0.1:")
    token = (daemon.state_dir / "control.token").read_text().strip()
    connector = aiohttp.TCPConnector(ssl=client_context(certificate))
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(endpoint["console"], headers=headers, connector=connector) as http:
        async with http.get("/api/live/status") as answer:
            assert (answer.status, (await answer.json())["state"]) == (200, "running")
        async with http.post(CONTROL, data=PAUSE) as answer:
            assert answer.status == 202
        body = {"token": token}
        async with http.post("/api/login", json=body, headers={"Origin": endpoint["console"]}) as answer:
            assert "; Secure" in answer.headers["Set-Cookie"]
    assert daemon.end() == 0


def _logged_in(client: Client, token: str) -> dict[str, str]:
    """Return what the page sends once somebody has logged in with a token of the desk's."""
    asked = {"Origin": client.url, "Content-Type": "application/json"}
    answer = client.ask("POST", "/api/login", json.dumps({"token": token}).encode(), asked, token=None)
    assert (answer.status, answer.body["role"], answer.body["name"]) == (200, "control", "desk")
    ((name, kept),) = SimpleCookie(answer.headers["Set-Cookie"]).items()
    assert name == f"pitboss_session_{urlsplit(client.url).port}"
    return {"Cookie": f"{name}={kept.value}", "Origin": client.url, "X-Pitboss-CSRF": answer.body["csrf"]}


def _endpoint(folder: Path) -> dict[str, str] | None:
    path = folder / "endpoint.json"
    found: dict[str, str] | None = json.loads(path.read_bytes()) if path.exists() else None
    return found
