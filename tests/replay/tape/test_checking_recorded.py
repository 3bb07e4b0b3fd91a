"""The recorded data next door: found is exactly what its README lists, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from replay.tape.checking import check, open_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from replay.tape.checking import CheckReport

GAPS = {
    "dirty/unittest_BTC_1m_2017-11_gappy.parquet": (538, 717, 7),
    "ohlcv/1h/binance-spot_BTCUSDT_1h_2019-2022.parquet": (17, 43, 8),
    "ohlcv/1h/binance-spot_ETHUSDT_1h_2019-2022.parquet": (17, 43, 8),
    "ohlcv/1m/binance-spot_XRPETH_1m_2019-10.parquet": (676, 1_091, 8),
    "ohlcv/1m/bitfinex_BTCUSD_1m_2019.parquet": (9_955, 12_873, 197),
    "ohlcv/1m/bitfinex_ETHUSD_1m_2019.parquet": (46_729, 69_629, 257),
    "ohlcv/1m/bitfinex_LTCUSD_1m_2019Q1.parquet": (19_992, 35_942, 261),
    "ohlcv/5m/binance-spot_XRPETH_5m_2019-10.parquet": (6, 6, 1),
    "ohlcv/5m/spot_TRXBTC_5m_2018-01.parquet": (6, 6, 1),
    "ohlcv/5m/spot_XMRBTC_5m_2018-01.parquet": (2, 2, 1),
    "sentiment/fear_greed_daily_2018-2021.parquet": (1, 3, 3),
}
"""Gaps, rows missing, the longest."""
COUNTS = {
    "dirty/binance-um_BTCUSDT_1m_two_downloads_appended.csv.gz": {"out_of_order": 1, "duplicate_identical": 13_259},
    "dirty/cryptodatadownload_BTCUSD_1h_newest_first_volume_swapped.csv.gz": {
        "newest_first": 33_259,
        "columns_swapped": 20_143,
        "zero_volume": 5,
    },
    "book/raw/tardis_bitmex_trades_XBTUSD.csv": {"repeated_time": 8, "repeated_row": 8},
    "dirty/kraken_BCHEUR_trades_no_header.csv": {"repeated_time": 232, "repeated_row": 48},
    "ohlcv/1h/binance-spot_BTCUSDT_1h_2019-2022.parquet": {"zero_volume": 1, "partial_last": 1},
    "ohlcv/1h/binance-spot_ETHUSDT_1h_2019-2022.parquet": {"zero_volume": 1},
    "ohlcv/1h/binance-um_BNBUSDT_1h_2019-2022.parquet": {"partial_last": 1},
    "ohlcv/1h/binance-um_BTCUSDT_1h_2019-2022.parquet": {"zero_volume": 3, "partial_last": 1},
    "ohlcv/1h/binance-um_ETHUSDT_1h_2019-2022.parquet": {"zero_volume": 1},
    "funding/binance-um_ADAUSDT_funding_2025.parquet": {"jitter": 127},
    "funding/binance-um_BCHUSDT_funding_2025.parquet": {"jitter": 93},
    "funding/binance-um_BNBUSDT_funding_2025.parquet": {"jitter": 127},
    "funding/binance-um_BTCUSDT_funding_2025.parquet": {"jitter": 127},
    "funding/binance-um_ENAUSDT_funding_2025.parquet": {"jitter": 181},
    "funding/binance-um_ETHUSDT_funding_2025.parquet": {"jitter": 127},
    "funding/binance-um_SOLUSDT_funding_2025.parquet": {"jitter": 127},
    "funding/binance-um_XRPUSDT_funding_2025.parquet": {"jitter": 127},
    "mark/binance-um_BCHUSDT_mark_8h_2025.parquet": {"no_volume": 266},
    "mark/binance-um_ENAUSDT_mark_8h_2025.parquet": {"no_volume": 236},
    "mark/binance-um_XRPUSDT_mark_1h_2021-11.parquet": {"no_volume": 100},
    "quotes/binance-spot_BTCUSDT_quotes_2021-01-08.parquet": {"repeated_time": 23},
    "trades/binance-spot_BTCUSDT_trades_2021-01-08.parquet": {"repeated_time": 630},
    "trades/binance-spot_BTCUSDT_trades_2024-08.parquet": {"repeated_time": 12_796},
    "trades/binance-spot_XRPETH_trades_2019-10.parquet": {"repeated_time": 2_490},
    "trades/binance-um_BTCUSDT_trades_2024-08.parquet": {"repeated_time": 16_053},
} | {
    f"mark/binance-um_{name}USDT_mark_8h_2025.parquet": {"no_volume": 329}
    for name in ("ADA", "BNB", "BTC", "ETH", "SOL", "XRP")
}
"""By kind of finding; a file in neither table has nothing to find."""
OTHER_TABLES = {
    "bybit-spot_BTCUSDT_quotebars_1m_2022-12-13.parquet",
    "orderbook-cost_BTCUSDT_1h_2022.parquet",
    "bybit_xrpusdt_ob500.jsonl",
}
"""Bars of quotes, four values beside each other, and messages: no kind of series here; nor are recorded feeds."""
FOLDERS = ("ohlcv/1m", "ohlcv/5m", "ohlcv/15m", "ohlcv/1h", "mark", "funding", "open_interest", "sentiment", "dirty")
OTHER_FOLDERS = ("trades", "quotes", "book/raw")


@pytest.mark.slow
@pytest.mark.parametrize("folder", [*FOLDERS, *OTHER_FOLDERS])
def test_the_defects_of_the_recorded_data_are_found_and_no_others(
    shared_data: Path, listed: Callable[[], dict[str, tuple[int, str]]], folder: str
) -> None:
    said = listed()
    files = [file for file in sorted((shared_data / folder).iterdir()) if is_series(file)]
    assert files
    wrong = {}
    for file in files:
        name = f"{folder}/{file.name}"
        report = check(open_rows(str(file)))
        found = {each.kind: each.count for each in report.findings}
        expected = dict(COUNTS.get(name, {}))
        if name in GAPS:
            expected["gap"] = GAPS[name][0]
            gap = report.found("gap")
            assert gap is not None, name
            assert (gap.count, gap.figures["missing"], gap.figures["longest"]) == GAPS[name], name
        if found != expected:
            wrong[name] = (found, expected)
        rows, notes = said[file.name]
        assert report.rows == rows, name
        assert_as_listed(report, notes)
    assert not wrong, wrong


def is_series(file: Path) -> bool:
    return file.is_file() and file.name not in OTHER_TABLES and not file.name.endswith(".feed.gz")


def assert_as_listed(report: CheckReport, notes: str) -> None:
    """Hold a report against the very words of the list, where it speaks of what a check counts."""
    counts = {finding.kind: finding.count for finding in report.findings}
    bars = re.search(
        r"gaps (\d+) \((\d+) bars missing(?:, longest (\d+))?\); dup ts (\d+); backward ts (\d+); "
        r"zero-volume bars (\d+); OHLC violations (\d+)",
        notes,
    )
    in_words = "REAL DEFECTS" in notes or "duplicated timestamps" in notes
    assert (bars is not None) == (report.kind in {"bars", "mark"} and not in_words), report.where
    if bars is not None:
        gap = report.found("gap")
        figures = (0, 0, 0) if gap is None else (gap.count, gap.figures["missing"], gap.figures["longest"])
        assert figures == (int(bars[1]), int(bars[2]), int(bars[3] or 0)), report.where
        twice = counts.get("duplicate_identical", 0) + counts.get("duplicate_differing", 0)
        assert (twice, counts.get("out_of_order", 0)) == (int(bars[4]), int(bars[5])), report.where
        assert counts.get("high_below_low", 0) + counts.get("outside_range", 0) == int(bars[7]), report.where
        if report.kind == "bars":
            assert counts.get("zero_volume", 0) == int(bars[6]), report.where
        assert ("partial_last" in counts) == ("LAST bar is PARTIAL" in notes), report.where
    for pattern, kind in (
        (r"(\d+) timestamps carry exchange jitter", "jitter"),
        (r"\((\d+) repeats of ts\)|repeated ts (\d+)", "repeated_time"),
        (r"id gaps (\d+)", "missing_ids"),
        (r"crossed (?:quotes )?(\d+)", "crossed"),
        (r"missing days (\d+)", "gap"),
        (r"(\d+) duplicated timestamps", "duplicate_identical"),
        (r"and (\d+) backwards jump", "out_of_order"),
        (r"SWAPPED in ([\d,]+) of", "columns_swapped"),
        (r"(\d+) zero-volume bars;", "zero_volume"),
        (r"fully identical rows (\d+)", "repeated_row"),
    ):
        told = re.search(pattern, notes)
        if told is not None:
            finding = report.found(kind)
            count = 0 if finding is None else finding.figures.get("missing", finding.count)
            assert f"{count}" == next(group for group in told.groups() if group).replace(",", ""), (report.where, kind)


def test_two_downloads_one_behind_the_other(shared_data: Path) -> None:
    report = check(open_rows(str(shared_data / "dirty/binance-um_BTCUSDT_1m_two_downloads_appended.csv.gz")))
    back, twice = report.findings
    assert (back.kind, back.first_row) == ("out_of_order", 16_079)
    assert back.example == "from 2025-06-03 15:31:00 back to 2025-05-25 10:33:00"
    assert (twice.kind, twice.first_row, twice.example) == ("duplicate_identical", 16_079, "rows 2,820 and 16,079")
    assert report.errors == 2


def test_volumes_that_change_places_with_the_years(shared_data: Path) -> None:
    """The README counts five changes: two of them are the silence of 2020-04-25, in which no side is the larger."""
    name = "dirty/cryptodatadownload_BTCUSD_1h_newest_first_volume_swapped.csv.gz"
    report = check(open_rows(str(shared_data / name)))
    newest, swapped, silent = report.findings
    assert (newest.kind, newest.severity) == ("newest_first", "error")
    assert (swapped.kind, swapped.severity, swapped.figures) == ("columns_swapped", "error", {"turns": 3})
    assert (silent.kind, silent.severity, silent.figures) == ("zero_volume", "note", {"longest": 4})


def test_the_interval_of_funding_is_told_from_the_rows(shared_data: Path) -> None:
    report = check(open_rows(str(shared_data / "funding/binance-um_ENAUSDT_funding_2025.parquet")))
    assert report.timeframe_ns == 4 * 3_600 * 10**9
