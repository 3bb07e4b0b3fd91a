"""The digest: equal digests mean equal decisions.

The decisions of one input, in order, are one msgpack array. A digest is a chain over the inputs that
caused any: ``digest' = BLAKE2b-128(digest + time of the input + array)``. A chain, unlike one long hash,
can be stored in a snapshot and continued by another process.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from actors.messages import Message

DIGEST_BYTES = 16
GENESIS = bytes(DIGEST_BYTES)
_ARRAY16 = b"\xdc"
_ARRAY16_MAX = 0xFFFF


class Digest:
    """Folds decisions; a subscriber of every decision type, ahead of all others."""

    __slots__ = ("_count", "_encode_into", "buffer", "name", "value")

    isolated = False

    def __init__(self) -> None:
        self.name = "digest"
        self.value = GENESIS
        self.buffer = bytearray()
        """Decisions of the input in hand, encoded."""
        self._count = 0
        self._encode_into = msgspec.msgpack.Encoder().encode_into

    def on_decision(self, message: Message) -> None:
        """Append one decision of the input in hand."""
        self._encode_into(message, self.buffer, -1)
        self._count += 1

    def seal(self, ts_ns: int) -> bytes:
        """Fold the decisions of the input that just ended; return them as one msgpack array."""
        assert 0 < self._count <= _ARRAY16_MAX, self._count
        effects = _ARRAY16 + self._count.to_bytes(2, "big") + self.buffer
        hasher = blake2b(self.value, digest_size=DIGEST_BYTES)
        hasher.update(ts_ns.to_bytes(8, "big", signed=True))
        hasher.update(effects)
        self.value = hasher.digest()
        self.buffer.clear()
        self._count = 0
        return effects
