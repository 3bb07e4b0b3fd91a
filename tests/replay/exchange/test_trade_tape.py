"""A recorded trade tape, row by row: nothing added, nothing left out, only the whole moved in time."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from config.errors import UserError
from replay.exchange.model import Market
from replay.exchange.trade_tape import is_trade_file, open_trade_tape
from replay.exchange.venue import open_venue

D = Decimal
MARKET = Market(symbol="X/USDT", id="XUSDT", base="X", quote="USDT", tick=D("0.1"), lot=D("0.001"))
START_MS = 1_700_000_012_345
ROWS: dict[str, list[Any]] = {
    "ts": [START_MS, START_MS, START_MS + 7, START_MS + 90_000],
    "price": [10.5, 10.5, 11.0, 10.9],
    "qty": [0.004, 1.0, 0.25, 3.0],
    "side": ["buy", "sell", "sell", "buy"],
}
SHARED = Path(os.environ.get("PITBOSS_SHARED_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "trades.parquet"
    pl.DataFrame(ROWS | changes).write_parquet(path)
    return path


async def test_every_trade_is_printed_as_it_was(tmp_path: Path) -> None:
    tape = open_trade_tape(written(tmp_path), "X/USDT")
    assert (tape.series[0].instrument.tick, tape.series[0].instrument.lot) == (D("0.1"), D("0.001"))
    venue = await open_venue(
        state_dir=tmp_path / "state",
        tape=tape,
        markets=[MARKET],
        balances={},
        maker_fee=D(0),
        taker_fee=D(0),
        speed=1e9,
    )
    while len(venue.engine.recent_trades("XUSDT")) < 4:
        await venue.catch_up()
    trades = venue.engine.recent_trades("XUSDT")
    assert [each.time_ms - trades[0].time_ms for each in trades] == [0, 0, 7, 90_000]
    assert (trades[0].time_ms - START_MS) % 60_000 == 0
    assert [each.price_ticks for each in trades] == [105, 105, 110, 109]
    assert [each.quantity_lots for each in trades] == [4, 1_000, 250, 3_000]
    assert [each.buyer_is_maker for each in trades] == [False, True, True, False]
    state = venue.engine.dump()
    await venue.close()
    again = await open_venue(
        state_dir=tmp_path / "state",
        tape=tape,
        markets=[MARKET],
        balances={},
        maker_fee=D(0),
        taker_fee=D(0),
        speed=1e9,
    )
    assert len(again.engine.recent_trades("XUSDT")) == 4
    assert again.engine.recent_trades("XUSDT") == trades
    assert len(state) == len(again.engine.dump())
    await again.close()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"ts": [2, 1, 3, 4]}, "ascending"),
        ({"ts": [1.5, 2.0, 3.0, 4.0]}, "whole milliseconds"),
        ({"price": [1.0, 0.0, 1.0, 1.0]}, "positive"),
        ({"price": [1.0, float("nan"), 1.0, 1.0]}, "positive"),
        ({"price": [1.0, None, 1.0, 1.0]}, "missing"),
        ({"qty": [1.0, -1.0, 1.0, 1.0]}, "positive"),
        ({"qty": [1.0, 1e-9, 1.0, 1.0]}, "more than 8 decimals"),
        ({"side": ["buy", "sell", "both", "buy"]}, "buy or sell"),
        ({key: pl.Series(value).head(0) for key, value in ROWS.items()}, "no trade"),
    ],
)
def test_what_is_no_trade_tape_is_refused_in_one_line(tmp_path: Path, changes: Any, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        open_trade_tape(written(tmp_path, **changes), "X/USDT")


def test_a_trade_file_is_told_from_one_of_bars(tmp_path: Path) -> None:
    assert is_trade_file(written(tmp_path))
    bars = tmp_path / "bars.parquet"
    pl.DataFrame({"ts": [1], "open": [1.0]}).write_parquet(bars)
    assert not is_trade_file(bars)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no")
    assert not is_trade_file(broken)
    assert not is_trade_file(tmp_path / "none.parquet")
    with pytest.raises(UserError, match="not a trade tape"):
        open_trade_tape(broken, "X/USDT")


@pytest.mark.slow
def test_real_trades_are_played_to_the_last() -> None:
    path = SHARED / "trades" / "binance-um_BTCUSDT_trades_2024-08.parquet"
    if not path.is_file():
        pytest.skip(f"no {path}")
    tape = open_trade_tape(path, "BTC/USDT")
    (series,) = tape.series
    assert (series.instrument.tick, series.instrument.lot) == (D("0.1"), D("0.001"))
    from actors.instrument import Instrument

    prints = list(series.prints("BTCUSDT", Instrument(series.instrument), 0, 0))
    frame = pl.read_parquet(path)
    assert [each.time_ms for each in prints] == frame["ts"].to_list()
    assert [each.price_ticks / 10 for each in prints] == frame["price"].to_list()
    assert [each.quantity_lots / 1000 for each in prints] == frame["qty"].to_list()
    assert list(series.prints("BTCUSDT", Instrument(series.instrument), 0, 20_000)) == prints[20_000:]
