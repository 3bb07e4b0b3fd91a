"""Layouts that are known, told from the first rows: what comes out is the same whatever went in."""

from __future__ import annotations

import gzip
import json
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from config.errors import UserError
from replay.tape.importing import csv_text, inspect, json_text, read

if TYPE_CHECKING:
    from pathlib import Path

    from replay.tape.importing import Layout

MINUTE = 60_000_000_000
START_MS = 1_704_067_200_000
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
ROWS = [(10.0, 12.0, 9.5, 11.0, 3.0), (11.0, 11.5, 10.0, 10.5, 2.0), (10.5, 13.0, 10.5, 12.5, 4.0)]


def taken(path: Path, content: str | bytes, **options: Any) -> tuple[Layout, pl.DataFrame]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    layout = inspect(path, **options)
    return layout, pl.concat(read(path, layout))


def inspect_text(path: Path, content: str) -> Layout:
    path.write_text(content)
    return inspect(path)


def klines(*, unit: int = 1, header: bool = False) -> str:
    lines = [HEADER] if header else []
    for index, (opened, high, low, close, volume) in enumerate(ROWS):
        ts = (START_MS + 60_000 * index) * unit
        end = ts + 60_000 * unit - 1
        lines.append(f"{ts},{opened},{high},{low},{close},{volume},{end},{volume * 10},{index + 5},{volume / 2},7.5,0")
    return "\n".join(lines) + "\n"


def plain_bars() -> pl.DataFrame:
    rows = [((START_MS + 60_000 * index) * 10**6, *row) for index, row in enumerate(ROWS)]
    return pl.DataFrame(rows, schema=["ts", "open", "high", "low", "close", "volume"], orient="row")


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize(("unit", "name"), [(1, "ms"), (1_000, "us")])
def test_binance_klines(tmp_path: Path, header: bool, unit: int, name: str) -> None:
    layout, frame = taken(tmp_path / "BTCUSDT-1m-2025-01.csv", klines(unit=unit, header=header))
    assert (layout.name, layout.kind, layout.timeframe_ns) == ("binance-klines", "bars", MINUTE)
    assert (layout.tables[0].has_header, layout.tables[0].columns[0].reading) == (header, name)
    assert frame.select(plain_bars().columns).equals(plain_bars())
    assert frame.select("quote_volume", "trades", "taker_volume").rows() == [
        (30.0, 5, 1.5),
        (20.0, 6, 1.0),
        (40.0, 7, 2.0),
    ]


@pytest.mark.parametrize(
    ("content", "layout_name"),
    [
        ("7,10.5,2,21,1704067200000,True,True\n8,10.6,1,10.6,1704067200001,False,True\n", "binance-trades"),
        (
            (
                "id,price,qty,quote_qty,time,is_buyer_maker\n"
                "7,10.5,2,21,1704067200000,true\n8,10.6,1,10.6,1704067200001,false\n"
            ),
            "binance-trades",
        ),
        ("7,10.5,2,90,91,1704067200000,True,True\n8,10.6,1,92,92,1704067200001,False,True\n", "binance-aggtrades"),
        (
            (
                "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
                "7,10.5,2,90,91,1704067200000,true\n8,10.6,1,92,92,1704067200001,false\n"
            ),
            "binance-aggtrades",
        ),
        (
            '[[1704067200000,"7",null,"sell",10.5,2,21],[1704067200001,"8",null,"buy",10.6,1,10.6]]',
            "freqtrade-trades",
        ),
        (
            (
                '{"a":7,"p":"10.5","q":"2","f":1,"l":1,"T":1704067200000,"m":true,"M":true}\n'
                '{"a":8,"p":"10.6","q":"1","f":1,"l":1,"T":1704067200001,"m":false,"M":true}\n'
            ),
            "generic",
        ),
        (
            (
                '{"e":"trade","E":5,"t":7,"p":"10.5","q":"2","b":1,"a":2,"T":1704067200000,"m":true,"M":true}\n'
                '{"e":"trade","E":5,"t":8,"p":"10.6","q":"1","b":1,"a":2,"T":1704067200001,"m":false,"M":true}\n'
            ),
            "generic",
        ),
        (
            (
                '{"a":7,"p":"10.5","q":"2","m":true,"time":1704067200000}\n'
                '{"a":8,"p":"10.6","q":"1","m":false,"time":1704067200001}\n'
            ),
            "generic",
        ),
    ],
)
def test_trades_of_many_looks(tmp_path: Path, content: str, layout_name: str) -> None:
    layout, frame = taken(tmp_path / "file", content)
    assert (layout.name, layout.kind) == (layout_name, "trades")
    assert frame.select("ts", "price", "quantity", "side", "id").rows() == [
        (1_704_067_200_000_000_000, 10.5, 2.0, -1, 7),
        (1_704_067_200_001_000_000, 10.6, 1.0, 1, 8),
    ]


def test_binance_funding_and_metrics(tmp_path: Path) -> None:
    layout, frame = taken(
        tmp_path / "a.csv", "calc_time,funding_interval_hours,last_funding_rate\n1704067200003,8,0.0001\n"
    )
    assert (layout.name, layout.kind) == ("binance-funding", "funding")
    assert frame.rows(named=True) == [{"ts": 1_704_067_200_003_000_000, "rate": 0.0001, "interval_h": 8.0}]
    layout, frame = taken(
        tmp_path / "b.csv",
        "create_time,symbol,sum_open_interest,sum_open_interest_value,count_long_short_ratio\n"
        "2024-01-01 00:05:00,BTCUSDT,100.5,4200000,1.2\n",
    )
    assert (layout.name, layout.kind) == ("binance-metrics", "open_interest")
    assert frame.rows(named=True) == [{"ts": 1_704_067_500_000_000_000, "open_interest": 100.5, "value": 4.2e6}]
    assert "times name no offset: taken as UTC" in layout.tables[0].notes


def test_funding_and_metrics_without_a_header(tmp_path: Path) -> None:
    layout, frame = taken(tmp_path / "a.csv", "1704067200003,8,-0.0001\n1704096000000,8,0.0002\n")
    assert (layout.name, layout.kind) == ("binance-funding", "funding")
    assert frame.select("rate", "interval_h").rows() == [(-0.0001, 8.0), (0.0002, 8.0)]
    layout, frame = taken(tmp_path / "b.csv", "2024-01-01 00:05:00,BTCUSDT,100.5,4200000,1.2,1,1,1\n")
    assert (layout.name, layout.kind) == ("binance-metrics", "open_interest")
    assert frame.select("open_interest", "value").rows() == [(100.5, 4.2e6)]
    layout, frame = taken(tmp_path / "c.csv", "1704067200,8.5,0.1\n1704067201,8,0.2\n")
    assert layout.name == "kraken-trades"
    with pytest.raises(UserError, match="no known layout has such 8 columns"):
        inspect_text(tmp_path / "d.csv", "1704067200,5,6,4,5.5,5.1,1,3\n")


def test_kraken_bars_have_a_count_of_trades(tmp_path: Path) -> None:
    lines = [f"{START_MS // 1000 + 60 * i},{o},{h},{low},{c},{v},{i}" for i, (o, h, low, c, v) in enumerate(ROWS)]
    layout, frame = taken(tmp_path / "XBTUSD_1.csv", "\n".join(lines))
    assert layout.name == "kraken-bars"
    assert frame.drop("trades").equals(plain_bars())
    assert frame["trades"].to_list() == [0, 1, 2]


def test_liquidations_are_of_the_price_that_was_paid(tmp_path: Path) -> None:
    header = "time,side,order_type,original_quantity,price,average_price,last_fill_quantity,accumulated_fill_quantity"
    layout, frame = taken(tmp_path / "a.csv", f"{header}\n{START_MS},SELL,LIMIT,7,6.5,6.0,1,5\n")
    assert (layout.name, layout.kind) == ("binance-liquidations", "liquidations")
    assert frame.rows() == [(START_MS * 10**6, -1, 6.0, 5.0)]


@pytest.mark.parametrize(
    "names",
    [
        "t,o,h,l,c,v",
        "T,O,H,L,C,V",
        "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
        "Time (UTC),Open,High,Low,Close,Volume",
        "Gmt time,Open,High,Low,Close,Volume",
        "startTime,open,high,low,close,volume",
        "time_period_start,price_open,price_high,price_low,price_close,volume_traded",
        "unix_time,Open Price,High Price,Low Price,Close Price,Base Volume",
        ",open,high,low,close,volume",
        "Unnamed: 0,open,high,low,close,volume",
        "__index_level_0__,open,high,low,close,volume",
        "Date,Open,High,Low,Close,Volume BTC",
        "Date,Open,High,Low,Price,Vol.",
    ],
)
def test_bars_by_the_many_names_there_are(tmp_path: Path, names: str) -> None:
    lines = [names]
    lines += [f"{START_MS + 60_000 * i},{o},{h},{low},{c},{v}" for i, (o, h, low, c, v) in enumerate(ROWS)]
    layout, frame = taken(tmp_path / "a.csv", "\n".join(lines))
    assert (layout.kind, layout.timeframe_ns) == ("bars", MINUTE)
    assert frame.equals(plain_bars())


@pytest.mark.parametrize(
    ("symbol", "names"),
    [
        ("BTCUSDT", "Volume BTC,Volume USDT"),
        ("BTC/USD", "Volume BTC,Volume USD"),
        ("ETHBTC", "Volume ETH,Volume BTC"),
        ("EURUSDT", "Volume EUR,Volume USDT"),
        ("BTCUSD", "volumefrom,volumeto"),
        ("BTCUSD", "Volume_(BTC),Volume_(Currency)"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_volumes_named_by_their_asset(tmp_path: Path, symbol: str, names: str, turned: bool) -> None:
    """Each of the two orders stands in files of the same name; no file of bars is taken for a series of closes."""
    order = slice(None, None, -1 if turned else 1)
    lines = ["unix,date,symbol,open,high,low,close," + ",".join(names.split(",")[order])]
    for i, (o, h, low, c, v) in enumerate(ROWS):
        volumes = ",".join([f"{v}", f"{v * 10}"][order])
        lines.append(f"{START_MS + 60_000 * i},2024-01-01,{symbol},{o},{h},{low},{c},{volumes}")
    layout, frame = taken(tmp_path / "a.csv", "\n".join(lines))
    assert (layout.name, layout.kind) == ("cryptodatadownload", "bars")
    assert frame.drop("quote_volume").equals(plain_bars())
    assert frame["quote_volume"].to_list() == [30.0, 20.0, 40.0]


def test_freqtrade_candles_in_feather_and_json(tmp_path: Path) -> None:
    frame = plain_bars().with_columns(date=pl.col("ts").cast(pl.Datetime("ns", "UTC")).dt.cast_time_unit("ms"))
    frame.select("date", "open", "high", "low", "close", "volume").write_ipc(
        tmp_path / "BTC_USDT-1m.feather", compression="lz4"
    )
    layout = inspect(tmp_path / "BTC_USDT-1m.feather")
    assert (layout.name, layout.tables[0].format) == ("freqtrade", "feather")
    assert pl.concat(read(layout.path, layout)).equals(plain_bars())
    rows = [[START_MS + 60_000 * index, *row] for index, row in enumerate(ROWS)]
    layout, taken_frame = taken(tmp_path / "BTC_USDT-1m.json", json.dumps(rows))
    assert (layout.name, layout.tables[0].format) == ("ohlcv", "json")
    assert taken_frame.equals(plain_bars())


def test_freqtrade_keeps_funding_in_the_open_of_candles(tmp_path: Path) -> None:
    moments = [datetime(2024, 1, 1, hour, tzinfo=UTC) for hour in (0, 8, 16)]
    frame = pl.DataFrame({"date": moments, "open": [0.1, 0.2, 0.3]})
    frame = frame.with_columns(*(pl.lit(0.0).alias(name) for name in ("high", "low", "close", "volume")))
    frame.write_ipc(tmp_path / "BTC_USDT_USDT-8h-funding_rate.feather")
    layout = inspect(tmp_path / "BTC_USDT_USDT-8h-funding_rate.feather")
    assert (layout.name, layout.kind) == ("freqtrade-funding", "funding")
    assert pl.concat(read(layout.path, layout)).get_column("rate").to_list() == [0.1, 0.2, 0.3]


def test_the_order_of_jesse_and_bitfinex_is_told_by_highs_and_lows(tmp_path: Path) -> None:
    lines = [
        f"{START_MS + 60_000 * index},{opened},{close},{high},{low},{volume}"
        for index, (opened, high, low, close, volume) in enumerate(ROWS)
    ]
    layout, frame = taken(tmp_path / "candles.csv", "\n".join(lines))
    assert layout.name == "jesse"
    assert frame.equals(plain_bars())


def test_a_layout_can_be_named(tmp_path: Path) -> None:
    flat = f"{START_MS},5,5,5,5,1\n{START_MS + 60_000},5,5,5,5,2\n"
    assert taken(tmp_path / "a.csv", flat)[0].name == "ohlcv"
    assert taken(tmp_path / "a.csv", flat, layout="jesse")[0].name == "jesse"
    with pytest.raises(UserError, match=r"there is no layout 'jese' \(did you mean 'jesse'\?\)"):
        inspect(tmp_path / "a.csv", layout="jese")


def test_jesse_with_a_header_goes_by_its_names(tmp_path: Path) -> None:
    lines = ["timestamp,open,close,high,low,volume"]
    lines += [f"{START_MS + 60_000 * i},{o},{c},{h},{low},{v}" for i, (o, h, low, c, v) in enumerate(ROWS)]
    assert taken(tmp_path / "candles.csv", "\n".join(lines))[1].equals(plain_bars())


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("dialect", ["plain", "semicolon", "tabs", "quoted", "blank lines", "decimal comma", "advert"])
def test_dialects(tmp_path: Path, dialect: str, bom: bytes, newline: str) -> None:
    lines = ["Date,Open,High,Low,Close,Volume"]
    lines += [f"{START_MS + 60_000 * i},{o},{h},{low},{c},{v}" for i, (o, h, low, c, v) in enumerate(ROWS)]
    if dialect == "semicolon":
        lines = [line.replace(",", ";") for line in lines]
    elif dialect == "tabs":
        lines = [line.replace(",", "\t") for line in lines]
    elif dialect == "quoted":
        lines = [",".join(f'"{value}"' for value in line.split(",")) for line in lines]
    elif dialect == "blank lines":
        lines = ["", *lines[:2], "", *lines[2:], ""]
    elif dialect == "decimal comma":
        lines = [line.replace(",", ";").replace(".", ",") for line in lines]
    elif dialect == "advert":
        lines = ["https://www.example.com", *lines]
    layout, frame = taken(tmp_path / "a.csv", bom + newline.join(lines).encode())
    assert frame.equals(plain_bars())
    notes = " ".join(layout.tables[0].notes)
    assert ("byte-order mark skipped" in notes) == bool(bom)
    assert ("decimal commas" in notes) == (dialect == "decimal comma")
    assert ("semicolons" in notes) == (dialect in {"semicolon", "decimal comma"})


def test_a_table_of_more_columns_than_a_byte_counts(tmp_path: Path) -> None:
    more = ",".join(f"x{place}" for place in range(300))
    lines = [f"ts,open,high,low,close,volume,{more}"]
    lines += [f"{START_MS + 60_000 * i},{o},{h},{low},{c},{v}" + ",7" * 300 for i, (o, h, low, c, v) in enumerate(ROWS)]
    assert taken(tmp_path / "a.csv", "\n".join(lines))[1].equals(plain_bars())


def test_newest_first_is_said_and_turned_round(tmp_path: Path) -> None:
    lines = klines().splitlines()
    layout, frame = taken(tmp_path / "a.csv", "\n".join(reversed(lines)) + "\n")
    assert layout.tables[0].order == "newest first"
    assert "newest first: turned round" in layout.tables[0].notes
    assert frame.select(plain_bars().columns).equals(plain_bars())


def test_an_archive_of_months_may_change_its_unit(tmp_path: Path) -> None:
    path = tmp_path / "years.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("2024/a.csv", klines())
        archive.writestr("2025/b.csv", klines(unit=1_000, header=True))
        archive.writestr("__MACOSX/._b.csv", b"\0")
        archive.writestr(".DS_Store", b"\0")
    layout = inspect(path)
    assert [table.columns[0].reading for table in layout.tables] == ["ms", "us"]
    frames = list(read(path, layout))
    assert frames[0].equals(frames[1])
    assert len(frames) == 2


def test_gzip_and_json_of_every_shape_come_to_the_same(tmp_path: Path) -> None:
    objects = [
        {
            "t": START_MS // 1000 + 60 * i,
            "date": START_MS // 1000 + 60 * i,
            "o": str(o),
            "h": h,
            "l": low,
            "c": c,
            "v": v,
        }
        for i, (o, h, low, c, v) in enumerate(ROWS)
    ]
    lined = "\n".join(json.dumps(row) for row in objects)
    for content in (
        json.dumps(objects),
        lined,
        "\ufeff" + lined,
        json.dumps(objects, indent=2),
        "\n".join(json.dumps([START_MS + 60_000 * i, *row]) for i, row in enumerate(ROWS)),
    ):
        layout, frame = taken(tmp_path / "a.json", content)
        assert frame.select(plain_bars().columns).equals(plain_bars()), content
        layout, packed = taken(tmp_path / "a.json.gz", gzip.compress(content.encode()))
        assert layout.compression == "gzip"
        assert packed.equals(frame)


@pytest.mark.parametrize("size", [200, 777, 4_096])
def test_blocks_of_any_size_hold_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    rows = [f"{START_MS + 60_000 * index},5.5,{6 + index},5,5.25,{index}" for index in range(500)]
    whole = taken(tmp_path / "a.csv", "\n".join(rows))[1]
    array = "[" + ",\n".join(f"[{row}]" for row in rows) + "]"
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", size)
    monkeypatch.setattr(json_text, "BLOCK_BYTES", size)
    frames = list(read(tmp_path / "a.csv", inspect(tmp_path / "a.csv")))
    assert len(frames) > 3
    assert pl.concat(frames).equals(whole)
    assert taken(tmp_path / "a.json", array)[1].equals(whole)
    assert taken(tmp_path / "a.json", array[1:-1].replace(",\n", "\n"))[1].equals(whole)
    nested = (
        "["
        + ",".join(f'{{"x": [[1], "],"], "ts": {START_MS + index}, "value": {index}}}' for index in range(500))
        + "]"
    )
    values = taken(tmp_path / "a.json", nested)[1]
    assert values.get_column("value").to_list() == [float(index) for index in range(500)]
    assert whole.height == 500


def test_what_looks_alike_is_told_by_its_name_or_kind(tmp_path: Path) -> None:
    folder = tmp_path / "markPriceKlines" / "BTCUSDT"
    folder.mkdir(parents=True)
    assert taken(folder / "BTCUSDT-1m.csv", klines())[0].kind == "mark"
    assert taken(tmp_path / "BTC_USDT-1m-mark.csv", klines())[0].kind == "mark"
    assert taken(tmp_path / "BTCUSDT-1m.csv", klines(), kind="index")[0].kind == "index"


def test_a_column_of_numbers_by_time_is_a_series_of_values(tmp_path: Path) -> None:
    layout, frame = taken(tmp_path / "fng.csv", "date,fng\n2024-01-01,55\n2024-01-02,60\n", delay_ns=24 * 60 * MINUTE)
    assert layout.kind == "values"
    first = 1_704_067_200_000_000_000
    day = 86_400_000_000_000
    assert frame.rows() == [(first, 55.0, first + day), (first + day, 60.0, first + 2 * day)]


def test_changes_of_one_instant_are_one_message_of_a_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "timestamp,local_timestamp,is_snapshot,side,price,amount\n"
    content += "".join(
        f"{1_704_067_200_000_000 + step},1,{snap},{side},5,{step}\n"
        for step, snap, side in ((0, "true", "bid"), (0, "true", "ask"), (5, "false", "bid"), (9, "false", "ask"))
    )
    layout, frame = taken(tmp_path / "book.csv", content)
    assert (layout.name, layout.kind) == ("tardis-book", "book")
    assert frame.get_column("seq").equals(frame.get_column("ts").alias("seq"))
    assert frame.select("snapshot", "side").rows() == [(True, 1), (True, -1), (False, 1), (False, -1)]
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", 64)
    frames = list(read(layout.path, layout))
    assert len(frames) == 3
    assert pl.concat(frames).equals(frame)


def test_whole_numbers_may_be_written_with_a_point(tmp_path: Path) -> None:
    content = "ts,open,high,low,close,volume,trades\n1704067200000,5,6,4,5,1,7.0\n1704067260000,5,6,4,5,1,8\n"
    assert taken(tmp_path / "a.csv", content)[1].get_column("trades").to_list() == [7, 8]
    pl.read_csv(tmp_path / "a.csv").write_parquet(tmp_path / "a.parquet")
    layout = inspect(tmp_path / "a.parquet")
    assert pl.concat(read(layout.path, layout)).get_column("trades").to_list() == [7, 8]
    with pytest.raises(UserError, match=r"row 1: column 'trades': '7.5' is not a whole number"):
        taken(tmp_path / "a.csv", content.replace("7.0", "7.5"))
