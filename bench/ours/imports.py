"""Import a CSV of klines into a catalogue, as a user would, or write it as Parquet with polars (the bound) or pandas.

Each way is a process of its own, measured from its start to its exit. Ours reads the file twice (its SHA-256 goes
into the manifest), checks every row, merges by month, hashes and syncs what it has written; the others do none of this.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench import workload
from bench.measures import PEERS_PYTHON
from bench.ours.replay import PITBOSS
from bench.process import run_to_end

ROWS = 5_000_000
_NAMES = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time"),
    *("quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
_PLAIN = """
import polars as pl, sys
table = pl.scan_csv(sys.argv[1]).select(
    (pl.col("open_time") * 1_000_000).alias("ts"), "open", "high", "low", "close", "volume",
    "quote_volume", pl.col("count").alias("trades"), pl.col("taker_buy_volume").alias("taker_volume"))
table.sink_parquet(sys.argv[2])
"""
_PANDAS = """
import pandas, pyarrow, pyarrow.parquet, sys
names = {"open_time": "ts", "open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume",
         "quote_volume": "quote_volume", "count": "trades", "taker_buy_volume": "taker_volume"}
writer = None
for frame in pandas.read_csv(sys.argv[1], usecols=list(names), chunksize=500_000):
    frame["open_time"] *= 1_000_000
    table = pyarrow.Table.from_pandas(frame.rename(columns=names), preserve_index=False)
    writer = writer or pyarrow.parquet.ParquetWriter(sys.argv[2], table.schema, compression="zstd")
    writer.write_table(table)
writer.close()
"""


def klines_path(rows: int) -> Path:
    """Return where the klines of that length are kept; the file need not exist."""
    return workload.OUT / f"klines-{rows}.csv"


def draw(rows: int) -> None:
    """Write W1's bars as Binance's public klines, all twelve columns."""
    import polars as pl

    volume, close = pl.col("volume"), pl.col("close")
    table = (
        workload.build(rows)
        .rename({"ts": "open_time"})
        .with_columns(
            close_time=pl.col("open_time") + workload.BAR_MS - 1,
            quote_volume=(volume * close).round(5),
            count=(volume * 10).cast(pl.Int64),
            taker_buy_volume=(volume / 2).round(3),
            taker_buy_quote_volume=(volume * close / 2).round(5),
            ignore=pl.lit(0),
        )
    )
    path = klines_path(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    table.select(_NAMES).write_csv(unfinished)
    unfinished.replace(path)


def argv_of(way: str, rows: int, folder: str) -> list[str]:
    """Return the command that takes the klines over."""
    if way == "polars":
        return [sys.executable, "-c", _PLAIN, str(klines_path(rows)), f"{folder}/plain.parquet"]
    if way == "pandas":
        return [str(PEERS_PYTHON), "-c", _PANDAS, str(klines_path(rows)), f"{folder}/pandas.parquet"]
    return [
        str(PITBOSS), "data", "import", str(klines_path(rows)),
        "--venue", "bench", "--symbol", "W1",
        "--data-dir", folder,
        "--json",
    ]  # fmt: skip


def main() -> int:
    """Import once and print the line; a failing import fails this program with its message."""
    parser = argparse.ArgumentParser(description="import klines")
    parser.add_argument("way", choices=("pitboss", "polars", "pandas", "draw"))
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    rows: int = arguments.rows
    if arguments.way == "draw":
        draw(rows)
        return 0
    if not klines_path(rows).exists():
        drawn = run_to_end((sys.executable, "-m", "bench.ours.imports", "draw", "--rows", str(rows)))
        if (complaint := drawn.complaint()) is not None:
            print(complaint, file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory(dir=workload.OUT) as folder:
        finished = run_to_end(argv_of(arguments.way, rows, folder))
    if (complaint := finished.complaint()) is not None:
        print(complaint, file=sys.stderr)
        return 1
    line = {
        "rows": json.loads(finished.stdout)["rows"] if arguments.way == "pitboss" else rows,
        "rows_per_s": rows / finished.elapsed_s,
        "process_s": finished.elapsed_s,
        "cpu_s": finished.cpu_s,
        "peak_rss_mb": finished.peak_rss_mb,
    }
    print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
