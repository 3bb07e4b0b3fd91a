"""Who trades, and whether it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tui.figures import money
from tui.panels.positions import tone_of_profit
from tui.panels.table import Cell, Column, Row, Table
from tui.theme import TONE_OF_STATE

if TYPE_CHECKING:
    from tui.status import Status, Strategy
    from tui.theme import Tone


class Strategies(Table):
    """The account's strategies in their order, each with why it is held back."""

    HEADING = "Strategies"
    PART = "strategies"
    EMPTY = "none"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("P", "app.of_strategy('pause')", "This strategy only", key_display="P R F"),
        Binding("R", "app.of_strategy('resume')", show=False),
        Binding("F", "app.of_strategy('flatten')", show=False),
    ]
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("strategy", elides_to=10, names=True),
        Column("state"),
        Column("profit", align="right", worth=8),
        Column("realised", align="right", worth=6),
        Column("open", align="right", worth=5),
        Column("fees", align="right", worth=4),
        Column("symbols", worth=3, elides_to=8),
        Column("bars", worth=3),
        Column("parameters", worth=1, elides_to=12),
    )

    def read(self, status: Status) -> list[Row]:
        """Return one row for each strategy."""
        return [_row(strategy) for strategy in status.strategies]

    def note(self, status: Status) -> str:
        """Return how many there are, and how many of them do not run."""
        held_count = sum(strategy.state != "running" for strategy in status.strategies)
        held = f" · [$warning]{held_count} held back[/]" if held_count else ""
        return f"{len(status.strategies) or ''}{held}"


def _row(strategy: Strategy) -> Row:
    profit = strategy.realized_pnl + strategy.unrealized_pnl - strategy.fees
    tone: Tone = "muted" if strategy.state == "running" else TONE_OF_STATE.get(strategy.state, "plain")
    return Row(
        (
            Cell(strategy.strategy),
            Cell(strategy.state, tone),
            Cell(money(profit, signed=True), tone_of_profit(profit)),
            Cell(money(strategy.realized_pnl, signed=True)),
            Cell(money(strategy.unrealized_pnl, signed=True)),
            Cell(money(strategy.fees), "muted"),
            Cell(" ".join(strategy.symbols), "muted"),
            Cell(strategy.timeframe, "muted"),
            Cell(" ".join(f"{name}={value}" for name, value in strategy.params.items()), "muted"),
        ),
        remark="" if strategy.state == "running" else strategy.reason or strategy.last_error or "",
        tone="bad" if strategy.state == "failed" else "warn",
        key=strategy.strategy,
    )
