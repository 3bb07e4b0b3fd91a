"""Mean reversion at the Bollinger bands."""

from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Strategy
from strategies.indicators import Expression, bbands


class BollingerReversion(Strategy):
    """Buy a close below the lower band, leave at the middle; with `short`, also the mirror image.

    Source: J. Bollinger, "Bollinger on Bollinger Bands" (2001), for the bands, which he does not trade alone.
    """

    period: Annotated[int, Meta(ge=2, le=10_000)] = 20
    """Bars of the moving average and the deviation."""
    deviations: Annotated[float, Meta(gt=0, le=20)] = 2.0
    """Distance of the bands from the average, in standard deviations."""
    quantity: Annotated[float, Meta(gt=0)] = 0.1
    """Base units to hold while in a position."""
    short: bool = False
    """Whether to sell short above the upper band."""

    def features(self) -> dict[str, Expression]:
        """Declare the bands."""
        return {"bands": bbands(self.period, self.deviations)}

    def on_bar(self, bar: Bar, f: Any, /) -> None:  # noqa: ANN401 - one float attribute per declared feature
        """Enter beyond a band, leave at the average."""
        position = self.position
        if position == 0:
            if bar.close < f.bands_lower:
                self.target(self.quantity)
            elif self.short and bar.close > f.bands_upper:
                self.target(-self.quantity)
        elif bar.close >= f.bands_middle if position > 0 else bar.close <= f.bands_middle:
            self.target(0)
