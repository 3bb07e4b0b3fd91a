"""An hour of a busy day, a change every three seconds, in no time: what the console keeps stays bounded."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tui.panels.equity import POINTS_MAX, Equity

pytestmark = pytest.mark.slow
HOURS = int(os.environ.get("LONG_WATCH_HOURS", "1"))
"""More of them on purpose."""
WARM_UP = 0.4
"""Of the time: until then caches fill and the allocator finds its size."""
UPDATES_AN_HOUR = 1_200
GROWTH_KB_MAX = 2_000
"""A status kept with every update is twice as much, a clean run a quarter."""


def resident_kb() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
async def test_memory_stays_flat_over_hours_of_updates(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming = True
    updates_count = HOURS * UPDATES_AN_HOUR
    warm_kb = 0
    async with opened((120, 40)) as pilot:
        console = pilot.app
        await until(pilot, lambda: console.without == "" and len(console.fills) == 3)
        start = daemon.status["clock"]["ts_ns"]
        for number in range(1, updates_count + 1):
            if number == int(updates_count * WARM_UP):
                warm_kb = resident_kb()
            status = daemon.status
            status["equity"] = 100_000 + number % 977
            status["clock"]["ts_ns"] = start + number * 1_000_000_000
            status["last_input"]["seq"] += 1
            status["orders"][0] |= {"order_id": f"pb{number:08}", "filled": number % 7}
            fill = daemon.fills[0] | {"kind": "fill", "trade_id": number + 500, "executed_ns": start + number}
            message = {"type": "delta", "epoch": "e1", "seq": number + 1, "events": [fill] if number % 2 == 0 else []}
            changed = daemon.sections()
            message["set"] = {name: changed[name] for name in ("summary", "orders", "positions")}
            message["gone"] = {"orders": [f"pb{number - 1:08}"]}
            console.take(console._told.take(json.dumps(message)))
            if number % 60 == 0:
                await pilot.pause()
        grown_kb = resident_kb() - warm_kb
        assert len(console.fills) == 500
        assert len(console.query_one(Equity).points) <= POINTS_MAX
        assert len(console.status.orders) == 3
    assert grown_kb < GROWTH_KB_MAX, f"{grown_kb} kB more after {HOURS} hours"
