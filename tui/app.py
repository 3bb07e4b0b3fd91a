"""The console: looks at one daemon over HTTP and WebSocket, and sends it commands.

One worker listens to the stream, or asks for the status where there is none, and hands what it hears down to the
panels as a reactive attribute; another asks for what only history has. A command is a worker of its own, so that
nothing a person does ever waits for the network. When the daemon is away the last values stay, dimmed, and the worker
keeps trying at growing intervals until it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.containers import Container
from textual.reactive import reactive

from config.errors import UserError
from tui.asking import Asking
from tui.client import AwayError, DaemonClient, NoConsoleError, RefusedError
from tui.debugging import Debugging, replay_bindings
from tui.dialogs.help import Help
from tui.palette import Palette
from tui.panels.banner import Away, Banner
from tui.panels.chart import BARS_ASKED, Chart
from tui.panels.commands import Commands
from tui.panels.dead_letters import DeadLetters
from tui.panels.equity import Equity
from tui.panels.fills import Fills
from tui.panels.header import Header
from tui.panels.keys import Keys
from tui.panels.limits import Limits
from tui.panels.log_tail import LINES_MAX, LogTail
from tui.panels.orders import Orders
from tui.panels.pages import CONNECTING, DEBUG, PAGES, Pages
from tui.panels.positions import Positions
from tui.panels.profit import PERIODS_ASKED, Profit
from tui.panels.strategies import Strategies
from tui.sending import Sending
from tui.status import Status
from tui.stream import Fill, Told
from tui.theme import shades

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import aiohttp

    from tui.client import EquityCurve
    from tui.replay import Replay

_WIDE_COLUMNS = 110
_TALL_LINES = 32
_FILLS_MAX = 500
_EQUITY_POINTS = 500
_PROFIT_EVERY = 5
"""Looks at what else is shown between two at the profit, which is read from all of the session."""
_MANY_COLOURS = ("256", "truecolor")


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often the console asks, in seconds."""

    poll_s: float = 1.0
    """Between two answers, where there is no stream."""
    retry_s: float = 0.5
    """After the first request without an answer; doubles each time."""
    retry_s_max: float = 8.0
    """Longest such pause."""
    follow_s: float = 1.0
    """Between two looks at the log, or at bars that have closed."""
    quiet_s: float = 5.0
    """After so long a silence of the stream the daemon is asked whether it is there."""
    patience_s: float = 1.5
    """A command that takes longer is spoken of meanwhile."""
    sends_max: int = 3
    """How often one command is sent, under one key, until an answer comes."""


class Console(Debugging, Asking, Sending, App[None]):
    """The console of one daemon.

    Args:
        url: where its control endpoint listens, or its console process.
        token: the bearer token.
        pace: how often to ask.
        connector: makes what requests travel over; plain TCP unless given.
        replays: whether it is known beforehand to be a replay; else that is asked.
        few_colours: whether the terminal has sixteen colours at most; unless given that is asked of its TERM.
        look_up: tells address and token anew, while there is no answer; may raise UserError.
    """

    TITLE = "pitboss"
    CSS_PATH = "console.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {Palette}
    AUTO_FOCUS = None
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE_COLUMNS, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (_TALL_LINES, "-tall")]  # noqa: RUF012 - the same
    BINDINGS: ClassVar[list[BindingType]] = [
        *replay_bindings("play", "hold"),
        Binding("p", "pause", "Pause"),
        Binding("r", "resume", "Resume"),
        Binding("f", "flatten", "Flatten"),
        *(Binding(name[0], f"command('{name}')", show=False) for name in ("pause", "resume", "flatten")),
        *replay_bindings("step"),
        Binding("s", "stop", "Stop"),
        *replay_bindings("bar", "trade", "its_trade", "order", "veto", "error", "end", "time", "slower", "faster"),
        Binding("m", "next_messages", show=False),
        Binding("c", "cancel_order", show=False),
        Binding("x", "close_position", show=False),
        Binding("a", "restart_actor", show=False),
        Binding("t", "tighten_limit", show=False),
        Binding("P", "of_strategy('pause')", show=False),
        Binding("R", "of_strategy('resume')", show=False),
        Binding("F", "of_strategy('flatten')", show=False),
        Binding("z", "zoom", "Zoom", show=False),
        Binding("escape", "unzoom", show=False),
        Binding("d", "shade", show=False),
        Binding("colon", "command_palette", show=False),
        *(Binding(page.key, f"page('{page.name}')", show=False) for page in (*PAGES, DEBUG)),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
    ]

    status: reactive[Status | None] = reactive(None)
    """The newest status there is; None until the daemon has answered once."""
    fills: reactive[tuple[Fill, ...]] = reactive(())
    """Executions of the session, the newest first."""
    curve: reactive[EquityCurve | None] = reactive(None)
    """The equity before the console was opened, once that is known."""
    away: reactive[Away | None] = reactive(None)
    """Set while the daemon does not answer."""
    sealed: reactive[bool] = reactive(default=False)
    """Whether the session shown was told to stop: the daemon's absence is then no trouble."""
    heard_s: reactive[float | None] = reactive(None)
    """Monotonic time at which the newest input is known to have been there."""
    without: reactive[str] = reactive(CONNECTING)
    """Why there is no stream; empty while there is one."""
    replay: reactive[Replay | None] = reactive(None)
    """How the replay stands, where there is one to debug."""
    page: reactive[str] = reactive(PAGES[0].name)
    """Which page is shown."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        pace: Pace | None = None,
        connector: Callable[[], aiohttp.BaseConnector] | None = None,
        replays: bool = False,
        look_up: Callable[[], tuple[str, str]] | None = None,
        few_colours: bool | None = None,
    ) -> None:
        super().__init__()
        self.replays = replays
        if replays:
            self.set_reactive(Console.page, DEBUG.name)
        if few_colours is None:
            few_colours = self.console.color_system not in _MANY_COLOURS
        self._dark, self._light = shades(few=few_colours, grey=self.no_color)
        for theme in (self._dark, self._light):
            self.register_theme(theme)
        self.theme = self._dark.name
        self.client = DaemonClient(url, token, connector)
        self._pace = pace or Pace()
        self._look_up = look_up
        self._wake = asyncio.Event()
        """Set to ask for the status at once."""
        self._unheard = asyncio.Event()
        """Set while there is no stream."""
        self._unheard.set()
        self._found = asyncio.Event()
        """Set to try the stream at once: the daemon is back."""
        self._turn = asyncio.Event()
        """Set to ask for what the shown page has of history at once."""
        self._chart = Chart(classes="panel on-trades")
        self._log_tail = LogTail(classes="panel on-log")
        self._profit = Profit(classes="panel on-strategies")
        self._profit_due_s = 0.0
        """Monotonic time at which it is read again."""
        self._drawn: tuple[object, ...] = ()
        """What the bars that are drawn were asked by."""
        self._told = Told()
        self._executed: dict[tuple[str, str, int], Fill] = {}
        self._under_way: set[str] = set()
        self._awaited: dict[str, str] = {}
        """Commands of ours whose outcome is not known yet: what they were, by their id."""
        self._sealed_session: str | None = None
        self._answered_s: float | None = None
        """Monotonic time of the last answer."""
        self._epoch = ""
        """Of the console that numbers the lines of the log."""

    def compose(self) -> ComposeResult:
        """Lay out the panels, each bound to what it shows, and marked with the pages it is on."""
        yield Header().data_bind(Console.status, Console.heard_s)
        yield Pages().data_bind(Console.page, Console.without, Console.away, Console.replay)
        yield self._transport.data_bind(Console.replay)
        yield Banner().data_bind(Console.status, Console.away, Console.sealed)
        with Container(id="body"):
            with Container(id="left", classes="side on-account on-trades on-system on-log on-debug"):
                yield Equity(classes="panel on-account").data_bind(Console.status, Console.curve)
                yield Positions(classes="panel on-account").data_bind(Console.status)
                yield Orders(classes="panel on-account").data_bind(Console.status)
                yield self._chart.data_bind(Console.status, Console.fills)
                yield self._actors.data_bind(Console.status)
                yield self._state
                yield self._log_tail
            with Container(id="right", classes="side on-account on-trades on-strategies on-system on-debug"):
                yield Strategies(classes="panel on-account on-strategies").data_bind(Console.status)
                yield Limits(classes="panel on-account on-strategies").data_bind(Console.status)
                yield self._profit
                yield Fills(classes="panel on-account on-trades").data_bind(
                    Console.status, Console.fills, Console.without
                )
                yield Commands(classes="panel on-system").data_bind(Console.status)
                yield DeadLetters(classes="panel on-system").data_bind(Console.status)
                yield self._messages
                yield self._card
        yield Keys()

    def on_mount(self) -> None:
        """Begin to listen."""
        self.screen.add_class(f"-page-{self.page}")
        self.watch_daemon()
        self.follow()

    # --- what the daemon says -----------------------------------------------------------------------

    @work(exclusive=True, group="status")
    async def watch_daemon(self) -> None:
        """Listen to the stream, and ask where it says nothing, until the console closes."""
        async with self.client, asyncio.TaskGroup() as both:
            both.create_task(self._listen())
            both.create_task(self._inquire())

    async def _listen(self) -> None:
        """Listen to the stream, over and over."""
        pace = self._pace
        pause_s = pace.retry_s
        while True:
            try:
                async with contextlib.aclosing(self.client.stream(self._told)) as stream:
                    async for fills in stream:
                        if self._unheard.is_set():
                            self.watch_for_replay()
                        pause_s = pace.retry_s
                        self._unheard.clear()
                        self.without = ""
                        self.take(fills)
            except (AwayError, NoConsoleError, RefusedError) as error:
                self.without = str(error)
            self._unheard.set()
            await _at_most(pause_s, self._found)
            pause_s = min(pause_s * 2, pace.retry_s_max)

    async def _inquire(self) -> None:
        """Ask for the status while there is no stream, and where the stream has been silent for long."""
        pace = self._pace
        pause_s = pace.retry_s
        while True:
            heard_s = self._answered_s
            quiet_s = pace.quiet_s if heard_s is None else max(0.0, heard_s + pace.quiet_s - time.monotonic())
            waits = self.away is None
            if waits and not await _at_most(quiet_s, self._unheard, clear=False) and self._answered_s != heard_s:
                continue
            try:
                status = await self.client.status()
            except (AwayError, RefusedError) as error:
                if self._answered_s == heard_s:
                    self._miss(error, pause_s)
                    await _at_most(pause_s, self._wake)
                    pause_s = min(pause_s * 2, pace.retry_s_max)
            else:
                if self.away is not None:
                    self._found.set()
                if self._unheard.is_set():
                    self.hear(status)
                elif self._answered_s == heard_s:
                    self._answered_s, self.away = time.monotonic(), None
                pause_s = pace.retry_s
                await _at_most(pace.poll_s, self._wake)

    def take(self, fills: Iterable[Fill]) -> None:
        """Show what the stream has told, and these executions."""
        status = self._told.status(self.client.now_ns())
        if status is None:
            return
        if self._told.epoch != self._epoch:
            self._epoch = self._told.epoch
            self._log_tail.begin()
        self.hear(status)
        self.note_fills(fills)
        if self._told.missed:
            self._told.missed = False
            self.fetch_history()

    def hear(self, status: Status) -> None:
        """Show a status."""
        self._answered_s = now_s = time.monotonic()
        before = self.status
        if before is None and status.heard_wall_ns:
            now_s -= max(0.0, (self.client.now_ns() - status.heard_wall_ns) / 1e9)
        if before is None or status.last_input.seq != before.last_input.seq:
            self.heard_s = now_s
        if before is not None and before.session != status.session:
            self._executed.clear()
            self.fills, self.curve, self._drawn = (), None, ()
            self._chart.forget()
            self._profit.gains = None
        self.sealed = status.session == self._sealed_session or any(
            command.action == "stop" and command.outcome == "done" for command in status.commands
        )
        self.away = None
        self.status = status
        if self.replay is not None and before is not None and before.bars != status.bars:
            self._turn.set()
        self.tell_outcomes(status)

    def note_fills(self, fills: Iterable[Fill]) -> None:
        """Show executions, those that are shown already once."""
        told = {(fill.order_id, fill.symbol, fill.trade_id): fill for fill in fills}
        if told.keys() - self._executed.keys():
            self._executed |= told
            oldest_first = sorted(self._executed.values(), key=lambda fill: (fill.executed_ns, fill.trade_id))
            newest = oldest_first[: -_FILLS_MAX - 1 : -1]
            self._executed = {(fill.order_id, fill.symbol, fill.trade_id): fill for fill in newest}
            self.fills = tuple(newest)

    @work(exclusive=True, group="history")
    async def fetch_history(self) -> None:
        """Ask for what was before the stream began, or went by."""
        try:
            self.curve = await self.client.equity(_EQUITY_POINTS)
            self.note_fills((await self.client.fills(limit=_FILLS_MAX)).rows)
        except (AwayError, NoConsoleError, RefusedError):
            await asyncio.sleep(self._pace.retry_s_max)
            self._told.missed = True

    @work(exclusive=True, group="follow")
    async def follow(self) -> None:
        """Ask for the bars or the log lines that are shown, while they are."""
        while True:
            try:
                if self.page == "trades":
                    await self._follow_bars()
                elif self.page == "strategies":
                    await self._follow_profit()
                elif self.page == "log":
                    tail = self._log_tail
                    asked = (tail.after, tail.level, tail.text)
                    logs = await self.client.logs(*asked, limit=LINES_MAX)
                    if asked == (tail.after, tail.level, tail.text):
                        tail.take(logs)
            except (AwayError, NoConsoleError, RefusedError) as error:
                self._chart.trouble = trouble = f"not known: {error}"
                for panel in (self._log_tail, self._profit):
                    if panel.empty != trouble:
                        panel.empty = trouble
                        panel.refresh()
            await _at_most(self._pace.follow_s, self._turn)

    async def _follow_profit(self) -> None:
        panel, now_s = self._profit, time.monotonic()
        if panel.gains is not None and now_s < self._profit_due_s:
            return
        by = panel.by
        gains = await self.client.profit(by, PERIODS_ASKED)
        self._profit_due_s = now_s + _PROFIT_EVERY * self._pace.follow_s
        if by == panel.by:
            panel.gains = gains

    async def _follow_bars(self) -> None:
        chart, status = self._chart, self.status
        newest_ns = 0 if status is None else max((bar.close_ns for bar in status.bars), default=0)
        wanted = (chart.symbol, chart.timeframe, newest_ns)
        if wanted == self._drawn:
            return
        asked = {"symbol": chart.symbol} if chart.symbol else {}
        bars = await self.client.bars(**asked, timeframe=chart.timeframe, limit=BARS_ASKED)
        if (chart.symbol, chart.timeframe) == wanted[:2]:
            chart.bars = bars
            self._drawn = (chart.symbol, chart.timeframe, newest_ns)

    def on_asked(self) -> None:
        """Ask for what is wanted now."""
        self._turn.set()
        self._inside.set()

    def _miss(self, error: Exception, pause_s: float) -> None:
        """Show that there is no answer, and look whether the daemon is to be found elsewhere, or by another token."""
        if self._look_up is not None:
            with contextlib.suppress(UserError):
                self.client.move(*self._look_up())
        now_s = time.monotonic()
        since_s = now_s if self._answered_s is None else self._answered_s
        if self.away is not None:
            since_s = self.away.since_s
        refused = isinstance(error, RefusedError)
        self.away = Away(self.client.url, str(error), since_s, now_s + pause_s, refused=refused)

    def watch_away(self, away: Away | None) -> None:
        """Dim what is old."""
        self.screen_stack[0].set_class(away is not None, "-away")

    def look(self) -> None:
        """Ask for the status now instead of at the end of a pause."""
        self._wake.set()

    # --- the console itself -------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action makes sense now."""
        return self.may(action, parameters)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Help(replay=self.replays))

    def action_shade(self) -> None:
        """Change between dark and light."""
        self.theme = (self._light if self.theme == self._dark.name else self._dark).name

    def action_page(self, name: str) -> None:
        """Show another page."""
        self.page = name

    def watch_page(self, old: str, new: str) -> None:
        """Lay out the other page and give its first panel the focus."""
        if old == new:
            return
        screen = self.screen_stack[0]
        self.action_unzoom()
        screen.remove_class(f"-page-{old}")
        screen.add_class(f"-page-{new}")
        self.on_asked()
        self.refresh_bindings()
        self._focus_first()

    def _focus_first(self) -> None:
        """Give the focus to the page at once, so that the very next key is its own."""
        screen = self.screen_stack[0]
        self.stylesheet.update(screen)
        shown = [panel for panel in screen.query(f".panel.on-{self.page}").results() if panel.focusable]
        if screen.focused not in shown and shown:
            screen.set_focus(shown[0])

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
        """Show all panels of the page again."""
        screen = self.screen_stack[0]
        screen.remove_class("-zoomed")
        screen.query(".-zoom").remove_class("-zoom")


async def _at_most(seconds: float, event: asyncio.Event, *, clear: bool = True) -> bool:
    """Wait for an event, but no longer; return whether it came."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    finally:
        if clear:
            event.clear()
    return True
