"""A few rounds of daemon against exchange, both killed and lied to; `make chaos ROUNDS=100` plays more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.contract_rounds import ContractRound
from tests.chaos.venue_rounds import Round


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
def test_no_order_is_lost_or_doubled_and_no_money_is_off(tmp_path: Path, seed: int) -> None:
    this = Round(seed, tmp_path, steps=6)
    assert this.play() == [], (tmp_path / "daemon.log").read_text()[-4_000:]
    assert this.happened["executions"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [21])
def test_on_a_perpetual_no_payment_is_lost_or_doubled_either(tmp_path: Path, seed: int) -> None:
    this = ContractRound(seed, tmp_path, steps=5)
    assert this.play() == [], (tmp_path / "daemon.log").read_text()[-4_000:]
    assert this.happened["executions"] > 0
    assert this.happened["payments of funding"] > 0
    assert this.happened["kill -9 of the daemon"] > 0
