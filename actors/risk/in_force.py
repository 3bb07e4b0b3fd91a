"""Which limits are in force: those configured, or tighter ones; and what says so across restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.messages import LimitChanged, LimitsConfigured, Tighten
from actors.risk.limits import LimitError, carry_over, each_limit, each_setting, in_words, tighten, value_of
from config.risk import Risk as Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.runtime.scheduler import Context

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Limits).decode


class InForce:
    """The limits of one session.

    Attributes:
        limits: those in force.
        configured: what the configuration says; tighter limits may be in force.
    """

    def __init__(self, context: Context, limits: Limits, known: Mapping[str, Sequence[str]]) -> None:
        """Begin with `limits`; `known` names the symbols and strategies there are."""
        self._emit = context.emit
        self._first = limits
        self._known = known
        self.limits = self.configured = limits

    def check(self, limit: str, value: str) -> None:
        """Check that a limit could be tightened like that.

        Raises:
            LimitError: it could not.
        """
        tighten(self.limits, limit, value, self._known)

    def tighten(self, message: Tighten) -> bool:
        """Tighten a limit and say so, or say why not; return whether it was done."""
        before = in_words(value_of(self.limits, message.limit))
        try:
            self.limits = tighten(self.limits, message.limit, message.value, self._known)
        except LimitError as error:
            self._emit(LimitChanged(message.limit, before, message.value, message.command_id, refused=str(error)))
            return False
        after = in_words(value_of(self.limits, message.limit))
        self._emit(LimitChanged(message.limit, before, after, message.command_id))
        return True

    def configure(self, message: LimitsConfigured) -> None:
        """Take over what the configuration says now, and say what that changes."""
        wanted, before = _decode(message.limits), dict(each_setting(self.limits))
        self.limits = wanted if message.reset else carry_over(self.configured, wanted, self.limits)
        self.configured = wanted
        after = dict(each_setting(self.limits))
        for name in dict.fromkeys((*before, *after)):
            if before.get(name) != after.get(name):
                self._emit(LimitChanged(name, in_words(before.get(name)), in_words(after.get(name))))

    def tightened(self) -> list[str]:
        """Return the names of the limits that are not as configured."""
        configured = dict(each_limit(self.configured))
        return [name for name, value in each_limit(self.limits) if value != configured.get(name)]

    def dump(self) -> tuple[str, str]:
        """Return (limits in force, configuration) as JSON, each empty where it is the one the session began with."""
        return self._kept(self.limits), self._kept(self.configured)

    def load(self, limits: str, configured: str) -> None:
        """Restore what `dump` returned."""
        self.limits = _decode(limits) if limits else self._first
        self.configured = _decode(configured) if configured else self._first

    def _kept(self, limits: Limits) -> str:
        return "" if limits == self._first else _encode(limits).decode()
