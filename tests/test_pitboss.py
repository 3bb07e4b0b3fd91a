"""The public face: what a user imports, and what `replay` gives him."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import pitboss
from pitboss import Strategy, Tape, UserError, ema, load_tape, replay, synthetic_tape, tape_from_frame

ROOT = Path(__file__).parents[1]
START_MS = 1_700_002_800_000


class Momentum(Strategy):
    """Buys what rises, sells what falls; a strategy as the README shows one."""

    quantity: float = 0.5

    def features(self) -> dict[str, pitboss.Indicator]:
        """Declare one average."""
        return {"mean": ema(5)}

    def on_bar(self, bar: pitboss.Bar, f: Any, /) -> None:
        """Follow the close."""
        self.target(self.quantity if bar.close > f.mean else -self.quantity)


def tape(rows: list[tuple[float, float, float, float]], **terms: Any) -> Tape:
    table = np.array(rows, float)
    names = ("open", "high", "low", "close")
    frame = {"ts": START_MS + 60_000 * np.arange(len(rows)), "volume": np.ones(len(rows))}
    frame |= {name: table[:, index] for index, name in enumerate(names)}
    return tape_from_frame(frame, symbol="X/USD", **({"lot": Decimal("0.001")} | terms))


def flat(*prices: float) -> Tape:
    return tape([(price, price + 1, price - 1, price) for price in prices])


# --- the module -------------------------------------------------------------------------------------


def test_every_name_it_lists_is_there() -> None:
    for name in pitboss.__all__:
        assert getattr(pitboss, name) is not None
    assert dir(pitboss) == sorted(pitboss.__all__)


def test_a_star_import_brings_all_of_them() -> None:
    names: dict[str, Any] = {}
    exec("from pitboss import *", names)
    assert set(pitboss.__all__) <= set(names)


def test_a_name_it_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pitboss' has no attribute 'nothing'"):
        pitboss.nothing  # noqa: B018


def test_importing_it_loads_nothing_heavy() -> None:
    """Not even for the name of an indicator or a strategy."""
    code = (
        "import sys; from pitboss import Strategy, ema, UserError, Bar; ema(5);"
        "print(*sorted({'numba', 'polars', 'llvmlite', 'aiohttp', 'textual', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == ""


# --- replay -----------------------------------------------------------------------------------------


def test_a_users_class_is_replayed() -> None:
    result = replay(synthetic_tape("5:800"), Momentum, {"quantity": 0.25}, {"account.cash": 50_000})
    assert result.summary.start_equity == 50_000
    assert result.summary.fills == result.fills.height > 20
    assert result.summary.strategies == [
        {"id": "Momentum", "symbol": "SYN/USDT", "symbols": ["SYN/USDT"], "params": {"quantity": 0.25}}
    ]
    assert set(result.fills["quantity"].to_list()) == {0.25, 0.5}
    assert "final_equity" in repr(result)


def test_a_users_file_is_replayed_like_the_class_in_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from pitboss import Strategy, ema\n\n\nclass Momentum(Strategy):\n    quantity: float = 0.5\n\n"
        "    def features(self):\n        return {'mean': ema(5)}\n\n"
        "    def on_bar(self, bar, f):\n"
        "        self.target(self.quantity if bar.close > f.mean else -self.quantity)\n"
    )
    ours = replay(synthetic_tape("5:800"), Momentum)
    theirs = replay(synthetic_tape("5:800"), f"{path}:Momentum")
    assert theirs.summary.digest == ours.summary.digest


def test_a_built_in_is_replayed_by_name_on_a_file(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.parquet"
    tape_rows = synthetic_tape("9:300")
    bars = list(tape_rows.bars())
    pl.DataFrame(
        {
            "ts": [bar.open_ns // 1_000_000 for bar in bars],
            **{name: [getattr(bar, name) for bar in bars] for name in ("open", "high", "low", "close", "volume")},
        }
    ).write_parquet(path)
    for source in (path, str(path), load_tape(path), load_tape(f"BTCUSDT={path}")):
        result = replay(source, "ema_cross", {"fast": 3, "slow": 8})
        assert result.summary.fills > 5
        assert result.fills["symbol"].unique().to_list() == ["BTCUSDT"]


def test_a_files_instrument_heeds_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "X.csv"
    path.write_text(
        "ts,open,high,low,close,volume\n"
        + "".join(f"{START_MS + 60_000 * i},{100 + i},{101 + i},{99 + i},{100 + i},1\n" for i in range(5))
    )
    plain = replay(path)
    told = replay(path, settings={"instrument.tick": "0.5", "instrument.lot": "0.25"})
    assert plain.summary.instruments == [{"symbol": "X", "tick": "1", "lot": "0.00000001", "inferred": True}]
    assert told.summary.instruments == [{"symbol": "X", "tick": "0.5", "lot": "0.25", "inferred": False}]


def test_a_file_of_settings_lies_under_those_given(tmp_path: Path) -> None:
    config = tmp_path / "pitboss.toml"
    config.write_text("[account]\ncash = 7\n[venue]\ntaker_fee = 0.5\n")
    summary = replay(synthetic_tape("5:50"), config=config, settings={"account.cash": 8}).summary
    assert summary.start_equity == 8


@pytest.mark.parametrize(
    ("terms", "line"),
    [
        ({"strategy": "ema_cros"}, "there is no strategy ema_cros (did you mean 'ema_cross'?)"),
        ({"params": {"fst": 3}}, "there is no parameter fst (did you mean 'fast'?)"),
        ({"params": {"fast": 0}}, "parameter fast: Expected `int` >= 1"),
        ({"settings": {"account.csh": 3}}, "there is no setting account.csh (did you mean 'cash'?)"),
        ({"settings": {"account.cash": -3}}, "account.cash must be a number of at least 0"),
        ({"config": Path("/no/such.toml")}, "/no/such.toml: No such file or directory"),
        ({"tape": "/no/such.parquet"}, "/no/such.parquet: no such file"),
        ({"tape": synthetic_tape("5")}, "the tape never ends; a replay needs one that does"),
        ({"strategy": "nowhere.py:Mine"}, "nowhere.py: No such file or directory"),
    ],
)
def test_a_mistake_is_a_user_error_of_one_line(terms: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        replay(**({"tape": synthetic_tape("5:50")} | terms))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


# --- its tables -------------------------------------------------------------------------------------


class Everything(Strategy):
    """One order of every fate."""

    def on_start(self) -> None:
        """Count bars."""
        self.count = 0

    def on_bar(self, _: pitboss.Bar, __: Any, /) -> None:
        """Act by the number of the bar."""
        index, self.count = self.count, self.count + 1
        if index == 0:
            self.buy(1.5)
            self.buy(1, limit=90)
            self.buy(1, limit=200, post_only=True)
            self.sell(1, stop=50, limit=49)
        elif index == 1:
            self.cancel(2)
            self.buy(1, limit=80, time_in_force="fok")
        elif index == 2:
            self.sell(9, reduce_only=True, stop=99)


@pytest.fixture
def everything() -> pitboss.ReplayResult:
    return replay(flat(100, 101, 102, 100), Everything)


def test_orders_tell_what_became_of_each(everything: pitboss.ReplayResult) -> None:
    rows = everything.orders.select("ref", "kind", "side", "quantity", "filled", "state", "reason").rows()
    assert rows == [
        (1, "market", "buy", 1.5, 1.5, "filled", ""),
        (2, "limit", "buy", 1.0, 0.0, "cancelled", "as requested"),
        (3, "limit", "buy", 1.0, 0.0, "rejected", "post-only, and it would take liquidity"),
        (4, "stop_limit", "sell", 1.0, 0.0, "open", ""),
        (5, "limit", "buy", 1.0, 0.0, "expired", "fok: not fillable at once"),
        (6, "stop", "sell", 1.5, 1.5, "filled", ""),
    ]
    assert everything.orders.columns == [
        "order_id", "strategy", "symbol", "ref", "side", "kind", "quantity", "limit_price", "stop_price",
        "time_in_force", "reduce_only", "post_only", "filled", "state", "reason",
    ]  # fmt: skip
    assert everything.orders["limit_price"].to_list() == [None, 90.0, 200.0, 49.0, 80.0, None]
    assert everything.orders["stop_price"].to_list() == [None, None, None, 50.0, None, 99.0]


def test_fills_tell_decimals_and_beside_them_integers(everything: pitboss.ReplayResult) -> None:
    first, second = everything.fills.to_dicts()
    assert first == {
        "ts": START_MS + 60_000,
        "order_id": "pbsim1",
        "trade_id": 1,
        "strategy": "Everything",
        "symbol": "X/USD",
        "side": "buy",
        "price": 101.0,
        "quantity": 1.5,
        "fee": 0.1515,
        "liquidity": "taker",
        "synthetic": False,
        "price_ticks": 101,
        "quantity_lots": 1_500,
        "fee_atoms": 15_150_000,
    }
    assert (second["side"], second["price"], second["quantity"]) == ("sell", 99.0, 1.5)


def test_equity_has_a_mark_at_every_close(everything: pitboss.ReplayResult) -> None:
    equity = everything.equity
    assert equity["ts"].to_list() == [START_MS + 60_000 * index for index in range(1, 5)]
    assert equity["equity_atoms"].to_list() == [round(value * 1e8) for value in equity["equity"]]
    assert equity["equity"].to_list()[0] == 100_000
    assert equity["equity_atoms"].to_list()[-1] == int(everything.summary.final_equity * 10**8)


def test_tables_of_a_replay_without_a_trade_are_empty_and_typed() -> None:
    result = replay(flat(100, 100))
    assert (result.fills.height, result.orders.height, result.equity.height) == (0, 0, 2)
    assert result.fills.schema == replay(flat(100, 101, 102, 100), Everything).fills.schema
    assert result.orders.schema == replay(flat(100, 101, 102, 100), Everything).orders.schema


def test_tables_are_written_as_files_others_read(everything: pitboss.ReplayResult, tmp_path: Path) -> None:
    everything._recorder.write(tmp_path)
    for name in ("fills", "orders", "equity"):
        assert pl.read_parquet(tmp_path / f"{name}.parquet").equals(getattr(everything, name))
