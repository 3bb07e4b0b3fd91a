"""What stands before every handler, at the control endpoint and at the console: who may come in; errors as JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from daemon.control.protocol import address_of, json_answer
from daemon.control.refusal import RefusedError
from daemon.control.security import Caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.control.protocol import Handler
    from daemon.control.security import Gate, Needed


_CALLER = web.RequestKey("caller", Caller)


class Guard:
    """Lets in who may come in, and turns every refusal into JSON that says what is wrong.

    Args:
        gate: who decides.
        body_bytes_max: largest request body, as it is told.
        needed: returns which role a request takes.
        hint: returns what is said to a path that is none of ours, about where it may be.
    """

    def __init__(
        self,
        gate: Gate,
        body_bytes_max: int,
        needed: Callable[[web.Request], Needed],
        hint: Callable[[web.Request], str] = lambda _: "",
    ) -> None:
        self._gate = gate
        self._body_bytes_max = body_bytes_max
        self._needed = needed
        self._hint = hint

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Call the application, whatever becomes of it: the outermost layer."""
        if request.headers.get("Expect", "100-continue").lower() != "100-continue":
            return json_answer({"error": "Expect: only 100-continue is understood"}, HTTPStatus.EXPECTATION_FAILED)
        try:
            return await handler(request)
        except RefusedError as refused:
            answer = json_answer({"error": refused.reason}, refused.status, refused.headers)
            if refused.status == HTTPStatus.REQUEST_TIMEOUT:
                answer.force_close()
            return answer
        except web.HTTPRequestEntityTooLarge:
            reason = f"the body is larger than {self._body_bytes_max} bytes"
            return json_answer({"error": reason}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except web.HTTPException as error:
            headers = {name: value for name, value in error.headers.items() if name.lower() == "allow"}
            hint = self._hint(request) if error.status == HTTPStatus.NOT_FOUND else ""
            reason = f"{request.method} {request.path}: {error.reason}{hint}"
            return json_answer({"error": reason}, HTTPStatus(error.status), headers)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Call `handler` for who may come in; `caller_of` then says who that is.

        Raises:
            RefusedError: a foreign Host or Origin, no token of ours, or one that may only read.
        """
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        caller = self._gate.admit(
            request.method, request.headers, address_of(request), self._needed(request), upgrade=upgrade
        )
        if caller is not None:
            request[_CALLER] = caller
        return await handler(request)


def caller_of(request: web.Request) -> Caller:
    """Return who asks, behind the guard of a route that takes a role."""
    return request[_CALLER]
