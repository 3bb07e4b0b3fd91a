"""The OpenAPI document against a running console: whatever fits it, or does not, is answered as it says."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from daemon.commands.replay_server import replay_server
from daemon.console.openapi import describe
from daemon.console.table import ROUTES
from replay.tape import synthetic_tape
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from tests.daemon.conftest import HOLDER, Nursery, eventually
from tests.daemon.console.conftest import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.console.routes import Route

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = {GenerationMode.POSITIVE: 10, GenerationMode.NEGATIVE: 5}
FEW = 3
"""Of a route that nothing can be asked of but itself."""


def drawn(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(json.loads(json.dumps(describe(ROUTES))))


STRATEGIES = f"""
[[strategies]]
use = "{HOLDER}"
[[strategies]]
use = "{{folder}}/fragile.py:Fragile"
"""
FRAGILE = """
from pitboss import Strategy

failed = []

class Fragile(Strategy):
    def on_bar(self, bar, features, /):
        if not failed:
            failed.append(bar)
            raise RuntimeError("no idea")
"""
BACKTEST = {"strategy": "buy_and_hold", "tape": ["test:SYN/USDT:1m"]}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A daemon that may be paused and so on, with something to tell on every route: its console, and its token."""
    folder = tmp_path_factory.mktemp("contract")
    (folder / "fragile.py").write_text(FRAGILE)
    (folder / "pitboss.toml").write_text(STRATEGIES.format(folder=folder))
    frames = [
        pl.DataFrame({"ts": chunk.open_ns} | {name: getattr(chunk, name) for name in chunk.__struct_fields__[1:]})
        for chunk in synthetic_tape("5:500").series[0].chunks()
    ]
    key = SeriesKey("bars", "test", "SYN/USDT", 60_000_000_000)
    Catalogue(folder / "data").write(key, frames, Provenance("made up"))
    nursery = Nursery(folder)
    words = ("--config", str(folder / "pitboss.toml"), "--data-dir", str(folder / "data"))
    made = Client(nursery("--set", "console.enabled=true", *words, strategy=None, speed=600))
    made.ask("POST", "/api/backtests/run", json.dumps(BACKTEST).encode())
    made.daemon.wait_for(lambda s: s["positions"] and s["orders"] and s["dead_letters"], "something to tell")
    eventually(lambda: made.get("/api/backtests/1")["row"]["state"] == "done", "a backtest is done")
    yield made.url, made.daemon.token
    nursery.close()


@pytest.fixture(scope="module")
def stepped() -> Iterator[tuple[str, str]]:
    """A replay that may be stepped, likewise."""
    with replay_server(synthetic="7:50", strategy=HOLDER) as (core, token):
        connection = HTTPConnection(urlsplit(core).netloc)
        connection.request("GET", "/")
        yield connection.getresponse().headers["Location"].rstrip("/"), token
        connection.close()


FITTING = [(route, GenerationMode.POSITIVE) for route in ROUTES]
OTHER = [(route, GenerationMode.NEGATIVE) for route in ROUTES if route.body or route.asked.__struct_fields__]
"""What asks for nothing cannot be asked wrongly."""
THERE = {"id": 1, "name": "strategy.Holder"}
"""What is there to be looked at, and stays."""


@pytest.mark.parametrize(
    ("route", "mode"), FITTING + OTHER, ids=[f"{route.name}-{mode.value}" for route, mode in FITTING + OTHER]
)
def test_every_answer_is_one_that_is_described(
    schema: Any, route: Route, mode: GenerationMode, request: pytest.FixtureRequest
) -> None:
    operation = schema[route.path][route.method]
    url, token = request.getfixturevalue("stepped" if route.tag == "replay" else "daemon")
    headers = {"Authorization": f"Bearer {token}"}
    statuses: set[int] = set()
    named = [name for name in THERE if f"{{{name}}}" in route.path and route.tag != "pages"]
    finds = named and route.method == "GET" and mode is GenerationMode.POSITIVE

    @drawn(EXAMPLES[mode] if route.body is not None or route.asked.__struct_fields__ else FEW)
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if isinstance(case.body, dict) and case.body.get("action") == "stop":
            return
        for name in named:
            if finds or case.path_parameters[name] == THERE[name]:
                case.path_parameters[name] = THERE[name] if finds else 2
        response = case.call_and_validate(
            base_url=url, headers=headers, checks=CHECKS, allow_redirects=False, timeout=60
        )
        statuses.add(response.status_code)

    check()

    assert statuses
    if mode is GenerationMode.POSITIVE and route.body is None and not route.asked.__struct_fields__:
        assert statuses <= {int(route.status), 304, 426}
    if finds:
        assert int(route.status) in statuses
