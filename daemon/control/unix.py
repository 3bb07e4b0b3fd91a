"""The Unix socket in the state directory: only its owner can open it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from config.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

SOCKET_NAME = "control.sock"
SCHEME = "unix:"
"""What stands before its path where an address is expected."""
_PATH_BYTES_MAX = 107


def reserve_unix(state_dir: Path) -> socket.socket:
    """Return a socket that listens at ``control.sock``; the lock on the directory is held, so nobody else is there.

    Raises:
        UserError: the path is too long for a socket, or the directory refuses.
    """
    path = (state_dir / SOCKET_NAME).absolute()
    if len(os.fsencode(path)) > _PATH_BYTES_MAX:
        message = f"http.unix_socket: {path} is longer than the {_PATH_BYTES_MAX} bytes a socket's path may have"
        raise UserError(message)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        os.fchmod(listener.fileno(), 0o600)  # before it has a name, so that it is never open to others
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
    except OSError as error:
        listener.close()
        message = f"http.unix_socket: {path}: {error.strerror or error}"
        raise UserError(message) from error
    return listener
