"""Constructor arguments with which an unmodified ccxt program trades on this exchange, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replay.exchange.protocol.auth import Keys

_PATHS = {
    "public": "/api/v3", "private": "/api/v3", "v1": "/api/v1",
    "sapi": "/sapi/v1", "sapiV2": "/sapi/v2", "sapiV3": "/sapi/v3", "sapiV4": "/sapi/v4",
    "fapiPublic": "/fapi/v1", "fapiPublicV2": "/fapi/v2", "fapiPublicV3": "/fapi/v3",
    "fapiPrivate": "/fapi/v1", "fapiPrivateV2": "/fapi/v2", "fapiPrivateV3": "/fapi/v3", "fapiData": "/futures/data",
    "dapiPublic": "/dapi/v1", "dapiPrivate": "/dapi/v1", "dapiPrivateV2": "/dapi/v2", "dapiData": "/dapi/data",
    "eapiPublic": "/eapi/v1", "eapiPrivate": "/eapi/v1", "papi": "/papi/v1", "papiV2": "/papi/v2",
}  # fmt: skip
"""Every address of ccxt's binance: one that is not served here still leads here, where it gets a 404."""

_STREAM_PATHS = {
    "margin": "/stream/ws", "inverse": "/delivery/ws", "stock": "/equity/ws", "option": "/options/public/ws",
    "optionMarket": "/options/market/ws", "optionPrivate": "/options/private/ws", "papi": "/pm/ws",
}  # fmt: skip

_STREAMING = {"keepAlive": 15_000, "maxPingPongMisses": 2}


def ccxt_arguments(url: str, stream_url: str, keys: Keys) -> dict[str, dict[str, Any]]:
    """Return the arguments by exchange id.

    Args:
        url: where REST is served.
        stream_url: where sockets are served.
        keys: of the account.
    """
    addresses: dict[str, Any] = {name: url + path for name, path in _PATHS.items()}
    addresses["ws"] = {name: stream_url + path for name, path in _STREAM_PATHS.items()} | {
        # ccxt takes a stream for one of spot only if its address says /stream, for one of futures only if it does not.
        "spot": f"{stream_url}/stream/ws",
        "linear": f"{stream_url}/futures/ws",
        "ws-api": {
            "spot": f"{stream_url}/ws-api/v3",
            "linear": f"{stream_url}/ws-fapi/v1",
            "inverse": f"{stream_url}/ws-dapi/v1",
        },
    }
    both = {"apiKey": keys.key, "secret": keys.secret, "urls": {"api": addresses}, "streaming": _STREAMING}
    options = {"fetchCurrencies": False, "fetchMargins": False}
    return {
        "binance": both | {"options": options | {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}}},
        "binanceusdm": both | {"options": options | {"fetchMarkets": {"types": ["linear"]}}},
    }
