"""Who may speak to the control endpoint: the token, and the Host and Origin a browser cannot forge for others."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class Gate:
    """Decides about a request from its headers alone.

    Args:
        token: the bearer token.
        host: the address listened on.
        allowed_hosts: further names a proxy may use.
    """

    def __init__(self, token: str, host: str, allowed_hosts: Iterable[str]) -> None:
        self._token = token.encode()
        self._hosts = LOOPBACK_NAMES | {host.lower(), *(name.lower() for name in allowed_hosts)}

    def host_allowed(self, header: str | None) -> bool:
        """Return whether a Host header names us: this is what stops DNS rebinding."""
        return header is not None and _name(f"//{header}") in self._hosts

    def origin_allowed(self, header: str | None) -> bool:
        """Return whether an Origin header, if there is one, is a page of ours."""
        return header is None or _name(header) in self._hosts

    def token_valid(self, authorization: str | None) -> bool:
        """Compare a bearer token in constant time."""
        scheme, _, given = (authorization or "").partition(" ")
        equal = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        return scheme.lower() == "bearer" and equal


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
