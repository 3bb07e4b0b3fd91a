"""The core alone in a process: deciding an order on a trade, back to back and after pauses of ten milliseconds.

No socket, no journal, no event loop. What the pause adds is the machine's own price of waking up: caches and clock are
no longer warm. A daemon that hears a trade now and then pays it as well, so this is the bound of what it decides.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from decimal import Decimal

from actors import messages as m
from actors.features import NoFeatures
from actors.instrument import Instrument, InstrumentSpec
from actors.ledger import Account
from actors.system import Core, SeriesPlan, StrategyPlan
from bench.ours.flip import SIGNAL, Flip
from config.load import check_settings

SYMBOL = "BTC/USDT"
MINUTE_NS = 60_000_000_000
UNIT = 10**8
PRICE = 100_000.0
TRADES_PER_SIGNAL = 10
LIMITS = {"max_daily_loss": 90_000, "max_notional": 90_000, "max_orders_per_minute": 1_000_000}


def ready_core() -> Core:
    """Return a core at a real venue whose account is compared."""
    spec = InstrumentSpec(
        symbol=SYMBOL, tick=Decimal("0.01"), lot=Decimal("1e-8"), step=Decimal("1e-5"), base="BTC", quote="USDT"
    )
    core = Core(
        check_settings({"exchange": {"reconcile_s": 86_400}, "risk": LIMITS}, "bench"),
        {SYMBOL: Instrument(spec)},
        [SeriesPlan(SYMBOL, MINUTE_NS)],
        [StrategyPlan("flip", SYMBOL, MINUTE_NS, Flip(), NoFeatures())],
        Account(100_000 * UNIT),
        nonce="bench",
        start_ns=0,
        real=True,
    )
    core.strategies[0].start()
    core.scheduler.post(1, m.VenueLink(up=True))
    balances = (m.BalanceReported("BTC", 0), m.BalanceReported("USDT", 100_000 * UNIT))
    core.scheduler.post(2, m.AccountReported("start", (), (), (), balances, (), 1))
    core.scheduler.post(3, m.Bar(SYMBOL, MINUTE_NS, 0, 3, PRICE, PRICE, PRICE, PRICE, 1.0))
    return core


def measure(signals: int, pause_s: float) -> dict[str, float]:
    """Return microseconds from a trade handed in to its order decided."""
    core = ready_core()
    post = core.scheduler.post
    taken_us = []
    now_ns = number = 0
    gc.collect()
    gc.freeze()
    for signal in range(signals):
        for turn in range(TRADES_PER_SIGNAL):
            if pause_s:
                time.sleep(pause_s)
            number += 1
            now_ns += 1_000_000
            quantity = SIGNAL if turn == TRADES_PER_SIGNAL - 1 else SIGNAL / 10
            trade = m.Trade(SYMBOL, number, PRICE, quantity, 1, now_ns)
            began_ns = time.perf_counter_ns()
            decided = post(now_ns, trade)
            ended_ns = time.perf_counter_ns()
            if decided is not None:
                taken_us.append((ended_ns - began_ns) / 1_000)
        (order,) = core.venue.sent.values()  # type: ignore[union-attr]
        side, lots = order.request.side, order.request.quantity_lots
        done = m.TradeReported(order.order_id, SYMBOL, signal + 1, side, 10_000_000, lots, "USDT", 100, "taker", now_ns)
        post(now_ns, done)
    assert len(taken_us) == signals, taken_us
    taken_us.sort()
    return {"p50_us": round(taken_us[signals // 2], 1), "p99_us": round(taken_us[int(signals * 0.99)], 1)}


def main() -> None:
    """Measure both, and print one line of JSON."""
    found = {"back_to_back": measure(2_000, 0.0), "after_a_pause": measure(200, 0.01)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
