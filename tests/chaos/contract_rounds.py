"""Rounds as those of spot, on a perpetual: long and short, with funding now and then, through kills of either side."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from actors.runtime.journal import FILE_NAME
from daemon.code_hash import code_hash
from replay.drift import drift_report
from tests.chaos.venue_rounds import UNIT, Books, Round, http


class ContractRound(Round):
    """One exchange, one daemon that trades its perpetual, one seed."""

    symbol = "BTC/USDT:USDT"
    strategy = "BothWays"
    terms = ("exchange.id=binanceusdm", "exchange.symbols=['BTC/USDT:USDT']", "exchange.leverage=20")

    def meddle(self) -> None:
        """Have funding paid, and now and then the daemon killed while it hears of that."""
        http(f"{self.admin}/control/market", {"symbol": self.symbol, "settle_funding": True})
        if self.random.random() < 0.4:
            time.sleep(self.random.uniform(0, 0.3))
            self.kill("daemon")
            self.start_daemon()

    def holdings(self, book: Any) -> dict[str, Decimal]:
        """Return the wallet and the position."""
        (wallet,) = [row["wallet"] for row in book["wallets"] if row["asset"] == "USDT"]
        position = sum((Decimal(row["amount"]) for row in book["positions"]), Decimal(0))
        return {"USDT": Decimal(wallet), "BTC": position}

    def compare_more(self, book: Any, ours: Books) -> list[str]:
        """Compare payments of funding, one by one."""
        there = {row["funding_id"]: Decimal(row["amount"]) * UNIT for row in book["funding"]}
        here = {each.funding_id: Decimal(each.amount_atoms) for each in ours.funding}
        self.happened["payments of funding"] += len(there)
        if len(here) != len(ours.funding):
            return ["a payment was shared twice"]
        if there != here:
            return [f"funding: {there} there, {here} here"]
        drift = drift_report(self.daemon_dir / FILE_NAME, None, code_hash=code_hash()).drift
        assert drift is not None
        paid, cost = drift.total.cost_funding * UNIT, drift.equity_replay - drift.equity_live
        if (paid, drift.total.cost) != (-sum(here.values()), cost):
            return [f"journal diff: funding {paid}, cost {drift.total.cost}; {-sum(here.values())} and {cost} it was"]
        return []
