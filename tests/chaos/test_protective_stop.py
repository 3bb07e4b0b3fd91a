"""A stop protects while nobody is there: placed after a kill between entry and stop, trailed, booked once (D17)."""

from __future__ import annotations

import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors import messages as m
from actors.runtime.journal import FILE_NAME, JournalReader, decode_effects
from tests.chaos.venue_rounds import PATIENCE_S, Round, eventually, http
from tests.chaos.venue_worlds import Perpetual, World

SYMBOL = "BTC/USDT"


class SpotBracket(World):
    """A market of spot, where the fee is taken from what was bought."""

    strategy = "Bracketed"


class ContractBracket(Perpetual):
    """A perpetual, whose stops are conditional orders at the venue."""

    strategy = "Bracketed"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SpotBracket, ContractBracket], ids=["spot", "contract"])
def test_a_position_has_one_stop_for_all_of_it_whoever_dies_and_it_trails(tmp_path: Path, kind: type[World]) -> None:
    this = Round(6, tmp_path, kind("bracket", {SYMBOL: (30_000.0, 0.002)}))
    try:
        this.start_exchange()
        this.before = this.world.wallet(http(f"{this.admin}/control/book"))
        this.bring_up_daemon("the daemon is ready to trade")
        entry = eventually(lambda: next(iter(there(this, "BUY", "NEW")), None), "the entry rests at the venue")
        this.kill("daemon")
        fall_through(this, Decimal(entry["price"]))
        eventually(lambda: there(this, "BUY", "FILLED"), "the venue filled the entry")
        assert stops(this) == [], "nobody was there to place one"
        this.start_daemon()
        first = eventually(lambda: stops(this), "the stop rests at the venue")
        seen = [first]
        while seen[-1][0][1] == first[0][1] or len(seen) < 20:
            seen.append(eventually(lambda: stops(this), "the stop rests"))
        this.kill("daemon")
        seen.append(eventually(lambda: stops(this), "the stop rests, or what took its place when it was killed"))
        fall_through(this, seen[-1][0][1])
        eventually(lambda: there(this, "SELL", "FILLED"), "the venue filled the stop")
        this.start_daemon()
        eventually(lambda: this.status()["venue"]["ready"] and not this.status()["orders"], "it has heard of it")
        assert this.daemon is not None
        this.daemon.send_signal(signal.SIGTERM)
        assert this.daemon.wait(PATIENCE_S) == 0
        problems = this._compare()
    finally:
        this.close()

    assert problems == [], (tmp_path / "daemon.log").read_text()[-4_000:]
    fills, amended = journaled(this)
    bought, sold = lots(fills, m.BUY), lots(fills, m.SELL)
    assert [len(each) for each in seen] == [1] * len(seen), seen
    assert {each[0][0] for each in seen} == {Decimal("0.00999") if kind is SpotBracket else Decimal("0.010")}
    assert [each[0][1] for each in seen] == sorted(each[0][1] for each in seen), "it never goes back"
    assert 0.99 * bought < sold <= bought, fills
    assert len({fill.trade_id for fill in fills}) == len(fills)
    assert {fill.order_id for fill in fills if fill.side == m.SELL} == {amended[-1].new_order_id}, "none but the stop"


def fall_through(this: Round, stop_price: Decimal) -> None:
    """Print trades far below the stop, as a crash would."""
    for part in ("0.99", "0.98", "0.97"):
        price = str((stop_price * Decimal(part)).quantize(Decimal("0.01")))
        http(f"{this.admin}/control/trade", {"symbol": this.world.traded(SYMBOL), "price": price, "quantity": "5"})


def there(this: Round, side: str, status: str) -> list[Any]:
    """Return the orders of a side and status at the venue."""
    rows = http(f"{this.admin}/control/book")["orders"]
    return [row for row in rows if (row["side"], row["status"]) == (side, status)]


def stops(this: Round) -> list[tuple[Decimal, Decimal]]:
    """Return quantity and trigger of what protects at the venue."""
    book = http(f"{this.admin}/control/book")
    waiting = [
        (row["quantity"], row["trigger_price"]) for row in book.get("conditional_orders", ()) if row["status"] == "NEW"
    ]
    resting = [
        (row["quantity"], row["stop_price"])
        for row in book["orders"]
        if row["status"] == "NEW" and Decimal(row["stop_price"] or 0)
    ]
    return [(Decimal(quantity), Decimal(trigger)) for quantity, trigger in (*waiting, *resting)]


def journaled(this: Round) -> tuple[list[m.Fill], list[m.Amended]]:
    """Return what the journal says was executed and amended."""
    reader = JournalReader(this.daemon_dir / FILE_NAME)
    fills: list[m.Fill] = []
    amended: list[m.Amended] = []
    try:
        session = reader.session()
        assert session is not None
        for record in reader.records(session.number):
            for decision in decode_effects(record.effects) if record.effects else ():
                if isinstance(decision, m.Fill):
                    fills.append(decision)
                elif isinstance(decision, m.Amended):
                    amended.append(decision)
    finally:
        reader.close()
    return fills, amended


def lots(fills: list[m.Fill], side: int) -> int:
    return sum(fill.quantity_lots for fill in fills if fill.side == side)
