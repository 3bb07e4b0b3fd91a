"""The pump: one task that owns one ccxt.pro stream and does nothing but hand on what comes.

What ccxt leaves to its caller is done here, once for all kinds of stream (the traps are reproduced in the tests):

* Between two calls of `watch` nothing is awaited: an update that lands while nobody waits wakes nobody. What is
  handed on goes to a plain function.
* After anything but data there is a pause of at least `BACKOFF_MIN_S`, with jitter: a gap error is raised again at
  once without ever yielding, and a dial in the same moment as a close is deleted by the close's second report.
* The socket that serves the stream is known. If it is no longer the one ccxt has, data may be missing although no
  call has failed; then, and after every error, `on_break` is called before the stream is opened again.
* A stream that is silent for `stall_s` is asked about (`quiet`), and if the venue has more to say than it told,
  its socket is dropped: pings answer, refused or forgotten subscriptions look subscribed, a reader died.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import anyio
import msgspec
import structlog
from aiohttp import ClientError
from ccxt.base.errors import BaseError, NetworkError, RequestTimeout

from daemon.log import masked

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Mapping

T = TypeVar("T")

BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 10.0
_LOUD_ATTEMPTS = 5
"""After so many failures in a row only every so many-th is a line in the log."""

FAULTS = (
    BaseError,
    ClientError,
    OSError,
    TimeoutError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What a call of ccxt may end in: its own errors, the network's, and what parsing a broken reply raises."""

log = structlog.get_logger()


class StreamClient(Protocol):
    """What a pump needs of a ccxt.pro exchange."""

    clients: Mapping[str, Any]
    """ccxt's sockets by address."""


class PumpStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """How one stream is doing."""

    name: str
    delivered: int
    breaks: int
    stalls: int
    """Times it was silent while the venue was not."""
    quiet: int
    """Times it was silent and so was the venue."""
    failures: int
    """Failures since the last data."""
    heard_s_ago: float
    last_error: str


def backoff_s(failures: int, chance: random.Random) -> float:
    """Return the pause after so many failures in a row: doubling, bounded, with up to half as much again by chance."""
    assert failures >= 1, failures
    pause_s = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2.0 ** min(failures - 1, 16))
    return pause_s * (1.0 + 0.5 * chance.random())


class Pace:
    """Spaces what venues allow a few times a second only: Binance closes a socket at more than 5 messages.

    Args:
        period_s: shortest time between two turns.
    """

    def __init__(self, period_s: float = 0.25) -> None:
        self._period_s = period_s
        self._lock = anyio.Lock()
        self._last_s = 0.0

    async def turn(self) -> None:
        """Wait for one's turn; the time counts from when the one before really had its own."""
        async with self._lock:
            await anyio.sleep(max(0.0, self._last_s + self._period_s - time.monotonic()))
            self._last_s = time.monotonic()


class _Looking(Generator[Any, Any, T]):
    """Awaits a call, and looks once: right where it first waits, before anyone else's turn."""

    def __init__(self, call: Awaitable[T], look: Callable[[], None]) -> None:
        self._call: Any = call.__await__()
        self._look: Callable[[], None] | None = look

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def send(self, value: Any, /) -> Any:  # noqa: ANN401 - between the call and the event loop
        waits_for = self._call.send(value)
        if self._look is not None:
            self._look()
            self._look = None
        return waits_for

    def throw(self, *thrown: Any) -> Any:  # noqa: ANN401 - between the call and the event loop
        return self._call.throw(*thrown)


class Pump(Generic[T]):
    """Owns one stream.

    Args:
        name: for the log and the statistics.
        client: the exchange.
        watch: one call of ccxt's watch method.
        deliver: takes what it returned; must not wait.
        on_break: told why data may be missing, before any new data.
        quiet: asked after silence whether the venue has nothing to say; without it silence is a stall.
        stall_s: how long silence may last.
        mention: what the stream's keys in ccxt's tables contain, such as its symbol.
        chance: jitter.
        pace: waited for before the stream is opened, because venues count subscriptions.
    """

    def __init__(
        self,
        name: str,
        client: StreamClient,
        watch: Callable[[], Awaitable[T]],
        deliver: Callable[[T], None],
        *,
        stall_s: float,
        mention: str,
        chance: random.Random,
        on_break: Callable[[str], None] | None = None,
        quiet: Callable[[], Awaitable[bool]] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._watch = watch
        self._deliver = deliver
        self._on_break = on_break
        self._quiet = quiet
        self._pace = pace
        self._stall_s = stall_s
        self._mention = mention
        self._chance = chance
        self._socket: Any = None
        self._keys: set[Any] = set()
        """The stream's own keys among the socket's futures and subscriptions."""
        self._scope: anyio.CancelScope | None = None
        self._heard_s = time.monotonic()
        self._asked_s: float | None = None
        """Since when the venue could have spoken: the newest data, or the call after a break; None between."""
        self._delivered = self._breaks = self._stalls = self._quiets = self._failures = 0
        self._last_error = ""

    async def run(self) -> None:
        """Pump until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch_over, name=f"{self.name} watchdog")
            while True:
                with anyio.CancelScope() as self._scope:
                    await self._pump()
                await anyio.sleep(backoff_s(max(1, self._failures), self._chance))

    def touch(self) -> None:
        """Note that the stream spoke past `watch`, to somebody who hears it directly."""
        if self._asked_s is not None:
            self._heard_s = self._asked_s = time.monotonic()
            self._delivered += 1
            self._failures = 0

    def statistics(self) -> PumpStatistics:
        """Return how it is doing."""
        return PumpStatistics(
            name=self.name,
            delivered=self._delivered,
            breaks=self._breaks,
            stalls=self._stalls,
            quiet=self._quiets,
            failures=self._failures,
            heard_s_ago=time.monotonic() - self._heard_s,
            last_error=self._last_error,
        )

    # --- pumping ------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        while True:
            try:
                value = await (self._watch() if self._attached() else self._open())
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                reason = "the client was closed"  # its futures are cancelled then, and we are not
            except FAULTS as error:
                reason = f"{type(error).__name__}: {error}"
                self._after(error)
            else:
                self._heard_s = self._asked_s = time.monotonic()
                self._delivered += 1
                self._deliver(value)
                if self._socket is None or self._attached():
                    self._failures = 0
                    continue
                reason = "the socket was replaced"
            self._broke(reason)
            await anyio.sleep(backoff_s(self._failures, self._chance))

    async def _open(self) -> T:
        """Make the first call on a socket, and look which one it is where the call begins to wait."""
        self._release()
        if self._pace is not None:
            await self._pace.turn()
        self._asked_s = time.monotonic()
        before = {socket: set(socket.futures.values()) for socket in self._client.clients.values()}
        return await _Looking(self._watch(), lambda: self._find_socket(before))

    def _find_socket(self, before: Mapping[Any, set[Any]]) -> None:
        for socket in self._client.clients.values():
            known = before.get(socket, set())
            new = {key for key, future in socket.futures.items() if future not in known}
            if new:
                self._socket, self._keys = socket, new
                return
        for socket in self._client.clients.values():
            # A call that was given up before this one leaves its future for us.
            own = self._keys & socket.futures.keys() or {key for key in socket.futures if self._mention in str(key)}
            if own:
                self._socket, self._keys = socket, own
                return

    def _attached(self) -> bool:
        """Whether our socket is the one ccxt has under its address."""
        return self._socket is not None and self._client.clients.get(self._socket.url) is self._socket

    # --- trouble ------------------------------------------------------------------------------------

    def _after(self, error: Exception) -> None:
        """Leave nothing behind that would make the next call hang."""
        if not self._attached():
            return
        if type(error) in (NetworkError, RequestTimeout):
            drop_socket(self._socket, str(error))  # its reader may have ended although it is still registered
        else:
            for key in self._keys:
                self._socket.subscriptions.pop(key, None)  # a refused subscription is remembered as made
            self._socket = None

    def _release(self) -> None:
        """Let go of a socket that ccxt no longer has: nobody else would close it, and it goes on talking."""
        if self._socket is not None and not self._attached():
            drop_socket(self._socket, "it was replaced")
        self._socket = None

    def _broke(self, reason: str) -> None:
        self._asked_s = None
        self._breaks += 1
        self._failures += 1
        self._last_error = str(masked(reason))
        if self._failures <= _LOUD_ATTEMPTS or self._failures % _LOUD_ATTEMPTS == 0:
            log.warning("stream_broke", stream=self.name, reason=reason, failures=self._failures)
        if self._on_break is not None:
            self._on_break(reason)

    async def _watch_over(self) -> None:
        """Ask about silence, and end it."""
        while True:
            since_s = self._asked_s
            if since_s is None or time.monotonic() < since_s + self._stall_s:
                left_s = self._stall_s if since_s is None else since_s + self._stall_s - time.monotonic()
                await anyio.sleep(max(BACKOFF_MIN_S, left_s))
                continue
            quiet = self._quiet is not None and await self._quiet()
            if self._asked_s != since_s:
                continue  # it spoke meanwhile, or broke: another stream on its socket may have been first
            if quiet:
                self._quiets += 1
                self._asked_s = time.monotonic()
                continue
            self._stalls += 1
            for socket in list(self._client.clients.values()) if self._socket is None else [self._socket]:
                drop_socket(socket, f"silent for {self._stall_s:g} s")
            self._broke("silent")
            if self._scope is not None:
                self._scope.cancel()


_closing: set[asyncio.Future[Any]] = set()
"""Closes under way: the loop itself would forget them."""


def drop_socket(socket: Any, reason: str) -> None:  # noqa: ANN401 - ccxt's own client
    """Fail all who wait on a socket, have ccxt forget it, and close it, also if it is only being dialled."""
    if socket.error is None:
        socket.on_error(NetworkError(reason))
    if socket.connecting and not socket.connected.done():
        socket.connected.add_done_callback(lambda _: _close(socket))
    elif not socket.closed():
        _close(socket)


def _close(socket: Any) -> None:  # noqa: ANN401 - ccxt's own client
    closing = asyncio.ensure_future(socket.close(1006))
    _closing.add(closing)
    closing.add_done_callback(_closing.discard)
