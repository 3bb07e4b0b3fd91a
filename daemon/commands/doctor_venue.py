"""`pitboss doctor` at a venue: clocks, keys, what the key may do, symbols and their filters, modes, limits."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from config.errors import UserError, nearest
from config.symbols import is_contract
from daemon.commands.doctor import Finding
from daemon.edges.feed.clock_skew import ClockSkew
from daemon.edges.venue.client import connect, keys_origin
from daemon.edges.venue.contract_client import ContractClient
from daemon.edges.venue.reports import OffGridError, decimal, exact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.instrument import InstrumentSpec
    from config.schema import Settings
    from daemon.edges.venue.client import VenueClient

_AHEAD_MS = 1_000
"""A venue refuses requests that come from further in its future than this."""
_SAMPLES = 5
_SAMPLES_APART_S = 0.05
_GROUP_AND_OTHERS = 0o077
_LIMITS = ("max_daily_loss", "max_notional", "max_orders_per_minute")


def examine_venue(settings: Settings, kept: Mapping[str, InstrumentSpec], *, real: bool) -> list[Finding]:
    """Return what is to be said about the venue of the settings.

    Args:
        settings: all of them.
        kept: the instruments of the open session, if there is one at this venue.
        real: whether orders are to go there.
    """
    findings = [_real_mode(settings), _keys(settings)] if real else []
    has_keys = real and findings[-1].verdict != "error"
    return findings + anyio.run(_look, settings, kept, has_keys)


def _real_mode(settings: Settings) -> Finding:
    missing = [] if settings.feed.source == "exchange" else ["feed.source=exchange"]
    if not settings.live.armed:
        missing.append("live.armed=true")
    missing += [f"risk.{name}=..." for name in _LIMITS if getattr(settings.risk, name) is None]
    if settings.exchange.leverage is None and any(is_contract(symbol) for symbol in settings.exchange.symbols):
        missing.append("exchange.leverage=...")
    if missing:
        wanted = " ".join(f"--set {each}" for each in missing)
        return Finding("real mode", "error", f"not allowed or not bounded yet; add {wanted}")
    bounds = ", ".join(f"{name} {getattr(settings.risk, name)}" for name in _LIMITS)
    return Finding("real mode", "ok", f"armed, with {bounds}")


def _keys(settings: Settings) -> Finding:
    try:
        origin = keys_origin(settings.exchange)
    except UserError as error:
        return Finding("keys", "error", str(error))
    path = Path(origin).expanduser()
    if origin == settings.exchange.file and path.stat().st_mode & _GROUP_AND_OTHERS:
        return Finding("keys", "warning", f"from {origin}, which others can read; chmod 600 it")
    return Finding("keys", "ok", f"from {origin}")


async def _look(settings: Settings, kept: Mapping[str, InstrumentSpec], has_keys: bool) -> list[Finding]:  # noqa: FBT001 - anyio.run hands over no keywords
    exchange = settings.exchange
    try:
        client = await connect(exchange, needs_keys=False, symbols=())
    except UserError as error:
        return [Finding("venue", "error", f"{error}; see exchange.id, exchange.file and exchange.urls")]
    try:
        count = len(client.exchange.markets)
        markets = f"{count} market{'' if count == 1 else 's'}"
        findings = [Finding("venue", "ok", f"{exchange.id} answers, {markets}")]
        findings.append(await _clock(settings, client))
        findings += [_symbol(client, symbol, kept.get(symbol)) for symbol in exchange.symbols]
        if isinstance(client, ContractClient):
            findings += [
                await _funding(client, symbol) for symbol in exchange.symbols if symbol in client.exchange.markets
            ]
        findings += _timeframe(settings, client)
        findings += _traded(settings)
    finally:
        await client.close()
    return findings + (await _account(settings) if has_keys else [])


async def _clock(settings: Settings, client: VenueClient) -> Finding:
    exchange = settings.exchange
    skew = ClockSkew(_Clock(client))
    try:
        for _ in range(_SAMPLES):
            await skew.sample()
            await anyio.sleep(_SAMPLES_APART_S)
    except UserError as error:
        return Finding("clock skew", "error", str(error))
    if exchange.clock == "venue":
        return Finding(
            "clock skew", "ok", f"the venue's clock is followed; it runs {skew.rate:.3g} times as fast as ours"
        )
    offset_ms = skew.offset_ms
    if offset_ms is None:
        detail = f"the venue's clock runs {skew.rate:.3g} times as fast as ours; --set exchange.clock=venue follows it"
        return Finding("clock skew", "error", detail)
    words = f"our clock is {abs(offset_ms):.0f} ms {'behind' if offset_ms > 0 else 'ahead of'} the venue's"
    if offset_ms > exchange.recv_window_ms or offset_ms < -_AHEAD_MS:
        return Finding("clock skew", "error", f"{words}, so signed requests are refused; set it by NTP")
    if abs(offset_ms) > min(_AHEAD_MS, exchange.recv_window_ms) / 2:
        return Finding("clock skew", "warning", f"{words}; set it by NTP before signed requests are refused")
    return Finding("clock skew", "ok", words)


class _Clock:
    """The venue's clock, as `ClockSkew` asks for it."""

    def __init__(self, client: VenueClient) -> None:
        self._client = client

    async def fetch_time(self) -> int:
        return await self._client.server_time_ns() // 1_000_000


def _symbol(client: VenueClient, symbol: str, kept: InstrumentSpec | None) -> Finding:
    check = f"symbol {symbol}"
    try:
        spec = client.instruments([symbol])[symbol]
    except UserError as error:
        return Finding(check, "error", f"{error}; see exchange.symbols")
    least = f", at least {exact(spec.min_notional)} {spec.quote} an order" if spec.min_notional else ""
    detail = f"price step {exact(spec.tick)}, quantity step {exact(spec.step or spec.lot)}{least}"
    if kept is not None and (kept.tick, kept.step or kept.lot) != (spec.tick, spec.step or spec.lot):
        then = f"price step {exact(kept.tick)}, quantity step {exact(kept.step or kept.lot)}"
        remedy = "it will go on halted; stop it, and the next session has the new rules and takes over its account"
        return Finding(check, "error", f"{detail}; the open session began with {then}: {remedy}")
    return Finding(check, "ok", detail)


def _timeframe(settings: Settings, client: VenueClient) -> list[Finding]:
    timeframe, known = settings.exchange.timeframe, client.exchange.timeframes or {}
    if not known or timeframe in known:
        return []
    detail = f"exchange.timeframe: {settings.exchange.id} has no bars of {timeframe}; it has {', '.join(known)}"
    return [Finding("timeframe", "error", detail)]


def _traded(settings: Settings) -> list[Finding]:
    """Return a finding for each strategy whose symbol is not among those of the venue."""
    symbols = settings.exchange.symbols
    return [
        Finding(
            f"strategy {entry.id or entry.use}",
            "error",
            f"trades {symbol}, which is not among exchange.symbols{nearest(symbol, symbols)}",
        )
        for entry in settings.strategies
        for symbol in (entry.symbol, *entry.symbols)
        if symbol is not None and symbol not in symbols
    ]


async def _account(settings: Settings) -> list[Finding]:
    """Return what the venue says to our key."""
    exchange = settings.exchange
    hint = "give pitboss a key of its own that may trade and must not withdraw"
    try:
        client = await connect(exchange, needs_keys=True, symbols=())
    except UserError as error:
        return [Finding("key", "error", str(error))]
    try:
        told = await client.check_permissions()
        balances = await client.insist("its balances are not to be had", client.balances, dict)
        modes = await _modes(settings, client) if isinstance(client, ContractClient) else []
    except (UserError, OffGridError) as error:
        return [Finding("key", "error", f"{error}; {hint}")]
    finally:
        await client.close()
    return [_key(settings, balances, hint, told=told), *modes]


def _key(settings: Settings, balances: Mapping[str, Any], hint: str, *, told: bool) -> Finding:
    info = balances.get("info")
    if isinstance(info, dict) and info.get("canTrade") is False:
        return Finding("key", "error", f"it may not trade; {hint}")
    if not told:
        return Finding("key", "warning", f"accepted, but {settings.exchange.id} does not say what it may do; {hint}")
    totals = {asset: decimal(total) for asset, total in (balances.get("total") or {}).items()}
    held = ", ".join(f"{exact(total)} {asset}" for asset, total in sorted(totals.items()) if total)
    return Finding("key", "ok", f"accepted, may not withdraw; the account holds {held or 'nothing'}")


async def _modes(settings: Settings, client: ContractClient) -> list[Finding]:
    """Return whether an account for contracts is set up as configured, and what it holds of them.

    Raises:
        UserError: the venue does not say.
    """
    symbols = [symbol for symbol in settings.exchange.symbols if symbol in client.exchange.markets]
    troubles = await client.insist("its modes are not to be had", lambda: client.mode_troubles(symbols), list)
    findings = [Finding("modes", "error", trouble) for trouble in troubles]
    if not troubles:
        findings.append(Finding("modes", "ok", "one-way positions, single-asset margin, all as configured"))
    for symbol in symbols:
        modes = await client.insist("its modes are not to be had", partial(client.symbol_modes, symbol), dict)
        amount = await client.insist("its positions are not to be had", partial(client.position, symbol), Decimal)
        held = f"a position of {exact(amount)}" if amount else "no position"
        detail = f"{modes['margin_mode']} margin, leverage {modes['leverage']}, {held}"
        findings.append(Finding(f"margin {symbol}", "ok", detail))
    return findings


async def _funding(client: ContractClient, symbol: str) -> Finding:
    """Return what the next payment between longs and shorts will be."""
    check = f"funding {symbol}"
    try:
        told = await client.insist("it is not told", lambda: client.exchange.fetch_funding_rate(symbol), dict)
        rate = decimal(told.get("fundingRate"))
    except (UserError, OffGridError) as error:
        return Finding(check, "warning", str(error))
    at = told.get("fundingDatetime") or "an unknown time"
    words = "longs pay shorts" if rate is not None and rate >= 0 else "shorts pay longs"
    return Finding(
        check, "ok" if rate is not None else "warning", f"{words} {exact((rate or Decimal(0)) * 100)} % at {at}"
    )
