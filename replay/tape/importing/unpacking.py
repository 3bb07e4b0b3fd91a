"""Files and what is packed in them, read as streams that never grow beyond a bound.

Nothing is unpacked to disk. What an archive says of its own sizes is not believed: bytes are counted as they
come out, and a member that swells like a bomb is refused before it has done any harm.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Literal, Self, cast

from config.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

RATIO_MAX = 250
"""Bytes unpacked for one packed; a year of one and the same bar comes to less than 200."""
UNJUDGED_BYTES = 32 * 2**20
"""What may come out before the ratio is looked at."""
UNPACKED_BYTES_MAX = 256 * 2**30
MEMBERS_MAX = 20_000

Compression = Literal["none", "gzip", "zip"]

_MAGIC_GZIP = b"\x1f\x8b"
_MAGIC_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_FOREIGN = (
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"Rar!", "RAR"),
)
_DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError)


class Stream:
    """Bytes of a file or member, counted."""

    __slots__ = ("_file", "_owner", "_packed", "_read", "_size", "_source", "_where")

    def __init__(
        self,
        file: IO[bytes],
        where: str,
        size: int,
        packed: int | None,
        source: IO[bytes] | None = None,
        owner: zipfile.ZipFile | None = None,
    ) -> None:
        self._file = file
        self._where = where
        self._size = size
        """Bytes of `source`, or else of what comes out, as far as anybody says."""
        self._packed = packed
        self._source = source
        """What the bytes are unpacked from."""
        self._owner = owner
        self._read = 0

    @property
    def fraction(self) -> float:
        """How much of it has been read, 0 to 1."""
        read = self._read if self._source is None else self._source.tell()
        return min(1.0, read / self._size) if self._size else 1.0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer only at the end.

        Raises:
            UserError: the file is damaged or cut off, or swells beyond all measure.
        """
        parts = []
        while size > 0:
            try:
                data = self._file.read(min(size, 2**20) if self._packed is not None else size)
            except _DAMAGE as error:
                message = f"{self._where}: is damaged or cut off ({_reason(error)})"
                raise UserError(message) from error
            if not data:
                break
            parts.append(data)
            size -= len(data)
            self._count(len(data))
        return b"".join(parts)

    def _count(self, size: int) -> None:
        self._read += size
        if self._packed is None:
            return
        if self._read > UNPACKED_BYTES_MAX or (
            self._read > UNJUDGED_BYTES and self._read > RATIO_MAX * max(self._packed, 1)
        ):
            message = (
                f"{self._where}: {self._packed:,} bytes unpack to more than {self._read:,}, which no market data does;"
                " if it is sound, unpack it yourself"
            )
            raise UserError(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._source is not None:
            self._source.close()
        if self._owner is not None:
            self._owner.close()


def compression_of(path: Path) -> Compression:
    """Return how a file is packed, by its first bytes.

    Raises:
        UserError: there is no such file, it is empty, or it is packed in a way that is not read here.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(8)
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        raise UserError(message) from error
    if not magic:
        message = f"{path}: the file is empty"
        raise UserError(message)
    for start, name in _FOREIGN:
        if magic.startswith(start):
            message = f"{path}: {name} is not read here; unpack it first, or pack it as gzip or zip"
            raise UserError(message)
    if magic.startswith(_MAGIC_GZIP):
        return "gzip"
    return "zip" if magic.startswith(_MAGIC_ZIP) else "none"


def members_of(path: Path) -> list[str]:
    """Return the names of the tables in a zip archive, in their order there.

    Raises:
        UserError: the archive is damaged, locked, empty, or holds far too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not _is_chaff(info)]
    except _DAMAGE as error:
        message = f"{path}: is damaged or cut off ({_reason(error)})"
        raise UserError(message) from error
    if not infos:
        message = f"{path}: there is no file in the archive"
        raise UserError(message)
    if len(infos) > MEMBERS_MAX:
        message = f"{path}: {len(infos):,} files in one archive, {MEMBERS_MAX:,} at the most are read"
        raise UserError(message)
    for info in infos:
        if info.flag_bits & 1:
            message = f"{path}: {info.filename} is locked by a password"
            raise UserError(message)
    if sum(info.file_size for info in infos) > UNPACKED_BYTES_MAX:
        message = f"{path}: unpacks to more than {UNPACKED_BYTES_MAX:,} bytes"
        raise UserError(message)
    return [info.filename for info in infos]


def open_stream(path: Path, compression: Compression, member: str, where: str) -> Stream:
    """Open a file, or a member of an archive, for reading."""
    try:
        size = path.stat().st_size
        if compression == "gzip":
            source = path.open("rb")
            return Stream(cast("IO[bytes]", gzip.open(source)), where, size, size, source)
        if compression == "none":
            return Stream(path.open("rb", buffering=0), where, size, None)
        archive = zipfile.ZipFile(path)
        info = archive.getinfo(member)
        return Stream(archive.open(member), where, info.file_size, info.compress_size, owner=archive)
    except (*_DAMAGE, KeyError) as error:
        message = f"{where}: is damaged or cut off ({_reason(error)})"
        raise UserError(message) from error


def _is_chaff(info: zipfile.ZipInfo) -> bool:
    """Return whether a member is what packers leave behind, not data."""
    name = info.filename.rsplit("/", 1)[-1]
    return info.is_dir() or name.startswith(".") or info.filename.startswith("__MACOSX/")


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
