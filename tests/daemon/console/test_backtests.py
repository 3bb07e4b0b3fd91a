"""Backtests over the API: real processes, from being asked for to whatever ends them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest

from actors.instrument import Instrument, InstrumentSpec
from actors.messages import Fill
from config.schema import Backtests
from daemon.commands.data_synthesize import synthesize_command
from daemon.console.backtest_types import BacktestRequest, BacktestResult, BacktestRow, Kept
from daemon.console.jobs.results import round_trips
from daemon.console.jobs.store import Piece, Store
from replay.run import replay
from replay.tape import Tape, open_tape, synthetic_tape
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from tests.daemon.conftest import Nursery, eventually
from tests.daemon.console.conftest import WITH_CONSOLE, Client, wait_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.daemon.conftest import Answer, Run

MINUTE_NS = 60_000_000_000
BARS = 17_000
"""More than are played between two words of how far it is."""
NAME = "test:SYN/USDT:1m"
LIMITS = ("running_max=1", "queued_max=2", "kept_max=30")
EMA = {"strategy": "ema_cross", "params": {"fast": 5, "slow": 20}, "tape": [NAME]}
HOLD = {"strategy": "buy_and_hold", "tape": [NAME]}


class Place(Client):
    """A console with a catalogue.

    Attributes:
        data: where the catalogue is.
    """

    data: Path

    def post(self, body: Any, key: str = "") -> Answer:
        headers = {"Idempotency-Key": key} if key else {}
        return self.ask("POST", "/api/backtests/run", json.dumps(body).encode(), headers)

    def begin(self, body: Any) -> int:
        answer = self.post(body)
        assert answer.status == 202, answer
        return int(answer.body["id"])

    def row(self, number: int) -> Any:
        return self.get(f"/api/backtests/{number}")["row"]

    def wait(self, number: int, *states: str) -> Any:
        def look() -> Any:
            row = self.row(number)
            assert row["state"] in {"queued", "running", *states}, row
            if row["state"] in states:
                return row
            time.sleep(0.05)  # who asks all the time takes the processor from it
            return None

        return eventually(look, f"backtest {number} is {states}")

    def stopped(self, body: Any) -> Any:
        """Return a backtest whose process stands still."""
        row = self.wait(self.begin(body), "running")
        own = os.getpriority(os.PRIO_PROCESS, self.pid)
        eventually(lambda: os.getpriority(os.PRIO_PROCESS, row["pid"]) > own, "it lets even the console go first")
        os.kill(row["pid"], signal.SIGSTOP)
        return row

    def all(self, path: str, limit: int) -> list[Any]:
        """Return all rows of a list, read page by page."""
        rows: list[Any] = []
        cursor: int | None = 0
        while cursor is not None:
            page = self.get(f"{path}limit={limit}&cursor={cursor}")
            rows += page["rows"]
            cursor = page["next"]
        return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("backtests")
    chunks = synthetic_tape(f"5:{BARS}").series[0].chunks()
    frames = [
        pl.DataFrame({"ts": chunk.open_ns} | {name: getattr(chunk, name) for name in chunk.__struct_fields__[1:]})
        for chunk in chunks
    ]
    for symbol in ("SYN/USDT", "GONE/USDT"):
        Catalogue(folder / "data").write(SeriesKey("bars", "test", symbol, MINUTE_NS), frames, Provenance("made up"))
    kinds = ("trades", "quotes", "flow")
    synthesize_command(7, 600, kinds, ("SYN/USDT",), 0.6, 2, 0, None, folder / "data", as_json=True)
    nursery = Nursery(folder)
    limits = [word for limit in LIMITS for word in ("--set", f"backtests.{limit}")]
    made = Place(nursery(*WITH_CONSOLE, *limits, "--data-dir", str(folder / "data")))
    made.data = folder / "data"
    yield made
    nursery.close()


def played(place: Place) -> Tape:
    return open_tape([NAME], data_dir=place.data)


async def told_of(place: Place, body: Any) -> tuple[int, list[int]]:
    """Return a backtest that is done, and how far the stream has said it was."""
    states: list[str] = []
    bars: list[int] = []
    async with place.stream() as stream:
        await stream.next()
        number = place.begin(body)
        while states[-1:] != ["done"]:
            row = (await stream.next()).get("set", {}).get("backtests", {}).get(str(number))
            if row is None:
                continue
            if row["state"] not in states:
                states.append(row["state"])
            if row["bars_total"] and not bars:  # its tape is open
                os.kill(row["pid"], signal.SIGSTOP)
                await asyncio.sleep(0.25)  # as if it took its time
                os.kill(row["pid"], signal.SIGCONT)
            if row["bars_total"]:
                bars.append(row["bars_done"])
    assert states in (["queued", "running", "done"], ["running", "done"])
    assert bars == sorted(bars)
    return number, bars


@pytest.mark.slow
async def test_its_numbers_are_those_of_a_replay(place: Place, invoke: Callable[..., Run]) -> None:
    settings = {"account": {"cash": 50_000}, "venue": {"slippage_bps": 2.5}, "risk": {"max_position": 0.07}}
    for _ in range(10):  # on a busy machine we may hear of it when it is over
        number, told = await told_of(place, EMA | {"settings": settings})
        if any(0 < done < BARS for done in told):
            break
    assert any(0 < done < BARS for done in told), "how far it is, is told while it runs"

    words = ("account.cash=50000", "venue.slippage_bps=2.5", "risk.max_position=0.07")
    run = invoke(
        *("replay", "--json", "--tape", NAME, "--data-dir", str(place.data), "--strategy", "ema_cross"),
        *("-p", "fast=5", "-p", "slow=20"),
        *(word for each in words for word in ("--set", each)),
    )
    whole = place.get(f"/api/backtests/{number}")
    summary, expected = whole["result"]["summary"], run.json
    for timing in ("wall_s", "bars_per_s"):
        assert summary.pop(timing) > 0
        del expected[timing]
    assert summary == expected
    assert summary["limits"] == ["max_position=0.07"]
    assert summary["trades"] > 10
    row = whole["row"]
    assert (row["bars_done"], row["bars_total"], row["pid"]) == (BARS, BARS, None)
    names = ("final_equity", "fills", "trades", "sharpe", "max_drawdown")
    assert {name: row[name] for name in names} == {name: expected[name] for name in names}
    assert whole["request"]["params"] == {"fast": 5, "slow": 20}
    lines = place.daemon.eventually(
        lambda: [line for line in place.daemon.events("backtest_ended") if line["id"] == number], "the log has it"
    )
    assert [(line["state"], line["reason"]) for line in lines] == [("done", "")]

    again = replay(played(place), "ema_cross", EMA["params"], dict(word.split("=") for word in words))  # type: ignore[arg-type]
    path = f"/api/backtests/{number}"
    fills = place.all(f"{path}/fills?", 70)
    columns = ("order_id", "trade_id", "side", "price", "quantity", "fee", "liquidity", "synthetic")
    assert [tuple(one[name] for name in columns) for one in fills] == again.fills.select(columns).rows()
    assert [one["executed_ns"] // 10**6 for one in fills] == again.fills["ts"].to_list()
    assert place.all(f"{path}/orders?", 1_000) == again.orders.drop("ref").to_dicts()
    trades = place.all(f"{path}/trades?", 1_000)
    assert len(trades) == expected["trades"] == whole["result"]["trades"]["rows"]
    assert sum(one["profit"] for one in trades) == pytest.approx(expected["realized_pnl"])
    curve = place.get(f"{path}/equity?points=50")
    assert curve["start_equity"] == 50_000
    assert len(curve["points"]) <= 50
    assert curve["points"][-1]["equity"] == expected["final_equity"]
    equity = again.equity["equity"]
    assert min(one["low"] for one in curve["points"]) == pytest.approx(equity.min())
    assert max(one["high"] for one in curve["points"]) == pytest.approx(equity.max())


@pytest.mark.slow
def test_its_chart_is_the_tape_with_the_features_of_its_strategy_also_of_a_part_of_the_time(
    place: Place, invoke: Callable[..., Run]
) -> None:
    tape = played(place)
    start_ns = tape.start_ns + 2_000 * MINUTE_NS + 1_000
    end_ns = tape.start_ns + 7_000 * MINUTE_NS
    number = place.begin(EMA | {"from_ns": start_ns, "to_ns": end_ns, "symbols": ["SYN/USDT"]})
    done = place.wait(number, "done")
    assert done["bars_total"] == 4_999
    times = [datetime.fromtimestamp(ns / 1e9, UTC).isoformat() for ns in (start_ns, end_ns)]
    words = ("--from", times[0], "--to", times[1], "--strategy", "ema_cross", "-p", "fast=5", "-p", "slow=20")
    run = invoke("replay", "--json", "--tape", NAME, "--data-dir", str(place.data), *words)
    assert run.json["digest"] == place.get(f"/api/backtests/{number}")["result"]["summary"]["digest"]
    path = f"/api/backtests/{number}/bars?"
    part = open_tape([NAME], data_dir=place.data, span=(start_ns, end_ns))
    bars = list(part.bars())

    rows: list[Any] = []
    cursor: int | None = 0
    while cursor is not None:
        page = place.get(f"{path}limit=900&cursor={cursor}")
        rows = page["rows"] + rows
        cursor = page["next"]
    assert [[row[name] for name in ("open_ns", "open", "high", "low", "close", "volume")] for row in rows] == [
        [bar.open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars
    ]
    assert all(row["complete"] for row in rows)
    told = [row["features"] for row in rows if row["features"]]
    assert told[-1].keys() == {"fast", "slow"}
    assert rows[-1]["features"] == told[-1]
    alpha = 2 / 6
    assert told[-1]["fast"] == pytest.approx(told[-2]["fast"] + alpha * (rows[-1]["close"] - told[-2]["fast"]))

    hours = place.get(f"{path}timeframe=1h&limit=3&cursor={rows[-1]['open_ns']}")
    within = [row for row in rows if hours["rows"][1]["open_ns"] <= row["open_ns"] < hours["rows"][1]["close_ns"]]
    assert len(within) == 60
    assert hours["rows"][1] == {
        "open_ns": within[0]["open_ns"],
        "close_ns": within[-1]["close_ns"],
        "open": within[0]["open"],
        "high": max(row["high"] for row in within),
        "low": min(row["low"] for row in within),
        "close": within[-1]["close"],
        "volume": pytest.approx(sum(row["volume"] for row in within)),
        "complete": True,
        "features": None,
    }
    assert hours["rows"][2]["close_ns"] <= rows[-1]["open_ns"]
    assert hours["next"] == hours["rows"][0]["open_ns"]
    (century,) = place.get(f"{path}timeframe=5200w&limit=2")["rows"]
    assert (century["open"], century["close"], century["complete"]) == (rows[0]["open"], rows[-1]["close"], False)
    for wrong in ("timeframe=90s", "timeframe=999999w", "timeframe=soon", "symbol=SYN/USD"):
        answer = place.ask("GET", f"{path}{wrong}")
        assert (answer.status, wrong.partition("=")[0] in answer.body["error"]) == (400, True)


@pytest.mark.slow
def test_whatever_ends_one_is_told_and_others_get_their_turn(place: Place) -> None:
    first = place.stopped(HOLD)
    waiting = [place.begin(HOLD | {"tape": ["test:GONE/USDT:1m"]}), place.begin(HOLD | {"memory_mb": 1})]
    shutil.rmtree(Catalogue(place.data).folder(SeriesKey("bars", "test", "GONE/USDT", MINUTE_NS)))
    full = place.post(HOLD)
    assert (full.status, "2 backtests wait already" in full.body["error"]) == (429, True)
    assert place.ask("DELETE", f"/api/backtests/{first['id']}").status == 409
    assert place.ask("GET", f"/api/backtests/{first['id']}/equity").status == 409

    cancelled = place.ask("POST", f"/api/backtests/{first['id']}/cancel")
    assert (cancelled.status, cancelled.body["state"], cancelled.body["pid"]) == (200, "cancelled", None)
    wait_gone(first["pid"])
    assert place.ask("POST", f"/api/backtests/{first['id']}/cancel").status == 409

    gone = place.wait(waiting[0], "failed")["error"]
    assert gone.startswith("there is no series of bars test:GONE/USDT:1m")
    assert str(place.data) not in gone
    assert "memory" in place.wait(waiting[1], "failed")["error"]
    wrong, behind = place.begin(HOLD | {"symbols": ["OTHER"]}), place.begin(HOLD)
    assert place.ask("POST", f"/api/backtests/{behind}/cancel").body["state"] == "cancelled"
    assert place.wait(wrong, "failed")["error"] == "strategy buy_and_hold: no tape for OTHER"

    ended = place.get("/api/backtests?state=cancelled&limit=1")
    assert [row["id"] for row in ended["rows"]] == [behind]
    assert [row["id"] for row in place.get(f"/api/backtests?state=cancelled&cursor={ended['next']}")["rows"]] == [
        first["id"]
    ]


@pytest.mark.slow
def test_trades_with_quotes_and_a_series_beside_them_are_played_as_replay_does(
    place: Place, invoke: Callable[..., Run]
) -> None:
    tape = [f"{kind}:synthetic-7:SYN/USDT" for kind in ("trades", "quotes")]
    flow = "values:synthetic-7:SYN/USDT-flow"
    number = place.begin(EMA | {"tape": tape, "timeframe": "5m", "series": [{"name": "flow", "series": flow}]})
    words = [word for name in tape for word in ("--tape", name)]
    words += [
        "--timeframe",
        "5m",
        "--series",
        f"flow={flow}",
        "--strategy",
        "ema_cross",
        "-p",
        "fast=5",
        "-p",
        "slow=20",
    ]
    expected = invoke("replay", "--json", "--data-dir", str(place.data), *words).json

    row = place.wait(number, "done")

    summary = place.get(f"/api/backtests/{number}")["result"]["summary"]
    assert (summary["digest"], summary["notes"]) == (expected["digest"], expected["notes"])
    assert "flow" in str(summary["notes"])
    assert row["bars_done"] == expected["bars"] == 119
    chart = place.get(f"/api/backtests/{number}/bars?limit=1000")
    assert (chart["symbol"], chart["timeframe"], len(chart["rows"])) == ("SYN/USDT", "5m", 119)
    assert chart["rows"][-1]["features"].keys() == {"fast", "slow"}


@pytest.mark.slow
def test_when_its_console_dies_one_is_lost_and_what_was_done_and_what_waits_is_not(place: Place) -> None:
    ended = place.get("/api/backtests?state=done&limit=1")["rows"]
    done = ended[0]["id"] if ended else place.begin(HOLD)
    place.wait(done, "done")
    before = place.get(f"/api/backtests/{done}")
    row = place.stopped(HOLD)
    waiting = place.begin(HOLD)

    os.kill(place.pid, signal.SIGKILL)
    wait_gone(row["pid"])
    lost = eventually(lambda: row["pid"] and _answered(place, row["id"]), "a console answers")

    assert (lost["state"], lost["error"]) == ("lost", "the console ended while it ran")
    assert place.get(f"/api/backtests/{done}") == before
    assert place.wait(waiting, "done")["bars_done"] == BARS
    assert place.daemon.process.poll() is None
    removed = place.ask("DELETE", f"/api/backtests/{done}")
    assert (removed.status, removed.body["id"]) == (200, done)
    assert place.ask("GET", f"/api/backtests/{done}").status == 404


def _answered(place: Place, number: int) -> Any:
    try:
        return place.row(number)
    except OSError:
        return None


@pytest.mark.slow
def test_one_key_is_one_backtest(place: Place) -> None:
    body = HOLD | {"to_ns": synthetic_tape("5:1").start_ns + 100 * MINUTE_NS}
    first = place.post(body, "a-key")
    again = place.post(body, "a-key")
    other = place.post(HOLD, "a-key")

    assert (first.body["repeated"], again.body) == (False, {"id": first.body["id"], "repeated": True})
    assert (other.status, "already used" in other.body["error"]) == (409, True)
    assert place.post(body, "x" * 201).status == 400
    place.ask("POST", f"/api/backtests/{first.body['id']}/cancel")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strategy": "ema_cros"}, "strategy: there is no 'ema_cros' (did you mean 'ema_cross'?)"),
        ({"strategy": "tests/daemon/user_strategies.py:Holder"}, "strategy: there is no"),
        ({"params": {"fsat": 5}}, "there is no parameter fsat (did you mean 'fast'?)"),
        ({"params": {"fast": "five"}}, "parameter fast: Expected `int`, got `str`"),
        ({"params": {"fast": 0}}, "parameter fast: Expected `int` >= 1"),
        ({"params": {"fast": 10**30}}, "params.fast"),
        ({"tape": ["test:SYN/USD:1m"]}, "(did you mean 'test:SYN/USDT:1m'?)"),
        ({"tape": ["/etc/passwd"]}, "tape: '/etc/passwd' is no name of a series"),
        ({"tape": ["test:../../SYN:1m"]}, "tape: '../../SYN' is no symbol"),
        ({"tape": []}, "`tape`"),
        ({"tape": "test:SYN/USDT:1m"}, "Expected `array`, got `str` - at `tape`"),
        ({"series": [{"name": "SYN/USDT", "series": "../x.csv"}]}, "series: "),
        ({"series": [{"name": "SYN/USDT", "serie": "x"}]}, "series[0].serie (did you mean 'series'?)"),
        ({"timeframe": "5m"}, "timeframe: test:SYN/USDT:1m has bars of 1m"),
        ({"timeframe": "soon"}, "'soon' is no timeframe"),
        ({"from_ns": 5, "to_ns": 5}, "from_ns must be before to_ns"),
        ({"from_ns": 0, "to_ns": 5}, "no bar of test:SYN/USDT:1m opens then"),
        ({"settings": {"venu": {}}}, "settings.venu (did you mean 'venue'?)"),
        ({"settings": {"http": {"port": 1}}}, "settings.http"),
        ({"settings": {"venue": {"taker_fe": 1}}}, "venue.taker_fe (did you mean 'taker_fee'?)"),
        ({"settings": {"venue": {"taker_fee": 3}}}, "taker_fee must be a number of at least -1 and at most 1, not 3"),
        ({"settings": {"risk": {"max_open_orders": 0}}}, "max_open_orders"),
        ({"strateg": "x"}, "there is no field strateg (did you mean 'strategy'?)"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_field_and_the_nearest_name(
    place: Place, changes: dict[str, Any], words: str
) -> None:
    answer = place.post(EMA | changes)

    assert (answer.status, words in answer.body["error"]) == (400, True), answer.body
    assert str(place.data) not in answer.body["error"]
    assert "\n" not in answer.body["error"]


@pytest.mark.slow
def test_the_catalogue_is_listed_and_a_reader_cannot_run_anything(place: Place) -> None:
    (row,) = place.get("/api/series?kind=bars&text=syn")["rows"]
    assert (row["name"], row["rows"], row["timeframe"]) == (NAME, BARS, "1m")
    assert place.get("/api/series?text=other")["rows"] == []
    token = (place.daemon.state_dir / "read.token").read_text().strip()
    assert place.ask("POST", "/api/backtests/run", json.dumps(HOLD).encode(), token=token).status == 403
    assert place.ask("GET", "/api/backtests/999999999").status == 404
    assert place.ask("GET", "/api/backtests/x").status == 400


def test_round_trips_end_flat_or_on_the_other_side() -> None:
    def fill(number: int, side: int, lots: int, ticks: int, fee: int) -> Fill:
        return Fill(
            order_id=str(number), ref=number, strategy="s", symbol="A", trade_id=number, side=side, price_ticks=ticks,
            quantity_lots=lots, remaining_lots=0, fee_atoms=fee, liquidity="taker", executed_ns=number,
        )  # fmt: skip

    tick, lot = msgspec.convert("0.5", type=InstrumentSpec.__annotations__["tick"]), 1
    instruments = {"A": Instrument(InstrumentSpec(symbol="A", tick=tick, lot=Decimal(lot)))}
    fills = [
        fill(1, 1, 2, 20, 4),
        fill(2, 1, 2, 40, 4),
        fill(3, -1, 1, 50, 1),
        fill(4, -1, 5, 60, 10),
        fill(5, 1, 2, 50, 2),
    ]

    long, short = round_trips(fills, instruments)

    assert (long.side, long.quantity, long.entry, long.exit, long.fills) == ("long", 4, 15.0, 28.75, 4)
    assert (long.profit, long.fees) == (55, Decimal("15e-8"))
    assert (short.side, short.quantity, short.entry, short.exit) == ("short", 2, 30.0, 25.0)
    assert (short.profit, short.fees, short.opened_ns, short.closed_ns) == (10, Decimal("6e-8"), 4, 5)


def test_the_oldest_go_when_there_are_too_many_or_they_take_too_much_room(tmp_path: Path) -> None:
    store = Store(tmp_path / "backtests.sqlite")
    assert store.open() == {}
    row = BacktestRow(id=0, state="running", strategy="s", params={}, tape=("x",), by="me", created_ns=1)
    request = msgspec.json.encode(BacktestRequest(strategy="s", tape=("x",)))
    nothing = Kept(rows=0, kept=0)
    result = BacktestResult(
        summary={}, charts=(), features=(), features_timeframe="", fills=nothing, orders=nothing, trades=nothing
    )
    numbers = [store.add(None, request, b"", row).id for _ in range(6)]
    for number in numbers:
        assert store.finish(number, {}, result, [Piece("fills", 0, os.urandom(600_000))])
        assert not store.finish(number, {}, result, [])

    assert store.put(msgspec.structs.replace(row, id=numbers[0], state="cancelled")).state == "done"
    assert store.trim(numbers, Backtests(kept_max=5)) == numbers[:1]
    assert store.trim(numbers[1:], Backtests(size_mb_max=2)) == numbers[1:3]
    assert sorted(store.open()) == numbers[3:]
