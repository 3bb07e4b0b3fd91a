"""From `--series NAME=FILE[,delay=8h][,column=rate]` to an external series.

The file is CSV (also gzipped) or Parquet with one column of times and others of numbers. Instead of a file, a series of
the catalogue: its name (``venue:symbol``, ``funding:venue:symbol``) or its folder. What was read out of it - the unit
of its times, which column, how many values from when to when - is said in the series' notes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from config.errors import UserError, nearest
from config.timeframe import format_timeframe, parse_timeframe
from replay.tape.columns import time_text
from replay.tape.external import ExternalKind, ExternalSeries
from replay.tape.proof import prove

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from replay.tape.columns import Floats, Integers

_USAGE = "write it as NAME=FILE[,delay=8h][,column=NAME], such as fear_greed=fng.csv,delay=1d"
_NAME = re.compile(r"[^\s=,]{1,32}")
_OPTION = re.compile(r",(?P<key>[a-z]+)=(?P<value>[^,=]*)$")
_TIMES = (
    "ts",
    "time",
    "timestamp",
    "date",
    "datetime",
    "fundingtime",
    "funding_time",
    "calc_time",
    "create_time",
    "unix",
)
_RATES = ("rate", "funding_rate", "fundingrate", "last_funding_rate")
_INTERESTS = ("open_interest", "oi", "sum_open_interest", "sumopeninterest")
_INTEREST_VALUES = ("value", "oi_value", "sum_open_interest_value", "sumopeninterestvalue")
_MARKS = ("mark", "mark_price", "markprice")
_SIDES = ("side",)
_PRICES = ("price", "average_price")
_QUANTITIES = ("quantity", "qty", "amount", "size", "original_quantity")
_BAR = frozenset({"open", "high", "low", "close"})
_UNITS = ((10**8, 10**10, "seconds", 10**9), (10**11, 10**13, "milliseconds", 10**6),
          (10**14, 10**16, "microseconds", 10**3), (10**17, 10**19, "nanoseconds", 1))  # fmt: skip
_FINEST_NS = 1_000
"""Fractions of a unit are whole microseconds: a float of today in seconds tells no more."""
_ISO = r"^\s*\d{4}-\d{1,2}-\d{1,2}"
"""Other orders of year, month and day are none that a file says itself."""
_SIDE_WORDS = {"buy": 1.0, "sell": -1.0, "b": 1.0, "s": -1.0, "1": 1.0, "-1": -1.0, "1.0": 1.0, "-1.0": -1.0}
_BY_LINES = 1
"""Row numbers count from the first row below the header."""


class SeriesArgument(NamedTuple):
    """A ``--series`` argument, taken apart."""

    name: str
    file: str
    delay_ns: int | None
    column: str | None


def parse_series(argument: str) -> SeriesArgument:
    """Return what a ``--series`` argument names.

    Raises:
        UserError: it is written in another way.
    """
    name, equals, rest = argument.partition("=")
    options: dict[str, str] = {}
    while (match := _OPTION.search(rest)) is not None:
        if match["key"] not in {"delay", "column"} or match["key"] in options:
            message = f"--series {argument}: {match['key']}=?{nearest(match['key'], ('delay', 'column'))}; {_USAGE}"
            raise UserError(message)
        options[match["key"]] = match["value"]
        rest = rest[: match.start()]
    if not equals or not rest or not _NAME.fullmatch(name):
        message = f"--series {argument}: {_USAGE}"
        raise UserError(message)
    delay = options.get("delay")
    return SeriesArgument(name, rest, None if delay is None else _delay_ns(delay, argument), options.get("column"))


def open_series(
    arguments: Sequence[str], symbols: Collection[str], data_dir: Path | None = None
) -> list[ExternalSeries]:
    """Return the series of these arguments, each read once from end to end and checked.

    Args:
        arguments: as `parse_series` takes them.
        symbols: those of the tape; a series that is named as one of them is that market's own.
        data_dir: where the catalogue is; the usual place when ``None``.

    Raises:
        UserError: one line that names the file, and the row and column where there is one.
    """
    found: list[ExternalSeries] = []
    places: dict[tuple[str, str], str] = {}
    for argument in map(parse_series, arguments):
        for series in _read(argument, data_dir, is_market=argument.name in symbols):
            key = (series.name, series.kind)
            if key in places:
                message = f"{series.name} has {_words(series.kind)} twice ({places[key]} and {argument.file})"
                raise UserError(message)
            places[key] = argument.file
            found.append(series)
    return found


def _delay_ns(text: str, argument: str) -> int:
    if text == "0":
        return 0
    try:
        return parse_timeframe(text)
    except UserError as error:
        message = f"--series {argument}: delay {text!r}: write a whole number and a unit, for example 8h or 1d"
        raise UserError(message) from error


def _words(kind: ExternalKind) -> str:
    return {"mark": "marks", "open_interest": "open interest"}.get(kind, kind)


def _read(argument: SeriesArgument, data_dir: Path | None, *, is_market: bool) -> list[ExternalSeries]:
    table = _Table(argument.file, data_dir)
    if is_market and argument.column is None:
        return _market(argument, table)
    if is_market:
        message = (
            f"{argument.file}: column={argument.column} makes a series of values, and {argument.name} is a symbol of"
            f" the tape; give the series a name of its own"
        )
        raise UserError(message)
    column = table.value_column(argument.column)
    return [_series(argument, table, "values", (table.numbers(column),), f"column {column!r}")]


def _market(argument: SeriesArgument, table: _Table) -> list[ExternalSeries]:
    """Return what a file tells of a market of the tape; its columns say which kind it is."""
    rate = table.first_of(_RATES)
    if rate is not None:
        if argument.delay_ns:
            message = (
                f"{argument.file}: {argument.name} is a symbol of the tape, whose funding is paid when it is settled;"
                f" for values with a delay, give the series a name of its own, such as rate={argument.file},delay=8h"
            )
            raise UserError(message)
        paid = _series(argument, table, "funding", (table.numbers(rate),), f"column {rate!r}")
        mark = table.first_of(_MARKS)
        if mark is None:
            return [paid]
        return [_series(argument, table, "mark", (table.numbers(mark),), f"column {mark!r}"), paid]
    if set(table.names) >= _BAR:
        step_ns = table.step_ns()
        if argument.delay_ns is None:
            argument = argument._replace(delay_ns=step_ns)
        return [_series(argument, table, "mark", (table.numbers("close"),), "column 'close', known at its close")]
    interest = table.first_of(_INTERESTS)
    if interest is not None:
        value = table.first_of(_INTEREST_VALUES)
        values = np.zeros(len(table.ts_ns)) if value is None else table.numbers(value)
        return [_series(argument, table, "open_interest", (table.numbers(interest), values), f"column {interest!r}")]
    side, price, quantity = (table.first_of(names) for names in (_SIDES, _PRICES, _QUANTITIES))
    if side is not None and price is not None and quantity is not None:
        numbers = (table.sides(side), table.numbers(price), table.numbers(quantity))
        return [_series(argument, table, "liquidations", numbers, "sides, prices and quantities")]
    message = (
        f"{argument.file}: {argument.name} is a symbol of the tape, and this is none of its funding (rate),"
        f" open interest (open_interest), liquidations (side, price, quantity) or marks (open, high, low, close); the"
        f" columns are: {', '.join(table.names)}; a series of values needs a name of its own"
    )
    raise UserError(message)


def _series(
    argument: SeriesArgument, table: _Table, kind: ExternalKind, numbers: tuple[Floats, ...], what: str
) -> ExternalSeries:
    """Return a series in the order of publication, with what was found about it in words."""
    delay_ns = argument.delay_ns or 0
    known_ns = table.published_ns()
    if known_ns is None:
        known_ns = table.ts_ns + delay_ns
        when = f"published {format_timeframe(delay_ns)} later" if delay_ns else "published at its time"
    elif argument.delay_ns is not None:
        message = f"{argument.file}: it says itself when its values were published; a delay has no meaning"
        raise UserError(message)
    else:
        when = f"published as the file says, in {table.published_unit}"
    order = np.lexsort((table.ts_ns, known_ns))
    in_order = bool((np.diff(order) > 0).all())
    if kind != "liquidations":  # a market may liquidate twice in a moment
        order = order[
            _once(argument.file, table.ts_ns[order], known_ns[order], [each[order] for each in numbers], order)
        ]
    words = f"series {argument.name}: {len(order):,} {_words(kind)}, {what}, times in {table.unit}, {when}"
    span = f"{time_text(int(known_ns[order[0]]))} to {time_text(int(known_ns[order[-1]]))}"
    sorted_words = "" if in_order else "; the rows were out of order"
    return ExternalSeries(
        name=argument.name,
        kind=kind,
        ts_ns=table.ts_ns[order],
        known_ns=known_ns[order],
        numbers=tuple(column[order] for column in numbers),
        notes=(f"{words}, {span}{sorted_words}",),
    )


def _once(
    where: str, ts_ns: Integers, known_ns: Integers, numbers: Sequence[Floats], rows: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return which of the ordered values to keep: equal ones are one.

    Raises:
        UserError: two values of one time, of which neither corrects the other.
    """
    again = np.append(False, (np.diff(ts_ns) == 0) & (np.diff(known_ns) == 0))
    differs = again & np.append(False, np.any([np.diff(column) != 0 for column in numbers], axis=0))
    if differs.any():
        index = int(differs.argmax())
        message = (
            f"{where}: row {int(rows[index]) + _BY_LINES}: {time_text(int(ts_ns[index]))} is there twice, with"
            f" different values"
        )
        raise UserError(message)
    return ~again


class _Table:
    """A file's columns, by their names in small letters."""

    def __init__(self, file: str, data_dir: Path | None) -> None:
        self.where = file
        self.frame = _frame(file, data_dir)
        self.names = self.frame.columns
        if not self.frame.height:
            message = f"{file}: there are no rows"
            raise UserError(message)
        time = self.first_of(_TIMES)
        if time is None:
            message = (
                f"{file}: there is no column of times{nearest('ts', self.names)}: it is called ts, time, timestamp,"
                f" date or datetime; the columns are: {', '.join(self.names)}"
            )
            raise UserError(message)
        self.time = time
        self.ts_ns, self.unit = self._times(time)
        self.published_unit = ""

    def first_of(self, names: Sequence[str]) -> str | None:
        """Return the first of these columns there is."""
        return next((name for name in names if name in self.names), None)

    def value_column(self, wanted: str | None) -> str:
        """Return which column holds the values.

        Raises:
            UserError: there is none of that name, or several and nobody said which.
        """
        others = [name for name in self.names if name not in {self.time, "published"}]
        if wanted is not None:
            if wanted.lower() not in others:
                message = (
                    f"{self.where}: there is no column {wanted!r}{nearest(wanted, others)}; the columns are:"
                    f" {', '.join(self.names)}"
                )
                raise UserError(message)
            return wanted.lower()
        if "value" in others:
            return "value"
        numeric = [name for name in others if self.frame.schema[name].is_numeric()]
        if len(numeric) == 1:
            return numeric[0]
        known = self.first_of((*_RATES, *_INTERESTS))
        if known is not None:
            return known
        message = (
            f"{self.where}: which column holds the values? say it with ,column=NAME; the columns are:"
            f" {', '.join(others) or 'none but the times'}"
        )
        raise UserError(message)

    def numbers(self, name: str) -> Floats:
        """Return a column as finite numbers.

        Raises:
            UserError: naming the first row that holds none.
        """
        column = self.frame.get_column(name)
        as_float = column.cast(pl.Float64, strict=False)
        bad = ~as_float.is_finite().fill_null(value=False)
        if bad.any():
            self._refuse(int(bad.arg_max() or 0), name, "a number")
        return np.require(as_float.to_numpy(), np.float64, ["C", "W"])

    def sides(self, name: str) -> Floats:
        """Return 1 for a buy and -1 for a sell.

        Raises:
            UserError: naming the first row that holds neither.
        """
        words = self.frame.get_column(name).cast(pl.String).str.strip_chars().str.to_lowercase().to_list()
        for index, word in enumerate(words):
            if word not in _SIDE_WORDS:
                self._refuse(index, name, "a side: it is buy or sell, 1 or -1")
        return np.array([_SIDE_WORDS[word] for word in words], np.float64)

    def published_ns(self) -> Integers | None:
        """Return when each value was published, where the file says so."""
        if "published" not in self.names:
            return None
        published_ns, self.published_unit = self._times("published")
        return published_ns

    def step_ns(self) -> int:
        """Return the most frequent step between the times.

        Raises:
            UserError: a single row has none.
        """
        steps = np.diff(np.sort(self.ts_ns))
        if not len(steps):
            message = f"{self.where}: the length of its one bar is not known; say when it is known, such as ,delay=8h"
            raise UserError(message)
        lengths, counts = np.unique(steps, return_counts=True)
        return int(lengths[counts.argmax()])

    def _times(self, name: str) -> tuple[Integers, str]:
        column = self.frame.get_column(name)
        kind = column.dtype
        if isinstance(kind, pl.Datetime | pl.Date):
            return self._cast(column.cast(pl.Datetime("ns")).cast(pl.Int64), name), "dates"
        if kind == pl.String:
            strange = ~column.str.contains(_ISO).fill_null(value=False)
            if strange.any():
                self._refuse(int(strange.arg_max() or 0), name, "a time in ISO 8601, such as 2024-01-31T08:00:00Z")
            moments = column.str.to_datetime(time_unit="ns", time_zone="UTC", strict=False, ambiguous="null")
            if moments.null_count():
                moments = pl.Series(name, [_moment(text) for text in column.to_list()], pl.Datetime("ns", "UTC"))
            return self._cast(moments.cast(pl.Int64), name), "ISO text"
        if not kind.is_numeric():
            self._refuse(0, name, "a time")
        whole = self._cast(column.cast(pl.Int64, strict=False), name)
        part = (column - column.cast(pl.Int64, strict=False)).cast(pl.Float64).to_numpy()
        low, high, unit, factor = next((each for each in _UNITS if each[0] <= whole[0] < each[1]), (0, 0, "", 0))
        if not unit:
            self._refuse(0, name, "a plausible time in seconds, milliseconds, microseconds or nanoseconds")
        fits = (whole >= low) & (whole < high)
        if not fits.all():
            self._refuse(int(np.argmin(fits)), name, f"a time in {unit}, as the first row has")
        return whole * factor + np.rint(part * (factor / _FINEST_NS)).astype(np.int64) * _FINEST_NS, unit

    def _cast(self, column: pl.Series, name: str) -> Integers:
        if column.null_count():
            self._refuse(int(column.is_null().arg_max() or 0), name, "a time")
        return np.require(column.to_numpy(), np.int64, ["C", "W"])

    def _refuse(self, index: int, name: str, wanted: str) -> None:
        value = self.frame.get_column(name)[index]
        shown = "is empty" if value is None else f"{str(value)!r} is not {wanted}"
        message = f"{self.where}: row {index + _BY_LINES}: {name} {shown}"
        raise UserError(message)


def _moment(text: str | None) -> datetime | None:
    """Return a time in ISO 8601 with any offset, UTC without one."""
    try:
        moment = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _frame(file: str, data_dir: Path | None) -> pl.DataFrame:
    """Return a file's table, or that of a series of the catalogue.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = Path(file).expanduser()
    if ":" in file or path.is_dir():
        from replay.tape.catalogue import kept_rows

        kept = kept_rows(file, path, data_dir)
        if kept is not None:
            return kept
    try:
        with path.open("rb") as opened:
            magic = opened.read(4)
        if not magic:
            message = f"{file}: the file is empty"
            raise UserError(message)
        if magic == b"PAR1":
            prove(path)
            frame = pl.read_parquet(path.absolute(), glob=False, hive_partitioning=False)
        else:
            frame = pl.read_csv(path.absolute(), infer_schema_length=None, glob=False)
    except FileNotFoundError as error:
        message = f"{file}: no such file"
        raise UserError(message) from error
    except IsADirectoryError as error:
        message = f"{file}: this is a directory"
        raise UserError(message) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        message = f"{file}: neither a CSV nor a Parquet file ({reason})"
        raise UserError(message) from error
    names = [name.strip().lower() for name in frame.columns]
    for name in names:
        if names.count(name) > 1:
            message = f"{file}: there are {names.count(name)} columns named {name!r}"
            raise UserError(message)
    return frame.rename(dict(zip(frame.columns, names, strict=True)))
