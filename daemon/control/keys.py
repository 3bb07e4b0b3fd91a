"""Tokens: who may do what, as files of mode 0600 that can be replaced while the daemon runs.

``control.token`` and ``read.token`` are made at the first start; ``control.NAME.token`` and ``read.NAME.token`` are
further ones, so that who did what can be told apart. Under systemd the first two may be credentials instead. A token
is believed as long as its file holds it: whoever asks next after a file was replaced, or removed, is judged by what is
there then.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import msgspec
import structlog

from config.errors import UserError, nearest
from daemon.log import hide
from daemon.state_dir import CREDENTIAL_NAMES, TOKEN_BYTES, TOKEN_CHARS_MIN, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

Role = Literal["read", "control"]
ROLES: tuple[Role, ...] = get_args(Role)
_FILE = re.compile(r"(?P<role>read|control)(?:\.(?P<name>[A-Za-z0-9_-]{1,40}))?\.token")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_FILE_BYTES_MAX = 4_096
NO_TOKEN = f"must hold at least {TOKEN_CHARS_MIN} printable characters without spaces"

log = structlog.get_logger()


class Key(msgspec.Struct, frozen=True):
    """One token, and what it is good for."""

    role: Role
    name: str
    """That of its role where its file has none."""
    token: str

    @property
    def allows(self) -> tuple[Role, ...]:
        """The roles whoever has it may act in."""
        return ROLES if self.role == "control" else ("read",)


class Keyring:
    """The tokens of one state directory, as they are at the moment.

    Args:
        state_dir: where the files lie.
        credentials: systemd's directory of credentials; that of the environment unless given.
    """

    def __init__(self, state_dir: Path, credentials: str | None = None) -> None:
        given = os.environ.get("CREDENTIALS_DIRECTORY") if credentials is None else credentials
        self._state_dir = state_dir
        self._credentials = Path(given) if given else None
        self._seen: tuple[tuple[str, int, int, int], ...] | None = None
        self._keys: tuple[Key, ...] = ()
        self._spoilt: set[str] = set()

    def find(self, token: str) -> Key | None:
        """Return the key of a token; all are compared, each in constant time."""
        given = token.encode("utf-8", "surrogateescape")
        found: Key | None = None
        for key in self.believed():
            if hmac.compare_digest(given, key.token.encode()) and found is None:
                found = key
        return found

    def believed(self) -> tuple[Key, ...]:
        """Return all that is believed now, those that may command first."""
        files = sorted(self._files(), key=lambda file: (file[0] == "read", file[1]))
        seen = []
        for _, _, path in files:
            try:
                stat = path.stat()
            except OSError:
                continue
            seen.append((str(path), stat.st_mtime_ns, stat.st_ino, stat.st_size))
        if tuple(seen) != self._seen:
            self._seen = tuple(seen)
            self._keys = tuple(key for role, name, path in files if (key := self._read(role, name, path)) is not None)
        return self._keys

    def _files(self) -> Iterator[tuple[Role, str, Path]]:
        """Yield role, name and path of every token there is; a credential takes the place of the file."""
        given = []
        for role in ROLES:
            path = None if self._credentials is None else self._credentials / CREDENTIAL_NAMES[role]
            if path is not None and path.is_file():
                given.append(role)
                yield role, role, path
        try:
            entries = [entry.name for entry in os.scandir(self._state_dir)]
        except OSError:
            return
        for entry in entries:
            match = _FILE.fullmatch(entry)
            if match is not None and (match["name"] or match["role"] not in given):
                role = "read" if match["role"] == "read" else "control"
                yield role, match["name"] or role, self._state_dir / entry

    def _read(self, role: Role, name: str, path: Path) -> Key | None:
        """Return the key in a file; one that cannot be one is told of, once."""
        try:
            token = _beginning(path).decode("ascii").strip()
            reason = "" if is_token(token) else NO_TOKEN
        except (OSError, ValueError) as error:
            token, reason = "", str(error)
        if reason:
            if str(path) not in self._spoilt:
                self._spoilt.add(str(path))
                log.warning("token_file_ignored", token_file=str(path), reason=reason)
            return None
        self._spoilt.discard(str(path))
        hide(token)
        return Key(role, name, token)


def _beginning(path: Path) -> bytes:
    """Return as much of a file as a token may have; of a pipe nothing, for that would be waited for."""
    if not path.is_file():
        message = "it is no file"
        raise OSError(message)
    with path.open("rb") as file:
        return file.read(_FILE_BYTES_MAX)


def is_token(token: str) -> bool:
    """Return whether this can be a token: long enough not to be guessed, and fit for a header."""
    return len(token) >= TOKEN_CHARS_MIN and token.isascii() and token.isprintable() and " " not in token


def token_path(state_dir: Path, role: str, name: str | None) -> Path:
    """Return where a token lies.

    Raises:
        UserError: there is no such role, or this cannot be a name.
    """
    if role not in ROLES:
        message = f"role {role!r}{nearest(role, ROLES)}: one of {', '.join(ROLES)}"
        raise UserError(message)
    if name is None or name == role:
        return state_dir / f"{role}.token"
    if _NAME.fullmatch(name) is None:
        message = f"token name {name!r}: 1 to 40 letters, digits, - or _"
        raise UserError(message)
    return state_dir / f"{role}.{name}.token"


def rotate(state_dir: Path, role: str, name: str | None = None) -> Path:
    """Put a new token in the place of one, or where there was none; the old one is refused from then on.

    Raises:
        UserError: the directory cannot be written.
    """
    path = token_path(state_dir, role, name)
    try:
        write_atomically(path, secrets.token_urlsafe(TOKEN_BYTES).encode() + b"\n", mode=0o600)
    except OSError as error:
        message = f"token file {path}: {error.strerror}"
        raise UserError(message) from error
    return path


def revoke(state_dir: Path, role: str, name: str) -> Path:
    """Take a named token away.

    Raises:
        UserError: there is none of that name, or it is the role's own, which is rotated instead.
    """
    path = token_path(state_dir, role, name)
    if name == role:
        message = f"the {role} token is replaced, not taken away: leave out --revoke"
        raise UserError(message)
    try:
        path.unlink()
    except OSError as error:
        message = f"token file {path}: {error.strerror}"
        raise UserError(message) from error
    return path
