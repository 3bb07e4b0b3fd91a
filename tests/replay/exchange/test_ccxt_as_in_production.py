"""Ccxt with Binance's own addresses: only names are resolved to this machine, and a certificate made here is trusted.

What ccxt decides by address (the map of errors, spot or futures) is then decided as in production.
"""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from replay.exchange.server import Exchange, running

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
WITHIN_S = 10.0
CONTRACT = "BTC/USDT:USDT"
NAMES = (
    "api.binance.com", "stream.binance.com", "ws-api.binance.com", "fapi.binance.com", "fstream.binance.com",
    "ws-fapi.binance.com",
)  # fmt: skip


class Here(AbstractResolver):
    """Finds every name on this machine, on one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: set[str] = set()

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 - the resolver's shape
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        self.asked.add(host)
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=self._port, family=family or socket.AF_INET, proto=0, flags=0
            )
        ]  # fmt: skip

    async def close(self) -> None:
        return


def make_certificate(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in NAMES]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "loopback.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Exchange]:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(make_certificate(tmp_path))
    async with running(tls=served) as started:
        for symbol in (SYMBOL, CONTRACT):
            await started.print_trade(symbol, "50000", "0.5")
        yield started


@pytest.fixture
async def client(exchange: Exchange, tmp_path: Path) -> AsyncIterator[Any]:
    async with connected(exchange, tmp_path, "binance", "spot") as made:
        yield made


@pytest.fixture
async def usdm(exchange: Exchange, tmp_path: Path) -> AsyncIterator[Any]:
    async with connected(exchange, tmp_path, "binanceusdm", "linear") as made:
        yield made


@contextlib.asynccontextmanager
async def connected(exchange: Exchange, tmp_path: Path, name: str, kind: str) -> AsyncIterator[Any]:
    """Return a client that was told nothing of the loopback."""
    import ccxt.pro

    trusted = ssl.create_default_context(cafile=str(tmp_path / "loopback.pem"))
    resolver = Here(int(exchange.url.rpartition(":")[2]))
    connector = aiohttp.TCPConnector(resolver=resolver, ssl=trusted)
    async with aiohttp.ClientSession(connector=connector) as session:
        made = getattr(ccxt.pro, name)(
            {
                "apiKey": exchange.ccxt_arguments["apiKey"],
                "secret": exchange.ccxt_arguments["secret"],
                "session": session,
                "enableRateLimit": False,
                "options": {"fetchMarkets": {"types": [kind]}},
            }
        )
        await made.load_markets()
        yield made
        await made.close()
        assert resolver.asked <= set(NAMES)


async def test_everything_works_at_its_own_address(client: Any, exchange: Exchange) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 49000)
    assert order["status"] == "open"
    over_socket = await asyncio.wait_for(client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 48000), WITHIN_S)
    assert over_socket["status"] == "open"
    watching = asyncio.create_task(client.watch_trades(SYMBOL))
    while not watching.done():
        await exchange.print_trade(SYMBOL, "50001", "0.01")
        await asyncio.sleep(0.05)
    assert (await watching)[-1]["symbol"] == SYMBOL


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("limit", "buy", 1_000, 49000), "InsufficientFunds"),
        (("limit", "buy", 0.00001, 49000), "BadRequest"),
        (("LIMIT_MAKER", "buy", 0.01, 50100), "OrderImmediatelyFillable"),
    ],
)
async def test_errors_are_what_they_are_in_production(client: Any, arguments: tuple[Any, ...], error: str) -> None:
    import ccxt

    kind, side, amount, price = arguments
    with pytest.raises(ccxt.BaseError) as refused:
        await client.create_order(SYMBOL, kind, side, amount, price)
    assert type(refused.value).__name__ == error


async def test_faults_have_the_same_names_as_in_production(client: Any, exchange: Exchange) -> None:
    import ccxt

    for name, error in (
        ("maintenance", ccxt.OnMaintenance),
        ("bad_gateway", ccxt.ExchangeNotAvailable),
        ("status_unknown", ccxt.RequestTimeout),
        ("rate_limit_storm", ccxt.DDoSProtection),
        ("clock_skew", ccxt.InvalidNonce),
    ):
        exchange.faults.set(name, 1.0, times=1, on="GET /api/v3/account")
        with pytest.raises(error):
            await client.fetch_balance()


async def test_perpetuals_work_at_their_own_addresses(usdm: Any, exchange: Exchange) -> None:
    order = await usdm.create_order(CONTRACT, "limit", "buy", 0.01, 49000)
    assert order["status"] == "open"
    over_socket = await asyncio.wait_for(usdm.create_order_ws(CONTRACT, "limit", "buy", 0.01, 48000), WITHIN_S)
    assert over_socket["status"] == "open"
    tasks = [
        asyncio.create_task(watch(CONTRACT)) for watch in (usdm.watch_trades, usdm.watch_ohlcv, usdm.watch_my_trades)
    ]
    while not all(task.done() for task in tasks):
        await exchange.print_trade(CONTRACT, "50001", "0.01")
        await usdm.create_order(CONTRACT, "market", "buy", 0.01)
        await asyncio.sleep(0.05)
    assert (await tasks[0])[-1]["symbol"] == CONTRACT


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("limit", "buy", 100, 49000), "InsufficientFunds"),
        (("limit", "buy", 0.001, 4000), "InvalidOrder"),
        (("market", "sell", 0.1, None, {"reduceOnly": True}), "InvalidOrder"),
        (("limit", "buy", 0.01, 50001, {"postOnly": True}), "OrderNotFillable"),
        (("market", "buy", 0.1, None, {"stopPrice": 49000}), "OrderImmediatelyFillable"),
    ],
)
async def test_errors_of_perpetuals_are_what_they_are_in_production(
    usdm: Any, arguments: tuple[Any, ...], error: str
) -> None:
    import ccxt

    with pytest.raises(ccxt.BaseError) as refused:
        await usdm.create_order(CONTRACT, *arguments)
    assert type(refused.value).__name__ == error
