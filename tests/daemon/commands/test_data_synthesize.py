"""`pitboss data synthesize`: a market out of a seed among the series that there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from replay.tape.catalogue import Catalogue
from replay.tape.synthetic_market import MarketSpec, SyntheticMarket
from replay.tape.synthetic_series import SERIES_NAMES, synthetic_series

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

SYMBOLS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory that does not exist yet, named by the environment."""
    monkeypatch.setenv("PITBOSS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_every_series_of_a_market_is_kept_as_it_was_made(invoke: Callable[..., Run], data_dir: Path) -> None:
    kinds = [word for name in SERIES_NAMES for word in ("--kind", name)]
    symbols = [word for name in SYMBOLS for word in ("--symbol", name)]
    made = invoke("data", "synthesize", "--seed", "5", "--bars", "3000", "--gaps", "9", *kinds, *symbols, "--json").json
    assert len(made) == len(SERIES_NAMES) * len(SYMBOLS)
    market = SyntheticMarket(MarketSpec(seed=5, rows=3_000, symbols=SYMBOLS, gaps=9))
    catalogue = Catalogue(data_dir)
    for each, name in zip(made, SERIES_NAMES, strict=False):
        frame = synthetic_series(market, name, SYMBOLS[0])
        assert (each["rows"], each["rows_new"]) == (frame.height, frame.height)
        kept = catalogue.scan(catalogue.named(each["name"]).key).collect()
        assert kept.equals(frame.select(kept.columns)), name
    assert [each["name"] for each in made[-2:]] == [
        "values:synthetic-5:ETH/USDT-sentiment",
        "values:synthetic-5:ETH/USDT-flow",
    ]


def test_a_longer_market_adds_to_the_shorter_one_and_no_other_does(invoke: Callable[..., Run], data_dir: Path) -> None:
    kinds = ("--kind", "bars", "--kind", "quotes", "--kind", "flow")
    assert invoke("data", "synthesize", "--bars", "200", *kinds).output.splitlines()[0] == (
        "synthetic-7:SYN/USDT:1m: 200 rows, 200 of them new, 2024-01-01 00:00:00 to 2024-01-01 03:19:00 UTC"
    )
    again = invoke("data", "synthesize", "--bars", "200", *kinds, "--json").json
    longer = invoke("data", "synthesize", "--bars", "500", *kinds, "--json").json
    assert [each["rows_new"] for each in again] == [0, 0, 0]
    market = SyntheticMarket(MarketSpec(seed=7, rows=500))
    frames = [synthetic_series(market, name, "SYN/USDT") for name in ("bars", "quotes", "flow")]
    assert [each["rows"] for each in longer] == [frame.height for frame in frames]
    quotes = Catalogue(data_dir).scan(Catalogue(data_dir).named("quotes:synthetic-7:SYN/USDT").key).collect()
    assert quotes.equals(frames[1])
    other = ("data", "synthesize", "--bars", "200", "--kind", "quotes", "--venue", "synthetic-7")
    for terms in (("--seed", "8"), ("--jumps", "3"), ("--symbol", "A/USDT", "--symbol", "SYN/USDT")):
        refusal = invoke(*other, *terms).refusal
        assert "quotes of synthetic-7:SYN/USDT is there already, of another market (seed 7, symbol 1," in refusal
    assert quotes.equals(
        Catalogue(data_dir).scan(Catalogue(data_dir).named("quotes:synthetic-7:SYN/USDT").key).collect()
    )


def test_what_has_not_happened_yet_is_no_series(invoke: Callable[..., Run], data_dir: Path) -> None:
    run = invoke("data", "synthesize", "--bars", "60", "--kind", "funding")
    assert (run.code, run.output) == (0, "funding:synthetic-7:SYN/USDT: nothing happened in so few bars\n")
    assert Catalogue(data_dir).series() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kind", "trade"), "--kind trade: a market has bars, trades, quotes, book,"),
        (("--kind", "trade"), "(did you mean 'trades'?)"),
        (("--kind", "book", "--bars", "20001"), "--bars 20,001: of book there can be between 1 and 20,000 bars"),
        (("--bars", "0"), "--bars 0: of bars there can be between 1 and 5,000,000 bars"),
        (("--correlation", "2"), "correlation must be between 0 and 1, not 2"),
        (("--symbol", "../x"), "'../x' is no symbol"),
        (("--symbol", "A", "--symbol", "A"), "has each symbol once"),
        (("--venue", "a/b"), "'a/b' is no name of a venue"),
    ],
)
def test_a_market_that_cannot_be_is_refused(
    invoke: Callable[..., Run], data_dir: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in invoke("data", "synthesize", *arguments).refusal
    assert not list(data_dir.rglob("*.parquet"))


@pytest.mark.slow
def test_its_trades_and_quotes_are_played(invoke: Callable[..., Run], data_dir: Path) -> None:
    kinds = ("--kind", "trades", "--kind", "quotes", "--kind", "sentiment", "--kind", "funding")
    assert invoke("data", "synthesize", "--bars", "3000", *kinds).code == 0
    tape = [word for kind in ("trades", "quotes") for word in ("--tape", f"{kind}:synthetic-7:SYN/USDT")]
    series = ("--series", "mood=values:synthetic-7:SYN/USDT-sentiment")
    told = invoke("replay", *tape, *series, "--timeframe", "5m", "--json").json
    assert told["bars"] == 599  # of the last one nobody knows whether it was over
    assert pl.Series(told["notes"]).str.contains("mood").any()
