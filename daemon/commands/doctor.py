"""`pitboss doctor`: what is wrong with this machine and configuration."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from typing import TYPE_CHECKING, Literal

import msgspec

from actors.runtime.journal import FILE_NAME, JournalReader
from config.errors import UserError, nearest
from config.load import load_settings
from config.schema import Settings
from daemon.code_hash import foreign_packages
from daemon.commands.run import MODES
from daemon.state_dir import TOKEN_NAME, default_state_dir, prepare_state_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from actors.instrument import InstrumentSpec
    from config.alerts import AlertTarget
    from config.schema import Console, Http

EXIT_FAULT = 1
_SQLITE_MIN = (3, 37, 0)
"""STRICT tables."""
_PYTHON_MIN = (3, 11)
_MIB = 1024 * 1024
_GROUP_AND_OTHERS = 0o077

Verdict = Literal["ok", "warning", "error"]


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at."""

    check: str
    verdict: Verdict
    detail: str


def doctor_command(
    state_dir: Path | None, config: Path | None, setting: Sequence[str] | None, mode: str, *, as_json: bool
) -> None:
    """Look at everything, print it, and exit 1 if anything is an error."""
    if mode not in MODES:
        message = f"--mode {mode}: it is paper or real{nearest(mode, MODES)}"
        raise UserError(message)
    findings = examine(state_dir or default_state_dir(), config, setting or (), real=mode == "real")
    if as_json:
        sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")
    else:
        _print(findings)
    if any(finding.verdict == "error" for finding in findings):
        raise SystemExit(EXIT_FAULT)


def examine(state_dir: Path, config: Path | None, setting: Sequence[str], *, real: bool = False) -> list[Finding]:
    """Return all findings; those about the venue only where one is configured, or real orders are asked for."""
    findings = [_python(), _packages(), _sqlite()]
    settings = Settings()
    try:
        settings = load_settings(config, setting)
        findings.append(Finding("configuration", "ok", str(config or "embedded defaults")))
    except UserError as error:
        findings.append(Finding("configuration", "error", str(error)))
    findings.append(_guarded("state directory", lambda: f"{prepare_state_dir(state_dir)} can be written"))
    if findings[-1].verdict == "ok":
        findings += [_disk(state_dir, settings), _token(state_dir), _journal(state_dir)]
    findings += [_kernel_cache(), *_ports(settings), _strategies(settings), _clock(), *_alerts(settings)]
    if settings.feed.source == "exchange" or real:
        findings += _venue(state_dir, settings, real=real or settings.live.armed)
    return findings


def _venue(state_dir: Path, settings: Settings, *, real: bool) -> list[Finding]:
    from daemon.commands.doctor_venue import examine_venue
    from daemon.log import configure_logging

    configure_logging(msgspec.structs.replace(settings.log, level="error"))
    return examine_venue(settings, _kept_instruments(state_dir, settings), real=real)


def _kept_instruments(state_dir: Path, settings: Settings) -> dict[str, InstrumentSpec]:
    """Return the instruments of the open session at this venue; a journal that cannot be read has been reported."""
    from daemon.recovery import open_instruments

    try:
        return open_instruments(state_dir / FILE_NAME, settings)
    except UserError:
        return {}


def _guarded(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "ok", look())
    except (UserError, OSError) as error:
        return Finding(check, "error", str(error))


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < _PYTHON_MIN:
        return Finding("python", "error", f"{version}; 3.11 or newer is needed")
    return Finding("python", "ok", version)


def _packages() -> Finding:
    foreign = foreign_packages()
    if foreign:
        return Finding("packages", "error", f"shadowed by strangers: {'; '.join(foreign)}")
    return Finding("packages", "ok", "every package is ours")


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info < _SQLITE_MIN:
        return Finding("sqlite", "error", f"{sqlite3.sqlite_version}; 3.37 or newer is needed")
    return Finding("sqlite", "ok", sqlite3.sqlite_version)


def _disk(state_dir: Path, settings: Settings) -> Finding:
    free_mb = shutil.disk_usage(state_dir).free // _MIB
    least_mb = settings.journal.free_mb_min
    verdict: Verdict = "ok" if free_mb >= least_mb else "warning"
    return Finding("disk", verdict, f"{free_mb:,} MiB free (journal.free_mb_min is {least_mb})")


def _token(state_dir: Path) -> Finding:
    path = state_dir / TOKEN_NAME
    if not path.exists():
        return Finding("token", "ok", "will be created at the first start")
    for each in sorted(state_dir.glob("*.token")):
        if each.stat().st_mode & _GROUP_AND_OTHERS:
            return Finding("token", "warning", f"{each} can be read by others; chmod 600 it")
    return Finding("token", "ok", f"{path}, readable by you alone")


def _journal(state_dir: Path) -> Finding:
    from replay.journal import decode_plan

    path = state_dir / FILE_NAME
    if not path.exists():
        return Finding("journal", "ok", "will be created at the first start")
    try:
        reader = JournalReader(path)
        try:
            session = reader.session()
            if session is not None:
                decode_plan(session.plan)
            count = 0 if session is None else sum(1 for _ in reader.records(session.number))
        finally:
            reader.close()
    except UserError as error:
        return Finding("journal", "error", str(error))
    if session is None:
        return Finding("journal", "ok", "no session yet")
    return Finding("journal", "ok", f"session {session.id} ({session.status}), {count:,} inputs, chain intact")


def _kernel_cache() -> Finding:
    from strategies.indicators.cache import find_cache_directory

    return _guarded("kernel cache", lambda: f"{find_cache_directory()} can be written")


def _ports(settings: Settings) -> list[Finding]:
    http, console = settings.http, settings.console
    found = [_port("port", http, "http")] if http.tcp else []
    return [*found, *([_port("console port", console, "console")] if console.enabled else [])]


def _port(check: str, settings: Http | Console, section: str) -> Finding:
    from daemon.control.sites import reserve_address

    try:
        reserve_address(settings, section=section).close()
    except UserError as error:
        return Finding(check, "warning", f"{error}; perhaps a daemon runs")
    return Finding(check, "ok", f"{settings.host} port {settings.port} is free")


def _strategies(settings: Settings) -> Finding:
    from strategies.loader import load_class, make_strategy, read_source

    def look() -> str:
        for entry in settings.strategies:
            make_strategy(load_class(read_source(entry.use)), entry.params, entry.use)
        return ", ".join(entry.use for entry in settings.strategies)

    return _guarded("strategies", look)


def _clock() -> Finding:
    import time

    plausible = time.time() > 1_700_000_000  # noqa: PLR2004 - November 2023, before this was written
    return Finding("clock", "ok" if plausible else "error", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


def _alerts(settings: Settings) -> list[Finding]:
    """Look whether every target's URL is one that can be used; nobody is sent anything."""
    if not settings.alerts.targets:
        return []
    from daemon.alerts.targets import Target  # apprise takes a moment

    def look(target: AlertTarget) -> str:
        Target(target, settings.alerts.timeout_s)
        return f"target {target.name} has a URL that can be used; `pitboss alerts test` sends it a message"

    return [_guarded(f"alerts: {each.name}", lambda each=each: look(each)) for each in settings.alerts.targets]  # type: ignore[misc]


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    colours: dict[Verdict, str] = {"ok": "green", "warning": "yellow", "error": "red"}
    table = Table(title="pitboss doctor", title_justify="left")
    table.add_column("check", style="bold")
    table.add_column("verdict")
    table.add_column("detail", overflow="fold")
    for finding in findings:
        table.add_row(finding.check, f"[{colours[finding.verdict]}]{finding.verdict}[/]", finding.detail)
    Console(emoji=False).print(table)
