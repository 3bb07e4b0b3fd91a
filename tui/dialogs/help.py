"""The keys and the colours, on one card."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = (
    ("p", "pause: no new risk; exits and cancels still pass"),
    ("r", "resume trading, also after a halt"),
    ("f", "flatten: cancel every order, close every position, pause"),
    ("P R F", "the same for the chosen strategy"),
    ("c x", "cancel the chosen order, close the chosen position"),
    ("a", "restart the chosen actor that was given up"),
    ("s", "stop the daemon and seal its session"),
    ("1-5", "pages; tab moves between panels, arrows choose a row"),
    ("n + -", "chart: next symbol, longer or shorter bars; ← → in time"),
    ("/ l", "log: only lines with some words; from which level on"),
    (":", "commands by name; z zooms a panel, d dark or light"),
    ("q", "close this console; the daemon goes on"),
)
COLOURS = (
    ("$success", "running, a gain"),
    ("$warning", "paused, flattening, restarted, pending"),
    ("$error", "halted, failed, a loss"),
)


class Help(ModalScreen[None]):
    """Closes on any of the keys one would try."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter,space", "dismiss", "Close")]
    DEFAULT_CSS = """
    Help {
        align: center middle;
        & > Vertical {
            width: 70;
            max-width: 95%;
            height: auto;
            padding: 1 2;
            background: $panel;
            border: round $rule-focus;
            border-title-color: $foreground;
            border-subtitle-color: $muted;
        }
    }
    """

    def compose(self) -> ComposeResult:
        """Lay out the card."""
        keys = [Content.assemble((f"{key:<6}", "$primary"), text) for key, text in KEYS]
        colours = [Content.assemble(("●     ", colour), text) for colour, text in COLOURS]
        card = Vertical(Static(Content("\n").join([*keys, Content(""), *colours])))
        card.border_title = "Console"
        card.border_subtitle = "esc closes"
        yield card
