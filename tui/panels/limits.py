"""How near the limits are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tui.figures import amount, count, percent
from tui.panels.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from tui.status import LimitUse, Rule, Status
    from tui.theme import Tone

BAR_WIDTH = 16
"""Characters of a bar."""
_EIGHTHS = "▏▎▍▌▋▊▉█"
_REST = "·"
_NEAR = 0.75
_SHARE_MAX = 99.99


class Limits(Table):
    """Every limit that is an amount, as a bar of what is used; below them the rules that are not."""

    HEADING = "Risk"
    PART = "risk"
    EMPTY = "no limit is set"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "app.tighten_limit", "Tighten")]
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("limit", elides_to=16, names=True),
        Column("used"),
        Column("", align="right"),
        Column("now", align="right", worth=6),
        Column("most", align="right"),
        Column("refused", align="right", worth=4),
        Column("cut", align="right", worth=3),
        Column("action", worth=2),
    )

    def read(self, status: Status) -> list[Row]:
        """Return one row for each limit, the most used ones first, then those that are no amount."""
        rules = {rule.rule: rule for rule in status.risk.rules}
        uses = sorted(status.risk.uses, key=_share, reverse=True)
        amounts = {use.limit.rpartition(".")[2] for use in uses}
        return [
            *(_use_row(use, rules.get(use.limit.rpartition(".")[2]), status) for use in uses),
            *(_rule_row(rule, status) for rule in status.risk.rules if rule.rule not in amounts),
        ]

    def note(self, status: Status) -> str:
        """Return how many limits there are, and how many of them are reached."""
        full_count = sum(_share(use) >= 1 for use in status.risk.uses)
        full = f" · [$error]{full_count} reached[/]" if full_count else ""
        return f"{len(self.rows) or ''}{full}"


def bar(share: float, width: int) -> str:
    """Draw a share of a whole in eighths of a character; anything above nothing shows."""
    eighths = max(1 if share > 0 else 0, round(min(max(share, 0.0), 1.0) * width * 8))
    whole, rest = divmod(eighths, 8)
    drawn = "█" * whole + (_EIGHTHS[rest - 1] if rest else "")
    return drawn + _REST * (width - len(drawn))


def _share(use: LimitUse) -> float:
    used, most = use.used or 0.0, use.most or 0.0
    return used / most if most > 0 else float(used > 0)


def _use_row(use: LimitUse, rule: Rule | None, status: Status) -> Row:
    share = _share(use)
    tone: Tone = "bad" if share >= 1 else "warn" if share >= _NEAR else "good"
    return Row(
        (
            Cell(use.limit, "warn" if use.limit in status.risk.tightened else "plain"),
            Cell(bar(share, BAR_WIDTH), tone if share > 0 else "muted"),
            Cell(
                percent(share) if share < _SHARE_MAX else f"> {percent(_SHARE_MAX)}",
                tone if share >= _NEAR else "plain",
            ),
            Cell(amount(use.used)),
            Cell(amount(use.most)),
            *_done(rule),
        ),
        remark="" if rule is None else rule.last_reason,
        tone="muted",
        key=use.limit,
    )


def _rule_row(rule: Rule, status: Status) -> Row:
    return Row(
        (
            Cell(rule.rule, "warn" if rule.rule in status.risk.tightened else "plain"),
            Cell(""),
            Cell(""),
            Cell(""),
            Cell(rule.limit),
            *_done(rule),
        ),
        remark=rule.last_reason,
        tone="muted",
        key=rule.rule,
    )


def _done(rule: Rule | None) -> tuple[Cell, Cell, Cell]:
    if rule is None:
        return Cell(""), Cell(""), Cell("")
    return (
        Cell(count(rule.vetoed), "plain" if rule.vetoed else "muted"),
        Cell(count(rule.clipped), "plain" if rule.clipped else "muted"),
        Cell(rule.action.replace("_", " "), "muted"),
    )
