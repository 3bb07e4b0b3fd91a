"""The line at the bottom: which keys do something now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.events import Click
    from textual.screen import Screen


class Keys(Widget):
    """The keys of the panel that has the focus, and of the console; a click on one does the same.

    One line of text: Textual's own footer keeps every key it has ever shown, which adds up over a day.
    """

    DEFAULT_CSS = """
    Keys {
        dock: bottom;
        height: 1;
        background: $background;
        color: $muted;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._ends: list[tuple[int, str]] = []
        """(column after the last, key) of each that is shown."""

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.refresh()

    def render(self) -> Content:
        """Return the line."""
        parts = []
        self._ends.clear()
        shown: set[str] = set()
        for _, binding, enabled, _ in self.screen.active_bindings.values():
            if binding.show and binding.action not in shown:
                shown.add(binding.action)
                key = f" {self.app.get_key_display(binding)} "
                parts.append(
                    Content.assemble((key, "bold $primary" if enabled else "$muted"), f"{binding.description} ")
                )
                self._ends.append((sum(part.cell_length for part in parts), binding.key))
        return Content("").join(parts)

    def on_click(self, event: Click) -> None:
        """Do what the key does."""
        key = next((key for end, key in self._ends if event.x < end), "")
        if key:
            self.app.simulate_key(key)
