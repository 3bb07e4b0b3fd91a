"""What we count of our requests is what the venue counts, for spot and for perpetuals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest

from actors.instrument import Instrument
from actors.messages import AskAccount, Message, TradeReported
from config.schema import Exchange as ExchangeSettings
from daemon.edges.feed.market_data import MarketStreams
from daemon.edges.feed.requests import FeedRequests
from daemon.edges.venue.client import VenueClient, connect
from daemon.edges.venue.contract_client import ContractClient
from daemon.edges.venue.contracts import Contracts
from daemon.edges.venue.limits import Limits, Priority
from daemon.edges.venue.questions import Caller, Names, Questions
from daemon.edges.venue.weights import weights_of
from replay.exchange.server import Exchange, running

pytestmark = pytest.mark.slow

SYMBOLS = {"binance": "BTC/USDT", "binanceusdm": "BTC/USDT:USDT"}
FAMILIES = tuple(SYMBOLS)


class Counting(Limits):
    """Limits that remember the sum of what was asked of them, whatever the venue says."""

    counted = 0

    async def turn(self, priority: Priority, weight: int) -> None:
        self.counted += weight
        await super().turn(priority, weight)


class Till:
    """A client, the limits its requests go by, and what the venue has counted since the start."""

    def __init__(self, client: VenueClient, exchange: Exchange, settings: ExchangeSettings) -> None:
        self.client = client
        self.settings = settings
        self.limits = Counting(client.weight_per_minute)
        self.caller = Caller(client, self.limits)
        self._desk: Any = exchange.desk if settings.id == "binance" else exchange.contracts_desk
        self._before = self._used()

    @property
    def charged(self) -> int:
        return self._used() - self._before

    def _used(self) -> int:
        (weight,) = [row for row in self._desk.limits.counts() if row["rateLimitType"] == "REQUEST_WEIGHT"]
        return int(weight["count"])


@asynccontextmanager
async def till(family: str, **changes: Any) -> AsyncIterator[Till]:
    # a minute of the wall that never ends, so that no count begins anew under the test
    async with running(seed=7) as exchange:
        for desk in (exchange.desk, exchange.contracts_desk):
            desk.limits._now_s = lambda: 1_700_000_040.0
        await exchange.print_trade(SYMBOLS[family], "100.00", "1")
        arguments = exchange.arguments[family]
        values: dict[str, Any] = {
            "id": family,
            "urls": arguments["urls"],
            "symbols": (SYMBOLS[family],),
            "leverage": 20,
        }
        settings = ExchangeSettings(**values | changes)
        keys = {"PITBOSS_API_KEY": arguments["apiKey"], "PITBOSS_API_SECRET": arguments["secret"]}
        client = await connect(settings, needs_keys=True, environment=keys)
        try:
            yield Till(client, exchange, settings)
        finally:
            await client.close()


async def at_once(_: str) -> float:
    return 0.0


async def unvalued(trades: list[TradeReported]) -> list[TradeReported]:
    return trades


class Shown:
    """Where books go."""

    def __init__(self) -> None:
        self.once = anyio.Event()

    async def post(self, _: Message) -> None:
        self.once.set()

    deliver = post


async def nowhere(_: Message) -> None:
    """Post to nobody."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("after", [0, -1])
async def test_a_comparison_of_the_accounts_is_counted_as_the_venue_counts_it(family: str, after: int) -> None:
    async with till(family) as each:
        instruments = {symbol: Instrument(spec) for symbol, spec in each.client.specs.items()}
        contracts = (
            Contracts(each.client, each.caller, instruments, nowhere)
            if isinstance(each.client, ContractClient)
            else None
        )
        questions = Questions(each.client, each.caller, instruments, Names("pb"), at_once, unvalued, contracts)
        symbol = SYMBOLS[family]
        funding = ((symbol, 0),) if contracts is not None else ()
        await questions.account(AskAccount("test", trades_after=((symbol, after),), funding_after=funding))
        assert each.limits.counted == each.charged


async def test_the_modes_of_each_symbol_are_counted() -> None:
    async with till("binanceusdm") as each:
        assert isinstance(each.client, ContractClient)
        spec = each.client.specs["BTC/USDT:USDT"]
        instruments = {"BTC/USDT:USDT": Instrument(spec), "ETH/USDT:USDT": Instrument(spec)}
        each.client.exchange.markets["ETH/USDT:USDT"] = each.client.exchange.markets["BTC/USDT:USDT"]
        await Contracts(each.client, each.caller, instruments, nowhere).mode_troubles()
        assert each.limits.counted == each.charged


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("levels", [10, 200, 1_000])
async def test_a_book_is_counted_by_its_depth(family: str, levels: int) -> None:
    async with till(family, streams=("bars", "book"), book_levels=levels) as each:
        shown = Shown()
        requests = FeedRequests(each.limits, each.client)
        streams = MarketStreams(each.client.exchange, shown, each.settings, requests=requests)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(streams.run)
                await shown.once.wait()
                group.cancel_scope.cancel()
        assert each.limits.counted == each.charged


@pytest.mark.parametrize("family", FAMILIES)
async def test_pages_of_bars_are_counted_by_their_length(family: str) -> None:
    async with till(family, streams=("bars",)) as each:
        requests = FeedRequests(each.limits, each.client)
        weights = weights_of(SYMBOLS[family])
        for count in (2, 99, 100, 499, 500, 1_000):
            await requests.ask(
                weights.page_of_bars(count),
                partial(each.client.exchange.fetch_ohlcv, SYMBOLS[family], "1m", None, count),
            )
            assert each.limits.counted == each.charged, count
