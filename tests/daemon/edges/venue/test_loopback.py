"""The gateway against the loopback exchange: with every fault there is, the books agree to the unit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from actors.messages import (
    AccountReported,
    AskAccount,
    AskOrder,
    CancelRefused,
    Halt,
    Message,
    OrderAbsent,
    OrderInDoubt,
    OrderReported,
    SendCancel,
    SendOrder,
    TradeReported,
    VenueLink,
)
from config.schema import Exchange as ExchangeSettings
from replay.exchange.server import Exchange, running
from tests.daemon.edges.venue import storms

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
Make = Callable[..., SendOrder]


@pytest.fixture(params=["family", "other"])
async def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Exchange]:
    """A venue, as one of Binance's family, or as any other: then with nothing but what ccxt has for all of them."""
    if request.param == "other":
        monkeypatch.setattr("daemon.edges.venue.client.is_family", lambda _: False)
    async with running(seed=7) as exchange:
        await exchange.print_trade(SYMBOL, "100.00", "1")
        yield exchange


@pytest.fixture
def loopback(exchange: Exchange) -> ExchangeSettings:
    """Settings that lead to the loopback exchange; its keys travel by the environment."""
    arguments = exchange.ccxt_arguments
    return ExchangeSettings(
        urls=arguments["urls"],
        options=arguments["options"],
        timeout_ms=700,
        recv_window_ms=500,
        stall_s=1.0,
        symbols=(SYMBOL,),
    )


@pytest.fixture
def keys(exchange: Exchange) -> dict[str, str]:
    arguments = exchange.ccxt_arguments
    return {"PITBOSS_API_KEY": arguments["apiKey"], "PITBOSS_API_SECRET": arguments["secret"]}


class Clerk:
    """Keeps books from nothing but what the gateway posts, and asks as the core does; shares no code with it."""

    def __init__(self) -> None:
        self.gateway: Any = None
        self.state: dict[str, str] = {}
        self.filled: dict[str, int] = {}
        self.trades: dict[int, TradeReported] = {}
        self.halts: list[str] = []
        self.up = 0
        self.accounts = 0

    def open(self) -> list[str]:
        return [name for name, state in self.state.items() if state in ("sent", "open")]

    def unsettled(self) -> list[str]:
        booked: dict[str, int] = {}
        for trade in self.trades.values():
            booked[trade.order_id] = booked.get(trade.order_id, 0) + trade.quantity_lots
        return [name for name, lots in self.filled.items() if booked.get(name, 0) < lots]

    def send(self, order: SendOrder) -> None:
        self.state[order.order_id] = "sent"
        self.gateway.send(order)

    async def take(self, message: Message) -> None:
        if isinstance(message, VenueLink) and message.up:
            self.up += 1
            self.ask()
        elif isinstance(message, OrderReported):
            self._report(message)
        elif isinstance(message, OrderInDoubt | CancelRefused):
            self.gateway.send(AskOrder(message.order_id, SYMBOL))
        elif isinstance(message, OrderAbsent):
            assert self.state[message.order_id] in ("sent", "absent", "rejected"), message
            self.state[message.order_id] = "absent"
        elif isinstance(message, TradeReported):
            known = self.trades.setdefault(message.trade_id, message)
            assert _content(known) == _content(message), "one id, one execution"
        elif isinstance(message, AccountReported):
            self.accounts += 1
            for trade in message.trades:
                await self.take(trade)
            for report in message.orders:
                self._report(report)
            for name in message.absent:
                await self.take(OrderAbsent(name))
        elif isinstance(message, Halt):
            self.halts.append(message.reason)

    def ask(self) -> None:
        after = ((SYMBOL, max(self.trades)),) if self.trades else ()
        self.gateway.send(AskAccount("reconnect", tuple((name, SYMBOL) for name in self.open()), after))

    def _report(self, report: OrderReported) -> None:
        name = report.order_id
        state = self.state[name]
        assert state != "absent" or report.state == "rejected", report
        if state in ("sent", "open"):
            self.state[name] = report.state
        self.filled[name] = max(self.filled.get(name, 0), report.filled_lots)
        if report.state != "open" and name in self.unsettled():
            self.gateway.send(AskOrder(name, SYMBOL))


def _content(trade: TradeReported) -> tuple[Any, ...]:
    """Return what must agree, however an execution was told: a reply's has the time of the order."""
    return (trade.order_id, trade.side, trade.price_ticks, trade.quantity_lots, trade.fee_asset, trade.fee_atoms)


async def assert_books_agree(clerk: Clerk, exchange: Exchange) -> None:
    book = await exchange.book()
    orders = {row["client_order_id"]: row for row in book["orders"]}
    states = {"NEW": "open", "PARTIALLY_FILLED": "open", "CANCELED": "cancelled", "FILLED": "filled"}
    assert len(orders) == len(book["orders"]), "no id was taken twice"
    assert orders.keys() == {name for name, state in clerk.state.items() if state not in ("absent", "rejected")}
    for name, row in orders.items():
        assert clerk.state[name] == states.get(row["status"], row["status"].lower()), row
    executed = {
        row["trade_id"]: (
            row["client_order_id"],
            1 if row["side"] == "BUY" else -1,
            int(Decimal(row["price"]) / Decimal("0.01")),
            int(Decimal(row["quantity"]) * 10**8),
            row["commission_asset"],
            int(Decimal(row["commission"]) * 10**8),
        )
        for row in book["fills"]
    }
    assert {number: _content(trade) for number, trade in clerk.trades.items()} == executed


async def test_orders_cancels_and_questions(
    exchange: Exchange, loopback: ExchangeSettings, keys: dict[str, str], open_desk: Any, make_order: Make
) -> None:
    clerk = Clerk()
    async with open_desk(loopback, keys=keys, clerk=clerk) as desk:
        clerk.send(make_order(1, kind="market", lots=10_000_000))
        clerk.send(make_order(2, lots=10_000_000, limit_ticks=9_900))
        clerk.send(make_order(3, lots=20_000_000, limit_ticks=9_800))
        clerk.send(make_order(4, side=-1, kind="stop", lots=10_000_000, stop_ticks=9_850))
        await desk.until(lambda: "sent" not in clerk.state.values())
        desk.gateway.send(SendCancel("pbtest3", SYMBOL))
        await exchange.print_trade(SYMBOL, "98.90", "1")
        await desk.until(lambda: clerk.state["pbtest2"] == "filled" and clerk.state["pbtest3"] == "cancelled")
        await exchange.print_trade(SYMBOL, "98.40", "1")
        await desk.until(lambda: clerk.state["pbtest4"] == "filled" and not clerk.unsettled())
        clerk.ask()
        await desk.until(lambda: clerk.accounts >= 2)

        assert clerk.state == {"pbtest1": "filled", "pbtest2": "filled", "pbtest3": "cancelled", "pbtest4": "filled"}
        assert not clerk.halts
        await assert_books_agree(clerk, exchange)


SUBMITS = (
    "request_lost",
    "reply_lost",
    "reply_delayed",
    "reply_empty",
    "reply_broken",
    "status_unknown",
    "maintenance",
    "bad_gateway",
    "rate_limit_storm",
    "banned",
    "order_rejected",
    "partial_fill",
    "event_before_reply",
    "reply_before_event",
    "clock_skew",
)


WHERE = {"partial_fill": "", "reply_before_event": "user"}


@pytest.mark.parametrize("fault", SUBMITS)
async def test_every_fault_of_a_request(
    fault: str,
    exchange: Exchange,
    loopback: ExchangeSettings,
    keys: dict[str, str],
    open_desk: Any,
    make_order: Make,
) -> None:
    clerk = Clerk()
    async with open_desk(loopback, keys=keys, clerk=clerk) as desk:
        exchange.faults.set(fault, 1.0, times=1, on=WHERE.get(fault, "POST /api/v3/order"))
        clerk.send(make_order(1, kind="market", lots=10_000_000))
        await desk.until(lambda: clerk.state["pbtest1"] != "sent")
        await exchange.print_trade(SYMBOL, "100.00", "1")
        await desk.until(lambda: not clerk.open() and not clerk.unsettled())

        assert exchange.faults.counts[fault] == 1
        assert not clerk.halts
        await assert_books_agree(clerk, exchange)


STREAMS = (
    "close",
    "abort",
    "reset",
    "truncated_frame",
    "stall",
    "message_lost",
    "duplicate",
    "out_of_order",
    "user_stream_terminated",
)


@pytest.mark.parametrize("fault", STREAMS)
async def test_every_fault_of_the_stream(
    fault: str,
    exchange: Exchange,
    loopback: ExchangeSettings,
    keys: dict[str, str],
    open_desk: Any,
    make_order: Make,
) -> None:
    """An order rests, the stream fails as it fills, and a comparison of the accounts finds what was missed."""
    clerk = Clerk()
    async with open_desk(loopback, keys=keys, clerk=clerk) as desk:
        clerk.send(make_order(1, lots=10_000_000, limit_ticks=9_900))
        await desk.until(lambda: clerk.state["pbtest1"] == "open")
        exchange.faults.set(fault, 1.0, times=1, on="user", seconds=3.0 if fault == "stall" else None)
        await exchange.print_trade(SYMBOL, "98.00", "1")
        await desk.until(lambda: exchange.faults.counts[fault] == 1)
        if fault in ("stall", "message_lost"):
            clerk.ask()
        clerk.send(make_order(2, kind="market", side=-1, lots=10_000_000))
        await desk.until(lambda: not clerk.open() and not clerk.unsettled())

        assert not clerk.halts
        await assert_books_agree(clerk, exchange)


@pytest.mark.parametrize("fault", ["handshake_refused", "ws_unanswered"])
async def test_a_stream_that_cannot_be_had_is_had_later(
    fault: str, exchange: Exchange, loopback: ExchangeSettings, keys: dict[str, str], open_desk: Any
) -> None:
    exchange.faults.set(fault, 1.0, times=1)
    clerk = Clerk()
    async with open_desk(loopback, keys=keys, clerk=clerk, wait=False) as desk:
        await desk.until(lambda: clerk.up == 1)

        assert exchange.faults.counts[fault] == 1
        assert not clerk.halts


async def test_a_peer_that_answers_no_pings_is_left(
    exchange: Exchange,
    loopback: ExchangeSettings,
    keys: dict[str, str],
    open_desk: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("daemon.edges.venue.client._KEEP_ALIVE_MS", 100)
    exchange.faults.set("pings_unanswered", 1.0, times=5)
    clerk = Clerk()
    async with open_desk(loopback, keys=keys, clerk=clerk) as desk:
        await desk.until(lambda: clerk.up == 2)

        assert [each.up for each in desk.all(VenueLink)] == [True, False, True]


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_faults_leaves_equal_books(
    seed: int,
    exchange: Exchange,
    loopback: ExchangeSettings,
    keys: dict[str, str],
    open_desk: Any,
    make_order: Make,
) -> None:
    draw = random.Random(seed)
    clerk = Clerk()
    price_ticks = 10_000
    async with open_desk(loopback, keys=keys, clerk=clerk, window_s=2.0) as desk:
        exchange.faults.update(storms.OF_SPOT)
        for number in range(1, 61):
            kind = draw.choice(["market", "limit", "limit"])
            side = draw.choice([1, -1])
            limit_ticks = price_ticks - side * draw.randint(-20, 100)
            clerk.send(
                make_order(
                    number,
                    kind=kind,
                    side=side,
                    lots=10_000_000 * draw.randint(1, 3),
                    limit_ticks=0 if kind == "market" else limit_ticks,
                )
            )
            await asyncio.sleep(draw.random() * 0.04)
            if clerk.open() and draw.random() < 0.3:
                desk.gateway.send(SendCancel(draw.choice(clerk.open()), SYMBOL))
            price_ticks += draw.randint(-30, 30)
            await exchange.print_trade(SYMBOL, str(Decimal(price_ticks) / 100), "1")
        counts = dict(exchange.faults.counts)
        exchange.faults.update(dict.fromkeys(storms.OF_SPOT, 0.0))
        await desk.until(lambda: "sent" not in clerk.state.values(), 30.0)
        await exchange.print_trade(SYMBOL, str(Decimal(price_ticks) / 100), "1")
        for name in clerk.open():
            desk.gateway.send(SendCancel(name, SYMBOL))
        for _ in range(3):
            await desk.until(lambda: desk.gateway.statistics().unanswered == 0, 30.0)
            seen = clerk.accounts
            clerk.ask()
            await desk.until(lambda seen=seen: clerk.accounts > seen, 30.0)
        assert not clerk.open()
        await desk.until(lambda: not clerk.unsettled(), 30.0)

        assert not clerk.halts
        assert sum(counts.values()) > 40, counts
        assert len(clerk.trades) > 10
        await assert_books_agree(clerk, exchange)


async def test_what_panic_did_before_the_session_ever_asked_is_told_at_its_first_look(
    exchange: Exchange, loopback: ExchangeSettings, keys: dict[str, str], open_desk: Any, make_order: Make
) -> None:
    """The session was killed first, having executed nothing of its own: what it inherited is all that it knows."""
    lots = 10_000_000
    older, panic = make_order(1, kind="market", lots=lots), make_order(1, kind="market", side=-1, lots=lots // 2)
    older, panic = (replace(each, order_id=name) for each, name in ((older, "pbolder1"), (panic, "pbtest-1")))
    clerk = Clerk()
    async with open_desk(loopback, keys=keys, clerk=clerk) as desk:
        for order in (older, panic):
            clerk.send(order)
            await desk.until(lambda: "sent" not in clerk.state.values())

    async with open_desk(loopback, keys=keys) as desk:
        desk.gateway.send(AskAccount("start", (), ((SYMBOL, -1),)))
        await desk.until(lambda: desk.all(AccountReported))

        (account,) = desk.all(AccountReported)
        assert account.newest == ((SYMBOL, 1),)
        assert [(trade.order_id, trade.trade_id) for trade in account.trades] == [("pbtest-1", 2)]
