"""`pitboss data synthesize`."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

import msgspec

from config.errors import UserError, nearest
from daemon.commands.data import catalogue_in
from replay.tape.catalogue import Provenance, SeriesKey
from replay.tape.catalogue.keys import check_symbol, check_venue
from replay.tape.columns import time_text
from replay.tape.kinds import KINDS
from replay.tape.synthetic import TIMEFRAME_NS
from replay.tape.synthetic_market import MARKET_ROWS_MAX, MarketSpec, SyntheticMarket
from replay.tape.synthetic_series import SERIES_NAMES, synthetic_series

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from replay.tape.catalogue import Catalogue, Manifest

_BARS_MAX = {"book": 20_000, "trades": 500_000, "quotes": 500_000, "flow": 500_000}
"""Of a series that is made whole in memory, so many that it takes half a gigabyte: a bar has 8 trades and 300 changes
of the book."""
_SLICE_ROWS = 1_000_000


class Made(msgspec.Struct, kw_only=True):
    """One series that was made."""

    kind: str
    name: str
    rows: int
    rows_new: int = 0
    first_ns: int | None = None
    """``None`` where there is nothing yet."""
    last_ns: int | None = None


def synthesize_command(
    seed: int,
    bars: int,
    kinds: Sequence[str],
    symbols: Sequence[str],
    correlation: float,
    jumps: int,
    gaps: int,
    venue: str | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make a market out of a seed and keep what was asked for of it.

    Raises:
        UserError: there is no such market or series, or another market has its name.
    """
    place = check_venue(f"synthetic-{seed}" if venue is None else venue)
    for symbol in symbols:
        check_symbol(symbol)
    for kind in kinds:
        _check_series(kind, bars)
    spec = MarketSpec(seed=seed, rows=bars, symbols=tuple(symbols), correlation=correlation, jumps=jumps, gaps=gaps)
    market = SyntheticMarket(spec)
    catalogue = catalogue_in(data_dir)
    wanted = [(kind, symbol, _key(kind, place, symbol)) for symbol in symbols for kind in dict.fromkeys(kinds)]
    for _, symbol, key in wanted:
        _check_same(catalogue.manifest(key), _described(market, symbol))
    made = [_keep(catalogue, market, kind, symbol, key) for kind, symbol, key in wanted]
    if as_json:
        sys.stdout.write(msgspec.json.encode(made).decode() + "\n")
        return
    for each in made:
        words = "nothing happened in so few bars"
        if each.first_ns is not None and each.last_ns is not None:
            words = f"{each.rows:,} rows, {each.rows_new:,} of them new, "
            words += f"{time_text(each.first_ns)} to {time_text(each.last_ns)} UTC"
        sys.stdout.write(f"{each.name}: {words}\n")


def _check_series(kind: str, bars: int) -> None:
    """Refuse what there is no such series of, or too much.

    Raises:
        UserError: saying which there are, or how much.
    """
    if kind not in SERIES_NAMES:
        message = f"--kind {kind}: a market has {', '.join(SERIES_NAMES)}{nearest(kind, SERIES_NAMES)}"
        raise UserError(message)
    most = _BARS_MAX.get(kind, MARKET_ROWS_MAX)
    if not 1 <= bars <= most:
        message = f"--bars {bars:,}: of {kind} there can be between 1 and {most:,} bars"
        raise UserError(message)


def _key(kind: str, venue: str, symbol: str) -> SeriesKey:
    """Return the name of a series; of values, of which a symbol has several, the symbol says which."""
    if kind in KINDS:
        return SeriesKey(kind, venue, symbol, TIMEFRAME_NS if kind == "bars" else None)
    return SeriesKey("values", venue, f"{symbol}-{kind}", None)


def _described(market: SyntheticMarket, symbol: str) -> str:
    """Return what makes a symbol's rows; a longer market of the same words begins with the rows of this one."""
    spec, place = market.spec, market.spec.symbols.index(symbol) + 1
    return f"seed {spec.seed}, symbol {place}, correlation {spec.correlation:g}, jumps {spec.jumps}, gaps {spec.gaps}"


def _check_same(before: Manifest | None, words: str) -> None:
    """Refuse to mix two markets in one series.

    Raises:
        UserError: what is there is not of this market.
    """
    if before is None:
        return
    others = [each for each in before.imports if each.layout != words]
    if others:
        message = (
            f"{before.key} is there already, of another market ({others[0].layout or others[0].source}): "
            f"give this one a --venue of its own, or remove that: pitboss data rm"
        )
        raise UserError(message)


def _keep(catalogue: Catalogue, market: SyntheticMarket, kind: str, symbol: str, key: SeriesKey) -> Made:
    frame = synthetic_series(market, kind, symbol)
    name = key.name if key.kind == "bars" else f"{key.kind}:{key.name}"
    if not frame.height:
        return Made(kind=key.kind, name=name, rows=0)
    words = _described(market, symbol)
    digest = hashlib.sha256(f"{kind} of {market.spec.rows} bars, {words}".encode()).hexdigest()
    source = Provenance(f"{kind} made up from a seed", digest, words)
    report = catalogue.write(key, frame.iter_slices(_SLICE_ROWS), source)
    manifest = report.manifest
    return Made(
        kind=key.kind,
        name=name,
        rows=manifest.rows,
        rows_new=report.rows_new,
        first_ns=manifest.first_ns,
        last_ns=manifest.last_ns,
    )
