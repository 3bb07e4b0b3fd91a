"""What the whole screen looks like, as text and tones, compared with the stored screens beside this file.

Below the text of a stored screen stands what each character's colour says (`screens.TONES`). That is the same in dark
and in light colours, and both are compared with it. A change that is meant: run with UPDATE_SNAPSHOTS=1, look at the
difference, keep it.
"""

from __future__ import annotations

from typing import Any

import pytest
from rich.color import Color, ColorSystem

from tests.tui.screens import cells, compare, contrast, faint, wear
from tui.panels.chart import Chart
from tui.panels.log_tail import LogTail
from tui.panels.profit import Profit
from tui.theme import shades

pytestmark = pytest.mark.slow
NARROW, WIDE = (80, 24), (120, 40)
ERROR = "ZeroDivisionError: division by zero"


async def test_a_calm_day_and_the_dialogs(opened: Any, daemon: Any, until: Any) -> None:
    async with opened(NARROW) as pilot:
        app = pilot.app
        for equity in (101_400, 101_100.5, 101_900, 102_250.25, 101_800):
            daemon.status["equity"] = equity
            daemon.status["clock"]["ts_ns"] += 3_600_000_000_000
            await until(pilot, lambda equity=equity: app.status.equity == equity)
        await pilot.pause()
        compare("calm", app)
        await pilot.press("f")
        compare("question", app)
        await pilot.press("escape", "s")
        compare("choice", app)
        await pilot.press("n", "question_mark")
        compare("help", app)
        await pilot.press("escape")
        await pilot.resize_terminal(*WIDE)
        await pilot.pause()
        compare("calm", app)
        await pilot.press("3")
        await until(pilot, lambda: app.query_one(Profit).empty.startswith("not known:"))
        await pilot.press("tab", "t")
        await pilot.pause()
        compare("limit", app)


async def test_the_other_pages(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming = True
    async with opened(NARROW) as pilot:
        await until(pilot, lambda: len(pilot.app.fills) == 3)
        for size in (NARROW, WIDE):
            await pilot.resize_terminal(*size)
            for key, page in (("2", "trades"), ("3", "strategies"), ("4", "system"), ("5", "log")):
                await pilot.press(key)
                if page == "trades":
                    await until(pilot, lambda: pilot.app.query_one(Chart).bars)
                if page == "strategies":
                    await until(pilot, lambda: pilot.app.query_one(Profit).rows)
                if page == "log":
                    await until(pilot, lambda: pilot.app.query_one(LogTail).rows)
                await pilot.pause()
                compare(page, pilot.app)


async def test_a_day_of_trouble(opened: Any, daemon: Any) -> None:
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
    async with opened(NARROW) as pilot:
        await pilot.press("4")
        for size in (NARROW, WIDE):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            compare("trouble", pilot.app)


# --- terminals that can do less -------------------------------------------------------------------------


@pytest.mark.parametrize("few", [False, True])
def test_every_colour_stands_out_from_every_ground_on_any_terminal(few: bool) -> None:
    least = {ColorSystem.STANDARD: 3} if few else {ColorSystem.EIGHT_BIT: 4, ColorSystem.TRUECOLOR: 4.5}
    for theme in (*shades(few=few), *shades(few=few, grey=True)):
        variables = theme.variables
        inks = (theme.foreground, theme.primary, theme.success, theme.warning, theme.error, variables["muted"])
        for ink in (*inks, variables["rise"], variables["fall"]):
            for ground in (theme.background, theme.panel, variables["chosen"]):
                for system, enough in least.items():
                    ratio = contrast(Color.parse(ink), Color.parse(ground), system)
                    assert ratio >= (3 if ground == variables["chosen"] else enough), (theme.name, ink, ground)


async def test_a_terminal_of_sixteen_colours_shows_all_there_is(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming = True
    async with opened(NARROW, few_colours=True) as pilot:
        for key in "12345":
            await pilot.press(key)
            assert faint(pilot.app, ColorSystem.STANDARD) == set()
            wear(pilot.app, pilot.app._light if pilot.app.current_theme.dark else pilot.app._dark)
            assert faint(pilot.app, ColorSystem.STANDARD) == set()
        await daemon.vanish()
        await until(pilot, lambda: pilot.app.away is not None)
        await pilot.pause()
        for shade in (pilot.app._light, pilot.app._dark):
            wear(pilot.app, shade)
            assert faint(pilot.app, ColorSystem.STANDARD) == set(), "what is old can still be read"
        good, chosen = (
            Color.parse(pilot.app.theme_variables[name]).downgrade(ColorSystem.STANDARD).number
            for name in ("success", "chosen")
        )
        assert (good, chosen) == (10, 4), "green, and on blue"


async def test_without_colours_a_rise_is_still_told_from_a_fall(
    opened: Any, daemon: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    daemon.streaming = True
    async with opened(NARROW) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: pilot.app.query_one(Chart).bars)
        await pilot.pause()
        for shade in (pilot.app._light, pilot.app._dark):
            wear(pilot.app, shade)
            bodies = {str(style.color) for line in cells(pilot.app) for char, style in line if char and char in "┃╿╽"}
            assert len(bodies) == 2, bodies
            assert faint(pilot.app, ColorSystem.TRUECOLOR) == set()
