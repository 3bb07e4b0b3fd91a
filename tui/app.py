"""The console: looks at one daemon over HTTP, and sends it commands.

One worker asks for the status and hands it down to the panels as a reactive attribute; a command is a worker of
its own, so that nothing a person does ever waits for the network. When the daemon is away the last values stay,
dimmed, and the worker keeps asking at growing intervals until it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from itertools import takewhile
from typing import ClassVar

import msgspec
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Footer

from tui.client import Action, AwayError, DaemonClient, InDoubtError, RefusedError, Status
from tui.dialogs.confirm import Confirm
from tui.dialogs.help import Help
from tui.figures import counted, words
from tui.panels.actors import Actors
from tui.panels.banner import Away, Banner
from tui.panels.commands import Commands
from tui.panels.dead_letters import DeadLetters
from tui.panels.equity import Equity
from tui.panels.header import Header
from tui.panels.orders import Orders
from tui.panels.positions import Positions
from tui.theme import PITBOSS

_WIDE_COLUMNS = 110
_TALL_LINES = 32


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often the console asks, in seconds."""

    poll_s: float = 1.0
    """Between two answers."""
    retry_s: float = 0.5
    """After the first request without an answer; doubles each time."""
    retry_s_max: float = 8.0
    """Longest such pause."""
    sends_max: int = 3
    """How often one command is sent, under one key, until an answer comes."""


class Console(App[None]):
    """The console of one daemon.

    Args:
        url: where its control endpoint listens.
        token: the bearer token.
        pace: how often to ask.
    """

    TITLE = "pitboss"
    CSS_PATH = "console.tcss"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE_COLUMNS, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (_TALL_LINES, "-tall")]  # noqa: RUF012 - the same
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause"),
        Binding("r", "resume", "Resume"),
        Binding("f", "flatten", "Flatten"),
        Binding("s", "stop", "Stop"),
        Binding("z", "zoom", "Zoom"),
        Binding("escape", "unzoom", show=False),
        Binding("q", "quit", "Quit"),
        Binding("question_mark", "help", "Help", key_display="?"),
    ]

    status: reactive[Status | None] = reactive(None)
    """The newest status there is; None until the daemon has answered once."""
    away: reactive[Away | None] = reactive(None)
    """Set while the daemon does not answer."""
    sealed: reactive[bool] = reactive(default=False)
    """Whether the session shown was told to stop: the daemon's absence is then no trouble."""

    def __init__(self, url: str, token: str, *, pace: Pace | None = None) -> None:
        super().__init__()
        self.register_theme(PITBOSS)
        self.theme = PITBOSS.name
        self._client = DaemonClient(url, token)
        self._pace = pace or Pace()
        self._wake = asyncio.Event()
        """Set to ask for the status at once."""
        self._under_way: set[Action] = set()
        self._sealed_session: str | None = None

    def compose(self) -> ComposeResult:
        """Lay out the panels, each bound to the status."""
        yield Header().data_bind(Console.status)
        yield Banner().data_bind(Console.status, Console.away, Console.sealed)
        with Container(id="body"):
            with Container(id="account", classes="side"):
                yield Equity(classes="panel").data_bind(Console.status)
                yield Positions(classes="panel").data_bind(Console.status)
                yield Orders(classes="panel").data_bind(Console.status)
            with Container(id="house", classes="side"):
                yield Actors(classes="panel").data_bind(Console.status)
                with Container(id="asides", classes="side"):
                    yield Commands(classes="panel").data_bind(Console.status)
                    yield DeadLetters(classes="panel").data_bind(Console.status)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to ask."""
        self.watch_daemon()

    # --- what the daemon says -----------------------------------------------------------------------

    @work(exclusive=True, group="status")
    async def watch_daemon(self) -> None:
        """Ask for the status until the console closes."""
        pause_s = self._pace.retry_s
        async with self._client:
            while True:
                try:
                    status = await self._client.status()
                except (AwayError, RefusedError) as error:
                    self._miss(str(error), pause_s)
                    await self._pause(pause_s)
                    pause_s = min(pause_s * 2, self._pace.retry_s_max)
                else:
                    self._hear(status)
                    pause_s = self._pace.retry_s
                    await self._pause(self._pace.poll_s)

    def _hear(self, status: Status) -> None:
        self.sealed = status.session == self._sealed_session or any(
            command.action == "stop" and command.outcome == "done" for command in status.commands
        )
        self.away = None
        self.status = status

    def _miss(self, reason: str, pause_s: float) -> None:
        now_s = time.monotonic()
        since_s = now_s if self.away is None else self.away.since_s
        self.away = Away(self._client.url, reason, since_s, now_s + pause_s)

    async def _pause(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), pause_s)
        self._wake.clear()

    def watch_away(self, away: Away | None) -> None:
        """Dim what is old."""
        self.screen_stack[0].set_class(away is not None, "-away")

    def look(self) -> None:
        """Ask for the status now instead of at the end of a pause."""
        self._wake.set()

    # --- what is asked of it ------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Send a pause."""
        self.send("pause")

    def action_resume(self) -> None:
        """Send a resume."""
        self.send("resume")

    def action_flatten(self) -> None:
        """Send a flatten, once confirmed."""
        status = self.status
        held = ""
        if status is not None:
            held = f" ({counted(len(status.orders), 'order')}, {counted(len(status.positions), 'position')})"
        self._ask(
            "flatten",
            "Flatten the account?",
            f"Cancels every order of ours and closes every position{held} at the market. "
            "Trading then stays paused until you resume it.",
        )

    def action_stop(self) -> None:
        """Send a stop, once confirmed."""
        status = self.status
        session = "its session" if status is None else f"session {words(status.session)}"
        held = ""
        if status is not None and status.positions:
            held = f" What is open stays as it is: {counted(len(status.positions), 'position')}."
        self._ask("stop", "Stop the daemon?", f"Ends the daemon and seals {session}; it cannot be continued.{held}")

    def _ask(self, action: Action, question: str, consequences: str) -> None:
        def answered(yes: bool | None) -> None:  # noqa: FBT001 - Textual passes it by position
            if yes:
                self.send(action)

        self.push_screen(Confirm(question, Content(consequences), action.capitalize()), answered)

    def send(self, action: Action) -> None:
        """Send a command, unless the same one is still under way."""
        if action not in self._under_way:
            self._under_way.add(action)
            self._deliver(action)

    @work(group="commands")
    async def _deliver(self, action: Action) -> None:
        """Send one command under one key until an answer comes, and say so where none does."""
        key = secrets.token_hex(16)
        in_doubt = False
        try:
            for attempt_index in range(self._pace.sends_max):
                if attempt_index:
                    await asyncio.sleep(self._pace.retry_s)
                try:
                    await self._client.control(action, key)
                except AwayError as error:
                    in_doubt = in_doubt or isinstance(error, InDoubtError)
                    reason = str(error)
                else:
                    if action == "stop" and self.status is not None:
                        self._sealed_session = self.status.session
                        self.sealed = True
                    return
            fate = "in doubt: it may or may not have been taken" if in_doubt else "not sent"
            self._complain(action, f"{fate} ({reason})")
        except RefusedError as error:
            self._complain(action, f"refused: {error}")
        finally:
            self._under_way.discard(action)
            self.look()

    def _complain(self, action: Action, trouble: str) -> None:
        self.notify(words(trouble), title=action.capitalize(), severity="error", timeout=10, markup=False)

    # --- the console itself -------------------------------------------------------------------------

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Help())

    def action_zoom(self) -> None:
        """Give the whole body to the panel that has the focus, or take it back."""
        panel = self.focused
        if self.screen.has_class("-zoomed"):
            self.action_unzoom()
        elif panel is not None and panel.has_class("panel"):
            self.screen.add_class("-zoomed")
            for widget in takewhile(lambda widget: widget.id != "body", panel.ancestors_with_self):
                widget.add_class("-zoom")

    def action_unzoom(self) -> None:
        """Show all panels again."""
        self.screen.remove_class("-zoomed")
        self.screen.query(".-zoom").remove_class("-zoom")
