"""Journals of live sessions, written without a daemon."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from actors.instrument import InstrumentSpec
from actors.runtime.journal import CHAIN_GENESIS, FILE_NAME, SCHEMA, encode_input, link
from config.load import load_settings
from daemon.venue import venue_markets
from replay.journal import encode_plan
from replay.plan import plan_session

if TYPE_CHECKING:
    from actors.messages import Message

SPEC = InstrumentSpec(
    symbol="BTC/USDT",
    tick=Decimal("0.01"),
    lot=Decimal("1e-8"),
    step=Decimal("0.00001"),
    min_notional=Decimal(5),
    base="BTC",
    quote="USDT",
    long_only=True,
)
Session = tuple[Path, bool, Sequence["Message"]]


def write_journal(
    state_dir: Path,
    *sessions: Session,
    spec: InstrumentSpec = SPEC,
    further: Sequence[str] = (),
    age_s: float = 60.0,
) -> None:
    """Write a journal as a daemon does that died `age_s` ago, of (exchange's file, whether for real, inputs) each."""
    state_dir.mkdir(exist_ok=True)
    now_ns = time.time_ns()
    with closing(sqlite3.connect(state_dir / FILE_NAME)) as db, db:
        db.executescript(SCHEMA)
        for number, (file, real, inputs) in enumerate(sessions, 1):
            settings = load_settings(None, ["feed.source=exchange", f"exchange.file={file}", *further])
            markets = venue_markets(settings, {spec.symbol: spec}, now_ns)
            plan = encode_plan(plan_session(settings, markets, nonce="0000000", real=real))
            row = (number, f"session-{number}", now_ns, plan)
            db.execute(
                "INSERT INTO sessions (number, id, created_wall_ns, plan, status) VALUES (?, ?, ?, ?, 'open')", row
            )
            chain = CHAIN_GENESIS
            for seq, message in enumerate(inputs, 1):
                payload = encode_input(message)
                chain = link(chain, seq, now_ns, payload, None, None)
                record = (number, seq, now_ns, payload, chain)
                db.execute("INSERT INTO inputs VALUES (?, ?, 1, ?, ?, NULL, NULL, ?)", record)
    written_s = time.time() - age_s
    os.utime(state_dir / FILE_NAME, (written_s, written_s))
