"""W1 in backtesting.py: `self.I`, `crossover`, and the fractional engine for lots of 0.1."""

from __future__ import annotations

from backtesting import Strategy
from backtesting.lib import FractionalBacktest, crossover
from peer import FAST_PERIOD, QUANTITY, SLOW_PERIOD, TAKER_FEE, Stopwatch, ema, read_tape, task


class EmaCross(Strategy):
    """Long one unit of 0.1 on the cross up, flat on the cross down; fills at the next open."""

    def init(self) -> None:
        """Declare the averages; the engine computes them once over the whole tape."""
        self.fast = self.I(ema, self.data.Close, FAST_PERIOD)
        self.slow = self.I(ema, self.data.Close, SLOW_PERIOD)

    def next(self) -> None:
        """Decide on the newest bar."""
        if crossover(self.fast, self.slow):
            self.buy(size=1)
        elif crossover(self.slow, self.fast):
            self.position.close()


def main() -> None:
    """Run W1 and print one JSON line."""
    asked = task()
    watch = Stopwatch()
    frame = read_tape(asked.tape).rename(columns=str.capitalize)
    frame.index = frame.index.tz_localize(None)
    watch.data_ready()
    backtest = FractionalBacktest(frame, EmaCross, cash=asked.cash, commission=TAKER_FEE, fractional_unit=QUANTITY)
    result = backtest.run()
    open_count = len(result["_strategy"].trades)
    watch.report(
        "backtesting",
        bars=len(frame),
        fills=2 * len(result["_trades"]) + open_count,
        final_equity=float(result["Equity Final [$]"]),
    )


if __name__ == "__main__":
    main()
