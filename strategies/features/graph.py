"""The graph of all declared features: every expression once, whoever asked for it, evaluated bar by bar.

Each series that anything is computed on (a symbol's own bars, or a higher timeframe of them) is a `Lane`: an
ordered list of nodes that run at the close of its bars.  All values stand in one list; a node writes its
slots and reads others', so that what was computed on another series is simply read as it stands, which is
as of the last bar closed there.  What comes between bars is written into slots of its own when it is told.

A node begins with the first bar on which everything it reads has a value, so an indicator over another one
is seeded by true values only.  A lane that reads nothing but its own bars can compute a whole chunk of them
at once, with the same kernels and so to the same bits (`Lane.compute`).
"""

from __future__ import annotations

from collections.abc import Hashable
from math import nan
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from actors.features import SeriesKey
from actors.messages import BookSnapshot, External, Quote
from config.errors import nearest
from config.timeframe import parse_timeframe
from strategies.features.channels import TOLD_BY, Channels
from strategies.features.nodes import Kernel, Operator, Own
from strategies.indicators.custom import Custom
from strategies.indicators.declaration import Indicator
from strategies.indicators.expression import (
    NEWEST,
    SUMMED,
    Column,
    Combined,
    Constant,
    Expression,
    Output,
    Placed,
    Published,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.messages import Bar, Message
    from actors.ticks import Tick
    from strategies.features.nodes import Columns, Node, Values

    _At = tuple[Expression, SeriesKey]
    """An expression, and the series it is computed on."""
    _Place = tuple[int, SeriesKey]
    _Key = tuple[object, ...]

_NS_PER_S = 1_000_000_000
_OF_QUOTES = {name for name, kind in TOLD_BY.items() if kind is Quote}
"""A book tells its best levels as well."""


class _State(msgspec.Struct):
    values: bytes
    nodes: list[tuple[bool, bytes]]
    sums: list[list[float]]
    spoken_ns: dict[str, int] = {}


class Lane:
    """Everything computed at the closes of one series' bars."""

    def __init__(self, series: SeriesKey) -> None:
        """Begin without nodes."""
        self.series = series
        self.columns: dict[str, int] = {}
        """Slots of the bar's columns that are read."""
        self.nodes: list[Node] = []
        self.taken: object = None
        """The bar, or the chunk of bars, that was run last."""
        self.computed: Columns = {}
        """The columns of that chunk, by slot."""
        self.alone = True
        """Whether it reads nothing but its own bars, and has no function of a user's."""

    def take(self, bar: Bar, values: Values, sums: Mapping[str, float]) -> None:
        """Run all nodes at the close of `bar`."""
        for name, slot in self.columns.items():
            if name == "time":
                values[slot] = bar.open_ns / _NS_PER_S
            elif name in sums:
                values[slot] = sums[name]
            else:
                values[slot] = getattr(bar, name)
        for node in self.nodes:
            node.run(values)
        self.taken = bar

    def compute(self, chunk: Any, values: Values, constants: Iterable[int]) -> Columns:  # noqa: ANN401 - see `FeaturePort.batch`
        """Run all nodes over a chunk of bars, unless that was done; return the columns by slot.

        The last values are left behind, as if the bars had come one by one.
        """
        assert self.alone, self.series
        if self.taken is chunk:
            return self.computed
        rows = len(chunk)
        columns: Columns = {slot: np.full(rows, values[slot]) for slot in constants}
        for name, slot in self.columns.items():
            columns[slot] = chunk.open_ns / _NS_PER_S if name == "time" else getattr(chunk, name)
        for node in self.nodes:
            assert not isinstance(node, Own)
            node.compute(columns)
        if rows:
            for slot, column in columns.items():
                values[slot] = float(column[-1])
        self.taken, self.computed = chunk, columns
        return columns


class FeatureGraph:
    """All features of a session.

    Args:
        base: the timeframe in ns of each symbol's bars; None where they are not known yet, and any will do.
    """

    def __init__(self, base: Mapping[str, int] | None) -> None:
        self.base = None if base is None else dict(base)
        self.values: Values = []
        self.lanes: dict[SeriesKey, Lane] = {}
        self.channels = Channels()
        self._slots: dict[_Key, tuple[int, ...]] = {}
        """What is computed already, by what it is and the slots it reads."""
        self._found: dict[_Place, tuple[Expression, tuple[int, ...]]] = {}
        """The slots of expressions that were seen, which are kept, lest others take their places in memory."""
        self._warmups: dict[int, int] = {}
        """By slot, how many bars of its lane it takes to have a value, so far as that is known beforehand."""
        self._homes: dict[int, SeriesKey] = {}
        self._reads: dict[int, tuple[int, ...]] = {}
        self._makers: dict[int, Own] = {}
        self.nodes: list[tuple[SeriesKey, Node]] = []
        """Every node with its series, each behind all it reads."""
        self.constants: list[int] = []
        self._shared: set[SeriesKey] = set()
        """Series whose values are read on another one."""
        self._readers: set[tuple[SeriesKey, SeriesKey]] = set()
        """Who reads whom."""

    def add(self, expression: Expression, series: SeriesKey) -> tuple[int, ...]:
        """Have an expression computed on a series; return the slots of its values.

        Raises:
            ValueError: it reads a series that is not there, or cannot be built.
        """
        found = self._found
        parts: dict[_Place, list[_At]] = {}
        waiting: list[_At] = [(expression, series)]
        # Without recursion, and by slots instead of by what an expression holds: it may be nested as deep as anybody
        # cares to write, and name one part so often that written out it would not fit any memory.
        while waiting:
            one, where = waiting[-1]
            place = _place(waiting[-1])
            if place not in parts and place not in found:
                parts[place] = self._parts(one, where)
                waiting.extend(part for part in reversed(parts[place]) if _place(part) not in found)
                continue
            waiting.pop()
            if place not in found:
                inputs = tuple(slot for part in parts[place] for slot in found[_place(part)][1])
                found[place] = one, self._added(one, where, inputs)
        return found[id(expression), series][1]

    def lane(self, series: SeriesKey) -> Lane:
        """Return a series' lane, made if it is not there."""
        return self.lanes.setdefault(series, Lane(series))

    def take(self, bar: Bar) -> None:
        """Run what is computed at the close of `bar`, unless that was done."""
        lane = self.lanes.get(SeriesKey(bar.symbol, bar.timeframe_ns))
        if lane is not None and lane.taken is not bar:
            lane.take(bar, self.values, self.channels.take(bar.symbol, bar.timeframe_ns))

    def share(self, slots: Iterable[int], reader: SeriesKey) -> None:
        """Note that slots are read on a series, perhaps not their own."""
        homes = {home for slot in slots if (home := self._homes.get(slot)) is not None and home != reader}
        self._shared |= homes
        self._readers |= {(reader, home) for home in homes}

    @property
    def stepped(self) -> set[SeriesKey]:
        """The series every bar of which it must be given."""
        return {series for series, lane in self.lanes.items() if not lane.alone or series in self._shared}

    @property
    def built(self) -> list[SeriesKey]:
        """Every series something is computed on."""
        return list(self.lanes)

    @property
    def merges(self) -> bool:
        """Whether a higher timeframe is read on bars it may be built from."""
        return any(self.base is not None and self.base[one.symbol] != one.timeframe_ns for one in self._shared)

    def closing_order(self, symbol: str, timeframes_ns: Iterable[int]) -> list[int]:
        """Return higher timeframes of a symbol in the order in which bars that end together are to be closed.

        That is what is read before what reads it, else the shortest first; of those that read each other the longest.
        """
        left = sorted(set(timeframes_ns))
        ordered: list[int] = []
        while left:
            reading = {
                reader.timeframe_ns
                for reader, read in self._readers
                if reader.symbol == read.symbol == symbol and read.timeframe_ns in left
            }
            ordered.append(next((one for one in left if one not in reading), left[-1]))
            left.remove(ordered[-1])
        return ordered

    def compute(self, lane: Lane, chunk: Any) -> Columns:  # noqa: ANN401 - see `FeaturePort.batch`
        """Run a lane over a chunk of its bars, unless that was done; return the columns by slot."""
        return lane.compute(chunk, self.values, self.constants)

    def home(self, slot: int) -> SeriesKey | None:
        """Return the series a slot is computed on, None of a constant or of what is told between bars."""
        return self._homes.get(slot)

    def hear(self, message: Tick | External) -> None:
        """Note what was told between bars."""
        self.channels.hear(message, self.values)

    @property
    def hears(self) -> set[type[Message]]:
        """Return the kinds of messages it has to be told."""
        columns = {name for names in self.channels.newest.values() for name in names}
        columns.update(name for lane in self.lanes.values() for name in lane.columns)
        kinds = {TOLD_BY[name] for name in columns if name in TOLD_BY}
        if columns & _OF_QUOTES:
            kinds.add(BookSnapshot)
        return kinds | ({External} if self.channels.series else set())

    def history(self, slots: Iterable[int]) -> dict[SeriesKey, int]:
        """Return how many bars of each series it takes until these slots have a value, as far as that is known."""
        wanted: dict[SeriesKey, int] = {}
        seen: set[int] = set()
        waiting = list(slots)
        while waiting:
            slot = waiting.pop()
            if slot in seen:
                continue
            seen.add(slot)
            home = self._homes.get(slot)
            if home is not None:
                wanted[home] = max(wanted.get(home, 0), self._warmups.get(slot, 0))
            waiting.extend(self._reads.get(slot, ()))
        return wanted

    def failures(self, slots: Iterable[int]) -> list[Own]:
        """Return the users' functions that these slots depend on."""
        found: dict[int, Own] = {}
        seen: set[int] = set()
        waiting = list(slots)
        while waiting:
            slot = waiting.pop()
            if slot not in seen:
                seen.add(slot)
                waiting.extend(self._reads.get(slot, ()))
                if slot in self._makers:
                    found[id(self._makers[slot])] = self._makers[slot]
        return list(found.values())

    def dump(self) -> bytes:
        """Return the state; only between bars."""
        nodes = [node.dump() for lane in self.lanes.values() for node in lane.nodes]
        return msgspec.msgpack.encode(_State(np.array(self.values).tobytes(), nodes, *self.channels.dump()))

    def load(self, state: bytes) -> None:
        """Restore the state of a graph built alike."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self.values[:] = np.frombuffer(kept.values, np.float64).tolist()
        nodes = [node for lane in self.lanes.values() for node in lane.nodes]
        for node, (started, inner) in zip(nodes, kept.nodes, strict=True):
            node.load(started, inner)
        self.channels.load(kept.sums, kept.spoken_ns)

    # --- building ---------------------------------------------------------------------------------------

    def _parts(self, expression: Expression, series: SeriesKey) -> list[_At]:
        """Return what an expression is computed from, each with the series it is computed on."""
        match expression:
            case Placed(of, timeframe, symbol):
                return [(of, self._placed(series, timeframe, symbol))]
            case _:
                return [(part, series) for part in expression.parts]

    def _added(self, expression: Expression, series: SeriesKey, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """Return the slots of an expression whose parts have theirs; an equal one that is there already is taken."""
        match expression:
            case Output(of, name):
                return (inputs[of.names.index(name)],)
            case Placed():
                return inputs
        key = _key(expression, series, inputs)
        if key not in self._slots:
            self._slots[key] = self._build(expression, series, inputs)
        return self._slots[key]

    def _build(self, expression: Expression, series: SeriesKey, inputs: tuple[int, ...]) -> tuple[int, ...]:
        match expression:
            case Constant(value):
                slot = self._slot(value)
                self.constants.append(slot)
                return (slot,)
            case Column(name):
                return (self._column(name, series),)
            case Published(name):
                slot = self._slot()
                self.channels.publish(name, slot)
                return (slot,)
            case _:
                return self._node(expression, series, inputs)

    def _node(self, expression: Expression, series: SeriesKey, inputs: tuple[int, ...]) -> tuple[int, ...]:
        outputs = tuple(self._slot() for _ in expression.names)
        node: Node
        own = 0
        match expression:
            case Combined(operator, _):
                node = Operator(operator, inputs, outputs[0])
            case Indicator():
                node = Kernel(expression, inputs, outputs)
                own = expression.warmup
            case Custom():
                node = Own(expression, inputs, outputs)
                own = expression.warmup
                self._makers.update(dict.fromkeys(outputs, node))
            case _:
                raise AssertionError(expression)
        lane = self.lane(series)
        self.share(inputs, series)
        local = [slot for slot in inputs if self._homes.get(slot) == series]
        lane.alone = (
            lane.alone
            and isinstance(node, Operator | Kernel)
            and all(slot in self.constants or self._homes.get(slot) == series for slot in inputs)
        )
        lane.nodes.append(node)
        self.nodes.append((series, node))
        for slot in outputs:
            self._homes[slot] = series
            self._reads[slot] = inputs
            self._warmups[slot] = own + max((self._warmups.get(one, 0) for one in local), default=0)
        return outputs

    def _column(self, name: str, series: SeriesKey) -> int:
        slot = self._slot()
        lane = self.lane(series)
        if name in NEWEST:
            self.channels.keep(series.symbol, name, slot)
            return slot
        if name in SUMMED:
            self.channels.sum(series.symbol, series.timeframe_ns)
            lane.alone = False
        lane.columns[name] = slot
        self._homes[slot] = series
        return slot

    def _placed(self, series: SeriesKey, timeframe: str | None, symbol: str | None) -> SeriesKey:
        name = symbol or series.symbol
        if self.base is None:
            return SeriesKey(name, parse_timeframe(timeframe) if timeframe is not None else series.timeframe_ns)
        if name not in self.base:
            message = f"there are no bars of {name}{nearest(name, self.base)}"
            raise ValueError(message)
        base_ns = self.base[name]
        wanted_ns = parse_timeframe(timeframe) if timeframe is not None else max(base_ns, series.timeframe_ns)
        if wanted_ns < base_ns or wanted_ns % base_ns:
            message = f"{timeframe or 'these'} bars of {name} cannot be built from its own"
            raise ValueError(message)
        return SeriesKey(name, wanted_ns)

    def _slot(self, value: float = nan) -> int:
        self.values.append(value)
        return len(self.values) - 1


def _place(at: _At) -> _Place:
    return id(at[0]), at[1]


def _key(expression: Expression, series: SeriesKey, inputs: tuple[int, ...]) -> _Key:
    """Return what tells one thing to compute from another, beside what it reads."""
    match expression:
        case Constant(value):
            return None, "constant", value
        case Published(name):
            return None, "external", name
        case Column(name):
            return series, "column", name
        case Combined(operator, _):
            return series, "operator", operator, inputs
        case Indicator(kind, params):
            return series, kind, params, inputs
        case Custom(step, _, params, slots, warmup, outputs):
            own = step if isinstance(step, Hashable) else id(step)
            return series, own, params, slots, warmup, outputs, inputs
    raise AssertionError(expression)
