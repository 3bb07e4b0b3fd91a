"""Times of every unit, there and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.tape.importing.times import FIRST_NS, LAST_NS, NS_OF, nanoseconds, unit_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.integers(FIRST_NS, LAST_NS - 10**9)


def back(values: list[object], reading: str, dtype: type[pl.DataType] | pl.DataType | None = None) -> list[int | None]:
    frame = pl.DataFrame({"ts": values}, schema={"ts": dtype} if dtype is not None else None)
    made = frame.select(nanoseconds(pl.col("ts"), frame.schema["ts"], reading).alias("ts"))  # type: ignore[arg-type]
    return made.get_column("ts").to_list()


@pytest.mark.parametrize("unit", NS_OF)
@settings(deadline=None)
@given(ns=moments)
def test_a_number_is_told_by_its_size_and_comes_back(unit: str, ns: int) -> None:
    value = ns // NS_OF[unit]
    expected = [value * NS_OF[unit]]
    if expected[0] < FIRST_NS:
        value, expected = value + 1, [expected[0] + NS_OF[unit]]
    assert unit_of(value) == unit_of(str(value)) == (unit, True)
    assert back([value], unit) == back([str(value)], unit) == expected


@pytest.mark.parametrize("unit", NS_OF)
@settings(deadline=None)
@given(ns=moments)
def test_a_fraction_keeps_every_digit_down_to_a_nanosecond(unit: str, ns: int) -> None:
    whole, rest = divmod(ns, NS_OF[unit])
    digits = len(str(NS_OF[unit])) - 1
    text = f"{whole}.{rest:0{digits}d}" if digits else f"{whole}.0"
    if whole * NS_OF[unit] >= FIRST_NS:
        assert unit_of(text) == (unit, True)
        assert back([text], unit) == [ns]


@settings(deadline=None)
@given(ns=moments, minutes=st.integers(-14 * 60, 14 * 60), digits=st.integers(0, 9), gap=st.sampled_from("T "))
def test_text_with_any_offset_comes_back(ns: int, minutes: int, digits: int, gap: str) -> None:
    ns -= ns % 10 ** (9 - digits)
    local = (EPOCH + timedelta(seconds=ns // 10**9)).astimezone(timezone(timedelta(minutes=minutes)))
    fraction = f".{ns % 10**9:09d}"[: digits + 1] if digits else ""
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    text = local.strftime(f"%Y-%m-%d{gap}%H:%M:%S") + fraction + offset
    assert unit_of(text) == ("iso", True)
    assert back([text], "iso") == [ns if ns >= FIRST_NS else None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-01", "2024-03-01T00:00:00"),
        ("2024-03-01 07:30", "2024-03-01T07:30:00"),
        ("2024-03-01T07:30:00Z", "2024-03-01T07:30:00"),
        ("2024-03-01 07:30:00 UTC", "2024-03-01T07:30:00"),
        ("2024-03-01 07:30:00+0530", "2024-03-01T02:00:00"),
        ("2024-03-01 07:30:00-05", "2024-03-01T12:30:00"),
    ],
)
def test_ways_to_write_a_time(text: str, expected: str) -> None:
    (ns,) = back([text], "iso")
    assert ns == int(datetime.fromisoformat(expected).replace(tzinfo=UTC).timestamp()) * 10**9


OFFSETS = ["2024-01-01 00:00:00+25:00", "2024-01-01 00:00:00-02:60", "2024-01-01 00:00:60Z"]


@pytest.mark.parametrize("text", ["2024-02-30", "2024-01-01 25:00", "01/02/2024", "12", "close", "", "1e12", *OFFSETS])
def test_what_is_no_time_is_none(text: str) -> None:
    assert unit_of(text) is None or back([text], "iso") == [None]


@settings(deadline=None)
@given(ns=moments)
def test_typed_times_come_back(ns: int) -> None:
    micros = max(ns - ns % 1_000, FIRST_NS)
    moment = EPOCH + timedelta(microseconds=micros // 1_000)
    assert back([moment], "datetime", pl.Datetime("us", "UTC")) == [micros]
    assert unit_of(moment) == ("datetime", True)


def test_a_number_of_another_unit_is_none_in_this_one() -> None:
    assert back([1_700_000_000, 1_700_000_000_000, None], "s", pl.Int64) == [1_700_000_000 * 10**9, None, None]


@settings(deadline=None)
@given(ns=moments)
def test_a_float_is_the_shortest_number_that_it_may_be(ns: int) -> None:
    """Seconds as a float are a microsecond's, whatever is left of a nanosecond in them."""
    ns -= ns % 10_000
    if 10**17 + 10**9 <= ns < 4 * 10**18:
        assert back([ns / 10**9], "s", pl.Float64) == back([repr(ns / 10**9)], "s")
        assert back([1_704_221_486.310618], "s", pl.Float64) == [1_704_221_486_310_618_000]


def test_a_short_fraction_is_a_fraction() -> None:
    assert back(["1700000000.5", "1700000000.25", "1700000000."], "s") == [
        1_700_000_000_500_000_000,
        1_700_000_000_250_000_000,
        1_700_000_000_000_000_000,
    ]
    assert back(["2024-03-01 00:00:00.5"], "iso") == [1_709_251_200_500_000_000]
