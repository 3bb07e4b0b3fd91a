"""`pitboss data download` from the loopback exchange, over real sockets: in the end there is what it lists."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from daemon.commands import progress
from daemon.edges.download import work
from replay.tape.catalogue import Catalogue, Provenance, SeriesKey
from tests.daemon.commands.conftest import BARS, CONTRACT, MINUTE_MS, SYMBOL, Loopback, candles, moment

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

MINUTE_NS = 60_000_000_000
BARS_KEY = SeriesKey("bars", "binance", SYMBOL, MINUTE_NS)
TRADES_KEY = SeriesKey("trades", "binance", SYMBOL)


def printed(exchange: Loopback) -> list[Any]:
    """Return every trade the exchange has printed."""
    venue: Any = exchange.exchange.venue

    async def read() -> list[Any]:
        return list(venue.engine.public_trades(venue.markets[0].id, 1, limit=1_000_000))

    listed: list[Any] = exchange.do(read())
    return listed


def paid(exchange: Loopback, end_ms: int) -> list[Any]:
    """Return the funding there was before a time."""
    venue: Any = exchange.exchange.futures

    async def read() -> list[Any]:
        name = venue.markets[0].id
        return list(venue.engine.funding_history(name, start_ms=None, end_ms=end_ms - 1, limit=1_000_000))

    listed: list[Any] = exchange.do(read())
    return listed


@pytest.fixture
def span(listing: Loopback) -> tuple[int, int]:
    """Return the first open time and the last close, in ms."""
    listed = candles(listing)
    return listed[0].open_ms, listed[-1].open_ms + MINUTE_MS


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "data")


@pytest.fixture
def fetch(
    listing: Loopback, invoke: Callable[..., Run], catalogue: Catalogue, span: tuple[int, int]
) -> Callable[..., Any]:
    """Return a downloader of a series, of all of the time unless said otherwise; nothing is wrong at first."""

    async def clear() -> None:
        listing.exchange.faults.clear()

    listing.do(clear())

    def run(name: str, *more: str, since_ms: int = span[0], until_ms: int = span[1]) -> Any:
        times = ("--since", moment(since_ms), "--until", moment(until_ms), "--data-dir", str(catalogue.root))
        done = invoke("data", "download", name, *times, *more, "--json", "--set", f"exchange.file={listing.file}")
        assert done.code == 0, done.errors
        return done.json

    return run


def stored(catalogue: Catalogue, key: SeriesKey) -> pl.DataFrame:
    return catalogue.scan(key).collect()


def assert_bars(catalogue: Catalogue, exchange: Loopback, key: SeriesKey = BARS_KEY) -> None:
    """Check that the series is what the exchange lists, bar by bar and price by price."""
    perpetual = key.symbol == CONTRACT
    market = (exchange.exchange.futures if perpetual else exchange.exchange.venue).markets[0]
    rows = [
        (
            each.open_ms * 1_000_000,
            *(float(ticks * market.tick) for ticks in (each.open_ticks, each.high_ticks, each.low_ticks)),
            float(each.close_ticks * market.tick),
            float(each.volume_lots * market.lot) if key.kind == "bars" else 0.0,
        )
        for each in candles(exchange, perpetual=perpetual)
    ]
    assert stored(catalogue, key).select("ts", "open", "high", "low", "close", "volume").rows() == rows


def test_bars_are_what_the_exchange_lists_and_are_not_asked_for_twice(
    fetch: Any, catalogue: Catalogue, listing: Loopback
) -> None:
    report = fetch(f"binance:{SYMBOL}:1m")
    assert (report["rows"], report["rows_new"], report["missing"]) == (BARS, BARS, 0)
    assert report["requests"] == BARS // 1_000
    assert_bars(catalogue, listing)
    again = fetch(f"binance:{SYMBOL}:1m")
    assert (again["rows"], again["rows_new"], again["requests"]) == (BARS, 0, 0)


def test_a_download_that_was_cut_off_goes_on_where_it_stood(
    fetch: Any, catalogue: Catalogue, listing: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "BATCH_ROWS", 1_000)
    calls = 0

    def cut_off(_: int, __: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            message = "the power fails"
            raise OSError(message)

    with monkeypatch.context() as patched:
        patched.setattr(progress, "say_nothing", cut_off)
        with pytest.raises(OSError, match="power"):
            fetch(f"binance:{SYMBOL}:1m")
    assert stored(catalogue, BARS_KEY).height == 2_000
    report = fetch(f"binance:{SYMBOL}:1m")
    assert (report["rows"], report["rows_new"], report["requests"]) == (BARS, 1_000, 1)
    assert_bars(catalogue, listing)


def test_only_what_is_missing_is_asked_for_and_nothing_stored_is_touched(
    fetch: Any, catalogue: Catalogue, listing: Loopback, span: tuple[int, int]
) -> None:
    fetch(f"binance:{SYMBOL}:1m", since_ms=span[0] + 1_000 * MINUTE_MS, until_ms=span[0] + 1_010 * MINUTE_MS)
    fetch(f"binance:{SYMBOL}:1m", since_ms=span[0] + 2_000 * MINUTE_MS, until_ms=span[0] + 2_500 * MINUTE_MS)
    report = fetch(f"binance:{SYMBOL}:1m")
    assert (report["rows"], report["rows_new"]) == (BARS, BARS - 510)
    assert_bars(catalogue, listing)


def test_faults_of_the_venue_cost_time_and_nothing_else(fetch: Any, catalogue: Catalogue, listing: Loopback) -> None:
    for name in ("maintenance", "reply_broken", "reply_empty", "request_lost"):
        listing.fault(name, 0.5, on="klines", times=2)
    report = fetch(f"binance:{SYMBOL}:1m")
    assert (report["rows"], report["missing"]) == (BARS, 0)
    assert report["tries_again"] > 0
    assert_bars(catalogue, listing)


def test_a_venue_that_has_enough_of_us_gets_its_pause(fetch: Any, catalogue: Catalogue, listing: Loopback) -> None:
    listing.fault("rate_limit_storm", 1.0, on="klines", times=1, seconds=1.0)
    started_s = time.monotonic()
    report = fetch(f"binance:{SYMBOL}:1m")
    assert time.monotonic() - started_s >= 1.0
    assert (report["requests"], report["tries_again"]) == (BARS // 1_000 + 1, 1)
    assert_bars(catalogue, listing)


def test_a_venue_that_stays_away_is_named_and_what_came_before_is_kept(
    listing: Loopback,
    invoke: Callable[..., Run],
    catalogue: Catalogue,
    span: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, "BACKOFF_S", 0.001)
    listing.fault("maintenance", 1.0, on="klines", times=work.TRIES)
    done = invoke(
        "data", "download", f"binance:{SYMBOL}:1m", "--since", moment(span[0]), "--until", moment(span[1]),
        "--data-dir", str(catalogue.root), "--set", f"exchange.file={listing.file}",
    )  # fmt: skip
    assert "binance does not answer" in done.refusal
    assert catalogue.series() == []


def test_bars_the_exchange_does_not_have_are_counted(
    fetch: Any, catalogue: Catalogue, listing: Loopback, span: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that loses two bars of each first listing, and one of the second: they come with the third question."""
    from daemon.edges.venue.client import VenueClient

    ask, told = VenueClient.question, []

    async def lossy(self: VenueClient, call: Any, shape: type) -> Any:
        page = await ask(self, call, shape)
        told.append(len(page))
        if len(told) <= 3:
            return page[:5] + page[7:]
        return page[1:] if len(told) == 4 else page

    monkeypatch.setattr(VenueClient, "question", lossy)
    report = fetch(f"binance:{SYMBOL}:1m")
    assert (report["rows"], report["missing"], report["requests"]) == (BARS, 0, 7)
    assert_bars(catalogue, listing)
    monkeypatch.setattr(VenueClient, "question", ask)
    beyond = fetch(f"binance:{SYMBOL}:1m", since_ms=span[0] - 90 * MINUTE_MS, until_ms=span[1] + 10 * MINUTE_MS)
    assert (beyond["rows"], beyond["missing"]) == (BARS, 10), "before the first bar nothing is missing"


@pytest.mark.parametrize("kind", ["bars", "mark", "index"])
def test_bars_of_a_perpetual(fetch: Any, catalogue: Catalogue, listing: Loopback, kind: str) -> None:
    report = fetch(f"binanceusdm:{CONTRACT}:1m", "--kind", kind)
    assert (report["kind"], report["rows"], report["missing"]) == (kind, BARS, 0)
    assert_bars(catalogue, listing, SeriesKey(kind, "binanceusdm", CONTRACT, MINUTE_NS))


def test_bars_of_the_premium_are_told_as_fractions(
    fetch: Any, catalogue: Catalogue, listing: Loopback, invoke: Callable[..., Run]
) -> None:
    report = fetch(f"binanceusdm:{CONTRACT}:1m", "--kind", "premium")
    assert (report["kind"], report["rows"], report["missing"]) == ("premium", BARS, 0)
    frame = stored(catalogue, SeriesKey("premium", "binanceusdm", CONTRACT, MINUTE_NS))
    for each, row in zip(candles(listing, perpetual=True), frame.iter_rows(named=True), strict=True):
        average = each.turnover / each.volume_lots if each.volume_lots else each.close_ticks
        prices = (each.open_ticks, each.high_ticks, each.low_ticks, each.close_ticks)
        told = (row["open"], row["high"], row["low"], row["close"])
        assert told == pytest.approx([price / average - 1 for price in prices], abs=1e-8)
    assert frame["low"].max() <= 0 <= frame["high"].min()  # type: ignore[operator]
    check = ("data", "check", f"premium:binanceusdm:{CONTRACT}:1m", "--data-dir", str(catalogue.root))
    assert invoke(*check).code == 0, "a premium may be negative"


def test_open_interest_is_what_the_exchange_lists_and_only_what_is_missing_is_asked_for(
    fetch: Any, catalogue: Catalogue, listing: Loopback, span: tuple[int, int]
) -> None:
    key = SeriesKey("open_interest", "binanceusdm", CONTRACT)
    step_ms = 5 * MINUTE_MS
    first_ms = span[0] // step_ms * step_ms + step_ms
    wanted = range(first_ms, span[1], step_ms)
    report = fetch(f"binanceusdm:{CONTRACT}", "--kind", "open_interest")
    frame = stored(catalogue, key)
    assert frame["ts"].to_list() == [time_ms * 1_000_000 for time_ms in wanted]
    assert (report["rows"], report["missing"], report["unlisted"]) == (len(wanted), 0, [])
    assert report["requests"] == -(-len(wanted) // 500) + 1, "a page of 500, and the newest figure alone"
    market = listing.exchange.futures.markets[0]
    closed = {each.close_ms + 1: each for each in candles(listing, perpetual=True)}
    for time_ms, held, value in frame.iter_rows():
        now_ms = time_ms // 1_000_000
        inside = [each for close_ms, each in closed.items() if now_ms - 24 * 60 * MINUTE_MS < close_ms <= now_ms]
        lots = sum(each.volume_lots for each in inside) // 2
        assert held == float(lots * market.lot)
        assert value == pytest.approx(float(lots * market.lot * inside[-1].close_ticks * market.tick), rel=1e-9)
    part = frame.filter(pl.int_range(pl.len()) % 7 > 2)
    catalogue.remove(key)
    catalogue.write(key, [part], Provenance("a part of them"))
    again = fetch(f"binanceusdm:{CONTRACT}", "--kind", "open_interest")
    assert (again["rows"], again["rows_new"], again["missing"]) == (len(wanted), len(wanted) - part.height, 0)
    assert stored(catalogue, key).equals(frame)
    hourly = fetch(f"binanceusdm:{CONTRACT}:1h", "--kind", "open_interest", "--data-dir", str(catalogue.root) + "-1h")
    of_hours = stored(Catalogue(Path(f"{catalogue.root}-1h")), key)
    assert of_hours.equals(frame.filter(pl.col("ts") % (3600 * 10**9) == 0))
    assert hourly["rows"] == of_hours.height


def test_open_interest_is_asked_for_as_far_back_as_it_is_listed(
    fetch: Any, listing: Loopback, span: tuple[int, int]
) -> None:
    newest_ms = span[1] // (5 * MINUTE_MS) * 5 * MINUTE_MS
    early_ms = newest_ms - 40 * 24 * 60 * MINUTE_MS
    report = fetch(f"binanceusdm:{CONTRACT}", "--kind", "open_interest", since_ms=early_ms)
    oldest_ms = newest_ms - 30 * 24 * 60 * MINUTE_MS + 5 * MINUTE_MS
    assert report["unlisted"] == [[early_ms * 1_000_000, oldest_ms * 1_000_000]]
    assert (report["since_ns"], report["missing"]) == (early_ms * 1_000_000, 0)


def test_trades_are_those_that_were_printed_and_holes_are_filled(
    fetch: Any, catalogue: Catalogue, listing: Loopback, span: tuple[int, int]
) -> None:
    market = listing.exchange.venue.markets[0]
    wanted = [
        (each.time_ms * 1_000_000, float(each.price_ticks * market.tick), float(each.quantity_lots * market.lot),
         -1 if each.buyer_is_maker else 1, each.trade_id)
        for each in printed(listing)
        if span[0] <= each.time_ms < span[1]
    ]  # fmt: skip
    report = fetch(f"binance:{SYMBOL}", "--kind", "trades")
    trades = stored(catalogue, TRADES_KEY).select("ts", "price", "quantity", "side", "id")
    assert sorted(trades.rows()) == sorted(wanted)
    assert (report["rows"], report["missing"]) == (len(wanted), 0)
    assert fetch(f"binance:{SYMBOL}", "--kind", "trades")["rows_new"] == 0
    catalogue.remove(TRADES_KEY)
    some = trades.filter((pl.col("id") % 1_700 > 40) & (pl.col("id") > 500) & (pl.col("id") < 11_000))
    catalogue.write(TRADES_KEY, [some], Provenance("a part of them"))
    report = fetch(f"binance:{SYMBOL}", "--kind", "trades")
    assert (report["rows"], report["rows_new"]) == (len(wanted), len(wanted) - some.height)
    assert stored(catalogue, TRADES_KEY).select(trades.columns).equals(trades)


def test_funding_is_what_was_paid(fetch: Any, catalogue: Catalogue, listing: Loopback, span: tuple[int, int]) -> None:
    report = fetch(f"binanceusdm:{CONTRACT}", "--kind", "funding")
    wanted = [each for each in paid(listing, span[1]) if each.time_ms >= span[0]]
    frame = stored(catalogue, SeriesKey("funding", "binanceusdm", CONTRACT))
    market = listing.exchange.futures.markets[0]
    assert frame.select("ts", "mark").rows() == [
        (each.time_ms * 1_000_000, float(each.mark_ticks * market.tick)) for each in wanted
    ]
    assert frame["rate"].to_list() == [float(each.rate) for each in wanted]
    assert report["rows"] == len(wanted) >= BARS // 60 - 1
    assert fetch(f"binanceusdm:{CONTRACT}", "--kind", "funding")["rows_new"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("binance:BTC/USDT:1m", "--since", "soon"), "--since soon: write a date or a time"),
        (("binance:BTC/USDT:1m", "--since", "2024-01-02", "--until", "2024-01-01"), "nothing between them"),
        (("binance:BTC/USDT", "--since", "2024-01-01"), "of what kind?"),
        (("binance:BTC/USDT", "--kind", "bars", "--since", "2024-01-01"), "how long is a bar?"),
        (("binance:BTC/USDT:1m", "--kind", "trades", "--since", "2024-01-01"), "trades have no timeframe"),
        (("binance:BTC/USDT", "--kind", "fundng", "--since", "2024-01-01"), "did you mean 'funding'?"),
        (("binance:BTC/USDX:1m", "--since", "2024-01-01"), "does not trade BTC/USDX (did you mean 'BTC/USDT'?)"),
        (("binance:BTC/USDT:7m", "--since", "2024-01-01"), "binance has no bars of 7m"),
        (("binance:BTC/USDT", "--kind", "funding", "--since", "2024-01-01"), "is no contract"),
        (
            ("binance:BTC/USDT:5m", "--kind", "open_interest", "--since", "2024-01-01"),
            "is no contract: it has no open int",
        ),
        (
            ("binanceusdm:BTC/USDT:USDT", "--kind", "liquidations", "--since", "2024-01-01"),
            "binanceusdm lists no past liquidations through ccxt; it has: bars, mark, index, premium, open_interest, ",
        ),
        (("binanse:BTC/USDT:1m", "--since", "2024-01-01"), "did you mean 'binance'?"),
        (("binance:../etc:1m", "--since", "2024-01-01"), "'../etc' is no symbol"),
        (("binance:BTC/USDT:1m", "--since", "2020-01-01", "--until", "2020-01-02"), "lists nothing of this time"),
    ],
)
def test_what_cannot_be_downloaded_is_refused_and_nothing_is_written(
    listing: Loopback, invoke: Callable[..., Run], catalogue: Catalogue, arguments: tuple[str, ...], words: str
) -> None:
    more = () if "binanse" in arguments[0] else ("--set", f"exchange.file={listing.file}")
    done = invoke("data", "download", *arguments, "--data-dir", str(catalogue.root), *more)
    assert words in done.refusal
    assert catalogue.series() == []
