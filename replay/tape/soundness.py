"""What no row of a series may say, whoever wrote it: a price below zero, a high below the low, a bid above the ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replay.tape.columns import PRICE_NAMES

if TYPE_CHECKING:
    import polars as pl

PRICES: dict[str, tuple[str, ...]] = {
    "bars": PRICE_NAMES,
    "mark": PRICE_NAMES,
    "index": PRICE_NAMES,
    "trades": ("price",),
    "quotes": ("bid", "ask"),
    "book": ("price",),
    "liquidations": ("price",),
    "funding": ("mark",),
}
"""What must be positive, by kind; a premium may be negative."""
AMOUNTS: dict[str, tuple[str, ...]] = {
    "bars": ("volume", "quote_volume", "taker_volume", "trades"),
    "mark": ("volume",),
    "index": ("volume",),
    "premium": ("volume",),
    "trades": ("quantity",),
    "quotes": ("bid_quantity", "ask_quantity"),
    "book": ("quantity",),
    "liquidations": ("quantity",),
    "open_interest": ("open_interest", "value"),
}
"""What must not be negative, by kind."""
_ORDERED = {
    "high": (("low", "below"), ("open", "below"), ("close", "below")),
    "low": (("open", "above"), ("close", "above")),
    "bid": (("ask", "above"),),
}
"""What a value must not be, beside which other of its row."""


def first_unsound(frame: pl.DataFrame, kind: str) -> tuple[int, str, str] | None:
    """Return the index of the first row that cannot be true, its column and what is wrong; nothing if all can be.

    Args:
        frame: canonical columns of the kind; what is empty is not judged.
        kind: its name.
    """
    import polars as pl

    prices, amounts = PRICES.get(kind, ()), AMOUNTS.get(kind, ())
    rules = [(name, "", "is no price: prices are above zero", pl.col(name) <= 0) for name in prices]
    rules += [(name, "", "is below zero", pl.col(name) < 0) for name in amounts]
    for name, others in _ORDERED.items():
        for other, how in others:
            wrong = pl.col(name) < pl.col(other) if how == "below" else pl.col(name) > pl.col(other)
            rules.append((name, other, f"is {how} the {other}", wrong))
    rules = [rule for rule in rules if rule[0] in frame.columns]
    if not rules:
        return None
    wrong = pl.any_horizontal(rule[3].fill_null(value=False) for rule in rules)
    found = frame.select(wrong.alias("wrong")).get_column("wrong")
    if not found.any():
        return None
    index = found.arg_max() or 0
    row = frame[index]
    name, other, text, _ = next(rule for rule in rules if row.select(rule[3].fill_null(value=False)).item())
    beside = f" {row[0, other]!r}" if other else ""
    return index, name, f"{row[0, name]!r} {text}{beside}"
