"""What requests weigh at Binance, for spot and for contracts; where a venue counts otherwise, how much we ask.

Too little here and the venue refuses us; too much, and orders and questions wait for room that is there.
"""

from __future__ import annotations

import msgspec

from config.symbols import is_contract

SEND = 1
INCOME = 30
"""Of one page."""
POSITION = 5
MODES = 5
"""Of the account's own; each symbol's are as much again."""
COUNTDOWN = 10


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What weighs differently for spot and for contracts."""

    order: int
    """With a stop, all it takes to find what has become of it."""
    open_orders: int
    """Of one symbol, waiting stops included."""
    trades: int
    """The account's own, of one page."""
    order_trades: int
    """Those of one order."""
    balances: int
    ticker: int
    rules: int
    public_trades: int
    """Everybody's, of one page."""
    bars: tuple[tuple[int, int], ...]
    """(most bars of a page, weight)."""
    book: tuple[tuple[int, int], ...]
    """(most levels, weight)."""

    def page_of_bars(self, count: int) -> int:
        """Return what so many bars weigh."""
        return next(weight for most, weight in self.bars if count <= most)

    def book_of(self, levels: int) -> int:
        """Return what a book of so many levels weighs."""
        return next(weight for most, weight in self.book if levels <= most)


SPOT = Weights(
    order=4,
    open_orders=6,
    trades=20,
    order_trades=5,
    balances=20,
    ticker=2,
    rules=20,
    public_trades=4,
    bars=((1_000, 2),),
    book=((100, 5), (500, 25), (1_000, 50)),
)
CONTRACTS = Weights(
    order=3,
    open_orders=2,
    trades=5,
    order_trades=5,
    balances=5,
    ticker=1,
    rules=1,
    public_trades=20,
    bars=((99, 1), (499, 2), (1_000, 5)),
    book=((50, 2), (100, 5), (500, 10), (1_000, 20)),
)


def weights_of(symbol: str) -> Weights:
    """Return what requests about a symbol weigh."""
    return CONTRACTS if is_contract(symbol) else SPOT
