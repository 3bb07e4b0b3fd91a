"""What the admin endpoint can do to a market, read and checked before anything of it is done."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from replay.exchange.model import Market

_FILTERS = ("tick", "lot", "min_notional")
_OF_CONTRACTS = ("mark", "funding_rate", "settle_funding", "hedge")
_SWITCHES = ("trading", "settle_funding", "hedge")


class RefusedError(Exception):
    """A request that is answered with 400 and a reason."""


def read_change(wanted: dict[str, Any], market: Market) -> Callable[[Any, int], None]:
    """Return what is to be done to the engine of a market at a time: all of it or, where it is refused, nothing.

    Args:
        wanted: what was asked for, by name.
        market: the market.

    Raises:
        RefusedError: there is no such setting, not of this market, or not with this value.
    """
    settings = {name: value for name, value in wanted.items() if name != "symbol"}
    known = ("trading", *_FILTERS, *(_OF_CONTRACTS if market.settle else ()))
    for name, value in settings.items():
        if name not in known:
            message = f"{name}: there is no such setting of {market.symbol}; there are {', '.join(known)}"
            raise RefusedError(message)
        if name in _SWITCHES and not isinstance(value, bool):
            message = f"{name}: true or false, not {value}"
            raise RefusedError(message)
    steps = {"tick": market.tick, "lot": market.lot, "min_notional": Decimal("1e-8")}
    filters = {name: positive(settings, name, steps[name]) for name in _FILTERS if name in settings}
    mark = settings.get("mark")
    mark_ticks = None if mark is None else int(positive(settings, "mark", market.tick) / market.tick)
    rate = _decimal(settings, "funding_rate") if "funding_rate" in settings else None

    def change(engine: Any, now_ms: int) -> None:  # noqa: ANN401 - an engine of either family
        if "hedge" in settings:  # the only one that can be refused here: nothing is done before it
            engine.set_position_mode(settings["hedge"], now_ms)
        if filters:
            engine.change_filters(market.id, now_ms=now_ms, **filters)
        if "trading" in settings:
            engine.set_trading(market.id, settings["trading"], now_ms)
        if "mark" in settings:
            engine.set_mark(market.id, mark_ticks, now_ms)
        if rate is not None:
            engine.set_funding_rate(rate, now_ms, market.id)
        if settings.get("settle_funding"):
            engine.settle_funding(now_ms)

    return change


def positive(wanted: dict[str, Any], name: str, step: Decimal) -> Decimal:
    """Return a number above zero that is a multiple of a step.

    Raises:
        RefusedError: it is none.
    """
    value = _decimal(wanted, name)
    if not (value > 0 and value % step == 0):
        message = f"{name}: {wanted.get(name)} is no multiple of {step} above 0"
        raise RefusedError(message)
    return value


def _decimal(wanted: dict[str, Any], name: str) -> Decimal:
    try:
        value = Decimal(str(wanted.get(name)))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        message = f"{name}: {wanted.get(name)} is no number"
        raise RefusedError(message)
    return value
