"""Trend following by two exponential moving averages."""

from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Strategy
from strategies.indicators import Expression, ema


class EmaCross(Strategy):
    """Long while the fast average is above the slow one, entered and left at the cross; never short.

    Source: R. Donchian's 5 and 20 day averages; Brock, Lakonishok and LeBaron, "Simple Technical Trading Rules and the
    Stochastic Properties of Stock Returns" (1992), with exponential averages and without a band.
    """

    fast: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """Bars of the fast average."""
    slow: Annotated[int, Meta(ge=2, le=10_000)] = 20
    """Bars of the slow average."""
    quantity: Annotated[float, Meta(gt=0)] = 0.1
    """Base units to hold while long."""

    def features(self) -> dict[str, Expression]:
        """Declare both averages."""
        return {"fast": ema(self.fast), "slow": ema(self.slow)}

    def on_start(self) -> None:
        """Nothing is known of the bar before the first."""
        self.side: int | None = None

    def on_bar(self, _: Bar, f: Any, /) -> None:  # noqa: ANN401 - one float attribute per declared feature
        """Go long when fast crosses above slow, flat when it crosses below; touching is not crossing."""
        side = 1 if f.fast > f.slow else -1 if f.fast < f.slow else 0
        if side != self.side:
            if self.side is not None and side:
                self.target(self.quantity if side > 0 else 0)
            self.side = side
