"""The link to the venue, and the questions about the account: only their answers let orders leave.

A question is asked when the link comes up, on a period, and whenever an answer leaves a doubt. Only the answer to the
newest question counts; one that stays away for many periods is asked anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import AskAccount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.execution.amends import Amends
    from actors.execution.booking import Booking
    from actors.execution.contracts import Contracts
    from actors.execution.sent import Sent
    from actors.messages import TimerFired, VenueLink
    from actors.runtime.scheduler import Context

_RECONCILE = "reconcile"
_PASSED_MAX = 30
"""Periods that may go by before a question about the account counts as lost."""


class Inquiry:
    """Asks for the account, and knows whether orders may leave.

    Args:
        context: the core's.
        name: of the actor whose timer it is.
        period_ns: the account is asked for this often.
        sent: every order that is not known to have ended, by id.
        booking: what was executed, and for whom.
        contracts: the contracts among the instruments.
        amends: the changes under way.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        period_ns: int,
        sent: Mapping[str, Sent],
        booking: Booking,
        contracts: Contracts,
        amends: Amends,
    ) -> None:
        self._context = context
        self._name = name
        self._period_ns = period_ns
        self._sent = sent
        self._booking = booking
        self._contracts = contracts
        self._amends = amends
        self.linked = False
        self.was_linked = False
        self.ready = False
        """Whether orders may leave: the link is up and the account was compared since it came up."""
        self.asked = 0
        """Number of the newest question about the account."""
        self.answered = 0
        """Number of the newest question that was answered."""
        self.booked_when_asked = 0
        """How much was booked when it was asked."""
        self.passed = 0
        """Periods that went by since the newest question, while it was not."""

    def on_link(self, message: VenueLink) -> None:
        """Compare the accounts whenever the link is up again."""
        self.linked = message.up
        self.ready = False
        if message.up:
            self.ask("reconnect" if self.was_linked else "start")
            self.was_linked = True

    def on_timer(self, timer: TimerFired) -> None:
        """Compare the accounts now and then."""
        if timer.actor != self._name or not self.linked:
            return
        if self.answered < self.asked and self.passed < _PASSED_MAX:
            self.passed += 1  # asking anew would take back a question that takes longer than the period
            self._wait_a_period()
        else:
            self.ask("period")

    def on_panic(self) -> None:
        """Let nothing leave until the books have followed; a question under way may be too old to tell of it."""
        self.ready = False
        if self.linked and self.answered == self.asked:
            self.ask("panic")

    def ask(self, reason: str) -> None:
        """Ask for the account, and what became of every order."""
        sent = [order for order in self._sent.values() if not order.held]
        for order in sent:
            order.in_doubt = order.in_doubt or "not yet asked for"
        asked = tuple((order.order_id, order.request.symbol) for order in sent)
        self.asked += 1
        self.booked_when_asked = self._booking.count
        trades_after, funding_after = self._booking.asked_from(), self._contracts.funding_after()
        self._context.emit(AskAccount(reason, asked, trades_after, self.asked, funding_after))
        self._amends.ask_again()
        self.passed = 0
        self._wait_a_period()

    def _wait_a_period(self) -> None:
        self._context.timers.arm(self._name, _RECONCILE, self._context.now_ns + self._period_ns)
