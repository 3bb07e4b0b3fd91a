"""The tables of a run: an order that was amended is one row, and its fills find it."""

from __future__ import annotations

from decimal import Decimal

from actors import messages as m
from actors.instrument import Instrument, InstrumentSpec
from replay.record import Recorder


def test_an_amended_order_is_one_row_with_its_newest_terms() -> None:
    recorder = Recorder({"X": Instrument(InstrumentSpec(symbol="X", tick=Decimal(1), lot=Decimal(1)))})
    recorder.on_submit(m.SubmitOrder("o1", m.OrderRequest("a", "X", 1, m.BUY, 5, "stop_limit", 90, 95)))
    recorder.on_submit(m.SubmitOrder("o9", m.OrderRequest("a", "X", 2, m.BUY, 5, "limit", 90)))
    event = ("a", "X", 1)
    recorder.on_amended(m.Amended("o1", *event, "o2", 7, 91, 95))
    recorder.on_amended(m.Amended("o2", *event, "o3", 8, 92, 94))
    recorder.on_fill(m.Fill("o3", *event, 1, m.BUY, 92, 8, 0, 0, "maker", 5))

    orders = recorder.orders()

    assert orders["order_id"].to_list() == ["o3", "o9"]
    assert orders["state"].to_list() == ["filled", "open"]
    assert orders.select("quantity", "limit_price", "stop_price", "filled").row(0) == (8.0, 92.0, 94.0, 8.0)
    assert recorder.fills()["order_id"].to_list() == ["o3"]


def test_the_end_of_an_amended_order_ends_its_row() -> None:
    recorder = Recorder({"X": Instrument(InstrumentSpec(symbol="X", tick=Decimal(1), lot=Decimal(1)))})
    recorder.on_submit(m.SubmitOrder("o1", m.OrderRequest("a", "X", 1, m.BUY, 5, "limit", 90)))
    recorder.on_amended(m.Amended("o1", "a", "X", 1, "o2", 7, 91, 0))
    recorder.on_end(m.Cancelled("o2", "a", "X", 1, "as requested"))

    assert recorder.orders().select("state", "reason", "stop_price").row(0) == ("cancelled", "as requested", None)
