"""Earning the funding of a perpetual without its price."""

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Funding, Strategy

_SPOT, _PERPETUAL = 0, 1


class FundingCarry(Strategy):
    """Hold the coin and sell as much of its perpetual while the funding that longs pay is high.

    The first symbol is the spot market, the second the perpetual. Both legs have the same quantity, so the price
    cancels but for the basis; what is left is the funding, less four fees for a round trip. The mean of the last
    `window` rates decides.

    Source: the cash-and-carry trade; on perpetuals, S. Christin et al., "The Crypto Carry Trade" (2023).
    """

    markets: ClassVar[int | None] = 2

    enter: Annotated[float, Meta(gt=-0.1, lt=0.1)] = 0.0001
    """Mean rate, as a fraction per interval, from which the trade is put on."""
    leave: Annotated[float, Meta(gt=-0.1, lt=0.1)] = 0.0
    """Mean rate below which it is taken off."""
    window: Annotated[int, Meta(ge=1, le=1_000)] = 9
    """How many rates the mean is of."""
    notional: Annotated[float, Meta(gt=0)] = 10_000.0
    """Value of each leg at entry, in quote units."""

    def on_start(self) -> None:
        """No rate is known yet."""
        self.rates: list[float] = []
        self.holds = False

    def on_funding(self, funding: Funding, /) -> None:
        """Note a rate of the perpetual."""
        if funding.symbol == self.symbols[_PERPETUAL]:
            self.rates.append(funding.rate)
            del self.rates[: -self.window]

    def on_slice(self, bars: dict[str, Bar], _: dict[str, Any], /) -> None:
        """Put the trade on or take it off, once both markets have closed."""
        if len(bars) < len(self.symbols) or len(self.rates) < self.window:
            return
        mean = sum(self.rates) / self.window
        spot, perpetual = self.symbols
        if not self.holds and mean >= self.enter:
            quantity = self.fit(self.notional / bars[spot].close, symbol=spot)
            if quantity > 0.0:
                self.holds = True
                self.buy(quantity, symbol=spot)
                self.sell(quantity, symbol=perpetual)
        elif self.holds and mean < self.leave:
            self.holds = False
            self.target(0, symbol=spot)
            self.target(0, symbol=perpetual)
