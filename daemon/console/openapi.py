"""The OpenAPI 3.1 document, made of the table of routes and the structs it names, docstrings included."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.inspect import StructType, multi_type_info

from daemon.console.types import API_VERSION, SECTIONS
from daemon.control.security import COOKIE
from daemon.control.types import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from daemon.console.routes import Route

Document = dict[str, Any]
_COOKIE = "What a login sets. The number is the port of the address, and left out where that names none."

_ALWAYS = {
    HTTPStatus.BAD_REQUEST: "a parameter that does not exist, or a value it cannot have",
    HTTPStatus.FORBIDDEN: "the Host or Origin header names somebody else, or the token may only read",
}
_WITH_TOKEN = {
    HTTPStatus.UNAUTHORIZED: "no token, or another one",
    HTTPStatus.TOO_MANY_REQUESTS: "too many wrong tokens from this address; the right one is let in",
}
_WITH_BODY = {
    HTTPStatus.REQUEST_TIMEOUT: "the body did not come in time",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is larger than console.body_bytes_max",
}
_JSON = "application/json"
_ABOUT = """The console of a running pitboss daemon. Every answer but pages and streams is JSON; what cannot be answered
as asked gets a 4xx, or a 503, and one sentence. Money and quantities are exact decimals, written as JSON numbers.
Fields may be added at any time; none changes its meaning without a new first number of the version."""


def describe(routes: Sequence[Route]) -> Document:
    """Return the document of `routes`."""
    kinds = [kind for route in routes for kind in (route.answer, route.body) if _is_described(kind)]
    structs = [*kinds, *(route.asked for route in routes), *SECTIONS.values(), Refusal]
    schemas, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    documented = {cls.__name__: attribute_docs(cls) for cls in _structs(structs)}
    for component in components.values():
        _explain(component, documented)
    by_kind = dict(zip(map(id, structs), schemas, strict=True))
    _name_sections(components, {name: by_kind[id(row)] for name, row in SECTIONS.items()})
    parameters = {name: components.pop(name) for name in {route.asked.__name__: None for route in routes}}
    paths: dict[str, Any] = {}
    for route in routes:
        named = {"answer": route.answer, "body": route.body}
        schema = {what: by_kind[id(kind)] for what, kind in named.items() if id(kind) in by_kind}
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, parameters[route.asked.__name__], schema, by_kind[id(Refusal)]
        )
    document = {
        "openapi": "3.1.0",
        "info": {"title": "pitboss", "version": API_VERSION, "description": _ABOUT, "x-release": version("pitboss")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": f"{COOKIE}_8788", "description": _COOKIE},
            },
        },
    }
    _write_decimals_as_numbers(document)
    return document


def _is_described(kind: Any) -> bool:  # noqa: ANN401 - any type msgspec can describe
    return kind is not None and not isinstance(kind, str)


def _operation(route: Route, asked: Document, schema: dict[str, Document], refusal: Document) -> Document:
    refusals = _ALWAYS | ({} if route.role == "open" else _WITH_TOKEN) | ({} if route.body is None else _WITH_BODY)
    for status, reason in route.refusals.items():
        refusals[status] = reason if status not in refusals else f"{refusals[status]}; {reason}"
    answer: Document = {"description": route.summary}
    if isinstance(route.answer, str):
        answer["content"] = {kind: {"schema": {"type": "string"}} for kind in route.answer.split(", ")}
    elif "answer" in schema:
        answer["content"] = {_JSON: {"schema": schema["answer"]}}
    operation: Document = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "x-role": route.role,
        "parameters": [*_parameters(route, asked), *_headers(route)],
        "responses": {
            str(int(route.status)): answer,
            **{
                str(int(status)): {"description": reason, "content": {_JSON: {"schema": refusal}}}
                for status, reason in sorted(refusals.items())
            },
        },
        "security": [] if route.role == "open" else [{"token": []}, {"session": []}],
    }
    if route.has_etag:
        operation["parameters"].append(
            {"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}}
        )
        operation["responses"]["304"] = {"description": "it is what the ETag says the client has"}
    if route.doc:
        operation["description"] = route.doc
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema["body"]}}}
    return operation


def _parameters(route: Route, asked: Document) -> Iterator[Document]:
    for name, schema in asked["properties"].items():
        in_path = f"{{{name}}}" in route.path
        parameter = {
            "name": name,
            "in": "path" if in_path else "query",
            "required": in_path or name in asked.get("required", ()),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        if "description" in schema:
            parameter["description"] = schema["description"]
        yield parameter


def _headers(route: Route) -> Iterator[Document]:
    for name, what in route.headers.items():
        yield {"name": name, "in": "header", "required": False, "description": what, "schema": {"type": "string"}}


def _explain(component: Document, documented: dict[str, dict[str, str]]) -> None:
    """Give the fields of a struct the docstrings that stand under them in the source."""
    docs = documented.get(component.get("title", "").partition("[")[0], {})
    for name, schema in component.get("properties", {}).items():
        if name in docs:
            schema.setdefault("description", docs[name])


def _name_sections(components: dict[str, Document], rows: dict[str, Document]) -> None:
    """Say what the rows of each section of the stream are."""
    of_rows = {name: {"type": "object", "additionalProperties": row} for name, row in rows.items()}
    for struct, field in (("Snapshot", "data"), ("Delta", "set")):
        if struct in components:
            components[struct]["properties"][field] |= {"properties": of_rows}


def _structs(kinds: Iterable[Any]) -> Iterator[type]:
    """Return every struct that `kinds` are made of."""
    waiting: list[Any] = list(multi_type_info(list(kinds)))
    seen: set[str] = set()
    while waiting:
        info = waiting.pop()
        if isinstance(info, StructType):
            cls = getattr(info.cls, "__origin__", info.cls)
            if repr(info.cls) in seen:
                continue
            seen.add(repr(info.cls))
            yield cls
            waiting.extend(field.type for field in info.fields)
        else:
            for name in getattr(info, "__struct_fields__", ()):
                value = getattr(info, name)
                waiting.extend(value if isinstance(value, tuple) else (value,))


@cache
def attribute_docs(cls: type) -> dict[str, str]:
    """Return the docstrings under the attributes of a class and its bases, by name."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] not in ("daemon", "actors", "config", "strategies", "replay"):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for attribute, doc in zip(tree.body, tree.body[1:], strict=False):
            named = isinstance(attribute, ast.AnnAssign) and isinstance(attribute.target, ast.Name)
            told = doc.value.value if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) else None
            if named and isinstance(told, str):
                found[attribute.target.id] = inspect.cleandoc(told)  # type: ignore[attr-defined]
    return found


def _write_decimals_as_numbers(node: Any) -> None:  # noqa: ANN401 - any part of a document
    if isinstance(node, dict):
        if node.get("format") == "decimal":
            node["type"] = "number"
            del node["format"]
        for value in node.values():
            _write_decimals_as_numbers(value)
    elif isinstance(node, list):
        for value in node:
            _write_decimals_as_numbers(value)
