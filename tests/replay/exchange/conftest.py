"""An exchange in this process and plain ccxt.pro clients on it, made by configuration only."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from replay.exchange import model as x
from replay.exchange.perpetual import PerpetualEngine
from replay.exchange.server import Exchange, running

SYMBOL = "BTC/USDT"
CONTRACT = "BTC/USDT:USDT"
WITHIN_S = 10.0

MakeClient = Callable[..., Awaitable[Any]]


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """An exchange on which somebody has just paid 50,000, on spot and for the perpetual."""
    async with running(seed=7) as started:
        for symbol in (SYMBOL, CONTRACT):
            await started.print_trade(symbol, "50000", "0.5")
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
async def make_usdm(exchange: Exchange) -> AsyncIterator[MakeClient]:
    """Return a maker of ccxt.pro.binanceusdm instances that are closed in the end."""
    import ccxt.pro

    made: list[Any] = []

    async def make(**changed: Any) -> Any:
        arguments = exchange.arguments["binanceusdm"] | {"enableRateLimit": False} | changed
        client = ccxt.pro.binanceusdm(arguments)
        made.append(client)
        await client.load_markets()
        return client

    yield make
    await asyncio.gather(*(client.close() for client in made), return_exceptions=True)


@pytest.fixture
async def usdm(make_usdm: MakeClient) -> Any:
    """A plain ccxt.pro client of perpetuals."""
    return await make_usdm()


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
    async def moving(every_s: float = 0.02, price: int = 50_000, symbol: str = SYMBOL) -> AsyncIterator[None]:
        async def trade() -> None:
            step = 0
            while True:
                step += 1
                await exchange.print_trade(symbol, f"{price + step / 100:.2f}", "0.01")
                await asyncio.sleep(every_s)

        task = asyncio.create_task(trade())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return moving


class Pit:
    """An engine of two perpetuals, whose time goes on by a second with every call."""

    def __init__(self, **settings: Any) -> None:
        spot = [
            x.Market(
                symbol=f"{base}/USDT",
                id=f"{base}USDT",
                base=base,
                quote="USDT",
                tick=Decimal(tick),
                lot=Decimal("0.001"),
            )
            for base, tick in (("BTC", "0.1"), ("ETH", "0.01"))
        ]
        balances = settings.pop("balances", {"USDT": Decimal(10_000)})
        terms = {"maker_fee": Decimal(0), "taker_fee": Decimal(0)} | settings
        self.make = lambda: PerpetualEngine([x.perpetual_of(market) for market in spot], balances, **terms)
        self.engine = self.make()
        self.now_ms = 1_700_000_000_000
        self.count = 0
        self.operations: list[Any] = []
        self.engine.recorder = self.operations.append

    def tick(self) -> int:
        """Let a second pass."""
        self.now_ms += 1_000
        return self.now_ms

    def print(self, price: float = 30_000, quantity: str = "1", market: str = "BTCUSDT") -> list[x.Event]:
        """Print a trade; return what it led to."""
        self.engine.drain()
        found = self.engine.market(market)
        lots = int(Decimal(quantity) / found.lot)
        self.engine.print_trade(market, int(Decimal(str(price)) / found.tick), lots, self.tick())
        return self.engine.drain()

    def place(self, side: str, quantity: str = "0.1", price: str | None = None, **terms: Any) -> x.OrderView:
        """Place an order: a limit where there is a price, or else a market order."""
        self.count += 1
        new: dict[str, Any] = {
            "id": "BTCUSDT",
            "side": side,
            "type": "LIMIT" if price else "MARKET",
            "quantity": Decimal(quantity),
            "price": Decimal(price) if price else None,
            "client_order_id": f"c{self.count}",
        }
        return self.engine.place(x.NewOrder(**new | terms), self.tick())

    def wait(self, side: str, kind: str, trigger: str | None, quantity: str = "0.1", **terms: Any) -> x.ConditionalView:
        """Place a conditional order."""
        self.count += 1
        new: dict[str, Any] = {
            "id": "BTCUSDT",
            "side": side,
            "type": kind,
            "quantity": Decimal(quantity),
            "trigger_price": Decimal(trigger) if trigger else None,
            "client_algo_id": f"a{self.count}",
        }
        return self.engine.place_conditional(x.NewConditional(**new | terms), self.tick())

    def refusal(self, ask: Any, *args: Any, **terms: Any) -> tuple[int, str]:
        """Return code and text of a refusal that changes nothing."""
        before = self.engine.dump()
        with pytest.raises(x.VenueError) as caught:
            ask(*args, **terms)
        assert self.engine.dump() == before
        return caught.value.code, caught.value.text

    def position(self, market: str = "BTCUSDT") -> x.PositionView:
        """Return the position in a market."""
        return self.engine.positions(market)[0]

    def wallet(self) -> x.WalletView:
        """Return the wallet."""
        return next(each for each in self.engine.wallets() if each.asset == "USDT")

    def usdt(self) -> Decimal:
        """Return what the wallet has."""
        return Decimal(self.wallet().wallet_atoms) / 10**8


@pytest.fixture
def make_pit() -> Callable[..., Pit]:
    """Return a maker of engines of perpetuals that have seen one trade at 30,000, and one at 2,000."""

    def make(**settings: Any) -> Pit:
        made = Pit(**settings)
        made.print()
        made.print(2_000, market="ETHUSDT")
        return made

    return make


@pytest.fixture
def pit(make_pit: Callable[..., Pit]) -> Pit:
    """An engine of perpetuals without fees, with 10,000 USDT at 20 times leverage."""
    return make_pit()
