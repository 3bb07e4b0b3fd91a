"""A table of text that fits itself to its width: quiet heading, aligned figures, nothing cut without a sign.

Columns take the width of what is in them. When that is too much the gaps narrow first, then the columns that may
be elided give way, then the columns of least worth are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.figures import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.events import Resize

    from tui.client import Status
    from tui.theme import Tone

Align = Literal["left", "right", "point"]

_GAPS = (2, 1)
_INDENT = "  "
_MARGIN_RIGHT = 1
"""Blank columns between the text and the scrollbar, or the border."""


class Column(msgspec.Struct, frozen=True):
    """One column."""

    heading: str
    align: Align = "left"
    """`point` puts decimal points below each other."""
    worth: int = 9
    """When the width is short, columns of less worth are left out first."""
    elides_to: int | None = None
    """The width its text may be shortened to before a column is left out, least worth first; None for never."""


class Cell(msgspec.Struct, frozen=True):
    """One value, and what its colour says."""

    text: str
    tone: Tone = "plain"


class Row(msgspec.Struct, frozen=True):
    """One line of cells, as many as there are columns, and a remark in a line of its own below."""

    cells: tuple[Cell, ...]
    remark: str = ""
    tone: Tone = "bad"
    """Of the remark."""


class Table(ScrollView, can_focus=True):
    """A panel that shows one list of the status. A subclass names its columns and reads its rows."""

    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    HEADING: ClassVar[str] = ""
    EMPTY: ClassVar[str] = "none"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--heading",
        "table--plain",
        "table--muted",
        "table--good",
        "table--warn",
        "table--bad",
    }
    DEFAULT_CSS = """
    Table {
        overflow-x: hidden;
        padding: 0 0 0 1;
        scrollbar-size-vertical: 1;
        & > .table--heading { color: $muted; }
        & > .table--plain { color: $foreground; }
        & > .table--muted { color: $muted; }
        & > .table--good { color: $success; }
        & > .table--warn { color: $warning; }
        & > .table--bad { color: $error; }
    }
    """

    status: reactive[Status | None] = reactive(None)
    """What the daemon said last."""
    rows: reactive[tuple[Row, ...]] = reactive(())
    """What is shown."""

    def read(self, status: Status) -> Sequence[Row]:  # noqa: ARG002 - every table reads its own part of it
        """Return the rows for a status; a table that does not say stays empty."""
        return ()

    def note(self, status: Status) -> str:
        """Return what stands beside the heading; text of ours alone, for it is markup."""
        return str(len(self.read(status)) or "")

    def on_mount(self) -> None:
        """Show the heading before there is a status."""
        self.border_title = self.HEADING

    def watch_status(self, status: Status | None) -> None:
        """Read the rows out of a new status."""
        if status is not None:
            self.rows = tuple(self.read(status))
            note = self.note(status)
            self.border_title = f"{self.HEADING} [$muted]{note}[/]" if note else self.HEADING

    def watch_rows(self) -> None:
        """Make room for the rows."""
        self._lay_out()

    def on_resize(self, _: Resize) -> None:
        """Fit the columns to the new width."""
        self._lay_out()

    def _lay_out(self) -> None:
        lines_count = sum(2 if row.remark else 1 for row in self.rows)
        self.virtual_size = Size(self.scrollable_content_region.width, lines_count + 1)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line: the heading stays on top, the rows scroll below it.

        Args:
            y: counted from the top of what is visible.
        """
        width = self.scrollable_content_region.width - _MARGIN_RIGHT
        if not self.rows:
            return self._line([(self.EMPTY if y == 0 else "", "table--muted")], width)
        columns = _fit(self.COLUMNS, self.rows, width)
        if y == 0:
            return self._line([(text, "table--heading") for text in _headings(self.COLUMNS, columns)], width)
        line_index = y - 1 + self.scroll_offset.y
        for row in self.rows:
            if line_index == 0:
                return self._line(_cells(self.COLUMNS, columns, row), width)
            if row.remark and line_index == 1:
                return self._line([(elide(_INDENT + words(row.remark), width), f"table--{row.tone}")], width)
            line_index -= 2 if row.remark else 1
        return self._line([], width)

    def _line(self, parts: Sequence[tuple[str, str]], width: int) -> Strip:
        base = self.rich_style
        segments = [Segment(text, base + self._style(name)) for text, name in parts]
        return Strip(segments).adjust_cell_length(width, base).extend_cell_length(width + _MARGIN_RIGHT, base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)


class _Fitted(msgspec.Struct, frozen=True):
    """A column that found room."""

    index: int
    width: int
    gap: int
    """Blanks to its right."""
    decimals: int
    """Most characters from a decimal point on, where points are aligned."""


def _fit(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[_Fitted]:
    """Choose which columns are shown, and how wide."""
    decimals = [max((len(_fraction(row.cells[index].text)) for row in rows), default=0) for index in _each(columns)]
    wanted = [
        max((cell_len(column.heading), *(cell_len(_aligned(column, decimals[index], row, index)) for row in rows)))
        for index, column in enumerate(columns)
    ]
    shown = list(_each(columns))
    while True:
        for gap in _GAPS:
            excess = sum(wanted[index] for index in shown) + gap * (len(shown) - 1) - width
            if excess <= 0:
                return [_Fitted(index, wanted[index], gap, decimals[index]) for index in shown]
        widths = {index: wanted[index] for index in shown}
        for index in sorted(shown, key=lambda index: columns[index].worth):
            narrowest = columns[index].elides_to
            if narrowest is not None and excess > 0:
                given = min(excess, max(0, widths[index] - narrowest))
                widths[index] -= given
                excess -= given
        if excess <= 0 or len(shown) == 1:
            return [_Fitted(index, widths[index], _GAPS[-1], decimals[index]) for index in shown]
        shown.remove(min(shown, key=lambda index: (columns[index].worth, -index)))


def _each(columns: Sequence[Column]) -> range:
    return range(len(columns))


def _fraction(text: str) -> str:
    _, point, fraction = text.partition(".")
    return point + fraction


def _aligned(column: Column, decimals: int, row: Row, index: int) -> str:
    """Return a cell's text with the blanks that bring its decimal point below the others."""
    text = words(row.cells[index].text)
    return text + " " * (decimals - len(_fraction(text))) if column.align == "point" else text


def _headings(columns: Sequence[Column], fitted: Sequence[_Fitted]) -> list[str]:
    return [_placed(columns[column.index].heading, columns[column.index].align, column) for column in fitted]


def _cells(columns: Sequence[Column], fitted: Sequence[_Fitted], row: Row) -> list[tuple[str, str]]:
    return [
        (
            _placed(
                _aligned(columns[column.index], column.decimals, row, column.index), columns[column.index].align, column
            ),
            f"table--{row.cells[column.index].tone}",
        )
        for column in fitted
    ]


def _placed(text: str, align: Align, column: _Fitted) -> str:
    """Return text at its side of a column, with the gap to the next."""
    text = elide(text, column.width)
    blanks = " " * (column.width - cell_len(text))
    return (text + blanks if align == "left" else blanks + text) + " " * column.gap


def elide(text: str, width: int) -> str:
    """Shorten text to a width, with a sign that it was."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""
