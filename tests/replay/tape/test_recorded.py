"""Recorded data, clean and dirty, from the folder of shared data (skipped where it is absent)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from config.errors import UserError
from replay.tape import open_tape

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = 60_000_000_000


def test_a_year_of_minutes(shared_data: Path) -> None:
    tape = open_tape([str(shared_data / "ohlcv/1m/bitfinex_BTCUSD_1m_2019.parquet")])
    (series,) = tape.series
    assert tape.rows == sum(1 for _ in tape.bars()) == 512_727
    assert (series.symbol, series.timeframe_ns) == ("BTCUSD", MINUTE)
    assert series.notes == ("9,955 gaps, 12,873 bars missing",)


def test_five_symbols_in_one_order(shared_data: Path) -> None:
    names = [f"binance-um_{name}USDT_1m_2025.parquet" for name in ("BNB", "BTC", "ETH", "SOL", "XRP")]
    tape = open_tape([str(shared_data / "ohlcv/1m" / name) for name in names])
    assert [str(series.instrument.tick) for series in tape.series] == [
        "0.01",
        "0.1",
        "0.01",
        "0.001",
        "0.0001",
    ]
    ordinals = {series.symbol: series.ordinal for series in tape.series}
    keys = [(bar.close_ns, ordinals[bar.symbol]) for bar in tape.bars()]
    assert len(keys) == tape.rows == 73_139 + 73_139 + 73_140 + 73_141 + 73_138
    assert keys == sorted(keys)


def test_several_timeframes_together(shared_data: Path) -> None:
    tape = open_tape(
        [
            str(shared_data / "ohlcv/5m/binance-um_BTCUSDT_5m_2025.parquet"),
            f"ETH={shared_data / 'ohlcv/1h/binance-um_ETHUSDT_1h_2025.parquet'}",
        ]
    )
    closes = [bar.close_ns for bar in tape.bars()]
    assert closes == sorted(closes)
    assert [series.timeframe_ns for series in tape.series] == [5 * MINUTE, 60 * MINUTE]


def test_a_small_price_needs_its_decimals(shared_data: Path) -> None:
    (series,) = open_tape([str(shared_data / "ohlcv/1m/binance-spot_XRPETH_1m_2019-10.parquet")]).series
    assert (series.rows, series.instrument.tick) == (2_469, Decimal("1e-8"))


def test_every_recorded_candle_file_can_be_played(shared_data: Path) -> None:
    files = sorted(shared_data.glob("ohlcv/*/*.parquet"))
    assert files
    for file in files:
        if "_2019" not in file.name:
            assert open_tape([str(file)]).rows


def test_a_gappy_file_is_played_with_its_gaps(shared_data: Path) -> None:
    (series,) = open_tape([str(shared_data / "dirty/unittest_BTC_1m_2017-11_gappy.parquet")]).series
    assert (series.rows, series.notes) == (
        13_681,
        ("10,735 prices with more than 8 decimals were rounded", "538 gaps, 717 bars missing"),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "dirty/binance-um_BTCUSDT_1m_two_downloads_appended.csv.gz",
            r"row 16079: time goes backwards, to 2025-05-25 10:33:00$",
        ),
        (
            "dirty/cryptodatadownload_BTCUSD_1h_newest_first_volume_swapped.csv.gz",
            r"no column 'ts' \(is it 'unix'\?.*the columns are: unix, date, symbol, open",
        ),
        (
            "dirty/kraken_BCHEUR_trades_no_header.csv",
            r"there is no header; the first line must name",
        ),
        ("mark/binance-um_XRPUSDT_mark_1h_2021-11.parquet", r"row 1: volume is empty$"),
        ("funding/binance-um_BTCUSDT_funding_2025.parquet", r"there is no column 'open'"),
    ],
)
def test_dirty_files_are_refused_in_one_line(shared_data: Path, name: str, text: str) -> None:
    with pytest.raises(UserError, match=text) as caught:
        open_tape([str(shared_data / name)])
    assert str(caught.value).startswith(str(shared_data / name))
    assert "\n" not in str(caught.value)
