"""A tape and its series: what a replay plays, and in which order."""

from __future__ import annotations

import hashlib
from copy import copy
from typing import TYPE_CHECKING, Protocol, Self

import msgspec

from actors.runtime.clock import knowable_ns
from config.errors import UserError
from replay.tape.external import Playlist
from replay.tape.grid import round_prices
from replay.tape.merge import merged_bars, single_bars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actors.instrument import InstrumentSpec
    from actors.messages import Bar, Message
    from replay.tape.columns import Columns, Source
    from replay.tape.external import ExternalSeries
    from strategies.features.needs import Told

CHUNK_ROWS = 16_384
"""Rows turned into bars at once."""


class TickSource(Protocol):
    """What comes between the bars of one symbol, and the bars among it."""

    def streams(self) -> list[Iterator[Message]]:
        """Return everything, in one or several streams, each of them in order."""


class Series(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The bars of one symbol in one timeframe."""

    symbol: str
    timeframe_ns: int
    ordinal: int
    """Place in the order of registration: who goes first at equal times."""
    rows: int | None
    """Number of bars, ``None`` if there is no end."""
    first_open_ns: int
    last_open_ns: int | None
    """``None`` if there is no end."""
    fingerprint: str
    """Hash of the content: equal for equal bars, whatever file they came from."""
    instrument: InstrumentSpec
    notes: tuple[str, ...] = ()
    """What a person should know about this series, one line each."""
    source: Source
    rounds: bool = False
    """Whether prices are rounded on their way from the source."""
    ticks: TickSource | None = None
    """What comes between the bars, where anything does: the simulated venue then matches on that."""

    def chunks(self, start_row: int = 0, size: int = CHUNK_ROWS) -> Iterator[Columns]:
        """Yield the bars from `start_row` on, at most `size` at a time, in bounded memory.

        Raises:
            UserError: the file cannot be read any more, or is no longer the one that was opened.
        """
        for block in self.source.blocks(start_row):
            for start in range(0, len(block), size):
                chunk = block.between(start, start + size)
                yield round_prices(chunk) if self.rounds else chunk


class Tape:
    """One or several series, played as one sequence of bars; their order gives the ordinals.

    Beside them there may be external series, whose values come when they were published.

    Attributes:
        series: the bars, and what they are built from.
        external: what comes between them; None without.
        fingerprint: hash of all series, in order.

    Raises:
        UserError: there is no series, or two of them have the same symbol.
    """

    __slots__ = ("external", "fingerprint", "series")

    def __init__(self, series: Sequence[Series], external: Sequence[ExternalSeries] = ()) -> None:
        if not series:
            message = "there is no tape to play: give one with --tape FILE"
            raise UserError(message)
        check_symbols([(each.symbol, "") for each in series])
        self.series = tuple(msgspec.structs.replace(each, ordinal=ordinal) for ordinal, each in enumerate(series))
        digest = hashlib.sha256()
        for each in self.series:
            digest.update(f"{each.symbol}\n{each.timeframe_ns}\n{each.fingerprint}\n".encode())
        self.external: Playlist | None = None
        if external:
            self.external = Playlist(external, min(each.first_open_ns for each in self.series), self._last_close_ns())
            digest.update(self.external.fingerprint.encode())
        self.fingerprint = digest.hexdigest()[:32]

    def with_external(self, external: Sequence[ExternalSeries]) -> Tape:
        """Return this tape with external series; a market that pays funding is a perpetual."""
        funded = {each.name for each in external if each.kind == "funding"}
        return Tape([_contract(each) if each.symbol in funded else each for each in self.series], external)

    def as_contracts(self) -> Self:
        """Return this tape with every symbol a perpetual."""
        changed = copy(self)
        changed.series = tuple(map(_contract, self.series))
        return changed

    @property
    def told(self) -> Told:
        """What it tells beyond bars."""
        from replay.tape.told import told_on

        return told_on(self)

    @property
    def start_ns(self) -> int:
        """The time before the first input: the open of the first bar, or when what is known by then was published."""
        first_open_ns = min(each.first_open_ns for each in self.series)
        first_ns = None if self.external is None else self.external.first_ns()
        return first_open_ns if first_ns is None else min(first_open_ns, first_ns)

    @property
    def notes(self) -> list[str]:
        """What a person should know about its series, one line each."""
        told = [] if self.external is None else [note for each in self.external.series for note in each.notes]
        return [note for each in self.series for note in each.notes] + told

    @property
    def rows(self) -> int | None:
        """Number of bars of all series, ``None`` if there is no end."""
        counts = [each.rows for each in self.series]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def has_ticks(self) -> bool:
        """Whether there is more to play than bars."""
        return any(each.ticks is not None for each in self.series)

    def inputs(self, skip: int = 0) -> Iterator[Message]:
        """Return everything to play in the order it was knowable: external values, bars and ticks.

        Args:
            skip: number of inputs to leave out at the front, such as those played before a restart.

        Raises:
            UserError: while iterating, as `Series.chunks` does.
        """
        if not self.has_ticks and self.external is None:
            return self.bars(skip)
        from replay.tape.inputs import merged_inputs

        return merged_inputs(self.series, self.external, skip)

    def stamped(self, skip: int = 0) -> Iterator[tuple[int, Message]]:
        """Return everything to play with the time it is played at: when it was knowable.

        Args:
            skip: number of inputs to leave out at the front.

        Raises:
            UserError: while iterating, as `Series.chunks` does.
        """
        for message in self.inputs(skip):
            known_ns = knowable_ns(message)
            assert known_ns is not None, message
            yield known_ns, message

    def _last_close_ns(self) -> int | None:
        """Return the close of the last bar, ``None`` if there is no end."""
        closes = [None if s.last_open_ns is None else s.last_open_ns + s.timeframe_ns for s in self.series]
        return None if None in closes else max(close for close in closes if close is not None)

    def bars(
        self,
        skip: int = 0,
        on_chunk: Callable[[Series, Columns], None] | None = None,
    ) -> Iterator[Bar]:
        """Return the bars of all series in the order they were knowable.

        The order is (close time, ordinal of the series). Bars are made a chunk at a time.

        Args:
            skip: number of bars to leave out at the front, such as those played before a restart.
            on_chunk: called with a series and its next rows right before the first of these is
                yielded, when all rows it was called with before have been.

        Raises:
            UserError: while iterating, as `Series.chunks` does.
        """
        if len(self.series) == 1:
            return single_bars(self.series[0], skip, on_chunk)
        return merged_bars(self.series, skip, on_chunk)


def _contract(series: Series) -> Series:
    instrument = msgspec.structs.replace(series.instrument, contract=True)
    return msgspec.structs.replace(series, instrument=instrument)


def check_symbols(named: Sequence[tuple[str, str]]) -> None:
    """Refuse two series of one symbol.

    Args:
        named: each series' symbol and the place it comes from.

    Raises:
        UserError: naming the symbol and both places.
    """
    places: dict[str, str] = {}
    for symbol, place in named:
        if symbol in places:
            both = f" ({places[symbol]} and {place})" if place else ""
            message = (
                f"{symbol} is on the tape twice{both}: a symbol has one series; "
                f"name one of them, as in --tape OTHER={place or 'FILE'}"
            )
            raise UserError(message)
        places[symbol] = place
