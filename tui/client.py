"""The daemon's control endpoint as typed calls: what a status says, and the commands it takes.

The structs name what the console shows and nothing more; fields a newer daemon adds are passed over, and fields
an older one lacks have defaults. Money and quantities stay exact decimals from the wire to the screen.
"""

from __future__ import annotations

import os
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, Self

import aiohttp
import msgspec

if TYPE_CHECKING:
    from types import TracebackType

Action = Literal["pause", "resume", "flatten", "stop"]

_CONNECT_S = 2.0
_ANSWER_S = 10.0
"""The daemon itself waits up to five seconds for its disk before it answers."""


class Clock(msgspec.Struct, frozen=True):
    """The core's time: the tape's when the feed is a tape."""

    ts_ns: int = 0
    kind: str = ""


class Position(msgspec.Struct, frozen=True):
    """What one strategy holds of one symbol."""

    symbol: str
    strategy: str
    quantity: Decimal
    """Signed, in base units."""
    entry_price: float | None = None
    mark_price: float | None = None
    unrealized_pnl: Decimal | None = None


class Order(msgspec.Struct, frozen=True):
    """An open order."""

    order_id: str
    symbol: str
    strategy: str = ""
    state: str = ""
    side: str = ""
    kind: str = ""
    quantity: Decimal = Decimal(0)
    filled: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str = ""
    reduce_only: bool = False


class Actor(msgspec.Struct, frozen=True):
    """One actor of the core or one edge."""

    name: str
    state: str
    restarts: int = 0
    mailbox: int = 0
    processed: int = 0
    last_error: str | None = None


class Command(msgspec.Struct, frozen=True):
    """A command and what became of it."""

    command_id: str
    action: str
    outcome: str
    ts_ns: int = 0


class DeadLetter(msgspec.Struct, frozen=True):
    """A message an actor could not handle."""

    actor: str
    error: str
    seq: int = 0
    message: str = ""


class LastInput(msgspec.Struct, frozen=True):
    """The newest input the core has run."""

    seq: int = 0


class Status(msgspec.Struct, frozen=True):
    """One answer of ``GET /api/live/status``."""

    state: str
    session: str
    equity: Decimal
    cash: Decimal
    reason: str = ""
    mode: str = ""
    run: int = 1
    uptime_s: float = 0.0
    clock: Clock = Clock()
    tape_ended: bool = False
    realized_pnl: Decimal = Decimal(0)
    """Before fees."""
    fees: Decimal = Decimal(0)
    positions: tuple[Position, ...] = ()
    orders: tuple[Order, ...] = ()
    actors: tuple[Actor, ...] = ()
    stale: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    last_input: LastInput = LastInput()
    dead_letters: tuple[DeadLetter, ...] = ()


class _Refusal(msgspec.Struct):
    error: str = ""


class AwayError(Exception):
    """Nobody answers, or nobody we understand."""


class InDoubtError(AwayError):
    """The request left and no answer came: it may or may not have been taken."""


class RefusedError(Exception):
    """The daemon says no."""


class DaemonClient:
    """Speaks to one daemon; use it as an async context manager.

    Args:
        url: where the daemon listens.
        token: its bearer token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http: aiohttp.ClientSession | None = None
        self._decode_status = msgspec.json.Decoder(Status).decode

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=_CONNECT_S)
        self._http = aiohttp.ClientSession(self.url, headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._http is not None
        await self._http.close()

    async def status(self) -> Status:
        """Ask for the status.

        Raises:
            AwayError: no daemon answers at the address, or something else does.
            RefusedError: it does not let us in.
        """
        body = await self._request("GET", "/api/live/status")
        try:
            return self._decode_status(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"its status is not understood: {error}"
            raise AwayError(message) from error

    async def control(self, action: Action, key: str) -> None:
        """Send a command; on return the daemon has it on its disk.

        Args:
            action: what to do.
            key: sent as ``Idempotency-Key``: the same key again is the same command.

        Raises:
            InDoubtError: it was sent and no answer came.
            AwayError: it was never sent.
            RefusedError: the daemon did not take it.
        """
        body = msgspec.json.encode({"action": action})
        await self._request("POST", "/api/live/control", body, {"Idempotency-Key": key})

    async def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        assert self._http is not None, "the client is used outside its context"
        headers = {"Content-Type": "application/json", **(headers or {})}
        try:
            async with self._http.request(method, path, data=body, headers=headers) as response:
                answer = await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise AwayError(_reason(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise InDoubtError(_reason(error)) from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(_refusal(answer) or f"{response.status} {response.reason}")
        return answer


def _reason(error: Exception) -> str:
    """Return a few words for a person about why a request failed."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it hung up"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def _refusal(answer: bytes) -> str:
    try:
        return msgspec.json.decode(answer, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
