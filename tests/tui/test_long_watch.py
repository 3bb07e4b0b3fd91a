"""Hours of a busy day in seconds: what an update of the screen leaves behind is counted, object by object.

The stream tells at most five times a second, 108,000 times in six hours. What hours would add up to is seen in minutes
where the interpreter's own count of blocks is looked at; memory as the system sees it is too coarse for that.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterable
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any

import pytest
from textual.cache import FIFOCache, LRUCache

from tui.panels.equity import Equity

pytestmark = pytest.mark.slow
UPDATES = int(os.environ.get("LONG_WATCH_UPDATES", "450"))
"""More of them on purpose: 108,000 are six hours."""
BLOCKS_MAX = 350
"""That all of them may leave behind: what settles is that coarse. One object kept with every update is more."""
GROWTH_KB_MAX = 3 * UPDATES
"""Of what is too large to be counted in blocks, three kilobytes an update."""
POINTS, FILLS = 128, 40
"""What is kept of the equity and of executions, here: so little that it has filled up when counting begins."""


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def caches(objects: Iterable[object]) -> list[Callable[[], None]]:
    """Find the caches of the libraries, which are bounded but take long to fill; return what empties each."""
    found: list[Callable[[], None]] = []
    for thing in objects:
        if isinstance(thing, LRUCache | FIFOCache):
            found.append(thing.clear)
        elif isinstance(thing, _lru_cache_wrapper) and thing.__module__.startswith(("textual", "rich")):
            found.append(thing.cache_clear)
    return found


@pytest.fixture
def forget() -> Callable[[], None]:
    """Return what empties the caches and collects what is left over; of what was there before, only the former."""
    gc.unfreeze()
    older = caches(gc.get_objects())
    gc.freeze()

    def clear() -> None:
        gc.collect()
        for empty in older + caches(gc.get_objects()):
            empty()
        gc.collect()

    return clear


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
async def test_memory_stays_flat_over_hours_of_updates(
    opened: Any, daemon: Any, until: Any, forget: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.panels.equity.POINTS_MAX", POINTS)
    monkeypatch.setattr("tui.app._FILLS_MAX", FILLS)
    daemon.streaming = True
    start_ns, told = daemon.status["clock"]["ts_ns"], 0
    async with opened((120, 40), follow_s=3_600) as pilot:
        console = pilot.app
        await until(pilot, lambda: console.without == "" and len(console.fills) == 3)

        def update(number: int) -> None:
            """Tell of a bar, every fifth time of an order that comes, another that goes, and an execution."""
            now_ns = start_ns + number * 200_000_000
            status = daemon.status
            status["equity"], status["clock"]["ts_ns"] = 100_000 + number % 97, now_ns
            status["last_input"]["seq"] = 1_000_000 + number
            rows: dict[str, Any] = {"summary": daemon.sections()["summary"]}
            message = {"type": "delta", "epoch": "e1", "seq": number + 1, "set": rows}
            if number % 5 == 0:
                order = status["orders"][0] | {"order_id": f"pb{number:08}", "filled": number % 7}
                rows |= {"orders": {order["order_id"]: order}, "positions": daemon.sections()["positions"]}
                message["gone"] = {"orders": [f"pb{number - 5:08}"]}
                message["events"] = [daemon.fills[0] | {"kind": "fill", "trade_id": number, "executed_ns": now_ns}]
            console.take(console._told.take(json.dumps(message)))

        async def settle() -> None:
            for key in "23451":
                await pilot.press(key)
            await pilot.pause()
            forget()

        async def left_behind(count: int, also: Callable[[], object]) -> tuple[int, int]:
            """Return the blocks, and the memory, that so many updates have left behind."""
            nonlocal told
            await settle()
            blocks, kept_kb = sys.getallocatedblocks(), resident_kb()
            for number in range(count):
                told += 1
                update(told)
                also()
                if number % 80 == 0:
                    await pilot.pause()
            await settle()
            blocks, kept_kb = sys.getallocatedblocks() - blocks, resident_kb() - kept_kb
            return blocks, kept_kb

        await left_behind(200, lambda: None)
        blocks, kept_kb = await left_behind(UPDATES, lambda: None)
        assert blocks < BLOCKS_MAX, f"{blocks} blocks after {UPDATES} updates"
        assert kept_kb < GROWTH_KB_MAX
        assert len(console.fills) == FILLS
        assert len(console.query_one(Equity).points) <= POINTS
        assert len(console.status.orders) == 3

        kept: list[object] = []
        blocks, _ = await left_behind(60, lambda: kept.append(console.status))
        assert blocks > 5 * 60, "what is kept with every update is seen"
