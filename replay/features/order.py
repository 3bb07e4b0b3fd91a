"""In which order a session's features learn things: a core without strategies plays the tape, and a witness notes it.

Which bar of a higher timeframe is closed before which row, what was published by then, what a tick feed is told
of: the actors that say so live say it here. Only the arithmetic is left out; `replay.features.batch` does it later,
column by column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.features import SeriesKey
from actors.instrument import Instrument
from actors.ledger import Account
from actors.messages import TapeEnded
from actors.system import Core, SeriesPlan
from config.schema import Settings
from replay.plan import SIMULATED_NONCE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from actors.messages import Bar, Message
    from replay.tape import Tape
    from strategies.features.graph import FeatureGraph


class Heard:
    """The bars of one lane, and at which place in the order each was taken."""

    __slots__ = ("bars", "places", "sums")

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.places: list[int] = []
        self.sums: list[Mapping[str, float]] = []
        """Of the trades since the bar before."""


class Witness:
    """Fits `actors.features.FeatureEngine`: notes what the features of a graph would be computed from, and when."""

    def __init__(self, graph: FeatureGraph) -> None:
        self._graph = graph
        self.stepped: Collection[SeriesKey] = set(graph.built)
        self.built: Collection[SeriesKey] = graph.built
        self.merges = graph.merges
        self.hears: Collection[type[Message]] = graph.hears
        self.closing_order = graph.closing_order
        self.place = 0
        self.lanes: dict[SeriesKey, Heard] = {}
        self.told: dict[int, tuple[list[int], list[float]]] = {}
        """By slot: at which places it was told which values."""
        self.begin()

    def begin(self) -> None:
        """Begin a new chunk."""
        self.place = 0
        self.lanes = {series: Heard() for series in self._graph.built}
        self.told = {}

    def take(self, bar: Bar) -> None:
        """Note a bar, if anything is computed on its series."""
        heard = self.lanes.get(SeriesKey(bar.symbol, bar.timeframe_ns))
        if heard is not None:
            self.place += 1
            heard.bars.append(bar)
            heard.places.append(self.place)
            heard.sums.append(self._graph.channels.take(bar.symbol, bar.timeframe_ns))

    def hear(self, message: Any, /) -> None:  # noqa: ANN401 - any of `hears`
        """Note what came between bars."""
        self.place += 1
        self._graph.channels.hear(message, self)

    def __setitem__(self, slot: int, value: float) -> None:
        """Note the new value of a slot."""
        places, values = self.told.setdefault(slot, ([], []))
        places.append(self.place)
        values.append(value)

    def dump(self) -> bytes:
        """Return nothing: such a session is not continued."""
        return b""

    def load(self, state: bytes, /) -> None:
        """Take nothing."""


def chunks(
    graph: FeatureGraph, tape: Tape, size: int, inputs: Iterable[tuple[int, Message]] | None = None
) -> Iterator[Witness]:
    """Play a tape and yield, about every `size` inputs, what the features learnt since.

    Args:
        graph: with all features added.
        tape: what is played; its symbols and units, where `inputs` are given.
        size: inputs of a chunk.
        inputs: other inputs than the tape's own, with their times.
    """
    witness = Witness(graph)
    core = Core(
        Settings(strategies=()),
        {one.symbol: Instrument(one.instrument) for one in tape.series},
        [SeriesPlan(one.symbol, one.timeframe_ns) for one in tape.series],
        [],
        Account(0),
        nonce=SIMULATED_NONCE,
        start_ns=tape.start_ns,
        engine=witness,
    )
    scheduler = core.scheduler
    timers = core.context.timers
    for count, (ts_ns, message) in enumerate(tape.stamped() if inputs is None else inputs, 1):
        if timers.next_hint_ns < ts_ns:
            scheduler.fire_before(ts_ns)
        scheduler.post(ts_ns, message)
        if count % size == 0:
            core.ledger.take_marks()
            yield witness
            witness.begin()
    scheduler.fire_before(core.context.now_ns + 1)
    scheduler.post(core.context.now_ns, TapeEnded())
    yield witness
