"""What a strategy may remember: types survive, everything else is refused by name."""

from __future__ import annotations

import datetime as dt
import fractions
from collections import OrderedDict, deque
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.state import StateError, dump_state, load_state


class Point(msgspec.Struct):
    """A struct of a user's."""

    x: int
    y: Any = None


class Frozen(msgspec.Struct, frozen=True, kw_only=True, tag="f", array_like=True):
    """Another one, with every option."""

    name: str
    inner: Point


class Outer:
    """A class with a struct inside."""

    class Inner(msgspec.Struct):
        """Found again by its qualified name."""

        value: float


def round_trip(value: Any) -> Any:
    loaded = load_state(dump_state({"it": value}))
    assert list(loaded) == ["it"]
    return loaded["it"]


def same(left: Any, right: Any) -> bool:
    """Compare values and types, all the way down; NaN equals itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, np.generic):
        return left.dtype == right.dtype and left.tobytes() == right.tobytes()
    if isinstance(left, (list, tuple, deque)):
        bounds = not isinstance(left, deque) or left.maxlen == right.maxlen
        return bounds and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            same(a, b) and same(left[a], right[b]) for a, b in zip(left, right, strict=True)
        )
    if isinstance(left, float):
        return np.float64(left).tobytes() == np.float64(right).tobytes()
    if isinstance(left, msgspec.Struct):
        return all(same(getattr(left, name), getattr(right, name)) for name in left.__struct_fields__)
    return bool(left == right)


SAMPLES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**63),
    -(2**63) - 1,
    10**400,
    0.0,
    -0.0,
    0.1,
    float("inf"),
    float("nan"),
    "",
    "text \u20ac \0",
    b"",
    b"\x00\xff",
    [],
    [1, [2, [3]]],
    (),
    (1, (2,), [3]),
    {},
    {"a": 1, "b": {"c": [None]}},
    {1: "one", (2, 3): "pair", None: 0, 1.5: [], True: "x"},  # noqa: F601 - equal keys of two types
    {"": 0},
    set(),
    {1, 2, 3},
    {"a", ("b", 2)},
    frozenset({1, "x"}),
    deque(),
    deque([1, 2, 3], maxlen=5),
    deque([(1, 2.5)], maxlen=None),
    Point(1),
    Point(1, [Point(2, (3,))]),
    Frozen(name="n", inner=Point(5)),
    Outer.Inner(0.5),
    np.arange(6, dtype=np.int32),
    np.zeros((2, 3)),
    np.array(1.5),
    np.zeros((0, 4), np.float32),
    np.array([True, False]),
    np.array([1 + 2j]),
    np.array([1, 2], dtype=">u2"),
    np.float64(0.1),
    np.float32(0.1),
    np.int64(-5),
    np.bool_(True),
    np.complex128(1j),
]


@pytest.mark.parametrize(
    "value", SAMPLES, ids=[f"{index} {type(value).__name__}" for index, value in enumerate(SAMPLES)]
)
def test_values_survive_with_their_types(value: Any) -> None:
    assert same(round_trip(value), value)


plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.binary(max_size=5),
        st.floats(width=32).map(np.float32),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(lambda items: deque(items, maxlen=4)),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.dictionaries(st.integers(), inner, max_size=3),
        st.builds(Point, st.integers(), inner),
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(plain)
@settings(deadline=None, max_examples=300)
def test_any_nesting_survives(value: Any) -> None:
    assert same(round_trip(value), value)


def test_equal_memories_are_equal_bytes_whatever_the_order_of_a_set() -> None:
    """A set has no order of its own; what is stored must not depend on how it came about."""
    one, other = {0, 8}, {8, 0}
    assert list(one) != list(other), "two that collide stand in the order they came"
    assert dump_state({"seen": one}) == dump_state({"seen": other})
    assert dump_state({"seen": frozenset(one)}) == dump_state({"seen": frozenset(other)})


def test_an_array_comes_back_writable_and_its_own() -> None:
    original = np.arange(3.0)
    loaded = round_trip(original)
    loaded[0] = 9.0
    assert original[0] == 0.0


def test_a_view_is_stored_as_what_it_shows() -> None:
    grid = np.arange(12).reshape(3, 4)
    assert round_trip(grid[::2, 1::2]).tolist() == grid[::2, 1::2].tolist()
    assert round_trip(np.asfortranarray(grid)).tolist() == grid.tolist()


class Sub(dict[str, int]):
    """A dict of another kind."""


def local_struct() -> Any:
    class Local(msgspec.Struct):
        x: int = 0

    return Local()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "builtins.object is not a plain value"),
        (lambda: None, "builtins.function is not a plain value"),
        (Decimal(1), "decimal.Decimal is not"),
        (fractions.Fraction(1), "fractions.Fraction is not"),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "datetime.datetime is not"),
        (OrderedDict(), "collections.OrderedDict is not"),
        (Sub(), "Sub is not"),
        (np.array([object()]), "numpy.ndarray is not"),
        (np.array(["text"]), "numpy.ndarray is not"),
        (np.datetime64("2026"), "numpy.datetime64 is not"),
        (local_struct(), "cannot be found again: define it at the top of its module"),
        (bytearray(b"x"), "builtins.bytearray is not"),
        (iter([]), "is not a plain value"),
        (["no text \udcff"], "surrogates not allowed"),
        ([10**5_000], "Exceeds the limit"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"k": (v,)}, lambda v: Point(1, v)])
def test_what_cannot_be_kept_is_refused_by_the_name_of_its_attribute(value: Any, why: str, wrap: Any) -> None:
    with pytest.raises(StateError, match=r"^self\.thing cannot be kept across a restart: ") as caught:
        dump_state({"fine": 1, "thing": wrap(value)})
    assert why in str(caught.value)


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(StateError, match="nested deeper than 64"):
        dump_state({"endless": endless})


def test_sharing_is_not_kept() -> None:
    shared = [1]
    loaded = load_state(dump_state({"a": shared, "b": shared}))
    loaded["a"].append(2)
    assert loaded["b"] == [1]
