"""The two lines that say how it stands."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.reactive import reactive

from tui.figures import NOTHING, count, duration, moment, money, words
from tui.panels.figure import Figure
from tui.panels.positions import tone_of_profit
from tui.theme import TONE_OF_STATE

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.status import Status


_TICK_S = 1.0


class Header(Vertical):
    """State, session, inputs, uptime and clock; below them money and the age of the feed."""

    DEFAULT_CSS = """
    Header {
        height: 2;
        padding: 0 1;
        & > Horizontal { height: 1; }
        & #state { text-style: bold; }
        & #session { width: 1fr; color: $muted; }
        & #clock { margin-right: 0; }
    }
    """

    status: reactive[Status | None] = reactive(None, repaint=False)
    """What the daemon said last."""
    heard_s: reactive[float | None] = reactive(None, repaint=False)
    """Monotonic time of the newest input."""

    def compose(self) -> ComposeResult:
        """Lay out the figures."""
        with Horizontal():
            yield Figure("", id="state")
            yield Figure("", id="session")
            yield Figure("inputs", id="inputs")
            yield Figure("up", id="uptime")
            yield Figure("", id="clock")
        with Horizontal():
            yield Figure("equity", id="equity")
            yield Figure("day", id="day")
            yield Figure("open", id="open")
            yield Figure("cash", id="cash")
            yield Figure("realised", id="realised")
            yield Figure("fees", id="fees")
            yield Figure("feed", id="feed")

    def on_mount(self) -> None:
        """Let the feed grow older."""
        self.set_interval(_TICK_S, self._age)

    def watch_heard_s(self) -> None:
        """Show how old the newest input is."""
        self._age()

    def _age(self) -> None:
        feed = self._figure("feed")
        feed.value = NOTHING if self.heard_s is None else duration(time.monotonic() - self.heard_s)
        feed.tone = "warn" if self.status is not None and self.status.stale else "plain"

    def watch_status(self, status: Status | None) -> None:
        """Show a new status."""
        if status is None:
            return
        state = self._figure("state")
        state.value = f"● {words(status.state)}"
        state.tone = TONE_OF_STATE.get(status.state, "plain")
        self._figure("session").value = f"{words(status.session)} · run {status.run} · {words(status.mode)}"
        self._figure("clock").value = f"{moment(status.clock.ts_ns)} UTC"
        self._figure("equity").value = money(status.equity)
        day = self._figure("day")
        day.value = money(status.day_profit, signed=True)
        day.tone = tone_of_profit(status.day_profit)
        gains = (row.unrealized_pnl for row in status.positions)
        gain = sum((one for one in gains if one is not None and one.is_finite()), Decimal(0))
        open_profit = self._figure("open")
        open_profit.value = money(gain, signed=True)
        open_profit.tone = tone_of_profit(gain)
        self._figure("cash").value = money(status.cash)
        realised = self._figure("realised")
        realised.value = money(status.realized_pnl, signed=True)
        realised.tone = tone_of_profit(status.realized_pnl)
        self._figure("fees").value = money(status.fees)
        self._figure("uptime").value = duration(status.uptime_s)
        self._figure("inputs").value = count(status.last_input.seq)

    def _figure(self, name: str) -> Figure:
        return self.query_one(f"#{name}", Figure)
