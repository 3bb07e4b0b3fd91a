"""The console of a running daemon: what it answers, whom it lets in, and how it lives and dies."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import resource
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from daemon.console.live import ROUTES
from tests.daemon.console.conftest import WITH_CONSOLE, Client, sleeper, wait_gone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

SLEEPERS = 20
DELTAS = 40
BOUND_MB = 12.0
BUSY = """
from pitboss import Strategy

class Busy(Strategy):
    def on_bar(self, bar, features, /):
        for _ in range(60):
            self.buy(0.01, limit=bar.close / 2, time_in_force="ioc")
"""


def test_sections_say_what_the_core_says(client: Client) -> None:
    status = client.daemon.wait_for(lambda s: s["positions"] and s["orders"], "a position and an order")
    listed = {route.name: client.get(route.path) for route in ROUTES if route.method == "GET"}
    assert listed["symbols"]["rows"][0]["quantity_step"]
    after = client.daemon.status()

    for name, key in (("positions", "symbol"), ("orders", "order_id"), ("actors", "name")):
        rows = {row[key]: row for row in listed[name]["rows"]}
        assert rows, name
        assert all(row.keys() == rows[row[key]].keys() for row in status[name] if row[key] in rows)
    assert status["last_input"]["seq"] <= listed["status"]["last_input"]["seq"] <= after["last_input"]["seq"]
    summary = listed["summary"]["row"]
    assert 0 < summary["seq"] <= after["durable_seq"], "what is told is durable, if a frame late"
    assert {name: summary[name] for name in ("session", "run", "mode", "state")} == {
        name: status[name] for name in ("session", "run", "mode", "state")
    }
    strategies = {row["strategy"]: row for row in listed["strategies"]["rows"]}
    assert list(strategies) == ["Holder", "ema_cross"]
    assert (strategies["Holder"]["symbols"], strategies["Holder"]["state"]) == (["SYN/USDT"], "running")
    assert strategies["ema_cross"]["params"] == {"fast": 3, "slow": 6, "quantity": 0.1}
    assert {"console", "feed", "journal", "strategy.Holder"} <= {row["name"] for row in listed["actors"]["rows"]}
    assert listed["margin"]["row"] is None


def test_it_says_which_daemon_it_is_of(client: Client) -> None:
    about = client.get("/api/meta")

    assert about["core_url"] == client.daemon.url
    assert about["session"] == client.daemon.status()["session"]
    assert set(about["event_kinds"]) == {"fill", "order", "veto", "trading", "note"}


def test_a_daemon_that_trades_has_its_actors_looked_into_and_cannot_be_stepped(client: Client) -> None:
    for method, path in (("GET", ""), ("GET", "/messages"), ("POST", "/step"), ("POST", "/pause")):
        refused = client.ask(method, f"/api/replay{path}")
        assert (refused.status, "this daemon replays nothing" in refused.body["error"]) == (404, True), refused

    actor = client.get("/api/live/actors/strategy.ema_cross")
    assert (actor["row"]["state"], actor["note"]) == ("running", "")
    assert actor["state"]["abandoned"] is False


@pytest.mark.parametrize("key", [b"cl\xe9", b"\xff", b"x" * 201, b"tab\there"])
def test_a_key_that_cannot_be_passed_on_as_it_is_is_refused(client: Client, key: bytes) -> None:
    commands = client.daemon.status()["commands"]
    headers = {"Idempotency-Key": key.decode("latin-1")}

    refused = client.ask("POST", "/api/live/control", b'{"action": "resume"}', headers)

    assert (refused.status, "printable characters" in refused.body["error"]) == (400, True), refused
    assert client.daemon.status()["commands"] == commands


def test_the_core_points_to_it_under_the_name_it_was_asked_by(client: Client) -> None:
    answer = client.daemon.ask("GET", "/", headers={"Host": "localhost:1"}, token=None)

    assert (answer.status, answer.headers["Location"]) == (307, client.url.replace("127.0.0.1", "localhost") + "/")


def test_its_description_is_a_page_that_loads_nothing(client: Client) -> None:
    answer = client.ask("GET", "/api/docs")
    policy = answer.headers["Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", answer.raw.decode(), re.DOTALL)

    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in policy
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert client.get("/openapi.json")["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/api/stream?sincee=1", 400, "did you mean 'since'?"),
        ("GET", "/api/stream?since=1&since=2", 400, "'since' is given more than once"),
        ("GET", "/api/stream?since=-1", 400, "`since`"),
        ("GET", "/api/stream", 426, "WebSocket"),
        ("POST", "/api/live/orders", 405, "Method Not Allowed"),
        ("POST", "/api/live/control", 400, "not JSON"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_a_sentence(
    client: Client, method: str, path: str, status: int, words: str
) -> None:
    answer = client.ask(method, path, b"" if method == "POST" else None)

    assert (answer.status, words in answer.body["error"]) == (status, True), answer


async def test_changes_add_up_to_what_a_new_client_is_told(client: Client) -> None:
    known: dict[int, Any] = {}
    async with client.stream() as first:
        assert (await first.next())["type"] == "snapshot"
        for _ in range(20):
            assert (await first.next())["type"] == "delta"
        while True:
            async with client.stream() as second:
                await second.next()
            while first.seq < second.seq:
                await first.next()
                known = {first.seq: json.dumps(first.data, sort_keys=True)}
            if second.seq in known:
                break
    assert json.loads(known[second.seq]) == second.data
    assert second.data["bars"]["Holder SYN/USDT"]["features"] == {}
    assert set(second.data["bars"]["ema_cross SYN/USDT"]["features"]) == {"fast", "slow"}
    assert {event["kind"] for event in second.events} & {"fill", "order"}


async def test_a_client_that_was_away_goes_on_where_it_was(client: Client) -> None:
    async with client.stream() as stream:
        await stream.next()
        before = stream.summary["seq"]
    async with client.stream(stream.epoch, stream.seq) as resumed:
        message = await resumed.next()
    assert message["type"] == "delta"
    assert message["set"]["summary"][""]["seq"] > before
    for epoch, since in (("another", stream.seq), (stream.epoch, stream.seq + 10_000_000)):
        async with client.stream(epoch, since) as anew:
            assert (await anew.next())["type"] == "snapshot"


async def test_a_client_that_speaks_is_told_that_nobody_listens(client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.daemon.token}"}
    async with (
        aiohttp.ClientSession(client.url, headers=headers) as session,
        session.ws_connect("/api/stream") as stream,
    ):
        await stream.send_str("buy!")
        while not stream.closed:
            await stream.receive()
        assert stream.close_code == 1003


async def test_who_never_reads_costs_it_no_memory(start: Nursery) -> None:
    busy = start.folder / "busy.py"
    busy.write_text(BUSY)
    client = Client(start(*WITH_CONSOLE, strategy=f"{busy}:Busy"))

    def used_mb() -> float:
        return int(Path(f"/proc/{client.pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    async with client.stream() as stream:
        await stream.next()
        before_mb = used_mb()
        sleepers = [await sleeper(urlsplit(client.url).port or 0, client.daemon.token) for _ in range(SLEEPERS)]
        told_bytes = 0
        for _ in range(DELTAS):
            told_bytes += len(json.dumps(await stream.next()))
        grown_mb = used_mb() - before_mb
        for one in sleepers:
            one.close()

    queued_mb = SLEEPERS * told_bytes / 2**20
    assert queued_mb > 2 * BOUND_MB, "what was not read would be seen, if it were kept"
    assert grown_mb < BOUND_MB, f"{SLEEPERS * told_bytes / 2**20:.0f} MB were not read"


async def test_killed_it_comes_back_and_trading_goes_on_meanwhile(start: Nursery) -> None:
    daemon = start(*WITH_CONSOLE, strategy=start.holder)
    client = Client(daemon)
    async with client.stream() as stream:
        await stream.next()
        told = {line["event"] for line in client.get("/api/live/logs?limit=1000")["rows"]}
        assert {"listening", "session", "console_started"} <= told, "what was logged before it was there, too"
        killed = client.pid
        os.kill(killed, signal.SIGSTOP)
        seq = daemon.status()["last_input"]["seq"]
        stopped = daemon.wait_for(lambda s: s["last_input"]["seq"] > seq + 300, "inputs while nobody reads frames")
        os.kill(killed, signal.SIGCONT)
        while stream.summary["seq"] < stopped["last_input"]["seq"]:
            await stream.next()
        before = daemon.status()
        heard = client.get("/api/live/logs?limit=1")
        os.kill(killed, signal.SIGKILL)
        assert await stream.ended()
    wait_gone(killed)
    during = daemon.wait_for(lambda s: s["last_input"]["seq"] > before["last_input"]["seq"] + 50, "more inputs")
    assert during["state"] == "running"

    told = client.get("/api/live/logs?limit=1000")
    assert {"listening", "session", "console_ended"} <= {line["event"] for line in told["rows"]}, "from before, too"
    assert [line["event"] for line in told["rows"]].count("listening") == 1
    after = client.get(f"/api/live/logs?limit=1000&after={heard['next']}")["rows"]
    assert after[0]["number"] == heard["next"] + 1, "who follows goes on where he was"
    assert "console_ended" in {line["event"] for line in after}

    async with client.stream(stream.epoch, stream.seq) as again:
        assert (await again.next())["type"] == "snapshot"
        assert again.epoch != stream.epoch
        answer = client.ask("POST", "/api/live/control", b'{"action": "pause"}', {"Idempotency-Key": "once"})
        assert answer.status == 202
        while again.summary["state"] != "paused":
            await again.next()
    repeated = client.ask("POST", "/api/live/control", b'{"action": "pause"}', {"Idempotency-Key": "once"})
    assert repeated.body == answer.body | {"repeated": True}
    row = next(row for row in daemon.status()["actors"] if row["name"] == "console")
    assert (row["state"], row["restarts"]) == ("running", 1)

    last = client.pid
    started_s = time.monotonic()
    assert daemon.end() == 0
    assert time.monotonic() - started_s < 5
    wait_gone(last)
    assert daemon.replayed().runs == 1
    assert [line["exit_code"] for line in daemon.events("console_ended")] == [-signal.SIGKILL]


def test_it_does_not_outlive_a_daemon_that_is_killed(start: Nursery) -> None:
    daemon = start(*WITH_CONSOLE)
    client = Client(daemon)
    assert client.get("/healthz")["status"] == "ok"

    daemon.kill()

    wait_gone(client.pid)


def test_the_consoles_port_is_the_next_one_and_refused_if_it_is_taken(
    pitboss: Callable[..., Run], start: Nursery
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        run = pitboss(
            *("run", "--state-dir", str(start.folder), "--port", str(port - 1), "--synthetic", "7:50"),
            *("--set", "console.enabled=true"),
        )

    assert run.refusal == (
        f"console: cannot listen on 127.0.0.1 port {port}: Address already in use;"
        " choose another with --port, which moves both, or --set console.port=..."
    )
