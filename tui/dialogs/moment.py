"""Asks for a time on the tape."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from textual.widgets import Input, Label

from tui.dialogs.question import Question
from tui.figures import moment

if TYPE_CHECKING:
    from textual.app import ComposeResult

HINT = "2024-01-05 20:30, 20:30 of this day or the next, or +90m, +4h, +2d"
_AHEAD = re.compile(r"\+\s*(\d{1,6})\s*([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NS_PER_S = 1_000_000_000


class Moment(Question[int]):
    """A time after now, in nanoseconds.

    Args:
        now_ns: the tape's time now.
        to_ns: its end, where that is known.
    """

    DEFAULT_CSS = "Moment > Vertical { width: 74; }"

    def __init__(self, now_ns: int, to_ns: int | None) -> None:
        end = "" if to_ns is None else f"; the tape ends at {moment(to_ns)}"
        super().__init__("Play to which time (UTC)?", f"It is {moment(now_ns)}{end}.")
        self._now_ns = now_ns

    def answers(self) -> ComposeResult:
        """Lay out where the time goes."""
        yield Label(HINT, id="hint", markup=False)
        yield from super().answers()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the time, or say what is wrong with it."""
        ts_ns = time_from(event.value, self._now_ns)
        if ts_ns is None:
            self.query_one("#hint", Label).update(f"That is no time. {HINT}")
        elif ts_ns <= self._now_ns:
            self.query_one("#hint", Label).update("That has been: a replay goes forward. Start it anew to see it.")
        else:
            self.dismiss(ts_ns)


def time_from(text: str, now_ns: int) -> int | None:
    """Read a time in UTC: a date with or without time, a time of day after now, or how far ahead; None if it is none.

    Args:
        text: what was typed.
        now_ns: nanoseconds since the epoch.
    """
    text = text.strip().removesuffix("UTC").removesuffix("Z").strip()
    ahead = _AHEAD.fullmatch(text)
    if ahead is not None:
        return now_ns + int(ahead[1]) * _UNITS_S[ahead[2]] * _NS_PER_S
    now = datetime.fromtimestamp(now_ns // _NS_PER_S, UTC)
    for form in ("%H:%M", "%H:%M:%S"):
        try:
            read = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        found = now.replace(hour=read.hour, minute=read.minute, second=read.second)
        return _ns(found if found > now else found + timedelta(days=1))
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _ns(read if read.tzinfo is not None else read.replace(tzinfo=UTC))


def _ns(time: datetime) -> int:
    return round(time.timestamp()) * _NS_PER_S
