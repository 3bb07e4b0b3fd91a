"""What may be asked of the control endpoint: the body of a command, read without mercy."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors import messages as m
from actors.control import action_of
from actors.risk import LimitError
from config.errors import nearest
from daemon.control.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.control import AnyCommand
    from actors.system import Core

TIGHTEN = "tighten"
_CHARS_MAX = 1_000
_BAD = HTTPStatus.BAD_REQUEST


Kinds = tuple[type, ...]


class Form(NamedTuple):
    """What a command's body has besides its action."""

    fields: Mapping[str, Kinds]
    """Which fields, and as what they may be written."""
    optional: tuple[str, ...] = ()
    """Those that may be left out."""


_TEXT: Kinds = (str,)
_NUMBER: Kinds = (str, int, float)
_FLAG: Kinds = (bool,)
FORMS = {
    "pause": Form({"strategy": _TEXT}, ("strategy",)),
    "resume": Form({"strategy": _TEXT}, ("strategy",)),
    "flatten": Form({"strategy": _TEXT}, ("strategy",)),
    "stop": Form({}),
    TIGHTEN: Form({"limit": _TEXT, "value": _NUMBER}),
    "close": Form({"strategy": _TEXT, "symbol": _TEXT}),
    "cancel": Form({"order_id": _TEXT}),
    "restart": Form({"actor": _TEXT, "anew": _FLAG}, ("anew",)),
}
"""By action, in the order people are told of them."""
ACTIONS = tuple(FORMS)
_MESSAGES: dict[str, type[AnyCommand]] = {
    "pause": m.Pause,
    "resume": m.Resume,
    "flatten": m.Flatten,
    "stop": m.Stop,
    TIGHTEN: m.Tighten,
    "close": m.ClosePosition,
    "cancel": m.WithdrawOrder,
    "restart": m.RestartActor,
}
_OF_STRATEGY: dict[str, type[AnyCommand]] = {
    "pause": m.PauseStrategy,
    "resume": m.ResumeStrategy,
    "flatten": m.FlattenStrategy,
}
_KINDS: dict[Kinds, str] = {_TEXT: "a string", _NUMBER: "a string or a number", _FLAG: "true or false"}


class ControlRequest(msgspec.Struct, frozen=True):
    """A command that was asked for."""

    action: str
    terms: dict[str, Any] = {}

    @property
    def words(self) -> str:
        """The command in words, as the status shows it."""
        return action_of(self.command(""))

    def command(self, command_id: str, key: str = "", by: m.Sender | None = None) -> AnyCommand:
        """Return it as an input of the core."""
        kinds = _OF_STRATEGY if "strategy" in self.terms and self.action in _OF_STRATEGY else _MESSAGES
        return kinds[self.action](command_id=command_id, idempotency_key=key, by=by, **self.terms)

    def check(self, core: Core) -> None:
        """Refuse what cannot be done as things are; what the core says once its turn has come stands in the status.

        Raises:
            RefusedError: a limit that would not be tighter, an order that is not open; or a name nobody has.
        """
        terms = self.terms
        if self.action == TIGHTEN:
            try:
                core.risk.in_force.check(terms["limit"], terms["value"])
            except LimitError as error:
                raise RefusedError(HTTPStatus.CONFLICT if error.loosens else _BAD, str(error)) from error
        if "strategy" in terms:
            _known("strategy", terms["strategy"], core.control.strategies)
        if "symbol" in terms:
            _known("symbol", terms["symbol"], core.instruments)
        if "order_id" in terms and terms["order_id"] not in core.execution.orders:
            raise RefusedError(HTTPStatus.CONFLICT, core.by_hand.absent(terms["order_id"]))
        if "actor" in terms:
            _known("actor that can be restarted", terms["actor"], [actor.name for actor in core.strategies])
            if not any(actor.abandoned for actor in core.strategies if actor.name == terms["actor"]):
                raise RefusedError(HTTPStatus.CONFLICT, f"{terms['actor']} was not given up")


def _known(what: str, name: str, names: Iterable[str]) -> None:
    there = list(dict.fromkeys(names))
    if name not in there:
        raise RefusedError(_BAD, f"no {what} {name!r}{nearest(name, there)}; one of {', '.join(there)}")


def read_command(body: bytes) -> ControlRequest:
    """Return what a control request asks for.

    Raises:
        RefusedError: the body is anything but ``{"action": one of them}`` and the fields of that one.
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
    action = request.get("action")
    form = FORMS.get(action, Form({})) if isinstance(action, str) else Form({})
    fields = ("action", *form.fields)
    unknown = [name for name in request if name not in fields]
    if unknown:
        only = "the only field is 'action'" if len(fields) == 1 else f"the fields are {', '.join(fields)}"
        near = nearest(unknown[0], fields)
        raise RefusedError(_BAD, f"unknown field {unknown[0]!r}{near}; {only}")
    if not isinstance(action, str):
        raise RefusedError(_BAD, f"'action' must be a string, it is {_found(request, 'action')}")
    if action not in ACTIONS:
        raise RefusedError(_BAD, f"unknown action {action!r}{nearest(action, ACTIONS)}; one of {', '.join(ACTIONS)}")
    twice = next((name for index, (name, _) in enumerate(exact) if name in dict(exact[:index])), None)
    if twice is not None:
        raise RefusedError(_BAD, f"'{twice}' is given more than once")
    asked = [name for name in form.fields if name in request or name not in form.optional]
    return ControlRequest(action, {name: _value(request, exact, name, form.fields[name]) for name in asked})


def _pairs(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return pairs


def _value(request: dict[str, Any], exact: list[tuple[str, Any]], name: str, kinds: Kinds) -> str | bool:
    """Return a field as it was written: a number is read with all its digits."""
    value = request.get(name)
    if isinstance(value, bool) is not (kinds == _FLAG) or not isinstance(value, kinds):
        raise RefusedError(_BAD, f"'{name}' must be {_KINDS[kinds]}, it is {_found(request, name)}")
    written: str | bool = dict(exact)[name]
    if isinstance(written, str) and (not written or len(written) > _CHARS_MAX or not written.isprintable()):
        raise RefusedError(_BAD, f"'{name}': at least one and at most {_CHARS_MAX} printable characters")
    return written


def _found(request: dict[str, Any], name: str) -> str:
    return "missing" if name not in request else f"a {type(request[name]).__name__}"
