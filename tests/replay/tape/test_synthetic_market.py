"""A whole market out of a seed: the same bytes everywhere, sound to the checker, and with what it promises in it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from config.errors import UserError
from replay.tape.checking import check, lazy_rows
from replay.tape.kinds import KINDS, POLARS_NAMES
from replay.tape.synthetic_market import MarketSpec, SyntheticMarket
from replay.tape.synthetic_series import synthetic_series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from replay.tape.checking import CheckReport

HERE = Path(__file__).parent
SYMBOLS = ("SYN/USDT", "TWO/USDT", "LOW/USDT")
MINUTE_NS = 60_000_000_000
SERIES = ("bars", "trades", "quotes", "book", "funding", "open_interest", "liquidations", "sentiment", "flow")
PINNED = {
    "bars": "c76c340f64cc8f78721cda694bbb4e52",
    "trades": "2c0bee444f9b8adc5fd45c9887da4046",
    "quotes": "1a49ebfab9f4e00747d9cfdc38778f75",
    "book": "60cbbb7357587591c1c87cfe126e8176",
    "funding": "dce9350f0dbfac483006337e626f02eb",
    "open_interest": "4c8a9dd0d334264ea076ee917ff82954",
    "liquidations": "1f125afae514f6fddacebdcc66ae8272",
    "sentiment": "453081eff3614a66b76ed8b4fe06bdc3",
    "flow": "9a78a1e86b27cb824569a7a81078f10b",
}
"""Of seed 7; who changes the bytes changes what tests and examples speak of."""


def market(rows: int = 4_000, **fields: object) -> SyntheticMarket:
    return SyntheticMarket(MarketSpec(**{"seed": 7, "rows": rows, "symbols": SYMBOLS, "gaps": 10, **fields}))  # type: ignore[arg-type]


def content(frame: pl.DataFrame) -> str:
    """Return a hash of all bytes of all columns."""
    digest = hashlib.sha256()
    for column in frame.get_columns():
        digest.update(column.name.encode() + np.ascontiguousarray(column.to_numpy()).tobytes())
    return digest.hexdigest()[:32]


def checked(frame: pl.DataFrame, name: str) -> CheckReport:
    kind = name if name in KINDS else "values"
    return check(lazy_rows(frame.lazy(), name, kind), timeframe_ns=MINUTE_NS if name == "bars" else None)


def returns(made: SyntheticMarket, symbol: str) -> NDArray[np.float64]:
    close = made.bars(symbol).close
    return np.diff(np.log(close))


@pytest.mark.parametrize("name", SERIES)
def test_the_bytes_are_the_pinned_ones(name: str) -> None:
    assert content(synthetic_series(market(), name, "TWO/USDT")) == PINNED[name]


@pytest.mark.slow
def test_bytes_do_not_depend_on_vector_instructions() -> None:
    found = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    dispatched = np._core._multiarray_umath.__cpu_dispatch__  # type: ignore[attr-defined]
    disabled = " ".join(feature for feature in dispatched if found.get(feature))
    if not disabled:
        pytest.skip("numpy dispatches on no feature of this machine")
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import test_synthetic_market as t\n"
        "print({name: t.content(t.synthetic_series(t.market(), name, 'TWO/USDT')) for name in t.SERIES})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE.parents[2],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled, "PYTHONHASHSEED": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(PINNED)


@pytest.mark.parametrize("name", SERIES)
def test_series_are_canonical_and_sound_but_for_their_gaps(name: str) -> None:
    for symbol in SYMBOLS:
        frame = synthetic_series(market(), name, symbol)
        kind = KINDS[name if name in KINDS else "values"]
        types = {column: getattr(pl, POLARS_NAMES[type_]) for column, type_ in kind.types().items()}
        assert frame.height > 1
        assert set(kind.columns) <= set(frame.columns)
        assert all(frame.schema[column] == types[column] for column in frame.columns)
        found = {each.kind for each in checked(frame, name).findings}
        assert found <= {"gap", "outlier", "repeated_time", "repeated_row"}, (symbol, found)


def test_a_longer_market_begins_with_the_rows_of_a_shorter_one() -> None:
    longer, shorter = market(4_000), market(1_500)
    for name in SERIES:
        long, short = (synthetic_series(made, name, "TWO/USDT") for made in (longer, shorter))
        assert long.head(short.height).equals(short), name


def test_a_symbol_does_not_depend_on_those_beside_it() -> None:
    alone = market(symbols=SYMBOLS[:1])
    assert synthetic_series(alone, "bars", SYMBOLS[0]).equals(synthetic_series(market(), "bars", SYMBOLS[0]))
    assert content(synthetic_series(market(seed=8), "bars", SYMBOLS[0])) != content(
        synthetic_series(market(), "bars", SYMBOLS[0])
    )


def test_trades_make_up_their_bars_exactly() -> None:
    made = market()
    bars = synthetic_series(made, "bars", "LOW/USDT")
    built = (
        synthetic_series(made, "trades", "LOW/USDT")
        .group_by((pl.col("ts") // MINUTE_NS * MINUTE_NS).alias("ts"), maintain_order=True)
        .agg(
            pl.col("price").first().alias("open"),
            pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"),
            pl.col("price").last().alias("close"),
            (pl.col("quantity") * 10_000).round().sum().alias("volume"),
        )
    )
    assert built.equals(bars.with_columns((pl.col("volume") * 10_000).round()))


def test_trades_meet_their_quotes_and_the_book_shows_them() -> None:
    made = market(60)
    trades = synthetic_series(made, "trades", SYMBOLS[0])
    quotes = synthetic_series(made, "quotes", SYMBOLS[0])
    met = pl.select(pl.when(trades["side"] > 0).then(quotes["ask"]).otherwise(quotes["bid"])).to_series()
    assert (met == trades["price"]).all()
    levels: dict[int, dict[float, float]] = {1: {}, -1: {}}
    tops = []
    for (_,), message in synthetic_series(made, "book", SYMBOLS[0]).group_by("seq", maintain_order=True):
        if message["snapshot"][0]:
            levels = {1: {}, -1: {}}
        for side, price, quantity in message.select("side", "price", "quantity").iter_rows():
            levels[side][price] = quantity
        levels = {side: {price: size for price, size in book.items() if size} for side, book in levels.items()}
        tops.append((max(levels[1]), min(levels[-1])))
        assert all(len(book) <= 10 for book in levels.values())
    assert tops == list(zip(quotes["bid"], quotes["ask"], strict=True))


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_symbols_move_together_as_much_as_was_asked_for(correlation: float) -> None:
    made = market(20_000, correlation=correlation, gaps=0, jumps=0)
    found = np.corrcoef(returns(made, SYMBOLS[0]), returns(made, SYMBOLS[1]))[0, 1]
    assert abs(found - correlation) < 0.08


def test_volatility_comes_in_clusters() -> None:
    sizes = np.abs(returns(market(20_000, gaps=0, jumps=0), SYMBOLS[0]))
    assert np.corrcoef(sizes[:-1], sizes[1:])[0, 1] > 0.2
    assert np.corrcoef(sizes[:-100], sizes[100:])[0, 1] > 0.05


def test_regimes_differ_in_drift_and_volatility() -> None:
    made = market(100_000, gaps=0, jumps=0)
    steps = returns(made, SYMBOLS[0])
    calm, rising, falling, stormy = (steps[made.regimes[1:] == each] for each in range(4))
    assert stormy.std() > 2 * calm.std()
    assert rising.mean() > calm.mean() > falling.mean()


def test_jumps_are_as_many_and_as_large_as_said() -> None:
    still, jumping = (returns(market(50_000, gaps=0, jumps=jumps), SYMBOLS[0]) for jumps in (0, 20))
    sizes = np.abs(jumping - still)
    jumps = sizes[sizes > 0.015]
    assert 70 <= len(jumps) <= 130
    assert jumps.min() > 0.019
    assert jumps.max() < 0.101


def test_gaps_are_as_many_as_said_and_never_at_the_start() -> None:
    made = market(50_000, gaps=20)
    gap = checked(synthetic_series(made, "bars", SYMBOLS[0]), "bars").found("gap")
    assert gap is not None
    assert 70 <= gap.count <= 130
    assert gap.figures["longest"] <= 480
    assert made.bars(SYMBOLS[0]).ts[0] == market(10).bars(SYMBOLS[0]).ts[0]


def test_values_are_published_when_what_they_speak_of_is_over() -> None:
    mood = synthetic_series(market(), "sentiment", SYMBOLS[0])
    flow = synthetic_series(market(), "flow", SYMBOLS[0])
    assert (mood["published"] - mood["ts"]).unique().to_list() == [86_400 * 10**9]
    assert (flow["published"] - flow["ts"]).unique().to_list() == [3_600 * 10**9]
    assert mood["value"].is_between(0, 100).all()
    trades = synthetic_series(market(), "trades", SYMBOLS[0]).filter(pl.col("ts") < flow["published"].max())
    assert flow["value"].sum() == pytest.approx((trades["quantity"] * trades["side"]).sum())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rows": 0}, "rows must be between 1 and 5,000,000"),
        ({"rows": 5_000_001}, "rows must be between"),
        ({"correlation": 1.5}, "correlation must be between 0 and 1"),
        ({"symbols": ()}, "symbols must be between 1 and 64"),
        ({"symbols": ("A", "A")}, "each symbol once"),
        ({"jumps": -1}, "jumps must be between"),
        ({"seed": -1}, "seed must be between"),
    ],
)
def test_a_market_that_is_none_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        market(**fields)  # type: ignore[arg-type]


def test_an_unknown_series_or_symbol_is_refused() -> None:
    with pytest.raises(UserError, match=r"no 'trade' \(did you mean 'trades'"):
        synthetic_series(market(10), "trade", SYMBOLS[0])
    with pytest.raises(UserError, match="'X' is not of this market"):
        synthetic_series(market(10), "trades", "X")
