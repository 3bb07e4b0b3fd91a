"""The digest: equal digests mean equal decisions.

The decisions of one input, in order, are one msgpack array. A digest is a chain over the inputs that
caused any: ``digest' = BLAKE2b-128(digest + time of the input + array)``. A chain, unlike one long hash,
can be stored in a snapshot and continued by another process.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from actors.messages import Message

DIGEST_BYTES = 16
GENESIS = bytes(DIGEST_BYTES)


class Decided(list[Message]):
    """The decisions of the input in hand; its `append` is the first subscriber of every decision type."""

    name = "digest"
    isolated = False


class Digest:
    """Folds the decisions of one input after the other.

    Attributes:
        value: the digest so far.
        decided: decisions of the input in hand.
    """

    __slots__ = ("_encode", "decided", "value")

    def __init__(self) -> None:
        self.value = GENESIS
        self.decided = Decided()
        self._encode = msgspec.msgpack.Encoder().encode

    def seal(self, ts_ns: int) -> bytes:
        """Fold the decisions of the input that just ended; return them as one msgpack array."""
        assert self.decided
        effects = self._encode(self.decided)
        self.decided.clear()
        self.value = fold(self.value, ts_ns, effects)
        return effects


def fold(value: bytes, ts_ns: int, effects: bytes) -> bytes:
    """Return the digest after an input of that time caused `effects`, from the digest `value` before it."""
    return blake2b(value + ts_ns.to_bytes(8, "big", signed=True) + effects, digest_size=DIGEST_BYTES).digest()
