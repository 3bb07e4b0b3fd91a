"""What the private stream tells: one owner, everything posted in its order, and no silence taken for peace.

Of ours an execution is posted before what it made of its order; of strangers' orders nothing is. A stream that says
nothing of an order the venue has taken is dropped, and so is one that tells more than the core takes.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from actors.messages import AskOrder, Halt, Message, VenueLink
from daemon.edges.venue.errors import RequestError
from daemon.edges.venue.questions import backoff_s
from daemon.edges.venue.reports import OffGridError, UnknownFeeError, forced_report, order_report, trade_report
from daemon.edges.venue.stops import is_met
from daemon.edges.venue.stream import FundingWord

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from actors.instrument import Instrument
    from daemon.edges.venue.client import VenueClient
    from daemon.edges.venue.fee_values import FeeValues
    from daemon.edges.venue.questions import Names
    from daemon.edges.venue.stream import Push

_REDIAL_S = 0.1
_REDIAL_MAX_S = 30.0
_STEADY_S = 60.0
"""A stream that stood this long starts its back-off anew."""
_TOLD_MAX = 10_000
"""Events waiting for the core; more, and the stream is dropped, after which the accounts are compared."""
_LOOK_S = 1.0

log = structlog.get_logger()


class Pushes:
    """Owns the private stream.

    Args:
        client: the venue.
        instruments: what is traded, in exact units.
        names: orders by the venue's ids.
        fees: what fees in third assets are worth.
        post: takes what the venue says.
        ask: takes a question about an order of which an event says too little.
        on_down: called when the stream is gone.
        on_funding: called when the venue says that funding was paid.
        stall_s: longest silence about an order that the venue has taken.
    """

    def __init__(
        self,
        client: VenueClient,
        instruments: Mapping[str, Instrument],
        names: Names,
        fees: FeeValues,
        post: Callable[[Message], Awaitable[None]],
        ask: Callable[[Message], None],
        on_down: Callable[[], None],
        on_funding: Callable[[FundingWord], None],
        stall_s: float,
    ) -> None:
        self.up = False
        self._client = client
        self._instruments = instruments
        self._names = names
        self._fees = fees
        self._post = post
        self._ask = ask
        self._on_down = on_down
        self._on_funding = on_funding
        self._stall_s = stall_s
        self._told: deque[Push | Message] = deque()
        self._telling = anyio.Event()
        self._overrun = False
        self._silent_since: dict[str, float | None] = {}
        """Orders the stream has not spoken of since we sent something, and since when the venue has it."""

    @property
    def waiting(self) -> int:
        """Events that wait for the core."""
        return len(self._told)

    async def run(self) -> None:
        """Work until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._own_stream)
            group.start_soon(self._tell)
            group.start_soon(self._look_for_silence)

    def begin_anew(self) -> None:
        """After an earlier run was cancelled: say that its stream is gone."""
        if self.up:
            self.up = False
            self._told.append(VenueLink(up=False, reason="the gateway was started again"))

    def expect(self, order_id: str) -> None:
        """Have the stream speak of an order that is about to be sent."""
        if self.up:
            self._silent_since[order_id] = None

    def is_due(self, order_id: str) -> None:
        """Count from now how long the stream says nothing of an order: the venue has it."""
        if order_id in self._silent_since:
            self._silent_since[order_id] = time.monotonic()

    def expect_nothing(self, order_id: str) -> None:
        """Do not wait for word of an order that the venue may not have."""
        self._silent_since.pop(order_id, None)

    # --- the stream ---------------------------------------------------------------------------------

    async def _own_stream(self) -> None:
        failures = 0
        while True:
            started_s = time.monotonic()
            reason = "the stream ended"
            try:
                await self._client.listen(self._came_up, self._heard)
            except RequestError as failure:
                reason = failure.reason
                if failure.outcome == "halt" and not failures:
                    self._say(Halt(f"the private stream: {reason}"))
            await self._client.drop_stream(reason)
            self._went_down(reason)
            failures = 0 if time.monotonic() - started_s > _STEADY_S else failures + 1
            await anyio.sleep(backoff_s(failures, _REDIAL_S, _REDIAL_MAX_S))

    async def _came_up(self) -> None:
        log.info("venue_link_up")
        self.up = True
        self._overrun = False
        self._silent_since.clear()
        self._say(VenueLink(up=True))

    def _went_down(self, reason: str) -> None:
        log.warning("venue_link_down", was_up=self.up, reason=reason)
        self._silent_since.clear()
        self._on_down()
        if self.up:
            self.up = False
            self._say(VenueLink(up=False, reason=reason))

    def _heard(self, push: Push) -> None:
        if len(self._told) >= _TOLD_MAX:
            self._overrun = True
            return
        order = push[0]
        if order is not None:
            self._silent_since.pop(str(order.get("clientOrderId")), None)
        self._say(push)

    def _say(self, event: Push | Message) -> None:
        self._told.append(event)
        self._telling.set()

    async def _tell(self) -> None:
        """Post what the stream told, in its order."""
        while True:
            while self._told:
                event = self._told[0]
                for message in (event,) if isinstance(event, Message) else self._read(event):
                    await self._post(message)
                self._told.popleft()
            self._telling = anyio.Event()
            await self._telling.wait()

    def _read(self, push: Push) -> list[Message]:
        """Return what an event says: nothing of strangers' orders, executions first of ours."""
        order, trade = push
        if isinstance(trade, FundingWord):
            self._on_funding(trade)
            return []
        row = trade if order is None else order
        symbol = str(row.get("symbol"))
        name = self._names.of(symbol, str(trade.get("order"))) if order is None else self._names.learn(order)
        instrument = self._instruments.get(symbol)
        if instrument is None:
            return []
        if not name:
            return self._read_forced(row, trade, instrument)
        if order is not None and is_met(order):
            self._ask(AskOrder(name, symbol))  # it has become an order, of which events may have come before this one
            return []
        messages: list[Message] = []
        try:
            if trade is not None:
                valued = self._fees.at_once(trade_report(trade, name, instrument))
                if valued is None:  # a price must be asked for first, and nothing here may wait for that
                    self._ask(AskOrder(name, symbol))
                    return []
                messages.append(valued)
            if order is not None:
                info = order.get("info") or {}
                reason = str(info.get("r") or info.get("rm") or "")
                messages.append(order_report(order, name, instrument, "" if reason == "NONE" else reason))
        except UnknownFeeError:
            self._ask(AskOrder(name, symbol))  # a list of executions says more than an event
            return []
        except OffGridError as error:
            return [Halt(str(error))]
        return messages

    def _read_forced(self, row: Any, trade: Any, instrument: Instrument) -> list[Message]:  # noqa: ANN401 - ccxt's structures
        """Return what the venue did to our position on its own, if this is that."""
        client_id = self._names.forced(instrument.symbol, str(row.get("id") if trade is None else trade.get("order")))
        if not client_id or trade is None:
            return []
        try:
            return [forced_report(trade, client_id, instrument)]
        except (UnknownFeeError, OffGridError) as error:
            return [Halt(f"{instrument.symbol}: the venue executed its own order {client_id}: {error}")]

    async def _look_for_silence(self) -> None:
        """Drop a stream that says nothing of what it should."""
        while True:
            await anyio.sleep(min(_LOOK_S, self._stall_s / 4))
            horizon_s = time.monotonic() - self._stall_s
            silent = [name for name, since_s in self._silent_since.items() if since_s is not None]
            silent = [name for name in silent if (self._silent_since[name] or 0.0) < horizon_s]
            if self._overrun:
                await self._client.drop_stream("the venue tells more than the core takes")
            elif silent:
                self._silent_since.clear()
                await self._client.drop_stream(f"it said nothing of order {silent[0]} for {self._stall_s:g} s")
