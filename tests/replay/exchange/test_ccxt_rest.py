"""Every REST endpoint through plain ccxt.pro, by configuration only."""

import time
from decimal import Decimal
from typing import Any

import pytest

from replay.exchange.server import Exchange

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"


# --- the market ---------------------------------------------------------------------------------------


async def test_markets_carry_their_filters(client: Any) -> None:
    market = client.market(SYMBOL)
    assert list(client.markets) == [SYMBOL]
    assert market["spot"]
    assert market["active"]
    assert market["precision"]["price"] == 0.01
    assert market["precision"]["amount"] == 0.00001
    assert market["limits"]["amount"]["min"] == 0.00001
    assert market["limits"]["cost"]["min"] == 5.0


async def test_time_is_the_wall_s_without_a_tape(client: Any) -> None:
    assert abs(await client.fetch_time() - time.time() * 1000) < 2_000


async def test_candles_are_what_was_traded(client: Any, exchange: Exchange) -> None:
    await exchange.print_trade(SYMBOL, "50010", "0.25")
    (candle,) = [row for row in await client.fetch_ohlcv(SYMBOL, "1h") if row]
    assert candle[1:] == [50000.0, 50010.0, 50000.0, 50010.0, 0.75]
    assert candle[0] % 3_600_000 == 0


async def test_candles_of_an_unknown_interval_are_refused(client: Any) -> None:
    import ccxt

    with pytest.raises(ccxt.BadRequest, match="-1120"):
        await client.fetch_ohlcv(SYMBOL, "7m")


async def test_public_trades_come_oldest_first(client: Any, exchange: Exchange) -> None:
    await exchange.print_trade(SYMBOL, "50010.01", "0.25")
    trades = await client.fetch_trades(SYMBOL)
    assert [(trade["price"], trade["amount"]) for trade in trades] == [(50000.0, 0.5), (50010.01, 0.25)]
    assert int(trades[1]["id"]) == int(trades[0]["id"]) + 1
    (newest,) = await client.fetch_trades(SYMBOL, limit=1, params={"fetchTradesMethod": "publicGetTrades"})
    assert newest["price"] == 50010.01
    (historical,) = await client.public_get_historicaltrades({"symbol": "BTCUSDT", "fromId": "2"})
    assert historical["price"] == "50010.01000000"


async def test_book_has_the_spread_around_the_last_price(client: Any) -> None:
    book = await client.fetch_order_book(SYMBOL, limit=5)
    assert book["bids"][0][0] == 49999.99
    assert book["asks"][0][0] == 50000.01
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["nonce"] > 0


async def test_tickers_tell_the_last_day(client: Any, exchange: Exchange) -> None:
    await exchange.print_trade(SYMBOL, "51000", "0.5")
    ticker = await client.fetch_ticker(SYMBOL)
    assert (ticker["open"], ticker["high"], ticker["low"], ticker["last"]) == (50000.0, 51000.0, 50000.0, 51000.0)
    assert ticker["percentage"] == 2.0
    assert ticker["baseVolume"] == 1.0
    assert list(await client.fetch_tickers()) == [SYMBOL]
    assert (await client.fetch_bids_asks([SYMBOL]))[SYMBOL]["bid"] == 50999.99
    assert (await client.fetch_last_prices([SYMBOL]))[SYMBOL]["price"] == 51000.0


async def test_markets_load_with_keys_and_default_options_too(make_client: Any, exchange: Exchange) -> None:
    """Currencies and margin pairs are asked for then."""
    client = await make_client(options={"fetchMarkets": {"types": ["spot"]}})
    assert set(client.currencies) >= {"BTC", "USDT"}
    assert not exchange.desk.unmatched


# --- the account --------------------------------------------------------------------------------------


async def test_balance_is_what_the_account_has(client: Any) -> None:
    balance = await client.fetch_balance()
    assert balance["total"] == {"USDT": 100_000.0, "BTC": 1.0}
    assert balance["USDT"]["used"] == 0.0


async def test_key_may_trade_but_not_withdraw_unless_a_fault_has_it_so(client: Any, exchange: Exchange) -> None:
    assert (await client.sapi_get_account_apirestrictions())["enableWithdrawals"] is False
    exchange.faults.set("withdrawals_allowed", 1.0)
    assert (await client.sapi_get_account_apirestrictions())["enableWithdrawals"] is True
    assert (await client.private_get_account())["canWithdraw"] is True


async def test_fees_are_told(client: Any) -> None:
    fee = await client.fetch_trading_fee(SYMBOL)
    assert (fee["maker"], fee["taker"]) == (0.001, 0.001)
    rates = await client.private_get_account_commission({"symbol": "BTCUSDT"})
    assert rates["standardCommission"]["taker"] == "0.00100000"


# --- orders -------------------------------------------------------------------------------------------


async def test_limit_order_rests_and_locks_then_fills_by_a_later_trade(client: Any, exchange: Exchange) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"clientOrderId": "mine-1"})
    assert (order["status"], order["clientOrderId"], order["filled"]) == ("open", "mine-1", 0.0)
    assert (await client.fetch_balance())["USDT"]["used"] == 490.0
    await exchange.print_trade(SYMBOL, "48999", "1")
    filled = await client.fetch_order(order["id"], SYMBOL)
    assert (filled["status"], filled["filled"], filled["average"]) == ("closed", 0.01, 49000.0)
    (trade,) = await client.fetch_my_trades(SYMBOL)
    assert (trade["order"], trade["takerOrMaker"], trade["price"]) == (order["id"], "maker", 49000.0)
    assert trade["fee"] == {"currency": "BTC", "cost": 0.00001}
    balance = await client.fetch_balance()
    assert balance["total"] == {"USDT": 99_510.0, "BTC": 1.00999}
    assert balance["used"] == {"USDT": 0.0, "BTC": 0.0}


async def test_market_order_fills_at_the_touch_and_says_so_at_once(client: Any) -> None:
    order = await client.create_order(SYMBOL, "market", "sell", 0.1)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.1, 49999.99)
    (fill,) = order["trades"]
    assert fill["fee"]["currency"] == "USDT"
    assert fill["fee"]["cost"] == pytest.approx(4.999999, abs=1e-9)


async def test_market_order_of_a_value_buys_whole_steps(client: Any) -> None:
    order = await client.create_market_buy_order_with_cost(SYMBOL, 1000)
    assert order["status"] == "closed"
    assert order["filled"] == 0.01999
    assert order["cost"] <= 1000


async def test_stop_order_rests_until_it_is_touched(client: Any, exchange: Exchange) -> None:
    order = await client.create_order(SYMBOL, "market", "sell", 0.1, None, {"stopLossPrice": 49000})
    assert order["info"]["type"] == "STOP_LOSS"
    assert (await client.fetch_order(order["id"], SYMBOL))["stopPrice"] == 49000.0
    await exchange.print_trade(SYMBOL, "48990", "1")
    assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "closed"


async def test_post_only_order_that_would_take_is_refused(client: Any) -> None:
    import ccxt

    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, 50001, {"postOnly": True})
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"postOnly": True})
    assert order["status"] == "open"


async def test_immediate_orders_leave_nothing_behind(client: Any) -> None:
    missed = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"timeInForce": "IOC"})
    assert (missed["status"], missed["filled"]) == ("expired", 0.0)
    taken = await client.create_order(SYMBOL, "limit", "buy", 0.01, 50001, {"timeInForce": "FOK"})
    assert (taken["status"], taken["average"]) == ("closed", 50000.01)


async def test_cancel_ends_an_order_under_an_id_of_its_own(client: Any) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"clientOrderId": "mine-1"})
    cancelled = await client.cancel_order(None, SYMBOL, {"clientOrderId": "mine-1"})
    assert (cancelled["status"], cancelled["id"]) == ("canceled", order["id"])
    assert cancelled["info"]["origClientOrderId"] == "mine-1"
    assert cancelled["info"]["clientOrderId"] != "mine-1"
    assert (await client.fetch_order(order["id"], SYMBOL))["clientOrderId"] == "mine-1"
    assert (await client.fetch_balance())["USDT"]["used"] == 0.0


async def test_replace_is_a_cancel_and_a_new_order(client: Any) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000)
    replaced = await client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, 48000)
    assert (replaced["status"], replaced["price"], replaced["amount"]) == ("open", 48000.0, 0.02)
    assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "canceled"
    assert [found["id"] for found in await client.fetch_open_orders(SYMBOL)] == [replaced["id"]]


async def test_replace_of_an_order_that_is_gone_places_nothing(client: Any) -> None:
    import ccxt

    with pytest.raises(ccxt.ExchangeError, match="-2022"):
        await client.edit_order("99", SYMBOL, "limit", "buy", 0.02, 48000)
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_replace_whose_new_order_is_refused_has_cancelled_all_the_same(client: Any) -> None:
    import ccxt

    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000)
    with pytest.raises(ccxt.ExchangeError, match="-2021"):
        await client.edit_order(order["id"], SYMBOL, "limit", "buy", 1_000, 48000)
    assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "canceled"


async def test_lists_tell_orders_by_what_became_of_them(client: Any) -> None:
    first = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000)
    second = await client.create_order(SYMBOL, "limit", "buy", 0.01, 48000)
    await client.cancel_order(first["id"], SYMBOL)
    assert [order["id"] for order in await client.fetch_open_orders(SYMBOL)] == [second["id"]]
    assert [order["status"] for order in await client.fetch_orders(SYMBOL)] == ["canceled", "open"]
    assert [order["id"] for order in await client.fetch_canceled_orders(SYMBOL)] == [first["id"]]
    client.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
    assert [order["id"] for order in await client.fetch_open_orders()] == [second["id"]]


async def test_cancel_all_ends_every_order_and_refuses_when_there_is_none(client: Any) -> None:
    import ccxt

    for price in (49000, 48000):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, price)
    assert [order["status"] for order in await client.cancel_all_orders(SYMBOL)] == ["canceled", "canceled"]
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await client.cancel_all_orders(SYMBOL)


async def test_my_trades_can_be_asked_for_from_an_id_or_an_order(client: Any) -> None:
    orders = [await client.create_order(SYMBOL, "market", "buy", 0.01) for _ in range(3)]
    trades = await client.fetch_my_trades(SYMBOL)
    assert [trade["order"] for trade in trades] == [order["id"] for order in orders]
    later = await client.fetch_my_trades(SYMBOL, params={"fromId": trades[1]["id"]})
    assert [trade["id"] for trade in later] == [trade["id"] for trade in trades[1:]]
    (one,) = await client.fetch_order_trades(orders[1]["id"], SYMBOL)
    assert one["id"] == trades[1]["id"]


async def test_numbers_are_told_exactly(make_client: Any, exchange: Exchange) -> None:
    """Prices and money as text, compared unit by unit with the book."""
    client = await make_client(number=str)
    await client.create_order(SYMBOL, "market", "buy", "0.12345")
    (fill,) = (await exchange.book())["fills"]
    (trade,) = await client.fetch_my_trades(SYMBOL)
    assert (Decimal(trade["price"]), Decimal(trade["amount"])) == (Decimal("50000.01"), Decimal("0.12345"))
    assert Decimal(trade["fee"]["cost"]) == Decimal(fill["commission"]) == Decimal("0.00012345")
    paid = Decimal("0.12345") * Decimal("50000.01")
    assert Decimal((await client.fetch_balance())["USDT"]["total"]) == Decimal(100_000) - paid.quantize(Decimal("1e-8"))


# --- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("limit", "buy", 1_000, 49000), "InsufficientFunds", "insufficient balance"),
        (("limit", "buy", 0.00001, 49000), "InvalidOrder", "NOTIONAL"),
        (("limit", "buy", 0.01, 2_000_000), "InvalidOrder", "PRICE_FILTER"),
        (("market", "buy", 10_000), "InvalidOrder", "LOT_SIZE"),
    ],
)
async def test_order_that_breaks_a_rule_is_refused_by_name(
    client: Any, arguments: tuple[Any, ...], error: str, text: str
) -> None:
    import ccxt

    kind, side, amount, *price = arguments
    expected = (getattr(ccxt, error), ccxt.BadRequest) if error == "InvalidOrder" else getattr(ccxt, error)
    with pytest.raises(expected, match=text):
        await client.create_order(SYMBOL, kind, side, amount, *price)
    assert await client.fetch_orders(SYMBOL) == []


async def test_duplicate_id_is_refused_while_the_first_order_is_open(client: Any) -> None:
    import ccxt

    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"clientOrderId": "same"})
    with pytest.raises(ccxt.InvalidOrder, match=r"Duplicate order sent\."):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"clientOrderId": "same"})
    await client.cancel_order(order["id"], SYMBOL)
    again = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"clientOrderId": "same"})
    assert again["status"] == "open"


async def test_unknown_orders_and_symbols_are_named(client: Any) -> None:
    import ccxt

    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        await client.fetch_order("99", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await client.cancel_order("99", SYMBOL)
    with pytest.raises(ccxt.BadSymbol, match="-1121"):
        await client.public_get_depth({"symbol": "NOPE"})


async def test_parameter_that_nobody_reads_is_refused(client: Any) -> None:
    """Spot knows no reduceOnly."""
    import ccxt

    with pytest.raises(ccxt.BadRequest, match="-1104"):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000, {"reduceOnly": "true"})


async def test_what_nobody_serves_is_a_404_in_json_and_remembered(client: Any, exchange: Exchange) -> None:
    import ccxt

    with pytest.raises(ccxt.ExchangeError, match=r"There is no GET /sapi/v1/margin/account here"):
        await client.sapi_get_margin_account()
    assert exchange.desk.unmatched["GET /sapi/v1/margin/account"] == 1
