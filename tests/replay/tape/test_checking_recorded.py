"""The recorded data next door: found is exactly what its README lists, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replay.tape.checking import check, open_rows

if TYPE_CHECKING:
    from pathlib import Path

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
OTHER_TABLES = {"bybit-spot_BTCUSDT_quotebars_1m_2022-12-13.parquet"}
"""Bars of quotes, which are no kind of series here."""
FOLDERS = ("ohlcv/1m", "ohlcv/5m", "ohlcv/15m", "ohlcv/1h", "mark", "funding", "open_interest", "sentiment", "dirty")


@pytest.mark.slow
@pytest.mark.parametrize("folder", [*FOLDERS, "trades", "quotes"])
def test_the_defects_of_the_recorded_data_are_found_and_no_others(shared_data: Path, folder: str) -> None:
    files = [file for file in sorted((shared_data / folder).iterdir()) if file.name not in OTHER_TABLES]
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
    assert not wrong, wrong


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
