"""What an actor remembers, as people are shown it: of every kind, cut where it is large, without secrets."""

from __future__ import annotations

import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from actors.runtime.clock import TapeClock
from actors.runtime.journal import CHAIN_GENESIS
from config.load import load_settings
from daemon.console.actor_tree import tree_of
from daemon.control.dumps import Dumps
from daemon.control.refusal import RefusedError
from daemon.control.view import StatusView
from daemon.live import LiveDriver
from daemon.supervisor import Supervisor
from replay.plan import build_core, plan_session, start_core
from replay.tape import synthetic_tape
from tests.daemon.test_live import ListJournal

STRATEGY = '''
from collections import deque

import msgspec
import numpy as np

from pitboss import Strategy


class Entry(msgspec.Struct):
    price: float
    size: int


class Magpie(Strategy):
    """Keeps things of every kind."""

    much: int = 0

    def on_start(self):
        self.pair = (1, "a")
        self.seen = {3, 1}
        self.last = deque([1.5, 2.5], maxlen=9)
        self.levels = np.array([[1.0, 2.0], [3.0, 4.0]])
        self.share = np.float64(0.25)
        self.wave = np.array([1 + 2j])
        self.entry = Entry(10.5, 2)
        self.by_hour = {9: "open", (1, 2): None}
        self.huge = 10**30
        self.raw = b"\\xc1\\x00"
        self.api_key = "do-not-show-this"
        self.long = list(range(1_000))
        self.text = "x" * 5_000
        self.ballast = [float(each) for each in range(self.much)]


class Fickle(Strategy):
    def on_bar(self, bar, f):
        self.file = object()
'''


def view_of(folder: Path, name: str, **params: int) -> tuple[StatusView, LiveDriver]:
    """Return what is shown of a daemon with one strategy."""
    file = folder / "mine.py"
    file.write_text(STRATEGY)
    told = ", ".join(f"{key} = {value}" for key, value in params.items())
    settings = load_settings(None, [f"strategies=[{{use='{file}:{name}', params={{{told}}}}}]"], {})
    plan = plan_session(settings, synthetic_tape("7:10"))
    core = build_core(plan)
    start_core(core)
    journal: Any = ListJournal()
    driver = LiveDriver(core, journal, TapeClock(core.context.now_ns), settings, run=1, chain=CHAIN_GENESIS)
    view = StatusView(
        driver,
        Supervisor(1, lambda *_: None),
        session="s",
        mode="paper",
        clock="tape",
        run=1,
        exchange=settings.exchange,
        strategies=plan.strategies,
    )
    return view, driver


def test_things_of_every_kind_are_shown_and_what_is_long_or_secret_is_not(tmp_path: Path) -> None:
    view, _ = view_of(tmp_path, "Magpie")
    dump = view.dump("strategy.Magpie")

    tree, note = tree_of(dump.state)

    kept = tree["checkpoint"]["strategy"]
    assert dump.size_bytes == len(dump.state)
    assert kept["pair"] == [1, "a"]
    assert kept["seen"] == [1, 3]
    assert kept["last"] == [1.5, 2.5]
    assert (kept["levels"], kept["share"], kept["wave"]) == ([[1.0, 2.0], [3.0, 4.0]], 0.25, ["(1+2j)"])
    assert kept["entry"] == {"Entry": [10.5, 2]}
    assert kept["by_hour"] == {"9": "open", "[1, 2]": None}
    assert (kept["huge"], kept["raw"]) == (str(10**30), "2 bytes")
    assert kept["api_key"] == "[redacted]"
    assert kept["long"] == list(range(200))
    assert kept["text"].startswith("xxx")
    assert len(kept["text"]) < 2_100
    assert note == "801 values are left out: the first 200 of a list are shown"
    assert tree_of(b"\xc1") == (
        None,
        "it cannot be read: MessagePack data is malformed: invalid opcode '\\xc1' (byte 0)",
    )


def test_what_cannot_be_shown_is_said(tmp_path: Path) -> None:
    view, driver = view_of(tmp_path, "Fickle")
    bars = iter(synthetic_tape("7:10").bars())
    for bar in bars:
        driver.core.scheduler.post(bar.close_ns, bar)

    found = view.dump("strategy.Fickle")

    assert found.state == b""
    assert found.note.startswith("it cannot be kept: self.file cannot be kept across a restart: ")
    with pytest.raises(
        RefusedError, match=r"'strategy\.fickle' is no actor: .* \(did you mean 'strategy\.Fickle'\?\)"
    ) as no:
        view.dump("strategy.fickle")
    assert no.value.status == HTTPStatus.NOT_FOUND


@pytest.mark.slow
async def test_large_states_are_left_out_and_take_only_a_part_of_the_cores_time(tmp_path: Path) -> None:
    view, _ = view_of(tmp_path, "Magpie", much=120_000)
    dumps = Dumps(view.dump)

    began_s = time.monotonic()
    dump = await dumps.of("strategy.Magpie")
    took_s = time.monotonic() - began_s

    assert dump.state == b""
    assert dump.note == f"{dump.size_bytes:,} bytes are too many to be shown"
    await dumps.of("ledger")
    assert time.monotonic() - began_s > 10 * took_s, "whoever asks again waits"
