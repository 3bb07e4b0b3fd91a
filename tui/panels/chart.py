"""Candles of one symbol with the trades on them, in half lines of box-drawing characters."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec
from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from config.timeframe import format_timeframe, parse_timeframe
from tui.figures import counted, moment, percent, price, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.client import Bars, Candle
    from tui.status import Status
    from tui.stream import Fill

Half = Literal["", "wick", "body"]

BARS_ASKED = 500
_GLYPHS: dict[tuple[Half, Half], str] = {
    ("", ""): " ",
    ("wick", ""): "╵",
    ("", "wick"): "╷",
    ("wick", "wick"): "│",
    ("body", ""): "╹",
    ("", "body"): "╻",
    ("body", "body"): "┃",
    ("body", "wick"): "╿",
    ("wick", "body"): "╽",
}
"""By the upper and the lower half of a line."""
_STYLES = {"rise": "$rise", "fall": "$fall", "buy": "bold $success", "sell": "bold $error", "": ""}
_TIMES = (1, 5, 15, 60, 240, 1_440)
"""Longer bars that are offered, in bars of the session's own."""
_LINES_MIN = 4
_PITCH_MAX = 2


class Cell(msgspec.Struct, frozen=True):
    """One character and what its colour says."""

    glyph: str = " "
    kind: str = ""


class Asked(Message):
    """Other bars are wanted."""


class Chart(Widget, can_focus=True):
    """Candles, the newest to the right; ▲ below a bar is a buy, ▼ above it a sale."""

    HEADING: ClassVar[str] = "Chart"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next_symbol", "Symbol"),
        Binding("plus,equals_sign", "longer(1)", "Bars", key_display="+ -"),
        Binding("minus", "longer(-1)", show=False),
        Binding("left", "back(1)", show=False),
        Binding("right", "back(-1)", show=False),
        Binding("end", "newest", show=False),
    ]
    DEFAULT_CSS = """
    Chart { padding: 0 1; }
    """

    status: reactive[Status | None] = reactive(None, repaint=False)
    """What the daemon said last."""
    fills: reactive[tuple[Fill, ...]] = reactive(())
    """Executions, the newest first."""
    bars: reactive[Bars | None] = reactive(None)
    """What is drawn."""
    trouble: reactive[str] = reactive("")
    """Why there are no bars."""
    behind: reactive[int] = reactive(0)
    """How many bars the view lies behind the newest."""

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.symbol = ""
        """Which symbol is wanted; the first unless chosen."""
        self.times = 1
        """How many of the session's bars make one."""
        self._base_ns = 0

    @property
    def timeframe(self) -> str:
        """What is wanted; empty for the session's own."""
        return format_timeframe(self._base_ns * self.times) if self.times > 1 and self._base_ns else ""

    def on_mount(self) -> None:
        """Show the heading before there are bars."""
        self.border_title = self.HEADING

    def watch_bars(self, bars: Bars | None) -> None:
        """Tell what is drawn."""
        if bars is None:
            return
        self.symbol = bars.symbol
        if self.times == 1:
            self._base_ns = parse_timeframe(bars.timeframe)
        told = ""
        if bars.rows:
            first, last = bars.rows[0].open, bars.rows[-1].close
            change = (last - first) / first if first else 0.0
            colour = "$success" if change > 0 else "$error" if change < 0 else "$muted"
            moved = f"[{colour}]{percent(change, 2, signed=True)}[/] [$muted]over {counted(len(bars.rows), 'bar')}[/]"
            told = f" {self._price(last)} {moved}"
        symbol = words(bars.symbol).replace("[", "(")
        self.border_title = f"{symbol} {words(bars.timeframe)}{told}"

    def forget(self) -> None:
        """Show nothing: another session has begun."""
        self.bars, self.symbol, self.behind = None, "", 0
        self.border_title = self.HEADING
        self.post_message(Asked())

    def action_next_symbol(self) -> None:
        """Go on to the next symbol."""
        symbols = () if self.status is None else self.status.symbols
        if symbols:
            here = symbols.index(self.symbol) if self.symbol in symbols else -1
            self.symbol, self.behind = symbols[(here + 1) % len(symbols)], 0
            self.post_message(Asked())

    def action_longer(self, step: int) -> None:
        """Take longer bars, or shorter ones."""
        index = max(0, min(_TIMES.index(self.times) + step, len(_TIMES) - 1))
        self.times, self.behind = _TIMES[index], 0
        self.post_message(Asked())

    def action_back(self, direction: int) -> None:
        """Go back by half of what is seen, or forth."""
        bars_count = 0 if self.bars is None else len(self.bars.rows)
        step = direction * max(1, self.content_size.width // 4)
        self.behind = max(0, min(self.behind + step, bars_count - 2))

    def action_newest(self) -> None:
        """Go to the newest bar."""
        self.behind = 0

    def render(self) -> Content:
        """Draw what there is room for."""
        size = self.content_size
        if self.bars is None or not self.bars.rows or size.height < _LINES_MIN:
            return Content.assemble((words(self.trouble) or "no bars yet", "$muted"))
        rows = self.bars.rows[: len(self.bars.rows) - self.behind]
        labels_width = max(cell_len(self._price(row.high)) for row in rows) + 1
        width = max(1, size.width - labels_width)
        shown = rows[-width:]
        pitch = max(1, min(_PITCH_MAX, width // len(shown)))
        taken = len(shown) * pitch
        margin = " " * (width - taken)
        lines = draw(shown, self._marks(shown), taken, size.height - 1, pitch)
        low, high = min(row.low for row in shown), max(row.high for row in shown)
        labels = {0: self._price(high), len(lines) - 1: self._price(low)}
        last = shown[-1].close
        place = round((high - last) / (high - low) * (len(lines) - 1)) if high > low else len(lines) // 2
        labels[min(max(place, 1), len(lines) - 2)] = self._price(last)
        drawn = [
            Content.assemble(
                margin,
                *((cell.glyph, _STYLES[cell.kind]) for cell in line),
                (f"{labels.get(index, ''):>{labels_width}}", "$muted" if index in (0, len(lines) - 1) else "$primary"),
            )
            for index, line in enumerate(lines)
        ]
        begun, ended = moment(shown[0].open_ns)[:16], moment(shown[-1].close_ns)[:16]
        axis = (
            f"{margin}{begun}{ended:>{taken - len(begun)}}" if taken > len(begun) + len(ended) else f"{ended:>{width}}"
        )
        return Content("\n").join([*drawn, Content.assemble((axis, "$muted"))])

    def _price(self, value: float) -> str:
        return price(value, None if self.status is None else self.status.steps.get(self.symbol))

    def _marks(self, shown: Sequence[Candle]) -> dict[int, set[str]]:
        """Return the sides that were traded, by the index of the bar."""
        opens_ns = [row.open_ns for row in shown]
        marks: dict[int, set[str]] = {}
        for fill in self.fills:
            index = bisect_right(opens_ns, fill.executed_ns - 1) - 1
            if fill.symbol == self.symbol and index >= 0 and fill.executed_ns <= shown[index].close_ns:
                marks.setdefault(index, set()).add(fill.side)
        return marks


def draw(
    candles: Sequence[Candle], marks: dict[int, set[str]], width: int, height: int, pitch: int = 1
) -> list[list[Cell]]:
    """Draw candles.

    Args:
        candles: from left to right, at most ``width // pitch``.
        marks: sides that were traded, by the index of the candle.
        width: in characters.
        height: in characters; the highest and the lowest line are for marks.
        pitch: characters from one candle to the next.

    Returns:
        `height` lines of `width` cells. Prices are to scale in halves of a line; a body is at least half a line high.
    """
    lines = [[Cell()] * width for _ in range(height)]
    halves_count = 2 * (height - 2)
    low, high = min(row.low for row in candles), max(row.high for row in candles)

    def half_of(value: float) -> int:
        return round((high - value) / (high - low) * (halves_count - 1)) if high > low else halves_count // 2

    for index, row in enumerate(candles):
        x = index * pitch
        kind = "rise" if row.close >= row.open else "fall"
        top, bottom = half_of(row.high), half_of(row.low)
        body_top, body_bottom = half_of(max(row.open, row.close)), half_of(min(row.open, row.close))

        def part(
            half: int, wick: tuple[int, int] = (top, bottom), body: tuple[int, int] = (body_top, body_bottom)
        ) -> Half:
            if body[0] <= half <= body[1]:
                return "body"
            return "wick" if wick[0] <= half <= wick[1] else ""

        for y in range(top // 2, bottom // 2 + 1):
            lines[y + 1][x] = Cell(_GLYPHS[part(2 * y), part(2 * y + 1)], kind)
        if "buy" in marks.get(index, ()):
            lines[bottom // 2 + 2][x] = Cell("▲", "buy")
        if "sell" in marks.get(index, ()):
            lines[top // 2][x] = Cell("▼", "sell")
    return lines
