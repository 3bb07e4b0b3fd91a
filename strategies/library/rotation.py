"""Momentum rotation over many markets."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Strategy
from strategies.indicators import Expression, close


class Rotation(Strategy):
    """Hold the strongest few of many markets in equal parts, chosen anew every `every` closes.

    Strength is the change over `lookback` bars; with `absolute` a market that has fallen is not held, however strong
    beside the others.

    Source: Jegadeesh and Titman, "Returns to Buying Winners and Selling Losers" (1993); the absolute filter is
    G. Antonacci, "Dual Momentum Investing" (2014).
    """

    markets: ClassVar[int | None] = None

    lookback: Annotated[int, Meta(ge=1, le=10_000)] = 96
    """Bars over which strength is measured."""
    top: Annotated[int, Meta(ge=1, le=1_000)] = 2
    """How many are held."""
    every: Annotated[int, Meta(ge=1, le=10_000)] = 24
    """Closes from one choice to the next."""
    exposure: Annotated[float, Meta(gt=0, le=1)] = 0.9
    """Fraction of the equity that is held, in all."""
    absolute: bool = True
    """Whether only what has risen is held."""

    def features(self) -> Mapping[str, Expression]:
        """Declare each market's strength."""
        return {"strength": close / close.lag(self.lookback) - 1}

    def on_start(self) -> None:
        """Choose at the first close at which all are known."""
        self.closes_to_wait = 0

    def on_slice(self, bars: dict[str, Bar], rows: dict[str, Any], /) -> None:
        """Choose, and bring every market to its part."""
        if len(rows) < len(self.symbols):
            return
        if self.closes_to_wait > 0:
            self.closes_to_wait -= 1
            return
        self.closes_to_wait = self.every - 1
        # Of equals the one that is named first; sorting keeps the order of `symbols`.
        ranked = sorted(rows, key=lambda symbol: -rows[symbol].strength)
        held = [symbol for symbol in ranked[: self.top] if not self.absolute or rows[symbol].strength > 0.0]
        part = self.equity * self.exposure / self.top
        # What is sold first pays for what is bought.
        wanted = {symbol: part / bars[symbol].close if symbol in held else 0.0 for symbol in self.symbols}
        for symbol in sorted(self.symbols, key=lambda name: wanted[name] - self.position_of(name) > 0.0):
            self.target(wanted[symbol], symbol=symbol)
