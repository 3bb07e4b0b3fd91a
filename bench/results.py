"""From readings to figures: medians, ratios between engines, promises kept or broken."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench import workload
from bench.measures import TAPE_ROWS, Figure, Measure, Reading

RATIO_AGAINST = ("backtesting", "nautilus", "floor", "account", "loop")

HELP_S_MAX = 0.4
STARTUP_ABOVE_IMPORTS_S_MAX = 0.7
REPLAY_ABOVE_IMPORTS_MB_MAX = 100.0
LONG_ABOVE_REPLAY_MB_MAX = 50.0
IMPORT_OVER_POLARS_MAX = 2.0
TAPE_ABOVE_IMPORTS_MB_MAX = 400.0
TIMES_AS_FAST_MIN = {"backtesting": 3.0, "nautilus": 10.0, "backtrader": 10.0}
INDICATOR_OVER_TALIB_MAX = 2.0
INDICATORS_MEDIAN_OVER_TALIB_MAX = 1.0
PRESET_BAR_US_MAX = 150.0
START_FIRST_CPU_S_MAX = 60.0
START_ABOVE_IMPORTS_CPU_S_MAX = 2.0
DECIDED_US_MAX = {"decided_p50_us": 50.0, "decided_p99_us": 200.0}
DECIDED_OVER_SOCKETS_P99_US_MAX = 100.0
DECIDED_ABOVE_CORE_MAX = 1.5
DECIDED_UNDER_CLIENTS_MAX = 2.0


@dataclass(slots=True)
class Result:
    """All that is known of one measure: its readings, or why there are none."""

    measure: Measure
    readings: list[Reading] = field(default_factory=list)
    skipped: str | None = None
    failed: str | None = None

    def median(self) -> Reading:
        """Return the median of numbers; anything else is kept only if all repetitions agree."""
        if not self.readings:
            return {}
        names = [name for name in self.readings[0] if all(name in reading for reading in self.readings)]
        return {name: middle([reading[name] for reading in self.readings]) for name in names}

    def number(self, name: str) -> float | None:
        """Return the median of one figure, if it is a number."""
        value = self.median().get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def spread(self, name: str) -> float | None:
        """Return the distance between extremes as a fraction of the median."""
        values = [value for reading in self.readings if isinstance(value := reading.get(name), int | float)]
        middle_value = self.number(name)
        if len(values) < 2 or not middle_value:
            return None
        return (max(values) - min(values)) / middle_value


def middle(values: list[Figure]) -> Figure:
    """Return the median of numbers, the common value of anything else, or "differs"."""
    if all(value == values[0] for value in values):
        return values[0]
    numbers = [value for value in values if isinstance(value, int | float)]
    return statistics.median(numbers) if len(numbers) == len(values) else "differs"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise, the figure it is judged by, and whether it was kept (None: not judged)."""

    promise: str
    figure: str
    kept: bool | None


Results = Mapping[str, Result]


def loop_bars_per_s(result: Result) -> float | None:
    """Return bars per second of the engine alone, tape not read, where it says so."""
    bars, run_s = result.number("bars"), result.number("run_s")
    return bars / run_s if bars and run_s else None


def speed_ratios(results: Results) -> dict[str, dict[str, float]]:
    """Compare our replay with each other engine.

    `like_for_like`: both from tape opened to result. `strict`: ours still from tape opened, the
    other with its data already in memory in the form it likes best. The table shows the strict one.
    """
    ratios: dict[str, dict[str, float]] = {}
    ours = number_of(results, "pitboss", "bars_per_s")
    for name in RATIO_AGAINST:
        theirs = number_of(results, name, "bars_per_s")
        if ours is None or theirs is None:
            continue
        ratios[name] = {"like_for_like": ours / theirs}
        alone = loop_bars_per_s(results[name])
        if alone is not None:
            ratios[name]["strict"] = ours / alone
    return ratios


def number_of(results: Results, measure: str, name: str) -> float | None:
    """Return the median of one figure of one measure, or None if it was not measured."""
    return results[measure].number(name) if measure in results else None


def below(promise: str, figure: float | None, limit: float, unit: str) -> Verdict:
    """Judge a figure by an upper limit."""
    if figure is None:
        return Verdict(promise, "not measured", None)
    return Verdict(promise, f"{figure:,.2f} {unit}", figure <= limit)


def difference(left: float | None, right: float | None) -> float | None:
    """Subtract, where both sides are known."""
    return None if left is None or right is None else left - right


def agreement(results: Results, bars: int) -> list[Verdict]:
    """Check that everything that trades made the same fills and ended at the same equity.

    To the atom where an engine says its atoms, to the cent otherwise.
    """
    reference = results.get("loop")
    atoms: float | None = None
    if reference is not None and reference.readings:
        fills, equity = reference.number("fills"), reference.number("final_equity")
        atoms = reference.number("final_equity_atoms")
    elif bars == workload.BARS:
        fills = workload.EXPECTED_FILLS
        atoms = workload.EXPECTED_EQUITY_ATOMS
        equity = atoms / 100_000_000
    else:
        return []
    if fills is None or equity is None:
        return []
    verdicts = []
    for name, result in results.items():
        own_fills, own_equity = result.number("fills"), result.number("final_equity")
        if result.measure.group != "replay" or name == "loop" or own_fills is None or own_equity is None:
            continue
        same = own_fills == fills and round(own_equity, 2) == round(equity, 2)
        own_atoms = result.number("final_equity_atoms")
        if own_atoms is not None and atoms is not None:
            same = same and own_atoms == atoms
        promise = f"{name}: {fills:,.0f} fills, final equity {equity:,.2f}"
        verdicts.append(Verdict(promise, f"{own_fills:,.0f} fills, {own_equity:,.2f}", same))
    return verdicts


def verdicts(results: Results, bars: int) -> list[Verdict]:
    """Judge every promise that this run measured, or say that it did not."""
    peak = {name: number_of(results, name, "peak_rss_mb") for name in ("pitboss", "imports", "memory-long")}
    found = agreement(results, bars)
    if "pitboss" in results and len(results["pitboss"].readings) > 1:
        digest = results["pitboss"].median().get("digest")
        if digest is not None:
            found.append(Verdict("equal digests in every repetition", str(digest)[:16], digest != "differs"))
    ours = number_of(results, "pitboss", "bars_per_s")
    for name, times in TIMES_AS_FAST_MIN.items():
        if name in results and (theirs := loop_bars_per_s(results[name])) and ours:
            promise = f"replay at least {times:.0f} x {name}"
            found.append(Verdict(promise, f"{ours / theirs:,.1f} x", ours >= times * theirs))
    if "imports" in results:
        promise = f"replay within {REPLAY_ABOVE_IMPORTS_MB_MAX:.0f} MB of its imports"
        above = difference(peak["pitboss"], peak["imports"])
        found.append(below(promise, above, REPLAY_ABOVE_IMPORTS_MB_MAX, "MB"))
    if "memory-long" in results:
        promise = f"ten times the bars within {LONG_ABOVE_REPLAY_MB_MAX:.0f} MB of that"
        above = difference(peak["memory-long"], peak["pitboss"])
        found.append(below(promise, above, LONG_ABOVE_REPLAY_MB_MAX, "MB"))
    if "help" in results:
        elapsed_s = number_of(results, "help", "elapsed_s")
        found.append(below(f"--help under {HELP_S_MAX} s", elapsed_s, HELP_S_MAX, "s"))
    if "startup" in results:
        promise = f"a thousand bars within {STARTUP_ABOVE_IMPORTS_S_MAX} s of the bare imports"
        imports_s = number_of(results, "imports", "elapsed_s")
        above = difference(number_of(results, "startup", "process_s"), imports_s)
        found.append(below(promise, above, STARTUP_ABOVE_IMPORTS_S_MAX, "s"))
    return found + long_files(results) + features(results) + reactions(results)


def long_files(results: Results) -> list[Verdict]:
    """Judge what taking over a long file takes, and what feeding a long tape does."""
    found: list[Verdict] = []
    if "import-pitboss" in results:
        ours_s, plain_s = (number_of(results, f"import-{way}", "process_s") for way in ("pitboss", "polars"))
        ratio = None if ours_s is None or not plain_s else ours_s / plain_s
        promise = f"import of CSV within {IMPORT_OVER_POLARS_MAX:.0f} x of plain polars"
        found.append(below(promise, ratio, IMPORT_OVER_POLARS_MAX, "x"))
    if "tape-replay" in results:
        long, short = (number_of(results, name, "above_imports_mb") for name in ("tape-replay", "tape-replay-short"))
        promise = f"replay of {TAPE_ROWS:,} rows within {TAPE_ABOVE_IMPORTS_MB_MAX:.0f} MB of its imports"
        found.append(below(promise, long, TAPE_ABOVE_IMPORTS_MB_MAX, "MB"))
        promise = f"that within {LONG_ABOVE_REPLAY_MB_MAX:.0f} MB of a tenth of the rows"
        found.append(below(promise, difference(long, short), LONG_ABOVE_REPLAY_MB_MAX, "MB"))
    return found


def features(results: Results) -> list[Verdict]:
    """Judge what indicators cost beside TA-Lib's, what the preset costs a bar, and what it costs to begin with it."""
    found: list[Verdict] = []
    if "indicators" in results:
        slowest, median = (number_of(results, "indicators", name) for name in ("slowest_ratio", "median_ratio"))
        bound = INDICATOR_OVER_TALIB_MAX
        found.append(below(f"no indicator over {bound:.0f} x TA-Lib's", slowest, bound, "x"))
        found.append(below("half of them faster than TA-Lib's", median, INDICATORS_MEDIAN_OVER_TALIB_MAX, "x"))
    if "preset" in results:
        promise = f"a bar of the 15-minute pipeline under {PRESET_BAR_US_MAX:.0f} us"
        found.append(below(promise, number_of(results, "preset", "bar_us"), PRESET_BAR_US_MAX, "us"))
    if "starts" in results:
        first, again, imports = (
            number_of(results, "starts", f"{name}_cpu_s") for name in ("first", "again", "imports")
        )
        promise = f"a first start with it, kernels compiled, under {START_FIRST_CPU_S_MAX:.0f} s of CPU"
        found.append(below(promise, first, START_FIRST_CPU_S_MAX, "s"))
        promise = f"every later one within {START_ABOVE_IMPORTS_CPU_S_MAX:.0f} s of CPU of its imports"
        found.append(below(promise, difference(again, imports), START_ABOVE_IMPORTS_CPU_S_MAX, "s"))
    return found


def reactions(results: Results) -> list[Verdict]:
    """Judge how fast the daemon decides, alone and over sockets."""
    found: list[Verdict] = []
    if "live" in results:
        for name, bound_us in DECIDED_US_MAX.items():
            promise = f"live: posted to decided, {name.split('_')[1]} under {bound_us:.0f} us"
            found.append(below(promise, number_of(results, "live", name), bound_us, "us"))
    if "reaction" in results:
        bound_us = DECIDED_OVER_SOCKETS_P99_US_MAX
        for way in ("daemon", "direct"):
            promise = f"over sockets ({way}): posted to decided, p99 under {bound_us:.0f} us"
            decided_us = number_of(results, "reaction", f"{way}.decided_p99")
            found.append(below(promise, decided_us, bound_us, "us"))
            if "core" in results:
                alone_us = number_of(results, "core", "after_a_pause.p99_us")
                ratio = None if decided_us is None or not alone_us else decided_us / alone_us
                promise = f"over sockets ({way}): that within {DECIDED_ABOVE_CORE_MAX} x of the core alone, paused"
                found.append(below(promise, ratio, DECIDED_ABOVE_CORE_MAX, "x"))
    if "console" in results:
        promise = (
            f"50 clients and 200 requests/s: sent to decided, p99 under {DECIDED_UNDER_CLIENTS_MAX:.0f} x that without,"
            " the median of alternating pairs"
        )
        found.append(below(promise, number_of(results, "console", "times.p99"), DECIDED_UNDER_CLIENTS_MAX, "x"))
    return found
