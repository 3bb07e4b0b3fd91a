"""Asks for words to look for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from tui.dialogs.question import Question

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Filter(Question[str]):
    """One line of text; empty for everything.

    Args:
        question: the headline.
        text: what it is so far.
    """

    def __init__(self, question: str, text: str) -> None:
        super().__init__(question)
        self._text = text

    def answers(self) -> ComposeResult:
        """Lay out the line."""
        yield Input(self._text, compact=True, max_length=200)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it."""
        self.dismiss(event.value.strip())
