"""The journal's format: a chain of records, and a reader that believes none of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from actors import messages as m
from actors.runtime import journal
from actors.runtime.journal import CHAIN_GENESIS, JournalReader, Record, encode_input, link, seal_snapshot
from config.errors import UserError

Write = Callable[..., Path]


def records(count: int) -> list[Record]:
    made = []
    chain = CHAIN_GENESIS
    for seq in range(1, count + 1):
        payload = encode_input(m.Pause(f"c{seq}"))
        effects = b"\x90" if seq % 2 else None
        digest = bytes([seq]) * 16
        chain = link(chain, seq, 10 * seq, payload, effects, digest)
        made.append(Record(seq, 1, 10 * seq, payload, effects, digest, chain))
    return made


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a writer of a journal of one session with five records; `spoil` is SQL run after it."""

    def write(*spoil: str, count: int = 5) -> Path:
        path = tmp_path / journal.FILE_NAME
        db = sqlite3.connect(path)
        db.executescript(journal.SCHEMA)
        db.execute("INSERT INTO sessions VALUES (1, 'first', 0, x'7b7d', 'sealed', x'80')")
        db.execute("INSERT INTO sessions VALUES (2, 'second', 0, x'7b7d', 'open', NULL)")
        db.execute("INSERT INTO runs VALUES (1, 1, 0, 1, 'ended', 'abc')")
        db.execute("INSERT INTO runs VALUES (1, 2, 0, NULL, 'running', 'def')")
        for r in records(count):
            row = (r.seq, r.run, r.ts_ns, r.payload, r.effects, r.digest, r.chain)
            db.execute("INSERT INTO inputs VALUES (1, ?, ?, ?, ?, ?, ?, ?)", row)
        for r in records(count)[1:4:2]:
            sealed = seal_snapshot(r.seq, r.chain, b"state")
            db.execute("INSERT INTO snapshots VALUES (1, ?, ?, ?)", (r.seq, r.chain, sealed))
        for sql in spoil:
            db.executescript(sql)
        db.commit()
        db.close()
        return path

    return write


def test_records_come_back_in_order_and_as_they_were(write: Write) -> None:
    reader = JournalReader(write())
    assert list(reader.records(1)) == records(5)
    assert list(reader.records(2)) == []
    reader.close()


def test_a_reader_can_start_behind_any_record(write: Write) -> None:
    reader = JournalReader(write())
    third = records(5)[2]
    assert list(reader.records(1, third.seq, third.chain)) == records(5)[3:]
    with pytest.raises(UserError, match="corrupt at input 4"):
        list(reader.records(1, third.seq, CHAIN_GENESIS))
    reader.close()


@pytest.mark.parametrize(
    ("spoil", "at"),
    [
        ("DELETE FROM inputs WHERE seq = 3", 3),
        ("DELETE FROM inputs WHERE seq = 1", 1),
        ("UPDATE inputs SET ts_ns = ts_ns + 1 WHERE seq = 2", 2),
        ("UPDATE inputs SET payload = (SELECT payload FROM inputs WHERE seq = 1) WHERE seq = 4", 4),
        ("UPDATE inputs SET effects = x'91' WHERE seq = 3", 3),
        ("UPDATE inputs SET effects = NULL WHERE seq = 3", 3),
        ("UPDATE inputs SET effects = x'' WHERE seq = 2", 2),
        ("UPDATE inputs SET digest = x'00' WHERE seq = 5", 5),
        ("UPDATE inputs SET chain = x'00' WHERE seq = 1", 1),
        (
            (
                "UPDATE inputs SET seq = 9 WHERE seq = 4; UPDATE inputs SET seq = 4 WHERE seq = 5;"
                "UPDATE inputs SET seq = 5 WHERE seq = 9"
            ),
            4,
        ),
    ],
)
def test_a_record_that_is_missing_changed_or_swapped_is_found(write: Write, spoil: str, at: int) -> None:
    reader = JournalReader(write(spoil))
    read = []
    with pytest.raises(UserError, match=f"corrupt at input {at}: the record does not fit its chain"):  # noqa: PT012 - reading is what raises
        for record in reader.records(1):
            read.append(record.seq)
    assert read == list(range(1, at)), "what stands before it is still read"
    reader.close()


def test_what_is_cut_off_at_the_end_is_a_shorter_journal(write: Write) -> None:
    """A crash takes whole transactions off the end; that is no damage."""
    reader = JournalReader(write("DELETE FROM inputs WHERE seq > 2"))
    assert [record.seq for record in reader.records(1)] == [1, 2]
    reader.close()


def test_sessions_are_found_by_name_and_the_newest_is_the_default(write: Write) -> None:
    reader = JournalReader(write())
    assert [session.id for session in reader.sessions()] == ["first", "second"]
    newest, first = reader.session(), reader.session("first")
    assert newest is not None
    assert first is not None
    assert (newest.id, newest.status, newest.closing_account) == ("second", "open", None)
    assert (first.number, first.status, first.closing_account) == (1, "sealed", b"\x80")
    assert reader.session("third") is None
    assert reader.run_count(1) == 2
    assert reader.last_run(1) == (2, "running", "def")
    assert reader.last_run(2) is None
    reader.close()


def test_snapshots_come_newest_first_and_checked(write: Write) -> None:
    reader = JournalReader(write())
    assert [(row.seq, row.state) for row in reader.newest_snapshots(1)] == [(4, b"state"), (2, b"state")]
    assert reader.chain_at(1, 4) == records(5)[3].chain
    assert reader.chain_at(1, 0) == CHAIN_GENESIS
    assert reader.chain_at(1, 6) is None
    reader.close()


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE snapshots SET state = CAST(state || x'00' AS BLOB) WHERE seq = 4",
        "UPDATE snapshots SET seq = 5 WHERE seq = 4",
        "UPDATE snapshots SET chain = x'00' WHERE seq = 4",
    ],
)
def test_a_snapshot_that_is_not_what_was_written_is_refused(write: Write, spoil: str) -> None:
    reader = JournalReader(write(spoil))
    with pytest.raises(UserError, match="corrupt: the snapshot at input"):
        reader.newest_snapshots(1)
    reader.close()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing.sqlite: no journal there"):
        JournalReader(tmp_path / "nothing.sqlite")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "a.sqlite"
    text.write_text("this is no database, but it is long enough to look like something " * 50)
    with pytest.raises(UserError, match="corrupt or unreadable journal"):
        JournalReader(text)
    other = tmp_path / "b.sqlite"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    with pytest.raises(UserError, match="is not a pitboss journal"):
        JournalReader(other)


def test_a_journal_of_a_newer_release_is_refused_in_words(write: Write) -> None:
    path = write(f"PRAGMA user_version = {journal.SCHEMA_VERSION + 1}")
    with pytest.raises(UserError, match="written by a newer pitboss"):
        JournalReader(path)


def test_damaged_pages_are_a_clear_error(write: Write) -> None:
    path = write(count=200)
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 6] = b"\xa5" * (4096 * 4)
    path.write_bytes(data)
    reader = JournalReader(path)
    with pytest.raises(UserError, match="corrupt"):
        list(reader.records(1))
    reader.close()


def test_a_reader_cannot_write(write: Write) -> None:
    reader = JournalReader(write())
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM inputs")
    reader.close()
