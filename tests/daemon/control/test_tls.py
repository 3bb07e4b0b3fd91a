"""The certificate: what is refused, what is taken over while it runs."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop
from aiohttp import ClientSession, TCPConnector, web

from config.errors import UserError
from daemon.control.protocol import JsonRunner, json_answer
from daemon.control.sites import site_of
from daemon.control.tls import Certificate, client_context
from tests.daemon.control.certificates import write_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.control.protocol import Handler


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write_certificate(tmp_path)


def shaken(context: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str, bytes]:
    """Shake hands over a socket pair; return the version agreed on and the certificate shown."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            context.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    server = threading.Thread(target=serve)
    server.start()
    try:
        with client.wrap_socket(ours) as wrapped:
            return wrapped.version() or "", wrapped.getpeercert(binary_form=True) or b""
    finally:
        ours.close()
        server.join()


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_a_client_trusts_this_certificate_and_no_other(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate = Certificate(*pair)
    (tmp_path / "other").mkdir()
    other, _ = write_certificate(tmp_path / "other")

    assert shaken(certificate.context, client_context(pair[0])) == ("TLSv1.3", der(pair[0]))
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(certificate.context, client_context(other))


def test_nothing_older_than_tls_1_2_is_spoken(pair: tuple[Path, Path]) -> None:
    client = client_context(pair[0])
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shaken(Certificate(*pair).context, client)[0] == "TLSv1.2"
    assert Certificate(*pair).context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_certificate_that_was_replaced_is_shown_to_the_next_one(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate = Certificate(*pair)
    assert not certificate.refresh()
    write_certificate(tmp_path, "another.example")

    assert certificate.refresh()

    assert shaken(certificate.context, client_context(pair[0]))[1] == der(pair[0])
    assert not certificate.refresh()


def test_a_certificate_without_its_key_is_not_taken_over(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate = Certificate(*pair)
    before = Path(shutil.copy(pair[0], tmp_path / "before.pem"))
    (tmp_path / "other").mkdir()
    other, key = write_certificate(tmp_path / "other")
    shutil.copy(other, pair[0])

    assert not certificate.refresh()
    assert shaken(certificate.context, client_context(before))[1] == der(before)

    shutil.copy(key, pair[1])
    assert certificate.refresh()
    assert shaken(certificate.context, client_context(other))[1] == der(other)


def test_what_is_no_certificate_with_its_key_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        Certificate(tmp_path / "none.pem", pair[1])
    with pytest.raises(UserError, match="http: certificate"):
        Certificate(pair[1], pair[0])
    locked = write_certificate(tmp_path, passphrase=b"secret")
    with pytest.raises(UserError, match="the key has a passphrase"):
        Certificate(*locked)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_does_not_shake_hands_makes_room_and_is_let_go(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Else whoever can connect has the daemon hold some hundred kilobytes for a minute, as often as he likes."""
    monkeypatch.setattr("daemon.control.sites.HANDSHAKES_MAX", 4)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_crowd(pair, monkeypatch))


async def _crowd(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(_: web.Request) -> web.StreamResponse:
        return json_answer({}, HTTPStatus.OK)

    async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_get("/", look)
    runner = JsonRunner(app, outermost)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await site_of(runner, listener, Certificate(*pair), per_s=100.0).start()
    began_s = time.monotonic()
    assert runner.addresses == [listener.getsockname()]
    port = listener.getsockname()[1]

    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(12)]
    gone = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in silent[:8])), 10)
    assert set(gone) == {b""}, "the oldest are cut off"
    assert len(asyncio.all_tasks()) < 10
    assert time.monotonic() - began_s > 0.07, "four at once, eight more at a hundred a second"
    connector = TCPConnector(ssl=client_context(pair[0]))
    async with ClientSession(f"https://127.0.0.1:{port}", connector=connector) as http, http.get("/") as answer:
        assert answer.status == HTTPStatus.OK
    monkeypatch.setattr("daemon.control.sites.HANDSHAKE_WITHIN_S", 0.05)
    late, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(late.read(), 10) == b""
    for _, each in [*silent, (late, writer)]:
        each.close()
    await runner.cleanup()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
