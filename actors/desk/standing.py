"""How one symbol stands with one strategy: its book there, and the newest prices it was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.messages import Bar

if TYPE_CHECKING:
    from actors.instrument import Instrument


class KeptStanding(msgspec.Struct):
    """What a checkpoint keeps of it."""

    position_lots: int
    cost_atoms: int
    bar: Bar | None
    tick_price: float
    tick_ns: int


class Standing:
    """One symbol of one strategy.

    Attributes:
        symbol: its name.
        instrument: its exact units.
        index: its place among the strategy's symbols.
        lots: what the strategy's book holds of it, signed.
        cost_atoms: what that cost, signed alike.
        bar: the newest bar the strategy was shown.
        tick_price: price of the newest tick that showed one; 0.0 before there was one.
        tick_ns: its time.
    """

    __slots__ = ("bar", "cost_atoms", "index", "instrument", "lots", "symbol", "tick_ns", "tick_price")

    def __init__(self, instrument: Instrument, index: int, lots: int, cost_atoms: int) -> None:
        self.symbol = instrument.symbol
        self.instrument = instrument
        self.index = index
        self.lots = lots
        self.cost_atoms = cost_atoms
        self.bar: Bar | None = None
        self.tick_price = 0.0
        self.tick_ns = 0

    def price(self) -> float:
        """Return the newest price the strategy saw; 0.0 before there was one."""
        bar = self.bar
        if bar is None or (self.tick_price and self.tick_ns >= bar.close_ns):
            return self.tick_price
        return bar.close

    def keep(self) -> KeptStanding:
        """Return the state."""
        return KeptStanding(self.lots, self.cost_atoms, self.bar, self.tick_price, self.tick_ns)

    def load(self, kept: KeptStanding) -> None:
        """Restore the state."""
        self.lots, self.cost_atoms, self.bar = kept.position_lots, kept.cost_atoms, kept.bar
        self.tick_price, self.tick_ns = kept.tick_price, kept.tick_ns
