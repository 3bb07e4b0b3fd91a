"""The card on which a question stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

if TYPE_CHECKING:
    from textual.app import ComposeResult

Answer = TypeVar("Answer")


class Question(ModalScreen[Answer]):
    """A headline, what follows from an answer, and below them how to give one.

    Args:
        question: the headline.
        consequences: what an answer will do; empty where that goes without saying.
    """

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave")]
    DEFAULT_CSS = """
    Question {
        align: center middle;
        & > Vertical {
            width: 60;
            max-width: 95%;
            height: auto;
            max-height: 100%;
            overflow-y: auto;
            padding: 1 2;
            background: $panel;
            border: round $rule-focus;
        }
        & Label { width: 100%; }
        & #question { text-style: bold; margin-bottom: 1; }
        & #consequences { color: $foreground; margin-bottom: 1; }
        & #hint { color: $muted; }
        & Input { background: $background; }
    }
    """

    def __init__(self, question: str, consequences: str = "") -> None:
        super().__init__()
        self._question = question
        self._consequences = consequences

    def compose(self) -> ComposeResult:
        """Lay out the card."""
        with Vertical():
            yield Label(Content(self._question), id="question")
            if self._consequences:
                yield Static(Content(self._consequences), id="consequences")
            yield from self.answers()

    def answers(self) -> ComposeResult:
        """Lay out how to answer."""
        yield Input(compact=True, max_length=200)

    def action_leave(self) -> None:
        """Leave all as it is."""
        self.dismiss(None)
