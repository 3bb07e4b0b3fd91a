"""Parquet files of trades, quotes and books, read a slice at a time and checked from the first row to the last.

The columns are those of the kinds `trades`, `quotes` and `book`. The names exchanges' own dumps use for them are taken,
too, and so are times in seconds, milliseconds and microseconds: one unit a file, told by the first row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from actors.messages import Quote, Trade
from config.errors import UserError, nearest
from replay.tape.books import Book
from replay.tape.columns import time_text
from replay.tape.proof import prove

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from actors.messages import BookSnapshot, Message
    from replay.tape.columns import Floats, Integers
    from replay.tape.ticks import Take

SLICE_ROWS = 131_072
PRICE_MAX = 1e15

_UNITS = (
    (10**8, 10**10, 1_000_000_000),
    (10**11, 10**13, 1_000_000),
    (10**14, 10**16, 1_000),
    (10**17, 2**63 - 1, 1),
)
"""Plausible times as numbers (1973 to 2286) and the nanoseconds each counts in."""
_NAMES: dict[str, tuple[str, ...]] = {
    "quantity": ("quantity", "qty", "amount", "size"),
    "bid_quantity": ("bid_quantity", "bid_qty", "bid_size"),
    "ask_quantity": ("ask_quantity", "ask_qty", "ask_size"),
}
_SIDES = {"buy": 1, "sell": -1}


class TickColumns(msgspec.Struct, frozen=True, eq=False):
    """Consecutive rows of one file."""

    time_ns: Integers
    numbers: dict[str, Floats]
    """The float columns by the kind's names."""
    side: Integers
    """Of trades: 1, -1 or 0."""
    id: Integers
    """Of trades, and the `seq` of books; 0 where there is none."""
    snapshot: NDArray[np.bool_]
    """Of books: whether the row is of a whole book."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time_ns)


def kind_of_columns(names: Sequence[str]) -> str | None:
    """Return which kind of ticks a table with these columns holds; None for something else, such as bars."""
    known = set(names)
    if "open" in known or "close" in known:
        return None
    if {"bid", "ask"} <= known:
        return "quotes"
    if "price" in known:
        return "book" if "seq" in known or "snapshot" in known else "trades"
    return None


def parquet_columns(path: Path, where: str) -> list[str]:
    """Return the names of a Parquet file's columns.

    Raises:
        UserError: it is no Parquet file.
    """
    try:
        prove(path)
        return pl.scan_parquet(path.absolute(), glob=False, hive_partitioning=False).collect_schema().names()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _damaged(where, error) from error


class TickTable:
    """Parquet files of trades, quotes or changes of a book.

    Args:
        paths: the files, in the order of time.
        where: their name, for errors.
        kind: "trades", "quotes" or "book".

    Raises:
        UserError: a column is missing or holds something else.
    """

    __slots__ = ("_floats", "_id", "_paths", "_sides", "_stamps", "_table", "_times", "kind", "rows", "where")

    def __init__(self, paths: Sequence[Path], where: str, kind: str) -> None:
        self.kind = kind
        self.where = where
        try:
            self._paths = [path.absolute() for path in paths]
            self._stamps = self._stamps_now()
            self._table = pl.scan_parquet(self._paths, glob=False, hive_partitioning=False)
            schema = self._table.collect_schema()
            self.rows: int = self._table.select(pl.len()).collect().item()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise _damaged(where, error) from error
        wanted = ("bid", "bid_quantity", "ask", "ask_quantity") if kind == "quotes" else ("price", "quantity")
        self._floats = {name: _find(name, schema, where) for name in wanted}
        self._times = [name for name in ("ts", "recv_ns") if name in schema]
        self._id = {"trades": "id" if self._has_ids(schema) else "", "quotes": "", "book": "seq"}[kind]
        self._sides = kind != "quotes" and "side" in schema
        for name in ("seq", "snapshot", "side") if kind == "book" else ():
            _find(name, schema, where)
        if not self._times:
            message = f"{where}: there is no column 'ts'; the columns are: {', '.join(schema)}"
            raise UserError(message)
        for name in (*self._floats.values(), *self._times):
            if not (schema[name].is_numeric() or (name == "ts" and isinstance(schema[name], pl.Datetime))):
                message = f"{where}: column {name!r} holds {schema[name]} values, not numbers"
                raise UserError(message)

    @property
    def clocks(self) -> tuple[str, ...]:
        """Names of the time columns: the exchange's `ts`, the recorder's `recv_ns`."""
        return tuple(self._times)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The one kind it holds."""
        return (self.kind,)

    def facts(self, clock: str, take: Take) -> int:
        """Read all of it once, hand what there is to know to `take`, and return the number of rows.

        Raises:
            UserError: as `blocks` does.
        """
        row = 1
        gaps = _Gaps()
        for block in self.blocks(clock):
            if self.kind == "book":
                gaps.take(block)
            take.hash(block.time_ns, *block.numbers.values(), block.side, block.id, block.snapshot)
            for name in ("price", "bid", "ask"):
                if name in block.numbers:
                    take.prices(block.numbers[name], self.where, row)
            if self.kind == "trades":
                take.trade_times(block.time_ns)
            row += len(block)
        take.notes += [f"{self.where}: {note}" for note in gaps.notes()]
        return row - 1

    def blocks(self, clock: str) -> Iterator[TickColumns]:
        """Yield all rows in slices, by the times of one clock, each row checked.

        Raises:
            UserError: the file is damaged, or a row cannot be true.
        """
        if self._stamps_now() != self._stamps:
            message = f"{self.where}: the file was changed after it was opened"
            raise UserError(message)
        last_ns, last_id, unit_ns = 0, -1, 0
        for start in range(0, self.rows, SLICE_ROWS):
            try:
                frame = self._table.slice(start, SLICE_ROWS).collect()
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
                raise _damaged(self.where, error) from error
            if frame.height != min(SLICE_ROWS, self.rows - start):
                message = f"{self.where}: the file changed while it was being read"
                raise UserError(message)
            times = self._column(frame, clock, start)
            unit_ns = unit_ns or _unit_ns(times, self.where, clock)
            block = TickColumns(
                self._to_ns(times, unit_ns, start, clock),
                {
                    name: np.require(self._column(frame, column, start), np.float64, ["C"])
                    for name, column in self._floats.items()
                },
                self._side(frame, start),
                self._column(frame, self._id, start).astype(np.int64) if self._id else np.zeros(frame.height, np.int64),
                self._column(frame, "snapshot", start).astype(np.bool_)
                if self.kind == "book"
                else np.zeros(frame.height, np.bool_),
            )
            self._check(block, start, last_ns, last_id)
            last_ns, last_id = int(block.time_ns[-1]), int(block.id[-1])
            yield block

    def messages(self, symbol: str, clock: str) -> Iterator[Message]:
        """Yield the rows as messages; books at their own depth and pace.

        Raises:
            UserError: as `blocks` does.
        """
        if self.kind == "book":
            yield from self._books(symbol, clock)
            return
        for block in self.blocks(clock):
            numbers = {name: column.tolist() for name, column in block.numbers.items()}
            times_ns = block.time_ns.tolist()
            if self.kind == "trades":
                rows = zip(
                    block.id.tolist(), numbers["price"], numbers["quantity"], block.side.tolist(), times_ns, strict=True
                )
                for row in rows:
                    yield Trade(symbol, *row)
            else:
                for quote in zip(*numbers.values(), times_ns, strict=True):
                    yield Quote(symbol, *quote)

    def _books(self, symbol: str, clock: str) -> Iterator[Message]:
        """Apply the rows of each message, which share their time and number, and show what the book has become."""
        book = Book()
        known: tuple[int, int, bool] | None = None
        sides: dict[int, list[tuple[float, float]]] = {1: [], -1: []}
        for block in self.blocks(clock):
            rows = zip(
                zip(block.time_ns.tolist(), block.id.tolist(), block.snapshot.tolist(), strict=True),
                block.side.tolist(),
                block.numbers["price"].tolist(),
                block.numbers["quantity"].tolist(),
                strict=True,
            )
            for message, side, price, quantity in rows:
                if message != known:
                    if known is not None and (shown := _apply(book, known, sides, symbol)) is not None:
                        yield shown
                    if (late := book.overdue(symbol, message[0])) is not None:
                        yield late
                    known = message
                sides[side].append((price, quantity))
        if known is not None and (shown := _apply(book, known, sides, symbol)) is not None:
            yield shown

    def _has_ids(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Return whether there is a column of ids that is not empty all the way down."""
        return "id" in schema and self._table.select(pl.col("id").null_count()).collect().item() < self.rows

    def _stamps_now(self) -> list[tuple[int, int]]:
        """Return size and time of every file; one that is gone has none."""
        found = [path.stat() if path.exists() else None for path in self._paths]
        return [(0, 0) if stat is None else (stat.st_size, stat.st_mtime_ns) for stat in found]

    def _column(self, frame: pl.DataFrame, name: str, start: int) -> NDArray[np.generic]:
        column = frame.get_column(name)
        if column.null_count():
            row = start + 1 + (column.is_null().arg_max() or 0)
            message = f"{self.where}: row {row}: {name} is empty"
            raise UserError(message)
        if column.dtype.is_decimal():
            column = column.cast(pl.Float64)
        if isinstance(column.dtype, pl.Datetime):
            column = column.cast(pl.Datetime("ns")).cast(pl.Int64)
        return column.to_numpy()

    def _side(self, frame: pl.DataFrame, start: int) -> Integers:
        if not self._sides:
            return np.zeros(frame.height, np.int64)
        values = self._column(frame, "side", start)
        if values.dtype.kind in "OU":
            sides = np.array([_SIDES.get(str(value).lower(), 2) for value in values.tolist()], np.int64)
        else:
            sides = values.astype(np.int64)
        wrong = (sides < -1) | (sides > 1) | ((sides == 0) & (self.kind == "book"))
        if wrong.any():
            row = int(wrong.argmax())
            message = (
                f"{self.where}: row {start + row + 1}: side is {values.tolist()[row]!r}; it is buy or sell, 1, -1 or 0"
            )
            raise UserError(message)
        return sides

    def _to_ns(self, times: NDArray[np.generic], unit_ns: int, start: int, clock: str) -> Integers:
        low, high = next((low, high) for low, high, unit in _UNITS if unit == unit_ns)
        plausible = (times >= low) & (times < high)  # type: ignore[operator]
        if not plausible.all():
            row = int(np.argmin(plausible))
            message = f"{self.where}: row {start + row + 1}: {clock} {times[row]} is no time in the unit of row 1"
            raise UserError(message)
        return times.astype(np.int64) * unit_ns

    def _check(self, block: TickColumns, start: int, last_ns: int, last_id: int) -> None:
        """Refuse rows that cannot be true, naming the first."""
        faults: list[tuple[int, str]] = []

        def find(wrong: NDArray[np.bool_], text: str) -> None:
            if wrong.any():
                faults.append((int(wrong.argmax()), text))

        for name, values in block.numbers.items():
            top = np.inf if name.endswith("quantity") else PRICE_MAX
            low = values >= 0 if self.kind == "book" and name == "quantity" else values > 0
            find(~(low & (values < top)), f"{name} {{{name}}} is not a positive number")
        if self.kind == "quotes":
            find(~(block.numbers["bid"] < block.numbers["ask"]), "crossed: bid {bid} is not below ask {ask}")
        find(np.diff(block.time_ns, prepend=last_ns) < 0, "time goes backwards, to {time}; sort by time")
        if self._id:
            least = 0 if self.kind == "book" else 1
            find(np.diff(block.id, prepend=last_id) < least, f"{self._id} {{id}} does not follow the one before it")
        if faults:
            row, text = min(faults, key=lambda fault: fault[0])
            values_of_row = {name: values[row].item() for name, values in block.numbers.items()}
            text = text.format(**values_of_row, time=time_text(int(block.time_ns[row])), id=int(block.id[row]))
            message = f"{self.where}: row {start + row + 1}: {text}"
            raise UserError(message)


class _Gaps:
    """Where a book that was told by its changes begins anew: what changed right before that was not told."""

    def __init__(self) -> None:
        self._begun = False
        self._was_whole = True
        self._last_ns = 0
        self._early = 0
        self._anew: list[tuple[int, int]] = []

    def take(self, block: TickColumns) -> None:
        """Look at the next rows."""
        whole = block.snapshot
        first = int(whole.argmax()) if whole.any() else len(block)
        if not self._begun:
            self._early += first
            self._begun = first < len(block)
        before = np.concatenate(([self._was_whole], whole[:-1]))
        starts = np.flatnonzero(whole & ~before)
        times = block.time_ns.tolist()
        for start in starts.tolist():
            if start or self._last_ns:
                since_ns = times[start - 1] if start else self._last_ns
                self._anew.append((since_ns, times[start]))
        self._was_whole, self._last_ns = bool(whole[-1]), times[-1]

    def notes(self) -> list[str]:
        """Say what there was."""
        told = []
        if self._early:
            told.append(f"{self._early:,} changes of the book come before its first snapshot and are left out")
        anew = self._anew[1:] if self._early else self._anew
        if anew:
            since_ns, until_ns = anew[0]
            times = "once" if len(anew) == 1 else f"{len(anew):,} times"
            told.append(
                f"the book begins anew {times}; first after a gap from {time_text(since_ns)} to {time_text(until_ns)}"
            )
        return told


def _apply(
    book: Book, message: tuple[int, int, bool], sides: dict[int, list[tuple[float, float]]], symbol: str
) -> BookSnapshot | None:
    """Bring a book up to date with the rows of one message, and show it."""
    time_ns, sequence, whole = message
    if whole:
        book.reset(sequence, sides[1], sides[-1])
    elif book.known:
        book.change(sequence, sides[1], sides[-1])
    sides[1], sides[-1] = [], []
    return book.shown(symbol, time_ns)


def _find(name: str, schema: Mapping[str, pl.DataType], where: str) -> str:
    for known in _NAMES.get(name, (name,)):
        if known in schema:
            return known
    message = f"{where}: there is no column {name!r}{nearest(name, list(schema))}; the columns are: {', '.join(schema)}"
    raise UserError(message)


def _unit_ns(times: NDArray[np.generic], where: str, clock: str) -> int:
    first = int(times[0])
    for low, high, unit_ns in _UNITS:
        if low <= first < high:
            return unit_ns
    message = f"{where}: row 1: {clock} {first} is not a plausible time"
    raise UserError(message)


def _damaged(where: str, error: BaseException) -> UserError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(f"{where}: not a whole Parquet file ({reason})")
