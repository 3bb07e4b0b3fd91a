"""Perpetuals beside spot: one tape and one clock, accounts and stores of their own, and what was said is kept."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.errors import UserError
from replay.exchange import venue as venues
from replay.exchange.model import Event, Market, MarkPrice, NewOrder, Printed, VenueError, perpetual_of
from replay.exchange.perpetual import PerpetualEngine
from replay.exchange.recording import Recording, is_contract_feed
from replay.exchange.store import FILE_NAME, FUTURES_FILE_NAME
from replay.exchange.venue import Venue, open_futures, open_venue
from replay.tape import synthetic_tape

D = Decimal
HERE = Path(__file__).resolve()
CHILD = HERE.with_name("perpetual_child.py")
DATA = Path(os.environ.get("PITBOSS_SHARED_DATA", HERE.parents[4] / "shared" / "data"))
RAW = DATA / "book" / "raw"
SYN = Market(symbol="SYN/USDT", id="SYNUSDT", base="SYN", quote="USDT", tick=D("0.01"), lot=D("0.00001"))
NS_PER_S = 10**9
START_NS = 1_700_000_000 * NS_PER_S

Both = tuple[Venue[Any], Venue[PerpetualEngine]]
Opening = Callable[..., Awaitable[Both]]


def _load_child() -> Any:
    spec = importlib.util.spec_from_file_location("perpetual_child", CHILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


child = _load_child()


class Wall:
    """A clock on the wall that is moved by hand."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def go(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    made = Wall()
    monkeypatch.setattr(venues, "time", SimpleNamespace(time_ns=lambda: made.now_ns))
    return made


@pytest.fixture
async def opening() -> AsyncIterator[Opening]:
    """Return what opens spot and perpetuals on one tape; what is still open in the end is closed."""
    opened: list[Venue[Any]] = []

    async def make(state_dir: Path | None = None, tape: str = "7:500", **changes: Any) -> Both:
        fees: dict[str, Any] = {"maker_fee": D("0.001"), "taker_fee": D("0.001"), "spread_ticks": 2}
        source = synthetic_tape(tape)
        common: dict[str, Any] = {"state_dir": state_dir, "tape": source, "balances": {"USDT": D(100_000)}, **fees}
        speed = changes.pop("speed", 1.0)
        spot = await open_venue(markets=[SYN], speed=speed, **common)
        opened.append(spot)
        futures = await open_futures(spot, markets=[perpetual_of(SYN)], **(common | changes))
        opened.append(futures)
        return spot, futures

    yield make
    for venue in opened:
        await venue.close()


def prints(venue: Venue[Any]) -> list[tuple[int, int, int]]:
    """Return the trades printed: time, price, and size in the larger of the two steps."""
    lot = venue.engine.market("SYNUSDT").lot
    found = venue.engine.recent_trades("SYNUSDT", 10**6)
    return [(each.time_ms, each.price_ticks, int(each.quantity_lots * lot / D("0.001"))) for each in found]


async def test_both_families_are_shown_the_same_trades_at_the_same_time(wall: Wall, opening: Opening) -> None:
    spot, futures = await opening(speed=60.0)
    for _ in range(20):
        wall.go(1)
        await spot.catch_up()
        await futures.catch_up()
        assert spot.now_ms() == futures.now_ms()
    told = prints(futures)
    assert len(told) > 60
    assert [each[:2] for each in told] == [each[:2] for each in prints(spot)]
    assert all(abs(one[2] - other[2]) <= 3 for one, other in zip(told, prints(spot), strict=True))


async def test_both_go_on_where_they_were_with_one_clock(wall: Wall, opening: Opening, tmp_path: Path) -> None:
    for round_number in range(3):
        spot, futures = await opening(tmp_path, speed=60.0)
        wall.go(5)
        await spot.catch_up()
        if round_number != 1:  # once the perpetuals are killed before they have played what the spot markets have
            await futures.catch_up()
        await spot.close()
        await futures.close()
    spot, futures = await opening(tmp_path, speed=30.0)
    assert [each[:2] for each in prints(futures)] == [each[:2] for each in prints(spot)]
    assert spot.clock == futures.clock
    assert spot.clock.speed == 30
    assert (tmp_path / FILE_NAME).exists()
    assert (tmp_path / FUTURES_FILE_NAME).exists()


async def test_perpetuals_that_come_later_begin_where_the_tape_is(wall: Wall, opening: Opening, tmp_path: Path) -> None:
    spot, futures = await opening(tmp_path, speed=60.0)
    wall.go(100)
    await spot.catch_up()
    await spot.close()
    await futures.close()
    (tmp_path / FUTURES_FILE_NAME).unlink()
    wall.go(2)
    spot, futures = await opening(tmp_path, speed=60.0)
    assert 0 < len(prints(futures)) <= 12
    assert [each[:2] for each in prints(futures)] == [each[:2] for each in prints(spot)[-len(prints(futures)) :]]


async def test_what_is_done_on_one_is_not_seen_on_the_other(wall: Wall, opening: Opening) -> None:
    spot, futures = await opening()
    new = NewOrder(id="SYNUSDT", side="BUY", type="MARKET", quantity=D("0.1"), client_order_id="mine")
    placed = await futures.commit(lambda engine, now_ms: engine.place(new, now_ms))
    assert placed.status == "FILLED"
    assert spot.engine.all_orders("SYNUSDT") == []
    assert [each.free_atoms for each in spot.engine.balances() if each.asset == "USDT"] == [100_000 * 10**8]
    assert futures.engine.positions("SYNUSDT")[0].amount_lots == 100


async def test_settings_of_a_restart_are_for_what_was_never_set(wall: Wall, opening: Opening, tmp_path: Path) -> None:
    spot, futures = await opening(tmp_path, leverage=10, funding_rate=D("0.01"))
    assert futures.engine.positions("SYNUSDT")[0].leverage == 10
    await futures.commit(lambda engine, now_ms: engine.set_leverage("SYNUSDT", 7, now_ms))
    assert futures.engine.funding_rate("SYNUSDT") == D("0.01")
    await spot.close()
    await futures.close()
    spot, futures = await opening(tmp_path, leverage=50, funding_rate=D("0.02"), funding_hours=1)
    assert futures.engine.positions("SYNUSDT")[0].leverage == 7
    assert futures.engine.funding_rate("SYNUSDT") == D("0.02")
    await futures.commit(lambda engine, now_ms: engine.set_funding_rate(D("0.03"), now_ms))
    await spot.close()
    await futures.close()
    spot, futures = await opening(tmp_path)
    assert futures.engine.funding_rate("SYNUSDT") == D("0.03")
    with pytest.raises(UserError, match="--leverage 126: from 1 to 125"):
        await opening(leverage=126)


async def test_funding_comes_due_as_the_tape_plays(wall: Wall, opening: Opening) -> None:
    _, futures = await opening(speed=3_600.0, funding_rate=D("0.001"))
    new = NewOrder(id="SYNUSDT", side="SELL", type="MARKET", quantity=D("0.1"), client_order_id="mine")
    await futures.commit(lambda engine, now_ms: engine.place(new, now_ms))
    due_ms = futures.engine.next_funding_ms
    for _ in range(8):
        wall.go(1)
        await futures.catch_up()
    (paid,) = futures.engine.income("FUNDING_FEE")
    assert paid.time_ms == due_ms
    assert paid.amount_atoms > 0


async def test_prints_are_made_into_events_only_for_who_hears_them(wall: Wall, opening: Opening) -> None:
    _, futures = await opening(speed=60.0)
    heard: list[Event] = []
    hears = False
    futures.listen(heard.extend, lambda: hears)
    wall.go(2)
    await futures.catch_up()
    assert not [each for each in heard if isinstance(each, Printed)]
    before = len(prints(futures))
    hears = True
    futures.engine.watch("SYNUSDT", True)
    wall.go(2)
    await futures.catch_up()
    assert len([each for each in heard if isinstance(each, Printed)]) == len(prints(futures)) - before > 0
    assert [each for each in heard if isinstance(each, MarkPrice)]


# --- kill -9 ----------------------------------------------------------------------------------------------


def seen(engine: PerpetualEngine) -> Any:
    """Return all there is to see of an account."""
    incomes = engine.income(limit=10**6)
    orders, trades = engine.all_orders("BTCUSDT", limit=10**6), engine.my_trades("BTCUSDT", limit=10**6)
    conditionals = engine.all_conditionals("BTCUSDT", limit=10**6)
    return engine.wallets(), engine.positions(), incomes, orders, trades, conditionals, engine.funding_history()


def done_in_memory(seed: int, count: int) -> Any:
    """Return what is to be seen after so many operations."""
    engine = child.make_engine()
    for number in range(1, count + 1):
        try:
            child.work(seed, number)(engine, 0)
        except VenueError:
            continue
    return seen(engine)


def run_and_kill(state_dir: Path, seed: int, done: int, acknowledgements: int) -> list[int]:
    """Have a process trade on from operation `done`, kill it, and return the operations it acknowledged."""
    command = [sys.executable, str(CHILD), str(state_dir), str(seed), str(done)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[3])}
    with subprocess.Popen(command, cwd=HERE.parents[3], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(acknowledgements)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.stdout]
    assert process.returncode == -signal.SIGKILL
    return said


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_nothing_acknowledged_is_lost_to_a_kill(tmp_path: Path, seed: int) -> None:
    """Three times in a row on one directory: what is found is all that was acknowledged, or a little more."""
    done = 0
    for acknowledgements in (1, 60, 130):
        said = run_and_kill(tmp_path, seed, done, acknowledgements)
        copy = tmp_path.with_name(f"{tmp_path.name}-{done}")
        shutil.copytree(tmp_path, copy)
        spot, futures = await child.open_both(copy)
        found = seen(futures.engine)
        futures.engine.audit()
        await spot.close()
        await futures.close()
        fitting = [count for count in range(max(said), max(said) + 9) if done_in_memory(seed, count) == found]
        assert fitting, f"{max(said)} operations were acknowledged, and what is found is that of no such moment"
        done = max(fitting)
    assert len(found[4]) > 20


# --- recordings -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not RAW.is_dir(), reason="the recorded feeds are not here")
async def test_a_recorded_feed_of_a_perpetual_is_known_and_played(tmp_path: Path) -> None:
    feeds = {path.name.split("_")[0]: path for path in sorted(RAW.glob("binance-*.feed.gz"))}
    assert {name: is_contract_feed(path) for name, path in feeds.items()} == {
        "binance-spot": False,
        "binance-um": True,
    }
    with gzip.open(feeds["binance-um"], "rb") as file:
        lines = [file.readline() for _ in range(2_000)]
    short = tmp_path / "short.feed"
    short.write_bytes(b"".join(lines))
    spot, futures = await child.open_both(None)
    market = perpetual_of(child.SPOT)
    recording = Recording(short, market)
    told: list[str] = []
    await asyncio.wait_for(recording.play(futures, 10_000, lambda channel, _: told.append(channel)), 20)
    trades = [line for line in lines if b'"btcusdt@trade"' in line]
    assert len(futures.engine.recent_trades("BTCUSDT", 10**6)) == min(50_000, len(trades))
    assert told.count("trade") == len(trades) > 100
    assert told.count("depth@0ms") == told.count("depth@100ms") > 10
    assert recording.book.depth(5)["bids"]
    assert spot.engine.recent_trades("BTCUSDT") == []
