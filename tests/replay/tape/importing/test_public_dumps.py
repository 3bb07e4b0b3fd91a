"""Files as exchanges and programs publish them, header and rows as they are written there."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import polars as pl
import pytest

from config.errors import UserError
from replay.tape.importing import csv_text, inspect, read

if TYPE_CHECKING:
    from pathlib import Path

    from replay.tape.importing import Layout

MS = 1_000_000
MINUTE = 60_000 * MS
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
)
LIQUIDATIONS = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,"
    "accumulated_fill_quantity\n"
)
KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,"
    "ignore\n"
)


def taken(path: Path, content: str) -> tuple[Layout, pl.DataFrame]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    layout = inspect(path)
    return layout, pl.concat(read(path, layout))


def test_quotes_of_binance(tmp_path: Path) -> None:
    """The time is the transaction's: when the quote stood, not when it was sent."""
    header = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time\n"
    rows = (
        "3719045036543,61700.10000000,4.35000000,61700.20000000,6.80400000,1711756799990,1711756799996\n"
        "3719045036611,61700.10000000,4.35000000,61700.20000000,6.90400000,1711756799990,1711756799997\n"
        "3719045036702,61700,0.002,61700.2,6.904,1711756800012,1711756800019\n"
    )
    path = tmp_path / "BTCUSDT-bookTicker-2024-03-29.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-bookTicker-2024-03-29.csv", header + rows)
    layout = inspect(path)
    assert (layout.name, layout.kind) == ("binance-bookticker", "quotes")
    assert pl.concat(read(path, layout)).rows() == [
        (1711756799990 * MS, 61700.1, 4.35, 61700.2, 6.804),
        (1711756799990 * MS, 61700.1, 4.35, 61700.2, 6.904),
        (1711756800012 * MS, 61700.0, 0.002, 61700.2, 6.904),
    ]


@pytest.mark.parametrize("header", [LIQUIDATIONS, ""])
def test_liquidations_of_binance_are_taken_once(tmp_path: Path, header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files have every order twice; two orders that are equal are there four times."""
    orders = [
        ("1696118569082,BUY,LIMIT,IOC,7,27061.4,26925.1,FILLED,6,7\n", (1696118569082 * MS, 1, 26925.1, 7.0)),
        ("1696118569082,BUY,LIMIT,IOC,3,27061.4,26925.1,FILLED,3,3\n", (1696118569082 * MS, 1, 26925.1, 3.0)),
        ("1696119758019,SELL,LIMIT,IOC,1,26779.5,27020.9,FILLED,1,1\n", (1696119758019 * MS, -1, 27020.9, 1.0)),
        ("1696119758019,SELL,LIMIT,IOC,1,26779.5,27020.9,FILLED,1,1\n", (1696119758019 * MS, -1, 27020.9, 1.0)),
        ("1696119758020,SELL,LIMIT,IOC,5,26779.5,27020.9,PARTIALLY_FILLED,2,4\n", (1696119758020 * MS, -1, 27020.9, 4)),
    ]
    path = tmp_path / "BTCUSD_PERP-liquidationSnapshot-2023-10-01.csv"
    layout, frame = taken(path, header + "".join(2 * line for line, _ in orders))
    assert (layout.name, layout.kind) == ("binance-liquidations", "liquidations")
    assert "every row is there twice: taken once" in layout.tables[0].notes
    assert frame.rows() == [row for _, row in orders]
    assert pl.concat(read(path, layout, as_is=True)).height == 10
    for size in (60, 130, 200):
        monkeypatch.setattr(csv_text, "BLOCK_BYTES", size)
        frames = list(read(path, layout))
        assert len(frames) > 2
        assert pl.concat(frames).equals(frame)


def test_metrics_of_binance(tmp_path: Path) -> None:
    rows = (
        "2024-01-01 00:05:00,BTCUSDT,81032.4990000000000000,3442345678.1234000000000000,1.19,1.29,1.02,0.91\n"
        '2024-01-01 00:10:00,BTCUSDT,81040.1,3442999999.5,"","","",0\n'
    )
    layout, frame = taken(tmp_path / "BTCUSDT-metrics-2024-01-01.csv", METRICS + rows)
    assert (layout.name, layout.kind) == ("binance-metrics", "open_interest")
    assert frame.rows() == [
        (1_704_067_500_000 * MS, 81032.499, 3442345678.1234),
        (1_704_067_800_000 * MS, 81040.1, 3442999999.5),
    ]
    empty = METRICS + rows + '2024-01-01 00:15:00,BTCUSDT,"",3442999999.5,"","","",0\n'
    with pytest.raises(UserError, match=r"metrics-2024-01-01.csv: row 3: column 'sum_open_interest' is empty"):
        taken(tmp_path / "BTCUSDT-metrics-2024-01-01.csv", empty)


@pytest.mark.parametrize("header", [KLINES, ""])
@pytest.mark.parametrize(
    ("folder", "kind", "prices"),
    [
        ("premiumIndexKlines", "premium", ((-0.00012, 0.00005, -0.0003, -0.0001), (-0.0001, 0.00002, -0.0002, 0.0))),
        ("indexPriceKlines", "index", ((42300.1, 42310.5, 42290.0, 42305.0), (42305.0, 42306.0, 42301.0, 42302.0))),
        ("markPriceKlines", "mark", ((42300.1, 42310.5, 42290.0, 42305.0), (42305.0, 42306.0, 42301.0, 42302.0))),
    ],
)
def test_klines_of_binance_that_are_no_trades(
    tmp_path: Path, folder: str, kind: str, prices: tuple[tuple[float, ...], ...], header: str
) -> None:
    """Told by their folder; a premium may be negative."""
    lines = [
        f"{1704067200000 + 60_000 * n},{','.join(map(str, each))},0,{1704067259999 + 60_000 * n},0,60,0,0,0\n"
        for n, each in enumerate(prices)
    ]
    layout, frame = taken(tmp_path / folder / "BTCUSDT" / "1m" / "BTCUSDT-1m-2024-01.csv", header + "".join(lines))
    assert (layout.name, layout.kind, layout.timeframe_ns) == ("binance-klines", kind, MINUTE)
    assert frame.select("open", "high", "low", "close").rows() == list(prices)
    assert frame.get_column("volume").to_list() == [0.0, 0.0]


@pytest.mark.parametrize(
    "prices",
    [
        ((122.0, 122.0, 122.0, 122.0), (122.0, 123.61, 122.0, 123.61), (123.0, 123.0, 121.9, 121.9)),
        ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0), (1.0, 1.0001, 1.0, 1.0)),
    ],
)
def test_bars_of_kraken(tmp_path: Path, prices: tuple[tuple[float, ...], ...]) -> None:
    """Minutes without trades are not there; a coin that stands at 1 is not taken for the side of trades."""
    seconds = (1381095240, 1381095300, 1381095660)
    sums = ((0.1, 1), (2.5, 4), (0.25, 2))
    rows = [(ts, *each, *more) for ts, each, more in zip(seconds, prices, sums, strict=True)]
    rows += [(ts + 60 * n, *prices[0], 1.0, 1) for ts in (1381095660,) for n in (1, 2)]
    layout, frame = taken(tmp_path / "XBTUSD_1.csv", "".join(",".join(map(str, row)) + "\n" for row in rows))
    assert (layout.name, layout.kind, layout.timeframe_ns) == ("kraken-bars", "bars", MINUTE)
    assert frame.rows() == [(row[0] * 1_000 * MS, *row[1:]) for row in rows]
    assert frame.columns == ["ts", "open", "high", "low", "close", "volume", "trades"]


def test_trades_of_freqtrade_with_a_header(tmp_path: Path) -> None:
    content = (
        "timestamp,id,type,side,price,amount,cost\n"
        "1704067200000,7,,sell,10.5,2.0,21.0\n"
        "1704067200001,8,limit,buy,10.6,1.0,10.6\n"
    )
    layout, frame = taken(tmp_path / "BTC_USDT-trades.csv", content)
    assert (layout.name, layout.kind) == ("freqtrade-trades", "trades")
    assert frame.rows() == [
        (1_704_067_200_000 * MS, 10.5, 2.0, -1, 7),
        (1_704_067_200_001 * MS, 10.6, 1.0, 1, 8),
    ]


def test_quotes_and_liquidations_of_tardis(tmp_path: Path) -> None:
    """Its own clock comes second; what is liquidated looks like trades and is told by its name."""
    quotes = (
        "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n"
        "binance-futures,BTCUSDT,1598918403696000,1598918403810979,7.5,11657.08,11657.07,0.1\n"
    )
    layout, frame = taken(tmp_path / "binance-futures_quotes_2020-09-01_BTCUSDT.csv", quotes)
    assert layout.kind == "quotes"
    assert frame.rows() == [(1_598_918_403_696_000_000, 11657.07, 0.1, 11657.08, 7.5)]
    closed = (
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
        "bitmex,XBTUSD,1598918403696000,1598918403810979,9f7f1f6a-0a5c,sell,11657,300\n"
    )
    layout, frame = taken(tmp_path / "bitmex_liquidations_2020-09-01_XBTUSD.csv", closed)
    assert layout.kind == "liquidations"
    assert frame.rows() == [(1_598_918_403_696_000_000, -1, 11657.0, 300.0)]


def test_times_and_values_without_names(tmp_path: Path) -> None:
    layout, frame = taken(tmp_path / "fng.csv", "1517463000,30\n1517549400,15.5\n")
    assert (layout.name, layout.kind) == ("time-value", "values")
    assert frame.select("ts", "value").rows() == [(1_517_463_000_000 * MS, 30.0), (1_517_549_400_000 * MS, 15.5)]
