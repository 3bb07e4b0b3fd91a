"""A few rounds of daemon against exchange, both killed and lied to; `make chaos ROUNDS=100` plays more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.venue_rounds import Round
from tests.chaos.venue_worlds import WORLDS


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_no_order_is_lost_or_doubled_and_no_money_is_off(tmp_path: Path, world: str) -> None:
    this = Round(21, tmp_path, WORLDS[world], steps=4)
    assert this.play() == [], (tmp_path / "daemon.log").read_text()[-4_000:]
    assert this.happened["executions"] > 0
