"""Engine, player and store together: time, order of telling, and a tape that goes on after a restart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.errors import UserError
from replay.exchange import venue as venues
from replay.exchange.engine import Engine
from replay.exchange.model import Candle, Event, Executed, Market, NewOrder, Printed, VenueError
from replay.exchange.venue import Venue, open_venue
from replay.tape import synthetic_tape

D = Decimal
SYN = Market(symbol="SYN/USDT", id="SYNUSDT", base="SYN", quote="USDT", tick=D("0.01"), lot=D("0.00001"))
NS_PER_S = 10**9
START_NS = 1_700_000_000 * NS_PER_S
"""The wall's time in these tests: 20 s into a minute."""

Opening = Callable[..., Awaitable[Venue[Engine]]]


class Wall:
    """The clock on the wall, moved by hand."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def time_ns(self) -> int:
        return self.now_ns

    def go(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    made = Wall()
    monkeypatch.setattr(venues, "time", SimpleNamespace(time_ns=made.time_ns))
    return made


@pytest.fixture
async def opening() -> AsyncIterator[Opening]:
    """Return what opens a venue; whatever is still open in the end is closed."""
    opened: list[Venue[Engine]] = []

    async def make(state_dir: Path | None = None, tape: str | None = "7:500", **changes: Any) -> Venue[Engine]:
        settings: dict[str, Any] = {
            "markets": [SYN],
            "balances": {"USDT": D(100_000)},
            "maker_fee": D("0.001"),
            "taker_fee": D("0.001"),
        }
        source = None if tape is None else synthetic_tape(tape)
        venue = await open_venue(state_dir=state_dir, tape=source, **(settings | changes))
        opened.append(venue)
        return venue

    yield make
    for venue in opened:
        await venue.close()


def order(name: str, kind: str = "MARKET", price: str | None = None) -> NewOrder:
    return NewOrder(
        id="SYNUSDT",
        side="BUY",
        type=kind,  # type: ignore[arg-type]
        quantity=D("0.01"),
        price=None if price is None else D(price),
        client_order_id=name,
    )


def printed(venue: Venue[Engine]) -> int:
    return len(venue.engine.recent_trades("SYNUSDT", 10**6))


async def test_it_opens_with_the_price_of_the_bar_around_now(wall: Wall, opening: Opening) -> None:
    venue = await opening()
    assert printed(venue) == 2
    assert venue.now_ms() == START_NS // 10**6
    assert [each.time_ms for each in venue.engine.recent_trades("SYNUSDT")] == [
        START_NS // 10**6 - 20_000,
        START_NS // 10**6,
    ]


async def test_time_waits_for_what_is_not_played_yet(wall: Wall, opening: Opening) -> None:
    venue = await opening(speed=60.0)
    wall.go(1)
    reached_ms = venue.now_ms()
    assert reached_ms == START_NS // 10**6 + 20_000
    await venue.catch_up()
    assert venue.now_ms() == START_NS // 10**6 + 60_000
    assert printed(venue) == 2 + 4
    wall.go(-30)
    assert venue.now_ms() == START_NS // 10**6 + 60_000


async def test_after_the_tape_time_goes_on_and_the_last_candle_closes(wall: Wall, opening: Opening) -> None:
    venue = await opening(tape="7:3")
    told: list[Event] = []
    venue.listen(told.extend)
    wall.go(3_600)
    await venue.catch_up()
    assert venue.now_ms() == START_NS // 10**6 + 3_600_000
    assert printed(venue) == 12
    assert sum(isinstance(event, Candle) and event.closed for event in told) == 3
    assert len([event for event in told if isinstance(event, Printed)]) == 10


async def test_run_plays_as_time_goes_by(opening: Opening) -> None:
    """In real time: 100 bars of a minute take a fraction of a second at this speed."""
    venue = await opening(tape="7:100", speed=20_000.0)
    done = asyncio.Event()
    times_ms: list[int] = []

    def hear(events: Any) -> None:
        times_ms.extend(event.time_ms for event in events if isinstance(event, Printed))
        if printed(venue) == 400:
            done.set()

    venue.listen(hear)
    player = asyncio.create_task(venue.run())
    await asyncio.wait_for(done.wait(), 20)
    player.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await player
    assert times_ms == sorted(times_ms)


async def test_listeners_hear_of_everything_once_in_order_and_only_when_it_is_durable(
    wall: Wall, opening: Opening, tmp_path: Path
) -> None:
    venue = await opening(tmp_path, speed=60.0)
    assert venue._store is not None
    told: list[Event] = []
    durable: list[int] = []

    def hear(events: Any) -> None:
        assert venue._store is not None
        told.extend(events)
        durable.append(venue._store.seq)

    venue.listen(hear)
    before = venue._store.seq
    done: list[Any] = []

    def note(operation: Any) -> None:
        done.append(operation)
        venue._take_note(operation)

    venue.engine.recorder = note
    replies = []
    for number in range(8):
        wall.go(0.5)
        replies.append(
            asyncio.gather(
                venue.commit(lambda engine, now_ms, name=f"a{number}": engine.place(order(name), now_ms)),
                venue.catch_up(),
                venue.commit(lambda engine, now_ms, name=f"b{number}": engine.place(order(name), now_ms)),
            )
        )
        await asyncio.sleep(0)
    for reply in replies:
        await reply
    assert durable[-1] == before + len(done)
    names = [event.order.client_order_id for event in told if isinstance(event, Executed) and event.kind == "NEW"]
    assert sorted(names) == sorted(f"{letter}{number}" for letter in "ab" for number in range(8))
    trades = [event.trade.trade_id for event in told if isinstance(event, Executed) and event.trade is not None]
    assert trades == list(range(1, 17))
    public = [event.trade_id for event in told if isinstance(event, Printed)]
    assert public == list(range(public[0], public[0] + len(public)))


async def test_those_who_wait_together_are_written_together(
    opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = await opening(tmp_path)
    store = venue._store
    assert store is not None
    sizes: list[int] = []
    append = store.append

    async def count(operations: Any, snapshot: Any) -> None:
        sizes.append(len(operations))
        await append(operations, snapshot)

    monkeypatch.setattr(store, "append", count)
    await asyncio.gather(
        *(venue.commit(lambda engine, now, name=f"o{n}": engine.place(order(name), now)) for n in range(50))
    )
    assert sum(sizes) == 50
    assert len(sizes) == 1


async def test_a_question_writes_nothing_but_waits_for_what_it_shows(
    opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = await opening(tmp_path)
    store = venue._store
    assert store is not None
    let = asyncio.Event()
    append = store.append
    writes = []

    async def slow(operations: Any, snapshot: Any) -> None:
        writes.append(len(operations))
        await let.wait()
        await append(operations, snapshot)

    monkeypatch.setattr(store, "append", slow)
    placing = asyncio.create_task(venue.commit(lambda engine, now: engine.place(order("mine"), now)))
    await asyncio.sleep(0)
    asking = asyncio.create_task(venue.commit(lambda engine, _: engine.order("SYNUSDT", client_order_id="mine").status))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not asking.done()
    let.set()
    assert await asking == "FILLED"
    await placing
    await venue.commit(lambda engine, _: engine.balances())
    assert writes == [1]


async def test_what_was_done_before_a_refusal_is_durable(opening: Opening, tmp_path: Path) -> None:
    """Half of a replacement: the old order is gone, the new one was refused."""
    venue = await opening(tmp_path)
    await venue.commit(lambda engine, now: engine.place(order("old", "LIMIT", "1000"), now))

    def replace(engine: Any, now_ms: int) -> None:
        engine.cancel("SYNUSDT", now_ms, client_order_id="old")
        engine.place(order("new", "LIMIT", "0.001"), now_ms)

    told: list[Event] = []
    venue.listen(told.extend)
    with pytest.raises(VenueError, match="PRICE_FILTER"):
        await venue.commit(replace)
    assert [event.kind for event in told if isinstance(event, Executed)] == ["CANCELED"]
    await venue.close()
    again = await opening(tmp_path)
    assert again.engine.order("SYNUSDT", client_order_id="old").status == "CANCELED"


async def test_a_caller_who_goes_away_takes_nothing_back(
    opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = await opening(tmp_path)
    store = venue._store
    assert store is not None
    begun, let = asyncio.Event(), asyncio.Event()
    append = store.append

    async def slow(operations: Any, snapshot: Any) -> None:
        begun.set()
        await let.wait()
        await append(operations, snapshot)

    monkeypatch.setattr(store, "append", slow)
    told: list[Event] = []
    venue.listen(told.extend)
    placing = asyncio.create_task(venue.commit(lambda engine, now: engine.place(order("mine"), now)))
    await begun.wait()
    placing.cancel()
    let.set()
    with pytest.raises(asyncio.CancelledError):
        await placing
    await venue.commit(lambda engine, _: engine.balances())
    assert [event.kind for event in told if isinstance(event, Executed)] == ["NEW", "TRADE"]
    await venue.close()
    again = await opening(tmp_path)
    assert again.engine.order("SYNUSDT", client_order_id="mine").status == "FILLED"


async def test_a_tape_goes_on_where_it_was_and_ends_as_if_nothing_had_been(
    wall: Wall, opening: Opening, tmp_path: Path
) -> None:
    whole = await opening(tape="7:50", speed=60.0)
    parts = await opening(tmp_path, tape="7:50", speed=60.0)
    for _ in range(12):
        wall.go(2.5)
        await whole.catch_up()
        for _ in range(2):
            await parts.close()
            parts = await opening(tmp_path, tape="7:50", speed=60.0)
    assert 100 < printed(whole) < 200
    assert parts.engine.dump() == whole.engine.dump()
    assert parts.now_ms() == whole.now_ms()


async def test_another_speed_starts_from_the_time_it_was(wall: Wall, opening: Opening, tmp_path: Path) -> None:
    venue = await opening(tmp_path, speed=60.0)
    await venue.close()
    wall.go(2)
    venue = await opening(tmp_path, speed=1.0)
    assert venue.now_ms() == START_NS // 10**6 + 120_000
    wall.go(5)
    await venue.catch_up()
    assert venue.now_ms() == START_NS // 10**6 + 125_000


async def test_after_a_very_long_absence_time_goes_on_where_it_stood(
    wall: Wall, opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venues, "CATCH_UP_BARS_MAX", 10)
    venue = await opening(tmp_path)
    await venue.close()
    wall.go(3_600)
    venue = await opening(tmp_path)
    assert printed(venue) == 3
    assert venue.now_ms() == START_NS // 10**6 + 20_000
    wall.go(10)
    assert venue.now_ms() == START_NS // 10**6 + 30_000


async def test_nothing_of_an_absence_is_played_where_that_is_not_wanted(
    wall: Wall, opening: Opening, tmp_path: Path
) -> None:
    venue = await opening(tmp_path, catch_up=False)
    await venue.close()
    wall.go(120)
    venue = await opening(tmp_path, catch_up=False)
    assert printed(venue) == 3
    assert venue.now_ms() == START_NS // 10**6 + 20_000


async def test_by_hand_and_without_a_tape_time_is_the_walls(wall: Wall, opening: Opening) -> None:
    venue = await opening(tape=None, speed=60.0)
    assert venue.now_ms() == START_NS // 10**6
    await venue.print_trade("SYNUSDT", D("100.5"), D("0.1"))
    (trade,) = venue.engine.recent_trades("SYNUSDT")
    assert (trade.price_ticks, trade.quantity_lots, trade.time_ms) == (10_050, 10_000, START_NS // 10**6)
    wall.go(60)
    assert venue.now_ms() == START_NS // 10**6 + 60_000
    assert venue.intervals("SYNUSDT") == ("1m",)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tape": "8:500"}, "another tape"),
        ({"tape": None}, "another tape"),
        ({"markets": []}, "not traded here|trades SYN/USDT"),
        ({"speed": 0.0}, "must be positive"),
        ({"speed": float("nan")}, "must be positive"),
    ],
)
async def test_what_does_not_fit_is_refused_and_the_store_let_go(
    opening: Opening, tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    await (await opening(tmp_path)).close()
    with pytest.raises(UserError, match=complaint):
        await opening(tmp_path, **changes)
    await opening(tmp_path)
