"""A stop protects while nobody is there: it rests at the venue, fills without us, and is booked once (D17)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors import messages as m
from actors.runtime.journal import FILE_NAME, JournalReader, decode_effects
from tests.chaos.venue_rounds import Round, eventually, http
from tests.chaos.venue_worlds import Perpetual, World

SYMBOL = "BTC/USDT"


class SpotStop(World):
    """A market of spot."""

    strategy = "Protected"


class ContractStop(Perpetual):
    """A perpetual, whose stops are conditional orders at the venue."""

    strategy = "Protected"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SpotStop, ContractStop], ids=["spot", "contract"])
def test_a_stop_fills_at_the_venue_while_the_daemon_is_dead_and_is_booked_once(
    tmp_path: Path, kind: type[World]
) -> None:
    this = Round(5, tmp_path, kind("stop", {SYMBOL: (30_000.0, 0.002)}))
    try:
        this.start_exchange()
        this.before = this.world.wallet(http(f"{this.admin}/control/book"))
        this.bring_up_daemon("the daemon is ready to trade")
        stop = eventually(lambda: moved_stop(this), "the stop rests at the venue, moved")
        this.kill("daemon")
        fall_through(this, Decimal(stop["stop_price"]))
        eventually(lambda: sold_there(this), "the venue filled the stop")
        this.start_daemon()
        eventually(lambda: this.status()["venue"]["ready"] and not this.status()["orders"], "it has heard of it")
        this._heal()
        problems = this._compare()
    finally:
        this.close()

    assert problems == [], (tmp_path / "daemon.log").read_text()[-4_000:]
    fills, amended = journaled(this)
    assert len(amended) == 1
    assert 0.99 * lots(fills, m.BUY) < lots(fills, m.SELL) <= lots(fills, m.BUY), "all but a fee taken from it"
    assert len({fill.trade_id for fill in fills}) == len(fills)
    assert {fill.order_id for fill in fills if fill.side == m.SELL} == {amended[0].new_order_id}, "none but the stop"


def moved_stop(this: Round) -> Any:
    """Return the stop as the daemon shows it, once it was amended."""
    return next(
        (order for order in this.status()["orders"] if order["state"] == "working" and amended_in(this, order)), None
    )


def amended_in(this: Round, order: Any) -> bool:
    _, amended = journaled(this)
    return any(event.new_order_id == order["order_id"] for event in amended)


def fall_through(this: Round, stop_price: Decimal) -> None:
    """Print trades far below the stop, as a crash would."""
    for part in ("0.99", "0.98", "0.97"):
        price = str((stop_price * Decimal(part)).quantize(Decimal("0.01")))
        http(f"{this.admin}/control/trade", {"symbol": this.world.traded(SYMBOL), "price": price, "quantity": "5"})


def sold_there(this: Round) -> bool:
    book = http(f"{this.admin}/control/book")
    return any(fill["side"] == "SELL" and fill["symbol"] == this.world.traded(SYMBOL) for fill in book["fills"])


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
