"""What a series is called: its kind, venue, symbol and timeframe, and the folder these make."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import platformdirs

from config.errors import UserError
from config.timeframe import NS_PER_S, format_timeframe, parse_timeframe
from replay.tape.kinds import KINDS, kind_of

DATA_DIR_VARIABLE = "PITBOSS_DATA_DIR"
NO_TIMEFRAME = "-"
"""Folder of a series without a timeframe."""
SYMBOL_MAX = 64

_VENUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", re.ASCII)
_SYMBOL = re.compile(rf"\w[\w./:+@-]{{0,{SYMBOL_MAX - 1}}}")
_IN_PATH = str.maketrans({"/": "-", ":": "_"})


class SeriesKey(msgspec.Struct, frozen=True, order=True):
    """The name of one series.

    Raises:
        UserError: the kind does not exist, venue or symbol could not be a folder's name, or there is a timeframe where
            the kind has none, or none where it has one.
    """

    kind: str
    """One of `replay.tape.kinds.KINDS`."""
    venue: str
    """Such as ``binance-um``."""
    symbol: str
    """As the venue or ccxt writes it: ``BTCUSDT``, ``BTC/USDT:USDT``."""
    timeframe_ns: int | None = None
    """Length of a bar in whole seconds; ``None`` for kinds without a grid of time."""

    def __post_init__(self) -> None:
        kind = kind_of(self.kind)
        check_venue(self.venue)
        check_symbol(self.symbol)
        if kind.has_timeframe and self.timeframe_ns is None:
            message = f"{self.venue}:{self.symbol}: {self.kind} have a timeframe, such as 1m; name it"
            raise UserError(message)
        if not kind.has_timeframe and self.timeframe_ns is not None:
            message = f"{self.venue}:{self.symbol}: {self.kind} have no timeframe"
            raise UserError(message)
        if self.timeframe_ns is not None and (self.timeframe_ns <= 0 or self.timeframe_ns % NS_PER_S):
            message = f"{self.venue}:{self.symbol}: a timeframe is a whole number of seconds"
            raise UserError(message)

    @property
    def timeframe(self) -> str | None:
        """The timeframe as people write it."""
        return None if self.timeframe_ns is None else format_timeframe(self.timeframe_ns)

    @property
    def folder(self) -> Path:
        """Where the series lies below the data directory."""
        return Path(self.kind, self.venue, self.symbol.translate(_IN_PATH), self.timeframe or NO_TIMEFRAME)

    @property
    def name(self) -> str:
        """The name that ``--tape`` takes: ``VENUE:SYMBOL:TIMEFRAME``, or without the timeframe where there is none."""
        return ":".join(filter(None, (self.venue, self.symbol, self.timeframe)))

    def __str__(self) -> str:
        return self.name if self.kind == "bars" else f"{self.kind} of {self.name}"


def check_venue(venue: str) -> str:
    """Return the venue's name, if it can be a folder's.

    Raises:
        UserError: it cannot.
    """
    if not _VENUE.fullmatch(venue):
        message = f"{venue!r} is no name of a venue: letters, digits, '.', '_' and '-', such as binance-um"
        raise UserError(message)
    return venue


def check_symbol(symbol: str) -> str:
    """Return the symbol, if it leads nowhere but into its own folder.

    Raises:
        UserError: it could be a path, is too long or has characters that no symbol has.
    """
    if not _SYMBOL.fullmatch(symbol) or ".." in symbol or symbol.endswith(("/", ".")):
        message = (
            f"{symbol!r} is no symbol: 1 to {SYMBOL_MAX} letters, digits and '/', ':', '-', '.', '_', '+', '@', "
            f"such as BTCUSDT or BTC/USDT:USDT, and nothing that could lead to another folder"
        )
        raise UserError(message)
    return symbol


def parse_name(name: str) -> tuple[str, str, int | None]:
    """Return venue, symbol and timeframe (nanoseconds, ``None`` if not said) of ``VENUE:SYMBOL[:TIMEFRAME]``.

    Raises:
        UserError: it is written in another way.
    """
    venue, colon, rest = name.partition(":")
    symbol, _, last = rest.rpartition(":")
    timeframe_ns = None
    if symbol and re.fullmatch(r"\d{1,6}[smhdw]", last, re.ASCII):
        timeframe_ns = parse_timeframe(last)
    else:
        symbol = rest
    if not colon or not symbol:
        message = f"{name!r} is no name of a series: write VENUE:SYMBOL:TIMEFRAME, such as binance:BTCUSDT:1m"
        raise UserError(message)
    return check_venue(venue), check_symbol(symbol), timeframe_ns


def split_kind(name: str) -> tuple[str | None, str, str, int | None]:
    """Return kind (``None`` if not said), venue, symbol and timeframe of ``[KIND:]VENUE:SYMBOL[:TIMEFRAME]``.

    Raises:
        UserError: it is written in another way.
    """
    first, _, rest = name.partition(":")
    if first in KINDS and ":" in rest:
        return first, *parse_name(rest)
    return None, *parse_name(name)


def default_data_dir() -> Path:
    """Return ``$PITBOSS_DATA_DIR``, else the platform's place for a user's data."""
    given = os.environ.get(DATA_DIR_VARIABLE)
    return Path(given).expanduser() if given else Path(platformdirs.user_data_dir("pitboss")) / "data"
