"""The OpenAPI document: complete, and true to how answers are written."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from daemon.console import types as t
from daemon.console.docs_page import page
from daemon.console.openapi import describe
from daemon.console.routes import Route
from daemon.console.table import ROUTES


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(json.dumps(describe(ROUTES)))


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()


def test_every_route_is_described_once_with_its_role_and_refusals(document: Any) -> None:
    described = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }

    assert described.keys() == {(route.method, route.path) for route in ROUTES}
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    for route in ROUTES:
        operation = described[route.method, route.path]
        assert operation["operationId"] == route.name
        statuses = set(operation["responses"])
        assert {str(int(route.status)), "400", "403"} <= statuses
        assert bool(operation["security"]) == (route.role != "open")
        assert ("401" in statuses) == (route.role != "open" or route.name == "login")


def test_only_health_the_front_door_and_the_login_are_open() -> None:
    assert {route.path for route in ROUTES if route.role == "open"} == {
        "/",
        "/healthz",
        "/api/login",
        "/login/{name}",
    }


def test_every_struct_is_there_and_explained(document: Any) -> None:
    schemas = document["components"]["schemas"]

    missing = {name for name in references(document) if name.removeprefix("#/components/schemas/") not in schemas}
    assert not missing
    assert {row.__name__ for row in t.SECTIONS.values()} <= schemas.keys()
    assert all(schema.get("description") for schema in schemas.values())
    assert schemas["Position"]["properties"]["quantity"] == {"type": "number", "description": "Signed, in base units."}
    sections = schemas["Snapshot"]["properties"]["data"]["properties"]
    assert sections["orders"]["additionalProperties"] == {"$ref": "#/components/schemas/Order"}


def test_parameters_have_bounds_and_words(document: Any) -> None:
    (since,) = (one for one in document["paths"]["/api/stream"]["get"]["parameters"] if one["name"] == "since")

    assert (since["in"], since["required"]) == ("query", False)
    assert since["schema"] == {"type": "integer", "minimum": 0, "maximum": 2**63 - 1, "default": 0}
    assert since["description"].startswith("Its `seq`")


def test_parameters_of_the_path_and_exact_numbers() -> None:
    class Asked(msgspec.Struct, frozen=True):
        """What is asked."""

        name: str
        limit: int = 5

    class Said(msgspec.Struct, frozen=True):
        """What is said."""

        amount: Decimal | None

    async def nobody(*_: object) -> None: ...

    route = Route(
        name="x",
        method="GET",
        path="/x/{name}",
        role="read",
        tag="x",
        summary="x",
        handler=nobody,
        asked=Asked,
        answer=Said,
    )

    described = describe([route])

    name, limit = described["paths"]["/x/{name}"]["get"]["parameters"]
    assert (name["in"], name["required"]) == ("path", True)
    assert (limit["in"], limit["required"]) == ("query", False)
    amount = described["components"]["schemas"]["Said"]["properties"]["amount"]
    assert {one["type"] for one in amount["anyOf"]} == {"number", "null"}


def test_the_page_shows_it_all_without_a_script_or_a_foreign_address(document: Any) -> None:
    shown = page(document)

    assert all(f"<code>{route.path}</code>" in shown for route in ROUTES)
    links = set(re.findall(r'href="#([^"]+)"', shown))
    assert links <= set(re.findall(r'id="([^"]+)"', shown))
    assert not re.search(r"<script|src=|https?:|url\(", shown)
