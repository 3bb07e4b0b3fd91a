"""The stream: keeps what it has told, and makes a status of it.

What is kept is the rows that are there now; an event is handed on once and forgotten.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tui.status import (
    Actor,
    Bar,
    Command,
    DeadLetter,
    LastInput,
    Order,
    Position,
    Risk,
    Standing,
    Status,
    Strategy,
    Symbol,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NS_PER_S = 1_000_000_000
_ORDER: dict[str, Callable[[Any], int]] = {
    "commands": lambda command: command.ts_ns,
    "dead_letters": lambda letter: letter.seq,
}
"""By what the rows of some sections are sorted; others stay as they came."""


class Summary(Standing, frozen=True):
    """The daemon in one row."""

    started_wall_ns: int = 0
    seq: int = 0


class Fill(msgspec.Struct, frozen=True):
    """An execution."""

    order_id: str
    strategy: str
    symbol: str
    trade_id: int
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    """In quote units; negative is a rebate."""
    executed_ns: int


class Event(msgspec.Struct, frozen=True):
    """Something that happened; of a fill everything there is."""

    kind: str
    order_id: str = ""
    strategy: str = ""
    symbol: str = ""
    trade_id: int = 0
    side: str = ""
    price: Decimal = Decimal(0)
    quantity: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    executed_ns: int = 0

    def fill(self) -> Fill:
        """Return what a fill tells."""
        return msgspec.convert(self, Fill, from_attributes=True)


class Sections(msgspec.Struct, frozen=True):
    """Rows by their key, of the sections the console shows."""

    summary: dict[str, Summary] = {}
    positions: dict[str, Position] = {}
    orders: dict[str, Order] = {}
    symbols: dict[str, Symbol] = {}
    strategies: dict[str, Strategy] = {}
    bars: dict[str, Bar] = {}
    commands: dict[str, Command] = {}
    dead_letters: dict[str, DeadLetter] = {}
    actors: dict[str, Actor] = {}
    risk: dict[str, Risk] = {}


class Snapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """Everything."""

    epoch: str
    seq: int
    data: Sections
    events: tuple[Event, ...] = ()


class Delta(msgspec.Struct, frozen=True, tag_field="type", tag="delta"):
    """What has changed since the message before."""

    epoch: str
    seq: int
    set: Sections = Sections()
    gone: dict[str, tuple[str, ...]] = {}
    events: tuple[Event, ...] = ()
    missed: int = 0


class Told:
    """What the stream has told so far.

    Attributes:
        epoch: of the last message; with `seq` where to go on.
        seq: likewise.
        missed: whether there are events, or may be, that never came: history has them.
    """

    def __init__(self) -> None:
        self.epoch = ""
        self.seq = 0
        self.missed = True
        self._sections = Sections()
        self._rows: dict[str, tuple[Any, ...]] = {}
        """Of sections that have not changed since, what a status says of them."""
        self._decode = msgspec.json.Decoder(Snapshot | Delta).decode

    def take(self, message: str | bytes) -> list[Fill]:
        """Take a message over; return the executions it tells of.

        Raises:
            msgspec.DecodeError: it is not understood.
        """
        told = self._decode(message)
        if isinstance(told, Snapshot):
            self._sections, self.missed = told.data, True
            self._rows.clear()
        else:
            for name in Sections.__struct_fields__:
                self._merge(name, getattr(told.set, name), told.gone.get(name, ()))
            self.missed = self.missed or told.missed > 0
        self.epoch, self.seq = told.epoch, told.seq
        return [event.fill() for event in told.events if event.kind == "fill"]

    def _merge(self, name: str, changed: Mapping[str, object], gone: tuple[str, ...]) -> None:
        if changed or gone:
            self._rows.pop(name, None)
        rows = getattr(self._sections, name)
        rows.update(changed)
        for key in gone:
            rows.pop(key, None)

    def _all(self, name: str) -> tuple[Any, ...]:
        """Return the rows of a section; the very same tuple until one of them changes."""
        if name not in self._rows:
            rows = getattr(self._sections, name).values()
            self._rows[name] = tuple(sorted(rows, key=_ORDER[name]) if name in _ORDER else rows)
        return self._rows[name]

    def status(self, now_wall_ns: int) -> Status | None:
        """Return what is known, at a time by the wall; None while there is nothing."""
        kept = self._sections
        summary = kept.summary.get("")
        if summary is None:
            return None
        return Status(
            **{name: getattr(summary, name) for name in Standing.__struct_fields__},
            uptime_s=max(0.0, (now_wall_ns - summary.started_wall_ns) / _NS_PER_S),
            positions=self._all("positions"),
            orders=self._all("orders"),
            strategies=self._all("strategies"),
            actors=self._all("actors"),
            risk=kept.risk.get("", Risk()),
            stale=tuple(row.symbol for row in kept.symbols.values() if row.stale),
            commands=self._all("commands"),
            last_input=LastInput(summary.seq),
            dead_letters=self._all("dead_letters"),
            symbols=tuple(kept.symbols),
            steps={row.symbol: row.price_step for row in kept.symbols.values()},
            bars=self._all("bars"),
        )
