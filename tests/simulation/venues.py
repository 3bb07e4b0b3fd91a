"""The exchange's real engines, as the simulated gateway asks them: spot, and perpetuals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar

from actors import messages as m
from actors.instrument import InstrumentSpec
from actors.system import Core
from replay.exchange.engine import Engine
from replay.exchange.model import (
    ConditionalChanged,
    ConditionalView,
    Executed,
    Market,
    NewConditional,
    NewOrder,
    OrderView,
    PositionsChanged,
    TradeView,
    VenueError,
    perpetual_of,
)
from replay.exchange.perpetual import PerpetualEngine

MS = 1_000_000
UNIT = 10**8
STATES: dict[str, Any] = {
    "NEW": "open",
    "PARTIALLY_FILLED": "open",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}
PRICES = {"BTC/USDT": 3_000_000, "ETH/USDT": 200_000, "BNB/USDT": 60_000}
"""In ticks of 0.01."""
BITCOIN, ETHER, COIN = (
    Market(symbol=symbol, id=symbol.replace("/", ""), base=symbol[:3], quote="USDT", tick=Decimal("0.01"), lot=lot)
    for symbol, lot in (
        ("BTC/USDT", Decimal("1e-5")),
        ("ETH/USDT", Decimal("1e-4")),
        ("BNB/USDT", Decimal("1e-3")),
    )
)
QUOTE = 50_000
LEAST = Decimal(5)
_WAITING: dict[str, Any] = {
    "NEW": "NEW",
    "CANCELED": "CANCELED",
    "REJECTED": "REJECTED",
    "EXPIRED": "EXPIRED",
}
"""What a stop is as an order, as long as it has become none."""


class Venue(ABC):
    """One engine and what the core is told of it.

    Attributes:
        markets: what is traded, by the core's symbols.
        specs: the same, as a session begins with it.
        prices: where each market stands, in ticks, the markets that are only there for their price included.
    """

    types: ClassVar[dict[str, Any]] = {"market": "MARKET", "limit": "LIMIT"}
    one_step = True
    """Whether orders can be replaced in one step."""

    def __init__(self, engine: Engine | PerpetualEngine, markets: dict[str, Market], lots: dict[str, Decimal]) -> None:
        self.engine = engine
        self.markets = markets
        self.specs = {symbol: self._spec(symbol, market, lots[symbol]) for symbol, market in markets.items()}
        self.per_step = {symbol: int(market.lot / lots[symbol]) for symbol, market in markets.items()}
        self._symbols = {market.id: symbol for symbol, market in markets.items()}
        self.prices = {market.symbol.partition(":")[0]: 0 for market in self.printed()}
        self.prices = {name: PRICES[name] for name in self.prices}

    def _spec(self, symbol: str, market: Market, lot: Decimal) -> InstrumentSpec:
        return InstrumentSpec(
            symbol=symbol,
            tick=market.tick,
            lot=lot,
            step=None if lot == market.lot else market.lot,
            min_notional=LEAST,
            base=market.base,
            quote="USDT",
            long_only=not market.settle,
            contract=bool(market.settle),
        )

    def printed(self) -> list[Market]:
        """Return every market that has prints."""
        return list(self.markets.values())

    # --- what the gateway does ----------------------------------------------------------------------

    def place(self, order_id: str, request: m.OrderRequest, now: int, *, reduce_only: bool = False) -> OrderView:
        """Place an order; the engine may refuse it."""
        spec = self.specs[request.symbol]
        return self.engine.place(
            NewOrder(
                id=self.markets[request.symbol].id,
                side="BUY" if request.side > 0 else "SELL",
                type=self.kind(request),
                quantity=request.quantity_lots * spec.lot,
                price=request.limit_ticks * spec.tick if request.limit_ticks else None,
                stop_price=request.stop_ticks * spec.tick if request.stop_ticks else None,
                time_in_force=self.time_in_force(request),
                client_order_id=order_id,
                reduce_only=reduce_only,
            ),
            now // MS,
        )

    def kind(self, request: m.OrderRequest) -> Any:
        return self.types[request.kind]

    def time_in_force(self, request: m.OrderRequest) -> Any:
        return request.time_in_force.upper()

    def cancel(self, symbol: str, order_id: str, now: int) -> OrderView:
        return self.engine.cancel(self.markets[symbol].id, now // MS, client_order_id=order_id)

    def find(self, symbol: str, order_id: str) -> OrderView:
        return self.engine.order(self.markets[symbol].id, client_order_id=order_id)

    def open_ids(self, symbol: str) -> list[str]:
        """Return our ids of what is open in a market, and of what waits."""
        return [order.client_order_id for order in self.engine.open_orders(self.markets[symbol].id)]

    def trades_of(self, order: OrderView) -> list[m.TradeReported]:
        trades = self.engine.my_trades(order.id, order_id=order.order_id, limit=1_000)
        return [self.traded(order.client_order_id, trade) for trade in trades]

    def trades_after(self, symbol: str, trade_id: int) -> list[m.TradeReported]:
        market_id = self.markets[symbol].id
        found = []
        for trade in self.engine.my_trades(market_id, from_id=trade_id + 1, limit=2**31):
            order = self.engine.order(market_id, order_id=trade.order_id)
            found.append(self.traded(order.client_order_id, trade))
        return found

    def reported(self, order: OrderView) -> m.OrderReported:
        symbol = self._symbols[order.id]
        filled_lots = order.filled_lots * self.per_step[symbol]
        return m.OrderReported(order.client_order_id, str(order.order_id), STATES[order.status], filled_lots)

    def traded(self, order_id: str, trade: TradeView) -> m.TradeReported:
        symbol = self._symbols[trade.id]
        asset, atoms = trade.commission_asset, trade.commission_atoms
        value = -1
        if asset == COIN.base:
            worth = abs(atoms) * Decimal(self.prices[COIN.symbol]) * COIN.tick
            value = int(worth.to_integral_value(rounding=ROUND_HALF_UP))
        return m.TradeReported(
            order_id,
            symbol,
            trade.trade_id,
            m.BUY if trade.side == "BUY" else m.SELL,
            trade.price_ticks,
            trade.quantity_lots * self.per_step[symbol],
            asset,
            atoms,
            "maker" if trade.is_maker else "taker",
            trade.time_ms * MS,
            realized_atoms=trade.realized_atoms,
            fee_value_atoms=value,
        )

    def told(self) -> Iterator[list[m.Message]]:
        """Return what the user stream tells of what happened since the last call, each with all that belongs to it."""
        for event in self.engine.drain():
            if isinstance(event, Executed) and event.order.id in self._symbols:
                messages: list[m.Message] = [self.reported(event.order)]
                if event.trade is not None:
                    messages.insert(0, self.traded(event.order.client_order_id, event.trade))
                yield messages
            elif isinstance(event, ConditionalChanged) and event.conditional.status in _WAITING:
                yield [self.reported(as_order(event.conditional))]
            elif isinstance(event, PositionsChanged) and event.reason == "FUNDING_FEE":
                payments: list[m.Message] = [*self.funding(dict.fromkeys(self.markets, event.time_ms * MS))]
                if payments:
                    yield payments

    def funding(self, after: dict[str, int]) -> list[m.FundingPaid]:  # noqa: ARG002 - what others need
        """Return payments from a time on, by symbol."""
        return []

    @abstractmethod
    def holdings(self) -> tuple[tuple[m.BalanceReported, ...], tuple[m.PositionReported, ...]]:
        """Return balances and positions."""

    def rules(self, symbol: str) -> m.InstrumentChanged:
        """Return the rules as they are."""
        market = self.engine.market(self.markets[symbol].id)
        steps = (market.tick_size, market.step_size)
        return m.InstrumentChanged(symbol, "period", market.trading, *steps, market.min_notional)

    def change_rules(self, symbol: str, now: int, **terms: Decimal | None) -> None:
        self.engine.change_filters(self.markets[symbol].id, now_ms=now // MS, **terms)

    def set_trading(self, symbol: str, now: int, *, trading: bool) -> None:
        self.engine.set_trading(self.markets[symbol].id, trading, now // MS)

    # --- the judge ----------------------------------------------------------------------------------

    @abstractmethod
    def money_differs(self, core: Core) -> list[str]:
        """Return in words what is off between the account and the ledger, to the unit."""

    def is_left(self, symbol: str, lots: int) -> bool:
        """Return whether a position is one that could have been closed."""
        name = symbol.partition(":")[0]
        steps = abs(lots) // self.per_step[symbol]
        step = self.per_step[symbol] * self.specs[symbol].lot
        worth = steps * step * self.prices[name] * self.specs[symbol].tick
        # what was worth just too little when it was looked at may be worth a little more by now
        return bool(steps) and (self.specs[symbol].contract or worth > LEAST * Decimal("1.05"))


class Spot(Venue):
    """Spot: one symbol or two, fees in what was received or in BNB while there is some."""

    types: ClassVar[dict[str, Any]] = {**Venue.types, "stop": "STOP_LOSS", "stop_limit": "STOP_LOSS_LIMIT"}

    def __init__(self, seed: int, *, two: bool, fees_in_coin: bool) -> None:
        self.one_step = seed % 4 != 3
        self._also = [COIN] if fees_in_coin else []
        markets = [BITCOIN, ETHER] if two else [BITCOIN]
        self.began = {"BTC": 2 * UNIT, "ETH": 20 * UNIT, "USDT": QUOTE * UNIT, "BNB": UNIT // 100}
        engine = Engine(
            (*markets, *self._also),
            {asset: Decimal(atoms) / UNIT for asset, atoms in self.began.items()},
            maker_fee=Decimal("0.001"),
            taker_fee=Decimal("0.001"),
            spread_ticks=2,
            fee_asset="BNB" if fees_in_coin else "auto",
            bounded=seed % 2 == 1,
        )
        named = {market.symbol: market for market in markets}
        super().__init__(engine, named, dict.fromkeys(named, Decimal("1e-8")))

    def printed(self) -> list[Market]:
        return [*self.markets.values(), *self._also]

    def kind(self, request: m.OrderRequest) -> Any:
        return "LIMIT_MAKER" if request.post_only else super().kind(request)

    def holdings(self) -> tuple[tuple[m.BalanceReported, ...], tuple[m.PositionReported, ...]]:
        assert isinstance(self.engine, Engine)
        rows = self.engine.balances()
        return tuple(m.BalanceReported(row.asset, row.free_atoms + row.locked_atoms) for row in rows), ()

    def money_differs(self, core: Core) -> list[str]:
        expected = dict(self.began)
        expected["USDT"] += core.ledger.cash_atoms - QUOTE * UNIT
        for (_, symbol), held in core.ledger.holdings.items():
            expected[self.specs[symbol].base] += held.quantity_lots
        for asset, other in core.ledger.others.items():
            expected[asset] += other.amount_atoms
        there = {balance.asset: balance.total_atoms for balance in self.holdings()[0]}
        return [
            f"{asset}: the venue holds {atoms}, we {expected[asset]}"
            for asset, atoms in there.items()
            if atoms != expected[asset]
        ]


class Perpetuals(Venue):
    """Two perpetuals on one wallet, with funding every hour; stops wait at another desk until they are met."""

    def __init__(self, seed: int) -> None:
        markets = [perpetual_of(BITCOIN), perpetual_of(ETHER)]
        engine = PerpetualEngine(
            markets,
            {"USDT": Decimal(QUOTE)},
            maker_fee=Decimal("0.0002"),
            taker_fee=Decimal("0.0005"),
            spread_ticks=2,
            bounded=seed % 2 == 1,
            funding_hours=1,
        )
        named = {market.symbol: market for market in markets}
        super().__init__(engine, named, {symbol: market.lot for symbol, market in named.items()})
        self.one_step = False

    def time_in_force(self, request: m.OrderRequest) -> Any:
        return "GTX" if request.post_only else super().time_in_force(request)

    def place(self, order_id: str, request: m.OrderRequest, now: int, *, reduce_only: bool = False) -> OrderView:
        if not request.stop_ticks:
            return super().place(order_id, request, now, reduce_only=reduce_only)
        assert isinstance(self.engine, PerpetualEngine)
        spec = self.specs[request.symbol]
        new = NewConditional(
            id=self.markets[request.symbol].id,
            side="BUY" if request.side > 0 else "SELL",
            type="STOP" if request.limit_ticks else "STOP_MARKET",
            quantity=request.quantity_lots * spec.lot,
            price=request.limit_ticks * spec.tick if request.limit_ticks else None,
            trigger_price=request.stop_ticks * spec.tick,
            client_algo_id=order_id,
            reduce_only=reduce_only,
        )
        return as_order(self.engine.place_conditional(new, now // MS))

    def find(self, symbol: str, order_id: str) -> OrderView:
        assert isinstance(self.engine, PerpetualEngine)
        market_id = self.markets[symbol].id
        try:
            waiting = self.engine.conditional(market_id, client_algo_id=order_id)
        except VenueError:
            return super().find(symbol, order_id)
        became = waiting.actual_order_id
        return self.engine.order(market_id, order_id=became) if became else as_order(waiting)

    def cancel(self, symbol: str, order_id: str, now: int) -> OrderView:
        assert isinstance(self.engine, PerpetualEngine)
        market_id = self.markets[symbol].id
        if order_id in {each.client_algo_id for each in self.engine.open_conditionals(market_id)}:
            return as_order(self.engine.cancel_conditional(market_id, now // MS, client_algo_id=order_id))
        return super().cancel(symbol, order_id, now)

    def open_ids(self, symbol: str) -> list[str]:
        assert isinstance(self.engine, PerpetualEngine)
        waiting = self.engine.open_conditionals(self.markets[symbol].id)
        return [*super().open_ids(symbol), *(each.client_algo_id for each in waiting)]

    def trades_of(self, order: OrderView) -> list[m.TradeReported]:
        return [] if order.order_id < 0 else super().trades_of(order)

    def holdings(self) -> tuple[tuple[m.BalanceReported, ...], tuple[m.PositionReported, ...]]:
        assert isinstance(self.engine, PerpetualEngine)
        balances = tuple(m.BalanceReported(row.asset, row.wallet_atoms) for row in self.engine.wallets())
        positions = self.engine.positions()
        reported = [m.PositionReported(self._symbols[row.id], row.amount_lots) for row in positions if row.amount_lots]
        return balances, tuple(reported)

    def funding(self, after: dict[str, int]) -> list[m.FundingPaid]:
        assert isinstance(self.engine, PerpetualEngine)
        return [
            m.FundingPaid(symbol, row.transaction_id, row.amount_atoms, row.asset, row.time_ms * MS)
            for symbol, since in after.items()
            for row in self.engine.income("FUNDING_FEE", self.markets[symbol].id, -(-since // MS), limit=1_000)
        ]

    def money_differs(self, core: Core) -> list[str]:
        balances, positions = self.holdings()
        found = []
        there = {position.symbol: position.quantity_lots for position in positions}
        for symbol in self.markets:
            ours = sum(held.quantity_lots for (_, name), held in core.ledger.holdings.items() if name == symbol)
            if ours != there.get(symbol, 0):
                found.append(f"{symbol}: the venue's position is {there.get(symbol, 0)}, ours {ours}")
        (wallet,) = [balance.total_atoms for balance in balances if balance.asset == "USDT"]
        if not any(there.values()) and wallet != core.ledger.cash_atoms:
            found.append(f"USDT: the venue holds {wallet}, we {core.ledger.cash_atoms}")
        return found


def as_order(stop: ConditionalView) -> OrderView:
    """Return a stop that has become no order as the order it is to the core; its number is none of an order's."""
    return OrderView(
        order_id=-stop.algo_id,
        client_order_id=stop.client_algo_id,
        id=stop.id,
        side=stop.side,
        type=stop.type,
        time_in_force=stop.time_in_force,
        price_ticks=stop.price_ticks,
        stop_ticks=stop.trigger_ticks,
        quantity_lots=stop.quantity_lots,
        filled_lots=0,
        quote_atoms=0,
        status=_WAITING.get(stop.status, "NEW"),
        created_ms=stop.created_ms,
        updated_ms=stop.updated_ms,
        reduce_only=stop.reduce_only,
    )


def draw_venue(seed: int) -> Venue:
    """Return the venue of a seed."""
    if seed % 5 == 4:
        return Perpetuals(seed)
    return Spot(seed, two=seed % 5 in (1, 3), fees_in_coin=seed % 5 in (2, 3))
