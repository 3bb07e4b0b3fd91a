"""Rows as a file has them, made rows as the catalogue has them; the first that makes no sense is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from config.errors import UserError
from replay.tape.importing.layout import UNIT_NAMES
from replay.tape.importing.names import SIDE_WORDS
from replay.tape.importing.times import NO_SUCH_TIME, NO_TIME, NS_OF, nanoseconds, unit_of
from replay.tape.importing.timing import beside_grid
from replay.tape.kinds import KINDS, POLARS_NAMES
from replay.tape.soundness import first_unsound

if TYPE_CHECKING:
    from replay.tape.importing.layout import Column, Table

_TIMES = frozenset({*NS_OF, "iso", "datetime"})
_MAKERS = {"true": -1, "t": -1, "1": -1, "false": 1, "f": 1, "0": 1}
_FLAGS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_WITH_OFFSET = r"\d{2}:\d{2}.*(?:[A-Za-z]|[+-]\d{2}(?::?\d{2})?)\s*$"
_VALUE_SHOWN = 60
_MEANINGS = {
    "float": "a number",
    "int": "a whole number of 64 bits",
    "side": "a side (buy or sell)",
    "buyer_maker": "true or false",
    "flag": "true or false",
}


def canonical(raw: pl.DataFrame, table: Table, first_row: int, delay_ns: int, *, as_is: bool = False) -> pl.DataFrame:
    """Return raw columns as those of the kind, in its order and types.

    Args:
        raw: columns by their names in the series, in whatever types the file has.
        table: how they are read.
        first_row: number of the first of these rows, counted from 1, for errors.
        delay_ns: from a value's time to when it was published, where the file does not say.
        as_is: leave the order of the rows, null where a value other than the time has no meaning, and what cannot
            be true.

    Raises:
        UserError: a value has no meaning in its column or cannot be true, naming row and column.
    """
    _refuse_types(raw, table, first_row)
    for column in table.columns:
        if column.reading == "iso" and isinstance(raw.schema[column.name], pl.String):
            _refuse_other_offset(raw.get_column(column.name), column, table, first_row)
    columns = {column.name: column for column in table.columns}
    made = raw.select(_reading(column, raw.schema[column.name]).alias(column.name) for column in table.columns)
    for name, column in columns.items():
        if made.get_column(name).null_count() and (name == "ts" or not as_is):
            _refuse_first(raw.get_column(name), made.get_column(name), column, table, first_row)
    types = KINDS[table.kind].types()
    out = []
    for name, kind in types.items():
        polars_type = getattr(pl, POLARS_NAMES[kind])
        if name in made.columns:
            out.append(pl.col(name).cast(polars_type))
        elif name in KINDS[table.kind].columns:
            out.append(_absent(name, delay_ns).cast(polars_type).alias(name))
    frame = made.select(out)
    if table.kind in {"mark", "index", "premium"} and "volume" in made.columns:
        frame = frame.with_columns(pl.col("volume").fill_null(0.0))
    if as_is:
        return frame
    _refuse_unsound(frame, table, first_row)
    return frame.reverse() if table.order == "newest first" else frame


def same_symbol(raw: pl.DataFrame, table: Table, first_row: int, before: str | None) -> str | None:
    """Return the one symbol that the rows name, if they name one.

    Raises:
        UserError: they name another than the rows before them.
    """
    column = table.column("symbol")
    if column is None:
        return None
    _refuse_types(raw.select("symbol"), table, first_row)
    symbols = raw.get_column("symbol").cast(pl.String)
    before = symbols[0] if before is None else before
    other = (symbols != before).fill_null(value=True)
    if other.any():
        index = other.arg_max() or 0
        message = (
            f"{table.where}: row {first_row + index}: column {column.source!r} is {symbols[index]!r} after {before!r}:"
            " a file holds one symbol; split it first"
        )
        raise UserError(message)
    return before


def _absent(name: str, delay_ns: int) -> pl.Expr:
    """Return what stands in a column that the file does not have."""
    if name == "published":
        return pl.col("ts") + delay_ns
    if name == "seq":
        return pl.col("ts")  # those of one instant are one message, in whichever file they come
    return pl.lit(0)


def _reading(column: Column, dtype: pl.DataType) -> pl.Expr:
    values = pl.col(column.name)
    if column.reading in _TIMES:
        return nanoseconds(values, dtype, column.reading)
    if column.reading == "float":
        number = (values.str.strip_chars() if isinstance(dtype, pl.String) else values).cast(pl.Float64, strict=False)
        return pl.when(number.is_finite()).then(number)
    if column.reading == "int":
        number = values.cast(pl.Float64, strict=False)
        rounded = pl.when(number == number.round(0)).then(number).cast(pl.Int64, strict=False)
        return rounded if dtype.is_float() else pl.coalesce(values.cast(pl.Int64, strict=False), rounded)
    if column.reading == "same":
        return values.cast(pl.String)
    words: dict[str, int] | dict[str, bool] = {"side": SIDE_WORDS, "buyer_maker": _MAKERS}.get(column.reading, _FLAGS)
    text = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    target = pl.Boolean if column.reading == "flag" else pl.Int8
    return text.replace_strict(words, default=None, return_dtype=target)


def _refuse_types(raw: pl.DataFrame, table: Table, first_row: int) -> None:
    """Refuse columns of a type that has no meaning in their place, whatever is in them.

    Raises:
        UserError: naming the first row and the column.
    """
    for column in table.columns:
        dtype = raw.schema.get(column.name)
        if dtype is None or isinstance(dtype, pl.String | pl.Null | pl.Categorical | pl.Enum):
            continue
        is_time = column.reading in _TIMES
        if is_time:
            fits = dtype.is_numeric() or isinstance(dtype, pl.Datetime | pl.Date)
        elif column.reading in {"float", "int"}:
            fits = dtype.is_numeric()
        else:
            fits = dtype.is_numeric() or dtype == pl.Boolean
        place = f"{table.where}: row {first_row}: column {column.source!r}"
        if not fits:
            meaning = "times" if is_time else "such values"
            message = f"{place} is of type {str(dtype)[:_VALUE_SHOWN]}, which holds no {meaning}"
            raise UserError(message)
        if is_time and dtype == pl.Float32:
            message = f"{place} is of type Float32, which cannot tell one minute from the next; keep times as Int64"
            raise UserError(message)


def _refuse_first(raw: pl.Series, made: pl.Series, column: Column, table: Table, first_row: int) -> None:
    """Refuse the first value that could not be read; one that is merely absent only where it must not be.

    Raises:
        UserError: naming its row and column.
    """
    empty = raw.is_null()
    if isinstance(raw.dtype, pl.String):
        empty |= raw.str.strip_chars().str.to_lowercase().is_in(["", "nan", "null", "none"])
    elif raw.dtype.is_float():
        empty |= raw.is_nan().fill_null(value=False)
    may_be_empty = not column.is_required or (column.name == "volume" and table.kind in {"mark", "index", "premium"})
    bad = made.is_null() & ~empty if may_be_empty else made.is_null()
    if not bad.any():
        return
    index = bad.arg_max() or 0
    label = column.source if table.has_header else f"{column.source} ({column.name})"
    place = f"{table.where}: row {first_row + index}: column {label!r}"
    message = f"{place} is empty" if empty[index] else f"{place}: {_what(raw[index], column)}"
    raise UserError(message)


def _refuse_other_offset(raw: pl.Series, column: Column, table: Table, first_row: int) -> None:
    """Refuse times that name an offset beside ones that name none: nobody knows what those are in.

    Raises:
        UserError: naming the first row that is unlike the first one.
    """
    other = (raw.str.contains(_WITH_OFFSET) != column.has_offset) & (raw.str.strip_chars() != "")
    if other.any():
        index = other.arg_max() or 0
        named = ("names an offset from UTC", "names no offset from UTC")
        message = (
            f"{table.where}: row {first_row + index}: column {column.source!r}: {raw[index]!r} "
            f"{named[column.has_offset]}, and the first row's time {named[not column.has_offset].split(' ', 1)[0]} "
            f"{'one' if column.has_offset else 'none'}"
        )
        raise UserError(message)


def _refuse_unsound(frame: pl.DataFrame, table: Table, first_row: int) -> None:
    """Refuse the first row that cannot be true, or does not stand on the grid of its bars.

    Raises:
        UserError: naming row and column.
    """
    sources = {column.name: column.source for column in table.columns}
    if table.timeframe_ns is not None:
        beside = (frame.get_column("ts") - table.first_ns) % table.timeframe_ns != 0
        if beside.any():
            index = beside.arg_max() or 0
            text = beside_grid(frame.get_column("ts")[index], table.first_ns, table.timeframe_ns)
            message = f"{table.where}: row {first_row + index}: column {sources['ts']!r}: {text}"
            raise UserError(message)
    found = first_unsound(frame, table.kind)
    if found is not None:
        index, name, text = found
        message = (
            f"{table.where}: row {first_row + index}: column {sources.get(name, name)!r}: {text}; pitboss data check"
            " tells of all such rows"
        )
        raise UserError(message)


def _what(value: object, column: Column) -> str:
    """Say what is wrong with a value."""
    shown = repr(str(value)[:_VALUE_SHOWN])
    if column.reading not in _TIMES:
        return f"{shown} is not {_MEANINGS[column.reading]}"
    found = unit_of(value)
    if found is None:
        return f"{shown} is {NO_TIME}"
    unit = UNIT_NAMES[found[0]]
    if found[0] != column.reading:
        return f"{shown} is in {unit}, the rows before it in {UNIT_NAMES[column.reading]}: one file, one unit"
    return f"{shown} is {NO_SUCH_TIME}"
