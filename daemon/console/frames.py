"""What goes through the socket between daemon and console: a greeting, then frames.

Each is a JSON document behind its length in four bytes. Rows are encoded once, in the daemon, as clients will
see them; the console compares and passes on their bytes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from config.schema import Settings
from daemon.histogram import HistogramRow

_LENGTH_BYTES = 4
_FRAME_BYTES_MAX = 64 * 1024 * 1024

encode = msgspec.json.Encoder(decimal_format="number").encode


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing a console is told: what it serves."""

    settings: Settings
    state_dir: str
    token: str
    core_url: str
    session: str
    number: int
    """Of the session in the journal."""
    run: int
    mode: str
    tape: str
    started_wall_ns: int
    data_dir: str = ""
    """Where the catalogue is; empty for the usual place."""


class Meters(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted in the daemon and no client of the stream needs; the console's metrics are made of it."""

    counts: dict[str, int]
    """Messages of the session by type; inputs begin with ``entry:``."""
    decided: HistogramRow
    """From an input's arrival until the core has decided."""
    released: HistogramRow
    """From there until its effects may leave."""
    acknowledged: HistogramRow
    """From an order's birth until the venue accepted it, by the core's time."""
    filled: HistogramRow
    """Until it was filled whole, likewise."""
    lag_inputs: int
    """Inputs that were not durable when this was read."""
    lag_s: float
    """How long the oldest effect had waited for that."""
    dead_letters: int
    weight: int | None
    """Request weight of the last minute; None without a venue."""
    weight_max: int | None
    requests_waiting: int | None


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed since the frame before."""

    full: bool
    """Whether it has every section: what is not in it has never been told."""
    sections: dict[str, dict[str, msgspec.Raw]]
    """Section, key, row; a section that is here is here whole."""
    events: list[msgspec.Raw]
    """Oldest first."""
    rows: list[msgspec.Raw]
    """Bars that have closed, oldest first."""
    lines: list[dict[str, Any]]
    """Of the daemon's log, oldest first."""
    missed: int
    """Events before these that nobody kept, because there were too many."""
    meters: Meters | None = None
    """Once a second."""


decode_hello = msgspec.json.Decoder(Hello).decode
decode_frame = msgspec.json.Decoder(Frame).decode


def packed(document: bytes) -> bytes:
    """Return a document as it goes through the socket."""
    return len(document).to_bytes(_LENGTH_BYTES, "big") + document


async def read_document(reader: asyncio.StreamReader) -> bytes:
    """Return the next document.

    Raises:
        asyncio.IncompleteReadError: the daemon is gone.
    """
    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
    assert length <= _FRAME_BYTES_MAX, length
    return await reader.readexactly(length)
