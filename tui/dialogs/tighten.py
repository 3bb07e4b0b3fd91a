"""Asks which limit of risk shall be tightened, and to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input, Label

from tui.dialogs.question import Question

if TYPE_CHECKING:
    from textual.app import ComposeResult

_CONSEQUENCES = (
    "Holds at once, for every order from then on; what is held stays. "
    "Only a restart with another configuration loosens it."
)


class Tighten(Question[tuple[str, str]]):
    """A limit's new value, or its name and its value where none was chosen.

    Args:
        limit: its name; empty for one that is yet to be named.
        now: what it is; empty where that is not known.
    """

    def __init__(self, limit: str, now: str) -> None:
        known = f"It is {now} now. " if now else ""
        super().__init__(f"Tighten {limit or 'a limit'}?", known + _CONSEQUENCES)
        self._limit = limit

    def answers(self) -> ComposeResult:
        """Lay out where the words go."""
        wanted = "the new value" if self._limit else "its name and the new value"
        yield Label(f"Type {wanted} and press enter; esc leaves all as it is.", id="hint", markup=False)
        yield from super().answers()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take them, or say what is missing."""
        words = [*([self._limit] if self._limit else []), *event.value.split()]
        if len(words) == 2:  # noqa: PLR2004 - a name and a value
            self.dismiss((words[0], words[1]))
            return
        wanted = "one value" if self._limit else "a name and a value, as in max_position 0.5"
        self.query_one("#hint", Label).update(f"Type {wanted}, and press enter; esc leaves.")
