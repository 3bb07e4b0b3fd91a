"""Where a recording stands: what whoever goes on with it has to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import polars as pl

from actors.messages import Bar, Trade
from replay.tape.recording import Opened, decode_said

if TYPE_CHECKING:
    from replay.tape.catalogue.keys import SeriesKey
    from replay.tape.catalogue.store import Catalogue

_PARTS_MAX = 48
"""Hours that are looked through for the newest bar and the newest trade."""


class Standing(msgspec.Struct):
    """The end of a recording."""

    ts_ns: int = 0
    seq: int = -1
    close_ns: int | None = None
    """Close of the newest bar."""
    trade_id: int | None = None
    """Number of the newest trade."""
    opened: Opened | None = None
    """What was last said of what is recorded."""


def standing(catalogue: Catalogue, key: SeriesKey) -> Standing:
    """Return where a recording stands; all of it is empty where there is none.

    Raises:
        UserError: a file of it is missing.
    """
    found = Standing()
    manifest = catalogue.manifest(key)
    if manifest is None:
        return found
    paths = catalogue.paths(manifest)
    for path in reversed(paths[-_PARTS_MAX:]):
        table = pl.scan_parquet(path, glob=False)
        if found.seq < 0:
            last = table.last().collect()
            found.ts_ns, found.seq = last.item(0, "ts"), last.item(0, "seq")
        newest = [
            decode_said(rows.item(0, "message"))
            for name in ("Bar", "Trade", "Opened")
            if (rows := table.filter(pl.col("message").str.starts_with(f'["{name}"')).last().collect()).height
        ]
        for said in newest:
            if isinstance(said, Bar) and found.close_ns is None:
                found.close_ns = said.close_ns
            elif isinstance(said, Trade) and found.trade_id is None:
                found.trade_id = said.trade_id or None
            elif isinstance(said, Opened) and found.opened is None:
                found.opened = said
        if found.close_ns is not None and found.trade_id is not None and found.opened is not None:
            break
    return found
