"""The newest lines of the daemon's log."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tui.dialogs.filter import Filter
from tui.figures import time_of_day, words
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from tui.client import Logs
    from tui.status import Status
    from tui.theme import Tone

LINES_MAX = 1_000
LEVELS = ("debug", "info", "warning", "error")
_TONES: dict[str, Tone] = {"debug": "muted", "warning": "warn", "error": "bad", "critical": "bad"}


class Asked(Message):
    """Other lines are wanted."""


class LogTail(Table):
    """Lines as they come, the newest at the bottom; it follows them unless scrolled up."""

    HEADING = "Log"
    EMPTY = "no line yet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("l", "level", "Level"),
    ]
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time"),
        Column("level", worth=5),
        Column("event", elides_to=12),
        Column("", worth=1, elides_to=10),
    )

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.level = LEVELS[0]
        """Lines of this level and above are shown."""
        self.text = ""
        """Lines with this in them are shown."""
        self.after = 0
        """Number of the last line that was heard of."""
        self._kept: deque[Row] = deque(maxlen=LINES_MAX)

    def watch_status(self, status: Status | None) -> None:
        """Leave the rows to the log: the status has none."""

    def take(self, logs: Logs) -> None:
        """Add lines; where numbers begin anew another console speaks."""
        if logs.next < self.after:
            self.begin()
            return
        self.after = logs.next
        if not logs.rows:
            return
        follows = self.scroll_offset.y >= self.max_scroll_y
        self._kept.extend(
            Row(
                (
                    Cell(time_of_day(line.wall_ns), "muted"),
                    Cell(line.level, _TONES.get(line.level, "plain")),
                    Cell(line.event, _TONES.get(line.level, "plain")),
                    Cell(" ".join(f"{name}={value}" for name, value in line.fields.items()), "muted"),
                )
            )
            for line in logs.rows
        )
        self.rows = tuple(self._kept)
        if follows:
            self.call_after_refresh(self.scroll_end, animate=False)

    def action_level(self) -> None:
        """Show lines from the next level on."""
        self.level = LEVELS[(LEVELS.index(self.level) + 1) % len(LEVELS)]
        self.begin()

    def action_filter(self) -> None:
        """Ask for the words that lines shall have."""

        def answered(text: str | None) -> None:
            if text is not None:
                self.text = text
                self.begin()

        self.app.push_screen(Filter("Only lines of the log with", self.text), answered)

    def begin(self) -> None:
        """Ask anew for all there is."""
        self._kept.clear()
        self.rows, self.after = (), 0
        level = "" if self.level == LEVELS[0] else f" [$warning]{self.level} and above[/]"
        text = words(self.text).replace("[", "(")
        self.border_title = f"{self.HEADING}{level}" + (f" [$warning]with {text}[/]" if text else "")
        self.post_message(Asked())
