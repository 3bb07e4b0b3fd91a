"""Which column of a file is which of a series, by their names or by their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from config.errors import UserError, nearest
from replay.tape.importing.names import (
    ALIASES,
    DETECTED,
    HEADERS,
    MONEY_NAMES,
    POSITIONAL,
    SIDE_WORDS,
    SYMBOL_NAMES,
    TIME_NAMES,
    Positional,
    folded,
)
from replay.tape.importing.times import unit_of
from replay.tape.kinds import KINDS

if TYPE_CHECKING:
    from replay.tape.importing.head import Head

_MAKER_NAMES = frozenset({"isbuyermaker", "buyermaker", "m"})
_BARLIKE = frozenset({"mark", "index", "premium"})
_MAY_LACK = {"trades": {"side"}, "book": {"seq", "snapshot"}, "values": {"published"}} | {
    kind: {"volume"} for kind in _BARLIKE
}
"""What a kind has and a file need not: it is filled in, and said."""
_FILLED = {
    "side": "no side of the taker: unknown",
    "seq": "no numbers of messages: changes of one instant are one message",
    "snapshot": "no mark of snapshots: every row is a change",
    "volume": "no volume: zero",
}
_SOUND_MIN = 0.9
"""Share of bars whose high and low must be such for a layout to fit."""
_OHL = frozenset({"open", "high", "low"})
"""Columns that make rows bars, whatever else there is or lacks."""
_HOURS = frozenset({"1", "2", "4", "6", "8", "12", "24"})
_NAMES_SHOWN = 12
_NAME_SHOWN = 24


class Mapping(msgspec.Struct, frozen=True):
    """The columns of a series and where in the file they are."""

    layout: str
    kind: str
    places: dict[str, int]
    makers: frozenset[str] = frozenset()
    """Columns that hold whether the buyer was the maker."""
    notes: tuple[str, ...] = ()


def by_names(head: Head, where: str, kind: str | None, layout: str | None, hint: str | None) -> Mapping:
    """Return the mapping of columns that have names.

    Raises:
        UserError: a column that the kind needs is not there, or there twice.
    """
    names = head.names or ()
    found = _folded(names)
    symbol = _symbol(head, found)
    known, known_kind = _known(set(found), layout)
    if layout == "freqtrade-funding" or (layout is None and kind in {None, "funding"} and _is_freqtrade(found, hint)):
        return Mapping("freqtrade-funding", "funding", {"ts": found.index("date"), "rate": found.index("open")})
    kinds = _candidates(kind, known_kind, hint, layout)
    if kind is None and layout in {None, "generic"} and _places("bars", found).keys() >= _OHL:
        kinds = (hint if hint in _BARLIKE else "bars",)
    lacking: dict[str, list[str]] = {}
    for candidate in kinds:
        places = _places(candidate, found, symbol)
        if candidate == "values" and "value" not in places and len(found) == 2 and "ts" in places:  # noqa: PLR2004
            places["value"] = 1 - places["ts"]
        has = places.keys() | _MAY_LACK.get(candidate, set())
        lacking[candidate] = [name for name in KINDS[candidate].columns if name not in has]
        if candidate == "book" and kind is None and "snapshot" not in places:
            lacking[candidate].append("snapshot")  # without it, a change of a book looks like a trade
        if not lacking[candidate]:
            chosen = hint if kind is None and hint is not None and _looks_alike(candidate, hint) else candidate
            return _finished(head, where, known, chosen, _places(chosen, found, symbol) | places)
    raise _missing(names, where, lacking, kind)


def by_places(head: Head, where: str, kind: str | None, layout: str | None, hint: str | None) -> Mapping:
    """Return the mapping of columns that have places only.

    Raises:
        UserError: no known layout fits.
    """
    best: tuple[float, Positional] | None = None
    for known in POSITIONAL:
        if known.width != head.width or layout not in {None, known.name, "generic"}:
            continue
        if kind is not None and kind != known.kind and not _looks_alike(known.kind, kind):
            continue
        fit = _fit(known, head)
        if fit >= _SOUND_MIN and (best is None or fit > best[0]):
            best = (fit, known)
    if best is None:
        first = ",".join(str(value) for value in head.rows[0])[:60]
        asked = f" {layout}" if layout else f" of {kind}" if kind else ""
        message = (
            f"{where}: row 1 ({first}): no header, and no known layout{asked} has such {head.width} columns:"
            " name them in a first line, such as ts,open,high,low,close,volume"
        )
        raise UserError(message)
    known = best[1]
    chosen = kind or (hint if hint is not None and _looks_alike(known.kind, hint) else known.kind)
    makers = frozenset({"side"}) if known.places.get("side") in known.flags else frozenset()
    notes = ["columns by their places: " + ", ".join(f"{place + 1} {name}" for name, place in known.places.items())]
    notes += [_FILLED[name] for name in _FILLED if name in _MAY_LACK.get(chosen, ()) and name not in known.places]
    return Mapping(known.name, chosen, known.places, makers, tuple(notes))


def _known(found: set[str], layout: str | None) -> tuple[str, str | None]:
    """Return the name and kind of the layout that has these names."""
    if layout is not None:
        kinds = [kind for name, kind, _ in HEADERS if name == layout]
        kinds += [known.kind for known in POSITIONAL if known.name == layout]
        return layout, kinds[0] if kinds else None
    return next(((name, kind) for name, kind, wanted in HEADERS if wanted <= found), ("generic", None))


def _candidates(kind: str | None, known_kind: str | None, hint: str | None, layout: str | None) -> tuple[str, ...]:
    if kind is not None:
        return (kind,)
    if known_kind is not None and layout not in {None, "generic"}:
        return (known_kind,)
    first = tuple(name for name in (known_kind, hint) if name is not None and name not in _BARLIKE)
    return tuple(dict.fromkeys(first + DETECTED))


def _looks_alike(kind: str, other: str) -> bool:
    """Return whether rows of two kinds cannot be told apart."""
    return (kind == "bars" and other in _BARLIKE) or (kind == "trades" and other == "liquidations") or kind == other


def _is_freqtrade(found: list[str], hint: str | None) -> bool:
    """Return whether this is a file of funding rates as candles, the rate in `open`."""
    return hint == "funding" and found == ["date", "open", "high", "low", "close", "volume"]


def _folded(names: tuple[str, ...]) -> list[str]:
    """Return names as they are compared; a first column without one is an index."""
    found = [folded(name) for name in names]
    return ["unnamed0", *found[1:]] if found[:1] == [""] else found


def _places(kind: str, found: list[str], symbol: str = "") -> dict[str, int]:
    wanted = {"ts": TIME_NAMES, **ALIASES[kind]}
    places: dict[str, int] = {}
    for name, aliases in wanted.items():
        place = next((found.index(alias) for alias in aliases if alias in found), None)
        if place is not None and place not in places.values():
            places[name] = place
    if "volume" in ALIASES[kind] and "volume" not in places:
        places |= _volumes_by_asset(found, symbol)
    order = ("ts", *KINDS[kind].types())
    return {name: places[name] for name in dict.fromkeys(order) if name in places}


def _volumes_by_asset(found: list[str], symbol: str) -> dict[str, int]:
    """Return which of ``Volume BTC`` and ``Volume USDT`` is in base and which in quote; nothing where that is open."""
    assets = {name.removeprefix("volume"): place for place, name in enumerate(found) if name.startswith("volume")}
    quote = {asset: place for asset, place in assets.items() if asset in MONEY_NAMES and not symbol.startswith(asset)}
    base = {asset: place for asset, place in assets.items() if asset.isalpha() and asset not in quote}
    if len(base) > 1:
        quote |= {asset: place for asset, place in base.items() if symbol.endswith(asset)}
        base = {asset: place for asset, place in base.items() if symbol.startswith(asset)}
    if len(base) != 1:
        return {}
    places = {"volume": next(iter(base.values()))}
    return places | ({"quote_volume": next(iter(quote.values()))} if len(quote) == 1 else {})


def _symbol(head: Head, found: list[str]) -> str:
    """Return the symbol that the first row names, folded, or nothing."""
    place = next((found.index(name) for name in SYMBOL_NAMES if name in found), None)
    return "" if place is None else folded(str(head.rows[0][place]))


def _finished(head: Head, where: str, layout: str, kind: str, places: dict[str, int]) -> Mapping:
    """Return the mapping, less what cannot be used, with the symbol's column if there is one."""
    names = head.names or ()
    found = _folded(names)
    for place in places.values():
        if found.count(found[place]) > 1:
            message = f"{where}: {found.count(found[place])} columns are named {names[place]!r}"
            raise UserError(message)
    notes = []
    if "id" in places and not all(_is_whole(row[places["id"]]) for row in head.rows):
        notes.append(f"column {names[places.pop('id')]!r} left out: its values are no whole numbers")
    notes += [_FILLED[name] for name in _FILLED if name in _MAY_LACK.get(kind, ()) and name not in places]
    used = set(places.values())
    symbol = next((found.index(name) for name in SYMBOL_NAMES if name in found), None)
    if symbol is not None and symbol not in used:
        places = {**places, "symbol": symbol}
        used.add(symbol)
        notes.append(f"symbol in the file: {head.rows[0][symbol]}")
    unused = [name or "(no name)" for index, name in enumerate(names) if index not in used]
    if unused:
        shown = ", ".join(unused[:_NAMES_SHOWN]) + (", ..." if len(unused) > _NAMES_SHOWN else "")
        notes.append(f"columns not taken: {shown}")
    side = places.get("side")
    makers = frozenset({"side"}) if side is not None and found[side] in _MAKER_NAMES else frozenset()
    return Mapping(layout, kind, places, makers, tuple(notes))


def _missing(names: tuple[str, ...], where: str, lacking: dict[str, list[str]], kind: str | None) -> UserError:
    """Return what lacks for the kind that lacks the least, with the column that was probably meant."""
    told = {name: missing for name, missing in lacking.items() if name != "values"} or lacking
    nearest_kind = kind or min(told, key=lambda name: len(told[name]) / len(KINDS[name].columns))
    shown = ", ".join(name[:_NAME_SHOWN] for name in names[:_NAMES_SHOWN])
    shown += ", ..." if len(names) > _NAMES_SHOWN else ""
    if kind is None and len(lacking[nearest_kind]) * 2 >= len(KINDS[nearest_kind].columns):
        return UserError(f"{where}: header: it looks like no kind of series; the columns are: {shown}")
    name = lacking[nearest_kind][0]
    wanted = (*TIME_NAMES, "ts") if name == "ts" else (name, *ALIASES[nearest_kind].get(name, ()))
    taken = _places(nearest_kind, _folded(names)).values()
    free = [other for index, other in enumerate(names) if index not in taken]
    hint = next((text for text in (nearest(alias, free) for alias in wanted) if text), "")
    purpose = "" if kind else f" (read as {nearest_kind})"
    return UserError(f"{where}: header: there is no column {name!r}{hint}{purpose}; the columns are: {shown}")


def _fit(known: Positional, head: Head) -> float:
    """Return how well rows fit a layout, 0 to 1."""
    rows = [row for row in head.rows if len(row) == known.width]
    if not rows:
        return 0.0
    first = rows[0]
    if any(unit_of(first[place]) is None for place in (known.places["ts"], *known.times)):
        return 0.0
    if any(str(first[place]).strip().lower() not in {"true", "false"} for place in known.flags):
        return 0.0
    if any(str(row[place]).strip().removesuffix(".0") not in _HOURS for row in rows for place in known.hours):
        return 0.0
    words = {
        name: str(first[place]).strip().lower() for name, place in known.places.items() if place not in known.flags
    }
    side = words.get("side", "")
    if side not in SIDE_WORDS or _is_amount(side) or _is_amount(words.get("symbol", "a")):
        return 0.0  # a side is a word here: bars of a coin that stands at 1 are no trades
    numeric = [place for name, place in known.places.items() if name not in {"ts", "side", "id", "symbol"}]
    decimal_comma = head.has_decimal_comma
    if any(_number(first[place], decimal_comma=decimal_comma) is None for place in numeric):
        return 0.0
    if known.kind != "bars":
        return 1.0
    sound = 0
    for row in rows:
        opened, high, low, close = (
            _number(row[known.places[name]], decimal_comma=decimal_comma) for name in ("open", "high", "low", "close")
        )
        if opened is not None and high is not None and low is not None and close is not None:
            sound += low <= min(opened, close) and high >= max(opened, close)
    return sound / len(rows)


def _number(value: Any, *, decimal_comma: bool) -> float | None:  # noqa: ANN401 - as the file has it
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(str(value).replace(",", ".") if decimal_comma else value)
    except (TypeError, ValueError):
        return None


def _is_amount(text: str) -> bool:
    return _number(text, decimal_comma=True) is not None


def _is_whole(value: object) -> bool:
    if value is None or isinstance(value, int):
        return True
    return isinstance(value, str) and (not value.strip() or value.strip().lstrip("-").isdigit())
