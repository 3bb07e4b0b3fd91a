"""What the console is told: sections of the state that have changed, and what happened, in frames.

The core is never held up: hearing a message appends it to a bounded queue. A task of its own looks at the core
between two inputs, at most every `[console] frame_s`, and writes one frame once what it shows is durable. While
the console does not read, nothing is built and nothing grows.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from actors import messages as m
from actors.messages import FeatureRow
from daemon.console.bar_row import bar_row
from daemon.console.events import HEARD, event_of
from daemon.console.frames import encode, packed
from daemon.edges.counting import Counting
from daemon.log import keep_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from socket import socket

    from actors.messages import Message
    from actors.runtime.lanes import Handler
    from actors.runtime.scheduler import Table
    from actors.system import Core
    from daemon.console.frames import Hello
    from daemon.console.types import BarRow
    from daemon.control.view import StatusView
    from daemon.edges.venue.limits import LimitStatistics
    from daemon.live import LiveDriver

Released = tuple[int, int, int, "Message"]
"""Its place among all, the input that caused it, when, and what was said."""

_EVENTS_MAX = 512
_STATES = (m.TradingStateChanged, m.StrategyStateChanged, m.LimitBreached, m.FeedStale, m.FeedResumed)
_ROWS_MAX = 256
"""Of each strategy and symbol in one frame."""
_LINES_MAX = 200
_SLOW_S = 1.0
_RARE_S = 5.0
_DURABLE_WITHIN_S = 5.0


class Publisher:
    """Hears the core ahead of all actors, says nothing to it, and writes frames.

    Args:
        frame_s: least time between two frames.
    """

    name = "publisher"
    isolated = False

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._lines = keep_lines()
        """Of the log; they wait here for a console, the newest of them."""
        self._told: deque[dict[str, Any]] = deque(maxlen=self._lines.maxlen)
        """Lines that a console has been told, for the one after it."""
        self._core: Core | None = None
        self._view: StatusView | None = None
        self._driver: LiveDriver | None = None
        self._reading = False
        """Whether there is a console: else nothing is kept."""
        self._said: deque[tuple[int, int, Message]] = deque()
        """What waits for its input to be durable."""
        self._events: deque[Released] = deque()
        self._states: deque[Released] = deque()
        """States that have changed: no flood of orders and fills pushes these out."""
        self._released = 0
        self._missed = 0
        self._rows: dict[tuple[str, str], deque[tuple[int, FeatureRow]]] = {}
        self._newest: dict[str, BarRow] = {}
        self._sent: dict[str, bytes] = {}
        self._slow_due_s = self._rare_due_s = 0.0
        self._seq = -1
        self._heard_wall_ns = 0
        self._counting = Counting()

    def observers(self) -> Table:
        """Return the rows of the subscription table this adds."""
        table: dict[type[Message], list[Handler]] = {kind: [self.on_message] for kind in HEARD}
        table[FeatureRow] = [self.on_message]
        for kind, handlers in self._counting.observers().items():
            table.setdefault(kind, []).extend(handlers)
        return table

    def attach(
        self,
        core: Core,
        view: StatusView,
        driver: LiveDriver,
        limits: Callable[[], LimitStatistics | None] = lambda: None,
    ) -> None:
        """Listen to `core` from now on; show what `view` shows, once `driver` has made it durable.

        Args:
            core: the core.
            view: of it.
            driver: its driver.
            limits: of requests to the venue, if there is one.
        """
        self._core, self._view, self._driver = core, view, driver
        self._counting.attach(core, driver, limits)

    def on_message(self, message: Message) -> None:
        """Keep a message until its input is durable."""
        if self._reading and self._core is not None:
            self._said.append((self._core.scheduler.seq, self._core.context.now_ns, message))

    def release(self, durable_seq: int) -> None:
        """Let what is durable be told."""
        said = self._said
        while said and said[0][0] <= durable_seq:
            seq, ts_ns, message = said.popleft()
            if isinstance(message, FeatureRow):
                key = (message.strategy, message.bar.symbol)
                rows = self._rows.get(key)
                if rows is None:
                    rows = self._rows[key] = deque(maxlen=_ROWS_MAX)
                rows.append((seq, message))
                continue
            events = self._states if isinstance(message, _STATES) else self._events
            if len(events) == _EVENTS_MAX:
                events.popleft()
                self._missed += 1
            self._released += 1
            events.append((self._released, seq, ts_ns, message))

    def take(self) -> tuple[list[Released], int]:
        """Return what was released since, in order, and how much of it was given up because it was too much."""
        events, missed = sorted((*self._events, *self._states)), self._missed
        self._events.clear()
        self._states.clear()
        self._missed = 0
        return events, missed

    async def publish(self, end: socket, hello: Hello) -> None:
        """Write to `end`, which does not block, until it is closed.

        Raises:
            OSError: the console is gone.
        """
        self._reset()
        again = [*self._told, *self._lines]
        self._told.clear()
        self._lines.clear()
        self._lines.extend(again)
        self._reading = True
        try:
            await _write(end, encode(hello))
            full = True
            while True:
                document = await self._frame(full=full)
                if document is not None:
                    full = False
                    await _write(end, document)
                await anyio.sleep(self._frame_s)
        finally:
            self._reading = False
            self._reset()

    def _reset(self) -> None:
        self._said.clear()
        self.take()
        self._rows.clear()
        self._sent.clear()
        self._counting.forget()
        self._slow_due_s = self._rare_due_s = 0.0
        self._seq = -1

    async def _frame(self, *, full: bool) -> bytes | None:
        """Return what has changed as a document, once it is durable; None if nothing has."""
        assert self._core is not None
        assert self._driver is not None
        seq = self._core.scheduler.seq
        now_s = time.monotonic()
        slow = now_s >= self._slow_due_s
        if slow:
            self._slow_due_s = now_s + _SLOW_S
        meters = self._counting.news() if slow else None  # how far the disk is behind, before it is waited for
        sections = self._changed(seq, slow=slow)
        await self._durable(seq)
        events, missed = self.take()
        rows, self._rows = self._rows, {}
        lines = [self._lines.popleft() for _ in range(min(len(self._lines), _LINES_MAX))]
        self._told.extend(lines)
        if not (sections or events or rows or lines or full or meters):
            return None
        told = [bar_row(*row) for kept in rows.values() for row in kept]
        if told or full:
            self._newest.update({f"{row.strategy} {row.symbol}": row for row in told})
            sections["bars"] = msgspec.Raw(encode(self._newest))
        return encode(
            {
                "full": full,
                "sections": sections,
                "events": [event_of(*said[1:], self._core.instruments) for said in events],
                "rows": told,
                "lines": lines,
                "missed": missed,
                "meters": meters,
            }
        )

    def _changed(self, seq: int, *, slow: bool) -> dict[str, msgspec.Raw]:
        """Return the sections that are not as they were told last, encoded; all only if `slow`."""
        view = self._view
        assert view is not None
        if seq != self._seq:
            self._seq, self._heard_wall_ns = seq, time.time_ns()
        elif not slow:
            return {}
        sections: dict[str, msgspec.Raw] = {}

        def add(name: str, rows: Iterable[tuple[str, msgspec.Struct]]) -> None:
            told = encode(dict(rows))
            if told != self._sent.get(name):
                self._sent[name] = told
                sections[name] = msgspec.Raw(told)

        add("summary", [("", view.summary(self._heard_wall_ns))])
        add("positions", [(f"{row.strategy} {row.symbol}", row) for row in view.positions()])
        add("orders", [(row.order_id, row) for row in view.orders()])
        if not slow:
            return sections
        add("books", [(f"{row.strategy} {row.symbol}", row) for row in view.books()])
        add("symbols", [(row.symbol, row) for row in view.symbols()])
        add("strategies", [(row.strategy, row) for row in view.strategies()])
        add("commands", [(row.command_id, row) for row in view.commands()])
        add("dead_letters", [(f"{row.seq} {row.actor}", row) for row in view.dead_letters()])
        add("actors", [(row.name, row) for row in view.actors()])
        add("venue", [("", view.venue())])
        add("risk", [("", view.risk())])
        margin = view.margin()
        add("margin", [] if margin is None else [("", margin)])
        add("other_assets", [(row.asset, row) for row in view.other_assets()])
        add("streams", [(f"{row.symbol} {row.stream}", row) for row in view.streams()])
        now_s = time.monotonic()
        if now_s >= self._rare_due_s:  # to sort what is kept takes as long as everything else
            self._rare_due_s = now_s + _RARE_S
            add("latency", [("", view.latency())])
        return sections

    async def _durable(self, seq: int) -> None:
        """Wait until input `seq` is durable; not while the disk is in trouble, which is told, too."""
        assert self._driver is not None
        journal = self._driver.journal
        with anyio.move_on_after(_DURABLE_WITHIN_S):
            while journal.durable_seq < seq and journal.trouble() is None:
                await journal.progress()


async def _write(end: socket, document: bytes) -> None:
    """Write a whole document, waiting for room."""
    view = memoryview(packed(document))
    while view:
        try:
            view = view[end.send(view) :]
        except BlockingIOError:
            await anyio.wait_writable(end)
