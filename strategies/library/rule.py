"""Rules without code: when to enter and when to leave, as expressions in a configuration file."""

from collections.abc import Mapping
from math import isnan
from typing import Annotated, Any

from msgspec import Meta

from actors.messages import Bar
from config.errors import UserError
from strategies.base import Strategy
from strategies.features.text import parse
from strategies.indicators import Expression
from strategies.indicators.expression import single

_RULES = ("entry", "exit", "short_entry", "short_exit")


class Rule(Strategy):
    """Hold `quantity` from where `entry` is true until `exit` is, and go short by the other two.

    A rule is an expression (`strategies.features.text`), such as ``crossed_above(ema(10), ema(50)) and rsi(14) < 70``.
    It is true where it is neither 0 nor NaN. On a bar where both are, leaving goes before entering. Without an `exit`
    the position is held until the opposite entry.

        [[strategies]]
        use = "rule"
        params = { entry = "close > highest(20).lag()", exit = "close < ema(50)", quantity = 0.5 }
    """

    entry: Annotated[str, Meta(max_length=10_000)] = "crossed_above(ema(10), ema(20))"
    """When to go long."""
    exit: Annotated[str, Meta(max_length=10_000)] = "crossed_below(ema(10), ema(20))"
    """When to leave a long position."""
    short_entry: Annotated[str, Meta(max_length=10_000)] = ""
    """When to go short; never unless given."""
    short_exit: Annotated[str, Meta(max_length=10_000)] = ""
    """When to leave a short position."""
    quantity: Annotated[float, Meta(gt=0)] = 0.1
    """Base units to hold while in a position."""

    def features(self) -> Mapping[str, Expression]:
        """Declare each rule that is given.

        Raises:
            UserError: one is no expression; names the rule, and the place in it.
        """
        declared: dict[str, Expression] = {}
        for name in _RULES:
            text: str = getattr(self, name)
            if text.strip():
                try:
                    declared[name] = single(parse(text))
                except ValueError as error:
                    message = f"parameter {name}: {error}"
                    raise UserError(message) from error
        return declared

    def on_start(self) -> None:
        """Know which rules there are."""
        self.given = tuple(name for name in _RULES if getattr(self, name).strip())

    def on_bar(self, _: Bar, f: Any, /) -> None:  # noqa: ANN401 - one float attribute per declared feature
        """Leave where the rule says so, else enter."""
        position = self.position
        holds = 1 if position > 0 else -1 if position < 0 else 0
        wanted = holds
        if (holds > 0 and self._says("exit", f)) or (holds < 0 and self._says("short_exit", f)):
            wanted = 0
        elif self._says("entry", f):
            wanted = 1
        elif self._says("short_entry", f):
            wanted = -1
        if wanted != holds:
            self.target(wanted * self.quantity)

    def _says(self, name: str, f: Any) -> bool:  # noqa: ANN401 - see `on_bar`
        if name not in self.given:
            return False
        value: float = getattr(f, name)
        return value != 0.0 and not isnan(value)
