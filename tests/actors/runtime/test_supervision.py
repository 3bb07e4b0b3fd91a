"""Restart intensity, back-off and dead letters."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from actors.messages import TapeEnded
from actors.runtime.supervision import ChildSpec, DeadLetters, Intensity, backoff_ns


@pytest.mark.parametrize(
    ("restarts_max", "window", "times", "expected"),
    [
        (0, 10, [0], "n"),
        (1, 10, [0], "y"),
        (1, 10, [0, 5], "yn"),
        (1, 10, [0, 9], "yn"),
        (1, 10, [0, 10], "yy"),
        (2, 10, [0, 5, 9], "yyn"),
        (2, 10, [0, 5, 10], "yyy"),
        (2, 10, [0, 0, 0], "yyn"),
        (3, 10, [0, 1, 2, 3], "yyyn"),
        (3, 10, [0, 4, 8, 12, 16, 20], "yyyyyy"),
        (3, 10, [0, 3, 6, 9, 12], "yyynn"),
    ],
)
def test_more_restarts_than_the_intensity_inside_the_window_escalate(
    restarts_max: int, window: int, times: list[int], expected: str
) -> None:
    """The restart in question counts, and so does one that was refused: a refusal ends the child anyway."""
    intensity = Intensity(restarts_max, window)
    assert "".join("y" if intensity.allows(now) else "n" for now in times) == expected
    assert intensity.restarts == expected.count("y")


def test_the_window_keeps_no_history() -> None:
    intensity = Intensity(5, 10)
    for now in range(0, 10_000, 7):
        intensity.allows(now)
    assert len(intensity.times_ns) <= 2


def test_back_off_doubles_up_to_its_bound() -> None:
    spec = ChildSpec(name="edge", backoff_ns=100, backoff_max_ns=1_000)
    assert [backoff_ns(spec, attempt, 0.0) for attempt in range(6)] == [100, 200, 400, 800, 1_000, 1_000]
    assert backoff_ns(spec, 10_000, 0.0) == 1_000


def test_jitter_takes_off_at_most_half() -> None:
    spec = ChildSpec(name="edge", backoff_ns=1_000, backoff_max_ns=64_000)
    for attempt, jitter in itertools.product(range(8), (0.0, 0.25, 0.5, 0.999_999)):
        whole = backoff_ns(spec, attempt, 0.0)
        assert whole / 2 <= backoff_ns(spec, attempt, jitter) <= whole


def test_dead_letters_keep_the_newest_and_count_all() -> None:
    letters = DeadLetters(2)
    for number in range(5):
        try:
            raise ValueError(number)
        except ValueError as error:
            letter = letters.add("strategy.a", number, 10 * number, TapeEnded(), error)
    assert letters.count == 5
    assert [kept.seq for kept in letters.letters] == [3, 4]
    assert letter.actor == "strategy.a"
    assert letter.error == "ValueError: 4"
    assert letter.message == "TapeEnded()"
    assert "test_supervision.py" in letter.trace
    assert letter.place.startswith("test_supervision.py:")
    assert letter.place.endswith(" in test_dead_letters_keep_the_newest_and_count_all")
    assert letter.ts_ns == 40


class Mute(Exception):  # noqa: N818 - a user's own, without manners
    """Fails while it is told of."""

    def __str__(self) -> str:
        return self.args[1]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no file \udcff"), r"ValueError: no file \udcff"),
        (Mute("one argument"), "Mute: its words fail with IndexError"),
        (ValueError("a" * 50_000 + "z"), "ValueError: " + "a" * 4_988 + " ... " + "a" * 4_999 + "z"),
    ],
    ids=["no UTF-8", "fails itself", "endless"],
)
def test_whatever_user_code_raises_can_be_kept_and_shown(error: Exception, words: str) -> None:
    letter = DeadLetters(1).add("strategy.mine", 1, 2, TapeEnded(), error)

    assert letter.error == words
    assert msgspec.json.decode(msgspec.json.encode(letter))["error"] == words
    assert len(letter.trace) < 11_000
