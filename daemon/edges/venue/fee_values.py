"""What a fee in a third asset was worth: its price in the quote, asked of the venue and kept for a while.

An account may pay its fees in an asset of the venue's own (BNB). The ledger counts in one quote currency, so each
such fee gets the value it had when we heard of it. A price of the last minute will do; while the venue does not
answer, so will one of the last quarter of an hour. Where there is no price at all the value stays unknown.
"""

from __future__ import annotations

import time
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

import msgspec
import structlog

from daemon.edges.venue.errors import RequestError
from daemon.edges.venue.limits import Priority
from daemon.edges.venue.reports import OffGridError, decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.instrument import Instrument
    from actors.messages import TradeReported
    from daemon.edges.venue.client import VenueClient
    from daemon.edges.venue.questions import Caller

_FRESH_S = 60.0
_USABLE_S = 900.0

log = structlog.get_logger()


class _Price(msgspec.Struct):
    price: Decimal
    told_s: float


class FeeValues:
    """Values fees.

    Args:
        client: the venue.
        caller: makes the requests.
        instruments: what is traded.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        client: VenueClient,
        caller: Caller,
        instruments: Mapping[str, Instrument],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._caller = caller
        self._instruments = instruments
        self._clock = clock
        self._prices: dict[tuple[str, str], _Price] = {}
        """By asset and quote."""

    def at_once(self, trade: TradeReported) -> TradeReported | None:
        """Return an execution with the value of its fee; None where a price would have to be asked for."""
        pair = self._pair(trade)
        if pair is None:
            return trade
        known = self._known(pair, _FRESH_S)
        return None if known is None else _valued(trade, known)

    async def each(self, trades: Iterable[TradeReported]) -> list[TradeReported]:
        """Return executions with the values of their fees, once the venue has said the prices."""
        valued = []
        for trade in trades:
            pair = self._pair(trade)
            price = None if pair is None else await self._price(pair)
            valued.append(trade if price is None else _valued(trade, price))
        return valued

    def _pair(self, trade: TradeReported) -> tuple[str, str] | None:
        """Return the asset of a fee and the quote it is to be valued in; None where nothing is to be valued."""
        spec = self._instruments[trade.symbol].spec
        if not trade.fee_atoms or trade.fee_asset == spec.quote:
            return None
        if trade.fee_asset == spec.base and not spec.contract:
            return None
        return trade.fee_asset, spec.quote

    def _known(self, pair: tuple[str, str], age_s: float) -> Decimal | None:
        known = self._prices.get(pair)
        return None if known is None or self._clock() - known.told_s > age_s else known.price

    async def _price(self, pair: tuple[str, str]) -> Decimal | None:
        """Return the price of an asset, or None where the venue has none."""
        fresh = self._known(pair, _FRESH_S)
        if fresh is not None:
            return fresh
        market = self._market(*pair)
        if market is None:
            log.warning("fee_without_a_price", asset=pair[0], quote=pair[1])
            return None
        symbol, inverse = market
        usable = self._known(pair, _USABLE_S)
        ask = self._caller.until_answered if usable is None else self._caller.once
        try:
            weight = self._client.weights.ticker
            last = decimal(await ask(Priority.ORDER_QUESTION, weight, lambda: self._client.last_price(symbol)))
        except (RequestError, OffGridError) as error:
            log.warning("fee_price_not_told", market=symbol, reason=str(error))
            return usable
        if not last or last < 0:
            return usable
        price = 1 / last if inverse else last
        self._prices[pair] = _Price(price, self._clock())
        return price

    def _market(self, asset: str, quote: str) -> tuple[str, bool] | None:
        """Return the market that tells the price, and whether it tells it the other way round."""
        markets = self._client.exchange.markets or {}
        for symbol, inverse in (
            (f"{asset}/{quote}", False),
            (f"{asset}/{quote}:{quote}", False),
            (f"{quote}/{asset}", True),
        ):
            if symbol in markets:
                return symbol, inverse
        return None


def _valued(trade: TradeReported, price: Decimal) -> TradeReported:
    atoms = int((abs(trade.fee_atoms) * price).to_integral_value(rounding=ROUND_HALF_UP))
    return msgspec.structs.replace(trade, fee_value_atoms=atoms)
