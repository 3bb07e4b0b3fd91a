"""What a tape would have told if it had ended earlier, gone on otherwise, begun later, or been another year's."""

from __future__ import annotations

from math import exp
from random import Random
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import Instrument
from actors.messages import Bar, External, Funding, Mark, OpenInterest, WarmUp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.messages import Message
    from replay.tape import Tape

    Inputs = Iterable[tuple[int, Message]]

WEEK_NS = 7 * 24 * 3_600_000_000_000
_SEED = 7
_STEP = 0.02
_STATES = (External, OpenInterest, Mark)
"""Of these the newest is known when a tape begins."""


def cut(inputs: Inputs, end_ns: int) -> Iterator[tuple[int, Message]]:
    """Yield what is known by `end_ns`."""
    for ts_ns, message in inputs:
        if ts_ns > end_ns:
            return
        yield ts_ns, message


def altered(inputs: Inputs, end_ns: int, tape: Tape) -> Iterator[tuple[int, Message]]:
    """Yield the inputs, bars and values changed from `end_ns` on: prices walk away from what they were."""
    chance = Random(_SEED)  # noqa: S311 - made-up prices
    instruments = {one.symbol: Instrument(one.instrument) for one in tape.series}
    logs: dict[str, float] = {}
    for ts_ns, message in inputs:
        if ts_ns <= end_ns:
            yield ts_ns, message
            continue
        match message:
            case Bar(symbol=symbol):
                logs[symbol] = logs.get(symbol, 0.0) + chance.gauss(0.0, _STEP)
                yield ts_ns, _scaled(message, exp(logs[symbol]), chance.uniform(0.5, 2.0), instruments[symbol])
            case External(value=value):
                yield ts_ns, msgspec.structs.replace(message, value=value + chance.gauss(0.0, 1.0 + abs(value)))
            case Funding(rate=rate):
                yield ts_ns, msgspec.structs.replace(message, rate=rate + chance.gauss(0.0, 0.001))
            case _:
                yield ts_ns, message


def begun(inputs: Inputs, start_ns: int) -> Iterator[tuple[int, Message]]:
    """Yield what a tape that begins at `start_ns` tells: bars that open by then, and what was known before."""
    known: dict[tuple[type[Message], str], tuple[int, Message]] = {}
    begun_yet = False
    for ts_ns, message in inputs:
        if isinstance(message, WarmUp) or (isinstance(message, Bar) and message.open_ns < start_ns):
            continue
        if ts_ns < start_ns:
            if isinstance(message, _STATES):
                name = message.name if isinstance(message, External) else message.symbol
                known[type(message), name] = (ts_ns, message)
            continue
        if not begun_yet:
            yield from sorted(known.values(), key=lambda pair: pair[0])
            begun_yet = True
        yield ts_ns, message


def moved(inputs: Inputs, by_ns: int) -> Iterator[tuple[int, Message]]:
    """Yield the same market at another time."""
    for ts_ns, message in inputs:
        names = [name for name in message.__struct_fields__ if name.endswith("_ns") and name != "timeframe_ns"]
        later = {name: time_ns + by_ns for name in names if (time_ns := getattr(message, name))}
        yield ts_ns + by_ns, msgspec.structs.replace(message, **later)


def _scaled(bar: Bar, factor: float, volume: float, instrument: Instrument) -> Bar:
    opened, high, low, close = (
        instrument.price_float(max(1, instrument.price_to_ticks(price * factor)))
        for price in (bar.open, bar.high, bar.low, bar.close)
    )
    return msgspec.structs.replace(bar, open=opened, high=high, low=low, close=close, volume=bar.volume * volume)
