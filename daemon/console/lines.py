"""The newest lines of the daemon's log, for people who look at it from elsewhere."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from daemon.console.routes import Cursor, Limit, Route, Text
from daemon.console.types import LogLine, Logs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

    from daemon.console.app import Console

LEVELS = ("debug", "info", "warning", "error", "critical")
_OWN = ("number", "wall_ns", "level", "event", "timestamp")
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Lines:
    """Keeps some.

    Args:
        kept_max: the newest so many.
    """

    def __init__(self, kept_max: int) -> None:
        self._kept: deque[LogLine] = deque(maxlen=kept_max)
        self._count = 0

    def take(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take lines over, in the order of their numbers."""
        for line in lines:
            self._count = line["number"]
            self._kept.append(
                LogLine(
                    number=self._count,
                    wall_ns=line["wall_ns"],
                    level=line.get("level", "info"),
                    event=str(line.get("event", "")),
                    fields={name: value for name, value in line.items() if name not in _OWN},
                )
            )

    def find(self, after: int, level: str, text: str, limit: int) -> Logs:
        """Return the newest lines that fit, oldest first.

        Args:
            after: only of a higher number.
            level: of this level and above.
            text: which contain this, in whatever case, in event or fields.
            limit: at most so many.
        """
        if after > self._count:  # of the daemon before this one: all here is newer
            after = 0
        wanted = LEVELS[LEVELS.index(level) :]
        needle = text.lower()
        found: list[LogLine] = []
        for line in reversed(self._kept):
            if line.number <= after or len(found) == limit:
                break
            if line.level in wanted and (not needle or needle in _text(line)):
                found.append(line)
        return Logs(rows=tuple(reversed(found)), next=self._count)


def _text(line: LogLine) -> str:
    return f"{line.event} {_encode(line.fields).decode()}".lower()


class LogsAsked(msgspec.Struct, frozen=True):
    """Which lines."""

    after: Cursor = 0
    """Only what came after: `next` of the answer before."""
    level: Literal["debug", "info", "warning", "error", "critical"] = "debug"
    """Of this level and above; what the daemon does not log is not there."""
    text: Text = ""
    """Only lines with this in their event or fields, in whatever case."""
    limit: Limit = 200
    """The newest so many."""


async def _logs(console: Console, _: web.Request, asked: LogsAsked) -> Logs:
    return console.logs.find(asked.after, asked.level, asked.text, asked.limit)


ROUTES = (
    Route(
        name="logs",
        method="GET",
        path="/api/live/logs",
        role="read",
        tag="live",
        summary="The newest lines of the daemon's log",
        asked=LogsAsked,
        handler=_logs,
        answer=Logs,
    ),
)
