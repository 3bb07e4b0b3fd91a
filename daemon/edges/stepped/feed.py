"""A tape as a feed that is told when to go on: input by input, at a speed, or until something has happened.

It takes the very inputs that a replay takes, in the same order and at the same times; only when it takes the next
one is somebody's to say. A timer that is due is a step of its own.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.lowlevel
import msgspec

from actors import messages as m
from actors.messages import Message, TapeEnded
from actors.runtime.timers import NEVER_NS
from daemon.control.replay_types import Replay
from daemon.edges.stepped.trace import order_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from daemon.control.replay_types import JumpOrder, StepOrder
    from daemon.edges.stepped.trace import MessageTrace
    from daemon.live import LiveDriver
    from replay.tape import Tape

_NS_PER_S = 1_000_000_000
_SLICE_S = 0.005
"""Others get their turn after this long of inputs that nobody waits for."""
_NAP_S = 0.002
_BARS_PER_S = 5
"""What it plays at unless told otherwise: enough to see something happen."""

_SOUGHT: dict[str, tuple[type[Message], ...]] = {
    "trade": (m.Fill, m.Liquidated),
    "order": (m.SubmitOrder,),
    "veto": (m.RiskVeto, m.AmendVeto),
    "error": (m.ActorFailed,),
    "end": (),
}
_NAMES = {
    "trade": "the next fill",
    "order": "the next order",
    "veto": "the next refused wish",
    "error": "the next failure",
}


class BeyondError(Exception):
    """The tape is at its end, or beyond the time that was asked for."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What is stepped."""

    name: str
    """For people."""
    inputs: Callable[[int], Iterator[tuple[int, Message, bytes | None]]]
    """Yields inputs with their times and, where that was recorded, the digest after each; but for so many at the front.
    """
    is_recorded: bool = False
    """Whether it is all there was of a session: timers, commands and the end among it."""
    total: int | None
    """How many there are, if that is known."""
    from_ns: int
    to_ns: int
    timeframe_ns: int


def script_of(tape: Tape, name: str) -> Script:
    """Return a tape that has an end as it is stepped."""
    closes = [one.last_open_ns + one.timeframe_ns for one in tape.series if one.last_open_ns is not None]
    return Script(
        name=name,
        inputs=lambda skip: ((ts_ns, message, None) for ts_ns, message in tape.stamped(skip)),
        total=None if tape.has_ticks or tape.external is not None else tape.rows,
        from_ns=tape.start_ns,
        to_ns=max(closes),
        timeframe_ns=tape.series[0].timeframe_ns,
    )


class _Way:
    """What it is on its way to.

    Args:
        target: in words; empty for playing.
        reached: told an input and all it caused; returns why to pause, in words, and the order that is about, if any.
        not_after_ns: nothing later is taken.
        is_paced: whether it goes at the speed that is set.
        is_search: whether it may not come.
    """

    def __init__(
        self,
        target: str,
        reached: Callable[[Sequence[Message]], tuple[str, str] | None],
        not_after_ns: int = NEVER_NS - 1,
        *,
        is_paced: bool = False,
        is_search: bool = False,
    ) -> None:
        self.target = target
        self.reached = reached
        self.not_after_ns = not_after_ns
        self.is_paced = is_paced
        self.is_search = is_search
        self.over = anyio.Event()


class SteppedFeed:
    """Takes a tape as it is told.

    Args:
        script: what is taken.
        driver: where to.
        trace: what the core says.
        strategies: their ids.
    """

    def __init__(self, script: Script, driver: LiveDriver, trace: MessageTrace, strategies: Sequence[str]) -> None:
        self.speed = max(1.0, _BARS_PER_S * script.timeframe_ns / _NS_PER_S)
        """Tape seconds per second; 0 for as fast as it goes."""
        self._script = script
        self._driver = driver
        self._trace = trace
        self._strategies = tuple(strategies)
        self._taken = 0
        self._state: Literal["paused", "playing", "ended"] = "paused"
        self._differs_at: int | None = None
        self._way: _Way | None = None
        self._stopped_by = self._order_id = ""
        self._end = "the end of the session" if script.is_recorded else "the end of the tape"
        self._told = anyio.Event()
        """Set when there is something else to do."""
        self._turned_s = 0.0
        """When others had their turn last."""
        self._pace: tuple[_Way | None, float, int, float] = (None, 0.0, 0, 0.0)
        """What it plays for, at which speed, and since when, on the tape and by the wall."""

    def stands(self) -> Replay:
        """Return how it stands."""
        core = self._driver.core
        return Replay(
            tape=self._script.name,
            strategies=self._strategies,
            state=self._state if self._way is None else "playing",
            target="" if self._way is None else self._way.target,
            stopped_by=self._stopped_by,
            order_id=self._order_id,
            seq=core.scheduler.seq,
            inputs=self._taken,
            total=self._script.total,
            differs_at=self._differs_at,
            now_ns=core.context.now_ns,
            from_ns=self._script.from_ns,
            to_ns=self._script.to_ns,
            speed=self.speed,
        )

    # --- what it is told ----------------------------------------------------------------------------

    def play(self) -> None:
        """Go on at the speed that is set, until told otherwise.

        Raises:
            BeyondError: there is nothing left.
        """
        self._go(_Way("", lambda _: None, is_paced=True))

    def pause(self) -> None:
        """Stay where it is."""
        if self._way is not None:
            self._stop("pause")

    def set_speed(self, speed: float) -> None:
        """Play at another speed from now on."""
        self.speed = speed
        self._tell()

    def step(self, order: StepOrder) -> anyio.Event:
        """Go on by so many inputs or bars; the event is set once that is done, or given up.

        Raises:
            BeyondError: there is nothing left.
        """
        left = order.count
        words = f"{order.count:,} {order.unit}s" if order.count > 1 else f"one {order.unit}"

        def count(heard: Sequence[Message]) -> tuple[str, str] | None:
            nonlocal left
            left -= order.unit == "input" or isinstance(heard[0], m.Bar)
            return None if left else (f"a step of {words}", "")

        return self._go(_Way(f"a step of {words}", count))

    def jump(self, order: JumpOrder) -> anyio.Event:
        """Go on until something has happened; the event is set once it has, or is given up.

        Raises:
            BeyondError: there is nothing left, or the tape is beyond that time.
        """
        if order.to == "time":
            assert order.time_ns is not None
            now_ns = self._driver.core.context.now_ns
            if order.time_ns < now_ns:
                message = f"it is {_utc(now_ns)} by now, and a replay does not go back"
                raise BeyondError(message)
            return self._go(_Way(_utc(order.time_ns), lambda _: None, order.time_ns))
        sought = _SOUGHT[order.to]

        def find(heard: Sequence[Message]) -> tuple[str, str] | None:
            for message in heard:
                if isinstance(message, sought) and order.strategy in (None, _strategy_of(message)):
                    return self._words(message), order_of(message)
            return None

        of = "" if order.strategy is None else f" of {order.strategy}"
        return self._go(_Way(_NAMES.get(order.to, self._end) + of, find, is_search=bool(sought)))

    def _go(self, way: _Way) -> anyio.Event:
        if self._state == "ended":
            message = f"it is at {self._end}"
            raise BeyondError(message)
        if self._way is not None:
            self._way.over.set()
        self._way = way
        self._tell()
        return way.over

    def _stop(self, why: str, order_id: str = "") -> None:
        assert self._way is not None
        self._stopped_by, self._order_id = why, order_id
        self._way.over.set()
        self._way = None
        self._tell()

    def _tell(self) -> None:
        told, self._told = self._told, anyio.Event()
        told.set()

    # --- what it does -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take the tape as told, to its end."""
        for ts_ns, message, digest in self._script.inputs(self._taken):
            await self._take(message, ts_ns)
            self._taken += 1
            if digest is not None:
                self._compare(digest)
        if not self._script.is_recorded:
            await self._take(TapeEnded(), None)
        self._state = "ended"
        way = self._way
        if way is not None:
            self._stop(self._end + (f": {way.target} did not come" if way.is_search else ""))

    async def _take(self, message: Message, known_ns: int | None) -> None:
        """Take one input and every timer that is due before it, each of them when it is time."""
        while True:
            way = await self._turn(known_ns)
            mark = self._trace.newest
            at_ns = self._driver.core.context.now_ns if known_ns is None else known_ns
            taken = await self._driver.step(message, at_ns, way.not_after_ns, recorded=self._script.is_recorded)
            if way is self._way:
                if taken is None:
                    self._stop(f"it is {_utc(way.not_after_ns)}")
                elif reached := way.reached(self._trace.after(mark)):
                    self._stop(*reached)
            if taken:
                return

    def _compare(self, digest: bytes) -> None:
        """Pause where it decides otherwise for the first time, unless somebody has interfered."""
        core = self._driver.core
        if self._differs_at is None and core.scheduler.seq == self._taken and core.digest.value != digest:
            self._differs_at = self._taken
            if self._way is not None:
                self._stop(f"input {self._taken} decides otherwise than it did in the session")

    async def _turn(self, known_ns: int | None) -> _Way:
        """Wait until the next input is to be taken; return what for."""
        while True:
            way, told = self._way, self._told
            if way is None:
                await told.wait()
                continue
            early_s = self._early_s(way, known_ns)
            if early_s > _NAP_S:
                with anyio.move_on_after(early_s):
                    await told.wait()
            elif time.monotonic() - self._turned_s > _SLICE_S:
                await anyio.lowlevel.checkpoint()
                self._turned_s = time.monotonic()
            else:
                return way

    def _early_s(self, way: _Way, known_ns: int | None) -> float:
        """Return how long the next input has time; it may be less than none."""
        if known_ns is None or not way.is_paced or not self.speed:
            return 0.0
        if self._pace[:2] != (way, self.speed):
            self._pace = way, self.speed, self._driver.core.context.now_ns, time.monotonic()
        _, speed, from_ns, from_s = self._pace
        return from_s + (known_ns - from_ns) / _NS_PER_S / speed - time.monotonic()

    def _words(self, message: Message) -> str:
        """Return what happened, for people."""
        if isinstance(message, (m.Fill, m.Liquidated)):
            instrument = self._driver.core.instruments[message.symbol]
            did = "bought" if message.side > 0 else "sold"
            forced = ", liquidated" if isinstance(message, m.Liquidated) else ""
            what = f"{did} {instrument.quantity(message.quantity_lots).normalize():f} {message.symbol}"
            return f"{message.strategy} {what} at {instrument.price(message.price_ticks):f}{forced}"
        if isinstance(message, m.SubmitOrder):
            request = message.request
            quantity = self._driver.core.instruments[request.symbol].quantity(request.quantity_lots).normalize()
            side = "buy" if request.side > 0 else "sell"
            what = f"{request.kind} order {message.order_id}: {side} {quantity:f} {request.symbol}"
            return f"{request.strategy} sends {what}"
        if isinstance(message, m.ActorFailed):
            return f"{message.actor} failed: {message.error}"
        assert isinstance(message, (m.RiskVeto, m.AmendVeto)), message
        return f"{message.strategy} is refused {message.symbol}: {message.reason}"


def _strategy_of(message: Message) -> str:
    if isinstance(message, m.SubmitOrder):
        return message.request.strategy
    if isinstance(message, m.ActorFailed):
        return message.actor.removeprefix("strategy.")
    found: str = getattr(message, "strategy", "")
    return found


def _utc(ts_ns: int) -> str:
    try:
        return datetime.fromtimestamp(ts_ns / _NS_PER_S, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError):  # a time nobody will live to see
        return f"{ts_ns} ns"
