"""The replay debugger over HTTP: a tape stepped and looked into, and nothing of it left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from config.errors import UserError
from daemon.commands.replay_server import replay_server
from pitboss import replay
from replay.tape import synthetic_tape
from tests.daemon.conftest import PATIENCE_S, QUIET, REPOSITORY, STRATEGIES, Answer, eventually
from tests.daemon.console.conftest import wait_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

TALKER = f"{STRATEGIES}:Talker"
pytestmark = pytest.mark.slow

BARS = 400
PROGRAM = f"""
import signal
from daemon.commands.replay_server import replay_server
with replay_server(synthetic="7:{BARS}", strategy={QUIET!r}) as (url, _):
    print(url, flush=True)
    signal.pause()
"""


class Debugger:
    """Speaks to the console of a replay's server."""

    def __init__(self, url: str, token: str) -> None:
        self.core, self.token = url, token
        found = self.ask("GET", "/")
        assert found.status == 307, found
        self.core = found.body["console"].rstrip("/")

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Answer:
        """Send one request."""
        connection = HTTPConnection(urlsplit(self.core).netloc, timeout=PATIENCE_S)
        try:
            headers = {"Authorization": f"Bearer {token or self.token}"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def told(self, order: str, **terms: Any) -> Any:
        """Give an order, and return how the replay stands."""
        answer = self.ask("POST", f"/api/replay/{order}", terms)
        assert answer.status == 200, answer
        return answer.body

    def get(self, path: str) -> Any:
        """Return what is there."""
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.body


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Have temporary directories made in a folder of this module's own; return it."""
    here = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(here))
        yield here


def test_a_tape_is_stepped_looked_into_and_ends_as_its_replay_does(folder: Path) -> None:
    terms = ["account.cash=50000", "risk.max_position=1.1", "log.level=warning"]
    with replay_server(synthetic=f"7:{BARS}", strategy=TALKER, setting=terms) as (url, token):
        debugger = Debugger(url, token)
        (state_dir,) = folder.iterdir()
        reader = (state_dir / "read.token").read_text().strip()
        pid = json.loads((state_dir / "endpoint.json").read_bytes())["pid"]

        stands = debugger.get("/api/replay")
        assert (stands["state"], stands["inputs"], stands["total"]) == ("paused", 0, BARS)
        assert (stands["tape"], stands["strategies"]) == (f"synthetic 7:{BARS}", ["Talker"])
        assert stands["to_ns"] - stands["from_ns"] == BARS * 60 * 10**9
        assert debugger.told("step", count=2)["inputs"] == 2
        stands = debugger.told("jump", to="trade")
        assert stands["stopped_by"].startswith("Talker bought ")
        story = debugger.get(f"/api/replay/messages?order={stands['order_id']}")["rows"]
        kinds = [row["kind"] for row in story]
        chain = ("Intent", "OrderRequest", "SubmitOrder", "Fill")
        assert tuple(kind for kind in kinds if kind in chain) == chain
        assert story[-1]["input"] == stands["seq"]
        fill, *earlier = debugger.get("/api/live/fills")["rows"]
        assert fill["seq"] == stands["seq"], "what it stopped at is in the journal by then"

        actor = debugger.get("/api/live/actors/strategy.Talker")
        assert actor["row"]["name"] == "strategy.Talker"
        assert actor["state"]["checkpoint"]["strategy"]["fills"] == [each["price"] for each in (*earlier, fill)]
        assert actor["state"]["checkpoint"]["reference_bar"]["kind"] == "Bar"
        assert (actor["note"], actor["size_bytes"] > 100) == ("", True)
        said = [(bar + 1, f"bar {bar}") for bar in range(stands["inputs"])]

        def heard() -> bool:
            lines = debugger.get("/api/live/logs?text=printed")["rows"]
            return said == [(line["fields"]["seq"], line["fields"]["text"].split(" at ")[0]) for line in lines]

        eventually(heard, "what it printed, and at which input, is in the log")
        ledger = debugger.get("/api/live/actors/ledger")["state"]
        assert ledger["start_atoms"] == 50_000 * 10**8
        for name, words in (("ledgers", "did you mean 'ledger'"), ("console", "an edge around the core has no state")):
            refused = debugger.ask("GET", f"/api/live/actors/{name}")
            assert (refused.status, words in refused.body["error"]) == (404, True), refused

        assert debugger.ask("GET", "/api/replay", token=reader).status == 200
        assert debugger.ask("POST", "/api/replay/step", {}, token=reader).status == 403
        for order, body, words in (
            ("step", {"count": 0}, "count"),
            ("step", {"unit": "hour"}, "unit"),
            ("jump", {"to": "time"}, "'time_ns' goes with to = 'time'"),
            ("jump", {"to": "trade", "strategy": "Talkr"}, "did you mean 'Talker'"),
            ("speed", {"speed": -1}, "speed"),
            ("play", {"sped": 1}, "sped"),
        ):
            refused = debugger.ask("POST", f"/api/replay/{order}", body)
            assert (refused.status, words in refused.body["error"]) == (400, True), refused
        past = debugger.ask("POST", "/api/replay/jump", {"to": "time", "time_ns": stands["from_ns"]})
        assert (past.status, "does not go back" in past.body["error"]) == (409, True)

        stands = debugger.told("play", speed=0)
        assert stands["speed"] == 0
        eventually(lambda: debugger.get("/api/replay")["state"] == "ended", "the end of the tape")
        assert debugger.ask("POST", "/api/replay/step", {}).status == 409
        status = debugger.get("/api/live/status")

    summary = replay(synthetic_tape(f"7:{BARS}"), TALKER, settings=dict(each.split("=") for each in terms)).summary
    assert status["mode"] == "replay", "nobody is to take it for what trades"
    assert status["digest"] == summary.digest
    assert status["equity"] == float(summary.final_equity)
    wait_gone(pid)
    assert list(folder.iterdir()) == []


def test_what_cannot_be_replayed_is_told_in_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "journal.sqlite").touch()
    monkeypatch.chdir(tmp_path)
    words = r"^\.: a session is stepped as it was, and takes no --strategy$"
    with pytest.raises(UserError, match=words), replay_server(["."], strategy=QUIET):
        pass
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("how", ["killed", "interrupted while it starts"])
def test_nothing_is_left_of_it_when_its_terminal_is_gone(tmp_path: Path, how: str) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        child = int(eventually(children.read_text, "it has started its server").split()[0])
        if how == "killed":
            assert parent.stdout.readline().startswith(b"http://127.0.0.1:")
        parent.send_signal(signal.SIGKILL if how == "killed" else signal.SIGINT)
        parent.wait(PATIENCE_S)

    wait_gone(child)
    assert list(tmp_path.iterdir()) == []
