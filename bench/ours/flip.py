"""The strategy of the reaction bench: one market order on every bar, in and out."""

from typing import Any

from pitboss import Bar, Strategy


class Flip(Strategy):
    """Holds on every other bar."""

    def on_start(self) -> None:
        """Begin flat."""
        self.long = False

    def on_bar(self, _bar: Bar, _features: Any, /) -> None:  # noqa: ANN401 - a row without indicators
        """Turn over."""
        self.long = not self.long
        self.target(0.001 if self.long else 0)
