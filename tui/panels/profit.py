"""What the account gained by day, week or month."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.reactive import reactive

from tui.figures import count, money, percent, words
from tui.panels.chart import Asked
from tui.panels.positions import tone_of_profit
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from tui.client import Gained, Gains
    from tui.status import Status

PERIODS_ASKED = 60
PERIODS = ("day", "week", "month")


class Profit(Table):
    """One row for each period in which a bar closed, the newest first."""

    HEADING = f"Profit by {PERIODS[0]}"
    EMPTY = "not known yet"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("w", "other_period", "Day, week, month")]
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("from"),
        Column("profit", align="right"),
        Column("share", align="right", worth=8),
        Column("equity", align="right", worth=5),
        Column("fills", align="right", worth=4),
    )

    by: reactive[str] = reactive(PERIODS[0])
    """How long a row is."""
    gains: reactive[Gains | None] = reactive(None)
    """What is shown."""

    def watch_status(self, status: Status | None) -> None:
        """Leave the rows to `gains`: the status has none."""

    def watch_by(self, by: str) -> None:
        """Say what a row is."""
        self.border_title = f"Profit by {by}"

    def watch_gains(self, gains: Gains | None) -> None:
        """Show other rows."""
        self.empty = self.EMPTY if gains is None else "no bar has closed yet"
        self.rows = tuple(_row(gained) for gained in (() if gains is None else gains.rows))

    def action_other_period(self) -> None:
        """Show longer periods, after the longest the shortest again."""
        self.by = PERIODS[(PERIODS.index(self.by) + 1) % len(PERIODS)]
        self.gains = None
        self.post_message(Asked())


def _row(gained: Gained) -> Row:
    tone = tone_of_profit(gained.profit)
    return Row(
        (
            Cell(words(gained.date), "muted"),
            Cell(money(gained.profit, signed=True), tone),
            Cell("" if gained.share is None else percent(gained.share, 2, signed=True), tone),
            Cell(money(gained.equity)),
            Cell(count(gained.fills), "muted"),
        )
    )
