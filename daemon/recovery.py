"""Opening a session: continue the one a crash or a signal left open, or begin a new one.

To continue is: the newest snapshot that fits, then the journal's tail through the core with nothing let
out, digests compared on the way. The plan comes from the journal, never from the files of today.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from typing import TYPE_CHECKING

import msgspec
import structlog

from actors import messages as m
from actors.execution.orders import base36
from actors.execution.remote import RemoteVenue
from actors.ledger import Account, Holding, OtherAsset
from actors.risk.account import Equity
from actors.runtime.digest import GENESIS
from actors.runtime.journal import CHAIN_GENESIS, JournalReader, decode_effects
from actors.system import Core, CoreSnapshot
from config.errors import UserError
from daemon.code_hash import code_hash
from replay.journal import apply_record, decode_plan, describe_difference, encode_plan
from replay.plan import SIMULATED_NONCE, SessionPlan, build_core, difference, inherited, plan_session, start_core
from replay.tape.inputs import PLAYED

if TYPE_CHECKING:
    from pathlib import Path

    import aiosqlite

    from actors.instrument import InstrumentSpec
    from actors.runtime.journal import SessionRow
    from actors.runtime.scheduler import Table
    from config.risk import Risk as Limits
    from config.schema import Settings
    from replay.plan import Markets

log = structlog.get_logger()

_encode_limits = msgspec.json.Encoder().encode
_decode_snapshot = msgspec.msgpack.Decoder(CoreSnapshot).decode
encode_account = msgspec.msgpack.Encoder().encode
_decode_account = msgspec.msgpack.Decoder(Account).decode


class Opened(msgspec.Struct, kw_only=True):
    """A session ready to go on."""

    number: int
    id: str
    run: int
    core: Core
    plan: SessionPlan
    chain: bytes
    recovered_inputs: int
    """Records of the tail that were run again."""
    inputs_played: int
    """What the journal holds of a tape."""
    tape_ended: bool
    equity: Equity
    """At the newest bar, and where its day began."""
    configured: m.LimitsConfigured | None = None
    """What the session has to be told first: its limits are configured otherwise than it knows."""


async def open_session(
    db: aiosqlite.Connection,
    path: Path,
    settings: Settings,
    markets: Markets,
    tape_name: str,
    *,
    new_session: bool,
    real: bool = False,
    loosen: bool = False,
    observers: Table | None = None,
) -> Opened:
    """Return the session to run; `observers` join its core. With `loosen`, what was tightened in it falls.

    Raises:
        UserError: the open session is another one than was asked for, or its journal is damaged or cannot be written.
    """
    try:
        return await _open(
            db, path, settings, markets, tape_name, observers, new_session=new_session, real=real, loosen=loosen
        )
    except sqlite3.Error as error:
        message = f"{path}: cannot be written: {error}"
        raise UserError(message) from error


async def open_planned(db: aiosqlite.Connection, plan: SessionPlan, observers: Table | None) -> Opened:
    """Return a new session of a plan that was kept, in a journal of its own; `observers` join its core.

    Raises:
        UserError: a strategy's kept code no longer runs here.
    """
    core = build_core(plan, observers)
    start_core(core)
    opened = await _begin(db, plan, core)
    await _begin_run(db, opened)
    return opened


async def _open(
    db: aiosqlite.Connection,
    path: Path,
    settings: Settings,
    markets: Markets,
    tape_name: str,
    observers: Table | None,
    *,
    new_session: bool,
    real: bool,
    loosen: bool,
) -> Opened:
    reader = JournalReader(path)
    try:
        last = reader.session()
        if last is not None and last.status == "open" and not new_session:
            wanted = plan_session(settings, markets, tape_name=tape_name, real=real)
            opened = _recover(reader, last, wanted, observers)
            opened.configured = _configured(opened.core, settings.risk, loosen=loosen)
        else:
            account = None if last is None else _account_after(reader, last)
            if last is not None and decode_plan(last.plan).real != real:
                log.info("account_begins_anew", reason="the session before was of the other mode", session=last.id)
                account = None  # paper money buys nothing, and real positions are no paper ones
            if last is not None and account is not None:
                _carry_over(account, decode_plan(last.plan), markets)
            nonce = draw_nonce() if real else SIMULATED_NONCE
            plan = plan_session(settings, markets, account, tape_name, nonce=nonce, real=real)
            core = build_core(plan, observers)
            start_core(core)
            if last is not None and last.status == "open":
                await db.execute("UPDATE sessions SET status = 'quarantined' WHERE number = ?", (last.number,))
            opened = await _begin(db, plan, core)
    finally:
        reader.close()
    await db.execute(
        "UPDATE runs SET outcome = 'crashed_recovered' WHERE session = ? AND outcome = 'running'", (opened.number,)
    )
    await _begin_run(db, opened)
    return opened


async def _begin_run(db: aiosqlite.Connection, opened: Opened) -> None:
    await db.execute(
        "INSERT INTO runs (session, run, started_wall_ns, outcome, code_hash) VALUES (?, ?, ?, 'running', ?)",
        (opened.number, opened.run, time.time_ns(), code_hash()),
    )
    await db.commit()


def draw_nonce() -> str:
    """Return a session's part of client order ids: seven base-36 characters nobody else has drawn."""
    return base36(secrets.randbelow(36**7)).rjust(7, "0")


async def close_run(db: aiosqlite.Connection, opened: Opened, *, outcome: str, seal: bool) -> None:
    """Write how a run ended; with `seal`, end the session and keep its account for the next."""
    await db.execute(
        "UPDATE runs SET outcome = ?, ended_wall_ns = ? WHERE session = ? AND run = ?",
        (outcome, time.time_ns(), opened.number, opened.run),
    )
    if seal:
        closing = opened.core.ledger.account()
        closing.begun = opened.core.risk.begun()
        if isinstance(opened.core.venue, RemoteVenue):
            closing.funded_ns = opened.core.venue.contracts.funded_ns()
        if opened.core.margin is not None:
            closing.set_aside = opened.core.margin.account.set_aside()
        account = encode_account(closing)
        await db.execute(
            "UPDATE sessions SET status = 'sealed', closing_account = ? WHERE number = ?", (account, opened.number)
        )
    await db.commit()


async def _begin(db: aiosqlite.Connection, plan: SessionPlan, core: Core) -> Opened:
    created_ns = time.time_ns()
    async with db.execute("SELECT coalesce(max(number), 0) + 1 FROM sessions") as cursor:
        row = await cursor.fetchone()
    assert row is not None
    number = int(row[0])
    identity = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(created_ns // 1_000_000_000))}-{number}"
    await db.execute(
        "INSERT INTO sessions (number, id, created_wall_ns, plan, status) VALUES (?, ?, ?, ?, 'open')",
        (number, identity, created_ns, encode_plan(plan)),
    )
    return Opened(
        number=number,
        id=identity,
        run=1,
        core=core,
        plan=plan,
        chain=CHAIN_GENESIS,
        recovered_inputs=0,
        inputs_played=0,
        tape_ended=False,
        equity=Equity.of(core.ledger.equity_atoms, plan.account.begun),
    )


def _recover(reader: JournalReader, session: SessionRow, wanted: SessionPlan, observers: Table | None) -> Opened:
    plan = decode_plan(session.plan)
    other = difference(plan, wanted)
    if other is not None:
        message = (
            f"session {session.id} is still open and is not the one asked for: {other};"
            " continue it with the same command, stop it, or start with --new-session"
        )
        raise UserError(message)
    core = _newest_core(reader, session, plan, observers)
    seq = core.scheduler.seq
    chain = CHAIN_GENESIS
    inputs = 0
    for record in reader.records(session.number):
        chain = record.chain
        if record.seq <= seq:
            continue  # read only to have its place in the chain checked
        effects = apply_record(core, record)
        if core.digest.value != record.digest:
            _diverged(reader, session, describe_difference(record, effects))
        inputs += 1
    core.ledger.take_marks()
    equity = Equity.of(core.ledger.equity_atoms, plan.account.begun)
    for ts_ns, equity_atoms in reader.day_marks(session.number):
        equity.on_mark(m.EquityMark(equity_atoms, ts_ns))
    last_run = reader.last_run(session.number)
    return Opened(
        number=session.number,
        id=session.id,
        run=1 if last_run is None else last_run[0] + 1,
        core=core,
        plan=plan,
        chain=chain,
        recovered_inputs=inputs,
        inputs_played=sum(core.scheduler.entered(kind) for kind in PLAYED),
        tape_ended=core.scheduler.entered(m.TapeEnded) > 0,
        equity=equity,
    )


def _configured(core: Core, limits: Limits, *, loosen: bool) -> m.LimitsConfigured | None:
    """Return what a session is to be told of the limits it is continued with, if they are not what it knows."""
    in_force = core.risk.in_force
    if limits == in_force.configured and not (loosen and in_force.limits != limits):
        return None
    return m.LimitsConfigured(_encode_limits(limits).decode(), loosen)


def _newest_core(reader: JournalReader, session: SessionRow, plan: SessionPlan, observers: Table | None) -> Core:
    """Return the core as the newest usable snapshot has it, or else at the session's genesis.

    A snapshot only saves time. One that another version of the code wrote and this one cannot read is passed
    over; one that does not stand on a record of the journal is corruption, and refused.
    """
    for snapshot in reader.newest_snapshots(session.number):
        if reader.chain_at(session.number, snapshot.seq) != snapshot.chain:
            message = f"{reader.path}: corrupt: the snapshot at input {snapshot.seq} stands on no record of the journal"
            raise UserError(message)
        core = build_core(plan, observers)
        try:
            core.restore(_decode_snapshot(snapshot.state))
        except (msgspec.MsgspecError, AssertionError, LookupError, ValueError) as error:
            log.warning("snapshot_passed_over", seq=snapshot.seq, error=f"{type(error).__name__}: {error}")
            continue
        return core
    core = build_core(plan, observers)
    start_core(core)
    assert core.digest.value == GENESIS
    return core


def _diverged(reader: JournalReader, session: SessionRow, difference_text: str) -> None:
    last_run = reader.last_run(session.number)
    changed = last_run is not None and last_run[2] != code_hash()
    why = (
        "the code has changed since its last run"
        if changed
        else "the same code, so the journal or this machine is at fault"
    )
    message = (
        f"session {session.id} does not replay to its own decisions ({why}): {difference_text};"
        " --new-session starts from its account as recorded"
    )
    raise UserError(message)


def _account_after(reader: JournalReader, session: SessionRow) -> Account:
    """Return the account a session left behind: as sealed, or else from its recorded decisions alone."""
    if session.closing_account is not None:
        return inherited(_decode_account(session.closing_account))
    plan = decode_plan(session.plan)
    cash_atoms = plan.account.cash_atoms
    holdings = {(held.strategy, held.symbol): held for held in plan.account.holdings}
    others = {other.asset: other for other in plan.account.others}
    funded_ns = dict(plan.account.funded_ns)
    for record in reader.records(session.number):
        if record.effects is None:
            continue
        for decision in decode_effects(record.effects):
            if isinstance(decision, m.PositionChanged):
                cash_atoms = decision.cash_atoms
                holdings[decision.strategy, decision.symbol] = Holding(
                    decision.strategy, decision.symbol, decision.quantity_lots, decision.cost_atoms
                )
            elif isinstance(decision, m.FundingShared):
                funded_ns[decision.symbol] = decision.paid_ns
            elif isinstance(decision, m.FeeInAsset):
                other = others.setdefault(decision.asset, OtherAsset(decision.asset))
                other.amount_atoms -= decision.amount_atoms
                other.value_atoms -= decision.value_atoms
    return inherited(Account(cash_atoms, list(holdings.values()), list(others.values()), funded_ns))


def _carry_over(account: Account, then: SessionPlan, markets: Markets) -> None:
    """Count inherited positions in the lots of now; refuse what the new session could not price or count.

    Raises:
        UserError: names the position, and what to do.
    """
    specs_then = {spec.symbol: spec for spec in then.instruments}
    specs_now = {one.symbol: one.instrument for one in markets.series}
    for held in account.holdings:
        now = specs_now.get(held.symbol)
        if now is None:
            what = f"the account holds {held.symbol}, which this tape does not have"
        else:
            quantity = held.quantity_lots * specs_then[held.symbol].lot
            lots, rest = divmod(abs(quantity), now.lot)
            if not rest:
                held.quantity_lots = int(lots) if quantity > 0 else -int(lots)
                continue
            what = f"the account holds {quantity.normalize():f} {held.symbol}, which is no whole number of {now.lot}"
        message = f"{what}; flatten it as it was traded first, or use another --state-dir"
        raise UserError(message)


def open_instruments(path: Path, settings: Settings) -> dict[str, InstrumentSpec]:
    """Return the instruments of the session that is open at the configured venue, by symbol; none where none is.

    Raises:
        UserError: the journal is damaged.
    """
    if not path.exists():
        return {}
    reader = JournalReader(path)
    try:
        session = reader.session()
        plan = None if session is None or session.status != "open" else decode_plan(session.plan)
    finally:
        reader.close()
    if plan is None or plan.settings.feed.source != "exchange" or plan.settings.exchange.id != settings.exchange.id:
        return {}
    return {spec.symbol: spec for spec in plan.instruments}
