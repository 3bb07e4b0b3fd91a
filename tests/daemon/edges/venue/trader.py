"""A core that trades through a gateway under test, with strategies that do what the test wants next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from actors import messages as m
from actors.execution.remote import RemoteVenue
from actors.features import NoFeatures
from actors.instrument import Instrument
from actors.ledger import Account, Holding
from actors.system import Core, SeriesPlan, StrategyPlan
from config.load import check_settings
from daemon.venue import EFFECTS
from strategies.base import Strategy

Wish = Callable[[Any], object]


def wishful(wishes: deque[Wish]) -> Strategy:
    """Return a strategy that does with each bar what the test wants next."""

    def on_bar(self: Any, _: m.Bar, __: Any) -> None:
        if wishes:
            wishes.popleft()(self)

    kind: type[Strategy] = type(Strategy)("Wishful", (Strategy,), {"on_bar": on_bar})
    return kind()


class Trader:
    """A core whose effects go to the gateway at once; it has no journal that they could wait for."""

    def __init__(self, instrument: Instrument, names: tuple[str, ...] = ("a",), *, bar_ns: int = 1_000_000) -> None:
        self.symbol = instrument.symbol
        self.wishes: dict[str, deque[Wish]] = {name: deque() for name in names}
        self.isolated, self.name = False, "trader"
        self.close_ns = 0
        self.gateway: Any = None
        self.heard: list[m.Message] = []
        self._bar_ns = bar_ns
        kinds = [kind for kind in vars(m).values() if isinstance(kind, type) and issubclass(kind, m.Message)]
        self.core = Core(
            check_settings({}, "test"),
            {self.symbol: instrument},
            [SeriesPlan(self.symbol, bar_ns)],
            [StrategyPlan(name, self.symbol, bar_ns, wishful(self.wishes[name]), NoFeatures()) for name in names],
            Account(100_000 * 10**8),
            nonce="test",
            start_ns=time.time_ns(),
            real=True,
            observers={kind: [self.on_any] for kind in kinds},
        )
        for strategy in self.core.strategies:
            strategy.start()

    @property
    def venue(self) -> RemoteVenue:
        assert isinstance(self.core.venue, RemoteVenue)
        return self.core.venue

    @property
    def halted(self) -> str:
        return self.core.control.reason if self.core.control.trading == "halted" else ""

    def on_any(self, message: m.Message) -> None:
        self.heard.append(message)
        if isinstance(message, EFFECTS):
            self.gateway.send(message)

    async def take(self, message: m.Message) -> None:
        self.core.scheduler.post(max(time.time_ns(), self.core.context.now_ns), message)

    def wish(self, wish: Wish, *, of: str = "a", price: float = 100.0) -> None:
        """Have a strategy act, on a bar of now."""
        self.wishes[of].append(wish)
        bar_ns = self._bar_ns
        close_ns = self.close_ns = max(self.close_ns + bar_ns, time.time_ns() // bar_ns * bar_ns)
        bar = m.Bar(self.symbol, bar_ns, close_ns - bar_ns, close_ns, price, price, price, price, 1.0)
        self.core.scheduler.post(max(close_ns, time.time_ns(), self.core.context.now_ns), bar)

    def all(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.heard if isinstance(each, kind)]

    def lots(self, of: str = "a") -> int:
        held: Holding | None = self.core.ledger.holdings.get((of, self.symbol))
        return 0 if held is None else held.quantity_lots

    def orders(self) -> list[Any]:
        return list(self.core.execution.orders.values())

    def is_settled(self) -> bool:
        """Whether nothing is under way: every order works, or has ended."""
        return all(order.state in ("working", "partly_filled") for order in self.orders())

    def filled(self, ref: int = 1) -> Decimal:
        """Return what was executed of a wish, in base units."""
        instrument = self.core.instruments[self.symbol]
        return instrument.quantity(sum(fill.quantity_lots for fill in self.all(m.Fill) if fill.ref == ref))
