"""Stops of Binance's contracts as rows of orders: they wait under another number, and become orders once met."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.edges.venue.errors import broken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.edges.venue.errors import Request

WAITING = "algo-"
"""What the id of a stop that waits begins with: its numbers are not those of orders."""
_MET = ("TRIGGERING", "TRIGGERED", "FINISHED")


def waiting(row: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Return the row of a stop that is no order yet: nothing of it is executed, and it is open until it ends unmet.

    Raises:
        RequestError: it has ended, and the venue does not say as what.
    """
    state = _state(row)
    if state == "FINISHED":
        raise broken(request, f"stop {row.get('clientOrderId')} has ended, and what it became is not told")
    status = "open" if state in _MET else row.get("status")
    return {**row, "id": _number(row), "status": status, "filled": "0"}


def withdrawn(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reply to a stop's withdrawal as the order it no longer is.

    Raises:
        RequestError: it does not say that it is done.
    """
    code = str(words_of(reply).get("code"))
    if code != "200":
        raise broken("cancel", f"a stop withdrawn with code {code}")
    return {**reply, "id": _number(reply), "status": "canceled", "filled": "0"}


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the private stream says of a stop: by the number of what it became, once it is met."""
    if is_met(row):
        return {**row, "id": became_of(row) or _number(row), "status": "open", "filled": "0"}
    return {**row, "id": _number(row), "filled": "0"}


def is_met(row: Mapping[str, Any]) -> bool:
    """Return whether a row is that of a stop that was met: the venue must be asked what became of it."""
    return _state(row) in _MET


def became_of(row: Mapping[str, Any]) -> str:
    """Return the number of the order a stop has become; empty while it is none."""
    info = words_of(row)
    number = str(info.get("actualOrderId") or info.get("ai") or "")
    return number if number.isdecimal() and int(number) else ""


def words_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the venue itself said, which is nothing where it makes no sense."""
    info = row.get("info")
    return info if isinstance(info, dict) else {}


def _state(row: Mapping[str, Any]) -> str:
    info = words_of(row)
    return str(info.get("algoStatus") or (info.get("X") if "aid" in info else "") or "")


def _number(row: Mapping[str, Any]) -> str | None:
    return f"{WAITING}{row['id']}" if row.get("id") else None
