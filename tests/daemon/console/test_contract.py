"""The OpenAPI document against a running console: whatever fits it, or does not, is answered as it says."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

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
from tests.daemon.conftest import HOLDER, Nursery
from tests.daemon.console.conftest import WITH_CONSOLE, Client

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
EXAMPLES = 12
few = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(json.loads(json.dumps(describe(ROUTES))))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A daemon that may be paused, flattened and so on: where its console is, and its token."""
    nursery = Nursery(tmp_path_factory.mktemp("contract"))
    client = Client(nursery(*WITH_CONSOLE, strategy=nursery.holder))
    yield client.url, client.daemon.token
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
OTHER = [(route, GenerationMode.NEGATIVE) for route in ROUTES if route.role != "open"]
"""What asks for nothing cannot be asked wrongly."""


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

    @few
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if isinstance(case.body, dict) and case.body.get("action") == "stop":
            return
        response = case.call_and_validate(
            base_url=url, headers=headers, checks=CHECKS, allow_redirects=False, timeout=60
        )
        statuses.add(response.status_code)

    check()

    assert statuses
    if mode is GenerationMode.POSITIVE and route.body is None and not route.asked.__struct_fields__:
        assert statuses <= {int(route.status), 426}
