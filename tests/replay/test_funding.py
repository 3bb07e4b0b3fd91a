"""Funding of contracts over a tape, to the atom: rate x mark x what was held, whatever the bars and the intervals."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from actors import messages as m
from actors.instrument import to_atoms
from config.load import check_settings
from replay.driver import play
from replay.metrics import EquityCurve
from replay.plan import build_core, plan_session, start_core
from replay.run import register_class
from replay.tape import tape_from_frame
from replay.tape.external import ExternalSeries
from strategies.base import Strategy

START_MS = 1_700_006_400_000
"""Midnight."""
MS = 1_000_000
HOUR_MS = 3_600_000
LOT_ATOMS = Fraction("0.01") * Fraction("0.001") * 10**8


class Turns(Strategy):
    """Turns round on some bars, leaves stops and limits on others, and is flat at times."""

    seed: int = 1

    def on_bar(self, bar: m.Bar, _: Any, /) -> None:
        """Decide by the price."""
        cents = round(bar.close * 100) + self.seed
        if cents % 3 == 0:
            self.target((cents % 9 - 4) / 10)
        elif cents % 7 == 0:
            self.target(0)
        elif cents % 5 == 0:
            self.sell(0.3, stop=bar.close - 0.2)
        elif cents % 4 == 0:
            self.buy(0.2, limit=bar.close - 0.2)


class Ear:
    """Remembers what it hears, and when."""

    name = "ear"
    isolated = False
    context: Any = None

    def __init__(self) -> None:
        self.told: list[tuple[int, Any]] = []

    def on_any(self, message: m.Message) -> None:
        """Keep it."""
        self.told.append((self.context.now_ns, message))


def tape_with(minutes: int, hours: int, jitter_ms: int, marks: bool) -> Any:
    """Return 120 bars and the funding beside them, perhaps a mark before each payment."""
    generator = np.random.default_rng(minutes * hours + jitter_ms)
    count = 120
    cents = 10_000 + np.cumsum(generator.integers(-30, 31, count))
    opened = np.concatenate([[10_000], cents[:-1]]) + generator.integers(-4, 5, count)
    high, low = np.maximum(opened, cents) + 20, np.minimum(opened, cents) - 20
    prices = {"open": opened, "high": high, "low": low, "close": cents}
    table: dict[str, Any] = {name: column / 100 for name, column in prices.items()}
    table |= {"ts": START_MS + minutes * 60_000 * np.arange(count), "volume": np.ones(count)}
    tape = tape_from_frame(table, symbol="X/USD", tick=Decimal("0.01"), lot=Decimal("0.001"))
    paid_ms: Any = np.array(range(START_MS, START_MS + minutes * 60_000 * count, hours * HOUR_MS))
    paid_ms = paid_ms + generator.integers(0, jitter_ms + 1, len(paid_ms))
    rates = generator.integers(-99, 100, len(paid_ms)) / 100_000
    external = [series("funding", paid_ms, rates)]
    if marks:
        external.append(series("mark", paid_ms - 5, generator.integers(9_000, 11_000, len(paid_ms)) / 100))
    return tape.with_external(external)


def series(kind: Any, ts_ms: Any, numbers: Any) -> ExternalSeries:
    times_ns = np.asarray(ts_ms, np.int64) * MS
    return ExternalSeries(
        name="X/USD", kind=kind, ts_ns=times_ns, known_ns=times_ns, numbers=(np.asarray(numbers, float),)
    )


def half_up(value: Fraction) -> int:
    size = int(abs(value) + Fraction(1, 2))
    return size if value > 0 else -size


@pytest.mark.slow
@pytest.mark.parametrize("marks", [False, True])
@pytest.mark.parametrize("on_margin", [False, True])
@pytest.mark.parametrize(
    ("minutes", "hours", "jitter_ms"),
    [(1, 1, 0), (15, 4, 0), (60, 4, 0), (60, 8, 900), (15, 8, 17), (240, 8, 0), (1_440, 4, 0), (1_440, 8, 33)],
)
def test_what_is_paid_is_rate_by_mark_by_what_was_held(
    minutes: int, hours: int, jitter_ms: int, on_margin: bool, marks: bool
) -> None:
    """On margin what was executed before the payment counts, else what was known: inside a bar the two differ."""
    tape = tape_with(minutes, hours, jitter_ms, marks)
    books = [
        {"use": register_class(Turns), "id": name, "params": {"seed": seed}} for name, seed in (("a", 1), ("b", 2))
    ]
    venue = {"leverage": 20} if on_margin else {}
    settings = check_settings({"strategies": books, "venue": venue}, "test")
    ear = Ear()
    core = build_core(plan_session(settings, tape), {m.Fill: [ear.on_any], m.FundingShared: [ear.on_any]})
    ear.context, told = core.context, ear.told
    start_core(core)
    play(core, tape, EquityCurve(core.ledger.equity_atoms))
    fills = [(now_ns, fill) for now_ns, fill in told if isinstance(fill, m.Fill)]
    assert len(fills) > 30
    closes = [(bar.close_ns, bar.close) for bar in tape.bars()]
    mark_of: dict[int, float] = {}
    rows = []
    newest = 0.0
    for each in tape.external.messages():
        if isinstance(each, m.Mark):
            newest = each.price
        else:
            rows.append(each)
            close = next((price for close_ns, price in reversed(closes) if close_ns <= each.next_ns), 0.0)
            mark_of[each.next_ns] = newest or close
    paid_total = 0
    nonzero = 0
    for row in rows:
        paid_ns = row.next_ns
        held = {"a": 0, "b": 0}
        for now_ns, fill in fills:
            if (fill.executed_ns if on_margin else now_ns - 1) < paid_ns:
                held[fill.strategy] += fill.side * fill.quantity_lots
        shared = [each for _, each in told if isinstance(each, m.FundingShared) and each.paid_ns == paid_ns]
        ticks = round(mark_of[paid_ns] * 100)
        lots = [sum(held.values())] if on_margin else list(held.values())
        rate = Fraction(repr(row.rate))
        expected = -sum(half_up(rate * half_up(ticks * each * LOT_ATOMS)) for each in lots)
        assert sum(each.amount_atoms for each in shared) == expected, row
        paid_total += expected
        nonzero += expected != 0
    assert nonzero >= 1
    assert sum(held.funding_atoms for held in core.ledger.holdings.values()) == paid_total
    core.ledger._assert_conserved(next(iter(core.ledger.holdings.values())))


def test_the_published_example_of_a_funding_fee() -> None:
    """Binance: funding amount = nominal value of positions x funding rate, nominal value = mark price x size.

    10 BTC at a mark of 20,000 and a rate of 0.01%: longs pay 20 USDT.
    """
    from actors.instrument import Instrument, InstrumentSpec, Rate

    contract = Instrument(InstrumentSpec(symbol="X", tick=Decimal("0.1"), lot=Decimal("0.001"), contract=True))
    assert Rate(Decimal("0.0001")).of(contract.mark_atoms(20_000.0, 10_000)) == to_atoms(Decimal(20))
