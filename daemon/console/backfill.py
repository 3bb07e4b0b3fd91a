"""What strategies were told before the console was there to hear it: the session run again, in a process of its own.

The journal has every input, so the core makes the same rows of them, to the bit. The process reads the journal only,
lets nothing out, and runs at the lowest priority. As a program, this module is that process.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from daemon.console.types import BarRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.messages import Message
    from daemon.console.history import SessionFacts

Told = dict[tuple[str, str], dict[int, dict[str, float | None]]]
"""What each strategy was told of each symbol, by the opening of the bar."""

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from daemon.console.backfill import main; main()"
_ROWS_MAX = 20_000
"""The newest of each strategy and symbol."""
_SESSIONS_KEPT = 4
_PATIENCE_S = 300.0
_AGAIN_S = 60.0
_PR_SET_PDEATHSIG = 1
_NICENESS = 19

_decode = msgspec.json.Decoder(list[BarRow]).decode

log = structlog.get_logger()


class Backfill:
    """What sessions were told, computed once when it is first asked for.

    Args:
        journal: the file.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._told: dict[int, Told | None] = {}
        """By session; None while it is computed."""
        self._computed_s: dict[int, float] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._one = asyncio.Lock()

    def features(
        self, session: SessionFacts, strategy: str, symbol: str, reach_ns: int
    ) -> dict[int, dict[str, float | None]] | None:
        """Return what a strategy was told, as far as it was computed; None while it is.

        Args:
            session: whose.
            strategy: which.
            symbol: of what.
            reach_ns: computed again if that was so early that it does not reach here, though not all the time.
        """
        number = session.number
        told = self._told.get(number)
        if told is not None:
            found = told.get((strategy, symbol), {})
            is_fresh = time.monotonic() - self._computed_s[number] < _AGAIN_S
            if is_fresh or max(found, default=0) >= reach_ns:
                return found
            del self._told[number]
        if number not in self._told and len(self._running) < _SESSIONS_KEPT:  # else the next who asks begins it
            while len(self._told) >= _SESSIONS_KEPT:
                done = next(kept for kept, found in self._told.items() if found is not None)
                del self._told[done]
            self._told[number] = None
            task = asyncio.create_task(self._compute(number, session.id))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return None

    async def close(self) -> None:
        """End what is still computed."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _compute(self, session: int, session_id: str) -> None:
        told: Told = {}
        try:
            async with self._one:
                told = await self._computed(session_id)
        except (OSError, msgspec.DecodeError) as error:
            log.warning("features_not_computed", session=session_id, error=str(error))
        finally:
            self._told[session] = told
            self._computed_s[session] = time.monotonic()

    async def _computed(self, session_id: str) -> Told:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _PROGRAM, str(self._journal), session_id),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_PATIENCE_S):
                output, _ = await process.communicate()
            if not process.returncode:
                return await asyncio.to_thread(_by_opening, output)
            log.warning("features_not_computed", session=session_id, exit_code=process.returncode)
        except TimeoutError:
            log.warning("features_not_computed", session=session_id, after_s=_PATIENCE_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return {}


def _by_opening(output: bytes) -> Told:
    told: Told = {}
    for row in _decode(output):
        told.setdefault((row.strategy, row.symbol), {})[row.open_ns] = row.features
    return told


class _Ear:
    """Hears what strategies are told."""

    name = "backfill"
    isolated = False

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], deque[Message]] = {}

    def on_row(self, row: Message) -> None:
        """Keep a row."""
        from actors.messages import FeatureRow

        assert isinstance(row, FeatureRow)
        key = (row.strategy, row.bar.symbol)
        kept = self.rows.get(key)
        if kept is None:
            kept = self.rows[key] = deque(maxlen=_ROWS_MAX)
        kept.append(row)


def rows_of(journal: Path, session_id: str) -> Iterable[BarRow]:
    """Run a session of a journal again, and return what its strategies were told, the newest of each."""
    from actors.messages import FeatureRow
    from actors.runtime.journal import JournalReader
    from daemon.console.bar_row import bar_row
    from replay.journal import apply_record, decode_plan
    from replay.plan import build_core, start_core

    ear = _Ear()
    reader = JournalReader(journal)
    try:
        session = reader.session(session_id)
        assert session is not None, session_id
        core = build_core(decode_plan(session.plan), {FeatureRow: [ear.on_row]})
        start_core(core)
        for record in reader.records(session.number):
            apply_record(core, record)
    finally:
        reader.close()
    return [bar_row(0, row) for kept in ear.rows.values() for row in kept if isinstance(row, FeatureRow)]


def main() -> None:
    """Write the rows of a session as JSON; the arguments are the journal and the session's id."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_NICENESS)
    sys.stdout.buffer.write(msgspec.json.encode(list(rows_of(Path(sys.argv[1]), sys.argv[2]))))
