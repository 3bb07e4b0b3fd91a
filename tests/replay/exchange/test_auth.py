"""Keys, signatures and the age of requests: refused as Binance refuses them."""

import hashlib
import hmac
import time
from typing import Any

import pytest

from replay.exchange.model import VenueError
from replay.exchange.protocol.auth import Doorkeeper, draw_keys, socket_payload, split_signature
from replay.exchange.server import Exchange

SYMBOL = "BTC/USDT"
NOW_MS = 1_700_000_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "error", "code"),
    [
        ({"secret": "wrong"}, "AuthenticationError", "-1022"),
        ({"apiKey": "k" * 64}, "AuthenticationError", "-2015"),
        ({"apiKey": "short"}, "AuthenticationError", "-2014"),
        ({"options": {"timeDifference": 3_600_000}}, "InvalidNonce", "-1021"),
        ({"options": {"timeDifference": -3_600_000}}, "InvalidNonce", "-1021"),
        ({"options": {"recvWindow": 70_000}}, "ExchangeError", "-1131"),
    ],
)
async def test_ccxt_is_refused(make_client: Any, changed: dict[str, Any], error: str, code: str) -> None:
    import ccxt

    options = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}
    client = await make_client(**(changed | {"options": options | changed.get("options", {})}))
    with pytest.raises(getattr(ccxt, error), match=code):
        await client.fetch_balance()


async def send(exchange: Exchange, query: str, key: str | None = None) -> tuple[int, dict[str, Any]]:
    import aiohttp

    keys = exchange.ccxt_arguments
    headers = {"X-MBX-APIKEY": keys["apiKey"] if key is None else key}
    async with aiohttp.ClientSession() as session:
        from yarl import URL

        url = URL(f"{exchange.url}/api/v3/account?{query}", encoded=True)
        async with session.get(url, headers=headers) as response:
            return response.status, await response.json()


def signed(exchange: Exchange, payload: str) -> str:
    secret = exchange.ccxt_arguments["secret"]
    return f"{payload}&signature={hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()}"


async def test_signature_is_over_the_bytes_that_were_sent(exchange: Exchange) -> None:
    payload = f"omitZeroBalances=true&timestamp={int(time.time() * 1000)}&recvWindow=5000"
    status, account = await send(exchange, signed(exchange, payload))
    assert status == 200
    assert [row["asset"] for row in account["balances"]]
    status, error = await send(exchange, signed(exchange, payload).replace("true", "false"))
    assert (status, error) == (400, {"code": -1022, "msg": "Signature for this request is not valid."})


async def test_what_is_missing_is_named(exchange: Exchange) -> None:
    status, error = await send(exchange, "timestamp=1")
    assert (status, error["code"]) == (400, -1102)
    assert "'signature'" in error["msg"]
    status, error = await send(exchange, signed(exchange, "recvWindow=5000"))
    assert (status, error["code"]) == (400, -1102)
    assert "'timestamp'" in error["msg"]
    status, error = await send(exchange, signed(exchange, "timestamp=1"), key="")
    assert (status, error["code"]) == (401, -2014)


@pytest.mark.parametrize(
    ("age_ms", "window", "text"),
    [
        (0, None, None),
        (5_000, None, None),
        (5_001, None, "outside of the recvWindow"),
        (5_001, "10000", None),
        (-999, None, None),
        (-1_000, None, "ahead of the server's time"),
    ],
)
def test_requests_are_good_for_their_window(age_ms: int, window: str | None, text: str | None) -> None:
    if text is None:
        Doorkeeper.check_time(str(NOW_MS - age_ms), window, (NOW_MS,))
        return
    with pytest.raises(VenueError, match=text) as refused:
        Doorkeeper.check_time(str(NOW_MS - age_ms), window, (NOW_MS,))
    assert refused.value.code == -1021


def test_either_clock_will_do() -> None:
    """The exchange's runs as fast as its tape; clients sign with the wall's."""
    clocks_ms = (NOW_MS, NOW_MS + 86_400_000)
    for clock_ms in clocks_ms:
        Doorkeeper.check_time(str(clock_ms), None, clocks_ms)
    with pytest.raises(VenueError, match="outside of the recvWindow"):
        Doorkeeper.check_time(str(NOW_MS + 3_600_000), None, clocks_ms)


@pytest.mark.parametrize("window", ["0", "-1", "60001", "soon", "nan"])
def test_windows_have_a_bound(window: str) -> None:
    with pytest.raises(VenueError) as refused:
        Doorkeeper.check_time(str(NOW_MS), window, (NOW_MS,))
    assert refused.value.code == -1131


def test_keys_are_a_matter_of_the_seed() -> None:
    assert draw_keys(7) == draw_keys(7)
    assert draw_keys(7) != draw_keys(8)
    assert draw_keys(7).key != draw_keys(7).secret


def test_signature_is_taken_out_wherever_it_stands() -> None:
    assert split_signature("a=1&signature=ff&b=2") == ("a=1&b=2", "ff")
    assert split_signature("a=1") == ("a=1", None)
    assert split_signature("") == ("", None)
    assert socket_payload({"b": "2", "signature": "ff", "a": "1"}) == "a=1&b=2"
