"""A real venue behind the venue port: what was sent, what the venue says, and what is still in doubt.

This actor is the core's half of the gateway. Requests leave as effects once their input is durable; replies,
pushes and the answers to questions come back as journaled inputs, so a session traded for real replays bit
for bit. Nothing the edge reports is believed twice: executions are recognised by the venue's trade id, and an
order ends only when as much of it was booked as the venue says was executed.

What a report leads to, by what is known of the order ("booked" is what we have of it, "said" is the venue's total):

| report | order | then |
|---|---|---|
| in doubt | any that is open | ask |
| open | not yet accepted | accepted |
| open, filled, cancelled, expired; said > booked | open | remember how it ended, ask for its trades |
| cancelled, expired; said = booked | open | ended |
| rejected; nothing booked | open | rejected |
| any; said < booked, and final | open | halt: the venue takes back what it had executed |
| trade, new | open | accepted if it was not, fill |
| trade, known | any | nothing |
| trade, new | ended | halt: an execution nobody can account for |
| absent | never accepted | rejected: it never arrived; what only closes or reduces expires, which is no refusal |
| absent | accepted | halt: the venue forgot an order it had taken |
| open, after a doubt | to be withdrawn | ask the venue again to withdraw it |
| cancel refused | open | ask; after the third time it works on |
| trade of `pitboss panic`, new | none of ours | halt; the books follow in the next comparison (`adoption`) |
| forced by the venue, new | none of ours | halt by its name; the contract is not traded any more |
| funding, new | | shared among the books of the contract |
| anything else | ended | nothing |

What a change of an order comes to stands in `actors.execution.amends`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.execution.adoption import Adoption, is_of_panic
from actors.execution.amends import Amends
from actors.execution.booking import Booking
from actors.execution.contracts import Contracts
from actors.execution.inquiry import Inquiry
from actors.execution.reconciliation import Accounts
from actors.execution.remote_state import RemoteState
from actors.execution.rules import Rules
from actors.execution.sent import Sent, identity
from actors.messages import (
    SELL,
    Accepted,
    AccountReported,
    AmendOrder,
    AmendRefused,
    AmendRejected,
    AskOrder,
    Bar,
    Cancelled,
    CancelOrder,
    CancelRefused,
    CancelRejected,
    Expired,
    FeeInBase,
    ForcedTrade,
    FundingPaid,
    Halt,
    InstrumentChanged,
    MarginReported,
    OrderAbsent,
    OrderInDoubt,
    OrderReported,
    OrderRequest,
    Reconciled,
    Rejected,
    SendCancel,
    SendOrder,
    SubmitOrder,
    TimerFired,
    TradeReported,
    VenueLink,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.instrument import Instrument
    from actors.runtime.scheduler import Context

_CANCEL_TRIES = 3
_LATE_BARS = 2
_LATE = "decided on market data of long ago"
_TOO_LARGE = "its book holds less by now"
_NOT_CONNECTED = "the venue is not connected, or its account is not yet compared with ours"


class RemoteVenue:
    """Walks our orders through what a real venue says about them.

    Args:
        context: the core's.
        instruments: exact units by symbol, with the names of their assets.
        reconcile_ns: the account is compared with the venue's this often.
        books: (strategy, symbol, lots) of every strategy that may trade, and of what is inherited.
    """

    isolated = False

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        reconcile_ns: int,
        books: Sequence[tuple[str, str, int]] = (),
    ) -> None:
        self.name = "venue"
        self._context = context
        self._emit = context.emit
        self._instruments = instruments
        self.sent: dict[str, Sent] = {}
        self._ended: dict[str, Sent] = {}
        self._ended_at_ns = -1
        """Orders that ended lately: somebody may ask to cancel one before he has heard of its end."""
        self._accounts = Accounts(instruments, books)
        self.contracts = Contracts(context, instruments, self._accounts, books)
        self._booking = Booking(context, instruments, self._accounts, self.contracts, books)
        self._adoption = Adoption(context, instruments, self._accounts, self.contracts, self._booking)
        self.rules = Rules(context, instruments)
        self._amends = Amends(context.emit, self.sent)
        self.inquiry = Inquiry(context, self.name, reconcile_ns, self.sent, self._booking, self.contracts, self._amends)
        self.last: Reconciled | None = None
        """The newest comparison."""
        self.margin: tuple[int, MarginReported] | None = None  # what the venue told of it last, and when

    @property
    def ready(self) -> bool:
        """Whether orders may leave: the link is up and the account was compared since it came up."""
        return self.inquiry.ready

    # --- the venue port -----------------------------------------------------------------------------

    def on_submit(self, command: SubmitOrder) -> None:
        """Send an order, or refuse it while nobody could say what became of it; what closes waits instead.

        It waits as well where it was decided on an execution whose fee, taken in base, was not heard of yet.
        """
        request = command.request
        if request.closing and (not self.ready or self._too_large(request)):
            self.sent[command.order_id] = Sent(command.order_id, request, held=True)
            return
        refusal = self._refusal(request) or self._too_large(request)
        if refusal:
            self._emit(Rejected(command.order_id, request.strategy, request.symbol, request.ref, refusal))
            return
        self.sent[command.order_id] = Sent(command.order_id, request)
        self._send(command.order_id, request)

    def on_cancel(self, command: CancelOrder) -> None:
        """Ask the venue to withdraw an order; a lost link will ask again once it is back."""
        order = self.sent.get(command.order_id) or self._amends.replacement_of(command.order_id)
        if order is None:
            # it ended with the input in hand: what ended it is said before or after this, and is the answer
            assert command.order_id in self._ended, f"{command.order_id} was never at the venue"
        elif order.held:
            self._end(order, "cancelled", "before it was sent")
        elif not order.cancel_asked:
            order.cancel_asked = True
            self._emit(SendCancel(order.order_id, order.request.symbol))

    def on_amend(self, command: AmendOrder) -> None:
        """Have the venue change an order, or refuse it while nobody could say what became of that."""
        order = self.sent.get(command.order_id) or self._ended.get(command.order_id)
        assert order is not None, f"{command.order_id} was never at the venue"
        request = command.request
        refusal = "too late" if order.order_id not in self.sent or order.end else ""
        refusal = refusal or self._refusal(request) or self._too_large(self._amends.rest_of(order, request))
        if refusal:
            self._emit(AmendRejected(*identity(order), refusal))
        else:
            self._amends.begin(order, command)

    def _refusal(self, request: OrderRequest) -> str:
        refusal = "" if self.ready else _NOT_CONNECTED
        refusal = refusal or self.contracts.refusal(request.symbol) or self.rules.refusal(request)
        return refusal or (_LATE if self._is_late(request) else "")

    def _too_large(self, request: OrderRequest) -> str:
        return _TOO_LARGE if self._booking.is_too_large(request, self.sent.values()) else ""

    def _send(self, order_id: str, request: OrderRequest) -> None:
        self._emit(SendOrder(order_id, request, self.contracts.is_reduce_only_there(request)))

    def on_bar(self, bar: Bar) -> None:
        """Note how old the newest market data is; prices are the venue's business."""
        self._context.lane(bar.symbol).bar = bar

    def _is_late(self, request: OrderRequest) -> bool:
        """Return whether an order would open on news of long ago, as bars that were missed while away are."""
        spec = self._instruments[request.symbol].spec
        if request.reduce_only or request.closing or (spec.long_only and request.side == SELL):
            return False
        if spec.contract and self.contracts.reduces(request):
            return False
        bar = self._context.lane(request.symbol).bar
        return bar is not None and self._context.now_ns - bar.close_ns > _LATE_BARS * bar.timeframe_ns

    def on_fee_in_base(self, _: FeeInBase) -> None:
        """Look again at what waited for the books to hear of a fee."""
        self._release_held()

    # --- the link, and the rules --------------------------------------------------------------------

    def on_link(self, message: VenueLink) -> None:
        """Compare the accounts whenever the link is up again; until then orders are refused, or wait if they close."""
        self.inquiry.on_link(message)

    def on_timer(self, timer: TimerFired) -> None:
        """Compare the accounts now and then."""
        self.inquiry.on_timer(timer)

    def on_instrument_changed(self, message: InstrumentChanged) -> None:
        """Take in the venue's rules of a symbol."""
        self.rules.on_changed(message)

    # --- what the venue says of an order ------------------------------------------------------------

    def on_in_doubt(self, message: OrderInDoubt) -> None:
        """Ask what became of a request."""
        order = self.sent.get(message.order_id)
        if order is not None:
            order.in_doubt = message.reason
            self._emit(AskOrder(order.order_id, order.request.symbol))

    def on_reported(self, report: OrderReported) -> None:
        """Follow what the venue says of one order."""
        order = self.sent.get(report.order_id)
        if order is None:
            return
        was_in_doubt, order.in_doubt = order.in_doubt, ""
        order.venue_order_id = report.venue_order_id or order.venue_order_id
        if report.state == "rejected" and not order.accepted and not order.booked_lots:
            self._give_up(order, report.reason)
            return
        self._accept(order)
        order.said_lots = max(order.said_lots, report.filled_lots)
        for trade in self._amends.on_reported(order, report):
            self._book(trade)
        if order.order_id not in self.sent:
            return
        if report.state == "open":
            if was_in_doubt and order.leaving:
                self._emit(SendCancel(order.order_id, order.request.symbol))
            return
        if report.filled_lots < order.booked_lots:
            self._halt(order, f"the venue says {report.filled_lots} lots were executed, we booked {order.booked_lots}")
            return
        order.end, order.end_reason = report.state, report.reason
        if not self._finish(order):
            self._emit(AskOrder(order.order_id, order.request.symbol))

    def on_trade(self, trade: TradeReported) -> None:
        """Book an execution, once."""
        self._book(trade)
        if self._adoption.waiting and is_of_panic(trade.order_id):
            self.inquiry.on_panic()

    def on_funding(self, paid: FundingPaid) -> None:
        """Share a payment among the books, once; while an order works, only after the next comparison.

        An execution from before it may not have been heard of, and with it whose the position was.
        """
        if not any(order.request.symbol == paid.symbol and not order.held for order in self.sent.values()):
            self._booking.count += self.contracts.on_funding(paid)

    def on_forced(self, trade: ForcedTrade) -> None:
        """Take note of what the venue itself did to our position, once."""
        self._booking.count += self.contracts.on_forced(trade)

    def on_absent(self, message: OrderAbsent) -> None:
        """Give up an order the venue never had."""
        order = self.sent.get(message.order_id)
        if order is None:
            return
        if order.accepted:
            self._halt(order, "the venue no longer knows an order it had taken")
        else:
            self._give_up(order, message.reason or "it never arrived at the venue", lost=True)

    def on_amend_refused(self, message: AmendRefused) -> None:
        """Find out what a change that was not made has left, or go another way."""
        self._settle(self._amends.on_refused(message))

    def on_cancel_refused(self, message: CancelRefused) -> None:
        """Find out why an order could not be withdrawn: it may have ended, or not have arrived yet."""
        order = self.sent.get(message.order_id)
        if order is None:
            return
        order.refusals += 1
        order.in_doubt = order.in_doubt or f"cancel refused: {message.reason}"
        if order.accepted and order.refusals >= _CANCEL_TRIES:
            self._amends.on_cancel_refused(order, message.reason)
            if order.cancel_asked:
                order.cancel_asked = False
                self._emit(CancelRejected(*identity(order), message.reason))
        self._emit(AskOrder(order.order_id, order.request.symbol))

    def _accept(self, order: Sent) -> None:
        if order.accepted:
            return
        if order.replaces:
            replaced = self._amends.take_place(order)
            if replaced is not None and replaced.said_lots:
                self._halt(replaced, f"the venue replaced it, although {replaced.said_lots} lots of it were executed")
            if replaced is not None:
                self._forget(replaced)
        else:
            order.accepted = True
            self._emit(Accepted(*identity(order)))

    def _give_up(self, order: Sent, reason: str, *, lost: bool = False) -> None:
        """End an order the venue never took; one that was to take another's place leaves that one to be asked for."""
        if order.replaces in self.sent:
            self._settle(self._amends.not_taken(order, reason))
        elif order.replaces:
            self._end(order, "cancelled", f"amended: {reason}")
        else:
            self._end(order, "expired" if lost and order.request.reduce_only else "rejected", reason)

    def _settle(self, order: Sent | None) -> None:
        """Go on with an order that waited for its replacement's fate."""
        if order is not None and order.end:
            self._finish(order)

    def _finish(self, order: Sent) -> bool:
        """End an order if all that was executed of it is booked; return whether it has ended."""
        if order.booked_lots < order.said_lots:
            return False
        if self._amends.is_open(order):
            return True  # what becomes of its replacement says how it ended
        self._end(order, order.end, order.end_reason)
        return True

    def _end(self, order: Sent, end: str, reason: str) -> None:
        self._forget(order)
        rest, end, reason = self._amends.on_end(order, end, reason)
        if rest is not None:
            self._release_held()
        elif end == "rejected" and not order.booked_lots and not order.replaces:
            self._emit(Rejected(*identity(order), reason))
        elif end == "cancelled" or (order.replaces and not order.accepted):
            self._emit(Cancelled(*identity(order), reason))
        elif order.booked_lots < order.request.quantity_lots:
            self._emit(Expired(*identity(order), reason or f"the venue says {end}"))

    def _forget(self, order: Sent) -> None:
        del self.sent[order.order_id]
        if self._ended_at_ns != self._context.now_ns:
            self._ended_at_ns = self._context.now_ns
            self._ended.clear()
        self._ended[identity(order)[0]] = order

    def _book(self, trade: TradeReported) -> bool:
        """Book an execution; return whether it was new."""
        if self._booking.is_known(trade):
            return False
        if is_of_panic(trade.order_id):
            self._adoption.hear(trade)
            return False
        order = self.sent.get(trade.order_id)
        if order is not None and self._amends.keeps_back(order, trade, self._instruments[trade.symbol].spec):
            return False
        self._booking.note(trade)
        if order is None:
            self._emit(Halt(f"{trade.symbol}: trade {trade.trade_id} executed order {trade.order_id}, which had ended"))
            return True
        request = order.request
        booked_lots = order.booked_lots + trade.quantity_lots
        if booked_lots > request.quantity_lots or trade.side != request.side or trade.symbol != request.symbol:
            self._halt(order, f"trade {trade.trade_id} does not fit it: {trade}")
            return True
        self._accept(order)
        order.in_doubt = ""
        order.booked_lots = booked_lots
        order.said_lots = max(order.said_lots, booked_lots)
        trouble = self._booking.execute(order, trade)
        if trouble:
            self._halt(order, trouble)
        if booked_lots == request.quantity_lots:
            self._forget(order)
            self._amends.on_filled(order)
        elif order.end:
            self._finish(order)
        return True

    def _halt(self, order: Sent, what: str) -> None:
        self._emit(Halt(f"{order.request.symbol}: order {order.order_id}: {what}"))

    # --- reconciliation -----------------------------------------------------------------------------

    def on_account(self, account: AccountReported) -> None:
        """Bring ours up to what the venue says, then say what still differs.

        Balances are compared only if nothing was booked since they were asked for: else they may be of before.
        """
        self.margin = None if account.margin is None else (self._context.now_ns, account.margin)
        applied = sum(self._book(trade) for trade in account.trades)
        if self._adoption.waiting:
            self.inquiry.ready = False  # a close by books that have not followed would close twice
        for report in account.orders:
            self.on_reported(report)
        for order_id in account.absent:
            self.on_absent(OrderAbsent(order_id))
        for forced in account.forced:
            self.on_forced(forced)
        missing = {order.request.symbol for order in self.sent.values() if order.is_missing_executions}
        for paid in account.funding:
            if paid.symbol not in missing:
                self._booking.count += self.contracts.on_funding(paid)
        differences = [f"{each.symbol}: {each.venue_order_id} is open and not ours" for each in account.foreign]
        if account.ask != self.inquiry.asked:
            return  # a newer question is under way
        self.inquiry.answered = account.ask
        self._booking.hear_newest(account.newest)
        applied += self._adoption.follow({(trade.symbol, trade.trade_id) for trade in account.trades}, missing)
        self._booking.hear_all(account.trades, missing | {symbol for symbol, _ in self._adoption.waiting})
        if missing or self._adoption.waiting or self._booking.count > self.inquiry.booked_when_asked:
            doubtful = not self.ready  # the next comparison on the period will do
        else:
            compared = self._accounts.compare(account)
            differences += compared.differences
            doubtful = compared.doubtful
            for words in compared.halts:
                self._emit(Halt(f"the accounts differ: {words}"))
        self.last = Reconciled(account.reason, tuple(differences), applied, self.inquiry.linked and not doubtful)
        self._emit(self.last)
        if doubtful:
            self.inquiry.ask("doubt")  # what the venue said of trades and of balances may be a moment apart
        elif self.inquiry.linked:
            self.inquiry.ready = True
            self._release_held()

    def _release_held(self) -> None:
        for order in [order for order in self.sent.values() if order.held and self.ready]:
            order.held = False
            refusal = self._refusal(order.request)
            if refusal:
                self._end(order, "rejected", refusal)
            elif self._too_large(order.request):
                self._end(order, "expired", "what it was to close has changed while it waited")
            else:
                self._send(order.order_id, order.request)

    def dump(self) -> bytes:
        """Return the state."""
        inquiry = self.inquiry
        return msgspec.msgpack.encode(
            RemoteState(
                inquiry.linked,
                inquiry.ready,
                inquiry.was_linked,
                list(self.sent.values()),
                {symbol: list(known) for symbol, known in self._booking.known.items()},
                self._accounts.assets,
                self.last,
                {symbol: bar for symbol in self._instruments if (bar := self._context.lane(symbol).bar) is not None},
                inquiry.asked,
                self._booking.count,
                inquiry.booked_when_asked,
                self._accounts.rest,
                self._accounts.positions,
                self.contracts.dump(),
                self.rules.dump(),
                [(*book, lots) for book, lots in self._booking.lots.items()],
                inquiry.answered,
                inquiry.passed,
                list(self._adoption.waiting.values()),
                self._booking.complete,
            )
        )

    def load(self, state: bytes) -> None:
        """Restore the state."""
        kept = msgspec.msgpack.decode(state, type=RemoteState)
        inquiry = self.inquiry
        inquiry.linked, inquiry.ready, inquiry.was_linked = kept.linked, kept.ready, kept.was_linked
        inquiry.asked, inquiry.answered, inquiry.passed = kept.asked, kept.answered, kept.passed
        inquiry.booked_when_asked = kept.booked_when_asked
        self.sent.clear()
        self.sent.update({order.order_id: order for order in kept.sent})
        for symbol, known in kept.trades.items():
            self._booking.known[symbol] = dict.fromkeys(known)
        self._booking.count, self._booking.complete = kept.booked, kept.complete
        self._booking.lots = {(strategy, symbol): lots for strategy, symbol, lots in kept.lots}
        self._adoption.waiting.clear()
        self._adoption.waiting.update({(trade.symbol, trade.trade_id): trade for trade in kept.waiting})
        self._accounts.assets, self._accounts.rest = kept.assets, kept.rest
        self._accounts.positions |= kept.positions
        self.contracts.load(kept.contracts)
        self.rules.load(kept.rules)
        self.last = kept.last
        for symbol in self._instruments:
            self._context.lane(symbol).bar = kept.bars.get(symbol)
