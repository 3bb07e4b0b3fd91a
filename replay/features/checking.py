"""Look-ahead, unstable warm-up and leaked state in features and decisions, found by computing them again.

The same features, and a strategy's decisions, are computed

* twice on the same tape: what differs comes from a clock, from chance, or from what the first time left behind;
* on the tape cut off, and on the tape changed from there on: what differs before that point knew what came after it;
* on the same tape with a restart in its middle: what differs was remembered outside of a step function's state;
* on tapes that begin later: what never becomes the same depends on where its series began;
* on the same tape, moved by a year of whole weeks: what differs is looked up by its date.

And before the first bar is told, nothing of a strategy's may hold the tape's own prices.

An average that fades, such as an EMA, is as long as its memory away from what it would be with a longer past; the
distance shrinks from bar to bar, and after `settles` bars it is below the tolerance. That is no defect. A sum since the
beginning stays away for good; a window that is told before it is full jumps to the right value at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np

from actors.features import SeriesKey
from replay.features.frame import FeatureFrame
from replay.features.outside import TapePrices, clocks_of, of_steps, of_strategy, steps
from replay.features.settling import settled
from replay.features.variants import WEEK_NS, altered, begun, cut, moved
from replay.tape.columns import time_text
from strategies.features.rows import output_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from actors.messages import Message
    from replay.tape import Tape
    from strategies.indicators.expression import Expression

    Inputs = Iterable[tuple[int, Message]]
    Declare = Callable[[], Mapping[str, Expression]]
    Decide = Callable[[Inputs], list[tuple[int, object]]]

Kind = Literal["look-ahead", "unstable", "warm-up", "leak", "no value"]
CUTS = (0.35, 0.55, 0.73, 0.9)
STARTS = (0.11, 0.27, 0.41)
MOVED_NS = 53 * WEEK_NS
TOLERANCE = 1e-6
DECISIONS = "decisions"
_GONE_MIN = 200
"""So many rows without a value at the end of a tape are worth a look."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    kind: Kind
    feature: str
    """Its name; "decisions" of what a strategy does."""
    symbol: str
    what: str
    first: str | None = None
    """The first bar it shows at."""


class Judged(msgspec.Struct, frozen=True):
    """How one value fared."""

    name: str
    symbol: str
    expression: str
    first_row: int | None
    """The row of the tape it first has a value at; None if it never has."""
    settles: int | None
    """How many bars behind its first value it no longer depends on where the tape began; None if it never shows."""


class CheckReport(msgspec.Struct, kw_only=True):
    """What a check came to."""

    rows: int
    computed: int
    """How many times everything was computed."""
    values: list[Judged]
    findings: list[Finding]
    notes: list[str]


class Computed(NamedTuple):
    """The values of one pass."""

    opens_ns: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    bars: dict[str, NDArray[np.float64]]
    failures: dict[str, Exception]
    short: frozenset[str]
    """Values whose warm-up alone is longer than the tape."""


class Subject(msgspec.Struct, frozen=True):
    """What is checked."""

    declare: Declare
    """Declares the features anew, as every session does."""
    tape: Tape
    series: tuple[SeriesKey, ...]
    end_ns: int
    """No later input is used."""
    strategy: object = None
    """An instance that was started, and told nothing; None if there is only a file of features."""
    decide: Decide | None = None
    """Runs the strategy over other inputs and tells when it wished what."""

    def inputs(self) -> Iterator[tuple[int, Message]]:
        """Return the tape's own inputs."""
        return cut(self.tape.stamped(), self.end_ns)


def check(subject: Subject, tolerance: float = TOLERANCE) -> CheckReport:
    """Compute everything again and again, and say what does not hold."""
    report = CheckReport(rows=0, computed=0, values=[], findings=[], notes=[])
    for series in subject.series:
        _Features(subject, series, tolerance, report).check()
    _look_outside(subject, report)
    if subject.decide is not None:
        _check_decisions(subject, subject.decide, report)
    return report


class _Features:
    """The features of one series."""

    def __init__(self, subject: Subject, series: SeriesKey, tolerance: float, report: CheckReport) -> None:
        self._subject = subject
        self._series = series
        self._tolerance = tolerance
        self._report = report
        self._guilty: set[str] = set()

    def check(self) -> None:
        """Judge every value."""
        declared = dict(self._subject.declare())
        if not declared:
            return
        self._texts = {name: str(one) for feature, one in declared.items() for name in output_names(feature, one)}
        self._own = {
            name
            for feature, one in declared.items()
            for name in output_names(feature, one)
            if any(True for _ in steps(one))
        }
        self._whole = whole = self._compute(self._subject.inputs())
        self._report.rows = max(self._report.rows, len(whole.opens_ns))
        self._compare(self._compute(self._subject.inputs()), 0, "leak", _LEAKED)
        closes_ns = whole.opens_ns + self._series.timeframe_ns
        for part in CUTS if len(closes_ns) > 1 else ():
            end_ns = int(closes_ns[int(part * (len(closes_ns) - 1))])
            self._compare(self._compute(cut(self._subject.inputs(), end_ns)), 0, "look-ahead", _CUT, end_ns)
            if not self._subject.tape.has_ticks:
                changed = altered(self._subject.inputs(), end_ns, self._subject.tape)
                self._compare(self._compute(changed), 0, "look-ahead", _ALTERED, end_ns)
        if self._own:
            self._compare(self._compute(self._subject.inputs(), restarted=True), 0, "leak", _FORGOTTEN)
            self._compare(self._compute(moved(self._subject.inputs(), MOVED_NS)), MOVED_NS, "look-ahead", _DATED)
        self._judge_warm_up()

    def _compute(self, inputs: Inputs, *, restarted: bool = False) -> Computed:
        self._report.computed += 1
        frame = FeatureFrame(
            self._subject.declare(), self._subject.tape, self._series.symbol, self._series.timeframe_ns
        )
        if restarted:
            half = sum(1 for _ in self._subject.inputs()) // 2
            playing = frame.blocks(inputs, max(1, half))
            blocks = [next(playing)]
            frame.restart(self._subject.declare())
            blocks += playing
        else:
            blocks = list(frame.blocks(inputs))
        history = {name: frame.graph.history([slot]) for name, slot in zip(frame.names, frame.rows.slots, strict=True)}
        opens_ns = np.concatenate([block.opens_ns for block in blocks])
        span_ns = len(opens_ns) * self._series.timeframe_ns
        short = {
            name
            for name, wanted in history.items()
            if any((bars + 2) * read.timeframe_ns > span_ns for read, bars in wanted.items())
        }
        return Computed(
            opens_ns,
            {name: np.concatenate([block.values[name] for block in blocks]) for name in frame.names},
            {name: np.concatenate([block.bars[name] for block in blocks]) for name in blocks[0].bars},
            frame.failures(),
            frozenset(short),
        )

    def _compare(self, other: Computed, by_ns: int, kind: Kind, what: str, end_ns: int | None = None) -> None:
        """Note every value that is not the same bit for bit up to a time."""
        mine, theirs = _common(self._whole.opens_ns, other.opens_ns - by_ns)
        if end_ns is not None:
            known = self._whole.opens_ns[mine] + self._series.timeframe_ns <= end_ns
            mine, theirs = mine[known], theirs[known]
        for name, column in self._whole.values.items():
            if name in self._guilty or (kind == "look-ahead" and by_ns and name not in self._own):
                continue
            left, right = column[mine], other.values[name][theirs]
            differs = np.flatnonzero((left != right) & ~(np.isnan(left) & np.isnan(right)))
            if differs.size:
                self._blame(kind, name, what.format(count=differs.size), int(self._whole.opens_ns[mine][differs[0]]))

    def _blame(self, kind: Kind, name: str, what: str, first_ns: int | None = None) -> None:
        self._guilty.add(name)
        first = None if first_ns is None else time_text(first_ns)
        self._report.findings.append(Finding(kind, name, self._series.symbol, what, first))

    def _judge_warm_up(self) -> None:
        opens_ns = self._whole.opens_ns
        starts = [int(opens_ns[int(part * len(opens_ns))]) for part in STARTS] if len(opens_ns) else []
        later = [(start, self._compute(begun(self._subject.inputs(), start))) for start in starts]
        for name, column in self._whole.values.items():
            there = np.flatnonzero(~np.isnan(column))
            settles = None
            if not there.size:
                self._judge_silence(name)
            elif name not in self._guilty and not self._is_lost(name, int(there[-1]) + 1):
                settles = self._judge_settling(name, later)
            first = int(there[0]) if there.size else None
            self._report.values.append(Judged(name, self._series.symbol, self._texts[name], first, settles))

    def _judge_silence(self, name: str) -> None:
        if name in self._whole.short:
            self._report.notes.append(f"{name}: the tape is shorter than its warm-up; nothing is known of it")
            return
        why = "; ".join(f"{own}: {type(error).__name__}: {error}" for own, error in self._whole.failures.items())
        self._blame("no value", name, f"it never has a value{f' ({why})' if why else ''}")

    def _is_lost(self, name: str, row: int) -> bool:
        """Judge a value that has none from a row on: it is lost if a tape that begins there gives it some."""
        opens_ns = self._whole.opens_ns
        if len(opens_ns) - row < _GONE_MIN:
            return False
        later = self._compute(begun(self._subject.inputs(), int(opens_ns[row]) + self._series.timeframe_ns))
        if np.isnan(later.values[name]).all():
            return False
        self._blame("no value", name, _GONE, int(opens_ns[row]))
        return True

    def _judge_settling(self, name: str, later: list[tuple[int, Computed]]) -> int | None:
        worst: int | None = None
        for start_ns, other in later:
            mine, theirs = _common(self._whole.opens_ns, other.opens_ns)
            found = settled(self._whole.values[name][mine], other.values[name][theirs], self._tolerance)
            if found is None:
                continue
            if found.bars is None:
                self._blame("unstable", name, found.words, start_ns)
                return None
            if found.is_sudden and name in self._own:
                what = f"its warm-up is declared {found.bars} bars too short: {found.words}"
                self._blame("warm-up", name, what, start_ns)
                return None
            worst = found.bars if worst is None else max(worst, found.bars)
        if worst is None:
            self._report.notes.append(f"{name}: the tape is too short to say when it settles")
        return worst


def _look_outside(subject: Subject, report: CheckReport) -> None:
    """Look for the tape's own prices where nothing has been told yet."""
    columns = list(_columns(subject))
    prices = TapePrices((column for _, column in columns), (column for name, column in columns if name == "close"))
    held: list[tuple[str, str, NDArray[np.float64]]] = list(of_steps(subject.declare()))
    if subject.strategy is not None:
        held = [(DECISIONS, *each) for each in of_strategy(subject.strategy)] + held
    found: dict[tuple[str, str], str] = {}
    for feature, name, numbers in held:
        if (feature, name) in found:
            continue
        if prices.count(numbers):
            found[feature, name] = "prices of the tape, in its order"
        elif likeness := prices.likeness(numbers):
            found[feature, name] = f"numbers that move as the tape's prices do ({likeness:.0%} alike)"
    for (feature, name), words in found.items():
        what = f"{name} holds {words}, before the first bar is told"
        report.findings.append(Finding("look-ahead", feature, "", what))
    for feature, name in dict.fromkeys(clocks_of(subject.strategy, subject.declare())):
        report.notes.append(
            f"{feature or DECISIONS}: names a clock ({name}): none of the machine repeats itself in a replay"
        )


def _columns(subject: Subject) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the prices and volumes of all bars by name, also as they are decided on."""
    for one in subject.tape.series:
        blocks = list(one.chunks())
        for name in ("open", "high", "low", "close", "volume"):
            yield name, np.concatenate([getattr(block, name) for block in blocks])
    for series in subject.series:
        frame = FeatureFrame({}, subject.tape, series.symbol, series.timeframe_ns)
        built = list(frame.blocks(subject.inputs()))
        for name in built[0].bars:
            yield name, np.concatenate([block.bars[name] for block in built])


def _check_decisions(subject: Subject, decide: Decide, report: CheckReport) -> None:
    """Compare what a strategy wished with what it wishes on tapes that end earlier or go on otherwise."""
    whole = decide(subject.inputs())
    report.computed += 1
    symbol = subject.series[0].symbol if subject.series else ""

    def differs(other: list[tuple[int, object]], end_ns: int, kind: Kind, what: str) -> bool:
        report.computed += 1
        mine = [each for each in whole if each[0] <= end_ns]
        theirs = [each for each in other if each[0] <= end_ns]
        if mine == theirs:
            return False
        place = next((at for at, pair in enumerate(zip(mine, theirs, strict=False)) if pair[0] != pair[1]), None)
        at = min(len(mine), len(theirs)) if place is None else place
        first_ns = min(each[at][0] for each in (mine, theirs) if at < len(each))
        report.findings.append(Finding(kind, DECISIONS, symbol, what, time_text(first_ns)))
        return True

    if differs(decide(subject.inputs()), subject.end_ns, "leak", _LEAKED_DECISIONS):
        return
    first_ns = subject.tape.start_ns
    for part in CUTS[1::2]:
        end_ns = first_ns + int(part * (subject.end_ns - first_ns))
        if differs(decide(cut(subject.inputs(), end_ns)), end_ns, "look-ahead", _CUT_DECISIONS):
            return
        if not subject.tape.has_ticks:
            changed = altered(subject.inputs(), end_ns, subject.tape)
            if differs(decide(changed), end_ns, "look-ahead", _ALTERED_DECISIONS):
                return
    later = [(ts_ns - MOVED_NS, wish) for ts_ns, wish in decide(moved(subject.inputs(), MOVED_NS))]
    report.computed += 1
    if later != whole:
        report.notes.append(
            "its decisions depend on the date: the same market 53 weeks later gives others; fine for a calendar, "
            "look-ahead for a table of prices"
        )


def _common(left: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where the times both have stand in each."""
    _, mine, theirs = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    return mine, theirs


_LEAKED = "two equal runs differ in {count} rows: it reads a clock or chance, or what the first run left behind"
_GONE = (
    "it has no value any more from there on: an average that never forgets keeps what is no number, such as a "
    "quotient by zero; divide by maximum(x, 1e-12)"
)
_FORGOTTEN = "{count} rows change when the daemon is restarted in between: it remembers outside of its state"
_CUT = "{count} rows change when the bars after them are cut off"
_ALTERED = "{count} rows change when the bars after them are altered"
_DATED = "{count} rows change when the same market is a year later: it looks something up by its date"
_LEAKED_DECISIONS = "two equal runs decide differently: a clock, chance, or what the first run left behind"
_CUT_DECISIONS = "it decides differently when the bars that follow are cut off"
_ALTERED_DECISIONS = "it decides differently when the bars that follow are altered"
