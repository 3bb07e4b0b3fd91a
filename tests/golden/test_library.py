"""Every strategy in the box over recorded markets: fills, round trips and final equity as they were when reviewed.

A figure that changes is a change of what a strategy, the venue or the ledger does: look at it before you write it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from pitboss import ReplayResult, replay
from replay.tape.external_file import open_series
from replay.tape.opening import open_tape
from strategies.library import BUILT_IN

HOURS = "BTCUSDT=ohlcv/1h/binance-um_BTCUSDT_1h_2019-2022.parquet"
PAIR = tuple(f"{coin}USDT=ohlcv/15m/binance-um_{coin}USDT_15m_2025.parquet" for coin in ("BTC", "ETH"))
MANY = tuple(
    f"{coin}USDT=ohlcv/1h/binance-um_{coin}USDT_1h_2025.parquet" for coin in ("BTC", "ETH", "BNB", "ADA", "BCH")
)
CARRY = ("BTCUSDT=ohlcv/1h/binance-spot_BTCUSDT_1h_2019-2022.parquet", f"BTCUSDT:USDT={HOURS.partition('=')[2]}")
FUNDING = "BTCUSDT:USDT=funding/binance-um_BTCUSDT_funding_2019-2022.parquet"
TICKS = ("BTCUSDT=book/raw/binance-spot_btcusdt_20240808.feed.gz",)


class Golden(NamedTuple):
    """What a strategy is run over, and what it came to."""

    strategy: str
    tapes: tuple[str, ...]
    fills: int
    round_trips: int
    equity: str
    params: Mapping[str, Any] = MappingProxyType({})
    settings: Mapping[str, Any] = MappingProxyType({})
    series: tuple[str, ...] = ()


GOLDEN = (
    Golden("buy_and_hold", (HOURS,), 1, 0, "163505.60000000"),
    Golden("turtle", (HOURS,), 1357, 678, "98119.50005399"),
    Golden("supertrend", (HOURS,), 1091, 545, "117989.99473445"),
    Golden("breakout", (HOURS,), 1098, 549, "93903.77185912", {"take_profit_atr": 8.0, "time_stop_bars": 200}),
    Golden("rsi2", (HOURS,), 1120, 560, "96949.12664000", {"short": True}),
    Golden("grid", (HOURS,), 996, 36, "100247.47620400"),
    Golden("dca", (HOURS,), 927, 65, "55389.76186544", {"dip": 1.5, "take_profit": 0.05}),
    Golden(
        "rule",
        (HOURS,),
        398,
        199,
        "99140.67166200",
        {"entry": "close > highest(48).lag() and rsi(14).on('4h') > 50", "exit": "close < ema(48)"},
    ),
    Golden("ema_cross", (HOURS,), 1222, 611, "96349.24886200"),
    Golden("bollinger_reversion", (HOURS,), 2094, 1047, "92419.28474700", {"short": True}),
    Golden("pairs", PAIR, 188, 94, "97906.68747445"),
    Golden("rotation", MANY, 44, 13, "92743.10679872"),
    Golden("funding_carry", CARRY, 68, 34, "110198.35802322", series=(FUNDING,)),
    Golden(
        "market_maker",
        TICKS,
        706,
        18,
        "100012.53322930",
        {"half_spread": 0.00002, "skew": 0.00002, "tolerance": 0.000005},
        {"venue.maker_fee": 0},
    ),
)


def play(golden: Golden, folder: Path) -> ReplayResult:
    """Replay it."""
    tape = open_tape([within(tape, folder) for tape in golden.tapes], timeframe="1m" if golden.tapes == TICKS else None)
    if golden.series:
        named = [within(series, folder) for series in golden.series]
        tape = tape.with_external(open_series(named, [series.symbol for series in tape.series], None))
    return replay(tape, golden.strategy, golden.params, golden.settings)


def within(named: str, folder: Path) -> str:
    symbol, _, file = named.partition("=")
    return f"{symbol}={folder / file}"


def test_every_strategy_in_the_box_is_here() -> None:
    assert {golden.strategy for golden in GOLDEN} == set(BUILT_IN)


@pytest.mark.slow
@pytest.mark.parametrize("golden", GOLDEN, ids=[golden.strategy for golden in GOLDEN])
def test_a_strategy_does_on_recorded_markets_what_it_did(golden: Golden, shared_data: Path) -> None:
    summary = play(golden, shared_data).summary
    assert (summary.fills, summary.trades, f"{summary.final_equity:f}") == (
        golden.fills,
        golden.round_trips,
        golden.equity,
    )
    assert (summary.state, summary.dead_letters) == ("running", 0)
