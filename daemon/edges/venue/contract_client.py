"""USD-margined contracts of Binance through ccxt.pro: what differs from spot, behind the same questions.

A stop is no order there. It waits under an id of its own at another desk of the venue (ccxt asks it with ``trigger``)
and becomes an order, with another id, once its price is met. Here it is one order all along, by our id: its row says
``algo-`` and the venue's number until it is triggered, and from then on it is the row of the order it became.

Wallets, positions, funding and the account's modes are read from the venue's own words (ccxt's implicit methods):
ccxt's structures count what is not realised yet into a balance, and leave out whose payment is which.
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from config.errors import UserError
from daemon.edges.venue.client import VenueClient
from daemon.edges.venue.errors import RequestError, broken
from daemon.edges.venue.reports import OffGridError, decimal
from daemon.edges.venue.stops import WAITING, became_of, waiting, withdrawn
from daemon.edges.venue.weights import CONTRACTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from config.schema import Exchange as ExchangeSettings

_WEIGHT_PER_MINUTE = 2_400
"""What the venue allows for contracts, which is less than for spot."""
_STOPS_KEPT = 10_000
_PAYMENTS_MAX = 1_000
_WEEK_MS = 7 * 86_400_000
_SWITCHES = (
    ("dualSidePosition", "the account is in hedge mode: switch it to one-way mode at the venue"),
    ("multiAssetsMargin", "the account is in multi-assets mode: switch it to single-asset mode at the venue"),
)
"""What must be off, and what to do about it."""
_NOT_THERE = ("OrderNotFound", "OrderNotCached")


class ContractClient(VenueClient):
    """One ccxt.pro instance that trades USD-margined contracts, in one-way mode.

    A request that does not come to a good answer raises `RequestError`, as with spot.
    """

    weights = CONTRACTS

    def __init__(self, exchange: Any, settings: ExchangeSettings, failures: tuple[type[BaseException], ...]) -> None:  # noqa: ANN401 - ccxt is not typed
        super().__init__(exchange, settings, failures)
        self._stops: OrderedDict[str, str] = OrderedDict()
        """Our ids of stops, and the venue's of the orders they became, where that is known."""

    @property
    def weight_per_minute(self) -> int:
        """Request weight that may be spent in any minute."""
        return min(super().weight_per_minute, _WEIGHT_PER_MINUTE)

    # --- orders -------------------------------------------------------------------------------------

    async def submit(self, symbol: str, kind: str, side: str, quantity: str, price: str | None, params: Any) -> Any:  # noqa: ANN401 - ccxt's structures
        """Have the venue take an order; return it as ccxt tells it."""
        if "triggerPrice" not in params:
            return await super().submit(symbol, kind, side, quantity, price, params)
        self._note(params["clientOrderId"], "")
        return waiting(await super().submit(symbol, kind, side, quantity, price, params), "submit")

    async def cancel(self, order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Have the venue withdraw an order or a stop, or the order it became, by our id."""
        if order_id not in self._stops:
            try:
                return await super().cancel(order_id, symbol)
            except RequestError as failure:
                if failure.kind not in _NOT_THERE:
                    raise
        params = {"clientOrderId": order_id, "trigger": True}
        try:
            return withdrawn(await self._ask("cancel", self.exchange.cancel_order(None, symbol, params), dict))
        except RequestError as failure:
            if failure.kind not in _NOT_THERE:
                raise
            became = await self._became(order_id, symbol)
            if not became:
                raise
        return await super().cancel_by_venue_id(became, symbol)

    async def cancel_by_venue_id(self, venue_order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Have the venue withdraw an order or a stop, by its own id: anybody's."""
        if not venue_order_id.startswith(WAITING):
            return await super().cancel_by_venue_id(venue_order_id, symbol)
        number = venue_order_id.removeprefix(WAITING)
        call = self.exchange.cancel_order(number, symbol, {"trigger": True})
        return withdrawn(await self._ask("cancel", call, dict))

    async def order(self, order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return an order, or a stop as what it is by now, by our id."""
        if order_id not in self._stops:
            try:
                return await super().order(order_id, symbol)
            except RequestError as failure:
                if failure.outcome != "absent":
                    raise
        row = await self._stop(order_id, symbol)
        became = self._stops.get(order_id, "")
        if not became:
            return row
        try:
            return await super().order_by_venue_id(became, symbol) | {"clientOrderId": order_id}
        except RequestError as failure:
            if failure.outcome != "absent":
                raise
            raise broken("question", f"stop {order_id} became order {became}, which it does not know") from failure

    async def open_orders(self, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return all open orders and waiting stops of a symbol."""
        orders = await super().open_orders(symbol)
        call = self.exchange.fetch_open_orders(symbol, None, None, {"trigger": True})
        stops = await self._ask("question", call, list)
        ours = {became: order_id for order_id, became in self._stops.items() if became}
        named = [{**row, "clientOrderId": ours.get(str(row.get("id")), row.get("clientOrderId"))} for row in orders]
        return named + [row for row in (waiting(stop, "question") for stop in stops) if row["status"] == "open"]

    async def trades_of(self, venue_order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return the executions of one order; a stop that waits has none."""
        return [] if venue_order_id.startswith(WAITING) else await super().trades_of(venue_order_id, symbol)

    async def trades_since(self, since_ms: int, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return the first executions after a time, a week at a time: the venue looks no further at once."""
        while not (trades := await super().trades_since(since_ms, symbol)):
            since_ms += _WEEK_MS
            if since_ms > self.exchange.milliseconds():
                break
        return trades

    async def _stop(self, order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return a stop by our id, and note what it became."""
        params = {"clientOrderId": order_id, "trigger": True}
        reply = await self._ask("question", self.exchange.fetch_order(None, symbol, params), dict)
        if reply.get("clientOrderId") != order_id:
            raise broken("question", f"asked for stop {order_id}, told of {reply.get('clientOrderId')}")
        became = became_of(reply)
        if became:
            self._note(order_id, became)
            return reply  # it has become an order, which is asked for next
        return waiting(reply, "question")

    async def _became(self, order_id: str, symbol: str) -> str:
        """Return the venue's id of the order a stop has become; empty while it is none, or the venue does not say."""
        if not self._stops.get(order_id):
            try:
                await self._stop(order_id, symbol)
            except RequestError:
                return ""
        return self._stops.get(order_id, "")

    def _note(self, order_id: str, became: str) -> None:
        self._stops[order_id] = became or self._stops.get(order_id, "")
        self._stops.move_to_end(order_id)
        if len(self._stops) > _STOPS_KEPT:
            self._stops.popitem(last=False)

    # --- the account --------------------------------------------------------------------------------

    async def balances(self) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return what the wallets hold, what is not realised yet left out: total and free, by asset."""
        reply = await self._ask("question", self.exchange.fapiPrivateV3GetAccount(), dict)
        rows = reply.get("assets")
        if not isinstance(rows, list) or not rows:
            raise broken("question", "an account without a word of its assets")
        total = {str(row.get("asset")): row.get("walletBalance") for row in rows}
        free = {str(row.get("asset")): row.get("availableBalance") for row in rows}
        if None in total.values():
            raise broken("question", "an asset without its wallet")
        return {"info": reply, "total": total, "free": free}

    async def position(self, symbol: str) -> Decimal:
        """Return the account's position in a contract, in base units: negative for a short.

        Raises:
            OffGridError: it is not one position, as in hedge mode, or no number.
        """
        return decimal((await self.position_risk(symbol)).get("positionAmt")) or Decimal(0)

    async def position_risk(self, symbol: str) -> Mapping[str, Any]:
        """Return the venue's own row of the account's position in a contract; empty where it lists none.

        Raises:
            OffGridError: it is not one position, as in hedge mode, or no number.
        """
        rows = await self._ask("question", self.exchange.fapiPrivateV3GetPositionRisk(self._market(symbol)), list)
        amounts = {str(row.get("positionSide")): decimal(row.get("positionAmt")) or 0 for row in rows}
        sides = [side for side, amount in amounts.items() if amount and side != "BOTH"]
        if sides:
            message = f"{symbol}: the account is in hedge mode, with a {sides[0]} position; one-way mode is needed"
            raise OffGridError(message)
        return next((row for row in rows if row.get("positionSide") == "BOTH"), {})

    async def funding_since(self, since_ms: int, symbol: str) -> list[Any]:
        """Return the venue's own rows of funding paid at a time or later, the oldest first."""
        rows: list[Any] = []
        while True:
            params = {"incomeType": "FUNDING_FEE", "startTime": str(since_ms), "limit": str(_PAYMENTS_MAX)}
            call = self.exchange.fapiPrivateGetIncome(self._market(symbol) | params)
            page = await self._ask("question", call, list)
            if not all(isinstance(row, dict) and str(row.get("time", "")).isdecimal() for row in page):
                raise broken("question", "a payment without its time")
            page.sort(key=lambda row: int(row["time"]))
            rows += page
            if len(page) < _PAYMENTS_MAX or int(page[-1]["time"]) <= since_ms:
                return rows
            since_ms = int(page[-1]["time"])  # what is listed twice has its own number

    async def arm_countdown(self, symbol: str, milliseconds: int) -> None:
        """Have the venue cancel all orders of a symbol unless it is asked again in time; 0 disarms."""
        params = self._market(symbol) | {"countdownTime": str(milliseconds)}
        await self._ask("question", self.exchange.fapiPrivatePostCountdownCancelAll(params), dict)

    async def check_modes(self, symbols: Sequence[str], /) -> None:
        """Refuse an account whose modes are not those that are configured.

        Raises:
            UserError: names each, with its remedy.
        """
        troubles = await self.insist("its modes are not to be had", lambda: self.mode_troubles(symbols), list)
        if troubles:
            message = f"{self.exchange.id}: {'; '.join(troubles)}"
            raise UserError(message)

    async def mode_troubles(self, symbols: Iterable[str]) -> list[str]:
        """Return how the account's modes differ from what is configured, each in one line with its remedy.

        Raises:
            RequestError: the venue does not say.
        """
        account = await self._ask("question", self.exchange.fapiPrivateGetAccountConfig(), dict)
        troubles = []
        for name, words in _SWITCHES:
            if not isinstance(account.get(name), bool):
                raise broken("question", f"{name} is {account.get(name)!r}")
            if account[name]:
                troubles.append(words)
        for symbol in symbols:
            wanted, there = self._settings, await self.symbol_modes(symbol)
            if there["margin_mode"] != wanted.margin_mode:
                troubles.append(
                    f"{symbol}: the margin mode is {there['margin_mode']}, exchange.margin_mode is"
                    f" {wanted.margin_mode}: change one of them"
                )
            if there["leverage"] != wanted.leverage:
                troubles.append(
                    f"{symbol}: the leverage is {there['leverage']}, exchange.leverage is"
                    f" {wanted.leverage or 'not set'}: change one of them"
                )
        return troubles

    async def symbol_modes(self, symbol: str) -> dict[str, Any]:
        """Return `margin_mode` and `leverage` of a symbol, as the account has them."""
        rows = await self._ask("question", self.exchange.fapiPrivateGetSymbolConfig(self._market(symbol)), list)
        mine = [row for row in rows if isinstance(row, dict) and row.get("symbol") == self._market(symbol)["symbol"]]
        mode = {"CROSSED": "cross", "ISOLATED": "isolated"}.get(str(mine[0].get("marginType"))) if mine else None
        leverage = str(mine[0].get("leverage")) if mine else ""
        if mode is None or not leverage.isdecimal():
            raise broken("question", f"{symbol}: its margin mode and leverage are not told")
        return {"margin_mode": mode, "leverage": int(leverage)}

    def _market(self, symbol: str) -> dict[str, str]:
        return {"symbol": str(self.exchange.market(symbol)["id"])}
