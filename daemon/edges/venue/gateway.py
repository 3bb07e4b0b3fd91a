"""Our orders at the venue: requests go out by priority, and whatever the venue says comes back as messages.

Nothing is ever sent twice to be on the safe side. What a request came to decides what is posted:

| request | answer | posted |
|---|---|---|
| order | a reply that names it | its executions, then what it says of the order |
| order | proved not to be taken | rejected; and a halt where another try would fare no better |
| order | anything else | in doubt: the core asks |
| order, still queued | its cancel came first, or an entry waited too long | cancelled or rejected: it never left |
| amend | there is no way to do it in one step | refused: withdraw first |
| amend, for a replacement | a reply that names it | its executions, then what it says of the replacement |
| amend, in its place | a reply that names it | what it says of the order, its executions, no replacement |
| amend | proved not to be done, or only withdrawn | refused; withdraw first if some of it was executed meanwhile |
| amend | anything else | the replacement is in doubt |
| amend, still queued | its cancel came first, or an entry waited too long | refused |
| cancel | a reply that says cancelled | what it says of the order |
| cancel | proved not to be done | refused |
| cancel | unknown order; anything else, after some tries | in doubt: it may be done, or not have arrived |
| question | the order | its executions, then what the venue says of it |
| question | unknown order, while a request may be on its way | nothing: asked again once that is too late |
| question | unknown order, and none can be on its way | absent |

A request is on its way until the venue would refuse it for its time stamp. What the private stream tells is the
business of `daemon.edges.venue.pushes`.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec
import structlog

from actors.messages import (
    AmendRefused,
    AskAccount,
    AskOrder,
    CancelRefused,
    Halt,
    Message,
    OrderAbsent,
    OrderInDoubt,
    OrderReported,
    SendAmend,
    SendCancel,
    SendOrder,
    TradeReported,
)
from daemon.edges.venue.amends import left_by, replacement_terms, terms_in_place, way_to_amend, words_of
from daemon.edges.venue.contract_client import ContractClient
from daemon.edges.venue.contracts import Contracts
from daemon.edges.venue.errors import RequestError, broken
from daemon.edges.venue.fee_values import FeeValues
from daemon.edges.venue.limits import Limits, LimitStatistics, Priority
from daemon.edges.venue.pushes import Pushes
from daemon.edges.venue.questions import Caller, Names, Questions, backoff_s
from daemon.edges.venue.reports import OffGridError, UnknownFeeError, order_report, order_terms, trade_report
from daemon.edges.venue.rules_watch import RulesWatch
from daemon.edges.venue.weights import SEND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from actors.instrument import Instrument
    from actors.messages import InstrumentChanged, OrderRequest
    from config.schema import Exchange as ExchangeSettings
    from daemon.edges.venue.client import VenueClient
    from daemon.edges.venue.stream import FundingWord

Command = SendOrder | SendCancel | SendAmend | AskOrder | AskAccount

_AHEAD_S = 1.0
"""A venue takes a time stamp that is this far in its future, so a request of a fast clock lives as much longer."""
_CANCEL_TRIES = 3
_ASK_AGAIN_S = 10.0
_LOST_MAX = 10_000

log = structlog.get_logger()


class GatewayStatistics(msgspec.Struct, frozen=True):
    """The gateway at one moment."""

    up: bool
    unanswered: int
    """Commands that are queued or under way."""
    told: int
    """Events of the stream that wait for the core."""
    limits: LimitStatistics


class _Job:
    """A command until it is answered."""

    __slots__ = ("before", "command", "scope", "sent", "settled", "withdrawn")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.before: _Job | None = None
        """An earlier one of the same order, which must be answered first."""
        self.sent = False
        """Whether bytes of it may have left."""
        self.withdrawn = False
        self.settled = anyio.Event()
        self.scope: anyio.CancelScope | None = None


class Gateway:
    """The edge between the core and a venue's orders.

    Args:
        client: the venue.
        instruments: what is traded, in exact units.
        post: takes what the venue says.
        settings: bounds.
        own_prefix: what our order ids start with, the session's nonce included; all others are strangers'.
        limits: whose turn it is, shared with whoever else asks the venue; one of its own when None.
        known_rules: what the core was told last of the rules of its symbols.
        began_ns: when the session began.
    """

    def __init__(
        self,
        client: VenueClient,
        instruments: Mapping[str, Instrument],
        post: Callable[[Message], Awaitable[None]],
        settings: ExchangeSettings,
        *,
        own_prefix: str,
        limits: Limits | None = None,
        known_rules: Mapping[str, InstrumentChanged] | None = None,
        began_ns: int = 0,
    ) -> None:
        self._client = client
        self._instruments = instruments
        self._post = post
        self._patience_s = settings.timeout_ms / 1000
        self._window_s = settings.recv_window_ms / 1000 + _AHEAD_S
        self._limits = Limits(client.weight_per_minute) if limits is None else limits
        self._caller = Caller(client, self._limits)
        self._names = Names(own_prefix)
        self._rules = RulesWatch(client, self._caller, instruments, known_rules or {}, post, settings.rules_s)
        self._fees = FeeValues(client, self._caller, instruments)
        self._contracts = (
            Contracts(client, self._caller, instruments, post) if isinstance(client, ContractClient) else None
        )
        asked = (client, self._caller, instruments, self._names, self._settled, self._fees.each, self._contracts)
        self._questions = Questions(*asked, began_ms=began_ns // 1_000_000)
        self._jobs: dict[int, _Job] = {}
        self._orders: dict[str, _Job] = {}
        """Orders that are queued or under way."""
        self._inbox: deque[int] = deque()
        self._numbers = 0
        self._arrived = anyio.Event()
        self._born_s = time.monotonic()
        self._lost: OrderedDict[str, float] = OrderedDict()
        """Order -> when a request for it that got lost is too late."""
        self._account: anyio.CancelScope | None = None
        self._pushes = Pushes(
            client,
            instruments,
            self._names,
            self._fees,
            post,
            self.send,
            self._stop_comparing,
            self._funding_paid,
            settings.stall_s,
        )

    # --- the core's side ----------------------------------------------------------------------------

    def send(self, command: Message) -> None:
        """Take a command, once its input is durable; never waits."""
        assert isinstance(command, Command), command
        self._numbers += 1
        job = self._jobs[self._numbers] = _Job(command)
        if isinstance(command, SendAmend):
            job.before = self._orders.get(command.order_id)
        for name in _named_by(command):
            self._orders[name] = job
        self._inbox.append(self._numbers)
        self._arrived.set()

    def statistics(self) -> GatewayStatistics:
        """Return the state of the gateway."""
        return GatewayStatistics(self._pushes.up, len(self._jobs), self._pushes.waiting, self._limits.statistics())

    async def run(self) -> None:
        """Work until cancelled; what an earlier run left is taken up first."""
        await self._take_up()
        async with anyio.create_task_group() as group:
            group.start_soon(self._pushes.run)
            if self._contracts is not None:
                group.start_soon(self._contracts.run)
            group.start_soon(self._rules.run)
            while True:
                while self._inbox:
                    group.start_soon(self._work, self._inbox.popleft())
                self._arrived = anyio.Event()
                await self._arrived.wait()

    async def _take_up(self) -> None:
        """Deal with what an earlier run left: what it sent is in doubt, all else is done again."""
        self._pushes.begin_anew()
        for number, job in list(self._jobs.items()):
            if job.sent and (names := _named_by(job.command)):
                await self._doubt(names[0], "the gateway was stopped before the reply came")
                self._finish(number)
        self._inbox = deque(self._jobs)

    async def _work(self, number: int) -> None:
        job = self._jobs[number]
        command = job.command
        try:
            if isinstance(command, SendOrder):
                await self._send_order(job, command)
            elif isinstance(command, SendCancel):
                await self._send_cancel(command)
            elif isinstance(command, SendAmend):
                await self._send_amend(job, command)
            elif isinstance(command, AskOrder):
                await self._ask_order(command)
            else:
                await self._ask_account(command)
        except OffGridError as error:
            self._rules.look_soon(str(error))
            await self._post(Halt(str(error)))
        except UnknownFeeError as error:
            await self._post(Halt(str(error)))
        self._finish(number)

    def _finish(self, number: int) -> None:
        job = self._jobs.pop(number)
        for name in _named_by(job.command):
            if self._orders.get(name) is job:
                del self._orders[name]
        job.settled.set()

    # --- orders -------------------------------------------------------------------------------------

    async def _send_order(self, job: _Job, command: SendOrder) -> None:
        order_id, request = command.order_id, command.request
        why_not = await self._wait_for_turn(job, request)
        if why_not:
            state: Literal["cancelled", "rejected"] = "cancelled" if job.withdrawn else "rejected"
            await self._post(OrderReported(order_id, "", state, 0, why_not))
            return
        self._pushes.expect(order_id)
        instrument = self._instruments[request.symbol]
        try:
            reply = await self._caller.now(lambda: self._client.submit(*order_terms(command, instrument)))
            if not reply.get("id") or reply.get("clientOrderId") not in (None, order_id):
                raise broken("submit", f"it names order {reply.get('clientOrderId')}")
        except RequestError as failure:
            await self._not_taken(command, failure)
        else:
            self._names.learn({**reply, "clientOrderId": order_id, "symbol": request.symbol})
            self._lost.pop(order_id, None)
            self._pushes.is_due(order_id)
            await self._taken(command, reply)

    async def _wait_for_turn(self, job: _Job, request: OrderRequest) -> str:
        """Wait until a request may go out; return why it does not."""
        leaving = request.reduce_only or request.closing
        if not job.withdrawn:
            with anyio.move_on_after(None if leaving else self._patience_s) as job.scope:
                await self._limits.turn(Priority.EXIT if leaving else Priority.ENTRY, SEND)
                job.sent = True
        if job.sent:
            return ""
        if job.withdrawn:
            return "withdrawn before it was sent"
        return f"not sent: the venue's limits left no room for {self._patience_s:g} s"

    async def _not_taken(self, command: SendOrder, failure: RequestError) -> None:
        if failure.rules:
            self._rules.look_soon(failure.reason)
        self._pushes.expect_nothing(command.order_id)
        if failure.outcome == "doubt":
            await self._doubt(command.order_id, failure.reason)
            return
        await self._post(OrderReported(command.order_id, "", "rejected", 0, failure.reason))
        if failure.outcome == "halt":
            await self._post(Halt(f"order {command.order_id} was refused: {failure.reason}"))

    async def _taken(self, command: SendOrder, reply: Mapping[str, Any]) -> None:
        """Post what a reply says of an order the venue has taken."""
        order_id, request = command.order_id, command.request
        instrument = self._instruments[request.symbol]
        try:
            report = order_report(reply, order_id, instrument)
            trades = await self._fees.each(self._trades_in(reply, command, instrument))
            if sum(trade.quantity_lots for trade in trades) < report.filled_lots:
                trades = await self._questions.trades(report, request.symbol, Priority.ORDER_QUESTION)
        except RequestError as failure:
            await self._doubt(order_id, failure.reason)
        except OffGridError as error:
            await self._doubt(order_id, str(error))
            raise
        else:
            await self._post_all(trades, report)

    @staticmethod
    def _trades_in(reply: Mapping[str, Any], command: SendOrder, instrument: Instrument) -> list[TradeReported]:
        """Return the executions a reply shows, or none if it does not show all of each."""
        at_ms = reply.get("lastTradeTimestamp") or reply.get("timestamp")
        try:
            return [
                trade_report(row, command.order_id, instrument, request=command.request, at_ms=at_ms)
                for row in reply.get("trades") or ()
            ]
        except UnknownFeeError:
            return []

    async def _doubt(self, order_id: str, reason: str) -> None:
        self._lost[order_id] = time.monotonic() + self._window_s
        if len(self._lost) > _LOST_MAX:
            self._lost.popitem(last=False)
        await self._post(OrderInDoubt(order_id, reason))

    # --- amends -------------------------------------------------------------------------------------

    async def _send_amend(self, job: _Job, command: SendAmend) -> None:
        if job.before is not None:
            await job.before.settled.wait()
        instrument = self._instruments[command.request.symbol]
        way = way_to_amend(self._client.exchange.id, command, instrument)
        names = (command.order_id, command.new_order_id)
        if way == "withdraw":
            await self._post(AmendRefused(*names, "it cannot be changed in one step", withdraw_first=True))
            return
        why_not = await self._wait_for_turn(job, command.request)
        if why_not:
            await self._post(AmendRefused(*names, why_not))
        elif way == "replace":
            await self._replace(command, instrument)
        else:
            await self._change_in_place(command, instrument)

    async def _replace(self, command: SendAmend, instrument: Instrument) -> None:
        order_id = command.new_order_id
        self._pushes.expect(order_id)
        try:
            reply = await self._caller.now(lambda: self._client.replace(*replacement_terms(command, instrument)))
            if not reply.get("id") or reply.get("clientOrderId") != order_id:
                raise broken("submit", f"it names order {reply.get('clientOrderId')}")
        except RequestError as failure:
            self._pushes.expect_nothing(order_id)
            await self._not_amended(command, failure)
            return
        self._names.learn({**reply, "symbol": command.request.symbol})
        self._pushes.is_due(order_id)
        await self._taken(SendOrder(order_id, command.request), reply)

    async def _change_in_place(self, command: SendAmend, instrument: Instrument) -> None:
        symbol = command.request.symbol
        try:
            reply = await self._caller.now(lambda: self._client.change(*terms_in_place(command, instrument)))
            if reply.get("clientOrderId") != command.order_id:
                raise broken("submit", f"it names order {reply.get('clientOrderId')}")
            report = order_report(reply, command.order_id, instrument)
            trades: list[TradeReported] = []
            if report.filled_lots > command.booked_lots:
                trades = await self._questions.trades(report, symbol, Priority.ORDER_QUESTION)
        except RequestError as failure:
            await self._not_amended(command, failure)
            return
        await self._post(report)
        for trade in trades:
            await self._post(trade)
        self._lost[command.new_order_id] = time.monotonic()
        await self._post(OrderAbsent(command.new_order_id, "the order was changed in its place"))

    async def _not_amended(self, command: SendAmend, failure: RequestError) -> None:
        left = left_by(failure)
        if left == "doubt":
            await self._doubt(command.new_order_id, failure.reason)
            return
        names = (command.order_id, command.new_order_id)
        await self._post(AmendRefused(*names, words_of(failure), withdraw_first=left == "withdraw_first"))
        if left == "halt":
            await self._post(Halt(f"the change of order {command.order_id} was refused: {failure.reason}"))

    # --- cancels ------------------------------------------------------------------------------------

    async def _send_cancel(self, command: SendCancel) -> None:
        order_id = command.order_id
        sending = self._orders.get(order_id)
        if sending is not None and not sending.sent:
            sending.withdrawn = True
            if sending.scope is not None:
                sending.scope.cancel()
            if isinstance(sending.command, SendOrder):
                return
        if sending is not None:
            await sending.settled.wait()
        reason = ""
        for attempt in range(_CANCEL_TRIES):
            try:
                reply = await self._caller.once(
                    Priority.CANCEL, SEND, lambda: self._client.cancel(order_id, command.symbol)
                )
                if not reply.get("id"):
                    raise broken("cancel", "it names no order")
            except RequestError as failure:
                reason = failure.reason
                if failure.outcome == "retry":
                    await anyio.sleep(backoff_s(attempt))
                    continue
                if failure.outcome == "halt":
                    await self._post(Halt(f"the cancel of order {order_id} was refused: {reason}"))
                if failure.outcome == "doubt":
                    break
                await self._post(CancelRefused(order_id, reason))
                return
            report = order_report(reply, order_id, self._instruments[command.symbol], "as asked")
            if report.state == "cancelled":
                await self._post(report)
                return
            reason = f"the venue says the order is {report.state}"
            break
        await self._post(OrderInDoubt(order_id, f"cancel: {reason}"))

    # --- questions ----------------------------------------------------------------------------------

    async def _settled(self, order_id: str) -> float:
        """Wait until no request for an order is under way; return when one that got lost is too late.

        An order of which this process knows nothing may have been sent by the process before it, just before our start.
        """
        job = self._orders.get(order_id)
        if job is not None:
            await job.settled.wait()
        return self._lost.get(order_id, self._born_s + self._window_s)

    async def _ask_order(self, command: AskOrder) -> None:
        try:
            answer = await self._questions.order(command.order_id, command.symbol)
        except RequestError as failure:
            await self._post(Halt(f"order {command.order_id} is in doubt, and stays so: {failure.reason}"))
            return
        self._lost.pop(command.order_id, None)
        if answer is None:
            await self._post(OrderAbsent(command.order_id, "the venue does not know it"))
        else:
            report, trades = answer
            await self._post_all(trades, msgspec.structs.replace(report, asked=True))

    async def _ask_account(self, command: AskAccount) -> None:
        if self._account is not None:
            self._account.cancel()
        with anyio.CancelScope() as scope:
            self._account = scope
            told = False
            while True:
                try:
                    troubles = [] if self._contracts is None else await self._contracts.mode_troubles()
                    account = await self._questions.account(command)
                    break
                except (RequestError, OffGridError, UnknownFeeError) as failure:
                    log.warning("account_not_compared", reason=str(failure))
                    if isinstance(failure, OffGridError):
                        self._rules.look_soon(str(failure))
                    if not told:
                        await self._post(Halt(f"the account cannot be compared: {failure}"))
                    told = True
                await anyio.sleep(_ASK_AGAIN_S)  # nothing leaves before it is: who puts it right need not wait long
            if troubles:
                await self._post(Halt("; ".join(troubles)))
            await self._post(account)

    def _stop_comparing(self) -> None:
        """Give up a comparison of the accounts under way: the core asks anew once the link is up."""
        if self._account is not None:
            self._account.cancel()

    def _funding_paid(self, word: FundingWord) -> None:
        if self._contracts is not None:
            self._contracts.told(word)

    async def _post_all(self, trades: list[TradeReported], report: OrderReported) -> None:
        for trade in trades:
            await self._post(trade)
        await self._post(report)


def _named_by(command: Command) -> tuple[str, ...]:
    """Return the orders a command may put to work or take away from it, what it sends first; none for a question."""
    if isinstance(command, SendOrder):
        return (command.order_id,)
    return (command.new_order_id, command.order_id) if isinstance(command, SendAmend) else ()
