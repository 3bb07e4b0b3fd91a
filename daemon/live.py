"""The live driver: inputs from the edges, one at a time, through the core and into the journal.

It differs from the replay driver only in who says what time it is and in who waits. An input is stamped,
run, and recorded with the decisions it caused; what they lead to outside leaves only once the record is
durable. Commands go ahead of data. While the journal cannot be relied on, no input is taken.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import msgspec
import structlog

from actors.control import AnyCommand
from actors.messages import EquityMark, Halt, LimitsConfigured, TapeEnded, TimerFired, VenueLink
from actors.risk.account import Equity
from actors.runtime.clock import LiveClock, knowable_ns
from actors.runtime.journal import Record, encode_input, link
from actors.runtime.timers import NEVER_NS
from daemon.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.messages import Message
    from actors.runtime.clock import Clock
    from actors.system import Core
    from config.schema import Settings
    from daemon.edges.journal import JournalWriter

_FIRST = (LimitsConfigured, VenueLink, Halt)
"""What goes before the timers that are due: what they order must not leave on a link, limits or trading of before."""
_OVERSLEPT_NS = 5_000_000_000
"""A timer that comes up this late, as after the machine was suspended, is of now: what it orders is judged by that."""
_SLICE = 256
"""Inputs run before other tasks get their turn."""
_LATENCIES_KEPT = 4_096

log = structlog.get_logger()


class Latencies(Histogram):
    """Latencies of one kind, in ns: the newest, and how many there were of which size."""

    __slots__ = ("kept",)

    def __init__(self, count_max: int = _LATENCIES_KEPT) -> None:
        super().__init__()
        self.kept: deque[int] = deque(maxlen=count_max)

    def add(self, duration_ns: int) -> None:
        """Take one in."""
        self.kept.append(duration_ns)
        self.buckets[(duration_ns - 1).bit_length()] += 1  # as above, without the call: every input pays for it
        self.sum_ns += duration_ns

    def quantile(self, fraction: float) -> int | None:
        """Return the quantile of what is kept, or None if nothing is."""
        return self.quantiles(fraction)[0]

    def quantiles(self, *fractions: float) -> list[int | None]:
        """Return several quantiles of what is kept, each None if nothing is."""
        ordered = sorted(self.kept)
        last = len(ordered) - 1
        return [ordered[min(last, int(fraction * len(ordered)))] if ordered else None for fraction in fractions]


class LiveDriver:
    """Owns the core of one running session.

    Args:
        core: the core, recovered up to the last record.
        journal: where records go.
        clock: who stamps inputs.
        settings: bounds.
        run: number of this process within the session.
        chain: chain value of the last record.
    """

    def __init__(
        self, core: Core, journal: JournalWriter, clock: Clock, settings: Settings, *, run: int, chain: bytes
    ) -> None:
        self.core = core
        self.journal = journal
        self.tape_ended = False
        self.finished = anyio.Event()
        """Set once a stop command has been carried out, with nothing left open, and is durable."""
        self.idle_at_end = anyio.Event()
        """Set once the tape's end has been run and is durable."""
        self.equity = Equity(core.ledger.equity_atoms)
        """At bar closes, and where the day began; whether or not a limit asks for it."""
        self.stays = False
        """Whether a stop ends nothing: that of a session which is only looked at."""
        self.decided = Latencies()
        self.released = Latencies()
        self.on_durable: Callable[[int], None] | None = None
        """Called with the durable watermark whenever it moves."""
        self._clock = clock
        self._settings = settings
        self._run_number = run
        self._chain = chain
        self._data: deque[tuple[int, Message, int | None, anyio.Event | None]] = deque()
        self._commands: deque[tuple[int, Message, anyio.Event]] = deque()
        self._arrived = anyio.Event()
        self._idle = False
        """Whether the pump waits for an input and nothing has woken it: what comes then is taken on the spot."""
        self._failure: BaseException | None = None
        """What went wrong on the spot; the pump's to raise, not the edge's that handed the input in."""
        self._room = anyio.Event()
        self._last_snapshot_seq = core.scheduler.seq
        self._unreleased: deque[tuple[int, int]] = deque()
        self._stop_by_s: float | None = None
        journal.on_durable = self._release
        core.control.take_news()  # of its recovery: that is written down

    @property
    def day_profit_atoms(self) -> int | None:
        """What the account has gained since 00:00 UTC by the core's clock; None before the first bar has closed."""
        return self.equity.day_profit_atoms(self.core.ledger.equity_atoms, self.core.context.now_ns)

    # --- what edges may do --------------------------------------------------------------------------

    async def post(self, message: Message, known_ns: int | None = None) -> None:
        """Hand in market data, or what a venue says; waits while the mailbox is full.

        Args:
            message: what it is.
            known_ns: when it was known, where a tape says so; else the message's own time.
        """
        await self._put(message, known_ns, None)

    async def deliver(self, message: Message) -> None:
        """Hand in what has a newer version soon, and wait until the core has taken it: one of a kind waits at most."""
        taken = anyio.Event()
        await self._put(message, None, taken)
        await taken.wait()

    async def _put(self, message: Message, known_ns: int | None, taken: anyio.Event | None) -> None:
        posted_ns = time.perf_counter_ns()
        if self._idle and not self.journal.full and self.journal.trouble() is None:
            self._take_at_once(posted_ns, message, known_ns)
            if taken is not None:
                taken.set()
            return
        while len(self._data) >= self._settings.feed.mailbox_max:
            self._room = anyio.Event()
            await self._room.wait()
        self._data.append((posted_ns, message, known_ns, taken))
        self._wake()

    def _take_at_once(self, posted_ns: int, message: Message, known_ns: int | None) -> None:
        """Run an input without waking the pump first, one at most until it has gone round."""
        self._wake()
        try:
            self._take(posted_ns, message, known_ns)
        except BaseException as error:  # noqa: BLE001 - raised by the pump
            self._failure = error

    async def step(
        self, message: Message, known_ns: int, not_after_ns: int = NEVER_NS, *, recorded: bool = False
    ) -> bool | None:
        """Run the next input of what is stepped, and no other: a timer that is due before `message` goes first.

        Args:
            message: the next input.
            known_ns: when it was known.
            not_after_ns: what is later than this is not run.
            recorded: whether it comes from a journal, which has the timers, too.

        Returns:
            Whether it was `message`; if not, it was a timer, or None: nothing is left until then.
        """
        while not self._idle or self.journal.full or self.journal.trouble() is not None:
            if self.journal.full or self.journal.trouble() is not None:
                with anyio.move_on_after(self._settings.journal.stall_s):
                    await self.journal.progress()
            await anyio.lowlevel.checkpoint()
        try:
            is_end = isinstance(message, TapeEnded)
            due_ns = known_ns + 1 if is_end else known_ns
            if not recorded and self.core.scheduler.fire_next(min(due_ns, not_after_ns + 1), self._keep):
                return False
            if known_ns > not_after_ns:
                return None
            if recorded:
                self._take_recorded(message, known_ns)
            else:
                self._take(time.perf_counter_ns(), message, None if is_end else known_ns)
        except BaseException as error:  # noqa: BLE001 - raised by the pump
            self._failure = error
            self._wake()
        return True

    def _take_recorded(self, message: Message, ts_ns: int) -> None:
        """Run an input as `apply_record` does, and record it."""
        if isinstance(message, TimerFired):
            self.core.context.timers.fired(message)
        self.tape_ended = self.tape_ended or isinstance(message, TapeEnded)
        now_ns = self._clock.stamp(ts_ns)
        self._keep(now_ns, message, self.core.scheduler.post(now_ns, message))

    def post_command(self, message: Message) -> anyio.Event:
        """Hand in a command, to be taken before all waiting data; the event is set once it has been run."""
        taken = anyio.Event()
        self._commands.append((time.perf_counter_ns(), message, taken))
        self._wake()
        return taken

    @property
    def mailbox_count(self) -> int:
        """Inputs waiting for the core."""
        return len(self._data) + len(self._commands)

    @property
    def lag_s(self) -> float:
        """How long the oldest effect has waited for its input to be durable."""
        return (time.perf_counter_ns() - self._unreleased[0][1]) / 1e9 if self._unreleased else 0.0

    def pending_command(self, idempotency_key: str) -> tuple[AnyCommand, anyio.Event] | None:
        """Return a command that waits under this key, and the event of its being run."""
        for _, message, taken in self._commands:
            if isinstance(message, AnyCommand) and message.idempotency_key == idempotency_key:
                return message, taken
        return None

    # --- the pump -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take inputs until cancelled, or until a stop command is through.

        Raises:
            CoreError: an invariant broke.
        """
        while True:
            if self._failure is not None:
                raise self._failure
            if self._stopped():
                await self.journal.durable(self.core.scheduler.seq)
                if not self.core.execution.orders:
                    self.finished.set()
                return
            await self._healthy()
            if not self._commands and not self._data:
                await self._wait()
                continue  # the journal may have got into trouble meanwhile
            self._take_slice()
            await anyio.lowlevel.checkpoint()

    def _wake(self) -> None:
        self._idle = False
        self._arrived.set()

    async def _wait(self) -> None:
        """Wait for an input, or by the wall for a timer."""
        self._arrived = anyio.Event()
        self._idle = True
        try:
            with anyio.move_on_after(self._until_timer_s()) as waiting:
                await self._arrived.wait()
        finally:
            self._idle = False
        if waiting.cancelled_caught:
            self._fire_timers()

    def _take_slice(self) -> None:
        for _ in range(_SLICE):
            if self._commands:
                posted_ns, command, taken = self._commands.popleft()
                self._take(posted_ns, command)
                taken.set()
            elif self._data:
                posted_ns, message, known_ns, awaited = self._data.popleft()
                self._take(posted_ns, message, known_ns)
                if awaited is not None:
                    awaited.set()
            else:
                break
            if self.journal.full or self._stopped():
                break
        if self._data or not self._room.is_set():
            self._room.set()

    def _stopped(self) -> bool:
        """Return whether a stop command is through: at a real venue, only once nothing is open there.

        If the venue cannot be brought to say so in time, the run ends and the session stays open: sealed, its
        orders would be nobody's. The next start of it asks again.
        """
        if self.core.control.trading != "stopping" or self.stays:
            return False
        if not self.core.execution.orders:
            return True
        if self._stop_by_s is None:
            exchange = self._settings.exchange
            self._stop_by_s = time.monotonic() + (exchange.recv_window_ms + exchange.timeout_ms) / 1_000
        if time.monotonic() < self._stop_by_s:
            return False
        log.error("stopped_with_open_orders", orders=list(self.core.execution.orders))
        return True

    def _until_timer_s(self) -> float:
        """Return how long there is nothing to do, unless something arrives."""
        wait_s = math.inf if self._stop_by_s is None else max(0.0, self._stop_by_s - time.monotonic())
        due_ns = self.core.context.timers.next_hint_ns
        if isinstance(self._clock, LiveClock) and due_ns < NEVER_NS:
            wait_s = min(wait_s, max(0.0, (due_ns + 1 - time.time_ns()) / 1e9))
        return wait_s

    def _fire_timers(self) -> None:
        """Run what has become due by the wall while nothing arrived."""
        if isinstance(self._clock, LiveClock):
            self._fire_before(self._clock.stamp(None))

    def _fire_before(self, now_ns: int) -> None:
        overslept = now_ns - self.core.context.timers.next_hint_ns > _OVERSLEPT_NS
        since_ns = now_ns if overslept and isinstance(self._clock, LiveClock) else 0
        self.core.scheduler.fire_before(now_ns, self._keep, since_ns=since_ns)

    def _take(self, posted_ns: int, message: Message, known_ns: int | None = None) -> None:
        scheduler = self.core.scheduler
        now_ns = self._clock.stamp(knowable_ns(message) if known_ns is None else known_ns)
        if isinstance(message, TapeEnded):
            scheduler.fire_before(now_ns + 1, self._keep)
            now_ns = self.core.context.now_ns
            self.tape_ended = True
        elif self.core.context.timers.next_hint_ns < now_ns and not isinstance(message, _FIRST):
            self._fire_before(now_ns)
        effects = scheduler.post(now_ns, message)
        decided_ns = time.perf_counter_ns()
        self._keep(now_ns, message, effects)
        if effects is not None:
            self.decided.add(decided_ns - posted_ns)
            self._unreleased.append((scheduler.seq, posted_ns))
        if scheduler.seq - self._last_snapshot_seq >= self._settings.journal.snapshot_inputs:
            self.snapshot()

    def _keep(self, now_ns: int, message: Message, effects: bytes | None) -> None:
        """Record an input that has just been run."""
        seq = self.core.scheduler.seq
        payload = encode_input(message)
        digest = self.core.digest.value
        self._chain = link(self._chain, seq, now_ns, payload, effects, digest)
        record = Record(seq, self._run_number, now_ns, payload, effects, digest, self._chain)
        control = self.core.control
        news = control.take_news() if control.news else ()
        marks = list(zip(*self.core.ledger.take_marks(), strict=True))
        for ts_ns, equity_atoms in marks:
            self.equity.on_mark(EquityMark(int(equity_atoms), int(ts_ns)))
        self.journal.append(record, marks, news)

    def snapshot(self) -> None:
        """Append a snapshot of the whole core, unless a strategy holds what cannot be kept just now."""
        self._last_snapshot_seq = self.core.scheduler.seq
        try:
            state = msgspec.msgpack.encode(self.core.snapshot())
        except TypeError as error:
            log.warning("snapshot_skipped", error=str(error))
            return
        self.journal.append_snapshot(self.core.scheduler.seq, self._chain, state)

    def _release(self, durable_seq: int) -> None:
        """Let the effects of durable inputs go; a commit that failed wakes the driver, which then halts."""
        if self.journal.failure is not None:
            self._wake()
        now_ns = time.perf_counter_ns()
        if self.on_durable is not None:
            self.on_durable(durable_seq)
        while self._unreleased and self._unreleased[0][0] <= durable_seq:
            _, posted_ns = self._unreleased.popleft()
            self.released.add(now_ns - posted_ns)
        if self.tape_ended and durable_seq == self.core.scheduler.seq:
            self.idle_at_end.set()

    async def _healthy(self) -> None:
        """Wait for room in the journal; after trouble, halt trading before anything else is taken."""
        trouble = self.journal.trouble()
        while trouble is not None or self.journal.full:
            with anyio.move_on_after(self._settings.journal.stall_s):
                await self.journal.progress()
            if self.journal.trouble() is not None:
                trouble = self.journal.trouble()
            elif trouble is not None:
                log.warning("journal_recovered", halted_for=trouble)
                self._commands.appendleft((time.perf_counter_ns(), Halt(trouble), anyio.Event()))
                return
