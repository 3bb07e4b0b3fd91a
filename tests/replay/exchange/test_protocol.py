"""The protocol below ccxt: parameters, shapes and sockets, refused and written as Binance does."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from replay.exchange.model import Executed, Market, OrderView, TradeView, VenueError
from replay.exchange.protocol import shapes
from replay.exchange.protocol.params import Params, read_order
from replay.exchange.server import BITCOIN, Exchange

WITHIN_S = 10.0
LIMIT = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "100"}


# --- parameters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "code", "text"),
    [
        ({"side": None}, -1102, "'side'"),
        ({"side": "LONG"}, -1117, "Invalid side."),
        ({"type": "FANCY"}, -1116, "Invalid orderType."),
        ({"timeInForce": None}, -1102, "'timeInForce'"),
        ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        ({"quantity": None}, -1102, "'quantity'"),
        ({"quantity": "1e3"}, -1100, "'quantity'; legal range"),
        ({"quantity": "-1"}, -1100, "'quantity'; legal range"),
        ({"quantity": ""}, -1105, "'quantity' was empty"),
        ({"price": None}, -1102, "'price'"),
        ({"price": "NaN"}, -1100, "'price'; legal range"),
        ({"stopPrice": "90"}, -1106, "'stopPrice' sent when not required"),
        ({"type": "MARKET", "timeInForce": None}, -1106, "'price' sent when not required"),
        ({"type": "MARKET", "price": None}, -1106, "'timeInForce' sent when not required"),
        ({"type": "MARKET", "price": None, "timeInForce": None, "quoteOrderQty": "5"}, -1128, "Combination"),
        ({"type": "STOP_LOSS_LIMIT"}, -1102, "'stopPrice'"),
        ({"newClientOrderId": "x" * 37}, -1100, "'newClientOrderId'; legal range"),
        ({"newClientOrderId": "with space"}, -1100, "'newClientOrderId'; legal range"),
        ({"newOrderRespType": "LONG"}, -1130, "'newOrderRespType'"),
        ({"reduceOnly": "true"}, -1104, "read '5' parameter"),
    ],
)
def test_order_that_is_badly_formed_is_refused_by_parameter(
    changed: dict[str, str | None], code: int, text: str
) -> None:
    sent = {name: value for name, value in (LIMIT | changed).items() if value is not None}
    params = Params(sent)
    with pytest.raises(VenueError, match=text) as refused:
        read_order_whole(params)
    assert refused.value.code == code


def read_order_whole(params: Params) -> Any:
    wish = read_order(params, "BTCUSDT", "made-up")
    params.finish()
    return wish


def test_order_is_read_as_it_was_written() -> None:
    wish = read_order_whole(Params(LIMIT | {"quantity": "0.00010", "newClientOrderId": "mine-1", "timestamp": "1"}))
    assert (wish.order.quantity, wish.order.price) == (Decimal("0.00010"), Decimal(100))
    assert (wish.order.client_order_id, wish.reply_kind) == ("mine-1", "FULL")
    assert read_order_whole(Params(LIMIT)).order.client_order_id == "made-up"


def test_over_sockets_ccxt_may_send_names_of_its_own() -> None:
    wish = read_order_whole(Params(LIMIT | {"clientOrderId": "mine-1"}, strict=False))
    assert wish.order.client_order_id == "made-up", "a name Binance does not know is not read"


# --- shapes -----------------------------------------------------------------------------------------------------


def test_amounts_have_eight_decimals() -> None:
    assert shapes.atoms_text(123_456_789_012) == "1234.56789012"
    assert shapes.atoms_text(-1) == "-0.00000001"
    assert shapes.MarketText(BITCOIN).price(5_000_001) == "50000.01000000"
    assert shapes.MarketText(BITCOIN).value(5_000_001, 1) == "0.50000010"


def test_finer_steps_have_the_decimals_they_need() -> None:
    fine = Market(symbol="A/B", id="AB", base="A", quote="B", tick=Decimal("1e-10"), lot=Decimal(1))
    assert shapes.MarketText(fine).price(123) == "0.0000000123"
    assert shapes.MarketText(fine).quantity(5) == "5.00000000"


def order_view(**changed: Any) -> OrderView:
    terms: dict[str, Any] = {
        "order_id": 1, "client_order_id": "mine-1", "id": "BTCUSDT", "side": "BUY", "type": "LIMIT",
        "time_in_force": "GTC", "price_ticks": 4_900_000, "stop_ticks": 0, "quantity_lots": 1000, "filled_lots": 400,
        "quote_atoms": 19_600_000_000, "status": "PARTIALLY_FILLED", "created_ms": 1, "updated_ms": 2,
    }  # fmt: skip
    return OrderView(**(terms | changed))


def test_execution_report_of_a_fill_has_its_own_numbers_and_the_sums() -> None:
    trade = TradeView(
        trade_id=9, order_id=1, id="BTCUSDT", price_ticks=4_900_000, quantity_lots=100, commission_atoms=100_000,
        commission_asset="BTC", time_ms=2, side="BUY", is_maker=True,
    )  # fmt: skip
    report = shapes.execution_report(shapes.MarketText(BITCOIN), Executed("TRADE", order_view(), 2, trade))
    assert {key: report[key] for key in ("l", "L", "z", "Z", "Y", "n", "N", "t", "m", "C", "c", "x", "X")} == {
        "l": "0.00100000", "L": "49000.00000000", "z": "0.00400000", "Z": "196.00000000", "Y": "49.00000000",
        "n": "0.00100000", "N": "BTC", "t": 9, "m": True, "C": "", "c": "mine-1", "x": "TRADE",
        "X": "PARTIALLY_FILLED",
    }  # fmt: skip


def test_only_a_cancel_has_two_ids() -> None:
    """A client takes the original id, where there is one, for the order's."""
    event = Executed("CANCELED", order_view(status="CANCELED"), 2, None, "NONE", "cancel-1")
    report = shapes.execution_report(shapes.MarketText(BITCOIN), event)
    assert (report["C"], report["c"]) == ("mine-1", "cancel-1")
    reply = shapes.cancel_reply(shapes.MarketText(BITCOIN), order_view(), "cancel-1")
    assert (reply["origClientOrderId"], reply["clientOrderId"]) == ("mine-1", "cancel-1")


def test_replies_are_as_long_as_they_were_wished_for() -> None:
    text = shapes.MarketText(BITCOIN)
    assert set(shapes.order_reply(text, order_view(), "ACK")) == {
        "symbol", "orderId", "orderListId", "clientOrderId", "transactTime",
    }  # fmt: skip
    assert "fills" not in shapes.order_reply(text, order_view(), "RESULT")
    assert shapes.order_reply(text, order_view(), "FULL")["fills"] == []


# --- the WebSocket API, raw -----------------------------------------------------------------------------------------


async def ask(exchange: Exchange, *texts: str) -> list[Any]:
    import aiohttp

    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{exchange.stream_url}/ws-api/v3") as socket,
    ):
        answers = []
        for text in texts:
            await socket.send_str(text)
            answers.append(await asyncio.wait_for(socket.receive_json(), WITHIN_S))
        return answers


async def test_ids_come_back_as_they_were(exchange: Exchange) -> None:
    number, text = await ask(exchange, '{"id":5,"method":"ping"}', '{"id":"five","method":"time"}')
    assert (number["id"], number["status"], number["result"]) == (5, 200, {})
    assert text["id"] == "five"
    assert {row["rateLimitType"] for row in text["rateLimits"]} == {"ORDERS", "REQUEST_WEIGHT"}


async def test_requests_that_make_no_sense_are_refused(exchange: Exchange) -> None:
    broken, unknown, unsigned, no_key = await ask(
        exchange,
        "{",
        '{"id":1,"method":"fly"}',
        json.dumps({"id": 2, "method": "account.status", "params": {"apiKey": exchange.ccxt_arguments["apiKey"]}}),
        '{"id":3,"method":"userDataStream.subscribe.signature"}',
    )
    assert (broken["status"], broken["error"]["code"]) == (400, -1135)
    assert (unknown["id"], unknown["error"]["code"]) == (1, -1020)
    assert (unsigned["id"], unsigned["error"]["code"]) == (2, -1102)
    assert (no_key["id"], no_key["status"], no_key["error"]["code"]) == (3, 401, -2014)
    assert exchange.desk.unmatched["ws fly"] == 1


async def test_numbers_and_switches_may_come_as_such(exchange: Exchange) -> None:
    request = {"id": 1, "method": "depth", "params": {"symbol": "BTCUSDT", "limit": 3}}
    (answer,) = await ask(exchange, json.dumps(request))
    assert len(answer["result"]["bids"]) == 3


async def test_socket_where_there_is_none_is_a_404(exchange: Exchange) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
            await session.ws_connect(f"{exchange.stream_url}/delivery/ws/1")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
            await session.ws_connect(f"{exchange.stream_url}/futures/ws/1")
    assert exchange.desk.unmatched["GET /delivery/ws/1"] == 1
    assert exchange.contracts_desk.unmatched["GET /futures/ws/1"] == 1
