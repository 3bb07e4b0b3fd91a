"""Files from anywhere as rows of the catalogue: looked at first, shown, and only then taken.

    layout = inspect("BTCUSDT-1m-2024-01.zip")
    for frame in read("BTCUSDT-1m-2024-01.zip", layout):
        ...

A file is read a stretch at a time, so that it may be larger than memory. What has no meaning is refused with one line
that names file, row and column; nothing is repaired here.
"""

from replay.tape.importing.describing import described
from replay.tape.importing.detection import inspect
from replay.tape.importing.layout import Column, Layout, Table
from replay.tape.importing.names import LAYOUT_NAMES
from replay.tape.importing.reading import read

__all__ = ["LAYOUT_NAMES", "Column", "Layout", "Table", "described", "inspect", "read"]
