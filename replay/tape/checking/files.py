"""Files of any kind of series, Parquet or CSV, for a check: nothing is refused but what has no meaning at all."""

from __future__ import annotations

import os.path
from pathlib import Path

import polars as pl

from config.errors import UserError, nearest
from replay.tape.checking.reading import Rows, lazy_rows
from replay.tape.kinds import KINDS, POLARS_NAMES, kind_of

_ALIASES = {
    "unix": "ts",
    "time": "ts",
    "timestamp": "ts",
    "open_time": "ts",
    "recv_ns": "ts",
    "date": "ts",
    "datetime": "ts",
    "qty": "quantity",
    "amount": "quantity",
    "size": "quantity",
    "volume usd": "quote_volume",
    "volume usdt": "quote_volume",
    "quote volume": "quote_volume",
    "bid_qty": "bid_quantity",
    "bid_size": "bid_quantity",
    "ask_qty": "ask_quantity",
    "ask_size": "ask_quantity",
    "funding_rate": "rate",
    "oi": "open_interest",
    "oi_value": "value",
}
_SECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_HEADERLESS = {
    3: ("ts", "price", "quantity"),
    6: ("ts", "open", "high", "low", "close", "volume"),
}
_MAGIC = 4


def open_rows(file: str, kind: str | None = None) -> Rows:
    """Return the rows of a file.

    Args:
        file: Parquet or CSV, also gzipped.
        kind: the kind of series; told by its columns when ``None``.

    Raises:
        UserError: it cannot be read, or its columns are those of no kind, or not of this one.
    """
    path = Path(os.path.expanduser(file))  # noqa: PTH111 - Path.expanduser raises for strangers
    try:
        with path.open("rb") as opened:
            magic = opened.read(_MAGIC)
    except OSError as error:
        message = f"{file}: no such file" if isinstance(error, FileNotFoundError) else f"{file}: {error.strerror}"
        raise UserError(message) from error
    if not magic:
        message = f"{file}: the file is empty"
        raise UserError(message)
    is_parquet = magic == b"PAR1"
    try:
        table = pl.scan_parquet(path.absolute(), glob=False) if is_parquet else _csv(path, file)
        schema = table.collect_schema()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        message = f"{file}: cannot be read ({str(error).strip().splitlines()[0]})"
        raise UserError(message) from error
    names = _names(list(schema))
    found = kind_of(kind) if kind is not None else KINDS[_kind_by(names, file)]
    for name in found.columns:
        if name not in names and name not in {"published", "side"}:
            message = (
                f"{file}: there is no column {name!r}, which {found.name} have; the columns are: {', '.join(schema)}"
            )
            raise UserError(message)
    expressions = [_time(table, names["ts"], schema[names["ts"]], file)]
    for name, type_ in found.types().items():
        if name in names and name not in {"ts", "published"}:
            source = pl.col(names[name])
            if name == "side" and schema[names[name]] == pl.String:
                source = source.str.to_lowercase().replace_strict(
                    {"buy": 1, "sell": -1, "": 0}, default=9, return_dtype=pl.Int8
                )
            target = pl.Float64 if type_ in {"int", "float"} and not is_parquet else getattr(pl, POLARS_NAMES[type_])
            expressions.append(source.cast(target, strict=False).alias(name))
    return lazy_rows(table.select(expressions), file, found.name, path.stat().st_mtime_ns)


def open_series(name: str, data_dir: Path | None = None, kind: str | None = None) -> Rows:
    """Return the rows of a file, or of a series of the catalogue if there is no such file.

    Args:
        name: a file, or ``VENUE:SYMBOL:TIMEFRAME``, or ``VENUE:SYMBOL`` where that is one series only.
        data_dir: where the catalogue is; the usual place when ``None``.
        kind: the kind of series, where the name or the columns leave doubt.

    Raises:
        UserError: as `open_rows` does; or there is no such series, or there are several.
    """
    if ":" not in name or os.path.lexists(os.path.expanduser(name)):  # noqa: PTH111
        return open_rows(name, kind)
    from replay.tape.catalogue import Catalogue, default_data_dir, parse_name

    venue, symbol, timeframe_ns = parse_name(name)
    wanted = None if kind is None else kind_of(kind).name
    catalogue = Catalogue(data_dir or default_data_dir())
    known = [manifest.key for manifest in catalogue.series()]
    keys = [
        key
        for key in known
        if (key.venue, key.symbol) == (venue, symbol)
        and timeframe_ns in {None, key.timeframe_ns}
        and wanted in {None, key.kind}
    ]
    if not keys:
        message = f"there is no file and no series {name}{nearest(name, sorted(str(key) for key in known))}"
        raise UserError(message)
    if len(keys) > 1:
        message = f"{name} is {len(keys)} series: {', '.join(map(str, keys))}; name one, with its timeframe and --kind"
        raise UserError(message)
    return lazy_rows(catalogue.scan(keys[0]), str(keys[0]), keys[0].kind)


def _csv(path: Path, where: str) -> pl.LazyFrame:
    """Return a CSV file with all values as text."""
    first = pl.scan_csv(path, has_header=False, infer_schema=False, n_rows=1).collect()
    words = first.row(0)
    if all(_is_number(word) for word in words):
        if len(words) not in _HEADERLESS:
            message = f"{where}: there is no header, and {len(words)} columns do not say what they are"
            raise UserError(message)
        names = list(_HEADERLESS[len(words)])
        return pl.scan_csv(path, has_header=False, infer_schema=False, new_columns=names)
    return pl.scan_csv(path, infer_schema=False)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _names(found: list[str]) -> dict[str, str]:
    """Return which column of a file is which of ours."""
    names = {name: name for name in found}
    for alias, name in _ALIASES.items():
        for column in found:
            if column.strip().lower() == alias and name not in names:
                names[name] = column
    return names


def _kind_by(names: dict[str, str], where: str) -> str:
    """Return the kind of series these columns are."""
    if "ts" in names:
        for kind, telling in (
            ("bars", {"open", "high", "low", "close"}),
            ("book", {"seq", "snapshot"}),
            ("quotes", {"bid", "ask"}),
            ("trades", {"price", "quantity"}),
            ("funding", {"rate"}),
            ("open_interest", {"open_interest"}),
            ("values", {"value"}),
        ):
            if telling <= set(names):
                return kind
    message = f"{where}: no kind of series has the columns {', '.join(list(names)[:12])}; name one with --kind"
    raise UserError(message)


def _time(table: pl.LazyFrame, name: str, type_: pl.DataType, where: str) -> pl.Expr:
    """Return the times in ns; the first one tells their unit."""
    column = pl.col(name)
    if isinstance(type_, pl.Datetime | pl.Date):
        return column.cast(pl.Datetime("ns")).cast(pl.Int64).alias("ts")
    first = table.select(column).head(1).collect()
    if not first.height:
        return column.cast(pl.Int64, strict=False).alias("ts")
    text = str(first.item())
    if not _is_number(text):
        return column.str.to_datetime(time_unit="ns", time_zone="UTC", strict=False).cast(pl.Int64).alias("ts")
    for unit, factor in _SECONDS.items():
        if 10**17 <= float(text) * factor < 10**19:
            return (
                (column.cast(pl.Float64, strict=False) * factor).round().cast(pl.Int64).alias("ts")
                if (unit == "s")
                else (column.cast(pl.Int64, strict=False) * factor).alias("ts")
            )
    message = f"{where}: row 1: {name} {text} is no plausible time"
    raise UserError(message)
