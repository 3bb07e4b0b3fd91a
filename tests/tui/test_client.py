"""What goes over the wire, and what is made of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tui.client import AwayError, DaemonClient, InDoubtError, RefusedError
from tui.status import Status

TOKEN = "a-token-of-the-tests"


async def test_money_and_quantities_arrive_exactly(daemon: Any) -> None:
    async with DaemonClient(daemon.url, TOKEN) as client:
        status = await client.status()
    assert status.equity == Decimal("101239.759509")
    assert [position.quantity for position in status.positions] == [Decimal("0.75"), Decimal("-12.5")]
    assert status.orders[1].stop_price == Decimal(41_000)


async def test_an_older_daemon_that_says_less_is_understood(daemon: Any) -> None:
    daemon.status = {"state": "running", "session": "s", "equity": 1, "cash": 1}
    async with DaemonClient(daemon.url, TOKEN) as client:
        status = await client.status()
    assert status == Status("running", "s", Decimal(1), Decimal(1))


async def test_a_command_carries_its_action_and_key(daemon: Any) -> None:
    async with DaemonClient(daemon.url, TOKEN) as client:
        await client.control("flatten", "key-1")
    assert daemon.commands == [("flatten", "key-1")]


async def test_a_refusal_says_why_in_the_daemons_words(daemon: Any) -> None:
    daemon.refusal = "the daemon is starting or stopping; try again"
    async with DaemonClient(daemon.url, TOKEN) as client:
        with pytest.raises(RefusedError, match="starting or stopping"):
            await client.control("pause", "key-1")
        with pytest.raises(RefusedError, match="starting or stopping"):
            await client.status()


async def test_a_wrong_token_is_refused(daemon: Any) -> None:
    async with DaemonClient(daemon.url, "another") as client:
        with pytest.raises(RefusedError, match="does not know our token"):
            await client.status()


async def test_a_refusal_that_is_not_json_is_told_by_its_status() -> None:
    app = web.Application()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with DaemonClient(f"http://127.0.0.1:{runner.addresses[0][1]}", TOKEN) as client:
        with pytest.raises(RefusedError, match="404 Not Found"):
            await client.status()
    await runner.cleanup()


async def test_a_command_nobody_took_was_not_sent(daemon: Any) -> None:
    await daemon.vanish()
    async with DaemonClient(daemon.url, TOKEN) as client:
        with pytest.raises(AwayError, match="connection refused") as caught:
            await client.control("pause", "key-1")
    assert not isinstance(caught.value, InDoubtError)


async def test_a_command_without_an_answer_is_in_doubt(daemon: Any) -> None:
    daemon.hang_ups = 1
    async with DaemonClient(daemon.url, TOKEN) as client:
        with pytest.raises(InDoubtError, match="hung up"):
            await client.control("pause", "key-1")
    assert daemon.commands == [("pause", "key-1")]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"state": "running"}', b'{"state": 7}', b"\xff\xfe"])
async def test_an_answer_that_is_no_status_counts_as_away(daemon: Any, body: bytes) -> None:
    daemon.garbage = body
    async with DaemonClient(daemon.url, TOKEN) as client:
        with pytest.raises(AwayError, match="not understood"):
            await client.status()


def test_the_status_structs_take_what_the_fixture_says() -> None:
    """The optional fields of a position may all be null."""
    row = {"symbol": "A", "strategy": "b", "quantity": 1, "entry_price": None, "mark_price": None}
    status = msgspec.convert({"state": "x", "session": "s", "equity": 1, "cash": 1, "positions": [row]}, Status)
    assert status.positions[0].mark_price is None
