"""`pitboss tui`: finds a daemon and opens the console on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from config.errors import UserError
from daemon.commands.ctl import find_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp


def tui_command(state_dir: Path | None, url: str | None, token_file: Path | None, certificate: Path | None) -> None:
    """Open the console on the daemon of a state directory, or on one anywhere.

    Raises:
        UserError: there is none, or its token or certificate cannot be read.
    """
    from tui.app import Console

    if url is None:
        endpoint, token = find_endpoint(state_dir)
        reachable = endpoint.url if endpoint.url.startswith("http") else endpoint.console
        if not reachable:
            message = f"the daemon listens at {endpoint.url} alone; the console needs http.tcp, or console.enabled"
            raise UserError(message)
        url, given = reachable, certificate or (Path(endpoint.certificate) if endpoint.certificate else None)
    else:
        _check(url)
        token, given = "", certificate
    if token_file is not None:
        token = _read(token_file)
    elif not token:
        _, token = find_endpoint(state_dir)
    Console(url, token, connector=_connector(given)).run()


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.path not in ("", "/") or parts.query or parts.username:
        message = f"--url {url}: must be like http://127.0.0.1:8787, where a daemon or its console listens"
        raise UserError(message)


def _read(token_file: Path) -> str:
    try:
        token = token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"--token-file {token_file}: {getattr(error, 'strerror', None) or 'not a token'}"
        raise UserError(message) from error
    if not token or any(not char.isprintable() or char == " " for char in token):
        message = f"--token-file {token_file}: not a token"
        raise UserError(message)
    return token


def _connector(certificate: Path | None) -> Callable[[], aiohttp.BaseConnector] | None:
    if certificate is None:
        return None
    import aiohttp

    from daemon.control.tls import client_context

    try:
        context = client_context(certificate)
    except OSError as error:
        message = f"certificate {certificate}: {error.strerror or error}"
        raise UserError(message) from error
    return lambda: aiohttp.TCPConnector(ssl=context)
