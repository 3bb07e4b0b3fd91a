"""What is checked: files of any layout that can be imported, and series of the catalogue."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import TYPE_CHECKING

from config.errors import UserError
from replay.tape.checking.reading import Rows, lazy_rows
from replay.tape.importing import inspect, read
from replay.tape.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


def open_rows(file: str, kind: str | None = None) -> Rows:
    """Return the rows of a file as they stand in it.

    Args:
        file: whatever can be imported.
        kind: the kind of series; told by its look when ``None``.

    Raises:
        UserError: it cannot be read, or fits no layout.
    """
    path = Path(os.path.expanduser(file))  # noqa: PTH111 - Path.expanduser raises for strangers
    layout = inspect(path, kind=kind, as_is=True)

    def frames() -> Iterator[pl.DataFrame]:
        return read(path, layout, as_is=True)

    return Rows(file, layout.kind, frames, path.stat().st_mtime_ns)


def open_series(name: str, data_dir: Path | None = None, kind: str | None = None) -> Rows:
    """Return the rows of a file, or of a series of the catalogue if there is no such file.

    Args:
        name: a file, or ``VENUE:SYMBOL:TIMEFRAME``, or ``VENUE:SYMBOL`` where that is one series only, perhaps with
            ``KIND:`` before it.
        data_dir: where the catalogue is; the usual place when ``None``.
        kind: the kind of series, where the name or the columns leave doubt.

    Raises:
        UserError: as `open_rows` does; or there is no such series, or there are several.
    """
    if ":" not in name or os.path.lexists(os.path.expanduser(name)):  # noqa: PTH111
        return open_rows(name, kind)
    from replay.tape.catalogue import Catalogue, default_data_dir

    catalogue = Catalogue(data_dir or default_data_dir())
    manifest = catalogue.named(name, kind)
    key = manifest.key
    if kind_of(key.kind).recorded:
        message = f"{name}: a recorded feed is checked row by row when it is played, and its notes name every break"
        raise UserError(message)
    catalogue.whole(manifest)
    return lazy_rows(catalogue.scan(key), str(key), key.kind)
