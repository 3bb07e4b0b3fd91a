"""Parquet files of strangers are read by another process first, which alone ends over them."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

from replay.tape import proof
from replay.tape.prover import trouble_of

DIES = """
import json, os, sys
print("{}", flush=True)
for line in sys.stdin:
    name = os.path.basename(json.loads(line)["path"])
    if name == "bad.parquet":
        os.abort()
    print(json.dumps({"trouble": "odd" if name == "odd.parquet" else None}), flush=True)
    if name == "last.parquet":
        break
"""


@pytest.fixture
def prover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> proof.Prover:
    """Return one whose other process ends over some files."""
    (tmp_path / "dies.py").write_text(DIES)
    monkeypatch.setattr(proof, "_PROVER", tmp_path / "dies.py")
    return proof.Prover()


def test_the_other_process_ends_over_a_file_and_another_one_takes_its_place(
    prover: proof.Prover, tmp_path: Path
) -> None:
    files = {name: tmp_path / f"{name}.parquet" for name in ("good", "bad", "odd", "last")}
    for file in files.values():
        file.touch()
    prover.prove(files["last"], "parquet")  # and goes: idle for too long
    prover.prove(files["good"], "parquet")
    for _ in range(2):
        with pytest.raises(proof.UnreadableError, match=r"^it is damaged: whoever reads it breaks off$"):
            prover.prove(files["bad"], "parquet")
    with pytest.raises(proof.UnreadableError, match=r"^odd$"):
        prover.prove(files["odd"], "parquet")
    prover.prove(files["good"], "parquet")
    with pytest.raises(FileNotFoundError):
        prover.prove(tmp_path / "none.parquet", "parquet")
    prover.end()


@pytest.mark.parametrize("interpreter", ["/nowhere/python", "/bin/true"])
def test_where_no_process_can_be_started_nothing_is_proven(
    prover: proof.Prover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    monkeypatch.setattr(sys, "executable", interpreter)
    (tmp_path / "bad.parquet").touch()
    prover.begin()
    prover.prove(tmp_path / "bad.parquet", "parquet")
    prover.end()


def test_a_file_is_read_to_its_last_row(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": range(600_000)})
    frame.write_parquet(tmp_path / "a.parquet", compression="uncompressed", statistics=False)
    frame.write_ipc(tmp_path / "a.feather")
    assert trouble_of(str(tmp_path / "a.parquet"), "parquet") is None
    assert trouble_of(str(tmp_path / "a.feather"), "feather") is None
    assert trouble_of(str(tmp_path / "a.feather"), "parquet") is not None
