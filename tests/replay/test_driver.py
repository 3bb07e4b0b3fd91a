"""The replay driver at its edges: the last timers, progress, chunks, and faults on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors import messages as m
from actors.runtime.scheduler import CoreError
from config.load import check_settings
from config.schema import Settings
from replay.driver import replay_tape
from replay.tape import Tape, synthetic_tape

Configure = Callable[..., Settings]

CLOCKWORK = """
from pitboss import Strategy


class Clockwork(Strategy):
    seconds: float = 60.0

    def on_start(self):
        self.count = 0
        self.begun = False

    def on_bar(self, bar, f):
        if not self.begun:
            self.begun = True
            self.set_timer("beat", self.seconds)

    def on_timer(self, name):
        self.count += 1
        self.target(self.count)
        self.set_timer(name, self.seconds)
"""


def clockwork(tmp_path: Path, seconds: float) -> Settings:
    path = tmp_path / "clockwork.py"
    path.write_text(CLOCKWORK)
    entry = {"use": f"{path}:Clockwork", "params": {"seconds": seconds}}
    return check_settings({"strategies": [entry]}, "test")


@pytest.mark.parametrize(("seconds", "wishes"), [(60.0, 9), (59.0, 9), (61.0, 8), (540.0, 1), (541.0, 0), (0.5, 1_080)])
def test_the_end_of_a_tape_waits_for_timers_due_with_its_last_bar(
    tmp_path: Path, walk: Any, tape_of: Any, drive: Any, seconds: float, wishes: int
) -> None:
    """Ten bars: nine minutes from the first close to the last, and a timer that is due with it still runs."""
    tape: Tape = tape_of(walk(1, 10))
    settings = clockwork(tmp_path, seconds)
    live = drive(settings, tape).start().play([*tape.bars(), m.TapeEnded()])
    assert live.core.scheduler.entered(m.TimerFired) == wishes
    assert live.digest.hex() == replay_tape(settings, tape).digest


def test_progress_is_told_chunk_by_chunk() -> None:
    told: list[int] = []
    summary = replay_tape(Settings(), synthetic_tape("1:40000"), progress=told.append)
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == summary.bars == 40_000
    assert len(told) > 3


def test_a_fault_of_the_core_is_not_swallowed(tmp_path: Path, walk: Any, tape_of: Any) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from pitboss import Strategy\n\n\nclass Mine(Strategy):\n"
        "    def on_bar(self, bar, f):\n        self.buy(1e-12)\n"
        "    def on_order(self, update):\n        self.buy(1e-12)\n"
    )
    settings = check_settings({"strategies": [{"use": f"{path}:Mine"}]}, "test")
    with pytest.raises(CoreError, match=r"livelock: input 1 caused more than .*strategy\.Mine"):
        replay_tape(settings, tape_of(walk(1, 10)))


def test_two_replays_at_once_do_not_touch_each_other(configure: Configure, walk: Any, tape_of: Any, drive: Any) -> None:
    """Nothing is shared between cores: bar by bar in turn they decide as they do alone."""
    settings, tape = configure(("Trader", "a", None, 3)), tape_of(walk(5, 200))
    other, other_tape = configure(("Trader", "a", None, 4)), tape_of(walk(6, 200))
    alone = [drive(s, t).start().play(t.bars()).digest for s, t in ((settings, tape), (other, other_tape))]
    one, two = drive(settings, tape).start(), drive(other, other_tape).start()
    for left, right in zip(tape.bars(), other_tape.bars(), strict=True):
        one.play([left])
        two.play([right])
    assert [one.digest, two.digest] == alone
