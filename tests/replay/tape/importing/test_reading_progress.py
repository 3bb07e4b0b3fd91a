"""How much of a file has been read is told while it is read, however it is packed."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from replay.tape.importing import csv_text, inspect, json_text, read, typed

ROWS = 4_000
START_MS = 1_704_067_200_000


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip", "a.json", "a.parquet"])
def test_what_was_read_grows_to_all_of_it(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "BLOCK_BYTES", 8_192)
    monkeypatch.setattr(json_text, "BLOCK_BYTES", 8_192)
    monkeypatch.setattr(typed, "SLICE_ROWS", 300)
    index = pl.int_range(0, ROWS, eager=True)
    frame = pl.DataFrame({"ts": START_MS + 60_000 * index, "value": (index * 7_919 % 1_009) / 7})
    path, text = tmp_path / name, frame.write_csv()
    if name == "a.csv":
        path.write_text(text)
    elif name == "a.csv.gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif name == "a.zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, half in enumerate((frame[: ROWS // 2], frame[ROWS // 2 :])):
                archive.writestr(f"{part}.csv", half.write_csv())
    elif name == "a.json":
        path.write_text("\n".join(json.dumps(row) for row in frame.iter_rows(named=True)))
    else:
        frame.write_parquet(path)
    told: list[float] = []
    rows = 0
    for each in read(path, inspect(path, kind="values"), progress=told.append):
        rows += each.height
    assert rows == ROWS
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    assert len(told) > 4
    assert 0 < told[0] < 0.6
