"""What a core is built of, and what is kept of it; read through `actors.system`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.features import Subscription

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from actors.features import FeaturePort
    from actors.instrument import Instrument
    from actors.ledger import Account
    from actors.strategy_port import StrategyPort

EDITION = 1
"""Of the rules of decision. A session goes on by those it began with; what is new holds for new ones.

1: In a pause or a halt nothing opens, not even what an exit given then displaces. Orders that only reduce are kept
within their books where the venue does not see to that. A timer that comes up late ends no bar of a higher timeframe,
and none is told twice.
"""


class SeriesPlan(msgspec.Struct, frozen=True):
    """One series of market data the core will be given."""

    symbol: str
    timeframe_ns: int
    ticks: bool = False
    """Whether the simulated venue matches on what comes between its bars."""


class StrategyPlan(msgspec.Struct, frozen=True):
    """One strategy the core will run."""

    id: str
    symbol: str
    timeframe_ns: int
    strategy: StrategyPort
    features: FeaturePort
    history_bars: int = 0
    """Bars of the time before the session it wants to see, beyond those its features take."""
    others: tuple[tuple[str, FeaturePort], ...] = ()
    """Its further symbols, with its features of each."""

    @property
    def series(self) -> tuple[tuple[str, FeaturePort], ...]:
        """All its symbols with its features of each, the first one first."""
        return ((self.symbol, self.features), *self.others)


class History(msgspec.Struct, frozen=True):
    """What a session wants to know of one symbol's time before it."""

    bars: int
    """Of the series' own timeframe."""
    strategies: tuple[str, ...]
    """Who wants them."""


class CoreSnapshot(msgspec.Struct, frozen=True):
    """The whole core between two inputs."""

    version: int
    seq: int
    now_ns: int
    digest: bytes
    timers: list[tuple[str, str, int]]
    counts: dict[str, int]
    actors: dict[str, bytes]


def book_of(instrument: Instrument, strategy: str, account: Account) -> tuple[Instrument, int, int]:
    """Return what a strategy's desk needs of one symbol: its units, and what is held of it at which cost."""
    held = [each for each in account.holdings if (each.strategy, each.symbol) == (strategy, instrument.symbol)]
    return instrument, sum(each.quantity_lots for each in held), sum(each.cost_atoms for each in held)


def rests_alone(
    plan: StrategyPlan, instruments: Mapping[str, Instrument], books: Collection[tuple[str, str]], *, real: bool
) -> frozenset[str]:
    """Return a strategy's symbols of which two exits for the same lots could both fill: nobody would cut the second."""
    shared = {symbol for symbol, _ in plan.series if real and sum(symbol == held for _, held in books) > 1}
    return frozenset(symbol for symbol, _ in plan.series if symbol in shared or instruments[symbol].spec.long_only)


def subscriptions_of(plan: StrategyPlan, base: Mapping[str, int]) -> list[Subscription]:
    """Return what a strategy wants told of each of its symbols; `base` are the lengths of these' bars."""
    slice_of = tuple(symbol for symbol, _ in plan.series) if plan.strategy.hears("on_slice") else ()
    return [
        Subscription(
            plan.id,
            symbol,
            plan.timeframe_ns,
            features,
            aggregate=plan.timeframe_ns != base[symbol],
            history_bars=plan.history_bars,
            slice_of=slice_of,
        )
        for symbol, features in plan.series
    ]
