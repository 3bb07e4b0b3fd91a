"""Contracts: the real core and the gateway against the loopback exchange, whose book must agree to the unit."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import pytest

from actors import messages as m
from actors.instrument import Instrument, from_atoms
from actors.margin import Tiers
from config.errors import UserError
from config.schema import Exchange as ExchangeSettings
from daemon.edges.venue.client import connect
from daemon.edges.venue.contract_client import ContractClient
from daemon.edges.venue.errors import RequestError
from replay.exchange.server import Exchange, running
from replay.margin_view import describe_told_margin
from tests.daemon.edges.venue import storms
from tests.daemon.edges.venue.trader import Trader

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT:USDT"
ID = "BTCUSDT"


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with running(seed=7) as exchange:
        await exchange.print_trade(SYMBOL, "100.00", "1")
        yield exchange


@pytest.fixture
def loopback(exchange: Exchange) -> ExchangeSettings:
    return settings_for(exchange)


def settings_for(exchange: Exchange, **changes: Any) -> ExchangeSettings:
    values: dict[str, Any] = {
        "id": "binanceusdm",
        "urls": exchange.arguments["binanceusdm"]["urls"],
        "symbols": (SYMBOL,),
        "timeout_ms": 700,
        "recv_window_ms": 500,
        "stall_s": 1.0,
        "leverage": 20,
    }
    return ExchangeSettings(**values | changes)


def keys_of(exchange: Exchange) -> dict[str, str]:
    arguments = exchange.arguments["binanceusdm"]
    return {"PITBOSS_API_KEY": arguments["apiKey"], "PITBOSS_API_SECRET": arguments["secret"]}


@pytest.fixture
def begin(exchange: Exchange, loopback: ExchangeSettings, open_desk: Any) -> Any:
    """Run a core and a gateway until the block ends."""

    @asynccontextmanager
    async def beginning(names: tuple[str, ...] = ("a",)) -> AsyncIterator[tuple[Trader, Any]]:
        client = await connect(loopback, needs_keys=True, environment=keys_of(exchange))
        spec = client.specs[SYMBOL]
        await client.close()
        trader = Trader(Instrument(spec), names)
        async with open_desk(loopback, keys=keys_of(exchange), clerk=trader) as desk:
            await desk.until(lambda: trader.venue.ready)
            yield trader, desk

    return beginning


@pytest.fixture
def trade(exchange: Exchange, begin: Any) -> Any:
    """Run a core and a gateway until the block ends; then both books must agree."""

    @asynccontextmanager
    async def trading(names: tuple[str, ...] = ("a",)) -> AsyncIterator[tuple[Trader, Any]]:
        async with begin(names) as (trader, desk):
            yield trader, desk
            await desk.until(lambda: not trader.venue.sent)
            await compare(trader, desk)
            await assert_books_agree(trader, exchange)

    return trading


async def compare(trader: Trader, desk: Any) -> None:
    """Have the accounts compared once more."""
    done = len(trader.all(m.Reconciled))
    await trader.take(m.TimerFired("venue", "reconcile", 0))
    await desk.until(lambda: len(trader.all(m.Reconciled)) > done)


async def assert_books_agree(trader: Trader, exchange: Exchange) -> None:
    book = await exchange.book()
    fills = {row["trade_id"]: row for row in book["fills"] if row["symbol"] == SYMBOL}
    ours = {fill.trade_id: fill for fill in trader.all(m.Fill)}
    assert len(ours) == len(trader.all(m.Fill)), "no execution is booked twice"
    assert ours.keys() == fills.keys()
    for number, fill in ours.items():
        row = fills[number]
        assert (fill.order_id, "BUY" if fill.side > 0 else "SELL") == (row["client_order_id"], row["side"])
        assert from_atoms(fill.fee_atoms) == Decimal(row["commission"])
    orders = [row for row in book["orders"] if row["symbol"] == SYMBOL]
    assert len({row["client_order_id"] for row in orders}) == len(orders), "no id was taken twice"
    holdings = trader.core.ledger.holdings.values()
    (instrument,) = trader.core.instruments.values()
    positions = [Decimal(row["amount"]) for row in book["positions"] if row["symbol"] == SYMBOL]
    assert instrument.quantity(sum(held.quantity_lots for held in holdings)) == sum(positions)
    (wallet,) = [Decimal(row["wallet"]) for row in book["wallets"] if row["asset"] == "USDT"]
    realized = sum((Decimal(row["realized"]) for row in fills.values()), Decimal(0))
    paid = sum((Decimal(row["amount"]) for row in book["funding"]), Decimal(0))
    assert from_atoms(sum(held.funding_atoms for held in holdings)) == paid
    # what is realised when depends on the order of executions, and on whose book they are in; all in all it does not
    cost = sum((Decimal(row["cost"]) for row in book["positions"] if row["symbol"] == SYMBOL), Decimal(0))
    assert from_atoms(sum(held.realized_atoms - held.cost_atoms for held in holdings)) == realized - cost
    fees = from_atoms(sum(held.fees_atoms for held in holdings))
    assert wallet == 100_000 + realized - fees + paid


# --- trading ----------------------------------------------------------------------------------------


async def test_long_and_short_through_zero(exchange: Exchange, trade: Any) -> None:
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.target(0.3))
        await desk.until(lambda: trader.lots() == 300)
        await exchange.print_trade(SYMBOL, "103.37", "1")
        trader.wish(lambda s: s.target(-0.2), price=103.37)
        await desk.until(lambda: trader.lots() == -200)
        await exchange.print_trade(SYMBOL, "99.91", "1")
        trader.wish(lambda s: s.target(0), price=99.91)
        await desk.until(lambda: trader.lots() == 0)
    assert not trader.halted
    book = await exchange.book()
    realized = sum(Decimal(row["realized"]) for row in book["fills"])
    assert from_atoms(trader.core.ledger.holdings["a", SYMBOL].realized_atoms) == realized


async def test_the_venue_tells_margin_leverage_and_liquidation_and_the_simulated_one_would_say_the_same(
    exchange: Exchange, loopback: ExchangeSettings, trade: Any
) -> None:
    """Short 0.3, and the mark at 105, with 20 times leverage: the wallet is all that stands behind it."""
    async with trade() as (trader, desk):
        assert trader.venue.margin[1].positions == ()
        trader.wish(lambda s: s.target(-0.3))
        await desk.until(lambda: trader.lots() == -300)
        await exchange.print_trade(SYMBOL, "105.00", "1")
        await compare(trader, desk)
        instruments = trader.core.instruments
        shown = describe_told_margin(trader.venue.margin, loopback.leverage, loopback.margin_mode, instruments)
        assert shown is not None
        (position,) = shown.pop("positions")
        cash_atoms, (held,) = trader.core.ledger.cash_atoms, trader.core.ledger.holdings.values()
        wallet_atoms = cash_atoms + held.cost_atoms
        tiers = Tiers([(0, 125, Decimal("0.004"))])  # the loopback's own
        ticks = tiers.liquidation_ticks(instruments[SYMBOL], -300, held.cost_atoms, wallet_atoms)
        liquidation = instruments[SYMBOL].price_float(ticks)
        wallet, entered = from_atoms(wallet_atoms), -from_atoms(held.cost_atoms)
        balance = wallet + entered - Decimal("31.5")
        assert shown == {
            "told_ns": trader.venue.margin[0],
            "wallet": wallet,
            "balance": balance,
            "initial_margin": Decimal("1.575"),
            "maintenance_margin": Decimal("0.126"),
            "available": balance - Decimal("1.575"),
        }
        assert position == {
            "symbol": SYMBOL,
            "quantity": Decimal("-0.3"),
            "leverage": 20,
            "margin_mode": "cross",
            "entry_price": pytest.approx(float(entered) / 0.3),
            "mark_price": 105.0,
            "liquidation_price": liquidation,
            "liquidation_distance": pytest.approx(liquidation / 105 - 1),
            "initial_margin": Decimal("1.575"),
            "maintenance_margin": Decimal("0.126"),
            "isolated_margin": None,
        }


async def test_limits_rest_fill_and_are_withdrawn(exchange: Exchange, trade: Any) -> None:
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.sell(0.1, limit=101))
        trader.wish(lambda s: s.sell(0.1, limit=105))
        trader.wish(lambda s: s.buy(0.1, limit=120, post_only=True))
        await desk.until(lambda: len(trader.all(m.Accepted)) >= 2 and trader.all(m.Rejected) + trader.all(m.Expired))
        await exchange.print_trade(SYMBOL, "102.00", "1")
        await desk.until(lambda: trader.lots() == -100)
        trader.wish(lambda s: s.cancel(2))
        await desk.until(lambda: trader.all(m.Cancelled))
    assert not trader.halted


# --- stops ------------------------------------------------------------------------------------------


async def test_a_stop_waits_at_the_venue_and_what_it_becomes_is_ours(exchange: Exchange, trade: Any) -> None:
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.buy(0.1))
        await desk.until(lambda: trader.lots() == 100)
        trader.wish(lambda s: s.sell(0.1, stop=95, reduce_only=True))
        await desk.until(lambda: len(trader.all(m.Accepted)) == 2)
        book = await exchange.book()
        (stop,) = book["conditional_orders"]
        assert (stop["status"], stop["reduce_only"]) == ("NEW", True)
        await compare(trader, desk)
        assert trader.all(m.Reconciled)[-1].differences == ()
        await exchange.print_trade(SYMBOL, "94.00", "1")
        await desk.until(lambda: trader.lots() == 0)
    assert not trader.halted


async def test_a_stop_with_a_limit_rests_under_another_number_until_it_fills(exchange: Exchange, trade: Any) -> None:
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.buy(0.1, stop=105, limit=106))
        await desk.until(lambda: trader.all(m.Accepted))
        await exchange.print_trade(SYMBOL, "107.00", "1")
        await desk.until(lambda: exchange.futures.engine.open_orders(ID))
        await compare(trader, desk)
        assert trader.all(m.Reconciled)[-1].differences == ()
        await exchange.print_trade(SYMBOL, "105.50", "1")
        await desk.until(lambda: trader.lots() == 100)
    assert not trader.halted


@pytest.mark.parametrize("known", [True, False], ids=["this process sent it", "an earlier process sent it"])
async def test_a_waiting_stop_is_withdrawn(exchange: Exchange, trade: Any, known: bool) -> None:
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.sell(0.1, stop=90))
        await desk.until(lambda: trader.all(m.Accepted))
        if not known:
            desk.client._stops.clear()
        trader.wish(lambda s: s.cancel(1))
        await desk.until(lambda: trader.all(m.Cancelled))
        assert [row["status"] for row in (await exchange.book())["conditional_orders"]] == ["CANCELED"]
    assert not trader.halted


async def test_a_stop_that_was_met_is_withdrawn_as_what_it_became(exchange: Exchange, trade: Any) -> None:
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.buy(0.1, stop=105, limit=106))
        await desk.until(lambda: trader.all(m.Accepted))
        await exchange.print_trade(SYMBOL, "107.00", "1")
        await desk.until(lambda: exchange.futures.engine.open_orders(ID))
        desk.client._stops.clear()
        trader.wish(lambda s: s.cancel(1))
        await desk.until(lambda: trader.all(m.Cancelled))
    assert not trader.halted


async def test_a_stop_that_is_met_while_the_stream_is_away_is_found(exchange: Exchange, trade: Any) -> None:
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.sell(0.1, stop=95))
        await desk.until(lambda: trader.all(m.Accepted))
        exchange.faults.set("message_lost", 1.0, on="user")
        await exchange.print_trade(SYMBOL, "94.00", "1")
        exchange.faults.set("message_lost", 0.0)
        desk.client._stops.clear()
        await compare(trader, desk)
        await desk.until(lambda: trader.lots() == -100)
    assert not trader.halted


# --- funding ----------------------------------------------------------------------------------------


async def test_funding_is_booked_once_however_it_is_heard_of(exchange: Exchange, trade: Any) -> None:
    async with trade(("a", "b")) as (trader, desk):
        trader.wish(lambda s: s.buy(0.3))
        trader.wish(lambda s: s.sell(0.1), of="b")
        await desk.until(lambda: (trader.lots("a"), trader.lots("b")) == (300, -100))
        await exchange.futures.commit(lambda engine, now_ms: engine.settle_funding(now_ms))
        await desk.until(lambda: len(trader.all(m.FundingShared)) == 2)
        await compare(trader, desk)
        await desk.client.drop_stream("for a test")
        await desk.up(2)
        await exchange.futures.commit(lambda engine, now_ms: engine.settle_funding(now_ms))
        await desk.until(lambda: len(trader.all(m.FundingShared)) == 4)
        shares = [each.amount_atoms for each in trader.all(m.FundingShared)]
        assert shares[0] == -3 * shares[1]
        assert shares[0] < 0
    assert not trader.halted


async def test_funding_that_the_stream_did_not_tell_comes_with_the_comparison(exchange: Exchange, trade: Any) -> None:
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.sell(0.3))
        await desk.until(lambda: trader.lots() == -300)
        exchange.faults.set("message_lost", 1.0, on="user")
        await exchange.futures.commit(lambda engine, now_ms: engine.settle_funding(now_ms))
        exchange.faults.set("message_lost", 0.0)
        await compare(trader, desk)
        (shared,) = trader.all(m.FundingShared)
        assert shared.amount_atoms > 0
    assert not trader.halted


async def test_word_of_funding_that_comes_after_the_comparison_that_listed_it_holds_up_nothing(
    exchange: Exchange, trade: Any
) -> None:
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.sell(0.3))
        await desk.until(lambda: trader.lots() == -300)
        words = []
        tell = desk.gateway._pushes._on_funding
        desk.gateway._pushes._on_funding = lambda *word: words.append(word)  # it is late
        await exchange.futures.commit(lambda engine, now_ms: engine.settle_funding(now_ms))
        await compare(trader, desk)
        assert len(trader.all(m.FundingShared)) == 1
        await desk.until(lambda: words)
        tell(*words[0])
        await compare(trader, desk)  # with no wait for a list that has something new
        await exchange.futures.commit(lambda engine, now_ms: engine.settle_funding(now_ms))
        await desk.until(lambda: len(words) == 2)
        tell(*words[1])
        await compare(trader, desk)
        tell(*words[1])  # the venue says it twice
        await compare(trader, desk)
        assert len(trader.all(m.FundingShared)) == 2
    assert not trader.halted


# --- what the venue, or somebody, does on his own ---------------------------------------------------


async def liquidate(exchange: Exchange) -> None:
    await exchange.print_trade(SYMBOL, "89.30", "1")


async def delist(exchange: Exchange) -> None:
    market_id = exchange.futures.markets[0].id
    await exchange.futures.commit(lambda engine, now_ms: engine.set_trading(market_id, False, now_ms))


@pytest.mark.parametrize("told", [True, False], ids=["the stream tells", "the comparison finds it"])
@pytest.mark.parametrize(
    ("force", "quantity", "words"),
    [
        (liquidate, 9_000, "liquidation: the venue's order autoclose-"),
        (delist, 2, "settlement: the venue's order settlement_autoclose-"),
    ],
)
async def test_a_position_the_venue_closes_by_force_halts_by_name_and_is_booked(
    exchange: Exchange, begin: Any, force: Any, quantity: int, words: str, told: bool
) -> None:
    async with begin() as (trader, desk):
        trader.wish(lambda s: s.buy(quantity))
        await desk.until(lambda: trader.lots() == quantity * 1_000)
        if not told:
            exchange.faults.set("message_lost", 1.0, on="user")
        await force(exchange)
        exchange.faults.set("message_lost", 0.0)
        if not told:
            await trader.take(m.TimerFired("venue", "reconcile", 0))
        await desk.until(lambda: words in trader.halted)
        assert f"sold {quantity} at" in trader.halted
        await compare(trader, desk)
        assert not [words for words in trader.all(m.Reconciled)[-1].differences if "we expect" in words]


async def test_somebody_elses_trade_halts_and_says_what_differs(
    exchange: Exchange, loopback: ExchangeSettings, open_desk: Any
) -> None:
    client = await connect(loopback, needs_keys=True, environment=keys_of(exchange))
    trader = Trader(Instrument(client.specs[SYMBOL]), ("a",))
    async with open_desk(loopback, keys=keys_of(exchange), clerk=trader) as desk:
        await desk.until(lambda: trader.venue.ready)
        await client.submit(SYMBOL, "market", "sell", "0.2", None, {"clientOrderId": "web_1"})
        await compare(trader, desk)
        await desk.until(lambda: trader.halted)
        assert trader.halted.startswith("the accounts differ: ")
        assert f"{SYMBOL}: the venue's position is -0.2, we expect 0" in [
            words for each in trader.all(m.Reconciled) for words in each.differences
        ]
    await client.close()


# --- modes ------------------------------------------------------------------------------------------


async def test_the_first_executions_after_a_time_are_found_weeks_later(exchange: Exchange, trade: Any) -> None:
    """The venue looks only a week ahead at once; what is not found would be flat to `pitboss panic`."""
    async with trade() as (trader, desk):
        trader.wish(lambda s: s.buy(0.1))
        await desk.until(lambda: trader.lots() == 100)
        since_ms = desk.client.exchange.milliseconds() - 20 * 86_400_000
        found = await desk.client.trades_since(since_ms, SYMBOL)
        assert sum(Decimal(str(row["amount"])) for row in found) == Decimal("0.1")


async def set_modes(exchange: Exchange, what: str) -> None:
    async def commit(work: Callable[[Any, int], object]) -> None:
        await exchange.futures.commit(work)

    if what == "hedge mode":
        await commit(lambda engine, now_ms: engine.set_position_mode(True, now_ms))
    elif what == "isolated":
        await commit(lambda engine, now_ms: engine.set_margin_type(ID, True, now_ms))
    elif what == "leverage is 7":
        await commit(lambda engine, now_ms: engine.set_leverage(ID, 7, now_ms))


MODES = ("hedge mode", "isolated", "leverage is 7")


@pytest.mark.parametrize("what", MODES)
async def test_another_mode_than_configured_is_refused_by_name(exchange: Exchange, what: str) -> None:
    client = await connect(settings_for(exchange), needs_keys=True, environment=keys_of(exchange))
    await client.check_modes((SYMBOL,))
    await set_modes(exchange, what)
    with pytest.raises(UserError, match=what) as caught:
        await client.check_modes((SYMBOL,))
    assert "\n" not in str(caught.value)
    await client.close()


@pytest.mark.parametrize(("wanted", "kept"), [(6_000, 2_400), (500, 500)])
async def test_no_more_weight_is_spent_than_contracts_are_given(exchange: Exchange, wanted: int, kept: int) -> None:
    client = await connect(
        settings_for(exchange, weight_per_minute=wanted), needs_keys=True, environment=keys_of(exchange)
    )
    assert client.weight_per_minute == kept
    await client.close()


async def test_modes_that_are_configured_are_taken(exchange: Exchange) -> None:
    await set_modes(exchange, "isolated")
    await set_modes(exchange, "leverage is 7")
    settings = settings_for(exchange, leverage=7, margin_mode="isolated")
    client = await connect(settings, needs_keys=True, environment=keys_of(exchange))
    await client.check_modes((SYMBOL,))
    await client.close()


@pytest.mark.parametrize("what", MODES)
async def test_a_mode_that_changes_in_mid_session_halts_by_name(exchange: Exchange, begin: Any, what: str) -> None:
    async with begin() as (trader, desk):
        await set_modes(exchange, what)
        await compare(trader, desk)
        assert what in trader.halted


# --- faults -----------------------------------------------------------------------------------------


async def test_a_listen_key_that_expires_is_replaced(open_desk: Any) -> None:
    async with running(seed=7, listen_key_s=0.5) as exchange:
        await exchange.print_trade(SYMBOL, "100.00", "1")
        settings = settings_for(exchange)
        client = await connect(settings, needs_keys=True, environment=keys_of(exchange))
        trader = Trader(Instrument(client.specs[SYMBOL]), ("a",))
        await client.close()
        async with open_desk(settings, keys=keys_of(exchange), clerk=trader) as desk:
            await desk.up(2)
            assert "the listen key expired" in next(each.reason for each in desk.all(m.VenueLink) if not each.up)
            await desk.until(lambda: trader.venue.ready)
            assert not trader.halted


@pytest.mark.parametrize("fault", ["reply_empty", "reply_broken"])
async def test_half_a_list_of_executions_is_not_taken_for_an_empty_one(
    exchange: Exchange, loopback: ExchangeSettings, fault: str
) -> None:
    """Ccxt makes one of it where a time is given from which on they are wanted; panic would find nothing to sell."""
    client = await connect(loopback, needs_keys=True, environment=keys_of(exchange))
    try:
        exchange.faults.set(fault, 1.0, times=1, on="GET /fapi/v1/userTrades")
        with pytest.raises(RequestError, match="makes no sense"):
            await client.trades_since(client.exchange.milliseconds() - 1_000, SYMBOL)
        assert exchange.faults.counts[fault] == 1
        assert await client.trades_since(client.exchange.milliseconds() - 1_000, SYMBOL) == []
    finally:
        await client.close()


@pytest.mark.parametrize("fault", ["reply_empty", "reply_broken", "request_lost", "maintenance", "handshake_refused"])
async def test_a_stream_that_cannot_be_had_is_had_later(
    exchange: Exchange, loopback: ExchangeSettings, open_desk: Any, fault: str
) -> None:
    client = await connect(loopback, needs_keys=True, environment=keys_of(exchange))
    trader = Trader(Instrument(client.specs[SYMBOL]), ("a",))
    await client.close()
    exchange.faults.set(fault, 1.0, times=1, on="POST /fapi/v1/listenKey" if fault != "handshake_refused" else "")
    async with open_desk(loopback, keys=keys_of(exchange), clerk=trader) as desk:
        await desk.until(lambda: trader.venue.ready)
        assert exchange.faults.counts[fault] == 1
        assert not trader.halted


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_faults_leaves_equal_books(exchange: Exchange, trade: Any, seed: int) -> None:
    draw = random.Random(seed)
    price = 100.0
    async with trade() as (trader, desk):
        exchange.faults.update(storms.OF_CONTRACTS)
        for number in range(1, 51):
            side = draw.choice([1, -1])
            terms = draw.choice(
                [
                    {},
                    {"limit": round(price - side * draw.uniform(-0.2, 1.0), 2)},
                    {"limit": round(price - side * draw.uniform(-0.2, 1.0), 2)},
                    {"stop": round(price + side * draw.uniform(0.2, 1.0), 2)},
                ]
            )
            trader.wish(lambda s, side=side, terms=terms: (s.buy if side > 0 else s.sell)(0.1, **terms), price=price)
            if draw.random() < 0.3:
                ref = draw.randint(1, number)
                trader.wish(lambda s, ref=ref: s.cancel(ref), price=price)
            if draw.random() < 0.05:
                await exchange.futures.commit(lambda engine, now_ms: engine.settle_funding(now_ms))
            price = round(price + draw.uniform(-0.4, 0.4), 2)
            await exchange.print_trade(SYMBOL, f"{price:.2f}", "1")
            await anyio.sleep(0.02)
        exchange.faults.update(dict.fromkeys(storms.OF_CONTRACTS, 0.0))
        await desk.until(lambda: trader.venue.ready, within_s=20.0)
        await compare(trader, desk)
        for ref in range(1, 51):
            trader.wish(lambda s, ref=ref: s.cancel(ref), price=price)
        await desk.until(lambda: not trader.venue.sent, within_s=20.0)
        assert not trader.halted


# --- a dead man's switch ----------------------------------------------------------------------------


async def test_a_countdown_that_is_not_renewed_cancels(exchange: Exchange, loopback: ExchangeSettings) -> None:
    client = await connect(loopback, needs_keys=True, environment=keys_of(exchange))
    assert isinstance(client, ContractClient)
    await client.submit(SYMBOL, "limit", "buy", "0.1", "90", {"clientOrderId": "web_1"})
    await client.arm_countdown(SYMBOL, 60_000)
    await client.arm_countdown(SYMBOL, 0)
    assert len(await client.open_orders(SYMBOL)) == 1
    await client.close()
