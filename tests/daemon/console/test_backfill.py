"""Features from before the console was there: the journal run again tells the same."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from daemon.console.backfill import Backfill
from tests.daemon.console.conftest import STRATEGIES, WITH_CONSOLE, Client

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.console.history import SessionFacts
    from tests.daemon.conftest import Nursery


async def test_however_many_sessions_are_asked_for_few_wait_to_be_computed(tmp_path: Path) -> None:
    backfill = Backfill(tmp_path / "journal.sqlite")
    before = len(asyncio.all_tasks())

    for number in [*range(30)] * 3:
        session = cast("SessionFacts", SimpleNamespace(number=number, id=str(number)))
        assert backfill.features(session, "ema_cross", "SYN/USDT", 0) is None

    assert len(asyncio.all_tasks()) - before == 4
    await backfill.close()


@pytest.mark.slow
def test_what_was_told_before_a_restart_is_computed_again_to_the_bit(start: Nursery) -> None:
    config = start.folder / "pitboss.toml"
    config.write_text(STRATEGIES)
    arguments = (*WITH_CONSOLE, "--config", str(config))
    first = Client(start(*arguments, strategy=None))
    first.daemon.wait_for(lambda s: s["last_input"]["seq"] > 150, "bars")
    path = "/api/live/bars?strategy=ema_cross&limit=100"
    heard = first.get(path)
    assert not heard["pending"] or heard["rows"][0]["features"] is None
    told = {row["open_ns"]: row["features"] for row in heard["rows"] if row["features"] is not None}
    assert len(told) >= 90
    assert first.daemon.end() == 0

    second = Client(start(*arguments, strategy=None))
    to_ns = max(told) + 60_000_000_000

    def again() -> Any:
        answer = second.get(f"{path}&to_ns={to_ns}")
        return None if answer["pending"] else answer

    rows = start.eventually(again, "they are computed")["rows"]
    assert {row["open_ns"]: row["features"] for row in rows if row["open_ns"] in told} == told
    whole = second.get(f"/api/live/bars?strategy=ema_cross&limit=1000&to_ns={to_ns}")["rows"]
    assert all(row["features"] is not None for row in whole[5:]), "six bars make the slow average"
