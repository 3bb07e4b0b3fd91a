"""The edges of a live feed and of a real venue: what they ask of the settings, and how they hang together.

The feed and the gateway speak through a ccxt.pro instance each: a slow history request of the one must not
hold up an order of the other.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import anyio
import msgspec

from actors.execution.orders import PREFIX
from actors.execution.remote import RemoteVenue
from actors.messages import AskAccount, AskOrder, SendAmend, SendCancel, SendOrder, VenueLink
from actors.runtime.clock import LiveClock, VenueClock
from config.errors import UserError
from config.symbols import is_contract
from config.timeframe import opening_ns, parse_timeframe
from replay.plan import MarketSeries
from strategies.features.needs import STREAMS, Told, told_by

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from actors.instrument import InstrumentSpec
    from actors.messages import Message
    from actors.runtime.clock import Clock
    from actors.system import Core
    from config.schema import Settings
    from daemon.control.types import StreamRow
    from daemon.edges.venue.client import VenueClient
    from daemon.edges.venue.dead_man import DeadMan
    from daemon.edges.venue.gateway import Gateway
    from daemon.edges.venue.limits import Limits, LimitStatistics
    from daemon.live import LiveDriver
    from daemon.market_feed import MarketFeed

_NOT_CONNECTED = "not connected yet"
EFFECTS = (SendOrder, SendCancel, SendAmend, AskOrder, AskAccount)
"""What leaves for a real venue, once its input is durable."""


class VenueMarkets(msgspec.Struct, frozen=True):
    """The markets of a live feed; fits `replay.plan.Markets`."""

    series: tuple[MarketSeries, ...]
    fingerprint: str
    told: Told | None = None
    """What it tells beyond bars."""


def venue_markets(settings: Settings, specs: Mapping[str, InstrumentSpec], now_ns: int) -> VenueMarkets:
    """Return what a plan needs of the configured symbols, for a session that may begin at `now_ns`.

    On paper orders are matched on what comes between the bars, if trades do: without them no limit would ever fill.
    """
    exchange = settings.exchange
    timeframe_ns = parse_timeframe(exchange.timeframe)
    start_ns = opening_ns(now_ns, timeframe_ns)
    has_ticks = "trades" in exchange.streams
    series = tuple(
        MarketSeries(symbol, timeframe_ns, specs[symbol], start_ns, has_ticks) for symbol in exchange.symbols
    )
    text = "\n".join((exchange.id, exchange.timeframe, *exchange.symbols))
    kinds = {kind for kind, stream in STREAMS.items() if stream in exchange.streams}
    told = Told(dict.fromkeys(exchange.symbols, told_by(kinds)), is_live=True)
    return VenueMarkets(series, hashlib.sha256(text.encode()).hexdigest()[:32], told)


def check_real(settings: Settings) -> None:
    """Refuse real orders that nobody has explicitly allowed and bounded.

    Raises:
        UserError: names the first thing that is missing.
    """
    if settings.feed.source != "exchange":
        message = "--mode real needs the live feed of the venue: --set feed.source=exchange"
        raise UserError(message)
    if not settings.live.armed:
        message = "--mode real sends real orders: allow it with --set live.armed=true"
        raise UserError(message)
    for name in ("max_daily_loss", "max_notional", "max_orders_per_minute"):
        if getattr(settings.risk, name) is None:
            message = f"--mode real needs a limit: --set risk.{name}=..."
            raise UserError(message)
    if settings.exchange.leverage is None and any(is_contract(symbol) for symbol in settings.exchange.symbols):
        message = "--mode real needs the leverage the account has for its contracts: --set exchange.leverage=..."
        raise UserError(message)


class VenueEdges:
    """The feed, and in real mode the gateway, of one run.

    Args:
        settings: all of them.
        markets: the configured symbols.
        feed_client: what market data comes through.
        gateway_client: what orders go through; None on paper.
    """

    def __init__(
        self,
        settings: Settings,
        markets: VenueMarkets,
        feed_client: VenueClient,
        gateway_client: VenueClient | None,
    ) -> None:
        self.markets = markets
        self._settings = settings
        self._feed_client = feed_client
        self._gateway_client = gateway_client
        self._gateway: Gateway | None = None
        self._feed: MarketFeed | None = None
        self._driver: LiveDriver | None = None
        self._dead_man: DeadMan | None = None
        self._limits: Limits | None = None
        self._told = anyio.Event()
        """Set once the core knows that nothing is connected yet."""

    def clock(self, now_ns: int) -> Clock:
        """Return the clock of the core, which goes on from `now_ns`."""
        if self._settings.exchange.clock == "venue":
            return VenueClock(now_ns)
        return LiveClock(time.time_ns, now_ns)

    def attach(self, core: Core, driver: LiveDriver, began_ns: int) -> None:
        """Make the edges of a recovered core, whose session began at a time."""
        from daemon.edges.venue.limits import Limits
        from daemon.market_feed import MarketFeed

        self._driver = driver
        exchange = self._settings.exchange
        limits = Limits(self._feed_client.weight_per_minute)  # one for all: a venue counts by address, whoever asks
        self._limits = limits
        for client in (self._feed_client, self._gateway_client):
            limits.observe((None if client is None else client.used_weight()) or 0)  # by the start, and who was before
        self._feed = MarketFeed(self._feed_client, core, driver, exchange, limits)
        if self._gateway_client is not None:
            from daemon.edges.venue.gateway import Gateway

            own_prefix = PREFIX + core.execution.nonce
            self._gateway = Gateway(
                self._gateway_client,
                core.instruments,
                driver.post,
                exchange,
                own_prefix=own_prefix,
                limits=limits,
                known_rules=core.venue.rules.told if isinstance(core.venue, RemoteVenue) else None,
                began_ns=began_ns,
            )

            # before any timer that came due while nobody was here: what it orders must not leave yet
            driver.post_command(VenueLink(up=False, reason=_NOT_CONNECTED))
            if self._settings.live.dead_man_s:
                self._dead_man = _dead_man(self._gateway_client, self._settings, limits, driver)

    def send(self, message: Message) -> None:
        """Let an effect leave."""
        assert self._gateway is not None, message
        self._gateway.send(message)

    def edges(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Return the edges by name, in start order."""
        assert self._feed is not None
        edges = [(name, self._once_told(run)) for name, run in self._feed.edges()]
        if self._gateway is not None:
            edges.insert(0, ("gateway", self._run_gateway))
        if self._dead_man is not None:
            edges.append(("dead_man", self._dead_man.run))
        return edges

    def statistics(self) -> list[StreamRow]:
        """Return how every stream of market data is doing."""
        return [] if self._feed is None else self._feed.statistics()

    def limits(self) -> LimitStatistics | None:
        """Return how much request weight is spent."""
        return None if self._limits is None else self._limits.statistics()

    async def disarm(self) -> None:
        """Switch the venue's dead-man switch off, for the session is over."""
        if self._dead_man is not None:
            await self._dead_man.disarm()

    async def close(self) -> None:
        """Close every connection."""
        await self._feed_client.close()
        if self._gateway_client is not None:
            await self._gateway_client.close()

    async def _run_gateway(self) -> None:
        assert self._gateway is not None
        assert self._driver is not None
        await self._driver.post(VenueLink(up=False, reason=_NOT_CONNECTED))
        self._told.set()
        await self._gateway.run()

    def _once_told(self, run: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Return `run`, kept back until the core knows that no order can leave yet."""

        async def wait_and_run() -> None:
            if self._gateway is not None:
                await self._told.wait()
            await run()

        return wait_and_run


def _dead_man(client: VenueClient, settings: Settings, limits: Limits, driver: LiveDriver) -> DeadMan:
    from daemon.edges.venue.contract_client import ContractClient
    from daemon.edges.venue.dead_man import DeadMan
    from daemon.edges.venue.questions import Caller

    assert isinstance(client, ContractClient)  # `open_venue` has seen to that
    symbols, seconds = settings.exchange.symbols, settings.live.dead_man_s
    return DeadMan(client, Caller(client, limits), symbols, seconds, lambda: driver.journal.trouble() is None)


async def open_venue(settings: Settings, *, real: bool, kept: Mapping[str, InstrumentSpec]) -> VenueEdges:
    """Connect to the configured exchange.

    Args:
        settings: all of them.
        real: whether orders are to go there.
        kept: the instruments of the session that is open there, by symbol: one that is not traded just now is no
            reason to leave its positions alone.

    Raises:
        UserError: it cannot be reached, does not know a symbol, or refuses the key.
    """
    from daemon.edges.venue.client import connect

    feed_client = await connect(settings.exchange, needs_keys=False, symbols=())
    gateway_client: VenueClient | None = None
    try:
        if real:
            gateway_client = await connect(settings.exchange, needs_keys=True, symbols=())
            await gateway_client.check_permissions()
            _check_dead_man(settings, gateway_client)
            await gateway_client.check_modes(settings.exchange.symbols)
        now_ns = await feed_client.server_time_ns() if settings.exchange.clock == "venue" else time.time_ns()
        markets = venue_markets(settings, _specs(feed_client, settings.exchange.symbols, kept if real else {}), now_ns)
        return VenueEdges(settings, markets, feed_client, gateway_client)
    except BaseException:
        await feed_client.close()
        if gateway_client is not None:
            await gateway_client.close()
        raise


def _check_dead_man(settings: Settings, client: VenueClient) -> None:
    from daemon.edges.venue.contract_client import ContractClient

    if settings.live.dead_man_s and not isinstance(client, ContractClient):
        message = f"live.dead_man_s: {client.exchange.id} has such a switch for none of these symbols; set it to 0"
        raise UserError(message)


def _specs(
    client: VenueClient, symbols: Iterable[str], kept: Mapping[str, InstrumentSpec]
) -> dict[str, InstrumentSpec]:
    """Return the instruments as the venue has them; as they were kept, where it has them and does not trade them.

    Raises:
        UserError: the venue does not trade one, or does not say how.
    """
    specs: dict[str, InstrumentSpec] = {}
    for symbol in symbols:
        asleep = (client.exchange.markets.get(symbol) or {}).get("active") is False
        specs[symbol] = kept[symbol] if asleep and symbol in kept else client.instruments((symbol,))[symbol]
    return specs
