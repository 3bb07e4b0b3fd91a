"""The console's copy of what the daemon shows: rows with a version each, and the newest events.

Every frame makes one new version of the whole. What a client has not seen is what is younger than the version it
has: nothing is queued for anybody, and who is slow is told of the newest only.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.console.frames import Frame, Meters

_GONE_MAX = 10_000
"""Rows that are gone, remembered for clients that were away."""
_MESSAGES_MAX = 64
"""Of one version, kept for others who have what their first reader had."""

encode = msgspec.json.Encoder(decimal_format="number").encode


class Mirror:
    """Keeps what frames tell.

    Args:
        events_kept: newest events kept.

    Attributes:
        epoch: another one is another process, whose versions mean something else.
        seq: version of the whole.
        ready: set once there is something to show.
        meters: what the daemon counted, as it was told last.
    """

    def __init__(self, events_kept: int) -> None:
        self.epoch = secrets.token_hex(6)
        self.seq = 0
        self.ready = asyncio.Event()
        self.meters: Meters | None = None
        self.on_rows: Callable[[list[msgspec.Raw]], None] | None = None
        """Told the bars of every frame."""
        self.on_lines: Callable[[list[dict[str, Any]]], None] | None = None
        """Told the lines of every frame."""
        self.on_events: Callable[[list[msgspec.Raw]], None] | None = None
        """Told the events of every frame."""
        self._sections: dict[str, dict[str, tuple[int, msgspec.Raw]]] = {}
        self._own: set[str] = set()
        """Sections of the console itself, which no frame has."""
        self._gone: dict[tuple[str, str], int] = {}
        self._gone_since = 0
        """What was gone at this version or before may be forgotten."""
        self._events: deque[tuple[int, msgspec.Raw]] = deque(maxlen=events_kept)
        self._event_count = 0
        self._counts: deque[tuple[int, int]] = deque([(0, 0)], maxlen=events_kept)
        """(version, events there had been by then), for versions at which there were any."""
        self._changed = asyncio.Event()
        self._messages: dict[int, bytes] = {}
        """Of the stream, by the version they start from: made once for all clients that have it."""

    def take(self, frame: Frame) -> None:
        """Take over one frame."""
        seq = self.seq + 1
        changed = [self._take_section(name, rows, seq) for name, rows in frame.sections.items()]
        if frame.full:
            unknown = self._sections.keys() - frame.sections.keys() - self._own
            changed += [self._take_section(name, {}, seq) for name in unknown]
            self.ready.set()
        if frame.events or frame.missed:
            self._event_count += len(frame.events) + frame.missed
            self._counts.append((seq, self._event_count))
            self._events.extend((seq, event.copy()) for event in frame.events)
        if frame.meters is not None:
            self.meters = frame.meters
        if frame.events and self.on_events is not None:
            self.on_events(frame.events)
        if frame.rows and self.on_rows is not None:
            self.on_rows(frame.rows)
        if frame.lines and self.on_lines is not None:
            self.on_lines(frame.lines)
        if any(changed) or frame.events or frame.missed:
            self._tell(seq)

    def put(self, name: str, rows: dict[str, msgspec.Raw]) -> None:
        """Take over a whole section of the console's own."""
        self._own.add(name)
        seq = self.seq + 1
        if self._take_section(name, rows, seq):
            self._tell(seq)

    def _tell(self, seq: int) -> None:
        self.seq = seq
        self._messages.clear()
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()

    def _take_section(self, name: str, rows: dict[str, msgspec.Raw], seq: int) -> bool:
        """Take over a whole section; return whether anything in it is another."""
        kept = self._sections.setdefault(name, {})
        changed = False
        for key, row in rows.items():
            before = kept.get(key)
            if before is None or bytes(before[1]) != bytes(row):
                kept[key] = (seq, row.copy())
                self._gone.pop((name, key), None)
                changed = True
        for key in [key for key in kept if key not in rows]:
            del kept[key]
            self._gone[name, key] = seq
            changed = True
        while len(self._gone) > _GONE_MAX:
            oldest = next(iter(self._gone))
            self._gone_since = self._gone.pop(oldest)
        return changed

    def rows(self, section: str) -> dict[str, msgspec.Raw]:
        """Return the rows of a section by their key."""
        return {key: row for key, (_, row) in self._sections.get(section, {}).items()}

    async def changed(self, seq: int) -> None:
        """Wait until there is a newer version than `seq`."""
        while self.seq <= seq:
            await self._changed.wait()

    def resumes(self, epoch: str, seq: int) -> bool:
        """Return whether a client that has version `seq` can go on from there, rather than anew."""
        return epoch == self.epoch and max(self._gone_since, self._counts[0][0]) <= seq <= self.seq

    def snapshot(self) -> bytes:
        """Return everything, as the stream's first message."""
        return self._kept(-1, self._snapshot)

    def delta(self, since: int) -> bytes:
        """Return what has changed since version `since`, as a message of the stream."""
        return self._kept(since, lambda: self._delta(since))

    def _kept(self, since: int, make: Callable[[], bytes]) -> bytes:
        """Return a message, made once for all clients that have the same version."""
        found = self._messages.get(since)
        if found is None:
            if len(self._messages) == _MESSAGES_MAX:
                self._messages.clear()  # who asks for every version there was is served, and not remembered
            found = self._messages[since] = make()
        return found

    def _snapshot(self) -> bytes:
        return encode(
            {
                "type": "snapshot",
                "epoch": self.epoch,
                "seq": self.seq,
                "data": {name: {key: row for key, (_, row) in rows.items()} for name, rows in self._sections.items()},
                "events": [event for _, event in self._events],
            }
        )

    def _delta(self, since: int) -> bytes:
        changed: dict[str, dict[str, msgspec.Raw]] = {}
        for name, rows in self._sections.items():
            newer = {key: row for key, (version, row) in rows.items() if version > since}
            if newer:
                changed[name] = newer
        gone: dict[str, list[str]] = {}
        for (name, key), version in reversed(self._gone.items()):
            if version <= since:
                break
            gone.setdefault(name, []).append(key)
        events: list[msgspec.Raw] = []
        for version, event in reversed(self._events):
            if version <= since:
                break
            events.append(event)
        events.reverse()
        told_before = next(count for version, count in reversed(self._counts) if version <= since)
        return encode(
            {
                "type": "delta",
                "epoch": self.epoch,
                "seq": self.seq,
                "set": changed,
                "gone": gone,
                "events": events,
                "missed": self._event_count - told_before - len(events),
            }
        )
