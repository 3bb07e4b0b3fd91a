"""A session as files other programs read."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from actors.runtime.journal import JournalReader, decode_effects, decode_input
from config.errors import UserError
from replay.journal import apply_record, decode_plan, find_session
from replay.plan import build_core, start_core
from replay.record import Recorder
from replay.session_tape import SessionTape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_encode = msgspec.json.Encoder().encode


def export_session(path: Path, session_id: str | None, out: Path) -> Iterator[tuple[Path, int]]:
    """Write a session's inputs with their decisions as JSON lines, its tables as Parquet, and a tape of what it heard.

    Yields each file and its number of rows.

    Raises:
        UserError: no such session, a damaged journal, or a folder that cannot be written.
    """
    reader = JournalReader(path)
    try:
        session = find_session(reader, session_id)
        plan = decode_plan(session.plan)
        try:
            out.mkdir(parents=True, exist_ok=True)
            lines = (out / "inputs.jsonl").open("wb")
        except OSError as error:
            message = f"--out {out}: {error.strerror}"
            raise UserError(message) from error
        core = build_core(plan)
        recorder = Recorder(core.instruments)
        core = build_core(plan, recorder.observers())
        start_core(core)
        count = 0
        tape = SessionTape(plan, out)
        with lines, closing(tape):
            for record in reader.records(session.number):
                apply_record(core, record)
                recorder.add_marks(*core.ledger.take_marks())
                tape.take(record.ts_ns, record.run, record.payload)
                row = {
                    "seq": record.seq,
                    "run": record.run,
                    "ts_ns": record.ts_ns,
                    "input": decode_input(record.payload),
                    "decisions": decode_effects(record.effects) if record.effects else [],
                    "digest": None if record.digest is None else record.digest.hex(),
                }
                lines.write(_encode(row) + b"\n")
                count += 1
            written = tape.write()
        yield out / "inputs.jsonl", count
        yield written
        for name, table in (("fills", recorder.fills()), ("orders", recorder.orders()), ("equity", recorder.equity())):
            target = out / f"{name}.parquet"
            table.write_parquet(target)
            yield target, table.height
    finally:
        reader.close()
