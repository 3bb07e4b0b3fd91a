"""What may be asked of the control endpoint: the body of a command, read without mercy."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from actors.messages import Tighten
from config.errors import nearest
from daemon.live import COMMANDS

if TYPE_CHECKING:
    from daemon.live import Command

TIGHTEN = "tighten"
ACTIONS = (*COMMANDS, TIGHTEN)
_KINDS: dict[str, tuple[type, ...]] = {"limit": (str,), "value": (str, int, float)}
_CHARS_MAX = 1_000
_BAD = HTTPStatus.BAD_REQUEST


class RefusedError(Exception):
    """A request that gets a 4xx, or a 503, with a reason."""

    def __init__(self, status: HTTPStatus, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


class ActionRequest(msgspec.Struct, frozen=True):
    """A command that is one word."""

    words: str

    def command(self, command_id: str, key: str) -> Command:
        """Return it as an input of the core."""
        return COMMANDS[self.words](command_id, key)


class TightenRequest(msgspec.Struct, frozen=True):
    """A limit that is to be tighter."""

    limit: str
    value: str

    @property
    def words(self) -> str:
        """The command in words, as the status shows it."""
        return f"{TIGHTEN} {self.limit} to {self.value}"

    def command(self, command_id: str, key: str) -> Command:
        """Return it as an input of the core."""
        return Tighten(command_id, self.limit, self.value, key)


def read_command(body: bytes) -> ActionRequest | TightenRequest:
    """Return what a control request asks for.

    Raises:
        RefusedError: the body is anything but ``{"action": one of them}``, to tighten with ``limit`` and ``value``.
    """
    try:
        request = msgspec.json.decode(body)
        exact = json.loads(body, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_pairs)
    except (msgspec.DecodeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RefusedError(_BAD, f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise RefusedError(_BAD, "the body is nested too deeply") from error
    if not isinstance(request, dict):
        raise RefusedError(_BAD, 'the body must be an object such as {"action": "pause"}')
    fields = ("action", "limit", "value") if request.get("action") == TIGHTEN else ("action",)
    unknown = [name for name in request if name not in fields]
    if unknown:
        only = "the only field is 'action'" if len(fields) == 1 else f"the fields are {', '.join(fields)}"
        raise RefusedError(_BAD, f"unknown field {unknown[0]!r}; {only}")
    action = request.get("action")
    if not isinstance(action, str):
        raise RefusedError(_BAD, f"'action' must be a string, it is {_found(request, 'action')}")
    if action not in ACTIONS:
        raise RefusedError(_BAD, f"unknown action {action!r}{nearest(action, ACTIONS)}; one of {', '.join(ACTIONS)}")
    twice = next((name for index, (name, _) in enumerate(exact) if name in dict(exact[:index])), None)
    if twice is not None:
        raise RefusedError(_BAD, f"'{twice}' is given more than once")
    if action != TIGHTEN:
        return ActionRequest(action)
    return TightenRequest(_text(request, exact, "limit"), _text(request, exact, "value"))


def _pairs(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return pairs


def _text(request: dict[str, Any], exact: list[tuple[str, Any]], name: str) -> str:
    """Return a field as it was written: a number is read with all its digits."""
    value, kinds = request.get(name), _KINDS[name]
    if isinstance(value, bool) or not isinstance(value, kinds):
        words = "a string" if kinds == (str,) else "a string or a number"
        raise RefusedError(_BAD, f"'{name}' must be {words}, it is {_found(request, name)}")
    written: str = dict(exact)[name]
    if len(written) > _CHARS_MAX or not written.isprintable():
        raise RefusedError(_BAD, f"'{name}': at most {_CHARS_MAX} printable characters")
    return written


def _found(request: dict[str, Any], name: str) -> str:
    return "missing" if name not in request else f"a {type(request[name]).__name__}"
