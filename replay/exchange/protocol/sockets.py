"""One WebSocket: an orderly queue to the client, and every fault that can strike a message on it.

Nothing but the queue's own task writes, so that messages leave in the order they were meant to, unless a fault
says otherwise. A client that does not read is cut off, as Binance does; nothing is dropped in silence.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from replay.exchange.faults import Faults

_QUEUE_MAX = 50_000
_MESSAGE_BYTES_MAX = 1 << 20
_GOODBYE_S = 1.0
"""How long a client has to answer a close frame."""
_HELD_S = 1.0
"""How long a message waits for the one it is to follow."""
_TEXT_FRAME = 0x81
_LENGTH_16 = 126
_LENGTH_64 = 127

log = structlog.get_logger()


class _Message(NamedTuple):
    text: str
    occasion: str
    is_event: bool


class Pings(NamedTuple):
    """How a server finds out that nobody is there."""

    every_s: float
    """Seconds between two pings; 0 for none."""
    within_s: float
    """Seconds after which a client that has answered none is cut off."""


class Connection:
    """The exchange's end of one socket.

    Args:
        faults: what goes wrong.
        pings: when the client is asked whether it is there.
    """

    def __init__(self, faults: Faults, pings: Pings) -> None:
        self._faults = faults
        self._pings = pings
        self._ws = web.WebSocketResponse(
            timeout=_GOODBYE_S, autoping=False, compress=False, max_msg_size=_MESSAGE_BYTES_MAX
        )
        self._transport: Any = None
        self._queue: deque[_Message] = deque()
        self._wake = asyncio.Event()
        self._silent_until_s = 0.0
        self._answered_s = 0.0
        self._ended = False

    async def serve(self, request: web.Request, receive: Callable[[str], Awaitable[None]]) -> web.WebSocketResponse:
        """Shake hands, then hand every text that arrives to `receive` until the socket ends."""
        await self._ws.prepare(request)
        self._transport = request.transport
        beside = [asyncio.create_task(self._write())]
        if self._pings.every_s:
            beside.append(asyncio.create_task(self._ping()))
        if self._faults.strikes("server_disconnect", request.path):
            beside.append(asyncio.create_task(self._leave(self._faults.seconds("server_disconnect"))))
        try:
            async for message in self._ws:
                if message.type is WSMsgType.TEXT:
                    await receive(message.data)
                elif message.type is WSMsgType.PONG:
                    self._answered_s = time.monotonic()
                elif message.type is WSMsgType.PING and not self._faults.strikes("pings_unanswered"):
                    await self._ws.pong(message.data)
        except ConnectionError:
            log.debug("socket_lost")
        finally:
            self._ended = True
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        return self._ws

    def push(self, text: str, occasion: str) -> None:
        """Send an event, some time soon."""
        self._put(_Message(text, occasion, is_event=True))

    def reply(self, text: str, occasion: str) -> None:
        """Send an answer, some time soon."""
        self._put(_Message(text, occasion, is_event=False))

    def close(self) -> None:
        """End the connection without a word."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    async def say_goodbye(self, code: WSCloseCode = WSCloseCode.GOING_AWAY, reason: bytes = b"") -> None:
        """Close the socket with a code: unless told otherwise, that of a server that shuts down."""
        self._ended = True
        await self._ws.close(code=code, message=reason, drain=False)

    def _put(self, message: _Message) -> None:
        if self._ended:
            return
        if len(self._queue) >= _QUEUE_MAX:
            log.warning("client_too_slow", waiting=len(self._queue))
            self.close()
            return
        self._queue.append(message)
        self._wake.set()

    async def _ping(self) -> None:
        """Ask whether the client is there, and cut it off once it has not answered for too long."""
        self._answered_s = time.monotonic()
        try:
            while time.monotonic() - self._answered_s <= self._pings.within_s:
                await asyncio.sleep(self._pings.every_s)
                await self._ws.ping(str(time.time_ns() // 1_000_000).encode())
        except ConnectionError:
            log.debug("socket_lost")
            return
        log.debug("client_silent")
        self.close()

    async def _leave(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self.say_goodbye()

    async def _write(self) -> None:
        held: _Message | None = None
        try:
            while True:
                if not self._queue:
                    self._wake.clear()
                    if held is None:
                        await self._wake.wait()
                    else:
                        held = await self._wait_with(held)
                    continue
                message = self._queue.popleft()
                if message.is_event and held is None and self._faults.strikes("out_of_order", message.occasion):
                    held = message
                    continue
                await self._send(message)
                if held is not None:
                    await self._send(held)
                    held = None
        except ConnectionError:
            log.debug("socket_lost")

    async def _wait_with(self, held: _Message) -> _Message | None:
        """Wait for a message that the held one is to follow; send the held one if none comes."""
        try:
            await asyncio.wait_for(self._wake.wait(), _HELD_S)
        except TimeoutError:
            await self._send(held)
            return None
        return held

    async def _send(self, message: _Message) -> None:
        faults, occasion = self._faults, message.occasion
        if time.monotonic() < self._silent_until_s:
            return
        if faults.strikes("stall", occasion):
            self._silent_until_s = time.monotonic() + faults.seconds("stall")
            return
        if await self._ends(message):
            self._queue.clear()
            self._ended = True
            return
        if message.is_event:
            if faults.strikes("message_lost", occasion):
                return
            if faults.strikes("message_late", occasion):
                await asyncio.sleep(faults.seconds("message_late"))
            if faults.strikes("duplicate", occasion):
                await self._ws.send_str(message.text)
        await self._ws.send_str(message.text)

    async def _ends(self, message: _Message) -> bool:
        """Return whether a fault ends the connection before the message."""
        faults, occasion = self._faults, message.occasion
        if faults.strikes("close", occasion):
            await self._ws.close(code=WSCloseCode.GOING_AWAY, message=b"", drain=False)
            return True
        if faults.strikes("abort", occasion):
            self._transport.close()
            return True
        if faults.strikes("reset", occasion):
            _linger_not(self._transport)
            self._transport.abort()
            return True
        if faults.strikes("truncated_frame", occasion):
            self._transport.write(_frame(message.text)[: -len(message.text.encode()) // 2])
            self._transport.close()
            return True
        return False


def _frame(text: str) -> bytes:
    """Return a text as one unmasked frame."""
    payload = text.encode()
    size = len(payload)
    if size < _LENGTH_16:
        head = struct.pack("!BB", _TEXT_FRAME, size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", _TEXT_FRAME, _LENGTH_16, size)
    else:
        head = struct.pack("!BBQ", _TEXT_FRAME, _LENGTH_64, size)
    return head + payload


def _linger_not(transport: Any) -> None:  # noqa: ANN401 - asyncio's and uvloop's transports have no type in common
    """Have the connection end with a reset: through a descriptor of our own, which every event loop allows."""
    number = transport.get_extra_info("socket").fileno()
    with socket.socket(fileno=os.dup(number)) as twin:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
