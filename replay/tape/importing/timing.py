"""What the first times of a table tell: in which order its rows are, and how far apart."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from config.errors import UserError
from config.timeframe import NS_PER_S, format_timeframe
from replay.tape.columns import time_text
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


def timeframe_of(times: Sequence[int | None], given_ns: int | None, where: str, label: str) -> int | None:
    """Return the length of a bar: what is given, or the commonest distance between rows; nothing for one row.

    Raises:
        UserError: a row is no whole number of bars from the first, or the distance no whole number of seconds.
    """
    step = given_ns
    if step is None:
        distinct = sorted({ns for ns in times if ns is not None})
        steps = Counter(after - before for before, after in pairwise(distinct))
        if not steps:
            return None
        most = max(steps.values())
        step = min(step for step, count in steps.items() if count == most)
        if step % NS_PER_S:
            message = f"{where}: its rows are {_spoken(step)} apart, which is no length of a bar"
            raise UserError(message)
    first = next((ns for ns in times if ns is not None), 0)
    for row, ns in enumerate(times, 1):
        if ns is not None and (ns - first) % step:
            hint = "" if given_ns is not None else "; if bars are not as long as most rows are apart, add --timeframe"
            message = f"{where}: row {row}: column {label!r}: {beside_grid(ns, first, step)}{hint}"
            raise UserError(message)
    return step


def beside_grid(ns: int, first_ns: int, step_ns: int) -> str:
    """Say that a bar does not stand a whole number of bars from the first one."""
    step = format_timeframe(step_ns)
    return f"{time_text(ns)} is no multiple of {step} away from the first row, {time_text(first_ns)}"


def _spoken(step_ns: int) -> str:
    return format_timeframe(step_ns) if step_ns % NS_PER_S == 0 else f"{step_ns / NS_PER_S:g} s"
