"""One document on a card of its own: the state of an actor, or a message."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.panels.tree import Values


class ValuesCard(ModalScreen[None]):
    """Closes on the keys one would try.

    Args:
        heading: markup of ours.
        what: whose values they are.
        value: any JSON.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss", "Close")]
    DEFAULT_CSS = """
    ValuesCard {
        align: center middle;
        & > Values {
            width: 110;
            max-width: 95%;
            height: 90%;
            padding: 1 2;
            background: $panel;
            border: round $rule-focus;
            border-title-color: $foreground;
            border-subtitle-color: $muted;
            & > .tree--cursor, & > .tree--highlight-line { background: $panel; }
        }
    }
    """

    def __init__(self, heading: str, what: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        super().__init__()
        self._heading = heading
        self._what = what
        self._value = value

    def compose(self) -> ComposeResult:
        """Lay out the card."""
        yield Values()

    def on_mount(self) -> None:
        """Show what there is."""
        values = self.query_one(Values)
        values.tell(self._what, self._value)
        values.border_title = self._heading
        values.border_subtitle = "→ opens, ← closes a line; esc closes the card"
        values.focus()
