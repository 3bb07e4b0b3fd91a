"""The state directory: whose it is, and the small files in it."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import platformdirs

from config.errors import UserError

if TYPE_CHECKING:
    from types import TracebackType

TOKEN_NAME = "control.token"  # noqa: S105 - a file's name
CREDENTIAL_NAMES = {"control": "pitboss-token", "read": "pitboss-read-token"}
"""By role: what systemd calls a token it gives us."""
ENDPOINT_NAME = "endpoint.json"
SNAPSHOT_NAME = "snapshot.json"
DEMO_NAME = "demo"
"""Folder of `pitboss demo` in the default state directory."""
_LOCK_NAME = "daemon.lock"
TOKEN_BYTES = 32
TOKEN_CHARS_MIN = 16
"""Shorter ones could be guessed."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where a running daemon listens."""

    url: str
    pid: int
    session: str
    token_file: str
    console: str = ""
    """Where the API, the dashboard and the stream are; empty if there is no console."""
    certificate: str = ""
    """What a client on this machine trusts, where the endpoint speaks TLS."""


def default_state_dir() -> Path:
    """Return ``$STATE_DIRECTORY`` under systemd, else the platform's place for a user's state."""
    given = os.environ.get("STATE_DIRECTORY")
    return Path(given.split(":")[0]) if given else Path(platformdirs.user_state_dir("pitboss"))


def prepare_state_dir(path: Path) -> Path:
    """Create the directory, private to its owner, and prove that it can be written.

    Raises:
        UserError: it is a file, or cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = path / f".probe-{os.getpid()}"
        probe.write_bytes(b"pitboss")
        probe.unlink()
    except OSError as error:
        message = f"state directory {path}: {error.strerror}"
        raise UserError(message) from error
    return path


class StateLock:
    """Exclusive use of a state directory, for as long as the process lives.

    Raises:
        UserError: another daemon has it.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / _LOCK_NAME
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
            os.close(self._fd)
            message = f"state directory {self._path.parent}: in use by another daemon (process {owner or 'unknown'})"
            raise UserError(message) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


def load_token(state_dir: Path, role: str = "control") -> tuple[str, Path]:
    """Return a role's token and its file: systemd's credential, or one created here with mode 0600.

    Raises:
        UserError: the file cannot be read, or holds what is no token.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    given = None if not credentials else Path(credentials) / CREDENTIAL_NAMES[role]
    path = state_dir / f"{role}.token" if given is None or not given.exists() else given
    try:
        if path is not given:
            if not path.exists() or path.stat().st_size == 0:
                write_atomically(path, secrets.token_urlsafe(TOKEN_BYTES).encode() + b"\n", mode=0o600)
            path.chmod(0o600)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"token file {path}: {error}"
        raise UserError(message) from error
    if not token:
        message = f"token file {path}: is empty"
        raise UserError(message)
    if len(token) < TOKEN_CHARS_MIN or " " in token or not token.isprintable():
        message = f"token file {path}: must hold at least {TOKEN_CHARS_MIN} printable characters without spaces"
        raise UserError(message)
    return token, path


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file so that a crash leaves the old content or the new, never a part.

    Raises:
        OSError: the disk refuses; the old content is untouched.
    """
    partial = path.with_name(f".{path.name}.partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        try:
            os.fchmod(fd, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
