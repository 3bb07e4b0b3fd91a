"""What the core said and somebody outside is to hear, kept until its input is durable."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.messages import Message
    from actors.runtime.lanes import Handler
    from actors.runtime.scheduler import Table
    from actors.system import Core


class Listener(Protocol):
    """Whoever hears what the core says."""

    def observers(self) -> Table:
        """Return the rows of the subscription table this adds."""
        ...


def joined(*listeners: Listener) -> Table:
    """Return one table of all who listen: of those to the same kind, the first given is told first."""
    table: dict[type[Message], list[Handler]] = {}
    for listener in listeners:
        for kind, handlers in listener.observers().items():
            table.setdefault(kind, []).extend(handlers)
    return table


class Outbox:
    """Subscribes to some kinds of messages ahead of all actors; says nothing to them.

    Args:
        name: its name among the subscribers.
        kinds: what it listens to.
        deliver: told the number of the input and the message, in order, once that input is durable.
        kept_max: most messages that wait; the oldest are given up beyond. None gives up nothing.
    """

    isolated = False

    def __init__(
        self,
        name: str,
        kinds: Iterable[type[Message]],
        deliver: Callable[[int, Message], None],
        kept_max: int | None = None,
    ) -> None:
        self.name = name
        self._kinds = tuple(kinds)
        self._deliver = deliver
        self._core: Core | None = None
        self._waiting: deque[tuple[int, Message]] = deque(maxlen=kept_max)

    def observers(self) -> Table:
        """Return the rows of the subscription table this adds."""
        return {kind: [self.on_message] for kind in self._kinds}

    def attach(self, core: Core) -> None:
        """Listen to `core` from now on; what was said while it was recovered has left long ago, or never will."""
        self._core = core
        self._waiting.clear()

    def on_message(self, message: Message) -> None:
        """Keep a message until its input is durable."""
        if self._core is not None:
            self._waiting.append((self._core.scheduler.seq, message))

    def release(self, durable_seq: int) -> None:
        """Hand over what is durable."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= durable_seq:
            self._deliver(*waiting.popleft())
