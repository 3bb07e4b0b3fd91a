"""The console's way to the core: its small control endpoint, over HTTP like anybody else."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from daemon.control.refusal import RefusedError
from daemon.control.security import CALLER_HEADER, told
from daemon.control.tls import client_context
from daemon.control.unix import SCHEME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.control.security import Caller

_CONNECT_S = 2.0
_ANSWER_S = 10.0
_CONNECTIONS_MAX = 8
_STATUS_S = 1.0
"""One answer serves everybody for so long: to make it holds the core up for a millisecond."""


class CoreClient:
    """Passes requests on.

    Args:
        url: of the control endpoint; of its Unix socket, where it has no other.
        token: the internal one, which lets us name whom we ask for.
        certificate: what is trusted where it speaks TLS.
    """

    def __init__(self, url: str, token: str, certificate: str | None = None) -> None:
        self._url = url
        self._certificate = certificate
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http: aiohttp.ClientSession | None = None
        self._status: asyncio.Task[tuple[int, bytes]] | None = None

    async def open(self) -> None:
        """Get ready."""
        is_unix = self._url.startswith(SCHEME)
        connector: aiohttp.BaseConnector
        if is_unix:
            connector = aiohttp.UnixConnector(self._url.removeprefix(SCHEME), limit=_CONNECTIONS_MAX)
        else:
            tls = True if self._certificate is None else client_context(Path(self._certificate))
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS_MAX, ssl=tls)
        self._http = aiohttp.ClientSession(
            "http://localhost" if is_unix else self._url,
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=_CONNECT_S),
            connector=connector,
        )

    async def close(self) -> None:
        """Hang up."""
        if self._http is not None:
            await self._http.close()

    async def status(self, caller: Caller) -> tuple[int, bytes]:
        """Return what the core says of itself, asked for once for all who ask at the same time.

        Who has sent a command looks at what became of it: none is kept that was asked for before the answer to one.

        Raises:
            RefusedError: no answer came.
        """
        if self._status is None:
            self._status = asyncio.create_task(self.ask(caller, "GET", "/api/live/status"))
            self._status.add_done_callback(self._keep)
        return await asyncio.shield(self._status)

    def _keep(self, asked: asyncio.Task[tuple[int, bytes]]) -> None:
        """Have an answer serve for a while yet; that there was none is told those alone who waited for it."""
        if asked.cancelled() or asked.exception() is not None:
            self._forget(asked)
        else:
            asyncio.get_running_loop().call_later(_STATUS_S, self._forget, asked)

    def _forget(self, asked: asyncio.Task[tuple[int, bytes]]) -> None:
        if self._status is asked:
            self._status = None

    async def ask(
        self,
        caller: Caller,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Send a request for somebody; return the status and the JSON it was answered with.

        Raises:
            RefusedError: no answer came; a command may have been taken.
        """
        assert self._http is not None, "the client is not open"
        told_of = {CALLER_HEADER: told(caller), **(headers or {})}
        try:
            async with self._http.request(method, path, data=body, headers=told_of) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"the core does not answer ({type(error).__name__}); a command that was sent may have been taken"
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, reason) from error
        finally:
            if method != "GET":
                self._status = None
