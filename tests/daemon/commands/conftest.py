"""A loopback exchange beside the commands under test: in a thread, so that they may be as blocking as they are."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from replay.exchange.server import Exchange, running
from replay.tape import Tape, synthetic_tape

SYMBOL = "BTC/USDT"
CONTRACT = "BTC/USDT:USDT"
WITHIN_S = 30.0
MINUTE_MS = 60_000
BARS = 3_000
"""Minutes that a listing exchange has."""
SPEED = 6_000_000.0


class Loopback:
    """An exchange in a thread of its own: at 100.00 a coin, or with a made-up market at a speed.

    Attributes:
        file: the arguments that lead to it.
    """

    symbol = SYMBOL

    def __init__(self, folder: Path, speed: float | None = None, **terms: Any) -> None:
        self.file = folder / "ccxt.json"
        self.exchange: Exchange
        self._terms: dict[str, Any] = {} if speed is None else {"tape": made_up_market(), "speed": speed, **terms}
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(WITHIN_S)
        self._loop.close()

    @property
    def settings(self) -> tuple[str, ...]:
        """What leads a command here."""
        return ("--set", "feed.source=exchange", "--set", f"exchange.file={self.file}")

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have something done in the exchange's thread; return what it comes to."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN_S)

    def trade(self, price: str, quantity: str = "1", symbol: str = SYMBOL) -> None:
        """Have somebody trade."""
        self.do(self.exchange.print_trade(symbol, price, quantity))

    def fault(self, name: str, rate: float = 1.0, **terms: Any) -> None:
        """Have something go wrong."""

        async def switch() -> None:
            self.exchange.faults.set(name, rate, **terms)

        self.do(switch())

    def order(
        self,
        client_order_id: str,
        side: str,
        quantity: str,
        price: str | None = None,
        symbol: str = SYMBOL,
        **more: Any,
    ) -> None:
        """Order as a plain ccxt program does."""
        self.do(self._order(client_order_id, side, quantity, price, symbol, more))

    def book(self) -> dict[str, Any]:
        """Return every order, fill and balance."""
        return self.do(self.exchange.book())

    def statuses(self) -> dict[str, str]:
        """Return the state of every order by our id."""
        return {row["client_order_id"]: row["status"] for row in self.book()["orders"]}

    def total(self, asset: str) -> float:
        """Return what the account holds of an asset."""
        return next(
            float(row["free"]) + float(row["locked"]) for row in self.book()["balances"] if row["asset"] == asset
        )

    async def _order(
        self, client_order_id: str, side: str, quantity: str, price: str | None, symbol: str, more: dict[str, Any]
    ) -> None:
        import ccxt.pro

        name = "binanceusdm" if ":" in symbol else "binance"
        client = getattr(ccxt.pro, name)(self.exchange.arguments[name] | {"enableRateLimit": False, "number": str})
        try:
            kind = "market" if price is None else "limit"
            await client.create_order(symbol, kind, side, quantity, price, {"clientOrderId": client_order_id} | more)
        finally:
            await client.close()

    async def _serve(self) -> None:
        try:
            async with running(seed=7, **self._terms) as self.exchange:
                if not self._terms:
                    await self.exchange.print_trade(SYMBOL, "100.00", "1")
                    await self.exchange.print_trade(CONTRACT, "100.00", "1")
                self.file.write_text(json.dumps(self.exchange.arguments))
                self.file.chmod(0o600)
                self._ready.set_result(None)
                await self._ending.wait()
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise


def made_up_market() -> Tape:
    """Return an endless market of the symbol."""
    (series,) = synthetic_tape("7").series
    spec = msgspec.structs.replace(series.instrument, symbol=SYMBOL)
    return Tape([msgspec.structs.replace(series, symbol=SYMBOL, instrument=spec)])


@pytest.fixture(scope="session")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """Return an exchange with 3,000 minutes of the past, of spot and of a perpetual with hourly funding."""
    (series,) = synthetic_tape(f"7:{BARS}").series
    spec = msgspec.structs.replace(series.instrument, symbol=SYMBOL)
    tape = Tape([msgspec.structs.replace(series, symbol=SYMBOL, instrument=spec)])
    with Loopback(tmp_path_factory.mktemp("exchange"), SPEED, tape=tape, funding_hours=1) as exchange:
        deadline_s = time.monotonic() + WITHIN_S
        while len(candles(exchange)) < BARS:
            assert time.monotonic() < deadline_s, len(candles(exchange))
            time.sleep(0.02)
        yield exchange


def candles(exchange: Loopback, *, perpetual: bool = False) -> list[Any]:
    """Return what the exchange lists."""
    venue: Any = exchange.exchange.futures if perpetual else exchange.exchange.venue

    async def read() -> list[Any]:
        return list(venue.engine.candles(venue.markets[0].id, "1m", None, None, 100_000))

    listed: list[Any] = exchange.do(read())
    return listed


def moment(time_ms: int) -> str:
    """Return a time as the command line takes it."""
    return datetime.fromtimestamp(time_ms / 1_000, UTC).isoformat()


@pytest.fixture
def exchange_at(tmp_path: Path) -> Callable[[float], Loopback]:
    """Return a maker of exchanges that play at a speed, to be entered."""
    return lambda speed: Loopback(tmp_path, speed)


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Return an exchange with 100,000 USDT and 1 BTC."""
    for name in ("PITBOSS_API_KEY", "PITBOSS_API_SECRET", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    with Loopback(tmp_path) as exchange:
        yield exchange
