"""One daemon over HTTP and WebSocket: its status, its stream, its history, and the commands it takes.

Given is the address of its control endpoint, or of its console; the one is found from the other.
"""

from __future__ import annotations

import os
import time
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from tui.replay import Inside, Replay, Trace
from tui.status import Status
from tui.stream import Fill, Told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from types import TracebackType

Action = Literal["pause", "resume", "flatten", "stop", "tighten", "close", "cancel", "restart"]
Terms = dict[str, str | bool]
"""What a command is about: ``strategy``, ``symbol``, ``limit``, ``value``, ``order_id``, ``actor``, ``anew``."""
Answer = TypeVar("Answer")

_CONNECT_S = 2.0
_ANSWER_S = 10.0
"""The daemon itself waits up to five seconds for its disk before it answers."""
_HEARTBEAT_S = 5.0
"""A connection whose other end has gone without a word is noticed after half as much again."""
_CLOCKS_AGREE_S = 2.0
"""HTTP tells the time in whole seconds; what differs by less is no difference."""
_MESSAGE_BYTES_MAX = 64 * 1024 * 1024
_REDIRECTS = range(300, 400)
_REFUSALS = (HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.SERVICE_UNAVAILABLE)
"""What is no failure among the answers from 500 on."""


class Accepted(msgspec.Struct, frozen=True):
    """A command the daemon has on its disk."""

    command_id: str


class Fills(msgspec.Struct, frozen=True):
    """Executions of the session, the newest first."""

    rows: tuple[Fill, ...]


class EquityPoint(msgspec.Struct, frozen=True):
    """The equity at a time."""

    ts_ns: int
    equity: Decimal


class EquityCurve(msgspec.Struct, frozen=True):
    """The equity of the session so far."""

    session: str
    points: tuple[EquityPoint, ...]


class Gained(msgspec.Struct, frozen=True):
    """What the account gained in one day, week or month."""

    date: str
    equity: Decimal
    profit: Decimal
    fills: int
    share: float | None = None


class Gains(msgspec.Struct, frozen=True):
    """What the account gained by periods, the newest first."""

    by: str
    rows: tuple[Gained, ...]


class Candle(msgspec.Struct, frozen=True):
    """A bar of a chart."""

    open_ns: int
    close_ns: int
    open: float
    high: float
    low: float
    close: float


class Bars(msgspec.Struct, frozen=True):
    """Bars of one symbol, the oldest first."""

    symbol: str
    timeframe: str
    rows: tuple[Candle, ...]


class LogLine(msgspec.Struct, frozen=True):
    """One line of the daemon's log."""

    number: int
    wall_ns: int
    level: str
    event: str
    fields: dict[str, Any] = {}


class Logs(msgspec.Struct, frozen=True):
    """Lines of the log, the oldest first."""

    rows: tuple[LogLine, ...]
    next: int


class _Refusal(msgspec.Struct):
    error: str = ""


class AwayError(Exception):
    """Nobody answers, or nobody we understand."""


class InDoubtError(AwayError):
    """The request left and no answer came: it may or may not have been taken."""


class RefusedError(Exception):
    """The daemon says no.

    Attributes:
        status: as HTTP numbers it; 0 where that is not known.
    """

    def __init__(self, said: str, status: int = 0) -> None:
        super().__init__(said)
        self.status = status


class NoConsoleError(Exception):
    """The daemon has no console, or none that can be reached: no stream, no history."""


class DaemonClient:
    """Speaks to one daemon; use it as an async context manager.

    Args:
        url: where its control endpoint listens, or its console.
        token: its bearer token.
        connector: makes what requests travel over; plain TCP unless given.
    """

    def __init__(self, url: str, token: str, connector: Callable[[], aiohttp.BaseConnector] | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._connector = connector
        self._http: aiohttp.ClientSession | None = None
        self._decode_status = msgspec.json.Decoder(Status).decode
        self._console = ""
        """Where the console is, once it was found."""
        self._ahead_s = 0.0
        """How far the daemon's clock is ahead of ours."""

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=_CONNECT_S)
        connector = None if self._connector is None else self._connector()
        self._http = aiohttp.ClientSession(timeout=timeout, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._http is not None
        await self._http.close()

    def move(self, url: str, token: str) -> None:
        """Speak to this address, with this token, from now on."""
        if (url.rstrip("/"), token) != (self.url, self._token):
            self.url, self._token, self._console = url.rstrip("/"), token, ""

    def now_ns(self) -> int:
        """Return the time by the daemon's clock."""
        return time.time_ns() + int(self._ahead_s * 1e9)

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _note_clock(self, headers: Mapping[str, str]) -> None:
        """Compare clocks: an answer says when it was given."""
        try:
            ahead_s = parsedate_to_datetime(headers.get("Date", "")).timestamp() + 0.5 - time.time()
        except (ValueError, OverflowError):
            return
        self._ahead_s = ahead_s if abs(ahead_s) > _CLOCKS_AGREE_S else 0.0

    # --- what is now --------------------------------------------------------------------------------

    async def status(self) -> Status:
        """Ask for the status.

        Raises:
            AwayError: no daemon answers at the address, or something else does.
            RefusedError: it does not let us in.
        """
        body = await self._request("GET", f"{self.url}/api/live/status")
        try:
            return self._decode_status(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"its status is not understood: {error}"
            raise AwayError(message) from error

    async def stream(self, told: Told) -> AsyncGenerator[list[Fill], None]:
        """Listen to the stream from where `told` stands; yield the executions of each message it has taken over.

        Raises:
            NoConsoleError: there is none.
            AwayError: the stream has ended, or is not understood.
            RefusedError: it does not let us in.
        """
        console = await self.find_console()
        assert self._http is not None
        try:
            async with self._http.ws_connect(
                f"{console}/api/stream",
                params={"epoch": told.epoch, "since": told.seq} if told.epoch else {},
                headers=self._authorization,
                heartbeat=_HEARTBEAT_S,
                max_msg_size=_MESSAGE_BYTES_MAX,
            ) as socket:
                async for received in socket:
                    if received.type == aiohttp.WSMsgType.TEXT:
                        yield told.take(received.data)
                raise AwayError(_ending(socket))
        except aiohttp.WSServerHandshakeError as error:
            self._console = ""
            if error.status == HTTPStatus.UNAUTHORIZED:
                message = "the stream refuses the token"
                raise RefusedError(message) from error
            message = f"the console answers {error.status}"
            raise NoConsoleError(message) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._console = ""
            raise NoConsoleError(_reason(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"the stream is not understood: {error}"
            raise AwayError(message) from error

    async def find_console(self) -> str:
        """Return where the console is: where the control endpoint points, or the address given if it is the console.

        Raises:
            NoConsoleError: there is none.
        """
        if self._console:
            return self._console
        assert self._http is not None, "the client is used outside its context"
        try:
            async with self._http.get(f"{self.url}/", allow_redirects=False, headers=self._authorization) as response:
                self._note_clock(response.headers)
                to = response.headers.get("Location", "") if response.status in _REDIRECTS else ""
                if to.startswith(("http://", "https://")):
                    self._console = to.rstrip("/")
                elif response.status < HTTPStatus.BAD_REQUEST:
                    self._console = self.url
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NoConsoleError(_reason(error)) from error
        if not self._console:
            message = "the daemon's console is off"
            raise NoConsoleError(message)
        return self._console

    # --- what was -----------------------------------------------------------------------------------

    async def fills(self, **asked: str | int) -> Fills:
        """Return the newest executions, which the console has; `asked` may name strategy, symbol and limit."""
        return await self._history("live/fills", asked, Fills)

    async def equity(self, points: int) -> EquityCurve:
        """Return the equity curve of the session in so many points."""
        return await self._history("live/equity", {"points": points}, EquityCurve)

    async def profit(self, by: str, limit: int) -> Gains:
        """Return what was gained by day, week or month, in so many of the newest."""
        return await self._history("live/profit", {"by": by, "limit": limit}, Gains)

    async def bars(self, **asked: str | int) -> Bars:
        """Return the newest bars; `asked` may name symbol, timeframe and limit."""
        return await self._history("live/bars", asked, Bars)

    async def logs(self, after: int, level: str, text: str, limit: int) -> Logs:
        """Return the newest lines of the log that fit, after the one numbered `after`."""
        return await self._history("live/logs", {"after": after, "level": level, "text": text, "limit": limit}, Logs)

    # --- a replay, and the inside of actors ----------------------------------------------------------

    async def actor(self, name: str) -> Inside:
        """Return what an actor keeps."""
        return await self._history(f"live/actors/{quote(name, safe='')}", {}, Inside)

    async def replay(self) -> Replay:
        """Return how the replay stands; refused with 404 where there is none."""
        return await self._history("replay", {}, Replay)

    async def messages(self, **asked: str | int) -> Trace:
        """Return the newest messages; `asked` may name limit and actor."""
        return await self._history("replay/messages", asked, Trace)

    async def drive(self, what: str, body: Mapping[str, Any]) -> Replay:
        """Have the replay step, play, pause, jump or change its speed; return how it stands then."""
        return await self._history(f"replay/{what}", {}, Replay, body)

    async def _history(
        self,
        what: str,
        asked: Mapping[str, str | int],
        kind: type[Answer],
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask the console, or tell it something where there is a body.

        Raises:
            NoConsoleError: there is none.
            AwayError: it does not answer, or is not understood.
            RefusedError: it says no.
        """
        console = await self.find_console()
        method, content = ("GET", None) if body is None else ("POST", msgspec.json.encode(body))
        answer = await self._request(method, f"{console}/api/{what}", content, params=asked)
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"{what}: not understood: {error}"
            raise AwayError(message) from error

    # --- what is asked of it ------------------------------------------------------------------------

    async def control(self, action: Action, key: str, terms: Terms | None = None) -> str:
        """Send a command; on return the daemon has it on its disk.

        Args:
            action: what to do.
            key: sent as ``Idempotency-Key``: the same key again is the same command.
            terms: what it is about, where that is not the account.

        Returns:
            Its id; what became of it stands in the status.

        Raises:
            InDoubtError: it was sent and no answer came.
            AwayError: it was never sent.
            RefusedError: the daemon did not take it.
        """
        body = msgspec.json.encode({"action": action} | (terms or {}))
        answer = await self._request("POST", f"{self.url}/api/live/control", body, {"Idempotency-Key": key})
        try:
            return msgspec.json.decode(answer, type=Accepted).command_id
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"the answer is not understood: {error}"
            raise InDoubtError(message) from error

    async def _request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> bytes:
        assert self._http is not None, "the client is used outside its context"
        headers = {"Content-Type": "application/json", **self._authorization, **(headers or {})}
        try:
            async with self._http.request(method, url, data=body, headers=headers, params=params) as response:
                self._note_clock(response.headers)
                answer = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise AwayError(_reason(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise InDoubtError(_reason(error)) from error
        if response.status == HTTPStatus.UNAUTHORIZED:
            message = "it does not know our token"
            raise RefusedError(message, response.status)
        if response.status >= HTTPStatus.BAD_REQUEST:
            refusal = _refusal(answer) or f"{response.status} {response.reason}"
            failed = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR and response.status not in _REFUSALS
            raise InDoubtError(refusal) if failed else RefusedError(refusal, response.status)
        return answer


def _ending(socket: aiohttp.ClientWebSocketResponse) -> str:
    error = socket.exception()
    return "the stream has ended" if error is None else _reason(error)


def _reason(error: BaseException) -> str:
    """Return a few words for a person about why a request failed."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError):
        return "it hung up"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def _refusal(answer: bytes) -> str:
    try:
        return msgspec.json.decode(answer, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
