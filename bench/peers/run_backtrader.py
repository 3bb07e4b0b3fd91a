"""W1 in backtrader: its own EMA and CrossOver, the default broker, no observers."""

from __future__ import annotations

import backtrader as bt
from peer import FAST_PERIOD, QUANTITY, SLOW_PERIOD, TAKER_FEE, Stopwatch, read_tape, task


class EmaCross(bt.Strategy):
    """Long 0.1 on the cross up, flat on the cross down; market orders fill at the next open."""

    def __init__(self) -> None:
        fast = bt.ind.EMA(period=FAST_PERIOD)
        slow = bt.ind.EMA(period=SLOW_PERIOD)
        self.cross = bt.ind.CrossOver(fast, slow)
        self.fill_count = 0

    def notify_order(self, order: bt.Order) -> None:
        """Count the fills."""
        self.fill_count += order.status == order.Completed

    def next(self) -> None:
        """Decide on the newest bar."""
        if not self.position:
            if self.cross > 0:
                self.buy(size=QUANTITY)
        elif self.cross < 0:
            self.close()


def main() -> None:
    """Run W1 and print one JSON line."""
    asked = task()
    watch = Stopwatch()
    frame = read_tape(asked.tape)
    frame.index = frame.index.tz_localize(None)
    watch.data_ready()
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(EmaCross)
    cerebro.broker.setcash(asked.cash)
    cerebro.broker.setcommission(commission=TAKER_FEE)
    (strategy,) = cerebro.run()
    watch.report(
        "backtrader",
        bars=len(frame),
        fills=strategy.fill_count,
        final_equity=cerebro.broker.getvalue(),
    )


if __name__ == "__main__":
    main()
