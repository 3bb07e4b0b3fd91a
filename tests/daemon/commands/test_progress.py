"""The bar of long commands: it moves, ends at the count, and is silent where nobody looks."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from daemon.commands.progress import is_watched, progress_bar


def shown(*steps: int, total: int) -> list[int]:
    """Return the percentages that were to be seen."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with progress_bar("import bars", total, is_shown=True, console=console) as show:
        for step in steps:
            show(step, f"{step:,} rows")
    text = screen.getvalue()
    assert "import bars" in text
    assert f"{steps[-1]:,} rows" in text
    return [int(each) for each in re.findall(r"(\d+)%", text)]


def test_the_bar_moves_with_what_is_done_and_ends_at_the_count() -> None:
    percents = shown(10, 2_500, 5_000, 9_900, total=10_000)
    assert percents == sorted(percents)
    assert {25, 50, 99} <= set(percents), "each of them at once, not at the next tenth of a second"
    assert percents[-1] == 100


def test_more_than_there_is_to_do_is_all_of_it() -> None:
    assert max(shown(50, 120, total=100)) == 100
    assert shown(0, total=0)[-1] == 100


def test_nothing_is_shown_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    assert not is_watched()
    with progress_bar("import bars", 10, is_shown=is_watched()) as show:
        show(5, "5 rows")
    assert capfd.readouterr() == ("", "")
