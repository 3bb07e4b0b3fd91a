"""Login of a browser, over real HTTP: the cookie, what it opens, and what other pages cannot make of it."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.compression_utils import ZLibDecompressor

from daemon.control.guard import Guard, caller_of
from daemon.control.keys import Keyring, rotate
from daemon.control.login import Login
from daemon.control.protocol import JsonRunner, json_answer
from daemon.control.security import Gate, Needed

CONTROL = "a-token-that-may-command"
READ = "a-token-that-may-read"
NEEDED: dict[str, Needed] = {"/api/login": "open", "/healthz": "open", "/do": "control"}


class Server:
    """Pages' own routes, one that reads, one that commands and one that streams, behind the guard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "control.token").write_text(CONTROL)
        (folder / "read.token").write_text(READ)
        self.gate = Gate(Keyring(folder, ""), "127.0.0.1", (), failures_max=3, session_s=60.0)
        self.done: list[str] = []
        self.reading: list[web.Request] = []
        self.url = self.origin = ""

    async def start(self) -> JsonRunner:
        self.login = login = Login(self.gate, secure=False)
        guard = Guard(self.gate, 65_536, lambda r: NEEDED.get(r.path, "read"))
        app = web.Application(middlewares=[guard.guard], client_max_size=65_536)
        app.router.add_post("/api/login", self.log_in)
        app.router.add_post("/api/logout", login.log_out)
        app.router.add_get("/api/session", login.session)
        app.router.add_get("/look", self.look)
        app.router.add_post("/do", self.do)
        app.router.add_get("/stream", self.stream)
        app.router.add_get("/hold", self.hold)
        runner = JsonRunner(app, guard.answer, connections_max=4)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        self.reading.append(request)
        return await self.login.log_in(request)

    async def look(self, request: web.Request) -> web.StreamResponse:
        return json_answer({"name": caller_of(request).name})

    async def do(self, request: web.Request) -> web.StreamResponse:
        self.done.append(caller_of(request).name)
        return json_answer({}, web.HTTPAccepted.status_code)  # type: ignore[arg-type]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(caller_of(request).name)
        await socket.close()
        return socket

    async def hold(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket


class Browser:
    """Sends what a browser would: its cookie whatever page asks, and the Origin of that page."""

    def __init__(self, http: aiohttp.ClientSession, server: Server) -> None:
        self.http = http
        self.server = server
        self.cookie = self.csrf = ""
        self.answer: Any = None

    async def ask(self, method: str, path: str, *, origin: str | None = "", **headers: str) -> int:
        sent = {"Cookie": self.cookie} if self.cookie else {}
        if origin is not None:
            sent["Origin"] = origin or self.server.origin
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = sent.pop("body", None)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.http.request(method, self.server.url + path, data=body, headers=sent) as response:
            self.answer = await response.json()
            self.headers = response.headers
            return response.status

    async def log_in(self, token: str) -> int:
        status = await self.ask("POST", "/api/login", body=f'{{"token": "{token}"}}')
        if status == 200:
            ((name, kept),) = SimpleCookie(self.headers["Set-Cookie"]).items()
            self.cookie, self.csrf = f"{name}={kept.value}", self.answer["csrf"]
        return status


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    runner = await made.start()
    yield made
    await runner.cleanup()


@pytest.fixture
async def browser(server: Server) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield Browser(http, server)


async def test_a_browser_logs_in_looks_acts_and_logs_out(server: Server, browser: Browser) -> None:
    assert await browser.ask("GET", "/look") == 401
    assert await browser.log_in(CONTROL) == 200
    assert browser.answer | {"csrf": ""} == {"role": "control", "name": "control", "ends_in_s": 60, "csrf": ""}
    assert browser.headers["Set-Cookie"].endswith("; Path=/; Max-Age=60; HttpOnly; SameSite=Strict")
    assert await browser.ask("GET", "/api/session") == 200
    assert (browser.answer["role"], browser.answer["csrf"]) == ("control", ""), "the word is said once"
    assert await browser.ask("GET", "/api/session", Authorization=f"Bearer {READ}") == 200
    assert browser.answer == {"role": "read", "name": "read", "ends_in_s": 0, "csrf": ""}
    assert (await browser.ask("GET", "/look"), browser.answer) == (200, {"name": "control"})
    assert await browser.ask("POST", "/do", X_Pitboss_CSRF=browser.csrf) == 202
    page = {"Cookie": browser.cookie, "Origin": server.origin}
    async with browser.http.ws_connect(f"{server.url}/stream", headers=page) as ws:
        assert await ws.receive_str() == "control"

    assert await browser.ask("POST", "/api/logout") == 403, "not without the word, either"
    assert await browser.ask("POST", "/api/logout", X_Pitboss_CSRF=browser.csrf) == 200
    assert "Max-Age=0" in browser.headers["Set-Cookie"]
    assert await browser.ask("GET", "/look") == 401
    assert await browser.ask("GET", "/api/session") == 401


async def test_other_pages_make_nothing_of_the_cookie(server: Server, browser: Browser) -> None:
    """A form on another site, a script on another port of this machine, and a page under a name that was bent to us."""
    await browser.log_in(CONTROL)
    elsewhere = ["http://evil.example", "null", "http://127.0.0.1:1", None]
    for origin in elsewhere:
        assert await browser.ask("POST", "/do", origin=origin, X_Pitboss_CSRF=browser.csrf) == 403
        assert await browser.ask("POST", "/do", origin=origin, body="action=pause", Content_Type="text/plain") == 403
        assert await browser.ask("POST", "/api/logout", origin=origin, X_Pitboss_CSRF=browser.csrf) == 403
        sent = {"Cookie": browser.cookie} | ({} if origin is None else {"Origin": origin})
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.http.ws_connect(f"{server.url}/stream", headers=sent)
        assert refused.value.status == 403
    assert await browser.ask("GET", "/look", Host="rebound.example") == 403
    assert await browser.ask("GET", "/look", Sec_Fetch_Site="cross-site") == 403
    assert await browser.ask("GET", "/look", Sec_Fetch_Site="same-site") == 403
    assert server.done == []
    assert await browser.ask("GET", "/look") == 200


async def test_nobody_is_logged_in_from_elsewhere(browser: Browser) -> None:
    """Else a page could have a person act under a token that is not his."""
    body = f'{{"token": "{READ}"}}'
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", None):
        assert await browser.ask("POST", "/api/login", origin=origin, body=body) == 403
    assert await browser.ask("POST", "/api/login", body=body, Content_Type="text/plain") == 400
    assert (
        await browser.ask("POST", "/api/login", body=f"token={READ}", Content_Type="application/x-www-form-urlencoded")
        == 400
    )


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", '{"token": 1}', '{"token": null}', '{"token": "x", "role": "control"}', "\x00", "[" * 60_000],
)
async def test_a_login_is_a_token_and_nothing_else(browser: Browser, body: str) -> None:
    assert await browser.ask("POST", "/api/login", body=body) == 400
    assert browser.answer == {"error": 'the body must be {"token": "..."}'}


async def test_wrong_tokens_at_the_login_count_like_others(browser: Browser) -> None:
    assert [await browser.log_in("wrong") for _ in range(5)] == [401, 401, 401, 429, 429]
    assert int(browser.headers["Retry-After"]) in range(50, 61)
    assert await browser.log_in(READ) == 200


async def test_a_cookie_from_before_a_rotation_is_worth_nothing(server: Server, browser: Browser) -> None:
    await browser.log_in(CONTROL)
    reader = Browser(browser.http, server)
    await reader.log_in(READ)
    path = rotate(server.folder, "control")
    assert await browser.ask("GET", "/look") == 401
    assert await browser.ask("POST", "/do", X_Pitboss_CSRF=browser.csrf) == 401
    assert await reader.ask("GET", "/look") == 200
    assert await reader.ask("POST", "/do", X_Pitboss_CSRF=reader.csrf) == 403
    assert await browser.log_in(CONTROL) == 401
    assert await browser.log_in(path.read_text().strip()) == 200
    assert server.done == []


async def test_no_header_or_cookie_of_chance_gets_in_or_breaks_anything(server: Server, browser: Browser) -> None:
    await browser.log_in(CONTROL)
    good = browser.cookie
    draw = random.Random(20)
    parts = [CONTROL[:-1], good[:-1], *'=;,"é \t%', "Bearer ", "bearer", good.partition("=")[0]]
    routes = [("GET", "/look"), ("POST", "/do"), ("GET", "/api/session"), ("POST", "/api/logout")]
    names = ("Authorization", "X_Pitboss_CSRF", "X_Pitboss_Caller")
    for _ in range(400):
        text = "".join(draw.choice(parts) for _ in range(draw.randrange(6)))
        browser.cookie = draw.choice(["", text])
        headers = {name: text for name in names if draw.random() < 0.5}
        status = await browser.ask(*draw.choice(routes), **headers)
        assert status in (400, 401, 403, 429), (browser.cookie, headers)
    assert server.done == []
    browser.cookie = good
    assert await browser.ask("POST", "/do", X_Pitboss_CSRF=browser.csrf) == 202


async def test_every_answer_has_its_headers(browser: Browser) -> None:
    for method, path in [("GET", "/look"), ("POST", "/api/login"), ("GET", "/nowhere"), ("DELETE", "/do")]:
        await browser.ask(method, path)
        assert browser.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert browser.headers["X-Frame-Options"] == "DENY"
        assert browser.headers["X-Content-Type-Options"] == "nosniff"
        assert browser.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert browser.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in browser.headers


async def test_who_connects_and_asks_nothing_makes_room_and_what_is_under_way_stays(
    server: Server, browser: Browser
) -> None:
    held = await browser.http.ws_connect(f"{server.url}/hold", headers={"Authorization": f"Bearer {READ}"})
    port = urlsplit(server.url).port
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    silent[-1][1].write(b"GET /look HTTP/1.1\r\nHost: 127.0.0.1\r\n")

    gone = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in silent[:17])), 10)
    assert set(gone) == {b""}, "the oldest are cut off"
    assert await browser.ask("GET", "/look", Authorization=f"Bearer {READ}") == 200
    await held.send_str("still there")
    assert await held.receive_str() == "still there"
    await held.close()
    for _, writer in silent:
        writer.close()


async def test_bodies_that_do_not_come_make_room_and_are_not_waited_for(
    server: Server, browser: Browser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The login needs no token: whoever can connect can begin one and never end it."""
    port = urlsplit(server.url).port
    begun = (
        f"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {server.origin}\r\n"
        'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"token": "'
    )

    async def begin() -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun.encode())
        writers.append(writer)
        return reader

    writers: list[asyncio.StreamWriter] = []
    oldest, *_ = [await begin() for _ in range(4)]
    while len(server.reading) < 4:  # noqa: ASYNC110 - counted by the server
        await asyncio.sleep(0.001)
    assert await browser.log_in(READ) == 200
    assert await asyncio.wait_for(oldest.read(), 10) == b"", "it has waited longest"
    monkeypatch.setattr("daemon.control.protocol.BODY_WITHIN_S", 0.05)
    waiting = await begin()
    answer = await asyncio.wait_for(waiting.readuntil(b"}"), 10)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert "failed" not in capsys.readouterr().out
    for writer in writers:
        writer.close()


async def test_nothing_that_anybody_sends_is_unpacked(
    browser: Browser, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 60 kB that unpack to 60 MB every request, also one that is refused at once, would hold the loop up."""
    unpacked: list[int] = []
    unpack = ZLibDecompressor.decompress_sync

    def record(self: ZLibDecompressor, data: Any, *rest: Any) -> bytes:
        unpacked.append(len(data))
        return unpack(self, data, *rest)

    monkeypatch.setattr(ZLibDecompressor, "decompress_sync", record)
    bomb = zlib.compress(bytes(1_000_000))
    sent = {"Origin": server.origin, "Content-Type": "application/json", "Content-Encoding": "deflate"}
    for path, status in (("/do", 401), ("/api/login", 400)):
        async with browser.http.post(server.url + path, data=bomb, headers=sent) as answer:
            assert answer.status == status
            told = await answer.json()
    assert told == {"error": "a body is sent as it is, without a Content-Encoding"}
    assert unpacked == []


async def test_a_login_that_is_no_text_is_refused_like_any_other(browser: Browser) -> None:
    sent = {"Origin": browser.server.origin, "Content-Type": "application/json"}
    async with browser.http.post(f"{browser.server.url}/api/login", data=b'{"token": "\xff"}', headers=sent) as answer:
        assert answer.status == 400
