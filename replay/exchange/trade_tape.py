"""A recorded trade tape, played as it is: one Parquet file with a row for each public trade.

Columns: ts (UTC milliseconds, ascending), price, qty, and side ("buy" or "sell": who took). A row becomes
one print at its own distance in time from the first; only the whole is moved, by whole minutes.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import Instrument, InstrumentSpec
from config.errors import UserError
from replay.exchange.tape_print import TapePrint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

COLUMNS = ("ts", "price", "qty", "side")

_NS_PER_MS = 1_000_000
_MINUTE_NS = 60_000 * _NS_PER_MS
_SLICE_ROWS = 65_536
_DECIMALS_MAX = 8
_NEAR = 1e-14
"""Relative error of a decimal as a float, with room to spare."""


class TradeSeries(msgspec.Struct, frozen=True, kw_only=True):
    """The trades of one market; named as a series of bars is, where both have the same."""

    symbol: str
    path: Path
    rows: int
    first_open_ns: int
    """Time of the first trade."""
    instrument: InstrumentSpec
    timeframe_ns: int = _MINUTE_NS
    """The candles that are told of it."""
    ordinal: int = 0

    def prints(self, market_id: str, instrument: Instrument, shift_ns: int, first_step: int) -> Iterator[TapePrint]:
        """Yield the trades from number `first_step` on."""
        import polars as pl

        table = pl.scan_parquet(self.path).select(COLUMNS)
        for start in range(first_step, self.rows, _SLICE_ROWS):
            rows = table.slice(start, _SLICE_ROWS).collect().iter_rows()
            for step, (time_ms, price, quantity, side) in enumerate(rows, start=start):
                yield TapePrint(
                    time_ms + shift_ns // _NS_PER_MS,
                    self.ordinal,
                    step,
                    market_id,
                    max(1, instrument.price_to_ticks(price)),
                    instrument.quantity_to_lots(quantity),
                    side == "sell",
                )


class TradeTape(msgspec.Struct, frozen=True):
    """A tape of trades, where a tape of bars may stand too."""

    series: tuple[TradeSeries, ...]
    fingerprint: str


def is_trade_file(path: Path) -> bool:
    """Return whether a file is a trade tape rather than one of bars."""
    import polars as pl

    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        return set(COLUMNS) <= set(pl.read_parquet_schema(path))
    except pl.exceptions.PolarsError:
        return False


def open_trade_tape(path: Path, symbol: str) -> TradeTape:
    """Return the tape made of a file, which is read once from end to end and checked.

    Raises:
        UserError: one line that names the file and what is wrong with it.
    """
    import polars as pl

    try:
        frame = pl.read_parquet(path, columns=list(COLUMNS))
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"{path}: not a trade tape ({str(error).splitlines()[0]})"
        raise UserError(message) from error
    _check(frame, path)
    spec = InstrumentSpec(symbol=symbol, tick=_step(frame["price"], path), lot=_step(frame["qty"], path), inferred=True)
    series = TradeSeries(
        symbol=symbol,
        path=path,
        rows=len(frame),
        first_open_ns=int(frame["ts"][0]) * _NS_PER_MS,
        instrument=spec,
    )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    return TradeTape((series,), digest)


def _check(frame: pl.DataFrame, path: Path) -> None:
    """Refuse a tape with holes, without trades, out of order, or with what cannot be a trade."""
    import polars as pl

    wrong = ""
    if not len(frame):
        wrong = "it holds no trade"
    elif any(column.null_count() for column in frame.iter_columns()):
        wrong = "a value is missing"
    elif not frame["ts"].dtype.is_integer() or not frame["ts"].is_sorted():
        wrong = "ts must be whole milliseconds in ascending order"
    elif not frame.select(((pl.col("price") > 0) & (pl.col("qty") > 0) & pl.col("price").is_finite()).all()).item():
        wrong = "price and qty must be positive"
    elif not frame["side"].is_in(["buy", "sell"]).all():
        wrong = "side must be buy or sell"
    if wrong:
        message = f"{path}: {wrong}"
        raise UserError(message)


def _step(values: pl.Series, path: Path) -> Decimal:
    """Return the largest power of ten that all values are multiples of."""
    for decimals in range(_DECIMALS_MAX + 1):
        scaled = values * 10**decimals
        if ((scaled - scaled.round()).abs() <= _NEAR * scaled).all():
            return Decimal(1).scaleb(-decimals)
    message = f"{path}: {values.name} has more than {_DECIMALS_MAX} decimals"
    raise UserError(message)
