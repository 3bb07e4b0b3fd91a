"""What the actor that is chosen keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.figures import words
from tui.panels.tree import Values

if TYPE_CHECKING:
    from tui.replay import Inside


class State(Values):
    """The state of one actor; what has changed since the last look is bright."""

    HEADING = "State"

    def show(self, inside: Inside, at: int) -> None:
        """Show an actor.

        Args:
            inside: what it keeps.
            at: the newest input.
        """
        note = f" [$warning]{_plain(inside.note)}[/]" if inside.note else ""
        self.border_title = f"{self.HEADING} [$muted]of[/] {_plain(inside.row.name)}{note}"
        self.tell(inside.row.name, told_of(inside), at)

    def miss(self, name: str, reason: str) -> None:
        """Say why nothing is known of an actor."""
        self.border_title = f"{self.HEADING} [$muted]of[/] {_plain(name)}"
        self.fail(reason)


def told_of(inside: Inside) -> dict[str, Any]:
    """Return an actor's state, with its trouble first."""
    trouble = {"last error": inside.row.last_error} if inside.row.last_error else {}
    state = inside.state if isinstance(inside.state, dict) else {"": inside.state}
    return {**trouble, **state}


def _plain(text: str) -> str:
    return words(text).replace("[", "(")
