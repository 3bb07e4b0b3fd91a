"""Asks for words to look for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Filter(ModalScreen[str | None]):
    """One line of text; empty for everything.

    Args:
        question: the headline.
        text: what it is so far.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave")]
    DEFAULT_CSS = """
    Filter {
        align: center middle;
        & > Vertical {
            width: 60;
            max-width: 95%;
            height: auto;
            padding: 1 2;
            background: $panel;
            border: round $rule-focus;
        }
        & Input { background: $background; }
    }
    """

    def __init__(self, question: str, text: str) -> None:
        super().__init__()
        self._question = question
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay out question and answer."""
        with Vertical():
            yield Label(self._question, markup=False)
            yield Input(self._text, compact=True, max_length=200)

    def on_mount(self) -> None:
        """Be ready for the words."""
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take them."""
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        """Leave all as it is."""
        self.dismiss(None)
