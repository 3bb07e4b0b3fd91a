"""What the venue kept of an execution: in quote, in base, or in an asset that is not traded here at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import FeeInAsset, FeeInBase

if TYPE_CHECKING:
    from actors.instrument import Instrument
    from actors.messages import TradeReported


def fees_of(
    trade: TradeReported, instrument: Instrument, lot_atoms: int, strategy: str
) -> tuple[int, FeeInBase | FeeInAsset | None, str]:
    """Return (atoms of the quote asset that the fill itself carries, what is booked beside it, trouble in words).

    Args:
        trade: the execution.
        instrument: what was traded.
        lot_atoms: a lot in atoms of the base asset.
        strategy: whose book it is.
    """
    spec = instrument.spec
    atoms, asset = trade.fee_atoms, trade.fee_asset
    if not atoms or asset == spec.quote:
        return atoms, None, ""
    key = (strategy, trade.symbol, trade.trade_id)
    if asset == spec.base and not spec.contract:
        lots, rest_atoms = divmod(atoms, lot_atoms)
        if rest_atoms or lots < 0:
            return 0, None, f"a fee of {atoms} atoms of {asset} cannot be booked"
        return 0, FeeInBase(*key, lots, instrument.value_atoms(trade.price_ticks, lots)), ""
    if trade.fee_value_atoms < 0:
        payable = spec.quote if spec.contract else f"{spec.base} or {spec.quote}"
        trouble = (
            f"trade {trade.trade_id} was charged in {asset}, whose worth in {spec.quote} is not known (it is owed at"
            f" none): have the venue charge fees in {payable}"
        )
        return 0, FeeInAsset(*key, asset, atoms, 0), trouble
    return 0, FeeInAsset(*key, asset, atoms, trade.fee_value_atoms if atoms > 0 else -trade.fee_value_atoms), ""
