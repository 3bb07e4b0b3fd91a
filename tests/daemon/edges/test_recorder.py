"""The recorder's inbox: stamps as a session's, one order for all symbols, and what broke by name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.messages import Quote, Trade
from actors.runtime.clock import LiveClock, VenueClock
from daemon.control.types import StreamRow
from daemon.edges.recorder import Recorder
from replay.tape.catalogue import Catalogue, SeriesKey
from replay.tape.catalogue.spool import Spool
from replay.tape.recording import Broke, decode_said

SYMBOLS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[dict[str, Spool]]:
    catalogue = Catalogue(tmp_path)
    opened = {symbol: Spool(catalogue, SeriesKey("feed", "binance", symbol)) for symbol in SYMBOLS}
    yield opened
    for spool in opened.values():
        spool.close()


def written(spools: dict[str, Spool]) -> list[tuple[int, int, object]]:
    rows = []
    for spool in spools.values():
        spool.flush()
        path = spool.folder / f"binance~{spool.key.symbol.replace('/', '-')}.lines"
        rows += [line.split(" ", 2) for line in path.read_text().splitlines()]
    return sorted((int(ts), int(seq), decode_said(said)) for ts, seq, said in rows)


def trade(symbol: str, number: int, time_ns: int, price: float = 100.0) -> Trade:
    return Trade(symbol, number, price, 1.0, 1, time_ns)


async def test_rows_have_the_walls_time_and_one_order(spools: dict[str, Spool]) -> None:
    times = iter([50, 40, 60])
    recorder = Recorder(spools, LiveClock(lambda: next(times), 10), next_seq=7)
    said = [trade("BTC/USDT", 1, 5), trade("ETH/USDT", 1, 6), trade("BTC/USDT", 2, 7)]
    for each in said:
        await recorder.post(each)
    assert written(spools) == [(50, 7, said[0]), (50, 8, said[1]), (60, 9, said[2])]


async def test_by_the_venues_clock_time_is_the_newest_it_told(spools: dict[str, Spool]) -> None:
    recorder = Recorder(spools, VenueClock(10), next_seq=0)
    quote = Quote("BTC/USDT", 1.0, 1.0, 2.0, 1.0, 0)
    await recorder.post(trade("BTC/USDT", 1, 30))
    await recorder.deliver(quote)
    await recorder.post(trade("ETH/USDT", 1, 20))
    assert [(ts_ns, seq) for ts_ns, seq, _ in written(spools)] == [(30, 0), (30, 1), (30, 2)]
    assert recorder.counts["BTC/USDT"] == {"Trade": 1, "Quote": 1}


async def test_what_is_no_number_is_counted_and_left_out(spools: dict[str, Spool]) -> None:
    recorder = Recorder(spools, VenueClock(10), next_seq=0)
    await recorder.post(trade("BTC/USDT", 1, 30, math.nan))
    assert written(spools) == []
    assert recorder.counts["BTC/USDT"] == {"not a number": 1}


def test_what_broke_and_what_is_missing_is_written_down_once(spools: dict[str, Spool]) -> None:
    recorder = Recorder(spools, VenueClock(10), next_seq=0)

    def row(stream: str, reconnects: int, missing: int, error: str = "") -> StreamRow:
        return StreamRow(
            symbol="BTC/USDT", stream=stream, age_s=0.0, delivered=1, reconnects=reconnects, conflated=0,
            backfilled=0, missing=missing, last_error=error,
        )  # fmt: skip

    before: dict[tuple[str, str], tuple[int, int]] = {}
    recorder.compare(before, [row("trades", 0, 0), row("book", 0, 0)])
    recorder.compare(before, [row("trades", 2, 0, "NetworkError: gone"), row("book", 0, 0)])
    recorder.compare(before, [row("trades", 2, 5, "NetworkError: gone"), row("book", 1, 0, "silent")])
    recorder.compare(before, [row("trades", 2, 5), row("book", 1, 0)])
    assert [said for _, _, said in written(spools)] == [
        Broke("BTC/USDT", "trades", "NetworkError: gone", 0),
        Broke("BTC/USDT", "trades", "the venue does not have them any more", 5),
        Broke("BTC/USDT", "book", "silent", 0),
    ]
    assert recorder.missing["BTC/USDT"] == 5
