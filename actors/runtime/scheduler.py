"""The scheduler: runs one input to quiescence before the next.

Rules, all of them:

1. An input is delivered to the handlers its type has in the `entries` table, an emitted message to
   those in the `subscribers` table, in the order written there.
2. A handler's emissions are released when it returns; a handler that raises has said nothing. One that
   raises `WithheldError` says what that carries, and later subscribers do not hear the message.
3. Released emissions are delivered, each with all it causes, before the next subscriber of the
   message in hand. What follows from a fill is thus settled before the bar that caused it goes on.
4. Time is the input's. Sequence numbers ascend by one. Neither ever goes back.
5. One input causes at most `deliveries_max` messages, and no chain of them is longer than a named bound;
   more is a livelock, and names its actors.

Interleaving is therefore a function of the input order alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from actors.messages import ActorFailed, ActorRestarted, Bar
from actors.runtime.digest import Digest
from actors.runtime.lanes import Lane
from actors.runtime.supervision import DeadLetters, Intensity
from actors.runtime.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actors.messages import Message
    from actors.runtime.lanes import Handler, Handlers

_DEPTH_MAX = 200
"""Longest chain of messages, each caused by the one before; an endless exchange is an endless chain."""
_SUSPECT_FROM = 150
"""From this many messages of one input on, those who speak are noted, to be named."""


class CoreError(Exception):
    """A broken invariant: the core must not go on."""


class WithheldError(Exception):
    """Raised by a handler to keep the message in hand from its later subscribers; no failure.

    Args:
        instead: what is said instead.
    """

    def __init__(self, instead: Message) -> None:
        super().__init__(repr(instead))
        self.instead = instead


class LivelockError(CoreError):
    """One input caused more messages than its bound."""


class Actor(Protocol):
    """What the scheduler knows of an actor."""

    @property
    def name(self) -> str:
        """Unique within the core."""
        ...

    @property
    def isolated(self) -> bool:
        """Whether a failure is the actor's own (user code) and not the core's."""
        ...


class Recoverable(Actor, Protocol):
    """An isolated actor."""

    intensity: Intensity

    def recover(self) -> None:
        """Return to the state before the message in hand, saying nothing."""
        ...

    def abandon(self, *, recovered: bool) -> None:
        """Take no further messages; with `recovered`, what it knows just now is good."""
        ...


if TYPE_CHECKING:
    Table = Mapping[type[Message], Sequence[Handler]]
    Trace = Callable[[Message, str, list[str], int], None]
    """Told of a delivery before it is made: the message, who said it (empty for an input), who hears it, its depth."""


class Route:
    """The subscribers of one message type and how many of them were delivered."""

    __slots__ = ("count", "handlers")

    def __init__(self, handlers: Sequence[Handler]) -> None:
        self.handlers = tuple(handlers)
        self.count = 0


class Context:
    """What every actor of one core is given: the time, a way to speak, and timers.

    Attributes:
        now_ns: time of the input in hand.
        emit: says a message; it is released when the handler returns.
        timers: deadlines that come back as `TimerFired`.
        lanes: how each symbol's bars travel.
    """

    __slots__ = ("emit", "lanes", "now_ns", "outbox", "timers")

    def __init__(self) -> None:
        self.now_ns = 0
        self.outbox: list[Message] = []
        self.emit: Callable[[Message], None] = self.outbox.append
        self.timers = Timers()
        self.lanes: dict[str, Lane] = {}

    def lane(self, symbol: str) -> Lane:
        """Return the lane of `symbol`, made when first asked for."""
        return self.lanes.setdefault(symbol, Lane())


class Scheduler:
    """Delivers messages among the actors of one core."""

    def __init__(
        self,
        context: Context,
        digest: Digest,
        *,
        entries: Table,
        subscribers: Table,
        deliveries_max: int,
        dead_letters_max: int,
    ) -> None:
        self.context = context
        self.digest = digest
        self.dead_letters = DeadLetters(dead_letters_max)
        self._deliveries_max = deliveries_max
        self._entries = {kind: Route(handlers) for kind, handlers in entries.items()}
        self._routes = {kind: Route(handlers) for kind, handlers in subscribers.items()}
        self._run, self.post_bars = self._make_dispatch(None)
        """`post_bars(bars)` runs bars whose decisions nobody keeps, and every timer due before each of them:
        the steps of `fire_before` and `post` in one loop."""

    def post(self, ts_ns: int, message: Message) -> bytes | None:
        """Run one input to quiescence.

        Returns:
            The decisions it caused as one msgpack array, or None if it caused none.

        Raises:
            CoreError: an actor that is not isolated failed, or a livelock.
        """
        context = self.context
        assert ts_ns >= context.now_ns, f"time went back: {ts_ns} < {context.now_ns}"
        context.now_ns = ts_ns
        route = self._entries[type(message)]
        route.count += 1
        self._run(message, route.handlers)
        return self.digest.seal(ts_ns) if self.digest.decided else None

    def fire_before(
        self, ts_ns: int, keep: Callable[[int, Message, bytes | None], None] | None = None, *, since_ns: int = 0
    ) -> None:
        """Run every timer due before `ts_ns`, in order, as an input of its own, of `since_ns` at the earliest."""
        timers = self.context.timers
        while (fired := timers.pop_before(ts_ns)) is not None:
            now_ns = max(self.context.now_ns, fired.due_ns, since_ns)
            effects = self.post(now_ns, fired)
            if keep is not None:
                keep(now_ns, fired, effects)

    def fire_next(self, ts_ns: int, keep: Callable[[int, Message, bytes | None], None]) -> bool:
        """Run the next timer due before `ts_ns`, as an input of its own; return whether there was one."""
        fired = self.context.timers.pop_before(ts_ns)
        if fired is None:
            return False
        now_ns = max(self.context.now_ns, fired.due_ns)
        keep(now_ns, fired, self.post(now_ns, fired))
        return True

    def trace(self, told: Trace) -> None:
        """Tell `told` of every delivery from now on, in causal order; it must not emit. Only between two inputs."""
        self._run, self.post_bars = self._make_dispatch(told)

    def _make_dispatch(  # noqa: C901, PLR0915 - four small functions that share their cells, not one long one
        self, told: Trace | None
    ) -> tuple[Callable[[Message, Handlers], None], Callable[[Iterable[Bar]], None]]:
        """Return `_run` and `post_bars`, with all they need in closure cells: a replay spends its time here."""
        context = self.context
        outbox = context.outbox
        timers = context.timers
        routes = self._routes
        deliveries_max = self._deliveries_max
        failed = self._failed
        decided = self.digest.decided
        seal = self.digest.seal
        entry = self._entries.get(Bar, Route(()))
        lanes = context.lanes
        caused = 0
        names: dict[str, None] = {}
        named_seq = 0

        def run(message: Message, handlers: Handlers) -> None:
            nonlocal caused
            caused = 0
            deliver(message, handlers, 0)

        def post_bars(bars: Iterable[Bar]) -> None:
            nonlocal caused
            for bar in bars:
                ts_ns = bar.close_ns
                if timers.next_hint_ns < ts_ns:
                    self.fire_before(ts_ns)
                caused = 0
                entry.count += 1
                try:
                    lane = lanes[bar.symbol]
                except KeyError:
                    lane = context.lane(bar.symbol)
                if ts_ns >= lane.vouched_until_ns:
                    assert ts_ns >= context.now_ns, f"time went back: {ts_ns} < {context.now_ns}"
                    context.now_ns = ts_ns
                    deliver(bar, lane.whole or entry.handlers, 0)
                elif lane.resting:
                    context.now_ns = ts_ns
                    deliver(bar, lane.busy, 0)
                else:
                    context.now_ns = ts_ns
                    lane.bar = bar
                    for handler in lane.quiet:
                        try:
                            handler(bar)
                        except Exception as error:  # noqa: BLE001 - as in `deliver`
                            failed(handler, bar, error)
                        if outbox:
                            release(handler, 0)
                if decided:
                    seal(ts_ns)

        def deliver(message: Message, handlers: Handlers, depth: int) -> None:
            for handler in handlers:
                try:
                    handler(message)
                except Exception as error:  # noqa: BLE001 - the dispatch boundary: one of three places that may
                    if failed(handler, message, error):
                        release(handler, depth)
                        return
                if outbox:
                    release(handler, depth)

        def release(handler: Handler, depth: int) -> None:
            """Deliver what a handler said, the first of it first."""
            nonlocal caused
            emitted = outbox.pop()
            caused += 1
            if caused > _SUSPECT_FROM:
                suspect(handler, depth)
            if outbox:
                released = [*outbox, emitted]
                outbox.clear()
                for emitted in released:
                    caused += 1
                    route = routes[type(emitted)]
                    route.count += 1
                    deliver(emitted, route.handlers, depth + 1)
            else:
                route = routes[type(emitted)]
                route.count += 1
                deliver(emitted, route.handlers, depth + 1)

        def suspect(handler: Handler, depth: int) -> None:
            nonlocal named_seq
            if named_seq != self.seq:
                named_seq = self.seq
                names.clear()
            names[_owner(handler).name] = None
            if depth > _DEPTH_MAX or caused > deliveries_max:
                bound = f"{deliveries_max} messages" if caused > deliveries_max else f"{_DEPTH_MAX} messages in a chain"
                what = f"livelock: input {self.seq} caused more than {bound}, last among {', '.join(names)}"
                raise LivelockError(what)

        if told is not None:  # who is not traced pays nothing for it: the functions above are as they were
            deliver, release = _traced(told, deliver, release)
        return run, post_bars

    def _failed(self, handler: Handler, message: Message, error: Exception) -> bool:
        """Deal with what a handler raised; return whether the message's delivery ends here."""
        self.context.outbox.clear()
        if isinstance(error, WithheldError):
            self.context.emit(error.instead)
            return True
        actor = _owner(handler)
        if isinstance(error, (MemoryError, RecursionError, CoreError)):
            raise error
        if not actor.isolated:
            what = (
                f"{actor.name} failed on {type(message).__name__} (input {self.seq}): {type(error).__name__}: {error}"
            )
            raise CoreError(what) from error
        letter = self.dead_letters.add(actor.name, self.seq, self.context.now_ns, message, error)
        isolated = cast("Recoverable", actor)
        restarted = isolated.intensity.allows(self.context.now_ns)
        try:
            isolated.recover()
            recovered = True
        except Exception as second:  # noqa: BLE001 - user code again, at the same boundary
            self.dead_letters.add(actor.name, self.seq, self.context.now_ns, message, second)
            recovered = restarted = False
        if not restarted:
            isolated.abandon(recovered=recovered)
        self.context.outbox.clear()
        self.context.emit(ActorFailed(actor=actor.name, error=letter.error, escalated=not restarted))
        if restarted:
            self.context.emit(ActorRestarted(actor=actor.name, restarts=isolated.intensity.restarts))
        return False

    def rewire(self, entries: Table, subscribers: Table) -> None:
        """Have every message go to other handlers from now on; the one in hand goes its way."""
        for routes, table in ((self._entries, entries), (self._routes, subscribers)):
            assert routes.keys() == table.keys(), "another table"
            for kind, handlers in table.items():
                routes[kind].handlers = tuple(handlers)

    def messages(self) -> int:
        """Return how many messages were delivered so far, inputs included."""
        return sum(route.count for route in (*self._entries.values(), *self._routes.values()))

    @property
    def seq(self) -> int:
        """Number of the input in hand: how many there were."""
        return sum([route.count for route in self._entries.values()])

    def entered(self, kind: type[Message]) -> int:
        """Return how many inputs of one type there were so far."""
        return self._entries[kind].count

    def emitted(self, kind: type[Message]) -> int:
        """Return how many messages of one type were emitted so far."""
        return self._routes[kind].count

    def credit(self, kind: type[Message], count: int) -> None:
        """Count messages that are handed over without this scheduler."""
        self._routes[kind].count += count

    def processed(self) -> dict[str, int]:
        """Return how many messages each actor was given so far."""
        counts: dict[str, int] = {}
        for route in (*self._entries.values(), *self._routes.values()):
            for handler in route.handlers:
                name = _owner(handler).name
                counts[name] = counts.get(name, 0) + route.count
        return counts

    def dump_counts(self) -> dict[str, int]:
        """Return the deliveries of every route, for a snapshot."""
        entries = {f"entry:{kind.__name__}": route.count for kind, route in self._entries.items()}
        return entries | {kind.__name__: route.count for kind, route in self._routes.items()}

    def load_counts(self, counts: Mapping[str, int]) -> None:
        """Restore what `dump_counts` returned."""
        for kind, route in self._entries.items():
            route.count = counts.get(f"entry:{kind.__name__}", 0)
        for kind, route in self._routes.items():
            route.count = counts.get(kind.__name__, 0)


class _Deliver(Protocol):
    def __call__(self, message: Message, handlers: Handlers, depth: int) -> None: ...


class _Release(Protocol):
    def __call__(self, handler: Handler, depth: int) -> None: ...


def _traced(told: Trace, plain_deliver: _Deliver, plain_release: _Release) -> tuple[_Deliver, _Release]:
    """Return the two halves of a dispatch with a trace of every delivery."""
    speakers: list[str] = []
    """By depth: who said what is delivered one deeper."""

    def deliver(message: Message, handlers: Handlers, depth: int) -> None:
        told(message, speakers[depth - 1] if depth else "", [_owner(handler).name for handler in handlers], depth)
        plain_deliver(message, handlers, depth)

    def release(handler: Handler, depth: int) -> None:
        speakers[depth:] = [_owner(handler).name]
        plain_release(handler, depth)

    return deliver, release


def _owner(handler: Handler) -> Actor:
    """Return the actor a bound method belongs to."""
    return cast("Actor", handler.__self__)  # type: ignore[attr-defined]
