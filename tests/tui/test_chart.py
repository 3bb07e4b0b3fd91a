"""The candles: what is drawn, and what the keys ask for; and the log tail beside them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.client import Candle, LogLine, Logs
from tui.panels.chart import Chart, draw
from tui.panels.log_tail import LINES_MAX, LogTail
from tui.panels.profit import PERIODS_ASKED, Profit


def candle(open_: float, high: float, low: float, close: float) -> Candle:
    return Candle(0, 1, open_, high, low, close)


def text(lines: Any) -> list[str]:
    return ["".join(cell.glyph for cell in line) for line in lines]


def test_bodies_and_wicks_are_to_scale_in_half_lines() -> None:
    rows = [candle(1, 8, 1, 4), candle(7, 7, 2, 2), candle(4, 6, 3, 4)]
    drawn = draw(rows, {}, 3, 6)
    assert text(drawn) == ["   ", "│╻ ", "│┃│", "┃┃╿", "┃╹ ", "   "]
    assert [{line[x].kind for line in drawn} - {""} for x in range(3)] == [{"rise"}, {"fall"}, {"rise"}]


def test_a_buy_stands_below_its_candle_and_a_sale_above() -> None:
    rows = [candle(4, 6, 3, 5), candle(2, 8, 1, 7)]
    drawn = draw(rows, {0: {"buy"}, 1: {"buy", "sell"}}, 4, 6, 2)
    assert [(y, x) for y, line in enumerate(text(drawn)) for x, char in enumerate(line) if char == "▲"] == [
        (4, 0),
        (5, 2),
    ]
    assert [(y, x) for y, line in enumerate(text(drawn)) for x, char in enumerate(line) if char == "▼"] == [(0, 2)]
    assert drawn[0][2].kind == "sell"


@given(
    st.lists(st.lists(st.floats(1e-6, 1e9), min_size=4, max_size=4), min_size=1, max_size=30),
    st.integers(3, 20),
    st.sets(st.sampled_from(["buy", "sell"])),
)
def test_every_candle_is_drawn_within_the_lines_and_the_extremes_touch_them(
    prices: list[list[float]], height: int, sides: set[str]
) -> None:
    rows = [candle(four[0], max(four), min(four), four[3]) for four in prices]
    drawn = draw(rows, dict.fromkeys(range(len(rows)), sides), len(rows), height)
    assert [len(line) for line in drawn] == [len(rows)] * height
    bare = text(draw(rows, {}, len(rows), height))
    assert bare[0].strip() == bare[-1].strip() == "", "the first and the last line are for marks"
    for x in range(len(rows)):
        column = [line[x] for line in bare]
        assert set(column) & set("╹╻┃╿╽"), "a body is never lost"
        taken = [y for y, char in enumerate(column) if char != " "]
        assert taken == list(range(taken[0], taken[-1] + 1)), "nor broken"
        marks = {line[x].glyph for line in drawn} & set("▲▼")
        assert marks == {{"buy": "▲", "sell": "▼"}[side] for side in sides}
    if max(map(max, prices)) > min(map(min, prices)) and height > 3:
        assert bare[1].strip()
        assert bare[-2].strip()


@pytest.mark.slow
async def test_the_keys_choose_symbol_and_length_of_bars(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming = True

    def asked() -> list[tuple[str, str]]:
        return [(query.get("symbol", ""), query["timeframe"]) for what, query in daemon.history if what == "bars"]

    async with opened() as pilot:
        chart = pilot.app.query_one(Chart)
        await until(pilot, lambda: pilot.app.status.symbols)
        assert asked() == [], "nothing is asked for while it is not shown"
        await pilot.press("2")
        await until(pilot, lambda: chart.bars is not None and pilot.app.focused is chart)
        assert str(chart.border_title).startswith("BTC/USDT 1m 41,813.00")
        for key, wanted in (
            ("n", ("ETH/USDT", "")),
            ("n", ("BTC/USDT", "")),
            ("plus", ("BTC/USDT", "5m")),
            ("plus", ("BTC/USDT", "15m")),
            ("minus", ("BTC/USDT", "5m")),
        ):
            await pilot.press(key)
            await until(pilot, lambda wanted=wanted: asked()[-1] == wanted and chart.bars.symbol == wanted[0])
        newest = chart.render().plain.splitlines()[-1]
        await pilot.press("left")
        assert chart.render().plain.splitlines()[-1] < newest
        await pilot.press("end")
        assert chart.render().plain.splitlines()[-1] == newest

        asked_count = len(asked())
        await daemon.tell(bars={"a BTC/USDT": {"symbol": "BTC/USDT", "strategy": "a", "close_ns": 7, "open": 1.0}})
        await until(pilot, lambda: len(asked()) > asked_count)


@pytest.mark.slow
async def test_chart_and_log_say_why_they_are_empty(opened: Any, daemon: Any, until: Any) -> None:
    async with opened() as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "console is off" in pilot.app.query_one(Chart).render().plain)
        await pilot.press("5")
        await until(pilot, lambda: "console is off" in pilot.app.query_one(LogTail).render_line(0).text)


@pytest.mark.slow
async def test_the_log_is_followed_filtered_and_cut(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming = True
    async with opened() as pilot:
        tail = pilot.app.query_one(LogTail)
        await pilot.press("5")
        await until(pilot, lambda: len(tail.rows) == 4 and pilot.app.focused is tail)
        daemon.lines.append(daemon.lines[0] | {"number": 5, "event": "later"})
        await until(pilot, lambda: [row.cells[2].text for row in tail.rows][3:] == ["actor_failed", "later"])
        await pilot.press("slash")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2 and pilot.app.focused is not None)
        await pilot.press(*"feed", "enter")
        await until(pilot, lambda: [row.cells[2].text for row in tail.rows] == ["feed_stale", "feed_resumed"])
        assert "with feed" in str(tail.border_title)
        await pilot.press("l", "l")
        await until(pilot, lambda: daemon.history[-1][1]["level"] == "warning")
        assert "warning and above" in str(tail.border_title)

        lines = tuple(LogLine(number, 0, "info", "x") for number in range(LINES_MAX + 50))
        tail.take(Logs(lines, 5_000))
        assert len(tail.rows) == LINES_MAX
        tail.take(Logs((), 3))
        assert (tail.rows, tail.after) == ((), 0), "another console counts anew"


async def test_the_profit_is_read_again_and_by_longer_periods(opened: Any, daemon: Any, until: Any) -> None:
    daemon.streaming = True
    daemon.gains, kept = [], daemon.gains
    async with opened() as pilot:
        panel = pilot.app.query_one(Profit)
        await pilot.press("3")
        await until(pilot, lambda: panel.empty == "no bar has closed yet")
        daemon.gains = kept
        await until(pilot, lambda: [row.cells[0].text for row in panel.rows] == [day["date"] for day in kept])
        assert [cell.text for cell in panel.rows[1].cells[1:]] == ["+1,450.26", "+1.45%", "101,450.26", "1,204"]
        assert [row.cells[1].tone for row in panel.rows] == ["bad", "good", "plain"]

        panel.focus()
        for period in ("week", "month", "day"):
            await pilot.press("w")
            title = f"Profit by {period}"
            await until(pilot, lambda title=title: panel.rows and panel.border_title == title)
            assert daemon.history[-1] == ("profit", {"by": period, "limit": str(PERIODS_ASKED)})
        await pilot.press("2")
        await until(pilot, lambda: daemon.history[-1][0] == "bars")
