"""Asks before a command that cannot be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button

from tui.dialogs.question import Question

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Confirm(Question[bool]):
    """A question with two answers; the safe one has the focus.

    Args:
        question: the headline.
        consequences: what a yes will do.
        yes: the words on the button that does it.
    """

    AUTO_FOCUS = "#no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n", "answer(False)", "No"),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]
    DEFAULT_CSS = """
    Confirm {
        & Horizontal { height: auto; align-horizontal: right; }
        & Button {
            margin-left: 2;
            background: $rule;
            color: $foreground;
            &:hover { background: $rule-focus; }
            &:focus { background: $primary; color: $background; text-style: bold; }
        }
    }
    """

    def __init__(self, question: str, consequences: str, yes: str) -> None:
        super().__init__(question, consequences)
        self._yes = yes

    def answers(self) -> ComposeResult:
        """Lay out the two buttons."""
        with Horizontal():
            yield Button("No (n)", id="no", compact=True)
            yield Button(f"{self._yes} (y)", id="yes", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take the answer of a button."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - Textual passes it by position
        """Take the answer of a key."""
        self.dismiss(answer)
