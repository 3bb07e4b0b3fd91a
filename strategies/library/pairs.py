"""Mean reversion of the ratio of two markets."""

from math import log, sqrt
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Strategy

_FIRST, _SECOND = 0, 1


class Pairs(Strategy):
    """Sell the dear one and buy the cheap one of two markets whose ratio has left its usual place.

    The spread is the logarithm of the ratio of both closes; its z-score is over `period` closes. Both legs have the
    same value at entry, `notional`. They are left together where the score is back within `exit`, or beyond `stop`.

    Source: Gatev, Goetzmann and Rouwenhorst, "Pairs Trading: Performance of a Relative-Value Arbitrage Rule" (2006),
    with the moving window of E. Chan, "Algorithmic Trading" (2013), chapter 3.
    """

    markets: ClassVar[int | None] = 2

    period: Annotated[int, Meta(ge=3, le=10_000)] = 100
    """Closes the usual place of the ratio is told from."""
    entry: Annotated[float, Meta(gt=0, le=20)] = 2.0
    """Standard deviations off it at which to enter."""
    exit: Annotated[float, Meta(ge=0, le=20)] = 0.5
    """Standard deviations off it within which to leave."""
    stop: Annotated[float, Meta(gt=0, le=100)] = 5.0
    """Standard deviations off it beyond which to give up."""
    notional: Annotated[float, Meta(gt=0)] = 10_000.0
    """Value of each leg at entry, in quote units."""

    def on_start(self) -> None:
        """No spread is known yet."""
        self.spreads: list[float] = []
        self.side = 0

    def on_slice(self, bars: dict[str, Bar], _: dict[str, Any], /) -> None:
        """Decide once both markets have closed."""
        if len(bars) < len(self.symbols):
            return
        first, second = (bars[symbol].close for symbol in self.symbols)
        self.spreads.append(log(first / second))
        del self.spreads[: -self.period]
        score = _score(self.spreads)
        if len(self.spreads) < self.period or score is None:
            return
        if self.side == 0:
            if self.entry < abs(score) < self.stop:
                self.side = -1 if score > 0 else 1
                self.target(self.side * self.notional / first, symbol=self.symbols[_FIRST])
                self.target(-self.side * self.notional / second, symbol=self.symbols[_SECOND])
        elif -self.side * score < self.exit or abs(score) > self.stop:
            self.side = 0
            for symbol in self.symbols:
                self.target(0, symbol=symbol)


def _score(spreads: list[float]) -> float | None:
    """Return how many standard deviations the newest lies off the mean, None where nothing moves."""
    mean = sum(spreads) / len(spreads)
    variance = sum((spread - mean) ** 2 for spread in spreads) / len(spreads)
    return (spreads[-1] - mean) / sqrt(variance) if variance > 0.0 else None
