"""Times in any unit as nanoseconds UTC: which unit it is, and the exact conversion.

The unit is told by the size of the number: from 1973 to 2261 no number is a plausible time in two units.
Numbers with a fraction and text are converted by integer arithmetic; a float is the shortest number that it may be.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, cast

import polars as pl

if TYPE_CHECKING:
    from replay.tape.importing.layout import Reading

Unit = Literal["s", "ms", "us", "ns"]

NS_OF = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
FIRST_NS = 10**17
"""1973-03-03."""
LAST_NS = 92 * 10**17
"""2261-07-16."""
NO_TIME = "not a time (a number since 1970, or text such as 2024-01-31 08:00:00+00:00)"
NO_SUCH_TIME = "no time that exists, or none from 1973 to 2261"
_FRACTION_DIGITS = 9
_ISO = (
    r"^\s*(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<minute>\d{2}:\d{2})(?::(?P<second>[0-5]\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"\s*(?P<offset>Z|z|UTC|GMT|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?\s*$"
)
_ISO_PATTERN = re.compile(_ISO, re.ASCII)
_NUMBER_PATTERN = re.compile(r"\s*(\d{1,19})(?:\.(\d*))?\s*", re.ASCII)
_NUMBER = r"^\s*(\d{1,19})(?:\.(\d*))?\s*$"


def unit_of(value: object) -> tuple[Reading, bool] | None:
    """Return how a value reads as a time and whether it names an offset, or nothing if it is no time."""
    if isinstance(value, datetime):
        return "datetime", value.tzinfo is not None
    if isinstance(value, date):
        return "datetime", False
    if isinstance(value, bool):
        return None
    text = plain(value) if isinstance(value, int | float) else str(value)
    number = _NUMBER_PATTERN.fullmatch(text)
    if number is not None:
        unit = _unit_of_number(int(number[1]))
        return (unit, True) if unit else None
    iso = _ISO_PATTERN.fullmatch(text)
    return ("iso", iso["offset"] is not None) if iso else None


def plain(value: float) -> str:
    """Return a number as text without an exponent."""
    return format(Decimal(repr(value)), "f")


def nanoseconds(column: pl.Expr, dtype: pl.DataType, reading: Reading) -> pl.Expr:
    """Return times as Int64 nanoseconds UTC; empty where the value is none in this unit."""
    if isinstance(dtype, pl.Datetime | pl.Date):
        micros = column.cast(pl.Datetime("us")).to_physical()
        plausible = (micros >= FIRST_NS // 1000) & (micros < LAST_NS // 1000)
        return pl.when(plausible).then(column).cast(pl.Datetime("ns")).to_physical()
    if reading == "iso":
        return _from_iso(column.cast(pl.String))
    ns = NS_OF[reading]
    if dtype.is_integer():
        plausible = (column >= FIRST_NS // ns) & (column < LAST_NS // ns)
        return pl.when(plausible).then(column.cast(pl.Int64, strict=False)) * ns
    if dtype.is_float() and ns == 1:
        plausible = (column >= FIRST_NS) & (column < LAST_NS)
        return pl.when(plausible).then(column).cast(pl.Int64, strict=False)
    return _from_digits(column.cast(pl.String), ns)


def _from_digits(text: pl.Expr, ns: int) -> pl.Expr:
    """Return numbers written as text, with or without a fraction; what is finer than a nanosecond is cut off."""
    parts = text.str.extract_groups(_NUMBER)
    whole = parts.struct.field("1").cast(pl.Int64, strict=False)
    digits = len(str(ns)) - 1
    fraction = parts.struct.field("2").fill_null("").str.slice(0, digits).str.pad_end(digits, "0")
    plausible = (whole >= FIRST_NS // ns) & (whole < LAST_NS // ns)
    added = fraction.cast(pl.Int64, strict=False) if digits else pl.lit(0)
    return pl.when(plausible).then(whole) * ns + added


def _from_iso(text: pl.Expr) -> pl.Expr:
    parts = text.str.extract_groups(_ISO).struct
    minute = parts.field("minute").fill_null("00:00")
    second = parts.field("second").fill_null("00")
    moment = parts.field("date") + "T" + minute + ":" + second
    micros = moment.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False).to_physical()
    fraction = parts.field("fraction").fill_null("").str.pad_end(_FRACTION_DIGITS, "0").cast(pl.Int64)
    offset = parts.field("offset").fill_null("Z")
    digits = offset.str.slice(1).str.replace(":", "", literal=True).str.pad_end(4, "0")
    is_offset = offset.str.contains("^[+-]")
    minutes = digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(2).cast(
        pl.Int64, strict=False
    )
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    ahead = pl.when(is_offset).then(sign * minutes * 60_000_000).otherwise(0)
    utc = micros - ahead
    plausible = (utc >= FIRST_NS // 1000) & (utc < LAST_NS // 1000)
    return pl.when(plausible).then(utc) * 1000 + fraction


def _unit_of_number(value: int) -> Unit | None:
    for unit, ns in NS_OF.items():
        if FIRST_NS // ns <= value < LAST_NS // ns:
            return cast("Unit", unit)
    return None
