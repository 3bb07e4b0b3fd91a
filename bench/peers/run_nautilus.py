"""W1 in nautilus_trader: its low-level BacktestEngine over bars, a cash account, a spot venue.

At its best setting: logging bypassed and no analysis after the run (its statistics are quadratic in
closed positions). Bypassing the risk engine or the message queue changes nothing measurable, and
hedging in place of netting did not finish in ten minutes.
"""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy
from peer import FAST_PERIOD, QUANTITY, SLOW_PERIOD, Stopwatch, read_tape, task


class EmaCross(Strategy):
    """Long 0.1 on the cross up, flat on the cross down; an order meets the close it saw."""

    def __init__(self, instrument: Instrument, bar_type: BarType) -> None:
        super().__init__()
        self.instrument = instrument
        self.bar_type = bar_type
        self.quantity = instrument.make_qty(Decimal(str(QUANTITY)))
        self.averages = [
            ExponentialMovingAverage(FAST_PERIOD),
            ExponentialMovingAverage(SLOW_PERIOD),
        ]
        self.fast, self.slow = self.averages
        self.first_closes: list[float] = []
        self.previous_gap = 0.0
        self.is_long = False
        self.fill_count = 0

    def on_start(self) -> None:
        """Subscribe."""
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Decide on the newest bar."""
        if len(self.first_closes) < SLOW_PERIOD:
            self.warm_up(bar)
            return
        gap = self.fast.value - self.slow.value
        if gap > 0.0:
            if self.previous_gap <= 0.0 and not self.is_long:
                self.trade(OrderSide.BUY)
        elif gap < 0.0 and self.previous_gap >= 0.0 and self.is_long:
            self.trade(OrderSide.SELL)
        self.previous_gap = gap

    def warm_up(self, bar: Bar) -> None:
        """Seed each native average with a simple mean, then register it with the engine."""
        self.first_closes.append(bar.close.as_double())
        for average in self.averages:
            if len(self.first_closes) == average.period:
                average.update_raw(sum(self.first_closes) / average.period)
                self.register_indicator_for_bars(self.bar_type, average)
        self.previous_gap = self.fast.value - self.slow.value

    def trade(self, side: OrderSide) -> None:
        """Send a market order."""
        self.submit_order(self.order_factory.market(self.instrument.id, side, self.quantity))
        self.is_long = side == OrderSide.BUY

    def on_order_filled(self, event: OrderFilled) -> None:  # noqa: ARG002
        """Count the fills."""
        self.fill_count += 1


def main() -> None:
    """Run W1 and print one JSON line."""
    asked = task()
    instrument = TestInstrumentProvider.btcusdt_binance()
    bar_type = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")
    watch = Stopwatch()
    frame = read_tape(asked.tape)
    close = float(frame["close"].iloc[-1])
    bars = BarDataWrangler(bar_type, instrument).process(frame)
    watch.data_ready()
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
    engine.add_venue(instrument.id.venue, OmsType.NETTING, AccountType.CASH, [Money(asked.cash, USDT)])
    engine.add_instrument(instrument)
    engine.add_data(bars)
    strategy = EmaCross(instrument, bar_type)
    engine.add_strategy(strategy)
    engine.run()
    account = engine.portfolio.account(instrument.id.venue)
    held = account.balance_total(BTC)
    watch.report(
        "nautilus_trader",
        bars=len(bars),
        fills=strategy.fill_count,
        final_equity=account.balance_total(USDT).as_double() + (held.as_double() * close if held else 0.0),
    )
    engine.dispose()


if __name__ == "__main__":
    main()
