"""The daemon behind `pitboss tui --replay`: a tape that waits to be stepped, in a state directory of its own.

It is a child process that ends with us, however we end; whichever of the two is left removes the directory. As a
program, this module is that child.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from config.alerts import Alerts
from config.errors import UserError
from config.schema import Log
from daemon.commands.ctl import find_endpoint
from daemon.commands.inputs import settings_from, tape_from, with_series
from daemon.log import configure_logging, newest_seq
from daemon.state_dir import ENDPOINT_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from config.schema import Settings
    from daemon.process import RunOptions

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from daemon.commands.replay_server import main; main()"
_LOG_NAME = "daemon.log"
_SAID = "pitboss: "
_EXIT_USER = 2
_END_S = 6.0
_POLL_S = 0.02
_REMOVED_WITHIN_S = 1.0
_STDIN = 0
_LINE_CHARS_MAX = 1_000
_FRAME_S = 0.05
"""Between two looks at the core: who steps wants to see it at once."""
_OPTIONS = {
    "synthetic": "--synthetic",
    "strategy": "--strategy",
    "symbols": "--symbols",
    "param": "-p",
    "setting": "--set",
    "config": "--config",
    "timeframe": "--timeframe",
    "series": "--series",
    "span": "--from or --to",
}
_FOREIGN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY")
"""Variables that are meant for a daemon of another kind."""

log = structlog.get_logger()


class ReplayWords(msgspec.Struct, frozen=True, kw_only=True):
    """What to replay and how, in the words of `pitboss replay`."""

    tape: tuple[str, ...] = ()
    synthetic: str | None = None
    strategy: str | None = None
    symbols: str | None = None
    param: tuple[str, ...] = ()
    setting: tuple[str, ...] = ()
    config: str | None = None
    timeframe: str | None = None
    series: tuple[str, ...] = ()
    data_dir: str | None = None
    span: tuple[int, int] | None = None
    """From when, and until before when, bars have to open, in ns; only of the catalogue's bars."""
    session: str | None = None
    """Which one, where the tape is a daemon's state directory; the newest unless given."""


@contextlib.contextmanager
def replay_server(
    tape: Sequence[str] | None = None,
    synthetic: str | None = None,
    strategy: str | None = None,
    param: Sequence[str] | None = None,
    setting: Sequence[str] | None = None,
    config: Path | None = None,
    timeframe: str | None = None,
    series: Sequence[str] | None = None,
    data_dir: Path | None = None,
    *,
    symbols: str | None = None,
    span: tuple[int, int] | None = None,
    session: str | None = None,
) -> Iterator[tuple[str, str]]:
    """Run the server for as long as the block lasts; yield where it listens, and the token that steps it.

    A tape that is the state directory of a daemon, or its journal, is one of its sessions.

    Raises:
        UserError: it cannot replay what was asked for, and says why.
    """
    words = ReplayWords(
        tape=tuple(tape or ()),
        synthetic=synthetic,
        strategy=strategy,
        symbols=symbols,
        param=tuple(param or ()),
        setting=tuple(setting or ()),
        config=None if config is None else str(config),
        timeframe=timeframe,
        series=tuple(series or ()),
        data_dir=None if data_dir is None else str(data_dir),
        span=span,
        session=session,
    )
    folder = Path(tempfile.mkdtemp(prefix="pitboss-replay-"))
    try:
        with (folder / _LOG_NAME).open("wb") as errors:
            child = subprocess.Popen(  # noqa: S603 - our own words
                [sys.executable, "-P", "-c", _PROGRAM, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for us
                env={name: value for name, value in os.environ.items() if name not in _FOREIGN},
            )
        try:
            yield _ready(child, folder, words)
        finally:
            _end(child)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a directory in which somebody who is just ending may still make files."""
    deadline_s = time.monotonic() + _REMOVED_WITHIN_S
    while folder.exists() and time.monotonic() < deadline_s:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.0 if not folder.exists() else _POLL_S)


def _ready(child: subprocess.Popen[bytes], folder: Path, words: ReplayWords) -> tuple[str, str]:
    """Tell the child what to replay; return where it listens, and its token."""
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it says below why it is gone
        child.stdin.write(msgspec.json.encode(words) + b"\n")
        child.stdin.flush()
    while not (folder / ENDPOINT_NAME).exists():
        if child.poll() is not None:
            raise UserError(_last_words(folder, child.returncode))
        time.sleep(_POLL_S)
    endpoint, token = find_endpoint(folder)
    return endpoint.url, token


def _last_words(folder: Path, exit_code: int) -> str:
    lines = (folder / _LOG_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line.removeprefix(_SAID) for line in lines if line.startswith(_SAID)]
    return said[-1] if said else f"the replay's server ended with exit code {exit_code}: {lines[-1] if lines else '-'}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child: it ends by itself once nobody holds its standard input any more."""
    assert child.stdin is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


# --- the child --------------------------------------------------------------------------------------

_parent_gone = threading.Event()


def main() -> None:
    """Replay what standard input says, until it is closed; the argument is the state directory."""
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the daemon listens to it itself
    code = 0
    try:
        words = msgspec.json.decode(sys.stdin.buffer.readline() or b"null", type=ReplayWords | None)
        threading.Thread(target=_watch_parent, daemon=True).start()
        configure_logging(Log(format="json"))  # a strategy's file may print when it is imported
        with open(os.devnull) as nothing, contextlib.redirect_stdout(_Printed()):  # noqa: PTH123 - no path of ours
            sys.stdin = nothing  # a strategy that asks is answered that there is nobody
            if words is not None:
                code = _serve(words, folder)
    except UserError as error:
        sys.stderr.write(f"{_SAID}{error}\n")
        code = _EXIT_USER
    finally:
        if _parent_gone.is_set():
            _remove(folder)
    sys.exit(code)


def _watch_parent() -> None:
    """End this process when nobody holds the other end of its standard input any more."""
    while os.read(_STDIN, 1):
        pass
    _parent_gone.set()
    os.kill(os.getpid(), signal.SIGTERM)


class _Printed(io.TextIOBase):
    """Standard output whose lines go to the log: a strategy that prints is heard at the input it does so."""

    def __init__(self) -> None:
        self._line = ""

    def writable(self) -> bool:
        """Return that it is."""
        return True

    def write(self, text: str) -> int:
        """Take text; a line that is whole becomes a line of the log."""
        *lines, rest = (self._line + text).split("\n")
        self._line = rest[-_LINE_CHARS_MAX:]
        for line in lines:
            seq = newest_seq()
            log.info("printed", text=line[:_LINE_CHARS_MAX], **({} if seq is None else {"seq": seq}))
        return len(text)


def _serve(words: ReplayWords, folder: Path) -> int:
    from daemon.commands.run import run_to_end
    from daemon.edges.stepped.session import is_session

    recorded = len(words.tape) == 1 and is_session(Path(words.tape[0]))
    options = (_session if recorded else _tape)(words, folder)
    configure_logging(options.settings.log)
    os.umask(0o077)
    return run_to_end(options).exit_code


def _session(words: ReplayWords, folder: Path) -> RunOptions:
    """Return how the session is stepped, as it was: with its own settings and its strategies as they were then.

    Raises:
        UserError: there is none, or something else was asked for.
    """
    from daemon.edges.stepped.session import open_session_script
    from daemon.process import RunOptions

    given = {name for name, value in msgspec.structs.asdict(words).items() if value} - {"tape", "session", "data_dir"}
    if given:
        names = ", ".join(sorted(_OPTIONS[name] for name in given))
        message = f"{words.tape[0]}: a session is stepped as it was, and takes no {names}"
        raise UserError(message)
    plan, script = open_session_script(Path(words.tape[0]), words.session)
    return RunOptions(
        settings=_settings(plan.settings),
        state_dir=folder,
        tape=None,
        tape_name=script.name,
        new_session=True,
        exit_at_end=False,
        script=script,
        plan=plan,
    )


def _tape(words: ReplayWords, folder: Path) -> RunOptions:
    """Return how the tape is stepped, opened as `pitboss replay` opens it.

    Raises:
        UserError: a strategy or a tape that does not exist, or cannot be played.
    """
    from daemon.edges.stepped.feed import script_of
    from daemon.process import RunOptions
    from replay.plan import check_strategies
    from replay.tape import proof

    if words.session is not None:
        message = f"--session {words.session}: goes with the state directory of a daemon"
        raise UserError(message)
    config = None if words.config is None else Path(words.config)
    data_dir = None if words.data_dir is None else Path(words.data_dir)
    settings = _settings(settings_from(config, words.setting, words.strategy, words.param, symbols=words.symbols))
    check_strategies(settings)
    proof.prove_tapes([*words.tape, *words.series])
    played = tape_from(words.tape, words.synthetic, words.timeframe, settings, None, data_dir, words.span)
    tape, name = with_series(*played, words.series, data_dir)
    if tape.rows is None:
        message = f"{name}: never ends; a replay needs SEED:BARS"
        raise UserError(message)
    return RunOptions(
        settings=settings,
        state_dir=folder,
        tape=tape,
        tape_name=name,
        data_dir=data_dir,
        new_session=True,
        exit_at_end=False,
        script=script_of(tape, name),
    )


def _settings(settings: Settings) -> Settings:
    """Return what decides as it was asked for, and for the rest what suits a server nobody else is to meet."""
    replace = msgspec.structs.replace
    ours = {"host": "127.0.0.1", "port": 0}
    return replace(
        settings,
        feed=replace(settings.feed, source="tape"),
        http=replace(settings.http, **ours, tcp=True, unix_socket=False, certificate=None, key=None),
        console=replace(settings.console, **ours, enabled=True, frame_s=_FRAME_S),
        alerts=Alerts(),
        log=replace(settings.log, format="json", level="debug" if settings.log.level == "debug" else "info"),
    )
