"""Every kind of defect is found by its name, where it is; sound rows have none, however they are cut into batches."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from config.errors import UserError
from replay.tape import checking, synthetic_tape
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from replay.tape.checking import MEANINGS, CheckReport, check, checks, lazy_rows, open_rows, open_series, reading
from replay.tape.checking.clock_changes import is_clock_change

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Table = dict[str, Any]

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NAMES = ("open", "high", "low", "close", "volume")


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """Return a moment in UTC in ns."""
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 10**9


def bars(rows: int = 40, start: int = at(2024, 1, 8), step: int = MINUTE, **columns: Any) -> Table:
    """Return sound bars; keywords replace whole columns, or single values as {row: value}."""
    table: Table = {"ts": start + step * np.arange(rows)}
    close = np.round(100 + np.sin(np.arange(rows) / 3), 2)
    table |= {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1.0 + np.arange(rows) % 5}
    for name, values in columns.items():
        if isinstance(values, dict):
            table[name] = table[name].copy()
            for row, value in values.items():
                table[name][row - 1] = value
        else:
            table[name] = values
    return table


def checked(table: Table | pl.DataFrame, kind: str = "bars", timeframe_ns: int | None = None) -> CheckReport:
    """Check a table."""
    return check(lazy_rows(pl.DataFrame(table).lazy(), "table", kind), timeframe_ns=timeframe_ns)


def found(report: CheckReport) -> dict[str, tuple[int, int]]:
    """Return count and first row by kind."""
    return {each.kind: (each.count, each.first_row) for each in report.findings}


def trades(rows: int = 20, **columns: Any) -> Table:
    numbers = np.arange(rows)
    ids = {"id": 900 + numbers}
    sound = {"ts": at(2024, 1, 8) + numbers * 7_000_000, "price": 100.0 + numbers % 3, "quantity": 0.5 + numbers}
    return {**sound, "side": np.where(numbers % 2, 1, -1).astype(np.int8), **ids, **columns}


def without(table: Table, *rows: int) -> Table:
    """Return a table without some rows, counted from 1."""
    return {name: np.delete(column, [row - 1 for row in rows]) for name, column in table.items()}


def rows_again(table: Table, *order: int) -> Table:
    """Return a table of these rows, counted from 1."""
    return {name: column[[row - 1 for row in order]] for name, column in table.items()}


def test_nothing_is_found_in_what_is_sound() -> None:
    report = checked(bars())
    assert (report.findings, report.rows, report.timeframe_ns, report.errors) == ([], 40, MINUTE, 0)
    assert not checked(trades(), "trades").findings


def test_nothing_is_found_in_a_synthetic_market() -> None:
    chunks = list(synthetic_tape("7:20000").series[0].chunks())
    table = {name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in NAMES}
    assert not checked({"ts": np.concatenate([chunk.open_ns for chunk in chunks]), **table}).findings


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"close": {7: float("nan")}}, {"not_finite": (1, 7)}),
        ({"high": {7: float("inf"), 9: float("inf")}}, {"not_finite": (2, 7)}),
        ({"volume": {7: float("inf")}}, {"not_finite": (1, 7)}),
        ({"volume": {7: float("nan")}}, {"empty_volume": (1, 7)}),
        ({"low": {7: 0.0}}, {"price_not_positive": (1, 7)}),
        ({"low": {7: -1.0}, "volume": {8: -1.0}}, {"price_not_positive": (1, 7), "negative_volume": (1, 8)}),
        ({"high": {7: 50.0}}, {"high_below_low": (1, 7)}),
        ({"open": {7: 110.0}}, {"outside_range": (1, 7)}),
        ({"close": {7: 90.0}}, {"outside_range": (1, 7)}),
        ({"volume": {5: 0.0, 6: 0.0, 7: 0.0, 9: 0.0}}, {"zero_volume": (4, 5)}),
        ({"volume": np.zeros(40)}, {"no_volume": (40, 1)}),
        ({"volume": np.full(40, np.nan)}, {"no_volume": (40, 1)}),
        ({"ts": {7: at(2024, 1, 8) + 6 * MINUTE + 5}}, {"overlap": (1, 8), "off_grid": (1, 7)}),
        ({"synthetic": np.arange(40) == 4}, {"synthetic": (1, 5)}),
    ],
)
def test_a_defect_of_single_bars(columns: dict[str, Any], expected: dict[str, tuple[int, int]]) -> None:
    report = checked(bars(**columns))
    assert found(report) == expected
    assert all(each.severity == MEANINGS[each.kind][0] for each in report.findings)


def test_the_length_of_silence_is_told_across_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH_ROWS", 4)
    report = checked(bars(volume=dict.fromkeys([2, *range(6, 17)], 0.0)))
    zero = report.found("zero_volume")
    assert zero is not None
    assert (zero.count, zero.figures) == (12, {"longest": 11})


def test_gaps_are_counted_with_what_is_missing() -> None:
    gap = checked(without(bars(), 5, 6, 7, 20)).found("gap")
    assert gap is not None
    assert (gap.count, gap.first_row, gap.first_ns, gap.figures) == (
        2,
        5,
        at(2024, 1, 8, 0, 7),
        {"missing": 4, "longest": 3},
    )
    assert gap.example == "3 missing between 2024-01-08 00:03:00 and 2024-01-08 00:07:00"


def test_duplicates_are_identical_or_contradict_each_other() -> None:
    table = rows_again(bars(), *range(1, 11), 10, 11, 12, 12, *range(13, 41))
    table["close"][13] += 0.5
    assert found(checked(table)) == {"duplicate_identical": (1, 11), "duplicate_differing": (1, 14)}


@pytest.mark.parametrize("stretch", [1, 25, 2_000_000])
def test_a_file_in_disorder_is_judged_in_the_order_of_time(stretch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when only a stretch of it is held at once."""
    monkeypatch.setattr(checks, "STRETCH_ROWS", stretch)
    monkeypatch.setattr(reading, "BATCH_ROWS", 16)
    sound = bars(300, high={40: 1.0})
    table = rows_again(sound, *range(201, 301), *range(11, 201), *range(1, 10), 150)
    report = checked(table)
    assert found(report) == {
        "out_of_order": (2, 101),
        "duplicate_identical": (1, 300),
        "high_below_low": (1, 130),
        "gap": (1, 101),
    }


def test_newest_first_is_one_defect_and_not_many() -> None:
    table = {name: column[::-1] for name, column in without(bars(), 8).items()}
    assert found(checked(table)) == {"newest_first": (39, 1), "gap": (1, 32)}


@pytest.mark.parametrize("batch", [1, 3, 7, 64])
def test_findings_do_not_depend_on_how_rows_are_cut(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = rows_again(without(bars(80, volume={30: 0.0, 31: 0.0}), 12, 13), *range(1, 30), 29, *range(30, 79))
    whole = checked(table)
    many = rows_again(
        trades(60, ts=at(2024, 1, 8) + np.arange(60) // 7 * 1_000), *range(1, 29), 26, 27, 28, *range(29, 61)
    )
    of_trades = checked(many, "trades")
    monkeypatch.setattr(reading, "BATCH_ROWS", batch)
    assert checked(table) == whole
    assert checked(many, "trades") == of_trades
    assert found(of_trades) == {"duplicate_identical": (3, 29), "repeated_time": (54, 2)}


def test_volume_and_quote_volume_in_each_others_place() -> None:
    table = bars()
    table["quote_volume"] = table["volume"] * table["close"]
    assert not checked(table).findings
    swapped = {**table, "volume": table["volume"].copy(), "quote_volume": table["quote_volume"].copy()}
    for name, other in (("volume", "quote_volume"), ("quote_volume", "volume")):
        swapped[name][10:25] = table[other][10:25]
    (finding,) = checked(swapped).findings
    assert (finding.kind, finding.count, finding.first_row, finding.figures) == (
        "columns_swapped",
        15,
        11,
        {"turns": 2},
    )


def test_prices_in_each_others_place() -> None:
    """Bitfinex writes open, close, high, low."""
    table = bars()
    table |= {"close": table["open"] + 0.3}
    report = checked({**table, "high": table["close"], "low": table["high"], "close": table["low"]})
    swapped = report.found("prices_swapped")
    assert swapped is not None
    assert swapped.example == "the highest price of every row stands in 'low', the lowest in 'close'"


@pytest.mark.parametrize(
    ("leap", "outliers"), [({2_000: 10.0}, (1, 2_000)), ({700: 0.01, 1_999: 130.0}, (2, 700)), ({2_000: 104.0}, None)]
)
def test_prices_that_leap_and_come_back(leap: dict[int, float], outliers: tuple[int, int] | None) -> None:
    table = bars(3_000)
    prices = table["close"].copy()
    for row, price in leap.items():
        prices[row - 1] = price
    table |= {"close": prices, "high": prices + 200, "low": prices * 0.5}
    table["open"] = prices
    assert found(checked(table)).get("outlier") == outliers


def test_a_leap_that_stays_is_one_only_beyond_a_factor_of_three() -> None:
    for factor, outliers in ((2.5, None), (10.0, (1, 1_501))):
        scale = np.where(np.arange(3_000) < 1_500, 1.0, factor)
        table = {name: column if name in {"ts", "volume"} else column * scale for name, column in bars(3_000).items()}
        assert found(checked(table)).get("outlier") == outliers


def test_a_last_bar_cut_short() -> None:
    volume = 100.0 + np.arange(900) % 7
    assert not checked(bars(900, volume=volume)).findings
    assert found(checked(bars(900, volume={900: 0.5}))) == {"partial_last": (1, 900)}


def test_a_bar_that_ends_after_its_file_was_written() -> None:
    table = pl.DataFrame(bars(6)).lazy()
    end = at(2024, 1, 8, 0, 6)
    assert not check(lazy_rows(table, "table", "bars", end)).findings
    assert found(check(lazy_rows(table, "table", "bars", end - 1))) == {"partial_last": (1, 6)}


@pytest.mark.parametrize(
    ("moment", "changes"),
    [
        (at(2024, 3, 10, 7), True),
        (at(2024, 3, 31, 1), True),
        (at(2024, 10, 27, 23), True),
        (at(2021, 11, 7), True),
        (at(2026, 3, 29), True),
        (at(2024, 3, 17, 7), False),
        (at(2024, 3, 30, 23), False),
        (at(2024, 11, 10), False),
    ],
)
def test_clocks_are_changed_on_these_sundays(moment: int, changes: bool) -> None:
    assert is_clock_change(moment) is changes


def test_local_time_leaves_an_hour_out_in_spring() -> None:
    spring, usual = at(2024, 3, 31), at(2024, 4, 7)
    for start, named in ((spring, True), (usual, False)):
        for step in (MINUTE, HOUR):
            hours = np.arange(0, 5 * HOUR, step)
            kept = hours[(hours < 2 * HOUR) | (hours >= 3 * HOUR)]
            report = checked(bars(len(kept), ts=start + kept), timeframe_ns=step)
            assert ("dst" in found(report)) is named, (start, step)
            assert "gap" in found(report)


def test_local_time_has_an_hour_twice_in_autumn() -> None:
    hours = np.concatenate([np.arange(0, 3 * HOUR, MINUTE), np.arange(2 * HOUR, 5 * HOUR, MINUTE)])
    for start, named in ((at(2024, 11, 3), True), (at(2024, 11, 10), False)):
        report = checked(bars(len(hours), ts=start + hours))
        assert (found(report).get("dst") == (1, 181)) is named
        assert "out_of_order" in found(report)


def test_days_that_begin_at_a_local_midnight() -> None:
    days = at(2024, 3, 25) + DAY * np.arange(14) - HOUR * np.where(np.arange(14) < 7, 1, 2)
    assert found(checked(bars(14, ts=days))) == {"overlap": (1, 8), "off_grid": (14, 1), "dst": (1, 8)}


def test_weeks_begin_on_mondays() -> None:
    assert not checked(bars(10, start=at(2024, 1, 8), step=7 * DAY)).findings
    assert "off_grid" in found(checked(bars(10, start=at(2024, 1, 11), step=7 * DAY)))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (trades(price=np.where(np.arange(20) == 3, -1.0, 100.0)), {"price_not_positive": (1, 4)}),
        (trades(quantity=np.where(np.arange(20) == 3, -1.0, 1.0)), {"negative_volume": (1, 4)}),
        (trades(side=np.full(20, 5, np.int8)), {"side_unclear": (20, 1)}),
        (without(trades(), 5, 6, 7), {"missing_ids": (1, 5)}),
        (
            rows_again(trades(), *range(1, 9), 3, *range(9, 21)),
            {"out_of_order": (1, 9), "duplicate_identical": (1, 9), "repeated_time": (1, 9)},
        ),
        (
            trades(id=np.where(np.arange(20) == 9, 1, 900 + np.arange(20))),
            {"missing_ids": (1, 11), "ids_backwards": (1, 10)},
        ),
    ],
)
def test_a_defect_of_trades(table: Table, expected: dict[str, tuple[int, int]]) -> None:
    assert found(checked(table, "trades")) == expected


def test_two_trades_of_one_id_contradict_each_other() -> None:
    table = rows_again(trades(), *range(1, 9), 8, *range(9, 21))
    table["quantity"][8] = 77.0
    assert found(checked(table, "trades")) == {"duplicate_differing": (1, 9), "repeated_time": (1, 9)}


def test_trades_without_ids_may_be_there_twice() -> None:
    table = rows_again(trades(), 1, 2, 2, *range(3, 21))
    del table["id"]
    assert found(checked(table, "trades")) == {"repeated_time": (1, 3), "repeated_row": (1, 3)}


def test_defects_of_the_other_kinds() -> None:
    hours = at(2024, 1, 8) + 8 * HOUR * np.arange(12)
    funding = {"ts": hours + np.where(np.arange(12) == 4, 3_000_000, 0), "rate": np.full(12, 1e-4)}
    assert found(checked(funding, "funding")) == {"jitter": (1, 5)}
    assert found(checked(without(funding, 8), "funding")) == {"jitter": (1, 5), "gap": (1, 8)}
    funding["ts"] = np.insert(hours[:-1], 6, hours[5] + 4 * HOUR)
    assert found(checked(funding, "funding")) == {"interval_change": (2, 7)}
    interest = {"ts": hours, "open_interest": np.where(np.arange(12) == 2, -5.0, 10.0)}
    assert found(checked(interest, "open_interest")) == {"negative_volume": (1, 3)}
    values = {
        "ts": hours,
        "value": np.arange(12) - 5.0,
        "published": hours + np.where(np.arange(12) == 7, -1_000, HOUR),
    }
    assert found(checked(values, "values")) == {"published_early": (1, 8)}
    corrected = {"ts": hours[[0, 1, 1, 1]], "value": np.array([1.0, 2.0, 3.0, 2.0]), "published": hours[[1, 2, 3, 4]]}
    assert found(checked(corrected, "values")) == {}, "what is published again later is a correction"
    published_again = {**corrected, "published": hours[[1, 2, 2, 4]]}
    assert found(checked(published_again, "values")) == {"duplicate_differing": (1, 3)}
    sizes = np.ones(12)
    quotes = {"ts": hours, "bid": sizes * 9, "bid_quantity": sizes, "ask": np.where(np.arange(12) == 1, 8, 10.0)}
    assert found(checked({**quotes, "ask_quantity": sizes}, "quotes")) == {"crossed": (1, 2)}


def test_a_series_of_the_catalogue_is_checked_by_its_name(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    frame = pl.DataFrame(without(bars(50), 20))
    catalogue.write(SeriesKey("bars", "binance", "BTC/USDT", MINUTE), iter([frame]), Provenance("made here"))
    report = check(open_series("binance:BTC/USDT", tmp_path))
    assert (report.rows, found(report)) == (49, {"gap": (1, 20)})
    catalogue.write(SeriesKey("bars", "binance", "BTC/USDT", 2 * MINUTE), iter([frame[:1]]), Provenance("made here"))
    assert check(open_series("binance:BTC/USDT:1m", tmp_path)).rows == 49
    with pytest.raises(UserError, match=r"binance:BTC/USDT may be .*1m, .*2m; say which"):
        open_series("binance:BTC/USDT", tmp_path)
    with pytest.raises(UserError, match=r"there is no series binance:BTC/USD:1m in .*\(did you mean"):
        open_series("binance:BTC/USD:1m", tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("ts,open,high,low,close,volume\n", "odd.csv"),
        ("ts,open,high,low\n1700000000000,1,1,1\n", "there is no column 'close'"),
        ("ts,price,quantity\n1700000000000,1,1\nsoon,1,1\n", "row 2: column 'ts': 'soon' is not a time"),
        (
            "ts,price,quantity\n1700000000000,1,1\n1700000001,1,1\n",
            "row 2: .* is in seconds, the rows before it in milliseconds",
        ),
        ("ts,open,high,low,close,volume\n1700000000000,1,1,1,1,1\n", "give the timeframe with --timeframe"),
        ("7,8\n1,2\n", "no header, and no known layout has such 2 columns"),
    ],
)
def test_a_file_without_meaning_is_refused_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as refused:
        check(open_rows(str(path)))
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_an_unknown_kind_are_refused(write: Callable[..., str]) -> None:
    with pytest.raises(UserError, match="No such file"):
        checking.open_rows("nowhere.csv")
    with pytest.raises(UserError, match="no kind of series 'bar'"):
        checking.open_rows(write(), "bar")
    with pytest.raises(UserError, match="there is no column 'price'"):
        checking.open_rows(write(), "trades")


def test_a_time_without_meaning_far_into_a_file_is_named_by_its_row(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    lines = [f"{1_700_000_000_000 + row},1,1" for row in range(5_000)]
    lines[4_320] = "1700000004,1,1"
    path.write_text("\n".join(["ts,price,quantity", *lines]))
    with pytest.raises(UserError, match=r"odd.csv: row 4321: column 'ts': '1700000004' is in seconds"):
        check(open_rows(str(path)))


def test_an_archive_with_decimal_commas_is_read_as_it_would_be_imported(tmp_path: Path) -> None:
    lines = [f"{1_700_000_040 + 60 * row};1,5;{'nan' if row == 4 else '1,75'};1,25;1,5;7" for row in range(9)]
    with zipfile.ZipFile(tmp_path / "BTCUSDT.zip", "w") as archive:
        archive.writestr("BTCUSDT.csv", "\n".join(["time;open;high;low;close;volume", *lines]))
    report = check(open_rows(str(tmp_path / "BTCUSDT.zip")))
    assert (report.rows, found(report)) == (9, {"not_finite": (1, 5)})


@pytest.mark.parametrize("name", ["BTCUSDT.csv", "BTCUSDT.csv.gz", "BTCUSDT.parquet"])
def test_a_file_is_read_whatever_its_format(name: str, write: Callable[..., str]) -> None:
    report = check(open_rows(write(name, rows=50)))
    assert (report.kind, report.rows, report.first_ns, report.errors) == ("bars", 50, 1_700_000_000 * 10**9, 0)


def test_rows_at_no_usual_distance_have_no_gaps_and_bars_must_not_be_so() -> None:
    steps = np.cumsum(1 + np.arange(12) ** 2) * HOUR
    values = {"ts": at(2024, 1, 8) + steps, "value": np.arange(12.0)}
    report = checked({**values, "published": values["ts"]}, "values")
    assert (report.timeframe_ns, report.findings) == (None, [])
    with pytest.raises(UserError, match="no step between bars is usual; give the timeframe with --timeframe"):
        checked(bars(12, ts=values["ts"]))
    assert "gap" in found(checked(bars(12, ts=values["ts"]), timeframe_ns=HOUR))


def test_a_row_is_counted_once_whatever_is_wrong_with_it() -> None:
    report = checked(bars(40, open={3: -1.0}, high={3: 0.0}, low={3: -2.0}, close={3: -1.0}))
    assert found(report)["price_not_positive"] == (1, 3)
    nothing = np.full(40, np.nan)
    assert found(checked(bars(40, open=nothing, high=nothing, low=nothing, close=nothing)))["not_finite"] == (40, 1)


def test_flat_bars_have_no_columns_in_each_others_place() -> None:
    flat = np.full(40, 5.0)
    assert checked(bars(40, open=flat, high=flat, low=flat, close=flat)).findings == []


def test_the_usual_step_is_that_of_rows_in_order() -> None:
    table = bars(40)
    mixed = rows_again(table, *(row for first in range(1, 41, 4) for row in (first, first + 2, first + 1, first + 3)))
    report = checked(mixed)
    assert report.timeframe_ns == MINUTE
    assert set(found(report)) == {"out_of_order"}


def test_an_hour_that_is_there_twice_in_bars_of_an_hour() -> None:
    table = rows_again(bars(10, start=at(2024, 10, 27), step=HOUR), 1, 2, 3, 3, 4, 5, 6)
    table["volume"] = np.arange(7) + 1.0
    report = checked(table, timeframe_ns=HOUR)
    assert found(report) == {"duplicate_differing": (1, 4), "dst": (1, 4)}
    quiet = rows_again(bars(10, start=at(2024, 10, 28), step=HOUR), 1, 2, 3, 3, 4, 5, 6)
    assert report.found("dst") is not None
    assert set(found(checked(quiet, timeframe_ns=HOUR))) == {"duplicate_identical"}


def test_volumes_that_hardly_ever_are_and_volumes_beyond_all_sums() -> None:
    silent = np.zeros(600)
    silent[-2:] = 1.0, 0.5
    assert set(found(checked(bars(600, volume=silent)))) == {"zero_volume"}
    early = np.zeros(70_000)
    early[0] = 1.0
    assert set(found(checked(bars(70_000, volume=early)))) == {"zero_volume"}
    assert checked(bars(600, volume=np.full(600, 1e308), quote_volume=np.full(600, 1e308))).findings == []
    volume = 100.0 + np.arange(600) % 7
    volume[300], volume[-1] = np.nan, 1.0
    assert set(found(checked(bars(600, volume=volume)))) == {"empty_volume", "partial_last"}
