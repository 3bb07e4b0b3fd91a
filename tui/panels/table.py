"""A table of text that fits itself to its width: quiet heading, aligned figures, nothing cut without a sign.

Columns take the width of what is in them. When that is too much the gaps narrow first, then columns without any text
are left out, then those that may be elided give way, then those of least worth are left out.
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

from tui.figures import day_of, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.events import Resize

    from tui.status import Status
    from tui.theme import Tone

Align = Literal["left", "right", "point"]

_GAPS = (2, 1)
_INDENT = "  "
_ENDS_FROM = 6
"""Characters, from which on a beginning and an end are worth showing."""
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
    names: bool = False
    """Whether what is shortened keeps its end, too: by that names are told apart."""


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
    key: str = ""
    """By which it is known while others come and go; rows of tables in which nothing is chosen have none."""


class Table(ScrollView, can_focus=True):
    """A panel that shows one list of the status. A subclass names its columns and reads its rows.

    Where rows have keys one of them is chosen, and stays so while others come and go.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    HEADING: ClassVar[str] = ""
    PART: ClassVar[str] = ""
    """The one part of a status that is read, by its name; it is read again once it is another."""
    EMPTY: ClassVar[str] = "none"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--heading",
        "table--plain",
        "table--muted",
        "table--good",
        "table--warn",
        "table--bad",
        "table--chosen",
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
        & > .table--chosen { background: $chosen; text-style: bold; }
    }
    """

    status: reactive[Status | None] = reactive(None, repaint=False)
    """What the daemon said last; drawn is what is read of it."""
    rows: reactive[tuple[Row, ...]] = reactive(())
    """What is shown."""
    chosen: reactive[int] = reactive(0)
    """Index of the row that is chosen, where rows have keys."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self.empty = self.EMPTY
        """Stands where there are no rows."""
        self._title = ""
        self._part: object = None
        self._day = -1
        """Of the status that was read: times of other days have their date."""
        self._chosen_key = ""
        self._lines: list[tuple[int, bool]] = []
        """(index of the row, whether it is its remark) of every line."""
        self._fitted: tuple[int, list[_Fitted]] | None = None
        """(width, columns) of the rows that are shown."""

    def read(self, status: Status) -> Sequence[Row]:  # noqa: ARG002 - every table reads its own part of it
        """Return the rows for a status; a table that does not say stays empty."""
        return ()

    def note(self, status: Status) -> str:  # noqa: ARG002 - some tables look at it
        """Return what stands beside the heading, once rows are read; text of ours alone, for it is markup."""
        return str(len(self.rows) or "")

    def on_mount(self) -> None:
        """Show the heading before there is a status."""
        self.border_title = self.HEADING

    def watch_status(self, status: Status | None) -> None:
        """Read the rows out of a new status."""
        part = getattr(status, self.PART, None)
        if status is not None and (part is None or part is not self._part or day_of(status.clock.ts_ns) != self._day):
            self._part, self._day = part, day_of(status.clock.ts_ns)
            self.rows = tuple(self.read(status))
            note = self.note(status)
            title = f"{self.HEADING} [$muted]{note}[/]" if note else self.HEADING
            if title != self._title:
                self.border_title = self._title = title

    def watch_rows(self) -> None:
        """Make room for the rows, and keep the one that is chosen."""
        keys = [row.key for row in self.rows]
        if self._chosen_key in keys:
            self.set_reactive(Table.chosen, keys.index(self._chosen_key))
        else:
            self.set_reactive(Table.chosen, max(0, min(self.chosen, len(keys) - 1)))
            self._chosen_key = keys[self.chosen] if keys else self._chosen_key
        self._lay_out()

    def watch_chosen(self) -> None:
        """Remember which row it is, and show it."""
        self._chosen_key = self.choice or self._chosen_key
        lines = [index for index, (row_index, _) in enumerate(self._lines) if row_index == self.chosen]
        if lines:
            below_top = self.scrollable_content_region.height - 2
            top = self.scroll_offset.y
            target = lines[0] if lines[0] < top else max(top, lines[-1] - below_top)
            self.scroll_to(y=target, animate=False, immediate=True)
        self.refresh()

    @property
    def choice(self) -> str:
        """The key of the row that is chosen; empty if there is none."""
        return self.rows[self.chosen].key if self.chosen < len(self.rows) else ""

    def choose(self, key: str) -> None:
        """Choose the row with a key, now or once there is one."""
        self._chosen_key = key
        self.watch_rows()
        self.watch_chosen()

    def _choose(self, index: int) -> bool:
        """Choose a row, if rows can be chosen here."""
        if not self.choice:
            return False
        self.chosen = max(0, min(index, len(self.rows) - 1))
        return True

    def action_scroll_up(self) -> None:
        """Choose the row above, or scroll."""
        if not self._choose(self.chosen - 1):
            super().action_scroll_up()

    def action_scroll_down(self) -> None:
        """Choose the row below, or scroll."""
        if not self._choose(self.chosen + 1):
            super().action_scroll_down()

    def action_page_up(self) -> None:
        """Choose a row a page above, or scroll."""
        if not self._choose(self.chosen - max(1, self.content_size.height - 2)):
            super().action_page_up()

    def action_page_down(self) -> None:
        """Choose a row a page below, or scroll."""
        if not self._choose(self.chosen + max(1, self.content_size.height - 2)):
            super().action_page_down()

    def action_scroll_home(self) -> None:
        """Choose the first row, or scroll."""
        if not self._choose(0):
            super().action_scroll_home()

    def action_scroll_end(self) -> None:
        """Choose the last row, or scroll."""
        if not self._choose(len(self.rows) - 1):
            super().action_scroll_end()

    def on_resize(self, _: Resize) -> None:
        """Fit the columns to the new width."""
        self._lay_out()

    def _lay_out(self) -> None:
        self._lines = [
            (index, is_remark)
            for index, row in enumerate(self.rows)
            for is_remark in (False, True)[: 1 + bool(row.remark)]
        ]
        self._fitted = None
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._lines) + 1)
        self.refresh()

    def _columns(self, width: int) -> list[_Fitted]:
        if self._fitted is None or self._fitted[0] != width:
            self._fitted = width, _fit(self.COLUMNS, self.rows, width)
        return self._fitted[1]

    def render_line(self, y: int) -> Strip:
        """Draw one line: the heading stays on top, the rows scroll below it.

        Args:
            y: counted from the top of what is visible.
        """
        width = self.scrollable_content_region.width - _MARGIN_RIGHT
        if not self.rows:
            return self._line([(self.empty if y == 0 else "", "table--muted")], width)
        columns = self._columns(width)
        if y == 0:
            return self._line([(text, "table--heading") for text in _headings(self.COLUMNS, columns)], width)
        line_index = y - 1 + self.scroll_offset.y
        if line_index >= len(self._lines):
            return self._line([], width)
        row_index, is_remark = self._lines[line_index]
        row = self.rows[row_index]
        if is_remark:
            return self._line([(elide(_INDENT + words(row.remark), width), f"table--{row.tone}")], width)
        marked = self.has_focus and row_index == self.chosen and bool(row.key)
        return self._line(_cells(self.COLUMNS, columns, row), width, marked=marked)

    def _line(self, parts: Sequence[tuple[str, str]], width: int, *, marked: bool = False) -> Strip:
        base = self.rich_style
        mark = self._style("table--chosen") if marked else None
        segments = [Segment(text, base + self._style(name) + mark) for text, name in parts]
        ground = base if mark is None else base + mark
        return Strip(segments).adjust_cell_length(width, ground).extend_cell_length(width + _MARGIN_RIGHT, base)

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
    written = [index for index in shown if any(row.cells[index].text for row in rows)]
    while True:
        for gap in _GAPS:
            excess = sum(wanted[index] for index in shown) + gap * (len(shown) - 1) - width
            if excess <= 0:
                return [_Fitted(index, wanted[index], gap, decimals[index]) for index in shown]
        if written and len(written) < len(shown):
            shown = written
            continue
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
                _aligned(columns[column.index], column.decimals, row, column.index),
                columns[column.index].align,
                column,
                names=columns[column.index].names,
            ),
            f"table--{row.cells[column.index].tone}",
        )
        for column in fitted
    ]


def _placed(text: str, align: Align, column: _Fitted, *, names: bool = False) -> str:
    """Return text at its side of a column, with the gap to the next."""
    text = elide(text, column.width, keep_end=names)
    blanks = " " * (column.width - cell_len(text))
    return (text + blanks if align == "left" else blanks + text) + " " * column.gap


def elide(text: str, width: int, *, keep_end: bool = False) -> str:
    """Shorten text to a width, with a sign that it was; in its middle, with `keep_end`."""
    if cell_len(text) <= width:
        return text
    if keep_end and width >= _ENDS_FROM:
        end_width = (width - 1) // 3
        return f"{set_cell_size(text, width - 1 - end_width)}…{set_cell_size(text[::-1], end_width)[::-1]}"
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""
