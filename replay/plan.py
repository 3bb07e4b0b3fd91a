"""The plan of a session: everything that decides what its core will do, and how to build that core.

A live session keeps its plan in the journal, so that any later process can build the same core again
from what was stored, whatever has happened to the user's files since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actors.features import SeriesKey
from actors.instrument import Instrument, InstrumentSpec, to_atoms
from actors.ledger import Account, Holding
from actors.system import EDITION, Core, SeriesPlan, StrategyPlan
from config.alerts import Alerts
from config.errors import UserError, nearest
from config.schema import Settings
from config.symbols import check_quotes
from strategies.features.graph import FeatureGraph
from strategies.features.rows import FeatureRows
from strategies.indicators.expression import Expression
from strategies.loader import StrategySource, all_params, load_class, make_strategy, read_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.runtime.scheduler import Table
    from config.risk import Risk as Limits
    from config.schema import StrategyEntry
    from strategies.base import Strategy
    from strategies.features.needs import Told

SIMULATED_NONCE = "sim"
"""Order ids at the simulated venue need no secret: it is born with the session. They are then equal in a
replay and in the live paper session over the same tape."""

Param = bool | int | float | str


class StrategyRecord(msgspec.Struct, frozen=True):
    """One strategy, as a plan keeps it."""

    id: str
    source: StrategySource
    params: dict[str, Param]
    symbol: str
    timeframe_ns: int
    further: tuple[str, ...] = ()
    """Its other symbols, in order."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols it trades, in order."""
        return (self.symbol, *self.further)


class MarketSeries(msgspec.Struct, frozen=True):
    """One series of a live feed."""

    symbol: str
    timeframe_ns: int
    instrument: InstrumentSpec
    first_open_ns: int
    ticks: bool = False
    """Whether the simulated venue matches on what comes between its bars."""


class Markets(Protocol):
    """What a plan needs to know of its market data: a tape, or a live feed."""

    @property
    def series(self) -> Sequence[Any]:
        """Series with the attributes of `MarketSeries`, in order."""

    @property
    def fingerprint(self) -> str:
        """What tells these markets from others."""


class SessionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a session."""

    settings: Settings
    series: list[SeriesPlan]
    instruments: list[InstrumentSpec]
    strategies: list[StrategyRecord]
    tape: str
    """The tape's name, for people."""
    tape_fingerprint: str
    start_ns: int
    account: Account
    nonce: str = SIMULATED_NONCE
    real: bool = False
    """Whether its orders leave for a real venue."""
    edition: int = 0
    """Of the rules of decision it goes by; 0 of sessions from before there were several."""


def plan_session(
    settings: Settings,
    markets: Markets,
    account: Account | None = None,
    tape_name: str = "",
    *,
    nonce: str = SIMULATED_NONCE,
    real: bool = False,
) -> SessionPlan:
    """Return the plan of a session of the settings' strategies over `markets`.

    Args:
        settings: all of them.
        markets: a tape or a live feed.
        account: what the session starts from; the settings' cash unless given.
        tape_name: the name of the markets, for people.
        nonce: the session's part of client order ids.
        real: whether orders leave for a real venue.

    Raises:
        UserError: a strategy, parameter or symbol that does not exist, also in limits, or several quote currencies.
    """
    try:
        check_quotes(one.symbol for one in markets.series)
    except ValueError as error:
        raise UserError(str(error)) from error
    if not real:
        _check_margin(settings, {one.symbol: one.instrument for one in markets.series})
    series = [SeriesPlan(one.symbol, one.timeframe_ns, bool(one.ticks)) for one in markets.series]
    base = {plan.symbol: plan.timeframe_ns for plan in series}
    told: Told | None = getattr(markets, "told", None)
    records: list[StrategyRecord] = []
    for entry in settings.strategies:
        record = _plan_strategy(entry, base, told)
        if any(other.id == record.id for other in records):
            message = f"two strategies are called {record.id}; give one of them another id"
            raise UserError(message)
        records.append(record)
    _check_limits(settings.risk, list(base), [record.id for record in records])
    leverage = settings.exchange.leverage if real else settings.venue.leverage
    if leverage is None or not any(one.instrument.contract for one in markets.series):
        _check_without_margin(settings.risk, "exchange.leverage" if real else "venue.leverage")
    return SessionPlan(
        settings=journaled(settings),
        series=series,
        instruments=[one.instrument for one in markets.series],
        strategies=records,
        tape=tape_name,
        tape_fingerprint=markets.fingerprint,
        start_ns=_start_ns(markets),
        account=account or Account(to_atoms(settings.account.cash)),
        nonce=nonce,
        real=real,
        edition=EDITION,
    )


def journaled(settings: Settings) -> Settings:
    """Return settings as a journal may have them: without secrets, and without whom to tell, which is no part of it.

    What a strategy's parameters hold stays: without it nothing could be decided again.
    """
    return msgspec.structs.replace(settings, alerts=Alerts(), exchange=settings.exchange.without_secrets())


def _check_limits(limits: Limits, symbols: Sequence[str], strategies: Sequence[str]) -> None:
    """Refuse limits of what the session does not have.

    Raises:
        UserError: names the table and the nearest name there is.
    """
    named = [(f"risk.symbols.{symbol}", symbol, "symbol", symbols) for symbol in limits.symbols]
    named += [(f"risk.strategies.{name}", name, "strategy", strategies) for name in limits.strategies]
    for group, members in limits.groups.items():
        named += [(f"risk.groups.{group}.symbols", symbol, "symbol", symbols) for symbol in members.symbols]
    for where, name, kind, known in named:
        if name not in known:
            message = f"{where}: the session has no {kind} {name}{nearest(name, known)}"
            raise UserError(message)


def _check_margin(settings: Settings, instruments: Mapping[str, InstrumentSpec]) -> None:
    """Refuse settings of margin that would mean nothing.

    Raises:
        UserError: nothing is a contract, or settings are for a symbol there is not.
    """
    leverage, named = settings.venue.leverage, settings.venue.contracts
    contracts = [symbol for symbol, spec in instruments.items() if spec.contract]
    if leverage is not None and not contracts:
        message = (
            f"venue.leverage {leverage}: none of {', '.join(instruments)} is a contract: set instrument.contract = true"
            ", or lay what was paid of funding beside the tape (--series)"
        )
        raise UserError(message)
    for symbol in named:
        if symbol not in contracts:
            message = f"venue.contracts: there is no contract {symbol}{nearest(symbol, contracts)}"
            raise UserError(message)


def _check_without_margin(limits: Limits, leverage: str) -> None:
    """Refuse limits on margin where nothing is held on it."""
    for name in ("max_margin", "min_liquidation_distance"):
        if getattr(limits, name) is not None:
            message = (
                f"risk.{name}: the session has no contracts on margin; they take {leverage}, and a contract to trade"
            )
            raise UserError(message)


def _start_ns(markets: Markets) -> int:
    """Return the time before the first input: a tape may tell something before its first bar opens."""
    told: int | None = getattr(markets, "start_ns", None)
    return min((one.first_open_ns for one in markets.series), default=0) if told is None else told


def check_strategies(settings: Settings) -> None:
    """Make every strategy and start its indicators once: mistakes show before a tape is read, and kernels are loaded.

    Raises:
        UserError: a strategy or parameter that does not exist, or features that cannot be declared.
    """
    for entry in settings.strategies:
        kind = load_class(read_source(entry.use))
        label = entry.id or entry.use
        declared = _declared(make_strategy(kind, entry.params, label), label)
        _rows(declared, FeatureGraph(None), SeriesKey("", 0), label)


def declared_by(entry: StrategyEntry) -> tuple[dict[str, Expression], str | None]:
    """Return the features a strategy declares, and the timeframe it decides on, None for that of its tape.

    Raises:
        UserError: as `check_strategies`.
    """
    kind = load_class(read_source(entry.use))
    label = entry.id or entry.use
    declared = _declared(make_strategy(kind, entry.params, label), label)
    return declared, kind.timeframe


def build_core(plan: SessionPlan, observers: Table | None = None) -> Core:
    """Return the core of `plan`, not yet started.

    Raises:
        UserError: the strategy's kept code no longer runs here.
    """
    strategies: list[StrategyPlan] = []
    graph = FeatureGraph({series.symbol: series.timeframe_ns for series in plan.series})
    for record in plan.strategies:
        strategy = make_strategy(load_class(record.source), record.params, record.id)
        declared = _declared(strategy, record.id)
        first, *further = (
            _rows(declared, graph, SeriesKey(symbol, record.timeframe_ns), record.id) for symbol in record.symbols
        )
        strategies.append(
            StrategyPlan(
                record.id,
                record.symbol,
                record.timeframe_ns,
                strategy,
                first,
                strategy.warmup,
                tuple(zip(record.further, further, strict=True)),
            )
        )
    return Core(
        plan.settings,
        {spec.symbol: Instrument(spec) for spec in plan.instruments},
        plan.series,
        strategies,
        plan.account,
        nonce=plan.nonce,
        start_ns=plan.start_ns,
        real=plan.real,
        engine=graph,
        observers=observers,
        edition=plan.edition,
    )


def start_core(core: Core) -> None:
    """Run the strategies' own starts.

    Raises:
        UserError: a start that fails, or leaves something behind that cannot be kept.
    """
    for actor in core.strategies:
        try:
            actor.start()
        except Exception as error:
            message = f"strategy {actor.id}: on_start: {type(error).__name__}: {error}"
            raise UserError(message) from error


def inherited(account: Account) -> Account:
    """Return the account a new session starts from: positions and cash stay, the counters begin anew."""
    return Account(
        account.cash_atoms,
        [
            Holding(held.strategy, held.symbol, held.quantity_lots, held.cost_atoms)
            for held in account.holdings
            if held.quantity_lots
        ],
        [other for other in account.others if other.amount_atoms or other.value_atoms],
        dict(account.funded_ns),
        dict(account.set_aside),
        account.begun,
    )


def difference(kept: SessionPlan, wanted: SessionPlan) -> str | None:
    """Return in words what `wanted` would change about the session `kept`, or None.

    Its limits may be changed: a session is told of it by an input (`LimitsConfigured`).
    """
    if kept.real != wanted.real:
        return "it trades for real, and paper was asked for" if kept.real else "it trades on paper, not for real"
    if kept.tape_fingerprint != wanted.tape_fingerprint:
        return f"the tape differs: {kept.tape} then, {wanted.tape} now"
    if not kept.real and any(
        before.ticks and not after.ticks for before, after in zip(kept.series, wanted.series, strict=True)
    ):
        return "its orders are matched on trades, and the feed now has none (exchange.streams)"
    for before, after in zip(kept.instruments, wanted.instruments, strict=True):
        if before != after and not (kept.real and _is_one_market(before, after)):
            return f"the rules of {after.symbol} have changed: {_changes(before, after)}"
    if [record.id for record in kept.strategies] != [record.id for record in wanted.strategies]:
        return "the strategies differ"
    for then, now in zip(kept.strategies, wanted.strategies, strict=True):
        other = _strategy_difference(then, now)
        if other is not None:
            return other
    for name in ("account", "venue", "instrument", "market", "supervision"):
        if getattr(kept.settings, name) != getattr(wanted.settings, name):
            return f"the settings [{name}] differ"
    return None


def _is_one_market(before: InstrumentSpec, after: InstrumentSpec) -> bool:
    """Return whether only the venue's rules differ: a real session goes on by its own, and is told of the new ones."""
    names = ("symbol", "base", "quote", "long_only", "contract")
    return all(getattr(before, name) == getattr(after, name) for name in names)


def _changes(before: InstrumentSpec, after: InstrumentSpec) -> str:
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in before.__struct_fields__]
    return ", ".join(f"{name} {then} then, {now} now" for name, then, now in pairs if then != now)


def _strategy_difference(then: StrategyRecord, now: StrategyRecord) -> str | None:
    if then.source.use != now.source.use:
        return f"strategy {then.id} was {then.source.use}, now {now.source.use}"
    if then.source.code != now.source.code:
        return f"the file of strategy {then.id} has changed"
    if then.symbols != now.symbols:
        return f"strategy {then.id} traded {', '.join(then.symbols)}, now {', '.join(now.symbols)}"
    if then.timeframe_ns != now.timeframe_ns:
        return f"strategy {then.id} decides on another timeframe"
    for name, value in now.params.items():
        if then.params.get(name) != value:
            return f"parameter {name} of {then.id} was {then.params.get(name)}, now {value}"
    return None


def _plan_strategy(entry: StrategyEntry, base: Mapping[str, int], told: Told | None) -> StrategyRecord:
    source = read_source(entry.use)
    kind = load_class(source)
    identity = entry.id or (entry.use if source.code is None else kind.__name__)
    symbols = _symbols(entry, kind, identity, base)
    strategy = make_strategy(kind, entry.params, identity)
    declared = _declared(strategy, identity)
    if type(kind.warmup) is not int or kind.warmup < 0:
        message = f"strategy {identity}: warmup must be a number of bars, not {kind.warmup!r}"
        raise UserError(message)
    for symbol in symbols:
        _check_told(told, declared, symbol, identity)
    timeframes_ns = {symbol: _timeframe_ns(kind.timeframe, base[symbol], identity) for symbol in symbols}
    if len(set(timeframes_ns.values())) > 1:
        message = f"strategy {identity}: its symbols have bars of different lengths; set timeframe in its class"
        raise UserError(message)
    first, *further = symbols
    return StrategyRecord(identity, source, all_params(strategy), first, timeframes_ns[first], tuple(further))


def _symbols(entry: StrategyEntry, kind: type[Strategy], identity: str, base: Mapping[str, int]) -> tuple[str, ...]:
    """Return what a strategy trades, in order: what its entry names, or as many of the first as its class wants."""
    wanted: object = kind.markets
    if wanted is not None and (type(wanted) is not int or wanted < 1):
        message = f"strategy {identity}: markets must be a number of symbols, or None for all, not {wanted!r}"
        raise UserError(message)
    if entry.symbol is not None and entry.symbols:
        message = f"strategy {identity}: give symbol or symbols, not both"
        raise UserError(message)
    symbols = entry.symbols or ((entry.symbol,) if entry.symbol is not None else tuple(base)[: kind.markets])
    for symbol in symbols:
        if symbol not in base:
            message = f"strategy {identity}: no tape for {symbol}{nearest(symbol, base)}"
            raise UserError(message)
        if symbols.count(symbol) > 1:
            message = f"strategy {identity}: {symbol} is named twice"
            raise UserError(message)
    if kind.markets not in (None, len(symbols)):
        there = f"{len(symbols)} {'is' if len(symbols) == 1 else 'are'} there: {', '.join(symbols)}"
        message = f"strategy {identity}: it trades {kind.markets} symbol{'s' * (kind.markets != 1)}, and {there}"
        raise UserError(message)
    return symbols


def _timeframe_ns(timeframe: object, base_ns: int, identity: str) -> int:
    if timeframe is None:
        return base_ns
    if not isinstance(timeframe, str):
        message = f"strategy {identity}: timeframe must be text such as '15m', not {timeframe!r}"
        raise UserError(message)
    from replay.tape import format_timeframe, parse_timeframe

    wanted_ns = parse_timeframe(timeframe)
    if wanted_ns < base_ns or wanted_ns % base_ns:
        message = f"strategy {identity}: {timeframe} bars cannot be built from {format_timeframe(base_ns)} bars"
        raise UserError(message)
    return wanted_ns


def _check_told(told: Told | None, declared: Mapping[str, Expression], symbol: str, identity: str) -> None:
    try:
        if told is not None:
            told.check(declared, symbol)
    except UserError as error:
        message = f"strategy {identity}: {error}"
        raise UserError(message) from error


def _rows(declared: Mapping[str, Expression], graph: FeatureGraph, series: SeriesKey, identity: str) -> FeatureRows:
    try:
        return FeatureRows(declared, graph, series)
    except UserError as error:
        message = f"strategy {identity}: {error}"
        raise UserError(message) from error


def _declared(strategy: Strategy, identity: str) -> dict[str, Expression]:
    try:
        found: object = strategy.features()
    except UserError as error:
        message = f"strategy {identity}: {error}"
        raise UserError(message) from error
    except Exception as error:
        message = f"strategy {identity}: features(): {type(error).__name__}: {error}"
        raise UserError(message) from error
    declared: dict[str, Expression] = {}
    for name, expression in found.items() if isinstance(found, dict) else [("", found)]:
        if not isinstance(name, str) or not isinstance(expression, Expression):
            message = f"strategy {identity}: features() must return features by name, such as {{'fast': ema(10)}}"
            raise UserError(message)
        declared[name] = expression
    return declared
