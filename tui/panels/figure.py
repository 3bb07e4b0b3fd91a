"""One labelled value of the header."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.theme import Tone


class Figure(Widget):
    """A quiet label and its value.

    Args:
        label: stands before the value; may be empty.
        id: of the widget.
    """

    DEFAULT_CSS = """
    Figure {
        width: auto;
        height: 1;
        margin-right: 3;
        &.-good { color: $success; }
        &.-warn { color: $warning; }
        &.-bad { color: $error; }
        &.-muted { color: $muted; }
    }
    """

    value: reactive[str] = reactive("")
    """What is shown."""
    tone: reactive[Tone] = reactive[Tone]("plain")
    """What its colour says."""

    def __init__(self, label: str, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._label = label

    def render(self) -> Content:
        """Return label and value."""
        if not self._label:
            return Content(self.value)
        return Content.assemble((f"{self._label} ", "$muted"), self.value)

    def watch_value(self, old: str, new: str) -> None:
        """Ask for other room only where it takes another: a layout draws the whole screen anew."""
        if cell_len(old) != cell_len(new):
            self.refresh(layout=True)

    def watch_tone(self, old: Tone, new: Tone) -> None:
        """Wear the tone as a class."""
        self.remove_class(f"-{old}")
        self.add_class(f"-{new}")
