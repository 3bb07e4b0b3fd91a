"""What the whole screen looks like, as text, compared with the stored screens beside this file.

A change that is meant: run with UPDATE_SNAPSHOTS=1, look at the difference, keep it.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.tui.screens import compare
from tui.panels.chart import Chart
from tui.panels.log_tail import LogTail

pytestmark = pytest.mark.slow
SIZES = [(80, 24), (120, 40)]
ERROR = "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("size", SIZES)
async def test_a_calm_day(opened: Any, daemon: Any, until: Any, size: tuple[int, int]) -> None:
    async with opened(size) as pilot:
        for equity in (101_400, 101_100.5, 101_900, 102_250.25, 101_800):
            daemon.status["equity"] = equity
            daemon.status["clock"]["ts_ns"] += 3_600_000_000_000
            await until(pilot, lambda equity=equity: pilot.app.status.equity == equity)
        await pilot.pause()
        compare("calm", size, pilot.app)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("key", "page"), [("2", "trades"), ("3", "strategies"), ("4", "system"), ("5", "log")])
async def test_the_other_pages(
    opened: Any, daemon: Any, until: Any, size: tuple[int, int], key: str, page: str
) -> None:
    daemon.streaming = True
    async with opened(size) as pilot:
        await until(pilot, lambda: len(pilot.app.fills) == 3)
        await pilot.press(key)
        shown = pilot.app.query_one(LogTail) if page == "log" else pilot.app.query_one(Chart)
        await until(pilot, lambda: page not in ("trades", "log") or getattr(shown, "rows", None) or shown.bars)
        await pilot.pause()
        compare(page, size, pilot.app)


@pytest.mark.parametrize("size", SIZES)
async def test_a_day_of_trouble(opened: Any, daemon: Any, size: tuple[int, int]) -> None:
    daemon.status |= {"state": "halted", "reason": f"strategy.bollinger_reversion failed too often: {ERROR}"}
    daemon.status["actors"][5] |= {"state": "failed", "restarts": 5, "last_error": ERROR}
    daemon.status["actors"][9] |= {"state": "backing_off", "restarts": 1, "mailbox": 512, "last_error": "OSError: disk"}
    daemon.status["dead_letters"] = [
        {
            "actor": "strategy.bollinger_reversion",
            "seq": seq,
            "ts_ns": 1_704_486_000_000_000_000 + seq % 100 * 60_000_000_000,
            "error": ERROR,
            "place": "bollinger_reversion.py:41 in BollingerReversion.on_bar",
            "message": "Bar(symbol='ETH/USDT')",
        }
        for seq in range(1_006_900, 1_006_906)
    ]
    daemon.status["commands"] += [
        {"command_id": f"{index:016x}", "action": "flatten", "outcome": outcome, "ts_ns": 1_704_486_000_000_000_000}
        for index, outcome in enumerate(("superseded", "pending"))
    ]
    async with opened(size) as pilot:
        await pilot.press("4")
        await pilot.pause()
        compare("trouble", size, pilot.app)


async def test_the_dialogs(opened: Any) -> None:
    async with opened() as pilot:
        await pilot.press("f")
        compare("question", (80, 24), pilot.app)
        await pilot.press("escape", "s")
        compare("choice", (80, 24), pilot.app)
        await pilot.press("n", "question_mark")
        compare("help", (80, 24), pilot.app)
