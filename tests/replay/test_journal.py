"""Replay of a journal, and its export: from what was stored alone, to the same decisions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from actors import messages as m
from actors.runtime import journal
from actors.runtime.journal import CHAIN_GENESIS, encode_input, link
from config.errors import UserError
from config.schema import Settings
from replay.driver import replay_tape
from replay.export import export_session
from replay.journal import NothingStoredError, encode_plan, replay_journal
from replay.tape import Tape

Configure = Callable[..., Settings]
Row = list[Any]


@pytest.fixture
def tape(walk: Any, tape_of: Any) -> Tape:
    made: Tape = tape_of(walk(77, 120, gaps=True))
    return made


@pytest.fixture
def stored(configure: Configure, tape: Tape, drive: Any, tmp_path: Path) -> Path:
    """Return the journal of a session with commands, as the daemon's writer would leave it."""
    path = tmp_path / journal.FILE_NAME
    driven = drive(configure(("Trader", "t", None, 4)), tape).start()
    core, rows = driven.core, []
    chain = CHAIN_GENESIS

    def keep(now_ns: int, message: m.Message, effects: bytes | None) -> None:
        nonlocal chain
        seq, payload, digest = core.scheduler.seq, encode_input(message), core.digest.value
        chain = link(chain, seq, now_ns, payload, effects, digest)
        rows.append((seq, 1 + (seq > 60), now_ns, payload, effects, digest, chain))

    inputs: list[m.Message] = list(tape.bars())
    inputs[50:50] = [m.Pause("c1")]
    inputs[70:70] = [m.Resume("c2"), m.Flatten("c3")]
    inputs[80:80] = [m.Resume("c4")]
    for message in [*inputs, m.TapeEnded(), m.Flatten("c5"), m.Stop("c6")]:
        ts_ns = message.close_ns if isinstance(message, m.Bar) else core.context.now_ns
        core.scheduler.fire_before(ts_ns, keep)
        keep(ts_ns, message, core.scheduler.post(ts_ns, message))

    db = sqlite3.connect(path)
    db.executescript(journal.SCHEMA)
    db.execute("INSERT INTO sessions VALUES (1, 'one', 0, ?, 'sealed', NULL)", (encode_plan(driven.plan),))
    db.execute("INSERT INTO sessions VALUES (2, 'two', 0, ?, 'open', NULL)", (encode_plan(driven.plan),))
    db.execute("INSERT INTO runs VALUES (1, 1, 0, 1, 'crashed_recovered', 'a'), (1, 2, 0, 1, 'ended', 'a')")
    db.executemany("INSERT INTO inputs VALUES (1, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.commit()
    db.close()
    return path


@contextmanager
def rewritten(path: Path) -> Iterator[list[Row]]:
    """Let the rows of a journal be changed, then chain them anew: a forger who knows the format."""
    db = sqlite3.connect(path)
    sql = "SELECT seq, run, ts_ns, payload, effects, digest FROM inputs ORDER BY seq"
    rows = [list(row) for row in db.execute(sql)]
    yield rows
    chain = CHAIN_GENESIS
    db.execute("DELETE FROM inputs")
    for seq, run, ts_ns, payload, effects, digest in rows:
        chain = link(chain, seq, ts_ns, payload, effects, digest)
        db.execute(
            "INSERT INTO inputs VALUES (1, ?, ?, ?, ?, ?, ?, ?)", (seq, run, ts_ns, payload, effects, digest, chain)
        )
    db.commit()
    db.close()


# --- replay -----------------------------------------------------------------------------------------


def test_a_session_replays_to_its_own_decisions(stored: Path) -> None:
    summary = replay_journal(stored, "one")
    assert summary.equal
    assert summary.first_difference is None
    assert summary.digest_live == summary.digest_replay != "0" * 32
    assert (summary.session, summary.status, summary.runs) == ("one", "sealed", 2)
    assert summary.bars == 120
    assert summary.inputs > 126, "bars, commands, the end, and timers"
    assert summary.fills > 30
    assert summary.unverified_tail == 0
    assert summary.notes == []


def test_without_commands_a_journal_replays_to_the_digest_of_its_tape(
    stored: Path, configure: Configure, tape: Tape
) -> None:
    commands = (m.Pause, m.Resume, m.Flatten, m.Stop)
    with rewritten(stored) as rows:
        rows[:] = [row for row in rows if not isinstance(journal.decode_input(row[3]), (*commands, m.TimerFired))]
        for seq, row in enumerate(rows, start=1):
            row[0], row[4], row[5] = seq, None, None
    summary = replay_journal(stored, "one")
    assert (summary.equal, summary.unverified_tail) == (False, summary.inputs), "nothing to compare with"
    assert summary.bars == replay_tape(configure(("Trader", "t", None, 4)), tape).bars


def test_the_newest_session_is_the_default_and_an_empty_one_is_not_equal(stored: Path) -> None:
    summary = replay_journal(stored)
    assert (summary.session, summary.status, summary.inputs, summary.runs) == ("two", "open", 0, 0)
    assert not summary.equal


def test_a_decision_that_differs_is_told_with_both_sides(stored: Path) -> None:
    with rewritten(stored) as rows:
        victim = next(row for row in rows if row[4] is not None)
        victim[4] = b"\x91" + encode_input(m.RiskVeto("t", "X/USD", 1, "made up"))
        victim[5] = b"\x01" * 16
    summary = replay_journal(stored, "one")
    assert not summary.equal
    assert summary.first_difference is not None
    assert summary.first_difference.startswith(f"input {victim[0]}, decision 1: live RiskVeto(")
    assert "replay Intent(" in summary.first_difference


def test_decisions_too_few_or_too_many_are_told(stored: Path) -> None:
    with rewritten(stored) as rows:
        victim = next(row for row in rows if row[4] is not None)
        victim[4], victim[5] = None, b"\x01" * 16
    summary = replay_journal(stored, "one")
    assert summary.first_difference is not None
    assert f"input {victim[0]}: 0 decisions live, " in summary.first_difference


def test_an_unverified_tail_is_counted_and_compared_up_to_its_beginning(stored: Path) -> None:
    with rewritten(stored) as rows:
        for row in rows[-40:]:
            row[5] = None
    summary = replay_journal(stored, "one")
    assert summary.unverified_tail == 40
    assert summary.equal
    assert summary.digest_live == summary.digest_replay


def test_an_input_the_core_cannot_take_any_more_is_a_difference_and_no_crash(stored: Path) -> None:
    with rewritten(stored) as rows:
        first = next(row for row in rows if row[4] is not None)
        rows[first[0] :] = [
            [first[0] + 1, 1, first[2], encode_input(m.TapeEnded()), None, b"\x01" * 16],
        ]
    plan = sqlite3.connect(stored)
    ((kept,),) = plan.execute("SELECT plan FROM sessions WHERE id = 'one'")
    broken = json.loads(kept)
    code = broken["strategies"][0]["source"]["code"]
    broken["strategies"][0]["source"]["code"] = code.replace(
        "self.seen.updates[update.state] = ", "self.buy(1e-9)\n        self.seen.updates[update.state] = "
    )
    plan.execute("UPDATE sessions SET plan = ? WHERE id = 'one'", (json.dumps(broken).encode(),))
    plan.commit()
    plan.close()
    summary = replay_journal(stored, "one")
    assert not summary.equal
    assert summary.first_difference is not None
    assert "the replay fails: livelock" in summary.first_difference


def test_a_strategy_file_that_has_changed_since_is_noted_and_not_used(stored: Path, trader: str) -> None:
    Path(trader).write_text("something else\n")
    summary = replay_journal(stored, "one")
    assert summary.equal
    (note,) = summary.notes
    assert note == f"strategy t: {trader} has changed since; the stored source was replayed"
    Path(trader).unlink()
    assert replay_journal(stored, "one").notes == summary.notes


def test_a_session_that_is_not_there_is_answered_with_the_nearest(stored: Path) -> None:
    with pytest.raises(UserError, match=r"no session oen \(did you mean 'one'\?\)"):
        replay_journal(stored, "oen")


def test_no_journal_and_no_session_are_told_apart_from_mistakes(tmp_path: Path) -> None:
    with pytest.raises(NothingStoredError, match="no journal there"):
        replay_journal(tmp_path / "none.sqlite")
    empty = tmp_path / "empty.sqlite"
    db = sqlite3.connect(empty)
    db.executescript(journal.SCHEMA)
    db.close()
    with pytest.raises(NothingStoredError, match="holds no session"):
        replay_journal(empty)


def test_a_damaged_record_is_refused(stored: Path) -> None:
    db = sqlite3.connect(stored)
    db.execute("UPDATE inputs SET ts_ns = ts_ns + 1 WHERE seq = 9")
    db.commit()
    db.close()
    with pytest.raises(UserError, match="corrupt at input 9"):
        replay_journal(stored, "one")


# --- export -----------------------------------------------------------------------------------------


def test_an_export_holds_every_input_with_its_decisions_and_the_tables(stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    written = {path.name: rows for path, rows in export_session(stored, "one", out)}
    assert set(written) == {"inputs.jsonl", "fills.parquet", "orders.parquet", "equity.parquet", "tape.parquet"}
    lines = [json.loads(line) for line in (out / "inputs.jsonl").read_text().splitlines()]
    summary = replay_journal(stored, "one")
    assert [line["seq"] for line in lines] == list(range(1, summary.inputs + 1))
    assert lines[-1]["digest"] == summary.digest_live
    assert {line["input"][0] for line in lines} == {
        "Bar", "TimerFired", "Pause", "Resume", "Flatten", "Stop", "TapeEnded",
    }  # fmt: skip
    fills = pl.read_parquet(out / "fills.parquet")
    told = [each for line in lines for each in line["decisions"] if each[0] == "Fill"]
    assert fills.height == written["fills.parquet"] == summary.fills == len(told)
    assert fills["price_ticks"].to_list() == [each[7] for each in told]
    assert pl.read_parquet(out / "equity.parquet").height == 120
    orders = pl.read_parquet(out / "orders.parquet")
    assert orders["order_id"].n_unique() == orders.height
    assert set(orders["state"]) <= {"open", "filled", "cancelled", "expired", "rejected"}


def test_an_export_that_cannot_be_written_is_one_line(stored: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match=r"--out .*file: File exists"):
        list(export_session(stored, "one", blocked))
