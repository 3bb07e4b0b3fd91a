"""One run of the daemon, from an empty process to its exit code.

Order of start: lock, journal, session (recovered or new), then the edges; readiness is told only after
that. Order of end: feed, core, journal, files. Every deadline on the way out ends in process exit.
"""

from __future__ import annotations

import gc
import os
import secrets
import shutil
import signal
import sqlite3
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import anyio
import msgspec
import structlog

from actors.instrument import from_atoms
from actors.runtime.clock import TapeClock
from actors.runtime.journal import FILE_NAME
from actors.runtime.scheduler import CoreError
from daemon.alerts.secret import secret_of
from daemon.control.keys import Keyring
from daemon.control.replay import Debugger
from daemon.control.security import LOOPBACK_NAMES, Gate
from daemon.control.server import ControlServer
from daemon.control.sites import reserve_addresses
from daemon.control.view import StatusView, utc
from daemon.edges.console import ConsoleEdge, reserve_console
from daemon.edges.feed.tape import TapeFeed
from daemon.edges.journal import JournalWriter, open_journal
from daemon.edges.outbox import Outbox, joined
from daemon.edges.reporter import Reporter
from daemon.edges.snapshot import SnapshotFile
from daemon.edges.stepped.feed import SteppedFeed
from daemon.edges.stepped.trace import MessageTrace
from daemon.live import LiveDriver
from daemon.log import bind, end_lines, hide, hide_those_of
from daemon.notify import notify, watchdog_interval_s
from daemon.processors import console_processors, core_apart
from daemon.recovery import Opened, close_run, open_instruments, open_planned, open_session
from daemon.state_dir import ENDPOINT_NAME, TOKEN_BYTES, Endpoint, StateLock, load_token, write_atomically
from daemon.supervisor import Supervisor, edge_spec
from daemon.venue import EFFECTS, open_venue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from socket import socket

    import aiosqlite
    from anyio.abc import TaskGroup, TaskStatus

    from config.schema import Settings
    from daemon.control.types import Status
    from daemon.edges.stepped.feed import Script
    from daemon.venue import VenueEdges
    from replay.plan import Markets, SessionPlan
    from replay.tape import Tape

EXIT_OK = 0
EXIT_FAULT = 1

_GRACE_S = 4.0
"""A signal must end the process within 5 s; whatever is not finished by then is left to recovery."""
_EDGE_GRACE_S = 1.0
_MANAGER_S = 0.5
"""A service manager that hangs is waited for so long with what it hears but once."""
_PULSE_S = 10.0
"""Time between two lines that say nothing but that all is well, and where we stand."""
_MIB = 1024 * 1024

log = structlog.get_logger()


class RunOptions(msgspec.Struct, kw_only=True):
    """What one run was started with."""

    settings: Settings
    state_dir: Path
    tape: Tape | None
    """None for the live feed of the configured exchange."""
    tape_name: str
    data_dir: Path | None = None
    """Where the catalogue is; None for the usual place."""
    mode: Literal["paper", "real"] = "paper"
    new_session: bool
    exit_at_end: bool
    loosen: bool = False
    """Whether limits that were tightened while the session ran fall back to what is configured."""
    script: Script | None = None
    """What is stepped over the control endpoint, rather than played."""
    plan: SessionPlan | None = None
    """Of the session that is stepped, where it is one."""

    @property
    def told_mode(self) -> str:
        """The mode as people are told it: what is stepped trades nothing, whatever its session did."""
        return self.mode if self.script is None else "replay"


class Outcome(msgspec.Struct, kw_only=True):
    """How a run ended: what the summary is made of."""

    exit_code: int
    why: str
    session: str
    run: int
    sealed: bool
    status: Status


async def run_daemon(options: RunOptions) -> Outcome:
    """Run until told to stop.

    Raises:
        UserError: it cannot start as asked.
    """
    settings = options.settings
    hide_those_of(settings)
    for target in settings.alerts.targets:
        secret_of(target)
    for_console = console_processors(settings.console)
    with (
        StateLock(options.state_dir),
        ExitStack() as stack,
        reserve_console(settings.console) as console_listener,
        core_apart(for_console),
    ):
        listeners = [stack.enter_context(each) for each in reserve_addresses(settings.http, options.state_dir)]
        token, token_path = load_token(options.state_dir)
        load_token(options.state_dir, "read")
        internal = secrets.token_urlsafe(TOKEN_BYTES)
        hide(token)
        hide(internal)
        path = options.state_dir / FILE_NAME
        db = await open_journal(path, options.settings.journal)
        venue: VenueEdges | None = None
        try:
            reporter = Reporter()
            outbox = Outbox("gateway", EFFECTS, lambda _, message: venue.send(message) if venue else None)
            console = (
                None if console_listener is None else ConsoleEdge(console_listener, settings, internal, for_console)
            )
            observers = joined(reporter, outbox, *(() if console is None else (console.publisher,)))
            if options.plan is not None:
                opened = await open_planned(db, options.plan, observers)
            else:
                markets: Markets
                if options.tape is None:
                    kept = open_instruments(path, options.settings)
                    venue = await open_venue(options.settings, real=options.mode == "real", kept=kept)
                    markets = venue.markets
                else:
                    markets = options.tape
                opened = await open_session(
                    db,
                    path,
                    options.settings,
                    markets,
                    options.tape_name,
                    new_session=options.new_session,
                    real=options.mode == "real",
                    loosen=options.loosen,
                    observers=observers,
                )
            return await _Run(
                options, db, opened, listeners, internal, token_path, (reporter, outbox), venue, console
            ).run()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_EDGE_GRACE_S):
                if venue is not None:
                    await venue.close()
                await db.close()


def _settle_memory() -> None:
    """Keep what lives as long as the process out of the collector's sight.

    Imports alone leave a quarter of a million objects, and a full collection that visits them stops trading for 0.1 s.
    """
    gc.collect()
    gc.freeze()


class _Run:
    """The parts of one run, and the order they start and end in."""

    def __init__(
        self,
        options: RunOptions,
        db: aiosqlite.Connection,
        opened: Opened,
        listeners: Sequence[socket],
        internal: str,
        token_path: Path,
        outboxes: Sequence[Outbox],
        venue: VenueEdges | None,
        console: ConsoleEdge | None,
    ) -> None:
        settings = options.settings
        self._options = options
        self._db = db
        self._opened = opened
        bind(lambda: opened.core.scheduler.seq, session=opened.id, run=opened.run)
        self._ending = anyio.Event()
        self._why = ""
        self._exit_code = EXIT_OK
        core = opened.core
        self._journal = JournalWriter(db, opened.number, settings.journal, core.scheduler.seq)
        self._outboxes = outboxes
        self._venue = venue
        self._console = console
        clock = TapeClock(core.context.now_ns) if venue is None else venue.clock(core.context.now_ns)
        self._driver = LiveDriver(core, self._journal, clock, settings, run=opened.run, chain=opened.chain)
        self._driver.equity = opened.equity
        if opened.configured is not None:
            self._driver.post_command(opened.configured)
        if opened.tape_ended:
            self._driver.tape_ended = True
            self._driver.idle_at_end.set()
        for outbox in outboxes:
            outbox.attach(core)
        self._driver.on_durable = self._on_durable
        self._supervisor = Supervisor(seed=opened.number, on_escalation=self._escalated)
        self._view = StatusView(
            self._driver,
            self._supervisor,
            session=opened.id,
            mode=options.told_mode,
            clock="tape" if venue is None else settings.exchange.clock,
            run=opened.run,
            exchange=settings.exchange,
            strategies=opened.plan.strategies,
            streams=tuple if venue is None else venue.statistics,
        )
        self._token_path = token_path
        gate = Gate(
            Keyring(options.state_dir),
            settings.http.host,
            settings.http.allowed_hosts,
            internal=internal,
            failures_max=settings.http.wrong_tokens_max,
            session_s=settings.http.session_s,
        )
        self._feed: TapeFeed | SteppedFeed | None = None
        debugger: Debugger | None = None
        if options.script is not None:
            trace = MessageTrace(core)
            strategies = [record.id for record in opened.plan.strategies]
            self._feed = SteppedFeed(options.script, self._driver, trace, strategies)
            self._driver.stays = options.script.is_recorded
            debugger = Debugger(self._feed, trace, self._driver)
        elif options.tape is not None:
            self._feed = TapeFeed(
                options.tape,
                self._driver,
                speed=settings.feed.speed,
                skip=opened.inputs_played,
                ended=opened.tape_ended,
            )
        self._server = ControlServer(
            settings.http, gate, self._view, self._driver, listeners, options.state_dir, debugger
        )
        self._snapshot_file = SnapshotFile(
            options.state_dir, self._view, self._driver, interval_s=settings.journal.snapshot_json_s
        )
        if venue is not None:
            venue.attach(core, self._driver, opened.plan.start_ns)
        if console is not None:
            limits = (lambda: None) if venue is None else venue.limits
            console.publisher.attach(core, self._view, self._driver, limits)
            self._server.console_port = console.port

    async def run(self) -> Outcome:
        """Start everything, wait for a reason to end, end everything."""
        await self._server.bind()
        async with anyio.create_task_group() as group:
            await group.start(self._watch_signals)
            self._announce()
            self._start_edges(group)
            _settle_memory()
            self._view.ready = True
            notify("READY=1", f"STATUS=session {self._opened.id}", within_s=_MANAGER_S)
            await self._ending.wait()
            notify("STOPPING=1", within_s=_MANAGER_S)
            with anyio.move_on_after(_GRACE_S, shield=True) as grace:
                await self._end()
            if grace.cancelled_caught:
                log.error("shutdown_deadline_missed", grace_s=_GRACE_S)
                end_lines()
                os._exit(EXIT_FAULT)  # a disk that hangs would hold on to us for ever; recovery does the rest
            group.cancel_scope.cancel()
        return Outcome(
            exit_code=self._exit_code,
            why=self._why,
            session=self._opened.id,
            run=self._opened.run,
            sealed=self._driver.finished.is_set(),
            status=self._view.status(),
        )

    def _on_durable(self, durable_seq: int) -> None:
        for outbox in self._outboxes:
            outbox.release(durable_seq)
        if self._console is not None:
            self._console.publisher.release(durable_seq)

    def _announce(self) -> None:
        opened = self._opened
        console = "" if self._console is None else self._console.url
        shown = {"console": console} if console else {}
        log.info("listening", address=self._server.url, **shown, token_file=str(self._token_path))
        log.info(
            "session",
            session=opened.id,
            run=opened.run,
            tape=self._options.tape_name,
            strategies=[f"{record.id} on {', '.join(record.symbols)}" for record in opened.plan.strategies],
            continued_at=opened.core.scheduler.seq,
            rerun_inputs=opened.recovered_inputs,
        )
        settings = self._options.settings
        hosts = [settings.http.host] if settings.http.tcp else []
        for host in dict.fromkeys([*hosts, *([settings.console.host] if console else [])]):
            if host not in LOOPBACK_NAMES:
                log.warning("listening_beyond_this_machine", host=host)
        managed = {(record.id, symbol) for record in opened.plan.strategies for symbol in record.symbols}
        for book, held in opened.core.ledger.holdings.items():
            if held.quantity_lots and book not in managed:
                quantity = opened.core.instruments[held.symbol].quantity(held.quantity_lots).normalize()
                log.warning(
                    "position_without_strategy", symbol=held.symbol, strategy=held.strategy, quantity=str(quantity)
                )
        if not settings.risk.max_daily_loss:
            log.info("limits_off", hint="set risk.max_daily_loss, risk.max_notional, risk.max_orders_per_minute")
        certificate = settings.http.certificate
        trusted = "" if certificate is None else os.path.abspath(certificate)  # noqa: PTH100 - links stay links
        endpoint = Endpoint(self._server.url, os.getpid(), opened.id, str(self._token_path), console, trusted)
        write_atomically(self._options.state_dir / ENDPOINT_NAME, msgspec.json.encode(endpoint))

    def _start_edges(self, group: TaskGroup) -> None:
        """Start the edges; the order here is start order, its reverse is stop order.

        The core cannot be started again inside a process: its first failure of any kind escalates.
        """
        edge = edge_spec(self._options.settings.supervision)
        start = self._supervisor.start
        start(group, msgspec.structs.replace(edge, name="journal"), self._journal.run)
        start(group, msgspec.structs.replace(edge, name="core", restart="transient", restarts_max=0), self._run_core)
        start(group, msgspec.structs.replace(edge, name="http"), self._server.run)
        start(group, msgspec.structs.replace(edge, name="snapshot_file"), self._snapshot_file.run)
        start(group, msgspec.structs.replace(edge, name="watch"), self._watch)
        if self._venue is not None:
            for name, run in self._venue.edges():
                start(group, msgspec.structs.replace(edge, name=name), run)
        if self._feed is not None:
            start(group, msgspec.structs.replace(edge, name="feed", restart="transient"), self._feed.run)
        if self._console is not None:
            options = self._options
            named = (options.told_mode, options.tape_name, options.data_dir)
            self._console.know(self._server.url, self._opened, options.state_dir, *named)
            start(group, msgspec.structs.replace(edge, name="console", vital=False), self._console.run)

    async def _run_core(self) -> None:
        """Run the driver; a broken invariant ends the process, for the core's neighbours believed it."""
        try:
            await self._driver.run()
        except CoreError as error:
            log.critical("core_fault", error=str(error), cause=repr(error.__cause__))
            self._end_because(f"core fault: {error}", EXIT_FAULT)
            return
        self._end_because("stop command", EXIT_OK)

    async def _watch_signals(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for number in signals:
                self._end_because(signal.Signals(number).name, EXIT_OK)

    async def _watch(self) -> None:
        """Tell the watchdog and the reader of the log that we live, warn of a filling disk, notice the end."""
        interval_s = watchdog_interval_s()
        warned = end_told = False
        feed_trouble: str | None = None
        pulse_s = time.monotonic()
        while True:
            if time.monotonic() - pulse_s >= _PULSE_S:
                pulse_s = time.monotonic()
                self._pulse()
            notify("WATCHDOG=1")
            free_mb = shutil.disk_usage(self._options.state_dir).free // _MIB
            if free_mb < self._options.settings.journal.free_mb_min and not warned:
                warned = True
                log.warning("disk_nearly_full", free_mb=free_mb, state_dir=str(self._options.state_dir))
            trouble = self._journal.trouble()
            if trouble != feed_trouble:
                feed_trouble = trouble
                if trouble is not None:
                    log.error("halted", reason=trouble, state_dir=str(self._options.state_dir))
            with anyio.move_on_after(min(1.0, interval_s or 1.0)):
                await self._driver.idle_at_end.wait()
                if self._options.exit_at_end:
                    self._end_because("end of tape", EXIT_OK)
                elif not end_told:
                    end_told = True
                    log.info("tape_ended", hint="idle until told to stop")
                await anyio.sleep_forever()

    def _pulse(self) -> None:
        """Say where we stand."""
        core = self._opened.core
        log.info(
            "pulse",
            clock=utc(core.context.now_ns),
            inputs=core.scheduler.seq,
            equity=f"{from_atoms(core.ledger.equity_atoms):.2f}",
            open_orders=len(core.execution.orders),
            state=core.control.trading,
        )

    def _escalated(self, edge: str, error: str) -> None:
        log.critical("edge_escalated", edge=edge, error=error)
        self._end_because(f"{edge} failed too often: {error}", EXIT_FAULT)

    def _end_because(self, why: str, exit_code: int) -> None:
        if not self._ending.is_set():
            self._why, self._exit_code = why, exit_code
            log.info("ending", why=why)
            self._view.ending = True
            self._ending.set()

    async def _end(self) -> None:
        started_s = time.monotonic()
        await self._supervisor.stop(_EDGE_GRACE_S)
        if self._venue is not None and self._driver.finished.is_set():
            with anyio.move_on_after(_EDGE_GRACE_S):
                await self._venue.disarm()
        fault = self._exit_code != EXIT_OK
        if not fault:
            self._driver.snapshot()
        if await self._journal.drain():
            await self._snapshot_file.write()
            await self._close_run("failed" if fault else "ended")
        else:
            log.error("not_durable", reason=self._journal.failure, inputs=self._journal.waiting)
            self._exit_code = EXIT_FAULT
        (self._options.state_dir / ENDPOINT_NAME).unlink(missing_ok=True)
        log.info("ended", why=self._why, took_s=round(time.monotonic() - started_s, 3))

    async def _close_run(self, outcome: str) -> None:
        """Write how this run ended; a disk that refuses leaves the run to the next start, as a crash would."""
        try:
            await close_run(self._db, self._opened, outcome=outcome, seal=self._driver.finished.is_set())
        except sqlite3.Error as error:
            log.exception("run_not_closed", reason=str(error))
            self._exit_code = EXIT_FAULT
