"""Fees that the venue takes in an asset of its own: valued by the venue's own price, once, and never guessed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from actors.instrument import Instrument
from actors.messages import BUY, AccountReported, AskAccount, AskOrder, OrderReported, SendOrder, TradeReported
from config.schema import Exchange as ExchangeSettings
from daemon.edges.venue.client import VenueClient, connect
from daemon.edges.venue.fee_values import FeeValues
from daemon.edges.venue.limits import Limits
from daemon.edges.venue.questions import Caller
from replay.exchange.model import Market
from replay.exchange.server import BITCOIN, Exchange, running

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
COIN = Market(symbol="BNB/USDT", id="BNBUSDT", base="BNB", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.001"))
BALANCES = {"USDT": Decimal(10_000), "BTC": Decimal(1), "BNB": Decimal(2)}
QUESTION = "GET /api/v3/ticker/24hr"
Make = Callable[..., SendOrder]


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """An exchange that takes its fees in BNB, of which one is worth 600."""
    async with running(seed=7, markets=(BITCOIN, COIN), balances=BALANCES, fee_asset="BNB") as exchange:
        await exchange.print_trade("BTC/USDT", "100.00", "1")
        await exchange.print_trade("BNB/USDT", "600.00", "1")
        yield exchange


@pytest.fixture
def loopback(exchange: Exchange) -> ExchangeSettings:
    return ExchangeSettings(
        urls=exchange.ccxt_arguments["urls"], timeout_ms=700, recv_window_ms=500, stall_s=5.0, symbols=(SYMBOL,)
    )


@pytest.fixture
def keys(exchange: Exchange) -> dict[str, str]:
    arguments = exchange.ccxt_arguments
    return {"PITBOSS_API_KEY": arguments["apiKey"], "PITBOSS_API_SECRET": arguments["secret"]}


def priced(trade: TradeReported, price: int) -> bool:
    """Return whether the value is the fee's, to the atom."""
    return trade.fee_asset == "BNB" and trade.fee_atoms > 0 and trade.fee_value_atoms == trade.fee_atoms * price


async def test_replies_pushes_answers_and_comparisons_all_bring_the_value(
    exchange: Exchange, loopback: ExchangeSettings, keys: dict[str, str], open_desk: Any, make_order: Make
) -> None:
    async with open_desk(loopback, keys=keys) as desk:
        desk.gateway.send(make_order(1, kind="market", lots=10_000_000))
        desk.gateway.send(make_order(2, lots=10_000_000, limit_ticks=9_900))
        await desk.until(lambda: {each.order_id for each in desk.all(OrderReported)} == {"pbtest1", "pbtest2"})
        await exchange.print_trade(SYMBOL, "98.00", "1")
        await desk.until(lambda: {each.order_id for each in desk.all(TradeReported)} == {"pbtest1", "pbtest2"})
        desk.gateway.send(AskOrder("pbtest2", SYMBOL))
        desk.gateway.send(AskAccount("period", (), ((SYMBOL, 0),), 3))
        [account] = await desk.of(AccountReported)
        await desk.until(lambda: desk.gateway.statistics().unanswered == 0)

        assert len(account.trades) == 2
        assert all(priced(each, 600) for each in (*account.trades, *desk.all(TradeReported)))


async def test_a_push_whose_price_is_not_known_yet_waits_for_no_one(
    exchange: Exchange, loopback: ExchangeSettings, keys: dict[str, str], open_desk: Any, make_order: Make
) -> None:
    """It becomes a question about its order, and what comes behind it is told meanwhile."""
    async with open_desk(loopback, keys=keys) as desk:
        desk.gateway.send(make_order(1, lots=10_000_000, limit_ticks=9_900))
        await desk.until(lambda: desk.all(OrderReported))
        exchange.faults.set("reply_delayed", 1.0, times=1, on=QUESTION, seconds=0.4)
        await exchange.print_trade(SYMBOL, "98.00", "1")
        [trade] = await desk.of(TradeReported)

        assert priced(trade, 600)


async def test_an_asset_without_a_market_stays_without_a_value(
    loopback: ExchangeSettings, keys: dict[str, str], open_desk: Any, make_order: Make
) -> None:
    async with open_desk(loopback, keys=keys) as desk:
        del desk.client.exchange.markets["BNB/USDT"]
        desk.gateway.send(make_order(1, kind="market", lots=10_000_000))
        trade = (await desk.of(TradeReported))[0]

        assert (trade.fee_asset, trade.fee_value_atoms) == ("BNB", -1)


class Clock:
    """Seconds that go forward when told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def client(loopback: ExchangeSettings) -> AsyncIterator[VenueClient]:
    client = await connect(loopback, needs_keys=True, environment={"PITBOSS_API_KEY": "k", "PITBOSS_API_SECRET": "s"})
    yield client
    await client.close()


def charged(asset: str, atoms: int = 10) -> TradeReported:
    return TradeReported("pb1", SYMBOL, 1, BUY, 10_000, 1_000, asset, atoms, "taker", 5)


async def test_a_price_serves_for_a_minute_and_while_the_venue_is_silent_for_a_quarter_of_an_hour(
    exchange: Exchange, client: VenueClient
) -> None:
    clock = Clock()
    instruments = {symbol: Instrument(spec) for symbol, spec in client.specs.items()}
    fees = FeeValues(client, Caller(client, Limits(6_000)), instruments, clock)

    async def value() -> int:
        [trade] = await fees.each([charged("BNB")])
        return trade.fee_value_atoms

    assert fees.at_once(charged("BNB")) is None
    assert await value() == 6_000
    await exchange.print_trade("BNB/USDT", "700.00", "1")
    clock.now_s += 59
    assert await value() == 6_000
    told = fees.at_once(charged("BNB", -3))
    assert told is not None
    assert told.fee_value_atoms == 1_800, "by magnitude"
    clock.now_s += 2
    assert fees.at_once(charged("BNB")) is None
    exchange.faults.set("maintenance", 1.0, times=1, on=QUESTION)
    assert await value() == 6_000
    assert await value() == 7_000
    clock.now_s += 901
    exchange.faults.set("maintenance", 1.0, times=2, on=QUESTION)
    await exchange.print_trade("BNB/USDT", "800.00", "1")
    assert await value() == 8_000, "too old to be of use: asked for until it is told"
    assert exchange.faults.counts["maintenance"] == 3


async def test_what_needs_no_value_is_left_as_it_is(client: VenueClient) -> None:
    instruments = {symbol: Instrument(spec) for symbol, spec in client.specs.items()}
    fees = FeeValues(client, Caller(client, Limits(6_000)), instruments)
    trades = [charged("USDT"), charged("BTC"), charged("BNB", 0)]

    assert await fees.each(trades) == trades
    assert [fees.at_once(trade) for trade in trades] == trades


async def test_a_price_that_is_told_the_other_way_round_is_turned(client: VenueClient) -> None:
    instruments = {symbol: Instrument(spec) for symbol, spec in client.specs.items()}
    client.exchange.markets["USDT/TRY"] = client.exchange.markets["BNB/USDT"]
    fees = FeeValues(client, Caller(client, Limits(6_000)), instruments)
    asked: list[str] = []

    async def last_price(symbol: str) -> str:
        asked.append(symbol)
        return "40"

    client.last_price = last_price  # type: ignore[method-assign]
    [trade] = await fees.each([charged("TRY", 100)])

    assert asked == ["USDT/TRY"]
    assert trade.fee_value_atoms == 3, "2.5 atoms, rounded half-up"
