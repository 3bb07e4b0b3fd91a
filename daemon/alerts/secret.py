"""Where a target is: an URL with a key in it, which nobody is shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import UserError
from daemon.log import hide

if TYPE_CHECKING:
    from config.alerts import AlertTarget


def secret_of(target: AlertTarget) -> str:
    """Return a target's URL, which no log line will show from now on.

    Raises:
        UserError: its file cannot be read, or is empty.
    """
    if target.file is None:
        assert target.url is not None
        url = target.url
    else:
        path = Path(target.file).expanduser()
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        if credentials and len(path.parts) == 1 and (Path(credentials) / path).exists():
            path = Path(credentials) / path
        try:
            url = path.read_text(encoding="utf-8").strip().partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not text"
            message = f"alerts: target {target.name}: file {target.file}: {reason}"
            raise UserError(message) from error
    if "://" not in url:
        message = f"alerts: target {target.name}: what it has is no URL such as json://host or tgram://token/chat"
        raise UserError(message)
    hide(url)
    return url
