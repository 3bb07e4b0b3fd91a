"""Every indicator over a million rows beside TA-Lib's of that name, and beside polars where it has the like.

All are called in this process, on the same columns, each a few times in turn; the fastest counts. A kind is
compared with another's only if both give the same numbers, to a millionth of the column's scale, where the other
has settled. polars uses all processors it finds. Prints one JSON line: milliseconds by kind, and the ratios.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np
import polars as pl
import talib
from numpy.typing import NDArray

from bench.ours.in_polars import POLARS
from strategies.indicators.declaration import KINDS, Indicator, Kind

ROWS = 1_000_000
PASSES = 5
SETTLED = 5_000
NEAR = 1e-6

Column = NDArray[np.float64]

NAMES = {"highest": "MAX", "lowest": "MIN", "change": "MOM", "rma": ""}
"""What TA-Lib calls a kind, where that is not its name in capitals; empty where it is something else."""

ARGUMENTS: dict[str, Callable[[tuple[float, ...]], tuple[float, ...]]] = {
    "bbands": lambda params: (params[0], params[1], params[1]),
    "apo": lambda params: (*params, 1),
    "kama": lambda params: params[:1],
    "ppo": lambda params: (*params, 1),
    "stoch": lambda params: (params[0], params[1], 0, params[2], 0),
}
"""How TA-Lib takes the parameters, where not in our order."""


def market() -> dict[str, Column]:
    """Draw a million bars of a walk, and what quotes and trades would have told."""
    draw = np.random.default_rng(7)
    close = 20_000.0 * np.exp(np.cumsum(draw.normal(0.0, 1e-4, ROWS)))
    opened = np.concatenate((close[:1], close[:-1]))
    spread = draw.exponential(2.0, (2, ROWS))
    return {
        "open": opened,
        "high": np.maximum(opened, close) + spread[0],
        "low": np.minimum(opened, close) - spread[1],
        "close": close,
        "volume": draw.exponential(10.0, ROWS),
        "time": np.arange(ROWS) * 60.0 + 1_700_000_000.0,
        "bid": close - 0.5,
        "ask": close + 0.5,
    }


def fastest_ms(call: Callable[[], object]) -> float:
    """Return the fastest of a few calls."""
    found = []
    for _ in range(PASSES):
        begun = perf_counter()
        call()
        found.append(perf_counter() - begun)
    return min(found) * 1e3


def taken_by_talib(kind: Kind, params: tuple[float, ...], columns: list[Column]) -> Callable[[], object] | None:
    """Return TA-Lib's call for a kind, or None where it has none, or means something else by the name."""
    function: Callable[..., object] | None = getattr(
        talib, NAMES.get(kind.name, kind.name.upper().replace("CDL_", "CDL")), None
    )
    if function is None:
        return None
    # TA-Lib takes bars as whole numbers and deviations as floats only.
    typed = tuple(int(value) if param.whole else value for value, param in zip(params, kind.params, strict=True))
    given = ARGUMENTS.get(kind.name, tuple)(typed)

    def call() -> object:
        found: object = function(*columns, *given)
        return found

    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it refuses, it is not the same thing
        print(f"{kind.name}: not TA-Lib's: {error}", file=sys.stderr)
        return None
    return call


def taken_by_polars(kind: Kind, params: tuple[float, ...], frame: pl.DataFrame) -> Callable[[], object] | None:
    """Return polars' call for a kind, or None where it has none."""
    if kind.name not in POLARS:
        return None
    typed = (int(value) if param.whole else value for value, param in zip(params, kind.params, strict=True))
    made = POLARS[kind.name](*map(pl.col, kind.sources), *typed)
    several = made if isinstance(made, tuple) else (made,)
    expressions = [one.alias(str(index)) for index, one in enumerate(several)]
    return lambda: tuple(column.to_numpy() for column in frame.select(expressions))


def is_same(found: tuple[Column, ...], told: object) -> bool:
    """Return whether all outputs agree, once the other has settled."""
    theirs = told if isinstance(told, tuple | list) else (told,)
    if len(theirs) != len(found):
        return False
    for one, other in zip(found, theirs, strict=True):
        ours, their = one[SETTLED:], np.asarray(other, np.float64)[SETTLED:]
        scale = float(np.nanmax(np.abs(their), initial=0.0)) or 1.0
        if not np.allclose(ours, their, rtol=NEAR, atol=NEAR * scale, equal_nan=True):
            return False
    return True


def measure() -> dict[str, object]:
    """Time every kind."""
    columns = market()
    frame = pl.DataFrame({name: columns[name] for name in ("open", "high", "low", "close", "volume")})
    times: dict[str, dict[str, float]] = {}
    ratios: dict[str, dict[str, float]] = {"talib": {}, "polars": {}}
    different: dict[str, list[str]] = {"talib": [], "polars": []}
    for kind in KINDS.values():
        params = tuple(param.default for param in kind.params)
        read = [columns[source] if source in columns else columns["volume"] for source in kind.sources]
        indicator = Indicator(kind.name, params, kind.sources, kind.outputs)
        found = indicator.start().batch(*read)
        line = {"ours_ms": fastest_ms(lambda: indicator.start().batch(*read))}  # noqa: B023 - called at once
        calls = {"talib": taken_by_talib(kind, params, read), "polars": taken_by_polars(kind, params, frame)}
        for who, call in calls.items():
            if call is not None and is_same(found, call()):
                line[f"{who}_ms"] = fastest_ms(call)
                ratios[who][kind.name] = line["ours_ms"] / line[f"{who}_ms"]
            elif call is not None:
                different[who].append(kind.name)
        times[kind.name] = line
    beside = ratios["talib"]
    slowest = max(beside, key=lambda name: beside[name])
    return {
        "rows": ROWS,
        "kinds": len(KINDS),
        "compared": len(beside),
        "median_ratio": statistics.median(beside.values()),
        "slowest_ratio": beside[slowest],
        "slowest": slowest,
        "over_twice": ", ".join(f"{name} {ratio:.2f}" for name, ratio in sorted(beside.items()) if ratio > 2.0),
        "not_the_same": ", ".join(different["talib"]),
        "polars_compared": len(ratios["polars"]),
        "polars_median_ratio": statistics.median(ratios["polars"].values()),
        "polars_not_the_same": ", ".join(different["polars"]),
        "by_kind": times,
    }


def main() -> None:
    """Measure and print."""
    print(json.dumps(measure()))


if __name__ == "__main__":
    main()
