"""Every recorded file: the rows it has, to the last digit (skipped where there are none)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from config.errors import UserError
from replay.tape.importing import inspect, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Listed = Callable[[], dict[str, tuple[int, str]]]

KINDS = {
    "funding": "funding",
    "mark": "mark",
    "ohlcv": "bars",
    "open_interest": "open_interest",
    "quotes": "quotes",
    "sentiment": "values",
    "trades": "trades",
}
NAMES = {"quantity": "qty", "bid_quantity": "bid_qty", "ask_quantity": "ask_qty", "open_interest": "oi"}
FOREIGN = {"bybit-spot_BTCUSDT_quotebars_1m_2022-12-13.parquet"}
NO_SERIES = {f"quotes/{name}" for name in FOREIGN} | {
    "book/orderbook-cost_BTCUSDT_1h_2022.parquet",
    "book/raw/bybit_xrpusdt_ob500.jsonl",
}
"""Bars of quotes, four values beside each other, and messages of a websocket are no kind of ours."""


@pytest.mark.slow
@pytest.mark.parametrize("folder", KINDS)
def test_every_recorded_table_is_read_to_the_last_digit(shared_data: Path, folder: str) -> None:
    paths = sorted(path for path in (shared_data / folder).rglob("*.parquet") if path.name not in FOREIGN)
    assert paths
    for path in paths:
        source = pl.read_parquet(path)
        layout = inspect(path)
        frame = pl.concat(read(path, layout))
        assert layout.kind == KINDS[folder], path
        assert (layout.timeframe_ns is not None) == (folder in {"ohlcv", "mark"})
        ts = source["ts"] * 1_000_000 if "ts" in source.columns else source["recv_ns"]
        assert frame["ts"].to_list() == ts.to_list(), path
        for name in frame.columns[1:]:
            if name == "side":
                assert frame[name].to_list() == source["side"].replace_strict({"buy": 1, "sell": -1}).to_list()
            elif name == "published":
                assert frame[name].equals(frame["ts"].alias(name))
            else:
                origin = NAMES.get(name, "oi_value" if folder == "open_interest" else name)
                expected = (
                    source[origin].cast(frame[name].dtype).fill_nan(None)
                    if frame[name].dtype == pl.Float64
                    else source[origin]
                )
                expected = expected.fill_null(0) if folder == "mark" else expected
                assert frame[name].to_list() == expected.to_list(), (path, name)


@pytest.mark.parametrize(
    ("name", "layout_name", "rows", "order"),
    [
        ("dirty/binance-um_BTCUSDT_1m_two_downloads_appended.csv.gz", "generic", 31_592, "oldest first"),
        (
            "dirty/cryptodatadownload_BTCUSD_1h_newest_first_volume_swapped.csv.gz",
            "cryptodatadownload",
            33_259,
            "newest first",
        ),
        ("dirty/kraken_BCHEUR_trades_no_header.csv", "kraken-trades", 486, "oldest first"),
        ("dirty/unittest_BTC_1m_2017-11_gappy.parquet", "generic", 13_681, "oldest first"),
        ("book/raw/tardis_bitmex_trades_XBTUSD.csv", "tardis-trades", 10, "oldest first"),
        ("book/raw/tardis_deribit_incremental_book_L2_BTC-PERPETUAL.csv", "tardis-book", 15, "oldest first"),
        ("book/raw/tardis_binance-futures_book_snapshot_25_BTCUSDT.csv", "tardis-snapshots", 10, "oldest first"),
    ],
)
def test_dirty_and_foreign_files_are_recognised(
    shared_data: Path, name: str, layout_name: str, rows: int, order: str
) -> None:
    layout = inspect(shared_data / name)
    frame = pl.concat(read(shared_data / name, layout))
    assert (layout.name, frame.height, layout.tables[0].order) == (layout_name, rows, order)
    if order == "newest first":
        assert frame["ts"].is_sorted()


@pytest.mark.slow
def test_every_file_that_is_listed_is_a_series_or_refused_in_one_line(shared_data: Path, listed: Listed) -> None:
    """None is left out: what is listed has as many rows as the list says, or is one of those that are no series."""
    refused = {}
    for name, (rows, _) in listed().items():
        (path,) = shared_data.rglob(name)
        try:
            layout = inspect(path)
        except UserError as error:
            refused[path] = str(error)
            continue
        assert sum(frame.height for frame in read(path, layout)) == rows, path
    for path, text in refused.items():
        assert text.startswith(f"{path}: "), path
        assert "\n" not in text
    payloads = {f"payloads/{path.name}" for path in (shared_data / "payloads").iterdir()}
    others = {str(path.relative_to(shared_data)) for path in feeds(shared_data)} | NO_SERIES
    assert {str(path.relative_to(shared_data)) for path in refused} == payloads | others


def test_a_recorded_feed_is_said_to_be_played(shared_data: Path) -> None:
    for path in feeds(shared_data):
        with pytest.raises(UserError, match="row 1: is a line of a recorded feed, which is played as it is"):
            inspect(path)


def feeds(shared_data: Path) -> list[Path]:
    found = sorted((shared_data / "book" / "raw").glob("*.feed.gz"))
    assert len(found) == 3
    return found
