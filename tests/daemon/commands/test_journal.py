"""`journal replay` and `journal export`: what they say, and with which exit code."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from replay.tape import open_tape

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

STRATEGIES = Path(__file__).parents[1] / "user_strategies.py"
BARS = 60


@pytest.fixture
def state(invoke: Callable[..., Run], tmp_path: Path) -> Path:
    """Return the state directory of a session that reached the end of its tape."""
    folder = tmp_path / "state"
    run = invoke(
        *("run", "--state-dir", str(folder), "--port", "0", "--speed", "0", "--exit-at-end"),
        *("--synthetic", f"7:{BARS}", "-s", f"{STRATEGIES}:Holder"),
    )
    assert run.code == 0
    return folder


def test_a_journal_replays_to_the_decisions_that_were_made_live(invoke: Callable[..., Run], state: Path) -> None:
    run = invoke("journal", "replay", "--state-dir", str(state), "--json")
    tape = invoke("replay", "--synthetic", f"7:{BARS}", "-s", f"{STRATEGIES}:Holder", "--json")

    report = run.json
    assert (run.code, run.errors) == (0, "")
    assert (report["runs"], report["inputs"], report["bars"]) == (1, BARS + 1, BARS)
    assert (report["equal"], report["unverified_tail"]) == (True, 0)
    assert report["digest_live"] == report["digest_replay"] == tape.json["digest"]
    assert (report["fills"], report["final_equity"]) == (tape.json["fills"], tape.json["final_equity"])


def test_for_people_the_verdict_is_a_table(invoke: Callable[..., Run], state: Path) -> None:
    run = invoke("journal", "replay", "--state-dir", str(state))

    assert run.code == 0
    assert "equal" in run.output
    assert "{" not in run.output


def test_another_decision_than_recorded_is_exit_code_1(
    invoke: Callable[..., Run], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the code had changed: the stored session decides otherwise now."""
    monkeypatch.setattr("actors.instrument.Rate.of", lambda _self, atoms: atoms // 7)

    run = invoke("journal", "replay", "--state-dir", str(state), "--json")

    report = run.json
    assert (run.code, report["equal"]) == (1, False)
    assert report["digest_live"] != report["digest_replay"]
    assert report["first_difference"].startswith("input 2, decision ")


def test_inputs_without_a_digest_are_an_unverified_tail(invoke: Callable[..., Run], state: Path) -> None:
    from actors.runtime.journal import CHAIN_GENESIS, FILE_NAME, JournalReader, link

    with closing(sqlite3.connect(state / FILE_NAME)) as db, db:
        db.execute("UPDATE inputs SET digest = NULL, effects = NULL WHERE seq > ?", (BARS - 4,))
        chain = CHAIN_GENESIS
        rows = db.execute("SELECT seq, ts_ns, payload, effects, digest FROM inputs ORDER BY seq").fetchall()
        for seq, *rest in rows:
            chain = link(chain, seq, *rest)
            db.execute("UPDATE inputs SET chain = ? WHERE seq = ?", (chain, seq))
    JournalReader(state / FILE_NAME).close()

    report = invoke("journal", "replay", "--state-dir", str(state), "--json").json

    assert (report["inputs"], report["unverified_tail"], report["first_difference"]) == (BARS + 1, 5, None)


def test_nothing_stored_is_exit_code_1(invoke: Callable[..., Run], tmp_path: Path) -> None:
    run = invoke("journal", "replay", "--state-dir", str(tmp_path))

    assert (run.code, run.output) == (1, "")
    assert run.errors == f"pitboss: {tmp_path}/journal.sqlite: no journal there\n"


def test_an_unknown_session_is_refused_with_the_nearest(invoke: Callable[..., Run], state: Path) -> None:
    known = invoke("journal", "replay", "--state-dir", str(state), "--json").json["session"]

    for command in (("replay",), ("export", "--out", str(state / "out"))):
        refusal = invoke("journal", *command, "--state-dir", str(state), "--session", f"{known}0").refusal
        assert refusal.endswith(f"no session {known}0 (did you mean '{known}'?)")
    assert not (state / "out").exists()


def test_a_session_is_replayed_by_its_name(invoke: Callable[..., Run], state: Path) -> None:
    first = invoke("journal", "replay", "--state-dir", str(state), "--json").json
    run = invoke(
        *("run", "--state-dir", str(state), "--port", "0", "--speed", "0", "--exit-at-end", "--new-session"),
        *("--synthetic", "8:5", "-s", f"{STRATEGIES}:Holder"),
    )
    assert run.code == 0

    newest = invoke("journal", "replay", "--state-dir", str(state), "--json").json
    named = invoke("journal", "replay", "--state-dir", str(state), "--session", first["session"], "--json").json

    assert (newest["session"] != first["session"], newest["bars"], newest["equal"]) == (True, 5, True)
    assert (named["session"], named["digest_replay"], named["status"]) == (
        first["session"],
        first["digest_replay"],
        "quarantined",
    )


def test_a_changed_strategy_file_is_noted_and_the_stored_one_replayed(
    invoke: Callable[..., Run], tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(STRATEGIES.read_text())
    state = str(tmp_path / "state")
    run = invoke(
        *("run", "--state-dir", state, "--port", "0", "--speed", "0", "--exit-at-end"),
        *("--synthetic", "7:20", "-s", f"{file}:Holder"),
    )
    assert run.code == 0
    file.write_text("this is no Python any more\n")

    report = invoke("journal", "replay", "--state-dir", state, "--json").json

    assert report["equal"]
    assert report["notes"] == [f"strategy Holder: {file} has changed since; the stored source was replayed"]


def test_an_export_has_every_input_and_every_table(invoke: Callable[..., Run], state: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = invoke("journal", "replay", "--state-dir", str(state), "--json").json

    run = invoke("journal", "export", "--state-dir", str(state), "--out", str(out))

    assert (run.code, run.errors) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [
        "equity.parquet",
        "fills.parquet",
        "inputs.jsonl",
        "orders.parquet",
        "tape.parquet",
    ]
    rows = [json.loads(line) for line in (out / "inputs.jsonl").read_text().splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, BARS + 2))
    assert rows[-1]["digest"] == report["digest_live"]
    assert rows[0]["input"][0] == "Bar"
    assert pl.read_parquet(out / "fills.parquet").height == report["fills"] > 0
    assert pl.read_parquet(out / "equity.parquet").height == BARS
    assert pl.read_parquet(out / "orders.parquet").height >= report["fills"]
    heard = list(open_tape([str(out / "tape.parquet")]).stamped())
    assert [(row["ts_ns"], row["input"]) for row in rows[:-1]] == [
        (ts_ns, msgspec.to_builtins(bar)) for ts_ns, bar in heard
    ]


def test_an_export_that_cannot_be_written_is_refused(invoke: Callable[..., Run], state: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    refusal = invoke("journal", "export", "--state-dir", str(state), "--out", str(tmp_path / "file")).refusal

    assert refusal == f"--out {tmp_path / 'file'}: File exists"


def test_reading_a_journal_changes_nothing(invoke: Callable[..., Run], state: Path, tmp_path: Path) -> None:
    before = (state / "journal.sqlite").read_bytes()

    invoke("journal", "replay", "--state-dir", str(state))
    invoke("journal", "export", "--state-dir", str(state), "--out", str(tmp_path / "out"))
    invoke("doctor", "--state-dir", str(state))

    assert (state / "journal.sqlite").read_bytes() == before
