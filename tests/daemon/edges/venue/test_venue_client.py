"""How the client is built: where keys come from, what is merged, what is refused, what the filters become."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.instrument import Instrument, InstrumentSpec
from config.errors import UserError
from config.schema import Exchange
from daemon.edges.venue.client import connect, constructor_arguments
from daemon.edges.venue.filters import instrument_spec

KEYS = {"PITBOSS_API_KEY": "from-environment", "PITBOSS_API_SECRET": "secret-from-environment"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ccxt.json"
    path.write_text(
        json.dumps(
            {
                "binance": {
                    "apiKey": "from-file",
                    "secret": "secret-from-file",
                    "urls": {"api": {"public": "http://127.0.0.1:1/api/v3", "private": "http://127.0.0.1:1/api/v3"}},
                    "options": {"fetchMargins": False},
                }
            }
        )
    )
    return path


def arguments(settings: Exchange, environment: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return constructor_arguments(settings, **{"keys": True, "environment": environment or {}, **more})


def test_keys_of_the_environment_come_before_all_others(file: Path, tmp_path: Path) -> None:
    (tmp_path / "api_key").write_text("from-systemd")
    (tmp_path / "api_secret").write_text("secret-from-systemd")

    built = arguments(Exchange(file=str(file)), {**KEYS, "CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert (built["apiKey"], built["secret"]) == ("from-environment", "secret-from-environment")


def test_keys_of_systemd_come_before_the_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "api_key").write_text("from-systemd\n")
    (tmp_path / "api_secret").write_text("secret-from-systemd\n")

    built = arguments(Exchange(file=str(file)), {"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert (built["apiKey"], built["secret"]) == ("from-systemd", "secret-from-systemd")


def test_keys_may_stand_in_the_file(file: Path) -> None:
    built = arguments(Exchange(file=str(file)))

    assert (built["apiKey"], built["secret"]) == ("from-file", "secret-from-file")


def test_market_data_gets_no_keys(file: Path) -> None:
    built = arguments(Exchange(file=str(file)), KEYS, keys=False)

    assert "apiKey" not in built
    assert "secret" not in built


def test_settings_are_merged_into_the_file(file: Path) -> None:
    settings = Exchange(file=str(file), urls={"api": {"public": "http://127.0.0.1:2"}}, options={"recvWindow": 9})

    built = arguments(settings)

    assert built["urls"]["api"] == {"public": "http://127.0.0.1:2", "private": "http://127.0.0.1:1/api/v3"}
    assert built["options"] == {"fetchMargins": False, "recvWindow": 9}


@pytest.mark.parametrize(
    ("settings", "environment", "says"),
    [
        (Exchange(), {}, "no apiKey"),
        (Exchange(), {"PITBOSS_API_KEY": "alone"}, "belong together"),
        (Exchange(options={"apiKey": "k"}), KEYS, r"exchange\.options\.apiKey"),
        (Exchange(urls={"secret": "s"}), KEYS, r"exchange\.urls\.secret"),
        (Exchange(file="/nowhere/ccxt.json"), KEYS, r"exchange\.file: /nowhere"),
    ],
    ids=["none", "half", "in the options", "in the urls", "no file"],
)
def test_what_is_refused(settings: Exchange, environment: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        arguments(settings, environment)


def test_a_file_that_says_nothing_of_the_exchange_is_refused(file: Path) -> None:
    with pytest.raises(UserError, match=r"says nothing of 'kraken', only of binance"):
        arguments(Exchange(file=str(file), id="kraken"))


async def test_an_exchange_nobody_knows_is_refused() -> None:
    with pytest.raises(UserError, match=r"no exchange 'binanse' \(did you mean"):
        await connect(Exchange(id="binanse"), needs_keys=False, environment={})


@pytest.mark.slow
async def test_a_venue_that_is_not_there_is_told_by_name(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    settings = Exchange(urls={"api": dict.fromkeys(("public", "private", "sapi"), url)}, timeout_ms=500)

    with pytest.raises(UserError, match="its markets are not to be had"):
        await connect(settings, needs_keys=False, environment={})


async def test_a_symbol_that_is_not_traded_is_refused(settings: Exchange) -> None:
    with pytest.raises(UserError, match=r"does not trade BTC/USDC \(did you mean 'BTC/USDT'\?\)"):
        await connect(msgspec.structs.replace(settings, symbols=("BTC/USDC",)), needs_keys=False, environment={})


async def test_filters_become_an_instrument(settings: Exchange) -> None:
    client = await connect(settings, needs_keys=True, environment=KEYS)
    await client.close()

    spec = client.specs["BTC/USDT"]
    assert spec == InstrumentSpec(
        symbol="BTC/USDT",
        tick=Decimal("0.01"),
        lot=Decimal("1e-8"),
        step=Decimal("0.00001"),
        min_notional=Decimal(5),
        base="BTC",
        quote="USDT",
        long_only=True,
    )
    assert Instrument(spec).step_lots == 1_000


async def test_what_we_insist_on(settings: Exchange) -> None:
    client = await connect(settings, needs_keys=True, environment=KEYS)
    await client.close()
    exchange = client.exchange

    assert exchange.number is str, "floats round, decimals lose fills"
    assert exchange.enableRateLimit is False
    assert exchange.newUpdates is True
    assert exchange.timeout == settings.timeout_ms
    assert exchange.options["recvWindow"] == settings.recv_window_ms
    assert exchange.options["maxRetriesOnFailure"] == 0
    assert exchange.streaming["keepAlive"] <= 15_000
    assert exchange.exceptions["exact"]["-1004"].__name__ == "OperationFailed", "the spot map holds at any address"


async def test_market_data_comes_without_keys(settings: Exchange, stub: Any) -> None:
    client = await connect(settings, needs_keys=False, environment={})
    await client.close()

    assert client.exchange.number is float
    assert not client.exchange.apiKey
    assert client.specs["BTC/USDT"].tick == Decimal("0.01")


MARKET: dict[str, Any] = {
    "symbol": "ETH/USDT:USDT",
    "contract": True,
    "swap": True,
    "linear": True,
    "settle": "USDT",
    "contractSize": "1",
    "precision": {"price": "0.01", "amount": "0.001"},
    "limits": {"cost": {"min": "20"}},
    "base": "ETH",
    "quote": "USDT",
}


def test_a_contract_is_booked_in_the_venues_own_steps() -> None:
    spec = instrument_spec(MARKET, 4)

    assert (spec.lot, spec.step, spec.min_notional, spec.long_only) == (Decimal("0.001"), None, Decimal(20), False)
    assert spec.contract


@pytest.mark.parametrize("odd", [{"linear": False}, {"swap": False}, {"settle": "BTC"}, {"contractSize": "10"}])
def test_a_contract_of_another_kind_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^ETH/USDT:USDT: pitboss trades linear perpetuals of one base unit"):
        instrument_spec(MARKET | odd, 4)


async def test_contracts_are_traded_for_real_only_where_we_know_how(file: Path) -> None:
    settings = Exchange(id="bybit", symbols=("BTC/USDT:USDT",))
    keys = {"PITBOSS_API_KEY": "k", "PITBOSS_API_SECRET": "s"}
    with pytest.raises(UserError, match="contracts are traded for real at binanceusdm only; at bybit"):
        await connect(settings, needs_keys=True, environment=keys)


def test_digits_are_a_precision_too() -> None:
    spec = instrument_spec({**MARKET, "precision": {"price": 2, "amount": 3}}, 2)

    assert (spec.tick, spec.lot) == (Decimal("0.01"), Decimal("0.001"))


@pytest.mark.parametrize("precision", [{"price": None, "amount": "1"}, {"price": "1", "amount": "0"}, {"price": "x"}])
def test_a_market_without_precision_is_refused(precision: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="ETH/USDT:USDT"):
        instrument_spec({**MARKET, "precision": precision}, 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "body", "says"),
    [(200, '{"enableWithdrawals":true}', "may withdraw"), (503, "oops", "is not to be had"), (200, "{}", None)],
    ids=["may withdraw", "not told", "may not"],
)
async def test_a_key_that_may_withdraw_is_refused(
    status: int, body: str, says: str | None, settings: Exchange, stub: Any, twists: dict[str, Any]
) -> None:
    stub.twist("GET apiRestrictions", twists["say"](status, body))
    client = await connect(settings, needs_keys=True, environment=KEYS)
    try:
        if says is None:
            await client.check_permissions()
        else:
            with pytest.raises(UserError, match=says):
                await client.check_permissions()
    finally:
        await client.close()


async def test_a_key_the_venue_refuses_is_refused(settings: Exchange, stub: Any, twists: dict[str, Any]) -> None:
    stub.twist("GET account", twists["say"](401, '{"code":-2015,"msg":"Invalid API-key, IP, or permissions."}'))
    client = await connect(settings, needs_keys=True, environment=KEYS)
    try:
        with pytest.raises(UserError, match="does not accept the key"):
            await client.check_permissions()
    finally:
        await client.close()
