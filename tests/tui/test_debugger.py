"""The replay debugger on a replay of the tests' own: keys, panels, and what the screen looks like."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from textual.widgets import Label

from tests.tui.screens import compare
from tui.dialogs.moment import time_from
from tui.panels.actors import Actors
from tui.panels.limits import Limits
from tui.panels.messages import Card, Messages
from tui.panels.state import State
from tui.panels.transport import Transport
from tui.panels.tree import Values
from tui.replay import SPEEDS, faster, speed_words

START_NS = 1_704_412_800_000_000_000
MINUTE_NS = 60_000_000_000
TOTAL = 1_000
ORDER = {"side": "buy", "quantity": 0.5, "symbol": "BTC/USDT"}


class FakeReplay:
    """A tape of bars, on each tenth of which something is bought; it answers like the replay server."""

    def __init__(self) -> None:
        self.inputs, self.state, self.speed, self.stopped_by = 0, "paused", 60.0, "it has not begun"
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """What it was told."""
        self.looked: list[dict[str, str]] = []
        """How messages were asked for."""
        self.differs_at: int | None = None
        self.held = asyncio.Event()
        """While it is clear, answers to steps are held back."""
        self.held.set()

    async def __call__(self, request: web.Request) -> web.Response:
        name, what = request.match_info.get("name"), request.match_info.get("what", "")
        if name is not None:
            return self._inside(name)
        if what == "messages":
            self.looked.append(dict(request.query))
            actor, order = request.query.get("actor"), request.query.get("order")
            rows = [row for row in self._messages() if actor in (None, row["from"])]
            rows = [row for row in rows if order is None or row["input"] % 10 == 0]
            return web.json_response({"rows": rows, "next": None, "newest": len(rows)})
        if request.method == "POST":
            asked = await request.json()
            self.asked.append((what, asked))
            await self.held.wait()
            refused = self._drive(what, asked)
            if refused:
                return web.json_response({"error": refused}, status=409)
        return web.json_response(self._stands())

    def _drive(self, what: str, asked: dict[str, Any]) -> str:
        if what == "step":
            self.inputs += asked["count"]
            self.stopped_by = "a step"
        elif what == "jump" and asked["to"] == "trade" and asked.get("strategy", "ema_cross") == "ema_cross":
            self.inputs += 10 - self.inputs % 10
            self.stopped_by = "trade: buy 0.5 BTC/USDT at 43,000"
        elif what == "jump" and asked["to"] == "time":
            self.inputs = (asked["time_ns"] - START_NS) // MINUTE_NS
            self.stopped_by = "the time that was asked for"
        elif what == "jump" and asked["to"] == "end":
            self.inputs, self.state, self.stopped_by = TOTAL, "ended", "the end of the tape"
        elif what == "jump":
            return f"there is no {asked['to']} in what is left of the tape"
        elif what == "speed":
            self.speed = asked["speed"]
        else:
            self.state = {"play": "playing", "pause": "paused"}[what]
            self.stopped_by = "a pause" if what == "pause" else ""
        return ""

    def _stands(self) -> dict[str, Any]:
        return {
            "tape": "somewhere/BTCUSDT-1m-2024.parquet",
            "strategies": ["ema_cross"],
            "state": self.state,
            "inputs": self.inputs,
            "seq": self.inputs,
            "total": TOTAL,
            "now_ns": START_NS + self.inputs * MINUTE_NS,
            "from_ns": START_NS,
            "to_ns": START_NS + TOTAL * MINUTE_NS,
            "speed": self.speed,
            "stopped_by": self.stopped_by,
            "order_id": "pb7f3k0001" if self.stopped_by.startswith("trade") else "",
            "target": "",
            "differs_at": self.differs_at,
            "a_field_of_a_newer_server": 1,
        }

    def _messages(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []

        def add(seq: int, kind: str, sender: str, to: list[str], depth: int, fields: dict[str, Any]) -> None:
            index = sum(row["input"] == seq for row in rows)
            cause = None if depth == 0 else index - 1
            row = {"number": len(rows), "input": seq, "index": index, "cause": cause, "depth": depth, "kind": kind}
            rows.append(row | {"ts_ns": START_NS + seq * MINUTE_NS, "from": sender, "to": to, "fields": fields})

        for seq in range(max(1, self.inputs - 5), self.inputs + 1):
            bar = {"symbol": "BTC/USDT", "open": 43_000 + seq, "high": 43_010 + seq, "low": 42_990, "close": 43_005}
            add(seq, "Bar", "tape", ["market"], 0, bar)
            add(seq, "FeatureRow", "market", ["strategy.ema_cross", "risk", "venue"], 1, {"bar": bar, "features": {}})
            if seq % 10 == 0:
                add(seq, "Intent", "strategy.ema_cross", ["risk"], 2, ORDER)
                add(
                    seq,
                    "Fill",
                    "venue",
                    ["ledger", "execution"],
                    3,
                    ORDER | {"price": 43_000.0, "note": "[red]\x1b[2J"},
                )
        return rows

    def _inside(self, name: str) -> web.Response:
        if not name.startswith("strategy."):
            return web.json_response({"error": f"{name} is an edge: it keeps no state of the replay"}, status=404)
        row = {"name": name, "state": "running", "restarts": 0, "mailbox": 0, "processed": self.inputs}
        closes = [43_000.0 + index for index in range(self.inputs)]
        late = {"warm": True} if self.inputs > 10 else {}
        state = (
            {"bars": self.inputs} | late | {"fast": {"period": 12, "value": 43_000.25}, "closes": closes, "side": None}
        )
        return web.json_response({"row": row, "state": state | {"last_ns": START_NS}, "note": "", "size_bytes": 99})


def lines(values: Any) -> list[str]:
    """Return what a tree of values shows, line by line."""
    return [values.render_line(y).text.strip() for y in range(values.last_line + 1)]


class Desk:
    """A console on a fake replay, by its keys and its panels."""

    def __init__(self, pilot: Any, until: Any, replay: FakeReplay) -> None:
        self.pilot, self.console, self.replay = pilot, pilot.app, replay
        self.screen = pilot.app.screen_stack[0]
        self.messages, self.state = self.screen.query_one(Messages), self.screen.query_one(State)
        self._until = until

    async def press(self, *keys: str, until: Any) -> None:
        """Press keys without waiting for what each does, until something holds."""
        for key in keys:
            self.console.simulate_key(key)
        await self._until(self.pilot, until)
        await self.pilot.pause()

    @property
    def stands(self) -> list[str]:
        """The two lines of the transport."""
        lines: list[str] = self.screen.query_one(Transport).render().plain.split("\n")
        return lines

    def column(self, index: int) -> list[str]:
        """Return a column of the messages."""
        return [row.cells[index].text for row in self.messages.rows]

    @property
    def changed(self) -> list[str]:
        """Names of what is marked in the state."""
        return [node.data.name for node in self.state.root.children if node.data.changed]

    @property
    def complaints(self) -> list[str]:
        """What was told in the corner."""
        return [note.message for note in self.console._notifications]

    @property
    def footer(self) -> set[tuple[str, str]]:
        """(key, word) of all that the footer offers."""
        active = self.screen.active_bindings.values()
        return {(shown.binding.key, shown.binding.description) for shown in active if shown.binding.show}


@pytest.mark.slow
async def test_a_replay_is_driven_and_looked_into_by_keys(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming, daemon.replay = True, FakeReplay()
    async with opened() as pilot:
        desk = Desk(pilot, until, daemon.replay)
        await opens_on_the_debugger(desk)
        await steps(desk)
        await jumps_to_a_trade(desk)
        await keeps_open_what_is_open(desk)
        await goes_on_in_other_ways(desk)
        await works_on_other_pages(desk, daemon)


async def opens_on_the_debugger(desk: Desk) -> None:
    await desk.press(until=lambda: desk.console.page == "debug" and "bars 0" in lines(desk.state))
    assert desk.screen.query_one(Actors).choice == "strategy.ema_cross"
    assert desk.console.focused is desk.screen.query_one(Actors)
    assert "2024-01-05 00:00:00 UTC" in desk.stands[0]
    assert desk.stands[0].endswith("1 min/s")
    assert "BTCUSDT-1m-2024.parquet" in desk.stands[1]
    assert "somewhere" not in desk.stands[1]


async def steps(desk: Desk) -> None:
    """What a step has changed is marked; steps asked for while one is under way are sent together."""
    await desk.press("s", until=lambda: "bars 1" in lines(desk.state))
    assert desk.changed == ["bars", "closes"]
    await desk.press("down", until=lambda: "strategy.bollinger" in str(desk.state.border_title))
    assert desk.changed == [], "it is looked at for the first time"
    await desk.press("up", until=lambda: "strategy.ema_cross" in str(desk.state.border_title))
    assert desk.changed == ["bars", "closes"]
    assert desk.column(2) == ["Bar", "\u00b7FeatureRow"]
    assert desk.stands[1].endswith("a step")
    desk.replay.held.clear()
    await desk.press("s", "s", "s", until=lambda: len(desk.replay.asked) == 2)
    assert "step to the next input" in desk.stands[1]
    desk.replay.held.set()
    await desk.press(until=lambda: "bars 4" in lines(desk.state))
    assert [asked["count"] for _, asked in desk.replay.asked] == [1, 1, 2]
    await desk.press("b", until=lambda: desk.console.replay.inputs == 5)
    assert desk.replay.asked[-1] == ("step", {"count": 1, "unit": "bar"})


async def jumps_to_a_trade(desk: Desk) -> None:
    """Its order's story is told, with the execution chosen; the newest input is first among the messages of all."""
    assert desk.column(0)[:3] == ["5", "", "4"]
    await desk.press("t", until=lambda: "bars 10" in lines(desk.state) and len(desk.messages.rows) == 4)
    assert desk.column(2) == ["Bar", "\u00b7FeatureRow", "\u00b7\u00b7Intent", "\u00b7\u00b7\u00b7Fill"]
    assert desk.column(0) == ["10", "", "", ""]
    assert desk.messages.message.kind == "Fill"
    assert "of pb7f3k0001" in str(desk.messages.border_title)
    assert desk.column(4)[1] == "3 actors"
    assert "trade: buy 0.5" in desk.stands[1]
    await desk.pilot.press("tab", "tab")
    assert desk.console.focused is desk.messages
    compare("debug", desk.console)
    await desk.pilot.press("enter")
    assert "note [red] [2J" in lines(desk.console.screen.query_one(Values))
    await desk.pilot.press("escape")
    await desk.press("m", until=lambda: len(desk.messages.rows) > 4)
    await desk.press("m", until=lambda: set(desk.column(3)) == {"ema_cross"})


async def keeps_open_what_is_open(desk: Desk) -> None:
    await desk.pilot.press("shift+tab")
    assert desk.console.focused is desk.state
    assert "\u25be fast 2" in lines(desk.state)
    await desk.pilot.press("down", "left")
    closed = "\u25b8 fast 2 period=12  value=43000.25"
    assert closed in lines(desk.state)
    await desk.press("s", until=lambda: "bars 11" in lines(desk.state))
    assert closed in lines(desk.state)
    assert desk.state.cursor_node.data.name == "fast"
    await desk.pilot.press("down", "right")
    await desk.press("s", until=lambda: "bars 12" in lines(desk.state))
    assert [line for line in lines(desk.state) if line.endswith("43011.0")] == ["\u2514 11 43011.0"]


async def goes_on_in_other_ways(desk: Desk) -> None:
    """Each has its outcome on the screen."""
    await desk.press("v", until=lambda: desk.complaints == ["there is no veto in what is left of the tape"])
    await desk.press("greater_than_sign", until=lambda: desk.replay.speed == 600)
    await desk.press("less_than_sign", "less_than_sign", until=lambda: desk.replay.speed == 10)
    assert desk.stands[0].endswith("10 s/s")
    await desk.press("space", until=lambda: desk.console.replay.state == "playing")
    assert ("space", "Hold") in desk.footer
    desk.replay.inputs = 300
    await desk.press(until=lambda: "bars 300" in lines(desk.state))
    await desk.press("space", until=lambda: desk.console.replay.state == "paused")
    assert ("space", "Play") in desk.footer
    await desk.pilot.press("g", *"-1h", "enter")
    hint = desk.console.screen.query_one("#hint", Label)
    assert str(hint.content).startswith("That is no time.")
    await desk.pilot.press(*["backspace"] * 3, *"2024-01-04", "enter")
    assert str(hint.content).startswith("That has been")
    await desk.pilot.press(*["backspace"] * 10, *"+1h", "enter")
    await desk.press(until=lambda: desk.console.replay.inputs == 360)


async def works_on_other_pages(desk: Desk, daemon: Any) -> None:
    """So do the commands of the account, and what has no state says so."""
    await desk.pilot.press("2")
    await desk.press("s", until=lambda: desk.console.replay.inputs == 361)
    assert {("space", "Play"), ("s", "Step")} <= desk.footer
    assert not {"Pause", "Stop", "Bar"} & {word for _, word in desk.footer}
    await desk.pilot.press("4", "enter")
    assert {"bars 361", "side \u2013"} <= set(lines(desk.console.screen.query_one(Values)))
    await desk.pilot.press("escape")
    await desk.pilot.press("1")
    desk.screen.query_one(Limits).focus()
    await desk.press("t", until=lambda: desk.console.replay.inputs == 370)
    await desk.press("T", until=lambda: desk.console.replay.inputs == 380)
    assert desk.replay.asked[-1] == ("jump", {"to": "trade", "strategy": "ema_cross"})
    desk.replay.differs_at = 381
    await desk.press("s", until=lambda: "decides otherwise than recorded from input 381 on" in desk.stands[1])
    await desk.press("p", until=lambda: [action for action, _ in daemon.commands] == ["pause"])
    await desk.pilot.press("6")
    await desk.press("E", until=lambda: desk.console.replay.state == "ended")
    await desk.press("t", until=lambda: "the tape has ended" in desk.complaints)
    await desk.press("end", until=lambda: "an edge" in lines(desk.state)[0])


@pytest.mark.slow
async def test_there_is_room_for_all_of_it_on_a_wide_screen(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming, daemon.replay = True, FakeReplay()
    daemon.replay.inputs = 410
    async with opened((160, 48)) as pilot:
        screen = pilot.app.screen_stack[0]
        messages, state, card = (screen.query_one(kind) for kind in (Messages, State, Card))
        await until(pilot, lambda: len(messages.rows) > 5 and "bars 410" in lines(state))
        messages.focus()
        await pilot.press("down", "down", "down")
        await until(pilot, lambda: "price 43000.0" in lines(card))
        assert "because of message 2" in lines(card)
        state.focus()
        await pilot.press("down", "down", "down", "down", "down", "right")
        await pilot.pause()
        assert "the last 100 of 410 values" in " ".join(lines(state))
        compare("debug", pilot.app)


@pytest.mark.parametrize(
    ("text", "ahead_s"),
    [
        ("+90m", 5_400),
        ("+ 2d", 172_800),
        ("00:30", 1_800),
        ("00:00", 86_400),
        ("2024-01-05 01:00", 3_600),
        ("2024-01-05T00:00:01Z", 1),
        ("2024-01-04", -86_400),
        ("tomorrow", None),
        ("25:00", None),
        ("+5", None),
        ("9999-99-99", None),
        ("", None),
    ],
)
def test_a_time_is_read_as_a_person_writes_it(text: str, ahead_s: int | None) -> None:
    expected = None if ahead_s is None else START_NS + ahead_s * 1_000_000_000
    assert time_from(text, START_NS) == expected


def test_speeds_are_offered_in_order_with_the_fastest_last() -> None:
    ladder = [1.0]
    for _ in range(len(SPEEDS)):
        ladder.append(faster(ladder[-1], 1))
    assert ladder == [*SPEEDS, 0.0]
    assert [faster(speed, -1) for speed in SPEEDS] == [1.0, *SPEEDS[:-1]]
    assert faster(42.0, 1) == 60.0
    assert [speed_words(speed) for speed in (0.0, 1.0, 90.0, 86_400.0)] == ["full speed", "1 s/s", "1.5 min/s", "1 d/s"]
