"""The digest: a chain over decisions that notices every difference and can be continued elsewhere."""

from __future__ import annotations

from hashlib import blake2b

import msgspec
import pytest

from actors import messages as m
from actors.runtime.digest import DIGEST_BYTES, GENESIS, Digest
from actors.runtime.journal import decode_effects

VETO = m.RiskVeto("a", "X", 1, "no")
OTHER = m.RiskVeto("a", "X", 2, "no")


def fold(digest: Digest, ts_ns: int, *decisions: m.Message) -> bytes:
    for decision in decisions:
        digest.decided.append(decision)
    return digest.seal(ts_ns)


def test_the_chain_is_what_the_contract_says() -> None:
    digest = Digest()
    effects = fold(digest, 7, VETO, OTHER)
    assert effects == msgspec.msgpack.encode([VETO, OTHER])
    expected = blake2b(GENESIS + (7).to_bytes(8, "big", signed=True) + effects, digest_size=DIGEST_BYTES).digest()
    assert digest.value == expected
    again = fold(digest, 9, VETO)
    chained = expected + (9).to_bytes(8, "big", signed=True) + again
    assert digest.value == blake2b(chained, digest_size=DIGEST_BYTES).digest()


def test_what_is_sealed_can_be_decoded_as_decisions() -> None:
    assert decode_effects(fold(Digest(), 7, VETO, OTHER)) == [VETO, OTHER]


def test_many_decisions_of_one_input_are_one_array() -> None:
    many = [m.RiskVeto("a", "X", ref, "no") for ref in range(70_000)]
    assert decode_effects(fold(Digest(), 7, *many)) == many


def test_a_chain_goes_on_from_a_stored_value() -> None:
    whole, first = Digest(), Digest()
    fold(whole, 1, VETO)
    fold(whole, 2, OTHER)
    fold(first, 1, VETO)
    second = Digest()
    second.value = first.value
    fold(second, 2, OTHER)
    assert second.value == whole.value


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([(1, [VETO, OTHER])], [(1, [OTHER, VETO])]),
        ([(1, [VETO]), (1, [OTHER])], [(1, [VETO, OTHER])]),
        ([(1, [VETO])], [(2, [VETO])]),
        ([(1, [VETO])], [(1, [VETO, VETO])]),
        ([(1, [VETO])], [(1, [m.RiskVeto("a", "X", 1, "No")])]),
        ([(1, [m.Accepted("o", "a", "X", 1)])], [(1, [m.CancelRequest("a", "X", 1)])]),
    ],
    ids=["order", "grouping", "time", "count", "content", "kind"],
)
def test_every_difference_shows(
    left: list[tuple[int, list[m.Message]]], right: list[tuple[int, list[m.Message]]]
) -> None:
    values = []
    for history in (left, right):
        digest = Digest()
        for ts_ns, decisions in history:
            fold(digest, ts_ns, *decisions)
        values.append(digest.value)
    assert values[0] != values[1]


def test_sealing_leaves_nothing_behind() -> None:
    digest = Digest()
    fold(digest, 1, VETO)
    assert not digest.decided
    with pytest.raises(AssertionError):
        digest.seal(2)
