"""Asks for a word before a command that costs money: no single key can give it by mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input, Label

from tui.dialogs.question import Question

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Typed(Question[bool]):
    """A question that is answered by typing a word.

    Args:
        question: the headline.
        consequences: what it will do.
        word: to be typed.
    """

    def __init__(self, question: str, consequences: str, word: str) -> None:
        super().__init__(question, consequences)
        self._word = word

    def answers(self) -> ComposeResult:
        """Lay out where the word goes."""
        yield Label(f"Type {self._word} and press enter; esc leaves all as it is.", id="hint", markup=False)
        yield from super().answers()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the word, or say that it is another."""
        if event.value.strip().lower() == self._word:
            self.dismiss(result=True)
            return
        self.query_one("#hint", Label).update(f"That is not {self._word}. Type it and press enter; esc leaves.")
        event.input.clear()
