"""A session of contracts on margin: as a replay, as a run, killed in the middle and recovered, and what it leaves."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.runtime.journal import FILE_NAME
from replay.tape import synthetic_tape

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

BARS = 3_000
STRATEGY = '''
"""Takes more than its margin lasts for, and remembers what was taken away."""

from pitboss import Strategy


class Leans(Strategy):
    def on_start(self):
        self.taken = []

    def on_bar(self, bar, f):
        if round(bar.close) % 30 == 0:
            self.target(0.02)
        elif round(bar.close) % 30 == 15:
            self.target(-0.02)

    def on_fill(self, execution):
        if execution.forced:
            self.taken.append(execution.forced)
'''


def test_a_replay_a_run_and_a_killed_run_liquidate_the_same(
    start: Nursery, invoke: Callable[..., Run], tmp_path: Path
) -> None:
    file, funding = tmp_path / "leans.py", tmp_path / "funding.csv"
    file.write_text(STRATEGY)
    series = synthetic_tape(f"7:{BARS}").series[0]
    first_ms = series.first_open_ns // 1_000_000
    funding.write_text("ts,rate\n" + "".join(f"{first_ms + hour * 3_600_000 + 7},0.0001\n" for hour in range(1, 50)))
    tape, strategy = ["--synthetic", f"7:{BARS}"], f"{file}:Leans"
    margin = ("venue.leverage=125", "venue.margin_mode=isolated", "account.cash=200", "venue.taker_fee=0.0001")
    arguments = ["--series", f"{series.symbol}={funding}", *(word for each in margin for word in ("--set", each))]
    replayed = invoke("replay", *tape, *arguments, "-s", strategy, "--json").json
    assert replayed["margin"]["liquidations"] > 5
    assert replayed["margin"]["liquidation_fees"] > 0
    assert replayed["funding"] != 0
    assert 0 < replayed["margin"]["used_max"] < 10

    killed = start("--exit-at-end", *arguments, tape=tape, strategy=strategy, speed=30_000)
    status = killed.wait_for(
        lambda status: status["last_input"]["seq"] > 1_000 and status["margin"]["positions"], "a position on margin"
    )
    (held,) = status["margin"]["positions"]
    assert (held["leverage"], held["margin_mode"]) == (125, "isolated")
    way = held["liquidation_price"] / held["entry_price"] - 1
    assert 0.002 < -way * (1 if held["quantity"] > 0 else -1) < 0.006
    killed.kill()
    recovered = start("--exit-at-end", *arguments, tape=tape, strategy=strategy, speed=0, ready=False)
    assert recovered.wait() == 0
    left = recovered.snapshot()
    assert left["digest"] == replayed["digest"]
    assert left["margin"] == replayed["margin"]
    assert recovered.replayed().equal
    assert len(recovered.events("liquidated") + killed.events("liquidated")) >= left["margin"]["liquidations"]
    db = sqlite3.connect(recovered.state_dir / FILE_NAME)
    forced = db.execute("SELECT count(*) FROM fills WHERE order_id LIKE 'autoclose-%'").fetchone()[0]
    db.close()
    assert forced == left["margin"]["liquidations"]


def test_the_next_session_inherits_what_is_set_aside(start: Nursery, tmp_path: Path) -> None:
    arguments = [word for each in ("instrument.contract=true", "venue.leverage=4", "venue.margin_mode=isolated")
                 for word in ("--set", each)]  # fmt: skip
    first = start(*arguments, tape=("--synthetic", "7:endless"), strategy=start.holder, speed=60_000)
    first.wait_for(lambda status: status["margin"]["positions"], "a position on margin")
    first.command("stop")
    assert first.wait() == 0
    (then,) = first.snapshot()["margin"]["positions"]
    second = start(*arguments, tape=("--synthetic", "8:endless"), strategy=start.holder, speed=1)
    (now,) = second.status()["margin"]["positions"]
    for name in ("quantity", "entry_price", "isolated_margin", "liquidation_price"):
        assert now[name] == then[name], name
