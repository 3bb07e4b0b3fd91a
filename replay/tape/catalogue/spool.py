"""What was recorded and is not in the catalogue yet: lines of a file beside it.

A row of a recording is a line, ``TS SEQ MESSAGE``. Lines are appended and made durable every moment, and now and then
all of them are handed over to the catalogue, which takes them all or none. A process that dies in between leaves its
file behind, and who records the series next hands its whole lines over first; rows that are already there collapse.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from config.errors import UserError
from replay.tape.catalogue.folders import disk, sync
from replay.tape.catalogue.store import Provenance
from replay.tape.recording import decode_said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replay.tape.catalogue.keys import SeriesKey
    from replay.tape.catalogue.store import Catalogue

FOLDER_NAME = ".recording"
_FRAME_ROWS = 65_536
_SCHEMA = {"ts": pl.Int64, "seq": pl.Int64, "message": pl.String}


class Spool:
    """The rows of one series of the kind `feed` on their way; nobody else records it meanwhile.

    Args:
        catalogue: where they go.
        key: the series.

    Attributes:
        lost_bytes: what a crash had left behind of a line it could not finish.
        size: bytes that are written and not handed over.
        folder: where the file is.

    Raises:
        UserError: somebody else records the series, or the disk refuses.
    """

    def __init__(self, catalogue: Catalogue, key: SeriesKey) -> None:
        self.key = key
        self.lost_bytes = 0
        self.size = 0
        self._catalogue = catalogue
        self._lines: list[bytes] = []
        self.folder = folder = catalogue.root / FOLDER_NAME
        name = "~".join(key.folder.parts[1:3])
        self._path, self._sealed = folder / f"{name}.lines", folder / f"{name}.sealed"
        with disk(catalogue.root):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._lock)
                message = f"{key}: another process is recording it into {catalogue.root}"
                raise UserError(message) from error
            try:
                self._deliver(self._sealed)
                self._deliver(self._path)
                self._file = self._path.open("ab")
                sync(folder)
            except BaseException:
                os.close(self._lock)
                raise

    def append(self, ts_ns: int, seq: int, text: bytes) -> None:
        """Take the next row."""
        self._lines.append(b"%d %d %b\n" % (ts_ns, seq, text))

    def flush(self) -> None:
        """Make what was taken durable; rows may be taken by another thread meanwhile.

        Raises:
            UserError: the disk refuses.
        """
        lines, self._lines = self._lines, []
        if lines:
            with disk(self._catalogue.root):
                self.size += self._file.write(b"".join(lines))
                self._file.flush()
                os.fsync(self._file.fileno())

    def hand_over(self) -> None:
        """Put all that was taken into the catalogue.

        Raises:
            UserError: the disk refuses; what was flushed is not lost.
        """
        self.flush()
        with disk(self._catalogue.root):
            if self.size:
                self._file.close()
                self._path.replace(self._sealed)
                self._file = self._path.open("ab")
                sync(self._path.parent)
                self.size = 0
            self._deliver(self._sealed)

    def close(self) -> None:
        """Let go of the series; what was not handed over stays in the file."""
        with suppress(OSError):  # of a disk that has refused already, and was reported
            self._file.close()
        os.close(self._lock)

    def _deliver(self, path: Path) -> None:
        """Put the whole lines of a file into the catalogue, and remove it."""
        if not path.exists():
            return
        if path.stat().st_size:
            rows = self._rows(path)
            first = next(rows, None)
            if first is not None:
                self._catalogue.write(self.key, _frames(first, rows), Provenance(f"{self.key.venue} live"), "keep")
        path.unlink()

    def _rows(self, path: Path) -> Iterator[tuple[int, int, str]]:
        """Yield the rows of a file up to the first line that is not whole."""
        read = 0
        with path.open("rb") as file:
            for line in file:
                row = _parsed(line)
                if row is None:
                    self.lost_bytes += path.stat().st_size - read
                    return
                read += len(line)
                yield row


def _frames(first: tuple[int, int, str], rows: Iterator[tuple[int, int, str]]) -> Iterator[pl.DataFrame]:
    block = [first, *islice(rows, _FRAME_ROWS - 1)]
    while block:
        yield pl.DataFrame(block, schema=_SCHEMA, orient="row")
        block = list(islice(rows, _FRAME_ROWS))


def _parsed(line: bytes) -> tuple[int, int, str] | None:
    """Return the row a line holds; None for one that a crash has torn or garbled."""
    ts, _, rest = line.partition(b" ")
    seq, _, text = rest.partition(b" ")
    if not (line.endswith(b"\n") and ts.isdigit() and seq.isdigit()):
        return None
    try:
        decode_said(text)
        return int(ts), int(seq), text.rstrip(b"\n").decode()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
