"""Asks for a word before a command that costs money: no single key can give it by mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

if TYPE_CHECKING:
    from textual.content import Content


class Typed(ModalScreen[bool]):
    """A question that is answered by typing a word.

    Args:
        question: the headline.
        consequences: what it will do.
        word: to be typed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "refuse", "No")]
    DEFAULT_CSS = """
    Typed {
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
        & #hint { color: $muted; }
        & Input { background: $background; }
    }
    """

    def __init__(self, question: str, consequences: Content, word: str) -> None:
        super().__init__()
        self._question = question
        self._consequences = consequences
        self._word = word

    def compose(self) -> ComposeResult:
        """Lay out question and answer."""
        with Vertical():
            yield Label(self._question, id="question", markup=False)
            yield Static(self._consequences, id="consequences")
            yield Label(f"Type {self._word} and press enter; esc leaves all as it is.", id="hint", markup=False)
            yield Input(id="word", compact=True, max_length=40)

    def on_mount(self) -> None:
        """Be ready for the word."""
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the word, or say that it is another."""
        if event.value.strip().lower() == self._word:
            self.dismiss(result=True)
            return
        self.query_one("#hint", Label).update(f"That is not {self._word}. Type it and press enter; esc leaves.")
        event.input.clear()

    def action_refuse(self) -> None:
        """Leave all as it is."""
        self.dismiss(result=False)
