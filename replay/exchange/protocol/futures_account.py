"""The futures account: positions, wallets, settings, income."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from replay.exchange.model import IncomeKind, VenueError
from replay.exchange.protocol import futures_account_shapes as shapes

if TYPE_CHECKING:
    from replay.exchange.model import PositionView, WalletView
    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.protocol.desk import Call
    from replay.exchange.protocol.shapes import Json

_INCOME_MAX = 1_000
_OTHER_INCOME = (
    "TRANSFER", "WELCOME_BONUS", "INSURANCE_CLEAR", "REFERRAL_KICKBACK", "COMMISSION_REBATE", "API_REBATE",
    "CONTEST_REWARD", "CROSS_COLLATERAL_TRANSFER", "OPTIONS_PREMIUM_FEE", "OPTIONS_SETTLE_PROFIT",
    "INTERNAL_TRANSFER", "AUTO_EXCHANGE", "DELIVERED_SETTELMENT", "COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW",
    "POSITION_LIMIT_INCREASE_FEE",
)  # fmt: skip
"""Kinds that Binance has and that never happen here."""
_MARGIN_TYPES = {"ISOLATED": True, "CROSSED": False}
_FLAGS = {"true": True, "false": False}


def done() -> Json:
    """Return the answer to a change that came off."""
    return {"code": 200, "msg": "success"}


# --- positions and wallets: asked through a commit, so that nothing is told that is not yet durable ----------


async def _positions(call: Call[PerpetualEngine]) -> list[PositionView]:
    name = call.params.text("symbol")
    market_id = None if name is None else call.desk.text(name).market.id
    call.params.finish()
    return await call.desk.venue.commit(lambda engine, _: engine.positions(market_id))


async def position_risk(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the positions that are held or have open orders."""
    texts = call.desk.texts
    return [shapes.risk_row(texts[each.id], each) for each in await _positions(call) if shapes.is_listed(each)]


async def position_risk_v2(call: Call[PerpetualEngine]) -> list[Json]:
    """Return every market's position and settings."""
    return [shapes.risk_row_v2(call.desk.texts[each.id], each) for each in await _positions(call)]


async def _account(call: Call[PerpetualEngine]) -> tuple[list[WalletView], list[PositionView]]:
    call.params.ignore(("useV2",))  # which ccxt passes on
    call.params.finish()
    return await call.desk.venue.commit(lambda engine, _: (engine.wallets(), engine.positions()))


async def account(call: Call[PerpetualEngine]) -> Json:
    """Return the wallets, and the positions that are held or have open orders."""
    wallets, positions = await _account(call)
    texts = call.desk.texts
    return shapes.totals(wallets) | {
        "assets": [shapes.asset_row(wallet) for wallet in wallets],
        "positions": [
            shapes.account_position_row(texts[each.id], each) for each in positions if shapes.is_listed(each)
        ],
    }


async def account_v2(call: Call[PerpetualEngine]) -> Json:
    """Return the wallets and every market's position, with what the account may do."""
    wallets, positions = await _account(call)
    rights = {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": call.desk.faults.strikes("withdrawals_allowed", call.occasion),
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        "updateTime": 0,
    }
    totals = shapes.totals(wallets)
    return (
        rights
        | totals
        | {
            "assets": [shapes.asset_row(wallet) | {"marginAvailable": True} for wallet in wallets],
            "positions": [shapes.account_position_row_v2(call.desk.texts[each.id], each) for each in positions],
        }
    )


async def balance(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the wallets."""
    wallets, _ = await _account(call)
    return [shapes.balance_row(wallet) for wallet in wallets]


async def income(call: Call[PerpetualEngine]) -> list[Json]:
    """Return what changed the wallet, oldest first."""
    params = call.params
    kind = params.text("incomeType")
    name = params.text("symbol")
    market_id = None if name is None else call.desk.text(name).market.id
    start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
    limit, page = params.limit(100, _INCOME_MAX), params.integer("page") or 1
    params.finish()
    if kind is not None and kind not in get_args(IncomeKind):
        if kind not in _OTHER_INCOME:
            raise VenueError(-1130, "Data sent for parameter 'incomeType' is not valid.")
        return []
    found = await call.desk.venue.commit(
        lambda engine, _: engine.income(
            cast("IncomeKind | None", kind), market_id, start_ms=start_ms, end_ms=end_ms, limit=limit * page
        )
    )
    skipped = limit * (page - 1)
    rows = found[skipped:] if start_ms is not None else found[: max(0, len(found) - skipped)]
    return [shapes.income_row(each) for each in rows]


async def commission_rate(call: Call[PerpetualEngine]) -> Json:
    """Return what orders of a market pay."""
    text = call.market()
    call.params.finish()
    venue = call.desk.venue
    return {
        "symbol": text.market.id,
        "makerCommissionRate": f"{venue.maker_fee:.6f}",
        "takerCommissionRate": f"{venue.taker_fee:.6f}",
    }


# --- settings -------------------------------------------------------------------------------------------


async def leverage_bracket(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the brackets of one market or of all."""
    name = call.params.text("symbol")
    texts = list(call.desk.texts.values()) if name is None else [call.desk.text(name)]
    call.params.finish()
    brackets = shapes.brackets(call.desk.venue.engine.account.brackets)
    return [{"symbol": text.market.id, "notionalCoef": 1.0, "brackets": brackets} for text in texts]


async def set_leverage(call: Call[PerpetualEngine]) -> Json:
    """Set the leverage of a market."""
    text = call.market()
    wanted = call.params.integer("leverage")
    call.params.finish()
    brackets = call.desk.venue.engine.account.brackets
    if wanted is None or not 1 <= wanted <= brackets.rows[0].leverage:
        raise VenueError(-4028, f"Leverage {wanted} is not valid")
    await call.desk.venue.commit(lambda engine, now_ms: engine.set_leverage(text.market.id, wanted, now_ms))
    return {
        "symbol": text.market.id,
        "leverage": wanted,
        "maxNotionalValue": str(shapes.notional_max(brackets, wanted)),
    }


async def set_margin_type(call: Call[PerpetualEngine]) -> Json:
    """Have the position of a market stand with margin of its own, or with the whole wallet."""
    text = call.market()
    wanted = call.params.needed("marginType").upper()
    call.params.finish()
    if wanted not in _MARGIN_TYPES:
        raise VenueError(-1130, "Data sent for parameter 'marginType' is not valid.")
    isolated = _MARGIN_TYPES[wanted]
    await call.desk.venue.commit(lambda engine, now_ms: engine.set_margin_type(text.market.id, isolated, now_ms))
    return done()


async def position_mode(call: Call[PerpetualEngine]) -> Json:
    """Return whether long and short positions are kept apart."""
    call.params.finish()
    return {"dualSidePosition": call.desk.venue.engine.hedge}


async def set_position_mode(call: Call[PerpetualEngine]) -> Json:
    """Keep long and short positions apart, or not."""
    wanted = _FLAGS.get(call.params.needed("dualSidePosition").lower())
    call.params.finish()
    if wanted is None:
        raise VenueError(-1130, "Data sent for parameter 'dualSidePosition' is not valid.")
    await call.desk.venue.commit(lambda engine, now_ms: engine.set_position_mode(wanted, now_ms))
    return done()


async def multi_assets_mode(call: Call[PerpetualEngine]) -> Json:
    """Return whether several assets are one margin, which they never are here."""
    call.params.finish()
    return {"multiAssetsMargin": False}


async def symbol_config(call: Call[PerpetualEngine]) -> list[Json]:
    """Return the settings of one market or of all."""
    return [shapes.settings_row(each) for each in await _positions(call)]


async def account_config(call: Call[PerpetualEngine]) -> Json:
    """Return what the account may do, and how it is set."""
    call.params.finish()
    venue = call.desk.venue
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": call.desk.faults.strikes("withdrawals_allowed", call.occasion),
        "dualSidePosition": venue.engine.hedge,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


async def adl_quantile(call: Call[PerpetualEngine]) -> list[Json]:
    """Return how soon positions would be reduced for others' losses, which never happens here."""
    held = [each for each in await _positions(call) if each.amount_lots]
    return [{"symbol": each.id, "adlQuantile": {"LONG": 0, "SHORT": 0, "BOTH": 0}} for each in held]


async def countdown_cancel_all(call: Call[PerpetualEngine]) -> Json:
    """Cancel every open order of a market unless this is asked for again in time; 0 stops the countdown."""
    text = call.market()
    countdown_ms = call.params.integer("countdownTime")
    call.params.finish()
    if countdown_ms is None:
        raise VenueError(-1102, "Mandatory parameter 'countdownTime' was not sent, was empty/null, or malformed.")
    await call.desk.venue.commit(lambda engine, now_ms: engine.arm_countdown(text.market.id, countdown_ms, now_ms))
    return {"symbol": text.market.id, "countdownTime": str(countdown_ms)}
