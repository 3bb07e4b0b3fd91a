"""Sessions of browsers, and how many wrong tokens came from where: all a gate remembers, bounded, in memory."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.control.keys import Key, Keyring

_SESSIONS_MAX = 64
_ADDRESSES_MAX = 1_024
_WINDOW_S = 60.0
_PREFIX_BITS = 64
_ID_BYTES = 32


class Session(msgspec.Struct, frozen=True):
    """A browser that has shown a token."""

    key: Key
    ends_s: float
    csrf: str
    """What its page sends with every request that changes something; the cookie alone is not enough for that."""


class Sessions:
    """The sessions there are. One ends at its time, at logout, when its token is replaced, and with the process.

    Args:
        keyring: where a session's token must still be.
        life_s: how long one lasts.
        now_s: a clock that never goes back.
    """

    def __init__(self, keyring: Keyring, life_s: float, now_s: Callable[[], float]) -> None:
        self.life_s = life_s
        self._keyring = keyring
        self._now_s = now_s
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, key: Key) -> tuple[str, Session]:
        """Return the name of a new session, for its cookie, and the session; the oldest makes room."""
        while len(self._sessions) >= _SESSIONS_MAX:
            self._sessions.popitem(last=False)
        name = secrets.token_urlsafe(_ID_BYTES)
        session = Session(key, self._now_s() + self.life_s, secrets.token_urlsafe(_ID_BYTES))
        self._sessions[_digest(name)] = session
        return name, session

    def find(self, name: str) -> Session | None:
        """Return a session that is still good."""
        digest = _digest(name)
        session = self._sessions.get(digest)
        if session is None:
            return None
        if self._now_s() >= session.ends_s or session.key not in self._keyring.believed():
            del self._sessions[digest]
            return None
        return session

    def left_s(self, session: Session) -> float:
        """Return how long a session lasts still."""
        return max(0.0, session.ends_s - self._now_s())

    def end(self, name: str) -> None:
        """Forget a session."""
        self._sessions.pop(_digest(name), None)


class Failures:
    """Wrong tokens by address, in windows of a minute.

    It makes guessing loud and cheap for us; what makes it hopeless is the tokens' length. So whoever shows the right
    token is let in however many wrong ones came from his address: others may share it, and would lock him out.

    Args:
        failures_max: so many are answered as wrong; those beyond are told to wait.
        now_s: a clock that never goes back.
    """

    def __init__(self, failures_max: int, now_s: Callable[[], float]) -> None:
        self._failures_max = failures_max
        self._now_s = now_s
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str) -> tuple[int, int]:
        """Count a failure; return how many there were in this window, and the seconds to wait, 0 while it may go on."""
        place = network(address)
        now_s = self._now_s()
        began_s, count = self._windows.pop(place, (now_s, 0))
        if now_s - began_s >= _WINDOW_S:
            began_s, count = now_s, 0
        while len(self._windows) >= _ADDRESSES_MAX:
            self._windows.popitem(last=False)
        self._windows[place] = (began_s, count + 1)
        wait_s = began_s + _WINDOW_S - now_s
        return count + 1, max(1, round(wait_s)) if count >= self._failures_max else 0


def network(address: str) -> str:
    """Return whom an address stands for: itself, or the network a single host has many IPv6 addresses of."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> _PREFIX_BITS << _PREFIX_BITS))


def _digest(name: str) -> bytes:
    """Return what a session is kept under: a lookup by it tells nobody how much of a guess was right."""
    return sha256(name.encode("utf-8", "surrogateescape")).digest()
