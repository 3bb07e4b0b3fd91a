"""The console on the stream: what it shows, how it goes on, and what it sends of what is chosen."""

from __future__ import annotations

from typing import Any

import pytest
from textual.command import CommandList

from tests.tui.test_console import asked, banner, complaints, figure, strike, texts, told
from tui.dialogs.typed import Typed
from tui.panels.actors import Actors
from tui.panels.equity import Equity
from tui.panels.fills import Fills
from tui.panels.orders import Orders
from tui.panels.pages import Pages
from tui.panels.positions import Positions
from tui.panels.strategies import Strategies

pytestmark = pytest.mark.slow


@pytest.fixture
def streaming(daemon: Any) -> Any:
    """Return the daemon, with its console."""
    daemon.streaming = True
    return daemon


async def test_the_stream_shows_the_same_as_the_status(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        polled = pilot.app.status
        daemon.streaming = True
        await until(pilot, lambda: pilot.app.without == "")
        await until(pilot, lambda: pilot.app.status.symbols == ("BTC/USDT", "ETH/USDT"))
        streamed = pilot.app.status
        for name in ("state", "session", "equity", "day_profit", "positions", "orders", "strategies", "actors", "risk"):
            assert getattr(streamed, name) == getattr(polled, name), name
        assert streamed.commands == polled.commands
        assert figure(pilot, "day").value == "-210.50"
        assert figure(pilot, "day").has_class("-bad")


async def test_changes_come_by_themselves_and_rows_that_are_gone_go(opened: Any, streaming: Any, until: Any) -> None:
    async with opened() as pilot:
        await until(pilot, lambda: streaming.sockets)
        asked_count = len(streaming.asked_s)
        order = streaming.status["orders"][1] | {"filled": 0.5}
        await streaming.tell(orders={"pb7f3k0001": None, order["order_id"]: order})
        await until(pilot, lambda: len(texts(pilot, Orders)) == 1)
        assert texts(pilot, Orders)[0][6] == "0.5"
        assert len(texts(pilot, Positions)) == 2
        assert len(streaming.asked_s) == asked_count, "the status was not asked for"


async def test_fills_are_those_of_history_and_of_the_stream_each_once(opened: Any, streaming: Any, until: Any) -> None:
    new = streaming.fills[0] | {"kind": "fill", "trade_id": 999, "executed_ns": 1_704_486_540_000_000_001}
    old = streaming.fills[0] | {"kind": "fill"}
    other = {"kind": "a_kind_of_a_newer_console", "seq": 1, "ts_ns": 1, "fields": {"a": [1]}}
    async with opened((120, 40)) as pilot:
        await until(pilot, lambda: len(texts(pilot, Fills)) == 3)
        await streaming.tell(events=[old, other, new])
        await until(pilot, lambda: len(texts(pilot, Fills)) == 4)
        assert [fill.trade_id for fill in pilot.app.fills] == [999, 401, 402, 403]
        assert texts(pilot, Fills)[3] == (
            "19:59:00", "sell", "0.5", "BTC/USDT", "41,702.50", "-4.17", "ema_cross", "pb7f3j0003",
        )  # fmt: skip
        streaming.fills.insert(0, streaming.fills[0] | {"trade_id": 1_000, "executed_ns": 1_704_486_550_000_000_000})
        await streaming.tell(missed=1)
        await until(pilot, lambda: len(pilot.app.fills) == 5)
        assert pilot.app.fills[0].trade_id == 1_000
        day_ns = 86_400_000_000_000
        summary = streaming.sections()["summary"][""] | {
            "clock": {"kind": "tape", "ts_ns": 1_704_486_540_000_000_000 + day_ns}
        }
        symbols = {"BTC/USDT": {"symbol": "BTC/USDT", "price_step": 0.1}}
        await streaming.tell(summary={"": summary}, symbols=symbols)
        shown = ("01-05 19:59:00", "sell", "0.5", "BTC/USDT", "41,702.5")
        await until(pilot, lambda: texts(pilot, Fills)[-1][:5] == shown)


async def test_the_equity_line_begins_where_the_session_did(opened: Any, streaming: Any, until: Any) -> None:
    start_ns = 1_704_400_000_000_000_000
    streaming.curve = [(start_ns, 100_000), (start_ns + 1, 100_500), (2_000_000_000_000_000_000, 1)]
    async with opened() as pilot:
        line = pilot.app.query_one(Equity)
        await until(pilot, lambda: len(line.points) == 3)
        assert [float(equity) for _, equity in line.points] == [100_000, 100_500, 101_239.759509]
        await streaming.tell()
        await until(pilot, lambda: "+1,239.76 (+1.24%)" in str(line.border_title))


async def test_a_stream_that_ends_is_gone_on_with_where_it_stood(opened: Any, streaming: Any, until: Any) -> None:
    async with opened() as pilot:
        await until(pilot, lambda: streaming.sockets)
        await streaming.tell()
        await until(pilot, lambda: pilot.app._told.seq == streaming.seq)
        await streaming.hang_up()
        await until(pilot, lambda: streaming.sockets)
        assert streaming.resumed == [("", ""), ("e1", str(streaming.seq))]
        streaming.status["equity"] = 7
        await streaming.tell()
        await until(pilot, lambda: figure(pilot, "equity").value == "7.00")
        assert pilot.app.without == ""


async def test_without_the_stream_the_status_is_asked_for(opened: Any, streaming: Any, until: Any) -> None:
    async with opened() as pilot:
        await until(pilot, lambda: streaming.sockets)
        streaming.streaming = False
        await streaming.send({"type": "delta", "epoch": "e1", "seq": "no number"})
        await until(pilot, lambda: "not understood" in pilot.app.without)
        streaming.status["equity"] = 8
        await streaming.hang_up()
        await until(pilot, lambda: figure(pilot, "equity").value == "8.00")
        assert "polled: " in str(pilot.app.query_one(Pages).render())
        assert banner(pilot).text == ""


# --- commands on what is chosen ----------------------------------------------------------------------


async def test_the_chosen_row_stays_chosen_while_others_come_and_go(opened: Any, streaming: Any, until: Any) -> None:
    async with opened() as pilot:
        await until(pilot, lambda: streaming.sockets and len(texts(pilot, Orders)) == 2)
        panel = pilot.app.query_one(Orders)
        panel.focus()
        await pilot.press("down", "down")
        assert panel.choice == "pb7f3k0002"
        await streaming.tell(orders={"pb7f3k0001": None})
        await until(pilot, lambda: len(texts(pilot, Orders)) == 1)
        assert panel.choice == "pb7f3k0002"
        await streaming.tell(orders={"pb7f3k0002": None})
        await until(pilot, lambda: texts(pilot, Orders) == [])
        assert panel.choice == ""
        await pilot.press("up", "c")
        assert len(pilot.app.screen_stack) == 1


async def test_what_is_chosen_is_what_a_key_commands(opened: Any, daemon: Any, until: Any) -> None:
    daemon.status["actors"] = daemon.status["actors"][4:]
    flatten = [*"flatten", "enter"]
    async with opened() as pilot:
        for page, kind, keys, answer, action, terms in (
            ("1", Orders, ["down", "c"], ["y"], "cancel", {"order_id": "pb7f3k0002"}),
            ("1", Positions, ["x"], ["y"], "close", {"strategy": "ema_cross", "symbol": "BTC/USDT"}),
            ("4", Actors, ["a"], ["y"], "restart", {"actor": "strategy.ema_cross"}),
            ("3", Strategies, ["F"], flatten, "flatten", {"strategy": "ema_cross"}),
            ("3", Strategies, ["down", "P"], [], "pause", {"strategy": "bollinger_reversion"}),
            ("3", Strategies, ["R"], [], "resume", {"strategy": "bollinger_reversion"}),
        ):
            daemon.commands.clear()
            daemon.terms.clear()
            await pilot.press(page)
            pilot.app.query_one(kind).focus()
            await pilot.press(*keys)
            if answer:
                assert daemon.commands == []
                await until(pilot, lambda: asked(pilot))
                await pilot.press(*answer)
            await until(pilot, lambda: daemon.commands and not pilot.app._under_way)
            assert (daemon.commands[0][0], daemon.terms[0]) == (action, terms)


async def test_a_key_without_a_choice_brings_its_panel_up(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        for key, kind, page in (("c", Orders, "account"), ("a", Actors, "system")):
            await pilot.press("3", key)
            await until(pilot, lambda kind=kind: isinstance(pilot.app.focused, kind))
            assert pilot.app.page == page
            assert len(pilot.app.screen_stack) == 1
        await pilot.press("d")
        assert not pilot.app.current_theme.dark
        await pilot.press("d")
        assert pilot.app.current_theme.dark
        assert daemon.commands == []


async def test_the_outcome_of_a_command_is_told_once_it_is_there(opened: Any, streaming: Any, until: Any) -> None:
    streaming.outcome = "pending"
    async with opened() as pilot:
        await until(pilot, lambda: streaming.sockets)
        strike(pilot, "p")
        await until(pilot, lambda: streaming.commands and not pilot.app._under_way)
        await streaming.tell()
        assert told(pilot, "information") == []
        streaming.status["commands"][-1] |= {"outcome": "done", "note": "2 orders withdrawn"}
        await streaming.tell()
        await until(pilot, lambda: told(pilot, "information") == [("Pause", "done: 2 orders withdrawn")])
        streaming.outcome, streaming.note = "refused", "not now"
        strike(pilot, "r")
        await until(pilot, lambda: len(streaming.commands) == 2 and not pilot.app._under_way)
        await streaming.tell()
        await until(pilot, lambda: told(pilot, "warning") == [("Resume", "refused: not now")])
        await streaming.tell()
        assert complaints(pilot) == []
        assert len(pilot.app._notifications) == 2


async def test_the_palette_finds_what_there_is_by_name(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        await pilot.press("colon")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2 and pilot.app.focused is not None)
        await pilot.press(*"flat ema")
        found = pilot.app.screen.query_one(CommandList)
        await until(
            pilot, lambda: [str(option.prompt)[:26] for option in found.options] == ["Flatten strategy ema_cross"]
        )
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Typed))
        await pilot.press(*"flatten", "enter")
        await until(pilot, lambda: daemon.commands and not pilot.app._under_way)
        assert (daemon.commands[0][0], daemon.terms) == ("flatten", [{"strategy": "ema_cross"}])
