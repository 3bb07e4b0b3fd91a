"""Binance's JSON of a futures account: positions, wallets, income, settings."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors.instrument import ATOM, ATOMS_PER_UNIT
from replay.exchange.protocol.futures_shapes import ratio_text
from replay.exchange.protocol.shapes import atoms_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.margin import Tiers
    from replay.exchange.model import (
        IncomeView,
        LeverageChanged,
        MarginCalled,
        PositionsChanged,
        PositionView,
        WalletView,
    )
    from replay.exchange.protocol.shapes import Json, MarketText

NOTIONAL_MAX = 1_000_000_000
"""The end of the last bracket, in the settle asset."""
_ZERO = "0.00000000"


def brackets(tiers: Tiers) -> list[Json]:
    """Return maintenance margin and highest leverage by the value of a position."""
    rows = tiers.rows
    caps = [*(row.floor_atoms // ATOMS_PER_UNIT for row in rows[1:]), NOTIONAL_MAX]
    return [
        {
            "bracket": number,
            "initialLeverage": row.leverage,
            "notionalCap": cap,
            "notionalFloor": row.floor_atoms // ATOMS_PER_UNIT,
            "maintMarginRatio": float(row.rate),
            "cum": float(row.amount / ATOMS_PER_UNIT),
        }
        for number, (row, cap) in enumerate(zip(rows, caps, strict=True), start=1)
    ]


def notional_max(tiers: Tiers, leverage: int) -> int:
    """Return the most that a position of a leverage may be worth, in quote units."""
    most_atoms = tiers.most_atoms(leverage)
    return NOTIONAL_MAX if most_atoms is None else most_atoms // ATOMS_PER_UNIT


def entry_text(text: MarketText, position: PositionView) -> str:
    """Return the average price a position was entered at, zero where there is none."""
    if not position.amount_lots:
        return _ZERO
    return ratio_text(Decimal(position.cost_atoms) * ATOM / (position.amount_lots * text.market.lot))


def notional_text(text: MarketText, position: PositionView) -> str:
    """Return what a position is worth at the mark, negative of a short."""
    atoms = text.value_atoms(position.mark_ticks, abs(position.amount_lots))
    return atoms_text(atoms if position.amount_lots > 0 else -atoms)


def is_listed(position: PositionView) -> bool:
    """Return whether the third version of the endpoints lists it: what is held, or has open orders."""
    return position.amount_lots != 0 or position.order_margin_atoms != 0


def _isolated_text(position: PositionView) -> str:
    """Return the margin of an isolated position, with what it has won or lost since."""
    return atoms_text(position.isolated_atoms + position.unrealized_atoms) if position.isolated else _ZERO


def risk_row(text: MarketText, position: PositionView) -> Json:
    """Return a position as the third version of `positionRisk` lists it."""
    return {
        "symbol": position.id,
        "positionSide": "BOTH",
        "positionAmt": text.quantity(position.amount_lots),
        "entryPrice": entry_text(text, position),
        "breakEvenPrice": entry_text(text, position),
        "markPrice": text.price(position.mark_ticks),
        "unRealizedProfit": atoms_text(position.unrealized_atoms),
        "liquidationPrice": text.price(position.liquidation_ticks),
        "isolatedMargin": _isolated_text(position),
        "notional": notional_text(text, position),
        "marginAsset": text.market.settle,
        "isolatedWallet": atoms_text(position.isolated_atoms),
        "initialMargin": atoms_text(position.initial_margin_atoms + position.order_margin_atoms),
        "maintMargin": atoms_text(position.maintenance_atoms),
        "positionInitialMargin": atoms_text(position.initial_margin_atoms),
        "openOrderInitialMargin": atoms_text(position.order_margin_atoms),
        "adl": 0,
        "bidNotional": _ZERO,
        "askNotional": _ZERO,
        "updateTime": position.updated_ms,
    }


def risk_row_v2(text: MarketText, position: PositionView) -> Json:
    """Return a position as the second version of `positionRisk` lists it, with its settings."""
    row = risk_row(text, position)
    names = (
        "symbol", "positionSide", "positionAmt", "entryPrice", "breakEvenPrice", "markPrice", "unRealizedProfit",
        "liquidationPrice", "isolatedMargin", "notional", "isolatedWallet", "updateTime",
    )  # fmt: skip
    return {name: row[name] for name in names} | {
        "leverage": str(position.leverage),
        "maxNotionalValue": str(NOTIONAL_MAX),
        "marginType": "isolated" if position.isolated else "cross",
        "isAutoAddMargin": "false",
    }


def account_position_row(text: MarketText, position: PositionView) -> Json:
    """Return a position as the third version of `account` lists it."""
    risk = risk_row(text, position)
    names = (
        "symbol", "positionSide", "positionAmt", "isolatedMargin", "notional", "isolatedWallet", "initialMargin",
        "maintMargin", "updateTime",
    )  # fmt: skip
    return {name: risk[name] for name in names} | {"unrealizedProfit": risk["unRealizedProfit"]}


def account_position_row_v2(text: MarketText, position: PositionView) -> Json:
    """Return a position as the second version of `account` lists it."""
    risk = risk_row(text, position)
    names = ("positionInitialMargin", "openOrderInitialMargin", "entryPrice", "breakEvenPrice", "bidNotional")
    return (
        account_position_row(text, position)
        | {name: risk[name] for name in names}
        | {
            "askNotional": risk["askNotional"],
            "leverage": str(position.leverage),
            "isolated": position.isolated,
            "maxNotional": str(NOTIONAL_MAX),
        }
    )


def _updated_ms(wallet: WalletView) -> int:
    """Return when a wallet changed: clients take one of time zero for one that was never used."""
    return max(wallet.updated_ms, 1 if wallet.wallet_atoms else 0)


def asset_row(wallet: WalletView) -> Json:
    """Return one asset of the wallet as `account` lists it."""
    return {
        "asset": wallet.asset,
        "walletBalance": atoms_text(wallet.wallet_atoms),
        "unrealizedProfit": atoms_text(wallet.unrealized_atoms),
        "marginBalance": atoms_text(wallet.wallet_atoms + wallet.unrealized_atoms),
        "maintMargin": atoms_text(wallet.maintenance_atoms),
        "initialMargin": atoms_text(wallet.initial_margin_atoms),
        "positionInitialMargin": atoms_text(wallet.position_margin_atoms),
        "openOrderInitialMargin": atoms_text(wallet.order_margin_atoms),
        "crossWalletBalance": atoms_text(wallet.cross_wallet_atoms),
        "crossUnPnl": atoms_text(wallet.cross_unrealized_atoms),
        "availableBalance": atoms_text(wallet.available_atoms),
        "maxWithdrawAmount": atoms_text(wallet.available_atoms),
        "updateTime": _updated_ms(wallet),
    }


def balance_row(wallet: WalletView) -> Json:
    """Return one asset of the wallet as `balance` lists it."""
    return {
        "accountAlias": "loopback",
        "asset": wallet.asset,
        "balance": atoms_text(wallet.wallet_atoms),
        "crossWalletBalance": atoms_text(wallet.cross_wallet_atoms),
        "crossUnPnl": atoms_text(wallet.cross_unrealized_atoms),
        "availableBalance": atoms_text(wallet.available_atoms),
        "maxWithdrawAmount": atoms_text(wallet.available_atoms),
        "marginAvailable": True,
        "updateTime": _updated_ms(wallet),
    }


def totals(wallets: Sequence[WalletView]) -> Json:
    """Return the sums of `account`: of assets that are all worth one dollar, as Binance counts them."""
    sums = {
        "totalInitialMargin": sum(wallet.initial_margin_atoms for wallet in wallets),
        "totalMaintMargin": sum(wallet.maintenance_atoms for wallet in wallets),
        "totalWalletBalance": sum(wallet.wallet_atoms for wallet in wallets),
        "totalUnrealizedProfit": sum(wallet.unrealized_atoms for wallet in wallets),
        "totalMarginBalance": sum(wallet.wallet_atoms + wallet.unrealized_atoms for wallet in wallets),
        "totalPositionInitialMargin": sum(wallet.position_margin_atoms for wallet in wallets),
        "totalOpenOrderInitialMargin": sum(wallet.order_margin_atoms for wallet in wallets),
        "totalCrossWalletBalance": sum(wallet.cross_wallet_atoms for wallet in wallets),
        "totalCrossUnPnl": sum(wallet.cross_unrealized_atoms for wallet in wallets),
        "availableBalance": sum(wallet.available_atoms for wallet in wallets),
        "maxWithdrawAmount": sum(wallet.available_atoms for wallet in wallets),
    }
    return {name: atoms_text(atoms) for name, atoms in sums.items()}


def income_row(income: IncomeView) -> Json:
    """Return one change of the wallet as `income` lists it."""
    trade = str(income.trade_id or "")
    return {
        "symbol": income.id,
        "incomeType": income.kind,
        "income": atoms_text(income.amount_atoms),
        "asset": income.asset,
        "info": trade or income.kind,
        "time": income.time_ms,
        "tranId": income.transaction_id,
        "tradeId": trade,
    }


def settings_row(position: PositionView) -> Json:
    """Return the settings of a market as `symbolConfig` lists them."""
    return {
        "symbol": position.id,
        "marginType": "ISOLATED" if position.isolated else "CROSSED",
        "isAutoAddMargin": False,
        "leverage": position.leverage,
        "maxNotionalValue": str(NOTIONAL_MAX),
    }


# --- the user stream ------------------------------------------------------------------------------------


def leverage_update(event: LeverageChanged) -> Json:
    """Return what the user stream says about a leverage: ACCOUNT_CONFIG_UPDATE."""
    content = {"s": event.id, "l": event.leverage}
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": event.time_ms, "T": event.time_ms, "ac": content}


def margin_call(texts: dict[str, MarketText], event: MarginCalled) -> Json:
    """Return what the user stream says about positions that are near their liquidation: MARGIN_CALL."""
    rows = [
        {
            "s": position.id,
            "ps": "BOTH",
            "pa": texts[position.id].quantity(position.amount_lots),
            "mt": "ISOLATED" if position.isolated else "CROSSED",
            "iw": atoms_text(position.isolated_atoms),
            "mp": texts[position.id].price(position.mark_ticks),
            "up": atoms_text(position.unrealized_atoms),
            "mm": atoms_text(position.maintenance_atoms),
        }
        for position in event.positions
    ]
    cross = {} if event.cross_atoms is None else {"cw": atoms_text(event.cross_atoms)}
    return {"e": "MARGIN_CALL", "E": event.time_ms, **cross, "p": rows}


def account_update(texts: dict[str, MarketText], event: PositionsChanged, changes: dict[str, int]) -> Json:
    """Return what the user stream says about wallets and positions: ACCOUNT_UPDATE.

    Funding of a position with cross margin tells of the wallet alone, as at Binance.

    Args:
        texts: the markets by id.
        event: what changed.
        changes: by how many atoms each wallet did, other than by trading.
    """
    told = [each for each in event.positions if event.reason != "FUNDING_FEE" or each.isolated]
    content = {
        "m": event.reason,
        "B": [
            {
                "a": wallet.asset,
                "wb": atoms_text(wallet.wallet_atoms),
                "cw": atoms_text(wallet.cross_wallet_atoms),
                "bc": atoms_text(changes.get(wallet.asset, 0)),
            }
            for wallet in event.wallets
        ],
        "P": [
            {
                "s": position.id,
                "pa": texts[position.id].quantity(position.amount_lots),
                "ep": entry_text(texts[position.id], position),
                "bep": entry_text(texts[position.id], position),
                "cr": atoms_text(position.realized_atoms),
                "up": atoms_text(position.unrealized_atoms),
                "mt": "isolated" if position.isolated else "cross",
                "iw": atoms_text(position.isolated_atoms),
                "ma": texts[position.id].market.settle,
                "ps": "BOTH",
            }
            for position in told
        ],
    }
    return {"e": "ACCOUNT_UPDATE", "E": event.time_ms, "T": event.time_ms, "a": content}
