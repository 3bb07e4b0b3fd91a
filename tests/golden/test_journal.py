"""A journal recorded by an earlier release must still be read, and replay to the decisions it holds.

`make_journal.py` recorded it from the daemon: 300 bars, two strategies, every kind of order, commands, a restart.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest

from actors import messages as m
from actors.runtime.journal import SCHEMA_VERSION, JournalReader, decode_effects, decode_input
from config.schema import Journal
from daemon.edges.journal import open_journal
from replay.export import export_session
from replay.journal import replay_journal

HERE = Path(__file__).parent
VERSIONS = {
    1: ("783a4c8d1ec77011bc355529f8cb38f9", 120, "98977.71295000"),
    2: ("a7ee100d0a0656a6da93976c38ba7775", 118, "98995.78300250"),
    3: ("ab0d18daf10ae09c62fe11a7493cc3b0", 118, "98994.43415500"),
}
"""Of each schema: digest, fills and final equity of the session. Each was recorded anew, so commands fell elsewhere."""


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    """A version of the schema."""
    number: int = request.param
    return number


@pytest.fixture
def recorded(tmp_path: Path, version: int) -> Path:
    """Return a copy of the recorded journal: the original is not even opened."""
    return Path(shutil.copy(HERE / f"journal-v{version}.sqlite", tmp_path / "journal.sqlite"))


def test_every_schema_version_has_its_recorded_journal() -> None:
    assert [path.name for path in sorted(HERE.glob("journal-v*.sqlite"))] == [
        f"journal-v{version}.sqlite" for version in range(1, SCHEMA_VERSION + 1)
    ]
    assert all(path.stat().st_size <= 50 * 4_096 for path in HERE.glob("journal-v*.sqlite"))


def test_it_replays_to_its_stored_digest(recorded: Path, version: int) -> None:
    digest, fills, equity = VERSIONS[version]
    summary = replay_journal(recorded)
    assert summary.first_difference is None
    assert summary.equal
    assert summary.digest_live == summary.digest_replay == digest
    assert (summary.status, summary.runs, summary.bars, summary.inputs) == ("sealed", 2, 300, 325)
    assert (summary.fills, f"{summary.final_equity:f}") == (fills, equity)
    assert summary.unverified_tail == 0


def test_every_record_decodes_and_encodes_to_the_same(recorded: Path) -> None:
    """Decisions to the byte, for the digest is of them; an input to what stood there and, last, what is new since."""
    reader = JournalReader(recorded)
    session = reader.session()
    assert session is not None
    kinds: set[type[m.Message]] = set()
    records = list(reader.records(session.number))
    for record in records:
        message = decode_input(record.payload)
        decisions = decode_effects(record.effects) if record.effects else []
        kinds |= {type(message), *map(type, decisions)}
        stored, now = (msgspec.msgpack.decode(each) for each in (record.payload, msgspec.msgpack.encode(message)))
        assert now[: len(stored)] == stored, record.seq
        assert set(now[len(stored) :]) <= {None}, record.seq
        if record.effects is not None:
            assert msgspec.msgpack.encode(decisions) == record.effects, record.seq
    reader.close()
    assert len(records) == 325
    assert kinds == {
        *(m.Bar, m.TapeEnded, m.TimerFired, m.Pause, m.Resume, m.Flatten, m.Stop),
        *(m.Intent, m.RiskVeto, m.OrderRequest, m.CancelRequest, m.Accepted, m.Rejected, m.Cancelled, m.Expired),
        *(m.Fill, m.PositionChanged),
    }


def test_the_tables_beside_it_agree_with_what_is_derived_from_it(recorded: Path, tmp_path: Path) -> None:
    """The daemon wrote `fills`, `orders` and `equity` as it went; an export works them out anew."""
    import polars as pl

    list(export_session(recorded, None, tmp_path / "out"))
    db = sqlite3.connect(recorded)
    fills = pl.read_parquet(tmp_path / "out" / "fills.parquet")
    kept = db.execute("SELECT trade_id, order_id, price_ticks, quantity_lots, fee_atoms FROM fills ORDER BY trade_id")
    assert fills.select("trade_id", "order_id", "price_ticks", "quantity_lots", "fee_atoms").rows() == kept.fetchall()
    assert fills["synthetic"].sum() == 1
    orders = pl.read_parquet(tmp_path / "out" / "orders.parquet")
    states = dict(db.execute("SELECT order_id, state FROM orders"))
    derived = {row[0]: "working" if row[1] == "open" else row[1] for row in orders.select("order_id", "state").rows()}
    assert derived == states
    equity = pl.read_parquet(tmp_path / "out" / "equity.parquet")
    marks = db.execute("SELECT ts_ns / 1000000, equity_atoms FROM equity ORDER BY ts_ns").fetchall()
    assert equity.select("ts", "equity_atoms").rows() == marks
    db.close()


def test_its_commands_are_listed_with_who_gave_them(recorded: Path, version: int) -> None:
    reader = JournalReader(recorded)
    rows = reader.commands()
    reader.close()
    if version < 3:
        assert rows == [], "they stand among the inputs alone"
        return
    asked = ["stop", "flatten", "resume", "flatten", "resume", "pause"]
    assert [(row.action, row.outcome) for row in rows] == [(action, "done") for action in asked]
    assert {(row.role, row.name, row.address) for row in rows} == {("control", "control", "127.0.0.1")}
    assert all(0 < row.ts_ns <= row.ended_ns and row.sent_ns > 10**18 for row in rows)


async def test_the_daemon_brings_it_up_to_the_schema_of_now(recorded: Path) -> None:
    before = sqlite3.connect(recorded)
    fills = before.execute("SELECT * FROM fills ORDER BY trade_id").fetchall()
    before.close()
    await (await open_journal(recorded, Journal())).close()
    await (await open_journal(recorded, Journal())).close()
    after = sqlite3.connect(recorded)
    assert after.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert after.execute("SELECT * FROM fills ORDER BY trade_id").fetchall() == fills
    tables = {name for (name,) in after.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"sessions", "runs", "inputs", "snapshots", "orders", "fills", "commands", "equity"}
    after.execute("INSERT INTO fills SELECT session, trade_id, 9, 9, order_id, strategy, 'Y', 1, 1, 1, 1 FROM fills")
    after.close()
    assert replay_journal(recorded).equal


def test_the_snapshots_of_a_session_are_not_needed(recorded: Path) -> None:
    db = sqlite3.connect(recorded)
    ((count,),) = db.execute("SELECT count(*) FROM snapshots")
    db.close()
    assert count == 0
