"""`pitboss data list`, `show` and `rm`: what there is, where it came from, and away with it."""

from __future__ import annotations

import io
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from replay.tape.catalogue import Catalogue, Provenance, SeriesKey

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

MINUTE = 60_000_000_000
START = 1_704_067_200_000_000_000


def bars(rows: int, step_ns: int = MINUTE) -> pl.DataFrame:
    frame = pl.DataFrame({"ts": [START + step_ns * row for row in range(rows)]})
    return frame.with_columns(*(pl.lit(10.0).alias(name) for name in ("open", "high", "low", "close", "volume")))


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory with four series, named by the environment."""
    root = tmp_path / "data"
    monkeypatch.setenv("PITBOSS_DATA_DIR", str(root))
    catalogue = Catalogue(root)
    gappy = pl.concat([bars(3), bars(9).slice(7)])
    catalogue.write(SeriesKey("bars", "binance", "BTC/USDT", MINUTE), [gappy], Provenance("btc.csv", "a" * 64, "CSV"))
    catalogue.write(SeriesKey("bars", "binance", "BTC/USDT", 5 * MINUTE), [bars(4, 5 * MINUTE)], Provenance("btc5.csv"))
    catalogue.write(SeriesKey("bars", "kraken", "ETH/EUR", MINUTE), [bars(2)], Provenance("eth.csv"))
    funding = bars(3).select("ts", rate=pl.lit(0.0001))
    catalogue.write(SeriesKey("funding", "kraken", "ETH/EUR"), [funding], Provenance("funding.csv"))
    return root


def test_series_are_listed(invoke: Callable[..., Run], data_dir: Path) -> None:
    run = invoke("data", "list")
    assert run.code == 0
    for text in ("binance:BTC/USDT:1m", "binance:BTC/USDT:5m", "kraken:ETH/EUR:1m", "funding", "2024-01-01"):
        assert text in run.output


def test_a_damaged_manifest_is_named_behind_the_others(invoke: Callable[..., Run], data_dir: Path) -> None:
    (data_dir / "bars" / "kraken" / "ETH-EUR" / "1m" / "manifest.json").write_text("{")
    run = invoke("data", "list")
    assert "binance:BTC/USDT:5m" in run.output
    assert run.code == 2
    assert "ETH-EUR/1m/manifest.json: no manifest of a series" in run.errors
    assert json.loads(invoke("data", "show", "binance:BTC/USDT:1m", "--json").output)["rows"] == 5


def test_a_file_of_bars_is_written_whole_or_not_at_all(
    invoke: Callable[..., Run], data_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "bars.parquet"
    out.parent.mkdir()
    out.write_text("what was there")
    # what the command imports is compiled before: the limit would leave half a file of bytecode behind
    assert invoke("data", "resample", "binance:BTC/USDT:1m", "3m", "--out", str(tmp_path / "whole.parquet")).code == 0
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        run = invoke("data", "resample", "binance:BTC/USDT:1m", "3m", "--out", str(out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"{out}: cannot be written" in run.refusal
    assert [(path.name, path.read_text()) for path in out.parent.iterdir()] == [("bars.parquet", "what was there")]


def test_series_are_listed_for_programs(invoke: Callable[..., Run], data_dir: Path) -> None:
    listed = json.loads(invoke("data", "list", "--json").output)
    assert [(each["kind"], each["name"], each["rows"]) for each in listed] == [
        ("bars", "binance:BTC/USDT:1m", 5),
        ("bars", "binance:BTC/USDT:5m", 4),
        ("bars", "kraken:ETH/EUR:1m", 2),
        ("funding", "kraken:ETH/EUR", 3),
    ]
    assert (listed[0]["gaps"], listed[0]["missing"]) == (1, 4)
    assert listed[0]["bytes"] == sum(path.stat().st_size for path in Path(listed[0]["folder"]).glob("*.parquet"))
    assert [each["kind"] for each in json.loads(invoke("data", "list", "--kind", "funding", "--json").output)] == [
        "funding"
    ]


def test_an_empty_catalogue_says_how_to_fill_it(invoke: Callable[..., Run], tmp_path: Path) -> None:
    run = invoke("data", "list", "--data-dir", str(tmp_path / "none"))
    assert run.code == 0
    assert run.output == f"there are no series in {tmp_path / 'none'}; bring some in with: pitboss data import FILE\n"
    assert json.loads(invoke("data", "list", "--json", "--data-dir", str(tmp_path / "none")).output) == []


def test_a_series_is_shown_with_its_files_and_sources(invoke: Callable[..., Run], data_dir: Path) -> None:
    text = invoke("data", "show", "binance:BTC/USDT:1m").output
    for part in ("1, 4 bars missing", "2024-01-01 00:00:00 to 2024-01-01 00:08:00", "2024-01", "btc.csv", "a" * 12):
        assert part in text
    shown = json.loads(invoke("data", "show", "binance:BTC/USDT:1m", "--json").output)
    assert (shown["rows"], shown["parts"][0]["rows"], shown["imports"][0]["layout"]) == (5, 5, "CSV")
    assert "damaged" not in shown


def test_a_changed_file_is_found_and_the_exit_code_says_so(invoke: Callable[..., Run], data_dir: Path) -> None:
    good = invoke("data", "show", "binance:BTC/USDT:1m", "--verify")
    assert (good.code, "all files whole" in good.output) == (0, True)
    (path,) = (data_dir / "bars/binance/BTC-USDT/1m").glob("*.parquet")
    path.write_bytes(b"PAR1" + path.read_bytes()[4:-1] + b"?")
    bad = invoke("data", "show", "binance:BTC/USDT:1m", "--verify", "--json")
    assert bad.code == 1
    assert json.loads(bad.output)["damaged"] == [path.name]


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (
            ("binance:BTC/USDT",),
            "may be binance:BTC/USDT:1m, binance:BTC/USDT:5m; say which, as in binance:BTC/USDT:1m",
        ),
        (
            ("kraken:ETH/EUR",),
            "may be kraken:ETH/EUR:1m, funding of kraken:ETH/EUR; say which, as in funding:kraken:ETH/EUR",
        ),
        (("binance:BTC/USD:1m",), "there is no series binance:BTC/USD:1m in "),
        (("binance:BTC/USD:1m",), "(did you mean 'binance:BTC/USDT:1m'?)"),
        (("BTCUSDT",), "'BTCUSDT' is no name of a series: write VENUE:SYMBOL:TIMEFRAME"),
        (("x:../x",), "'../x' is no symbol"),
        (("kraken:ETH/EUR", "--kind", "fundin"), "no kind of series 'fundin' (did you mean 'funding'?)"),
    ],
)
def test_a_name_that_leaves_doubt_is_refused(
    invoke: Callable[..., Run], data_dir: Path, arguments: tuple[str, ...], refusal: str
) -> None:
    assert refusal in invoke("data", "show", *arguments).refusal


def test_a_series_is_removed_only_when_somebody_says_yes(
    invoke: Callable[..., Run], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("data", "rm", "kraken:ETH/EUR", "--kind", "funding")
    for answer in ("", "no\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        run = invoke(*asked)
        assert run.code == 2
        assert run.errors.startswith("funding of kraken:ETH/EUR: 3 rows are about to be removed. Type yes to go on: ")
        assert run.errors.endswith("pitboss: not confirmed, nothing was removed; --yes confirms beforehand\n")
    assert len(Catalogue(data_dir).series()) == 4
    run = invoke(*asked, "--yes")
    assert run.output == "funding of kraken:ETH/EUR: removed, 3 rows in 1 file\n"
    assert [each.kind for each in Catalogue(data_dir).series()] == ["bars"] * 3
    assert not (data_dir / "funding").exists()


@pytest.mark.slow
def test_a_series_is_replayed_by_its_name(invoke: Callable[..., Run], data_dir: Path) -> None:
    named = json.loads(invoke("replay", "--tape", "kraken:ETH/EUR:1m", "--json").output)
    (path,) = (data_dir / "bars/kraken/ETH-EUR/1m").glob("*.parquet")
    file = data_dir / "eth.parquet"
    pl.read_parquet(path).with_columns(pl.col("ts") // 1_000_000).write_parquet(file)
    filed = json.loads(invoke("replay", "--tape", f"ETH/EUR={file}", "--json").output)
    assert (named["bars"], named["digest"]) == (2, filed["digest"])
    assert "there is no series of bars kraken:ETH/USD" in invoke("replay", "--tape", "kraken:ETH/USD").refusal


@pytest.mark.slow
def test_every_command_that_plays_a_tape_finds_series_where_it_is_told(
    invoke: Callable[..., Run], data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = ("--tape", "kraken:ETH/EUR:1m", "--series", "ETH/EUR=funding:kraken:ETH/EUR")
    by_environment = invoke("replay", *tape, "--json").json
    monkeypatch.setenv("PITBOSS_DATA_DIR", str(tmp_path / "none"))
    assert f"there is no series of bars kraken:ETH/EUR:1m in {tmp_path / 'none'}" in invoke("replay", *tape).refusal
    told = ("--data-dir", str(data_dir))
    state = ("--state-dir", str(tmp_path / "state"))
    assert invoke("replay", *tape, *told, "--json").json["digest"] == by_environment["digest"]
    lived = invoke("run", *state, *tape, *told, "--port", "0", "--speed", "0", "--exit-at-end")
    assert lived.code == 0
    assert invoke("journal", "replay", *state, "--json").json["digest_live"] == by_environment["digest"]
    compared = invoke("journal", "diff", *state, *tape[:2], *told, "--json").json
    assert compared["drift"]["tape"] == "kraken:ETH/EUR:1m"
    assert "there is no series" in invoke("journal", "diff", *state, *tape[:2]).refusal


@pytest.mark.slow
def test_longer_bars_are_made_and_made_again_without_a_change(
    invoke: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITBOSS_DATA_DIR", str(tmp_path / "data"))
    catalogue = Catalogue(tmp_path / "data")
    catalogue.write(SeriesKey("bars", "binance", "BTC/USDT", MINUTE), [bars(63)], Provenance("btc.csv"))
    run = invoke("data", "resample", "binance:BTC/USDT:1m", "15m")
    assert run.output.splitlines() == [
        "binance:BTC/USDT:1m -> binance:BTC/USDT:15m: 4 bars of 63 rows, 4 of them new",
        "1 bar misses something: left out",
    ]
    again = json.loads(invoke("data", "resample", "binance:BTC/USDT:1m", "15m", "--json").output)
    assert (again["bars"], again["bars_new"], again["conflicts"]) == (4, 0, 0)
    manifest = catalogue.named("binance:BTC/USDT:15m")
    assert (manifest.rows, len(manifest.imports), manifest.imports[0].source) == (
        4,
        1,
        "resampled from binance:BTC/USDT:1m",
    )
    out = tmp_path / "bars.parquet"
    invoke("data", "resample", "binance:BTC/USDT:1m", "15m", "--out", str(out))
    named = json.loads(invoke("replay", "--tape", "binance:BTC/USDT:15m", "--json").output)
    assert named["digest"] == json.loads(invoke("replay", "--tape", f"BTC/USDT={out}", "--json").output)["digest"]


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("binance:BTC/USDT:1m", "7x"), "'7x' is no timeframe"),
        (("binance:BTC/USDT:5m", "7m"), "bars of 7m cannot be made of bars of 5m: it is no multiple of it"),
        (("kraken:ETH/EUR", "1h", "--kind", "funding"), "bars are made of bars or of trades, not of funding"),
        (("binance:BTC/USDT:1m", "1h", "--incomplete", "dorp"), "it is one of drop, gaps, keep (did you mean 'drop'?)"),
        (("binance:BTC/USDT:1m", "1h", "--on-conflict", "x"), "--on-conflict x: it is one of fail, keep, replace"),
        (("binance:BTC/USDT:1m", "1h"), "not one bar of 1h is complete; --incomplete keep makes those there are"),
        (("binance:BTC/USDT:1m", "3m", "--out", "/nowhere/x.parquet"), "/nowhere/x.parquet: cannot be written"),
    ],
)
def test_bars_that_cannot_be_made_are_refused(
    invoke: Callable[..., Run], data_dir: Path, arguments: tuple[str, ...], refusal: str
) -> None:
    before = Catalogue(data_dir).series()
    assert refusal in invoke("data", "resample", *arguments).refusal
    assert Catalogue(data_dir).series() == before
