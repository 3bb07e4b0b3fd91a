"""The live driver over a journal that is only a list, and durable only when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

from actors.messages import Bar, Halt, LimitsConfigured, Pause, Quote, Resume, Stop, TapeEnded, TimerFired, VenueLink
from actors.runtime.clock import LiveClock, TapeClock
from actors.runtime.journal import CHAIN_GENESIS, Record, decode_effects, decode_input, link
from actors.runtime.scheduler import CoreError
from actors.system import CoreSnapshot
from config.load import load_settings
from daemon.edges.feed.tape import TapeFeed
from daemon.live import LiveDriver
from replay.plan import build_core, plan_session, start_core
from replay.run import replay
from replay.tape import synthetic_tape

if TYPE_CHECKING:
    from actors.messages import Message
    from replay.tape import Tape

BARS = 40
STRATEGIES = Path(__file__).parent / "user_strategies.py"


class ListJournal:
    """Fits what the driver needs of a `JournalWriter`; `commit` is the disk."""

    def __init__(self, queue_max: int = 10**6) -> None:
        self.records: list[Record] = []
        self.snapshots: list[tuple[int, bytes, bytes]] = []
        self.marks = 0
        self.durable_seq = 0
        self.failure: str | None = None
        self.on_durable: Callable[[int], None] | None = None
        self.queue_max = queue_max
        self._progress = anyio.Event()

    @property
    def full(self) -> bool:
        """Whether the bound is reached."""
        return len(self.records) - self.durable_seq >= self.queue_max

    def append(self, record: Record, marks: Iterable[tuple[int, int]], _: Iterable[object] = ()) -> None:
        """Take a record."""
        self.records.append(record)
        self.marks += len(list(marks))

    def append_snapshot(self, seq: int, chain: bytes, state: bytes) -> None:
        """Take a snapshot."""
        self.snapshots.append((seq, chain, state))

    def trouble(self) -> str | None:
        """Return the fault."""
        return self.failure

    async def progress(self) -> None:
        """Wait for the next announcement."""
        await self._progress.wait()

    async def durable(self, seq: int) -> None:
        """Wait for a record."""
        while self.durable_seq < seq:
            await self._progress.wait()

    def commit(self, count: int | None = None) -> None:
        """Make records durable, all that there are unless `count` says how many more."""
        self.failure = None
        self.durable_seq = len(self.records) if count is None else self.durable_seq + count
        self._announce()

    def fail(self, reason: str) -> None:
        """Have a commit fail."""
        self.failure = reason
        self._announce()

    def _announce(self) -> None:
        progress, self._progress = self._progress, anyio.Event()
        progress.set()
        if self.on_durable is not None:
            self.on_durable(self.durable_seq)

    def inputs(self) -> list[Message]:
        """Return what was recorded."""
        return [decode_input(record.payload) for record in self.records]


class World:
    """A driver, its journal and its tape."""

    def __init__(self, *overrides: str, strategy: str = "Holder", queue_max: int = 10**6) -> None:
        uses = [f"strategies=[{{use='{STRATEGIES}:{strategy}'}}]"]
        self.settings = load_settings(None, [*uses, *overrides], {})
        self.tape: Tape = synthetic_tape(f"7:{BARS}")
        self.bars = list(self.tape.bars())
        self.plan = plan_session(self.settings, self.tape)
        self.core = build_core(self.plan)
        start_core(self.core)
        self.journal = ListJournal(queue_max)
        self.driver = LiveDriver(
            self.core,
            self.journal,  # type: ignore[arg-type]
            TapeClock(self.core.context.now_ns),
            self.settings,
            run=1,
            chain=CHAIN_GENESIS,
        )

    async def settle(self, during: Callable[[], Any] | None = None) -> None:
        """Run the driver until it waits; then do something, and run it until it waits again."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.driver.run)
            await anyio.wait_all_tasks_blocked()
            if during is not None:
                during()
                await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    async def post_all(self) -> None:
        """Post the whole tape."""
        for bar in self.bars:
            await self.driver.post(bar)

    @property
    def kinds(self) -> list[type]:
        """The types of what was recorded."""
        return [type(message) for message in self.journal.inputs()]


async def test_commands_overtake_waiting_data() -> None:
    world = World()
    await world.post_all()
    taken = [world.driver.post_command(kind(str(index))) for index, kind in enumerate((Pause, Resume))]

    await world.settle()

    assert world.kinds == [Pause, Resume, *[Bar] * BARS]
    assert all(event.is_set() for event in taken)


async def test_a_command_between_inputs_goes_before_the_data_still_waiting() -> None:
    world = World(queue_max=10)
    await world.post_all()

    def command_then_room() -> None:
        world.driver.post_command(Pause("p"))
        world.journal.commit()

    await world.settle(command_then_room)

    assert world.kinds == [*[Bar] * 10, Pause, *[Bar] * 9]


async def test_effects_are_released_only_once_durable() -> None:
    world = World()
    await world.post_all()
    await world.settle()
    deciding = [record.seq for record in world.journal.records if record.effects is not None]
    assert len(deciding) > 3

    released = []
    for _ in world.journal.records:
        world.journal.commit(1)
        released.append(len(world.driver.released.kept))

    assert len(world.driver.decided.kept) == len(deciding)
    assert released == [sum(1 for seq in deciding if seq <= durable) for durable in range(1, BARS + 1)]


async def test_the_mailbox_makes_the_feed_wait_at_its_bound() -> None:
    world = World("feed.mailbox_max=4")
    posted = 0

    async def feed() -> None:
        nonlocal posted
        for bar in world.bars:
            await world.driver.post(bar)
            posted += 1

    async with anyio.create_task_group() as group:
        group.start_soon(feed)
        await anyio.wait_all_tasks_blocked()
        assert (posted, world.driver.mailbox_count) == (4, 4)

        group.start_soon(world.driver.run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert posted == BARS
    assert [record.ts_ns for record in world.journal.records] == [bar.close_ns for bar in world.bars]


async def test_what_comes_while_the_core_is_idle_is_decided_on_the_spot_and_the_rest_in_turn() -> None:
    """No task has to be woken between an input and the decision; but no edge keeps the others from their turn."""
    world = World()
    first, second, third = world.bars[:3]
    async with anyio.create_task_group() as group:
        group.start_soon(world.driver.run)
        await anyio.wait_all_tasks_blocked()
        await world.driver.post(first)
        assert world.journal.inputs() == [first]
        await world.driver.post(second)
        taken = world.driver.post_command(Pause("p"))
        await world.driver.post(third)
        assert world.journal.inputs() == [first]
        await taken.wait()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert world.journal.inputs() == [first, Pause("p"), second, third]


async def test_a_command_and_trouble_with_the_journal_come_before_what_arrives_after_them() -> None:
    world = World()
    first, second = world.bars[:2]
    async with anyio.create_task_group() as group:
        group.start_soon(world.driver.run)
        await anyio.wait_all_tasks_blocked()
        world.driver.post_command(Pause("p"))
        await world.driver.post(first)
        await anyio.wait_all_tasks_blocked()
        world.journal.fail("journal: full")
        await world.driver.post(second)
        await anyio.wait_all_tasks_blocked()
        assert world.journal.inputs() == [Pause("p"), first]
        world.journal.commit()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert world.journal.inputs() == [Pause("p"), first, Halt("journal: full"), second]


async def test_what_fails_on_the_spot_ends_the_driver_and_not_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    def fail(*_: object) -> bytes:
        message = "cash went missing"
        raise CoreError(message)

    ended = []

    async def drive() -> None:
        try:
            await world.driver.run()
        except CoreError as error:
            ended.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(drive)
        await anyio.wait_all_tasks_blocked()
        monkeypatch.setattr(world.core.scheduler, "post", fail)
        await world.driver.post(world.bars[0])
        assert ended == []
    assert ended == ["cash went missing"]


async def test_who_delivers_waits_until_the_core_has_taken_it() -> None:
    """So of what has a newer version soon, one at most waits in the mailbox."""
    world = World(queue_max=3)
    quotes = [Quote("SYN/USD", 99.0 + index, 1.0, 101.0 + index, 1.0, 0) for index in range(5)]
    delivered = 0

    async def feed() -> None:
        nonlocal delivered
        for quote in quotes:
            await world.driver.deliver(quote)
            delivered += 1

    async with anyio.create_task_group() as group:
        group.start_soon(feed)
        await anyio.wait_all_tasks_blocked()
        assert (delivered, world.driver.mailbox_count) == (0, 1)
        group.start_soon(world.driver.run)
        await anyio.wait_all_tasks_blocked()
        assert (delivered, world.driver.mailbox_count) == (3, 1), "the journal is full"
        world.journal.commit()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert delivered == 5
    assert world.journal.inputs() == quotes


async def test_a_full_journal_makes_the_core_wait() -> None:
    world = World(queue_max=5)
    await world.post_all()

    await world.settle(lambda: world.journal.commit(3))

    assert len(world.journal.records) == 8


async def test_trouble_with_the_journal_stops_all_inputs_and_then_halts_trading() -> None:
    world = World()
    world.journal.failure = "journal: disk I/O error"
    await world.post_all()
    command = world.driver.post_command(Resume("r"))
    await world.settle()
    assert (world.journal.records, command.is_set()) == ([], False)

    await world.settle(world.journal.commit)

    halt, *rest = world.journal.inputs()
    assert halt == Halt("journal: disk I/O error")
    assert [type(message) for message in rest] == [Resume, *[Bar] * BARS]


async def test_a_halt_by_the_journal_lasts_until_resume() -> None:
    world = World()
    await world.driver.post(world.bars[0])
    await world.settle(lambda: world.journal.fail("journal: full"))

    await world.settle(world.journal.commit)

    assert (world.core.control.trading, world.core.control.reason) == ("halted", "journal: full")
    world.driver.post_command(Resume("r"))
    await world.settle()
    assert world.core.control.trading == "running"


async def test_trouble_that_comes_and_goes_while_nothing_arrives_halts_all_the_same() -> None:
    world = World()
    async with anyio.create_task_group() as group:
        group.start_soon(world.driver.run)
        await anyio.wait_all_tasks_blocked()
        world.journal.fail("journal: full")
        await anyio.wait_all_tasks_blocked()
        world.journal.commit()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert world.journal.inputs() == [Halt("journal: full")]
    assert world.core.control.trading == "halted"


async def test_an_input_that_arrives_during_trouble_is_not_taken() -> None:
    world = World()

    async with anyio.create_task_group() as group:
        group.start_soon(world.driver.run)
        await anyio.wait_all_tasks_blocked()
        world.journal.failure = "journal: full"
        await world.driver.post(world.bars[0])
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert world.journal.records == []


async def test_a_stop_is_finished_only_once_durable() -> None:
    world = World()
    await world.post_all()
    world.driver.post_command(Stop("s"))
    async with anyio.create_task_group() as group:
        group.start_soon(world.driver.run)
        await anyio.wait_all_tasks_blocked()
        assert (world.kinds, world.driver.finished.is_set()) == ([Stop], False)

        world.journal.commit()
        await anyio.wait_all_tasks_blocked()

    assert world.driver.finished.is_set()
    assert world.kinds == [Stop]


async def test_the_end_of_the_tape_is_known_only_once_durable() -> None:
    world = World()
    await world.driver.post(world.bars[0])
    await world.driver.post(TapeEnded())

    await world.settle()
    assert (world.driver.tape_ended, world.driver.idle_at_end.is_set()) == (True, False)
    world.journal.commit(1)
    assert not world.driver.idle_at_end.is_set()
    world.journal.commit(1)

    assert world.driver.idle_at_end.is_set()


async def test_records_are_chained_and_hold_what_was_decided() -> None:
    world = World()
    await world.post_all()
    await world.settle()

    chain = CHAIN_GENESIS
    for seq, record in enumerate(world.journal.records, 1):
        chain = link(chain, seq, record.ts_ns, record.payload, record.effects, record.digest)
        assert (record.seq, record.run, record.chain) == (seq, 1, chain)
        assert record.effects is None or decode_effects(record.effects)
    assert world.journal.records[-1].digest == world.core.digest.value
    assert world.journal.marks == BARS


async def test_a_tape_fed_live_decides_as_a_replay_of_it() -> None:
    world = World()
    feed = TapeFeed(world.tape, world.driver, speed=0, skip=0, ended=False)
    async with anyio.create_task_group() as group:
        group.start_soon(feed.run)
        group.start_soon(world.driver.run)
        await anyio.wait_all_tasks_blocked()
        world.journal.commit()
        group.cancel_scope.cancel()

    result = replay(synthetic_tape(f"7:{BARS}"), f"{STRATEGIES}:Holder")
    assert world.core.digest.value.hex() == result.summary.digest
    assert world.kinds == [*[Bar] * BARS, TapeEnded]


async def test_a_feed_started_again_goes_on_where_it_was() -> None:
    world = World()
    async with anyio.create_task_group() as group:
        group.start_soon(world.driver.run)
        await TapeFeed(world.tape, world.driver, speed=0, skip=30, ended=False).run()
        await TapeFeed(world.tape, world.driver, speed=0, skip=BARS, ended=True).run()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert world.journal.inputs() == [*world.bars[30:], TapeEnded()]


def alarmed(folder: Path) -> World:
    """Return a world whose strategy buys half a minute after each bar."""
    file = folder / "alarm.py"
    file.write_text(
        "from pitboss import Strategy\n"
        "class Alarm(Strategy):\n"
        "    def on_start(self): self.rung = 0\n"
        "    def on_bar(self, bar, f): self.set_timer('soon', 30)\n"
        "    def on_timer(self, name):\n"
        "        self.rung += 1\n"
        "        self.buy(0.1)\n"
    )
    return World(f"strategies=[{{use='{file}:Alarm'}}]")


async def test_timers_that_came_due_while_nobody_was_here_come_behind_the_news_of_the_link(tmp_path: Path) -> None:
    """What they order would else leave on a link, and an account, of before."""
    world = alarmed(tmp_path)
    await world.driver.post(world.bars[0])
    await world.settle()
    later_ns = world.bars[0].close_ns + 600 * 10**9
    world.driver._clock = LiveClock(lambda: later_ns, world.core.context.now_ns)
    world.driver.post_command(LimitsConfigured("{}"))
    world.driver.post_command(VenueLink(up=False))

    await world.settle()

    assert world.kinds == [Bar, LimitsConfigured, VenueLink, TimerFired]


@pytest.mark.parametrize(("asleep_s", "stamped_s"), [(4, 30), (6, 36)])
async def test_a_timer_that_was_slept_through_is_of_the_time_when_it_comes_up(
    tmp_path: Path, asleep_s: int, stamped_s: int
) -> None:
    """The machine was suspended: what is ordered now is ordered now, and judged by data of then."""
    world = alarmed(tmp_path)
    began_ns = world.bars[0].close_ns
    times_ns = iter([began_ns])
    due_ns = began_ns + 30 * 10**9
    world.driver._clock = LiveClock(lambda: next(times_ns, due_ns + asleep_s * 10**9), world.core.context.now_ns)
    await world.driver.post(world.bars[0])
    await world.settle()
    world.driver.post_command(Pause("c"))
    await world.settle()

    assert world.kinds == [Bar, TimerFired, Pause]
    fired = world.journal.records[1]
    assert (fired.ts_ns - began_ns) // 10**9 == stamped_s
    assert world.core.context.timers.find("strategy.Alarm", "soon") is None


async def test_trouble_with_the_journal_halts_trading_before_a_timer_orders_anything(tmp_path: Path) -> None:
    world = alarmed(tmp_path)
    await world.driver.post(world.bars[0])
    await world.settle()
    later_ns = world.bars[0].close_ns + 600 * 10**9
    world.driver._clock = LiveClock(lambda: later_ns, world.core.context.now_ns)
    world.journal.fail("disk full")
    await world.settle(world.journal.commit)

    assert world.kinds[:3] == [Bar, Halt, TimerFired]
    assert not world.core.execution.orders


async def test_timers_become_inputs_ahead_of_the_bar_that_is_later(tmp_path: Path) -> None:
    world = alarmed(tmp_path)
    for bar in world.bars[:3]:
        await world.driver.post(bar)
    await world.driver.post(TapeEnded())

    await world.settle()

    assert world.kinds == [Bar, TimerFired, Bar, TimerFired, Bar, TapeEnded]
    times_ns = [record.ts_ns for record in world.journal.records]
    assert times_ns == sorted(times_ns)
    fired = world.journal.inputs()[1]
    assert isinstance(fired, TimerFired)
    assert times_ns[1] == fired.due_ns == world.bars[0].close_ns + 30 * 10**9
    assert world.journal.records[1].effects is not None


async def test_a_snapshot_is_taken_every_so_many_inputs_and_restores_the_core() -> None:
    world = World("journal.snapshot_inputs=15")
    await world.post_all()

    await world.settle()

    assert [seq for seq, _, _ in world.journal.snapshots] == [15, 30]
    seq, chain, state = world.journal.snapshots[-1]
    assert chain == world.journal.records[seq - 1].chain
    other = build_core(world.plan)
    other.restore(msgspec.msgpack.decode(state, type=CoreSnapshot))
    for bar in world.bars[seq:]:
        other.scheduler.post(bar.close_ns, bar)
    assert other.digest.value == world.core.digest.value


async def test_time_that_goes_back_is_a_fault() -> None:
    world = World()
    await world.driver.post(world.bars[1])
    await world.driver.post(world.bars[0])

    with pytest.raises(BaseExceptionGroup) as caught:
        await world.settle()

    assert caught.value.subgroup(AssertionError) is not None
