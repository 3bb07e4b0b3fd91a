"""The whole exchange in one process: venues, protocol, admin endpoint, on 127.0.0.1.

    async with running(seed=7) as exchange:
        client = ccxt.pro.binance(exchange.ccxt_arguments)
        await exchange.print_trade("BTC/USDT", "100.50", "0.1")

Every spot market has a perpetual beside it, such as ``BTC/USDT:USDT``, on the same tape and clock, with an account of
its own: ``ccxt.pro.binanceusdm(exchange.arguments["binanceusdm"])`` trades on it. What a client does wrong is answered
as Binance answers it; what nobody serves is a 404 in JSON, and logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from replay.exchange.admin import Admin
from replay.exchange.clients import ccxt_arguments
from replay.exchange.faults import Faults
from replay.exchange.model import Market, perpetual_of
from replay.exchange.perpetual_account import FUNDING_HOURS, FUNDING_RATE, LEVERAGE
from replay.exchange.protocol.auth import draw_keys
from replay.exchange.protocol.desk import FUTURES_PINGS, SPOT_PINGS, Desk
from replay.exchange.protocol.families import Family, futures_family, spot_family
from replay.exchange.protocol.futures_user import KEY_LASTS_S
from replay.exchange.protocol.limits import Limits, futures_limits
from replay.exchange.protocol.sockets import Pings
from replay.exchange.recording import Recording, fingerprint_of, is_contract_feed
from replay.exchange.venue import open_futures, open_venue

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from replay.exchange.engine import Engine
    from replay.exchange.perpetual import PerpetualEngine
    from replay.exchange.trade_tape import TradeTape
    from replay.exchange.venue import Venue
    from replay.tape import Tape

_HOST = "127.0.0.1"
_BODY_BYTES_MAX = 1 << 20
_SHUTDOWN_S = 0.2
"""How long requests whose replies are held back may delay the end."""
_CONTRACT_ROOTS = ("/fapi/", "/ws-fapi/", "/futures/", "/public/", "/market/", "/private/")
"""Paths of perpetuals: the last three are those of Binance's own host for their streams."""

BITCOIN = Market(
    symbol="BTC/USDT", id="BTCUSDT", base="BTC", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.00001")
)
BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(1)}
MAKER_FEE = Decimal("0.001")
TAKER_FEE = Decimal("0.001")


class Exchange:
    """A running exchange.

    Attributes:
        url: where REST is served.
        stream_url: where sockets are served.
        admin_url: where `/control/*` is served.
        desk: the protocol's inside.
        venue: the spot markets.
        contracts_desk: the inside of the protocol of perpetuals.
        futures: the perpetuals.
        faults: the switches.
        arguments: what ccxt's constructors take, by exchange id.
        task: what runs beside the servers, without end unless it fails: the player and the tickers.
    """

    def __init__(
        self,
        desk: Desk[Engine],
        contracts_desk: Desk[PerpetualEngine],
        admin: Admin,
        url: str,
        admin_url: str,
        arguments: dict[str, dict[str, Any]],
    ) -> None:
        self.url = url
        self.stream_url = _as_socket_url(url)
        self.admin_url = admin_url
        self.desk = desk
        self.venue: Venue[Engine] = desk.venue
        self.contracts_desk = contracts_desk
        self.futures: Venue[PerpetualEngine] = contracts_desk.venue
        self.faults = desk.faults
        self.arguments = arguments
        self.task: asyncio.Task[None]
        self._admin = admin

    @property
    def engine(self) -> Engine:
        """The engine of the spot markets."""
        return self.venue.engine

    @property
    def ccxt_arguments(self) -> dict[str, Any]:
        """What `ccxt.pro.binance` takes."""
        return self.arguments["binance"]

    async def book(self) -> dict[str, Any]:
        """Return every order, fill and balance, as `GET /control/book` does."""
        return await self._admin.book()

    async def print_trade(self, symbol: str, price: Decimal | str, quantity: Decimal | str) -> None:
        """Have somebody trade: the market moves, and resting orders that are met fill."""
        venue, market = self._admin.find(symbol)
        await venue.print_trade(market.id, Decimal(price), Decimal(quantity))


@contextlib.asynccontextmanager
async def running(
    *,
    markets: Sequence[Market] = (BITCOIN,),
    balances: Mapping[str, Decimal] | None = None,
    futures_balances: Mapping[str, Decimal] | None = None,
    tape: Tape | TradeTape | None = None,
    recording: Path | None = None,
    speed: float = 1.0,
    seed: int = 7,
    faults: Mapping[str, Any] | None = None,
    state_dir: Path | None = None,
    port: int = 0,
    admin_port: int = 0,
    maker_fee: Decimal = MAKER_FEE,
    taker_fee: Decimal = TAKER_FEE,
    spread_ticks: int = 2,
    fee_asset: str = "auto",
    bounded: bool = False,
    catch_up: bool = True,
    limits: Limits | None = None,
    contract_limits: Limits | None = None,
    stream_messages_per_s: int = 5,
    ping_every_s: float | None = None,
    listen_key_s: float = KEY_LASTS_S,
    leverage: int = LEVERAGE,
    funding_rate: Decimal = FUNDING_RATE,
    funding_hours: int = FUNDING_HOURS,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Exchange]:
    """Run an exchange until the block ends.

    Args:
        markets: what is traded.
        balances: what the spot account has, where there is no state yet.
        futures_balances: what the wallet of the perpetuals has, likewise; as much of each quote asset unless given.
        tape: where prices come from; without one, from `print_trade` alone.
        recording: a recorded raw feed of the first market, in place of a tape.
        speed: exchange seconds per second of the wall, where there is a tape or a recording.
        seed: of the demo keys and of the faults.
        faults: set from the start.
        state_dir: where state is kept; nowhere unless given.
        port: of REST and of sockets; 0 for a free one.
        admin_port: of `/control/*`; 0 for a free one.
        maker_fee: rate of the commission on orders that rested.
        taker_fee: rate of the commission on orders that did not.
        spread_ticks: distance of best bid and best ask.
        fee_asset: what commissions are paid in; "auto" for what was received.
        bounded: whether a trade fills no more of our orders than its own quantity.
        catch_up: whether what was missed is played at the start, unless it is far too much.
        limits: of requests about spot; Binance's unless given.
        contract_limits: of requests about perpetuals; Binance's unless given.
        stream_messages_per_s: what a client may send on a market socket; 0 for any number.
        ping_every_s: how often a socket is pinged, cut off after three in vain; Binance's intervals unless given.
        listen_key_s: how long the futures user stream lasts without being renewed.
        leverage: of perpetuals whose leverage was never set.
        funding_rate: of perpetuals whose rate was never set, as a fraction.
        funding_hours: hours of exchange time between two settlements of funding.
        tls: serve REST and sockets encrypted, for clients that keep Binance's own addresses.

    Raises:
        OSError: a port is taken.
        UserError: the state cannot be used, or belongs to another market or tape.
    """
    funds = BALANCES if balances is None else balances
    fingerprint = "" if recording is None else fingerprint_of(recording)
    of_contracts = recording is not None and is_contract_feed(recording)
    venue = await open_venue(
        state_dir=state_dir,
        tape=tape,
        markets=markets,
        balances=funds,
        speed=speed,
        maker_fee=maker_fee,
        taker_fee=taker_fee,
        spread_ticks=spread_ticks,
        fee_asset=fee_asset,
        bounded=bounded,
        catch_up=catch_up,
        recording="" if of_contracts else fingerprint,
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(venue.close)
        futures = await open_futures(
            venue,
            state_dir=state_dir,
            tape=tape,
            markets=[perpetual_of(market) for market in markets],
            balances={market.quote: funds.get(market.quote, Decimal(0)) for market in markets}
            if futures_balances is None
            else futures_balances,
            maker_fee=maker_fee,
            taker_fee=taker_fee,
            spread_ticks=spread_ticks,
            fee_asset=fee_asset,
            bounded=bounded,
            leverage=leverage,
            funding_rate=funding_rate,
            funding_hours=funding_hours,
            recording=fingerprint if of_contracts else "",
        )
        stack.push_async_callback(futures.close)
        switches, keys = Faults(seed, faults), draw_keys(seed)
        venue.engine.portion = futures.engine.portion = _portions(switches)
        asked = None if ping_every_s is None else Pings(ping_every_s, 3 * ping_every_s)
        desk = Desk(venue, switches, keys, limits or Limits(time.time), asked or SPOT_PINGS)
        contracts_desk = Desk(
            futures, switches, keys, contract_limits or futures_limits(time.time), asked or FUTURES_PINGS
        )
        spot = spot_family(desk, stream_messages_per_s)
        contracts = futures_family(contracts_desk, stream_messages_per_s, listen_key_s)
        admin = Admin(desk, contracts_desk)
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", _dispatcher(spot, contracts))
        url = await _serve(stack, app, port, tls)
        for family in (spot, contracts):
            stack.push_async_callback(family.close)
        admin_url = await _serve(stack, admin.application(), admin_port)
        arguments = ccxt_arguments(url, _as_socket_url(url), keys)
        exchange = Exchange(desk, contracts_desk, admin, url, admin_url, arguments)
        feed = None if recording is None else _feed(recording, contracts_desk if of_contracts else desk)
        exchange.task = asyncio.create_task(_run((spot, contracts), feed, speed))
        try:
            yield exchange
        finally:
            exchange.task.cancel()
            (ended,) = await asyncio.gather(exchange.task, return_exceptions=True)
        if isinstance(ended, ExceptionGroup):
            raise ended.exceptions[0]


def _feed(recording: Path, desk: Desk[Any]) -> Recording:
    """Return the recorded feed of the first market, as far as it was played; the market's book is the feed's."""
    market = desk.venue.markets[0]
    feed = Recording(recording, market, desk.venue.played.get(market.id, 0))
    desk.recorded[market.id] = feed.book
    return feed


async def _run(families: Sequence[Family], feed: Recording | None, speed: float) -> None:
    """Play the tape and send tickers; the exchange stays open when the tape has ended."""
    async with asyncio.TaskGroup() as group:
        for family in families:
            group.create_task(family.desk.venue.run())
            group.create_task(family.streams.run())
            if feed is not None and bool(feed.market.settle) == family.of_contracts:
                send = partial(family.streams.send_recorded, feed.market.id)
                group.create_task(feed.play(family.desk.venue, speed, send))


def _portions(faults: Faults) -> Any:  # noqa: ANN401 - the engine's type is a plain callable
    """Return what says how much of an execution happens now."""

    def portion(lots: int) -> int:
        return (lots + 1) // 2 if lots > 1 and faults.strikes("partial_fill") else lots

    return portion


def _dispatcher(spot: Family, contracts: Family) -> Any:  # noqa: ANN401 - one of aiohttp's handlers
    """Return the handler of every request: its family's, a socket to its end, everything else to REST."""

    async def dispatch(request: web.Request) -> web.StreamResponse:
        family = contracts if request.path.startswith(_CONTRACT_ROOTS) else spot
        if request.headers.get("Upgrade", "").lower() == "websocket":
            socket = family.socket(request.path)
            if socket is not None:
                return await socket(request)
        return await family.rest.handle(request)

    return dispatch


async def _serve(
    stack: contextlib.AsyncExitStack, app: web.Application, port: int, tls: ssl.SSLContext | None = None
) -> str:
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, _HOST, port, ssl_context=tls).start()
    return f"http{'s' if tls else ''}://{_HOST}:{runner.addresses[0][1]}"


def _as_socket_url(url: str) -> str:
    return url.replace("http", "ws", 1)
