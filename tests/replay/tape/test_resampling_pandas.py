"""Longer bars are those that pandas makes: of every recorded file, shifted, by sessions, and of trades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from replay.tape.importing import inspect, read
from replay.tape.resampling import Grid, Resampled, parse_session, resample

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
BLOCK_ROWS = 40_000
PRICES = {"open": "first", "high": "max", "low": "min", "close": "last"}
AGGREGATES = {**PRICES, "volume": "sum"}


def recorded(path: Path) -> tuple[pl.DataFrame, int | None]:
    """Return a file's rows as the catalogue would have them, and the length of its bars."""
    layout = inspect(path)
    return pl.concat(read(path, layout)), layout.timeframe_ns


def made(rows: pl.DataFrame, **terms: Any) -> pl.DataFrame:
    blocks = (rows.slice(start, BLOCK_ROWS) for start in range(0, rows.height, BLOCK_ROWS))
    return pl.concat(resample(blocks, Grid(**terms), Resampled()))


def indexed(rows: pl.DataFrame) -> pd.DataFrame:
    frame = pd.DataFrame({name: rows.get_column(name).to_numpy() for name in rows.columns if name != "ts"})
    return frame.set_index(pd.to_datetime(rows.get_column("ts").to_numpy(), unit="ns", utc=True))


def by_pandas(frame: pd.DataFrame, every_ns: int, origin: Any, offset_ns: int = 0) -> pd.DataFrame:
    """Return bars with the number of rows in each; pandas makes one of every stretch, these are those with rows."""
    grouped = frame.resample(pd.Timedelta(every_ns), origin=origin, offset=pd.Timedelta(offset_ns))
    bars = grouped.agg(AGGREGATES)
    return bars.assign(rows=grouped.size()).query("rows > 0")


def by_sessions(frame: pd.DataFrame, every_ns: int, opens: str, closes: str, zone: str) -> pd.DataFrame:
    """Return the bars of each day's session, which pandas cuts out by the clocks of its place and resamples alone."""
    days = pd.date_range(frame.index[0].date() - pd.Timedelta("1D"), frame.index[-1].date() + pd.Timedelta("1D"))
    parts = []
    for day in days:
        start, end = (pd.Timestamp(f"{day.date()} {clock}").tz_localize(zone) for clock in (opens, closes))
        if end <= start:
            end = pd.Timestamp(f"{(day + pd.Timedelta('1D')).date()} {closes}").tz_localize(zone)
        inside = frame.iloc[frame.index.searchsorted(start) : frame.index.searchsorted(end)]
        if len(inside):
            bars = by_pandas(inside, every_ns, start)
            starts_ns = bars.index.as_unit("ns").asi8
            parts.append(bars.assign(whole=np.minimum(starts_ns + every_ns, end.value) - starts_ns))
    return pd.concat(parts)


def assert_equal(ours: pl.DataFrame, theirs: pd.DataFrame) -> None:
    """Times and prices are the same to the bit; sums but for the last digits, as pandas adds in an order of its own."""
    assert ours.get_column("ts").to_list() == theirs.index.as_unit("ns").asi8.tolist()
    for name in PRICES:
        np.testing.assert_array_equal(ours.get_column(name).to_numpy(), theirs[name].to_numpy())
    np.testing.assert_allclose(ours.get_column("volume").to_numpy(), theirs["volume"].to_numpy(), rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["1m", "5m", "15m", "1h"])
def test_bars_of_every_recorded_file(shared_data: Path, folder: str) -> None:
    paths = sorted((shared_data / "ohlcv" / folder).glob("*.parquet"))
    assert len(paths) >= 7
    for path in paths:
        rows, source_ns = recorded(path)
        assert source_ns is not None
        frame = indexed(rows)
        for times, shifted in ((3, 0), (4, 1), (24, 5)):
            length_ns, offset_ns = times * source_ns, shifted * source_ns
            terms: dict[str, Any] = {"timeframe_ns": length_ns, "source_ns": source_ns, "offset_ns": offset_ns}
            theirs = by_pandas(frame, length_ns, "epoch", offset_ns)
            assert_equal(made(rows, incomplete="keep", **terms), theirs)
            whole = theirs[theirs["rows"] == times]
            assert 0 < len(whole) <= len(theirs), path
            assert_equal(made(rows, **terms), whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "opens", "closes", "zone", "lengths"),
    [
        ("1m/bitfinex_BTCUSD_1m_2019", "09:30", "16:00", "America/New_York", (60, 390)),
        ("1m/bitfinex_BTCUSD_1m_2019", "18:00", "05:00", "Europe/Berlin", (240,)),
        ("1h/binance-spot_BTCUSDT_1h_2019-2022", "08:00", "16:00", "Europe/London", (180,)),
    ],
)
def test_bars_of_sessions(
    shared_data: Path, name: str, opens: str, closes: str, zone: str, lengths: tuple[int, ...]
) -> None:
    """Over a year each, both changes of the clocks in it, and holes."""
    rows, source_ns = recorded(shared_data / f"ohlcv/{name}.parquet")
    assert source_ns is not None
    rows = rows.head(400 * 86_400 * 10**9 // source_ns)
    session = parse_session(f"{opens}-{closes}", zone)
    for minutes in lengths:
        theirs = by_sessions(indexed(rows), minutes * MINUTE, opens, closes, zone)
        terms: dict[str, Any] = {"timeframe_ns": minutes * MINUTE, "source_ns": source_ns, "session": session}
        assert_equal(made(rows, incomplete="keep", **terms), theirs)
        whole = theirs[theirs["rows"] * source_ns == theirs["whole"]]
        assert 100 < len(whole) < len(theirs)
        assert_equal(made(rows, **terms), whole)


@pytest.mark.slow
@pytest.mark.parametrize(("length_ns", "offset_ns"), [(MINUTE, 0), (HOUR, 7 * MINUTE)])
def test_bars_of_every_recorded_file_of_trades(shared_data: Path, length_ns: int, offset_ns: int) -> None:
    paths = sorted((shared_data / "trades").glob("*.parquet"))
    assert len(paths) == 4
    for path in paths:
        rows, _ = recorded(path)
        frame = indexed(rows)
        frame["turnover"] = frame["price"] * frame["quantity"]
        frame["bought"] = frame["quantity"].where(frame["side"] > 0, 0.0)
        grouped = frame.resample(pd.Timedelta(length_ns), origin="epoch", offset=pd.Timedelta(offset_ns))
        theirs = grouped["price"].agg(list(PRICES.values())).set_axis(list(PRICES), axis=1)
        sums = grouped[["quantity", "turnover", "bought"]].sum()
        theirs = theirs.assign(volume=sums["quantity"], rows=grouped.size(), **sums).query("rows > 0")
        terms: dict[str, Any] = {"timeframe_ns": length_ns, "source_ns": None, "offset_ns": offset_ns}
        ours = made(rows, incomplete="keep", **terms)
        assert_equal(ours, theirs)
        assert ours.get_column("trades").to_list() == theirs["rows"].tolist()
        for name, other in (("quote_volume", "turnover"), ("taker_volume", "bought")):
            np.testing.assert_allclose(ours.get_column(name).to_numpy(), theirs[other].to_numpy(), rtol=1e-11)
        if ours.height > 2:
            assert_equal(made(rows, **terms), theirs.iloc[1:-1])
