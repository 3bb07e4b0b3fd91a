"""Both books of a round: what the daemon's journal says over all its sessions, held against what the exchange says."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from actors import messages as m
from actors.instrument import InstrumentSpec
from actors.runtime.journal import JournalReader, SessionRow, decode_effects, decode_input
from replay.journal import decode_plan

UNIT = 10**8
PANIC_MARK = "-"


class Books:
    """What a journal says was ordered, executed, paid and is held.

    Attributes:
        sessions: ids of all of them, the oldest first.
        executions: trade ids by (symbol, client order id).
        adopted_lots: what `pitboss panic` executed of our books, by client order id.
    """

    def __init__(self, path: Path) -> None:
        self.sessions: list[str] = []
        self.orders: dict[str, m.OrderRequest] = {}
        self.fills: dict[str, list[m.Fill]] = defaultdict(list)
        self.adopted: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        """Lots by order of panic's and trade id."""
        self.specs: dict[str, InstrumentSpec] = {}
        self.cash_change_atoms = 0
        self.amends = 0
        self.others_atoms: dict[str, int] = defaultdict(int)
        """Of assets that only fees were paid in."""
        self.funding: dict[tuple[str, int], int] = defaultdict(int)
        """What our books got of each payment, by symbol and the venue's number."""
        self.funding_of: dict[str, int] = defaultdict(int)
        """The same by session."""
        self.with_bars: set[str] = set()
        """Sessions in which a bar was recorded: the others have nothing that `journal diff` could compare."""
        self._held: dict[tuple[str, str], int] = {}
        self._start_atoms: int | None = None
        reader = JournalReader(path)
        try:
            for session in reader.sessions():
                self.sessions.append(session.id)
                plan = decode_plan(session.plan)
                self.specs |= {spec.symbol: spec for spec in plan.instruments}
                if self._start_atoms is None:
                    self._start_atoms = plan.account.cash_atoms
                self._read(reader, session)
        finally:
            reader.close()

    def _read(self, reader: JournalReader, session: SessionRow) -> None:
        requests: dict[tuple[str, int], m.OrderRequest] = {}
        self._ids: set[str] = set()  # of this session: the next one counts its wishes anew
        for record in reader.records(session.number):
            if isinstance(decode_input(record.payload), m.Bar):
                self.with_bars.add(session.id)
            for decision in decode_effects(record.effects) if record.effects else ():
                if isinstance(decision, m.OrderRequest):
                    requests[decision.strategy, decision.ref] = decision
                elif isinstance(decision, m.PositionChanged):
                    assert self._start_atoms is not None
                    self.cash_change_atoms = decision.cash_atoms - self._start_atoms
                    self._held[decision.strategy, decision.symbol] = decision.quantity_lots
                elif isinstance(decision, m.FeeInAsset):
                    self.others_atoms[decision.asset] -= decision.amount_atoms
                elif isinstance(decision, m.FundingShared):
                    self.funding[decision.symbol, decision.funding_id] += decision.amount_atoms
                    self.funding_of[session.id] += decision.amount_atoms
                elif isinstance(decision, m.Adopted):
                    self.adopted[decision.order_id][decision.trade_id] += decision.quantity_lots
                elif isinstance(decision, m.OrderEvent):
                    self._ids.add(decision.order_id)
                    self.orders[decision.order_id] = requests[decision.strategy, decision.ref]
                if isinstance(decision, m.Fill):
                    self.fills[decision.order_id].append(decision)
                elif isinstance(decision, m.Amended):
                    self._amend(decision, requests)

    def _amend(self, amended: m.Amended, requests: dict[tuple[str, int], m.OrderRequest]) -> None:
        """Take the terms an order has from now on; of the total, what earlier orders of its wish filled is not its."""
        self.amends += 1
        key = (amended.strategy, amended.ref)
        before_lots = sum(
            fill.quantity_lots
            for order_id, fills in self.fills.items()
            for fill in fills
            if (fill.strategy, fill.ref) == key and order_id != amended.new_order_id and order_id in self._ids
        )
        requests[key] = msgspec.structs.replace(requests[key], quantity_lots=amended.quantity_lots - before_lots)
        self.orders[amended.new_order_id] = requests[key]

    def held(self, symbol: str) -> Decimal:
        """Return what all books hold of a symbol, in base units, signed."""
        lots = sum(lots for (_, held), lots in self._held.items() if held == symbol)
        return lots * self.specs[symbol].lot if symbol in self.specs else Decimal(0)

    def differences(self, book: Any) -> list[str]:
        """Return in words what differs about the orders of the exchange's book, and about their executions."""
        found: list[str] = []
        theirs = {order["client_order_id"]: order for order in book["orders"]}
        if len(theirs) != len(book["orders"]):
            found.append("a client order id was taken twice")
        trades: dict[str, list[int]] = defaultdict(list)
        for trade in book["fills"]:
            trades[trade["client_order_id"]].append(int(trade["trade_id"]))
        for order_id, order in theirs.items():
            found += self._order_differs(order_id, order, sorted(trades[order_id]))
        made_up = (self.fills.keys() | self.adopted.keys()) - theirs.keys()
        return found + [f"{order_id} was executed here and is not at the exchange" for order_id in sorted(made_up)]

    def _order_differs(self, order_id: str, order: Any, there: list[int]) -> list[str]:
        lot = self.specs[order["symbol"]].lot if order["symbol"] in self.specs else Decimal(1)
        filled = Decimal(order["filled"])
        if PANIC_MARK in order_id:
            shares = self.adopted[order_id]
            here, filled_lots = sorted(shares), sum(shares.values())
        elif order_id in self.orders:
            fills = self.fills.get(order_id, [])
            here, filled_lots = sorted(fill.trade_id for fill in fills), sum(fill.quantity_lots for fill in fills)
        else:
            return [f"{order_id} is at the exchange and unknown to the daemon"]
        found = []
        if order_id in self.orders and Decimal(order["quantity"]) != self.orders[order_id].quantity_lots * lot:
            found.append(f"{order_id}: {order['quantity']} there, {self.orders[order_id].quantity_lots} lots here")
        if there != here:
            found.append(f"{order_id}: executions {there} there, {here} here")
        if filled != filled_lots * lot:
            found.append(f"{order_id}: {filled} filled there, {filled_lots} lots here")
        return found

    def spot_money_differs(self, before: dict[str, Decimal], after: dict[str, Decimal], quote: str) -> list[str]:
        """Return in words what is off between two states of the exchange's wallet and our books, to the unit."""
        expected = {quote: Decimal(self.cash_change_atoms) / UNIT}
        for asset, atoms in self.others_atoms.items():
            expected[asset] = expected.get(asset, Decimal(0)) + Decimal(atoms) / UNIT
        for symbol, spec in self.specs.items():
            expected[spec.base] = expected.get(spec.base, Decimal(0)) + self.held(symbol)
        return [
            f"{asset}: changed by {there} there, by {expected.get(asset, Decimal(0))} here"
            for asset in sorted(before.keys() | after.keys() | expected.keys())
            if (there := after.get(asset, Decimal(0)) - before.get(asset, Decimal(0)))
            != expected.get(asset, Decimal(0))
        ]
