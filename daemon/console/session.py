"""Routes of a browser's session: a token once, then a cookie."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from daemon.console.routes import Nothing, Route
from daemon.control.login import LoggedIn, LoginRequest
from daemon.control.security import CSRF_HEADER

if TYPE_CHECKING:
    from aiohttp import web

    from daemon.console.app import Console

_TOO_MANY = {HTTPStatus.TOO_MANY_REQUESTS: "too many wrong tokens from this address; the right one is let in"}


class LoggedOut(msgspec.Struct, frozen=True):
    """The session has ended, if there was one."""

    logged_out: bool


async def _log_in(console: Console, request: web.Request, _: Nothing) -> web.StreamResponse:
    return await console.login.log_in(request)


async def _session(console: Console, request: web.Request, _: Nothing) -> web.StreamResponse:
    return await console.login.session(request)


async def _log_out(console: Console, request: web.Request, _: Nothing) -> web.StreamResponse:
    return await console.login.log_out(request)


ROUTES = (
    Route(
        name="login",
        method="POST",
        path="/api/login",
        role="open",
        tag="session",
        summary="Begin a browser's session",
        doc=(
            "From the page of this very address alone, by its Origin. The answer sets a cookie that no script can read,"
            f" and says once what the page has to send as {CSRF_HEADER} with whatever changes something."
        ),
        handler=_log_in,
        body=LoginRequest,
        answer=LoggedIn,
        refusals={HTTPStatus.UNAUTHORIZED: "the token is none", **_TOO_MANY},
    ),
    Route(
        name="session",
        method="GET",
        path="/api/session",
        role="read",
        tag="session",
        summary="Who this browser is",
        handler=_session,
        answer=LoggedIn,
    ),
    Route(
        name="logout",
        method="POST",
        path="/api/logout",
        role="read",
        tag="session",
        summary="End this browser's session",
        headers={CSRF_HEADER: "What the login said."},
        handler=_log_out,
        answer=LoggedOut,
    ),
)
