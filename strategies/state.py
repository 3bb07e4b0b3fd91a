"""What a strategy may remember, and how it is written down: msgpack with a few typed extensions, never pickle.

Plain values, lists, dicts, tuples, sets, deques, numpy arrays and scalars, and msgspec Structs survive
with their types. Anything else is refused by the name of the attribute that holds it. Two attributes that
share one object come back with a copy each.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

_INT_MIN = -(2**63)
_INT_MAX = 2**64 - 1
_DEPTH_MAX = 64

_TUPLE, _SET, _FROZENSET, _DEQUE, _ARRAY, _SCALAR, _STRUCT, _BIG_INT, _DICT = range(1, 10)

_encode = msgspec.msgpack.Encoder().encode


class StateError(TypeError):
    """A strategy holds something that cannot be written down."""


def dump_state(attributes: dict[str, Any]) -> bytes:
    """Return `attributes` as bytes.

    Raises:
        StateError: an attribute holds what cannot be kept; names it.
    """
    packed = {}
    for name, value in attributes.items():
        try:
            packed[name] = _pack(value, 0)
        except (StateError, ValueError) as error:
            raise _refused(name, error) from error
    try:
        return _encode(packed)
    except ValueError as error:
        raise _refused(next(filter(lambda name: _is_spoilt(packed[name]), packed), "?"), error) from error


def _refused(name: str, error: Exception) -> StateError:
    return StateError(f"self.{name} cannot be kept across a restart: {error}")


def _is_spoilt(value: Any) -> bool:  # noqa: ANN401 - as `_pack` returned it
    """Return whether there is text in a packed value that UTF-8 cannot say."""
    try:
        _encode(value)
    except ValueError:
        return True
    return False


def load_state(state: bytes) -> dict[str, Any]:
    """Return the attributes `dump_state` wrote."""
    attributes: dict[str, Any] = msgspec.msgpack.decode(state, ext_hook=_unpack)
    return attributes


def shown_of(code: int, payload: memoryview) -> Any:  # noqa: ANN401 - what was encoded
    """Return an extension of `dump_state` as plain values, for people: of a struct its name and fields."""
    if code == _BIG_INT:
        return bytes(payload).decode()
    if code not in range(_TUPLE, _DICT + 1):
        return f"{len(payload)} bytes"
    if code in (_ARRAY, _SCALAR):
        found = _unpack(code, payload)
        return found.tolist() if found.dtype.kind != "c" else [str(each) for each in found.ravel().tolist()]
    inner = msgspec.msgpack.decode(payload, ext_hook=shown_of)
    if code == _STRUCT:
        return {inner[1]: inner[2]}
    if code == _DICT:
        return {str(key): value for key, value in inner}
    return inner[1] if code == _DEQUE else inner


def _pack(value: Any, depth: int) -> Any:  # noqa: ANN401 - one line per kind of value
    kind = type(value)
    if value is None or kind is bool or kind is float or kind is str or kind is bytes:
        return value
    if kind is int:
        return value if _INT_MIN <= value <= _INT_MAX else msgspec.msgpack.Ext(_BIG_INT, str(value).encode())
    if depth > _DEPTH_MAX:
        message = f"nested deeper than {_DEPTH_MAX}"
        raise StateError(message)
    if kind is list:
        return [_pack(item, depth + 1) for item in value]
    if kind is dict:
        return _pack_dict(value, depth)
    if kind in _SEQUENCES:
        items = sorted(value, key=repr) if kind in (set, frozenset) else list(value)
        payload = [_pack(item, depth + 1) for item in items]
        if kind is deque:
            payload = [value.maxlen, payload]
        return msgspec.msgpack.Ext(_SEQUENCES[kind], _encode(payload))
    if isinstance(value, msgspec.Struct):
        if _find(kind.__module__, kind.__qualname__) is not kind:
            message = f"{kind.__module__}.{kind.__qualname__} cannot be found again: define it at the top of its module"
            raise StateError(message)
        fields = [_pack(getattr(value, name), depth + 1) for name in value.__struct_fields__]
        return msgspec.msgpack.Ext(_STRUCT, _encode([kind.__module__, kind.__qualname__, fields]))
    return _pack_numpy(value)


def _pack_dict(value: dict[Any, Any], depth: int) -> Any:  # noqa: ANN401 - a dict, or its extension
    if all(type(key) is str for key in value):
        return {key: _pack(item, depth + 1) for key, item in value.items()}
    pairs = [[_pack(key, depth + 1), _pack(item, depth + 1)] for key, item in value.items()]
    return msgspec.msgpack.Ext(_DICT, _encode(pairs))


def _pack_numpy(value: Any) -> msgspec.msgpack.Ext:  # noqa: ANN401 - whatever the user stored
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.kind in "biufc":
        payload = [value.dtype.str, list(value.shape), value.tobytes()]
        return msgspec.msgpack.Ext(_ARRAY, _encode(payload))
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in "biufc":
        return msgspec.msgpack.Ext(_SCALAR, _encode([value.dtype.str, value.tobytes()]))
    message = f"{type(value).__module__}.{type(value).__qualname__} is not a plain value, array or Struct"
    raise StateError(message)


def _decode(payload: memoryview | bytes) -> Any:  # noqa: ANN401 - what was encoded
    return msgspec.msgpack.decode(payload, ext_hook=_unpack)


def _find(module: str, qualname: str) -> Any:  # noqa: ANN401 - a class, or None
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _unpack(code: int, payload: memoryview) -> Any:  # noqa: ANN401 - what was encoded
    if code == _STRUCT:
        module, qualname, fields = _decode(payload)
        kind = _find(module, qualname)
        return kind(**dict(zip(kind.__struct_fields__, fields, strict=True)))
    return _UNPACKERS[code](payload)


def _unpack_deque(payload: memoryview) -> deque[Any]:
    maxlen, items = _decode(payload)
    return deque(items, maxlen)


def _unpack_array(payload: memoryview) -> Any:  # noqa: ANN401 - an ndarray; numpy is not imported for nothing
    import numpy as np

    dtype, shape, data = _decode(payload)
    return np.frombuffer(data, dtype=dtype).reshape(shape).copy()


def _unpack_scalar(payload: memoryview) -> Any:  # noqa: ANN401 - a numpy scalar
    import numpy as np

    dtype, data = _decode(payload)
    return np.frombuffer(data, dtype=dtype)[0]


_SEQUENCES: dict[type, int] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET, deque: _DEQUE}
_UNPACKERS: dict[int, Callable[[memoryview], Any]] = {
    _TUPLE: lambda payload: tuple(_decode(payload)),
    _SET: lambda payload: set(_decode(payload)),
    _FROZENSET: lambda payload: frozenset(_decode(payload)),
    _DEQUE: _unpack_deque,
    _ARRAY: _unpack_array,
    _SCALAR: _unpack_scalar,
    _BIG_INT: lambda payload: int(bytes(payload)),
    _DICT: lambda payload: dict(_decode(payload)),
}
