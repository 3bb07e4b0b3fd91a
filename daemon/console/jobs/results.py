"""What a backtest came to, as it is stored: lists in pieces, the equity thinned, bars with features for a chart."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from actors import messages as m
from actors.instrument import from_atoms
from actors.netting import net_fill
from config.timeframe import format_timeframe
from daemon.console import backtest_types as t
from daemon.console.jobs.chart import BARS, FEATURES
from daemon.console.jobs.store import Piece, piece_of_arrays, pieces_of
from replay.record import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from actors.instrument import Instrument
    from actors.runtime.scheduler import Table
    from replay.driver import Summary
    from replay.tape import Series, Tape

ROWS_MAX = 100_000
"""Rows of one list that are kept: the first."""
BARS_MAX = 600_000
"""Bars of one symbol that are kept for a chart: the newest; a year of minutes."""
POINTS_MAX = 5_000
CHART_ROWS = 4_000
"""Bars that are stored, and read, as one."""

Execution = m.Fill | m.Liquidated


class Watcher(Recorder):
    """A recorder that also keeps executions, and the features that the strategy was told.

    Args:
        instruments: what is traded.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        super().__init__(instruments)
        self.executions: list[Execution] = []
        self._names: tuple[str, ...] = ()
        self._timeframe_ns = 0
        self._features: dict[str, array[float]] = {}
        self._opens_ns: dict[str, array[int]] = {}

    def observers(self) -> Table:
        """Return the rows of the subscription table this adds."""
        table = dict(super().observers())
        own: Table = {m.Fill: [self._on_execution], m.Liquidated: [self._on_execution], m.FeatureRow: [self._on_row]}
        return table | {kind: [*table.get(kind, ()), *handlers] for kind, handlers in own.items()}

    def _on_execution(self, execution: Execution) -> None:
        self.executions.append(execution)

    def _on_row(self, row: m.FeatureRow) -> None:
        symbol = row.bar.symbol
        if symbol not in self._features:
            self._names = row.values.__struct_fields__ if isinstance(row.values, msgspec.Struct) else ()
            self._timeframe_ns = row.bar.timeframe_ns
            self._features[symbol], self._opens_ns[symbol] = array("d"), array("q")
        if self._names:
            self._opens_ns[symbol].append(row.bar.open_ns)
            self._features[symbol].extend(getattr(row.values, name) for name in self._names)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return self._names

    @property
    def timeframe(self) -> str:
        """Of the bars they stand beside; empty if there was none."""
        return format_timeframe(self._timeframe_ns) if self._timeframe_ns else ""

    def pieces(self) -> Iterator[Piece]:
        """Yield the features of each symbol: times, then each feature."""
        for symbol, opens_ns in self._opens_ns.items():
            times = np.frombuffer(opens_ns, np.int64)[-BARS_MAX:]
            values = np.frombuffer(self._features[symbol], np.float64).reshape(-1, max(1, len(self._names)))[-BARS_MAX:]
            for number, start in enumerate(range(0, len(times), CHART_ROWS)):
                part = slice(start, start + CHART_ROWS)
                columns = [times[part], *np.ascontiguousarray(values[part].T)]
                yield piece_of_arrays(FEATURES.format(symbol), number, columns, int(times[start]))


def stored(
    summary: Summary, tape: Tape, watcher: Watcher, instruments: Mapping[str, Instrument]
) -> tuple[t.BacktestResult, list[Piece]]:
    """Return what a backtest came to: the whole, and its lists in pieces."""
    fills = [_fill(one, instruments[one.symbol]) for one in watcher.executions[:ROWS_MAX]]
    orders = watcher.orders()
    trades = list(round_trips(watcher.executions, instruments))
    shown = [msgspec.convert(row, t.BacktestOrder) for row in orders.head(ROWS_MAX).iter_rows(named=True)]
    pieces = [
        *pieces_of("fills", fills),
        *pieces_of("orders", shown),
        *pieces_of("trades", trades[:ROWS_MAX]),
        *pieces_of("equity", _curve(watcher)),
        *watcher.pieces(),
    ]
    for series in tape.series:
        pieces += _chart(series)
    result = t.BacktestResult(
        summary=msgspec.json.decode(msgspec.json.Encoder(decimal_format="number").encode(summary)),
        charts=tuple(
            t.ChartSeries(
                symbol=series.symbol,
                timeframe=format_timeframe(series.timeframe_ns),
                bars=min(series.rows or 0, BARS_MAX),
                price_step=instruments[series.symbol].spec.tick,
            )
            for series in tape.series
        ),
        features=watcher.features,
        features_timeframe=watcher.timeframe,
        fills=_kept(len(watcher.executions)),
        orders=_kept(orders.height),
        trades=_kept(len(trades)),
    )
    return result, pieces


def _kept(rows: int) -> t.Kept:
    return t.Kept(rows=rows, kept=min(rows, ROWS_MAX))


def _fill(one: Execution, instrument: Instrument) -> t.BacktestFill:
    return t.BacktestFill(
        executed_ns=one.executed_ns,
        order_id=one.order_id,
        trade_id=one.trade_id,
        strategy=one.strategy,
        symbol=one.symbol,
        side="buy" if one.side > 0 else "sell",
        price=instrument.price(one.price_ticks),
        quantity=instrument.quantity(one.quantity_lots).normalize() + 0,
        fee=from_atoms(_cost_atoms(one)),
        liquidity=getattr(one, "liquidity", "taker"),
        synthetic=getattr(one, "synthetic", False),
    )


def _cost_atoms(one: Execution) -> int:
    """Return what an execution cost besides its price."""
    if isinstance(one, m.Liquidated):
        return one.fee_atoms + one.liquidation_fee_atoms - one.insured_atoms
    return one.fee_atoms


class _Open:
    """A round trip that is not over."""

    def __init__(self, side: int, opened_ns: int) -> None:
        self.side = side
        self.opened_ns = opened_ns
        self.lots = self.cost_atoms = self.profit_atoms = self.fees_atoms = self.fills = 0
        self.opened_lots = self.opened_ticks = self.closed_lots = self.closed_ticks = 0

    def take(self, one: Execution, lots: int, fees_atoms: int, instrument: Instrument) -> None:
        """Book what an execution adds to it, or closes of it: `lots` of its quantity."""
        self.lots, self.cost_atoms, profit_atoms, _ = net_fill(
            instrument, self.lots, self.cost_atoms, one.side, one.price_ticks, lots
        )
        self.profit_atoms += profit_atoms
        self.fees_atoms += fees_atoms
        self.fills += 1
        if one.side == self.side:
            self.opened_lots += lots
            self.opened_ticks += lots * one.price_ticks
        else:
            self.closed_lots += lots
            self.closed_ticks += lots * one.price_ticks

    def ended(self, one: Execution, instrument: Instrument) -> t.BacktestTrade:
        """Return it, closed by its last execution."""
        tick = instrument.price_float(1)
        return t.BacktestTrade(
            strategy=one.strategy,
            symbol=one.symbol,
            side="long" if self.side > 0 else "short",
            opened_ns=self.opened_ns,
            closed_ns=one.executed_ns,
            quantity=instrument.quantity(self.opened_lots).normalize() + 0,
            entry=self.opened_ticks / self.opened_lots * tick,
            exit=self.closed_ticks / self.closed_lots * tick,
            profit=from_atoms(self.profit_atoms),
            fees=from_atoms(self.fees_atoms),
            fills=self.fills,
        )


def round_trips(executions: Iterable[Execution], instruments: Mapping[str, Instrument]) -> Iterator[t.BacktestTrade]:
    """Yield the trades that executions make, in the order they ended.

    One that crosses zero ends a trade and opens the next; its fee is shared by quantity.
    """
    books: dict[tuple[str, str], _Open] = {}
    for one in executions:
        instrument = instruments[one.symbol]
        key = (one.strategy, one.symbol)
        fees_atoms, left = _cost_atoms(one), one.quantity_lots
        held = books.get(key)
        if held is not None and one.side != held.side:
            closing = min(left, abs(held.lots))
            share = fees_atoms * closing // left
            held.take(one, closing, share, instrument)
            fees_atoms, left = fees_atoms - share, left - closing
            if not held.lots:
                yield held.ended(one, instrument)
                del books[key]
        if left:
            if key not in books:
                books[key] = _Open(one.side, one.executed_ns)
            books[key].take(one, left, fees_atoms, instrument)


def _curve(recorder: Recorder) -> list[list[int]]:
    """Return [time, equity, lowest, highest] in nanoseconds and atoms, of spans of equal time where it is long."""
    table = recorder.equity()
    times_ns = table["ts"].to_numpy() * 1_000_000
    atoms = table["equity_atoms"].to_numpy()
    if not len(times_ns):
        return []
    width_ns = int(times_ns[-1] - times_ns[0]) // POINTS_MAX + 1
    starts = np.flatnonzero(np.diff((times_ns - times_ns[0]) // width_ns, prepend=-1))
    ends = np.append(starts[1:], len(times_ns)) - 1
    columns = (times_ns[ends], atoms[ends], np.minimum.reduceat(atoms, starts), np.maximum.reduceat(atoms, starts))
    return [[int(value) for value in row] for row in zip(*columns, strict=True)]


def _chart(series: Series) -> Iterator[Piece]:
    """Yield the bars of a series: times, open, high, low, close, volume."""
    skip = max(0, (series.rows or 0) - BARS_MAX)
    for number, chunk in enumerate(series.chunks(skip, CHART_ROWS)):
        columns: list[NDArray[Any]] = [chunk.open_ns, chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume]
        yield piece_of_arrays(BARS.format(series.symbol), number, columns, int(chunk.open_ns[0]))
