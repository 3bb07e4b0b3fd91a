"""From ccxt's structures to the core's messages, exactly: what is no whole number of units is an error by name."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from actors.instrument import ATOM
from actors.messages import (
    BUY,
    SELL,
    BalanceReported,
    ForcedTrade,
    FundingPaid,
    MarginReported,
    OrderReported,
    PositionMargin,
    TradeReported,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.instrument import Instrument
    from actors.messages import OrderRequest, SendOrder

_NS_PER_MS = 1_000_000
_STATES: dict[str | None, Literal["open", "filled", "cancelled", "rejected", "expired"]] = {
    None: "open",
    "open": "open",
    "canceling": "open",
    "closed": "filled",
    "canceled": "cancelled",
    "rejected": "rejected",
    "expired": "expired",
}
_FORCED = (
    ("autoclose-", "liquidation"),
    ("adl_autoclose", "auto-deleveraging"),
    ("settlement_autoclose", "settlement"),
)
"""What the client ids of Binance's own orders begin with."""
_SIDES = {"buy": BUY, "sell": SELL}


class OffGridError(Exception):
    """The venue says a number that cannot be: it is no whole number of ticks, lots or atoms, or no number."""


class UnknownFeeError(Exception):
    """The venue does not say, here, what it took for an execution."""


def decimal(value: Any) -> Decimal | None:  # noqa: ANN401 - a string, a float or None
    """Return a number of ccxt's exactly as it was written; None for none.

    Raises:
        OffGridError: it is no finite number.
    """
    if value is None:
        return None
    try:
        number = Decimal(value if isinstance(value, str) else repr(value))
    except InvalidOperation as error:
        message = f"{value!r} is no number"
        raise OffGridError(message) from error
    if not number.is_finite():
        message = f"{value!r} is no number"
        raise OffGridError(message)
    return number


def count(value: Any, unit: Decimal, what: str) -> int:  # noqa: ANN401 - a string or a float
    """Return how many units a number is.

    Raises:
        OffGridError: no whole number of them.
    """
    number = decimal(value)
    if number is None:
        message = f"the venue does not say {what}"
        raise OffGridError(message)
    units, rest = divmod(number, unit)
    if rest:
        message = f"the venue says {what} {value}, which is no whole number of {unit:f}"
        raise OffGridError(message)
    return int(units)


def order_report(order: Mapping[str, Any], order_id: str, instrument: Instrument, reason: str = "") -> OrderReported:
    """Return what the venue says of one of our orders; its terms only where the venue may change them in their place.

    Raises:
        OffGridError: how much of it was executed is no whole number of lots, or its state is none we know.
    """
    lot = instrument.spec.lot
    filled = order.get("filled")
    filled_lots = 0 if filled is None else count(filled, lot, f"{instrument.symbol}: executed quantity")
    status = order.get("status")
    if status not in _STATES:
        message = f"{instrument.symbol}: the venue says the state of order {order_id} is {status!r}"
        raise OffGridError(message)
    state = _STATES[status]
    amount = order.get("amount")
    if state == "filled" and amount is not None and filled is not None and decimal(filled) != decimal(amount):
        state = "cancelled"  # some venues call closed what was withdrawn
    quantity_lots = limit_ticks = 0
    if instrument.spec.contract and order.get("type") == "limit" and amount is not None and order.get("price"):
        quantity_lots = count(amount, lot, f"{instrument.symbol}: quantity")
        limit_ticks = count(order["price"], instrument.spec.tick, f"{instrument.symbol}: price")
    return OrderReported(
        order_id,
        str(order.get("id") or ""),
        state,
        filled_lots,
        reason,
        quantity_lots=quantity_lots,
        limit_ticks=limit_ticks,
    )


def trade_report(
    trade: Mapping[str, Any],
    order_id: str,
    instrument: Instrument,
    *,
    request: OrderRequest | None = None,
    at_ms: int | None = None,
) -> TradeReported:
    """Return an execution of one of our orders.

    Args:
        trade: as ccxt tells it.
        order_id: our id of the order.
        instrument: what was traded.
        request: the order, where the execution came in the reply to it and does not repeat what it says.
        at_ms: the venue's time of that reply.

    Raises:
        OffGridError: a number that cannot be.
        UnknownFeeError: the fee is not told.
    """
    symbol = instrument.symbol
    side = _SIDES.get(str(trade.get("side"))) if request is None else request.side
    time_ms = trade.get("timestamp") or at_ms
    trade_id = str(trade.get("id"))
    if side is None or time_ms is None or not trade_id.isdecimal():
        message = f"{symbol}: the venue's execution {trade_id} lacks its side, its time or a number for an id"
        raise OffGridError(message)
    fee_asset, fee_atoms = _fee(trade, instrument)
    realized_atoms = _realized(trade, instrument) if instrument.spec.contract else 0
    return TradeReported(
        order_id,
        symbol,
        int(trade_id),
        side,
        count(trade.get("price"), instrument.spec.tick, f"{symbol}: price"),
        count(trade.get("amount"), instrument.spec.lot, f"{symbol}: quantity"),
        fee_asset,
        fee_atoms,
        "maker" if trade.get("takerOrMaker") == "maker" else "taker",
        int(time_ms) * _NS_PER_MS,
        realized_atoms=realized_atoms,
    )


def forced_kind(client_id: str) -> str:
    """Return what the venue did on its own, by the client id of its order; empty where the order is somebody's."""
    return next((kind for start, kind in _FORCED if client_id.startswith(start)), "")


def forced_report(trade: Mapping[str, Any], client_id: str, instrument: Instrument) -> ForcedTrade:
    """Return an execution of an order of the venue's own.

    Raises:
        OffGridError: a number that cannot be.
        UnknownFeeError: the fee is not told.
    """
    seen = trade_report(trade, client_id, instrument)
    return ForcedTrade(
        seen.symbol,
        forced_kind(client_id),
        client_id,
        seen.trade_id,
        seen.side,
        seen.price_ticks,
        seen.quantity_lots,
        seen.fee_asset,
        seen.fee_atoms,
        seen.realized_atoms,
        seen.executed_ns,
    )


def funding_report(row: Mapping[str, Any], symbol: str) -> FundingPaid:
    """Return a payment from the venue's own row of it.

    Raises:
        OffGridError: it lacks its number, its time or its amount.
    """
    number, time_ms = str(row.get("tranId")), str(row.get("time"))
    if not (number.isdecimal() and time_ms.isdecimal() and row.get("asset")):
        message = f"{symbol}: funding {number} lacks its time, its asset or a number for an id"
        raise OffGridError(message)
    amount_atoms = count(row.get("income"), ATOM, f"{symbol}: funding")
    return FundingPaid(symbol, int(number), amount_atoms, str(row["asset"]), int(time_ms) * _NS_PER_MS)


def order_terms(command: SendOrder, instrument: Instrument) -> tuple[str, str, str, str, str | None, dict[str, Any]]:
    """Return an order as ccxt takes it: symbol, kind, side, quantity, price, everything else; numbers as text."""
    request = command.request
    params: dict[str, Any] = {"clientOrderId": command.order_id}
    limited = request.kind in ("limit", "stop_limit")
    if request.kind in ("stop", "stop_limit"):
        params["triggerPrice"] = exact(instrument.price(request.stop_ticks))
    if request.post_only:
        params["postOnly"] = True
    elif limited:
        params["timeInForce"] = request.time_in_force.upper()
    if command.reduce_only:
        params["reduceOnly"] = True
    return (
        request.symbol,
        "limit" if limited else "market",
        "buy" if request.side > 0 else "sell",
        exact(instrument.quantity(request.quantity_lots)),
        exact(instrument.price(request.limit_ticks)) if limited else None,
        params,
    )


def _realized(trade: Mapping[str, Any], instrument: Instrument) -> int:
    """Return what an execution of a contract realised, from the venue's own words: a listed row's, or an event's."""
    info = trade.get("info") or {}
    told = info.get("realizedPnl", info.get("rp"))
    return count(told, ATOM, f"{instrument.symbol}: profit of execution {trade.get('id')}")


def _fee(trade: Mapping[str, Any], instrument: Instrument) -> tuple[str, int]:
    fee = trade.get("fee") or {}
    cost = decimal(fee.get("cost"))
    if cost is None:
        message = f"{instrument.symbol}: the venue does not say the fee of execution {trade.get('id')}"
        raise UnknownFeeError(message)
    if not cost:
        return str(fee.get("currency") or instrument.spec.quote), 0
    asset = fee.get("currency")
    if not asset:
        message = f"{instrument.symbol}: the venue does not say in what it took the fee of execution {trade.get('id')}"
        raise UnknownFeeError(message)
    return str(asset), count(fee["cost"], ATOM, f"{instrument.symbol}: fee in {asset}")


def balance_reports(balances: Mapping[str, Any]) -> tuple[BalanceReported, ...]:
    """Return what the account holds, by name of asset; what is finer than 1e-8 is cut off."""
    reports = []
    for asset, total in sorted((balances.get("total") or {}).items()):
        amount = decimal(total)
        if amount:
            reports.append(BalanceReported(asset, int(amount / ATOM)))
    return tuple(reports)


def position_margin(row: Mapping[str, Any], symbol: str, lots: int) -> PositionMargin | None:
    """Return how Binance says a position is held; None where it does not say all of it."""
    prices = [_told(row.get(name)) for name in ("entryPrice", "markPrice", "liquidationPrice")]
    money = [_told(row.get(name)) for name in ("positionInitialMargin", "maintMargin", "isolatedWallet")]
    if None in prices or None in money:
        return None
    entry, mark, liquidation = (float(price or 0) for price in prices)
    initial, maintenance, isolated = (int((amount or 0) / ATOM) for amount in money)
    return PositionMargin(symbol, lots, entry, mark, liquidation, initial, maintenance, isolated)


def margin_report(
    balances: Mapping[str, Any], asset: str, positions: tuple[PositionMargin, ...]
) -> MarginReported | None:
    """Return how Binance says the wallet of an asset stands; None where it does not say all of it."""
    rows = (balances.get("info") or {}).get("assets") or []
    names = ("walletBalance", "marginBalance", "initialMargin", "maintMargin", "availableBalance")
    for row in rows:
        if row.get("asset") == asset:
            money = [_told(row.get(name)) for name in names]
            if None in money:
                return None
            wallet, balance, initial, maintenance, available = (int((each or 0) / ATOM) for each in money)
            return MarginReported(wallet, balance, initial, maintenance, available, positions)
    return None


def _told(value: Any) -> Decimal | None:  # noqa: ANN401 - whatever the venue wrote
    """Return a number that nothing is decided by; None where it is none."""
    try:
        return decimal(value)
    except OffGridError:
        return None


def exact(number: Decimal) -> str:
    """Return a number as the venue is to read it."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
