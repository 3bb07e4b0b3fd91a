"""Amends with the real core and the gateway against the loopback exchange: whatever fails, no more than the total."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import pytest

from actors import messages as m
from actors.instrument import Instrument
from config.schema import Exchange as ExchangeSettings
from daemon.edges.venue.client import connect
from replay.exchange.server import Exchange, running
from tests.daemon.edges.venue import storms
from tests.daemon.edges.venue.trader import Trader

pytestmark = pytest.mark.slow

SPOT, CONTRACT = "BTC/USDT", "BTC/USDT:USDT"
BAR_NS = 5_000_000_000
REQUESTS = {SPOT: "POST /api/v3/order/cancelReplace", CONTRACT: "PUT /fapi/v1/order"}


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with running(seed=7) as exchange:
        for symbol in (SPOT, CONTRACT):
            await exchange.print_trade(symbol, "100.00", "1")
        yield exchange


Trade = Callable[[str], Any]


@pytest.fixture
def trade(exchange: Exchange, open_desk: Any) -> Trade:
    """Run a core and a gateway on a market until the block ends; then both books must agree."""

    @asynccontextmanager
    async def trading(symbol: str) -> AsyncIterator[tuple[Trader, Any]]:
        arguments = exchange.arguments["binance" if symbol == SPOT else "binanceusdm"]
        settings = ExchangeSettings(
            id="binance" if symbol == SPOT else "binanceusdm",
            urls=arguments["urls"],
            symbols=(symbol,),
            timeout_ms=700,
            recv_window_ms=500,
            stall_s=1.0,
            leverage=20,
        )
        keys = {"PITBOSS_API_KEY": arguments["apiKey"], "PITBOSS_API_SECRET": arguments["secret"]}
        client = await connect(settings, needs_keys=True, environment=keys)
        spec = client.specs[symbol]
        await client.close()
        trader = Trader(Instrument(spec), bar_ns=BAR_NS)
        async with open_desk(settings, keys=keys, clerk=trader, window_s=1.6) as desk:
            await desk.until(lambda: trader.venue.ready)
            yield trader, desk
            await desk.until(lambda: not trader.venue.sent, 30.0)
            done = len(trader.all(m.Reconciled))
            await trader.take(m.TimerFired("venue", "reconcile", 0))
            await desk.until(lambda: len(trader.all(m.Reconciled)) > done)
            assert trader.all(m.Halt) == []
            assert trader.venue.last is not None
            assert trader.venue.last.differences == ()
            await assert_books_agree(trader, exchange)

    return trading


async def assert_books_agree(trader: Trader, exchange: Exchange) -> None:
    book = await exchange.book()
    there = {row["trade_id"]: row["client_order_id"] for row in book["fills"] if row["symbol"] == trader.symbol}
    fills = trader.all(m.Fill)
    assert {fill.trade_id: fill.order_id for fill in fills} == there
    assert len(fills) == len(there), "no execution is booked twice"
    orders = [row for row in book["orders"] if row["symbol"] == trader.symbol]
    assert len({row["client_order_id"] for row in orders}) == len(orders), "no id was taken twice"
    assert not [row for row in orders if row["status"] in ("NEW", "PARTIALLY_FILLED")]


async def rest(trader: Trader, desk: Any, quantity: float = 0.1) -> None:
    """Have an order rest at 99."""
    trader.wish(lambda s: s.buy(quantity, limit=99.0))
    await desk.until(lambda: [order.state for order in trader.orders()] == ["working"])


@pytest.mark.parametrize("symbol", [SPOT, CONTRACT])
async def test_price_and_quantity_are_changed_and_executed(symbol: str, exchange: Exchange, trade: Trade) -> None:
    async with trade(symbol) as (trader, desk):
        await rest(trader, desk)
        trader.wish(lambda s: s.amend(1, limit=98.5, quantity=0.15))
        await desk.until(lambda: trader.all(m.Amended))
        await exchange.print_trade(symbol, "98.80", "1")
        assert trader.filled() == 0
        await exchange.print_trade(symbol, "98.40", "1")
        await desk.until(lambda: not trader.orders())

        assert trader.filled() == Decimal("0.15")
        (amended,) = trader.all(m.Amended)
        assert (amended.new_order_id == amended.order_id) is (symbol == CONTRACT)
        assert trader.all(m.SendCancel) == []


@pytest.mark.parametrize("symbol", [SPOT, CONTRACT])
async def test_a_stop_is_moved(symbol: str, exchange: Exchange, trade: Trade) -> None:
    async with trade(symbol) as (trader, desk):
        trader.wish(lambda s: s.buy(0.1))
        await desk.until(lambda: trader.filled() == Decimal("0.1"))
        trader.wish(lambda s: s.sell(0.09, stop=90.0))
        await desk.until(lambda: [order.state for order in trader.orders()] == ["working"])
        trader.wish(lambda s: s.amend(2, stop=95.0))
        await desk.until(lambda: trader.all(m.Amended))
        await exchange.print_trade(symbol, "94.90", "1")
        await desk.until(lambda: not trader.orders())

        assert trader.filled(2) == Decimal("0.09")


FAULTS = (
    "request_lost",
    "reply_lost",
    "reply_delayed",
    "reply_empty",
    "reply_broken",
    "status_unknown",
    "maintenance",
    "bad_gateway",
    "rate_limit_storm",
    "event_before_reply",
    "reply_before_event",
    "message_lost",
    "duplicate",
    "out_of_order",
    "close",
)
ON_STREAM = ("reply_before_event", "message_lost", "duplicate", "out_of_order", "close")


@pytest.mark.parametrize("symbol", [SPOT, CONTRACT])
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_of_an_amend(fault: str, symbol: str, exchange: Exchange, trade: Trade) -> None:
    async with trade(symbol) as (trader, desk):
        await rest(trader, desk)
        exchange.faults.set(fault, 1.0, times=1, on="user" if fault in ON_STREAM else REQUESTS[symbol])
        trader.wish(lambda s: s.amend(1, limit=98.5, quantity=0.15))
        await desk.until(lambda: trader.all(m.Amended) or trader.all(m.AmendRejected), 20.0)
        await desk.until(lambda: exchange.faults.counts[fault] == 1 and trader.venue.ready)
        await desk.until(trader.is_settled, 20.0)
        if fault in ("message_lost", "close"):
            await trader.take(m.TimerFired("venue", "reconcile", 0))
        await exchange.print_trade(symbol, "98.40", "1")
        await trader.take(m.TimerFired("venue", "reconcile", 0))
        await desk.until(lambda: not trader.orders(), 20.0)

        assert trader.filled() == Decimal("0.15" if trader.all(m.Amended) else "0.1")


async def test_a_replacement_that_is_refused_leaves_nothing_at_work(exchange: Exchange, trade: Trade) -> None:
    """The exchange cancels first: the money of the old order is not there for the new one, were it too much."""
    async with trade(SPOT) as (trader, desk):
        await rest(trader, desk)
        trader.wish(lambda s: s.amend(1, quantity=8_000.0))
        await desk.until(lambda: not trader.orders())

        (end,) = trader.all(m.Cancelled)
        assert end.reason == "amended: Account has insufficient balance for requested action."


@pytest.mark.parametrize("symbol", [SPOT, CONTRACT])
@pytest.mark.parametrize("late", [False, True], ids=["told at once", "told late"])
async def test_what_was_executed_meanwhile_counts(late: bool, symbol: str, exchange: Exchange, trade: Trade) -> None:
    """Part of the order fills just before it is changed, whether we hear of it in time or not."""
    async with trade(symbol) as (trader, desk):
        await rest(trader, desk)
        if late:
            exchange.faults.set("message_late", 1.0, times=1, on="user", seconds=0.5)
        exchange.faults.set("partial_fill", 1.0, times=1)
        await exchange.print_trade(symbol, "98.90", "1")
        trader.wish(lambda s: s.amend(1, limit=98.5, quantity=0.12))
        await desk.until(lambda: trader.all(m.Amended), 20.0)
        await desk.until(trader.is_settled)
        assert 0 < trader.filled() < Decimal("0.1")
        await exchange.print_trade(symbol, "98.40", "1")
        await exchange.print_trade(symbol, "98.40", "1")
        await desk.until(lambda: not trader.orders(), 20.0)

        assert trader.filled() == Decimal("0.12")


@pytest.mark.parametrize("symbol", [SPOT, CONTRACT])
@pytest.mark.parametrize("command", [m.Pause("c1"), m.Flatten("c1"), m.Stop("c1")], ids=["pause", "flatten", "stop"])
async def test_no_entry_is_left_by_a_command_during_an_amend(
    command: m.Message, symbol: str, exchange: Exchange, trade: Trade
) -> None:
    async with trade(symbol) as (trader, desk):
        await rest(trader, desk)
        exchange.faults.set("reply_delayed", 1.0, times=1, on=REQUESTS[symbol], seconds=0.4)
        trader.wish(lambda s: s.amend(1, limit=98.5, quantity=0.15))
        await trader.take(command)
        await desk.until(lambda: not trader.orders(), 20.0)
        await exchange.print_trade(symbol, "98.40", "1")

        assert trader.filled() == 0


@pytest.mark.parametrize("symbol", [SPOT, CONTRACT])
async def test_a_gateway_that_is_started_again_finds_out_what_became_of_an_amend(
    symbol: str, exchange: Exchange, trade: Trade
) -> None:
    async with trade(symbol) as (trader, desk):
        await rest(trader, desk)
        exchange.faults.set("reply_delayed", 1.0, times=1, on=REQUESTS[symbol], seconds=5.0)
        trader.wish(lambda s: s.amend(1, limit=98.5, quantity=0.15))
        await desk.until(lambda: exchange.faults.counts["reply_delayed"] == 1)
        await desk.restart()
        await desk.until(lambda: trader.all(m.Amended) and trader.is_settled(), 20.0)
        await desk.until(lambda: trader.venue.ready)
        await exchange.print_trade(symbol, "98.40", "1")
        await desk.until(lambda: not trader.orders(), 20.0)

        assert trader.filled() == Decimal("0.15")


@pytest.mark.parametrize("symbol", [SPOT, CONTRACT])
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_storm_of_amends_executes_no_more_than_was_asked_for(
    seed: int, symbol: str, exchange: Exchange, trade: Trade
) -> None:
    draw = random.Random(seed)
    most: dict[int, float] = {}
    price = 100.0
    async with trade(symbol) as (trader, desk):
        exchange.faults.update(storms.OF_AMENDS)
        for step in range(60):
            if draw.random() < 0.4 or not trader.orders():
                quantity, limit = draw.randint(1, 4) / 10, round(price - draw.randint(-5, 60) / 100, 2)
                trader.wish(lambda s, q=quantity, p=limit: most.setdefault(s.buy(q, limit=p), q), price=price)
            else:
                ref = draw.choice(trader.orders()).request.ref
                quantity, limit = draw.randint(1, 5) / 10, round(price - draw.randint(-5, 60) / 100, 2)
                most[ref] = max(most.get(ref, 0.0), quantity)
                trader.wish(lambda s, r=ref, q=quantity, p=limit: s.amend(r, quantity=q, limit=p), price=price)
            await anyio.sleep(draw.random() * 0.03)
            price = round(price + draw.randint(-25, 25) / 100, 2)
            await exchange.print_trade(symbol, str(price), "1")
            if step % 20 == 19:
                await desk.restart()
        exchange.faults.update(dict.fromkeys(storms.OF_AMENDS, 0.0))
        await desk.until(lambda: trader.venue.ready, 30.0)
        await desk.until(trader.is_settled, 30.0)
        await trader.take(m.Flatten("c1"))
        await desk.until(lambda: trader.core.control.trading == "paused", 30.0)

        assert len(trader.all(m.Amended)) > 3
        for ref, quantity in most.items():
            assert trader.filled(ref) <= Decimal(str(quantity))
