"""The settings as frozen structs: the only list of what can be set, with units and bounds.

A name carries its unit last (``latency_ms``, ``stall_s``). Money and rates are exact decimals, never
binary floats, because they reach the integer ledger. ``None`` means "off" wherever it is allowed.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from config.alerts import Alerts
from config.margin import BTCUSDT_TIERS, ContractTerms, MarginTier, check_tiers
from config.risk import Risk
from config.secrets import redacted
from config.section import Count, Seconds, Section
from config.section import check_bounds as _check
from config.symbols import check_families, check_quotes

_TINY = Decimal("1e-12")
_DEAD_MAN_MIN_S = 5
"""A third of it must leave room for a request that is slow, and for one that is lost."""
_CASH_MAX = 5 * 10**10
"""In atoms this is half of what 64 bits count."""


class Account(Section, frozen=True):
    """The money a session starts with."""

    cash: Decimal = Decimal(100_000)
    """Opening balance in quote units."""

    def __post_init__(self) -> None:
        """Check what Meta cannot."""
        _check("cash", self.cash, 0, _CASH_MAX)


class Venue(Section, frozen=True):
    """The simulated venue: what an execution costs, how long an order travels, what contracts have behind them."""

    taker_fee: Decimal = Decimal("0.001")
    """Fraction of the notional charged to the side that takes liquidity."""
    maker_fee: Decimal = Decimal("0.001")
    """Fraction of the notional charged to the side that rests; negative is a rebate."""
    slippage_bps: Decimal = Decimal(0)
    """Adverse slippage of market and stop fills, in 1/10,000 of the price."""
    latency_ms: Annotated[float, Meta(ge=0, le=3_600_000)] = 0.0
    """Time from a decision until its order is live at the venue."""
    leverage: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    """Leverage of contracts: they are then held on margin, and liquidated once it is used up."""
    margin_mode: Literal["cross", "isolated"] = "cross"
    """Whether contracts share the account's money, or each has a part of it set aside."""
    tiers: tuple[MarginTier, ...] = BTCUSDT_TIERS
    """Maintenance margin and highest leverage by the size of a position; one row is one rate for all sizes."""
    liquidation_fee: Decimal = Decimal("0.0125")
    """Fraction of what is liquidated that the insurance fund takes, of what is left of its margin at most."""
    contracts: dict[str, ContractTerms] = field(default_factory=dict)
    """What is otherwise for single contracts, by symbol."""

    def __post_init__(self) -> None:
        """Check what Meta cannot.

        Raises:
            ValueError: a rate beyond its bounds, or tiers that do not ascend.
        """
        _check("taker_fee", self.taker_fee, -1, 1)
        _check("maker_fee", self.maker_fee, -1, 1)
        _check("slippage_bps", self.slippage_bps, 0, 5_000)
        _check("liquidation_fee", self.liquidation_fee, 0, 1)
        check_tiers("tiers", self.tiers, self.leverage)
        if self.contracts and self.leverage is None:
            message = "contracts need a leverage for all"
            raise ValueError(message)
        for symbol, terms in self.contracts.items():
            check_tiers(f"contracts.{symbol}.tiers", terms.tiers or self.tiers, terms.leverage or self.leverage)


class InstrumentOverride(Section, frozen=True):
    """What a bare tape cannot say about its instrument; ``None`` infers it."""

    tick: Decimal | None = None
    """Smallest price step in quote units."""
    lot: Decimal | None = None
    """Smallest quantity step in base units."""
    min_notional: Decimal | None = None
    """Smallest order value in quote units the venue takes."""
    contract: bool | None = None
    """Whether the symbols of the tape are perpetuals; those with funding beside them are, anyway."""

    def __post_init__(self) -> None:
        """Check what Meta cannot."""
        _check("tick", self.tick, _TINY, 10**9)
        _check("lot", self.lot, _TINY, 10**9)
        _check("min_notional", self.min_notional, 0)


class Market(Section, frozen=True):
    """Reception of market data."""

    stale_after_bars: Count = 30
    """A series is stale once this many of its bars are overdue."""
    slice_wait_s: Seconds = 10.0
    """A strategy on several symbols waits this long after a close for those whose bar is missing."""


class Supervision(Section, frozen=True):
    """What happens to an actor that fails."""

    deliveries_max: Count = 10_000
    """Most deliveries one input may cause; reaching it is a livelock."""
    checkpoint_inputs: Count = 256
    """An isolated actor's state is kept every this many of its own messages."""
    restarts_max: Annotated[int, Meta(ge=0)] = 5
    """More restarts than this inside the window escalate the failure."""
    restart_window_s: Seconds = 3_600.0
    """Length of that window, in input time for core actors and wall time for edges."""
    backoff_s: Seconds = 0.1
    """First pause before an edge is started again; doubles each time, with jitter."""
    backoff_max_s: Seconds = 30.0
    """Longest such pause."""
    dead_letters_max: Count = 100
    """Undeliverable messages kept for inspection."""
    safe_state: Literal["halt", "cancel_all", "flatten"] = "cancel_all"
    """Where trading is brought when a failure escalates: stop entries, also cancel, also close."""


class Feed(Section, frozen=True):
    """Where market data comes from."""

    source: Literal["tape", "exchange"] = "tape"
    """A tape played at `speed`, or the live feed of `[exchange]`."""
    speed: Annotated[float, Meta(ge=0, le=1e9)] = 1.0
    """Tape seconds per wall second; 0 plays as fast as the core takes it."""
    mailbox_max: Count = 1_024
    """Inputs waiting for the core before the feed has to wait."""


Stream = Literal["bars", "trades", "book", "quotes", "funding", "mark"]


class Exchange(Section, frozen=True):
    """The venue behind a live feed and, in real mode, behind our orders, as ccxt knows it."""

    id: str = "binance"
    """ccxt's name of the exchange."""
    file: str | None = None
    """JSON file of constructor arguments by exchange id, keys included, such as `pitboss exchange` writes."""
    urls: dict[str, Any] = field(default_factory=dict)
    """Merged into the exchange's own `urls`."""
    options: dict[str, Any] = field(default_factory=dict)
    """Merged into the exchange's own `options`."""
    symbols: tuple[str, ...] = ("BTC/USDT",)
    """What is fed and traded, by ccxt's names, all of one quote currency."""
    timeframe: str = "1m"
    """Bars the feed delivers."""
    streams: tuple[Stream, ...] = ("bars",)
    """What the core is fed: bars always, trades, the order book, quotes (its best bid and ask), funding, mark."""
    book_levels: Annotated[int, Meta(ge=1, le=1_000)] = 10
    """Levels of each side of a book."""
    backfill_trades_max: Count = 50_000
    """Trades missed in a break or while away that are fetched at most; what lies further back is given up."""
    direct: bool = False
    """Whether trades and candles of Binance are decoded past ccxt's own parser, which takes a fraction of the time."""
    clock: Literal["wall", "venue"] = "wall"
    """Whose time the core's is; `venue` for one that plays history faster than the wall."""
    recv_window_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    """A signed request older than this is refused by the venue, and can no longer become an order."""
    timeout_ms: Annotated[int, Meta(ge=100, le=120_000)] = 10_000
    """Longest wait for one answer; what it came to is then in doubt."""
    reconcile_s: Seconds = 60.0
    """The account is compared with the venue's this often."""
    stall_s: Seconds = 30.0
    """A stream that is silent for longer is opened anew."""
    weight_per_minute: Count = 6_000
    """Request weight spent in any minute, at most; for Binance's contracts never more than its 2400."""
    leverage: Annotated[int, Meta(ge=1, le=150)] | None = None
    """What the account's leverage must be for every contract; it is checked, never set. Real contracts need it."""
    margin_mode: Literal["cross", "isolated"] = "cross"
    """What the account's margin mode must be for every contract; it is checked, never set."""
    rules_s: Seconds = 300.0
    """The venue's rules (steps, minimum notional, whether a symbol trades) are read this often."""

    def __post_init__(self) -> None:
        """Check what Meta cannot.

        Raises:
            ValueError: bars are not among the streams, or the symbols are of several quote currencies.
        """
        if "bars" not in self.streams:
            message = "streams must include bars: positions are valued at their closes"
            raise ValueError(message)
        check_quotes(self.symbols)
        check_families(self.symbols)

    def without_secrets(self) -> "Exchange":
        """Return it as it may be written down."""
        return msgspec.structs.replace(self, urls=redacted(self.urls), options=redacted(self.options))


class Live(Section, frozen=True):
    """The last switch before real orders."""

    armed: bool = False
    """`real` mode refuses to start without it."""
    dead_man_s: Annotated[int, Meta(ge=0, le=86_400)] = 0
    """After this long without us the venue withdraws the open orders of our contracts; 0 for never."""

    def __post_init__(self) -> None:
        """Check what Meta cannot."""
        if 0 < self.dead_man_s < _DEAD_MAN_MIN_S:
            message = f"dead_man_s is 0 or at least {_DEAD_MAN_MIN_S}, not {self.dead_man_s}"
            raise ValueError(message)


class Journal(Section, frozen=True):
    """Durability."""

    batch_max: Count = 4_096
    """Most inputs in one commit."""
    queue_max: Count = 16_384
    """Most inputs waiting for the disk before the core has to wait."""
    stall_s: Seconds = 10.0
    """A commit that takes longer than this halts trading."""
    snapshot_inputs: Count = 5_000
    """A snapshot of the whole core is stored every this many inputs."""
    snapshots_kept: Count = 3
    """Newest snapshots kept in the journal."""
    snapshot_json_s: Seconds = 1.0
    """Longest time ``snapshot.json`` may lag behind the core."""
    size_mb_max: Count | None = None
    """Largest journal file in MiB; reaching it is treated as a full disk."""
    free_mb_min: Annotated[int, Meta(ge=0)] = 64
    """Free disk space in MiB under which the daemon warns."""


class Http(Section, frozen=True):
    """The control endpoint."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback is your decision and is logged."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8_787
    """TCP port; 0 takes a free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names a Host or Origin header may carry (a reverse proxy's)."""
    body_bytes_max: Count = 65_536
    """Largest request body."""
    commands_kept: Count = 1_000
    """Idempotency keys remembered."""
    tcp: bool = True
    """Whether it listens on `host` and `port`; without, only the Unix socket is left."""
    unix_socket: bool = False
    """Whether it listens on ``control.sock`` in the state directory, which only its owner can open."""
    certificate: str | None = None
    """File of a certificate and its chain, PEM: with it, and `key`, the endpoint and the console speak TLS."""
    key: str | None = None
    """File of its key, PEM, without a passphrase."""
    wrong_tokens_max: Count = 20
    """Wrong tokens of one address in a minute that are just refused; beyond, it is told to wait."""
    session_s: Seconds = 43_200.0
    """A browser that has logged in has to do so again after this time."""


class Console(Section, frozen=True):
    """The process beside the daemon that serves what is heavy: the API, its stream, history."""

    enabled: bool = True
    """Whether it runs; the control endpoint answers without it."""
    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback is your decision and is logged."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8_788
    """TCP port; 0 takes a free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names a Host or Origin header may carry (a reverse proxy's)."""
    body_bytes_max: Count = 65_536
    """Largest request body."""
    frame_s: Seconds = 0.2
    """Least time between two looks at the core."""
    clients_max: Count = 100
    """Clients of the stream at once."""
    client_stall_s: Seconds = 30.0
    """A client of the stream that takes nothing for so long is let go."""
    events_kept: Count = 1_000
    """Newest events kept for clients that come back."""
    own_processor: bool = True
    """Whether the core keeps to one of two processors and the console to the other; not for several daemons at once."""


class Backtests(Section, frozen=True):
    """Backtests that are asked for over the API: processes beside the console, which trading comes before."""

    running_max: Annotated[int, Meta(ge=0)] = 1
    """So many run at once; 0 for none at all."""
    queued_max: Count = 20
    """So many wait at most."""
    timeout_s: Seconds = 3_600.0
    """One that takes longer is ended."""
    memory_mb_max: Annotated[int, Meta(ge=64)] = 4_096
    """Memory one may take beyond the program itself, in MiB."""
    kept_max: Count = 50
    """Ended ones that are kept; the oldest go first."""
    size_mb_max: Count = 1_024
    """Room they may take in the state directory in MiB, likewise."""


class Log(Section, frozen=True):
    """Logging."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level written."""
    format: Literal["auto", "console", "json"] = "auto"
    """``auto`` writes for people on a terminal and JSON lines elsewhere."""


class StrategyEntry(Section, frozen=True):
    """One strategy of the account."""

    use: str = "ema_cross"
    """A built-in's name, or ``path/to/file.py:ClassName``."""
    id: str | None = None
    """Its name in orders and reports; the name in `use` unless given."""
    symbol: str | None = None
    """The symbol it trades; the first tape's unless given."""
    symbols: tuple[str, ...] = ()
    """All symbols it trades, where these are several; as many of the first as its class wants unless given."""
    params: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Values for its typed parameters."""


class Settings(Section, frozen=True):
    """Everything."""

    account: Account = Account()
    venue: Venue = Venue()
    instrument: InstrumentOverride = InstrumentOverride()
    risk: Risk = Risk()
    market: Market = Market()
    supervision: Supervision = Supervision()
    feed: Feed = Feed()
    exchange: Exchange = Exchange()
    live: Live = Live()
    journal: Journal = Journal()
    http: Http = Http()
    console: Console = Console()
    alerts: Alerts = Alerts()
    backtests: Backtests = Backtests()
    log: Log = Log()
    strategies: tuple[StrategyEntry, ...] = (StrategyEntry(),)
