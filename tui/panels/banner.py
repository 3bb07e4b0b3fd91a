"""The one line for what a person must know now; empty when all is well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.figures import duration, time_of_day, words
from tui.panels.table import elide
from tui.theme import Tone

if TYPE_CHECKING:
    from tui.status import Status

_TICK_S = 1.0


class Away(msgspec.Struct, frozen=True):
    """That the daemon does not answer."""

    url: str
    reason: str
    since_s: float
    """Monotonic time of the last answer; of the first request without one if there never was any."""
    retry_s: float
    """Monotonic time of the next attempt."""
    refused: bool = False
    """Whether somebody is there and says no."""


class Banner(Widget):
    """Says in one line why the daemon does not answer, or does not trade."""

    DEFAULT_CSS = """
    Banner {
        height: 1;
        padding: 0 1;
        &.-muted { color: $muted; }
        &.-good { color: $success; }
        &.-warn { color: $warning; }
        &.-bad { color: $error; }
        &.-away { background: $error; color: $background; text-style: bold; }
        &.-ended { background: $panel; color: $foreground; }
    }
    """

    status: reactive[Status | None] = reactive(None, repaint=False)
    """What the daemon said last."""
    away: reactive[Away | None] = reactive(None)
    """Set while the daemon does not answer."""
    sealed: reactive[bool] = reactive(default=False)
    """Whether its session was told to stop: then its silence is no trouble."""
    text: reactive[str] = reactive("")
    """What is shown."""
    looks: reactive[str] = reactive("plain")
    """How: a tone, or `away`, or `ended`."""

    def on_mount(self) -> None:
        """Count the seconds of an absence."""
        self._tell()
        self.set_interval(_TICK_S, self._count)

    def render(self) -> Content:
        """Return the line, cut to the width."""
        return Content(elide(self.text, self.content_size.width))

    def watch_status(self) -> None:
        """Read a new status."""
        self._tell()

    def watch_away(self) -> None:
        """Tell that the daemon went away, or came back."""
        self._tell()

    def watch_sealed(self) -> None:
        """Tell that it was told to stop."""
        self._tell()

    def _count(self) -> None:
        if self.away is not None:
            self._tell()

    def _tell(self) -> None:
        if self.away is not None:
            looks, self.text = self._absence(self.away)
        elif self.status is None:
            looks, self.text = "muted", "connecting"
        else:
            looks, self.text = _condition(self.status)
        self.looks = looks

    def watch_text(self, text: str) -> None:
        """Take a line only where there is something to say."""
        self.display = bool(text)

    def watch_looks(self, old: str, new: str) -> None:
        """Wear the looks as a class."""
        self.remove_class(f"-{old}")
        self.add_class(f"-{new}")

    def _absence(self, away: Away) -> tuple[str, str]:
        now_s = time.monotonic()
        wait_s, gone_s = away.retry_s - now_s, now_s - away.since_s
        again = f"trying again in {duration(wait_s)}" if wait_s >= 1 else "trying again"
        if self.status is None:
            who = f"The daemon at {away.url} says" if away.refused else f"No daemon at {away.url}"
            return "away", f"{who}: {words(away.reason)}; {again}"
        if self.sealed:
            return "ended", f"The daemon has stopped; session {words(self.status.session)} is sealed"
        if self.status.state == "stopping":
            return "ended", f"The daemon has stopped; session {words(self.status.session)} stays open"
        since = time_of_day(time.time_ns() - int(gone_s * 1e9))
        what = "Daemon refuses" if away.refused else "Daemon away"
        return "away", f"{what}, data of {since} UTC, {duration(gone_s)} old: {words(away.reason)}; {again}"


def _condition(status: Status) -> tuple[Tone, str]:
    """Return how the trading of a daemon that answers is looked upon, and the line for it."""
    reason = words(status.reason)
    if status.state == "halted":
        return "bad", f"Halted: {reason or 'no reason given'}"
    if status.stale:
        return "warn", f"Bars of {', '.join(words(symbol) for symbol in status.stale)} are overdue"
    if status.state in ("paused", "flattening") and reason:
        return "warn", f"{status.state.capitalize()}: {reason}"
    if status.tape_ended:
        return "muted", "The tape has ended; the daemon idles until told to stop"
    return "plain", ""
