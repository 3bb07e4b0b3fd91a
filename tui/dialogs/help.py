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
    ("a t", "restart the chosen actor; tighten the chosen limit"),
    ("s", "stop the daemon and seal its session"),
    ("1-5", "pages; tab moves between panels, arrows choose a row"),
    ("n + -", "chart: next symbol, longer or shorter bars; ← → in time"),
    ("w", "profit: by day, by week, by month"),
    ("/ l", "log: only lines with some words; from which level on"),
    (":", "commands by name; z zooms a panel, d dark or light"),
    ("q", "close this console; the daemon goes on"),
)
REPLAY_KEYS = (
    ("space", "play and hold; < > (or - +) how fast"),
    ("s b", "run one input, or to the end of the next bar"),
    ("t T o", "run to the next trade, of the chosen strategy; order"),
    ("v e", "run to the next veto of risk, to the next error"),
    ("g E", "run to a time, to the end of the tape"),
    ("m", "messages of all, of the chosen actor, of this order"),
    ("enter", "the chosen message on a card; an actor's state"),
    ("← →", "close and open lines of a state; changes are bright"),
    ("p r f", "pause, resume, flatten the account: a command is an input"),
    ("1-6", "pages; tab moves between panels, arrows choose a row"),
    (":", "commands by name; z zooms a panel, d dark or light"),
    ("q", "close this console, and the replay that was begun with it"),
)
COLOURS = (
    ("$success", "running, a gain"),
    ("$warning", "paused, flattening, restarted, pending"),
    ("$error", "halted, failed, a loss"),
)


class Help(ModalScreen[None]):
    """Closes on any of the keys one would try.

    Args:
        replay: whether a replay is debugged.
    """

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

    def __init__(self, *, replay: bool = False) -> None:
        super().__init__()
        self._keys = REPLAY_KEYS if replay else KEYS

    def compose(self) -> ComposeResult:
        """Lay out the card."""
        keys = [Content.assemble((f"{key:<6}", "$primary"), text) for key, text in self._keys]
        colours = [Content.assemble(("●     ", colour), text) for colour, text in COLOURS]
        card = Vertical(Static(Content("\n").join([*keys, Content(""), *colours])))
        card.border_title = "Console"
        card.border_subtitle = "esc closes"
        yield card
