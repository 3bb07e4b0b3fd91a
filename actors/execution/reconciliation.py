"""Two accounts beside each other: what the venue says it holds, and what it should hold by our reckoning.

What was there before the session is not ours: the first look at it becomes the baseline. From then on the venue
must hold the baseline and what our executions changed, to the atom. A difference that is there once may only be
news that is still under way; one that is there twice is a difference of the accounts.

Spot changes two assets with every execution. A contract changes its wallet by what the venue says was realised, by
fees and by funding, and its position, which must be the baseline and all our books, to the lot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.instrument import ATOM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.instrument import Instrument
    from actors.messages import AccountReported, ForcedTrade, TradeReported


class Asset(msgspec.Struct):
    """What we know of one asset of the account, in atoms."""

    baseline_atoms: int | None = None
    """What the account held that was not ours, when the session first looked."""
    ours_atoms: int = 0
    """What our executions have changed since."""
    difference_atoms: int = 0
    """What did not add up the last time we looked."""


class Position(msgspec.Struct):
    """What we know of the account's position in one contract, in signed lots."""

    ours_lots: int = 0
    """All our books together."""
    baseline_lots: int | None = None
    """What was not ours when the session first looked."""
    difference_lots: int = 0
    """What did not add up the last time we looked."""


class Comparison(msgspec.Struct):
    """What one look at both accounts came to."""

    differences: list[str]
    """In words, one for each."""
    halts: list[str]
    """Those that were there the last time, too."""
    doubtful: bool
    """Whether something differs for the first time, so that another look is due."""

    def add(self, difference: int, before: int, words: str) -> bool:
        """Note a difference, if it is one; return whether it was there the last time, too."""
        if not difference:
            return False
        self.differences.append(words)
        if difference != before:
            self.doubtful = True
            return False
        self.halts.append(words)
        return True


class Accounts:
    """What we know of the venue's account.

    Args:
        instruments: exact units by symbol, with the names of their assets.
        books: (strategy, symbol, lots) of what our books hold when the session begins.

    Raises:
        ValueError: an instrument cannot be told apart at a real venue.
    """

    def __init__(self, instruments: Mapping[str, Instrument], books: Iterable[tuple[str, str, int]] = ()) -> None:
        self._instruments = instruments
        self.lot_atoms = {symbol: _lot_atoms(instrument) for symbol, instrument in instruments.items()}
        self.assets: dict[str, Asset] = {}
        self.rest: dict[str, int] | None = None
        """What the account held of all else, in atoms, when nothing differed last; None before that."""
        self.positions: dict[str, Position] = {}
        for symbol, instrument in instruments.items():
            spec = instrument.spec
            self.assets.setdefault(spec.quote, Asset())
            if spec.contract:
                self.positions[symbol] = Position()
            else:
                self.assets.setdefault(spec.base, Asset())
        self._inherited: dict[str, int] = {}
        """What our books hold of base assets when the session begins, in atoms."""
        for _, symbol, lots in books:
            if symbol in self.positions:
                self.positions[symbol].ours_lots += lots
            else:
                base = instruments[symbol].spec.base
                self._inherited[base] = self._inherited.get(base, 0) + lots * self.lot_atoms[symbol]

    def foreign_lots(self, symbol: str) -> int:
        """Return the part of a contract's position that is not ours, signed."""
        return self.positions[symbol].baseline_lots or 0

    def changed(self, asset: str, atoms: int) -> None:
        """Take in what a payment changed."""
        self.assets[asset].ours_atoms += atoms

    def forced(self, trade: ForcedTrade) -> None:
        """Take in what the venue did on its own: none of it is ours, and our books stay as they are."""
        position = self.positions[trade.symbol]
        if position.baseline_lots is not None:  # else the first look sees it
            position.baseline_lots += trade.side * trade.quantity_lots
        self.changed(self._instruments[trade.symbol].spec.quote, trade.realized_atoms)
        self._pay_fee(trade)

    def executed(self, trade: TradeReported) -> None:
        """Take in what an execution of ours changed."""
        instrument = self._instruments[trade.symbol]
        spec = instrument.spec
        if spec.contract:
            self.positions[trade.symbol].ours_lots += trade.side * trade.quantity_lots
            self.assets[spec.quote].ours_atoms += trade.realized_atoms
        else:
            value_atoms = instrument.value_atoms(trade.price_ticks, trade.quantity_lots)
            self.assets[spec.base].ours_atoms += trade.side * trade.quantity_lots * self.lot_atoms[trade.symbol]
            self.assets[spec.quote].ours_atoms -= trade.side * value_atoms
        self._pay_fee(trade)

    def _pay_fee(self, trade: TradeReported | ForcedTrade) -> None:
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
                found.halts += self._lacking(name, asset.baseline_atoms)
            expected_atoms = asset.baseline_atoms + asset.ours_atoms
            difference_atoms = total_atoms - expected_atoms
            words = f"{name}: the venue holds {_decimal(total_atoms)}, we expect {_decimal(expected_atoms)}"
            if found.add(difference_atoms, asset.difference_atoms, words):
                asset.baseline_atoms += difference_atoms  # a resume goes on from what is
                difference_atoms = 0
            asset.difference_atoms = difference_atoms
        self._compare_positions(account, found)
        if not found.differences:
            self.rest = {name: atoms for name, atoms in reported.items() if name not in self.assets}
        for symbol in self.positions:
            if self.foreign_lots(symbol):
                words = f"{symbol}: a position of {self._quantity(symbol, self.foreign_lots(symbol))} is not ours"
                found.differences.append(words)
        return found

    def _lacking(self, name: str, baseline_atoms: int) -> list[str]:
        """Return in words what our books inherited and the account does not have: spot has no positions to compare."""
        held_atoms = self._inherited.get(name, 0)
        if baseline_atoms >= held_atoms:
            return []
        words = f"{name}: the books hold {_decimal(held_atoms)}, the account only {_decimal(baseline_atoms)}"
        return [f"{words}; if it was sold elsewhere, begin anew with another --state-dir"]

    def _compare_positions(self, account: AccountReported, found: Comparison) -> None:
        reported = {position.symbol: position.quantity_lots for position in account.positions}
        for symbol, position in self.positions.items():
            total_lots = reported.get(symbol, 0)
            if position.baseline_lots is None:
                position.baseline_lots = total_lots - position.ours_lots
            expected_lots = position.baseline_lots + position.ours_lots
            difference_lots = total_lots - expected_lots
            total, expected = self._quantity(symbol, total_lots), self._quantity(symbol, expected_lots)
            words = f"{symbol}: the venue's position is {total}, we expect {expected}"
            if found.add(difference_lots, position.difference_lots, words):
                position.baseline_lots += difference_lots
                difference_lots = 0
            position.difference_lots = difference_lots

    def _quantity(self, symbol: str, lots: int) -> str:
        return f"{self._instruments[symbol].quantity(lots).normalize():f}"


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
