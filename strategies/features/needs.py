"""What expressions read beyond bars, and the refusal of what nobody will ever tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.messages import BookSnapshot, Funding, Liquidation, Mark, OpenInterest, Quote, Trade
from config.errors import UserError, nearest
from strategies.features.channels import TOLD_BY
from strategies.indicators.expression import Column, Expression, Placed, Published

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from actors.messages import Message


class Told(msgspec.Struct, frozen=True):
    """What a tape or a feed tells beyond bars."""

    columns: dict[str, frozenset[str]]
    """By symbol; one that is left out may tell anything."""
    series: frozenset[str] = frozenset()
    """External series, by name."""
    is_live: bool = False
    """Whether it is an exchange's feed."""

    def check(self, declared: Mapping[str, Expression], symbol: str) -> None:
        """Refuse features that would never have a value.

        Args:
            declared: expressions by feature.
            symbol: whose bars they are declared on.

        Raises:
            UserError: nobody tells what one of them reads; it says how to get it.
        """
        seen: dict[tuple[str, int], Expression] = {}
        for feature, expression in declared.items():
            for where, name in reads(expression, symbol, seen):
                if where is None and name not in self.series:
                    message = f"feature {feature}: {self._no_series(name)}"
                    raise UserError(message)
                if where in self.columns and name not in self.columns[where]:
                    message = f"feature {feature}: nothing tells {name} of {where}: {self._remedy(where, name)}"
                    raise UserError(message)

    def _no_series(self, name: str) -> str:
        missing = f'there is no series "{name}"{nearest(name, self.series)}'
        if self.is_live:
            return f"{missing}: a live feed has no external series"
        return f"{missing}: give it with --series {name}=FILE"

    def _remedy(self, symbol: str, name: str) -> str:
        kind = TOLD_BY[name]
        if self.is_live:
            stream = STREAMS.get(kind)
            return f"add {stream} to exchange.streams" if stream else "a live feed does not tell it"
        if kind in _TICKS:
            return f"play a tape of {_TICKS[kind]}, such as --tape {_TICKS[kind]}:VENUE:{symbol}"
        if name == "index":
            return "a series of marks has none"
        return f"give it with --series {symbol}=FILE, a file of {_SERIES[kind]}"


STREAMS: dict[type[Message], str] = {
    Trade: "trades",
    Quote: "quotes",
    BookSnapshot: "book",
    Mark: "mark",
    Funding: "funding",
}
"""What `exchange.streams` has to name for a message to come."""

_TICKS: dict[type[Message], str] = {Trade: "trades", Quote: "quotes", BookSnapshot: "book"}
_SERIES: dict[type[Message], str] = {
    Mark: "mark prices",
    Funding: "funding rates",
    OpenInterest: "open interest",
    Liquidation: "liquidations",
}


def told_by(kinds: set[type[Message]]) -> frozenset[str]:
    """Return the columns that messages of these kinds tell."""
    best = {name for name, kind in TOLD_BY.items() if kind is Quote} if BookSnapshot in kinds else set()
    return frozenset({name for name, kind in TOLD_BY.items() if kind in kinds} | best)


def reads(
    expression: Expression, symbol: str, seen: dict[tuple[str, int], Expression] | None = None
) -> Iterator[tuple[str | None, str]]:
    """Yield what an expression on a symbol's bars reads beyond bars: (symbol, column), or (None, external series).

    What is in `seen` is left out, and what is looked at put there: by its place in memory, see `FeatureGraph.add`.
    """
    seen = {} if seen is None else seen
    waiting = [(symbol, expression)]
    while waiting:
        where, what = waiting.pop()
        if (where, id(what)) in seen:
            continue
        seen[where, id(what)] = what
        match what:
            case Published(series):
                yield None, series
            case Column(name):
                if name in TOLD_BY:
                    yield where, name
            case Placed(of, _, other):
                waiting.append((other or where, of))
            case _:
                waiting.extend((where, part) for part in reversed(what.parts))
