"""What holds in every room of the tests."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Take what was collected out of the search for garbage: ten thousand tests and their modules, which stay."""
    gc.freeze()
