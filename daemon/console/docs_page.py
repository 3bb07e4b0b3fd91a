"""The OpenAPI document as one page of plain HTML: no script, no font, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.console.openapi import Document

_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:0 auto;padding:1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}
details{border:1px solid #8886;border-radius:6px;margin:.4rem 0;padding:.4rem .7rem}
summary{cursor:pointer}
summary b{display:inline-block;min-width:3.5rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8883}
.dim{opacity:.7}
"""


def policy() -> str:
    """Return the page's Content-Security-Policy: its own style sheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page(document: Document) -> str:
    """Return the page of `document`."""
    return _page(json.dumps(document))


@cache
def _page(text: str) -> str:
    document = json.loads(text)
    return "".join(_parts(document))


def _parts(document: Document) -> Iterator[str]:
    info = document["info"]
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<style>{_STYLE}</style><h1>{escape(info['title'])} API {escape(info['version'])}</h1>"
    yield f"<p>{escape(info['description'])}</p>"
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    for tag in dict.fromkeys(operation["tags"][0] for _, _, operation in operations):
        yield f"<h2>{escape(tag)}</h2>"
        for method, path, operation in operations:
            if operation["tags"][0] == tag:
                yield from _operation(method, path, operation)
    yield "<h2>Structs</h2>"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        yield from _schema(schema)
        yield "</details>"
    yield "</html>"


def _operation(method: str, path: str, operation: Document) -> Iterator[str]:
    yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> {escape(operation['summary'])}"
    yield f' <span class="dim">({escape(operation["x-role"])})</span></summary>'
    if "description" in operation:
        yield f"<p>{escape(operation['description'])}</p>"
    if operation["parameters"]:
        yield "<h4>Parameters</h4><table>"
        for one in operation["parameters"]:
            what = escape(one.get("description", ""))
            yield f"<tr><td><code>{escape(one['name'])}</code> <span class=dim>{one['in']}</span>"
            yield f"<td>{_type(one['schema'])}<td>{what}"
        yield "</table>"
    if "requestBody" in operation:
        yield f"<h4>Body</h4><p>{_content(operation['requestBody'])}</p>"
    yield "<h4>Answers</h4><table>"
    for status, answer in operation["responses"].items():
        yield f"<tr><td><code>{status}</code><td>{_content(answer)}<td>{escape(answer['description'])}"
    yield "</table></details>"


def _schema(schema: Document) -> Iterator[str]:
    if "description" in schema:
        yield f"<p>{escape(schema['description'])}</p>"
    yield "<table>"
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        mark = "" if name in required else ' <span class="dim">optional</span>'
        yield f"<tr><td><code>{escape(name)}</code>{mark}<td>{_type(field)}<td>{escape(field.get('description', ''))}"
    yield "</table>"


def _content(part: Document) -> str:
    return ", ".join(
        f"{_type(content['schema'])} <span class=dim>{escape(media)}</span>"
        for media, content in part.get("content", {}).items()
    )


def _type(schema: Document) -> str:
    """Return a schema in a few words; structs are links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    kind = schema.get("type", "anything")
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if kind == "array" and isinstance(schema.get("items"), dict):
        words = f"array of {_type(schema['items'])}"
    elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        words = f"object of {_type(schema['additionalProperties'])}"
    return words + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "maxLength": "characters at most",
    }
    told = [f"{text} {schema[key]}" for key, text in words.items() if key in schema]
    if "default" in schema:
        told.append(f"default {escape(json.dumps(schema['default']))}")
    return f' <span class="dim">({", ".join(told)})</span>' if told else ""
