"""Somebody else's Parquet files are read by another process before they are by ours.

A damaged page can make polars end the whole process, or print pages of its own; then it is that other process that
ends. Files of the catalogue need none of this: they are proven by their SHA-256.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

SUFFIXES = (".parquet", ".pq")
_PROVER = Path(__file__).with_name("prover.py")
_KNOWN_MAX = 1_000
_END_S = 5.0


class UnreadableError(OSError):
    """A file that cannot be read from its first row to its last; in one line."""


class Prover:
    """The other process; started when it is first needed, and again where it has ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._known: dict[tuple[str, int, int, str], str | None] = {}
        """What is wrong with files as they were when they were read; None of those with nothing."""

    def begin(self) -> None:
        """Start it, so that it is ready once it is asked."""
        with self._lock, suppress(OSError):
            self._running()

    def prove(self, path: Path, form: Literal["parquet", "feather"]) -> None:
        """Return once a file was read, or where no other process can be started.

        Raises:
            UnreadableError: it cannot be.
            OSError: it is not there.
        """
        where = str(path.absolute())
        found = path.stat()
        key = where, found.st_size, found.st_mtime_ns, form
        with self._lock:
            if key not in self._known:
                self._learn(key)
            trouble = self._known.get(key)
        if trouble is not None:
            raise UnreadableError(trouble)

    def _learn(self, key: tuple[str, int, int, str]) -> None:
        question = json.dumps({"path": key[0], "form": key[3]}).encode() + b"\n"
        # One that waited for long has ended, or ends just now: another one is asked then.
        answer = self._asked(question) or self._asked(question)
        if not self._is_ready and not answer:
            return  # nothing can be proven on this machine; whether polars runs here shows elsewhere
        while len(self._known) >= _KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[key] = json.loads(answer)["trouble"] if answer else "it is damaged: whoever reads it breaks off"

    def end(self) -> None:
        """End it, if it runs."""
        with self._lock:
            self._break_off()

    def _break_off(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was left to be written has no reader
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._break_off()
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - our own file
                [sys.executable, "-P", str(_PROVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._is_ready = False
        return self._process

    def _asked(self, question: bytes) -> bytes:
        """Return the answer; nothing where the process has ended over it."""
        try:
            process = self._running()
        except OSError:
            return b""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            self._is_ready = self._is_ready or bool(process.stdout.readline())
            process.stdin.write(question)
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            self._break_off()
        return answer


_prover = Prover()
atexit.register(_prover.end)


def begin() -> None:
    """Have the other process started already while there is something else to do."""
    _prover.begin()


def prove_tapes(arguments: Iterable[str]) -> None:
    """Have the Parquet files among arguments of a tape read; what is wrong with one is told when it is opened."""
    for argument in arguments:
        path = Path(argument.partition("=")[2] or argument)
        if path.suffix.lower() in SUFFIXES:
            with suppress(OSError):
                prove(path)


def prove(path: Path, form: Literal["parquet", "feather"] = "parquet") -> None:
    """Return once another process has read a file from its first row to its last.

    Raises:
        UnreadableError: it cannot be read; one line.
        OSError: it is not there.
    """
    _prover.prove(path, form)
