"""Downloads from venues outside Binance's family, by ccxt's own classes over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from daemon.edges.download import work
from daemon.edges.download.listed import _side
from replay.tape.catalogue import Catalogue, SeriesKey
from tests.daemon.edges.download.other_venues import END_MS, HOUR_MS, PAGE, START_MS, OtherVenues, history

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT"
CONTRACT = "BTC/USDT:USDT"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherVenues]:
    with OtherVenues(tmp_path_factory.mktemp("others")) as venues:
        yield venues


@pytest.fixture
def others(started: OtherVenues) -> Iterator[OtherVenues]:
    yield started
    started.keeps, started.hears_until, started.numbered, started.answers_left = None, True, True, None
    started.trades = history()


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "data")


@pytest.fixture
def fetch(others: OtherVenues, invoke: Callable[..., Run], catalogue: Catalogue) -> Callable[..., Any]:
    """Return a downloader, of all of the time unless said otherwise."""

    def run(name: str, *more: str, since_ms: int = START_MS, until_ms: int = END_MS) -> Any:
        others.requests.clear()
        times = [datetime.fromtimestamp(time_ms / 1_000, UTC).isoformat() for time_ms in (since_ms, until_ms)]
        done = invoke(
            "data", "download", name, "--since", times[0], "--until", times[1], *more,
            "--data-dir", str(catalogue.root), "--json", "--set", f"exchange.file={others.file}",
        )  # fmt: skip
        assert done.code == 0, done.errors
        return done.json

    return run


def stored(catalogue: Catalogue, venue: str) -> list[tuple[Any, ...]]:
    frame = catalogue.scan(SeriesKey("trades", venue, SYMBOL)).collect()
    return sorted(frame.select(pl.col("ts") // 1_000_000, "price", "quantity", "side", *frame.columns[4:]).rows())


def there_were(others: OtherVenues, since_ms: int = START_MS) -> list[tuple[Any, ...]]:
    sides = {"buy": 1, "sell": -1}
    return sorted(
        (each.time_ms, each.price, each.quantity, sides[each.side], each.id)
        for each in others.trades
        if each.time_ms >= since_ms
    )


@pytest.mark.parametrize("venue", ["kraken", "gate"])
def test_trades_are_all_there_were_and_what_is_whole_is_not_asked_for_again(
    fetch: Any, catalogue: Catalogue, others: OtherVenues, venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward and backward, in pages of sixty; a part in the middle was there before."""
    monkeypatch.setattr(work, "BATCH_ROWS", 150)
    part = fetch(
        f"{venue}:{SYMBOL}", "--kind", "trades", since_ms=START_MS + 3 * HOUR_MS, until_ms=START_MS + 5 * HOUR_MS
    )
    in_part = sum(START_MS + 3 * HOUR_MS <= each.time_ms < START_MS + 5 * HOUR_MS for each in others.trades)
    assert (part["rows"], part["unlisted"]) == (in_part, [])
    report = fetch(f"{venue}:{SYMBOL}", "--kind", "trades")
    assert (report["rows"], report["rows_new"]) == (len(others.trades), len(others.trades) - in_part)
    assert report["unlisted"] == []
    assert stored(catalogue, venue) == there_were(others)
    again = fetch(f"{venue}:{SYMBOL}", "--kind", "trades")
    assert (again["rows_new"], again["requests"]) == (0, 0)


@pytest.mark.parametrize("venue", ["kraken", "gate"])
def test_a_download_that_was_cut_off_goes_on_where_it_stood(
    fetch: Any,
    catalogue: Catalogue,
    others: OtherVenues,
    invoke: Callable[..., Run],
    venue: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, "BATCH_ROWS", 150)
    monkeypatch.setattr(work, "BACKOFF_S", 0.001)
    others.answers_left = 50
    done = invoke(
        "data", "download", f"{venue}:{SYMBOL}", "--kind", "trades",
        "--since", "2024-01-01", "--until", "2024-01-01T12:00",
        "--data-dir", str(catalogue.root), "--set", f"exchange.file={others.file}",
    )  # fmt: skip
    assert "the same command goes on from there" in done.refusal
    kept = len(stored(catalogue, venue))
    assert kept > 500
    others.answers_left = None
    report = fetch(f"{venue}:{SYMBOL}", "--kind", "trades")
    assert (report["rows"], report["rows_new"]) == (len(others.trades), len(others.trades) - kept)
    assert stored(catalogue, venue) == there_were(others)


def test_more_trades_of_one_time_than_a_page_holds_are_refused(
    others: OtherVenues, invoke: Callable[..., Run], catalogue: Catalogue
) -> None:
    at = others.trades[100]
    others.trades = sorted([*others.trades, *(at._replace(id=10**6 + index) for index in range(PAGE + 1))])
    done = invoke(
        "data", "download", f"kraken:{SYMBOL}", "--kind", "trades",
        "--since", "2024-01-01", "--until", "2024-01-01T12:00",
        "--data-dir", str(catalogue.root), "--set", f"exchange.file={others.file}",
    )  # fmt: skip
    assert "kraken lists more trades of one time than it gives at once" in done.refusal


def test_trades_without_numbers_are_told_apart_by_how_often_they_are_there(
    fetch: Any, catalogue: Catalogue, others: OtherVenues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the pages cut the trades of one millisecond, none is lost and none is there twice."""
    monkeypatch.setattr(work, "BATCH_ROWS", 100)
    twice = [each._replace(id=each.id + 10**6) for each in others.trades[::5]]
    others.trades = sorted([*others.trades, *twice])
    others.numbered = False
    assert fetch(f"gate:{SYMBOL}", "--kind", "trades")["rows"] == len(others.trades)
    assert stored(catalogue, "gate") == sorted(row[:4] for row in there_were(others))


@pytest.mark.parametrize("hears_until", [True, False])
def test_what_a_venue_lists_no_more_is_named(
    fetch: Any, catalogue: Catalogue, others: OtherVenues, *, hears_until: bool
) -> None:
    others.keeps, others.hears_until = 55, hears_until
    oldest_ms = others.trades[-55].time_ms
    report = fetch(f"gate:{SYMBOL}", "--kind", "trades")
    assert report["unlisted"] == [[START_MS * 1_000_000, oldest_ms * 1_000_000]]
    assert stored(catalogue, "gate") == there_were(others)[-55:]


@pytest.mark.parametrize("hears_until", [True, False])
def test_what_a_venue_has_dropped_since_the_last_download_is_named(
    fetch: Any, catalogue: Catalogue, others: OtherVenues, *, hears_until: bool
) -> None:
    whole_to_ms = START_MS + 2 * HOUR_MS
    assert fetch(f"gate:{SYMBOL}", "--kind", "trades", until_ms=whole_to_ms)["unlisted"] == []
    others.keeps, others.hears_until = 55, hears_until
    report = fetch(f"gate:{SYMBOL}", "--kind", "trades")
    assert report["unlisted"] == [[whole_to_ms * 1_000_000, others.trades[-55].time_ms * 1_000_000]]
    early = [each for each in there_were(others) if each[0] < whole_to_ms]
    assert stored(catalogue, "gate") == early + there_were(others)[-55:]
    assert fetch(f"gate:{SYMBOL}", "--kind", "trades")["unlisted"] == report["unlisted"], "it is asked for each time"


def test_liquidations_are_those_there_were_on_the_order_s_side(
    fetch: Any, catalogue: Catalogue, others: OtherVenues
) -> None:
    report = fetch(f"gate:{CONTRACT}", "--kind", "liquidations")
    frame = catalogue.scan(SeriesKey("liquidations", "gate", CONTRACT)).collect()
    wanted = sorted(
        (each.time_ms // 1_000 * 10**9, 1 if each.side == "buy" else -1, each.price, round(each.quantity * 10) * 0.1)
        for each in others.liquidations
    )
    assert [row[:3] for row in sorted(frame.rows())] == [row[:3] for row in wanted]
    assert sorted(frame["quantity"]) == pytest.approx(sorted(row[3] for row in wanted))
    assert report["rows"] == len(wanted) > 50
    assert fetch(f"gate:{CONTRACT}", "--kind", "liquidations")["rows_new"] == 0


@pytest.mark.parametrize(
    ("venue", "raw", "side"),
    [
        ("bitfinex", [["pos", 1, START_MS, None, "tBTCF0:USTF0", -8, 32.868, None, 1, 1, None, 33.255]], 1),
        ("bitfinex", [["pos", 1, START_MS, None, "tBTCF0:USTF0", 8, 32.868, None, 1, 1, None, 33.255]], -1),
        ("htx", {"contract_code": "BTC-USDT", "liquidation_time": str(START_MS), "side": "buy", "volume": "2"}, 1),
        ("gate", {"contract": "BTC_USDT", "left": 0, "size": -165, "fill_price": "28070", "time": 1696736132}, 1),
    ],
)
def test_a_liquidation_is_on_the_side_of_the_order_whatever_the_venue_calls_it(venue: str, raw: Any, side: int) -> None:
    """By ccxt's own reading of what the venues' documentation shows: a short is closed by buying."""
    import ccxt

    market = {"symbol": CONTRACT, "contractSize": 1.0}
    assert _side(venue, getattr(ccxt, venue)().parse_liquidation(raw, market)) == side


def test_open_interest_comes_in_whatever_pages_there_are_and_what_is_missing_is_counted(
    fetch: Any, catalogue: Catalogue
) -> None:
    report = fetch(f"gate:{CONTRACT}", "--kind", "open_interest")
    frame = catalogue.scan(SeriesKey("open_interest", "gate", CONTRACT)).collect()
    times = [time_s for time_s in range(START_MS // 1_000, END_MS // 1_000, 300) if time_s % 2_100]
    assert frame["ts"].to_list() == [time_s * 10**9 for time_s in times]
    assert frame["open_interest"].to_list() == [float(time_s % 7_919) for time_s in times]
    assert (report["rows"], report["missing"]) == (len(times), 12 * 12 - len(times))


def test_what_a_venue_has_no_past_of_is_refused(
    others: OtherVenues, invoke: Callable[..., Run], catalogue: Catalogue
) -> None:
    done = invoke(
        "data", "download", f"kraken:{SYMBOL}", "--kind", "liquidations", "--since", "2024-01-01",
        "--data-dir", str(catalogue.root), "--set", f"exchange.file={others.file}",
    )  # fmt: skip
    assert done.refusal.endswith("kraken lists no past liquidations through ccxt; it has: bars, trades")
