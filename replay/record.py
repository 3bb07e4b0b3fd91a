"""What a replay or a live session did, as tables: fills, orders, equity."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from actors import messages as m

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl
    from numpy.typing import ArrayLike

    from actors.instrument import Instrument
    from actors.runtime.scheduler import Table

_SIDES = {m.BUY: "buy", m.SELL: "sell"}
_ENDS: dict[type[m.Message], str] = {m.Rejected: "rejected", m.Cancelled: "cancelled", m.Expired: "expired"}


class Recorder:
    """Subscribes ahead of all actors and keeps their fills, orders and equity in memory.

    Args:
        instruments: the specs that turn ticks and lots back into prices and quantities.
    """

    isolated = False

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self.name = "recorder"
        self._instruments = instruments
        self._fills: list[m.Fill | m.Liquidated] = []
        self._orders: dict[str, dict[str, Any]] = {}
        """Rows by the first id of their order."""
        self._first_ids: dict[str, str] = {}
        """First id of an order that was amended, by its newest."""
        self._mark_times_ns = array("q")
        self._mark_atoms = array("q")

    def observers(self) -> Table:
        """Return the rows of the subscription table this adds."""
        return {
            m.SubmitOrder: [self.on_submit],
            m.Fill: [self.on_fill],
            m.Liquidated: [self.on_liquidated],
            m.Rejected: [self.on_end],
            m.Cancelled: [self.on_end],
            m.Expired: [self.on_end],
            m.Amended: [self.on_amended],
        }

    def on_submit(self, command: m.SubmitOrder) -> None:
        """Begin an order's row."""
        request = command.request
        instrument = self._instruments[request.symbol]
        self._orders[command.order_id] = {
            "order_id": command.order_id,
            "strategy": request.strategy,
            "symbol": request.symbol,
            "ref": request.ref,
            "side": _SIDES[request.side],
            "kind": request.kind,
            "quantity": instrument.quantity_float(request.quantity_lots),
            "limit_price": instrument.price_float(request.limit_ticks) if request.limit_ticks else None,
            "stop_price": instrument.price_float(request.stop_ticks) if request.stop_ticks else None,
            "time_in_force": request.time_in_force,
            "reduce_only": request.reduce_only,
            "post_only": request.post_only,
            "filled": 0.0,
            "state": "open",
            "reason": "",
        }

    def on_fill(self, fill: m.Fill) -> None:
        """Keep a fill, and bring its order's row up to date."""
        self._fills.append(fill)
        row = self._row(fill.order_id)
        row["filled"] += self._instruments[fill.symbol].quantity_float(fill.quantity_lots)
        if not fill.remaining_lots:
            row["state"] = "filled"

    def on_liquidated(self, closed: m.Liquidated) -> None:
        """Keep what the venue closed itself."""
        self._fills.append(closed)

    def on_end(self, event: m.Rejected | m.Cancelled | m.Expired) -> None:
        """End an order's row."""
        row = self._row(event.order_id)
        row["state"] = _ENDS[type(event)]
        row["reason"] = event.reason

    def on_amended(self, event: m.Amended) -> None:
        """Bring an order's row to its new terms and id."""
        row = self._row(event.order_id)
        self._first_ids[event.new_order_id] = self._first_ids.pop(event.order_id, event.order_id)
        instrument = self._instruments[event.symbol]
        row["order_id"] = event.new_order_id
        row["quantity"] = instrument.quantity_float(event.quantity_lots)
        row["limit_price"] = instrument.price_float(event.limit_ticks) if event.limit_ticks else None
        row["stop_price"] = instrument.price_float(event.stop_ticks) if event.stop_ticks else None

    def _row(self, order_id: str) -> dict[str, Any]:
        return self._orders[self._first_ids.get(order_id, order_id)]

    def add_marks(self, times_ns: ArrayLike, equity_atoms: ArrayLike) -> None:
        """Keep equity marks."""
        import numpy as np

        self._mark_times_ns.frombytes(np.asarray(times_ns, np.int64).tobytes())
        self._mark_atoms.frombytes(np.asarray(equity_atoms, np.int64).tobytes())

    def fills(self) -> pl.DataFrame:
        """Return one row per fill: decimals as floats, and beside them the exact integers.

        What the venue closed itself is a row whose order begins with "autoclose-"; its fee is all that it cost.
        """
        import polars as pl

        fees = [_cost_atoms(fill) for fill in self._fills]
        price = [self._instruments[fill.symbol].price_float(fill.price_ticks) for fill in self._fills]
        quantity = [self._instruments[fill.symbol].quantity_float(fill.quantity_lots) for fill in self._fills]
        return pl.DataFrame(
            {
                "ts": pl.Series([fill.executed_ns // 1_000_000 for fill in self._fills], dtype=pl.Int64),
                "order_id": pl.Series([fill.order_id for fill in self._fills], dtype=pl.String),
                "trade_id": pl.Series([fill.trade_id for fill in self._fills], dtype=pl.Int64),
                "strategy": pl.Series([fill.strategy for fill in self._fills], dtype=pl.String),
                "symbol": pl.Series([fill.symbol for fill in self._fills], dtype=pl.String),
                "side": pl.Series([_SIDES[fill.side] for fill in self._fills], dtype=pl.String),
                "price": pl.Series(price, dtype=pl.Float64),
                "quantity": pl.Series(quantity, dtype=pl.Float64),
                "fee": pl.Series([atoms / 1e8 for atoms in fees], dtype=pl.Float64),
                "liquidity": pl.Series([getattr(fill, "liquidity", "taker") for fill in self._fills], dtype=pl.String),
                "synthetic": pl.Series([getattr(fill, "synthetic", False) for fill in self._fills], dtype=pl.Boolean),
                "price_ticks": pl.Series([fill.price_ticks for fill in self._fills], dtype=pl.Int64),
                "quantity_lots": pl.Series([fill.quantity_lots for fill in self._fills], dtype=pl.Int64),
                "fee_atoms": pl.Series(fees, dtype=pl.Int64),
            }
        )

    def orders(self) -> pl.DataFrame:
        """Return one row per order and what became of it; one that was amended has its newest id and terms."""
        import polars as pl

        schema = {
            "order_id": pl.String,
            "strategy": pl.String,
            "symbol": pl.String,
            "ref": pl.Int64,
            "side": pl.String,
            "kind": pl.String,
            "quantity": pl.Float64,
            "limit_price": pl.Float64,
            "stop_price": pl.Float64,
            "time_in_force": pl.String,
            "reduce_only": pl.Boolean,
            "post_only": pl.Boolean,
            "filled": pl.Float64,
            "state": pl.String,
            "reason": pl.String,
        }
        return pl.DataFrame(list(self._orders.values()), schema=schema)

    def equity(self) -> pl.DataFrame:
        """Return equity at every bar close: ``ts`` in UTC ms, ``equity`` in quote units, and in atoms."""
        import numpy as np
        import polars as pl

        atoms = np.frombuffer(self._mark_atoms, dtype=np.int64)
        times_ns = np.frombuffer(self._mark_times_ns, dtype=np.int64)
        return pl.DataFrame({"ts": times_ns // 1_000_000, "equity": atoms / 1e8, "equity_atoms": atoms})

    def write(self, folder: Path) -> None:
        """Write ``fills.parquet``, ``orders.parquet`` and ``equity.parquet`` into an existing folder."""
        self.fills().write_parquet(folder / "fills.parquet")
        self.orders().write_parquet(folder / "orders.parquet")
        self.equity().write_parquet(folder / "equity.parquet")


def _cost_atoms(fill: m.Fill | m.Liquidated) -> int:
    """Return what an execution cost besides its price."""
    if isinstance(fill, m.Liquidated):
        return fill.fee_atoms + fill.liquidation_fee_atoms - fill.insured_atoms
    return fill.fee_atoms
