"""What a breach leads to in a daemon that runs: every action, counted, and the same again in a replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.conftest import STRATEGIES

if TYPE_CHECKING:
    from tests.daemon.conftest import Nursery

pytestmark = pytest.mark.slow

LIMITS = {
    "max_notional": ("8_500", "clip"),
    "price_collar_bps": (5_000, "veto"),
    "max_order_notional": ("5_000", "pause"),
    "max_open_orders": (10, "cancel_all"),
    "max_trade_risk": ("0.5", "flatten"),
}


def test_every_action_does_what_it_says(start: Nursery) -> None:
    settings = [f"risk.{name}={value}" for name, (value, _) in LIMITS.items()]
    settings += [f"risk.actions.{name}={action}" for name, (_, action) in LIMITS.items()]
    daemon = start(*(word for one in settings for word in ("--set", one)), strategy=f"{STRATEGIES}:Reckless")

    def rules(status: Any) -> dict[str, Any]:
        return {row["rule"]: row for row in status["risk"]["rules"]}

    seen: set[str] = set()
    for _ in range(50):
        status = daemon.wait_for(lambda s: s["state"] == "paused", "a pause")
        (rule,) = [name for name, row in rules(status).items() if row["last_reason"] == status["reason"]]
        sells = [order["side"] for order in status["orders"] if order["side"] == "sell"]
        entries = [order for order in status["orders"] if order["side"] == "buy"]
        assert entries == [], "withdrawn by whatever stopped"
        if rule == "max_order_notional":
            assert status["reason"] == "order notional limit 5000"
            assert bool(sells) == bool(status["positions"]), "a pause leaves what is held, and its exits"
        elif rule == "max_open_orders":
            assert status["reason"] == "more than 10 open orders"
            assert sells == []
        else:
            assert status["reason"] == "trade risk limit 0.5, and no protective stop was given"
            assert (status["positions"], status["orders"]) == ([], [])
        if status["positions"] or rule == "max_trade_risk":
            seen.add(rule)
        daemon.command("resume")
        if len(seen) == 3:
            break

    counted = rules(daemon.wait_for(lambda s: rules(s)["max_notional"]["clipped"] and s["positions"], "an order cut"))
    assert counted["price_collar_bps"]["vetoed"] > 0
    assert {name: bool(row["acted"]) for name, row in counted.items()} == {name: name in seen for name in LIMITS}, (
        "a veto and a clip leave the account alone"
    )

    answer = daemon.ask(
        "POST",
        "/api/live/control",
        json.dumps({"action": "tighten", "limit": "max_daily_loss", "value": "0.01"}).encode(),
    )
    assert answer.status == 202
    for _ in range(50):
        halted = daemon.wait_for(lambda s: s["state"] in ("halted", "paused"), "a loss")
        if halted["state"] == "halted":
            break
        daemon.command("resume")
    assert halted["reason"] == "daily loss limit 0.01 reached"
    assert [order for order in halted["orders"] if order["side"] == "buy"] == []
    assert rules(halted)["max_daily_loss"]["acted"] == 1
    assert daemon.end() == 0
    assert daemon.replayed().equal
    kept = {row["rule"]: row["acted"] for row in daemon.snapshot()["risk"]["rules"]}
    assert kept == {name: row["acted"] for name, row in rules(halted).items()}
