"""What every part of the protocol needs: the venue, the faults, the limits, and one request at a time."""

from __future__ import annotations

import time
from collections import Counter
from copy import copy
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from replay.exchange.model import VenueError
from replay.exchange.protocol.auth import Doorkeeper, Keys
from replay.exchange.protocol.limits import Limits
from replay.exchange.protocol.shapes import MarketText
from replay.exchange.protocol.sockets import Pings

if TYPE_CHECKING:
    from replay.exchange.faults import Faults
    from replay.exchange.protocol.params import Params
    from replay.exchange.recording import RecordedBook
    from replay.exchange.trading import TradingEngine
    from replay.exchange.venue import Venue

E = TypeVar("E", bound="TradingEngine")

SPOT_PINGS = Pings(every_s=20.0, within_s=60.0)
FUTURES_PINGS = Pings(every_s=180.0, within_s=600.0)
_UNMATCHED_MAX = 1_000

log = structlog.get_logger()


class Desk(Generic[E]):
    """Where requests of one family of markets arrive.

    Args:
        venue: what is traded on.
        faults: what goes wrong.
        keys: of the one account.
        limits: of the one client.
        pings: what its sockets are asked.
    """

    def __init__(
        self, venue: Venue[E], faults: Faults, keys: Keys, limits: Limits | None = None, pings: Pings = SPOT_PINGS
    ) -> None:
        self.venue = venue
        self.faults = faults
        self.pings = pings
        self.limits = limits or Limits(time.time)
        self.doorkeeper = Doorkeeper(keys)
        self.texts = {market.id: MarketText(market) for market in venue.markets}
        self.recorded: dict[str, RecordedBook] = {}
        """The books of markets that are played from a recording, by id."""
        self.requests: Counter[str] = Counter()
        self.unmatched: Counter[str] = Counter()

    def text(self, market_id: str) -> MarketText:
        """Return the market of this id.

        Raises:
            VenueError: -1121, there is none.
        """
        text = self.texts.get(market_id)
        if text is None:
            raise VenueError(-1121, "Invalid symbol.")
        return text

    def miss(self, what: str) -> None:
        """Write down what was asked for and does not exist."""
        if what in self.unmatched or len(self.unmatched) < _UNMATCHED_MAX:
            self.unmatched[what] += 1
        log.warning("request_unmatched", request=what)


class Call(Generic[E]):
    """One request on its way.

    Args:
        desk: where it arrived.
        params: what was sent.
        occasion: its name, such as ``POST /api/v3/order`` or ``ws order.place``.
    """

    def __init__(self, desk: Desk[E], params: Params, occasion: str) -> None:
        self.desk = desk
        self.params = params
        self.occasion = occasion
        self.skew_ms = 0
        if desk.faults.strikes("clock_skew", occasion):
            self.skew_ms = int(desk.faults.seconds("clock_skew") * 1000)

    def with_params(self, params: Params) -> Call[E]:
        """Return a part of this request that has parameters of its own."""
        part = copy(self)
        part.params = params
        return part

    def now_ms(self) -> int:
        """Return the exchange's time as this request is told it."""
        return self.desk.venue.now_ms() + self.skew_ms

    def check_time(self) -> None:
        """Let in what was sent lately, by exchange time or by the wall clock.

        Raises:
            VenueError: it was not.
        """
        clocks_ms = (self.now_ms(), int(time.time() * 1000) + self.skew_ms)
        Doorkeeper.check_time(self.params.text("timestamp"), self.params.text("recvWindow"), clocks_ms)

    def market(self) -> MarketText:
        """Return the market that is asked about.

        Raises:
            VenueError: none is named, or it does not exist.
        """
        return self.desk.text(self.params.needed("symbol"))


AnyCall = Call[Any]
"""A request to either family."""
