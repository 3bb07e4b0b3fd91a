"""What the best bid and ask say at the close of a bar.  Nothing is kept from one bar to the next."""

from strategies.indicators.kernels.compiled import COLUMN, STATE, VALUE, VOID, Vector, compiled, inlined, outputs


def _nothing() -> int:
    """Give the length of an empty state."""
    return 1


book_imbalance_slots = microprice_slots = quoted_spread_slots = _nothing


@inlined
def _imbalance(bid: float, ask: float) -> float:
    """Give the difference of two quantities by their sum, 0 of nothing."""
    total = bid + ask
    return 0.0 if total == 0.0 else (bid - ask) / total


@compiled(outputs(1), STATE, VALUE, VALUE)
def book_imbalance_step(state: Vector, bid: float, ask: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take the quantities of both sides in; give -1 (all asked) to 1 (all bid)."""
    return (_imbalance(bid, ask),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def book_imbalance_batch(state: Vector, bid: Vector, ask: Vector, out: Vector) -> None:  # noqa: ARG001
    """Take a chunk of n pairs, one by one."""
    for row in range(bid.size):
        out[row] = _imbalance(bid[row], ask[row])


@inlined
def _microprice(bid: float, ask: float, bid_quantity: float, ask_quantity: float) -> float:
    """Give the price between bid and ask, nearer to the side with less."""
    total = bid_quantity + ask_quantity
    return bid + (ask - bid) * (0.5 if total == 0.0 else bid_quantity / total)


@compiled(outputs(1), STATE, VALUE, VALUE, VALUE, VALUE)
def microprice_step(
    state: Vector,  # noqa: ARG001 - it keeps nothing
    bid: float,
    ask: float,
    bid_quantity: float,
    ask_quantity: float,
) -> tuple[float]:
    """Take a quote in; give its price weighted by the other side's quantity."""
    return (_microprice(bid, ask, bid_quantity, ask_quantity),)


@compiled(VOID, STATE, COLUMN, COLUMN, COLUMN, COLUMN, STATE)
def microprice_batch(
    state: Vector,  # noqa: ARG001 - it keeps nothing
    bid: Vector,
    ask: Vector,
    bid_quantity: Vector,
    ask_quantity: Vector,
    out: Vector,
) -> None:
    """Take a chunk of n quotes, one by one."""
    for row in range(bid.size):
        out[row] = _microprice(bid[row], ask[row], bid_quantity[row], ask_quantity[row])


@inlined
def _spread(bid: float, ask: float) -> float:
    """Give the difference by the middle, 0 of nothing."""
    middle = (bid + ask) / 2.0
    return 0.0 if middle == 0.0 else (ask - bid) / middle


@compiled(outputs(1), STATE, VALUE, VALUE)
def quoted_spread_step(state: Vector, bid: float, ask: float) -> tuple[float]:  # noqa: ARG001 - it keeps nothing
    """Take a quote in; give its spread as a part of the middle."""
    return (_spread(bid, ask),)


@compiled(VOID, STATE, COLUMN, COLUMN, STATE)
def quoted_spread_batch(state: Vector, bid: Vector, ask: Vector, out: Vector) -> None:  # noqa: ARG001
    """Take a chunk of n quotes, one by one."""
    for row in range(bid.size):
        out[row] = _spread(bid[row], ask[row])
