"""A daemon with its console, and clients of it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.daemon.conftest import HOLDER, PATIENCE_S, Answer, Daemon, Nursery, eventually

WITH_CONSOLE = ("--set", "console.enabled=true", "--set", "console.frame_s=0.02")

STRATEGIES = f"""
[[strategies]]
use = "{HOLDER}"
[[strategies]]
use = "ema_cross"
params = {{fast = 3, slow = 6}}
[exchange.options]
secretOfMine = "an-exchange-secret"
proxy = "http://trader:an-exchange-secret@proxy.example:3128"
"""


class Client:
    """Speaks to the console of a daemon.

    Attributes:
        url: where the console listens.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.url = daemon.console
        assert self.url, "it has no console"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> Answer:
        """Send one request, with the daemon's own token unless another or None is given."""
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.daemon.token}")
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return the JSON of an answer that must be 200."""
        answer = self.ask("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.body

    @property
    def pid(self) -> int:
        """Process id of the console that runs now."""
        return int(self.daemon.events("console_started")[-1]["pid"])

    @asynccontextmanager
    async def stream(self, epoch: str = "", since: int = 0) -> AsyncIterator[Stream]:
        """Listen."""
        headers = {"Authorization": f"Bearer {self.daemon.token}"}
        async with (
            aiohttp.ClientSession(self.url, headers=headers) as session,
            session.ws_connect(f"/api/stream?epoch={epoch}&since={since}") as socket,
        ):
            yield Stream(socket)


class Stream:
    """What one client knows, kept as a client would."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.data: dict[str, dict[str, Any]] = {}
        self.events: list[Any] = []
        self.epoch = ""
        self.seq = -1

    async def next(self) -> dict[str, Any]:
        """Take one message over, and return it."""
        message: dict[str, Any] = json.loads(await self._socket.receive_str(timeout=PATIENCE_S))
        if message["type"] == "snapshot":
            self.data, self.events = message["data"], message["events"]
        else:
            assert message["seq"] > self.seq
            for name, rows in message["set"].items():
                self.data.setdefault(name, {}).update(rows)
            for name, keys in message["gone"].items():
                for key in keys:
                    self.data.get(name, {}).pop(key, None)
            self.events += message["events"]
        self.epoch, self.seq = message["epoch"], message["seq"]
        return message

    async def ended(self) -> bool:
        """Take everything over until the connection ends."""
        while (received := await self._socket.receive(timeout=PATIENCE_S)).type == aiohttp.WSMsgType.TEXT:
            pass
        return received.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    @property
    def summary(self) -> dict[str, Any]:
        """The daemon in one row."""
        row: dict[str, Any] = self.data["summary"][""]
        return row


async def sleeper(port: int, token: str, more: str = "") -> socket.socket:
    """Ask for the stream, and never read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    request = (
        f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
    await loop.sock_sendall(connection, request.encode())
    return connection


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not count as gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_gone(pid: int) -> None:
    """Wait until nothing is left of a process that is no child of ours."""
    eventually(lambda: not is_alive(pid), f"process {pid} is gone")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a client of a daemon that the tests of a file share: none of them may end it or rely on its state."""
    nursery = Nursery(tmp_path_factory.mktemp("console"))
    config = nursery.folder / "pitboss.toml"
    config.write_text(STRATEGIES)
    guesses = ("--set", "http.wrong_tokens_max=1000000")
    yield Client(nursery(*WITH_CONSOLE, *guesses, "--config", str(config), strategy=None))
    nursery.close()
