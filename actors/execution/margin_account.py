"""The account at the simulated venue where contracts are held on margin: one position a contract, of all books.

The ledger keeps a book for each strategy; a venue knows one position and one wallet. So this nets all fills by
the ledger's own rule (`actors.netting`), and at rest its wallet less the cost of its positions is the ledger's cash,
to the atom, which is asserted. Margin belongs to the account: whose order asks for it, or whose position uses it
up, makes no difference.

Spot beside contracts is bought with what is available, and sold only if it is held; it is no collateral.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from actors.margin import (
    INSUFFICIENT,
    TOO_LARGE,
    Margin,
    Tiers,
    initial_margin,
    isolated_change,
    open_loss,
    share_of,
)
from actors.messages import BUY
from actors.netting import net_fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.execution.resting import Resting
    from actors.instrument import Instrument
    from actors.ledger import Account
    from actors.runtime.scheduler import Context
    from config.margin import MarginTier
    from config.schema import Settings, Venue

NO_BALANCE = "Account has insufficient balance for requested action."
"""Binance's words of its code -2010, on spot."""


class Held(msgspec.Struct):
    """The position in one contract."""

    symbol: str
    lots: int = 0
    cost_atoms: int = 0
    isolated_atoms: int = 0
    """What is set aside for it, on isolated margin."""
    mark_ticks: int = 0
    """0 before the first price."""
    announced: bool = False
    """Whether its mark is told: bars and trades are then no marks."""


class MarginState(msgspec.Struct):
    """What a snapshot keeps."""

    wallet_atoms: int
    cash_atoms: int
    held: list[Held]
    used_max_atoms: int
    liquidations: int
    refused: int


class PositionView(NamedTuple):
    """The account's position in one contract: that of all books together."""

    symbol: str
    leverage: int
    isolated: bool
    quantity_lots: int
    """Negative for a short."""
    cost_atoms: int
    """What it was entered at, signed alike."""
    mark_ticks: int
    liquidation_ticks: int
    """The mark at which it is liquidated if no other moves; 0 where there is none."""
    initial_atoms: int
    """Its initial margin at the mark."""
    maintenance_atoms: int
    isolated_atoms: int
    """What is set aside for it; 0 on cross margin."""


class MarginView(NamedTuple):
    """How the account stands; money in atoms."""

    wallet_atoms: int
    """Cash, without what contracts have gained or lost since they were entered."""
    balance_atoms: int
    """The wallet with that."""
    initial_atoms: int
    """Initial margin of all positions and open orders."""
    maintenance_atoms: int
    """Maintenance margin of all positions."""
    available_atoms: int
    """What new orders may use; 0 at least."""
    positions: tuple[PositionView, ...]
    """Those that are not flat."""


class Terms(NamedTuple):
    """How one contract is held."""

    leverage: int
    isolated: bool
    tiers: Tiers


class MarginAccount:
    """Wallet, positions, and what is asked for them.

    Args:
        context: the core's.
        instruments: exact units by symbol.
        settings: leverage, margin mode and tiers.
        account: what the session starts from.
        books: lots by strategy and symbol, the venue's own.

    Attributes:
        contracts: how each contract is held, by symbol.
        liquidations: positions that were closed because their margin was used up.
        refused: orders and amends that were not taken.
        used_max_atoms: the most that positions and open orders ever took at once.
    """

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        settings: Venue,
        account: Account,
        books: Mapping[tuple[str, str], int],
    ) -> None:
        self._instruments = instruments
        self._books = books
        self.contracts = {
            symbol: terms_of(settings, symbol) for symbol, each in instruments.items() if each.spec.contract
        }
        self._resting: dict[str, list[Resting]] = {symbol: context.lane(symbol).resting for symbol in instruments}
        self._held = {symbol: Held(symbol) for symbol in self.contracts}
        self.wallet_atoms = self._cash_atoms = account.cash_atoms
        self._take_over(account)
        self._bounds: dict[str, int] = {}
        """Liquidation prices that are known and still true."""
        self.liquidations = self.refused = 0
        self.used_max_atoms = 0

    def _take_over(self, account: Account) -> None:
        """Net the books that are inherited."""
        for book in account.holdings:
            held = self._held.get(book.symbol)
            if held is not None:
                held.lots += book.quantity_lots
                held.cost_atoms += book.cost_atoms
        for symbol, held in self._held.items():
            if not held.lots:
                held.cost_atoms = 0
            self.wallet_atoms += held.cost_atoms
            leverage, isolated, _ = self.contracts[symbol]
            if held.lots and isolated:
                held.isolated_atoms = account.set_aside.get(symbol, share_of(abs(held.cost_atoms), leverage))

    # --- what changes it ------------------------------------------------------------------------------

    def fill(self, symbol: str, side: int, price_ticks: int, lots: int, fee_atoms: int) -> None:
        """Net an execution into the position, and move the wallet by what it realised and its fee."""
        instrument = self._instruments[symbol]
        self.wallet_atoms -= fee_atoms
        held = self._held.get(symbol)
        if held is None:
            self.wallet_atoms -= side * instrument.value_atoms(price_ticks, lots)
        else:
            taken_atoms, released_atoms = self._isolated_change(held, side, price_ticks, lots)
            held.isolated_atoms += taken_atoms - released_atoms
            held.lots, held.cost_atoms, realized_atoms, _ = net_fill(
                instrument, held.lots, held.cost_atoms, side, price_ticks, lots
            )
            self.wallet_atoms += realized_atoms
            assert held.lots or not (held.cost_atoms or held.isolated_atoms), held
        self._bounds.clear()

    def pay(self, atoms: int, symbol: str = "") -> None:
        """Move the wallet by what was received, or paid if negative; what is set aside for `symbol` follows."""
        self.wallet_atoms += atoms
        if symbol and self.contracts[symbol].isolated and self._held[symbol].lots:
            self._held[symbol].isolated_atoms += atoms
        self._bounds.clear()

    def mark(self, symbol: str, ticks: int) -> None:
        """Take a mark price."""
        held = self._held[symbol]
        if ticks != held.mark_ticks:
            held.mark_ticks = ticks
            if held.lots and len(self._held) > 1:
                own = self._bounds.get(symbol)
                self._bounds.clear()
                if own is not None:
                    self._bounds[symbol] = own

    def heard_cash(self, cash_atoms: int) -> None:
        """Learn of the ledger's cash."""
        self._cash_atoms = cash_atoms

    def check(self) -> None:
        """Assert, at rest, that this and the ledger know the same money."""
        cost_atoms = sum(held.cost_atoms for held in self._held.values())
        assert self.wallet_atoms - cost_atoms == self._cash_atoms, (self.wallet_atoms, cost_atoms, self._cash_atoms)

    # --- what it is worth -----------------------------------------------------------------------------

    def held(self, symbol: str) -> Held | None:
        """Return the position in a symbol, flat or not; None of one that is no contract."""
        return self._held.get(symbol)

    def is_isolated(self, held: Held) -> bool:
        """Return whether a position has margin of its own."""
        return self.contracts[held.symbol].isolated

    def value(self, held: Held) -> int:
        """Return the value of a position at its mark, signed as it is; at its cost before there is one."""
        if not held.mark_ticks:
            return held.cost_atoms
        return self._instruments[held.symbol].value_atoms(held.mark_ticks, held.lots)

    def unrealized(self, held: Held) -> int:
        """Return what closing at the mark would realise."""
        return self.value(held) - held.cost_atoms

    def maintenance(self, held: Held) -> int:
        """Return the margin at which a position is liquidated."""
        return self.contracts[held.symbol].tiers.maintenance_atoms(abs(self.value(held))) if held.lots else 0

    def cross_atoms(self) -> int:
        """Return the wallet without what is set aside for isolated positions."""
        return self.wallet_atoms - sum(held.isolated_atoms for held in self._held.values())

    def open_positions(self, *, isolated: bool) -> list[Held]:
        """Return the positions that are not flat, of one kind of margin."""
        return [held for held in self._held.values() if held.lots and self.is_isolated(held) == isolated]

    def doomed(self) -> list[Held]:
        """Return the positions whose margin is used up: one isolated, or else all that share the wallet.

        Where a price is not known yet, nobody can tell.
        """
        for held in self.open_positions(isolated=True):
            if held.mark_ticks and held.isolated_atoms + self.unrealized(held) <= self.maintenance(held):
                return [held]
        crossed = self.open_positions(isolated=False)
        left_atoms = self.cross_atoms() + sum(map(self.unrealized, crossed))
        used_up = left_atoms <= sum(map(self.maintenance, crossed))
        return crossed if used_up and all(held.mark_ticks for held in crossed) else []

    def liquidation_ticks(self, held: Held) -> int:
        """Return the mark at which a position is liquidated if no other moves; 0 where there is none."""
        known = self._bounds.get(held.symbol)
        if known is None:
            margin_atoms = held.isolated_atoms
            if not self.is_isolated(held):
                others = [each for each in self.open_positions(isolated=False) if each is not held]
                if not all(each.mark_ticks for each in others):
                    return 0
                margin_atoms = self.cross_atoms() + sum(map(self.unrealized, others))
                margin_atoms -= sum(map(self.maintenance, others))
            known = self.contracts[held.symbol].tiers.liquidation_ticks(
                self._instruments[held.symbol], held.lots, held.cost_atoms, margin_atoms
            )
            self._bounds[held.symbol] = known
        return known

    # --- what is asked for ----------------------------------------------------------------------------

    def refusal(self, order: Resting, without: Resting | None = None) -> str:
        """Return why an order cannot be taken, in the venue's words; empty if it can. Count those that cannot.

        Args:
            order: the order; one that waits for its trigger is asked for margin only once that was met.
            without: an open order whose place it takes.
        """
        held = self._held.get(order.request.symbol)
        words = self._spot_refusal(order, without) if held is None else self._refusal(order, held, without)
        self.refused += bool(words)
        return words

    def _refusal(self, order: Resting, held: Held, without: Resting | None) -> str:
        symbol, side = order.request.symbol, order.request.side
        if self._only_reduces(order):
            return ""
        leverage, _, tiers = self.contracts[symbol]
        now = self.margin(held)
        wanted = self.margin(held, extra=order, without=without)
        more_atoms = wanted.order_atoms - now.order_atoms
        if more_atoms <= 0:
            return ""
        most_atoms = tiers.most_atoms(leverage)
        if most_atoms is not None and wanted.worst_atoms > most_atoms:
            return TOO_LARGE
        price_ticks = self._price(order, held)
        lost_atoms = open_loss(self._instruments[symbol], side, price_ticks, held.mark_ticks, order.open_lots)
        return INSUFFICIENT if more_atoms + lost_atoms > self.available() else ""

    def _spot_refusal(self, order: Resting, without: Resting | None) -> str:
        request = order.request
        if request.side == BUY:
            cost_atoms = self._spot_atoms(order) - (0 if without is None else self._spot_atoms(without))
            return NO_BALANCE if cost_atoms > max(0, self.available()) else ""
        if request.reduce_only:
            return ""
        selling_lots = sum(
            each.open_lots
            for each in self._resting[request.symbol]
            if each.request.strategy == request.strategy
            and not (each is without or each.request.side == BUY or each.request.reduce_only or _waits(each))
        )
        held_lots = self._books.get((request.strategy, request.symbol), 0)
        return NO_BALANCE if selling_lots + order.open_lots > held_lots else ""

    def _spot_atoms(self, order: Resting) -> int:
        request = order.request
        ticks = request.limit_ticks or request.stop_ticks or order.asked_ticks
        return self._instruments[request.symbol].value_atoms(ticks, order.open_lots)

    def can_pay(self, symbol: str, side: int, price_ticks: int, lots: int) -> bool:
        """Return whether the wallet has what is to be set aside for an isolated position after a fill."""
        held = self._held.get(symbol)
        if held is None or not self.is_isolated(held):
            return True
        taken_atoms, released_atoms = self._isolated_change(held, side, price_ticks, lots)
        return taken_atoms <= max(0, released_atoms + self.cross_atoms())

    def margin(self, held: Held, extra: Resting | None = None, without: Resting | None = None) -> Margin:
        """Return the initial margin of a contract, with an order more or less than the open ones."""
        value_of = self._instruments[held.symbol].value_atoms
        bought_atoms = sold_atoms = 0
        orders = self._resting[held.symbol]
        for order in orders if extra is None else [*orders, extra]:
            if order is without or order.until_ns or (order is not extra and self._takes_none(order)):
                continue
            atoms = value_of(self._price(order, held), order.open_lots)
            if order.request.side == BUY:
                bought_atoms += atoms
            else:
                sold_atoms += atoms
        return initial_margin(self.value(held), bought_atoms, sold_atoms, self.contracts[held.symbol].leverage)

    def available(self) -> int:
        """Return what new orders may use; negative where more is asked for than there is."""
        atoms = self.cross_atoms()
        for held in self._held.values():
            margin = self.margin(held)
            atoms -= margin.order_atoms
            if not self.is_isolated(held):
                atoms += self.unrealized(held) - margin.position_atoms
        for symbol, orders in self._resting.items():
            if symbol not in self._held:
                bought = [each for each in orders if each.request.side == BUY and not _waits(each)]
                atoms -= sum(map(self._spot_atoms, bought))
        return atoms

    def _takes_none(self, order: Resting) -> bool:
        """Return whether an open order takes no margin: one that waits for its trigger, or can only reduce."""
        return _waits(order) or self._only_reduces(order)

    def _only_reduces(self, order: Resting) -> bool:
        """Return whether an order can only make the account's position smaller: its book is all there is of it."""
        request = order.request
        if not request.reduce_only:
            return False
        return not any(
            lots
            for (strategy, symbol), lots in self._books.items()
            if symbol == request.symbol and strategy != request.strategy
        )

    def _price(self, order: Resting, held: Held) -> int:
        return order.request.limit_ticks or order.asked_ticks or held.mark_ticks

    def _isolated_change(self, held: Held, side: int, price_ticks: int, lots: int) -> tuple[int, int]:
        leverage, isolated, _ = self.contracts[held.symbol]
        if not isolated:
            return 0, 0
        instrument = self._instruments[held.symbol]
        return isolated_change(instrument, held.lots, held.isolated_atoms, side, price_ticks, lots, leverage)

    # --- what is told of it ---------------------------------------------------------------------------

    def note(self) -> None:
        """Remember the most margin that was ever taken."""
        self.used_max_atoms = max(self.used_max_atoms, self.initial_atoms())

    def initial_atoms(self) -> int:
        """Return the initial margin of all positions and open orders."""
        margins = [self.margin(held) for held in self._held.values()]
        return sum(margin.position_atoms + margin.order_atoms for margin in margins)

    def view(self) -> MarginView:
        """Return how the account stands."""
        positions = [held for held in self._held.values() if held.lots]
        return MarginView(
            self.wallet_atoms,
            self.wallet_atoms + sum(map(self.unrealized, positions)),
            self.initial_atoms(),
            sum(map(self.maintenance, positions)),
            max(0, self.available()),
            tuple(map(self._position, positions)),
        )

    def _position(self, held: Held) -> PositionView:
        leverage, isolated, _ = self.contracts[held.symbol]
        return PositionView(
            held.symbol,
            leverage,
            isolated,
            held.lots,
            held.cost_atoms,
            held.mark_ticks,
            self.liquidation_ticks(held),
            self.margin(held).position_atoms,
            self.maintenance(held),
            held.isolated_atoms,
        )

    def set_aside(self) -> dict[str, int]:
        """Return what is set aside for each isolated position."""
        return {symbol: held.isolated_atoms for symbol, held in self._held.items() if held.isolated_atoms}

    # --- state ----------------------------------------------------------------------------------------

    def dump(self) -> MarginState:
        """Return the state."""
        held = list(self._held.values())
        counts = (self.used_max_atoms, self.liquidations, self.refused)
        return MarginState(self.wallet_atoms, self._cash_atoms, held, *counts)

    def load(self, kept: MarginState) -> None:
        """Restore the state."""
        self.wallet_atoms, self._cash_atoms = kept.wallet_atoms, kept.cash_atoms
        self._held = {held.symbol: held for held in kept.held}
        self.used_max_atoms, self.liquidations, self.refused = kept.used_max_atoms, kept.liquidations, kept.refused
        self._bounds.clear()


def _waits(order: Resting) -> bool:
    """Return whether an order waits for its trigger."""
    return order.request.kind in ("stop", "stop_limit") and not order.triggered


def contract_terms(settings: Settings, instruments: Mapping[str, Instrument], *, real: bool) -> dict[str, Terms]:
    """Return how each contract is held, at the simulated venue or at a real one; none where it is not on margin.

    A real venue's tiers are not asked for: they are taken to be those of `[venue]`, or the contract's own there.
    """
    contracts = [symbol for symbol, each in instruments.items() if each.spec.contract]
    if not real:
        return {symbol: terms_of(settings.venue, symbol) for symbol in contracts if settings.venue.leverage is not None}
    leverage, isolated = settings.exchange.leverage, settings.exchange.margin_mode == "isolated"
    if leverage is None:
        return {}
    return {symbol: Terms(leverage, isolated, make_tiers(_tiers_of(settings.venue, symbol))) for symbol in contracts}


def terms_of(settings: Venue, symbol: str) -> Terms:
    """Return how a contract is held: as for all, but for what is said of it by name."""
    assert settings.leverage is not None, symbol
    own = settings.contracts.get(symbol)
    leverage, mode = settings.leverage, settings.margin_mode
    if own is not None:
        leverage, mode = own.leverage or leverage, own.margin_mode or mode
    return Terms(leverage, mode == "isolated", make_tiers(_tiers_of(settings, symbol)))


def _tiers_of(settings: Venue, symbol: str) -> tuple[MarginTier, ...]:
    own = settings.contracts.get(symbol)
    return settings.tiers if own is None or own.tiers is None else own.tiers


def make_tiers(rows: tuple[MarginTier, ...]) -> Tiers:
    """Return tiers as they are configured."""
    return Tiers((row.above, row.leverage, row.rate) for row in rows)
