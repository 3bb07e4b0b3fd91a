"""Parameters of a request: read by name and type, refused in Binance's words."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, cast, get_args

import msgspec

from replay.exchange.model import NewOrder, OrderType, Side, TimeInForce, VenueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER = r"^[0-9]{1,20}$"
_CLIENT_ID = r"^[a-zA-Z0-9-_.:/]{1,36}$"
_ENVELOPE = ("timestamp", "recvWindow", "signature", "apiKey", "returnRateLimits")
_HARMLESS = (
    "newOrderRespType", "selfTradePreventionMode", "strategyId", "strategyType", "computeCommissionRates",
)  # fmt: skip
_STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_LIMITS = ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
_IN_FORCE = ("GTC", "IOC", "FOK")


class Params:
    """The parameters of one request; remembers which were read.

    Args:
        values: as sent, as text.
        strict: whether what nobody reads is refused; over sockets ccxt sends its own names beside Binance's.
    """

    def __init__(self, values: Mapping[str, str], *, strict: bool = True) -> None:
        self._values = values
        self._strict = strict
        self._read = set(_ENVELOPE)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        """Return a parameter, None where it was not sent.

        Raises:
            VenueError: -1105, it was sent empty.
        """
        self._read.add(name)
        value = self._values.get(name)
        if value == "":
            raise VenueError(-1105, f"Parameter '{name}' was empty.")
        return value

    def needed(self, name: str) -> str:
        """Return a parameter that must be there.

        Raises:
            VenueError: -1102, it is not.
        """
        self._read.add(name)
        value = self._values.get(name)
        if not value:
            raise VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def integer(self, name: str) -> int | None:
        """Return a whole number.

        Raises:
            VenueError: -1100, it is none.
        """
        value = self._matching(name, _INTEGER)
        return None if value is None else int(value)

    def decimal(self, name: str) -> Decimal | None:
        """Return a decimal number.

        Raises:
            VenueError: -1100, it is none.
        """
        value = self._matching(name, _DECIMAL)
        return None if value is None else Decimal(value)

    def client_id(self, name: str) -> str | None:
        """Return a client's order id.

        Raises:
            VenueError: -1100, it has other characters or too many.
        """
        return self._matching(name, _CLIENT_ID)

    def limit(self, default: int, at_most: int) -> int:
        """Return how many rows are wished for.

        Raises:
            VenueError: -1100, -1130 for what is no count.
        """
        value = self.integer("limit")
        if value is None:
            return default
        if value == 0:
            raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, at_most)

    def names(self, name: str) -> list[str] | None:
        """Return a list written as JSON.

        Raises:
            VenueError: -1100, it is none.
        """
        value = self.text(name)
        if value is None:
            return None
        try:
            return msgspec.json.decode(value.encode(), type=list[str])
        except msgspec.DecodeError as error:
            raise _illegal(name, '^\\["[A-Z0-9_-]+"(,"[A-Z0-9_-]+")*\\]$') from error

    def rename(self, sent: str, meant: str) -> None:
        """Read a parameter under another name."""
        if sent in self._values:
            self._values = {meant if name == sent else name: value for name, value in self._values.items()}

    def ignore(self, names: Iterable[str]) -> None:
        """Count parameters as read that change nothing here."""
        self._read.update(names)

    def finish(self) -> None:
        """Check that nothing was sent that nobody read.

        Raises:
            VenueError: -1104, something was.
        """
        sent = {*self._values, *_ENVELOPE}
        if self._strict and not sent <= self._read:
            count = len(self._values)
            read = len(self._values.keys() & self._read)
            raise VenueError(
                -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{count}'."
            )

    def _matching(self, name: str, pattern: str) -> str | None:
        value = self.text(name)
        if value is not None and re.fullmatch(pattern, value) is None:
            raise _illegal(name, pattern)
        return value


def _illegal(name: str, pattern: str) -> VenueError:
    return VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


class Wish(msgspec.Struct, frozen=True):
    """A new order as it was sent: the quantity of a market order may be a value in the quote asset."""

    order: NewOrder
    quote_quantity: Decimal | None
    reply_kind: str


def read_order(params: Params, market_id: str, default_client_id: str) -> Wish:
    """Return the order that is asked for.

    Raises:
        VenueError: a parameter is missing, malformed or not for this type of order.
    """
    side = params.needed("side")
    kind = params.needed("type")
    if side not in get_args(Side):
        raise VenueError(-1117, "Invalid side.")
    if kind not in get_args(OrderType):
        raise VenueError(-1116, "Invalid orderType.")
    time_in_force = _time_in_force(params, kind)
    price = _for_types(params, "price", kind, (*_LIMITS, "LIMIT_MAKER"))
    stop_price = _for_types(params, "stopPrice", kind, _STOPS)
    quantity = params.decimal("quantity")
    quote_quantity = params.decimal("quoteOrderQty") if kind == "MARKET" else None
    if quantity is not None and quote_quantity is not None:
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    if quantity is None and quote_quantity is None:
        raise VenueError(-1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.")
    default_reply = "FULL" if kind in {"MARKET", "LIMIT"} else "ACK"
    reply_kind = params.text("newOrderRespType") or default_reply
    if reply_kind not in {"ACK", "RESULT", "FULL"}:
        raise VenueError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    order = NewOrder(
        id=market_id,
        side=cast("Side", side),
        type=cast("OrderType", kind),
        quantity=quantity or Decimal(0),
        price=price,
        stop_price=stop_price,
        time_in_force=time_in_force,
        client_order_id=params.client_id("newClientOrderId") or default_client_id,
    )
    params.ignore(_HARMLESS)
    return Wish(order, quote_quantity, reply_kind)


def _time_in_force(params: Params, kind: str) -> TimeInForce:
    value = params.text("timeInForce")
    if kind not in _LIMITS:
        if value is not None:
            raise VenueError(-1106, "Parameter 'timeInForce' sent when not required.")
        return "GTC"
    if value is None:
        raise VenueError(-1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.")
    if value not in _IN_FORCE:
        raise VenueError(-1115, "Invalid timeInForce.")
    return cast("TimeInForce", value)


def _for_types(params: Params, name: str, kind: str, kinds: tuple[str, ...]) -> Decimal | None:
    """Return a price that only some types of order have, and that those must have."""
    value = params.decimal(name)
    if kind in kinds and value is None:
        raise VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    if kind not in kinds and value is not None:
        raise VenueError(-1106, f"Parameter '{name}' sent when not required.")
    return value
