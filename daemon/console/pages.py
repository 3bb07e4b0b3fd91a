"""The dashboard: its page, and the files it is made of.

Nothing of it is built and nothing comes from elsewhere. Who is not logged in gets the page that asks for a token, and
no other file; that page knows nothing about the daemon.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from functools import cache
from hashlib import blake2b
from http import HTTPStatus
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from config.errors import nearest
from daemon.console.routes import Nothing, Route
from daemon.control.refusal import RefusedError
from daemon.control.security import SECURE_HEADERS

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from daemon.console.app import Console

_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_PLOTLY = "plotly.js"
_A_YEAR = "private, max-age=31536000, immutable"
_EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""An empty style element, and no other: Plotly makes one, and adds its rules to that by script."""
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class File(msgspec.Struct, frozen=True):
    """A file as it is sent."""

    content_type: str
    body: bytes
    zipped: bytes
    tag: str


class FileAsked(msgspec.Struct, frozen=True):
    """Which file."""

    name: Annotated[str, Meta(max_length=80)]
    v: Annotated[str, Meta(max_length=40)] = ""
    """Its version: an address that names one may be kept for ever."""


@cache
def _folder(*, is_open: bool) -> dict[str, Traversable]:
    """Return the files of the page, or those of the page before the login, by name."""
    web_files = files("daemon") / "web"
    folder = web_files / "login" if is_open else web_files
    found = {each.name: each for each in folder.iterdir() if each.name.rpartition(".")[2] in _TYPES}
    if not is_open:
        found[_PLOTLY] = files("plotly") / "package_data" / "plotly.min.js"
    return found


@cache
def read(name: str, *, is_open: bool) -> File:
    """Return a file of the page, or of the page before the login."""
    body = _folder(is_open=is_open)[name].read_bytes()
    if name == "page.html" and not is_open:
        body = body.replace(b"PLOTLY_VERSION", version("plotly").encode())
    return File(
        content_type=_TYPES[name.rpartition(".")[2]],
        body=body,
        zipped=gzip.compress(body, mtime=0),
        tag=f'"{blake2b(body, digest_size=12).hexdigest()}"',
    )


def policy(host: str) -> str:
    """Return the pages' Content-Security-Policy: our own files and our own address, and no script or style in the page.

    Args:
        host: the address the page was asked at; not every browser takes 'self' to mean the WebSocket of it, too.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' {_EMPTY}; img-src 'self' data:;"
        f" connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


async def _send(request: web.Request, name: str, *, is_open: bool, v: str = "") -> web.Response:
    folder = _folder(is_open=is_open)
    if name not in folder or name == "page.html":
        names = [each for each in folder if each != "page.html"]
        raise RefusedError(HTTPStatus.NOT_FOUND, f"there is no file {name!r} here{nearest(name, names)}")
    kept = name == _PLOTLY and v == version("plotly")
    return await _answer(request, name, is_open=is_open, cache_control=_A_YEAR if kept else "no-cache")


async def _answer(request: web.Request, name: str, *, is_open: bool, cache_control: str) -> web.Response:
    # reading and packing the charts' bundle takes a part of a second, once
    file = await asyncio.to_thread(read, name, is_open=is_open)
    headers = SECURE_HEADERS | {"Cache-Control": cache_control, "ETag": file.tag, "Vary": "Accept-Encoding, Cookie"}
    if file.content_type == "text/html":
        headers["Content-Security-Policy"] = policy(request.host)
    if request.headers.get("If-None-Match") == file.tag:
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    body = file.body
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        headers["Content-Encoding"] = "gzip"
        body = file.zipped
    return web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers)


async def _page(console: Console, request: web.Request, _: Nothing) -> web.Response:
    return await _answer(
        request, "page.html", is_open=not console.gate.knows(request.headers), cache_control="no-cache"
    )


async def _file(_: Console, request: web.Request, asked: FileAsked) -> web.Response:
    return await _send(request, asked.name, is_open=False, v=asked.v)


async def _login_file(_: Console, request: web.Request, asked: FileAsked) -> web.Response:
    return await _send(request, asked.name, is_open=True)


_NO_FILE = {HTTPStatus.NOT_FOUND: "there is no such file"}

ROUTES = (
    Route(
        name="dashboard",
        method="GET",
        path="/",
        role="open",
        tag="pages",
        summary="The dashboard",
        doc="Without a session, the page that asks for a token and then begins one.",
        handler=_page,
        answer="text/html",
        has_etag=True,
    ),
    Route(
        name="dashboard_file",
        method="GET",
        path="/web/{name}",
        role="read",
        tag="pages",
        summary="A file the dashboard is made of",
        handler=_file,
        asked=FileAsked,
        answer="text/javascript",
        refusals=_NO_FILE,
        has_etag=True,
    ),
    Route(
        name="login_file",
        method="GET",
        path="/login/{name}",
        role="open",
        tag="pages",
        summary="A file that the page which asks for a token is made of",
        handler=_login_file,
        asked=FileAsked,
        answer="text/javascript",
        refusals=_NO_FILE,
        has_etag=True,
    ),
)
