"""What a fill makes of a position: one rule for the ledger, and for a venue that keeps positions.

A position is (lots, cost), both signed: a short has negative cost. A partial close takes
``floor(cost x closed / held)`` of the cost by magnitude, a full close the rest, so nothing is ever lost to
rounding; what crosses zero opens anew at the fill's price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.instrument import Instrument


def net_fill(
    instrument: Instrument, held_lots: int, cost_atoms: int, side: int, price_ticks: int, quantity_lots: int
) -> tuple[int, int, int, int]:
    """Return (lots held after the fill, their cost, profit of what it closed, cash it brought), money in atoms.

    Profit is before fees; cash is negative of a buy. Always: cash + change of cost = profit.

    Args:
        instrument: what was traded.
        held_lots: the position before, signed.
        cost_atoms: its cost, signed likewise.
        side: BUY or SELL.
        price_ticks: price of the fill.
        quantity_lots: its size, above 0.
    """
    assert quantity_lots > 0, quantity_lots
    notional_atoms = instrument.value_atoms(price_ticks, quantity_lots)
    if side > 0:
        cash_atoms, after_lots = -notional_atoms, held_lots + quantity_lots
    else:
        cash_atoms, after_lots = notional_atoms, held_lots - quantity_lots
    if held_lots == 0 or (held_lots > 0) == (side > 0):
        return after_lots, cost_atoms - cash_atoms, 0, cash_atoms
    if after_lots == 0 or (after_lots > 0) != (held_lots > 0):
        opened_atoms = instrument.value_atoms(price_ticks, after_lots)
        return after_lots, opened_atoms, cash_atoms + opened_atoms - cost_atoms, cash_atoms
    closed_atoms = abs(cost_atoms) * quantity_lots // abs(held_lots)
    if cost_atoms < 0:
        closed_atoms = -closed_atoms
    return after_lots, cost_atoms - closed_atoms, cash_atoms - closed_atoms, cash_atoms
