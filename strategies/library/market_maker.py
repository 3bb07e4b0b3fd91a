"""Market making on the book."""

from typing import Annotated

from msgspec import Meta

from strategies.base import Execution, OrderUpdate, Quote, Strategy


class MarketMaker(Strategy):
    """Quote both sides around the middle, shifted against what is held, and follow the market.

    The middle is moved by `skew` of itself for every full `inventory_max` held, so that a long book sells cheaper and
    buys lower; at the limit the side that would add to it is not quoted. Orders are post-only, and replaced where their
    price is off by more than `tolerance` of the middle.

    Source: Avellaneda and Stoikov, "High-frequency trading in a limit order book" (2008), with the reservation price
    linear in the inventory and the spread given instead of estimated. It needs quotes: `exchange.streams`, or a tape of
    trades and quotes.
    """

    half_spread: Annotated[float, Meta(gt=0, lt=0.1)] = 0.0005
    """Distance of each quote from the shifted middle, as a fraction of it."""
    skew: Annotated[float, Meta(ge=0, lt=0.1)] = 0.0005
    """Shift of the middle for a full inventory, as a fraction of it."""
    quantity: Annotated[float, Meta(gt=0)] = 0.01
    """Base units of each quote."""
    inventory_max: Annotated[float, Meta(gt=0)] = 0.05
    """Base units held at most, either way."""
    tolerance: Annotated[float, Meta(ge=0, lt=0.1)] = 0.0002
    """How far off its price an order may rest, as a fraction of the middle."""

    def on_start(self) -> None:
        """Nothing is quoted yet."""
        self.orders: dict[int, tuple[int, float]] = {}
        """Side and price by the number of the order."""
        self.leaving: list[int] = []
        """Orders that were withdrawn and not confirmed yet."""

    def on_quote(self, quote: Quote, /) -> None:
        """Quote around the middle of the best bid and ask."""
        middle = (quote.bid + quote.ask) / 2
        held = max(-1.0, min(1.0, self.position / self.inventory_max))
        reservation = middle * (1.0 - self.skew * held)
        room = {1: self.inventory_max - self.position, -1: self.inventory_max + self.position}
        for side in (1, -1):
            price = reservation * (1.0 - side * self.half_spread)
            # A post-only order at or beyond the other side would be refused.
            price = min(price, quote.bid) if side > 0 else max(price, quote.ask)
            self._keep(side, price if room[side] >= self.quantity else 0.0, middle)

    def on_fill(self, execution: Execution, /) -> None:
        """Forget an order that is done."""
        if execution.done:
            self._forget(execution.ref)

    def on_order(self, update: OrderUpdate, /) -> None:
        """Forget an order that came to nothing."""
        if update.state in {"rejected", "cancelled", "expired", "vetoed"}:
            self._forget(update.ref)

    def _keep(self, side: int, price: float, middle: float) -> None:
        """Have one order of a side rest near a price; none where that is 0."""
        resting = [(ref, at) for ref, (of, at) in self.orders.items() if of == side]
        for ref, at in resting:
            if ref not in self.leaving and (not price or abs(at - price) > self.tolerance * middle):
                self.leaving.append(ref)
                self.cancel(ref)
        if price and not resting:
            give = self.buy if side > 0 else self.sell
            self.orders[give(self.quantity, limit=price, post_only=True)] = (side, price)

    def _forget(self, ref: int) -> None:
        self.orders.pop(ref, None)
        if ref in self.leaving:
            self.leaving.remove(ref)
