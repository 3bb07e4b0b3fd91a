"""The judge: asks the rules in their order, counts what they say, and acts where a rule wants more than a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.messages import Halt, LimitBreached

if TYPE_CHECKING:
    from actors.risk.rules import Proposal, Rule
    from actors.runtime.scheduler import Context

ACTS_IN = {
    "pause": ("running",),
    "cancel_all": ("running", "paused"),
    "flatten": ("running", "paused"),
    "halt": ("running",),
}
"""The trading states in which an action has anything left to do; one that is halted waits for a person."""


class Counts(msgspec.Struct):
    """What one rule has done in this session."""

    vetoed: int = 0
    """Orders, and changes of orders, it refused."""
    clipped: int = 0
    """Orders it cut, those that kept only what closes included."""
    acted: int = 0
    """Times it acted on the account."""
    reason: str = ""
    """What it said last."""
    ts_ns: int = 0
    """When that was."""


class RuleReport(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, as status and reports show it."""

    rule: str
    limit: str
    """In force; `off` where it was switched off while the session ran."""
    action: str
    vetoed: int
    clipped: int
    acted: int
    last_reason: str
    """Why it refused, cut or acted last; empty while it has not."""
    last_ns: int
    """When that was."""


class Judge:
    """Asks and counts.

    Attributes:
        rules: those that are switched on, in order.
        counts: by the name of a rule; of those that were switched on once, too.
        acted: rules that have acted on the account since trading was resumed last.
        due: breaches of the order in hand that call for action, once it has its answer.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._emit = context.emit
        self.rules: tuple[Rule, ...] = ()
        self.counts: dict[str, Counts] = {}
        self.acted: list[str] = []
        self.due: list[tuple[Rule, str]] = []

    def judge(self, order: Proposal) -> tuple[int, str]:
        """Return how many of the order's lots pass, and what was said last of those that do not."""
        reason = ""
        for rule in self.rules:
            verdict = rule.judge(order)
            if verdict is None:
                continue
            reason = verdict.reason
            passing = order.free_lots
            if rule.action == "clip":
                passing = max(passing, verdict.lots)
            order.lots = min(order.lots, passing)
            counts = self._note(rule, reason)
            if order.lots > 0:
                counts.clipped += 1
            else:
                counts.vetoed += 1
            if rule.action in ACTS_IN:
                self.due.append((rule, reason))
            if order.lots <= order.free_lots:
                break
        return order.lots, reason

    def report(self) -> list[RuleReport]:
        """Return what every rule that is, or was, switched on has done."""
        rules = [(rule.name, rule.limit, str(rule.action)) for rule in self.rules]
        names = [rule.name for rule in self.rules]
        rules += [(name, "off", "") for name in self.counts if name not in names]
        return [
            RuleReport(
                rule=name,
                limit=limit,
                action=action,
                vetoed=counts.vetoed,
                clipped=counts.clipped,
                acted=counts.acted,
                last_reason=counts.reason,
                last_ns=counts.ts_ns,
            )
            for name, limit, action in rules
            for counts in (self.counts.get(name, Counts()),)
        ]

    def watch(self, trading: str) -> bool:
        """Act on the account where it is beyond a limit; return whether every order is to be withdrawn."""
        for rule in self.rules:
            if rule.action in ACTS_IN and self._may_act(rule, trading):
                reason = rule.breached()
                if reason:
                    self.due.append((rule, reason))
        return self.act(trading)

    def act(self, trading: str) -> bool:
        """Act on what is due, each rule once until trading is resumed; return whether to withdraw every order."""
        withdraw = False
        for rule, reason in self.due:
            if not self._may_act(rule, trading):
                continue
            self.acted.append(rule.name)
            self._note(rule, reason).acted += 1
            match rule.action:
                case "halt":
                    self._emit(Halt(reason))
                case "pause" | "cancel_all" | "flatten":
                    withdraw = withdraw or rule.action == "cancel_all"
                    self._emit(LimitBreached(rule.name, rule.action, reason))
                case _:
                    raise AssertionError(rule.action)
        self.due.clear()
        return withdraw

    def _may_act(self, rule: Rule, trading: str) -> bool:
        return trading in ACTS_IN[rule.action] and rule.name not in self.acted

    def _note(self, rule: Rule, reason: str) -> Counts:
        counts = self.counts.setdefault(rule.name, Counts())
        counts.reason, counts.ts_ns = reason, self._context.now_ns
        return counts
