"""The admin endpoint: the true book, the markets, and the switches of the faults. No fault ever strikes here."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from aiohttp import web

from replay.exchange.admin_book import read_contracts, read_spot
from replay.exchange.admin_market import RefusedError, positive, read_change
from replay.exchange.faults import FaultError
from replay.exchange.model import VenueError
from replay.exchange.protocol.shapes import encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from replay.exchange.engine import Engine
    from replay.exchange.model import Market
    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.protocol.desk import Desk
    from replay.exchange.protocol.shapes import Json
    from replay.exchange.venue import Venue

_COUNTS = ("requests", "unmatched")
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})

log = structlog.get_logger()


class Admin:
    """Answers on the admin port.

    Args:
        desk: of the spot markets.
        contracts_desk: of the perpetuals.
    """

    def __init__(self, desk: Desk[Engine], contracts_desk: Desk[PerpetualEngine]) -> None:
        self._desk = desk
        self._contracts_desk = contracts_desk

    def application(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(middlewares=[_only_from_here])
        app.router.add_get("/control/book", self._book)
        app.router.add_get("/control/faults", self._faults)
        app.router.add_post("/control/fault", self._fault)
        app.router.add_get("/control/requests", self._requests)
        app.router.add_post("/control/trade", self._trade)
        app.router.add_post("/control/market", self._market)
        return app

    def find(self, symbol: str) -> tuple[Venue[Any], Market]:
        """Return the market of this name, ccxt's, and the venue it is on.

        Raises:
            KeyError: there is none.
        """
        for desk in (self._desk, self._contracts_desk):
            for text in desk.texts.values():
                if text.market.symbol == symbol:
                    return desk.venue, text.market
        raise KeyError(symbol)

    async def _book(self, _: web.Request) -> web.Response:
        return _answer(await self.book())

    async def book(self) -> Json:
        """Return every order, every fill and every balance, as they are durable.

        Rows of both families stand together, told apart by their symbols; what only perpetuals have is under keys of
        its own.
        """
        spot = await self._desk.venue.commit(lambda engine, _: read_spot(self._desk, engine))
        contracts = await self._contracts_desk.venue.commit(
            lambda engine, _: read_contracts(self._contracts_desk, engine)
        )
        both = {name: spot[name] + contracts.pop(name) for name in ("orders", "fills")}
        return spot | both | contracts

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
        desks = (self._desk, self._contracts_desk)
        requests, unmatched = (sum((getattr(desk, name) for desk in desks), Counter[str]()) for name in _COUNTS)
        return _answer({"requests": dict(requests), "unmatched": dict(unmatched)})

    async def _trade(self, request: web.Request) -> web.Response:
        """Print a public trade by hand: ``{"symbol", "price", "quantity"}``, the numbers as strings."""
        wanted = await _object(request)
        venue, market = self._named(wanted)
        price, quantity = positive(wanted, "price", market.tick), positive(wanted, "quantity", market.lot)
        await venue.print_trade(market.id, price, quantity)
        return _answer({"printed": True})

    async def _market(self, request: web.Request) -> web.Response:
        """Change a market: ``{"symbol", ...}`` and any of these, the numbers as strings.

        ``tick``, ``lot``, ``min_notional``: its filters, in multiples of what it began with; ``trading``: whether
        orders are taken. Of perpetuals also ``mark``: the mark price, null to follow the last price again;
        ``funding_rate``: of the next settlements; ``settle_funding``: true to settle now; ``hedge``: the position
        mode of the account.
        """
        wanted = await _object(request)
        venue, market = self._named(wanted)
        change = read_change(wanted, market)
        try:
            await venue.commit(change)
        except (VenueError, ValueError) as error:
            raise RefusedError(str(error)) from error
        log.info("market_set", **wanted)
        return _answer({"changed": True})

    def _named(self, wanted: dict[str, Any]) -> tuple[Venue[Any], Market]:
        symbol = wanted.get("symbol")
        try:
            return self.find(str(symbol))
        except KeyError:
            message = f"{symbol}: there is no such symbol"
            raise RefusedError(message) from None


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await request.read(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        message = f"the body is no JSON object: {error}"
        raise RefusedError(message) from error


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
    except RefusedError as error:
        return _answer({"error": str(error)}, 400)


def _answer(content: Json, status: int = 200) -> web.Response:
    return web.Response(body=encode(content), status=status, content_type="application/json")
