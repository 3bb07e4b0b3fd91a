"""The line that says which pages there are, and whether what they show is live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.figures import words
from tui.panels.banner import Away
from tui.panels.table import elide

if TYPE_CHECKING:
    from tui.replay import Replay

CONNECTING = "connecting"
"""Instead of a reason: the stream has not begun, and nothing has gone wrong."""


class Page(msgspec.Struct, frozen=True):
    """One page."""

    key: str
    name: str
    title: str


PAGES = (
    Page("1", "account", "Account"),
    Page("2", "trades", "Trades"),
    Page("3", "strategies", "Strategies"),
    Page("4", "system", "System"),
    Page("5", "log", "Log"),
)
DEBUG = Page("6", "debug", "Debug")
"""Only there in a replay."""


class Pages(Widget):
    """Keys and names of the pages, the shown one bright."""

    DEFAULT_CSS = """
    Pages { height: 1; padding: 0 1; background: $panel; }
    """

    page: reactive[str] = reactive(PAGES[0].name)
    """Which is shown."""
    without: reactive[str] = reactive("")
    """Why there is no stream; empty while there is one."""
    away: reactive[Away | None] = reactive(None)
    """Set while the daemon does not answer."""
    replay: reactive[Replay | None] = reactive(None)
    """Set where there is a replay to debug."""

    def render(self) -> Content:
        """Return the line."""
        parts: list[Content] = []
        for page in PAGES if self.replay is None else (*PAGES, DEBUG):
            shown = page.name == self.page
            parts.append(
                Content.assemble(
                    (f"{page.key} ", "$primary"), (page.title, "bold $foreground" if shown else "$muted"), "  "
                )
            )
        names = Content("").join(parts)
        room = self.content_size.width - names.cell_length
        told, colour = "live", "$success"
        if self.away is not None:
            told, colour = "no answer", "$error"
        elif self.without == CONNECTING:
            told, colour = CONNECTING, "$muted"
        elif self.without:
            told, colour = elide(f"polled: {words(self.without)}", max(0, room)), "$muted"
        blanks = " " * max(0, room - cell_len(told))
        return Content.assemble(names, blanks, (told, colour))
