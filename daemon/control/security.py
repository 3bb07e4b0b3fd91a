"""Who may speak: a token or a session's cookie, and the Host and Origin a browser cannot forge for others.

One gate serves the control endpoint and the console alike. It decides from a request's method, headers and address
alone, in this order: Host, Origin, token or cookie, role.
"""

from __future__ import annotations

import hmac
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import msgspec
import structlog

from daemon.control.refusal import RefusedError
from daemon.control.sessions import Failures, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from daemon.control.keys import Key, Keyring, Role
    from daemon.control.sessions import Session

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
CALLER_HEADER = "X-Pitboss-Caller"
"""Whom the console asks for: ``role;name;address``. Believed together with the internal token alone."""
CSRF_HEADER = "X-Pitboss-CSRF"
COOKIE = "pitboss_session"
"""A browser's; the port of the address follows, where that names one."""
Needed = Literal["open", "read", "control"]

SECURE_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""On every answer; a page brings a policy of its own for what it loads."""

_SAFE = ("GET", "HEAD", "OPTIONS")
_SAME_SITE = ("same-origin", "none")
_CALLER = re.compile(r"(read|control);([A-Za-z0-9_-]{1,40});([0-9A-Za-z:.%_-]{0,64})")
_COOKIES_MAX = 8
_TOLD_MAX = 100
"""Refusals of what would change something that are written down in a minute, whoever they came from."""
_PORT = re.compile(r":([0-9]{1,5})$")
_WRONG_TOKEN = "this token opens nothing here; the right ones lie in the token files of the state directory"  # noqa: S105 - a sentence
_NO_TOKEN = "send the token as 'Authorization: Bearer TOKEN'; it lies in the token file of the state directory"  # noqa: S105 - a sentence

log = structlog.get_logger()


class Caller(msgspec.Struct, frozen=True):
    """Who asks, as far as a token tells."""

    role: Role
    name: str
    """Of the token."""
    address: str


class Gate:
    """Decides about requests.

    Args:
        keyring: the tokens.
        host: the address listened on.
        allowed_hosts: further names a proxy may use.
        internal: a token of the process's own, for the console; empty for none.
        failures_max: wrong tokens of one address in a minute before it is told to wait.
        session_s: how long a browser's session lasts.
        sessions_kept: the file of browsers' sessions; None to forget them with the process.
        now_s: a clock that never goes back.
        wall_s: the time.
    """

    def __init__(
        self,
        keyring: Keyring,
        host: str,
        allowed_hosts: Iterable[str],
        *,
        internal: str = "",
        failures_max: int = 20,
        session_s: float = 43_200.0,
        sessions_kept: Path | None = None,
        now_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._keyring = keyring
        self._hosts = LOOPBACK_NAMES | {host.lower(), *(name.lower() for name in allowed_hosts)}
        self._internal = internal.encode()
        self._failures_max = failures_max
        self._failures = Failures(failures_max, now_s)
        self._told = Failures(_TOLD_MAX, now_s)
        self.sessions = Sessions(keyring, session_s, wall_s, sessions_kept)

    # --- names --------------------------------------------------------------------------------------

    def host_allowed(self, header: str | None) -> bool:
        """Return whether a Host header names us: this is what stops DNS rebinding."""
        return header is not None and "@" not in header and _name(f"//{header}") in self._hosts

    def origin_allowed(self, header: str | None) -> bool:
        """Return whether an Origin header, if there is one, is a page of ours."""
        return header is None or ("@" not in header and _name(header) in self._hosts)

    # --- requests -----------------------------------------------------------------------------------

    def admit(
        self, method: str, headers: Mapping[str, str], address: str, needed: Needed, *, upgrade: bool = False
    ) -> Caller | None:
        """Return who asks; None where nobody needs to be known.

        Args:
            method: of the request.
            headers: its headers, whose names have no case.
            address: where it comes from.
            needed: what is asked takes this role.
            upgrade: whether it opens a WebSocket.

        Raises:
            RefusedError: it is not let in.
        """
        try:
            self._check_names(headers)
            caller = None if needed == "open" else self._caller(method, headers, address, upgrade=upgrade)
        except RefusedError as refused:
            if needed == "control":
                self._tell(refused.reason, "", "", address)
            raise
        if caller is not None and needed == "control" and caller.role != "control":
            reason = f"the token {caller.name} may read, and this changes something"
            self._tell(reason, caller.role, caller.name, caller.address)
            raise RefusedError(HTTPStatus.FORBIDDEN, reason)
        return caller

    def _check_names(self, headers: Mapping[str, str]) -> None:
        if not self.host_allowed(headers.get("Host")):
            raise RefusedError(HTTPStatus.FORBIDDEN, "the Host header names another machine")
        if not self.origin_allowed(headers.get("Origin")):
            raise RefusedError(HTTPStatus.FORBIDDEN, "the Origin header names another site")

    def _tell(self, reason: str, role: str, name: str, address: str) -> None:
        """Write down who was not let in to change something; only so many a minute, whoever they are."""
        count, wait_s = self._told.note("")
        if not wait_s:
            log.warning("not_allowed", role=role, name=name, address=address, needed="control", reason=reason)
        elif count == _TOLD_MAX + 1:
            log.warning("more_not_allowed", untold_for_s=wait_s)

    def _caller(self, method: str, headers: Mapping[str, str], address: str, *, upgrade: bool) -> Caller:
        authorization = headers.get("Authorization")
        if authorization is None:
            session = self.session_of(headers)
            if session is None:
                raise RefusedError(HTTPStatus.UNAUTHORIZED, _NO_TOKEN, {"WWW-Authenticate": "Bearer"})
            self._check_page(method, headers, session, upgrade=upgrade)
            return Caller(session.key.role, session.key.name, address)
        scheme, _, given = authorization.partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else ""
        if self._internal and hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._internal):
            return _told(headers.get(CALLER_HEADER))
        key = self.key_of(token, address)
        return Caller(key.role, key.name, address)

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Return whether what a request was let in by is still good: its token, or its session."""
        authorization = headers.get("Authorization")
        if authorization is None:
            return self.session_of(headers) is not None
        return self._keyring.find(authorization.partition(" ")[2].strip()) is not None

    def key_of(self, token: str, address: str) -> Key:
        """Return what a token is good for.

        Raises:
            RefusedError: it is none; or there were too many of these.
        """
        key = self._keyring.find(token)
        if key is not None:
            return key
        count, wait_s = self._failures.note(address)
        if count == self._failures_max + 1:
            log.warning("wrong_tokens", address=address, count=count, wait_s=wait_s)
        if wait_s:
            reason = f"too many wrong tokens; the right one is let in, for another wait {wait_s} s"
            raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, reason, {"Retry-After": str(wait_s)})
        reason = _WRONG_TOKEN if token else _NO_TOKEN
        raise RefusedError(HTTPStatus.UNAUTHORIZED, reason, {"WWW-Authenticate": "Bearer"})

    # --- pages --------------------------------------------------------------------------------------

    def session_of(self, headers: Mapping[str, str]) -> Session | None:
        """Return the session a request's cookie names; of several cookies of the name, one that is good."""
        found = (self.sessions.find(name) for name in cookies(headers))
        return next((session for session in found if session is not None), None)

    def _check_page(self, method: str, headers: Mapping[str, str], session: Session, *, upgrade: bool) -> None:
        """Refuse what a page of another site, or of another port of this machine, has a browser ask with our cookie.

        Raises:
            RefusedError: it is not our own page that asks.
        """
        site = headers.get("Sec-Fetch-Site", "none")
        if site not in _SAME_SITE:
            raise RefusedError(HTTPStatus.FORBIDDEN, "a page of another origin asks in your name")
        if method in _SAFE and not upgrade:
            return
        if not same_origin(headers.get("Origin"), headers.get("Host")):
            raise RefusedError(HTTPStatus.FORBIDDEN, "with a cookie, the Origin must be the very one of this address")
        if upgrade:
            return
        given = headers.get(CSRF_HEADER, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, session.csrf.encode()):
            reason = f"with a cookie, what changes something needs the {CSRF_HEADER} header the login gave"
            raise RefusedError(HTTPStatus.FORBIDDEN, reason)


def cookies(headers: Mapping[str, str]) -> list[str]:
    """Return the values of our cookie in a request: a browser may send several, of which others may have set some."""
    ours = _cookie_name(headers.get("Host", ""))
    pairs = (part.strip().partition("=") for part in headers.get("Cookie", "").split(";"))
    return [value for name, _, value in pairs if name == ours][:_COOKIES_MAX]


def cookie(host: str, name: str, life_s: float, *, secure: bool) -> str:
    """Return the Set-Cookie header of a session; with no life left, the one that removes it.

    Args:
        host: the address it is for, as the request named it.
        name: of the session.
        life_s: how long it lasts.
        secure: whether it is for TLS alone.
    """
    terms = f"Path=/; Max-Age={round(life_s)}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return f"{_cookie_name(host)}={name}; {terms}"


def _cookie_name(host: str) -> str:
    """Return what our cookie is called at an address: a browser keeps one of a name for all ports of a machine."""
    port = _PORT.search(host)
    return COOKIE if port is None else f"{COOKIE}_{port[1]}"


def same_origin(origin: str | None, host: str | None) -> bool:
    """Return whether an Origin is the very address a request was sent to, its port included."""
    if origin is None or host is None:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and parts.netloc.lower() == host.lower()


def _told(header: str | None) -> Caller:
    """Return whom the console asks for.

    Raises:
        RefusedError: it does not say so in the form we understand.
    """
    match = _CALLER.fullmatch(header or "")
    if match is None:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{CALLER_HEADER} must be role;name;address")
    return Caller("control" if match[1] == "control" else "read", match[2], match[3])


def told(caller: Caller) -> str:
    """Return a caller as the console names it to the core."""
    return f"{caller.role};{caller.name};{caller.address}"


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
