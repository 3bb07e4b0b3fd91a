"""`pitboss data import`: shown first, then all or nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replay.tape.catalogue import Catalogue

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

MINUTE = 60_000_000_000
START_MS = 1_704_067_200_000
KEY = ("--venue", "binance", "--symbol", "BTC/USDT")


def lines(first: int, count: int, price: float = 5.0) -> str:
    rows = [f"{START_MS + 60_000 * index},{price},6,4,5,{index}" for index in range(first, first + count)]
    return "\n".join(["ts,open,high,low,close,volume", *rows]) + "\n"


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory that does not exist yet, named by the environment."""
    monkeypatch.setenv("PITBOSS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "data"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "btc.csv"
    path.write_text(lines(0, 5))
    return path


def test_files_become_a_series(invoke: Callable[..., Run], data_dir: Path, file: Path, tmp_path: Path) -> None:
    second = tmp_path / "more.csv.gz"
    second.write_bytes(gzip.compress(lines(5, 5).encode()))
    run = invoke("data", "import", str(file), str(second), *KEY)
    assert run.code == 0
    for text in ("ts: milliseconds", "oldest first", "CSV, gzip, header", "10 rows read, 10 new, 0 the same"):
        assert text in run.output
    assert "now 10 rows, 2024-01-01 00:00:00 to 2024-01-01 00:09:00 UTC, 0 gaps" in run.output
    manifest = Catalogue(data_dir).find("bars", "binance", "BTC/USDT", MINUTE)
    assert manifest is not None
    assert manifest.rows == 10
    assert [(each.source, each.rows) for each in manifest.imports] == [("btc.csv, more.csv.gz", 10)]
    digests = "".join(sha256(path.read_bytes()).hexdigest() for path in (file, second))
    assert manifest.imports[0].sha256 == sha256(digests.encode()).hexdigest()


def test_a_second_time_changes_nothing(invoke: Callable[..., Run], data_dir: Path, file: Path) -> None:
    assert invoke("data", "import", str(file), *KEY).code == 0
    before = {path: path.read_bytes() for path in data_dir.rglob("*") if path.is_file()}
    run = invoke("data", "import", str(file), *KEY)
    assert "5 rows read, 0 new, 5 the same" in run.output
    assert {path: path.read_bytes() for path in data_dir.rglob("*") if path.is_file()} == before


def test_a_dry_run_only_shows(invoke: Callable[..., Run], data_dir: Path, file: Path) -> None:
    run = invoke("data", "import", str(file), *KEY, "--dry-run")
    assert run.code == 0
    assert "ts: milliseconds" in run.output
    assert "nothing was imported (--dry-run)" in run.output
    assert not data_dir.exists()


def test_programs_are_told_the_same(invoke: Callable[..., Run], data_dir: Path, file: Path) -> None:
    result = json.loads(invoke("data", "import", str(file), *KEY, "--json").output)
    assert result["key"] == {"kind": "bars", "venue": "binance", "symbol": "BTC/USDT", "timeframe": "1m"}
    assert (result["rows_read"], result["rows_new"], result["changed"], result["dry_run"]) == (5, 5, True, False)
    assert result["files"][0]["tables"][0]["columns"][0]["reading"] == "ms"
    result = json.loads(invoke("data", "import", str(file), *KEY, "--json", "--dry-run").output)
    assert result["dry_run"]
    assert "rows_read" not in result


def test_a_file_that_contradicts_itself_is_refused_with_its_rows(
    invoke: Callable[..., Run], data_dir: Path, tmp_path: Path
) -> None:
    texts = lines(0, 4), lines(2, 2, price=5.5), lines(9, 2)
    files = [tmp_path / name for name in ("one.csv", "two.csv", "three.csv")]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    refusal = invoke("data", "import", *map(str, files), *KEY, "--json").refusal
    assert refusal.endswith("the rows of that time: 3 of one.csv, 1 of two.csv")
    files[0].write_text(lines(0, 2) + lines(1, 6, price=5.5).partition("\n")[2])
    refusal = invoke("data", "import", str(files[0]), *KEY, "--json").refusal
    assert refusal.endswith("the rows of that time: 2 of one.csv, 3 of one.csv")
    assert not Catalogue(data_dir).series()


def test_a_symbol_is_no_emoji(invoke: Callable[..., Run], data_dir: Path, file: Path) -> None:
    assert "for x:KEY:1m" in invoke("data", "import", str(file), "--venue", "x", "--symbol", "KEY").output


def test_rows_that_differ_are_decided_by_policy(
    invoke: Callable[..., Run], data_dir: Path, file: Path, tmp_path: Path
) -> None:
    invoke("data", "import", str(file), *KEY)
    other = tmp_path / "other.csv"
    other.write_text(lines(3, 4, price=5.5))
    run = invoke("data", "import", str(other), *KEY)
    assert run.code == 2
    assert Catalogue(data_dir).series()[0].rows == 5
    run = invoke("data", "import", str(other), *KEY, "--on-conflict", "replace")
    assert run.code == 0
    assert "2 rows differ: those that came have replaced them" in run.output
    series = Catalogue(data_dir)
    frame = series.scan(series.series()[0].key).collect()
    assert frame["open"].to_list() == [5.0, 5.0, 5.0, 5.5, 5.5, 5.5, 5.5]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--venue", "x", "--symbol", "../BTC"), "'../BTC' is no symbol"),
        (("--venue", "../x", "--symbol", "BTC"), "'../x' is no name of a venue"),
        ((*KEY, "--on-conflict", "kep"), "--on-conflict kep: it is fail, keep, replace (did you mean 'keep'?)"),
        ((*KEY, "--layout", "jese"), "there is no layout 'jese' (did you mean 'jesse'?)"),
        ((*KEY, "--kind", "bar"), "there is no kind of series 'bar' (did you mean 'bars'?)"),
        ((*KEY, "--kind", "funding"), "there is no column 'rate'"),
        ((*KEY, "--timeframe", "5"), "'5' is no timeframe"),
        (
            (*KEY, "--timeframe", "5m"),
            "row 2: column 'ts': 2024-01-01 00:01:00 is no multiple of 5m away from the first row",
        ),
        ((*KEY, "--delay", "8h"), "--delay is for values"),
    ],
)
def test_wrong_arguments(
    invoke: Callable[..., Run], data_dir: Path, file: Path, arguments: tuple[str, ...], said: str
) -> None:
    run = invoke("data", "import", str(file), *arguments)
    assert (run.code, run.errors.count("\n")) == (2, 1)
    assert said in run.errors
    assert not data_dir.exists()


def test_a_file_that_is_bad_far_down_leaves_the_catalogue_as_it_was(
    invoke: Callable[..., Run], data_dir: Path, file: Path, tmp_path: Path
) -> None:
    invoke("data", "import", str(file), *KEY)
    before = {path: path.read_bytes() for path in data_dir.rglob("*") if path.is_file()}
    bad = tmp_path / "bad.csv"
    bad.write_text(lines(5, 4_000) + "1704067200000,x,6,4,5,1\n")
    false = tmp_path / "false.csv"
    false.write_text(lines(5, 4_000) + f"{START_MS + 60_000 * 4_005},5,6,4,5,-1\n")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(lines(5, 4_000).encode())[:-200])
    good = tmp_path / "good.csv"
    good.write_text(lines(5, 10))
    for path, said in (
        (bad, "row 4001: column 'open': 'x' is not a number"),
        (false, "row 4001: column 'volume': -1.0 is below zero"),
        (cut, "is damaged or cut off"),
    ):
        run = invoke("data", "import", str(good), str(path), *KEY)
        assert (run.code, run.errors.count("\n")) == (2, 1)
        assert said in run.errors
        assert str(path) in run.errors
        assert {path: path.read_bytes() for path in data_dir.rglob("*") if path.is_file()} == before


def test_files_of_two_series_are_not_mixed(
    invoke: Callable[..., Run], data_dir: Path, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("ts,rate\n1704067200000,0.1\n")
    assert "holds funding, and" in invoke("data", "import", str(file), str(other), *KEY).errors
    other.write_text(lines(0, 1) + f"{START_MS + 300_000},5,6,4,5,1\n")
    assert "is of timeframe 5m, and" in invoke("data", "import", str(file), str(other), *KEY).errors
    assert not data_dir.exists()
