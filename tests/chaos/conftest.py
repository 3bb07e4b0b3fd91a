"""What chaos is made with: daemons as `tests/daemon` starts them, and the run that was never disturbed."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.journal import FILE_NAME
from replay.tape import synthetic_tape

if TYPE_CHECKING:
    from tests.daemon.conftest import Nursery

STRATEGIES = Path(__file__).parent / "strategies.py"
BARS = 3_000


def _beside(path: Path) -> Any:
    """Load a module by its path: tests are no package, and both folders start the same daemons."""
    spec = util.spec_from_file_location("chaos_daemons", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_daemons = _beside(Path(__file__).parents[1] / "daemon" / "conftest.py")
start = _daemons.start
invoke = _daemons.invoke


def outcome(snapshot: Any) -> dict[str, Any]:
    """Return what two runs of one session must agree on."""
    same = ("positions", "orders", "equity", "cash", "fees", "realized_pnl", "digest", "clock", "last_input", "state")
    return {name: snapshot[name] for name in same}


def durable_seq(state_dir: Path) -> tuple[int, int]:
    """Return (newest run, newest input) of a journal somebody is writing; zeros where there is none yet."""
    path = state_dir / FILE_NAME
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            ((run, seq),) = db.execute(
                "SELECT coalesce((SELECT max(run) FROM runs), 0), coalesce((SELECT max(seq) FROM inputs), 0)"
            )
    except sqlite3.OperationalError:  # no file, or no tables yet
        return 0, 0
    return int(run), int(seq)


@dataclass(frozen=True)
class World:
    """A market and what trades in it, as arguments of `pitboss run`."""

    tape: tuple[str, ...]
    strategy: str | None
    more: tuple[str, ...]
    inputs: int
    """Of the whole session."""
    undisturbed: dict[str, Any]
    """The outcome of a run that was never disturbed."""


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], World]]:
    """Return a maker of worlds: `one` synthetic series and strategy, or `two` files and three strategies."""
    folder = tmp_path_factory.mktemp("worlds")
    made: dict[str, World] = {}
    nursery: Nursery = _daemons.Nursery(folder)

    def make(name: str) -> World:
        if name not in made:
            tape, strategy, more = _one() if name == "one" else _two(folder)
            daemon = nursery(
                "--exit-at-end",
                *more,
                tape=tape,
                strategy=strategy,
                speed=0,
                ready=False,
                state_dir=folder / name,
            )
            assert daemon.wait() == 0, daemon.log_text()
            snapshot = daemon.snapshot()
            assert len(snapshot["orders"]) > 1
            made[name] = World(tape, strategy, more, snapshot["last_input"]["seq"], outcome(snapshot))
        return made[name]

    yield make
    nursery.close()


def _one() -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    return ("--synthetic", f"11:{BARS}"), f"{STRATEGIES}:Grid", ()


def _two(folder: Path) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    """Write two series of different lengths and timeframes' worth, and a configuration of three strategies."""
    for symbol, seed, bars in (("AAAUSDT", 3, BARS // 2), ("BBBUSDT", 4, BARS // 2 - 100)):
        rows = ["ts,open,high,low,close,volume"]
        rows += [
            f"{bar.open_ns // 1_000_000},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}"
            for bar in synthetic_tape(f"{seed}:{bars}").bars()
        ]
        (folder / f"{symbol}.csv").write_text("\n".join(rows) + "\n")
    config = folder / "three.toml"
    config.write_text(
        f"[venue]\nlatency_ms = 1500\nslippage_bps = 2\n[risk]\nmax_orders_per_minute = 40\n"
        f'[[strategies]]\nuse = "{STRATEGIES}:Grid"\nid = "low"\nsymbol = "AAAUSDT"\n'
        f'[[strategies]]\nuse = "{STRATEGIES}:Trend"\nid = "trend"\nsymbol = "AAAUSDT"\n'
        f'[[strategies]]\nuse = "{STRATEGIES}:Grid"\nid = "high"\nsymbol = "BBBUSDT"\nparams = {{rungs = 5}}\n'
    )
    tapes = [f"{symbol}={folder / symbol}.csv" for symbol in ("AAAUSDT", "BBBUSDT")]
    return ("--tape", tapes[0], "--tape", tapes[1]), None, ("--config", str(config))


@pytest.fixture
def disk(tmp_path: Path) -> Callable[[Path], dict[str, bytes]]:
    """Return a look at every byte under a folder, but for what a reader of the journal may leave beside it."""

    def look(folder: Path) -> dict[str, bytes]:
        assert folder.is_relative_to(tmp_path)
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in {f"{FILE_NAME}-shm", "daemon.lock"}
            if path.name != f"{FILE_NAME}-wal" or path.stat().st_size
        }

    return look


@pytest.fixture
def chaos() -> Any:
    """Return the looks at a session that tests of chaos share."""
    return _Looks


class _Looks:
    grid = f"{STRATEGIES}:Grid"
    outcome = staticmethod(outcome)
    durable_seq = staticmethod(durable_seq)

    @staticmethod
    def snapshot(state_dir: Path) -> Any:
        """Return `snapshot.json`."""
        return json.loads((state_dir / "snapshot.json").read_bytes())
