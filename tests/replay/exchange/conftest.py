"""An exchange in this process and plain ccxt.pro clients on it, made by configuration only."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from replay.exchange.server import Exchange, running

SYMBOL = "BTC/USDT"
WITHIN_S = 10.0

MakeClient = Callable[..., Awaitable[Any]]


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """An exchange on which somebody has just paid 50,000."""
    async with running(seed=7) as started:
        await started.print_trade(SYMBOL, "50000", "0.5")
        yield started


@pytest.fixture
async def make_client(exchange: Exchange) -> AsyncIterator[MakeClient]:
    """Return a maker of ccxt.pro.binance instances that are closed in the end."""
    import ccxt.pro

    made: list[Any] = []

    async def make(**changed: Any) -> Any:
        arguments = exchange.ccxt_arguments | {"enableRateLimit": False} | changed
        client = ccxt.pro.binance(arguments)
        made.append(client)
        await client.load_markets()
        return client

    yield make
    await asyncio.gather(*(client.close() for client in made), return_exceptions=True)


@pytest.fixture
async def client(make_client: MakeClient) -> Any:
    """A plain ccxt.pro client."""
    return await make_client()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Return a wait for something to become true."""

    async def wait(true: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while not true():
            assert time.monotonic() < deadline_s, "did not come true in time"
            await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def market_moves(exchange: Exchange) -> Callable[..., contextlib.AbstractAsyncContextManager[None]]:
    """Return a block during which somebody trades every few milliseconds, one tick up each time."""

    @contextlib.asynccontextmanager
    async def moving(every_s: float = 0.02, price: int = 50_000) -> AsyncIterator[None]:
        async def trade() -> None:
            step = 0
            while True:
                step += 1
                await exchange.print_trade(SYMBOL, f"{price + step / 100:.2f}", "0.01")
                await asyncio.sleep(every_s)

        task = asyncio.create_task(trade())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return moving
