"""What a network, another machine's clock, an operator and a name may do to the console."""

from __future__ import annotations

import time
from typing import Any

import pytest
from textual.command import CommandList

from config.errors import UserError
from tests.tui.screens import cells
from tests.tui.test_console import banner, complaints, figure, strike, told
from tui.client import DaemonClient, InDoubtError, RefusedError
from tui.dialogs.question import Question
from tui.dialogs.tighten import Tighten
from tui.panels.chart import Chart
from tui.panels.limits import Limits
from tui.panels.log_tail import LogTail

pytestmark = pytest.mark.slow
HOSTILE = "[bold red]\x1b[31m[/][@click=app.bell]\u202e" + "long " * 60 + "\\"
"""Markup, what a terminal obeys, another direction of writing, more than a line, and an open end."""


# --- the network ----------------------------------------------------------------------------------------


async def test_a_console_that_hangs_hides_nothing_and_a_stream_that_is_silent_is_looked_after(
    opened: Any, daemon: Any, until: Any
) -> None:
    daemon.streaming = True
    daemon.shaking_hands.clear()
    async with opened(quiet_s=0.1, retry_s_max=0.02) as pilot:
        daemon.status["equity"] = 7
        await until(pilot, lambda: figure(pilot, "equity").value == "7.00")
        assert pilot.app.without, "there is no stream"
        daemon.shaking_hands.set()
        await until(pilot, lambda: pilot.app.without == "")

        asked_count = len(daemon.asked_s)
        await until(pilot, lambda: len(daemon.asked_s) > asked_count)
        assert pilot.app.away is None
        daemon.refusal = "no"
        await until(pilot, lambda: banner(pilot).has_class("-away"))
        assert banner(pilot).text.startswith("Daemon refuses, data of ")
        daemon.status["equity"] = 8
        await daemon.tell()
        await until(pilot, lambda: figure(pilot, "equity").value == "8.00" and pilot.app.away is None)


async def test_a_slow_daemon_is_waited_for_and_spoken_of(opened: Any, daemon: Any, until: Any) -> None:
    daemon.outcome = "pending"
    async with opened(patience_s=0.05) as pilot:
        daemon.answering.clear()
        strike(pilot, "p")
        await until(pilot, lambda: told(pilot, "information") == [("Pause", "on its way; no answer yet")])
        daemon.answering.set()
        await until(pilot, lambda: len(told(pilot, "information")) == 2)
        assert told(pilot, "information")[1] == ("Pause", "taken; not done yet")
        daemon.status["commands"][-1]["outcome"] = "done"
        await until(pilot, lambda: len(told(pilot, "information")) == 3)
        assert complaints(pilot) == []


async def test_a_failure_that_is_no_refusal_leaves_a_command_in_doubt(daemon: Any) -> None:
    daemon.refusal = "something broke"
    async with DaemonClient(daemon.url, daemon.token) as client:
        for status, kind in ((500, InDoubtError), (502, InDoubtError), (504, InDoubtError), (503, RefusedError)):
            daemon.refusal_status = status
            with pytest.raises(kind, match="something broke"):
                await client.control("pause", "key-1")


async def test_a_daemon_that_has_moved_or_changed_its_token_is_found_again(
    opened: Any, daemon: Any, until: Any
) -> None:
    daemon.streaming = True
    found: list[tuple[str, str]] = []

    def look_up() -> tuple[str, str]:
        if not found:
            message = "no daemon runs on it"
            raise UserError(message)
        return found[0]

    async with opened(look_up=look_up) as pilot:
        await until(pilot, lambda: daemon.sockets)
        daemon.token = "another-token-of-the-tests"
        await daemon.hang_up()
        await until(pilot, lambda: "does not know our token" in banner(pilot).text)
        assert banner(pilot).text.startswith("Daemon refuses, data of ")
        strike(pilot, "p")
        await until(pilot, lambda: complaints(pilot) == [("Pause", "refused: it does not know our token")])
        found.append((daemon.url, daemon.token))
        await until(pilot, lambda: pilot.app.away is None and daemon.sockets)

        await daemon.vanish()
        await until(pilot, lambda: pilot.app.away is not None)
        daemon._port = 0
        daemon.status |= {"session": "another"}
        daemon.epoch = "e2"
        await daemon.appear()
        assert daemon.url != found[0][0]
        found[0] = (daemon.url, daemon.token)
        await until(pilot, lambda: figure(pilot, "session").value.startswith("another"))
        await until(pilot, lambda: daemon.sockets and pilot.app.without == "")


async def test_ages_are_those_of_the_daemons_own_clock(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming = True
    for daemon.ahead_s in (-5_000.0, 9_000.0):
        async with opened() as pilot:
            await until(pilot, lambda: pilot.app.without == "" and figure(pilot, "uptime").value)
            assert figure(pilot, "feed").value in ("0 s", "1 s", "2 s")
            assert figure(pilot, "uptime").value == "1 h 12 m"
    async with DaemonClient(daemon.url, daemon.token) as client:
        await client.status()
        assert abs(client.now_ns() - time.time_ns() - 9_000_000_000_000) < 2_000_000_000


# --- names and numbers ----------------------------------------------------------------------------------


def spoil(thing: Any) -> Any:
    """Return the same with hostile words and absurd numbers wherever there are some."""
    if isinstance(thing, dict):
        return {name: spoil(value) for name, value in thing.items()}
    if isinstance(thing, list):
        return [spoil(value) for value in thing]
    if isinstance(thing, str):
        return HOSTILE + thing
    return -1e300 if isinstance(thing, float) else thing


async def test_no_name_and_no_number_breaks_the_screen_at_any_size(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming = True
    for name in ("positions", "orders", "strategies", "actors", "commands", "risk", "reason", "session", "mode"):
        daemon.status[name] = spoil(daemon.status[name])
    daemon.status |= {"state": "halted", "equity": "NaN", "cash": "1E+999", "day_profit": "NaN", "fees": "-Infinity"}
    daemon.status["clock"]["ts_ns"] = 10**25
    daemon.status["positions"][1]["unrealized_pnl"] = "NaN"
    daemon.status["risk"]["uses"] += [{"limit": "x", "used": None, "most": None}]
    daemon.status["dead_letters"] = [{"actor": HOSTILE, "seq": -1, "error": HOSTILE, "message": HOSTILE}]
    daemon.lines = [line | {"event": HOSTILE, "fields": {HOSTILE: [HOSTILE, None]}} for line in daemon.lines]
    daemon.fills = [fill | {"strategy": HOSTILE, "price": 1e300, "quantity": 0} for fill in daemon.fills]
    async with opened((120, 40), wait=False) as pilot:
        await until(pilot, lambda: pilot.app.status is not None and pilot.app.without == "")
        assert figure(pilot, "equity").value == "not a number"
        sizes = ((1, 1), (20, 5), (300, 80), (79, 23), (60, 12))
        for page, size in zip("12345", sizes, strict=True):
            await pilot.press(page)
            await pilot.resize_terminal(*size)
            if page == "2":
                await until(pilot, lambda: pilot.app.query_one(Chart).bars)
            if page == "5":
                await until(pilot, lambda: pilot.app.query_one(LogTail).rows)
            await pilot.resize_terminal(100, 30)
            drawn = "".join(char for line in cells(pilot.app) for char, _ in line)
            assert not any(char < " " for char in drawn)
            assert "[bold" in drawn, "what looks like markup is shown as it is"
        for key in ("x", "c", "a", "F", "t"):
            await pilot.press(key, key)
            assert isinstance(pilot.app.screen, Question)
            await pilot.press("escape")
        await pilot.press("5", "slash", *"[/]\\", "enter")
        await until(pilot, lambda: "with" in str(pilot.app.query_one(LogTail).border_title))
        await pilot.press("colon", *"cancel")
        found = pilot.app.screen.query_one(CommandList)
        await until(pilot, lambda: any("[bold red] [31m[/][@click=" in str(option.prompt) for option in found.options))


# --- a limit of risk ------------------------------------------------------------------------------------


async def test_a_limit_is_tightened_by_a_key_or_by_name_and_its_outcome_told(
    opened: Any, daemon: Any, until: Any
) -> None:
    async with opened() as pilot:
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.focused, Limits))
        await pilot.press("down", "t")
        await until(pilot, lambda: isinstance(pilot.app.screen, Tighten) and pilot.app.focused is not None)
        assert "It is 50000 now." in "".join(char for line in cells(pilot.app) for char, _ in line)
        pilot.app.focused.value = "40 000"
        await pilot.press("enter")
        assert daemon.commands == [], "not one value"
        pilot.app.focused.value = ""
        await pilot.press(*"4e4", "enter")
        await until(pilot, lambda: told(pilot, "information") == [("Tighten max_gross 4e4", "done")])
        assert (daemon.commands[0][0], daemon.terms) == ("tighten", [{"limit": "max_gross", "value": "4e4"}])

        daemon.refusal = "max_loss: there is no limit max_loss; did you mean max_daily_loss?"
        pilot.app.ask_tighten()
        await until(pilot, lambda: isinstance(pilot.app.screen, Tighten) and pilot.app.focused is not None)
        pilot.app.focused.value = "max_loss 5"
        await pilot.press("enter")
        await until(pilot, lambda: complaints(pilot) == [("Tighten max_loss 5", f"refused: {daemon.refusal}")])
