"""A session that is over, or still goes on, as it is stepped: every input its journal has, in order."""

from __future__ import annotations

import os.path
from itertools import islice
from typing import TYPE_CHECKING

from actors.messages import Message
from actors.runtime.journal import CHAIN_GENESIS, FILE_NAME, JournalReader, decode_input
from config.errors import UserError
from daemon.edges.stepped.feed import Script
from replay.journal import decode_plan, find_session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replay.plan import SessionPlan

_CHUNK = 2_000
"""Records read at once: a daemon that writes the journal meanwhile is not kept from tidying it."""


def is_session(where: Path) -> bool:
    """Return whether it is a state directory, or the journal of one."""
    # Path.is_file raises for a name that is too long to exist.
    return os.path.isfile(where / FILE_NAME) or (where.name == FILE_NAME and os.path.isfile(where))  # noqa: PTH113


def open_session_script(where: Path, session_id: str | None) -> tuple[SessionPlan, Script]:
    """Return the plan and the inputs of a session, the newest unless named.

    Args:
        where: its state directory, or the journal itself.
        session_id: which one.

    Raises:
        UserError: there is no such session, nothing was put into it, or the journal is damaged.
    """
    path = where / FILE_NAME if where.is_dir() else where
    reader = JournalReader(path)
    try:
        session = find_session(reader, session_id)
        bounds = reader.bounds(session.number)
    finally:
        reader.close()
    if bounds is None:
        message = f"{path}: session {session.id} has no input to step"
        raise UserError(message)
    plan = decode_plan(session.plan)
    count, last_ns = bounds
    script = Script(
        name=f"session {session.id}",
        inputs=lambda skip: _inputs(path, session.number, skip, count),
        is_recorded=True,
        total=count,
        from_ns=plan.start_ns,
        to_ns=last_ns,
        timeframe_ns=plan.series[0].timeframe_ns,
    )
    return plan, script


def _inputs(path: Path, session: int, skip: int, count: int) -> Iterator[tuple[int, Message, bytes | None]]:
    """Yield the inputs of a session up to number `count`, but for the first `skip`."""
    seq = skip
    while seq < count:
        reader = JournalReader(path)
        try:
            chain = reader.chain_at(session, seq) or CHAIN_GENESIS
            records = list(islice(reader.records(session, seq, chain), min(_CHUNK, count - seq)))
        finally:
            reader.close()
        if not records:
            message = f"{path}: input {seq + 1} is not there any more"
            raise UserError(message)
        for record in records:
            yield record.ts_ns, decode_input(record.payload), record.digest
        seq = records[-1].seq
