"""The stream under clients that do not read: what they cost, and what they cost others."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from config.load import load_settings
from daemon.console.app import ConsoleServer
from daemon.console.frames import Hello, decode_frame, encode
from daemon.console.mirror import Mirror
from daemon.state_dir import load_token

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

ROW_BYTES = 100_000
FRAMES = 600
SLEEPERS = 5
WITHIN_S = 60.0


def frame(number: int) -> Any:
    row = {"number": number, "filler": "x" * ROW_BYTES}
    told = {"full": number == 0, "sections": {"orders": {"a": row}}, "events": [number]}
    return decode_frame(encode(told | {"rows": [], "lines": [], "missed": 0}))


def rss_mb() -> float:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - no file, but the kernel
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


async def sleeper(port: int, token: str) -> socket.socket:
    """Ask for the stream, and never read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    request = (
        f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await loop.sock_sendall(connection, request.encode())
    return connection


async def until(holds: Any, what: str) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline_s, what
        await asyncio.sleep(0.01)


async def test_who_never_reads_costs_little_is_let_go_and_holds_nobody_up(tmp_path: Path) -> None:
    token, _ = load_token(tmp_path)
    settings = load_settings(None, ["console.client_stall_s=1", "console.clients_max=6"], environment={})
    hello = Hello(
        settings=settings,
        state_dir=str(tmp_path),
        token="nobody asks the core",
        core_url="http://127.0.0.1:1",
        session="s",
        number=1,
        run=1,
        mode="paper",
        tape="t",
        started_wall_ns=0,
    )
    mirror = Mirror(10)
    mirror.take(frame(0))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = ConsoleServer(hello, mirror)
    await server.open(listener)
    sleepers = [await sleeper(port, token) for _ in range(SLEEPERS)]
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as session,
        session.ws_connect("/api/stream", max_msg_size=0) as reader,
    ):
        await until(lambda: server.clients == SLEEPERS + 1, "all are there")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await session.ws_connect("/api/stream")
        before_mb = rss_mb()
        seen: dict[str, Any] = {"seq": 0}
        most_mb = 0.0
        for number in range(1, FRAMES):
            mirror.take(frame(number))
            while seen["seq"] < mirror.seq:
                seen = await reader.receive_json(timeout=WITHIN_S)
            most_mb = max(most_mb, rss_mb() - before_mb)
        assert seen["set"]["orders"]["a"]["number"] == FRAMES - 1
        assert most_mb < FRAMES * ROW_BYTES / 2**20 / 4, "nothing is queued for anybody"
        await until(lambda: server.clients == 1, "who does not read is let go")
        mirror.take(frame(FRAMES))
        assert (await reader.receive_json(timeout=WITHIN_S))["events"] == [FRAMES]
    for one in sleepers:
        one.close()
    await server.close()
