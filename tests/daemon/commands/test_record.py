"""`pitboss record` as it is asked: what it prints, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replay.tape.catalogue import Catalogue
from tests.daemon.commands.conftest import Loopback

if TYPE_CHECKING:
    from tests.daemon.conftest import Run


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Loopback]:
    with Loopback(tmp_path, 6_000.0) as exchange:
        yield exchange


@pytest.mark.slow
def test_a_recording_of_a_while_is_told_and_goes_on_with_the_same_bars_only(
    tmp_path: Path, invoke: Callable[..., Run], playing: Loopback
) -> None:
    data = tmp_path / "data"
    command = ("record", "--symbol", playing.symbol, *playing.settings, "--set", "exchange.clock=venue")
    run = invoke(*command, "--kinds", "trades", "--duration", "2s", "--data-dir", str(data), "--json")
    assert run.code == 0, run.errors
    (row,) = run.json["symbols"]
    assert (run.json["why"], run.json["failed"], row["series"]) == ("the time is up", False, "feed:binance:BTC/USDT")
    assert row["messages"].keys() == {"Bar", "Trade"}
    assert row["rows"] == sum(row["messages"].values()) + row["breaks"] + 1
    assert Catalogue(data).named("feed:binance:BTC/USDT").rows == row["rows"]
    five = invoke(*command, "--set", "exchange.timeframe=5m", "--data-dir", str(data))
    assert "is recorded in" in five.refusal
    assert "with bars of 1m, not of 5m" in five.refusal
    assert (
        "cannot be imported"
        in invoke(
            "data",
            "import",
            str(playing.file),
            "--venue",
            "x",
            "--symbol",
            "Y",
            "--kind",
            "feed",
            "--data-dir",
            str(data),
        ).refusal
    )
    assert (
        "checked row by row when it is played"
        in invoke("data", "check", "feed:binance:BTC/USDT", "--data-dir", str(data)).refusal
    )
    assert (
        "bars are made of bars or of trades"
        in invoke("data", "resample", "feed:binance:BTC/USDT", "5m", "--data-dir", str(data)).refusal
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kinds", "trads"), "--kinds trads: no stream of a feed (did you mean 'trades'?); there are: bars, trades"),
        (("--duration", "soon"), "soon"),
        (("--symbol", "BTC/USDT", "--symbol", "ETH/EUR"), "EUR"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_anything_is_asked(
    tmp_path: Path, invoke: Callable[..., Run], arguments: tuple[str, ...], words: str
) -> None:
    run = invoke("record", *arguments, "--data-dir", str(tmp_path / "data"))
    assert words in run.refusal
    assert not (tmp_path / "data").exists()
