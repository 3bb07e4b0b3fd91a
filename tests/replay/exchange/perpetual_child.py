"""Perpetuals that are traded until the process is killed, saying what was acknowledged: of `test_futures_venue.py`.

Usage: ``python perpetual_child.py STATE_DIR SEED DONE``. What it does is drawn from the seed and the number of
the operation, so that the parent can do the same in memory; it goes on after operation DONE.
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
from replay.exchange.model import Market, NewConditional, NewOrder, VenueError, perpetual_of
from replay.exchange.perpetual import PerpetualEngine

SPOT = Market(symbol="BTC/USDT", id="BTCUSDT", base="BTC", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.00001"))
FEES: dict[str, Any] = {"maker_fee": Decimal("0.0002"), "taker_fee": Decimal("0.0005"), "spread_ticks": 2}
BALANCES = {"USDT": Decimal(20_000)}
REFUSALS = {-2011, -2019, -2021, -2022, -4046, -4047, -4048, -5022, -2028}


async def open_both(state_dir: Path | None, **changes: Any) -> tuple[venues.Venue[Any], venues.Venue[PerpetualEngine]]:
    """Open spot and perpetuals side by side, without a tape."""
    spot = await venues.open_venue(state_dir=state_dir, tape=None, markets=[SPOT], balances=BALANCES, **FEES)
    terms: dict[str, Any] = {"state_dir": state_dir, "tape": None, "balances": BALANCES, **FEES} | changes
    return spot, await venues.open_futures(spot, markets=[perpetual_of(SPOT)], **terms)


def make_engine() -> PerpetualEngine:
    """Return an engine as the venue has it before its first operation."""
    return PerpetualEngine([perpetual_of(SPOT)], BALANCES, FEES["maker_fee"], FEES["taker_fee"], 2)


def work(seed: int, number: int) -> Callable[[PerpetualEngine, int], object]:
    """Return the operation of this number; the time it is given does not matter to it."""
    drawn = random.Random(f"{seed} {number}")
    kinds = ["print", "print", "order", "order", "order", "conditional", "cancel", "fund", "leverage", "isolated"]
    kind = drawn.choice(kinds)
    price = drawn.randrange(2_950_000, 3_050_000)
    terms: dict[str, Any] = {
        "id": "BTCUSDT",
        "side": drawn.choice(["BUY", "SELL"]),
        "quantity": Decimal(drawn.randrange(1, 2_000)) * Decimal("0.001"),
        "reduce_only": drawn.random() < 0.2,
    }
    limit = price * SPOT.tick if drawn.random() < 0.6 else None
    leverage, isolated = drawn.randrange(5, 50), drawn.random() < 0.5

    def do(engine: PerpetualEngine, _: int) -> object:
        if kind == "print" or not engine.last_ticks("BTCUSDT"):
            return engine.print_trade("BTCUSDT", price, 1_000, number)
        if kind == "conditional":
            new = NewConditional(
                type="STOP_MARKET", trigger_price=price * SPOT.tick, client_algo_id=f"a{number}", **terms
            )
            return engine.place_conditional(new, number)
        if kind == "cancel":
            return engine.cancel_all("BTCUSDT", number) or engine.cancel_all_conditionals("BTCUSDT", number)
        if kind == "fund":
            return engine.settle_funding(number)
        if kind == "leverage":
            return engine.set_leverage("BTCUSDT", leverage, number)
        if kind == "isolated":
            return engine.set_margin_type("BTCUSDT", isolated, number)
        order = NewOrder(type="LIMIT" if limit else "MARKET", price=limit, client_order_id=f"c{number}", **terms)
        return engine.place(order, number)

    return do


async def trade(state_dir: Path, seed: int, done: int) -> None:
    """Trade for ever, several at a time; say the number of each operation once it is acknowledged."""
    _, venue = await open_both(state_dir)

    async def one(number: int) -> None:
        try:
            await venue.commit(work(seed, number))
        except VenueError as refusal:
            assert refusal.code in REFUSALS, refusal  # noqa: PT017 - no test, but the program under test
        print(number, flush=True)

    while True:
        await asyncio.gather(*(one(done + offset) for offset in range(1, 5)))
        done += 4


if __name__ == "__main__":
    venues.SNAPSHOT_EVERY = 40
    asyncio.run(trade(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
