"""Bars of the catalogue are played like the file they came from."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from actors.messages import BookSnapshot
from config.errors import UserError
from replay.run import replay
from replay.tape import open_tape
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from replay.tape.external_file import open_series

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = 60_000_000_000
START = 1_704_067_200_000_000_000


def kept(catalogue: Catalogue, file: Path | str, symbol: str, timeframe_ns: int = MINUTE) -> SeriesKey:
    """Put a file with the columns of a tape into the catalogue."""
    key = SeriesKey("bars", "venue", symbol, timeframe_ns)
    frame = pl.read_csv(file) if str(file).endswith(".csv") else pl.read_parquet(file)
    frame = frame.select(pl.col("ts") * 1_000_000, pl.col("open", "high", "low", "close", "volume").cast(pl.Float64))
    catalogue.write(key, [frame], Provenance(str(file)))
    return key


def test_a_series_has_the_fingerprint_and_the_bars_of_its_file(
    catalogue: Catalogue, write: Callable[..., str], make_table: Callable[..., dict[str, Any]]
) -> None:
    file = write("BTCUSDT.csv", make_table(100_000))
    key = kept(catalogue, file, "BTCUSDT")
    expected = open_tape([file])
    for name in ("venue:BTCUSDT:1m", "venue:BTCUSDT", str(catalogue.folder(key)), "BTCUSDT=venue:BTCUSDT:1m"):
        tape = open_tape([name], data_dir=catalogue.root)
        assert tape.fingerprint == expected.fingerprint
        assert list(tape.bars()) == list(expected.bars())
    assert list(tape.bars(skip=60_000)) == list(expected.bars(skip=60_000))


@pytest.mark.slow
def test_more_rows_than_stay_in_memory_are_read_from_the_files(
    catalogue: Catalogue, write: Callable[..., str], make_table: Callable[..., dict[str, Any]]
) -> None:
    file = write("BTCUSDT.parquet", make_table(700_000))
    kept(catalogue, file, "BTCUSDT")
    expected, tape = open_tape([file]), open_tape(["venue:BTCUSDT"], data_dir=catalogue.root)
    assert tape.fingerprint == expected.fingerprint
    assert list(tape.bars(skip=650_001)) == list(expected.bars(skip=650_001))


@pytest.mark.slow
def test_recorded_years_are_replayed_to_the_same_digest(catalogue: Catalogue, shared_data: Path) -> None:
    file = shared_data / "ohlcv/1h/binance-um_BTCUSDT_1h_2019-2022.parquet"
    kept(catalogue, file, "BTCUSDT", 60 * MINUTE)
    names = (str(file), "venue:BTCUSDT:1h")
    there, here = (replay(open_tape([name], data_dir=catalogue.root)).summary for name in names)
    assert there.fills > 0
    assert here.digest == there.digest


def test_the_timeframe_chooses_among_series(catalogue: Catalogue, write: Callable[..., str]) -> None:
    kept(catalogue, write("a.csv"), "BTCUSDT")
    kept(catalogue, write("b.csv", step_ms=300_000), "BTCUSDT", 5 * MINUTE)
    with pytest.raises(
        UserError, match=r"may be venue:BTCUSDT:1m, venue:BTCUSDT:5m; say which, as in venue:BTCUSDT:1m"
    ):
        open_tape(["venue:BTCUSDT"], data_dir=catalogue.root)
    (series,) = open_tape(["venue:BTCUSDT"], timeframe="5m", data_dir=catalogue.root).series
    assert series.timeframe_ns == 5 * MINUTE


def test_a_single_bar_of_a_series_needs_no_timeframe(catalogue: Catalogue, write: Callable[..., str]) -> None:
    kept(catalogue, write("a.csv", rows=1), "BTCUSDT")
    assert open_tape(["venue:BTCUSDT"], data_dir=catalogue.root).rows == 1


def test_a_symbol_with_colons_can_be_named(catalogue: Catalogue, write: Callable[..., str]) -> None:
    kept(catalogue, write("a.csv"), "BTC/USDT:USDT")
    for name in ("venue:BTC/USDT:USDT", "venue:BTC/USDT:USDT:1m"):
        (series,) = open_tape([name], data_dir=catalogue.root).series
        assert series.symbol == "BTC/USDT:USDT"


def test_what_is_written_later_is_not_played(catalogue: Catalogue, write: Callable[..., str]) -> None:
    kept(catalogue, write("a.csv"), "BTCUSDT")
    tape = open_tape(["venue:BTCUSDT"], data_dir=catalogue.root)
    kept(catalogue, write("b.csv", rows=20), "BTCUSDT")
    assert tape.rows == sum(1 for _ in tape.bars()) == 6


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("venue:BTCUSD:1m", r"there is no series of bars venue:BTCUSD:1m in .* \(did you mean 'venue:BTCUSDT:1m'\?\)"),
        ("venue:../BTCUSDT", r"venue:\.\./BTCUSDT: no such file"),
        ("X=venue:BTCUSD", r"did you mean 'venue:BTCUSDT:1m'"),
        ("venue:ETHUSDT", "there is no series of bars venue:ETHUSDT"),
    ],
)
def test_a_series_that_there_is_not_is_named(
    catalogue: Catalogue, write: Callable[..., str], name: str, refusal: str
) -> None:
    kept(catalogue, write("a.csv"), "BTCUSDT")
    catalogue.write(
        SeriesKey("funding", "venue", "ETHUSDT"), [pl.DataFrame({"ts": [1], "rate": [0.1]})], Provenance("f.csv")
    )
    with pytest.raises(UserError, match=refusal):
        open_tape([name], data_dir=catalogue.root)


def test_a_folder_of_another_kind_is_refused(catalogue: Catalogue) -> None:
    key = SeriesKey("funding", "venue", "ETHUSDT")
    catalogue.write(key, [pl.DataFrame({"ts": [1], "rate": [0.1]})], Provenance("f.csv"))
    with pytest.raises(UserError, match=r"these are funding; a tape is played from bars, trades, quotes, book"):
        open_tape([str(catalogue.folder(key))])


def test_a_lost_file_is_named(
    catalogue: Catalogue, write: Callable[..., str], make_table: Callable[..., dict[str, Any]]
) -> None:
    key = kept(catalogue, write("a.csv"), "BTCUSDT")
    (path,) = catalogue.folder(key).glob("*.parquet")
    shutil.copy(path, path.with_suffix(".kept"))
    path.unlink()
    with pytest.raises(UserError, match=r"\.parquet: this file of venue:BTCUSDT:1m is missing; import it again"):
        open_tape(["venue:BTCUSDT"], data_dir=catalogue.root)


@pytest.mark.parametrize("kind", ["bars", "trades", "values", "feed"])
def test_a_damaged_file_is_named_before_anything_is_played(catalogue: Catalogue, kind: str) -> None:
    count = pl.Series([START + n * 1_000_000_000 for n in range(200)], dtype=pl.Int64)
    one = pl.Series([1.0] * 200)
    frame = {
        "bars": {"open": one, "high": one, "low": one, "close": one, "volume": one},
        "trades": {"price": one, "quantity": one, "side": pl.Series([1] * 200, dtype=pl.Int8)},
        "values": {"value": one, "published": count},
        "feed": {"seq": pl.Series(range(1, 201), dtype=pl.Int64), "message": pl.Series(["x"] * 200)},
    }[kind]
    key = SeriesKey(kind, "venue", "BTCUSDT", 1_000_000_000 if kind == "bars" else None)
    manifest = catalogue.write(key, [pl.DataFrame({"ts": count, **frame})], Provenance("here")).manifest
    path = catalogue.folder(key) / manifest.parts[0].file
    torn = bytearray(path.read_bytes())
    torn[len(torn) // 3] ^= 1
    path.write_bytes(torn)
    refusal = rf"{path.name}: this file of .*BTCUSDT.* is damaged: its SHA-256 is [0-9a-f]{{12}}\.\.\., the manifest"
    opened: Callable[[], object] = partial(open_tape, [f"{kind}:{key.name}"], data_dir=catalogue.root)
    if kind == "values":
        opened = partial(open_series, [f"mood=values:{key.name}"], ["BTCUSDT"], catalogue.root)
    with pytest.raises(UserError, match=refusal):
        opened()


def test_values_and_funding_of_the_catalogue_are_heard_beside_the_bars(
    catalogue: Catalogue, write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITBOSS_DATA_DIR", str(catalogue.root))
    kept(catalogue, write("a.csv"), "BTCUSDT")
    ts = [START + 60 * MINUTE * hour for hour in range(3)]
    funding = SeriesKey("funding", "venue", "BTCUSDT")
    catalogue.write(funding, [pl.DataFrame({"ts": ts, "rate": [0.1, 0.2, 0.3]})], Provenance("f.csv"))
    later = [each + MINUTE for each in ts]
    values = pl.DataFrame({"ts": ts, "value": [1.0, 2.0, 3.0], "published": later})
    catalogue.write(SeriesKey("values", "alternative", "FNG"), [values], Provenance("fng.csv"))
    for name in ("funding:venue:BTCUSDT", str(catalogue.folder(funding))):
        (paid,) = open_series([f"BTCUSDT={name}"], ["BTCUSDT"])
        assert (paid.kind, paid.ts_ns.tolist(), paid.numbers[0].tolist()) == ("funding", ts, [0.1, 0.2, 0.3])
    (heard,) = open_series(["fng=alternative:FNG"], ["BTCUSDT"])
    assert (heard.kind, heard.known_ns.tolist(), heard.numbers[0].tolist()) == ("values", later, [1.0, 2.0, 3.0])
    corrected = values.with_columns(pl.col("value") + 0.5, pl.col("published") + MINUTE)
    catalogue.write(SeriesKey("values", "alternative", "FNG"), [corrected], Provenance("corrected.csv"))
    (heard,) = open_series(["fng=alternative:FNG"], ["BTCUSDT"])
    assert heard.numbers[0].tolist() == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    assert heard.known_ns.tolist() == sorted([*later, *(each + MINUTE for each in later)])
    with pytest.raises(UserError, match=r"venue:BTCUSDT may be .* say which, as in funding:venue:BTCUSDT"):
        open_series(["BTCUSDT=venue:BTCUSDT"], ["BTCUSDT"])
    with pytest.raises(UserError, match=r"there is no series alternative:FN in .*did you mean 'alternative:FNG'"):
        open_series(["fng=alternative:FN"], ["BTCUSDT"])


def test_ticks_of_the_catalogue_are_played_as_from_files(catalogue: Catalogue, tmp_path: Path) -> None:
    """Over midnight, where one file ends and the next begins; a message of the book has several rows."""
    ts = [START + 86_000_000_000_000 + n * 1_000_000_000 for n in range(900)]
    trades = pl.DataFrame(
        {"ts": ts, "price": [100.0 + n % 7 for n in range(900)], "quantity": [1.0] * 900}
    ).with_columns(side=pl.lit(1, pl.Int8), id=pl.int_range(1, 901))
    quotes = pl.DataFrame({"ts": ts, "bid": [99.0] * 900}).with_columns(
        bid_quantity=pl.lit(1.0), ask=pl.lit(110.0), ask_quantity=pl.lit(2.0)
    )
    levels = [(ns, n, n == 0, side, 105.0 - side * (5 + n % 3), 1.0 + n) for n, ns in enumerate(ts) for side in (1, -1)]
    book = pl.DataFrame(
        levels,
        schema={
            "ts": pl.Int64, "seq": pl.Int64, "snapshot": pl.Boolean, "side": pl.Int8, "price": pl.Float64,
            "quantity": pl.Float64,
        },
        orient="row",
    )  # fmt: skip
    files, names = [], []
    for kind, frame in (("trades", trades), ("quotes", quotes), ("book", book)):
        manifest = catalogue.write(SeriesKey(kind, "venue", "BTCUSDT"), [frame], Provenance(kind)).manifest
        assert len(manifest.parts) == 2
        frame.write_parquet(tmp_path / f"{kind}.parquet")
        files.append(f"BTCUSDT={tmp_path / kind}.parquet")
        names.append(f"{kind}:venue:BTCUSDT")
    expected, tape = open_tape(files), open_tape(names, data_dir=catalogue.root)
    assert tape.fingerprint == expected.fingerprint
    assert list(tape.inputs()) == list(expected.inputs())
    assert len([each for each in tape.inputs() if isinstance(each, BookSnapshot)]) == 900
    assert len(list(tape.inputs())) > 2_700
    longer, expected = (open_tape(each, timeframe="5m", data_dir=catalogue.root) for each in (names, files))
    assert list(longer.bars()) == list(expected.bars())
