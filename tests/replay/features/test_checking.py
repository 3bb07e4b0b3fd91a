"""The check finds what was planted, says which feature it is, and finds nothing where nothing is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.features import SeriesKey
from actors.messages import Bar
from config.load import check_settings
from replay.features.batch import Chunk
from replay.features.checking import CheckReport, Subject, check
from replay.features.settling import settled
from replay.features.subjects import end_ns, features_subject, strategy_subject
from replay.tape import open_tape
from replay.tape.columns import time_text
from strategies.indicators import close, ema, high, low, sma, volume

MINUTE = 60_000_000_000
ROWS = 1_600


@pytest.fixture(scope="module")
def tape_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 3,000 bars, with the leaky strategies beside it."""
    folder = tmp_path_factory.mktemp("leaky")
    generator = np.random.default_rng(5)
    close = 100 + np.cumsum(generator.normal(0, 0.1, ROWS)).round(2)
    opened = np.append(100.0, close[:-1])
    lines = ["ts,open,high,low,close,volume"]
    for row, (first, last) in enumerate(zip(opened, close, strict=True)):
        high, low = max(first, last) + 0.05, min(first, last) - 0.05
        volume = generator.integers(1, 1_000)
        lines.append(f"{1_700_006_400_000 + row * 60_000},{first:.2f},{high:.2f},{low:.2f},{last:.2f},{volume}")
    (folder / "tape.csv").write_text("\n".join(lines) + "\n")
    for name in ("leaky.py", "sound.py"):
        shutil.copy(Path(__file__).with_name(name), folder)
    return folder / "tape.csv"


def checked(tape_file: Path, name: str, file: str = "leaky.py") -> CheckReport:
    settings = check_settings({"strategies": [{"use": f"{tape_file.with_name(file)}:{name}"}]}, "test")
    return check(strategy_subject(settings, open_tape([f"X={tape_file}"])))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "guilty", "words"),
    [
        ("NextClose", "look-ahead", "ahead", "prices holds prices of the tape, in its order, before the first bar"),
        ("CompiledAhead", "look-ahead", "ahead", "CLOSES holds prices of the tape"),
        ("ByDate", "look-ahead", "rises", "it looks something up by its date"),
        ("WallClock", "leak", "noisy", "two equal runs differ in 1600 rows"),
        ("Chance", "leak", "noisy", "two equal runs differ"),
        ("Counter", "leak", "counted", "what the first run left behind"),
        ("Forgetful", "leak", "change", "1 rows change when the daemon is restarted in between"),
        ("Normalised", "look-ahead", "score", "scores holds numbers that move as the tape's prices do (100% alike)"),
        ("Sides", "look-ahead", "decisions", "Sides.sides holds numbers that move as the tape's prices do ("),
        ("ByBar", "look-ahead", "decisions", "ByBar.table (keys) holds prices of the tape, in its order"),
        ("SumOfAll", "unstable", "total", "it depends on where the tape begins: after"),
        ("HalfWindow", "warm-up", "half", "its warm-up is declared 26 bars too short"),
        ("NoValue", "no value", "broken", "it never has a value (<lambda>(close): ZeroDivisionError"),
        ("KnowsTheTape", "look-ahead", "decisions", "KnowsTheTape.prices holds prices of the tape"),
        ("Precomputes", "leak", "decisions", "two equal runs decide differently"),
        ("Dice", "leak", "decisions", "two equal runs decide differently"),
    ],
)
def test_what_was_planted_is_found_and_named(tape_file: Path, name: str, kind: str, guilty: str, words: str) -> None:
    report = checked(tape_file, name)
    assert any((found.kind, found.feature) == (kind, guilty) and words in found.what for found in report.findings), (
        report.findings
    )
    honest = {found.feature for found in report.findings} - {guilty}
    assert honest <= {"decisions"}
    assert ("mean" in {each.name for each in report.values}) == (guilty != "decisions")


@pytest.mark.slow
def test_a_clean_strategy_passes_and_is_told_when_its_averages_settle(tape_file: Path) -> None:
    report = checked(tape_file, "Clean", "sound.py")
    assert not report.findings
    settles = {each.name: each.settles for each in report.values}
    assert settles["noon"] == settles["last"] == 0
    assert 20 < (settles["fast"] or 0) < 80, "an EMA fades, and so it may"
    assert 0 < (settles["own"] or 0) < 100
    assert {each.name: each.first_row for each in report.values}["last"] == 3


@pytest.mark.slow
def test_a_table_by_date_in_decisions_is_a_note(tape_file: Path) -> None:
    report = checked(tape_file, "Calendar")
    assert any("its decisions depend on the date" in note for note in report.notes)


@pytest.mark.slow
def test_a_clock_too_slow_to_differ_is_a_note(tape_file: Path) -> None:
    report = checked(tape_file, "SlowClock")
    assert any(note.startswith("day: names a clock (localtime)") for note in report.notes)


def test_a_merge_that_knows_an_hour_before_it_has_closed_is_found_by_cutting(
    monkeypatch: pytest.MonkeyPatch, walk: Any, tape_of: Any
) -> None:
    honest = Chunk._as_of

    def ahead(self: Chunk, slot: int, sheet: Any) -> Any:
        home = self._graph.home(slot)
        if home is None:
            return honest(self, slot, sheet)
        values = np.append(self._sheets[home].columns[slot], np.nan)
        return values[np.searchsorted(self._sheets[home].places, sheet.places, side="right")]

    subject = features_subject({"hour": sma(2).on("1h"), "here": ema(5)}, tape_of(walk(1, 1_000)), "X/USD", MINUTE)
    assert not check(subject).findings
    monkeypatch.setattr(Chunk, "_as_of", ahead)
    found = check(subject).findings
    assert {(one.kind, one.feature) for one in found} == {("look-ahead", "hour")}
    assert "are cut off" in found[0].what or "are altered" in found[0].what
    assert found[0].first is not None


def test_a_value_that_is_lost_for_good_is_named_with_the_bar(walk: Any, tape_of: Any) -> None:
    """A quotient by zero is no number once, and stays in an average that never forgets."""
    bars = walk(1, 500)
    bars["volume"][250] = 0.0
    bars["low"][300:], bars["high"][300:] = bars["close"][300:], bars["close"][300:]  # and nothing moves any more
    bars["open"][300:] = bars["close"][300:]
    still = close.lag() / (high - low)
    declared = {"lost": ema(5, close / volume), "kept": sma(5, close / volume), "still": still}
    report = check(features_subject(declared, tape_of(bars), "X/USD", MINUTE))
    assert [(one.kind, one.feature) for one in report.findings] == [("no value", "lost")]
    assert "no value any more" in report.findings[0].what
    assert report.findings[0].first == time_text(int(bars["ts"][250]) * 1_000_000)


@pytest.mark.parametrize("sees", ["its end", "its values"])
def test_decisions_on_what_follows_are_found(sees: str, walk: Any, tape_of: Any) -> None:
    """Whoever is given the inputs as a list can look further down."""
    tape = tape_of(walk(1, 400))

    def decide(inputs: Any) -> list[tuple[int, object]]:
        bars = [message for _, message in inputs if isinstance(message, Bar)]
        if sees == "its end":
            return [(bar.close_ns, index > len(bars) // 2) for index, bar in enumerate(bars)]
        return [(bar.close_ns, later.close > bar.close) for bar, later in pairwise(bars)]

    subject = Subject(dict, tape, (SeriesKey("X/USD", MINUTE),), end_ns(tape, 400), None, decide)
    (found,) = check(subject).findings
    assert (found.kind, found.feature) == ("look-ahead", "decisions")


@pytest.mark.parametrize(
    ("made", "bars", "sudden"),
    [
        (lambda x: x, 0, False),
        (lambda x: x + 0.5 ** np.arange(len(x)), 17, False),
        (lambda x: x + (np.arange(len(x)) < 12), 12, True),
        (lambda x: x + 1.0, None, False),
        (lambda x: np.where(np.arange(len(x)) % 3, x, np.nan), None, False),
    ],
)
def test_settling_is_told_from_drifting_and_from_a_jump(
    made: Callable[[Any], Any], bars: int | None, sudden: bool
) -> None:
    left = 10 + np.sin(np.arange(400.0))
    found = settled(left, made(left), 1e-6)
    assert found is not None
    assert (found.bars, found.is_sudden) == (bars, sudden)


def test_too_few_rows_tell_nothing() -> None:
    assert settled(np.ones(30), np.zeros(30), 1e-6) is None
    slow = np.repeat(np.arange(20.0) + 0.5, 20)
    assert settled(slow, slow + 1, 1e-6) is None, "a day's value changes once a day"
