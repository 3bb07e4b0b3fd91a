"""The console's way to the core: its small control endpoint, over HTTP like anybody else."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from daemon.control.requests import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONNECT_S = 2.0
_ANSWER_S = 10.0
_CONNECTIONS_MAX = 8


class CoreClient:
    """Passes requests on.

    Args:
        url: of the control endpoint.
        token: its token.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Get ready."""
        self._http = aiohttp.ClientSession(
            self._url,
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=_CONNECT_S),
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS_MAX),
        )

    async def close(self) -> None:
        """Hang up."""
        if self._http is not None:
            await self._http.close()

    async def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request; return the status and the JSON it was answered with.

        Raises:
            RefusedError: no answer came; a command may have been taken.
        """
        assert self._http is not None, "the client is not open"
        try:
            async with self._http.request(method, path, data=body, headers=headers) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"the core does not answer ({type(error).__name__}); a command that was sent may have been taken"
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, reason) from error
