"""One pass over a source before the first bar is played: every row checked, everything inferred.

A tape is either sound from its first row to its last or refused before anything was decided on it.
The same pass yields the timeframe (the most frequent step), the tick, the number of rows and the
fingerprint, so that a bare file needs no other description.
"""

from __future__ import annotations

import hashlib
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from config.errors import UserError
from config.timeframe import format_timeframe
from replay.tape.columns import PRICE_NAMES, Columns, time_text
from replay.tape.grid import DECIMALS_MAX, Grid, count_off_tick

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from replay.tape.columns import Floats, Integers, Source

PIECE_ROWS = 16_384
"""Rows checked at once: few enough for a core's own cache."""
STEPS_MAX = 65_536
"""Most different steps between bars; more have no most frequent one worth the name."""
PRICE_MAX = 1e15
"""Prices from here on are mistakes; below, a float still holds every cent."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass over a source found out."""

    rows: int
    first_open_ns: int
    last_open_ns: int
    timeframe_ns: int
    tick: Decimal
    rounds: bool
    """Whether prices have to be rounded on the way to the bars."""
    fingerprint: str
    notes: tuple[str, ...]


class _Step(msgspec.Struct):
    """How often two bars were this far apart, and which row was the first to be."""

    first_row: int
    count: int = 0


class Scan:
    """Takes the rows of one source in order, then states the facts."""

    __slots__ = (
        "_first_ns",
        "_grid",
        "_hashes",
        "_last_ns",
        "_off_tick",
        "_steps",
        "_tick",
        "rows",
        "where",
    )

    def __init__(self, where: str, tick: Decimal | None) -> None:
        self.where = where
        """The name of the file or table, as it appears in errors."""
        self.rows = 0
        self._tick = tick
        self._grid = Grid()
        self._off_tick = 0
        self._hashes = tuple(hashlib.sha256() for _ in range(6))
        self._steps: dict[int, _Step] = {}
        self._first_ns = 0
        self._last_ns: int | None = None

    def take(self, piece: Columns) -> Columns:
        """Check the next rows and return them as they will be played.

        Raises:
            UserError: a row cannot be true.
        """
        _check_rows(piece, self._last_ns, self.where, self.rows + 1)
        if self._tick is None:
            piece = self._grid.take(piece, self.where, self.rows + 1)
        else:
            self._off_tick += count_off_tick(piece, self._tick)
        self._count_steps(piece.open_ns)
        columns = (piece.open_ns, piece.open, piece.high, piece.low, piece.close, piece.volume)
        for digest, column in zip(self._hashes, columns, strict=True):
            digest.update(column.data)
        if self._last_ns is None:
            self._first_ns = int(piece.open_ns[0])
        self._last_ns = int(piece.open_ns[-1])
        self.rows += len(piece)
        return piece

    def facts(self, timeframe_ns: int | None) -> Facts:
        """Return what was found, with the given timeframe or the most frequent step.

        Raises:
            UserError: there was no row, or the timeframe cannot be told or does not fit.
        """
        if self._last_ns is None:
            message = f"{self.where}: there are no rows"
            raise UserError(message)
        usual_ns = max(self._steps, key=lambda step: (self._steps[step].count, -step), default=None)
        timeframe_ns = timeframe_ns or usual_ns
        if timeframe_ns is None:
            message = f"{self.where}: a single row does not tell its timeframe; give it with --timeframe"
            raise UserError(message)
        self._check_steps(timeframe_ns, given=timeframe_ns != usual_ns)
        digest = hashlib.sha256(b"".join(column.digest() for column in self._hashes))
        return Facts(
            rows=self.rows,
            first_open_ns=self._first_ns,
            last_open_ns=self._last_ns,
            timeframe_ns=timeframe_ns,
            tick=self._grid.tick if self._tick is None else self._tick,
            rounds=self._grid.rounded > 0,
            fingerprint=digest.hexdigest()[:32],
            notes=tuple(self._notes(timeframe_ns, usual_ns)),
        )

    def _count_steps(self, open_ns: Integers) -> None:
        steps = np.diff(open_ns) if self._last_ns is None else np.diff(open_ns, prepend=self._last_ns)
        first_row = self.rows + (2 if self._last_ns is None else 1)
        values, indices, counts = _distinct(steps)
        for value, index, count in zip(values.tolist(), indices.tolist(), counts.tolist(), strict=True):
            self._steps.setdefault(value, _Step(first_row + index)).count += count
        if len(self._steps) > STEPS_MAX:
            message = f"{self.where}: no bars: there are over {STEPS_MAX:,} different steps in time"
            raise UserError(message)

    def _check_steps(self, timeframe_ns: int, *, given: bool) -> None:
        """Refuse bars that overlap."""
        short = [(step.first_row, ns) for ns, step in self._steps.items() if ns < timeframe_ns]
        if short:
            row, ns = min(short)
            whose = "given" if given else "most frequent step"
            message = (
                f"{self.where}: row {row} is only {format_timeframe(ns)} after the row before it, "
                f"less than the timeframe {format_timeframe(timeframe_ns)} ({whose})"
            )
            raise UserError(message)

    def _notes(self, timeframe_ns: int, usual_ns: int | None) -> list[str]:
        notes = []
        if usual_ns is not None and timeframe_ns != usual_ns:
            notes.append(
                f"most rows are {format_timeframe(usual_ns)} apart but are played as "
                f"{format_timeframe(timeframe_ns)} bars"
            )
        if self._grid.rounded:
            notes.append(f"{self._grid.rounded:,} prices with more than {DECIMALS_MAX} decimals were rounded")
        if self._off_tick:
            notes.append(f"{self._off_tick:,} prices are not multiples of the tick {self._tick}")
        gaps = [(step.count, ns // timeframe_ns - 1) for ns, step in self._steps.items() if ns > timeframe_ns]
        if gaps and timeframe_ns == usual_ns:
            missing = sum(count * bars for count, bars in gaps)
            notes.append(f"{sum(count for count, _ in gaps):,} gaps, {missing:,} bars missing")
        return notes


def scan(
    source: Source, where: str, *, timeframe_ns: int | None, tick: Decimal | None, keep: int
) -> tuple[Facts, list[Columns]]:
    """Pass over a source once; return the facts and, if there are at most `keep`, its rows.

    Raises:
        UserError: the source cannot be read, or a row cannot be true.
    """
    state = Scan(where, tick)
    kept: list[Columns] | None = [] if source.rows_guess <= keep else None
    for block in source.blocks(0):
        for start in range(0, len(block), PIECE_ROWS):
            piece = state.take(block.between(start, start + PIECE_ROWS))
            if kept is not None:
                kept.append(piece)
        if state.rows > keep:
            kept = None
    return state.facts(timeframe_ns), kept or []


def _distinct(values: Integers) -> tuple[Integers, NDArray[np.intp], NDArray[np.intp]]:
    """Return the distinct values, where each is first met and how often; fast if there is one."""
    if len(values) and (values == values[0]).all():
        return values[:1], np.zeros(1, np.intp), np.full(1, len(values), np.intp)
    return np.unique(values, return_index=True, return_counts=True)


def _check_rows(piece: Columns, last_ns: int | None, where: str, first_row: int) -> None:
    """Refuse rows that cannot be true; a NaN fails every comparison it is part of.

    Raises:
        UserError: naming the first such row.
    """
    times, top, bottom = piece.open_ns, piece.high, piece.low
    rising = (last_ns is None or times[0] > last_ns) and (times[1:] > times[:-1]).all()
    below_top = (np.maximum(piece.open, piece.close) <= top).all()
    above_bottom = (np.minimum(piece.open, piece.close) >= bottom).all()
    bounded = bottom.min() > 0 and top.max() < PRICE_MAX
    volume = piece.volume.min() >= 0 and piece.volume.max() < np.inf
    if not (rising and below_top and above_bottom and bounded and volume):
        raise UserError(_first_fault(piece, last_ns, where, first_row))


def _first_fault(piece: Columns, last_ns: int | None, where: str, first_row: int) -> str:
    """Describe what is wrong with the first row that is wrong, the most basic fault first."""
    steps = np.diff(piece.open_ns, prepend=piece.open_ns[0] - 1 if last_ns is None else last_ns)
    faults: list[tuple[int, str]] = []

    def find(wrong: NDArray[np.bool_], text: str) -> None:
        if wrong.any():
            faults.append((int(wrong.argmax()), text))

    for name in (*PRICE_NAMES, "volume"):
        values: Floats = getattr(piece, name)
        find(~np.isfinite(values), f"{name} is {{{name}}}, not a finite number")
        if name == "volume":
            find(values < 0, "volume {volume} is negative")
        else:
            find(values <= 0, f"{name} {{{name}}} is not positive")
            find(values >= PRICE_MAX, f"{name} {{{name}}} is not a plausible price")
    find(piece.high < piece.low, "high {high} is below low {low}")
    for name in ("open", "close"):
        values = getattr(piece, name)
        find(values > piece.high, f"{name} {{{name}}} is above high {{high}}")
        find(values < piece.low, f"{name} {{{name}}} is below low {{low}}")
    find(steps == 0, "its time, {time}, is a duplicate of the row before it")
    backwards = "time goes backwards, to {time}"
    if len(steps) > 1 and (steps[1:] < 0).all():
        backwards += "; the newest row seems to be first: sort by ts"
    find(steps < 0, backwards)
    index, text = min(faults, key=itemgetter(0))
    values_of_row = {name: getattr(piece, name)[index].item() for name in (*PRICE_NAMES, "volume")}
    text = text.format(**values_of_row, time=time_text(int(piece.open_ns[index])))
    return f"{where}: row {first_row + index}: {text}"
