"""What a tape tells beyond bars, for features that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import BookSnapshot, Quote, Trade
from strategies.features.needs import Told, told_by

if TYPE_CHECKING:
    from actors.messages import Message
    from replay.tape.external import ExternalSeries
    from replay.tape.series import Tape

_TICKS: dict[str, type[Message]] = {"trades": Trade, "quotes": Quote, "book": BookSnapshot}


def told_on(tape: Tape) -> Told:
    """Return what features can read on a tape; a recorded feed may have told anything of its symbols."""
    columns: dict[str, frozenset[str]] = {}
    for each in tape.series:
        kinds: tuple[str, ...] | None = () if each.ticks is None else getattr(each.ticks, "kinds", None)
        if kinds is not None:
            columns[each.symbol] = told_by({_TICKS[kind] for kind in kinds})
    values: set[str] = set()
    for series in () if tape.external is None else tape.external.series:
        if series.kind == "values":
            values.add(series.name)
        elif series.name in columns:
            columns[series.name] |= _columns(series)
    return Told(columns, frozenset(values))


def _columns(series: ExternalSeries) -> frozenset[str]:
    match series.kind:
        case "open_interest":
            valued = bool((series.numbers[1] > 0.0).any())
            return frozenset({"open_interest", "open_interest_value"} if valued else {"open_interest"})
        case "liquidations":
            return frozenset({"long_liquidations", "short_liquidations"})
        case _:
            return frozenset({series.kind})
