"""What becomes of rows that are there twice: within one import, and between an import and what was there before.

Rows are brought into order and told apart by their kind's identity. Equal ones collapse. Between an import and what was
there, an optional value that is absent agrees with any. Where two rows are about the same thing and differ, it is a
conflict, and a policy decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import polars as pl

from config.errors import UserError
from replay.tape.columns import time_text
from replay.tape.kinds import POLARS_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replay.tape.kinds import Kind

OnConflict = Literal["fail", "keep", "replace"]
"""Write nothing; keep what was there first; take what came last."""
EXAMPLES_MAX = 5
"""Conflicts that are shown in full."""

_ORDER = "_order"
_RUN = "_run"
_DIGEST = "_message"
_SOURCE = "_source"


class Conflict(msgspec.Struct, frozen=True):
    """Two rows about the same thing that differ."""

    ts_ns: int
    kept: dict[str, float | int | bool | None]
    """What differs, as it was there first."""
    came: dict[str, float | int | bool | None]
    """The same, as it came."""

    def __str__(self) -> str:
        if not self.kept:
            return f"at {time_text(self.ts_ns)}: two different messages of one number"
        words = ", ".join(f"{name} {self.kept[name]} there, {self.came[name]} came" for name in self.kept)
        return f"at {time_text(self.ts_ns)}: {words}"


class Merged(msgspec.Struct, frozen=True):
    """Rows in order, each of them once."""

    frame: pl.DataFrame
    conflicts: int = 0
    examples: tuple[Conflict, ...] = ()


def canonical(frame: pl.DataFrame, kind: Kind, first_row: int, where: str) -> pl.DataFrame:
    """Return a frame with the kind's columns in their order, without optional columns that are empty.

    Args:
        frame: columns of the kind's own types.
        kind: what it is a frame of.
        first_row: 1-based number of its first row, for errors.
        where: the source's name, for errors.

    Raises:
        UserError: a value is missing that every row has.
        ValueError: a column is missing, unknown or of another type: a mistake of the caller.
    """
    types = kind.types()
    unknown = [name for name in frame.columns if name not in types]
    absent = [name for name in kind.columns if name not in frame.columns]
    wrong = [name for name in frame.columns if name in types and str(frame.schema[name]) != POLARS_NAMES[types[name]]]
    if unknown or absent or wrong:
        message = (
            f"{where}: not the columns of {kind.name}: absent {absent}, unknown {unknown}, of another type {wrong}"
        )
        raise ValueError(message)
    nulls = {name: frame.get_column(name).null_count() for name in frame.columns}
    for name, count in nulls.items():
        required = name in kind.columns or (name in kind.key and count < frame.height)
        if count and required:
            row = frame.get_column(name).is_null().arg_max() or 0
            message = f"{where}: row {first_row + row}: {name} is empty"
            raise UserError(message)
    return frame.select(
        name for name in types if name in nulls and (name in kind.columns or nulls[name] < frame.height)
    )


def stack(frames: Sequence[pl.DataFrame], kind: Kind) -> pl.DataFrame:
    """Return frames one below the other, with all columns any of them has."""
    if all(frame.columns == frames[0].columns for frame in frames):
        return pl.concat(frames)
    stacked = pl.concat(frames, how="diagonal")
    return stacked.select(name for name in kind.types() if name in stacked.columns)


def settle(frame: pl.DataFrame, kind: Kind, on_conflict: OnConflict) -> Merged:
    """Return the rows of one import, given in the order they came, sorted and each of them once."""
    identity = identity_of(frame, kind)
    if identity == "occurrence":
        return Merged(frame if frame.get_column("ts").is_sorted() else frame.sort("ts", maintain_order=True))
    if identity == "message":
        return _by_message(frame, None, kind, on_conflict)
    keys = [name for name in kind.key if name in frame.columns]
    if _is_strictly_sorted(frame, keys):
        return Merged(frame)
    return _settle_keyed(frame, keys, on_conflict)


def unite(base: pl.DataFrame, came: pl.DataFrame, kind: Kind, on_conflict: OnConflict, where: str) -> Merged:
    """Return what was there together with what came, both settled.

    Raises:
        UserError: one of them has numbers of trades and the other has none, so that nothing can tell them apart.
    """
    identity = identity_of(base, kind)
    if identity != identity_of(came, kind):
        message = f"{where}: these trades have {'no ids' if identity == 'key' else 'ids'}, unlike those already there"
        raise UserError(message)
    if base.item(-1, "ts") < came.item(0, "ts"):
        return Merged(stack([base, came], kind))
    if identity == "occurrence":
        return Merged(_by_occurrence(base, came, kind))
    if identity == "message":
        return _by_message(base, came, kind, on_conflict)
    if identity == "revision":
        return _unite_revised(base, came, kind, on_conflict)
    return _unite_keyed(base, came, kind, [name for name in kind.key if name in base.columns], on_conflict)


def identity_of(frame: pl.DataFrame, kind: Kind) -> str:
    """Return how rows of this frame are told apart: trades without ids by how often they occur."""
    return kind.identity if all(name in frame.columns for name in kind.key) else "occurrence"


def _is_strictly_sorted(frame: pl.DataFrame, keys: list[str]) -> bool:
    """Return whether every row comes after the one before it."""
    after = pl.lit(value=False)
    for name in reversed(keys):
        column, before = pl.col(name), pl.col(name).shift(1)
        after = (column > before) | ((column == before) & after)
    return bool(frame.select(after.slice(1).all()).item())


def _same_as_before(keys: list[str]) -> pl.Expr:
    """Return whether a row has the key of the row above it."""
    return pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in keys).fill_null(value=False)


def _which(on_conflict: OnConflict) -> Literal["first", "last"]:
    return "last" if on_conflict == "replace" else "first"


def _settle_keyed(frame: pl.DataFrame, keys: list[str], on_conflict: OnConflict) -> Merged:
    """Collapse equal rows; of different rows of one key the first stays, or at ``replace`` the last."""
    rows = frame.unique(maintain_order=True, keep=_which(on_conflict)).sort(keys, maintain_order=True)
    rows = rows.with_columns(_same_as_before(keys).alias(_SOURCE))
    doubled = rows.get_column(_SOURCE)
    conflicts = int(doubled.sum())
    examples = _examples(rows, doubled, keys) if conflicts else ()
    last = doubled.shift(-1, fill_value=False)
    kept = rows.filter(~last if on_conflict == "replace" else ~doubled)
    return Merged(kept.drop(_SOURCE), conflicts, examples)


def _unite_keyed(
    base: pl.DataFrame, came: pl.DataFrame, kind: Kind, keys: list[str], on_conflict: OnConflict
) -> Merged:
    """Merge two frames in which each key is there once: a key that both have makes neighbours of its rows."""
    rows = stack([base, came], kind).with_columns((pl.int_range(pl.len()) >= base.height).alias(_SOURCE))
    rows = rows.sort([*keys, _SOURCE])
    values = [name for name in rows.columns if name not in {*keys, _SOURCE}]
    differs = pl.any_horizontal((pl.col(name) != pl.col(name).shift(1)).fill_null(value=False) for name in values)
    marks = rows.select(_same_as_before(keys).alias("same"), differs.alias("differs"))
    doubled = marks.get_column("same")
    conflict = doubled & marks.get_column("differs")
    conflicts = int(conflict.sum())
    examples = _examples(rows, conflict, keys) if conflicts else ()
    winner = [
        pl.when(conflict)
        .then(pl.col(name) if on_conflict == "replace" else pl.col(name).shift(1))
        .when(doubled)
        .then(pl.coalesce(pl.col(name).shift(1), pl.col(name)))
        .otherwise(pl.col(name))
        .alias(name)
        for name in values
    ]
    merged = rows.with_columns(winner).filter(~doubled.shift(-1, fill_value=False)).drop(_SOURCE)
    return Merged(merged, conflicts, examples)


def _unite_revised(base: pl.DataFrame, came: pl.DataFrame, kind: Kind, on_conflict: OnConflict) -> Merged:
    """Merge values with their corrections; one and the same value that was published at two times is a conflict.

    It is one where neither side has more than this value of its time: a correction to what it was before is none.
    """

    def single(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.len().over("ts") == 1)

    moved = single(base).join(single(came), on=["ts", "value"], suffix="_came", maintain_order="left")
    moved = moved.filter(pl.col("published") != pl.col("published_came"))
    if moved.height:
        loser = (came, base)[on_conflict == "replace"].join(moved, on="ts", how="anti", maintain_order="left")
        base, came = (loser, came) if on_conflict == "replace" else (base, loser)
    merged = _unite_keyed(base, came, kind, list(kind.key), on_conflict)
    examples = tuple(
        Conflict(ts, {"published": there}, {"published": published})
        for ts, there, published in moved.head(EXAMPLES_MAX).select("ts", "published", "published_came").iter_rows()
    )
    return Merged(merged.frame, merged.conflicts + moved.height, (*examples, *merged.examples)[:EXAMPLES_MAX])


def _by_occurrence(base: pl.DataFrame, came: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """Add what came more often than it was there; what is simultaneous stays in the order it came."""
    columns = base.columns
    ordinal = pl.int_range(pl.len()).over(columns).alias(_ORDER)
    new = came.with_columns(ordinal).join(
        base.with_columns(ordinal), on=[*columns, _ORDER], how="anti", maintain_order="left"
    )
    return stack([base, new.drop(_ORDER)], kind).sort("ts", maintain_order=True)


def _by_message(base: pl.DataFrame, came: pl.DataFrame | None, kind: Kind, on_conflict: OnConflict) -> Merged:
    """Merge whole messages: consecutive rows of one key, equal if all their rows are, in the same order."""
    keys = list(kind.key)
    rows = base if came is None else stack([base, came], kind)
    rows = rows.with_columns(
        pl.struct(*keys, (pl.int_range(pl.len()) >= base.height).alias(_SOURCE)).rle_id().alias(_RUN)
    ).with_columns(pl.int_range(pl.len()).over(_RUN).alias(_ORDER))
    values = [name for name in rows.columns if name not in {*keys, _RUN}]
    heads = rows.group_by(_RUN, maintain_order=True).agg(
        *(pl.first(name) for name in keys), pl.struct(values).hash().bitwise_xor().alias(_DIGEST)
    )
    heads = heads.unique([*keys, _DIGEST], maintain_order=True, keep=_which(on_conflict))
    heads = heads.sort("ts", "seq", "snapshot", descending=[False, False, True], maintain_order=True)
    doubled = heads.select(_same_as_before(keys).alias("same")).get_column("same")
    conflicts = int(doubled.sum())
    examples = tuple(Conflict(ts, {}, {}) for ts in heads.filter(doubled).get_column("ts").head(EXAMPLES_MAX))
    heads = heads.filter(~(doubled.shift(-1, fill_value=False) if on_conflict == "replace" else doubled))
    place = heads.select(_RUN).with_row_index(_SOURCE)
    merged = rows.join(place, on=_RUN, how="inner").sort(_SOURCE, _ORDER).drop(_RUN, _ORDER, _SOURCE)
    return Merged(merged, conflicts, examples)


def _examples(rows: pl.DataFrame, conflict: pl.Series, keys: list[str]) -> tuple[Conflict, ...]:
    """Return the first conflicts; each is between a marked row and the one above it."""
    examples = []
    for index in conflict.arg_true().head(EXAMPLES_MAX):
        kept, came = rows.row(index - 1, named=True), rows.row(index, named=True)
        names = [
            name
            for name in rows.columns
            if name not in {*keys, _SOURCE} and kept[name] != came[name] and None not in {kept[name], came[name]}
        ]
        examples.append(
            Conflict(kept["ts"], {name: kept[name] for name in names}, {name: came[name] for name in names})
        )
    return tuple(examples)
