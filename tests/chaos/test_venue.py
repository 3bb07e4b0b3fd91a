"""A few rounds of daemon against exchange, both killed and lied to; `make chaos ROUNDS=100` plays more."""

from __future__ import annotations

from pathlib import Path

import pytest

from replay.exchange.faults import KINDS
from tests.chaos.venue_rounds import FAULTS, TOGETHER, Round
from tests.chaos.venue_worlds import WORLDS


@pytest.mark.slow
@pytest.mark.parametrize("world", [name for name in WORLDS if name != "one symbol"])  # two symbols are that and more
def test_no_order_is_lost_or_doubled_and_no_money_is_off(tmp_path: Path, world: str) -> None:
    this = Round(21, tmp_path, WORLDS[world], steps=4)
    assert this.play() == [], (tmp_path / "daemon.log").read_text()[-4_000:]
    assert this.happened["executions"] > 0


def test_a_round_has_every_fault_there_is_before_any_comes_again(tmp_path: Path) -> None:
    this = Round(21, tmp_path)
    dealt = [name for _ in range(-(-len(FAULTS) // TOGETHER)) for name in this.deal()]
    assert sorted(dealt[: len(FAULTS)]) == sorted(KINDS.keys() - {"withdrawals_allowed"})
