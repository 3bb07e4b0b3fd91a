"""What a route is: everything that is said about it, and what answers it.

The router and the OpenAPI document are made of the same rows, so nothing is served that is not described.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from config.errors import nearest
from daemon.control.refusal import RefusedError

if TYPE_CHECKING:
    from daemon.console.app import Console

Role = Literal["open", "read", "control"]

Text = Annotated[str, Meta(max_length=200)]
"""As a parameter: a name of somebody's, or words to look for."""
SessionId = Annotated[str, Meta(max_length=80)]
Timeframe = Annotated[str, Meta(max_length=10)]
Time = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Cursor = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Limit = Annotated[int, Meta(ge=1, le=1_000)]

Handler = Callable[["Console", web.Request, Any], Awaitable[Any]]
"""Given the console, the request and what was asked; returns what the first answer is made of, or a whole response."""

_DIGITS_MAX = 20


class Nothing(msgspec.Struct, frozen=True):
    """No parameters."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    name: str
    """What clients call it."""
    method: Literal["GET", "POST", "DELETE"]
    path: str
    """Parameters in braces are fields of `asked`."""
    role: Role
    """Whose token it takes: nobody's, one that may read, one that may command."""
    tag: str
    summary: str
    """One line."""
    handler: Handler
    doc: str = ""
    asked: type[msgspec.Struct] = Nothing
    """Its parameters, those of the path included: a field each, with bounds, default and docstring."""
    headers: dict[str, str] = {}
    """Request headers it heeds, and what for."""
    body: Any = None
    """What its body is; None for none."""
    answer: Any = None
    """What it answers; a text is a media type, or several with commas between."""
    status: HTTPStatus = HTTPStatus.OK
    has_etag: bool = False
    """Whether the answer has an ETag: 304 if it is the one that was sent with If-None-Match."""
    refusals: dict[HTTPStatus, str] = {}
    """Statuses with a `Refusal`, besides those that every route has, and when."""


def read_asked(route: Route, request: web.Request) -> msgspec.Struct:
    """Return the parameters of a request.

    Raises:
        RefusedError: one that does not exist, stands there twice, or has a value it cannot have.
    """
    fields = route.asked.__struct_fields__
    given: dict[str, str] = dict(request.match_info)
    for name, value in request.query.items():
        if name not in fields or name in request.match_info:
            what = f"there is no parameter {name[:80]!r} here{nearest(name, fields)}"
            raise RefusedError(HTTPStatus.BAD_REQUEST, what)
        if name in given:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"'{name}' is given more than once")
        given[name] = value
    try:
        return msgspec.convert(given, route.asked, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error).replace("`$.", "`")) from error
