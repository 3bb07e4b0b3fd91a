"""How an account stands on margin, for people: plain values in quote units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.instrument import from_atoms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.execution.margin_account import MarginAccount, PositionView
    from actors.instrument import Instrument
    from actors.ledger import Holding
    from actors.messages import MarginReported


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


def describe_told_margin(
    told: tuple[int, MarginReported] | None, leverage: int | None, mode: str, instruments: Mapping[str, Instrument]
) -> dict[str, Any] | None:
    """Return what a real venue told of the account last; None where it has not.

    Args:
        told: when, and what.
        leverage: of every contract, as it is configured and checked.
        mode: of their margin, likewise.
        instruments: exact units by symbol.
    """
    if told is None:
        return None
    told_ns, margin = told
    return {
        "told_ns": told_ns,
        "wallet": from_atoms(margin.wallet_atoms),
        "balance": from_atoms(margin.balance_atoms),
        "initial_margin": from_atoms(margin.initial_atoms),
        "maintenance_margin": from_atoms(margin.maintenance_atoms),
        "available": from_atoms(margin.available_atoms),
        "positions": [
            {
                "symbol": held.symbol,
                "quantity": instruments[held.symbol].quantity(held.quantity_lots).normalize() + 0,
                "leverage": leverage,
                "margin_mode": mode,
                "entry_price": held.entry_price,
                "mark_price": held.mark_price,
                "liquidation_price": held.liquidation_price or None,
                "liquidation_distance": _distance(held.mark_price, held.liquidation_price),
                "initial_margin": from_atoms(held.initial_atoms),
                "maintenance_margin": from_atoms(held.maintenance_atoms),
                "isolated_margin": from_atoms(held.isolated_atoms) if mode == "isolated" else None,
            }
            for held in margin.positions
        ],
    }


def _distance(mark: float, liquidation: float) -> float | None:
    """Return how far a mark is from where a position is liquidated, as a fraction of it; None where it is nowhere."""
    return abs(mark - liquidation) / mark if mark and liquidation else None


def _position(held: PositionView, instrument: Instrument) -> dict[str, Any]:
    quantity = instrument.quantity(held.quantity_lots)
    mark, price = (instrument.price_float(ticks) for ticks in (held.mark_ticks, held.liquidation_ticks))
    return {
        "symbol": held.symbol,
        "quantity": quantity.normalize() + 0,
        "leverage": held.leverage,
        "margin_mode": "isolated" if held.isolated else "cross",
        "entry_price": abs(float(from_atoms(held.cost_atoms) / quantity)),
        "mark_price": mark or None,
        "liquidation_price": price or None,
        "liquidation_distance": _distance(mark, price),
        "initial_margin": from_atoms(held.initial_atoms),
        "maintenance_margin": from_atoms(held.maintenance_atoms),
        "isolated_margin": from_atoms(held.isolated_atoms) if held.isolated else None,
    }
