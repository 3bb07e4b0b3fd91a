"""The console on a daemon of the tests' own, by its keys and its widgets."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any

import pytest
from textual.widgets import Static

from tui.app import Console, Pace
from tui.dialogs.confirm import Confirm
from tui.dialogs.help import Help
from tui.dialogs.typed import Typed
from tui.panels.actors import Actors
from tui.panels.banner import Banner
from tui.panels.commands import Commands
from tui.panels.dead_letters import DeadLetters
from tui.panels.equity import Equity
from tui.panels.figure import Figure
from tui.panels.keys import Keys
from tui.panels.limits import Limits
from tui.panels.orders import Orders
from tui.panels.positions import Positions
from tui.panels.table import Table

pytestmark = pytest.mark.slow
TOKEN = "a-token-of-the-tests"


def figure(pilot: Any, name: str) -> Figure:
    found: Figure = pilot.app.screen_stack[0].query_one(f"#{name}", Figure)
    return found


def banner(pilot: Any) -> Banner:
    found: Banner = pilot.app.screen_stack[0].query_one(Banner)
    return found


def texts(pilot: Any, kind: type[Table]) -> list[tuple[str, ...]]:
    """Return the cells of each row of a panel."""
    return [tuple(cell.text for cell in row.cells) for row in pilot.app.screen_stack[0].query_one(kind).rows]


def asked(pilot: Any) -> bool:
    """Return whether a question is open and waits for its answer."""
    return isinstance(pilot.app.screen, Confirm | Typed) and pilot.app.focused is not None


def strike(pilot: Any, key: str) -> None:
    """Press one key without waiting for what it does."""
    pilot.app.simulate_key(key)


def complaints(pilot: Any) -> list[tuple[str, str]]:
    return told(pilot, "error")


def told(pilot: Any, severity: str) -> list[tuple[str, str]]:
    """Return (title, message) of what was told with so much weight."""
    return [(note.title, note.message) for note in pilot.app._notifications if note.severity == severity]


# --- what is shown --------------------------------------------------------------------------------------


async def test_what_the_daemon_says_is_shown(opened: Any) -> None:
    async with opened() as pilot:
        await pilot.pause()
        shown = {name: figure(pilot, name).value for name in ("state", "session", "clock", "equity", "cash", "uptime")}
        assert shown == {
            "state": "● running",
            "session": "20240105T202900Z-1 · run 2 · paper",
            "clock": "2024-01-05 20:29:00 UTC",
            "equity": "101,239.76",
            "cash": "69,990.25",
            "uptime": "1 h 12 m",
        }
        assert figure(pilot, "state").has_class("-good")
        assert texts(pilot, Positions) == [
            ("BTC/USDT", "ema_cross", "0.75", "41,640.13", "41,665.99", "+19.40"),
            ("ETH/USDT", "bollinger_reversion", "-12.5", "2,245.50", "2,250.25", "-59.38"),
        ]
        assert [row.cells[5].tone for row in pilot.app.query_one(Positions).rows] == ["good", "bad"]
        assert texts(pilot, Orders)[0][:8] == (
            "buy", "12.5", "ETH/USDT", "limit", "2,231.10", "–", "4.25", "partial",  # noqa: RUF001
        )  # fmt: skip
        assert texts(pilot, Orders)[1][3:6] == ("stop limit", "40,990.00", "41,000.00")
        assert texts(pilot, Actors)[0] == ("market", "running", "0", "0", "1,006,989")
        assert [row[1:3] for row in texts(pilot, Commands)] == [("resume", "done"), ("pause", "done")]
        assert texts(pilot, DeadLetters) == []
        assert banner(pilot).text == ""
        assert str(pilot.app.query_one(Equity).border_title).startswith("Equity")


async def test_a_newer_status_replaces_what_is_shown(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        daemon.status |= {"equity": 7, "positions": [], "orders": [], "state": "paused", "reason": "asked for"}
        await until(pilot, lambda: figure(pilot, "equity").value == "7.00")
        assert figure(pilot, "state").value == "● paused"
        assert figure(pilot, "state").has_class("-warn")
        assert not figure(pilot, "state").has_class("-good")
        assert texts(pilot, Positions) == texts(pilot, Orders) == []


async def test_actors_in_trouble_come_first_with_their_last_error(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        daemon.status["actors"][5] |= {"state": "failed", "restarts": 5, "last_error": "ValueError: no"}
        daemon.status["actors"][9] |= {"restarts": 1, "last_error": "OSError: disk"}
        await until(pilot, lambda: texts(pilot, Actors)[0][0] == "strategy.bollinger_reversion")
        rows = pilot.app.query_one(Actors).rows
        assert [(row.cells[0].text, row.remark) for row in rows[:3]] == [
            ("strategy.bollinger_reversion", "ValueError: no"),
            ("journal", "OSError: disk"),
            ("market", ""),
        ]
        assert rows[0].cells[1].tone == "bad"
        assert "1 not running" in str(pilot.app.query_one(Actors).border_title)


async def test_text_from_outside_is_neither_markup_nor_control_codes(opened: Any, daemon: Any, until: Any) -> None:
    letter = {
        "actor": "[red]a",
        "seq": 4,
        "ts_ns": 61_000_000_000,
        "error": "[b]x[/b]\n\x1b[2Jgone",
        "message": "Bar(\x07)",
    }
    letter["place"] = "a\x1b.py:3"
    async with opened((120, 40)) as pilot:
        await pilot.press("4")
        daemon.status |= {"dead_letters": [letter], "state": "halted", "reason": "[/]\x1b[31m no", "session": "[x]\n"}
        await until(pilot, lambda: texts(pilot, DeadLetters) != [])
        panel = pilot.app.query_one(DeadLetters)
        drawn = [panel.render_line(y).text.strip() for y in range(1, 3)]
        assert drawn == ["01-01 00:01:01      4  [red]a  Bar( )", "[b]x[/b] [2Jgone · a .py:3"]
        assert banner(pilot).text == "Halted: [/] [31m no"
        assert figure(pilot, "session").value.startswith("[x] ·")


async def test_the_banner_says_why_it_does_not_trade(opened: Any, daemon: Any, until: Any) -> None:
    calm = dict(daemon.status)
    async with opened() as pilot:
        for change, text, looks in (
            ({"state": "halted", "reason": "daily loss"}, "Halted: daily loss", "-bad"),
            ({"state": "paused", "reason": "asked for"}, "Paused: asked for", "-warn"),
            ({"stale": ["A/B", "C/D"]}, "Bars of A/B, C/D are overdue", "-warn"),
            ({"tape_ended": True}, "The tape has ended; the daemon idles until told to stop", "-muted"),
            ({"state": "hibernating"}, "", "-plain"),
        ):
            daemon.status = calm | change
            await until(pilot, lambda text=text: banner(pilot).text == text)
            assert [name for name in banner(pilot).classes if name.startswith("-")] == [looks]
        assert figure(pilot, "state").value == "● hibernating"


# --- commands -------------------------------------------------------------------------------------------


async def test_a_key_sends_its_command_once(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        strike(pilot, "r")
        await until(pilot, lambda: len(texts(pilot, Commands)) == 3)
        assert texts(pilot, Commands)[0][1:3] == ("resume", "done")
        await pilot.click(Keys, offset=(3, 0))
        await until(pilot, lambda: len(texts(pilot, Commands)) == 4)
        assert [sent for sent, _ in daemon.commands] == ["resume", "pause"]
        assert complaints(pilot) == []


async def test_flatten_and_stop_are_sent_once_confirmed(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        for key, answer, sent in (
            ("f", [*"flatten", "enter"], ["flatten"]),
            ("s", ["right", "enter"], ["flatten", "stop"]),
        ):
            strike(pilot, key)
            await until(pilot, lambda: asked(pilot))
            assert len(daemon.commands) == len(sent) - 1
            await pilot.press(*answer)
            await until(pilot, lambda: len(pilot.app.screen_stack) == 1 and not pilot.app._under_way)
            assert [action for action, _ in daemon.commands] == sent


async def test_no_sends_nothing_and_is_what_enter_means(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        for key, answer in (("s", "n"), ("s", "escape"), ("f", "escape"), ("s", "enter")):
            strike(pilot, key)
            await until(pilot, lambda: asked(pilot))
            strike(pilot, answer)
            await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
        await _two_more_answers(pilot, daemon, until)
        assert daemon.commands == []


async def test_a_question_is_about_what_is_at_stake_and_lets_no_other_key_through(
    opened: Any, daemon: Any, until: Any
) -> None:
    async with opened() as pilot:
        strike(pilot, "f")
        await until(pilot, lambda: asked(pilot))
        text = str(pilot.app.screen.query_one("#consequences", Static).content)
        assert "2 orders, 2 positions" in text
        await pilot.press("p", "r", "s", "q", "z", "enter")
        assert pilot.app.focused.value == "", "another word is no answer"
        await pilot.press("escape", "s")
        assert pilot.app.focused.id == "no"
        await pilot.press("p", "r", "f", "s", "q", "z")
        await _two_more_answers(pilot, daemon, until)
        assert isinstance(pilot.app.screen, Confirm)
        assert pilot.app.is_running
        assert daemon.commands == []


async def test_a_command_under_way_is_not_sent_again_and_holds_up_no_other(
    opened: Any, daemon: Any, until: Any
) -> None:
    async with opened() as pilot:
        daemon.answering.clear()
        await pilot.press("p", "p", "p", "f")
        await until(pilot, lambda: asked(pilot))
        await pilot.press(*"flatten", "enter")
        await until(pilot, lambda: "flatten" in dict(daemon.commands))
        # on a slow machine the typing takes ten seconds: what is not answered is asked for again, under its key
        assert [sent for sent, _ in dict.fromkeys(daemon.commands)] == ["pause", "flatten"]
        daemon.answering.set()
        await until(pilot, lambda: not pilot.app._under_way)
        strike(pilot, "p")
        await until(pilot, lambda: len({key for _, key in daemon.commands}) == 3)


async def test_a_command_that_fails_is_told_with_its_fate(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        daemon.hang_ups = 1
        strike(pilot, "p")
        await until(pilot, lambda: len(daemon.commands) == 2 and not pilot.app._under_way)
        assert len(set(daemon.commands)) == 1, "a lost answer is asked for again under the same key"
        assert complaints(pilot) == []

        daemon.commands.clear()
        daemon.hang_ups = 3
        strike(pilot, "p")
        await until(pilot, lambda: len(complaints(pilot)) == 1)
        assert len(daemon.commands) == 3
        assert len(set(daemon.commands)) == 1

        daemon.refusal = "the [bold]daemon[/bold] is stopping"
        strike(pilot, "r")
        await until(pilot, lambda: len(complaints(pilot)) == 2)
        assert len(daemon.commands) == 3

        await daemon.vanish()
        strike(pilot, "p")
        await until(pilot, lambda: len(complaints(pilot)) == 3)
        assert complaints(pilot) == [
            ("Pause", "in doubt: it may or may not have been taken (it hung up)"),
            ("Resume", "refused: the [bold]daemon[/bold] is stopping"),
            ("Pause", "not sent (connection refused)"),
        ]


# --- the daemon away ------------------------------------------------------------------------------------


async def test_an_absent_daemon_is_announced_dimmed_and_picked_up_again(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        await daemon.vanish()
        await until(pilot, lambda: banner(pilot).has_class("-away"))
        assert banner(pilot).text.startswith("Daemon away")
        first = pilot.app.away
        await until(pilot, lambda: pilot.app.away != first)
        assert pilot.app.away.since_s == first.since_s, "how long it is away counts from the first silence"
        assert "connection refused" in banner(pilot).text
        assert figure(pilot, "equity").value == "101,239.76"
        assert [panel.styles.opacity < 1 for panel in pilot.app.query(".panel")] == [True] * 15

        daemon.status["equity"] = 5
        await daemon.appear()
        await until(pilot, lambda: figure(pilot, "equity").value == "5.00")
        assert banner(pilot).text == ""
        assert not banner(pilot).has_class("-away")
        assert [panel.styles.opacity for panel in pilot.app.query(".panel")] == [1.0] * 15


async def test_it_waits_for_a_daemon_that_is_not_there_yet(opened: Any, daemon: Any, until: Any) -> None:
    await daemon.vanish()
    async with opened(wait=False) as pilot:
        await until(pilot, lambda: banner(pilot).has_class("-away"))
        assert banner(pilot).text.startswith(f"No daemon at {daemon.url}: connection refused")
        await daemon.appear()
        await until(pilot, lambda: figure(pilot, "state").value == "● running")


async def test_an_answer_without_a_status_counts_as_away(opened: Any, daemon: Any, until: Any) -> None:
    async with opened((120, 40)) as pilot:
        daemon.garbage = b"<html>"
        await until(pilot, lambda: "not understood" in banner(pilot).text)
        daemon.refusal = "send the token"
        await until(pilot, lambda: "send the token" in banner(pilot).text)
        assert banner(pilot).has_class("-away")


async def test_the_silence_after_an_end_is_no_alarm(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        daemon.status["state"] = "stopping"
        await until(pilot, lambda: figure(pilot, "state").value == "● stopping")
        await daemon.vanish()
        await until(pilot, lambda: pilot.app.away is not None)
        assert banner(pilot).text == "The daemon has stopped; session 20240105T202900Z-1 stays open"
        assert banner(pilot).has_class("-ended")

        daemon.status["state"] = "running"
        await daemon.appear()
        await until(pilot, lambda: pilot.app.away is None)
        strike(pilot, "s")
        await until(pilot, lambda: asked(pilot))
        strike(pilot, "y")
        await until(pilot, lambda: daemon.commands and not pilot.app._under_way)
        await daemon.vanish()
        await until(pilot, lambda: pilot.app.away is not None)
        assert banner(pilot).text == "The daemon has stopped; session 20240105T202900Z-1 is sealed"
        assert banner(pilot).has_class("-ended")

        daemon.status |= {"session": "another", "commands": []}
        await daemon.appear()
        await until(pilot, lambda: pilot.app.away is None)
        await daemon.vanish()
        await until(pilot, lambda: banner(pilot).has_class("-away"))


async def test_it_asks_at_growing_intervals_up_to_a_longest(daemon: Any) -> None:
    daemon.refusal = "not now"
    console = Console(daemon.url, TOKEN, pace=Pace(retry_s=0.01, retry_s_max=0.04))
    async with console.run_test():
        deadline_s = time.monotonic() + 30
        while len(daemon.asked_s) < 13:
            assert time.monotonic() < deadline_s, "without a longest pause it would take 40 seconds"
            await asyncio.sleep(0.01)

    gaps_s = [later - earlier for earlier, later in pairwise(daemon.asked_s)]
    for gap_s, least_s in zip(gaps_s, (0.01, 0.02, 0.04, 0.04), strict=False):
        assert gap_s > 0.9 * least_s


# --- the console itself ---------------------------------------------------------------------------------


async def test_zoom_gives_the_focused_panel_the_whole_body_and_back(opened: Any, until: Any) -> None:
    async with opened((120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("z")
        assert not pilot.app.screen.has_class("-zoomed"), "nothing has the focus"
        for kind, back in ((Orders, "escape"), (Limits, "z")):
            panel = pilot.app.query_one(kind)
            before = panel.region
            panel.focus()
            await pilot.press("z")
            assert panel.region.size == (120, 36)
            assert panel.choice == ("pb7f3k0001" if kind is Orders else "max_position")
            assert not pilot.app.query_one(Actors).display
            strike(pilot, back)
            await until(pilot, lambda panel=panel, before=before: panel.region == before)


async def test_a_long_table_scrolls_below_its_heading(opened: Any) -> None:
    async with opened() as pilot:
        await pilot.press("4")
        await pilot.pause()
        panel = pilot.app.query_one(Actors)
        assert pilot.app.focused is panel
        await pilot.press("end")
        await pilot.pause()
        lines = [panel.render_line(y).text.split()[:1] for y in range(panel.content_region.height)]
        assert lines[0] == ["name"]
        assert lines[-1] == ["feed"]


async def test_help_opens_and_closes_and_quit_asks_nothing_of_the_daemon(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        strike(pilot, "question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, Help))
        strike(pilot, "q")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Help))
        assert pilot.app.is_running
        await pilot.press("q")
    assert not pilot.app.is_running
    assert daemon.commands == []


async def _two_more_answers(pilot: Any, daemon: Any, until: Any) -> None:
    """Let the console and the daemon speak twice more."""
    asked_count = len(daemon.asked_s)
    await until(pilot, lambda: len(daemon.asked_s) >= asked_count + 2)
