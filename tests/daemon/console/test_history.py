"""What was: pages of the journal, bars, the log, the settings, the strategies in the box."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors.messages import Bar
from actors.runtime.journal import FILE_NAME, JournalReader, decode_input
from daemon.console.bars import Rows
from daemon.console.lines import Lines
from daemon.console.types import BarRow
from strategies.library import BUILT_IN
from tests.daemon.conftest import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.daemon.conftest import Run
    from tests.daemon.console.conftest import Client


def walk(client: Client, path: str, cursor: int, limit: int, pages: int) -> list[Any]:
    """Return the rows of so many pages of a list."""
    rows: list[Any] = []
    for _ in range(pages):
        page = client.get(f"{path}&limit={limit}&cursor={cursor}")
        assert len(page["rows"]) <= limit
        rows += page["rows"]
        cursor = page["next"]
    return rows


@pytest.mark.slow
def test_fills_and_orders_are_told_page_by_page_newest_first(client: Client) -> None:
    client.daemon.wait_for(
        lambda s: sum(book["fills"] for book in s["books"] if book["strategy"] == "ema_cross") >= 12, "fills"
    )
    path = "/api/live/fills?strategy=ema_cross"
    start = client.get(f"{path}&limit=1")["next"]
    many = walk(client, path, start, 6, 1)

    assert walk(client, path, start, 2, 3) == many
    assert sorted((row["seq"] for row in many), reverse=True) == [row["seq"] for row in many]
    oldest = many[-1]["seq"]
    assert {row["strategy"] for row in many} == {"ema_cross"}
    between = client.get(f"/api/live/fills?from_ns={many[-1]['executed_ns']}&to_ns={many[-2]['executed_ns']}")["rows"]
    assert {row["seq"] for row in between} >= {oldest, many[-2]["seq"]}
    told = [row["executed_ns"] for row in between]
    assert (min(told), max(told)) == (many[-1]["executed_ns"], many[-2]["executed_ns"])
    db = sqlite3.connect(client.daemon.state_dir / FILE_NAME)
    ticks, lots = db.execute(
        "SELECT price_ticks, quantity_lots FROM fills WHERE seq = ? AND strategy = 'ema_cross'", (oldest,)
    ).fetchone()
    db.close()
    steps = client.get("/api/live/symbols")["rows"][0]
    assert many[-1]["price"] == pytest.approx(ticks * steps["price_step"])
    assert many[-1]["quantity"] == 0.1
    assert lots > 0
    orders = client.get("/api/live/order-history?symbol=SYN/USDT&strategy=ema_cross")["rows"]
    assert {row["state"] for row in orders} <= {"filled", "working", "accepted", "partly_filled"}
    assert {row["order_id"] for row in many} & {row["order_id"] for row in orders}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "table", "key"), [("fills", "fills", "trade_id"), ("order-history", "orders", "order_id")]
)
def test_pages_have_every_row_once_while_more_are_written(client: Client, path: str, table: str, key: str) -> None:
    client.daemon.wait_for(lambda s: sum(book["fills"] for book in s["books"]) >= 12, "fills")
    newest = client.get(f"/api/live/{path}?limit=1")["rows"][0]
    with closing(sqlite3.connect(client.daemon.state_dir / FILE_NAME)) as db:
        (at,) = db.execute(f"SELECT rowid FROM {table} WHERE {key} = ?", (newest[key],)).fetchone()
        whole = [key for (key,) in db.execute(f"SELECT {key} FROM {table} WHERE rowid <= ? ORDER BY rowid DESC", (at,))]
        rows: list[Any] = []
        cursor: int | None = at + 1
        written = f"SELECT max(rowid) FROM {table}"
        while cursor is not None:
            page = client.get(f"/api/live/{path}?limit={len(whole) // 15 + 1}&cursor={cursor}")
            rows, cursor = rows + page["rows"], page["next"]
            eventually(lambda: db.execute(written).fetchone()[0] > at, "more are written meanwhile")

    assert [row[key] for row in rows] == whole


@pytest.mark.slow
def test_cursors_of_ones_own_making_and_absurd_ranges_are_answered(client: Client) -> None:
    far = 2**63 - 1
    for path in ("fills", "order-history", "audit", "sessions", "bars"):
        for cursor in (1, far, -1, 2**63, "x", "1.5", "%00", "9" * 400):
            expected = 200 if cursor in (1, far) else 400
            assert client.ask("GET", f"/api/live/{path}?cursor={cursor}").status == expected, (path, cursor)
    assert [client.ask("GET", f"/api/live/profit?cursor={c}").status for c in (far, -far - 1, far + 1)] == [
        200,
        200,
        400,
    ]
    for asked in (f"from_ns={far}&to_ns={-far - 1}", f"from_ns={-far - 1}&to_ns={far}", f"from_ns={far}"):
        for path in ("fills?limit=2", "equity?points=2"):
            assert client.ask("GET", f"/api/live/{path}&{asked}").status == 200, (path, asked)
    assert client.get(f"/api/live/bars?to_ns={-far - 1}")["rows"] == []
    assert client.get(f"/api/live/fills?from_ns={far}")["rows"] == []
    assert client.get(f"/api/live/equity?from_ns={far}&to_ns=0")["points"] == []
    assert client.get(f"/api/live/logs?after={far}")["rows"], "counted by a console that is gone"


@pytest.mark.slow
def test_the_equity_curve_is_thinned_and_keeps_its_ends_and_extremes(client: Client) -> None:
    client.daemon.wait_for(lambda s: s["last_input"]["seq"] > 300, "bars")
    to_ns = client.get("/api/live/equity")["points"][-1]["ts_ns"]
    whole = client.get(f"/api/live/equity?points=5000&to_ns={to_ns}")
    thin = client.get(f"/api/live/equity?points=7&to_ns={to_ns}")

    points = thin["points"]
    assert 2 <= len(points) <= 7
    assert whole["points"][-1]["equity"] == points[-1]["equity"]
    assert min(point["low"] for point in points) == min(point["low"] for point in whole["points"])
    assert max(point["high"] for point in points) == max(point["high"] for point in whole["points"])
    assert whole["start_cash"] == 100_000
    assert client.get(f"/api/live/equity?from_ns={to_ns + 10**15}")["points"] == []


@pytest.mark.slow
def test_what_was_gained_is_told_by_periods_and_on_the_command_line(
    client: Client, invoke: Callable[..., Run], tmp_path: Path
) -> None:
    def fills_count() -> int:
        return sum(book["fills"] for book in client.daemon.status()["books"])

    client.daemon.wait_for(lambda s: sum(book["fills"] for book in s["books"]) > 3, "fills")
    before = fills_count()
    days = client.get("/api/live/profit?limit=1000")
    after = fills_count()
    where = ("--state-dir", str(client.daemon.state_dir))
    months = invoke("ctl", "profit", *where, "--by", "month", "--json").json
    people = invoke("ctl", "profit", *where).output

    assert (days["by"], days["rows"][-1]["date"], days["rows"][-1]["start_equity"]) == ("day", "2024-01-01", 100_000)
    assert sum(row["profit"] for row in days["rows"]) == pytest.approx(days["rows"][0]["equity"] - 100_000)
    assert before <= sum(row["fills"] for row in days["rows"]) <= after
    for row in days["rows"]:
        assert row["share"] * row["start_equity"] == pytest.approx(row["profit"])
    assert sum(month["profit"] for month in months["rows"]) == pytest.approx(months["rows"][0]["equity"] - 100_000)
    assert {book["strategy"] for book in months["books"]} == {"Holder", "ema_cross"}
    assert re.search(r"2024-01-01 +\S +[+-][\d,.]+ +\S +[+-][\d.]+%", people), people
    assert "ema_cross" in people
    assert invoke("ctl", "profit", *where, "--by", "dya").refusal == (
        "--by dya: one of day, week, month (did you mean 'day'?)"
    )
    assert invoke("ctl", "profit", *where, "--last", "0").refusal == "--last 0: from 1 to 1,000"
    endpoint = json.loads((client.daemon.state_dir / "endpoint.json").read_bytes())
    (tmp_path / "endpoint.json").write_text(json.dumps(endpoint | {"console": ""}))
    assert "this daemon runs without one" in invoke("ctl", "profit", "--state-dir", str(tmp_path)).refusal


@pytest.mark.slow
def test_bars_are_the_journals_and_larger_ones_are_made_of_them(client: Client) -> None:
    client.daemon.wait_for(lambda s: s["last_input"]["seq"] > 400, "bars")
    to_ns = client.get("/api/live/bars?limit=1")["rows"][0]["close_ns"]
    reader = JournalReader(client.daemon.state_dir / FILE_NAME)
    told = [decode_input(record.payload) for record in reader.records(1) if record.ts_ns <= to_ns]
    reader.close()

    bars = walk_bars(client, f"/api/live/bars?to_ns={to_ns}", 150)

    fields = ("open_ns", "close_ns", "open", "high", "low", "close", "volume")
    assert [tuple(bar[name] for name in fields) for bar in bars] == [
        tuple(getattr(bar, name) for name in fields) for bar in told if isinstance(bar, Bar)
    ]
    hours = walk_bars(client, f"/api/live/bars?timeframe=1h&to_ns={to_ns}", 3)
    assert len(hours) >= 6
    for hour in hours[:-1]:
        within = [bar for bar in bars if hour["open_ns"] <= bar["open_ns"] < hour["close_ns"]]
        assert (hour["complete"], len(within)) == (True, 60)
        assert (hour["open"], hour["close"]) == (within[0]["open"], within[-1]["close"])
        assert (hour["high"], hour["low"]) == (max(b["high"] for b in within), min(b["low"] for b in within))
        assert hour["volume"] == pytest.approx(sum(bar["volume"] for bar in within))


@pytest.mark.slow
def test_bars_stand_beside_what_their_strategy_was_told(client: Client) -> None:
    client.daemon.wait_for(lambda s: s["last_input"]["seq"] > 400, "bars")
    rows = client.get("/api/live/bars?strategy=ema_cross&limit=100")["rows"]
    known = [row for row in rows if row["features"] is not None]

    assert len(known) >= 50
    for before, row in pairwise(known):
        fast = before["features"]["fast"] + 2 / 4 * (row["close"] - before["features"]["fast"])
        assert row["features"]["fast"] == pytest.approx(fast)
    assert client.get("/api/live/bars?limit=5")["rows"][0]["features"] is None


def walk_bars(client: Client, path: str, limit: int) -> list[Any]:
    """Return all bars, taken page by page from the newest."""
    rows: list[Any] = []
    cursor: int | None = 0
    while cursor is not None:
        page = client.get(f"{path}&limit={limit}&cursor={cursor}")
        rows, cursor = page["rows"] + rows, page["next"]
    return rows


@pytest.mark.slow
def test_sessions_are_listed_with_their_runs(client: Client) -> None:
    (session,) = client.get("/api/live/sessions")["rows"]

    assert session["session"] == client.daemon.status()["session"]
    assert (session["status"], session["mode"], session["strategies"]) == ("open", "paper", ["Holder", "ema_cross"])
    assert [(run["run"], run["outcome"]) for run in session["runs"]] == [(1, "running")]
    assert client.get(f"/api/live/fills?session={session['session']}&limit=1")["rows"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/live/fills?session=20240101T000000Z-1", 404, "there is no session"),
        ("/api/live/bars?symbol=SYN/USDTT", 400, "did you mean 'SYN/USDT'?"),
        ("/api/live/bars?strategy=ema_cros", 400, "did you mean 'ema_cross'?"),
        ("/api/live/bars?timeframe=90s", 400, "90s is no multiple of 1m"),
        ("/api/live/bars?timeframe=often", 400, "is no timeframe"),
        ("/api/live/bars?limit=0", 400, "`limit`"),
        ("/api/live/profit?by=year", 400, "`by`"),
        ("/api/live/logs?level=loud", 400, "`level`"),
    ],
)
def test_what_does_not_exist_is_refused_by_its_name(client: Client, path: str, status: int, words: str) -> None:
    answer = client.ask("GET", path)

    assert (answer.status, words in answer.body["error"]) == (status, True), answer


@pytest.mark.slow
def test_what_a_client_has_already_is_not_sent_again(client: Client) -> None:
    first = client.ask("GET", "/api/live/config")

    tag = first.headers["ETag"]
    for sent in (tag, f"W/{tag}", f'"another", {tag}', "*"):  # what lies between may weaken it
        again = client.ask("GET", "/api/live/config", headers={"If-None-Match": sent})
        assert (again.status, again.raw, again.headers["ETag"]) == (304, b"", tag)
    assert client.ask("GET", "/api/live/config", headers={"If-None-Match": '"another"'}).raw == first.raw


@pytest.mark.slow
def test_settings_are_shown_without_secrets(client: Client) -> None:
    answer = client.ask("GET", "/api/live/config")

    settings = answer.body["settings"]
    assert settings["strategies"][1]["params"] == {"fast": 3, "slow": 6}
    assert settings["exchange"]["options"] == {
        "secretOfMine": "[redacted]",
        "proxy": "http://[redacted]@proxy.example:3128",
    }
    assert b"an-exchange-secret" not in answer.raw


@pytest.mark.slow
def test_the_log_is_told_by_level_and_words(client: Client) -> None:
    everything = client.get("/api/live/logs?limit=1000")
    numbers = [line["number"] for line in everything["rows"]]

    assert numbers == sorted(numbers)
    fills = client.get("/api/live/logs?text=SELL&limit=3")["rows"]
    assert {(line["event"], line["fields"]["side"]) for line in fills} == {("fill", "sell")}
    assert client.get("/api/live/logs?level=critical")["rows"] == []
    later = client.get(f"/api/live/logs?after={everything['next']}")["rows"]
    assert all(line["number"] > everything["next"] for line in later)
    assert client.daemon.token not in json.dumps(everything)


@pytest.mark.slow
def test_every_strategy_in_the_box_has_the_schema_of_its_parameters(client: Client) -> None:
    listed = {row["name"]: row for row in client.get("/api/strategies")["rows"]}

    fast = listed["ema_cross"]["params"]["properties"]["fast"]
    assert fast.pop("description") == "Bars of the fast average."
    assert fast == {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 10}
    assert all(row["doc"] and "properties" in row["params"] for row in listed.values())
    assert set(listed) == set(BUILT_IN)


def test_only_the_newest_lines_are_kept_and_found_from_the_newest_on() -> None:
    lines = Lines(3)
    lines.take({"number": n + 1, "wall_ns": n, "level": "info", "event": f"e{n}", "note": "x"} for n in range(5))

    found = lines.find(after=0, level="info", text="E", limit=2)

    assert [(line.number, line.event, line.fields) for line in found.rows] == [
        (4, "e3", {"note": "x"}),
        (5, "e4", {"note": "x"}),
    ]
    assert found.next == 5
    assert [line.number for line in lines.find(0, "debug", "", 10).rows] == [3, 4, 5]
    assert lines.find(5, "debug", "", 10).rows == ()
    assert len(lines.find(4_000, "debug", "", 10).rows) == 3, "counted by a console that is gone"


def test_bars_kept_in_memory_are_bounded_for_each_and_for_all() -> None:
    def row(strategy: str, opening: int) -> msgspec.Raw:
        bar = BarRow(
            strategy=strategy,
            symbol="X",
            timeframe="1m",
            seq=1,
            open_ns=opening,
            close_ns=opening + 1,
            open=1.0,
            high=1.0,
            low=1.0,
            close=1.0,
            volume=1.0,
            features={"f": float(opening)},
        )
        return msgspec.Raw(msgspec.json.encode(bar))

    rows = Rows(kept_max=4, total_max=6)
    rows.take(row("a", opening) for opening in range(10))
    assert list(rows.features("a", "X", "1m")) == [6, 7, 8, 9]
    rows.take(row(name, opening) for opening in range(10, 20) for name in ("a", "b", "c"))

    assert [list(rows.features(name, "X", "1m")) for name in ("a", "b", "c")] == [[18, 19]] * 3
    assert rows.features("a", "X", "5m") == rows.features("d", "X", "1m") == {}
