"""Rate limits: 429, then 418, each with a time to come back."""

import time
from typing import Any

import pytest

from replay.exchange.protocol.limits import LimitError, Limits
from replay.exchange.server import running

SYMBOL = "BTC/USDT"


class Wall:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_040.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def wall() -> Wall:
    return Wall()


def refusal(limits: Limits, weight: int = 1) -> LimitError:
    with pytest.raises(LimitError) as refused:
        limits.charge(weight)
    return refused.value


def test_weight_is_counted_by_the_minute_of_the_wall(wall: Wall) -> None:
    limits = Limits(wall, weight_per_minute=100)
    wall.now_s = 1_700_000_050.0
    limits.charge(60)
    limits.charge(40)
    error = refusal(limits)
    assert (error.status, error.code) == (429, -1003)
    assert error.retry_after_s == 50
    assert limits.headers()["x-mbx-used-weight-1m"] == "100"
    wall.now_s += 50
    limits.charge(100)


def test_who_goes_on_is_banned_and_the_second_ban_is_longer(wall: Wall) -> None:
    limits = Limits(wall, weight_per_minute=1, ban_s=120)
    for ban_s in (120, 240):
        limits.charge(1)
        assert [refusal(limits).status for _ in range(5)] == [429] * 5
        error = refusal(limits)
        assert (error.status, error.retry_after_s) == (418, ban_s)
        wall.now_s += ban_s - 1
        assert refusal(limits).retry_after_s == 1
        wall.now_s += 61


def test_who_listens_is_not_banned(wall: Wall) -> None:
    limits = Limits(wall, weight_per_minute=1)
    for _ in range(10):
        limits.charge(1)
        assert refusal(limits).status == 429
        wall.now_s += 60


def test_orders_have_windows_of_their_own(wall: Wall) -> None:
    limits = Limits(wall, orders_per_10s=2, orders_per_day=3)
    limits.charge_order()
    limits.charge_order()
    with pytest.raises(LimitError, match="2 orders per 10 SECOND"):
        limits.charge_order()
    wall.now_s += 10
    limits.charge_order()
    with pytest.raises(LimitError, match="3 orders per 1 DAY") as refused:
        limits.charge_order()
    assert (refused.value.code, refused.value.status) == (-1015, 429)
    assert [row["count"] for row in limits.counts(orders_only=True)] == [1, 3]


@pytest.mark.slow
async def test_ccxt_hears_of_the_limit_and_of_the_ban() -> None:
    import ccxt.pro

    limits = Limits(time.time, weight_per_minute=60)
    async with running(limits=limits) as exchange:
        client: Any = ccxt.pro.binance(exchange.ccxt_arguments | {"enableRateLimit": False})
        try:
            await client.load_markets()
            await client.fetch_time()
            assert client.last_response_headers["x-mbx-used-weight-1m"] == "21"
            statuses = []
            for _ in range(48):
                try:
                    await client.fetch_time()
                except ccxt.DDoSProtection as error:
                    statuses.append(str(error).split()[1])
                    assert int(client.last_response_headers["Retry-After"]) > 0
        finally:
            await client.close()
    assert statuses[:5] == ["429"] * 5
    assert statuses[5:]
    assert set(statuses[5:]) == {"418"}


@pytest.mark.slow
async def test_ccxt_hears_of_too_many_orders_by_either_way() -> None:
    import ccxt.pro

    limits = Limits(time.time, orders_per_10s=100_000, orders_per_day=1)
    async with running(limits=limits) as exchange:
        await exchange.print_trade(SYMBOL, "50000", "1")
        client: Any = ccxt.pro.binance(exchange.ccxt_arguments | {"enableRateLimit": False})
        try:
            await client.load_markets()
            await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000)
            with pytest.raises(ccxt.DDoSProtection, match="-1015"):
                await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000)
            with pytest.raises(ccxt.RateLimitExceeded, match="-1015"):
                await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 49000)
            (ten_seconds, day) = await client.private_get_ratelimit_order()
        finally:
            await client.close()
        assert (ten_seconds["count"], day["count"]) == ("1", "1") or day["count"] == 1
        assert len((await exchange.book())["orders"]) == 1
