"""What is asked and said about backtests."""

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from config.risk import Risk
from config.schema import Account, InstrumentOverride, Venue
from config.section import Section
from daemon.control.types import Answer

State = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "lost")

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Time = Annotated[int, Meta(ge=0, le=2**63 - 1)]


# --- what is asked -----------------------------------------------------------------------------------


class BacktestAccount(Account, frozen=True):
    """The money it starts with."""


class BacktestVenue(Venue, frozen=True):
    """The simulated venue."""


class BacktestInstrument(InstrumentOverride, frozen=True):
    """What a tape does not say about its instruments."""


class BacktestRisk(Risk, frozen=True):
    """Its limits, all off unless set."""


class BacktestSettings(Section, frozen=True):
    """The settings that count for a backtest; what is not given is as `pitboss replay` has it."""

    account: BacktestAccount = BacktestAccount()
    venue: BacktestVenue = BacktestVenue()
    instrument: BacktestInstrument = BacktestInstrument()
    risk: BacktestRisk = BacktestRisk()


class BacktestExternal(Section, frozen=True):
    """A series beside the bars: funding, open interest, or numbers of one's own."""

    name: Annotated[str, Meta(min_length=1, max_length=32)]
    """A symbol of the tape, whose it is then, or a name of its own."""
    series: Name
    """Of the catalogue, such as ``funding:binance-um:BTCUSDT``."""
    delay: Annotated[str, Meta(max_length=10)] | None = None
    """How long after their time values were published, such as ``8h``."""
    column: Annotated[str, Meta(max_length=64)] | None = None
    """Which column, where there are several."""


class BacktestRequest(Section, frozen=True):
    """What shall be computed: a registered strategy over series of the catalogue."""

    strategy: Name
    """Of ``/api/strategies``."""
    tape: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=16)]
    """Names of ``/api/series``: bars, trades (quotes and books beside them), or recorded feeds."""
    params: dict[str, bool | int | float | str] = field(default_factory=dict)
    """Values for its parameters, within the bounds of their schema."""
    series: Annotated[tuple[BacktestExternal, ...], Meta(max_length=16)] = ()
    """What comes between the bars."""
    symbols: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    """What the strategy trades; as many of the first as it wants unless given."""
    timeframe: Annotated[str, Meta(max_length=10)] | None = None
    """Which bars, where the name of a series does not say it; of trades, which bars are built."""
    from_ns: Time | None = None
    """Only bars that open then or later."""
    to_ns: Time | None = None
    """Only bars that open before."""
    timeout_s: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    """Ended after so long, if ``backtests.timeout_s`` is not shorter."""
    memory_mb: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Memory it may take, in MiB, if ``backtests.memory_mb_max`` is not less."""
    settings: BacktestSettings = BacktestSettings()


# --- what is said ------------------------------------------------------------------------------------


class BacktestTaken(Answer, frozen=True):
    """A backtest that waits for its turn, or has had it."""

    id: int
    repeated: bool
    """Whether it had been asked for before, under the same Idempotency-Key."""


class BacktestRow(Answer, frozen=True):
    """One backtest."""

    id: int
    state: State
    """``lost`` is one whose console ended while it ran."""
    strategy: str
    params: dict[str, Any]
    """As they were asked for."""
    tape: tuple[str, ...]
    """The series' full names."""
    by: str
    """Name of the token it was asked for with."""
    created_ns: int
    started_ns: int | None = None
    ended_ns: int | None = None
    bars_done: int = 0
    bars_total: int | None = None
    """None until the tape is open."""
    pid: int | None = None
    """Its process, while it runs."""
    error: str = ""
    """Why it came to nothing, in one sentence."""
    final_equity: Decimal | None = None
    fills: int | None = None
    trades: int | None = None
    sharpe: float | None = None
    max_drawdown: float | None = None


class ChartSeries(Answer, frozen=True):
    """Bars that are kept for the chart of a backtest."""

    symbol: str
    timeframe: str
    bars: int
    """So many; of a long tape the newest."""
    price_step: Decimal | None = None
    """None of a backtest that an older version made."""


class Kept(Answer, frozen=True):
    """Rows of one list of results."""

    rows: int
    kept: int
    """The first so many are kept."""


class BacktestResult(Answer, frozen=True):
    """What it came to."""

    summary: dict[str, Any]
    """Exactly what `pitboss replay --json` prints."""
    charts: tuple[ChartSeries, ...]
    features: tuple[str, ...]
    """Names of the features that stand beside the bars."""
    features_timeframe: str
    """Of the bars they stand beside."""
    fills: Kept
    orders: Kept
    trades: Kept


class Backtest(Answer, frozen=True):
    """One backtest whole."""

    row: BacktestRow
    request: BacktestRequest
    result: BacktestResult | None
    """None unless it is done."""


class BacktestFill(Answer, frozen=True):
    """An execution; one whose order begins with ``autoclose-`` is the venue's own, because margin was used up."""

    executed_ns: int
    order_id: str
    trade_id: int
    strategy: str
    symbol: str
    side: Literal["buy", "sell"]
    price: Decimal
    quantity: Decimal
    fee: Decimal
    """In quote units; negative is a rebate."""
    liquidity: str
    synthetic: bool
    """Whether it is the close at the end of the tape."""


class BacktestOrder(Answer, frozen=True):
    """An order and what became of it; one that was amended has its newest id and terms."""

    order_id: str
    strategy: str
    symbol: str
    side: Literal["buy", "sell"]
    kind: str
    quantity: float
    limit_price: float | None
    stop_price: float | None
    time_in_force: str
    reduce_only: bool
    post_only: bool
    filled: float
    state: str
    reason: str


class BacktestTrade(Answer, frozen=True):
    """A round trip: from flat, or from the other side, until flat or the other side."""

    strategy: str
    symbol: str
    side: Literal["long", "short"]
    opened_ns: int
    closed_ns: int
    quantity: Decimal
    """All that was opened."""
    entry: float
    """Mean price of what opened it."""
    exit: float
    """Mean price of what closed it."""
    profit: Decimal
    """Before fees, in quote units."""
    fees: Decimal
    """Of its fills; one that also opened the next is shared by quantity."""
    fills: int


class SeriesRow(Answer, frozen=True):
    """A series of the catalogue."""

    name: str
    """By which a tape is named."""
    kind: str
    venue: str
    symbol: str
    timeframe: str | None
    rows: int
    first_ns: int
    last_ns: int
    """When its last row is of: a bar's opening."""
    gaps: int
    """Places where bars are missing."""


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the process of a backtest is told."""

    id: int
    store: str
    """The file results go to."""
    settings: dict[str, Any]
    tape: tuple[str, ...]
    series: tuple[str, ...]
    timeframe: str | None
    span: tuple[int, int] | None
    data_dir: str
    memory_bytes: int


class JobNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the process of a backtest says, a line each."""

    done: int | None = None
    """Bars so far."""
    total: int | None = None
    error: str = ""
    """Why it comes to nothing."""
