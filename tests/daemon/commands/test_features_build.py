"""`pitboss features build`: a frame of features, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

TAPE = ("--synthetic", "7:3000")


def test_a_declared_frame_has_every_bar_its_features_and_its_signals(
    invoke: Callable[..., Run], tmp_path: Path
) -> None:
    out, rules = tmp_path / "frame.parquet", tmp_path / "rules.toml"
    rules.write_text(
        '[features]\nup = "fast > slow"\nfast = "ema(3)"\nslow = "ema(9).on(\'15m\')"\nbands = "bbands(20)"\n'
    )
    report = invoke(
        "features", "build", *TAPE, "--declare", str(rules), "--entry", "up and close > bands.upper",
        "--exit", "not up", "--out", str(out), "--json",
    ).json  # fmt: skip
    frame = pl.read_parquet(out)
    names = ["up", "fast", "slow", "bands_upper", "bands_middle", "bands_lower", "entry", "exit"]
    assert frame.columns == ["ts", "open", "high", "low", "close", "volume", "ready", *names]
    assert frame.height == report["rows"] == 3_000
    assert frame["ts"].diff().drop_nulls().unique().to_list() == [60_000]
    assert report["ready"] == frame["ready"].sum() == 3_000 - 9 * 15 + 1
    assert [value["missing"] for value in report["columns"]] == [0, 2, 134, 19, 19, 19, 0, 0]
    upper = frame.filter("ready").with_columns(pl.col("close").rolling_std(20, ddof=0).alias("s"))
    assert (
        (upper["entry"] == 1.0) == ((upper["fast"] > upper["slow"]) & (upper["close"] > upper["bands_upper"]))
    ).all()
    assert report["columns"][-1]["expression"] == "not ema(3) > ema(9).on('15m')"


def test_the_preset_is_on_quarters_and_a_strategy_on_its_own_timeframe(
    invoke: Callable[..., Run], tmp_path: Path
) -> None:
    out = tmp_path / "frame.parquet"
    done = invoke("features", "build", *TAPE, "--group", "oscillators", "--group", "merges", "--out", str(out))
    assert done.code == 0
    assert "200 rows of 45 values" in done.output
    assert pl.read_parquet(out).columns[-1] == "volume_20_1d"
    invoke("features", "build", *TAPE, "--strategy", "ema_cross", "-p", "fast=3", "--out", str(out), "--json").json  # noqa: B018
    assert pl.read_parquet(out).columns[7:] == ["fast", "slow"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--preset", "pipelin15"), "--preset pipelin15: there is pipeline15 (did you mean 'pipeline15'?)"),
        (("--preset", "pipeline15", "--strategy", "ema_cross"), "--preset and --strategy exclude each other"),
        (("--group", "sentimnt"), "the pipeline has no group sentimnt (did you mean 'sentiment'?)"),
        (("--entry", "rsi_41 < 30"), "--entry: column 1: there is no rsi_41 (did you mean 'rsi_14'?)"),
        (("--entry", "funding > 0"), "feature entry: nothing tells funding of SYN/USDT: give it with --series"),
        (("--exit", 'external("mood") > 0'), 'feature exit: there is no series "mood"'),
        (("--symbol", "SYN/USD"), "--symbol SYN/USD: no tape for it (did you mean 'SYN/USDT'?)"),
        (("--timeframe", "90s"), "90s bars cannot be built from 1m bars of SYN/USDT"),
        (("--declare", "no.toml"), "no.toml: No such file or directory"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    invoke: Callable[..., Run], tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    out = tmp_path / "frame.parquet"
    assert complaint in invoke("features", "build", *TAPE, *arguments, "--out", str(out)).refusal
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_refused_before_anything_is_computed(invoke: Callable[..., Run]) -> None:
    assert "there is no folder nowhere" in invoke("features", "build", *TAPE, "--out", "nowhere/f.parquet").refusal
