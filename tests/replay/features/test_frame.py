"""The frame of features: each column is what the live core gives bar by bar, to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from actors import messages as m
from actors.system import Core, CoreSnapshot
from config.errors import UserError
from config.load import check_settings
from replay.features.frame import Block, FeatureFrame
from replay.plan import build_core, plan_session, start_core
from replay.run import register_class
from replay.tape import Tape, tape_from_frame
from replay.tape.external import ExternalSeries
from strategies.base import Strategy
from strategies.features.pipeline import pipeline
from strategies.features.rows import FeatureRows
from strategies.indicators import Column, Expression, bbands, close, custom, ema, external, rsi, sma
from strategies.indicators.expression import COLUMNS

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DECLARED: dict[str, Expression] = {}
"""What `Reader` declares; set by each test."""


class Reader(Strategy):
    """Declares what a test wants."""

    def features(self) -> Mapping[str, Expression]:
        return DECLARED


class Quarters(Reader):
    """On 15-minute bars, whatever the tape's are."""

    timeframe = "15m"


def lived(
    tape: Tape, declared: dict[str, Expression], kind: type[Strategy], restart_inputs: int = 0
) -> tuple[Any, Any, list[int]]:
    """Post input by input, as live does: all values at the close of each bar, and the rows that were told.

    Every `restart_inputs` inputs another core goes on from a snapshot; never if that is 0.
    """
    DECLARED.clear()
    DECLARED.update(declared)
    settings = check_settings({"strategies": [{"use": register_class(kind)}]}, "test")
    plan = plan_session(settings, tape)
    rows: dict[int, Any] = {}
    values: list[list[float]] = []
    opens_ns: list[int] = []

    def begun() -> Core:
        core = build_core(plan, {m.FeatureRow: [_Observer(rows).on_row]})
        (served,) = core.features._all[core.strategies[0].id].values()
        assert isinstance(served.features, FeatureRows)
        graph, slots, series = served.features._graph, served.features.slots, served.features.series
        step = served.features.step

        def watched(bar: m.Bar) -> Any:
            row = step(bar)
            opens_ns.append(bar.open_ns)
            values.append([graph.values[slot] for slot in slots])
            return row

        served.features.step = watched  # type: ignore[method-assign]
        assert series.timeframe_ns == plan.strategies[0].timeframe_ns
        return core

    core = begun()
    start_core(core)
    for count, (ts_ns, message) in enumerate(tape.stamped()):
        if restart_inputs and count % restart_inputs == restart_inputs - 1:
            kept = msgspec.msgpack.encode(core.snapshot())
            core = begun()
            core.restore(msgspec.msgpack.decode(kept, type=CoreSnapshot))
        core.scheduler.fire_before(ts_ns)
        core.scheduler.post(ts_ns, message)
        core.ledger.take_marks()
    return np.array(values), rows, opens_ns


class _Observer:
    name = "observer"
    isolated = False

    def __init__(self, rows: dict[int, Any]) -> None:
        self.rows = rows

    def on_row(self, row: m.FeatureRow) -> None:
        self.rows[row.bar.open_ns] = row.values


def bits(column: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return what a column is made of; there is one NaN."""
    return np.where(np.isnan(column), np.nan, column).view(np.int64)


def joined(blocks: list[Block]) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
    return (
        np.concatenate([block.opens_ns for block in blocks]),
        {name: np.concatenate([block.values[name] for block in blocks]) for name in blocks[0].values},
        np.concatenate([block.ready for block in blocks]),
    )


def assert_equal(
    tape: Tape, declared: dict[str, Expression], kind: type[Strategy], size: int = 1_000, restart_inputs: int = 0
) -> int:
    """Compare frame and live core; return how many rows a strategy is told."""
    values, rows, lived_ns = lived(tape, declared, kind, restart_inputs)
    timeframe_ns = 15 * MINUTE if kind.timeframe else tape.series[0].timeframe_ns
    frame = FeatureFrame(declared, tape, tape.series[0].symbol, timeframe_ns)
    opens_ns, columns, ready = joined(list(frame.blocks(size=size)))
    assert opens_ns.tolist() == lived_ns
    assert tuple(columns) == frame.names
    for place, name in enumerate(frame.names):
        different = np.flatnonzero(bits(columns[name]) != bits(values[:, place]))
        assert not different.size, (name, different[:5], columns[name][different[:5]], values[different[:5], place])
    assert opens_ns[ready].tolist() == list(rows)
    told = np.array([msgspec.structs.astuple(row) for row in rows.values()]).reshape(len(rows), len(frame.names))
    stood = np.array([column[ready] for column in columns.values()]).T
    assert np.array_equal(bits(told), bits(stood))
    return len(rows)


def quarters(path: Path, symbol: str, first: str, last: str) -> Tape:
    """Return 15-minute bars of a file of minutes."""
    bars = (
        pl.scan_parquet(path)
        .with_columns(when=pl.from_epoch("ts", time_unit="ms"))
        .filter(pl.col("when").is_between(pl.lit(first).str.to_datetime(), pl.lit(last).str.to_datetime(), "left"))
        .group_by_dynamic("when", every="15m")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .with_columns(ts=pl.col("when").dt.epoch("ms"))
        .select("ts", "open", "high", "low", "close", "volume")
        .collect()
    )
    return tape_from_frame(bars, symbol=symbol, timeframe="15m", tick=Decimal("0.1"), lot=Decimal("0.001"))


def values_of(path: Path, column: str, name: str, kind: Any, delay_ns: int = 0) -> ExternalSeries:
    table = pl.read_parquet(path)
    times_ns = table["ts"].to_numpy().astype(np.int64) * 1_000_000
    numbers = (table[column].to_numpy().astype(np.float64),)
    return ExternalSeries(name=name, kind=kind, ts_ns=times_ns, known_ns=times_ns + delay_ns, numbers=numbers)


@pytest.mark.slow
def test_every_column_of_the_preset_is_the_live_cores_on_recorded_data(shared_data: Path) -> None:
    """Two months of quarters of an hour, with funding as it was paid and a daily index published a day later."""
    tape = quarters(
        shared_data / "ohlcv/1m/bitfinex_BTCUSD_1m_2019.parquet", "BTC/USD", "2019-09-05 07:30", "2019-10-20 00:00"
    ).with_external(
        [
            values_of(
                shared_data / "funding/binance-um_BTCUSDT_funding_2019-2022.parquet", "rate", "BTC/USD", "funding"
            ),
            values_of(
                shared_data / "sentiment/fear_greed_daily_2018-2021.parquet", "value", "fear_greed", "values", 24 * HOUR
            ),
        ]
    )
    declared = pipeline(told={"funding"}, external=("fear_greed",))
    declared |= {"entry": declared["cross_up"] & (external("fear_greed") < 50), "exit": declared["cross_down"]}
    told = assert_equal(tape, declared, Reader)
    assert told > 1_000, "all of them had a value for many a day"


def pull(state: Any, price: float, other: float) -> tuple[float, float]:
    """Give the change since the bar before, and how far the other price is."""
    change = price - state[0]
    state[0] = price
    return change, price - other


@pytest.mark.parametrize("kind", [Reader, Quarters])
@pytest.mark.parametrize(("size", "restart_inputs"), [(7, 0), (100_000, 41)])
def test_other_symbols_timeframes_and_step_functions_are_read_in_the_order_of_the_live_core(
    kind: type[Strategy], size: int, restart_inputs: int, walk: Any, tape_of: Any
) -> None:
    """Two symbols with holes, one of them behind the other, and a value in between; also where the daemon restarts."""
    first, second = tape_of(walk(1, 900, gaps=True), "X/USD"), tape_of(walk(2, 800, gaps=True), "Y/USD")
    start_ns = first.series[0].first_open_ns
    times_ns = start_ns + np.arange(0, 3_000 * MINUTE, 37 * MINUTE + 1)
    mood = ExternalSeries(
        name="mood", kind="values", ts_ns=times_ns, known_ns=times_ns, numbers=(np.sin(np.arange(len(times_ns))),)
    )
    tape = Tape([*first.series, *second.series]).with_external([mood])
    own = custom(pull, sources=(close, ema(3).on("15m", symbol="Y/USD")), slots=1, warmup=2, outputs=("change", "far"))
    declared = {
        "own": own,
        "ratio": close / close.on(symbol="Y/USD"),
        "hour": sma(2).on("1h"),
        "mixed": bbands(4, source=close - ema(2).on(symbol="Y/USD"))["upper"],
        "there": rsi(3, close.on("30m") - close).on("15m", symbol="Y/USD"),
        "mean": ema(4, own["far"]),
        "mood": external("mood"),
        "moods": sma(3, external("mood")).on("1h"),
        "gap": close / (close - close.lag(1)),
    }
    assert assert_equal(tape, declared, kind, size, restart_inputs) > 20


def test_what_a_tape_of_trades_tells_is_summed_in_the_frame_as_live(tick_tape: Tape) -> None:
    declared = {
        "flow": Column("buy_volume") - Column("sell_volume"),
        "hourly": Column("trade_count").on("5m"),
        "spread": Column("ask") - Column("bid"),
        "mean": ema(2, Column("ask")),
    } | {f"preset_{name}": value for name, value in pipeline(["book", "flow"], told=COLUMNS).items()}
    assert assert_equal(tick_tape, declared, Reader, 500, restart_inputs=97) > 5


@pytest.fixture
def tick_tape(tmp_path: Path) -> Tape:
    """Return two hours of made-up trades and quotes."""
    from replay.tape import open_tape
    from replay.tape.synthetic_market import MarketSpec, SyntheticMarket
    from replay.tape.synthetic_series import synthetic_series

    market = SyntheticMarket(MarketSpec(seed=7, rows=120, symbols=("X/USD",)))
    for kind in ("trades", "quotes"):
        synthetic_series(market, kind, "X/USD").with_columns(pl.col("ts") // 1_000_000).write_parquet(
            tmp_path / f"{kind}.parquet"
        )
    return open_tape([f"X/USD={tmp_path / 'trades.parquet'}", f"X/USD={tmp_path / 'quotes.parquet'}"], timeframe="1m")


def test_a_timeframe_that_cannot_be_built_is_refused(walk: Any, tape_of: Any) -> None:
    with pytest.raises(UserError, match="90s bars cannot be built from 1m bars of X/USD"):
        FeatureFrame({"a": close}, tape_of(walk(1, 10)), "X/USD", 90_000_000_000)


def test_a_step_function_that_fails_is_named_with_what_it_raised(walk: Any, tape_of: Any) -> None:
    def broken(state: Any, price: float) -> float:
        message = "no such luck"
        raise ArithmeticError(message)

    frame = FeatureFrame({"a": custom(broken), "b": close}, tape_of(walk(1, 10)), "X/USD", MINUTE)
    (block,) = frame.blocks()
    assert np.isnan(block.values["a"]).all()
    assert not block.ready.any()
    assert {name: str(error) for name, error in frame.failures().items()} == {"broken(close)": "no such luck"}
