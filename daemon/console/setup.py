"""Routes to how it is set up: the log, the settings, the strategies there are."""

from __future__ import annotations

import asyncio
import inspect
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from config.load import describe_settings
from daemon.console import types as t
from daemon.console.openapi import attribute_docs
from daemon.console.routes import Nothing, Route
from daemon.log import masked
from strategies.library import BUILT_IN
from strategies.loader import StrategySource, load_class

if TYPE_CHECKING:
    from aiohttp import web

    from daemon.console.app import Console


class LogsAsked(msgspec.Struct, frozen=True):
    """Which lines."""

    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    """Only what came after: `next` of the answer before."""
    level: Literal["debug", "info", "warning", "error", "critical"] = "debug"
    """Of this level and above; what the daemon does not log is not there."""
    text: Annotated[str, Meta(max_length=200)] = ""
    """Only lines with this in their event or fields, in whatever case."""
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 200
    """The newest so many."""


async def _logs(console: Console, _: web.Request, asked: LogsAsked) -> t.Logs:
    return console.logs.find(asked.after, asked.level, asked.text, asked.limit)


async def _config(console: Console, _: web.Request, __: Nothing) -> t.Config:
    settings: dict[str, Any] = masked(describe_settings(console.hello.settings))
    settings["http"]["key"] = console.hello.settings.http.key  # where it lies is no secret
    return t.Config(settings=settings)


async def _strategies(_: Console, __: web.Request, ___: Nothing) -> t.RegisteredList:
    return await asyncio.to_thread(registered)


@cache
def registered() -> t.RegisteredList:
    """Return every strategy in the box with the schema of its parameters."""
    return t.RegisteredList(rows=tuple(_described(name) for name in BUILT_IN))


def _described(name: str) -> t.Registered:
    kind = load_class(StrategySource(name))
    (_,), components = msgspec.json.schema_components([kind])
    schema = components[kind.__name__]
    docs = attribute_docs(kind)
    for param, one in schema["properties"].items():
        if param in docs:
            one["description"] = docs[param]
    return t.Registered(name=name, doc=inspect.getdoc(kind) or "", params=schema)


ROUTES = (
    Route(
        name="logs",
        method="GET",
        path="/api/live/logs",
        role="read",
        tag="live",
        summary="The newest lines of the daemon's log",
        asked=LogsAsked,
        handler=_logs,
        answer=t.Logs,
    ),
    Route(
        name="config",
        method="GET",
        path="/api/live/config",
        role="read",
        tag="live",
        summary="The settings this run was started with",
        handler=_config,
        answer=t.Config,
        has_etag=True,
    ),
    Route(
        name="registered_strategies",
        method="GET",
        path="/api/strategies",
        role="read",
        tag="strategies",
        summary="The strategies in the box, with the schema of their parameters",
        handler=_strategies,
        answer=t.RegisteredList,
        has_etag=True,
    ),
)
