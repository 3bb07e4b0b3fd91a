"""A session against its own replay: which decision differs first, in which field, and what is blamed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.runtime.digest import fold
from actors.runtime.journal import decode_effects
from config.errors import UserError
from config.load import check_settings
from config.schema import Settings
from replay.divergence import OwnReplay
from replay.drift import drift_report
from replay.plan import plan_session
from replay.tape import Tape

MOODY = '''
"""Decides by something no journal holds."""

from pitboss import Strategy

STARTS = []


class Moody(Strategy):
    def on_start(self):
        STARTS.append(1)
        self.size = float(len(STARTS))

    def on_bar(self, bar, f):
        self.buy(self.size)
'''


def own(path: Path, code: str = "a", **options: Any) -> OwnReplay:
    return drift_report(path, code_hash=code, **options).own


def reencode(decisions: list[Any]) -> bytes:
    return msgspec.msgpack.encode(decisions)


@pytest.fixture
def tape(walk: Any, tape_of: Any) -> Tape:
    made: Tape = tape_of(walk(77, 60, gaps=True))
    return made


@pytest.fixture
def stored(configure: Callable[..., Settings], tape: Tape, keep: Any) -> Path:
    """Return the journal of a paper session with commands."""
    inputs: list[m.Message] = list(tape.bars())
    inputs[30:30] = [m.Pause("c1")]
    inputs[40:40] = [m.Resume("c2")]
    path: Path = keep(plan_session(configure(("Trader", "t", None, 4)), tape), [*inputs, m.TapeEnded()])
    return path


def forge(keep: Any, change: Callable[[m.Message], m.Message], *, digests: bool) -> int:
    """Change the first intent of the journal; with `digests`, make all digests fit. Return its input."""
    with keep.rewritten() as rows:
        victim = next(row for row in rows if row[4] and isinstance(decode_effects(row[4])[0], m.Intent))
        first, *others = decode_effects(victim[4])
        victim[4] = reencode([change(first), *others])
        if digests:
            value = bytes(16)
            for row in rows:
                value = row[5] = fold(value, row[2], row[4]) if row[4] else value
    seq: int = victim[0]
    return seq


def bigger(intent: Any) -> Any:
    return msgspec.structs.replace(intent, quantity=intent.quantity + 1, reference_price=1.0)


def test_a_session_that_replays_has_nothing_to_show(stored: Path) -> None:
    report = own(stored)

    assert (report.equal, report.divergence, report.damage, report.notes) == (True, None, None, [])
    assert report.inputs == report.inputs_equal > 60
    assert report.digest_live == report.digest_replay != "0" * 32


def test_the_fields_that_differ_are_named_with_both_values(stored: Path, keep: Any) -> None:
    seq = forge(keep, bigger, digests=True)

    report = own(stored)

    assert report.divergence is not None
    found = report.divergence
    assert (report.equal, report.inputs_equal) == (False, seq - 1)
    assert (found.seq, found.decision, found.input, found.run, found.field) == (seq, 1, "Bar", 1, "quantity")
    quantity, price = found.fields
    assert (quantity.name, price.name, price.live) == ("quantity", "reference_price", "1.0")
    assert float(quantity.live) == float(quantity.replay) + 1
    assert found.live is not None
    assert found.live.startswith("Intent(")


def test_decisions_of_other_kinds_differ_in_their_kind(stored: Path, keep: Any) -> None:
    forge(keep, lambda _: m.RiskVeto("t", "X/USD", 1, "made up"), digests=True)

    report = own(stored)

    assert report.divergence is not None
    (only,) = report.divergence.fields
    assert (only.name, only.live, only.replay) == ("kind", "RiskVeto", "Intent")


def test_a_record_whose_digest_is_not_that_of_its_decisions_was_changed_later(stored: Path, keep: Any) -> None:
    forge(keep, bigger, digests=False)

    report = own(stored, code="another, but that is not why")

    assert report.divergence is not None
    assert report.divergence.cause.startswith("damaged journal: the stored digest")


def test_another_code_is_blamed_only_where_the_journal_is_sound(stored: Path, keep: Any) -> None:
    forge(keep, bigger, digests=True)

    changed, same = own(stored, code="b").divergence, own(stored, code="a").divergence

    assert changed is not None
    assert same is not None
    assert changed.cause == "changed code: run 1 was code a, this is b"
    assert same.cause.startswith("the same code, settings and journal: ")


def test_other_code_that_decides_the_same_is_no_difference(stored: Path) -> None:
    assert own(stored, code="b").equal


def test_a_damaged_record_ends_the_comparison_and_is_told(stored: Path) -> None:
    db = sqlite3.connect(stored)
    db.execute("UPDATE inputs SET ts_ns = ts_ns + 1 WHERE seq = 9")
    db.commit()
    db.close()

    report = drift_report(stored, code_hash="a")

    assert (report.own.equal, report.own.inputs, report.own.inputs_equal) == (False, 8, 8)
    assert report.own.damage is not None
    assert "corrupt at input 9" in report.own.damage
    assert report.drift is not None
    assert report.drift.bars.live <= 8


def test_settings_other_than_the_session_had_are_blamed(stored: Path) -> None:
    report = own(stored, overrides=["venue.taker_fee=0.005"])

    assert report.divergence is not None
    assert report.divergence.cause == "another plan than the session had: the settings [venue] differ"
    assert report.divergence.field == "fee_atoms"


@pytest.mark.parametrize("override", ["account.cash=5", "instrument.lot=0.1"])
def test_what_the_session_recorded_of_itself_cannot_be_set(stored: Path, override: str) -> None:
    with pytest.raises(UserError, match="is part of what it recorded"):
        own(stored, overrides=[override])


def test_a_setting_that_does_not_exist_is_refused(stored: Path) -> None:
    with pytest.raises(UserError, match=r"there is no setting venue\.taker_fe"):
        own(stored, overrides=["venue.taker_fe=1"])


def test_a_changed_strategy_file_is_noted_and_blamed_only_where_it_is_replayed(stored: Path, trader: str) -> None:
    text = Path(trader).read_text()
    Path(trader).write_text(text.replace("self.buy(size)", "self.buy(size * 2)"))

    as_stored, as_now = own(stored), own(stored, current=True)

    assert as_stored.equal
    assert as_stored.notes == [f"strategy t: {trader} has changed since; the stored source was replayed"]
    assert as_now.divergence is not None
    assert as_now.divergence.cause == "another plan than the session had: the file of strategy t has changed"
    assert as_now.notes == []


def test_the_files_of_now_replay_equal_while_they_are_the_same(stored: Path) -> None:
    assert own(stored, current=True).equal


def test_a_strategy_that_decides_by_something_else_is_found_by_a_second_replay(
    tape: Tape, keep: Any, tmp_path: Path
) -> None:
    file = tmp_path / "moody.py"
    file.write_text(MOODY)
    settings = check_settings({"strategies": [{"use": f"{file}:Moody"}]}, "test")
    path = keep(plan_session(settings, tape), tape.bars())

    report = own(path)

    assert report.divergence is not None
    assert report.divergence.cause.startswith("not deterministic: ")
    assert report.divergence.field == "quantity"


def test_a_replay_that_fails_is_the_difference(stored: Path, trader: str) -> None:
    text = Path(trader).read_text()
    Path(trader).write_text(
        text.replace("self.seen.updates[update.state] = ", "self.buy(1e-9)\n        self.seen.updates[update.state] = ")
    )

    report = drift_report(stored, code_hash="a", current=True)

    assert report.own.divergence is not None
    assert report.own.divergence.replay is not None
    assert report.own.divergence.replay.startswith("the replay fails: livelock")
    assert (report.own.equal, report.drift) == (False, None)
    assert report.failure is not None
    assert report.failure.startswith("livelock")


def test_inputs_without_a_digest_are_counted_and_not_compared(stored: Path, keep: Any) -> None:
    with keep.rewritten() as rows:
        for row in rows[-7:]:
            row[4] = row[5] = None

    report = own(stored)

    assert (report.unverified_tail, report.inputs_equal, report.equal) == (7, report.inputs - 7, True)


def test_what_has_no_digest_before_it_is_not_called_damaged(stored: Path, keep: Any) -> None:
    with keep.rewritten() as rows:
        for row in rows:
            if row[4] and any(isinstance(each, m.Fill) for each in decode_effects(row[4])):
                break
            row[4] = row[5] = None

    report = own(stored, overrides=["venue.taker_fee=0.005"])

    assert report.divergence is not None
    assert report.divergence.cause.endswith("the settings [venue] differ")


def test_a_session_without_an_input_is_not_equal(stored: Path, keep: Any) -> None:
    with keep.rewritten() as rows:
        rows.clear()

    report = drift_report(stored)

    assert (report.own.equal, report.own.inputs, report.drift) == (False, 0, None)
