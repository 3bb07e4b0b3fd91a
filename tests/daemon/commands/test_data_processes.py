"""Whole `pitboss data import` and `pitboss data download` processes: killed, watched, and side by side."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from replay.tape.catalogue import Catalogue, Manifest, SeriesKey
from tests.daemon.commands.conftest import BARS, MINUTE_MS, SYMBOL, WITHIN_S, Loopback, candles, moment

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PITBOSS = (sys.executable, "-m", "daemon.cli")
OFTEN = (
    sys.executable,
    "-c",
    "from daemon.edges.download import work; work.BATCH_ROWS = 900; from daemon.cli import main; main()",
)
"""The command, writing after 900 rows where it would after 50,000, so that a small market is many writes."""
ROWS = 250_000
START_MS = 1_704_067_200_000
MINUTE_NS = 60_000_000_000
BARS_KEY = SeriesKey("bars", "binance", SYMBOL, MINUTE_NS)
TRADES_KEY = SeriesKey("trades", "binance", SYMBOL)


def bars_csv(path: Path, first: int, rows: int) -> Path:
    """Write minutes, half a year of them and more: the catalogue keeps each month in a file of its own."""
    index = pl.int_range(first, first + rows, eager=True)
    close = 100.0 + (index % 997) / 100
    frame = pl.DataFrame(
        {"ts": START_MS + MINUTE_MS * index, "open": close, "high": close + 1, "low": close - 1, "close": close}
    )
    frame.with_columns((index % 13).alias("volume")).write_csv(path)
    return path


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a starter of processes, which are gone in the end."""
    with contextlib.ExitStack() as stack:

        def begin(*command: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Wait until something is so, or the process has ended."""
    deadline_s = time.monotonic() + WITHIN_S
    while not condition() and process.poll() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def same(manifest: Manifest | None) -> list[Any]:
    """Return what two ways to one series must agree on: the files to the byte, and so the rows."""
    assert manifest is not None
    return [(part.file, part.rows, part.sha256) for part in manifest.parts]


def assert_sound(invoke: Callable[..., Run], root: Path) -> dict[str, int]:
    """Check that the catalogue is whole; return how many rows it has of each kind."""
    listed = invoke("data", "list", "--data-dir", str(root), "--json")
    assert listed.code == 0, listed.errors
    rows: dict[str, int] = {}
    catalogue = Catalogue(root)
    for manifest in catalogue.series():
        assert catalogue.damaged(manifest) == []
        checked = invoke("data", "check", f"{manifest.kind}:{manifest.name}", "--data-dir", str(root))
        assert checked.code == 0, checked.output
        rows[manifest.kind] = rows.get(manifest.kind, 0) + manifest.rows
    return rows


def watched(*command: str) -> tuple[int, str]:
    """Run a command with a terminal as its standard error; return its exit code and what was shown there."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # Linux ends a terminal so
            while data := os.read(ours, 65_536):
                shown.append(data)

    reader = threading.Thread(target=read)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        reader.start()
        process.communicate(timeout=WITHIN_S)
    reader.join(WITHIN_S)
    os.close(ours)
    return process.returncode, b"".join(shown).decode()


def assert_moved(shown: str, title: str, steps: int) -> None:
    """Check that a bar went from nothing to all."""
    percents = [int(text) for text in re.findall(r"(\d+)%", shown)]
    assert title in shown
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert len(set(percents)) > steps, percents


def test_an_import_that_is_killed_at_any_moment_has_happened_or_not(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]], invoke: Callable[..., Run]
) -> None:
    """Its second half is killed at drawn moments, with the first one there; in the end nobody could tell."""
    early, late = (bars_csv(tmp_path / f"{index}.csv", index * ROWS // 2, ROWS // 2) for index in (0, 1))

    def command(file: Path, root: Path) -> tuple[str, ...]:
        named = ("--venue", "binance", "--symbol", SYMBOL, "--data-dir", str(root))
        return (*PITBOSS, "data", "import", str(file), *named)

    calm, killed = tmp_path / "calm", tmp_path / "killed"
    took_s = 0.0
    for file in (early, late):
        process = start(*command(file, calm))
        wait_for(lambda: list(calm.rglob(".staging-*")), process)
        began_s = time.monotonic()
        _, errors = process.communicate(timeout=WITHIN_S)
        took_s = time.monotonic() - began_s
        assert (process.returncode, errors) == (0, b""), "nothing is said where nobody looks"
    assert invoke(*command(early, killed)[3:]).code == 0
    half = same(Catalogue(killed).manifest(BARS_KEY))
    whole = same(Catalogue(calm).manifest(BARS_KEY))
    chance = random.Random(7)
    cut = 0
    for index in range(4):
        process = start(*command(late, killed))
        wait_for(lambda: list(killed.rglob(".staging-*")), process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(took_s * index * chance.random() / 3)  # the first at once, so that one is cut for sure
        process.kill()
        cut += process.wait() != 0
        rows = assert_sound(invoke, killed)["bars"]
        there = same(Catalogue(killed).manifest(BARS_KEY))
        assert (rows, there) in ((ROWS // 2, half), (ROWS, whole))
        if there == whole:
            break
    assert cut > 0
    code, shown = watched(*command(late, killed))
    assert code == 0
    assert_moved(shown, "import bars", steps=1)
    assert same(Catalogue(killed).manifest(BARS_KEY)) == whole
    assert not list(killed.rglob(".staging-*"))


def test_a_download_that_is_killed_at_any_moment_goes_on_where_it_stood(
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[bytes]],
    invoke: Callable[..., Run],
    listing: Loopback,
) -> None:
    listed = candles(listing)
    times = ("--since", moment(listed[0].open_ms), "--until", moment(listed[-1].open_ms + MINUTE_MS))
    requests = listing.exchange.desk.requests
    chance = random.Random(7)

    def command(root: Path) -> tuple[str, ...]:
        settings = ("--set", f"exchange.file={listing.file}", "--data-dir", str(root))
        return ("data", "download", f"binance:{SYMBOL}", "--kind", "trades", *times, *settings)

    calm, killed = tmp_path / "calm", tmp_path / "killed"
    code, shown = watched(*PITBOSS, *command(calm))
    assert code == 0, shown
    assert_moved(shown, "download trades", steps=3)
    rows = 0
    for _ in range(2):
        asked = requests["GET /api/v3/aggTrades"] + chance.randrange(2, 12)
        process = start(*OFTEN, *command(killed))
        wait_for(lambda asked=asked: requests["GET /api/v3/aggTrades"] >= asked, process)
        time.sleep(chance.random() * 0.02)
        process.kill()
        process.wait()
        before, rows = rows, assert_sound(invoke, killed).get("trades", 0)
        assert rows >= before
    assert invoke(*command(killed)).code == 0
    assert same(Catalogue(killed).manifest(TRADES_KEY)) == same(Catalogue(calm).manifest(TRADES_KEY))
    assert not list(killed.rglob(".staging-*"))


def test_an_import_and_a_download_into_one_series_at_once_make_one_series(
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[bytes]],
    invoke: Callable[..., Run],
    listing: Loopback,
) -> None:
    """The download's bars are the import's: whoever commits second finds them there, and nothing is there twice."""
    listed = candles(listing)
    times = ("--since", moment(listed[0].open_ms), "--until", moment(listed[-1].open_ms + MINUTE_MS))
    calm, shared = tmp_path / "calm", tmp_path / "shared"

    def download(name: str, root: Path) -> tuple[str, ...]:
        return ("data", "download", name, *times, "--set", f"exchange.file={listing.file}", "--data-dir", str(root))

    assert invoke(*download(f"binance:{SYMBOL}:1m", calm)).code == 0
    file = tmp_path / "bars.csv"
    frame = Catalogue(calm).scan(BARS_KEY).collect()
    frame.with_columns(pl.col("ts") // 1_000_000).write_csv(file)
    imported = ("data", "import", str(file), "--venue", "binance", "--symbol", SYMBOL, "--data-dir", str(shared))
    processes = [
        start(*OFTEN, *download(f"binance:{SYMBOL}:1m", shared)),
        start(*PITBOSS, *imported),
    ]
    for process in processes:
        _, errors = process.communicate(timeout=WITHIN_S)
        assert (process.returncode, errors) == (0, b"")
    assert assert_sound(invoke, shared) == {"bars": BARS}
    assert same(Catalogue(shared).manifest(BARS_KEY)) == same(Catalogue(calm).manifest(BARS_KEY))
