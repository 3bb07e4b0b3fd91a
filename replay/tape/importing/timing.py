"""What the first times of a table tell: in which order its rows are, and how far apart."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from config.errors import UserError
from config.timeframe import NS_PER_S, format_timeframe
from replay.tape.importing.times import nanoseconds, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replay.tape.importing.layout import Reading


def sample_ns(values: Sequence[Any], reading: Reading) -> list[int | None]:
    """Return times as nanoseconds UTC; nothing where a value is no time in this unit."""
    if reading == "datetime":
        frame = pl.DataFrame({"ts": list(values)})
    else:
        texts = [plain(value) if isinstance(value, int | float) else value for value in values]
        frame = pl.DataFrame({"ts": texts}, schema={"ts": pl.String})
    made = frame.select(nanoseconds(pl.col("ts"), frame.schema["ts"], reading).alias("ts"))
    return made.get_column("ts").to_list()


def order_of(times: Sequence[int | None]) -> Literal["oldest first", "newest first", "mixed"]:
    """Return in which order rows are; rows of one time are in any."""
    steps = [after - before for before, after in pairwise(ns for ns in times if ns is not None)]
    if all(step >= 0 for step in steps):
        return "oldest first"
    return "newest first" if all(step <= 0 for step in steps) else "mixed"


def timeframe_of(times: Sequence[int | None], given_ns: int | None, where: str) -> int | None:
    """Return the length of a bar: what is given, or the commonest distance between rows; nothing for one row.

    Raises:
        UserError: the rows are not as far apart as was said, or no whole number of seconds.
    """
    distinct = sorted({ns for ns in times if ns is not None})
    steps = Counter(after - before for before, after in pairwise(distinct))
    if given_ns is not None:
        odd = next((step for step in steps if step % given_ns), None)
        if odd is not None:
            message = f"{where}: there are rows {_spoken(odd)} apart, which is no multiple of {_spoken(given_ns)}"
            raise UserError(message)
        return given_ns
    if not steps:
        return None
    most = max(steps.values())
    step = min(step for step, count in steps.items() if count == most)
    if step % NS_PER_S:
        message = f"{where}: its rows are {_spoken(step)} apart, which is no length of a bar"
        raise UserError(message)
    return step


def _spoken(step_ns: int) -> str:
    return format_timeframe(step_ns) if step_ns % NS_PER_S == 0 else f"{step_ns / NS_PER_S:g} s"
