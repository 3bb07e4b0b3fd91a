"""Real daemons: started as processes, spoken to over real sockets, ended by their process id."""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from actors.runtime.journal import FILE_NAME
from daemon.cli import main
from replay.journal import JournalSummary, replay_journal

REPOSITORY = Path(__file__).resolve().parents[2]
STRATEGIES = Path(__file__).parent / "user_strategies.py"
QUIET = f"{STRATEGIES}:Quiet"
"""A strategy without features, so that a start does not load the compiler."""
HOLDER = f"{STRATEGIES}:Holder"
KEEPER = f"{STRATEGIES}:Keeper"

PATIENCE_S = 60.0
"""How long anything may take on a machine that does other things, too."""
_AMBIENT = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY")


def eventually(look: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Return what `look` returns once that is true."""
    deadline_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}"
        time.sleep(0.005)
    return found


def environment(**more: str) -> dict[str, str]:
    """Return our environment without what would steer a daemon, and without a console, which takes a second."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in _AMBIENT and not name.startswith("PITBOSS_")
    }
    return inherited | {"PITBOSS_CONSOLE__ENABLED": "false"} | more


@dataclass
class Answer:
    """What the control endpoint said."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The answer's JSON."""
        return json.loads(self.raw)


@dataclass
class Daemon:
    """One `pitboss run`."""

    state_dir: Path
    process: subprocess.Popen[bytes]
    errors: Path
    """Where its log goes."""
    output: Path
    url: str = ""
    console: str = ""
    """Where its console listens, if it has one."""
    eventually = staticmethod(eventually)
    token: str = field(default="", repr=False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0

    def wait_ready(self) -> Daemon:
        """Wait until it answers that it is ready; a stale endpoint.json of an earlier process does not count."""
        eventually(self._is_ready, f"ready:\n{self.log_text()}")
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log_text()}"
        try:
            endpoint = json.loads((self.state_dir / "endpoint.json").read_bytes())
        except (OSError, ValueError):
            return False
        if endpoint["pid"] != self.pid:
            return False
        self.url = endpoint["url"]
        self.console = endpoint["console"]
        self.token = Path(endpoint["token_file"]).read_text().strip()
        return self.get("/readyz", token=None).status == 200

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> Answer:
        """Send one request, with the daemon's own token unless another or None is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.token}")
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def get(self, path: str, token: str | None = "") -> Answer:
        """Send a GET request."""
        return self.ask("GET", path, token=token)

    def status(self) -> Any:
        """Return the status."""
        answer = self.get("/api/live/status")
        assert answer.status == 200, answer
        return answer.body

    def command(self, action: str, key: str | None = None) -> Answer:
        """Send a command."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.ask("POST", "/api/live/control", json.dumps({"action": action}).encode(), headers)

    def wait_for(self, condition: Callable[[Any], object], what: str) -> Any:
        """Return the first status for which `condition` is true."""
        seen: Any = None

        def look() -> Any:
            nonlocal seen
            seen = self.status()
            return seen if condition(seen) else None

        try:
            return eventually(look, what)
        except AssertionError as error:
            message = f"{error}\nlast status: {json.dumps(seen, indent=1)}"
            raise AssertionError(message) from None

    def raw(self, data: bytes) -> bytes:
        """Send bytes as they are; return everything that comes back until the connection is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            connection.sendall(data)
            received = b""
            while chunk := connection.recv(65_536):
                received += chunk
            return received

    def drop(self, data: bytes) -> None:
        """Send bytes and go away."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            connection.sendall(data)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End it as a power cut would; it must have been alive."""
        assert self.process.poll() is None, f"ended by itself with {self.process.returncode}:\n{self.log_text()}"
        self.process.kill()
        assert self.process.wait(PATIENCE_S) == -signal.SIGKILL

    def wait(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end; return its exit code."""
        return self.process.wait(within_s)

    def log_text(self) -> str:
        """Return everything it wrote to standard error."""
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def log(self) -> list[dict[str, Any]]:
        """Return its log lines, all of which must be JSON."""
        return [json.loads(line) for line in self.log_text().splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of one event."""
        return [line for line in self.log() if line["event"] == name]

    def replayed(self) -> JournalSummary:
        """Return what its journal's replay comes to."""
        return replay_journal(self.state_dir / FILE_NAME)

    def snapshot(self) -> Any:
        """Return `snapshot.json`."""
        return json.loads((self.state_dir / "snapshot.json").read_bytes())


class Nursery:
    """Starts daemons, and ends those that are left."""

    quiet = QUIET
    holder = HOLDER
    keeper = KEEPER
    eventually = staticmethod(eventually)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[Daemon] = []
        self._files = ExitStack()

    def __call__(
        self,
        *arguments: str,
        state_dir: Path | None = None,
        tape: Sequence[str] = ("--synthetic", "7:endless"),
        strategy: str | None = QUIET,
        speed: float | None = 6_000,
        ready: bool = True,
        env: Mapping[str, str] | None = None,
        port: int = 0,
        stderr: int | None = None,
    ) -> Daemon:
        """Start `pitboss run` and, with `ready`, wait until it is."""
        number = len(self.daemons)
        folder = state_dir or self.folder / "state"
        errors, output = self.folder / f"errors-{number}.log", self.folder / f"output-{number}.txt"
        command = [sys.executable, "-m", "daemon.cli", "run", "--state-dir", str(folder), "--port", str(port), *tape]
        if strategy is not None:
            command += ["--strategy", strategy]
        if speed is not None:
            command += ["--speed", str(speed)]
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=REPOSITORY,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=self._files.enter_context(output.open("wb")),
            stderr=self._files.enter_context(errors.open("wb")) if stderr is None else stderr,
        )
        daemon = Daemon(folder, process, errors, output)
        self.daemons.append(daemon)
        return daemon.wait_ready() if ready else daemon

    def close(self) -> None:
        """End what is left."""
        self._files.close()
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                daemon.process.kill()
                daemon.process.wait(PATIENCE_S)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Nursery]:
    """Return a starter of daemons, by default on one state directory of this test's own."""
    nursery = Nursery(tmp_path)
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Return a daemon that the tests of a file share: none of them may end it or rely on its state."""
    nursery = Nursery(tmp_path_factory.mktemp("live"))
    yield nursery("--set", "http.wrong_tokens_max=1000000", strategy=HOLDER)
    nursery.close()


@dataclass
class Run:
    """How one command ended."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """The object it printed."""
        return json.loads(self.output)

    @property
    def refusal(self) -> str:
        """The one line of a command that was asked wrongly; anything else is no refusal."""
        assert (self.code, self.output) == (2, ""), self
        (line,) = self.errors.splitlines()
        assert line.startswith("pitboss: ")
        return line.removeprefix("pitboss: ")


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Run]]:
    """Return a runner of whole commands in this process: quicker than `pitboss`, as good for what ends by itself."""
    handlers, level = logging.root.handlers[:], logging.root.level

    def run(*arguments: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["pitboss", *arguments])
        monkeypatch.setenv("PITBOSS_CONSOLE__ENABLED", "false")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Run(int(ended.value.code or 0), shown.out, shown.err)

    yield run
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def pitboss() -> Callable[..., Run]:
    """Return a runner of whole commands as processes."""

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "daemon.cli", *arguments],
            cwd=REPOSITORY,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
