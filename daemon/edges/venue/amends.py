"""Changing an order at the venue: which way it is done there, and what a change that failed has left behind.

Never may both the old and the new order execute more than the one in total, so there are only these ways:

| venue | order | way |
|---|---|---|
| Binance, spot | nothing executed that we know of | cancel and replace in one step, refused if anything was executed |
| Binance, contracts | a limit order | changed in its place: its total includes what is executed |
| any other | | none: the core withdraws it first, and sends the rest once the venue has proved its end |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from daemon.edges.venue.reports import exact

if TYPE_CHECKING:
    from actors.instrument import Instrument
    from actors.messages import SendAmend
    from daemon.edges.venue.errors import RequestError

Way = Literal["replace", "in_place", "withdraw"]
Left = Literal["as_it_was", "withdraw_first", "doubt", "halt"]
"""What a change that failed has left: nothing was done, or the old order is gone without a new one (its own question
tells which); nothing was done since something was executed meanwhile; nobody knows; nothing was done, nor will be."""

_UNKNOWN = re.compile(r"\"code\":\s*-100[014678]\b|\"code\":\s*-1010\b")
_RESTRICTED = "restriction"


def way_to_amend(exchange_id: str, command: SendAmend, instrument: Instrument) -> Way:
    """Return how an order is changed at a venue."""
    contract, kind = instrument.spec.contract, command.request.kind
    if exchange_id == "binance" and not contract and not command.booked_lots:
        return "replace"
    if exchange_id in ("binance", "binanceusdm") and contract and kind == "limit" and command.venue_order_id:
        return "in_place"
    return "withdraw"


def replacement_terms(
    command: SendAmend, instrument: Instrument
) -> tuple[str, str, str, str, str | None, dict[str, Any]]:
    """Return a replacement as ccxt takes it: symbol, kind, side, quantity, price, everything else; numbers as text."""
    request = command.request
    limited = request.kind in ("limit", "stop_limit")
    params: dict[str, Any] = {
        "clientOrderId": command.new_order_id,
        "cancelOrigClientOrderId": command.order_id,
        "cancelRestrictions": "ONLY_NEW",
    }
    if request.stop_ticks:
        params["stopPrice"] = exact(instrument.price(request.stop_ticks))  # as triggerPrice ccxt would send it twice
    if request.post_only:
        params["postOnly"] = True
    elif limited:
        params["timeInForce"] = request.time_in_force.upper()
    return (
        request.symbol,
        "limit" if limited else "market",
        "buy" if request.side > 0 else "sell",
        exact(instrument.quantity(request.quantity_lots)),
        exact(instrument.price(request.limit_ticks)) if limited else None,
        params,
    )


def terms_in_place(command: SendAmend, instrument: Instrument) -> tuple[str, str, str, str, str]:
    """Return a change of a limit order as ccxt takes it: the venue's id, symbol, side, quantity, price."""
    request = command.request
    return (
        command.venue_order_id,
        request.symbol,
        "buy" if request.side > 0 else "sell",
        exact(instrument.quantity(request.quantity_lots)),
        exact(instrument.price(request.limit_ticks)),
    )


def left_by(failure: RequestError) -> Left:
    """Return what a change that failed has left behind.

    Of a cancel and replace that was begun the venue tells both halves, whatever the code of the whole; what ccxt makes
    of words in it must not be taken for an answer to the whole.
    """
    halves = _halves(failure)
    if halves is None:
        if failure.outcome == "rejected":
            return "as_it_was"
        return "halt" if failure.outcome == "halt" else "doubt"
    cancel, new = halves.get("cancelResult"), halves.get("newOrderResult")
    if cancel == "SUCCESS" and new == "FAILURE" and not _is_unknown(halves.get("newOrderResponse")):
        return "as_it_was"
    if cancel == "FAILURE" and new == "NOT_ATTEMPTED" and not _is_unknown(halves.get("cancelResponse")):
        return "withdraw_first" if _RESTRICTED in str(halves.get("cancelResponse")) else "as_it_was"
    return "doubt"


def words_of(failure: RequestError) -> str:
    """Return why a change failed: of a cancel and replace what the venue says of the half that did."""
    halves = _halves(failure)
    if halves is None:
        return failure.reason
    half = halves.get("newOrderResponse") if halves.get("cancelResult") == "SUCCESS" else halves.get("cancelResponse")
    return str(half.get("msg")) if isinstance(half, dict) else failure.reason


def _halves(failure: RequestError) -> dict[str, Any] | None:
    text = str(failure.__cause__ or "")
    try:
        body = msgspec.json.decode(text[text.index("{") :])
    except (ValueError, msgspec.DecodeError):
        return None
    data = body.get("data") if isinstance(body, dict) else None
    return data if isinstance(data, dict) and "cancelResult" in data else None


def _is_unknown(half: Any) -> bool:  # noqa: ANN401 - whatever the venue says of one half
    return bool(_UNKNOWN.search(msgspec.json.encode(half).decode())) or not isinstance(half, dict)
