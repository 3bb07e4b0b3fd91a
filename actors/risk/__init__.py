"""Risk: every wish passes here. The actor, its rules, and the limits in force."""

from actors.risk.actor import Risk
from actors.risk.judge import RuleReport
from actors.risk.limits import LimitError, active_limits

__all__ = ["LimitError", "Risk", "RuleReport", "active_limits"]
