"""Roles, rotation, TLS and the Unix socket, on running daemons."""

from __future__ import annotations

import http.client
import json
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.control.tls import client_context
from tests.daemon.control.certificates import write_certificate

if TYPE_CHECKING:
    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

PAUSE = b'{"action": "pause"}'


def token_in(folder: Path, name: str) -> str:
    assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    return (folder / name).read_text().strip()


def test_who_may_read_may_not_command_and_tokens_are_replaced_while_it_runs(
    start: Nursery, invoke: Callable[..., Run]
) -> None:
    daemon = start("--set", "http.wrong_tokens_max=4")
    folder = daemon.state_dir
    where = ("--state-dir", str(folder))
    read = token_in(folder, "read.token")
    assert token_in(folder, "control.token") == daemon.token

    assert daemon.get("/api/live/status", read).status == 200
    refused = daemon.ask("POST", "/api/live/control", PAUSE, token=read)
    assert (refused.status, refused.body["error"]) == (403, "the token read may read, and this changes something")
    assert daemon.status()["commands"] == []

    made = invoke("ctl", "rotate-token", "--role", "control", "--name", "desk", *where)
    assert made.output == f"{folder}/control.desk.token: new; what it was before is refused from now on\n"
    desk = token_in(folder, "control.desk.token")
    assert desk not in made.output
    assert daemon.ask("POST", "/api/live/control", PAUSE, token=desk).status == 202
    (command,) = daemon.status()["commands"]
    assert (command["by"]["role"], command["by"]["name"]) == ("control", "desk")

    before = daemon.token
    assert invoke("ctl", "rotate-token", "--role", "control", *where).code == 0
    daemon.token = token_in(folder, "control.token")
    assert [daemon.get("/api/live/status", token).status for token in (before, daemon.token, read)] == [401, 200, 200]
    assert invoke("ctl", "resume", *where).code == 0
    assert invoke("ctl", "rotate-token", "--role", "control", "--name", "desk", "--revoke", *where).code == 0
    assert daemon.get("/api/live/status", desk).status == 401

    assert [daemon.get("/api/live/status", "wrong-token").status for _ in range(4)] == [401, 401, 429, 429]
    waits = daemon.get("/api/live/status", "wrong-token").headers["Retry-After"]
    assert 0 < int(waits) <= 60
    assert daemon.status()["state"] == "running", "the right token is let in all the same"
    assert [line["count"] for line in daemon.events("wrong_tokens")] == [5]
    text = daemon.log_text()
    assert not [token for token in (before, read, desk, daemon.token) if token in text]
    for name, value in {"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}.items():
        assert {daemon.get(path, token=None).headers[name] for path in ("/healthz", "/nowhere")} == {value}


def test_tls_is_spoken_and_a_new_certificate_taken_over(
    start: Nursery, invoke: Callable[..., Run], tmp_path: Path
) -> None:
    certificate, key = write_certificate(tmp_path)
    settings = ("--set", f"http.certificate={certificate}", "--set", f"http.key={key}")
    daemon = start(*settings, "--set", "http.unix_socket=true", ready=False)
    where = ("--state-dir", str(daemon.state_dir))

    def status() -> Run:
        return invoke("ctl", "status", *where, "--json")

    def is_up() -> bool:
        return (daemon.state_dir / "endpoint.json").exists() and status().code == 0

    daemon.eventually(is_up, "an endpoint")
    endpoint = json.loads((daemon.state_dir / "endpoint.json").read_bytes())
    assert endpoint["url"].startswith("https://127.0.0.1:")
    assert invoke("ctl", "pause", *where).code == 0

    with socket.socket(socket.AF_UNIX) as local:
        local.connect(str(daemon.state_dir / "control.sock"))
        local.sendall(b"GET /api/live/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert local.recv(100).startswith(b"HTTP/1.1 401 "), "both ways may be open at once, each with tokens"
    port = int(endpoint["url"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200" not in plain.recv(1_000)
    write_certificate(tmp_path, "another.example")
    daemon.eventually(lambda: daemon.events("certificate_replaced"), "the new certificate")
    context = client_context(certificate)
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    assert status().json["state"] == "paused"
    assert daemon.end() == 0
    assert not [line for line in daemon.log() if line["level"] in {"error", "critical"}]


def test_a_daemon_may_be_reached_by_its_socket_alone(start: Nursery, invoke: Callable[..., Run]) -> None:
    settings = ("--set", "http.tcp=false", "--set", "http.unix_socket=true")
    daemon = start(*settings, ready=False)
    path = daemon.state_dir / "control.sock"
    where = ("--state-dir", str(daemon.state_dir))
    daemon.eventually((daemon.state_dir / "endpoint.json").exists, f"an endpoint:\n{daemon.log_text()}")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert invoke("ctl", "pause", *where).code == 0
    status = invoke("ctl", "status", *where, "--json").json
    assert (status["state"], status["commands"][0]["by"]["address"]) == ("paused", "unix")
    assert daemon.events("listening")[0]["address"] == f"unix:{path}"
    daemon.kill()

    again = start(*settings, ready=False)
    again.eventually(lambda: again.events("listening"), "the socket of a killed daemon is taken over")
    again.eventually(lambda: invoke("ctl", "status", *where, "--json").code == 0, "an answer")
    assert again.end() == 0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("http.tcp=false",), "nobody could steer the daemon"),
        (("http.certificate=x.pem",), "http.certificate and http.key are given together or not at all"),
        (("http.certificate=x.pem", "http.key=y.pem"), "http: certificate x.pem with key y.pem: No such file"),
    ],
)
def test_settings_that_lead_nowhere_are_refused(
    invoke: Callable[..., Run], tmp_path: Path, settings: tuple[str, ...], reason: str
) -> None:
    given = [part for each in settings for part in ("--set", each)]
    assert reason in invoke("run", "--state-dir", str(tmp_path), "--port", "0", *given).refusal


def test_a_path_too_long_for_a_socket_is_said(invoke: Callable[..., Run], tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    run = invoke("run", "--state-dir", str(folder), "--port", "0", "--set", "http.unix_socket=true")
    assert "longer than the 107 bytes a socket's path may have" in run.refusal
