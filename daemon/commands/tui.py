"""`pitboss tui`: finds a daemon, or starts one that replays a tape, and opens the console on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from config.errors import UserError
from daemon.commands.ctl import find_endpoint
from daemon.commands.inputs import span_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import aiohttp


def tui_command(
    state_dir: Path | None,
    url: str | None,
    token_file: Path | None,
    certificate: Path | None,
    how: Mapping[str, Any] | None = None,
) -> None:
    """Open the console on the daemon of a state directory, or on one anywhere.

    Args:
        state_dir: of the daemon.
        url: where it listens, or its console; found in the state directory unless given.
        token_file: its token, likewise.
        certificate: to trust, likewise.
        how: what a replay would be told; a running daemon is not.

    Raises:
        UserError: there is none, or its token or certificate cannot be read.
    """
    from tui.app import Console

    given_words = _given(how or {})
    if given_words:
        message = f"{given_words[0]} is for a replay: say which tape with --replay"
        raise UserError(message)
    if url is not None:
        _check(url)

    def look_up() -> tuple[str, str]:
        there, token, _ = _find(state_dir, url, token_file)
        return there, token

    address, token, of_daemon = _find(state_dir, url, token_file)
    Console(address, token, connector=_connector(certificate or of_daemon), look_up=look_up).run()


def _find(state_dir: Path | None, url: str | None, token_file: Path | None) -> tuple[str, str, Path | None]:
    """Return address, token and certificate as they are now: all of them may be others after a restart."""
    token, certificate = "" if token_file is None else _read(token_file), ""
    if url is None or not token:
        endpoint, its_token = find_endpoint(state_dir)
        token = token or its_token
        if url is None:
            url, certificate = (
                endpoint.url if endpoint.url.startswith("http") else endpoint.console,
                endpoint.certificate,
            )
        if not url:
            message = f"the daemon listens at {endpoint.url} alone; the console needs http.tcp, or console.enabled"
            raise UserError(message)
    return url, token, Path(certificate) if certificate else None


def debug_command(
    tape: Sequence[str] | None, synthetic: str | None, how: Mapping[str, Any], where: Mapping[str, Any]
) -> None:
    """Open the console on a replay of its own, which ends with it.

    Args:
        tape: files or series of bars.
        synthetic: made-up bars instead.
        how: further arguments of `replay_server`, by their names; its span is ``from`` and ``to``, as typed.
        where: where a running daemon would be; a replay is nowhere else.

    Raises:
        UserError: it cannot replay what was asked for.
    """
    from daemon.commands.replay_server import replay_server

    given_words = _given(where)
    if given_words:
        message = f"{given_words[0]} names a running daemon, --replay begins a replay: one of the two"
        raise UserError(message)
    words = dict(how)
    words["span"] = span_from(words.pop("from", None), words.pop("to", None))
    with replay_server(tape, synthetic, **words) as (url, token):
        from tui.app import Console

        Console(url, token, replays=True).run()


def _given(options: Mapping[str, Any]) -> list[str]:
    """Return the options that were given, as they are typed."""
    names = {"setting": "set"}
    return [f"--{names.get(name, name).replace('_', '-')}" for name, value in options.items() if value]


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
