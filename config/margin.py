"""How contracts are held on margin at the simulated venue: tiers, and what is otherwise for one of them."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta

from config.section import Section, check_bounds

_VALUE_MAX = 5 * 10**13
_RATE_MIN = Decimal("1e-12")
_RATE_MAX = Decimal("0.999")


class MarginTier(Section, frozen=True):
    """Contracts worth more than `above`: the highest leverage, and the rate of the maintenance margin."""

    above: Decimal
    """Value in quote units; 0 in the first tier."""
    leverage: Annotated[int, Meta(ge=1, le=1_000)]
    """The highest that a position of this size may have."""
    rate: Decimal
    """Maintenance margin, as a fraction of the value; what lower tiers take less is taken off."""


def _tiers(*rows: tuple[int, int, str]) -> tuple[MarginTier, ...]:
    return tuple(
        MarginTier(above=Decimal(above), leverage=leverage, rate=Decimal(rate)) for above, leverage, rate in rows
    )


BTCUSDT_TIERS = _tiers(
    (0, 125, "0.004"),
    (50_000, 100, "0.005"),
    (250_000, 50, "0.01"),
    (1_000_000, 20, "0.025"),
    (10_000_000, 10, "0.05"),
    (20_000_000, 5, "0.1"),
    (50_000_000, 4, "0.125"),
    (100_000_000, 3, "0.15"),
    (200_000_000, 2, "0.25"),
    (300_000_000, 1, "0.5"),
)
"""Of Binance's BTCUSDT perpetual, as announced on 2021-03-18."""


class ContractTerms(Section, frozen=True):
    """What of `[venue]` is otherwise for one contract; ``None`` is as for all."""

    leverage: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    """Its leverage."""
    margin_mode: Literal["cross", "isolated"] | None = None
    """Its margin."""
    tiers: tuple[MarginTier, ...] | None = None
    """Its tiers."""


def check_tiers(name: str, tiers: Sequence[MarginTier], leverage: int | None) -> None:
    """Check that tiers ascend from 0 in value and rate, descend in leverage, and that `leverage` is among them.

    Raises:
        ValueError: names the tier, or the leverage.
    """
    if not tiers or tiers[0].above:
        message = f"{name} must begin with a tier above 0"
        raise ValueError(message)
    for index, tier in enumerate(tiers):
        check_bounds(f"{name}[{index}].above", tier.above, 0, _VALUE_MAX)
        check_bounds(f"{name}[{index}].rate", tier.rate, _RATE_MIN, _RATE_MAX)
    for index, (tier, after) in enumerate(pairwise(tiers), start=1):
        if after.above <= tier.above or after.rate <= tier.rate or after.leverage >= tier.leverage:
            message = f"{name}[{index}]: a later tier is above more, with a higher rate and a lower leverage"
            raise ValueError(message)
    if leverage is not None and leverage > tiers[0].leverage:
        message = f"leverage {leverage} is more than the highest of {name}, {tiers[0].leverage}"
        raise ValueError(message)
