"""Two accounts beside each other: what the venue says it holds, and what it should hold by our reckoning.

What was there before the session is not ours: the first look at it becomes the baseline. From then on the venue
must hold the baseline and what our executions changed, to the atom. A difference that is there once may only be
news that is still under way; one that is there twice is a difference of the accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.instrument import ATOM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.instrument import Instrument
    from actors.messages import AccountReported, TradeReported


class Asset(msgspec.Struct):
    """What we know of one asset of the account, in atoms."""

    baseline_atoms: int | None = None
    """What the account held that was not ours, when the session first looked."""
    ours_atoms: int = 0
    """What our executions have changed since."""
    difference_atoms: int = 0
    """What did not add up the last time we looked."""


class Comparison(msgspec.Struct):
    """What one look at both accounts came to."""

    differences: list[str]
    """In words, one for each."""
    halts: list[str]
    """Those that were there the last time, too."""
    doubtful: bool
    """Whether something differs for the first time, so that another look is due."""


class Accounts:
    """What we know of the venue's account.

    Args:
        instruments: exact units by symbol, with the names of their assets.

    Raises:
        ValueError: an instrument cannot be told apart at a real venue.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self.lot_atoms = {symbol: _lot_atoms(instrument) for symbol, instrument in instruments.items()}
        self.assets: dict[str, Asset] = {}
        self.rest: dict[str, int] | None = None
        """What the account held of all else, in atoms, when nothing differed last; None before that."""
        for instrument in instruments.values():
            for name in (instrument.spec.base, instrument.spec.quote):
                self.assets.setdefault(name, Asset())

    def executed(self, trade: TradeReported) -> None:
        """Take in what an execution of ours changed."""
        instrument = self._instruments[trade.symbol]
        spec = instrument.spec
        value_atoms = instrument.value_atoms(trade.price_ticks, trade.quantity_lots)
        self.assets[spec.base].ours_atoms += trade.side * trade.quantity_lots * self.lot_atoms[trade.symbol]
        self.assets[spec.quote].ours_atoms -= trade.side * value_atoms
        if not trade.fee_atoms:
            return
        if trade.fee_asset not in self.assets:
            baseline_atoms = None if self.rest is None else self.rest.pop(trade.fee_asset, 0)
            self.assets[trade.fee_asset] = Asset(baseline_atoms)
        self.assets[trade.fee_asset].ours_atoms -= trade.fee_atoms

    def compare(self, account: AccountReported) -> Comparison:
        """Compare the venue's account with ours; a difference that is there twice is told once, and then taken over."""
        reported = {balance.asset: balance.total_atoms for balance in account.balances}
        found = Comparison([], [], doubtful=False)
        for name, asset in self.assets.items():
            total_atoms = reported.get(name, 0)
            if asset.baseline_atoms is None:
                asset.baseline_atoms = total_atoms - asset.ours_atoms
            expected_atoms = asset.baseline_atoms + asset.ours_atoms
            difference_atoms = total_atoms - expected_atoms
            seen_before = difference_atoms == asset.difference_atoms
            asset.difference_atoms = difference_atoms
            if not difference_atoms:
                continue
            words = f"{name}: the venue holds {_decimal(total_atoms)}, we expect {_decimal(expected_atoms)}"
            found.differences.append(words)
            if seen_before:
                asset.baseline_atoms += difference_atoms  # a resume goes on from what is
                asset.difference_atoms = 0
                found.halts.append(words)
            else:
                found.doubtful = True
        if not found.differences:
            self.rest = {name: atoms for name, atoms in reported.items() if name not in self.assets}
        return found


def _lot_atoms(instrument: Instrument) -> int:
    """Return what a lot is in atoms of the base asset.

    Raises:
        ValueError: it is not a whole number of them, or the assets have no names.
    """
    spec = instrument.spec
    lot_atoms = spec.lot / ATOM
    if lot_atoms != int(lot_atoms) or not spec.base or not spec.quote:
        message = f"instrument {spec.symbol}: a real venue needs the names of its assets, and a lot in whole 1e-8"
        raise ValueError(message)
    return int(lot_atoms)


def _decimal(atoms: int) -> str:
    sign, size = ("-", -atoms) if atoms < 0 else ("", atoms)
    return f"{sign}{size // 10**8}.{size % 10**8:08d}"
