"""Where a replay stands: its state, its place on the tape, its speed, and why it stopped."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.figures import count, moment, words
from tui.panels.table import elide
from tui.replay import speed_words

if TYPE_CHECKING:
    from tui.replay import Replay

_COLOURS = {"playing": "$success", "paused": "$warning", "ended": "$muted"}
_BAR_MIN = 8
_TAPE_MIN = 8
_GAP = "   "


class Transport(Widget):
    """Two lines on top of every page of a replay."""

    DEFAULT_CSS = """
    Transport { height: 2; padding: 0 1; background: $panel; display: none; }
    """

    replay: reactive[Replay | None] = reactive(None)
    """How it stands; None where there is none."""
    doing: reactive[str] = reactive("")
    """What was asked of it and is not answered yet."""

    def watch_replay(self, replay: Replay | None) -> None:
        """Be there where there is a replay."""
        self.display = replay is not None

    def render(self) -> Content:
        """Return the lines, cut to the width."""
        replay = self.replay
        if replay is None:
            return Content("")
        width = self.content_size.width
        state = f"● {words(replay.state)}"
        part = replay.part
        at = "" if part is None else f" {part:.1%}"
        speed = speed_words(replay.speed)
        now = f"{moment(replay.now_ns)} UTC"
        room = width - cell_len(state) - len(now) - len(at) - len(speed) - 3 * len(_GAP)
        bar = Content("") if part is None or room < _BAR_MIN else _bar(part, room)
        blanks = " " * max(0, room - bar.cell_length)
        first = Content.assemble(
            (state, f"bold {_COLOURS.get(replay.state, '$foreground')}"), _GAP, now, _GAP, bar,
            (at, "$muted"), blanks, _GAP, (speed, "$primary"),
        )  # fmt: skip
        inputs = f"input {count(replay.inputs)}" + ("" if replay.total is None else f" of {count(replay.total)}")
        why, colour = words(replay.stopped_by), "$foreground"
        if self.doing or replay.target:
            why, colour = words(self.doing or f"on the way to {replay.target}"), "$primary"
        if replay.differs_at is not None:
            why, colour = f"decides otherwise than recorded from input {count(replay.differs_at)} on", "$error"
        why = elide(why, max(0, width - cell_len(inputs) - len(_GAP)))
        room = width - cell_len(inputs) - cell_len(why) - 2 * len(_GAP)
        tape = elide(words(_short(replay.tape)), room) if room >= _TAPE_MIN else ""
        left = f"{inputs}{_GAP}{tape}"
        second = Content.assemble((left, "$muted"), " " * max(0, width - cell_len(left) - cell_len(why)), (why, colour))
        return Content("\n").join([first, second])


def _bar(part: float, width: int) -> Content:
    """Draw how much of the whole has been, in halves of a character."""
    halves = round(part * 2 * width)
    done = "━" * (halves // 2) + "╸" * (halves % 2)
    return Content.assemble((done, "$primary"), ("─" * (width - len(done)), "$rule"))


def _short(tape: str) -> str:
    """Return a tape's name without its folders."""
    return ", ".join(PurePath(part).name for part in tape.split(", "))
