"""Longer bars out of shorter ones and out of trades: equal to what others make of them, and only when complete."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from config.errors import UserError
from replay.tape.resampling import Grid, Resampled, Session, parse_session, resample

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_704_067_200_000_000_000
PRICES = ("open", "high", "low", "close")
SYMBOLS = ("ADA", "BCH", "BNB", "BTC", "ETH", "SOL", "XRP")


def made(frame: pl.DataFrame, rows: int = 1_000_000, **terms: Any) -> pl.DataFrame:
    """Resample a frame that comes in blocks of so many rows."""
    blocks = (frame.slice(start, rows) for start in range(0, frame.height, rows))
    frames = list(resample(blocks, Grid(**terms), Resampled()))
    return pl.concat(frames, how="diagonal")


def tape_of(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path).with_columns(pl.col("ts") * 1_000_000)


def minutes(numbers: list[int], first_ns: int = START) -> pl.DataFrame:
    ts = np.array(numbers, np.int64)
    close = np.round(100 + 5 * np.sin(ts / 3.0), 2)
    return pl.DataFrame(
        {
            "ts": first_ns + ts * MINUTE,
            "open": close - 0.5,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": 1.0 + ts % 5,
        }
    )


def by_polars(frame: pl.DataFrame, every: str, offset: str = "0s") -> pl.DataFrame:
    """Return the same by polars' own grouping by time, with the number of rows in each group."""
    return (
        frame.with_columns(pl.from_epoch("ts", "ns"))
        .group_by_dynamic("ts", every=every, offset=offset)
        .agg(
            pl.first("open"),
            pl.max("high"),
            pl.min("low"),
            pl.last("close"),
            pl.sum("volume"),
            pl.len().alias("count"),
        )
        .with_columns(pl.col("ts").dt.epoch("ns"))
    )


# --- equal to others ------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_five_minutes_make_the_exchanges_own_quarters_and_hours(shared_data: Path, symbol: str) -> None:
    five = tape_of(shared_data / f"ohlcv/5m/binance-um_{symbol}USDT_5m_2025.parquet")
    for name, length in (("15m", 15 * MINUTE), ("1h", HOUR)):
        native = tape_of(shared_data / f"ohlcv/{name}/binance-um_{symbol}USDT_{name}_2025.parquet")
        ours = made(five, 1_000, timeframe_ns=length, source_ns=5 * MINUTE)
        both = native.join(ours, on="ts", suffix="_ours", how="inner")
        assert both.height >= 719
        assert both.height >= min(native.height, ours.height) - 1
        for column in PRICES:
            assert both.get_column(column).equals(both.get_column(f"{column}_ours").alias(column))
        np.testing.assert_allclose(both.get_column("volume_ours"), both.get_column("volume"), rtol=1e-6)


def test_trades_make_the_exchanges_own_minutes(shared_data: Path) -> None:
    raw = tape_of(shared_data / "trades/binance-spot_XRPETH_trades_2019-10.parquet")
    side = pl.when(pl.col("side") == "buy").then(1).when(pl.col("side") == "sell").then(-1).otherwise(0)
    trades = raw.select("ts", "price", pl.col("qty").alias("quantity"), side.cast(pl.Int8).alias("side"), "id")
    native = tape_of(shared_data / "ohlcv/1m/binance-spot_XRPETH_1m_2019-10.parquet")
    ours = made(trades, 333, timeframe_ns=MINUTE, source_ns=None, incomplete="keep")
    assert ours.height == native.height == 2_469
    assert_frame_equal(ours.select(native.columns).drop("volume"), native.drop("volume"), check_exact=True)
    np.testing.assert_allclose(ours.get_column("volume"), native.get_column("volume"), rtol=1e-9)
    assert ours.get_column("trades").sum() == trades.height
    sure = made(trades, 333, timeframe_ns=MINUTE, source_ns=None)
    assert_frame_equal(sure, ours.slice(1, ours.height - 2))


@pytest.mark.parametrize(
    ("every", "length"), [("3m", 3 * MINUTE), ("1h", HOUR), ("4h", 4 * HOUR), ("1d", DAY), ("1w", 7 * DAY)]
)
@pytest.mark.parametrize("offset", [0, 2])
def test_a_recorded_year_with_gaps_is_what_polars_makes_of_it(
    shared_data: Path, every: str, length: int, offset: int
) -> None:
    year = tape_of(shared_data / "ohlcv/1m/bitfinex_BTCUSD_1m_2019.parquet")
    theirs = by_polars(year, every, f"{offset}m")
    terms: dict[str, Any] = {"timeframe_ns": length, "source_ns": MINUTE, "offset_ns": offset * MINUTE}
    ours = made(year, 50_000, incomplete="keep", **terms)
    assert_frame_equal(ours, theirs.drop("count"), rel_tol=1e-12)
    full = theirs.filter(pl.col("count") == length // MINUTE).drop("count")
    assert every == "1w" or 0 < full.height < theirs.height
    assert_frame_equal(made(year, 50_000, **terms), full, rel_tol=1e-12)


# --- what is complete -----------------------------------------------------------------------------


def test_only_bars_that_are_whole_are_made() -> None:
    frame = minutes([3, 4, *range(5, 10), 10, 11, 13, 14, *range(15, 19)])
    terms: dict[str, Any] = {"timeframe_ns": 5 * MINUTE, "source_ns": MINUTE}

    def starts(incomplete: str) -> list[int]:
        ts = made(frame, incomplete=incomplete, **terms).get_column("ts")
        return [(ns - START) // MINUTE for ns in ts]

    assert starts("drop") == [5]
    assert starts("gaps") == [5, 10]
    assert starts("keep") == [0, 5, 10, 15]
    done = Resampled()
    list(resample([frame], Grid(**terms), done))
    assert (done.rows, done.bars, done.incomplete) == (15, 1, 3)


def test_a_bar_that_ends_with_the_data_is_whole() -> None:
    assert made(minutes(list(range(10))), timeframe_ns=5 * MINUTE, source_ns=MINUTE).height == 2


def test_sums_add_up_and_what_is_unknown_stays_unknown() -> None:
    frame = minutes(list(range(9))).with_columns(
        quote_volume=pl.Series([1.0, 2.0, 3.0, 4.0, None, 6.0, 0.0, 0.0, 0.0]),
        trades=pl.Series([1, 2, 3, 4, 5, 6, 0, 0, 0], dtype=pl.Int64),
        synthetic=pl.Series([True, True, True, False, False, True, False, None, False]),
    )
    bars = made(frame, timeframe_ns=3 * MINUTE, source_ns=MINUTE)
    assert bars.get_column("quote_volume").to_list() == [6.0, None, 0.0]
    assert bars.get_column("trades").to_list() == [6, 15, 0]
    assert bars.get_column("synthetic").to_list() == [True, True, False], "a part that was filled in makes all of it so"
    assert bars.schema["trades"] == pl.Int64


def test_trades_of_an_unknown_side_leave_open_what_takers_bought() -> None:
    sides = pl.Series([1, -1, 1, 0, 1], dtype=pl.Int8)
    trades = pl.DataFrame(
        {"ts": [START + n * 30 * 10**9 for n in range(5)], "price": [2.0] * 5, "quantity": [1.0, 2.0, 3.0, 4.0, 5.0]}
    ).with_columns(side=sides)
    bars = made(trades, timeframe_ns=MINUTE, source_ns=None, incomplete="keep")
    assert bars.get_column("taker_volume").to_list() == [1.0, None, 5.0]
    assert bars.get_column("quote_volume").to_list() == [6.0, 14.0, 10.0]
    assert bars.get_column("trades").to_list() == [2, 2, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 400), min_size=1),
    st.sampled_from([2, 3, 5, 7, 60, 240]),
    st.integers(0, 30),
    st.integers(1, 90),
    st.sampled_from(["drop", "gaps", "keep"]),
)
def test_blocks_do_not_matter_and_each_row_is_in_its_bar(
    numbers: set[int], length: int, offset: int, block: int, incomplete: str
) -> None:
    frame = minutes(sorted(numbers))
    terms: dict[str, Any] = {
        "timeframe_ns": length * MINUTE,
        "source_ns": MINUTE,
        "offset_ns": offset * MINUTE,
        "incomplete": incomplete,
    }
    bars = made(frame, **terms)
    assert made(frame, block, **terms).equals(bars)
    groups: dict[int, list[dict[str, float]]] = {}
    for row in frame.iter_rows(named=True):
        start = (row["ts"] - offset * MINUTE) // (length * MINUTE) * length * MINUTE + offset * MINUTE
        groups.setdefault(start, []).append(row)
    expected = []
    for start, rows in groups.items():
        whole = len(rows) == length
        inside = (start != min(groups) or rows[0]["ts"] == start) and (
            start != max(groups) or rows[-1]["ts"] + MINUTE == start + length * MINUTE
        )
        if whole or incomplete == "keep" or (incomplete == "gaps" and inside):
            high, low = max(row["high"] for row in rows), min(row["low"] for row in rows)
            volume = sum(row["volume"] for row in rows)
            expected.append((start, rows[0]["open"], high, low, rows[-1]["close"], volume))
    assert bars.rows() == expected


# --- sessions -------------------------------------------------------------------------------------


def utc(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[arg-type]


@pytest.mark.parametrize(("day", "opens"), [((2024, 3, 8), 14), ((2024, 3, 11), 13), ((2024, 11, 4), 14)])
def test_a_session_opens_by_the_clocks_of_its_place(day: tuple[int, int, int], opens: int) -> None:
    session = parse_session("09:30-16:00", "America/New_York")
    frame = minutes(list(range(1_440)), utc(*day))
    bars = made(frame, 100, timeframe_ns=HOUR, source_ns=MINUTE, session=session)
    assert bars.get_column("ts").to_list() == [utc(*day, opens, 30) + n * HOUR for n in range(7)]
    (whole,) = made(frame, timeframe_ns=390 * MINUTE, source_ns=MINUTE, session=session).iter_rows(named=True)
    inside = frame.filter(pl.col("ts").is_between(utc(*day, opens, 30), utc(*day, opens + 6, 59)))
    assert (whole["ts"], whole["open"]) == (utc(*day, opens, 30), inside.item(0, "open"))
    assert (whole["close"], whole["volume"]) == (inside.item(-1, "close"), inside.get_column("volume").sum())
    last = bars.row(-1, named=True)
    assert last["volume"] == inside.tail(30).get_column("volume").sum()


def test_a_session_may_last_over_night_and_over_the_change_of_clocks() -> None:
    session = parse_session("18:00-05:00", "Europe/Berlin")
    frame = minutes(list(range(3 * 1_440)), utc(2024, 3, 29))
    bars = made(frame, 500, timeframe_ns=11 * HOUR, source_ns=MINUTE, session=session, incomplete="keep")
    opens = [utc(2024, 3, day, 17) for day in (28, 29)] + [utc(2024, 3, 30, 17), utc(2024, 3, 31, 16)]
    assert bars.get_column("ts").to_list() == opens
    assert session == Session(18 * HOUR, 29 * HOUR, "Europe/Berlin")
    sure = made(frame, 500, timeframe_ns=11 * HOUR, source_ns=MINUTE, session=session)
    assert sure.get_column("ts").to_list() == opens[1:3]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"timeframe_ns": 7 * MINUTE, "source_ns": 5 * MINUTE}, "bars of 7m cannot be made of bars of 5m"),
        ({"timeframe_ns": MINUTE, "source_ns": MINUTE}, "bars of 1m cannot be made of bars of 1m"),
        ({"timeframe_ns": HOUR, "source_ns": 5 * MINUTE, "offset_ns": MINUTE}, "--offset: does not fall"),
        (
            {"timeframe_ns": HOUR, "source_ns": None, "offset_ns": 1, "session": Session(0, DAY, "UTC")},
            "--offset and --session exclude each other",
        ),
        (
            {"timeframe_ns": DAY, "source_ns": MINUTE, "session": Session(0, 6 * HOUR, "UTC")},
            "the session is 6h long, shorter than a bar of 1d; for one bar a session, ask for 6h",
        ),
    ],
)
def test_a_grid_that_cannot_be_is_refused(terms: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Grid(**terms)


@pytest.mark.parametrize(
    ("text", "zone", "reason"),
    [
        ("9:30-16:00", "UTC", "write it as HH:MM-HH:MM"),
        ("25:00-26:00", "UTC", "write it as HH:MM-HH:MM"),
        ("00:00-23:30", "UTC", "at most 23 hours"),
        ("09:30-16:00", "America/NewYork", "no such time zone"),
        ("09:30-16:00", "../etc", "no such time zone"),
    ],
)
def test_a_session_that_is_none_is_refused(text: str, zone: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        parse_session(text, zone)


def test_bars_that_do_not_fit_into_longer_ones_are_refused() -> None:
    with pytest.raises(UserError, match=r"bar of 2024-01-01 00:04:30 is 1m long and reaches over 2024-01-01 00:05:00"):
        made(minutes(list(range(10)), START + MINUTE // 2), timeframe_ns=5 * MINUTE, source_ns=MINUTE)
