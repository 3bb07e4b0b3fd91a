"""The venue's dead-man switch, at the loopback exchange: wound up while we live, off after a stop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from config.errors import UserError
from config.load import load_settings
from config.schema import Exchange as ExchangeSettings
from daemon.edges.venue.client import connect
from daemon.edges.venue.contract_client import ContractClient
from daemon.edges.venue.dead_man import DeadMan
from daemon.edges.venue.limits import Limits
from daemon.edges.venue.questions import Caller
from daemon.venue import open_venue
from replay.exchange.server import Exchange, running

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT:USDT"
FAULT = "POST /fapi/v1/countdownCancelAll"


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with running(seed=7) as exchange:
        await exchange.print_trade("BTC/USDT", "30000.00", "1")
        yield exchange


@pytest.fixture
async def client(exchange: Exchange) -> AsyncIterator[ContractClient]:
    arguments = exchange.arguments["binanceusdm"]
    settings = ExchangeSettings(id="binanceusdm", urls=arguments["urls"], symbols=(SYMBOL,), leverage=20)
    keys = {"PITBOSS_API_KEY": arguments["apiKey"], "PITBOSS_API_SECRET": arguments["secret"]}
    client = await connect(settings, needs_keys=True, environment=keys)
    assert isinstance(client, ContractClient)
    yield client
    await client.close()


class Life:
    """Whether the core takes inputs."""

    def __init__(self) -> None:
        self.alive = True

    def __call__(self) -> bool:
        return self.alive


async def until(true: Callable[[], Any], within_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, "not in time"
        await asyncio.sleep(0.02)


def make(client: ContractClient, life: Life) -> DeadMan:
    return DeadMan(client, Caller(client, Limits(6_000)), (SYMBOL,), 1, life)


async def rest(client: ContractClient, name: str) -> None:
    await client.submit(SYMBOL, "limit", "buy", "0.01", "20000", {"clientOrderId": name, "timeInForce": "GTC"})


async def open_orders(exchange: Exchange) -> set[str]:
    rows = (await exchange.book())["orders"]
    return {row["client_order_id"] for row in rows if row["symbol"] == SYMBOL and row["status"] == "NEW"}


async def test_orders_stay_while_we_live_and_go_when_we_do_not(exchange: Exchange, client: ContractClient) -> None:
    life = Life()
    await rest(client, "pb1")
    winding = asyncio.create_task(make(client, life).run())
    await asyncio.sleep(2.0)
    assert await open_orders(exchange) == {"pb1"}, "twice as long as the switch would wait"
    life.alive = False
    deadline_s = time.monotonic() + 10
    while await open_orders(exchange):
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)
    winding.cancel()


async def test_a_request_that_is_lost_is_made_up_for_in_time(exchange: Exchange, client: ContractClient) -> None:
    await rest(client, "pb1")
    winding = asyncio.create_task(make(client, Life()).run())
    await until(lambda: True)
    for fault in ("request_lost", "maintenance"):
        exchange.faults.set(fault, 1.0, times=1, on=FAULT)
        await until(lambda fault=fault: exchange.faults.counts[fault] == 1)
    await asyncio.sleep(0.7)
    assert await open_orders(exchange) == {"pb1"}
    winding.cancel()


async def test_a_stop_switches_it_off(exchange: Exchange, client: ContractClient) -> None:
    dead_man = make(client, Life())
    winding = asyncio.create_task(dead_man.run())
    await asyncio.sleep(0.2)
    winding.cancel()
    await dead_man.disarm()
    await rest(client, "pb1")
    await asyncio.sleep(1.3)
    assert await open_orders(exchange) == {"pb1"}


async def test_where_there_is_no_such_switch_it_is_refused_by_name(exchange: Exchange, tmp_path: Path) -> None:
    file = tmp_path / "ccxt.json"
    file.write_text(json.dumps(exchange.arguments))
    overrides = ["feed.source=exchange", f"exchange.file={file}", "live.dead_man_s=30"]
    with pytest.raises(UserError, match=r"live\.dead_man_s: binance has such a switch for none of these symbols"):
        await open_venue(load_settings(None, overrides, {}), real=True, kept={})
