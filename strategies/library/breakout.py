"""Breakouts that are left by a stop in units of the average true range."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from strategies.base import Strategy
from strategies.indicators import Expression, atr, breakout
from strategies.managing import Exits
from strategies.sizing import atr_risk


class Breakout(Strategy):
    """Enter where a close is beyond all of the last `lookback` bars, and leave by a stop that trails the best price.

    There is no other signal to leave: the stop rests `stop_atr` average true ranges off the entry, and from there
    follows the best price at `trail_atr` of them, all as they were at the entry. A profit at `take_profit_atr` of them,
    and an end after so many bars, can be asked for. A break the other way is not heeded while a position is open.

    Source: R. Donchian's channel breakouts; the stop in average true ranges is J. W. Wilder, "New Concepts in Technical
    Trading Systems" (1978), section 3, the one that hangs from the best price C. LeBeau's chandelier exit.
    """

    lookback: Annotated[int, Meta(ge=1, le=10_000)] = 48
    """Bars before this one that the close has to be beyond."""
    period: Annotated[int, Meta(ge=1, le=10_000)] = 14
    """Bars of the average true range."""
    stop_atr: Annotated[float, Meta(gt=0, le=100)] = 2.0
    """How many average true ranges the stop begins off the entry."""
    trail_atr: Annotated[float, Meta(ge=0, le=100)] = 3.0
    """How many it follows the best price at; 0 for a stop that stays."""
    take_profit_atr: Annotated[float, Meta(ge=0, le=1_000)] = 0.0
    """How many off the entry the profit is taken; 0 for never."""
    time_stop_bars: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """Bars after which a position is closed, whatever it is worth; 0 for never."""
    risk: Annotated[float, Meta(gt=0, le=1)] = 0.01
    """Fraction of the equity lost where a position is stopped before its stop has moved."""
    short: bool = True
    """Whether to trade breaks of the low, too."""

    def features(self) -> Mapping[str, Expression]:
        """Declare the break and the average true range."""
        return {"side": breakout(self.lookback), "atr": atr(self.period)}

    def on_bar(self, bar: Bar, f: Any, /) -> None:  # noqa: ANN401 - one float attribute per declared feature
        """Follow a break, unless there is a position."""
        side: float = f.side
        if self.position or not side or (side < 0.0 and not self.short):
            return
        quantity = self.fit(side * atr_risk(self.equity, f.atr, risk=self.risk, multiple=self.stop_atr))
        stop = bar.close - side * self.stop_atr * f.atr
        if quantity and stop > 0.0:
            exits = Exits(stop=stop)
            if self.trail_atr:
                exits["trail"] = self.trail_atr * f.atr
            take_profit = bar.close + side * self.take_profit_atr * f.atr
            if self.take_profit_atr and take_profit > 0.0:
                exits["take_profit"] = take_profit
            if self.time_stop_bars:
                exits["time_stop_bars"] = self.time_stop_bars
            self.bracket(quantity, **exits)
