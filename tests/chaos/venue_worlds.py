"""What the rounds are played with: markets and fees of the exchange, strategies of the daemon, how money is counted."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.chaos.venue_books import UNIT, Books

STRATEGIES = Path(__file__).parent / "venue_strategies.py"
BARS = 3_000
START_MS = 1_700_000_040_000
SPEED = 180


class World:
    """Spot.

    Args:
        name: of the world.
        symbols: what is traded, with a price to begin at and the size of an order.
        also: markets beside them, with a price to begin at.
        exchange: further arguments of the exchange.
    """

    exchange_id = "binance"
    strategy = "Busy"

    def __init__(
        self,
        name: str,
        symbols: dict[str, tuple[float, float]],
        also: dict[str, float] | None = None,
        exchange: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.symbols = symbols
        self._prices = {symbol: price for symbol, (price, _) in symbols.items()} | (also or {})
        self._exchange = exchange

    def exchange_arguments(self, folder: Path, seed: int) -> list[str]:
        """Return what the exchange is started with; its tapes are written first."""
        arguments = ["--speed", str(SPEED), *self._exchange]
        for number, (symbol, price) in enumerate(self._prices.items()):
            path = folder / f"{symbol.replace('/', '')}.csv"
            if not path.exists():
                path.write_text(_walk(random.Random(f"{seed}:{number}"), price))
            arguments += ["--tape", str(path), "--symbol", symbol]
        return arguments

    def daemon_arguments(self, seed: int) -> list[str]:
        """Return what the daemon is started with."""
        symbols = ",".join(f"'{self.traded(symbol)}'" for symbol in self.symbols)
        strategies = ",".join(
            f"{{use='{STRATEGIES}:{self.strategy}',id='s{number}',symbol='{self.traded(symbol)}',"
            f"params={{seed={seed + number},unit={size}}}}}"
            for number, (symbol, (_, size)) in enumerate(self.symbols.items())
        )
        return [
            *("--set", f"exchange.id={self.exchange_id}", "--set", f"exchange.symbols=[{symbols}]"),
            *("--set", f"strategies=[{strategies}]"),
        ]

    def traded(self, symbol: str) -> str:
        """Return what the daemon trades, for a symbol of the exchange's tapes."""
        return symbol

    def meddling(self) -> list[dict[str, Any]]:
        """Return what the exchange may do of its own, as its admin is told it."""
        return []

    def wallet(self, book: Any) -> dict[str, Decimal]:
        """Return what the account holds of each asset."""
        return {each["asset"]: Decimal(each["free"]) + Decimal(each["locked"]) for each in book["balances"]}

    def counts(self, book: Any) -> tuple[int, int]:
        """Return how many orders and executions there were."""
        return len(book["orders"]), len(book["fills"])

    def differences(self, ours: Books, book: Any, before: dict[str, Decimal]) -> list[str]:
        """Return in words every promise that was not kept."""
        return ours.differences(book) + ours.spot_money_differs(before, self.wallet(book), "USDT")


class Perpetual(World):
    """A perpetual, long and short, with funding now and then."""

    exchange_id = "binanceusdm"
    strategy = "BothWays"

    def daemon_arguments(self, seed: int) -> list[str]:
        """Return what the daemon is started with."""
        return [*super().daemon_arguments(seed), "--set", "exchange.leverage=20"]

    def traded(self, symbol: str) -> str:
        """Return the perpetual."""
        return f"{symbol}:USDT"

    def meddling(self) -> list[dict[str, Any]]:
        """Return that funding is due at once."""
        return [{"symbol": self.traded(symbol), "settle_funding": True} for symbol in self.symbols]

    def wallet(self, book: Any) -> dict[str, Decimal]:
        """Return the wallet, and what it holds of each contract."""
        held = {row["asset"]: Decimal(row["wallet"]) for row in book["wallets"]}
        for row in book["positions"]:
            base = row["symbol"].partition("/")[0]
            held[base] = held.get(base, Decimal(0)) + Decimal(row["amount"])
        return held

    def differences(self, ours: Books, book: Any, before: dict[str, Decimal]) -> list[str]:
        """Return in words every promise that was not kept, payments of funding among them, one by one."""
        there = {(row["symbol"], row["funding_id"]): Decimal(row["amount"]) * UNIT for row in book["funding"]}
        here = {key: Decimal(atoms) for key, atoms in ours.funding.items()}
        found = [] if there == here else [f"funding: {there} there, {here} here"]
        return super().differences(ours, book, before) + found


WORLDS = {
    world.name: world
    for world in (
        World("one symbol", {"BTC/USDT": (30_000.0, 0.002)}),
        World(
            "two symbols, fees in BNB",
            {"BTC/USDT": (30_000.0, 0.002), "ETH/USDT": (2_000.0, 0.03)},
            {"BNB/USDT": 600.0},
            ("--fee-asset", "BNB", "--balance", "BNB=0.02"),
        ),
        Perpetual("perpetuals", {"BTC/USDT": (30_000.0, 0.002), "ETH/USDT": (2_000.0, 0.03)}),
    )
}
"""By name. The BNB is used up in mid-round, after which the fees come in what was received."""


def _walk(draw: random.Random, price: float) -> str:
    """Return bars of a random walk, as CSV."""
    lines = ["ts,open,high,low,close,volume"]
    for index in range(BARS):
        opened = price
        price = max(price * 0.5, price * (1 + draw.gauss(0, 0.0008)))
        low, high = sorted((opened, price))
        low, high = low * (1 - abs(draw.gauss(0, 0.0003))), high * (1 + abs(draw.gauss(0, 0.0003)))
        row = (round(value, 2) for value in (opened, high, low, price))
        lines.append(f"{START_MS + index * 60_000},{','.join(f'{value:.2f}' for value in row)},{draw.randint(1, 50)}")
    return "\n".join(lines) + "\n"
