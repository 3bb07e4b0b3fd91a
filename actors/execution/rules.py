"""The venue's rules of a symbol, which may change in mid-session: steps, minimum notional, whether it trades at all.

| what changed | then |
|---|---|
| the minimum notional | it applies from now on |
| the price or quantity step | halt: a session counts in the units it began with; the next takes over the account |
| the venue trades it no more | halt |
| back to what it was | orders may leave again; a halt stays until it is resumed |

A halt withdraws what works, as any halt does. Until the rules are back nothing is sent for the symbol, but for the
closing orders of a flatten where these fit the old steps and the new ones.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors.instrument import to_atoms
from actors.messages import Halt, InstrumentChanged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.instrument import Instrument
    from actors.messages import OrderRequest
    from actors.runtime.scheduler import Context

_REMEDY = "stop this session and start again: the next one has the new rules and takes over the account"
_GONE = "its positions stay in the books; go on without it once they are settled, or resume when it trades again"


class Rules:
    """What the venue says of its rules.

    Args:
        context: the core's.
        instruments: exact units by symbol, as the session began with them.
    """

    name = "venue"
    isolated = False

    def __init__(self, context: Context, instruments: Mapping[str, Instrument]) -> None:
        self._emit = context.emit
        self._instruments = instruments
        self.told: dict[str, InstrumentChanged] = {}
        """The newest by symbol; a symbol of which nothing was told is as the session began with it."""

    def on_changed(self, changed: InstrumentChanged) -> None:
        """Take in the rules of a symbol as they are now; what they keep from being traded halts, once."""
        instrument = self._instruments.get(changed.symbol)
        before = self.told.get(changed.symbol)
        if instrument is None:
            return
        self.told[changed.symbol] = changed
        instrument.min_notional_atoms = to_atoms(changed.min_notional)
        words = self._trouble(changed)
        if words and (before is None or words != self._trouble(before)):
            self._emit(Halt(f"{changed.symbol}: {words}; {_REMEDY if changed.trading else _GONE}"))

    def refusal(self, request: OrderRequest) -> str:
        """Return why an order must not leave; empty if it may."""
        told = self.told.get(request.symbol)
        words = "" if told is None else self._trouble(told)
        if not words or told is None:
            return ""
        instrument = self._instruments[request.symbol]
        quantity = instrument.quantity(request.quantity_lots)
        on_both_grids = not told.tick % instrument.spec.tick and not quantity % told.step
        return "" if request.closing and told.trading and on_both_grids else words

    def dump(self) -> dict[str, InstrumentChanged]:
        """Return the state."""
        return self.told

    def load(self, kept: dict[str, InstrumentChanged]) -> None:
        """Restore the state."""
        self.told = kept
        for symbol, told in kept.items():
            self._instruments[symbol].min_notional_atoms = to_atoms(told.min_notional)

    def _trouble(self, told: InstrumentChanged) -> str:
        """Return in words what keeps a symbol from being traded as this session trades it."""
        if not told.trading:
            return "the venue does not trade it any more"
        spec = self._instruments[told.symbol].spec
        steps = (("price", spec.tick, told.tick), ("quantity", spec.step or spec.lot, told.step))
        changes = [f"{name} step from {_plain(then)} to {_plain(now)}" for name, then, now in steps if then != now]
        return f"the venue changed its {' and its '.join(changes)}" if changes else ""


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
