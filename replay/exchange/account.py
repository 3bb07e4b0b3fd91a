"""The account at the exchange: what there is of each asset, what of it is locked, and none appears from nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from replay.exchange.model import BalanceView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Holding(msgspec.Struct, array_like=True):
    """One asset, in atoms."""

    asset: str
    opening_atoms: int
    total_atoms: int
    locked_atoms: int = 0
    world_atoms: int = 0
    """What everybody else got out of our trades; with what we have it makes the opening balance for ever."""

    @property
    def free_atoms(self) -> int:
        """What a new order may use."""
        return self.total_atoms - self.locked_atoms


class Account:
    """Balances by asset, changed by locking and by moving; remembers which changed.

    Args:
        balances: what there is at first, by asset.
        assets: what else there may be.
        may_owe: whether a balance may fall below zero, where something else than it secures the debt.
    """

    __slots__ = ("_changed", "_may_owe", "holdings")

    def __init__(self, balances: Mapping[str, int], assets: Iterable[str], *, may_owe: bool = False) -> None:
        self.holdings: dict[str, Holding] = {}
        for asset in (*balances, *assets):
            atoms = balances.get(asset, 0)
            self.holdings.setdefault(asset, Holding(asset, atoms, atoms))
        self._changed: dict[str, None] = {}
        self._may_owe = may_owe

    @property
    def changed(self) -> bool:
        """Whether anything changed since `take_changed` was last called."""
        return bool(self._changed)

    def free(self, asset: str) -> int:
        """Return what is neither spent nor locked."""
        return self.holdings[asset].free_atoms

    def lock(self, asset: str, atoms: int) -> None:
        """Set aside more, or less if negative."""
        if atoms:
            self.holdings[asset].locked_atoms += atoms
            self._changed[asset] = None

    def move(self, asset: str, atoms: int) -> None:
        """Receive from the world, or pay to it if negative."""
        if atoms:
            holding = self.holdings[asset]
            holding.total_atoms += atoms
            holding.world_atoms -= atoms
            self._changed[asset] = None

    def take_changed(self, locks: Mapping[str, int]) -> tuple[BalanceView, ...]:
        """Return what changed since the last call, after checking it.

        Args:
            locks: by asset, what the open orders have locked.
        """
        changed = tuple(self._view(asset) for asset in self._changed)
        for asset in self._changed:
            self.check(asset, locks.get(asset, 0))
        self._changed.clear()
        return changed

    def check(self, asset: str, locked_atoms: int) -> None:
        """Assert that money neither appeared nor vanished, and that no more is locked than there is."""
        holding = self.holdings[asset]
        assert holding.total_atoms + holding.world_atoms == holding.opening_atoms, f"money is off: {holding}"
        assert holding.locked_atoms == locked_atoms, f"orders lock {locked_atoms}: {holding}"
        enough = self._may_owe or holding.locked_atoms <= holding.total_atoms
        assert holding.locked_atoms >= 0 and enough, f"more is locked than there is: {holding}"  # noqa: PT018 - one rule

    def views(self) -> list[BalanceView]:
        """Return all balances."""
        return [self._view(asset) for asset in self.holdings]

    def _view(self, asset: str) -> BalanceView:
        holding = self.holdings[asset]
        return BalanceView(asset=asset, free_atoms=holding.free_atoms, locked_atoms=holding.locked_atoms)

    def load(self, kept: Iterable[Holding]) -> None:
        """Restore; an asset that is not among `kept` stays as it is."""
        self._changed.clear()
        for holding in kept:
            self.holdings[holding.asset] = holding
