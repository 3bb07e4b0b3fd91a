"""The admin endpoint: the book as it truly is, and the switches of the faults. No fault ever strikes here."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from aiohttp import web

from replay.exchange.faults import FaultError
from replay.exchange.protocol.shapes import atoms_text, encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from replay.exchange.engine import Engine
    from replay.exchange.model import OrderView, TradeView
    from replay.exchange.protocol.desk import Desk
    from replay.exchange.protocol.shapes import Json

_ALL = 2**31
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})

log = structlog.get_logger()


class _RefusedError(Exception):
    """A request that is answered with 400 and a reason."""


class Admin:
    """Answers on the admin port.

    Args:
        desk: what is asked about.
    """

    def __init__(self, desk: Desk[Engine]) -> None:
        self._desk = desk

    def application(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(middlewares=[_only_from_here])
        app.router.add_get("/control/book", self._book)
        app.router.add_get("/control/faults", self._faults)
        app.router.add_post("/control/fault", self._fault)
        app.router.add_get("/control/requests", self._requests)
        app.router.add_post("/control/trade", self._trade)
        return app

    async def _book(self, _: web.Request) -> web.Response:
        return _answer(await self.book())

    async def book(self) -> Json:
        """Return every order, every fill and every balance, as they are durable."""
        return await self._desk.venue.commit(lambda engine, _: self._read(engine))

    def _read(self, engine: Engine) -> Json:
        orders, fills = [], []
        for market_id in self._desk.texts:
            found = engine.all_orders(market_id, limit=_ALL)
            names = {order.order_id: order.client_order_id for order in found}
            orders += [self._order(order) for order in found]
            fills += [self._fill(trade, names[trade.order_id]) for trade in engine.my_trades(market_id, limit=_ALL)]
        balances = [
            {"asset": row.asset, "free": atoms_text(row.free_atoms), "locked": atoms_text(row.locked_atoms)}
            for row in engine.balances()
        ]
        return {"orders": orders, "fills": fills, "balances": balances}

    def _order(self, order: OrderView) -> Json:
        text = self._desk.texts[order.id]
        return {
            "symbol": text.market.symbol,
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "side": order.side,
            "type": order.type,
            "time_in_force": order.time_in_force,
            "status": order.status,
            "price": text.price(order.price_ticks),
            "stop_price": text.price(order.stop_ticks),
            "quantity": text.quantity(order.quantity_lots),
            "filled": text.quantity(order.filled_lots),
            "quote": atoms_text(order.quote_atoms),
            "created_ms": order.created_ms,
            "updated_ms": order.updated_ms,
        }

    def _fill(self, trade: TradeView, client_order_id: str) -> Json:
        text = self._desk.texts[trade.id]
        return {
            "symbol": text.market.symbol,
            "trade_id": trade.trade_id,
            "order_id": trade.order_id,
            "client_order_id": client_order_id,
            "side": trade.side,
            "price": text.price(trade.price_ticks),
            "quantity": text.quantity(trade.quantity_lots),
            "commission": atoms_text(trade.commission_atoms),
            "commission_asset": trade.commission_asset,
            "is_maker": trade.is_maker,
            "time_ms": trade.time_ms,
        }

    async def _faults(self, _: web.Request) -> web.Response:
        return _answer({"faults": self._desk.faults.report()})

    async def _fault(self, request: web.Request) -> web.Response:
        """Set faults: ``{"name": rate}`` or ``{"name": {"rate", "seconds", "on", "times"}}``; rate 0 ends one."""
        rates = await _object(request)
        try:
            self._desk.faults.update(rates)
        except FaultError as error:
            return _answer({"error": str(error)}, 400)
        log.info("faults_set", faults=rates)
        return await self._faults(request)

    async def _requests(self, _: web.Request) -> web.Response:
        return _answer({"requests": dict(self._desk.requests), "unmatched": dict(self._desk.unmatched)})

    async def _trade(self, request: web.Request) -> web.Response:
        """Print a public trade by hand: ``{"symbol", "price", "quantity"}``, the numbers as strings."""
        wanted = await _object(request)
        markets = (text.market for text in self._desk.texts.values())
        market = next((market for market in markets if market.symbol == wanted.get("symbol")), None)
        if market is None:
            return _answer({"error": f"{wanted.get('symbol')}: there is no such symbol"}, 400)
        price, quantity = _number(wanted, "price", market.tick), _number(wanted, "quantity", market.lot)
        await self._desk.venue.print_trade(market.id, price, quantity)
        return _answer({"printed": True})


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await request.read(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        message = f"the body is no JSON object: {error}"
        raise _RefusedError(message) from error


def _number(wanted: dict[str, Any], name: str, step: Decimal) -> Decimal:
    try:
        value = Decimal(str(wanted.get(name)))
    except InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and value > 0 and value % step == 0):
        message = f"{name}: {wanted.get(name)} is no multiple of {step} above 0"
        raise _RefusedError(message)
    return value


@web.middleware
async def _only_from_here(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn away pages of a browser: who may steer the exchange is who can reach the port with a client of their own."""
    name = (request.headers.get("Host") or "").rpartition(":")[0]
    if name not in _LOOPBACK_NAMES or "Origin" in request.headers:
        return _answer({"error": "only for programs on this machine"}, 403)
    try:
        return await handler(request)
    except _RefusedError as error:
        return _answer({"error": str(error)}, 400)


def _answer(content: Json, status: int = 200) -> web.Response:
    return web.Response(body=encode(content), status=status, content_type="application/json")
