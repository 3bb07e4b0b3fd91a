"""Routes about the API itself: health, what this is, the OpenAPI document, and the same for people."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from aiohttp import web

from daemon.console import types as t
from daemon.console.docs_page import page, policy
from daemon.console.routes import Nothing, Route
from daemon.control.protocol import json_answer
from daemon.control.security import SECURE_HEADERS

if TYPE_CHECKING:
    from daemon.console.app import Console


class _State(msgspec.Struct):
    state: str = "starting"


async def _health(console: Console, _: web.Request, __: Nothing) -> t.Health:
    summary = console.mirror.rows("summary").get("")
    state = "starting" if summary is None else msgspec.json.decode(summary, type=_State).state
    return t.Health(status="ok", state=state)


async def _about(console: Console, _: web.Request, __: Nothing) -> t.About:
    hello = console.hello
    return t.About(
        name="pitboss",
        version=version("pitboss"),
        api_version=t.API_VERSION,
        session=hello.session,
        run=hello.run,
        mode=hello.mode,
        tape=hello.tape,
        started_wall_ns=hello.started_wall_ns,
        core_url=hello.core_url,
        epoch=console.mirror.epoch,
        sections=tuple(t.SECTIONS),
        event_kinds=tuple(kind.__struct_config__.tag for kind in get_args(t.Events)),
    )


async def _document(console: Console, _: web.Request, __: Nothing) -> web.Response:
    return json_answer(console.document)


async def _docs(console: Console, _: web.Request, __: Nothing) -> web.Response:
    return web.Response(
        text=page(console.document),
        content_type="text/html",
        headers=SECURE_HEADERS | {"Content-Security-Policy": policy()},
    )


ROUTES = (
    Route(
        name="health",
        method="GET",
        path="/healthz",
        role="open",
        tag="about",
        summary="Whether the console answers, and the daemon's state",
        handler=_health,
        answer=t.Health,
    ),
    Route(
        name="openapi",
        method="GET",
        path="/openapi.json",
        role="read",
        tag="about",
        summary="This document",
        handler=_document,
        answer=dict[str, Any],
    ),
    Route(
        name="docs",
        method="GET",
        path="/api/docs",
        role="read",
        tag="about",
        summary="This document as a page",
        handler=_docs,
        answer="text/html",
    ),
    Route(
        name="meta",
        method="GET",
        path="/api/meta",
        role="read",
        tag="about",
        summary="Which daemon this is, and what it understands",
        handler=_about,
        answer=t.About,
    ),
)
