"""Asks before a command that cannot be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label, Static

if TYPE_CHECKING:
    from textual.content import Content


class Confirm(ModalScreen[bool]):
    """A question with two answers; the safe one has the focus.

    Args:
        question: the headline.
        consequences: what a yes will do.
        yes: the words on the button that does it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]
    DEFAULT_CSS = """
    Confirm {
        align: center middle;
        & > Vertical {
            width: 60;
            max-width: 95%;
            height: auto;
            padding: 1 2;
            background: $panel;
            border: round $rule-focus;
        }
        & #question { text-style: bold; margin-bottom: 1; }
        & #consequences { color: $foreground; margin-bottom: 1; }
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

    def __init__(self, question: str, consequences: Content, yes: str) -> None:
        super().__init__()
        self._question = question
        self._consequences = consequences
        self._yes = yes

    def compose(self) -> ComposeResult:
        """Lay out question and answers."""
        with Vertical():
            yield Label(self._question, id="question", markup=False)
            yield Static(self._consequences, id="consequences")
            with Horizontal():
                yield Button("No (n)", id="no", compact=True)
                yield Button(f"{self._yes} (y)", id="yes", compact=True)

    def on_mount(self) -> None:
        """Put the focus where it does no harm."""
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take the answer of a button."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - Textual passes it by position
        """Take the answer of a key."""
        self.dismiss(answer)
