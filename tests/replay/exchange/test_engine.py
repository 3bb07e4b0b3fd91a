"""The exchange's engine, order by order: what is taken, what is refused, what it costs, what is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from replay.exchange import model as x
from replay.exchange.engine import Engine

D = Decimal
BTC = x.Market(symbol="BTC/USDT", id="BTCUSDT", base="BTC", quote="USDT", tick=D("0.01"), lot=D("0.00001"))
BNB = x.Market(symbol="BNB/USDT", id="BNBUSDT", base="BNB", quote="USDT", tick=D("0.1"), lot=D("0.001"))
ATOMS = 10**8
PRICE = 30_000_00
"""30,000 in ticks of BTC/USDT."""


class Counter:
    """An engine whose time goes on by a second with every call."""

    def __init__(self, **settings: Any) -> None:
        balances = settings.pop("balances", {"USDT": D(10_000), "BTC": D(1), "BNB": D(10)})
        fees = {"maker_fee": D("0.001"), "taker_fee": D("0.002")} | settings
        self.make = lambda: Engine((BTC, BNB), balances, **fees)
        self.engine = self.make()
        self.now_ms = 0
        self.count = 0
        self.operations: list[Any] = []
        self.engine.recorder = self.operations.append

    def tick(self) -> int:
        self.now_ms += 1_000
        return self.now_ms

    def place(self, side: str, kind: str = "MARKET", quantity: str = "0.01", **terms: Any) -> x.OrderView:
        self.count += 1
        name = terms.pop("name", f"c{self.count}")
        prices: Any = {key: D(str(terms.pop(key))) for key in ("price", "stop_price") if key in terms}
        new = x.NewOrder(
            id=terms.pop("id", "BTCUSDT"),
            side=side,  # type: ignore[arg-type]
            type=kind,  # type: ignore[arg-type]
            quantity=D(quantity),
            client_order_id=name,
            **prices,
            **terms,
        )
        return self.engine.place(new, self.tick())

    def print(self, price_ticks: int = PRICE, lots: int = 1_000, market: str = "BTCUSDT") -> list[x.Event]:
        self.engine.drain()
        self.engine.print_trade(market, price_ticks, lots, self.tick())
        return self.engine.drain()

    def cancel(self, order_id: int, **terms: Any) -> x.OrderView:
        return self.engine.cancel("BTCUSDT", self.tick(), order_id=order_id, **terms)

    def order(self, order_id: int) -> x.OrderView:
        return self.engine.order("BTCUSDT", order_id=order_id)

    def refusal(self, *args: Any, **terms: Any) -> tuple[int, str]:
        """Return code and text of a refusal that changes nothing."""
        before = self.engine.dump()
        with pytest.raises(x.VenueError) as caught:
            self.place(*args, **terms)
        assert self.engine.dump() == before
        return caught.value.code, caught.value.text

    def balance(self, asset: str) -> tuple[int, int]:
        (found,) = [each for each in self.engine.balances() if each.asset == asset]
        return found.free_atoms, found.locked_atoms


@pytest.fixture
def counter() -> Counter:
    """An exchange that has seen one trade at 30,000, with bid and ask there."""
    made = Counter()
    made.print()
    made.engine.drain()
    return made


def fills(order: x.OrderView) -> list[tuple[int, int, bool]]:
    return [(trade.price_ticks, trade.quantity_lots, trade.is_maker) for trade in order.trades]


def kinds(events: list[x.Event]) -> list[str]:
    return [event.kind if isinstance(event, x.Executed) else type(event).__name__ for event in events]


# --- what is taken, and at what price -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "spread", "price"), [("BUY", 0, PRICE), ("BUY", 3, PRICE + 2), ("SELL", 3, PRICE - 1)]
)
def test_market_order_fills_at_the_touch(side: str, spread: int, price: int) -> None:
    counter = Counter(spread_ticks=spread)
    counter.print()
    order = counter.place(side)
    assert order.status == "FILLED"
    assert fills(order) == [(price, 1_000, False)]


def test_market_order_without_a_market_expires(counter: Counter) -> None:
    order = counter.place("SELL", id="BNBUSDT", quantity="1")
    assert (order.status, order.filled_lots) == ("EXPIRED", 0)
    assert counter.balance("BNB") == (10 * ATOMS, 0)


def test_marketable_limit_fills_at_the_touch_and_gives_back_what_it_locked_too_much(counter: Counter) -> None:
    order = counter.place("BUY", "LIMIT", price="31000")
    assert fills(order) == [(PRICE, 1_000, False)]
    assert counter.balance("USDT") == (9_700 * ATOMS, 0)


def test_resting_limit_fills_at_its_price_only_when_traded_through(counter: Counter) -> None:
    order = counter.place("BUY", "LIMIT", price="29999")
    assert order.status == "NEW"
    counter.print(2_999_900)
    assert counter.order(1).status == "NEW"
    counter.print(2_999_899)
    assert counter.order(1).status == "FILLED"
    (trade,) = counter.engine.my_trades("BTCUSDT")
    assert (trade.price_ticks, trade.is_maker) == (2_999_900, True)


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
@pytest.mark.parametrize(("price", "status"), [("30000", "FILLED"), ("29999.99", "EXPIRED")])
def test_order_that_cannot_wait_fills_or_expires(counter: Counter, time_in_force: str, price: str, status: str) -> None:
    order = counter.place("BUY", "LIMIT", price=price, time_in_force=time_in_force)
    assert order.status == status
    assert counter.balance("USDT")[1] == 0


def test_maker_rests_or_is_refused(counter: Counter) -> None:
    assert counter.place("BUY", "LIMIT_MAKER", price="29999.99").status == "NEW"
    refused = counter.refusal("BUY", "LIMIT_MAKER", price="30000")
    assert refused == (-2010, "Order would immediately match and take.")


@pytest.mark.parametrize(
    ("side", "kind", "stop", "not_yet", "touch"),
    [
        ("BUY", "STOP_LOSS", "30010", 3_000_999, 3_001_050),
        ("SELL", "STOP_LOSS", "29990", 2_999_001, 2_998_950),
        ("BUY", "TAKE_PROFIT", "29990", 2_999_001, 2_998_950),
        ("SELL", "TAKE_PROFIT", "30010", 3_000_999, 3_001_050),
    ],
)
def test_stop_fills_at_the_print_that_touches_it(
    counter: Counter, side: str, kind: str, stop: str, not_yet: int, touch: int
) -> None:
    counter.place(side, kind, stop_price=stop)
    counter.print(not_yet)
    assert counter.order(1).status == "NEW"
    counter.print(touch)
    (trade,) = counter.engine.my_trades("BTCUSDT")
    assert (trade.price_ticks, trade.is_maker) == (touch, False)


def test_stop_limit_beyond_its_limit_rests_from_its_trigger_on(counter: Counter) -> None:
    counter.place("SELL", "STOP_LOSS_LIMIT", stop_price="29990", price="29980")
    counter.print(2_997_000)
    assert counter.order(1).status == "NEW"
    counter.print(2_998_100)
    (trade,) = counter.engine.my_trades("BTCUSDT")
    assert (trade.price_ticks, trade.is_maker) == (2_998_000, True)


def test_stop_limit_that_cannot_wait_expires_at_its_trigger(counter: Counter) -> None:
    counter.place("SELL", "STOP_LOSS_LIMIT", stop_price="29990", price="29980", time_in_force="IOC")
    counter.print(2_997_000)
    assert counter.order(1).status == "EXPIRED"


def test_orders_are_served_in_order_of_arrival(counter: Counter) -> None:
    counter.place("SELL", "LIMIT", price="30001")
    counter.place("SELL", "LIMIT", price="30000.50")
    counter.print(3_000_200)
    assert [trade.order_id for trade in counter.engine.my_trades("BTCUSDT")] == [1, 2]


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "refused"),
    [
        ({"kind": "LIMIT", "price": "29000.001"}, (-1013, "Filter failure: PRICE_FILTER")),
        ({"kind": "LIMIT", "price": "0"}, (-1013, "Filter failure: PRICE_FILTER")),
        ({"kind": "LIMIT", "price": "-1"}, (-1013, "Filter failure: PRICE_FILTER")),
        ({"kind": "LIMIT", "price": "1e30"}, (-1013, "Filter failure: PRICE_FILTER")),
        ({"kind": "LIMIT", "price": "NaN"}, (-1013, "Filter failure: PRICE_FILTER")),
        ({"kind": "STOP_LOSS", "stop_price": "30010.001"}, (-1013, "Filter failure: PRICE_FILTER")),
        ({"quantity": "0.000011"}, (-1013, "Filter failure: LOT_SIZE")),
        ({"quantity": "0"}, (-1013, "Filter failure: LOT_SIZE")),
        ({"quantity": "0.000000001"}, (-1111, "Precision is over the maximum defined for this asset.")),
        ({"quantity": "0.00016"}, (-1013, "Filter failure: NOTIONAL")),
        ({"kind": "LIMIT", "price": "1", "quantity": "4.99999"}, (-1013, "Filter failure: NOTIONAL")),
        ({"id": "ETHUSDT"}, (-1121, "Invalid symbol.")),
        ({"quantity": "0.5"}, (-2010, "Account has insufficient balance for requested action.")),
        (
            {"kind": "LIMIT", "price": "29000", "quantity": "0.34483"},
            (-2010, "Account has insufficient balance for requested action."),
        ),
        ({"kind": "STOP_LOSS", "stop_price": "30000"}, (-2010, "Stop price would trigger immediately.")),
        ({"kind": "TAKE_PROFIT", "stop_price": "30000"}, (-2010, "Stop price would trigger immediately.")),
    ],
)
def test_refusals_are_worded_as_binance_words_them(
    counter: Counter, terms: dict[str, Any], refused: tuple[int, str]
) -> None:
    assert counter.refusal("BUY", **terms) == refused
    assert counter.engine.drain() == []


@pytest.mark.parametrize("terms", [{"quantity": "0.00017"}, {"kind": "LIMIT", "price": "29000", "quantity": "0.34482"}])
def test_the_smallest_and_the_largest_order_are_taken(counter: Counter, terms: dict[str, Any]) -> None:
    assert counter.place("BUY", **terms).order_id == 1


def test_client_id_is_taken_only_while_its_order_is_open(counter: Counter) -> None:
    counter.place("BUY", "LIMIT", price="29000", name="mine")
    assert counter.refusal("BUY", name="mine") == (-2010, "Duplicate order sent.")
    counter.cancel(1)
    second = counter.place("BUY", name="mine")
    assert counter.engine.order("BTCUSDT", client_order_id="mine") == counter.order(second.order_id)


def test_one_order_too_many_is_refused_by_name(counter: Counter) -> None:
    for _ in range(x.MAX_NUM_ALGO_ORDERS):
        counter.place("SELL", "STOP_LOSS", stop_price="29000", quantity="0.001")
    stop = counter.refusal("SELL", "STOP_LOSS", stop_price="29000", quantity="0.001")
    assert stop == (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
    for _ in range(x.MAX_NUM_ORDERS - x.MAX_NUM_ALGO_ORDERS):
        counter.place("SELL", "LIMIT", price="31000", quantity="0.001")
    assert counter.refusal("SELL") == (-1013, "Filter failure: MAX_NUM_ORDERS")


@pytest.mark.parametrize("order_id", [1, 2])
def test_only_what_is_open_can_be_cancelled(counter: Counter, order_id: int) -> None:
    counter.place("BUY")
    with pytest.raises(x.VenueError, match=r"-2011 Unknown order sent\."):
        counter.cancel(order_id)
    with pytest.raises(x.VenueError, match=r"-2011 Unknown order sent\."):
        counter.engine.cancel_all("BTCUSDT", counter.tick())


def test_an_order_is_found_by_both_its_ids_and_by_no_other(counter: Counter) -> None:
    order = counter.place("BUY", "LIMIT", price="29000", name="mine")
    find = counter.engine.order
    assert find("BTCUSDT", order_id=1, client_order_id="mine") == order == find("BTCUSDT", client_order_id="mine")
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("BTCUSDT", {"order_id": 2}),
        ("BTCUSDT", {"client_order_id": "other"}),
        ("BTCUSDT", {"order_id": 1, "client_order_id": "other"}),
        ("BNBUSDT", {"order_id": 1}),
    ]
    for market, terms in wrong:
        with pytest.raises(x.VenueError, match=r"-2013 Order does not exist\."):
            find(market, **terms)


# --- money ---------------------------------------------------------------------------------------------


def test_buys_lock_quote_and_sells_lock_base_until_they_end(counter: Counter) -> None:
    counter.place("BUY", "LIMIT", price="29000", quantity="0.1")
    counter.place("SELL", "STOP_LOSS", stop_price="29000", quantity="0.2")
    assert counter.balance("USDT") == (7_100 * ATOMS, 2_900 * ATOMS)
    assert counter.balance("BTC") == (80_000_000, 20_000_000)
    counter.engine.cancel_all("BTCUSDT", counter.tick())
    assert counter.balance("USDT") == (10_000 * ATOMS, 0)
    assert counter.balance("BTC") == (ATOMS, 0)


@pytest.mark.parametrize(
    ("asset", "side", "paid", "atoms"),
    [
        ("auto", "BUY", "BTC", 2_000),
        ("auto", "SELL", "USDT", 60_000_000),
        ("USDT", "BUY", "USDT", 60_000_000),
        ("BTC", "SELL", "BTC", 2_000),
        ("BNB", "BUY", "BNB", 100_000),
        ("EUR", "BUY", "BTC", 2_000),
    ],
)
def test_commission_is_paid_in_the_asset_wished_for_while_there_is_some(
    asset: str, side: str, paid: str, atoms: int
) -> None:
    counter = Counter(fee_asset=asset)
    counter.print()
    counter.print(6_000, market="BNBUSDT")
    (trade,) = counter.place(side).trades
    assert (trade.commission_asset, trade.commission_atoms) == (paid, atoms)
    counter.engine.audit()


def test_commission_falls_back_when_its_asset_runs_out() -> None:
    counter = Counter(fee_asset="BNB", balances={"USDT": D(10_000), "BNB": D("0.001")})
    counter.print()
    counter.print(6_000, market="BNBUSDT")
    paid = [counter.place("BUY").trades[0].commission_asset for _ in range(2)]
    assert paid == ["BNB", "BTC"]


def test_stop_that_can_no_longer_be_paid_for_expires(counter: Counter) -> None:
    counter.place("BUY", "STOP_LOSS", stop_price="30010", quantity="0.333")
    (said,) = [each for each in counter.print(3_100_000) if isinstance(each, x.Executed)]
    assert (said.kind, said.order.status, said.reject_reason) == ("EXPIRED", "EXPIRED", "INSUFFICIENT_BALANCE")
    assert counter.balance("USDT") == (10_000 * ATOMS, 0)


def test_parts_whose_rounding_costs_more_than_the_whole_end_the_order_instead_of_overdrawing() -> None:
    """A lot of one and a half atoms: three of them cost 6 one by one, where 5 were locked."""
    dust = x.Market(symbol="D/U", id="DU", base="D", quote="U", tick=D("0.5"), lot=D("1e-8"), min_notional=D(0))
    engine = Engine([dust], {"U": D("0.00000005")})
    engine.portion = lambda _: 1
    engine.print_trade("DU", 10, 0, 0)
    new = x.NewOrder(id="DU", side="BUY", type="LIMIT", price=D("1.5"), quantity=D("3e-8"), client_order_id="d")
    assert engine.place(new, 1).status == "NEW"
    for _ in range(3):
        engine.print_trade("DU", 1, 0, 2)
    order = engine.order("DU", order_id=1)
    assert (order.status, order.filled_lots, order.quote_atoms) == ("EXPIRED", 2, 4)
    engine.audit()


# --- parts ---------------------------------------------------------------------------------------------


def test_a_print_fills_no_more_than_its_size_where_that_is_asked_for() -> None:
    counter = Counter(bounded=True)
    counter.print()
    counter.place("BUY", "LIMIT", price="29000", quantity="0.03")
    counter.place("BUY", "LIMIT", price="29000", quantity="0.03")
    counter.print(2_899_900, 4_000)
    assert [order.filled_lots for order in counter.engine.all_orders("BTCUSDT")] == [3_000, 1_000]
    counter.print(2_899_900, 0)
    assert counter.order(2).status == "PARTIALLY_FILLED"
    assert counter.balance("USDT") == ((10_000 - 1_740) * ATOMS, 580 * ATOMS)
    counter.print(2_899_900, 9_000)
    assert counter.order(2).status == "FILLED"
    assert counter.order(2).quote_atoms == 870 * ATOMS


def test_partial_fills_leave_the_rest_open_and_are_repeated_from_the_record(counter: Counter) -> None:
    asked: list[int] = []
    counter.engine.portion = lambda lots: asked.append(lots) or (lots + 1) // 2
    market = counter.place("BUY", quantity="0.01001")
    limit = counter.place("SELL", "LIMIT", price="30000", quantity="0.01")
    stop_at_once = counter.place("SELL", "LIMIT", price="30000", quantity="0.01", time_in_force="IOC")
    whole = counter.place("SELL", "LIMIT", price="30000", quantity="0.01", time_in_force="FOK")
    assert [market.filled_lots, limit.filled_lots, stop_at_once.filled_lots] == [501, 500, 500]
    assert [market.status, limit.status, stop_at_once.status] == ["PARTIALLY_FILLED", "PARTIALLY_FILLED", "EXPIRED"]
    assert whole.status == "FILLED"
    assert asked == [1_001, 1_000, 1_000]
    counter.print(3_000_100)
    assert [counter.order(1).filled_lots, counter.order(2).filled_lots] == [751, 750]
    counter.engine.audit()

    again = counter.make()
    for operation in counter.operations:
        again.apply(operation)
    assert again.dump() == counter.engine.dump()


# --- what is told, and what is remembered ---------------------------------------------------------------


def test_every_step_of_an_order_is_told_with_the_balances_it_changed(counter: Counter) -> None:
    counter.place("BUY")
    assert kinds(counter.engine.drain()) == ["NEW", "BalancesChanged", "TRADE", "BalancesChanged"]
    counter.place("BUY", "LIMIT", price="29000")
    assert kinds(counter.engine.drain()) == ["NEW", "BalancesChanged", "BookChanged"]
    counter.cancel(2, cancel_id="away")
    cancelled, balances, book = counter.engine.drain()
    assert isinstance(book, x.BookChanged)
    assert isinstance(cancelled, x.Executed)
    assert isinstance(balances, x.BalancesChanged)
    assert (cancelled.kind, cancelled.order.status, cancelled.cancel_id) == ("CANCELED", "CANCELED", "away")
    assert [each.asset for each in balances.balances] == ["USDT"]


def test_a_print_tells_of_the_trade_the_candle_the_book_and_then_of_our_fills(counter: Counter) -> None:
    counter.place("BUY", "LIMIT", price="29000")
    told = counter.print(2_899_999)
    assert kinds(told) == ["Printed", "Candle", "BookChanged", "TRADE", "BalancesChanged", "BookChanged"]


def test_diffs_of_the_book_add_up_to_the_book() -> None:
    counter = Counter(spread_ticks=2)
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    last_id = 0
    for price in (100, 103, 103, 90, 1_000, 3, 1, 2):
        for change in [event for event in counter.print(price) if isinstance(event, x.BookChanged)]:
            assert change.first_update_id == last_id + 1
            last_id = change.last_update_id
            for side, levels in ((bids, change.bids), (asks, change.asks)):
                for ticks, lots in levels:
                    side.pop(ticks, None)
                    if lots:
                        side[ticks] = lots
        update_id, best_bids, best_asks = counter.engine.depth("BTCUSDT", 1_000)
        assert update_id == last_id
        assert best_bids == sorted(bids.items(), reverse=True)
        assert best_asks == sorted(asks.items())
        assert best_bids[0][0] < best_asks[0][0] or price == 1
        assert min(bids) >= 1


def test_our_orders_are_shown_in_the_book_and_change_nothing_else() -> None:
    plain, ours = Counter(spread_ticks=4), Counter(spread_ticks=4)
    for counter in (plain, ours):
        counter.print(3_000_000)
    books: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def move(price_ticks: int) -> None:
        for counter in (plain, ours):
            counter.engine.print_trade("BTCUSDT", price_ticks, 1_000, counter.tick())

    def follow() -> Any:
        """Apply the differences; return what stands in the book beyond that of others."""
        for change in [event for event in ours.engine.drain() if isinstance(event, x.BookChanged)]:
            for side, levels in zip(books, (change.bids, change.asks), strict=True):
                side.update(levels)
        shown = ours.engine.depth("BTCUSDT", 1_000)
        for side, rows in zip(books, shown[1:], strict=True):
            assert {ticks: lots for ticks, lots in side.items() if lots} == dict(rows)
        others = plain.engine.depth("BTCUSDT", 1_000)
        pairs = list(zip(shown[1:], others[1:], strict=True))
        more = [dict(mine).items() - dict(theirs).items() for mine, theirs in pairs]
        gone = [dict(theirs).items() - dict(mine).items() for mine, theirs in pairs]
        return [sorted(each) for each in (*more, *gone)]

    for side, rows in zip(books, ours.engine.depth("BTCUSDT", 1_000)[1:], strict=True):
        side.update(rows)
    lots = {ticks: count for rows in plain.engine.depth("BTCUSDT", 1_000)[1:] for ticks, count in rows}
    assert follow() == [[], [], [], []]
    at_level = ours.place("BUY", "LIMIT", "0.01", price="29999.98")
    assert follow() == [[(2_999_998, lots[2_999_998] + 1_000)], [], [(2_999_998, lots[2_999_998])], []]
    ours.cancel(at_level.order_id)
    assert follow() == [[], [], [], []]
    ours.place("SELL", "LIMIT", "0.01", price="31000")
    ours.place("SELL", "STOP_LOSS_LIMIT", "0.01", price="29000", stop_price="29500")
    inside = ours.place("BUY", "LIMIT", "0.02", price="30000")
    assert follow() == [[(3_000_000, 2_000)], [(3_100_000, 1_000)], [], []]
    assert ours.engine.depth("BTCUSDT", 1)[1] == [(3_000_000, 2_000)]
    taken = ours.place("SELL", "MARKET", "0.001")
    assert taken.trades[0].price_ticks == 2_999_998, "the touch is the others'"
    ours.engine.portion = lambda count: count - 500
    move(2_999_990)
    assert ours.engine.order("BTCUSDT", inside.order_id).filled_lots == 1_500
    shown = ours.engine.depth("BTCUSDT", 1_000)
    assert shown[1][0] == (3_000_000, 500)
    assert shown[2][0][0] > 3_000_000, "what would trade with our bid is not shown"
    follow()
    ours.engine.portion = None
    move(2_999_000)
    assert follow() == [[], [(3_100_000, 1_000)], [], []]

    heard_by_nobody = ours.make()
    heard_by_nobody.tells_market = False
    for operation in ours.operations:
        heard_by_nobody.apply(operation)
    assert "BookChanged" not in kinds(heard_by_nobody.drain())
    again = ours.make()
    again.load(ours.engine.dump())
    for engine in (heard_by_nobody, again):
        assert engine.depth("BTCUSDT", 1_000) == ours.engine.depth("BTCUSDT", 1_000)
        assert engine.dump() == ours.engine.dump()


def test_trades_and_orders_are_found_by_id_time_and_number(counter: Counter) -> None:
    for _ in range(4):
        counter.place("BUY", quantity="0.001")
    trades, orders = counter.engine.my_trades, counter.engine.all_orders
    assert [each.trade_id for each in trades("BTCUSDT", limit=2)] == [3, 4]
    assert [each.trade_id for each in trades("BTCUSDT", from_id=2, limit=2)] == [2, 3]
    assert [each.trade_id for each in trades("BTCUSDT", order_id=3)] == [3]
    assert [each.trade_id for each in trades("BTCUSDT", start_ms=3_000, end_ms=4_000)] == [2, 3]
    assert [each.order_id for each in orders("BTCUSDT", limit=2)] == [3, 4]
    assert [each.order_id for each in orders("BTCUSDT", from_order_id=2, limit=2)] == [2, 3]
    assert [each.order_id for each in orders("BTCUSDT", start_ms=3_000, end_ms=4_000)] == [2, 3]
    assert trades("BNBUSDT") == []


def test_open_orders_of_all_markets_come_in_order_of_arrival(counter: Counter) -> None:
    counter.place("SELL", "LIMIT", price="31000")
    counter.place("SELL", "LIMIT", price="700", quantity="1", id="BNBUSDT")
    counter.place("SELL", "LIMIT", price="31000")
    assert [each.order_id for each in counter.engine.open_orders()] == [1, 2, 3]
    assert [each.order_id for each in counter.engine.open_orders("BTCUSDT")] == [1, 3]


def test_an_engine_loads_what_another_has_dumped(counter: Counter) -> None:
    counter.place("BUY")
    counter.place("BUY", "LIMIT", price="29000")
    other = counter.make()
    other.load(counter.engine.dump())
    assert other.dump() == counter.engine.dump()
    assert other.open_orders() == counter.engine.open_orders()
    counter.print(2_899_999)
    other.print_trade("BTCUSDT", 2_899_999, 1_000, counter.now_ms)
    assert other.dump() == counter.engine.dump()


def test_money_that_appears_from_nowhere_is_noticed(counter: Counter) -> None:
    counter.engine.account.holdings["BTC"].total_atoms += 1
    with pytest.raises(AssertionError, match="money is off"):
        counter.place("BUY")
