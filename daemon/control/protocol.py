"""The layer under the control endpoint: whatever a stranger sends, the answer is JSON and the log stays clean.

aiohttp answers bytes that are no HTTP before any application sees them, in plain text and with a traceback
in the log that quotes the request, an `Authorization` header included. Here both become ours.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from aiohttp import web

from daemon.control.refusal import RefusedError
from daemon.control.security import SECURE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.web_request import BaseRequest

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONNECTIONS_MAX = 128
"""Open at once, besides those that a server keeps open by intention."""
BODY_WITHIN_S = 10.0
"""A body that takes longer to come is not waited for."""
_KEEPALIVE_S = 75.0
_KEY = "Idempotency-Key"
_KEY_CHARS_MAX = 200

_encode = msgspec.json.Encoder(decimal_format="number").encode

log = structlog.get_logger()


def json_answer(
    content: object, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> web.Response:
    """Return an answer nobody may cache or guess the type of."""
    return web.Response(
        body=_encode(content),
        status=status,
        content_type="application/json",
        headers={**SECURE_HEADERS, **(headers or {})},
    )


def address_of(request: web.Request) -> str:
    """Return where a request comes from; what comes through the Unix socket has no address."""
    return request.remote or "unix"


def idempotency_key(request: web.Request) -> str:
    """Return the key a command is sent under; empty if it has none.

    Raises:
        RefusedError: it is too long, has what cannot be passed on as it is, or there are several.
    """
    keys = request.headers.getall(_KEY, [])
    if any(len(key) > _KEY_CHARS_MAX or not key.isprintable() for key in keys):
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{_KEY}: at most {_KEY_CHARS_MAX} printable characters, as UTF-8")
    if len(keys) > 1:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"{_KEY} is given more than once")
    return keys[0] if keys else ""


async def body_of(request: web.Request) -> bytes:
    """Return the body of a request.

    Raises:
        RefusedError: it does not come within `BODY_WITHIN_S`, is packed, or is not what its headers say.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError(HTTPStatus.BAD_REQUEST, "a body is sent as it is, without a Content-Encoding")
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await request.read()
    except TimeoutError as error:
        reason = f"the body did not come within {BODY_WITHIN_S:g} s"
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, reason) from error
    except web.RequestPayloadError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the body cannot be decoded as its headers say") from error
    except (ConnectionError, RuntimeError) as error:  # the latter where it had ended before anybody read
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the connection ended before the body did") from error


class JsonRunner(web.AppRunner):
    """Runs an application whose every answer is JSON, also to what never becomes a request.

    Args:
        app: the application.
        outermost: called with every request and the application's own handler.
        connections_max: so many are open at once; the oldest whose client has yet to ask, or to end his request, makes
            room.
    """

    __slots__ = ("_connections_max", "_outermost")

    def __init__(
        self,
        app: web.Application,
        outermost: Callable[[web.Request, Handler], Awaitable[web.StreamResponse]],
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        super().__init__(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            keepalive_timeout=_KEEPALIVE_S,
            auto_decompress=False,  # a small body of nobody's could unpack to one that holds the loop up
        )
        self._outermost = outermost
        self._connections_max = connections_max

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        inner: Any = made.request_handler

        async def handle(request: Any) -> web.StreamResponse:  # noqa: ANN401 - aiohttp's types name the base class
            return await self._outermost(request, inner)

        return _JsonServer(self._connections_max, handle, request_factory=made.request_factory, **self._kwargs)


class _JsonServer(web.Server):
    def __init__(self, connections_max: int, handler: Any, **options: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(handler, **options)
        self._connections_max = connections_max

    def __call__(self) -> web.RequestHandler:
        return _JsonProtocol(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection; who holds one and asks nothing must not use up what the process may open."""
        super().connection_made(handler, transport)
        if len(self._connections) <= self._connections_max:
            return
        waiting = next(one for one in self._connections if isinstance(one, _JsonProtocol) and one.is_waited_for)
        del self._connections[waiting]  # it is told of its end a little later, and others come meanwhile
        self._loop.call_soon(waiting.abort)  # it may be the newest itself, which is only just beginning


class _JsonProtocol(web.RequestHandler):
    __slots__ = ()

    @property
    def is_waited_for(self) -> bool:
        """Whether the next word is the client's: no request is being answered that has come whole."""
        return self._current_request is None or not self._current_request.content.is_eof()

    def abort(self) -> None:
        """Cut the connection off."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the request
    ) -> web.StreamResponse:
        """Answer what could not be read as a request, or what failed in a handler."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request_failed", path=request.path, exc_info=exc)
            reason = "the daemon failed to answer; its log says why"
        else:
            log.debug("request_unreadable", error=type(exc).__name__)
            reason = f"this is no HTTP request we can read ({type(exc).__name__})"
        if request.writer.output_size > 0:
            what = "the answer had begun"
            raise ConnectionError(what)
        answer = json_answer({"error": reason}, HTTPStatus(status))
        answer.force_close()
        return answer

    def log_exception(self, *_: object, **details: object) -> None:
        """Write down what failed outside of a handler; a body that cannot be decoded is the client's affair."""
        error = details.get("exc_info")
        if isinstance(error, web.RequestPayloadError):
            log.debug("request_unreadable", error=type(error).__name__)
        else:
            log.error("connection_failed", exc_info=error)
