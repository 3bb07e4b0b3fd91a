"""Equity of the session, or since the console was opened, as a line of braille dots."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.figures import moment, money, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from tui.client import EquityCurve
    from tui.status import Status

POINTS_MAX = 4_096
"""Points remembered; once full every second one is forgotten, so a long watch gets coarser, never larger."""

_DOTS_ACROSS = 2
_DOTS_DOWN = 4
_BLANK = 0x2800
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot of a braille character, by column and row."""


class Equity(Widget):
    """The line, its highest and lowest value, and the change in the title."""

    HEADING: ClassVar[str] = "Equity"
    DEFAULT_CSS = """
    Equity { color: $primary; padding: 0 1; }
    """

    status: reactive[Status | None] = reactive(None)
    """What the daemon said last."""
    curve: reactive[EquityCurve | None] = reactive(None)
    """What was before."""

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.points: list[tuple[int, Decimal]] = []
        """(core time, equity) seen so far; times rise."""
        self._session = ""

    def on_mount(self) -> None:
        """Show the heading before there is a status."""
        self.border_title = self.HEADING

    def watch_status(self, status: Status | None) -> None:
        """Remember the equity of a new status."""
        if status is None or not status.equity.is_finite():
            return
        ts_ns = status.clock.ts_ns
        if status.session != self._session or (self.points and ts_ns < self.points[-1][0]):
            self._session = status.session
            self.points.clear()
        if self.points and self.points[-1][0] == ts_ns:
            self.points.pop()
        self.points.append((ts_ns, status.equity))
        if len(self.points) > POINTS_MAX:
            del self.points[1:-1:2]
        first_ns, first = self.points[0]
        change = status.equity - first
        colour = "$success" if change > 0 else "$error" if change < 0 else "$muted"
        share = f" ({percent(float(change / first), 2, signed=True)})" if first > 0 and change else ""
        self.border_title = (
            f"{self.HEADING} [{colour}]{money(change, signed=True)}{share}[/] [$muted]since {moment(first_ns)} UTC[/]"
        )

    def watch_curve(self, curve: EquityCurve | None) -> None:
        """Put what was before in front of what was seen."""
        if curve is None or curve.session != self._session or not self.points:
            return
        first_ns = self.points[0][0]
        before = [(point.ts_ns, point.equity) for point in curve.points if point.ts_ns < first_ns]
        self.points[:0] = before
        self.refresh()

    def render(self) -> Content:
        """Draw the line in the room there is."""
        size = self.content_size
        if not self.points or not size.height:
            return Content("")
        values = [equity for _, equity in self.points]
        labels = {size.height - 1: money(min(values)), 0: money(max(values))}
        if labels[0] == labels[size.height - 1]:
            labels = {size.height // 2: labels[0]}
        labels_width = max(cell_len(label) for label in labels.values())
        points = [(ts_ns, float(equity)) for ts_ns, equity in self.points]
        lines = plot(points, max(1, size.width - labels_width - 1), size.height)
        return Content("\n").join(
            Content.assemble(line, (f" {labels.get(index, ''):>{labels_width}}", "$muted"))
            for index, line in enumerate(lines)
        )


def plot(points: Sequence[tuple[int, float]], width: int, height: int) -> list[str]:
    """Draw points as one line.

    Args:
        points: (time, value); times rise.
        width: in characters.
        height: in characters.

    Returns:
        `height` strings of `width` braille characters and blanks; the first and the last point touch the sides, the
        highest and the lowest value the top and the bottom, and a line without any change runs along the middle.
    """
    cells = [[0] * width for _ in range(height)]
    dots_down = height * _DOTS_DOWN
    low, high = min(value for _, value in points), max(value for _, value in points)
    before: int | None = None
    for x, value in _across(points, width * _DOTS_ACROSS):
        y = round((high - value) / (high - low) * (dots_down - 1)) if high > low else dots_down // 2
        for dot in range(min(y, y if before is None else before), max(y, y if before is None else before) + 1):
            cells[dot // _DOTS_DOWN][x // _DOTS_ACROSS] |= _BITS[x % _DOTS_ACROSS][dot % _DOTS_DOWN]
        before = y
    return ["".join(chr(_BLANK + bits) if bits else " " for bits in row) for row in cells]


def _across(points: Sequence[tuple[int, float]], dots_count: int) -> Iterator[tuple[int, float]]:
    """Yield (dot, value) from left to right: every point, and on dots without one a value on the way to the next."""
    start_ns, span_ns = points[0][0], points[-1][0] - points[0][0]
    previous: tuple[int, float] | None = None
    for ts_ns, value in points:
        x = (ts_ns - start_ns) * (dots_count - 1) // span_ns if span_ns else 0
        if previous is not None:
            from_x, from_value = previous
            for between in range(from_x + 1, x):
                yield between, from_value + (value - from_value) * (between - from_x) / (x - from_x)
        yield x, value
        previous = x, value
