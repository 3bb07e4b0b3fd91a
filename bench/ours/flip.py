"""The strategies of the benches over sockets."""

from pitboss import Strategy, Trade

SIGNAL = 0.01
"""Quantity of a trade that is to be answered with an order."""


class Flip(Strategy):
    """Turns its position over, with a market order, on every trade of a certain quantity."""

    def on_start(self) -> None:
        """Begin flat."""
        self.long = False

    def on_trade(self, trade: Trade, /) -> None:
        """Turn over."""
        if trade.quantity == SIGNAL:
            self.long = not self.long
            self.target(0.001 if self.long else 0)


class Watch(Strategy):
    """Hears every trade, and does the least with it."""

    def on_start(self) -> None:
        """Begin to count."""
        self.volume = 0.0

    def on_trade(self, trade: Trade, /) -> None:
        """Count."""
        self.volume += trade.quantity
