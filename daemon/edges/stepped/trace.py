"""The messages of a replay that is looked at: what every input caused, who said it and who was told."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.control import AnyCommand
from actors.instrument import from_atoms
from actors.messages import FeatureRow, Halt, LimitsConfigured, Message, TapeEnded, TimerFired
from daemon.control.replay_types import MessageRow, Messages
from replay.tape.inputs import PLAYED

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.instrument import Instrument
    from actors.system import Core
    from daemon.control.replay_types import MessagesAsked

KEPT = 20_000
_SIDES = {1: "buy", -1: "sell"}


class Heard(NamedTuple):
    """One message."""

    number: int
    seq: int
    place: int
    cause: int | None
    depth: int
    ts_ns: int
    message: Message
    sender: str
    to: list[str]


class MessageTrace:
    """Hears every delivery in a core, and keeps the newest.

    Args:
        core: what is listened to.
        kept: so many are.
    """

    def __init__(self, core: Core, kept: int = KEPT) -> None:
        self.newest = 0
        """Number of the newest message."""
        self._core = core
        self._actors = frozenset(core.actor_names())
        self._kept: deque[Heard] = deque(maxlen=kept)
        self._path: list[int] = []
        """By depth: the index of the message in hand."""
        self._seq = 0
        self._index = 0
        core.scheduler.trace(self._hear)

    def _hear(self, message: Message, sender: str, hearing: list[str], depth: int) -> None:
        if depth:
            self._index += 1
        else:
            self._index, self._seq = 0, self._core.scheduler.seq
            sender = _origin(message)
        self._path[depth:] = [self._index]
        self.newest += 1
        cause = self._path[depth - 1] if depth else None
        now_ns = self._core.context.now_ns
        self._kept.append(Heard(self.newest, self._seq, self._index, cause, depth, now_ns, message, sender, hearing))

    def after(self, number: int) -> list[Message]:
        """Return what was said after message `number`, as far as it is kept, in order."""
        count = self.newest - number
        return [heard.message for heard in islice(reversed(self._kept), count)][::-1]

    def find(self, asked: MessagesAsked) -> Messages:
        """Return a page."""
        fits = _filter(asked, None if asked.order is None else self._story(asked.order))
        if asked.since is not None:
            rows, older = list(islice(filter(fits, self._kept), asked.limit)), 0
        else:
            found = list(islice(filter(fits, reversed(self._kept)), asked.limit + 1))
            rows, older = found[: asked.limit][::-1], len(found) - asked.limit
        return Messages(
            rows=tuple(self._row(heard) for heard in rows),
            next=rows[0].number if older > 0 else None,
            newest=self.newest,
        )

    def _story(self, order_id: str) -> set[int]:
        """Return the numbers of the messages about an order, of what led to each, and of what came of it."""
        wish = next((found for heard in self._kept if (found := _wish_of(heard.message, order_id))), None)
        story: set[int] = set()
        path: list[int] = []
        told_depth: int | None = None
        """Of the message in hand, or of the one it came of, that is about the order."""
        for heard in self._kept:
            if heard.depth and not path:
                continue  # of an input whose beginning is not kept any more
            path[heard.depth :] = [heard.number]
            if told_depth is not None and heard.depth <= told_depth:
                told_depth = None
            if told_depth is None and _is_about(heard.message, order_id, wish):
                told_depth = heard.depth
                story.update(path)
            if told_depth is not None:
                story.add(heard.number)
        return story

    def _row(self, heard: Heard) -> MessageRow:
        return MessageRow(
            number=heard.number,
            input=heard.seq,
            index=heard.place,
            cause=heard.cause,
            depth=heard.depth,
            ts_ns=heard.ts_ns,
            kind=type(heard.message).__name__,
            sender=heard.sender,
            to=tuple(name for name in dict.fromkeys(heard.to) if name in self._actors),
            fields=_plain(heard.message, None, self._core.instruments),
        )


def _filter(asked: MessagesAsked, story: set[int] | None) -> Callable[[Heard], bool]:
    def fits(heard: Heard) -> bool:
        return (
            (asked.since is None or heard.number > asked.since)
            and (asked.cursor is None or heard.number < asked.cursor)
            and (asked.input is None or heard.seq == asked.input)
            and (asked.kind is None or type(heard.message).__name__ == asked.kind)
            and (asked.actor is None or heard.sender == asked.actor or asked.actor in heard.to)
            and (story is None or heard.number in story)
        )

    return fits


def order_of(message: Message) -> str:
    """Return the id of the order a message is about; empty if it is about none."""
    found: str = getattr(message, "order_id", "")
    return found


def _wish_of(message: Message, order_id: str) -> tuple[str, int] | None:
    """Return the strategy and the number of the wish that an order grew from, if the message says so."""
    if order_of(message) != order_id:
        return None
    said: Any = getattr(message, "request", message)
    return (said.strategy, said.ref) if hasattr(said, "ref") else None


def _is_about(message: Message, order_id: str, wish: tuple[str, int] | None) -> bool:
    if order_of(message) == order_id:
        return True
    said = getattr(message, "request", message)
    return wish is not None and (getattr(said, "strategy", None), getattr(said, "ref", None)) == wish


def _origin(message: Message) -> str:
    """Return where an input came from."""
    if isinstance(message, TimerFired):
        return "clock"
    if isinstance(message, (*PLAYED, TapeEnded)):
        return "tape"
    return "command" if isinstance(message, (AnyCommand, LimitsConfigured, Halt)) else "venue"


def _plain(value: Any, instrument: Instrument | None, instruments: dict[str, Instrument]) -> Any:  # noqa: ANN401 - as it comes
    """Return a value as people read it: a struct by its fields, ticks and lots and atoms as numbers."""
    if isinstance(value, FeatureRow):
        features = msgspec.structs.asdict(value.values) if isinstance(value.values, msgspec.Struct) else {}
        return {"strategy": value.strategy, "bar": _plain(value.bar, None, instruments), "features": features}
    if isinstance(value, msgspec.Struct):
        instrument = instruments.get(getattr(value, "symbol", ""), instrument)
        found: dict[str, Any] = {}
        for name in value.__struct_fields__:
            shown, one = _in_units(name, getattr(value, name), instrument)
            found[shown] = _plain(one, instrument, instruments)
        return found
    if isinstance(value, dict):
        return {str(key): _plain(one, instrument, instruments) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, instrument, instruments) for one in value]
    return value


def _in_units(name: str, value: Any, instrument: Instrument | None) -> tuple[str, Any]:  # noqa: ANN401 - as it comes
    """Return a field with its value in quote or base units, and the name without the exact unit."""
    if type(value) is not int:
        return name, value
    short, _, unit = name.rpartition("_")
    if name == "side":
        return name, _SIDES.get(value, "")
    if unit == "atoms":
        return short, from_atoms(value)
    if instrument is not None and unit == "lots":
        return short, instrument.quantity(value).normalize() + 0
    if instrument is not None and unit == "ticks":
        is_price = value or short not in ("limit", "stop")
        return short if short.endswith("price") else f"{short}_price", instrument.price(value) if is_price else None
    return name, value
