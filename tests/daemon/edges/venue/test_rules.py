"""The venue's rules, watched: what changed is told once, and soon where the venue refuses an order for it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from actors.messages import AskOrder, Halt, InstrumentChanged, OrderReported, SendOrder
from config.schema import Exchange

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
TICK, STEP = Decimal("0.01"), Decimal("0.00001")
Make = Callable[..., SendOrder]
UNFIT = '{"code":-1013,"msg":"Filter failure: PRICE_FILTER"}'


def changed(
    reason: str, tick: Decimal = TICK, step: Decimal = STEP, least: str = "5", *, trading: bool = True
) -> InstrumentChanged:
    return InstrumentChanged(SYMBOL, reason, trading, tick, step, Decimal(least))


def change(stub: Any, kind: str, **terms: str) -> None:
    """Change a filter of the stub's symbol."""
    (filter_,) = [each for each in stub.info["symbols"][0]["filters"] if each["filterType"] == kind]
    filter_.update(terms)


@pytest.fixture
def hasty(settings: Exchange) -> Exchange:
    """Settings with a short period."""
    return msgspec.structs.replace(settings, rules_s=0.05)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.edges.venue.rules_watch._APART_S", 0.2)


async def test_each_change_is_told_once(stub: Any, hasty: Exchange, open_desk: Any) -> None:
    async with open_desk(hasty) as desk:
        change(stub, "PRICE_FILTER", tickSize="0.10000000")
        await desk.of(InstrumentChanged)
        looks = stub.count("GET exchangeInfo")
        await desk.until(lambda: stub.count("GET exchangeInfo") > looks + 2)
        change(stub, "NOTIONAL", minNotional="10.00000000")
        await desk.of(InstrumentChanged, 2)
        change(stub, "PRICE_FILTER", tickSize="0.01000000")
        change(stub, "LOT_SIZE", stepSize="0.00010000")
        told = await desk.of(InstrumentChanged, 3)

        assert told == [
            changed("period", Decimal("0.1")),
            changed("period", Decimal("0.1"), least="10"),
            changed("period", step=Decimal("0.0001"), least="10"),
        ]


@pytest.mark.parametrize("gone", ["BREAK", None])
async def test_a_symbol_that_is_not_traded_any_more(
    stub: Any, hasty: Exchange, open_desk: Any, twists: dict[str, Any], gone: str | None
) -> None:
    async with open_desk(hasty) as desk:
        if gone is None:
            del stub.info["symbols"][:]
            stub.twist("GET exchangeInfo", twists["say"](400, '{"code":-1121,"msg":"Invalid symbol."}'))
        else:
            stub.info["symbols"][0]["status"] = gone
        [told] = await desk.of(InstrumentChanged)

        assert told == changed("period", trading=False)


async def test_an_order_refused_for_a_rule_makes_us_look_at_once_but_not_all_the_time(
    stub: Any, desk: Any, make_order: Make, twists: dict[str, Any]
) -> None:
    change(stub, "PRICE_FILTER", tickSize="0.10000000")
    stub.twist("POST order", *(twists["say"](400, UNFIT) for _ in range(5)))
    looks = stub.count("GET exchangeInfo")
    for number in range(1, 6):
        desk.gateway.send(make_order(number))
    [told] = await desk.of(InstrumentChanged)
    assert len(await desk.of(OrderReported, 5)) == 5

    assert told.tick == Decimal("0.1")
    assert "-1013" in told.reason
    assert stub.count("GET exchangeInfo") <= looks + 2


async def test_an_execution_at_a_price_that_cannot_be_makes_us_look(stub: Any, desk: Any, make_order: Make) -> None:
    desk.gateway.send(make_order(1))
    await desk.of(OrderReported)
    change(stub, "PRICE_FILTER", tickSize="0.00100000")
    stub.speaks = False
    await stub.fill("pbtest1", "0.001", "99.995", tell=False)
    desk.gateway.send(AskOrder("pbtest1", SYMBOL))
    [told] = await desk.of(InstrumentChanged)

    assert told.tick == Decimal("0.001")
    assert "no whole number of 0.01" in (await desk.of(Halt))[0].reason


async def test_what_differs_at_the_start_is_told_at_once(settings: Exchange, open_desk: Any, stub: Any) -> None:
    """The session began with other rules than the venue has now."""
    stub.info["symbols"][0]["filters"][2]["minNotional"] = "7.00000000"
    async with open_desk(settings) as desk:
        assert desk.all(InstrumentChanged) == []
    known = {SYMBOL: changed("period", least="5")}
    async with open_desk(settings, known_rules=known) as desk:
        [told] = await desk.of(InstrumentChanged)

        assert told == changed("start", least="7")


async def test_a_venue_that_does_not_say_its_rules_is_asked_again(
    stub: Any, hasty: Exchange, open_desk: Any, twists: dict[str, Any]
) -> None:
    async with open_desk(hasty) as desk:
        stub.twist("GET exchangeInfo", twists["say"](200, "{}"), twists["say"](400, '{"code":-1100,"msg":"no"}'))
        change(stub, "PRICE_FILTER", tickSize="0.10000000")
        [told] = await desk.of(InstrumentChanged)

        assert told.tick == Decimal("0.1")
