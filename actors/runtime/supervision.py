"""Supervision as data: restart intensity, back-off, child specifications, dead letters.

The words are Erlang/OTP's. More than `restarts_max` restarts inside `window_ns`, the current one
counted, escalate. Core actors count their window in input time, edges in wall time.
"""

from __future__ import annotations

import traceback
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from actors.messages import Message

_CHARS_MAX = 10_000
_ROOT = Path(__file__).resolve().parents[2]
_OURS = (str(_ROOT / "actors"), str(_ROOT / "strategies"))
_IN_THE_BOX = str(_ROOT / "strategies" / "library")

Restart = Literal["permanent", "transient", "temporary"]


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One supervised child; the order of specs is start order, its reverse is stop order."""

    name: str
    restart: Restart = "permanent"
    """permanent: always again; transient: again after a failure; temporary: never."""
    restarts_max: int = 5
    window_ns: int = 3_600_000_000_000
    backoff_ns: int = 100_000_000
    backoff_max_ns: int = 30_000_000_000
    vital: bool = True
    """Whether failing past its intensity escalates; one that is not vital is started again for ever."""


class Intensity:
    """Counts restarts inside a sliding window."""

    __slots__ = ("restarts", "restarts_max", "times_ns", "window_ns")

    def __init__(self, restarts_max: int, window_ns: int) -> None:
        self.restarts_max = restarts_max
        self.window_ns = window_ns
        self.times_ns: list[int] = []
        self.restarts = 0
        """All restarts so far."""

    def allows(self, now_ns: int) -> bool:
        """Count a restart at `now_ns`; return whether it is still within the intensity."""
        self.times_ns = [then for then in self.times_ns if now_ns - then < self.window_ns]
        self.times_ns.append(now_ns)
        if len(self.times_ns) > self.restarts_max:
            return False
        self.restarts += 1
        return True


def backoff_ns(spec: ChildSpec, attempt_index: int, jitter: float) -> int:
    """Return the pause before restart `attempt_index` (0 for the first).

    Args:
        spec: the child's bounds.
        attempt_index: how many restarts came just before.
        jitter: in [0, 1), from the supervisor's seeded source; takes off up to half of the pause.
    """
    pause_ns = min(spec.backoff_max_ns, spec.backoff_ns * 2 ** min(attempt_index, 32))
    return int(pause_ns * (1 - jitter / 2))


def words_of(error: BaseException) -> str:
    """Return what a failure of somebody else's code says of itself, as text that can be kept, sent and shown."""
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001 - that is their code, too
        text = f"its words fail with {type(second).__name__}"
    return _plain(f"{type(error).__name__}: {text}")


def place_of(error: BaseException) -> str:
    """Return where somebody else's code failed: the innermost line of the first file that is not the engine's."""
    lines = [(frame.f_code, number) for frame, number in traceback.walk_tb(error.__traceback__)]
    if not lines:
        return ""
    files = [code.co_filename for code, _ in lines]
    theirs = next((file for file in files if not file.startswith(_OURS) or file.startswith(_IN_THE_BOX)), files[-1])
    code, number = next(line for line in reversed(lines) if line[0].co_filename == theirs)
    return _plain(f"{Path(theirs).name}:{number} in {code.co_qualname}")


def _plain(text: str) -> str:
    """Return text of bounded length that UTF-8 can say: a name of a file, say, may hold what it cannot."""
    if len(text) > _CHARS_MAX:
        text = f"{text[: _CHARS_MAX // 2]} ... {text[-_CHARS_MAX // 2 :]}"
    return text.encode("utf-8", "backslashreplace").decode()


class DeadLetter(msgspec.Struct, frozen=True):
    """A message nobody could handle, and why."""

    actor: str
    seq: int
    ts_ns: int
    message: str
    error: str
    place: str
    trace: str


class DeadLetters:
    """The newest dead letters, for people; `count` says how many there were."""

    __slots__ = ("count", "letters")

    def __init__(self, letters_max: int) -> None:
        self.letters: deque[DeadLetter] = deque(maxlen=letters_max)
        self.count = 0

    def add(self, actor: str, seq: int, ts_ns: int, message: Message, error: BaseException) -> DeadLetter:
        """Keep `message` with the traceback of `error`."""
        letter = DeadLetter(
            actor=actor,
            seq=seq,
            ts_ns=ts_ns,
            message=_plain(repr(message)),
            error=words_of(error),
            place=place_of(error),
            trace=_plain("".join(traceback.format_exception(error))),
        )
        self.letters.append(letter)
        self.count += 1
        return letter
