"""One run of the daemon as the shell and the service manager see it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from decimal import ROUND_HALF_UP, localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.journal import FILE_NAME, JournalReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

GRACE_S = 5.0


# --- what it refuses to start on --------------------------------------------------------------------


def test_a_second_daemon_on_the_same_state_directory_is_refused(start: Nursery) -> None:
    first = start()

    second = start(ready=False)

    assert second.wait() == 2
    reason = f"state directory {first.state_dir}: in use by another daemon (process {first.pid})"
    assert second.log_text() == f"pitboss: {reason}\n"
    assert first.status()["run"] == 1
    assert first.end() == 0
    assert first.replayed().runs == 1


def test_a_port_that_is_taken_is_refused_and_leaves_no_session_behind(
    invoke: Callable[..., Run], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        run = invoke("run", "--state-dir", str(tmp_path / "state"), "--port", port, "--synthetic", "7:50")

    assert (
        run.refusal
        == f"http: cannot listen on 127.0.0.1 port {port}: Address already in use; choose another with --port"
    )
    assert not (tmp_path / "state" / "journal.sqlite").exists()
    assert not (tmp_path / "state" / "endpoint.json").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", ""])
def test_an_address_that_is_not_ours_is_refused(invoke: Callable[..., Run], tmp_path: Path, host: str) -> None:
    run = invoke("run", "--state-dir", str(tmp_path), "--port", "0", "--set", f'http.host="{host}"')

    assert run.refusal.startswith(f"http: cannot listen on {host} port 0: ")
    assert not (tmp_path / "journal.sqlite").exists()


def test_a_state_directory_that_cannot_be_made_is_refused(invoke: Callable[..., Run], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")

    runs = [invoke("run", "--port", "0", "--state-dir", str(path)) for path in (file, file / "below")]

    assert [run.refusal for run in runs] == [
        f"state directory {file}: File exists",
        f"state directory {file / 'below'}: Not a directory",
    ]
    assert file.read_text() == "mine"


def test_a_state_directory_that_cannot_be_written_is_refused(invoke: Callable[..., Run], tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("permission bits do not bind this user")

    run = invoke("run", "--port", "0", "--state-dir", str(folder))

    assert run.refusal == f"state directory {folder}: Permission denied"


# --- ending and going on ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_within_5_s_and_the_same_command_continues_the_session(
    start: Nursery, number: signal.Signals
) -> None:
    daemon = start(strategy=start.holder)
    before = daemon.wait_for(lambda s: s["last_input"]["seq"] > 30, "thirty inputs")
    daemon.command("pause")
    asked_s = time.monotonic()

    assert daemon.end(number) == 0

    assert time.monotonic() - asked_s < GRACE_S
    left = daemon.snapshot()
    assert daemon.events("ended")[0]["why"] == number.name
    assert "open: the same command continues it (run 1)" in daemon.output.read_text()
    assert not (daemon.state_dir / "endpoint.json").exists()

    after = start(strategy=start.holder, speed=0.001).status()

    assert (after["session"], after["run"]) == (before["session"], 2)
    assert after["last_input"]["seq"] - left["last_input"]["seq"] in {0, 1}
    assert (after["state"], after["cash"], after["orders"]) == ("paused", left["cash"], left["orders"])
    assert [row["quantity"] for row in after["positions"]] == [row["quantity"] for row in left["positions"]] != []


def test_a_signal_ends_a_run_that_is_behind_with_its_work_within_5_s(start: Nursery) -> None:
    daemon = start(strategy=start.holder, speed=0)
    daemon.wait_for(lambda s: s["last_input"]["seq"] > 1_000, "some work")
    asked_s = time.monotonic()

    assert daemon.end() == 0

    assert time.monotonic() - asked_s < GRACE_S
    assert daemon.replayed().equal
    assert daemon.replayed().inputs == daemon.snapshot()["last_input"]["seq"]


@pytest.fixture
def play(invoke: Callable[..., Run], tmp_path: Path) -> Callable[..., Run]:
    """Return a runner of a short tape to its end, on a state directory and a strategy's file of this test's own."""
    (tmp_path / "mine.py").write_text((Path(__file__).parent / "user_strategies.py").read_text())

    def play(*arguments: str, tape: str = "7:50", strategy: str = "Holder") -> Run:
        fixed = ("--state-dir", str(tmp_path / "state"), "--port", "0", "--speed", "0", "--exit-at-end")
        return invoke("run", *fixed, "--synthetic", tape, "-s", f"{tmp_path / 'mine.py'}:{strategy}", *arguments)

    return play


def test_money_is_rounded_as_a_replay_of_the_same_rounds_it(
    play: Callable[..., Run], invoke: Callable[..., Run]
) -> None:
    half = ("--set", "account.cash=100000.005")
    with localcontext(rounding=ROUND_HALF_UP):  # as a venue's client leaves it
        lived = play(*half, strategy="Quiet")
    replayed = invoke("replay", "--synthetic", "7:50", "-s", "grid", *half)

    assert re.findall(r"equity .*?(\d+,\d+\.\d+) +\S$", lived.output, re.MULTILINE) == ["100,000.00"]
    assert " 100,000.00 -> " in replayed.output


def snapshot(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "state" / "snapshot.json").read_bytes())


@pytest.mark.parametrize(
    ("arguments", "changes", "difference"),
    [
        ((), {"strategy": "Quiet"}, "the strategies differ"),
        (("-p", "quantity=2"), {}, "parameter quantity of Holder was 0.5, now 2.0"),
        ((), {"tape": "8:50"}, "the tape differs: synthetic 7:50 then, synthetic 8:50 now"),
        (("--set", "account.cash=5"), {}, "the settings [account] differ"),
        (("--set", "venue.taker_fee=0"), {}, "the settings [venue] differ"),
        ((), {"code": "# changed"}, "the file of strategy Holder has changed"),
    ],
)
def test_another_session_than_the_open_one_is_refused_by_what_differs(
    play: Callable[..., Run], tmp_path: Path, arguments: tuple[str, ...], changes: dict[str, str], difference: str
) -> None:
    assert play().code == 0
    with (tmp_path / "mine.py").open("a") as file:
        file.write(changes.pop("code", ""))
    journal = (tmp_path / "state" / "journal.sqlite").read_bytes()

    line = play(*arguments, **changes).refusal

    assert difference in line
    assert "--new-session" in line
    assert (tmp_path / "state" / "journal.sqlite").read_bytes() == journal


@pytest.mark.parametrize(
    "setting", ["journal.snapshot_inputs=7", "http.commands_kept=3", "log.level=debug", "feed.speed=9"]
)
def test_settings_that_decide_nothing_may_change_within_a_session(play: Callable[..., Run], setting: str) -> None:
    assert play().code == 0

    assert play("--set", setting).code == 0


def test_a_new_session_may_be_begun_over_an_open_one(play: Callable[..., Run], tmp_path: Path) -> None:
    assert play().code == 0
    left = snapshot(tmp_path)
    assert left["positions"]

    assert play("--new-session", tape="8:1").code == 0

    new = snapshot(tmp_path)
    assert (new["session"] != left["session"], new["run"], new["cash"]) == (True, 1, left["cash"])
    assert [row["quantity"] for row in new["positions"]] == [row["quantity"] for row in left["positions"]]
    reader = JournalReader(tmp_path / "state" / FILE_NAME)
    assert [session.status for session in reader.sessions()] == ["quarantined", "open"]
    reader.close()


def test_exit_at_end_ends_also_a_run_that_begins_at_the_end(start: Nursery) -> None:
    codes, digests = [], []
    for _ in range(2):
        daemon = start("--exit-at-end", tape=("--synthetic", "7:50"), speed=0, strategy=start.holder, ready=False)
        codes.append(daemon.wait())
        digests.append(daemon.snapshot()["digest"])

    assert codes == [0, 0]
    assert digests[0] == digests[1]
    assert (daemon.replayed().runs, daemon.replayed().inputs) == (2, 51)


def test_a_broken_core_ends_the_process_with_exit_code_1(start: Nursery) -> None:
    file = start.folder / "echo.py"
    file.write_text(
        "from pitboss import Strategy\n"
        "class Echo(Strategy):\n"
        "    def on_bar(self, bar, f):\n"
        "        if bar.open_ns // bar.timeframe_ns % 20 == 3: self.buy(0.1, limit=1.0)\n"
        "    def on_order(self, update): self.buy(0.1, limit=1.0)\n"
    )

    daemon = start(strategy=f"{file}:Echo", tape=("--synthetic", "7:500"), speed=0, ready=False)

    assert daemon.wait() == 1
    (fault,) = daemon.events("core_fault")
    assert "livelock" in fault["error"]
    assert "strategy.Echo" in fault["error"]
    report = daemon.replayed()
    assert (report.equal, report.status) == (True, "open")


def test_what_lives_as_long_as_the_daemon_is_kept_from_the_collector(start: Nursery, tmp_path: Path) -> None:
    """A full collection over all that was imported would stop trading for a tenth of a second."""
    told = tmp_path / "frozen"
    file = tmp_path / "mine.py"
    file.write_text(
        "import gc\n"
        "from pathlib import Path\n"
        "from pitboss import Strategy\n\n"
        "class Look(Strategy):\n"
        "    def on_bar(self, bar, f):\n"
        f"        told = Path({str(told)!r})\n"
        "        if not told.exists():\n"
        "            told.write_text(str(gc.get_freeze_count()))\n"
    )

    daemon = start(strategy=f"{file}:Look")
    daemon.wait_for(lambda status: status["actors"] and told.exists(), "a bar")

    assert int(told.read_text()) > 50_000
    assert daemon.end() == 0


def test_a_fault_of_the_driver_itself_ends_the_process_too(
    invoke: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        message = "broken"
        raise RuntimeError(message)

    monkeypatch.setattr("daemon.live.LiveDriver._keep", fail)

    run = invoke(
        "run", "--state-dir", str(tmp_path), "--port", "0", "--speed", "0", "--synthetic", "7:5", "--exit-at-end"
    )

    (fault,) = [line for line in map(json.loads, run.errors.splitlines()) if line["event"] == "edge_escalated"]
    assert (run.code, fault["edge"], fault["error"]) == (1, "core", "RuntimeError: broken")


def test_a_disk_that_hangs_cannot_hold_up_the_end(tmp_path: Path) -> None:
    program = (
        "import sys, anyio\n"
        "from daemon.cli import main\n"
        "from daemon.edges.journal import JournalWriter\n"
        "async def hang(self, group):\n"
        "    print('hanging', file=sys.stderr)\n"
        "    with anyio.CancelScope(shield=True): await anyio.sleep_forever()\n"
        "JournalWriter._commit = hang\n"
        "sys.argv = ['pitboss', 'run', '--state-dir', sys.argv[1], '--port', '0', '--synthetic', '7:endless']\n"
        "main()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        assert "hanging\n" in daemon.stderr
        asked_s = time.monotonic()

        daemon.terminate()

        assert '"shutdown_deadline_missed"' in daemon.communicate(timeout=30)[1]
        assert (daemon.returncode, time.monotonic() - asked_s < GRACE_S) == (1, True)


# --- token ------------------------------------------------------------------------------------------


def test_the_token_is_private_and_stays_the_same(start: Nursery) -> None:
    daemon = start(speed=0.001)
    path, token = daemon.state_dir / "control.token", daemon.token
    assert path.stat().st_mode & 0o777 == 0o600
    tokens = sorted(entry.name for entry in daemon.state_dir.iterdir() if "token" in entry.name)
    assert tokens == ["control.token", "read.token"]
    assert (daemon.state_dir / "read.token").stat().st_mode & 0o777 == 0o600
    assert len(token) >= 32
    daemon.kill()
    path.chmod(0o644)

    again = start(speed=0.001)

    assert again.token == token
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_token_appears_nowhere_but_in_its_file(start: Nursery) -> None:
    daemon = start("--set", "log.level=debug", strategy=start.holder)
    daemon.command("pause", "key")
    daemon.get(f"/{daemon.token}")
    daemon.ask("POST", "/api/live/control", b'{"action": "' + daemon.token.encode() + b'"}')
    daemon.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + daemon.token.encode() + b"\x01\r\n\r\n")
    secret = daemon.token.encode()
    while_running = {path.name: path.read_bytes() for path in daemon.state_dir.iterdir()}
    assert daemon.end() == 0
    at_the_end = {path.name: path.read_bytes() for path in daemon.state_dir.iterdir()}

    assert {"journal.sqlite", "journal.sqlite-wal", "snapshot.json", "control.token"} <= set(while_running)
    for files in (while_running, at_the_end):
        assert [name for name, data in files.items() if secret in data] == ["control.token"]
    assert secret not in daemon.errors.read_bytes() + daemon.output.read_bytes()


# --- log --------------------------------------------------------------------------------------------


def test_the_first_lines_of_the_log_name_address_token_file_and_session(start: Nursery) -> None:
    daemon = start()

    first, second, *_ = daemon.log()

    assert (first["event"], first["address"]) == ("listening", daemon.url)
    assert first["token_file"] == str(daemon.state_dir / "control.token")
    assert (second["event"], second["session"]) == ("session", daemon.status()["session"])
    assert {(line["session"], line["run"], type(line["seq"])) for line in (first, second)} == {
        (second["session"], 1, int)
    }


def test_the_log_is_for_people_on_a_terminal(start: Nursery) -> None:
    ours, theirs = pty.openpty()
    try:
        daemon = start(stderr=theirs)
        os.close(theirs)
        assert daemon.end() == 0
        shown = b""
        with contextlib.suppress(OSError):  # a terminal without anybody on it ends in EIO
            while chunk := os.read(ours, 65_536):
                shown += chunk
    finally:
        os.close(ours)

    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert plain != shown.decode()
    first, second = plain.splitlines()[:2]
    assert re.search(rf"listening +address={daemon.url} token_file=\S+control\.token$", first.strip())
    assert re.search(r"session=\d{8}T\d{6}Z-1", second)
    assert "{" not in first


def test_a_log_that_cannot_be_written_does_not_stop_the_daemon(start: Nursery) -> None:
    reading, writing = os.pipe()
    daemon = start(stderr=writing)
    os.close(writing)
    os.close(reading)

    answers = [daemon.command(action).status for action in ("pause", "resume")]

    assert answers == [202, 202]
    status = daemon.status()
    assert {actor["restarts"] for actor in status["actors"]} == {0}
    daemon.wait_for(lambda s: s["last_input"]["seq"] > status["last_input"]["seq"], "another input")


# --- service manager --------------------------------------------------------------------------------


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Return the socket a service manager listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(20)
        yield channel


def test_readiness_is_told_after_recovery_then_the_watchdog_then_the_end(
    start: Nursery, manager: socket.socket, tmp_path: Path
) -> None:
    daemon = start("--set", "journal.snapshot_inputs=1000000", strategy=start.holder)
    reached = daemon.wait_for(lambda s: s["last_input"]["seq"] > 100, "a hundred inputs")["durable_seq"]
    daemon.kill()

    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    daemon = start("--set", "journal.snapshot_inputs=1000000", strategy=start.holder, ready=False, env=env)

    told = [manager.recv(4_096)]
    status = daemon.wait_ready().status()
    assert told[0].startswith(b"READY=1\nSTATUS=session ")
    assert status["session"].encode() in told[0]
    assert status["last_input"]["seq"] >= reached
    assert daemon.events("session")[0]["rerun_inputs"] >= reached
    began_s = time.monotonic()
    told = [manager.recv(4_096) for _ in range(4)]
    assert told == [b"WATCHDOG=1"] * 4
    assert time.monotonic() - began_s < GRACE_S
    daemon.process.send_signal(signal.SIGTERM)
    while told[-1] == b"WATCHDOG=1":
        told.append(manager.recv(4_096))
    assert told[-1] == b"STOPPING=1"
    assert daemon.wait() == 0


def test_a_service_manager_may_listen_on_an_abstract_socket(start: Nursery) -> None:
    name = f"pitboss-test-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{name}")
        channel.settimeout(20)

        start(ready=False, env={"NOTIFY_SOCKET": f"@{name}"})

        assert channel.recv(4_096).startswith(b"READY=1")


def test_a_service_manager_that_is_gone_does_not_stop_the_daemon(start: Nursery, tmp_path: Path) -> None:
    daemon = start(env={"NOTIFY_SOCKET": str(tmp_path / "nobody")})

    assert daemon.status()["state"] == "running"
    assert daemon.end() == 0
