"""What stands before every handler, at the control endpoint and at the console: Host, Origin, token; errors as JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from daemon.control.protocol import json_answer
from daemon.control.requests import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.control.protocol import Handler
    from daemon.control.security import Gate


class Guard:
    """Lets in who may come in, and turns every refusal into JSON that says what is wrong.

    Args:
        gate: who decides.
        body_bytes_max: largest request body, as it is told.
        is_open: returns whether a request needs no token.
    """

    def __init__(self, gate: Gate, body_bytes_max: int, is_open: Callable[[web.Request], bool]) -> None:
        self._gate = gate
        self._body_bytes_max = body_bytes_max
        self._is_open = is_open

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Call the application, whatever becomes of it: the outermost layer."""
        if request.headers.get("Expect", "100-continue").lower() != "100-continue":
            return json_answer({"error": "Expect: only 100-continue is understood"}, HTTPStatus.EXPECTATION_FAILED)
        try:
            return await handler(request)
        except RefusedError as refused:
            return json_answer({"error": refused.reason}, refused.status, refused.headers)
        except web.HTTPRequestEntityTooLarge:
            reason = f"the body is larger than {self._body_bytes_max} bytes"
            return json_answer({"error": reason}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except web.HTTPException as error:
            headers = {name: value for name, value in error.headers.items() if name.lower() == "allow"}
            return json_answer(
                {"error": f"{request.method} {request.path}: {error.reason}"}, HTTPStatus(error.status), headers
            )

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Call `handler` for who may come in.

        Raises:
            RefusedError: a foreign Host or Origin, or no token of ours.
        """
        if not self._gate.host_allowed(request.headers.get("Host")):
            raise RefusedError(HTTPStatus.FORBIDDEN, "the Host header names another machine")
        if not self._gate.origin_allowed(request.headers.get("Origin")):
            raise RefusedError(HTTPStatus.FORBIDDEN, "the Origin header names another site")
        if not self._is_open(request) and not self._gate.token_valid(request.headers.get("Authorization")):
            reason = "send the token as 'Authorization: Bearer TOKEN'; it lies in the token file of the state directory"
            raise RefusedError(HTTPStatus.UNAUTHORIZED, reason, {"WWW-Authenticate": "Bearer"})
        return await handler(request)
