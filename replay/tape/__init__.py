"""Tapes: recorded or synthetic bars, checked once and then played in the order they were knowable.

    tape = open_tape(["BTCUSDT=prices.parquet"])
    for bar in tape.bars():
        ...

A tape is checked from its first row to its last when it is opened, so that nothing is decided on
half a tape. Reading is bounded in memory, and polars is imported only once a file is opened.
"""

from config.timeframe import format_timeframe, parse_timeframe
from replay.tape.columns import Columns
from replay.tape.opening import open_tape, symbol_of, synthetic_tape, tape_from_frame
from replay.tape.series import CHUNK_ROWS, Series, Tape

__all__ = [
    "CHUNK_ROWS",
    "Columns",
    "Series",
    "Tape",
    "format_timeframe",
    "open_tape",
    "parse_timeframe",
    "symbol_of",
    "synthetic_tape",
    "tape_from_frame",
]
