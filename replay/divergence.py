"""A session against its own replay: the first decision that differs, in which field, and why it probably does.

The journal holds everything that decides, so a replay that differs has one of few causes, and most of them can
be told apart: the journal was changed after it was written, the code is another one, the replay was asked for
under another plan, or something decides that no journal can hold.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from actors.runtime.digest import fold
from actors.runtime.journal import decode_effects, decode_input
from actors.runtime.scheduler import CoreError
from config.errors import UserError
from config.load import override_settings
from config.schema import StrategyEntry
from replay.journal import apply_record, changed_files
from replay.plan import MarketSeries, SessionPlan, build_core, difference, plan_session, start_core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actors.messages import Message
    from actors.runtime.journal import JournalReader, Record, SessionRow

_OTHER = "kind"
"""Named as the field that differs where two decisions are of different kinds."""


class FieldDifference(msgspec.Struct, frozen=True):
    """One field of one decision, on both sides."""

    name: str
    live: str
    replay: str


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """The first decision that differs."""

    seq: int
    """Number of the input that caused it."""
    ts_ns: int
    run: int
    input: str
    """What kind of input it was."""
    decision: int
    """Its place among the input's decisions, from 1; 0 where these are equal and only the digest is not."""
    field: str
    """The first field that differs."""
    fields: list[FieldDifference]
    live: str | None
    """The decision as recorded; None where there was none."""
    replay: str | None
    cause: str
    """What it most likely comes from."""


class OwnReplay(msgspec.Struct, frozen=True, kw_only=True):
    """What replaying a session's own inputs came to."""

    equal: bool
    inputs: int
    inputs_equal: int
    """Inputs up to the first one whose decisions differ."""
    unverified_tail: int
    """Inputs at the end that were stored without a digest to compare with."""
    digest_live: str
    digest_replay: str
    """Both as of the last input that was compared."""
    divergence: Divergence | None
    damage: str | None
    """What is wrong with the journal behind the last input counted here."""
    notes: list[str]


class SoundRecords:
    """The records of a session up to the first damaged one.

    Args:
        reader: the journal.
        session: which session of it.
        seq_max: the last record wanted; a session under way grows while it is read.

    Attributes:
        damage: what was wrong with the damaged one, once iteration has reached it.
    """

    def __init__(self, reader: JournalReader, session: SessionRow, seq_max: int | None = None) -> None:
        self._reader = reader
        self._session = session
        self._seq_max = seq_max
        self.damage: str | None = None

    def __iter__(self) -> Iterator[Record]:
        """Yield sound records."""
        self.damage = None
        try:
            yield from islice(self._reader.records(self._session.number), self._seq_max)
        except UserError as error:
            self.damage = str(error)


def plan_of_now(plan: SessionPlan, overrides: Sequence[str], *, current: bool) -> SessionPlan:
    """Return the plan to replay a session under: its own, unless asked otherwise.

    Args:
        plan: as stored.
        overrides: settings to change, as ``section.key=value``.
        current: take the strategies' code from their files as they are now.

    Raises:
        UserError: a setting or a strategy that does not exist.
    """
    if overrides:
        settings = override_settings(plan.settings, overrides)
        for name in ("account", "instrument"):
            if getattr(settings, name) != getattr(plan.settings, name):
                message = f"--set {name}.*: the session's own {name} is part of what it recorded"
                raise UserError(message)
        plan = msgspec.structs.replace(plan, settings=settings)
    if not current:
        return plan
    entries = tuple(
        StrategyEntry(use=record.source.use, id=record.id, symbols=record.symbols, params=dict(record.params))
        for record in plan.strategies
    )
    now = plan_session(
        msgspec.structs.replace(plan.settings, strategies=entries), _Markets(plan), plan.account, plan.tape
    )
    return msgspec.structs.replace(plan, strategies=now.strategies)


def compare_with_itself(
    reader: JournalReader, session: SessionRow, plan: SessionPlan, stored: SessionPlan, code_hash: str
) -> OwnReplay:
    """Replay a session's inputs and stop comparing at the first decision that differs.

    Args:
        reader: the journal.
        session: which session of it.
        plan: what to replay it under.
        stored: the plan the session had.
        code_hash: which code we are.

    Raises:
        UserError: a strategy's kept code no longer runs here.
    """
    records = SoundRecords(reader, session)
    core = build_core(plan)
    start_core(core)
    digest_live = digest_replay = core.digest.value
    before: bytes | None = digest_live
    inputs = inputs_equal = unverified = 0
    divergence: Divergence | None = None
    for record in records:
        inputs += 1
        if divergence is not None:
            continue  # read only to have the rest of the journal checked
        effects: bytes | None = None
        failure: str | None = None
        try:
            effects = apply_record(core, record)
            core.ledger.take_marks()
        except CoreError as error:
            failure = f"the replay fails: {error}"
        if failure is None and record.digest is None:
            unverified += 1
            before = None
            continue
        unverified = 0
        digest_live = record.digest or digest_live
        digest_replay = core.digest.value
        if failure is None and digest_live == digest_replay and record.effects == effects:
            inputs_equal = inputs
            before = record.digest
            continue
        cause = _cause(reader, session, record, before, effects, plan, stored, code_hash)
        divergence = _divergence(record, effects, failure, cause)
    return OwnReplay(
        equal=divergence is None and records.damage is None and inputs > unverified,
        inputs=inputs,
        inputs_equal=inputs_equal,
        unverified_tail=unverified,
        digest_live=digest_live.hex(),
        digest_replay=digest_replay.hex(),
        divergence=divergence,
        damage=records.damage,
        notes=changed_files(stored) if plan.strategies == stored.strategies else [],
    )


class _Markets:
    """A stored plan's market data, as a new plan wants it."""

    def __init__(self, plan: SessionPlan) -> None:
        self.series = [
            MarketSeries(series.symbol, series.timeframe_ns, spec, plan.start_ns, series.ticks)
            for series, spec in zip(plan.series, plan.instruments, strict=True)
        ]
        self.fingerprint = plan.tape_fingerprint


def _divergence(record: Record, effects: bytes | None, failure: str | None, cause: str) -> Divergence:
    """Find the first decision of an input that differs."""
    then = decode_effects(record.effects) if record.effects else []
    now = decode_effects(effects) if effects else []
    place, old, new = 0, None, None
    for index in range(max(len(then), len(now))):
        old = then[index] if index < len(then) else None
        new = now[index] if index < len(now) else None
        if old != new:
            place = index + 1
            break
    fields = _fields(old, new) if place else []
    return Divergence(
        seq=record.seq,
        ts_ns=record.ts_ns,
        run=record.run,
        input=type(decode_input(record.payload)).__name__,
        decision=place,
        field=fields[0].name if fields else "digest",
        fields=fields,
        live=None if not place or old is None else repr(old),
        replay=failure or (None if not place or new is None else repr(new)),
        cause=cause,
    )


def _fields(old: Message | None, new: Message | None) -> list[FieldDifference]:
    """Return the fields in which two decisions differ; those of different kinds differ in their kind alone."""
    if old is None or new is None or type(old) is not type(new):
        return [FieldDifference(_OTHER, _kind(old), _kind(new))]
    return [
        FieldDifference(name, repr(getattr(old, name)), repr(getattr(new, name)))
        for name in old.__struct_fields__
        if getattr(old, name) != getattr(new, name)
    ]


def _kind(decision: Message | None) -> str:
    return "nothing" if decision is None else type(decision).__name__


def _cause(
    reader: JournalReader,
    session: SessionRow,
    record: Record,
    digest_before: bytes | None,
    effects: bytes | None,
    plan: SessionPlan,
    stored: SessionPlan,
    code_hash: str,
) -> str:
    """Say what a difference most likely comes from: what can be proved first, what is left over last."""
    if digest_before is not None and record.digest is not None:
        follows = digest_before if record.effects is None else fold(digest_before, record.ts_ns, record.effects)
        if record.digest != follows:
            return "damaged journal: the stored digest is not that of the stored decisions: it was changed later"
    asked = difference(stored, plan)
    if asked is not None:
        return f"another plan than the session had: {asked}"
    hash_then = reader.code_hashes(session.number).get(record.run, "unknown")
    if hash_then != code_hash:
        return f"changed code: run {record.run} was code {hash_then}, this is {code_hash}"
    if _replayed_again(SoundRecords(reader, session), plan, record.seq) != effects:
        return "not deterministic: a second replay differs from the first, so a strategy decides by something else"
    changed = changed_files(stored)
    if changed:
        return f"the same code and settings; but perhaps something changed together with this: {changed[0]}"
    return "the same code, settings and journal: another Python or library, or something a strategy reads from outside"


def _replayed_again(records: SoundRecords, plan: SessionPlan, seq: int) -> bytes | None:
    """Return what input `seq` decides in one more replay."""
    core = build_core(plan)
    start_core(core)
    effects: bytes | None = None
    for record in records:
        try:
            effects = apply_record(core, record)
        except CoreError:
            return None
        core.ledger.take_marks()
        if record.seq == seq:
            break
    return effects
