"""Secrets in every place of the settings that can hold one: nothing that is written or served has them."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from actors.runtime.journal import FILE_NAME
from daemon.console.table import ROUTES
from replay.journal import decode_plan
from tests.daemon.console.conftest import WITH_CONSOLE, Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon.conftest import Nursery, Run

pytestmark = pytest.mark.slow

PARAM = "planted-as-a-parameter"
OPTIONS = [f"planted-{number}-of-the-venue" for number in range(7)]
CONFIG = """
[exchange.options]
sessionToken = "{0}"
wsProxy = "http://trader:{1}@proxy.example:3128"
broker = {{ signKey = "{2}", list = ["wss://{3}@venue.example"] }}
[exchange.urls.api]
public = "https://trader:{4}@venue.example/api"
apiKey = "{5}"
feed = "wss://venue.example/ws?depth=5&api_key={6}#top"
[[strategies]]
use = "{file}:Gossip"
params = {{ venue_token = "{param}" }}
"""
STRATEGY = """
from pitboss import Strategy

class Gossip(Strategy):
    venue_token: str = ""

    def on_start(self):
        self.kept = [self.venue_token, {"login": "https://trader:word@venue.example"}]

    def on_bar(self, bar, features, /):
        raise RuntimeError(f"GET https://trader:{self.venue_token}@venue.example?token={self.venue_token}")
"""


async def test_no_secret_of_the_settings_is_written_or_served(start: Nursery, invoke: Callable[..., Run]) -> None:
    file, config = start.folder / "gossip.py", start.folder / "pitboss.toml"
    file.write_text(STRATEGY)
    config.write_text(CONFIG.format(*OPTIONS, file=file, param=PARAM))
    daemon = start(*WITH_CONSOLE, "--set", "log.level=debug", "--config", str(config), strategy=None)
    client = Client(daemon)
    status = daemon.wait_for(lambda s: s["dead_letters"], "its strategy tells what it knows")
    assert status["dead_letters"][0]["error"] == ("RuntimeError: GET https://[redacted]@venue.example?token=[redacted]")
    client.daemon.eventually(lambda: client.get("/api/live/dead-letters")["rows"], "the console knows")
    assert client.get("/api/live/strategies")["rows"][0]["params"] == {"venue_token": "[redacted]"}

    said = {
        "status": daemon.get("/api/live/status").raw,
        "ctl": invoke("ctl", "status", "--state-dir", str(daemon.state_dir)).output.encode(),
    }
    said |= {
        route.path: client.ask("GET", re.sub(r"{\w+}", "1", route.path)).raw
        for route in ROUTES
        if route.method == "GET"
    }
    said["state"] = client.ask("GET", "/api/live/actors/strategy.Gossip").raw
    assert b"https://[redacted]@venue.example" in said["state"]
    async with client.stream() as stream:
        said["stream"] = json.dumps(await stream.next()).encode()
    assert daemon.end() == 0
    said["log"] = daemon.log_text().encode()
    said |= {path.name: path.read_bytes() for path in daemon.state_dir.iterdir() if path.is_file()}

    everywhere = {name for name, content in said.items() for secret in OPTIONS if secret.encode() in content}
    assert everywhere == set()
    assert {name for name, content in said.items() if PARAM.encode() in content} == {FILE_NAME}, "a replay needs it"
    with closing(sqlite3.connect(daemon.state_dir / FILE_NAME)) as db:
        plan = decode_plan(db.execute("SELECT plan FROM sessions").fetchone()[0])
    assert plan.settings.exchange.options == {
        "sessionToken": "[redacted]",
        "wsProxy": "http://[redacted]@proxy.example:3128",
        "broker": {"signKey": "[redacted]", "list": ["wss://[redacted]@venue.example"]},
    }
    assert plan.settings.exchange.urls["api"]["feed"] == "wss://venue.example/ws?depth=5&api_key=[redacted]#top"
    assert daemon.replayed().equal
    again = start("--config", str(config), strategy=None)
    assert again.status()["run"] == 2, "it goes on"


def test_what_a_command_refuses_is_told_without_them(invoke: Callable[..., Run]) -> None:
    run = invoke("run", "--set", f"https://trader:{PARAM}@venue.example/tape.csv")

    assert PARAM not in run.refusal
    assert "https://[redacted]@venue.example/tape.csv" in run.refusal
