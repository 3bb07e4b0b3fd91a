"""W1, the workload of every engine here: its bars, its rule, and what must come out.

The bars are a geometric random walk of one-minute candles::

    close[t] = round(20_000 * exp(cumsum(normal(0, 0.0008))), 2)        numpy default_rng(7)
    open[t]  = close[t - 1], open[0] = 20_000.00
    high, low: around open and close, from a generator of their own
    volume: 10 to 100, so that a quarter of a bar's volume always exceeds an order of 0.1
    ts: open time, UTC milliseconds, from 2020-01-01

Because `open[t + 1] == close[t]`, an engine that fills at this close and one that fills at the next
open trade at the same price, and their results may be compared to the cent. Streams are drawn front
to back, so a shorter tape is always the beginning of a longer one.

The rule is `ema_cross` 10/20 on closes: an EMA is seeded with the simple mean of its first `period`
closes, as TA-Lib does; long 0.1 when the fast one was at or below the slow one and is now above,
flat on the opposite cross. The market order decided on bar t fills at the open of t + 1; taker fee
0.1 %; the account starts with 100,000.

What must come out of 500,000 bars: 22,270 fills and an equity of 51,715.91337900. An engine whose
EMA is seeded with the first close instead also makes 22,270 fills and ends at 51,718.19.

numpy and polars are imported only where bars are drawn: the programs that do nothing but start
others import this module too, and must stay thin (`bench.process` says why).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

BARS = 500_000
FAST_PERIOD = 10
SLOW_PERIOD = 20
QUANTITY = 0.1
TAKER_FEE = 0.001
CASH = 100_000

EXPECTED_FILLS = 22_270
EXPECTED_EQUITY_ATOMS = 5_171_591_337_900
EXPECTED_CLOSES_SHA256 = "46984795020a2a4786b096c776c3f48322a209f74e6ca5e40c8137333a373ff3"

SEED = 7
SIGMA_PER_BAR = 0.0008
PRICE_START = 20_000.0
TICKS_PER_UNIT = 100
TS_START_MS = 1_577_836_800_000
BAR_MS = 60_000

OUT = Path(__file__).resolve().parent / "out"


def cash_for(bars: int) -> int:
    """Return the starting cash: W1's own up to W1's length, growing with the tape beyond it.

    The rule loses its fees, about 0.1 per bar; on ten times as many bars 100,000 would run out
    half-way and every engine would do something else from there on.
    """
    return CASH * max(1, -(-bars // BARS))


def build(bars: int = BARS) -> pl.DataFrame:
    """Draw the first `bars` bars of W1."""
    import numpy as np
    import polars as pl

    if bars < 1:
        msg = f"a tape needs at least one bar, not {bars}"
        raise ValueError(msg)
    returns = np.random.default_rng(SEED).normal(0.0, SIGMA_PER_BAR, bars)
    closes = np.round(PRICE_START * np.exp(np.cumsum(returns)), 2)
    opens = np.concatenate(([PRICE_START], closes[:-1]))
    above, below = (
        np.abs(np.random.default_rng((SEED, stream)).normal(0.0, SIGMA_PER_BAR / 2, bars)) for stream in (1, 2)
    )
    highs = np.round(np.maximum(opens, closes) * (1.0 + above), 2)
    lows = np.round(np.minimum(opens, closes) * (1.0 - below), 2)
    volumes = np.round(np.random.default_rng((SEED, 3)).uniform(10.0, 100.0, bars), 3)
    return pl.DataFrame(
        {
            "ts": TS_START_MS + BAR_MS * np.arange(bars, dtype=np.int64),
            "open": opens,
            "high": highs,
            "low": lows,
            "close": closes,
            "volume": volumes,
        }
    )


def closes_sha256(tape: pl.DataFrame) -> str:
    """Hash the closes in ticks: equal hashes mean that two machines drew the same walk.

    numpy's `exp` may differ in its last bit between processors. After rounding to the tick that
    almost never shows; if it does, figures stay comparable within one run and only `EXPECTED_*`
    does not apply.
    """
    import numpy as np

    ticks = np.rint(tape["close"].to_numpy() * TICKS_PER_UNIT).astype("<i8")
    return hashlib.sha256(ticks.tobytes()).hexdigest()


def tape_path(bars: int = BARS) -> Path:
    """Return where the tape of that length is kept; it need not exist."""
    return OUT / f"w1-{bars}.parquet"


def ensure(bars: int = BARS) -> Path:
    """Return the path of the tape, drawing and writing it first if it is not there."""
    path = tape_path(bars)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        build(bars).write_parquet(unfinished)
        unfinished.replace(path)
    return path


def main() -> int:
    """Write the tapes asked for and print where they lie."""
    import polars as pl

    parser = argparse.ArgumentParser(description="draw the tapes of workload W1")
    parser.add_argument("--bars", type=int, nargs="+", default=[BARS])
    arguments = parser.parse_args()
    for bars in arguments.bars:
        path = ensure(bars)
        checksum = closes_sha256(pl.read_parquet(path, columns=["close"]))
        print(f"{path}  closes sha256 {checksum}")
        if bars == BARS and checksum != EXPECTED_CLOSES_SHA256:
            print("this machine draws another walk; EXPECTED_* does not apply here", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
