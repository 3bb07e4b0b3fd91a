"""`pitboss ctl ...`: a small client of the control endpoint."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from config.errors import UserError
from daemon.control.unix import SCHEME
from daemon.state_dir import CREDENTIAL_NAMES, DEMO_NAME, ENDPOINT_NAME, Endpoint, default_state_dir

if TYPE_CHECKING:
    from rich.table import Table

EXIT_FAULT = 1
_TIMEOUT_S = 15.0
_DONE_WITHIN_S = 600.0
_WAITED_FOR = {"flatten": "flat", "close": "closed", "cancel": "cancelled", "restart": "restarted"}
"""The commands that take a while, and what each has come to when it is done."""
_POLL_S = 0.2


def find_endpoint(state_dir: Path | None) -> tuple[Endpoint, str]:
    """Return where the daemon of a state directory listens, and its token.

    Without a directory it is the default one's daemon, or else the one of `pitboss demo`.

    Raises:
        UserError: no daemon runs there, or its token cannot be read.
    """
    folder = state_dir or default_state_dir()
    path = folder / ENDPOINT_NAME
    demo = folder / DEMO_NAME / "daemon" / ENDPOINT_NAME
    if state_dir is None and not path.exists() and demo.exists():
        path = demo
    try:
        endpoint = msgspec.json.decode(path.read_bytes(), type=Endpoint)
    except (OSError, msgspec.DecodeError) as error:
        message = f"no daemon runs on {folder} (there is no {ENDPOINT_NAME} in it); start one with: pitboss run"
        raise UserError(message) from error
    try:
        with open(endpoint.token_file, encoding="ascii") as file:  # noqa: PTH123 - a path as text
            return endpoint, file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"token file {endpoint.token_file}: {error}"
        raise UserError(message) from error


def call(
    endpoint: Endpoint, token: str, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None
) -> tuple[int, dict[str, Any]]:
    """Send one request; return the status and the JSON it answers.

    Raises:
        UserError: nobody answers.
    """
    connection = _connect(endpoint)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    try:
        connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
        response = connection.getresponse()
        answer: dict[str, Any] = msgspec.json.decode(response.read())
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        message = f"no answer from {endpoint.url} (process {endpoint.pid}): {error}; is the daemon still running?"
        raise UserError(message) from error
    finally:
        connection.close()
    return response.status, answer


def _connect(endpoint: Endpoint) -> http.client.HTTPConnection:
    """Return a connection to a daemon, by whatever it listens on.

    Raises:
        UserError: its certificate cannot be read.
    """
    if endpoint.url.startswith(SCHEME):
        return _UnixConnection(endpoint.url.removeprefix(SCHEME))
    address = urlsplit(endpoint.url)
    host = address.hostname or "127.0.0.1"
    if address.scheme != "https":
        return http.client.HTTPConnection(host, address.port, timeout=_TIMEOUT_S)
    from daemon.control.tls import client_context

    try:
        context = client_context(Path(endpoint.certificate))
    except OSError as error:
        message = f"certificate {endpoint.certificate}: {error.strerror or error}"
        raise UserError(message) from error
    return http.client.HTTPSConnection(host, address.port, timeout=_TIMEOUT_S, context=context)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in the state directory."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)


def status_command(state_dir: Path | None, *, as_json: bool) -> None:
    """Print the daemon's status."""
    endpoint, token = find_endpoint(state_dir)
    status = checked(*call(endpoint, token, "GET", "/api/live/status"))
    if as_json:
        sys.stdout.write(msgspec.json.encode(status).decode() + "\n")
    else:
        _print_status(status)


def control_command(
    state_dir: Path | None, action: str, key: str | None, *, as_json: bool, terms: dict[str, str | bool] | None = None
) -> None:
    """Send a command, with its terms if it has any, and wait for what becomes of it."""
    endpoint, token = find_endpoint(state_dir)
    answer = checked(*call(endpoint, token, "POST", "/api/live/control", {"action": action} | (terms or {}), key))
    if action in _WAITED_FOR:
        answer |= _wait_for_outcome(endpoint, token, answer["command_id"], done=_WAITED_FOR[action])
    if as_json:
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    else:
        note = f": {answer['note']}" if answer.get("note") else ""
        outcome = answer.get("outcome", "accepted")
        sys.stdout.write(f"{answer['action']}: {outcome}{note} (command {answer['command_id']})\n")
    if answer.get("outcome") in ("pending", "refused"):
        raise SystemExit(EXIT_FAULT)


def rotate_command(state_dir: Path | None, role: str, name: str | None, *, revoke: bool) -> None:
    """Put a new token in the place of one, or take a named one away; a running daemon heeds it at once."""
    from daemon.control import keys

    folder = state_dir or default_state_dir()
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder.is_dir():
        message = f"state directory {folder}: there is none"
        raise UserError(message)
    if name in (None, role) and given and (Path(given) / CREDENTIAL_NAMES.get(role, "")).is_file():
        message = f"the {role} token is systemd's credential {CREDENTIAL_NAMES[role]}: change it there, and restart"
        raise UserError(message)
    if revoke:
        path = keys.revoke(folder, role, name or role)
        sys.stdout.write(f"{path}: taken away\n")
    else:
        path = keys.rotate(folder, role, name)
        sys.stdout.write(f"{path}: new; what it was before is refused from now on\n")


def _wait_for_outcome(endpoint: Endpoint, token: str, command_id: str, *, done: str) -> dict[str, str]:
    """Return the outcome of a command, `done` being the word for a good one, and what is said of it."""
    deadline_s = time.monotonic() + _DONE_WITHIN_S
    row: dict[str, str] = {}
    while time.monotonic() < deadline_s:
        status = checked(*call(endpoint, token, "GET", "/api/live/status"))
        row = next((row for row in status["commands"] if row["command_id"] == command_id), {"outcome": "forgotten"})
        if row["outcome"] != "pending":
            break
        time.sleep(_POLL_S)
    return {"outcome": done if row["outcome"] == "done" else row["outcome"], "note": row.get("note", "")}


def checked(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that is no refusal.

    Raises:
        UserError: it is one; says why.
    """
    if status >= http.client.BAD_REQUEST:
        message = f"the daemon refused ({status}): {answer.get('error', answer)}"
        raise UserError(message)
    return answer


def _add_margin(table: Table, margin: dict[str, Any] | None) -> None:
    """Add what of the account is margin, and where each contract would be liquidated."""
    if margin is None:
        return
    table.add_row("margin", f"{margin['initial_margin']:,.2f} taken, {margin['available']:,.2f} available")
    for held in margin["positions"]:
        price = "never" if held["liquidation_price"] is None else f"at {held['liquidation_price']}"
        held_as = f"{held['quantity']} {held['symbol']} at {held['leverage']}x {held['margin_mode']}"
        away = "" if held["liquidation_distance"] is None else f", {held['liquidation_distance']:.1%} away"
        table.add_row("held on margin", f"{held_as}, liquidated {price}{away}")
    if margin.get("liquidations"):
        table.add_row("liquidations", f"{margin['liquidations']:,}")


def _print_status(status: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from actors.risk import RuleReport
    from daemon.commands.replay import print_books, print_rules
    from replay.books import Book

    console = Console(emoji=False)
    table = Table(title=f"Session {status['session']}", title_justify="left", show_header=False, min_width=56)
    table.add_column(style="bold")
    table.add_column(justify="right")
    reason = f" ({status['reason']})" if status["reason"] else ""
    table.add_row("state", f"{status['state']}{reason}")
    table.add_row("mode", f"{status['mode']}, run {status['run']}, up {status['uptime_s']:.0f} s")
    table.add_row("clock", status["clock"]["utc"])
    table.add_row("inputs", f"{status['last_input']['seq']:,}, durable {status['durable_seq']:,}")
    table.add_row("equity", f"{status['equity']:,.2f}")
    if status["day_profit"] is not None:
        table.add_row("day's profit", f"{status['day_profit']:+,.2f}")
    table.add_row("cash", f"{status['cash']:,.2f}")
    for position in status["positions"]:
        profit = f"{position['unrealized_pnl']:+,.2f}"
        table.add_row("position", f"{position['quantity']} {position['symbol']} ({position['strategy']}) {profit}")
    _add_margin(table, status.get("margin"))
    for row in status.get("strategies", ()):
        if row["state"] != "running":
            reason = f" ({row['reason']})" if row["reason"] else ""
            table.add_row("strategy", f"{row['strategy']} {row['state']}{reason}")
    for order in status["orders"]:
        price = order["limit_price"] or order["stop_price"] or "market"
        what = f"{order['side']} {order['quantity']} {order['symbol']} at {price}, {order['state']}"
        table.add_row(f"order {order['order_id']}", f"{what} ({order['strategy']})")
    table.add_row("digest", status["digest"])
    console.print(table)
    print_books(console, msgspec.convert(status["books"], list[Book]))
    print_rules(console, msgspec.convert(status["risk"]["rules"], list[RuleReport]))
    actors = Table(title="Actors", title_justify="left", min_width=56)
    for heading in ("name", "state", "restarts", "mailbox", "processed", "last error"):
        actors.add_column(heading)
    for row in status["actors"]:
        actors.add_row(
            row["name"],
            row["state"],
            str(row["restarts"]),
            str(row["mailbox"]),
            f"{row['processed']:,}",
            row["last_error"] or "",
        )
    console.print(actors)
