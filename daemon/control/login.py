"""Login of a browser: a token for a cookie no script can read, and a word that only our own page learns."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from daemon.control.guard import caller_of
from daemon.control.keys import Role
from daemon.control.protocol import address_of, body_of, json_answer
from daemon.control.refusal import RefusedError
from daemon.control.security import cookie, cookies, same_origin

if TYPE_CHECKING:
    from daemon.control.security import Gate
    from daemon.control.sessions import Session

_BAD = HTTPStatus.BAD_REQUEST


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a browser shows once."""

    token: str


class LoggedIn(msgspec.Struct, frozen=True):
    """Who a browser is from now on."""

    role: Role
    name: str
    """Of the token."""
    ends_in_s: int
    """Until the session ends by itself; it ends with its token, too. 0 for who shows a token."""
    csrf: str = ""
    """Said once, to the page that logs in: the ``X-Pitboss-CSRF`` header of whatever changes something."""


class Login:
    """The routes of a browser's session, for whoever serves pages.

    Args:
        gate: who decides.
        secure: whether cookies are for TLS alone.
    """

    def __init__(self, gate: Gate, *, secure: bool) -> None:
        self._gate = gate
        self._secure = secure

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """Begin a session: ``POST /api/login``, which needs no token but the one in its body.

        Raises:
            RefusedError: the body is not ``{"token": ...}``, the token is none, or a foreign page asks.
        """
        if not same_origin(request.headers.get("Origin"), request.headers.get("Host")):
            raise RefusedError(HTTPStatus.FORBIDDEN, "a login comes from the page of this very address: no such Origin")
        if request.content_type != "application/json":
            raise RefusedError(_BAD, "the body must be JSON, and its Content-Type say so")
        try:
            asked = msgspec.json.decode(await body_of(request), type=LoginRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedError(_BAD, 'the body must be {"token": "..."}') from error  # the error could quote the token
        key = self._gate.key_of(asked.token.strip(), address_of(request))
        name, session = self._gate.sessions.begin(key)
        life_s = self._gate.sessions.life_s
        headers = {"Set-Cookie": cookie(request.host, name, life_s, secure=self._secure)}
        return json_answer(_logged_in(session, round(life_s), csrf=session.csrf), HTTPStatus.OK, headers)

    async def session(self, request: web.Request) -> web.StreamResponse:
        """Say who asks, behind the guard: ``GET /api/session``."""
        session = self._gate.session_of(request.headers)
        if session is not None and "Authorization" not in request.headers:
            return json_answer(_logged_in(session, round(self._gate.sessions.left_s(session))))
        caller = caller_of(request)
        return json_answer(LoggedIn(caller.role, caller.name, 0))

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        """End a session: ``POST /api/logout``; the guard has seen to it that our own page asks."""
        for name in cookies(request.headers):
            self._gate.sessions.end(name)
        return json_answer(
            {"logged_out": True}, HTTPStatus.OK, {"Set-Cookie": cookie(request.host, "", 0, secure=self._secure)}
        )


def _logged_in(session: Session, ends_in_s: int, csrf: str = "") -> LoggedIn:
    return LoggedIn(session.key.role, session.key.name, ends_in_s, csrf)
