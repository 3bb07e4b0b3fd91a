"""An exchange that trades until it is killed, saying what it has acknowledged: the child of `test_store.py`.

Usage: ``python child.py STATE_DIR SEED DONE``. What it does is drawn from the seed and the number of the
operation, so that the parent can do the same in memory; it goes on after operation DONE.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from replay.exchange import venue as venues
from replay.exchange.engine import Engine
from replay.exchange.model import Market, NewOrder, VenueError

MARKET = Market(symbol="BTC/USDT", id="BTCUSDT", base="BTC", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.00001"))
SETTINGS: dict[str, Any] = {
    "markets": [MARKET],
    "balances": {"USDT": Decimal(10_000), "BTC": Decimal(1)},
    "maker_fee": Decimal("0.001"),
    "taker_fee": Decimal("0.001"),
    "spread_ticks": 2,
}


def make_engine() -> Engine:
    """Return an engine as the exchange has it before its first operation."""
    return Engine([MARKET], SETTINGS["balances"], Decimal("0.001"), Decimal("0.001"), 2)


def work(seed: int, number: int) -> Callable[[Engine, int], object]:
    """Return the operation of this number; the time it is given does not matter to it."""
    drawn = random.Random(f"{seed} {number}")
    kind = drawn.choice(["print", "print", "buy", "sell", "cancel", "cancel_all"])
    price = drawn.randrange(2_900_000, 3_100_000)
    limited = drawn.random() < 0.7
    new = NewOrder(
        id="BTCUSDT",
        side="BUY" if kind == "buy" else "SELL",
        type="LIMIT" if limited else "MARKET",
        quantity=Decimal(drawn.randrange(100, 1_000)) * MARKET.lot,
        price=price * MARKET.tick if limited else None,
        client_order_id=f"c{number}",
    )

    def do(engine: Engine, _: int) -> object:
        if kind == "print" or not engine.last_ticks("BTCUSDT"):
            return engine.print_trade("BTCUSDT", price, 1_000, number)
        if kind == "cancel" and (orders := engine.open_orders()):
            return engine.cancel("BTCUSDT", number, order_id=drawn.choice(orders).order_id)
        if kind == "cancel_all" and drawn.random() < 0.1 and engine.open_orders():
            return engine.cancel_all("BTCUSDT", number)
        return engine.place(new, number)

    return do


async def trade(state_dir: Path, seed: int, done: int) -> None:
    """Trade for ever, several at a time; say the number of each operation once it is acknowledged."""
    venue = await venues.open_venue(state_dir=state_dir, tape=None, **SETTINGS)

    async def one(number: int) -> None:
        try:
            await venue.commit(work(seed, number))
        except VenueError as refusal:
            assert refusal.code == -2010, refusal  # noqa: PT017 - no test, but the program under test
        print(number, flush=True)

    while True:
        await asyncio.gather(*(one(done + offset) for offset in range(1, 5)))
        done += 4


if __name__ == "__main__":
    venues.SNAPSHOT_EVERY = 40
    asyncio.run(trade(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
