"""What happens between bars: what is let in, who hears it, and that it survives whatever befalls the core."""

from __future__ import annotations

from typing import Any

import pytest

from actors import messages as m
from strategies.base import Strategy

NAN, INFINITY = float("nan"), float("inf")


def trade(number: int = 1, price: float = 100.0, quantity: float = 1.0, symbol: str = "X") -> m.Trade:
    return m.Trade(symbol, number, price, quantity, m.BUY, 1_000 + number)


def quote(bid: float = 99.0, ask: float = 101.0, time_ns: int = 0, size: float = 1.0) -> m.Quote:
    return m.Quote("X", bid, size, ask, 1.0, time_ns)


def book(sequence: int = 1, time_ns: int = 0, bids: Any = ((99.0, 1.0), (98.0, 2.0)), asks: Any = None) -> Any:
    return m.BookSnapshot("X", sequence, bids, ((101.0, 1.0), (102.0, 2.0)) if asks is None else asks, time_ns)


class Listener(Strategy):
    """Keeps what it hears; buys on a trade at 7, fails on one at 13."""

    def on_start(self) -> None:
        self.heard: list[Any] = []

    def on_trade(self, trade: m.Trade, /) -> None:
        self.heard.append(["trade", trade.trade_id])
        if trade.price == 7.0:
            self.buy(1)
        if trade.price == 13.0:
            message = "unlucky"
            raise ValueError(message)

    def on_quote(self, quote: m.Quote, /) -> None:
        self.heard.append(["quote", quote.bid])

    def on_book(self, book: m.BookSnapshot, /) -> None:
        self.heard.append(["book", book.sequence])

    def on_mark(self, mark: m.Mark, /) -> None:
        self.heard.append(["mark", mark.price])

    def on_funding(self, funding: m.Funding, /) -> None:
        self.heard.append(["funding", funding.rate])


@pytest.fixture
def listener() -> Any:
    return Listener()


TICKS = [trade(), quote(), book(), m.Mark("X", 100.0, 0.0, 0), m.Funding("X", -0.01, 0, 0)]


def test_a_strategy_hears_what_it_wrote_a_method_for(rig: Any, listener: Any) -> None:
    bench = rig(listener)
    for tick in TICKS:
        bench.post(tick)
    heard = [["trade", 1], ["quote", 99.0], ["book", 1], ["mark", 100.0], ["funding", -0.01]]
    assert listener.heard == heard


def test_a_strategy_without_the_methods_is_not_called_at_all(rig: Any, scripted: Any, listener: Any) -> None:
    bench = rig(scripted({}), listener)
    before = bench.core.scheduler.processed()
    for tick in TICKS:
        bench.post(tick)
    after = bench.core.scheduler.processed()
    assert after["strategy.a"] == before["strategy.a"]
    assert after["strategy.b"] == before["strategy.b"] + len(TICKS)


def test_a_strategy_hears_nothing_of_other_symbols(rig: Any, listener: Any) -> None:
    bench = rig(listener, symbols=("X", "Y"))
    bench.post(trade(symbol="Y"))
    assert listener.heard == []


FALSE = [
    trade(price=0.0),
    trade(price=NAN),
    trade(price=INFINITY),
    trade(quantity=0.0),
    trade(quantity=-1.0),
    quote(bid=101.0),
    quote(bid=102.0),
    quote(bid=0.0),
    quote(ask=NAN),
    quote(size=0.0),
    book(bids=((101.0, 1.0),)),
    book(bids=((98.0, 1.0), (99.0, 1.0))),
    book(bids=((99.0, 1.0), (99.0, 1.0))),
    book(asks=((102.0, 1.0), (101.0, 1.0))),
    book(bids=((99.0, NAN),)),
    book(asks=((INFINITY, 1.0),)),
    book(asks=((101.0, 0.0),)),
    m.Mark("X", 0.0, 1.0, 0),
    m.Mark("X", 1.0, NAN, 0),
    m.Mark("X", 1.0, -1.0, 0),
    m.Funding("X", NAN, 0, 0),
    m.Funding("X", INFINITY, 0, 0),
    m.Funding("X", 0.0, -1, 0),
    trade(symbol="Z"),
]


@pytest.mark.parametrize("false", FALSE, ids=repr)
def test_what_cannot_be_true_is_kept_from_everybody(rig: Any, listener: Any, of: Any, false: Any) -> None:
    bench = rig(listener)
    (rejected,) = of(m.DataRejected, bench.post(false))
    assert (rejected.symbol, rejected.kind) == (false.symbol, type(false).__name__)
    assert rejected.reason
    assert listener.heard == []


def test_each_trade_is_heard_once_and_in_order(rig: Any, listener: Any, of: Any) -> None:
    bench = rig(listener)
    said = [message for number in (5, 6, 6, 3, 9, 9, 8, 10) for message in bench.post(trade(number))]
    assert [number for _, number in listener.heard] == [5, 6, 9, 10]
    assert of(m.DataRejected, said) == [m.DataRejected("X", "Trade", "older than what is known")] * 4
    assert bench.core.ticks.last_trade_ids() == {"X": 10}


def test_trades_of_a_venue_that_does_not_number_them_pass(rig: Any, listener: Any) -> None:
    bench = rig(listener)
    for _ in range(3):
        bench.post(trade(0))
    assert len(listener.heard) == 3
    assert bench.core.ticks.last_trade_ids() == {}


@pytest.mark.parametrize(
    ("first", "second", "passes"),
    [
        (quote(time_ns=5), quote(time_ns=4), False),
        (quote(time_ns=5), quote(time_ns=5), True),
        (quote(time_ns=5), quote(time_ns=0), True),
        (book(7, 5), book(6, 5), False),
        (book(7, 5), book(7, 5), True),
        (book(7, 5), book(1, 6), True),
        (book(7, 5), book(0, 0), True),
        (m.Mark("X", 1.0, 0.0, 5), m.Mark("X", 1.0, 0.0, 4), False),
        (m.Mark("X", 1.0, 0.0, 5), m.Mark("X", 1.0, 0.0, 0), True),
        (m.Funding("X", 1.0, 0, 5), m.Funding("X", 1.0, 0, 4), False),
    ],
    ids=repr,
)
def test_nothing_older_than_what_is_known_passes(
    rig: Any, listener: Any, first: Any, second: Any, passes: bool
) -> None:
    bench = rig(listener)
    bench.post(first)
    bench.post(second)
    assert len(listener.heard) == 1 + passes


def test_an_empty_side_of_a_book_is_no_fault(rig: Any, listener: Any) -> None:
    bench = rig(listener)
    bench.post(book(asks=()))
    assert listener.heard == [["book", 1]]


def test_an_order_on_a_trade_counts_at_its_price_and_fills_on_a_later_bar(rig: Any, listener: Any, of: Any) -> None:
    bench = rig(listener)
    bench.bar(5)
    said = bench.post(trade(1, price=7.0))
    (intent,) = of(m.Intent, said)
    assert intent.reference_price == 7.0
    (fill,) = of(m.Fill, bench.bar(9))
    assert fill.price_ticks == 9


def test_a_close_that_is_newer_than_the_last_trade_is_the_price_seen(rig: Any, of: Any) -> None:
    class Both(Listener):
        def on_bar(self, *_: Any) -> None:
            self.buy(1)

    bench = rig(Both())
    bench.post(trade(1, price=50.0))
    (intent,) = of(m.Intent, bench.bar(5))
    assert intent.reference_price == 5.0


def test_a_strategy_that_fails_on_a_trade_is_restored_without_it(rig: Any, listener: Any, of: Any) -> None:
    bench = rig(listener)
    bench.post(trade(1))
    bench.post(quote())
    said = bench.post(trade(2, price=13.0))
    assert of(m.ActorRestarted, said)
    bench.post(trade(3))
    assert listener.heard == [["trade", 1], ["quote", 99.0], ["trade", 3]]


def test_the_newest_of_everything_is_part_of_a_snapshot(rig: Any, of: Any) -> None:
    bench, again = rig(Listener()), rig(Listener())
    for tick in (
        trade(5, price=8.0),
        quote(time_ns=9),
        book(7, 9),
        m.Mark("X", 1.0, 0.0, 9),
        m.Funding("X", 1.0, 0, 9),
    ):
        bench.post(tick)
    again.restore(bench.snapshot())
    assert again.snapshot() == bench.snapshot()
    for old in (trade(5), quote(time_ns=8), book(6, 8), m.Mark("X", 1.0, 0.0, 8), m.Funding("X", 1.0, 0, 8)):
        assert of(m.DataRejected, again.post(old)), old
    assert of(m.Intent, again.post(trade(6, price=7.0)))[0].reference_price == 7.0


class Reader(Strategy):
    """Keeps what it reads; buys where a value is 7, fails at 13."""

    def on_start(self) -> None:
        self.heard: list[Any] = []

    def on_open_interest(self, interest: m.OpenInterest, /) -> None:
        self.heard.append(["interest", interest.quantity])

    def on_liquidation(self, liquidation: m.Liquidation, /) -> None:
        self.heard.append(["liquidation", liquidation.price])

    def on_external(self, external: m.External, /) -> None:
        self.heard.append([external.name, external.value])
        if external.value == 7.0:
            self.buy(1)
        if external.value == 13.0:
            message = "unlucky"
            raise ValueError(message)


@pytest.fixture
def reader() -> Any:
    return Reader()


def value(number: float, published_ns: int = 5, name: str = "fng") -> m.External:
    return m.External(name, number, 1, published_ns)


def liquidation(price: float = 90.0, quantity: float = 2.0, side: int = m.SELL, time_ns: int = 0) -> m.Liquidation:
    return m.Liquidation("X", side, price, quantity, time_ns)


def test_what_a_market_and_the_world_tell_is_heard(rig: Any, reader: Any) -> None:
    bench = rig(reader)
    for message in (m.OpenInterest("X", 5.0, 500.0, 0), liquidation(), value(30.0)):
        bench.post(message)
    assert reader.heard == [["interest", 5.0], ["liquidation", 90.0], ["fng", 30.0]]


def test_an_external_value_is_for_every_strategy_whatever_it_trades(rig: Any) -> None:
    readers = [Reader(), Reader()]
    bench = rig((readers[0], "X"), (readers[1], "Y"), symbols=("X", "Y"))
    bench.post(value(30.0))
    bench.post(m.OpenInterest("Y", 5.0, 0.0, 0))
    assert [one.heard for one in readers] == [[["fng", 30.0]], [["fng", 30.0], ["interest", 5.0]]]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (m.OpenInterest("X", -1.0, 0.0, 0), "not negative"),
        (m.OpenInterest("X", 1.0, NAN, 0), "not negative"),
        (m.OpenInterest("Y", 1.0, 0.0, 0), "not subscribed"),
        (liquidation(price=0.0), "finite and positive"),
        (liquidation(quantity=INFINITY), "finite and positive"),
        (liquidation(side=0), "the side must be"),
        (value(NAN), "must be finite"),
    ],
)
def test_what_cannot_be_true_from_outside_is_kept_back(
    rig: Any, reader: Any, of: Any, message: Any, reason: str
) -> None:
    (rejected,) = of(m.DataRejected, rig(reader).post(message))
    assert reader.heard == []
    assert rejected.kind == type(message).__name__
    assert reason in rejected.reason


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (m.OpenInterest("X", 1.0, 0.0, 9), m.OpenInterest("X", 2.0, 0.0, 8)),
        (liquidation(time_ns=9), liquidation(time_ns=8)),
        (value(1.0, 9), value(2.0, 8)),
    ],
)
def test_what_is_older_than_what_is_known_is_kept_back_also_after_a_restart(
    rig: Any, reader: Any, of: Any, new: Any, old: Any
) -> None:
    bench = rig(reader)
    bench.post(new)
    kept = bench.snapshot()
    again = rig(Reader())
    again.restore(kept)
    for each in (bench, again):
        assert [one.reason for one in of(m.DataRejected, each.post(old))] == ["older than what is known"]
        assert not of(m.DataRejected, each.post(new)), "what is just as new is taken"


def test_values_of_other_series_have_times_of_their_own(rig: Any, reader: Any) -> None:
    bench = rig(reader)
    bench.post(value(1.0, 9, "late"))
    bench.post(value(2.0, 8, "early"))
    assert reader.heard == [["late", 1.0], ["early", 2.0]]


def test_a_value_can_be_traded_on_and_a_poisonous_one_costs_nothing_else(rig: Any, reader: Any, of: Any) -> None:
    bench = rig(reader)
    bench.flat(100)
    assert len(of(m.Intent, bench.post(value(7.0)))) == 1
    assert of(m.Fill, bench.flat(101))[0].price_ticks == 101
    failed = bench.post(value(13.0))
    assert of(m.ActorRestarted, failed)
    assert not of(m.Intent, failed), "what it said before is not said again"
    bench.post(value(1.0))
    assert reader.heard == [["fng", 7.0], ["fng", 1.0]]
