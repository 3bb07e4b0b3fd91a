"""A venue through ccxt.pro: how the client is built, what is asked of it, and how its private stream is owned.

The package is used as it is; everything here is configuration, or a subclass where its own events would get lost.
Numbers stay the venue's own strings (``number: str``): with floats they would be rounded, and with decimals ccxt
4.5 drops the fills of a reply and the trigger of a stop. For the same reason every parameter is a string.

Keys come from the environment (``PITBOSS_API_KEY``, ``PITBOSS_API_SECRET``), from systemd's credentials
(``api_key``, ``api_secret``) or from the file named by ``exchange.file``, in this order; never from the settings.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import structlog

from config.errors import UserError, nearest
from config.secrets import secrets_of
from config.symbols import is_contract
from daemon.edges.venue.direct_path import direct
from daemon.edges.venue.errors import RequestError, broken, explain, is_cut_off
from daemon.edges.venue.filters import instrument_spec
from daemon.edges.venue.kline_tap import is_marked, tapped
from daemon.edges.venue.stream import private_stream
from daemon.edges.venue.weights import SPOT
from daemon.log import hide

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from actors.instrument import InstrumentSpec
    from config.schema import Exchange as ExchangeSettings
    from daemon.edges.venue.errors import Request
    from daemon.edges.venue.stream import Push

_SPARE_S = 1.0
"""Our own deadline comes this much after ccxt's, in case that one never comes."""
_TRIES = 3
_TRY_AGAIN_S = 0.5
_CLOSE_S = 2.0
_KEEP_ALIVE_MS = 10_000
_SLOW_DOWN_S = 10.0
"""Pause after the venue had enough, unless it says how long."""
_TRADES_MAX = 1_000
_SECRETS = ("apiKey", "secret", "password", "privateKey", "walletAddress", "uid", "token")
_CREDENTIALS = (
    ("apiKey", "PITBOSS_API_KEY", "api_key"),
    ("secret", "PITBOSS_API_SECRET", "api_secret"),
    ("password", "PITBOSS_API_PASSWORD", "api_password"),
)
"""ccxt's name, the variable, the file among systemd's credentials."""

log = structlog.get_logger()


class VenueClient:
    """One ccxt.pro instance and the few things we ask of it.

    A request that does not come to a good answer raises `RequestError`, which says what that means.

    Attributes:
        exchange: the ccxt.pro instance.
        specs: the configured instruments.
    """

    def __init__(self, exchange: Any, settings: ExchangeSettings, failures: tuple[type[BaseException], ...]) -> None:  # noqa: ANN401 - ccxt is not typed
        self.exchange = exchange
        self.exchange.enableLastJsonResponse = True  # it says whether a reply was JSON, see `is_cut_off`
        self.specs: Mapping[str, InstrumentSpec] = {}
        self.pause_s = 0.0
        """How long the venue asked us to be silent, when a request was last told to slow down."""
        self._headers_seen: Any = None
        self._settings = settings
        self._failures = failures
        self._family = is_family(exchange)
        """Whether it is Binance or made from it, whose own parameters narrow lists."""

    weights = SPOT
    """What its requests weigh."""

    @property
    def weight_per_minute(self) -> int:
        """Request weight that may be spent in any minute."""
        return self._settings.weight_per_minute

    async def close(self) -> None:
        """Close all connections."""
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await self.exchange.close()

    # --- what is traded -----------------------------------------------------------------------------

    def instruments(self, symbols: Sequence[str]) -> dict[str, InstrumentSpec]:
        """Return the instruments of `symbols` from the venue's filters.

        Raises:
            UserError: the venue does not trade one, or does not say how.
        """
        return {symbol: self._spec(symbol) for symbol in symbols}

    def _spec(self, symbol: str) -> InstrumentSpec:
        market = self.exchange.markets.get(symbol)
        if market is None:
            message = f"{self.exchange.id} does not trade {symbol}{nearest(symbol, self.exchange.markets)}"
            raise UserError(message)
        if market.get("active") is False:
            message = f"{self.exchange.id} does not trade {symbol} at the moment"
            raise UserError(message)
        return instrument_spec(market, self.exchange.precisionMode)

    # --- at the start -------------------------------------------------------------------------------

    async def server_time_ns(self) -> int:
        """Return the venue's time.

        Raises:
            UserError: it does not tell.
        """
        time_ms: int = await self.insist("its time is not to be had", self.exchange.fetch_time, int)
        return time_ms * 1_000_000

    async def check_permissions(self) -> bool:
        """Refuse a key that the venue refuses, or with which money could leave the account.

        Returns:
            Whether the venue says what the key may do; else nobody can tell.

        Raises:
            UserError: says which.
        """
        await self.insist("it does not accept the key", self.exchange.fetch_balance, dict)
        if not self._family:
            log.warning("key_permissions_unknown", exchange=self.exchange.id, hint="use a key that cannot withdraw")
            return False
        try:
            allowed = await self._ask("question", self.exchange.sapi_get_account_apirestrictions(), dict)
        except RequestError as error:
            if error.outcome == "halt":  # a venue's testnet has no such question
                log.warning("key_permissions_unknown", exchange=self.exchange.id, reason=error.reason)
                return False
            message = f"{self.exchange.id}: what the key allows is not to be had: {error.reason}"
            raise UserError(message) from error
        if allowed.get("enableWithdrawals"):
            message = f"{self.exchange.id}: this key may withdraw; pitboss trades only with one that may not"
            raise UserError(message)
        return True

    async def check_modes(self, _: Sequence[str], /) -> None:
        """Refuse an account whose modes are not those that are configured; spot has none."""

    async def insist(self, trouble: str, call: Callable[[], Awaitable[Any]], shape: type) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return what the venue answers, after a few tries.

        Raises:
            UserError: it does not, with `trouble` and the reason.
        """
        for left in reversed(range(_TRIES)):
            try:
                return await self._ask("question", call(), shape)
            except RequestError as error:
                if error.outcome != "retry" or not left:
                    message = f"{self.exchange.id}: {trouble}: {error.reason}"
                    raise UserError(message) from error
            await anyio.sleep(_TRY_AGAIN_S)
        raise AssertionError

    # --- requests -----------------------------------------------------------------------------------

    async def submit(self, symbol: str, kind: str, side: str, quantity: str, price: str | None, params: Any) -> Any:  # noqa: ANN401 - ccxt's structures
        """Have the venue take an order; return it as ccxt tells it."""
        call = self.exchange.create_order(symbol, kind, side, quantity, price, params)
        return await self._ask("submit", call, dict)

    async def replace(self, symbol: str, kind: str, side: str, quantity: str, price: str | None, params: Any) -> Any:  # noqa: ANN401 - ccxt's structures
        """Have the venue put an order in the place of another, which `params` name; return the new one."""
        call = self.exchange.edit_order("", symbol, kind, side, quantity, price, params)
        return await self._ask("submit", call, dict)

    async def change(self, venue_order_id: str, symbol: str, side: str, quantity: str, price: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Have the venue change a limit order in its place; return it as it is now."""
        call = self.exchange.edit_order(venue_order_id, symbol, "limit", side, quantity, price)
        return await self._ask("submit", call, dict)

    async def cancel(self, order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Have the venue withdraw an order, by our id."""
        return await self._ask("cancel", self.exchange.cancel_order(None, symbol, {"clientOrderId": order_id}), dict)

    async def cancel_by_venue_id(self, venue_order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Have the venue withdraw an order, by its own id: anybody's."""
        return await self._ask("cancel", self.exchange.cancel_order(venue_order_id, symbol), dict)

    async def order(self, order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return an order by our id."""
        return await self._ask("question", self.exchange.fetch_order(None, symbol, {"clientOrderId": order_id}), dict)

    async def order_by_venue_id(self, venue_order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return an order by the venue's id."""
        return await self._ask("question", self.exchange.fetch_order(venue_order_id, symbol), dict)

    async def open_orders(self, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return all open orders of a symbol."""
        return await self._ask("question", self.exchange.fetch_open_orders(symbol), list)

    async def trades_of(self, venue_order_id: str, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return the executions of one order."""
        if self._family:
            params = {"orderId": venue_order_id}
            return await self._ask("question", self.exchange.fetch_my_trades(symbol, None, _TRADES_MAX, params), list)
        return await self._ask("question", self.exchange.fetch_order_trades(venue_order_id, symbol), list)

    async def trades_after(self, trade_id: int, symbol: str) -> tuple[list[Any], bool]:
        """Return executions after one, the oldest first, and whether there may be more."""
        params = {"fromId": str(trade_id + 1)} if self._family else {}
        trades = await self._ask("question", self.exchange.fetch_my_trades(symbol, None, _TRADES_MAX, params), list)
        try:
            later = sorted((each for each in trades if int(each["id"]) > trade_id), key=lambda each: int(each["id"]))
        except (TypeError, ValueError, KeyError) as error:
            raise broken("question", f"a list of executions whose ids are no numbers: {error}") from error
        return later, self._family and len(trades) >= _TRADES_MAX

    async def newest_trades(self, symbol: str) -> list[Any]:
        """Return the newest executions on the account, anybody's, the oldest of them first."""
        trades = await self._ask("question", self.exchange.fetch_my_trades(symbol, None, _TRADES_MAX), list)
        try:
            return sorted(trades, key=lambda each: int(each["id"]))
        except (TypeError, ValueError, KeyError) as error:
            raise broken("question", f"a list of executions whose ids are no numbers: {error}") from error

    async def trades_since(self, since_ms: int, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return the first executions after a time."""
        return await self._ask("question", self.exchange.fetch_my_trades(symbol, since_ms, _TRADES_MAX), list)

    async def last_price(self, symbol: str) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return what was last paid, or None."""
        ticker = await self._ask("question", self.exchange.fetch_ticker(symbol), dict)
        if not ticker.get("info"):
            raise broken("question", "a ticker without a word of the venue's")
        return ticker.get("last")

    async def balances(self) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return what the account holds."""
        reply = await self._ask("question", self.exchange.fetch_balance(), dict)
        if not isinstance(reply.get("info"), dict | list) or not reply["info"]:
            raise broken("question", "balances without a word of the venue's")  # ccxt makes an empty account of it
        return reply

    async def question(self, call: Awaitable[Any], shape: type) -> Any:  # noqa: ANN401 - ccxt's structures
        """Return the answer to a question that has no method of its own here."""
        return await self._ask("question", call, shape)

    async def correct_clock(self) -> None:
        """Sign with the venue's time from now on; with the wall's, where the venue's runs at a rate of its own."""
        if self._settings.clock == "venue":
            self.exchange.options["timeDifference"] = 0
        else:
            await self._ask("question", self.exchange.load_time_difference(), int)

    def used_weight(self) -> int | None:
        """Return the weight the venue has counted in this minute, where it has said so since we last looked."""
        headers = self.exchange.last_response_headers or {}
        if headers is self._headers_seen:
            return None
        self._headers_seen = headers
        for name, value in headers.items():
            if name.lower() == "x-mbx-used-weight-1m" and value.isdigit():
                return int(value)
        return None

    async def _ask(self, request: Request, call: Awaitable[Any], shape: type) -> Any:  # noqa: ANN401 - ccxt's structures
        self.exchange.last_http_response = None  # so that what is there afterwards is of this call
        try:
            with anyio.fail_after(self._settings.timeout_ms / 1000 + _SPARE_S):
                reply = await call
        except self._failures as error:
            failure = explain(request, error)
            if failure.slow_down:
                self.pause_s = self.retry_after_s()
            raise failure from error
        if not isinstance(reply, shape):
            raise broken(request, f"a {type(reply).__name__} instead of a {shape.__name__}")
        if is_cut_off(self.exchange, empty_is=self._family):
            raise broken(request, "it is cut off")
        return reply

    def retry_after_s(self) -> float:
        """Return how long the venue wants no more requests, after it has said so."""
        headers = self.exchange.last_response_headers or {}
        for name, value in headers.items():
            if name.lower() == "retry-after" and value.isdigit():
                return float(value)
        return _SLOW_DOWN_S

    # --- the private stream -------------------------------------------------------------------------

    async def listen(self, on_up: Callable[[], Awaitable[None]], on_push: Callable[[Push], None]) -> None:
        """Own the private stream until it breaks.

        Args:
            on_up: called once the venue has confirmed the subscription.
            on_push: called with everything the venue says, in order; it must neither wait nor raise.

        Raises:
            RequestError: the stream broke, or could not be had.
        """
        try:
            await self.exchange.own_stream(on_up, on_push, self._settings.timeout_ms / 1000)
        except self._failures as error:
            raise explain("question", error) from error

    async def drop_stream(self, reason: str) -> None:
        """Throw the private stream's connections away; who listens is told."""
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await self.exchange.drop_stream(reason)


# --- building it ------------------------------------------------------------------------------------


async def connect(
    settings: ExchangeSettings,
    *,
    needs_keys: bool,
    environment: Mapping[str, str] | None = None,
    symbols: Sequence[str] | None = None,
) -> VenueClient:
    """Build a client and load the venue's markets.

    Args:
        settings: which venue, and how.
        needs_keys: whether it is for orders; market data needs no keys, and gets numbers as floats.
        environment: variables to read; the process's own when None.
        symbols: whose instruments are wanted; the configured ones when None.

    Raises:
        UserError: there is no such exchange, there are no keys, or the venue refuses or cannot be reached.
    """
    arguments = constructor_arguments(settings, keys=needs_keys, environment=environment)
    package = importlib.import_module("ccxt.pro")  # takes a second or two: only who trades for real pays for it
    if settings.id not in package.exchanges:
        message = f"exchange.id: ccxt knows no exchange {settings.id!r}{nearest(settings.id, package.exchanges)}"
        raise UserError(message)
    base = getattr(package, settings.id)
    family = is_family(base)
    if settings.direct and not is_marked(base):
        message = f"exchange.direct is for Binance's messages; {settings.id} has others"
        raise UserError(message)
    market_data = direct(base) if settings.direct else tapped(base)
    exchange = (private_stream(base, family=family) if needs_keys else market_data)(
        _merged(_defaults(settings, base, family=family, keys=needs_keys), arguments)
    )
    failures = (package.BaseError, TimeoutError, OSError, AttributeError, TypeError, LookupError, ValueError)
    client = _kind(settings, base, family=family, keys=needs_keys)(exchange, settings, (*failures, ArithmeticError))
    try:
        await client.insist("its markets are not to be had", exchange.load_markets, dict)
        client.specs = client.instruments(settings.symbols if symbols is None else symbols)
    except BaseException:
        await client.close()
        raise
    return client


def is_family(thing: Any) -> bool:  # noqa: ANN401 - ccxt is not typed
    """Return whether an exchange, or a class of them, is Binance or one that is made from it."""
    kind = thing if isinstance(thing, type) else type(thing)
    return issubclass(kind, importlib.import_module("ccxt.pro").binance)


def _kind(settings: ExchangeSettings, base: Any, *, family: bool, keys: bool) -> type[VenueClient]:  # noqa: ANN401 - ccxt is not typed
    """Return what a client for these symbols is.

    Raises:
        UserError: they are contracts, and orders are to go where we do not know how that is done.
    """
    from daemon.edges.venue.contract_client import ContractClient

    if not _trades_contracts(settings, base):
        return VenueClient
    if keys and not family:
        message = (
            f"exchange.id: contracts are traded for real at binanceusdm only; at {settings.id} pitboss trades spot,"
            " and contracts on paper"
        )
        raise UserError(message)
    return ContractClient if family else VenueClient


def _trades_contracts(settings: ExchangeSettings, base: Any) -> bool:  # noqa: ANN401 - ccxt is not typed
    return base.__name__ == "binanceusdm" or any(is_contract(symbol) for symbol in settings.symbols)


def constructor_arguments(
    settings: ExchangeSettings, *, keys: bool, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what the user gives the constructor: the file's arguments, then the settings', then the keys.

    Raises:
        UserError: the file cannot be read, a key stands in the settings, or there is none.
    """
    for name, table in (("urls", settings.urls), ("options", settings.options)):
        found = next((key for key in _SECRETS if key in table), None)
        if found is not None:
            message = f"exchange.{name}.{found}: keys have no place among the settings; use the environment or a file"
            raise UserError(message)
    arguments = _from_file(settings) if settings.file is not None else {}
    arguments = _merged(arguments, {"urls": settings.urls, "options": settings.options})
    if not keys:
        return {name: value for name, value in arguments.items() if name not in _SECRETS}
    arguments |= _credentials(os.environ if environment is None else environment)
    for name in ("apiKey", "secret"):
        if not arguments.get(name):
            message = f"{settings.id}: no {name}: set PITBOSS_API_KEY and PITBOSS_API_SECRET, or exchange.file"
            raise UserError(message)
    named = (arguments[name] for name in _SECRETS if isinstance(arguments.get(name), str))
    for secret in (*named, *secrets_of(arguments)):
        hide(secret)
    return arguments


def keys_origin(settings: ExchangeSettings, *, environment: Mapping[str, str] | None = None) -> str:
    """Return where the keys come from, for people.

    Raises:
        UserError: there are none, or one lies where it must not.
    """
    constructor_arguments(settings, keys=True, environment=environment)
    variables = os.environ if environment is None else environment
    if any(variables.get(variable) for _, variable, _ in _CREDENTIALS):
        return "the environment"
    return "systemd's credentials" if _credentials(variables) else str(settings.file)


def _from_file(settings: ExchangeSettings) -> dict[str, Any]:
    assert settings.file is not None
    path = Path(settings.file).expanduser()
    try:
        arguments = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
    except (OSError, msgspec.DecodeError) as error:
        message = f"exchange.file: {path}: {error}"
        raise UserError(message) from error
    if settings.id not in arguments:
        message = f"exchange.file: {path} says nothing of {settings.id!r}, only of {', '.join(arguments) or 'nobody'}"
        raise UserError(message)
    return arguments[settings.id]


def _credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the keys that the environment, or else systemd, holds."""
    found = {name: environment[variable] for name, variable, _ in _CREDENTIALS if environment.get(variable)}
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not found and folder:
        for name, _, file_name in _CREDENTIALS:
            path = Path(folder) / file_name
            if path.is_file():
                found[name] = path.read_text(encoding="utf-8").strip()
    if found and not found.keys() >= {"apiKey", "secret"}:
        message = "PITBOSS_API_KEY and PITBOSS_API_SECRET belong together, and only one of them is there"
        raise UserError(message)
    return found


def _defaults(settings: ExchangeSettings, base: Any, *, family: bool, keys: bool) -> dict[str, Any]:  # noqa: ANN401 - ccxt is not typed
    """Return what we always want, unless the user wants something else."""
    options: dict[str, Any] = {"recvWindow": settings.recv_window_ms, "maxRetriesOnFailure": 0, "ws": {"compress": 0}}
    arguments: dict[str, Any] = {
        "enableRateLimit": False,
        "timeout": settings.timeout_ms,
        "newUpdates": True,
        "streaming": {"keepAlive": _KEEP_ALIVE_MS, "maxPingPongMisses": 2},
        "options": options,
    }
    if keys:
        arguments["number"] = str
    if family:
        contracts = _trades_contracts(settings, base)
        options |= {"fetchCurrencies": False, "fetchMargins": False}
        if base.__name__ == "binance":
            options["fetchMarkets"] = {"types": ["linear" if contracts else "spot"]}
            options["defaultType"] = "swap" if contracts else "spot"
        # ccxt picks the market's own meanings of codes by the address, which a test venue and every web socket miss
        meanings = base({"enableRateLimit": False}).describe()["exceptions"]["linear" if contracts else "spot"]
        arguments["exceptions"] = {"exact": meanings["exact"]}
    return arguments


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return two trees of settings as one; the second wins."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
