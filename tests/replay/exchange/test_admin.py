"""The admin endpoint: the book as an oracle, and faults by HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from replay.exchange.faults import KINDS
from replay.exchange.model import NewOrder
from replay.exchange.server import Exchange


@pytest.fixture
async def admin(exchange: Exchange) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(exchange.admin_url) as session:
        yield session


async def answer(response: Any) -> Any:
    async with response as arrived:
        return arrived.status, await arrived.json()


async def test_book_has_every_order_fill_and_balance(admin: aiohttp.ClientSession, exchange: Exchange) -> None:
    from decimal import Decimal

    wishes = [
        NewOrder(id="BTCUSDT", side="BUY", type="MARKET", quantity=Decimal("0.1"), client_order_id="taken"),
        NewOrder(
            id="BTCUSDT",
            side="BUY",
            type="LIMIT",
            quantity=Decimal("0.01"),
            price=Decimal(49000),
            client_order_id="rests",
        ),
    ]
    for wish in wishes:
        await exchange.venue.commit(lambda engine, now_ms, wish=wish: engine.place(wish, now_ms))
    status, book = await answer(admin.get("/control/book"))
    assert status == 200
    assert [(order["client_order_id"], order["status"], order["filled"]) for order in book["orders"]] == [
        ("taken", "FILLED", "0.10000000"),
        ("rests", "NEW", "0.00000000"),
    ]
    (fill,) = book["fills"]
    assert (fill["symbol"], fill["client_order_id"], fill["order_id"]) == ("BTC/USDT", "taken", 1)
    assert (fill["price"], fill["quantity"], fill["commission"]) == ("50000.01000000", "0.10000000", "0.00010000")
    assert sorted(book["balances"], key=lambda row: row["asset"]) == [
        {"asset": "BTC", "free": "1.09990000", "locked": "0.00000000"},
        {"asset": "USDT", "free": "94509.99900000", "locked": "490.00000000"},
    ]
    assert book == await exchange.book()


async def test_faults_are_listed_set_counted_and_ended(admin: aiohttp.ClientSession, exchange: Exchange) -> None:
    status, listed = await answer(admin.get("/control/faults"))
    assert (status, {row["name"] for row in listed["faults"]}) == (200, set(KINDS))
    status, listed = await answer(
        admin.post("/control/fault", json={"maintenance": 1, "stall": {"rate": 0.5, "seconds": 3}})
    )
    assert status == 200
    async with aiohttp.ClientSession(exchange.url) as session:
        status, error = await answer(session.get("/api/v3/time"))
        assert (status, error["msg"]) == (503, "System is under maintenance.")
        rows = {row["name"]: row for row in (await answer(admin.get("/control/faults")))[1]["faults"]}
        assert (rows["maintenance"]["count"], rows["maintenance"]["rate"]) == (1, 1.0)
        assert (rows["stall"]["rate"], rows["stall"]["seconds"]) == (0.5, 3.0)
        await answer(admin.post("/control/fault", json={"maintenance": 0}))
        assert (await answer(session.get("/api/v3/time")))[0] == 200


async def test_unknown_fault_is_refused_by_name(admin: aiohttp.ClientSession) -> None:
    status, error = await answer(admin.post("/control/fault", json={"nope": 1}))
    assert status == 400
    assert error["error"].startswith("nope: there is no such fault")
    assert (await answer(admin.post("/control/fault", data=b"[1]")))[0] == 400


async def test_trades_can_be_printed_by_hand(admin: aiohttp.ClientSession, exchange: Exchange) -> None:
    trade = {"symbol": "BTC/USDT", "price": "50123.45", "quantity": "0.2"}
    assert await answer(admin.post("/control/trade", json=trade)) == (200, {"printed": True})
    (printed,) = exchange.engine.recent_trades("BTCUSDT", 1)
    assert (printed.price_ticks, printed.quantity_lots) == (5_012_345, 20_000)
    for wrong in ({"symbol": "NO/PE"}, {"price": "much"}, {"quantity": "0"}, {"price": "0.001"}, {"price": "NaN"}):
        assert (await answer(admin.post("/control/trade", json=trade | wrong)))[0] == 400


async def test_market_s_rules_can_be_changed_while_it_trades(admin: aiohttp.ClientSession, usdm: Any) -> None:
    for symbol, path in (("BTC/USDT", "/api/v3"), (usdm.symbols[0], "/fapi/v1")):
        change = {"symbol": symbol, "tick": "0.05", "lot": "0.005", "min_notional": "20"}
        assert await answer(admin.post("/control/market", json=change)) == (200, {"changed": True})
        async with aiohttp.ClientSession(usdm.urls["api"]["public"].removesuffix("/api/v3")) as session:
            _, info = await answer(session.get(f"{path}/exchangeInfo"))
            filters = {each["filterType"]: each for each in info["symbols"][0]["filters"]}
            assert (filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]) == ("0.05", "0.005")
            assert await answer(admin.post("/control/market", json={"symbol": symbol, "trading": False})) == (
                200,
                {"changed": True},
            )
            _, info = await answer(session.get(f"{path}/exchangeInfo"))
            assert info["symbols"][0]["status"] in {"BREAK", "SETTLING"}


async def test_delisted_market_takes_no_orders(
    admin: aiohttp.ClientSession, usdm: Any, client: Any, exchange: Exchange
) -> None:
    import ccxt

    for each, symbol, text in ((client, "BTC/USDT", "Market is closed"), (usdm, "BTC/USDT:USDT", "-4108")):
        resting = await each.create_order(symbol, "limit", "buy", 0.01, 49000)
        await answer(admin.post("/control/market", json={"symbol": symbol, "trading": False}))
        assert (await each.fetch_order(resting["id"], symbol))["status"] == "expired"
        with pytest.raises(ccxt.BaseError, match=text):
            await each.create_order(symbol, "limit", "buy", 0.01, 49000)
        await answer(admin.post("/control/market", json={"symbol": symbol, "trading": True}))
        assert (await each.create_order(symbol, "limit", "buy", 0.01, 49000))["status"] == "open"
    assert [order["status"] for order in (await exchange.book())["orders"]] == ["EXPIRED", "NEW"] * 2


async def test_perpetual_s_mark_funding_and_mode_can_be_set(
    admin: aiohttp.ClientSession, usdm: Any, exchange: Exchange
) -> None:
    symbol = "BTC/USDT:USDT"
    await usdm.create_order(symbol, "market", "sell", 0.1)
    change = {"symbol": symbol, "mark": "51000", "funding_rate": "0.01", "settle_funding": True}
    assert (await answer(admin.post("/control/market", json=change)))[0] == 200
    _, book = await answer(admin.get("/control/book"))
    (position,) = book["positions"]
    assert (position["symbol"], position["amount"], position["mark_price"]) == (symbol, "-0.10000000", "51000.00000000")
    (payment,) = book["funding"]
    assert (payment["amount"], payment["asset"], payment["symbol"]) == ("51.00000000", "USDT", symbol)
    assert (await usdm.fetch_funding_history(symbol))[0]["amount"] == 51.0
    assert (await answer(admin.post("/control/market", json={"symbol": symbol, "mark": None})))[0] == 200
    assert (await usdm.fetch_mark_price(symbol))["markPrice"] == 50000.0
    status, error = await answer(admin.post("/control/market", json={"symbol": symbol, "hedge": True}))
    assert (status, "-4068" in error["error"]) == (400, True)
    await usdm.create_order(symbol, "market", "buy", 0.1)
    assert (await answer(admin.post("/control/market", json={"symbol": symbol, "hedge": True})))[0] == 200
    assert (await usdm.fetch_position_mode())["hedged"] is True
    change = {
        "symbol": symbol,
        "tick": "0.05",
        "trading": False,
        "mark": "52000",
        "funding_rate": "0.02",
        "hedge": True,
    }
    before = exchange.futures.engine.dump()
    assert (await answer(admin.post("/control/market", json=change)))[0] == 400, "it is hedged already"
    assert exchange.futures.engine.dump() == before, "nothing of it is done"
    _, book = await answer(admin.get("/control/book"))
    assert book["hedge"] is True
    assert [fill["realized"] for fill in book["fills"]] == ["0.00000000", "-0.00200000"]
    assert {order["symbol"] for order in book["orders"]} == {symbol}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"symbol": "NO/PE"}, "there is no such symbol"),
        ({"symbol": "BTC/USDT", "mark": "50000"}, "there is no such setting of BTC/USDT"),
        ({"symbol": "BTC/USDT", "colour": "red"}, "colour"),
        ({"symbol": "BTC/USDT", "tick": "0.003"}, "no multiple of 0.01"),
        ({"symbol": "BTC/USDT", "trading": "no"}, "true or false"),
        ({"symbol": "BTC/USDT:USDT", "mark": "-1"}, "no multiple of 0.01 above 0"),
        ({"symbol": "BTC/USDT:USDT", "funding_rate": "high"}, "is no number"),
    ],
)
async def test_change_that_makes_no_sense_is_refused_by_name(
    admin: aiohttp.ClientSession, change: dict[str, Any], text: str
) -> None:
    status, error = await answer(admin.post("/control/market", json=change))
    assert status == 400
    assert text in error["error"]


async def test_requests_are_counted_and_what_nobody_serves_is_remembered(
    admin: aiohttp.ClientSession, exchange: Exchange
) -> None:
    async with aiohttp.ClientSession(exchange.url) as session:
        await answer(session.get("/api/v3/time"))
        status, error = await answer(session.get("/api/v3/nope"))
    assert (status, error) == (404, {"code": -1020, "msg": "There is no GET /api/v3/nope here."})
    _, told = await answer(admin.get("/control/requests"))
    assert told == {"requests": {"GET /api/v3/time": 1}, "unmatched": {"GET /api/v3/nope": 1}}


async def test_page_of_a_browser_is_turned_away(admin: aiohttp.ClientSession) -> None:
    assert (await answer(admin.get("/control/faults", headers={"Origin": "http://example.com"})))[0] == 403
    assert (await answer(admin.get("/control/faults", headers={"Host": "example.com:80"})))[0] == 403
