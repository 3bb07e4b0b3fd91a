"""Writing that survives a crash, and who may write where."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from config.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCKS_NAME = ".locks"
STAGING_PREFIX = ".staging-"
_HASHED_BYTES = 2**20
_TRIES_MAX = 10


@contextmanager
def disk(place: Path) -> Iterator[None]:
    """Turn what a disk refuses into one line that names the place.

    Raises:
        UserError: the disk refused.
    """
    try:
        yield
    except OSError as error:
        message = f"{error.filename or place}: {error.strerror or error}"
        raise UserError(message) from error
    except pl.exceptions.ComputeError as error:
        message = f"{place}: {str(error).strip().splitlines()[0]}"
        raise UserError(message) from error


@contextmanager
def locked(root: Path, folder: Path) -> Iterator[None]:
    """Hold the lock of a series; waits for whoever has it, which is never for longer than one commit.

    The locks lie apart from the series, so that removing a series does not take its lock away.
    """
    locks = root / LOCKS_NAME
    locks.mkdir(parents=True, exist_ok=True)
    fd = os.open(locks / "~".join(folder.parts), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


class Staging:
    """A folder for files that are not part of a series yet; removed at the end, whatever the end is.

    As long as its process lives it holds a lock on the folder: a staging folder without one is what a crash left.
    """

    __slots__ = ("_fd", "path")

    def __init__(self, series: Path) -> None:
        """Make the folder; to be called under the lock of the series."""
        self.path = _new_folder(series)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the folder and what is still in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._fd)


def _new_folder(series: Path) -> Path:
    """Return a new folder in that of a series; one of those above may be removed meanwhile, with another series."""
    for _ in range(_TRIES_MAX):
        try:
            series.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=series))
        except FileNotFoundError:
            continue
    message = "its folders are removed again and again"
    raise OSError(errno.ENOENT, message, str(series))


def remove_empty(folder: Path, root: Path) -> None:
    """Remove the folder of a series and those above it that hold nothing; under the lock of the series."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def remove_leftovers(series: Path, named: set[str]) -> None:
    """Remove Parquet files that are not `named` and staging folders without an owner; under the lock of the series."""
    for path in series.iterdir():
        if path.name.startswith(STAGING_PREFIX):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            else:
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(fd)
        elif path.name not in named and path.suffix in {".parquet", ".partial"}:
            path.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file so that a crash leaves the old content or the new, never a part."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while data := file.read(_HASHED_BYTES):
            digest.update(data)
    return digest.hexdigest()
