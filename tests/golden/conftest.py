"""Recorded bars as plain lists, for loops that know nothing of the product."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of recorded market data, or skip the test."""
    folder = Path(os.environ.get("PITBOSS_SHARED_DATA", ROOT / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded data at {folder} (set PITBOSS_SHARED_DATA)")
    return folder
