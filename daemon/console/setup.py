"""Routes to how it is set up: the settings, the strategies there are."""

from __future__ import annotations

import asyncio
import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

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
