"""Replay of a journal: the same inputs through the same actors must give the same decisions."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from actors.instrument import from_atoms
from actors.messages import TimerFired
from actors.runtime.journal import JournalReader, decode_effects, decode_input
from actors.runtime.scheduler import CoreError
from config.errors import UserError, nearest
from replay.plan import SessionPlan, build_core, start_core

if TYPE_CHECKING:
    from actors.runtime.journal import Record, SessionRow
    from actors.system import Core

encode_plan = msgspec.json.Encoder().encode
_decode_plan = msgspec.json.Decoder(SessionPlan).decode


class JournalSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal's replay came to; money in quote units."""

    session: str
    status: str
    runs: int
    inputs: int
    bars: int
    fills: int
    final_equity: Decimal
    digest_live: str
    digest_replay: str
    equal: bool
    first_difference: str | None
    """The first input whose decisions differ, in words."""
    unverified_tail: int
    """Inputs at the end that were stored without a digest to compare with."""
    notes: list[str]


class NothingStoredError(UserError):
    """There is no session, or no input, to replay."""


def decode_plan(plan: bytes) -> SessionPlan:
    """Return a stored plan.

    Raises:
        UserError: it is damaged.
    """
    try:
        return _decode_plan(plan)
    except msgspec.DecodeError as error:
        message = f"journal: corrupt: a session's plan cannot be read: {error}"
        raise UserError(message) from error


def find_session(reader: JournalReader, session_id: str | None) -> SessionRow:
    """Return a session, the newest unless named.

    Raises:
        NothingStoredError: the journal holds none.
        UserError: it holds none of that name.
    """
    session = reader.session(session_id)
    if session is not None:
        return session
    if session_id is None:
        message = f"{reader.path}: holds no session"
        raise NothingStoredError(message)
    known = [one.id for one in reader.sessions()]
    message = f"{reader.path}: no session {session_id}{nearest(session_id, known)}"
    raise UserError(message)


def apply_record(core: Core, record: Record) -> bytes | None:
    """Run one recorded input; return the decisions it causes now."""
    message = decode_input(record.payload)
    if isinstance(message, TimerFired):
        core.context.timers.fired(message)
    return core.scheduler.post(record.ts_ns, message)


def replay_journal(path: Path, session_id: str | None = None) -> JournalSummary:
    """Replay a session, the newest unless named, from its genesis across all its runs.

    Raises:
        NothingStoredError: no journal, or no session in it.
        UserError: no such session, or a damaged journal.
    """
    if not path.exists():
        message = f"{path}: no journal there"
        raise NothingStoredError(message)
    reader = JournalReader(path)
    try:
        session = find_session(reader, session_id)
        plan = decode_plan(session.plan)
        core = build_core(plan)
        start_core(core)
        digest_live = digest_replay = core.digest.value
        inputs = unverified = 0
        first_difference: str | None = None
        for record in reader.records(session.number):
            try:
                effects = apply_record(core, record)
            except CoreError as error:
                first_difference = f"input {record.seq}: the replay fails: {error}"
                break
            core.ledger.take_marks()
            inputs += 1
            if record.digest is None:
                unverified += 1
                continue
            unverified = 0
            digest_live, digest_replay = record.digest, core.digest.value
            if first_difference is None and core.digest.value != record.digest:
                first_difference = describe_difference(record, effects)
        return JournalSummary(
            session=session.id,
            status=session.status,
            runs=reader.run_count(session.number),
            inputs=inputs,
            bars=core.bars(),
            fills=sum(held.fills for held in core.ledger.holdings.values()),
            final_equity=from_atoms(core.ledger.equity_atoms),
            digest_live=digest_live.hex(),
            digest_replay=digest_replay.hex(),
            equal=first_difference is None and digest_live == digest_replay and inputs > unverified,
            first_difference=first_difference,
            unverified_tail=unverified,
            notes=changed_files(plan),
        )
    finally:
        reader.close()


def describe_difference(record: Record, effects: bytes | None) -> str:
    """Say in one line where the decisions of one input part."""
    then = decode_effects(record.effects) if record.effects else []
    now = decode_effects(effects) if effects else []
    for index, (old, new) in enumerate(zip(then, now, strict=False)):
        if old != new:
            return f"input {record.seq}, decision {index + 1}: live {old}, replay {new}"
    if len(then) != len(now):
        return f"input {record.seq}: {len(then)} decisions live, {len(now)} in the replay"
    return f"input {record.seq}: equal decisions, but an earlier input's digest differs"


def changed_files(plan: SessionPlan) -> list[str]:
    """Say which user strategies are not what their file holds now; the stored source was replayed."""
    notes: list[str] = []
    for record in plan.strategies:
        if record.source.code is None:
            continue
        path = Path(record.source.use.rpartition(":")[0])
        try:
            same = path.read_text(encoding="utf-8") == record.source.code
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            notes.append(f"strategy {record.id}: {path} has changed since; the stored source was replayed")
    return notes
