"""A bar that says how far a long command is, for people who look; nothing where nobody does."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    Show = Callable[[int, str], None]


def is_watched() -> bool:
    """Return whether there is a terminal to show progress on."""
    return sys.stderr.isatty()


def say_nothing(done: int, words: str) -> None:
    """Show no progress."""


@contextmanager
def progress_bar(title: str, total: int, *, is_shown: bool, console: Console | None = None) -> Iterator[Show]:
    """Show how much is done; the bar goes when all is, or when it comes to nothing.

    Args:
        title: what is done.
        total: how much there is to do, in any unit.
        is_shown: whether to show anything at all.
        console: where to; the standard error unless given.

    Yields:
        What to call with how much is done by now, and a word on it.
    """
    if not is_shown:
        yield say_nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[words]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console or Console(stderr=True, emoji=False), transient=True) as progress:
        task = progress.add_task(title, total=max(total, 1), words="")
        percent = 0

        def show(done: int, words: str) -> None:
            nonlocal percent
            progress.update(task, completed=min(done, total), words=words)
            if (now := min(done, total) * 100 // max(total, 1)) != percent:
                percent = now
                progress.refresh()

        yield show
        progress.update(task, completed=max(total, 1), refresh=True)
