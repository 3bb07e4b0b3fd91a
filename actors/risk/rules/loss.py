"""Losses of the account, at bar closes: of the day, of the week, from the peak; and trades lost in a row.

A loss is a breach once it reaches its limit, and stays one for as long as it does: what acted on it acts again
after a `resume`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from actors.instrument import to_atoms
from actors.risk.rules.base import Proposal, Rule, Verdict

if TYPE_CHECKING:
    from decimal import Decimal

    from actors.risk.account import Equity, Streaks
    from actors.risk.rules.base import Action
    from actors.runtime.scheduler import Context

_NS_PER_S = 1_000_000_000


class _AccountRule(Rule):
    """A rule that judges the account, and an order by that."""

    __slots__ = ("_equity",)

    needs = ("equity",)

    def judge(self, order: Proposal) -> Verdict | None:  # noqa: ARG002 - it is the same for every order
        """Refuse whatever opens while the account is beyond the limit."""
        reason = self.breached()
        return Verdict(reason) if reason else None


class DailyLoss(_AccountRule):
    """Equity lost since 00:00 UTC."""

    __slots__ = ("_most_atoms",)

    def __init__(self, limit: Decimal, action: Action, equity: Equity) -> None:
        super().__init__("max_daily_loss", f"{limit}", action)
        self._most_atoms = to_atoms(limit)
        self._equity = equity

    def breached(self) -> str:
        """Compare the newest mark with what the day began with."""
        equity = self._equity
        if equity.day_atoms is None or equity.day_atoms - equity.atoms < self._most_atoms:
            return ""
        return f"daily loss limit {self.limit} reached"


class WeeklyLoss(_AccountRule):
    """Equity lost since Monday 00:00 UTC."""

    __slots__ = ("_most_atoms",)

    def __init__(self, limit: Decimal, action: Action, equity: Equity) -> None:
        super().__init__("max_weekly_loss", f"{limit}", action)
        self._most_atoms = to_atoms(limit)
        self._equity = equity

    def breached(self) -> str:
        """Compare the newest mark with what the week began with."""
        equity = self._equity
        if equity.week_atoms is None or equity.week_atoms - equity.atoms < self._most_atoms:
            return ""
        return f"weekly loss limit {self.limit} reached"


class Drawdown(_AccountRule):
    """Equity lost since its highest mark, as a fraction of that."""

    __slots__ = ("_most",)

    def __init__(self, limit: Decimal, action: Action, equity: Equity) -> None:
        super().__init__("max_drawdown", f"{limit}", action)
        self._most = Fraction(limit)
        self._equity = equity

    def breached(self) -> str:
        """Compare the newest mark with the highest."""
        peak_atoms = self._equity.peak_atoms
        if peak_atoms is None:
            return ""
        lost_atoms = peak_atoms - self._equity.atoms
        if lost_atoms <= 0 or lost_atoms * self._most.denominator < self._most.numerator * peak_atoms:
            return ""
        return f"drawdown limit {self.limit} reached"


class Cooldown(Rule):
    """Trades of one strategy lost in a row, and the rest it then takes."""

    __slots__ = ("_context", "_cooldown_ns", "_most", "_streaks")

    needs = ("positions",)

    def __init__(self, limit: int, cooldown_s: float, action: Action, streaks: Streaks, context: Context) -> None:
        super().__init__("max_consecutive_losses", f"{limit}", action)
        self._most = limit
        self._cooldown_ns = round(cooldown_s * _NS_PER_S)
        self._streaks = streaks
        self._context = context

    def judge(self, order: Proposal) -> Verdict | None:
        """Let a strategy rest from its last loss on."""
        streak = self._streaks.by_strategy.get(order.strategy)
        if streak is None or streak.losses < self._most:
            return None
        left_ns = streak.last_ns + self._cooldown_ns - self._context.now_ns
        if left_ns <= 0:
            return None
        return Verdict(f"{streak.losses} losing trades in a row: nothing is opened for {-(-left_ns // _NS_PER_S)} s")
