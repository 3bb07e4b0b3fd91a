"""Rows go into the catalogue once, all of them or none."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from config.errors import UserError
from replay.tape.catalogue import Catalogue, ConflictError, Provenance, SeriesKey, spill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Bars = Callable[..., pl.DataFrame]

MINUTE = 60_000_000_000
DAY = 1_440 * MINUTE
START = 1_704_067_200_000_000_000
KEY = SeriesKey("bars", "binance", "BTC/USDT", MINUTE)
TRADES = SeriesKey("trades", "binance", "BTC/USDT")
VALUES = SeriesKey("values", "fred", "GDP")
FILE = Provenance("btc.csv", "a" * 64, "generic CSV")


def rows_of(catalogue: Catalogue, key: SeriesKey = KEY) -> pl.DataFrame:
    return catalogue.scan(key).collect()


def files_of(catalogue: Catalogue) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in catalogue.root.rglob("*.*") if path.is_file()}


def trades(ids: list[int] | None, *rows: tuple[int, float, float]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"ts": pl.Int64, "price": pl.Float64, "quantity": pl.Float64}, orient="row")
    frame = frame.with_columns(ts=pl.col("ts") + START, side=pl.lit(1, pl.Int8))
    return frame if ids is None else frame.with_columns(id=pl.Series(ids, dtype=pl.Int64))


# --- what is written ------------------------------------------------------------------------------


def test_what_was_written_is_what_is_read(catalogue: Catalogue, bars: Bars) -> None:
    frame = bars(100_000)
    report = catalogue.write(KEY, [frame.slice(0, 70_000), frame.slice(70_000)], FILE)
    assert_frame_equal(rows_of(catalogue), frame)
    assert (report.rows_read, report.rows_new, report.rows_same, report.conflicts) == (100_000, 100_000, 0, 0)
    assert report.changed


def test_the_manifest_says_what_there_is(catalogue: Catalogue, bars: Bars) -> None:
    frame = bars(60_000)
    kept = frame.filter(~pl.col("ts").is_between(START + 5 * MINUTE, START + 7 * MINUTE))
    catalogue.write(KEY, [kept], FILE)
    (manifest,) = catalogue.series()
    assert manifest == catalogue.find("bars", "binance", "BTC/USDT", MINUTE)
    assert (manifest.key, manifest.name, manifest.timeframe) == (KEY, "binance:BTC/USDT:1m", "1m")
    assert (manifest.rows, manifest.gaps, manifest.missing) == (59_997, 1, 3)
    assert (manifest.first_ns, manifest.last_ns) == (START, START + 59_999 * MINUTE)
    assert [part.period for part in manifest.parts] == ["2024-01", "2024-02"]
    assert [part.rows for part in manifest.parts] == [44_637, 15_360]
    assert all(part.file == f"{part.period}.{part.sha256[:12]}.parquet" for part in manifest.parts)
    (brought,) = manifest.imports
    assert (brought.source, brought.sha256, brought.rows, brought.layout) == (
        "btc.csv",
        "a" * 64,
        59_997,
        "generic CSV",
    )
    assert catalogue.folder(KEY) == catalogue.root / "bars" / "binance" / "BTC-USDT" / "1m"
    assert catalogue.damaged(manifest) == []


def test_a_gap_between_two_months_is_counted(catalogue: Catalogue, bars: Bars) -> None:
    report = catalogue.write(KEY, [bars(2), bars(2, START + 31 * DAY)], FILE)
    assert (report.manifest.gaps, report.manifest.missing) == (1, 31 * 1_440 - 2)


@pytest.mark.parametrize("pending", [1, 100, 10_000_000])
def test_rows_in_any_order_become_the_same_files(
    catalogue: Catalogue, bars: Bars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pending: int
) -> None:
    frame = bars(90_000)
    expected = catalogue.write(KEY, [frame], FILE).manifest
    monkeypatch.setattr(spill, "PENDING_ROWS_MAX", pending)
    for number, order in enumerate((frame.reverse(), frame.sample(fraction=1.0, shuffle=True, seed=7))):
        other = Catalogue(tmp_path / str(number))
        slices = [order.slice(start, 20_000) for start in range(0, order.height, 20_000)]
        assert other.write(KEY, slices, FILE).manifest.parts == expected.parts


def test_trades_are_kept_by_day_and_in_the_order_of_their_ids(catalogue: Catalogue) -> None:
    frame = trades([3, 1, 2, 4], (5, 1.0, 1.0), (5, 1.0, 1.0), (5, 2.0, 1.0), (DAY, 1.0, 1.0))
    manifest = catalogue.write(TRADES, [frame], FILE).manifest
    assert [part.period for part in manifest.parts] == ["2024-01-01", "2024-01-02"]
    assert rows_of(catalogue, TRADES).get_column("id").to_list() == [1, 2, 3, 4]
    assert catalogue.folder(TRADES).name == "-"


# --- again ----------------------------------------------------------------------------------------


def test_the_same_rows_again_change_nothing(catalogue: Catalogue, bars: Bars) -> None:
    frame = bars(60_000)
    catalogue.write(KEY, [frame], FILE)
    before = files_of(catalogue)
    report = catalogue.write(KEY, [frame.reverse()], FILE)
    assert (report.changed, report.rows_new, report.rows_same) == (False, 0, 60_000)
    assert files_of(catalogue) == before


def test_another_source_of_the_same_rows_is_remembered_and_no_row_is_written(catalogue: Catalogue, bars: Bars) -> None:
    first = catalogue.write(KEY, [bars()], FILE).manifest
    second = catalogue.write(KEY, [bars()], Provenance("copy.csv", "b" * 64)).manifest
    assert second.parts == first.parts
    assert [each.source for each in second.imports] == ["btc.csv", "copy.csv"]


def test_overlapping_imports_are_one_series(catalogue: Catalogue, bars: Bars) -> None:
    catalogue.write(KEY, [bars(50_000)], FILE)
    report = catalogue.write(KEY, [bars(90_000).slice(40_000)], Provenance("more.csv", "b" * 64))
    assert (report.rows_new, report.rows_same, report.conflicts) == (40_000, 10_000, 0)
    assert_frame_equal(rows_of(catalogue), bars(90_000))
    assert report.manifest.gaps == 0


def test_files_of_before_stay_for_who_reads_them_and_go_with_the_write_after(catalogue: Catalogue, bars: Bars) -> None:
    catalogue.write(KEY, [bars(3)], FILE)
    reader = catalogue.scan(KEY)
    catalogue.write(KEY, [bars(6)], Provenance("more", "b" * 64))
    assert reader.collect().height == 3
    catalogue.write(KEY, [bars(9)], Provenance("most", "c" * 64))
    assert len(list(catalogue.folder(KEY).glob("*.parquet"))) == 2
    assert catalogue.scan(KEY).collect().height == 9


# --- differences ----------------------------------------------------------------------------------


def test_rows_that_differ_stop_an_import_unless_told_otherwise(catalogue: Catalogue, bars: Bars) -> None:
    catalogue.write(KEY, [bars(50_000)], FILE)
    other = bars(50_000).with_columns(close=pl.when(pl.col("ts") == START + MINUTE).then(1.5).otherwise("close"))
    before = files_of(catalogue)
    with pytest.raises(
        ConflictError, match=r"^new\.csv: 1 row differs .*first at 2024-01-01 00:01:00: close .* there, 1\.5 came; noth"
    ):
        catalogue.write(KEY, [other], Provenance("new.csv"))
    assert files_of(catalogue) == before

    kept = catalogue.write(KEY, [other], Provenance("new.csv", "b" * 64), "keep")
    assert (kept.conflicts, kept.rows_new, kept.rows_same) == (1, 0, 49_999)
    assert_frame_equal(rows_of(catalogue), bars(50_000))

    replaced = catalogue.write(KEY, [other], Provenance("new.csv", "b" * 64), "replace")
    assert (replaced.conflicts, replaced.changed) == (1, True)
    assert replaced.examples[0].came == {"close": 1.5}
    assert_frame_equal(rows_of(catalogue), other)


def test_two_different_rows_of_one_time_in_one_file_are_a_conflict(catalogue: Catalogue, bars: Bars) -> None:
    twice = pl.concat([bars(3), bars(1).with_columns(volume=9.0)])
    with pytest.raises(ConflictError, match=r"volume 1\.0 there, 9\.0 came"):
        catalogue.write(KEY, [twice], FILE)
    assert catalogue.series() == []
    catalogue.write(KEY, [twice], FILE, "keep")
    assert rows_of(catalogue).item(0, "volume") == 1.0
    catalogue.write(KEY, [twice], FILE, "replace")
    assert rows_of(catalogue).item(0, "volume") == 9.0


def test_an_optional_value_completes_a_row(catalogue: Catalogue, bars: Bars) -> None:
    rich = bars(6).with_columns(quote_volume=pl.lit(5.0))
    catalogue.write(KEY, [bars(4)], FILE)
    report = catalogue.write(KEY, [rich.slice(2)], Provenance("rich", "b" * 64))
    assert (report.conflicts, report.rows_new, report.changed) == (0, 2, True)
    assert rows_of(catalogue).get_column("quote_volume").to_list() == [None, None, 5.0, 5.0, 5.0, 5.0]
    catalogue.write(KEY, [bars(1, START + 40 * DAY)], Provenance("poor", "c" * 64))
    assert rows_of(catalogue).get_column("quote_volume").to_list() == [None, None, 5.0, 5.0, 5.0, 5.0, None]
    assert catalogue.write(KEY, [bars(6)], Provenance("poorest")).changed is False


def test_trades_of_one_id_are_one_trade(catalogue: Catalogue) -> None:
    catalogue.write(TRADES, [trades([1, 2], (0, 1.0, 1.0), (5, 1.0, 1.0))], FILE)
    report = catalogue.write(TRADES, [trades([2, 3], (5, 1.0, 1.0), (5, 1.0, 1.0))], Provenance("more", "b"))
    assert (report.rows_new, report.rows_same) == (1, 1)
    with pytest.raises(ConflictError, match=r"price 1\.0 there, 2\.0 came"):
        catalogue.write(TRADES, [trades([3], (5, 2.0, 1.0))], FILE)
    before = files_of(catalogue)
    for day, match in ((0, "these trades have no ids"), (DAY, "these trades of 2024-01-02 have no ids")):
        with pytest.raises(UserError, match=match):
            catalogue.write(TRADES, [trades(None, (day + 5, 1.0, 1.0))], FILE)
    assert files_of(catalogue) == before


def test_equal_trades_without_ids_are_as_many_as_came(catalogue: Catalogue) -> None:
    one, two = (5, 1.0, 1.0), (5, 2.0, 1.0)
    catalogue.write(TRADES, [trades(None, one, one)], FILE)
    report = catalogue.write(TRADES, [trades(None, one, two, one, one)], Provenance("more", "b"))
    assert (report.rows_new, report.rows_same) == (2, 2)
    assert rows_of(catalogue, TRADES).get_column("price").to_list() == [1.0, 1.0, 2.0, 1.0]
    assert catalogue.write(TRADES, [trades(None, one, two, one)], Provenance("less")).changed is False


def book(*rows: tuple[int, int, bool, int, float, float]) -> pl.DataFrame:
    types = {"ts": pl.Int64, "seq": pl.Int64, "snapshot": pl.Boolean, "side": pl.Int8}
    frame = pl.DataFrame(rows, {**types, "price": pl.Float64, "quantity": pl.Float64}, orient="row")
    return frame.with_columns(ts=pl.col("ts") + START)


def values(*rows: tuple[int, float, int]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"ts": pl.Int64, "value": pl.Float64, "published": pl.Int64}, orient="row")
    return frame.with_columns(pl.col("ts", "published") + START)


def test_a_value_that_is_published_again_stays_beside_what_it_corrects(catalogue: Catalogue) -> None:
    catalogue.write(VALUES, [values((0, 1.0, 5), (DAY, 2.0, DAY + 5))], FILE)
    report = catalogue.write(VALUES, [values((0, 1.5, 9), (0, 1.0, 12), (DAY, 2.0, DAY + 5))], Provenance("b", "b"))
    assert (report.rows_new, report.rows_same, report.conflicts) == (2, 1, 0)
    expected = values((0, 1.0, 5), (0, 1.5, 9), (0, 1.0, 12), (DAY, 2.0, DAY + 5))
    assert_frame_equal(rows_of(catalogue, VALUES), expected)
    late = catalogue.write(VALUES, [values((0, 1.25, 7))], Provenance("c", "c"))
    assert (late.rows_new, late.conflicts) == (1, 0)
    assert rows_of(catalogue, VALUES).get_column("value").to_list() == [1.0, 1.25, 1.5, 1.0, 2.0]
    with pytest.raises(ConflictError, match=r"1 row differs.*value 1\.5 there, 9\.0 came"):
        catalogue.write(VALUES, [values((0, 9.0, 9))], Provenance("d", "d"))


@pytest.mark.parametrize(("policy", "delay"), [("keep", 0), ("replace", 8)])
def test_the_same_values_with_another_delay_are_a_conflict(
    catalogue: Catalogue, policy: Literal["keep", "replace"], delay: int
) -> None:
    catalogue.write(VALUES, [values(*((n, float(n), n) for n in range(4)))], FILE)
    before = files_of(catalogue)
    later = values((9, 9.0, 17), *((n, float(n), n + 8) for n in range(4)))
    with pytest.raises(ConflictError, match=r"4 rows differ .*published .*000 there, .*008 came") as refused:
        catalogue.write(VALUES, [later], Provenance("b", "b"))
    assert refused.value.conflicts == 4
    assert files_of(catalogue) == before
    report = catalogue.write(VALUES, [later], Provenance("b", "b"), policy)
    assert (report.rows_new, report.rows_same, report.conflicts) == (1, 0, 4)
    rows = rows_of(catalogue, VALUES)
    assert rows.select(pl.col("published") - pl.col("ts")).to_series().to_list() == [delay] * 4 + [8]


def test_a_book_is_merged_message_by_message(catalogue: Catalogue) -> None:
    key = SeriesKey("book", "binance", "BTCUSDT")
    first = [(0, 1, True, 1, 99.0, 1.0), (0, 1, True, -1, 101.0, 1.0), (0, 1, False, 1, 99.0, 2.0)]
    later = [(3, 2, False, -1, 102.0, 1.0), (3, 2, False, 1, 98.0, 1.0)]
    catalogue.write(key, [book(*later, *first)], FILE)
    assert rows_of(catalogue, key).rows() == book(*first, *later).rows()
    assert catalogue.write(key, [book(*first), book(*later)], FILE).changed is False
    longer = [*later, (3, 2, False, 1, 97.0, 1.0)]
    with pytest.raises(ConflictError, match="two different messages of one number"):
        catalogue.write(key, [book(*longer)], FILE)
    catalogue.write(key, [book(*longer)], FILE, "replace")
    assert rows_of(catalogue, key).rows() == book(*first, *longer).rows()
    catalogue.write(key, [book(*later)], FILE, "replace")
    assert rows_of(catalogue, key).rows() == book(*first, *later).rows()


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "symbol", ["../x", "..", ".hidden", "a/../b", "a\\b", "a\0b", "/etc/passwd", "", "a b", "a/", "a" * 65, "a~b", "a*"]
)
def test_a_symbol_that_could_be_a_path_is_refused(symbol: str) -> None:
    with pytest.raises(UserError, match="is no symbol"):
        SeriesKey("bars", "binance", symbol, MINUTE)


@pytest.mark.parametrize(
    ("kind", "venue", "timeframe_ns", "reason"),
    [
        ("bar", "binance", MINUTE, "did you mean 'bars'"),
        ("bars", "../x", MINUTE, "no name of a venue"),
        ("bars", "binance", None, "name it"),
        ("bars", "binance", MINUTE + 1, "whole number of seconds"),
        ("trades", "binance", MINUTE, "trades have no timeframe"),
    ],
)
def test_a_key_that_is_none_is_refused(kind: str, venue: str, timeframe_ns: int | None, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        SeriesKey(kind, venue, "BTCUSDT", timeframe_ns)


def test_two_venues_do_not_share_a_folder_where_capitals_do_not_count(catalogue: Catalogue, bars: Bars) -> None:
    catalogue.write(KEY, [bars()], FILE)
    (catalogue.root / "bars" / "Binance").symlink_to("binance")
    other = msgspec.structs.replace(KEY, venue="Binance")
    with pytest.raises(UserError, match=r"Binance:BTC/USDT:1m: its folder is taken by binance:BTC/USDT:1m"):
        catalogue.write(other, [bars(6, START + DAY)], FILE)
    assert catalogue.manifest(other) is None
    assert [manifest.key for manifest in catalogue.series()] == [KEY]


def test_two_symbols_do_not_share_a_folder(catalogue: Catalogue, bars: Bars) -> None:
    catalogue.write(KEY, [bars()], FILE)
    twin = SeriesKey("bars", "binance", "BTC-USDT", MINUTE)
    with pytest.raises(UserError, match=r"its folder is taken by binance:BTC/USDT:1m"):
        catalogue.write(twin, [bars()], FILE)
    assert catalogue.manifest(twin) is None


def test_a_missing_value_is_named_by_its_row(catalogue: Catalogue, bars: Bars) -> None:
    gappy = bars(6).with_columns(close=pl.when(pl.col("ts") == START + 2 * MINUTE).then(None).otherwise("close"))
    with pytest.raises(UserError, match=r"^btc\.csv: row 9: close is empty$"):
        catalogue.write(KEY, [bars(6, START + DAY), gappy], FILE)
    assert catalogue.series() == []
    assert not list(catalogue.root.glob("[!.]*"))


def test_bars_that_overlap_are_refused(catalogue: Catalogue, bars: Bars) -> None:
    with pytest.raises(UserError, match=r"bar of 2024-01-01 00:00:30 is only 30s after .* less than the timeframe 1m"):
        catalogue.write(KEY, [bars(3), bars(3, START + 30 * 10**9)], FILE)


def test_no_rows_are_refused(catalogue: Catalogue, bars: Bars) -> None:
    with pytest.raises(UserError, match=r"btc\.csv: there are no rows"):
        catalogue.write(KEY, [bars(0)], FILE)


def test_columns_of_another_kind_are_the_callers_mistake(catalogue: Catalogue, bars: Bars) -> None:
    with pytest.raises(ValueError, match=r"absent \['open'\], unknown \['opens'\], of another type \['close'\]"):
        catalogue.write(KEY, [bars().rename({"open": "opens"}).with_columns(pl.col("close").cast(pl.Int64))], FILE)


def test_a_source_that_fails_leaves_nothing(catalogue: Catalogue, bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue.write(KEY, [bars(4)], FILE)
    before = files_of(catalogue)
    monkeypatch.setattr(spill, "PENDING_ROWS_MAX", 1)

    def frames() -> Iterator[pl.DataFrame]:
        yield bars(60_000)
        message = "b.csv: row 60001: the file ends here"
        raise UserError(message)

    with pytest.raises(UserError, match="row 60001"):
        catalogue.write(KEY, frames(), FILE)
    assert files_of(catalogue) == before


def test_a_manifest_that_is_none_is_named(catalogue: Catalogue, bars: Bars) -> None:
    catalogue.write(KEY, [bars()], FILE)
    (catalogue.folder(KEY) / "manifest.json").write_text('{"kind": 1}')
    assert catalogue.series() == []
    (fault,) = catalogue.unreadable()
    assert re.fullmatch(
        r".*manifest\.json: no manifest of a series \(.*\); remove its folder and import it again", fault
    )


def test_a_series_is_none_the_worse_for_anothers_damaged_manifest(catalogue: Catalogue, bars: Bars) -> None:
    other = SeriesKey("bars", "binance", "ETHUSDT", MINUTE)
    for key in (KEY, other):
        catalogue.write(key, [bars()], FILE)
    path = catalogue.folder(KEY) / "manifest.json"
    kept = path.read_bytes()
    for bad in (b"", b"\0" * 40, kept[:-30], kept.replace(b'"bars"', b'"bras"'), kept.replace(b"BTC/USDT", b"../../x")):
        path.write_bytes(bad)
        assert catalogue.named("binance:ETHUSDT").rows == 6
        with pytest.raises(UserError, match=r"there is no series binance:BTC/USDT .*manifest\.json: no manifest"):
            catalogue.named("binance:BTC/USDT")
        with pytest.raises(UserError, match=r"manifest\.json: no manifest of a series"):
            catalogue.write(KEY, [bars()], FILE)
    path.write_bytes(kept)
    shutil.copytree(path.parent, path.parent.with_name("5m"))
    assert [manifest.key for manifest in catalogue.series()] == [KEY, other]
    (fault,) = catalogue.unreadable()
    assert fault.startswith(f"{path.parent.with_name('5m') / path.name}: the manifest of {KEY}, which lies in another")


def test_rows_are_not_merged_with_a_damaged_file(catalogue: Catalogue, bars: Bars) -> None:
    manifest = catalogue.write(KEY, [bars(2_000)], FILE).manifest
    path = catalogue.folder(KEY) / manifest.parts[0].file
    torn = bytearray(path.read_bytes())
    torn[len(torn) // 2] ^= 1
    path.write_bytes(torn)
    before = files_of(catalogue)
    with pytest.raises(UserError, match=rf"{path.name}: this file of binance:BTC/USDT:1m is damaged: its SHA-256"):
        catalogue.write(KEY, [bars(10, START + 3_000 * MINUTE)], Provenance("b", "b"))
    assert files_of(catalogue) == before
    next_month = catalogue.write(KEY, [bars(10, START + 50 * DAY)], Provenance("c", "c"))
    assert next_month.rows_new == 10


def test_a_lost_or_changed_file_is_found(catalogue: Catalogue, bars: Bars) -> None:
    manifest = catalogue.write(KEY, [bars()], FILE).manifest
    path = catalogue.folder(KEY) / manifest.parts[0].file
    path.write_bytes(path.read_bytes() + b"x")
    assert catalogue.damaged(manifest) == [path.name]
    path.unlink()
    assert catalogue.damaged(manifest) == [path.name]
    with pytest.raises(UserError, match=r"is missing; import it again"):
        catalogue.scan(KEY)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, bars: Bars) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UserError, match=r"data.*: (Not a directory|File exists)"):
        Catalogue(tmp_path / "data").write(KEY, [bars()], FILE)


# --- removing -------------------------------------------------------------------------------------


def test_a_removed_series_leaves_no_trace(catalogue: Catalogue, bars: Bars) -> None:
    catalogue.write(KEY, [bars()], FILE)
    catalogue.write(TRADES, [trades([1], (0, 1.0, 1.0))], FILE)
    assert catalogue.remove(KEY).rows == 6
    assert [manifest.kind for manifest in catalogue.series()] == ["trades"]
    assert not (catalogue.root / "bars").exists()
    with pytest.raises(UserError, match=r"there is no series binance:BTC/USDT:1m"):
        catalogue.remove(KEY)


# --- crashes and neighbours -----------------------------------------------------------------------

WRITER = Path(__file__).with_name("writer.py")


def write_in_a_process(catalogue: Catalogue, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(WRITER), str(catalogue.root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_killed_at_any_step_an_import_has_happened_or_not(catalogue: Catalogue, bars: Bars) -> None:
    catalogue.write(KEY, [bars(40_000)], FILE)
    old = rows_of(catalogue)
    outcomes = []
    for step in range(1, 100):
        done = write_in_a_process(catalogue, "0", "80000", str(step))
        found = Catalogue(catalogue.root)
        (manifest,) = found.series()
        assert found.damaged(manifest) == []
        rows = rows_of(found)
        assert rows.height in {40_000, 80_000}
        assert rows.head(40_000).equals(old)
        outcomes.append(rows.height)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert outcomes == sorted(outcomes)
    assert outcomes.count(40_000) >= 4
    assert outcomes[-1] == 80_000, outcomes
    catalogue.write(KEY, [bars(90_000)], Provenance("most", "c" * 64))
    left = {path.name for path in catalogue.folder(KEY).iterdir()}
    assert not {name for name in left if name.startswith(".") or name.endswith(".partial")}


@pytest.mark.slow
def test_on_a_full_disk_nothing_is_written_and_nothing_left(catalogue: Catalogue, bars: Bars) -> None:
    catalogue.write(KEY, [bars(600)], FILE)
    before = files_of(catalogue)
    size = max(len(data) for data in before.values())
    for limit in (0, 400, size):
        done = write_in_a_process(catalogue, "0", "80000", "0", str(limit))
        assert done.returncode == 1
        assert re.fullmatch(r"refused: .*File too large.*\n", done.stderr), done.stderr
        assert files_of(catalogue) == before


def test_a_disk_that_fills_up_at_the_manifest_keeps_no_files_of_nobody(catalogue: Catalogue) -> None:
    catalogue.write(TRADES, [trades([1], (0, 1.0, 1.0))], FILE)
    before = files_of(catalogue)
    days = trades(list(range(2, 102)), *((n * DAY, 1.0, 1.0) for n in range(100)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(UserError, match="File too large"):
            catalogue.write(TRADES, [days], Provenance("b", "b"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files_of(catalogue) == before


@pytest.mark.slow
def test_two_processes_that_write_at_once_both_have_written(catalogue: Catalogue) -> None:
    command = [sys.executable, str(WRITER), str(catalogue.root)]
    writers = [
        subprocess.Popen([*command, str(first), "30000"], stdout=subprocess.PIPE, text=True)
        for first in (0, 20_000, 40_000)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    (manifest,) = catalogue.series()
    assert (manifest.rows, manifest.gaps, len(manifest.imports)) == (70_000, 0, 3)
    assert catalogue.damaged(manifest) == []


def test_files_written_by_another_polars_are_not_written_again(catalogue: Catalogue, bars: Bars) -> None:
    manifest = catalogue.write(KEY, [bars(6)], FILE).manifest
    path = catalogue.folder(KEY) / manifest.parts[0].file
    bars(6).write_parquet(path, compression="uncompressed")
    known = msgspec.structs.replace(manifest.parts[0], sha256=sha256(path.read_bytes()).hexdigest())
    encoded = msgspec.json.encode(msgspec.structs.replace(manifest, parts=(known,)))
    (catalogue.folder(KEY) / "manifest.json").write_bytes(encoded)
    before = files_of(catalogue)
    assert catalogue.write(KEY, [bars(6)], FILE).changed is False
    assert files_of(catalogue) == before
