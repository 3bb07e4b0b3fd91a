"""Sessions of browsers, and how many wrong tokens came from where: all a gate remembers, bounded."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

import msgspec
import structlog

from daemon.state_dir import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.control.keys import Key, Keyring

FILE_NAME = "logins.json"
_SESSIONS_MAX = 64
_CLOCK_SLACK_S = 60.0
_ADDRESSES_MAX = 1_024
_WINDOW_S = 60.0
_PREFIX_BITS = 64
_ID_BYTES = 32

log = structlog.get_logger()


class Session(msgspec.Struct, frozen=True):
    """A browser that has shown a token."""

    key: Key
    ends_s: float
    csrf: str
    """What its page sends with every request that changes something; the cookie alone is not enough for that."""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a session: nothing that anybody could show instead of its cookie or its token."""

    began_s: float
    proof: str
    """By the token, of the cookie: another token does not give it."""


class Sessions:
    """The sessions there are. One ends at its time, at logout, and when its token is replaced.

    Args:
        keyring: where a session's token must still be.
        life_s: how long one lasts.
        wall_s: the time, which goes on where nobody runs.
        path: the file they are kept in, so that a browser does not notice a restart; None to forget them then.
    """

    def __init__(self, keyring: Keyring, life_s: float, wall_s: Callable[[], float], path: Path | None = None) -> None:
        self.life_s = life_s
        self._keyring = keyring
        self._wall_s = wall_s
        self._path = path
        self._kept = _read(path)

    def begin(self, key: Key) -> tuple[str, Session]:
        """Return the name of a new session, for its cookie, and the session; the oldest makes room."""
        for digest in [digest for digest, kept in self._kept.items() if not self._left_s(kept)]:
            del self._kept[digest]
        while len(self._kept) >= _SESSIONS_MAX:
            self._kept.popitem(last=False)
        name = secrets.token_urlsafe(_ID_BYTES)
        kept = _Kept(self._wall_s(), _derived(key, "proof", name))
        self._kept[_digest(name)] = kept
        self._write()
        return name, self._session(key, kept, name)

    def find(self, name: str) -> Session | None:
        """Return a session that is still good."""
        digest = _digest(name)
        kept = self._kept.get(digest)
        if kept is None:
            return None
        if self._left_s(kept):
            for key in self._keyring.believed():
                if hmac.compare_digest(_derived(key, "proof", name), kept.proof):
                    return self._session(key, kept, name)
        del self._kept[digest]
        self._write()
        return None

    def left_s(self, session: Session) -> float:
        """Return how long a session lasts still."""
        return max(0.0, session.ends_s - self._wall_s())

    def end(self, name: str) -> None:
        """Forget a session."""
        if self._kept.pop(_digest(name), None) is not None:
            self._write()

    def _left_s(self, kept: _Kept) -> float:
        """Return how long a session lasts still; one from beyond now, as after a clock was set back, not at all."""
        age_s = self._wall_s() - kept.began_s
        return max(0.0, self.life_s - age_s) if age_s >= -_CLOCK_SLACK_S else 0.0

    def _session(self, key: Key, kept: _Kept, name: str) -> Session:
        return Session(key, kept.began_s + self.life_s, _derived(key, "csrf", name))

    def _write(self) -> None:
        """Keep what there is; a disk that refuses costs those who are logged in no more than the next restart does."""
        if self._path is None:
            return
        try:
            write_atomically(self._path, msgspec.json.encode(self._kept))
        except OSError as error:
            log.warning("logins_not_kept", file=str(self._path), reason=error.strerror)


def _read(path: Path | None) -> OrderedDict[str, _Kept]:
    """Return the sessions a file keeps; of one that is damaged none, so that people log in again."""
    if path is None or not path.is_file():  # a pipe would be waited for
        return OrderedDict()
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=dict[str, _Kept])
    except (OSError, ValueError) as error:
        log.warning("logins_unreadable", file=str(path), reason=str(error))
        return OrderedDict()
    return OrderedDict(list(kept.items())[-_SESSIONS_MAX:])


def _derived(key: Key, what: str, name: str) -> str:
    """Return what only who has both the token and the cookie can tell."""
    told = f"{what} {name}".encode("utf-8", "surrogateescape")
    return hmac.digest(key.token.encode(), told, "sha256").hex()


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


def _digest(name: str) -> str:
    """Return what a session is kept under: a lookup by it tells nobody how much of a guess was right."""
    return sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
