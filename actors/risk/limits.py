"""Limits in force: what is configured, and tighter where somebody asked for it while trading ran.

A limit is tightened by its name below ``[risk]``: ``max_net``, ``symbols.BTC/USDT.max_position``,
``strategies.trend.max_strategy_gross``, ``groups.majors.max_group_net``. What only says how a rule is worked out (how
many bars it looks at, what it does when it is breached) is no limit, and changes with the configuration alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import msgspec

from config.errors import nearest
from config.hours import open_minutes
from config.risk import GroupRisk, Risk, StrategyRisk, SymbolRisk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from config.section import Section

_HOURS = "trading_hours"
_MORE_IS_TIGHTER = ("loss_cooldown_s", "funding_veto_minutes", "min_liquidation_distance")
_ON_MARGIN = ("max_margin", "min_liquidation_distance")
_TABLES: dict[str, type[Section]] = {"symbols": SymbolRisk, "strategies": StrategyRisk, "groups": GroupRisk}
OFF = "off"


class LimitError(ValueError):
    """A limit that cannot be tightened like that.

    Attributes:
        loosens: whether that is because it would not become tighter.
    """

    def __init__(self, message: str, *, loosens: bool = False) -> None:
        super().__init__(message)
        self.loosens = loosens


def _limit_names(kind: type[Section]) -> list[str]:
    """Return the fields of a table that are limits: those that can be off, and what widens one of them."""
    return [
        field.name
        for field in msgspec.structs.fields(kind)
        if type(None) in get_args(field.type) or field.name in (_HOURS, *_MORE_IS_TIGHTER)
    ]


NAMES: dict[str, list[str]] = {"": _limit_names(Risk)} | {name: _limit_names(kind) for name, kind in _TABLES.items()}
"""The limits of each table."""


def in_words(value: object) -> str:
    """Return a limit as people write it."""
    if value in (None, (), []):
        return OFF
    if isinstance(value, (list, tuple)):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def each_limit(limits: Risk) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of every limit, those that are off included, as they are named to be tightened."""
    for name in NAMES[""]:
        yield name, getattr(limits, name)
    for table in _TABLES:
        for key, section in getattr(limits, table).items():
            for name in NAMES[table]:
                yield f"{table}.{key}.{name}", getattr(section, name)


def each_setting(limits: Risk) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of everything there is to set, limits first."""
    yield from each_limit(limits)
    limited = (*NAMES[""], "actions", *_TABLES)
    yield from ((name, value) for name, value in msgspec.structs.asdict(limits).items() if name not in limited)
    yield from ((f"actions.{name}", value) for name, value in msgspec.structs.asdict(limits.actions).items())
    yield from ((f"groups.{name}.symbols", group.symbols) for name, group in limits.groups.items())


def active_limits(limits: Risk) -> list[str]:
    """Return the limits that are switched on, as ``name=value``."""
    extra = () if limits.max_consecutive_losses is not None else ("loss_cooldown_s",)
    return [
        f"{name}={in_words(value)}"
        for name, value in each_limit(limits)
        if in_words(value) != OFF and name not in extra
    ]


def value_of(limits: Risk, name: str) -> Any:  # noqa: ANN401 - a limit is a number or windows of the week
    """Return the value of a limit by its name; None where it is off, or its table is not there."""
    return dict(each_limit(limits)).get(name)


def tighten(limits: Risk, name: str, value: str, known: Mapping[str, Sequence[str]]) -> Risk:
    """Return `limits` with one of them tighter.

    Args:
        limits: those in force.
        name: which.
        value: what it shall be, as it is written in the settings.
        known: the symbols, strategies and contracts on margin there are, under ``symbols``, ``strategies``, ``margin``.

    Raises:
        LimitError: there is no such limit, the value is none it can have, or it is not tighter.
    """
    table, key, leaf = _split(limits, name, known)
    plain = msgspec.to_builtins(limits)
    place = plain[table].setdefault(key, {}) if table else plain
    place[leaf] = [value] if leaf == _HOURS else value
    try:
        wanted = msgspec.convert(plain, Risk, strict=False)
    except msgspec.ValidationError as error:
        what = str(error).partition(" - at `$")[0]
        message = f"{name}: {value} cannot be its value: {what}"
        raise LimitError(message) from error
    before, after = value_of(limits, name), value_of(wanted, name)
    if after == before:
        message = f"{name} is {in_words(before)} already"
        raise LimitError(message, loosens=True)
    if not _is_tighter(leaf, before, after):
        message = (
            f"{name} is {in_words(before)}, and {in_words(after)} would loosen it:"
            " a limit is loosened only by a restart with another configuration"
        )
        raise LimitError(message, loosens=True)
    return wanted


def carry_over(configured: Risk, wanted: Risk, in_force: Risk) -> Risk:
    """Return the limits in force under another configuration.

    A limit whose configured value is another now takes it; every other stays as it is in force, tightened or not.
    """
    before, now, there = dict(each_limit(configured)), dict(each_limit(wanted)), dict(each_limit(in_force))
    plain = msgspec.to_builtins(wanted)
    for name, value in there.items():
        if before.get(name) != now.get(name) or value == now.get(name):
            continue
        table, _, rest = name.partition(".")
        if not rest:
            plain[name] = msgspec.to_builtins(value)
            continue
        key, _, leaf = rest.rpartition(".")
        if table == "groups" and key not in plain[table]:
            continue
        plain[table].setdefault(key, {})[leaf] = msgspec.to_builtins(value)
    return msgspec.convert(plain, Risk)


def _split(limits: Risk, name: str, known: Mapping[str, Sequence[str]]) -> tuple[str, str, str]:
    """Return (table, key in it, field) of a limit; the first two are empty for one of the account."""
    table, _, rest = name.partition(".")
    if not rest:
        if name not in NAMES[""]:
            message = f"there is no limit {name}{nearest(name, NAMES[''])}"
            raise LimitError(message)
        if name in _ON_MARGIN and not known["margin"]:
            message = f"{name}: there are no contracts on margin"
            raise LimitError(message)
        return "", "", name
    if table == "risk":
        message = f"limits are called by their names below [risk]: write {rest}"
        raise LimitError(message)
    if table not in _TABLES:
        message = f"there is no table {table} of limits{nearest(table, _TABLES)}"
        raise LimitError(message)
    key, _, leaf = rest.rpartition(".")
    keys = list(limits.groups) if table == "groups" else known[table]
    if key not in keys:
        message = f"{name}: there is no {key or rest} among the {table}{nearest(key or rest, keys)}"
        raise LimitError(message)
    if leaf not in NAMES[table]:
        message = f"there is no limit {name}{nearest(leaf, NAMES[table])}"
        raise LimitError(message)
    return table, key, leaf


def _is_tighter(leaf: str, before: Any, after: Any) -> bool:  # noqa: ANN401 - both of the field's own type
    if leaf == _HOURS:
        return bool(after) and (not before or not open_minutes(after) & ~open_minutes(before))
    if after is None:
        return False
    if before is None:
        return True
    return bool(after > before if leaf in _MORE_IS_TIGHTER else after < before)
