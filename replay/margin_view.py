"""How an account stands on margin, for people: plain values in quote units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.instrument import from_atoms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.execution.margin_account import MarginAccount, PositionView
    from actors.instrument import Instrument
    from actors.ledger import Holding


def describe_margin(
    account: MarginAccount, holdings: Iterable[Holding], instruments: Mapping[str, Instrument]
) -> dict[str, Any]:
    """Return wallet, margins, what was liquidated so far, and every position with its liquidation price."""
    mark = account.view()
    books = list(holdings)
    return {
        "wallet": from_atoms(mark.wallet_atoms),
        "balance": from_atoms(mark.balance_atoms),
        "initial_margin": from_atoms(mark.initial_atoms),
        "maintenance_margin": from_atoms(mark.maintenance_atoms),
        "available": from_atoms(mark.available_atoms),
        "used_max": from_atoms(account.used_max_atoms),
        "refused": account.refused,
        "liquidations": account.liquidations,
        "liquidation_fees": from_atoms(sum(book.liquidation_fees_atoms for book in books)),
        "insured": from_atoms(sum(book.insured_atoms for book in books)),
        "positions": [_position(held, instruments[held.symbol]) for held in mark.positions],
    }


def _position(held: PositionView, instrument: Instrument) -> dict[str, Any]:
    quantity = instrument.quantity(held.quantity_lots)
    price = instrument.price(held.liquidation_ticks)
    return {
        "symbol": held.symbol,
        "quantity": quantity.normalize() + 0,
        "leverage": held.leverage,
        "margin_mode": "isolated" if held.isolated else "cross",
        "entry_price": abs(float(from_atoms(held.cost_atoms) / quantity)),
        "mark_price": instrument.price_float(held.mark_ticks) if held.mark_ticks else None,
        "liquidation_price": float(price) if held.liquidation_ticks else None,
        "initial_margin": from_atoms(held.initial_atoms),
        "maintenance_margin": from_atoms(held.maintenance_atoms),
        "isolated_margin": from_atoms(held.isolated_atoms) if held.isolated else None,
    }
