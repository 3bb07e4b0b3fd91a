"""Watches the venue's rules: price and quantity steps, minimum notional, and whether a symbol trades at all.

They are read on a period, and at once when the venue refuses an order for a rule of its own. What is not as it was
known is told to the core, which knows what to do about it; that is all.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import anyio
import structlog

from actors.messages import InstrumentChanged
from config.errors import UserError
from daemon.edges.venue.errors import RequestError, broken
from daemon.edges.venue.filters import instrument_spec
from daemon.edges.venue.limits import Priority

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any

    from actors.instrument import Instrument
    from actors.messages import Message
    from daemon.edges.venue.client import VenueClient
    from daemon.edges.venue.questions import Caller

_APART_S = 5.0
"""Refused orders make us look no more often than this."""

log = structlog.get_logger()


class RulesWatch:
    """Tells the core of rules that changed.

    Args:
        client: the venue.
        caller: makes the requests.
        instruments: what is traded, as the session began with it.
        known: what the core was told last.
        post: takes what changed.
        period_s: time between two looks.
    """

    def __init__(
        self,
        client: VenueClient,
        caller: Caller,
        instruments: Mapping[str, Instrument],
        known: Mapping[str, InstrumentChanged],
        post: Callable[[Message], Awaitable[None]],
        period_s: float,
    ) -> None:
        self._client = client
        self._caller = caller
        self._post = post
        self._period_s = period_s
        self._known = {symbol: known.get(symbol) or _began_with(each) for symbol, each in instruments.items()}
        self._why = ""
        self._wanted = anyio.Event()
        self._looked_s = 0.0

    def look_soon(self, why: str) -> None:
        """Look before the period is over: the venue says something that the rules we know do not explain."""
        self._why = why
        self._wanted.set()

    async def run(self) -> None:
        """Compare what was loaded at the start, then look on the period and when asked, until cancelled."""
        markets = self._client.exchange.markets
        await self._compare({symbol: markets.get(symbol) for symbol in self._known}, "start")
        while True:
            with anyio.move_on_after(self._period_s):
                await self._wanted.wait()
                await anyio.sleep(max(0.0, self._looked_s + _APART_S - time.monotonic()))
            why, self._why = self._why or "period", ""
            self._wanted = anyio.Event()
            try:
                rows = await self._caller.until_answered(
                    Priority.ACCOUNT_QUESTION,
                    self._client.weights.rules,
                    lambda: _market_rows(self._client, list(self._known)),
                )
            except RequestError as failure:
                log.warning("rules_not_told", reason=failure.reason)
                continue
            finally:
                self._looked_s = time.monotonic()
            await self._compare(rows, why)

    async def _compare(self, rows: Mapping[str, Mapping[str, Any] | None], why: str) -> None:
        for symbol, known in self._known.items():
            now = self._read(known, rows[symbol], why)
            if now is None or _terms(now) == _terms(known):
                continue
            log.warning("rules_changed", symbol=symbol, why=why, **_terms(now))
            self._known[symbol] = now
            await self._post(now)

    def _read(self, known: InstrumentChanged, row: Mapping[str, Any] | None, why: str) -> InstrumentChanged | None:
        """Return the rules in a market of ccxt's; None where it does not say them."""
        if row is None or row.get("active") is False:
            return InstrumentChanged(known.symbol, why, False, known.tick, known.step, known.min_notional)  # noqa: FBT003 - a message's fields
        try:
            spec = instrument_spec(row, self._client.exchange.precisionMode)
        except UserError as error:
            log.warning("rules_not_told", reason=str(error))
            return None
        return InstrumentChanged(known.symbol, why, True, spec.tick, spec.step or spec.lot, spec.min_notional)  # noqa: FBT003


async def _market_rows(client: VenueClient, symbols: Sequence[str]) -> dict[str, Any]:
    """Return the markets of some symbols as the venue has them now; None for one it does not have.

    What ccxt has loaded stays as it is: parsing thousands of markets anew would hold up everything else.
    """
    exchange = client.exchange
    if not exchange.id.startswith("binance"):
        found = {row["symbol"]: row for row in await client.question(exchange.fetch_markets(), list)}
        return {symbol: found.get(symbol) for symbol in symbols}
    ids = [exchange.markets[symbol]["id"] for symbol in symbols if symbol in exchange.markets]
    if any(":" in symbol for symbol in symbols):
        reply = await client.question(exchange.fapipublic_get_exchangeinfo(), dict)
    else:
        ours = {"symbols": json.dumps(ids, separators=(",", ":"))}
        try:
            reply = await client.question(exchange.public_get_exchangeinfo(ours), dict)
        except RequestError as failure:
            if failure.kind != "BadSymbol":  # one is gone, and all are refused for it
                raise
            reply = await client.question(exchange.public_get_exchangeinfo(), dict)
    if not isinstance(reply.get("symbols"), list):
        raise broken("question", "markets without symbols")
    rows = [exchange.parse_market(row) for row in reply["symbols"] if row.get("symbol") in ids]
    return dict.fromkeys(symbols) | {row["symbol"]: row for row in rows if row["symbol"] in symbols}


def _began_with(instrument: Instrument) -> InstrumentChanged:
    spec = instrument.spec
    return InstrumentChanged(spec.symbol, "start", True, spec.tick, spec.step or spec.lot, spec.min_notional)  # noqa: FBT003


def _terms(rules: InstrumentChanged) -> dict[str, Any]:
    return {
        "trading": rules.trading,
        "tick": rules.tick,
        "step": rules.step,
        "min_notional": rules.min_notional,
    }
