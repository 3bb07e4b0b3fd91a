"""A venue's markets as instruments: its filters, exactly, and what we do not trade, by name."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from actors.instrument import ATOM, InstrumentSpec
from config.errors import UserError
from daemon.edges.venue.reports import OffGridError, decimal

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECIMAL_PLACES = 2
_TICK_SIZE = 4
"""ccxt's precision modes: a number of digits, or a step."""


def instrument_spec(market: Mapping[str, Any], precision_mode: int) -> InstrumentSpec:
    """Return a market of ccxt's as an instrument.

    A spot venue may keep its fee in the base asset, to the last of eight digits, so a spot position is booked in
    1e-8 and the venue's step only binds orders.

    Raises:
        UserError: the venue does not say how fine prices and quantities are.
    """
    try:
        tick = _step(market["precision"].get("price"), precision_mode)
        step = _step(market["precision"].get("amount"), precision_mode)
        least = decimal(market["limits"].get("cost", {}).get("min"))
    except OffGridError as error:
        message = f"{market['symbol']}: the venue's filters: {error}"
        raise UserError(message) from error
    if tick is None or step is None:
        message = f"{market['symbol']}: the venue does not say how fine its prices and quantities are"
        raise UserError(message)
    if market.get("contract") and not _is_usual(market):
        message = (
            f"{market['symbol']}: pitboss trades linear perpetuals of one base unit a contract, settled in their quote"
        )
        raise UserError(message)
    lot = step if market.get("contract") or step % ATOM else ATOM
    return InstrumentSpec(
        symbol=market["symbol"],
        tick=tick,
        lot=lot,
        step=None if lot == step else step,
        min_notional=least or Decimal(0),
        base=market["base"],
        quote=market["quote"],
        long_only=not market.get("contract"),
        contract=bool(market.get("contract")),
    )


def _is_usual(market: Mapping[str, Any]) -> bool:
    """Return whether a contract is one whose profit is counted in its quote, for quantities of its base."""
    size = decimal(market.get("contractSize"))
    return bool(market.get("swap") and market.get("linear")) and market["settle"] == market["quote"] and size == 1


def _step(value: Any, precision_mode: int) -> Decimal | None:  # noqa: ANN401 - a string, a float or None
    """Return a precision as a step, or None where it is none."""
    size = decimal(value)
    if size is None or precision_mode not in (_DECIMAL_PLACES, _TICK_SIZE):
        return None
    if precision_mode == _DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(size))
    return size.normalize() if size > 0 else None
