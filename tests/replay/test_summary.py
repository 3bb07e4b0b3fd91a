"""A replay's figures, worked out anew from its tables: D12 in the slow words of plain Python."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.instrument import Instrument
from config.load import check_settings
from config.schema import Settings
from replay.books import Book
from replay.driver import Summary, replay_tape
from replay.record import Recorder
from replay.tape import Tape, open_tape

Configure = Callable[..., Settings]
DAY_MS = 86_400_000


def played(settings: Settings, tape: Tape) -> tuple[Summary, Recorder]:
    recorder = Recorder({one.symbol: Instrument(one.instrument) for one in tape.series})
    return replay_tape(settings, tape, recorder=recorder), recorder


def instrument_of(tape: Tape, symbol: str) -> Instrument:
    return next(Instrument(one.instrument) for one in tape.series if one.symbol == symbol)


def half_up(value: Fraction) -> int:
    magnitude = int((2 * abs(value) + 1) // 2)
    return -magnitude if value < 0 else magnitude


class Account:
    """Cash and books by average cost, in fractions rounded where the contract says."""

    def __init__(self, cash: Decimal, tape: Tape) -> None:
        self.cash = int(cash.scaleb(8))
        self.steps = {
            one.symbol: Fraction(one.instrument.tick) * Fraction(one.instrument.lot) * 10**8 for one in tape.series
        }
        self.books: dict[tuple[str, str], list[int]] = {}
        self.flows: Counter[tuple[str, str]] = Counter()
        """What each book has brought, in atoms."""
        self.fees = self.realized = self.trips = 0

    def take(self, row: dict[str, Any]) -> None:
        lots, cost = self.books.setdefault((row["strategy"], row["symbol"]), [0, 0])
        step, side = self.steps[row["symbol"]], 1 if row["side"] == "buy" else -1
        paid = side * half_up(step * row["price_ticks"] * row["quantity_lots"])
        self.cash -= paid + row["fee_atoms"]
        self.flows[row["strategy"], row["symbol"]] -= paid + row["fee_atoms"]
        self.fees += row["fee_atoms"]
        after = lots + side * row["quantity_lots"]
        if lots * side >= 0:
            cost += paid
        elif abs(row["quantity_lots"]) < abs(lots):
            share = int(math.copysign(abs(cost) * row["quantity_lots"] // abs(lots), cost))
            self.realized -= paid + share
            cost -= share
        else:
            opened = (1 if after > 0 else -1) * half_up(step * row["price_ticks"] * abs(after))
            self.realized += opened - paid - cost
            cost = opened
            self.trips += 1
        self.books[row["strategy"], row["symbol"]] = [after, cost]


def figures_of_equity(start: int, equity: list[dict[str, Any]]) -> tuple[float, float | None]:
    """Return (largest drawdown, Sharpe ratio) of an equity table."""
    at_once: dict[int, int] = {}
    for row in equity:
        at_once[row["ts"]] = row["equity_atoms"]
    peak, drawdown = start, 0.0
    daily: dict[int, int] = {}
    for ts, atoms in at_once.items():
        peak = max(peak, atoms)
        drawdown = max(drawdown, (peak - atoms) / peak)
        daily[(ts - 1) // DAY_MS] = atoms
    if len(daily) < 3:
        return drawdown, None
    marks = [start, *daily.values()]
    returns = [after / before - 1 for before, after in itertools.pairwise(marks)]
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((each - mean) ** 2 for each in returns) / (len(returns) - 1)
    return drawdown, mean / math.sqrt(variance) * math.sqrt(365) if variance else None


def check(settings: Settings, tape: Tape) -> Summary:
    """Replay, and compare every figure with its own reckoning."""
    summary, recorder = played(settings, tape)
    fills, equity = recorder.fills().to_dicts(), recorder.equity().to_dicts()
    account = Account(settings.account.cash, tape)
    for row in fills:
        account.take(row)
    assert summary.start_equity == settings.account.cash
    assert summary.fills == len(fills)
    assert summary.trades == account.trips
    assert summary.fees == Decimal(account.fees).scaleb(-8)
    assert summary.realized_pnl == Decimal(account.realized).scaleb(-8)
    assert summary.bars == len(equity) == sum(1 for _ in tape.bars())

    value = account.cash
    profits = Counter(account.flows)
    closes = {bar.symbol: bar.close for bar in tape.bars()}
    for (strategy, symbol), (lots, _) in account.books.items():
        tick = next(one.instrument.tick for one in tape.series if one.symbol == symbol)
        ticks = int((Decimal(repr(closes[symbol])) / tick).to_integral_value(rounding=ROUND_HALF_UP))
        held = (1 if lots > 0 else -1) * half_up(account.steps[symbol] * ticks * abs(lots))
        value += held
        profits[strategy, symbol] += held
    assert summary.final_equity == Decimal(value).scaleb(-8)
    assert equity[-1]["equity_atoms"] == value
    check_books(summary.books, fills, recorder.orders().to_dicts(), profits)
    assert {(book.strategy, book.symbol): book.position for book in summary.books if book.fills} == {
        (strategy, symbol): instrument_of(tape, symbol).quantity(lots)
        for (strategy, symbol), (lots, _) in account.books.items()
    }

    drawdown, sharpe = figures_of_equity(int(settings.account.cash.scaleb(8)), equity)
    assert summary.max_drawdown == pytest.approx(drawdown, rel=1e-12)
    assert summary.sharpe == (None if sharpe is None else pytest.approx(sharpe, rel=1e-9))
    return summary


def check_books(
    books: list[Book], fills: list[dict[str, Any]], orders: list[dict[str, Any]], profits: Counter[tuple[str, str]]
) -> None:
    """Compare what each strategy's book is said to have done with its own rows."""
    keys = [(book.strategy, book.symbol) for book in books]
    assert len(set(keys)) == len(keys)
    filled, ordered = (Counter((row["strategy"], row["symbol"]) for row in rows) for rows in (fills, orders))
    for key, book in zip(keys, books, strict=True):
        fees = sum(row["fee_atoms"] for row in fills if (row["strategy"], row["symbol"]) == key)
        assert (book.orders, book.fills, book.fees) == (ordered[key], filled[key], Decimal(fees).scaleb(-8))
        assert book.profit == Decimal(profits[key]).scaleb(-8)
    assert sum(book.orders for book in books) == len(orders)


@pytest.mark.slow
def test_figures_of_two_traders_on_a_month_of_recorded_bars(shared_data: Path) -> None:
    names = ("BTC", "XRP")
    tape = open_tape([str(shared_data / f"ohlcv/15m/binance-um_{name}USDT_15m_2025.parquet") for name in names])
    entries = [
        {"use": "bollinger_reversion", "id": "a", "symbol": "BTCUSDT", "params": {"short": True, "quantity": 1.5}},
        {"use": "ema_cross", "id": "b", "symbol": "BTCUSDT", "params": {"quantity": 0.7}},
        {"use": "bollinger_reversion", "id": "c", "symbol": "XRPUSDT", "params": {"quantity": 1234.5678}},
    ]
    summary = check(check_settings({"strategies": entries, "venue": {"slippage_bps": 3}}, "test"), tape)
    assert summary.fills > 200
    assert summary.max_drawdown > 0.01
    assert summary.sharpe is not None


def test_figures_of_random_trading_with_turns_and_rebates(
    configure: Configure, walk: Any, tape_of: Any, joined: Any
) -> None:
    tape = joined(tape_of(walk(61, 900, gaps=True), "X"), tape_of(walk(62, 700), "Y"))
    settings = configure(
        ("Trader", "a", "X", 3),
        ("Slow", "b", "X", 4),
        ("Trader", "c", "Y", 5),
        account__cash=5_000,
        venue__maker_fee=-0.0002,
        venue__taker_fee=0.0007,
    )
    summary = check(settings, tape)
    assert summary.trades > 30
    assert summary.sharpe is not None, "the bars touch three days"


def test_a_replay_without_a_trade_has_nothing_to_show(configure: Configure, walk: Any, tape_of: Any) -> None:
    summary = check(check_settings({}, "test"), tape_of(walk(1, 10)))
    assert (summary.fills, summary.trades, summary.fees, summary.max_drawdown, summary.sharpe) == (0, 0, 0, 0.0, None)
    assert summary.digest == "0" * 32
    assert (summary.start_equity, summary.final_equity) == (100_000, 100_000)


def test_days_without_any_change_have_no_sharpe_ratio(walk: Any, tape_of: Any) -> None:
    table = walk(1, 5)
    table["ts"] = table["ts"] + DAY_MS * (table["ts"] - table["ts"][0]) // 60_000
    summary = check(check_settings({}, "test"), tape_of(table))
    assert summary.sharpe is None


def test_the_summary_names_what_decided_it(configure: Configure, walk: Any, tape_of: Any) -> None:
    summary, _ = played(configure(("Trader", "mine", None, 3), risk__max_position=2), tape_of(walk(1, 50)))
    assert summary.instruments == [{"symbol": "X/USD", "tick": "0.01", "lot": "0.001", "inferred": False}]
    assert summary.strategies == [
        {"id": "mine", "symbol": "X/USD", "symbols": ["X/USD"], "params": {"seed": 3, "quantity": 0.5}},
    ]
    assert summary.limits == ["max_position=2"]
    (rule,) = summary.rules
    assert (rule.rule, rule.limit, rule.action, rule.acted) == ("max_position", "2", "clip", 0)
    assert rule.vetoed + rule.clipped > 0
    assert rule.last_reason == "position limit 2"
    assert (summary.state, summary.dead_letters) == ("running", 0)
    assert summary.bars_per_s == pytest.approx(summary.bars / summary.wall_s)


def test_without_limits_none_are_listed(walk: Any, tape_of: Any) -> None:
    summary, _ = played(Settings(), tape_of(walk(1, 50)))
    assert (summary.limits, summary.rules) == ([], [])


def test_failures_on_the_way_are_noted(trader: str, walk: Any, tape_of: Any) -> None:
    path = Path(trader)
    path.write_text(path.read_text() + "\n\nclass Broken(Trader):\n    def on_bar(self, bar, f):\n        1 / 0\n")
    settings = check_settings({"strategies": [{"use": f"{trader}:Broken"}]}, "test")
    summary, _ = played(settings, tape_of(walk(1, 40)))
    assert summary.dead_letters > 0
    assert summary.state == "halted"
    assert any("strategy.Broken failed on input" in note and "ZeroDivisionError" in note for note in summary.notes)
    assert any("trading ended halted" in note for note in summary.notes)


def test_the_summary_is_plain_json(walk: Any, tape_of: Any) -> None:
    summary, _ = played(Settings(), tape_of(walk(1, 50)))
    text = msgspec.json.Encoder(decimal_format="number").encode(summary)
    fields = msgspec.json.decode(text)
    assert {"digest", "bars", "messages", "fills", "trades", "start_equity", "final_equity", "fees"} <= set(fields)
    assert {"realized_pnl", "max_drawdown", "sharpe", "wall_s", "bars_per_s"} <= set(fields)
    assert fields["start_equity"] == 100_000
