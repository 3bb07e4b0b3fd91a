"""Every REST endpoint of perpetuals through plain ccxt.pro.binanceusdm, by configuration only."""

import time
from decimal import Decimal
from typing import Any

import pytest
from ccxt.base.errors import BadRequest

from replay.exchange.server import Exchange

pytestmark = pytest.mark.slow

CONTRACT = "BTC/USDT:USDT"


# --- the market ---------------------------------------------------------------------------------------


async def test_market_is_a_linear_perpetual_with_its_filters(usdm: Any) -> None:
    market = usdm.market(CONTRACT)
    assert list(usdm.markets) == [CONTRACT]
    assert market["swap"]
    assert market["linear"]
    assert market["active"]
    assert (market["settle"], market["contractSize"], market["expiry"]) == ("USDT", 1.0, None)
    assert market["precision"]["price"] == 0.01
    assert market["precision"]["amount"] == 0.001
    assert market["limits"]["cost"]["min"] == 5.0
    info = await usdm.fapipublic_get_exchangeinfo()
    assert {rule["rateLimitType"] for rule in info["rateLimits"]} == {"REQUEST_WEIGHT", "ORDERS"}


async def test_time_is_the_wall_s_without_a_tape(usdm: Any) -> None:
    assert abs(await usdm.fetch_time() - time.time() * 1000) < 2_000
    assert await usdm.fapipublic_get_ping() == {}


async def test_candles_are_what_was_traded(usdm: Any, exchange: Exchange) -> None:
    await exchange.print_trade(CONTRACT, "50010", "0.25")
    (candle,) = await usdm.fetch_ohlcv(CONTRACT, "1h")
    assert candle[1:] == [50000.0, 50010.0, 50000.0, 50010.0, 0.75]
    for price in ("mark", "index"):
        (candle,) = await usdm.fetch_ohlcv(CONTRACT, "1h", params={"price": price})
        assert candle[1:] == [50000.0, 50010.0, 50000.0, 50010.0, 0.0]
    (row,) = await usdm.fapipublic_get_continuousklines(
        {"pair": "BTCUSDT", "contractType": "PERPETUAL", "interval": "1h"}
    )
    assert row[4] == "50010.00000000"


async def test_what_is_traded_on_spot_does_not_move_the_perpetual(usdm: Any, exchange: Exchange) -> None:
    await exchange.print_trade("BTC/USDT", "60000", "1")
    assert (await usdm.fetch_ticker(CONTRACT))["last"] == 50000.0


async def test_a_book_is_told_in_the_depths_there_are_only(usdm: Any) -> None:
    for limit in (5, 100, 1_000):
        assert len((await usdm.fetch_order_book(CONTRACT, limit))["bids"]) <= limit
    for limit in (7, 200, 5_000):
        with pytest.raises(BadRequest, match="-4021"):
            await usdm.fetch_order_book(CONTRACT, limit)


async def test_public_trades_come_oldest_first_and_under_their_own_symbol(usdm: Any, exchange: Exchange) -> None:
    await exchange.print_trade(CONTRACT, "50010.01", "0.25")
    for params in (
        {},
        {"fetchTradesMethod": "fapiPublicGetTrades"},
        {"fetchTradesMethod": "fapiPublicGetHistoricalTrades"},
    ):
        trades = await usdm.fetch_trades(CONTRACT, params=params)
        assert [(trade["price"], trade["amount"]) for trade in trades] == [(50000.0, 0.5), (50010.01, 0.25)]
        assert {trade["symbol"] for trade in trades} == {CONTRACT}
        assert not any("M" in trade["info"] for trade in trades), "it would be one of spot"


async def test_book_has_the_spread_around_the_last_price_and_a_time(usdm: Any) -> None:
    book = await usdm.fetch_order_book(CONTRACT, limit=5)
    assert book["bids"][0][0] == 49999.99
    assert book["asks"][0][0] == 50000.01
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["nonce"] > 0
    assert book["timestamp"] > 0


async def test_tickers_tell_the_last_day(usdm: Any, exchange: Exchange) -> None:
    await exchange.print_trade(CONTRACT, "51000", "0.5")
    ticker = await usdm.fetch_ticker(CONTRACT)
    assert ticker["symbol"] == CONTRACT
    assert (ticker["open"], ticker["high"], ticker["low"], ticker["last"]) == (50000.0, 51000.0, 50000.0, 51000.0)
    assert ticker["percentage"] == 2.0
    assert list(await usdm.fetch_tickers()) == [CONTRACT]
    assert (await usdm.fetch_bids_asks([CONTRACT]))[CONTRACT]["bid"] == 50999.99
    assert (await usdm.fetch_last_prices([CONTRACT]))[CONTRACT]["price"] == 51000.0


async def test_mark_price_and_funding_to_come_are_told(usdm: Any) -> None:
    assert (await usdm.fetch_mark_price(CONTRACT))["markPrice"] == 50000.0
    assert list(await usdm.fetch_mark_prices()) == [CONTRACT]
    rate = await usdm.fetch_funding_rate(CONTRACT)
    assert (rate["symbol"], rate["fundingRate"], rate["markPrice"]) == (CONTRACT, 0.0001, 50000.0)
    now_ms = await usdm.fetch_time()
    assert now_ms < rate["fundingTimestamp"] <= now_ms + 8 * 3_600_000
    assert (await usdm.fetch_funding_rates())[CONTRACT]["fundingRate"] == 0.0001
    assert (await usdm.fetch_funding_intervals())[CONTRACT]["interval"] == "8h"


async def test_open_interest_is_what_is_held(usdm: Any) -> None:
    await usdm.create_order(CONTRACT, "market", "sell", 0.25)
    assert (await usdm.fetch_open_interest(CONTRACT))["openInterestAmount"] == 0.25
    assert await usdm.fetch_open_interest_history(CONTRACT) == [], "no whole period of trades yet"


# --- the account --------------------------------------------------------------------------------------


async def test_balance_is_the_wallet_s(usdm: Any) -> None:
    assert (await usdm.fetch_balance())["USDT"] == {"free": 100_000.0, "used": 0.0, "total": 100_000.0}
    for version in ("2", "3"):
        (row,) = await getattr(usdm, f"fapiprivatev{version}_get_balance")()
        assert (row["asset"], row["balance"]) == ("USDT", "100000.00000000")
    assert (await usdm.fetch_balance({"useV2": True}))["USDT"]["total"] == 100_000.0


async def test_spot_and_futures_wallets_are_apart(usdm: Any, client: Any) -> None:
    await client.create_order("BTC/USDT", "market", "buy", 0.1)
    assert (await usdm.fetch_balance())["USDT"]["total"] == 100_000.0
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    assert (await client.fetch_balance())["BTC"]["total"] == pytest.approx(1.0999)


async def test_position_is_what_was_bought(usdm: Any) -> None:
    assert await usdm.fetch_positions() == []
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    (position,) = await usdm.fetch_positions([CONTRACT])
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 0.1, 50000.01)
    assert (position["marginMode"], position["hedged"], position["markPrice"]) == ("cross", False, 50000.0)
    assert position["unrealizedPnl"] == pytest.approx(-0.001)
    assert position["initialMargin"] == pytest.approx(250.0)
    (older,) = await usdm.fetch_positions([CONTRACT], {"useV2": True})
    assert (older["leverage"], older["contracts"], older["marginMode"]) == (20.0, 0.1, "cross")
    (listed,) = await usdm.fetch_positions(None, {"method": "account", "useV2": True})
    assert (listed["contracts"], listed["entryPrice"]) == (0.1, 50000.01)


async def test_short_position_has_a_side_of_its_own(usdm: Any, exchange: Exchange) -> None:
    await usdm.create_order(CONTRACT, "market", "sell", 0.1)
    await exchange.print_trade(CONTRACT, "49000", "1")
    (position,) = await usdm.fetch_positions()
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("short", 0.1, 49999.99)
    assert position["unrealizedPnl"] == pytest.approx(99.999)
    assert position["info"]["positionAmt"] == "-0.10000000"


async def test_closing_realizes_and_fees_are_paid_from_the_wallet(
    usdm: Any, make_usdm: Any, exchange: Exchange
) -> None:
    exact = await make_usdm(number=str)
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    await exchange.print_trade(CONTRACT, "51000", "1")
    await usdm.create_order(CONTRACT, "market", "sell", 0.1, None, {"reduceOnly": True})
    opened, closed = await exact.fetch_my_trades(CONTRACT)
    assert (opened["price"], closed["price"]) == ("50000.01000000", "50999.99000000")
    assert Decimal(opened["info"]["realizedPnl"]) == 0
    assert Decimal(closed["info"]["realizedPnl"]) == Decimal("99.998")
    fees = sum(Decimal(trade["fee"]["cost"]) for trade in (opened, closed))
    assert {trade["fee"]["currency"] for trade in (opened, closed)} == {"USDT"}
    total = Decimal((await exact.fetch_balance())["USDT"]["total"])
    assert total == Decimal(100_000) + Decimal("99.998") - fees
    assert await usdm.fetch_positions() == []


async def test_income_lists_profits_and_commissions(usdm: Any) -> None:
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    await usdm.create_order(CONTRACT, "market", "sell", 0.1)
    ledger = await usdm.fetch_ledger("USDT")
    kinds = [entry["info"]["incomeType"] for entry in ledger]
    assert kinds.count("COMMISSION") == 2
    assert kinds.count("REALIZED_PNL") == 1
    assert await usdm.fetch_funding_history(CONTRACT) == []
    assert await usdm.fapiprivate_get_income({"incomeType": "TRANSFER"}) == []
    first = await usdm.fapiprivate_get_income({"limit": 2})
    second = await usdm.fapiprivate_get_income({"limit": 2, "page": 2})
    assert (len(first), len(second)) == (2, 1)
    assert second[0]["tranId"] < first[0]["tranId"] < first[1]["tranId"]


async def test_funding_is_paid_listed_and_remembered(usdm: Any, exchange: Exchange) -> None:
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    before = (await usdm.fetch_balance())["USDT"]["total"]
    await exchange.futures.commit(lambda engine, now_ms: engine.settle_funding(now_ms))
    (payment,) = await usdm.fetch_funding_history(CONTRACT)
    assert payment["amount"] == pytest.approx(-0.1 * 50_000 * 0.0001)
    assert payment["symbol"] == CONTRACT
    assert (await usdm.fetch_balance())["USDT"]["total"] == pytest.approx(before - 0.5)
    (rate,) = await usdm.fetch_funding_rate_history(CONTRACT)
    assert (rate["fundingRate"], rate["timestamp"]) == (0.0001, payment["timestamp"])
    assert await usdm.fetch_funding_history(CONTRACT, payment["timestamp"] + 1) == []
    assert len(await usdm.fetch_funding_history(CONTRACT, payment["timestamp"])) == 1


async def test_fees_are_told(usdm: Any) -> None:
    fee = await usdm.fetch_trading_fee(CONTRACT)
    assert (fee["maker"], fee["taker"]) == (0.001, 0.001)


# --- settings -----------------------------------------------------------------------------------------


async def test_leverage_is_read_and_set(usdm: Any) -> None:
    assert (await usdm.fetch_leverages())[CONTRACT]["longLeverage"] == 20
    await usdm.set_leverage(7, CONTRACT)
    assert (await usdm.fetch_leverage(CONTRACT))["longLeverage"] == 7
    (tier,) = (await usdm.fetch_leverage_tiers())[CONTRACT]
    assert tier["maxLeverage"] == 125
    assert 0 < tier["maintenanceMarginRate"] < 0.01


async def test_margin_mode_is_read_and_set_but_not_under_a_position(usdm: Any) -> None:
    import ccxt

    assert (await usdm.fetch_margin_mode(CONTRACT))["marginMode"] == "cross"
    await usdm.set_margin_mode("isolated", CONTRACT)
    assert (await usdm.fetch_margin_modes())[CONTRACT]["marginMode"] == "isolated"
    with pytest.raises(ccxt.MarginModeAlreadySet, match="-4046"):
        await usdm.set_margin_mode("isolated", CONTRACT)
    await usdm.create_order(CONTRACT, "market", "buy", 0.1)
    (position,) = await usdm.fetch_positions()
    assert position["marginMode"] == "isolated"
    with pytest.raises(ccxt.ExchangeError, match="-4048"):
        await usdm.set_margin_mode("cross", CONTRACT)


async def test_margin_mode_stays_while_orders_are_open(usdm: Any) -> None:
    import ccxt

    await usdm.create_order(CONTRACT, "limit", "buy", 0.1, 49000)
    with pytest.raises(ccxt.ExchangeError, match="-4047"):
        await usdm.set_margin_mode("isolated", CONTRACT)


async def test_position_mode_is_read_and_set_and_hedge_mode_takes_no_plain_order(usdm: Any) -> None:
    import ccxt

    assert (await usdm.fetch_position_mode())["hedged"] is False
    with pytest.raises(ccxt.ExchangeError, match="-4059"):
        await usdm.set_position_mode(False)
    await usdm.set_position_mode(True)
    assert (await usdm.fetch_position_mode())["hedged"] is True
    for params in ({}, {"triggerPrice": 51000}):
        with pytest.raises(ccxt.ExchangeError, match="-4061"):
            await usdm.create_order(CONTRACT, "market", "buy", 0.1, None, params)
        for side in ("LONG", "SHORT"):
            with pytest.raises(ccxt.ExchangeError, match=r"-4084.*hedge mode .* not supported"):
                await usdm.create_order(CONTRACT, "market", "buy", 0.1, None, params | {"positionSide": side})
    await usdm.set_position_mode(False)
    with pytest.raises(ccxt.ExchangeError, match="-4061"):
        await usdm.create_order(CONTRACT, "market", "buy", 0.1, None, {"positionSide": "LONG"})


async def test_account_says_how_it_is_set(usdm: Any) -> None:
    config = await usdm.fapiprivate_get_accountconfig()
    assert (config["dualSidePosition"], config["multiAssetsMargin"], config["canTrade"]) == (False, False, True)
    assert (await usdm.fapiprivate_get_multiassetsmargin())["multiAssetsMargin"] is False
    assert (await usdm.sapi_get_account_apirestrictions())["enableFutures"] is True
    assert await usdm.fapiprivate_get_adlquantile() == []


# --- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("limit", "buy", 100, 49000), "-2019"),
        (("limit", "buy", 0.001, 4000), "-4164"),
        (("market", "sell", 0.1, None, {"reduceOnly": True}), "-2022"),
        (("limit", "buy", 0.01, 50001, {"postOnly": True}), "-5022"),
        (("limit", "buy", 0.01, 2_000_000), "-4002"),
        (("market", "buy", 10_000), "-4005"),
        (("market", "buy", 0.1, None, {"stopPrice": 49000}), "-2021"),
    ],
)
async def test_order_that_breaks_a_rule_is_refused_by_its_code(
    usdm: Any, arguments: tuple[Any, ...], code: str
) -> None:
    import ccxt

    with pytest.raises(ccxt.ExchangeError, match=code):
        await usdm.create_order(CONTRACT, *arguments)
    assert await usdm.fetch_orders(CONTRACT) == []


async def test_client_id_of_an_open_order_is_taken(usdm: Any) -> None:
    import ccxt

    await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 49000, {"clientOrderId": "mine-1"})
    with pytest.raises(ccxt.ExchangeError, match="-4116"):
        await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 48000, {"clientOrderId": "mine-1"})


async def test_plain_endpoint_takes_no_conditional_order(usdm: Any) -> None:
    import ccxt

    order = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.1", "stopPrice": "49000"}
    with pytest.raises(ccxt.ExchangeError, match="-4120"):
        await usdm.fapiprivate_post_order(order)


async def test_stale_and_foreign_requests_are_refused(make_usdm: Any, exchange: Exchange) -> None:
    import ccxt

    late = await make_usdm()
    late.nonce = lambda: late.milliseconds() - 120_000
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        await late.fetch_balance()
    foreign = await make_usdm(apiKey="x" * 64)
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        await foreign.fetch_balance()
    forged = await make_usdm(secret="wrong")
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        await forged.fetch_balance()
    assert not exchange.contracts_desk.unmatched


async def test_unknown_paths_are_404_and_written_down(usdm: Any, exchange: Exchange) -> None:
    import ccxt

    with pytest.raises(ccxt.BaseError):
        await usdm.fapidata_get_globallongshortaccountratio({"symbol": "BTCUSDT", "period": "5m"})
    assert exchange.contracts_desk.unmatched == {"GET /futures/data/globalLongShortAccountRatio": 1}
