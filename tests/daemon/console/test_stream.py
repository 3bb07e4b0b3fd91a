"""The stream under clients that do not read: what they cost, and what they cost others."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
import zlib
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs

from config.load import load_settings
from daemon.console.app import ConsoleServer
from daemon.console.frames import Hello, decode_frame, encode
from daemon.console.mirror import Mirror
from daemon.console.stream import ROUTES, StreamAsked
from daemon.control.protocol import body_of
from daemon.control.refusal import RefusedError
from daemon.state_dir import load_token
from tests.daemon.console.conftest import sleeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
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


async def until(holds: Any, what: str) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline_s, what
        await asyncio.sleep(0.01)


@asynccontextmanager
async def served(folder: Path, *changes: str) -> AsyncIterator[tuple[ConsoleServer, Mirror, int, str]]:
    """Yield a console in this process, its mirror, its port and a token."""
    token, _ = load_token(folder)
    settings = load_settings(None, list(changes), environment={})
    hello = Hello(
        settings=settings,
        state_dir=str(folder),
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
    yield server, mirror, port, token
    await server.close()


async def test_who_never_reads_costs_little_is_let_go_and_holds_nobody_up(tmp_path: Path) -> None:
    async with served(tmp_path, "console.client_stall_s=1", "console.clients_max=6") as here:
        await never_read(*here)


async def never_read(server: ConsoleServer, mirror: Mirror, port: int, token: str) -> None:
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


def framed(opcode: int, payload: bytes = b"", *, last: bool = True, reserved: int = 0) -> bytes:
    """Return a client's WebSocket frame, masked with zeros."""
    head = bytes([last << 7 | reserved << 4 | opcode])
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return head + length + bytes(4) + payload


TEXT, MORE, PING = 1, 0, 9


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (framed(TEXT, b"x" * 5_000), 1009),
        (framed(TEXT, b"x" * 100, last=False) + framed(MORE, b"x" * 100, last=False) * 50, 1009),
        (framed(TEXT, zlib.compress(bytes(10_000_000))[:4_000], reserved=4), 1002),
        (framed(TEXT, last=False) * 2, 1002),
        (framed(3), 1002),
        (framed(PING, b"x" * 126), 1002),
        (framed(TEXT, b"\xff"), 1007),
    ],
    ids=["too long", "in too many parts", "compressed", "begun twice", "of no kind", "long ping", "no text"],
)
async def test_frames_nobody_may_send_end_the_connection_with_the_reason(
    tmp_path: Path, sent: bytes, code: int
) -> None:
    async with served(tmp_path) as (server, _, port, token):
        connection = await sleeper(port, token, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
        loop = asyncio.get_running_loop()
        head = await loop.sock_recv(connection, 4_096)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in head.lower(), "nothing is compressed, and nothing has to be unpacked"
        await loop.sock_sendall(connection, sent)
        told = b""
        while part := await asyncio.wait_for(loop.sock_recv(connection, 1 << 16), 10):
            told += part
        connection.close()
        assert b"\x88" in told
        closing = told[told.rindex(b"\x88") :]
        assert int.from_bytes(closing[2:4], "big") == code
        await until(lambda: server.clients == 0, "it is gone")


HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def test_a_handshake_that_is_no_text_is_none_and_who_is_gone_is_no_failure(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with served(tmp_path) as (server, _, port, token):
        with capture_logs() as lines:
            for name, value in (("Sec-WebSocket-Version", "13\xff"), ("Sec-WebSocket-Key", "\xff")):
                sent = HANDSHAKE | {"Host": "127.0.0.1", "Authorization": f"Bearer {token}", name: value}
                head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(f"GET /api/stream HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
                assert (await asyncio.wait_for(reader.readline(), WITHIN_S)).startswith(b"HTTP/1.1 426 ")
                writer.close()
                await writer.wait_closed()
        assert [line for line in lines if line["log_level"] == "error"] == []

        gone = make_mocked_request("GET", "/api/stream", HANDSHAKE)
        gone.protocol.transport = None
        with pytest.raises(RefusedError, match="the connection ended before it was a WebSocket"):
            await ROUTES[0].handler(server._console, gone, StreamAsked())
        assert server.clients == 0
        cut = make_mocked_request("POST", "/", payload=aiohttp.StreamReader(BaseProtocol(loop), 1, loop=loop))
        with pytest.raises(RefusedError, match="the connection ended before the body did"):
            await body_of(cut)


async def test_who_floods_or_falls_silent_is_no_burden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    async with served(tmp_path, "console.client_stall_s=1") as (server, mirror, port, token):
        flood = await sleeper(port, token)
        await loop.sock_sendall(flood, framed(TEXT, last=False))
        before_mb = rss_mb()
        pings = framed(PING, b"x" * 100) * 1_000 + framed(MORE, last=False) * 1_000
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                for _ in range(100):
                    await loop.sock_sendall(flood, pings)
        assert rss_mb() - before_mb < 8, "ten megabytes of pings, none of whose answers is read"
        monkeypatch.setattr("daemon.console.stream._HEARTBEAT_S", 0.1)
        silent = await sleeper(port, token)  # as one whose machine is gone: it says neither pong nor goodbye
        await until(lambda: server.clients == 2, "it listens")
        await until(lambda: server.clients <= 1, "who answers no ping is let go")
        for number in range(1, 6):
            mirror.take(frame(number))
            await asyncio.sleep(0)
        await until(lambda: server.clients == 0, "who takes nothing is let go")
        flood.close()
        silent.close()
