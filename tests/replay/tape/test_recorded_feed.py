"""Recorded feeds and changes of order books as a tape."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from actors import messages as m
from config.errors import UserError
from replay.tape import open_tape
from replay.tape.books import DEPTH, PACE_NS, Book
from replay.tape.raw_feed import DepthBook, RawFeed

if TYPE_CHECKING:
    from collections.abc import Callable

    Feed = Callable[..., str]

FIRST_NS = 1_700_000_040_000_000_000
MS = 1_000_000


def trade(number: int, price: str = "100.0", quantity: str = "1", *, sold: bool = False) -> dict[str, Any]:
    data = {"e": "trade", "t": number, "p": price, "q": quantity, "m": sold, "T": 1}
    return {"stream": "x@trade", "data": data}


def depth(first: int, last: int, bids: list[list[str]], asks: list[list[str]], **more: int) -> dict[str, Any]:
    return {"stream": "x@depth", "data": {"e": "depthUpdate", "U": first, "u": last, "b": bids, "a": asks, **more}}


def whole(last: int, bids: list[list[str]], asks: list[list[str]]) -> dict[str, Any]:
    return {"lastUpdateId": last, "bids": bids, "asks": asks}


def ticker(bid: str, ask: str) -> dict[str, Any]:
    return {"stream": "x@bookTicker", "data": {"u": 1, "s": "X", "b": bid, "B": "2", "a": ask, "A": "3"}}


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    """Return a writer of feeds; lines are (ms, message), packed unless the name says otherwise."""

    def feed(lines: list[tuple[int, dict[str, Any] | str]], name: str = "x.feed.gz") -> str:
        text = "".join(
            f"{FIRST_NS + ms * MS} {each if isinstance(each, str) else json.dumps(each)}\n" for ms, each in lines
        )
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return str(path)

    return feed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "equal"),
    [(("spot_btcusdt_20240808", "spot_btcusdt_20240809"), 1_072), (("um_btcusdt_20240808",), 629)],
)
def test_the_recorded_book_shows_the_best_the_exchange_showed(
    shared_data: Path, names: tuple[str, ...], equal: int
) -> None:
    """The oracle of the data's README: where a ticker has a change's number, best prices and sizes are equal."""
    paths = [shared_data / f"book/raw/binance-{name}.feed.gz" for name in names]
    lines = [line for _, _, _, line in RawFeed([(path, path.name) for path in paths])._lines(None)]
    best = {
        said.last: ((float(said.bids), float(said.bid_size)), (float(said.asks), float(said.ask_size)))
        for said in (line.data for line in lines)
        if said is not None and isinstance(said.bids, str) and isinstance(said.asks, str) and said.last
    }
    book, met, compared = DepthBook(), 0, 0

    for line in lines:
        if line.data is None:
            book.snapshot(line)
        elif line.data.event == "depthUpdate":
            book.change(line.data)
            if book.book.sequence == line.data.last and line.data.last in best:
                compared += 1
                met += book.book.best() == best[line.data.last]

    assert (met, compared, book.breaks) == (equal, equal, 0)


@pytest.mark.slow
def test_a_recorded_feed_is_played_as_it_was_received(shared_data: Path) -> None:
    names = [shared_data / f"book/raw/binance-spot_btcusdt_202408{day}.feed.gz" for day in ("08", "09")]
    tape = open_tape([f"BTCUSDT={name}" for name in names])

    played = list(tape.inputs())

    counts = Counter(type(each) for each in played)
    assert (counts[m.Trade], counts[m.Quote], counts[m.Bar]) == (19_904, 73_174, 11)
    times = [each.close_ns if isinstance(each, m.Bar) else each.time_ns for each in played]  # type: ignore[attr-defined]
    assert times == sorted(times)
    recorded = pl.read_parquet(shared_data / "trades/binance-spot_BTCUSDT_trades_2024-08.parquet")
    mine = [(each.time_ns, each.trade_id, each.price) for each in played if isinstance(each, m.Trade)]
    assert mine == recorded.select("recv_ns", "id", "price").rows()
    books = [each for each in played if isinstance(each, m.BookSnapshot)]
    assert len(books) > 3_000
    assert all(after.time_ns - before.time_ns >= PACE_NS for before, after in pairwise(books))
    assert {len(each.bids) for each in books} == {DEPTH}
    assert all(each.bids[0][0] < each.asks[0][0] for each in books)


def test_changes_from_before_the_snapshot_wait_for_it_or_are_dropped(feed: Feed) -> None:
    lines = [
        (0, trade(1)),
        (1, depth(5, 6, [["99", "7"]], [])),
        (2, depth(7, 9, [["98", "4"]], [["101", "0"]])),
        (3, whole(8, [["99", "1"], ["97", "2"]], [["101", "5"], ["102", "6"]])),
        (200, depth(10, 10, [["97", "0"]], [])),
        (60_000, trade(2)),
    ]

    books = [each for each in open_tape([f"X={feed(lines)}"]).inputs() if isinstance(each, m.BookSnapshot)]

    assert books[0] == m.BookSnapshot(
        "X", 9, ((99.0, 1.0), (98.0, 4.0), (97.0, 2.0)), ((102.0, 6.0),), FIRST_NS + 3 * MS
    )
    assert books[1].bids == ((99.0, 1.0), (98.0, 4.0))


@pytest.mark.parametrize("more", [{}, {"pu": 11}])
def test_after_a_break_the_book_is_unknown_until_the_next_snapshot(feed: Feed, more: dict[str, int]) -> None:
    lines = [
        (0, trade(1)),
        (1, whole(8, [["99", "1"]], [["101", "5"]])),
        (200, depth(9, 9, [["98", "1"]], [], **({"pu": 8} if more else {}))),
        (400, depth(12, 12, [["98", "2"]], [], **more)),
        (600, depth(13, 13, [["98", "3"]], [], **({"pu": 12} if more else {}))),
        (800, whole(12, [["99", "1"]], [["101", "6"]])),
        (60_000, trade(2)),
    ]

    tape = open_tape([f"X={feed(lines)}"])
    books = [each for each in tape.inputs() if isinstance(each, m.BookSnapshot)]

    assert [note for note in tape.notes if "break off once, first at 2023-11-14 22:14:00.4" in note], tape.notes
    assert [(each.sequence, each.bids) for each in books] == [
        (8, ((99.0, 1.0),)),
        (9, ((99.0, 1.0), (98.0, 1.0))),
        (13, ((99.0, 1.0), (98.0, 3.0))),
    ]


def test_a_plain_feed_is_told_by_its_content(feed: Feed) -> None:
    lines: list[tuple[int, Any]] = [(0, ticker("99.5", "100.5")), (1, trade(7, sold=True)), (60_000, trade(8))]

    quote, sold, bar, bought = open_tape([f"X={feed(lines, 'x.log')}"]).inputs()

    assert quote == m.Quote("X", 99.5, 2.0, 100.5, 3.0, FIRST_NS)
    assert (sold, bought) == (
        m.Trade("X", 7, 100.0, 1.0, -1, FIRST_NS + MS),
        m.Trade("X", 8, 100.0, 1.0, 1, FIRST_NS + 60_000 * MS),
    )
    assert isinstance(bar, m.Bar)


def test_a_bar_is_played_at_its_close_even_if_nobody_trades_after_it(feed: Feed) -> None:
    lines: list[tuple[int, Any]] = [(0, trade(1)), (59_000, ticker("99", "101")), (60_000, ticker("98", "101"))]

    tape = open_tape([f"X={feed(lines)}"])

    assert [type(each) for each in tape.inputs()] == [m.Trade, m.Quote, m.Bar, m.Quote]
    assert (tape.rows, tape.series[0].last_open_ns) == (1, FIRST_NS)


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        ([(0, trade(1)), (1, "{broken")], "line 2: no time and message of a feed "),
        ([(5, trade(1)), (4, trade(2))], "line 2: the recorder's time goes backwards; give the files in order"),
        ([(0, trade(2)), (1, trade(2))], "line 2: trade 2 does not follow trade 2"),
    ],
)
def test_a_line_that_cannot_be_true_is_named(feed: Feed, lines: list[Any], refusal: str) -> None:
    path = feed(lines)

    with pytest.raises(UserError) as refused:
        open_tape([f"X={path}"])

    assert str(refused.value).startswith(f"{path}: {refusal}")


def test_a_feed_that_was_cut_off_is_named(feed: Feed) -> None:
    path = Path(feed([(index, trade(index + 1)) for index in range(2_000)]))
    path.write_bytes(path.read_bytes()[:-300])

    with pytest.raises(UserError, match=r"cannot be read to its end, after line \d+"):
        open_tape([f"X={path}"])


# --- books from tables ------------------------------------------------------------------------------


@pytest.fixture
def tables(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a writer of two trades and of changes of a book: (ms, seq, snapshot, side, price, quantity)."""

    def tables(rows: list[tuple[int, int, bool, int, float, float]]) -> list[str]:
        trades, book = tmp_path / "trades.parquet", tmp_path / "book.parquet"
        times = [FIRST_NS, FIRST_NS + 60_000 * MS]
        pl.DataFrame({"ts": times, "price": [100.0, 101.0], "quantity": [1.0, 1.0]}).write_parquet(trades)
        names = ("ts", "seq", "snapshot", "side", "price", "quantity")
        moved = [(FIRST_NS + ms * MS, *rest) for ms, *rest in rows]
        pl.DataFrame(moved, schema=names, orient="row").write_parquet(book)
        return [f"X={trades}", f"X={book}"]

    return tables


def test_the_rows_of_one_message_are_applied_together(tables: Callable[..., list[str]]) -> None:
    rows = [
        (5, 1, False, 1, 90.0, 1.0),
        (10, 4, True, 1, 99.0, 2.0),
        (10, 4, True, -1, 101.0, 3.0),
        (10, 4, True, 1, 98.0, 1.0),
        (50, 5, False, 1, 99.0, 0.0),
        (150, 6, False, -1, 100.0, 4.0),
        (400, 9, True, 1, 97.0, 1.0),
        (400, 9, True, -1, 103.0, 1.0),
    ]

    tape = open_tape(tables(rows))

    books = [each for each in tape.inputs() if isinstance(each, m.BookSnapshot)]
    assert [(each.time_ns - books[0].time_ns, each.sequence, each.bids, each.asks) for each in books] == [
        (0, 4, ((99.0, 2.0), (98.0, 1.0)), ((101.0, 3.0),)),
        (100 * MS, 5, ((98.0, 1.0),), ((101.0, 3.0),)),
        (200 * MS, 6, ((98.0, 1.0),), ((100.0, 4.0), (101.0, 3.0))),
        (390 * MS, 9, ((97.0, 1.0),), ((103.0, 1.0),)),
    ]
    assert tape.series[0].notes[0] == "2 trades, 8 changes of the book and 1 bars built of them"
    early, anew = (note.partition("book.parquet: ")[2] for note in tape.notes if "book.parquet" in note)
    assert early == "1 changes of the book come before its first snapshot and are left out"
    assert anew.startswith("the book begins anew once; first after a gap from 2023-11-14 22:14:00.15")
    assert anew.endswith(" to 2023-11-14 22:14:00.400000000")


def test_a_sound_book_has_no_gap_to_tell_of(tables: Callable[..., list[str]], feed: Feed) -> None:
    """Whole books one behind the other are no changes that were missed."""
    shown = [(10 * seq, seq, True, side, 100.0 - side, 1.0) for seq in range(1, 5) for side in (1, -1)]
    assert not any("book.parquet" in note for note in open_tape(tables(shown)).notes)
    lines = [(0, trade(1)), (1, whole(8, [["99", "1"]], [])), (2, depth(9, 9, [["98", "1"]], [])), (60_000, trade(2))]
    assert not any("book" in note for note in open_tape([f"X={feed(lines)}"]).notes)
    unanswered = [(0, trade(1)), (2, depth(9, 9, [["98", "1"]], [])), (60_000, trade(2))]
    notes = open_tape([f"X={feed(unanswered, 'y.feed.gz')}"]).notes
    assert any("1 changes of the book have no snapshot and are left out" in note for note in notes)


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        ((20, 3, False, 1, 99.0, 1.0), "row 2: seq 3 does not follow the one before it"),
        ((20, 5, False, 0, 99.0, 1.0), "row 2: side is 0; it is buy or sell, 1, -1 or 0"),
        ((20, 5, False, 1, 99.0, -1.0), "row 2: quantity -1.0 is not a positive number"),
        ((20, 5, False, 1, 0.0, 1.0), "row 2: price 0.0 is not a positive number"),
        ((9, 5, False, 1, 99.0, 1.0), "row 2: time goes backwards, "),
    ],
)
def test_a_change_that_cannot_be_true_is_named(
    tables: Callable[..., list[str]], row: tuple[Any, ...], refusal: str
) -> None:
    arguments = tables([(10, 4, True, 1, 99.0, 2.0), row])

    with pytest.raises(UserError) as refused:
        open_tape(arguments)

    assert str(refused.value).startswith(f"{arguments[1].removeprefix('X=')}: {refusal}")


def test_a_book_without_a_side_has_no_best() -> None:
    book = Book()
    book.reset(1, [(99.0, 1.0)], [])

    assert book.best() == ((99.0, 1.0), None)


def test_a_file_that_was_changed_after_it_was_opened_is_refused(tables: Callable[..., list[str]]) -> None:
    arguments = tables([(10, 4, True, 1, 99.0, 2.0)])
    tape = open_tape(arguments)
    pl.DataFrame({"ts": [1]}).write_parquet(arguments[0].removeprefix("X="))

    with pytest.raises(UserError, match="the file was changed after it was opened"):
        list(tape.inputs())
