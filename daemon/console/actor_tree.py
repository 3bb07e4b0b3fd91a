"""What an actor's kept state is shown as: plain values, the larger ones cut."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from actors import messages
from actors.messages import Message
from daemon.log import masked
from strategies.state import shown_of

_ITEMS_MAX = 200
"""Of one list or dict."""
_VALUES_MAX = 20_000
"""Of a whole state."""
_CHARS_MAX = 2_000


def tree_of(state: bytes) -> tuple[Any, str]:
    """Return a state as plain values without secrets, and what is missing of it, in words; empty if nothing is.

    Args:
        state: as the core writes it down, in MessagePack.
    """
    made = _Tree()
    try:
        found = made.of(msgspec.msgpack.decode(state, ext_hook=shown_of))
    except (msgspec.DecodeError, RecursionError) as error:
        return None, f"it cannot be read: {error}"
    note = f"{made.left_out:,} values are left out: the first {_ITEMS_MAX} of a list are shown" if made.left_out else ""
    return masked(found), note


class _Tree:
    def __init__(self) -> None:
        self.left_out = 0
        self._values = 0

    def of(self, value: Any) -> Any:  # noqa: ANN401 - as it was decoded
        self._values += 1
        if isinstance(value, dict):
            return {self._key(key): self.of(one) for key, one in self._some(list(value.items()))}
        if isinstance(value, (list, tuple)):
            fields = _message_fields(value)
            if fields is not None:
                return {"kind": value[0]} | {name: self.of(one) for name, one in zip(fields, value[1:], strict=False)}
            return [self.of(one) for one in self._some(value)]
        if isinstance(value, (bytes, memoryview)):
            return self._nested(bytes(value))
        if isinstance(value, str) and len(value) > _CHARS_MAX:
            self.left_out += 1
            return f"{value[:_CHARS_MAX]}... ({len(value):,} characters)"
        return value

    def _some(self, values: Any) -> Any:  # noqa: ANN401 - a sequence
        room = _ITEMS_MAX if self._values < _VALUES_MAX else 0
        self.left_out += max(0, len(values) - room)
        return values[:room]

    def _key(self, key: Any) -> str:  # noqa: ANN401 - as it was decoded
        return key if isinstance(key, str) else str(key)

    def _nested(self, value: bytes) -> Any:  # noqa: ANN401 - as it was decoded
        """Return bytes as the state they are, where they are one: of a strategy, of its exits, of the features."""
        if not value:
            return None
        try:
            found = msgspec.msgpack.decode(value, ext_hook=shown_of)
        except (msgspec.DecodeError, ValueError, RecursionError):
            found = None
        return self.of(found) if isinstance(found, (dict, list)) else f"{len(value):,} bytes"


@cache
def _kinds() -> dict[str, tuple[str, ...]]:
    found = (getattr(messages, name) for name in dir(messages))
    kinds = [one for one in found if isinstance(one, type) and issubclass(one, Message) and one is not Message]
    return {kind.__name__: kind.__struct_fields__ for kind in kinds}


def _message_fields(value: Any) -> tuple[str, ...] | None:  # noqa: ANN401 - a sequence
    """Return the names of a message's fields, if the list is one: it is kept as an array that begins with its kind."""
    if not value or not isinstance(value[0], str):
        return None
    fields = _kinds().get(value[0])
    return fields if fields is not None and len(value) - 1 <= len(fields) else None
