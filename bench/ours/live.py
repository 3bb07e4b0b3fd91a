"""Live reaction inside the process, journal on: input posted to effect decided, and to effect released.

The real driver, the real core and the real journal (SQLite, `synchronous=FULL`, on the disk of the
temporary directory). Bars are posted one by one, each after the one before is durable and the loop has
idled, as a market would; the strategy is W1's, `ema_cross` 10/20. Writes `bench/out/live.json`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import anyio

from actors.runtime.clock import TapeClock
from actors.runtime.journal import FILE_NAME
from bench import workload
from config.load import load_settings
from config.schema import Settings, StrategyEntry
from daemon.edges.journal import JournalWriter, open_journal
from daemon.live import Latencies, LiveDriver
from daemon.recovery import open_session
from replay.tape import synthetic_tape

BARS = 12_000
PAUSE_S = 0.0002
RESULT = workload.OUT / "live.json"


async def measure(folder: Path) -> dict[str, float | int | None]:
    """Post bars and return the latencies in microseconds."""
    import msgspec

    entry = StrategyEntry(use="ema_cross", params={"fast": 10, "slow": 20})
    settings: Settings = msgspec.structs.replace(load_settings(environment={}), strategies=(entry,))
    tape = synthetic_tape(f"7:{BARS}")
    path = folder / FILE_NAME
    db = await open_journal(path, settings.journal)
    opened = await open_session(db, path, settings, tape, "bench", new_session=False)
    journal = JournalWriter(db, opened.number, settings.journal, 0)
    driver = LiveDriver(opened.core, journal, TapeClock(0), settings, run=1, chain=opened.chain)
    driver.decided, driver.released = Latencies(BARS), Latencies(BARS)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        group.start_soon(driver.run)
        started_s = time.perf_counter()
        for seq, bar in enumerate(tape.bars(), start=1):
            await driver.post(bar)
            await anyio.sleep(PAUSE_S)
            await journal.durable(seq)
        wall_s = time.perf_counter() - started_s
        group.cancel_scope.cancel()
    await db.close()

    def us(latencies: Latencies, fraction: float) -> float | None:
        value = latencies.quantile(fraction)
        return None if value is None else round(value / 1_000, 1)

    return {
        "inputs": BARS,
        "decisions": len(driver.decided.kept),
        "decided_p50_us": us(driver.decided, 0.5),
        "decided_p99_us": us(driver.decided, 0.99),
        "released_p50_us": us(driver.released, 0.5),
        "released_p99_us": us(driver.released, 0.99),
        "commits": journal.commits,
        "wall_s": round(wall_s, 3),
    }


def main() -> None:
    """Measure, write the file, and print it."""
    try:
        import uvloop  # noqa: F401 - the daemon uses it where it is present

        options = {"use_uvloop": True}
    except ImportError:
        options = {}
    with tempfile.TemporaryDirectory() as folder:
        result = anyio.run(measure, Path(folder), backend_options=options)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
