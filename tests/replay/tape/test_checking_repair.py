"""A repaired copy has no errors, holds what its policies say, and is written whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from config.errors import UserError
from replay.tape import open_tape
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from replay.tape.checking import (
    MEANINGS,
    POLICIES,
    Repair,
    check,
    checks,
    lazy_rows,
    open_rows,
    open_series,
    parse_policies,
    reading,
    repair,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Table = dict[str, Any]

MINUTE_MS = 60_000
FIRST_MS = 1_700_000_040_000
"""On the grid of minutes."""


@pytest.fixture
def repaired(tmp_path: Path, write: Callable[..., str]) -> Callable[..., tuple[Repair, pl.DataFrame]]:
    """Return a repairer of tables; returns the report and the copy."""

    def repaired(table: Table, *policies: str, name: str = "BTCUSDT.csv") -> tuple[Repair, pl.DataFrame]:
        source = write(name, table)
        before = hashlib.sha256(Path(source).read_bytes()).digest()
        out = tmp_path / "out" / "sound.parquet"
        out.parent.mkdir(exist_ok=True)
        try:
            done = repair(open_rows(source), out, parse_policies(policies))
        finally:
            assert hashlib.sha256(Path(source).read_bytes()).digest() == before
            assert {path.name for path in out.parent.iterdir()} <= {"sound.parquet"}
        assert not check(open_rows(str(out))).errors
        return done, pl.read_parquet(out)

    return repaired


def minutes(frame: pl.DataFrame) -> list[int]:
    """Return the times in minutes since the first row of the tables here."""
    times = frame.get_column("ts").dt.timestamp("ms").to_list()
    return [(each - FIRST_MS) // MINUTE_MS for each in times]


def chosen(table: Table, *rows: int) -> Table:
    """Return a table of these rows, counted from 0."""
    return {name: column[list(rows)] for name, column in table.items()}


def test_rows_are_sorted_and_those_there_twice_dropped(
    repaired: Callable[..., tuple[Repair, pl.DataFrame]], make_table: Callable[..., Table]
) -> None:
    table = chosen(make_table(8, first_ms=FIRST_MS), 4, 5, 6, 7, 0, 1, 2, 3, 4, 5)
    done, frame = repaired(table)
    assert minutes(frame) == list(range(8))
    assert frame["close"].to_list() == make_table(8)["close"].tolist()
    assert (done.rows_dropped, done.policies) == (2, {"out_of_order": "sort", "duplicate_identical": "drop"})
    assert not done.after.findings


@pytest.mark.parametrize("name", ["BTCUSDT.csv", "BTCUSDT.parquet", "BTCUSDT.csv.gz"])
def test_newest_first_becomes_oldest_first_and_can_be_played(
    name: str,
    repaired: Callable[..., tuple[Repair, pl.DataFrame]],
    make_table: Callable[..., Table],
    write: Callable[..., str],
) -> None:
    table = make_table(30, first_ms=FIRST_MS)
    done, _ = repaired(chosen(table, *reversed(range(30))), name=name)
    sound = open_tape([write("sound.csv", table)])
    assert open_tape([f"X={done.out}"]).series[0].fingerprint == sound.series[0].fingerprint


@pytest.mark.parametrize("batch", [2, 5, 65_536])
def test_gaps_are_filled_with_flat_bars_that_are_marked(
    batch: int,
    repaired: Callable[..., tuple[Repair, pl.DataFrame]],
    make_table: Callable[..., Table],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "BATCH_ROWS", batch)
    table = make_table(12, first_ms=FIRST_MS)
    done, frame = repaired(chosen(table, 0, 1, 2, 6, 7, 9, 10, 11), "gap=fill")
    assert minutes(frame) == list(range(12))
    assert frame["synthetic"].to_list() == [row in {3, 4, 5, 8} for row in range(12)]
    flat = frame.filter("synthetic")
    assert flat["volume"].to_list() == [0.0] * 4
    for name in ("open", "high", "low", "close"):
        assert flat[name].to_list() == [table["close"][2]] * 3 + [table["close"][7]], name
    assert (done.rows_filled, [each.kind for each in done.after.findings]) == (4, ["synthetic"])


def test_gaps_are_kept_unless_somebody_says_so(
    repaired: Callable[..., tuple[Repair, pl.DataFrame]], make_table: Callable[..., Table]
) -> None:
    done, frame = repaired(chosen(make_table(12, first_ms=FIRST_MS), 0, 1, 2, 6, 7, 8, 9, 10, 11))
    assert (frame.height, done.policies, "synthetic" in frame.columns) == (9, {"gap": "keep"}, False)


@pytest.mark.parametrize(("how", "close"), [("first", 101.0), ("last", 99.0)])
def test_of_rows_that_contradict_each_other_one_is_named(
    how: str,
    close: float,
    repaired: Callable[..., tuple[Repair, pl.DataFrame]],
    make_table: Callable[..., Table],
) -> None:
    table = chosen(make_table(8, first_ms=FIRST_MS), 0, 1, 2, 2, 3, 4, 5, 6, 7)
    table |= {"low": table["low"] - 9, "high": table["high"] + 9}
    table["close"][2], table["close"][3] = 101.0, 99.0
    with pytest.raises(UserError, match=r"row 4: duplicate_differing .*--policy duplicate_differing=first\|last"):
        repaired(table)
    done, frame = repaired(table, f"duplicate_differing={how}")
    assert (frame["close"][2], frame.height, done.rows_dropped) == (close, 8, 1)


@pytest.mark.parametrize(
    ("column", "value", "policy"),
    [
        ("close", float("nan"), "not_finite"),
        ("open", -5.0, "price_not_positive"),
        ("high", 1.0, "high_below_low"),
        ("close", 500.0, "outside_range"),
        ("volume", -1.0, "negative_volume"),
        ("volume", 0.0, "zero_volume"),
    ],
)
def test_rows_that_cannot_be_true_are_dropped_only_if_somebody_says_so(
    column: str,
    value: float,
    policy: str,
    repaired: Callable[..., tuple[Repair, pl.DataFrame]],
    make_table: Callable[..., Table],
) -> None:
    table = make_table(9, first_ms=FIRST_MS)
    table[column] = table[column].copy()
    table[column][4] = value
    drops = [f"{each}=drop" for each in {policy, "outside_range"} if column == "open" or each == policy]
    done, frame = repaired(table, *drops)
    assert (minutes(frame), done.rows_dropped) == ([0, 1, 2, 3, 5, 6, 7, 8], 1)
    if MEANINGS[policy][0] == "error":
        with pytest.raises(UserError, match=f"{policy}|outside_range"):
            repaired(table)


def test_leaps_and_a_last_bar_cut_short_can_be_dropped(
    repaired: Callable[..., tuple[Repair, pl.DataFrame]], make_table: Callable[..., Table]
) -> None:
    table = make_table(900, first_ms=FIRST_MS, volume=100.0 + np.arange(900) % 7)
    table["close"][500] *= 3
    table["high"][500] *= 4
    table["volume"][899] = 0.1
    done, frame = repaired(table, "outlier=drop", "partial_last=drop")
    assert minutes(frame) == [each for each in range(899) if each != 500]
    assert done.rows_dropped == 2


def test_volumes_are_put_in_their_places(
    repaired: Callable[..., tuple[Repair, pl.DataFrame]], make_table: Callable[..., Table]
) -> None:
    table = make_table(9, first_ms=FIRST_MS)
    table["quote_volume"] = table["volume"] * table["close"]
    base, quote = table["volume"].copy(), table["quote_volume"].copy()
    table["volume"][3:6], table["quote_volume"][3:6] = quote[3:6], base[3:6]
    done, frame = repaired(table, "columns_swapped=swap")
    assert (frame["volume"].to_list(), frame["quote_volume"].to_list()) == (base.tolist(), quote.tolist())
    assert done.rows_swapped == 3


def test_trades_of_one_time_keep_their_order(
    repaired: Callable[..., tuple[Repair, pl.DataFrame]],
) -> None:
    table = {
        "ts": np.array([5, 5, 5, 9, 9, 7]) + FIRST_MS,
        "id": np.array([2**53 + 1, 2**53 + 3, 2**53 + 2, 2**53 + 5, 2**53 + 5, 2**53 + 4]),
        "price": np.array([3.0, 1.0, 2.0, 9.0, 9.0, 7.0]),
        "quantity": np.ones(6),
        "side": ["buy", "sell", "buy", "buy", "buy", "sell"],
    }
    _, frame = repaired(table, name="BTCUSDT.parquet")
    assert frame["id"].to_list() == [2**53 + each for each in (1, 3, 2, 4, 5)]
    assert frame["side"].to_list() == [1, -1, 1, -1, 1]


def test_a_file_in_disorder_is_repaired_a_stretch_at_a_time(
    repaired: Callable[..., tuple[Repair, pl.DataFrame]],
    make_table: Callable[..., Table],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "STRETCH_ROWS", 60)
    monkeypatch.setattr(reading, "BATCH_ROWS", 50)
    rows = [*range(200, 400), *range(50, 190), *range(60)]
    _, frame = repaired(chosen(make_table(400, first_ms=FIRST_MS), *rows), "gap=fill")
    assert minutes(frame) == list(range(400))
    assert frame["synthetic"].sum() == 10


def test_nothing_is_written_over_the_original_or_by_an_unclear_wish(
    tmp_path: Path, write: Callable[..., str], make_table: Callable[..., Table]
) -> None:
    table = make_table(8, first_ms=FIRST_MS)
    source = write("BTCUSDT.parquet", table)
    for out, words in (
        (Path(source), "this is the original"),
        (tmp_path / "copy.csv", "a repaired copy is a Parquet file"),
        (tmp_path / "nowhere" / "copy.parquet", "there is no folder"),
    ):
        with pytest.raises(UserError, match=words):
            repair(open_rows(source), out, {})
    with pytest.raises(UserError, match="no row would be left"):
        repair(lazy_rows(pl.DataFrame({**table, "open": np.full(8, np.nan)}).lazy().select("ts", "open", "high", "low",
            "close", "volume").with_columns(pl.col("ts") * 10**6), "table", "bars"),
            tmp_path / "copy.parquet", {"not_finite": "drop"})  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["BTCUSDT.parquet"]


def test_nothing_is_written_into_the_catalogue(tmp_path: Path, make_table: Callable[..., Table]) -> None:
    """A part that is no longer what the manifest says would be the original, touched."""
    table = make_table(8, first_ms=FIRST_MS)
    frame = pl.DataFrame({**table, "ts": table["ts"] * 10**6})
    series = Catalogue(tmp_path)
    manifest = series.write(SeriesKey("bars", "v", "X", 60 * 10**9), iter([frame]), Provenance("x")).manifest
    (part,) = series.paths(manifest)
    before = part.read_bytes()
    with pytest.raises(UserError, match="this is a folder of the catalogue; name a file elsewhere and import it"):
        repair(open_series("v:X:1m", tmp_path), part, {})
    assert part.read_bytes() == before
    assert repair(open_series("v:X:1m", tmp_path), tmp_path / "copy.parquet", {}).after.rows == 8


def test_a_copy_that_would_still_have_errors_is_not_kept(tmp_path: Path, make_table: Callable[..., Table]) -> None:
    """Bars filled in before one beside the grid would reach into it."""
    out = tmp_path / "copy.parquet"
    out.write_bytes(b"as it was")
    table = make_table(8, first_ms=FIRST_MS)
    table["ts"] = (table["ts"] + np.where(np.arange(8) > 4, MINUTE_MS * 7 // 2, 0)) * 10**6
    rows = lazy_rows(pl.DataFrame(table).lazy(), "table", "bars")
    with pytest.raises(UserError, match="it would still have: overlap; nothing was written"):
        repair(rows, out, {"gap": "fill"})
    assert out.read_bytes() == b"as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["copy.parquet"]
    assert not repair(rows, out, {}).after.errors


def test_too_many_missing_bars_are_not_filled(tmp_path: Path, make_table: Callable[..., Table]) -> None:
    table = make_table(8, first_ms=FIRST_MS)
    table["ts"] = (table["ts"] + np.where(np.arange(8) > 4, MINUTE_MS * 6_000_000, 0)) * 10**6
    with pytest.raises(UserError, match="6,000,000 bars are missing, too many"):
        repair(lazy_rows(pl.DataFrame(table).lazy(), "table", "bars"), tmp_path / "copy.parquet", {"gap": "fill"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gap", "write it as NAME=HOW"),
        ("gaps=fill", r"no policy for 'gaps' \(did you mean 'gap'"),
        ("gap=drop", "gap can be treated by: keep, fill, fail"),
        ("newest_first=short", r"sort, fail \(did you mean 'sort'"),
    ],
)
def test_a_policy_nobody_knows_is_refused(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_policies([text])


def test_every_error_has_a_policy() -> None:
    """By default what is an error never passes."""
    for kind, (severity, _) in MEANINGS.items():
        if severity == "error":
            assert POLICIES[kind][0] in {"fail", "sort", "drop"}, kind
    assert set(POLICIES) <= set(MEANINGS)


@pytest.mark.slow
def test_the_recorded_dirty_files_can_be_repaired_and_played(shared_data: Path, tmp_path: Path) -> None:
    appended = "dirty/binance-um_BTCUSDT_1m_two_downloads_appended.csv.gz"
    done = repair(open_rows(str(shared_data / appended)), tmp_path / "btc.parquet", {})
    assert (done.rows_dropped, done.after.rows, done.after.findings) == (13_259, 18_333, [])
    clean = pl.read_parquet(shared_data / "ohlcv/1m/binance-um_BTCUSDT_1m_2025.parquet")
    copy = pl.read_parquet(done.out).with_columns(pl.col("ts").dt.timestamp("ms"))
    assert copy.equals(clean.filter(pl.col("ts").is_between(copy["ts"][0], copy["ts"][-1])))
    newest = "dirty/cryptodatadownload_BTCUSD_1h_newest_first_volume_swapped.csv.gz"
    done = repair(open_rows(str(shared_data / newest)), tmp_path / "usd.parquet", {"columns_swapped": "swap"})
    assert (done.rows_swapped, [each.kind for each in done.after.findings]) == (20_143, ["zero_volume"])
    whole = pl.read_parquet(done.out)
    prices = whole.filter(pl.col("volume") > 0).select(pl.col("quote_volume") / pl.col("volume")).to_series()
    assert prices.is_between(3_000, 70_000).all()
    assert open_tape([f"X={done.out}"]).rows == 33_259
    gappy = "dirty/unittest_BTC_1m_2017-11_gappy.parquet"
    done = repair(open_rows(str(shared_data / gappy)), tmp_path / "unit.parquet", {"gap": "fill"})
    assert (done.rows_filled, done.after.rows) == (717, 13_681 + 717)
