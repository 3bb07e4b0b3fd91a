"""What every table of settings is made of: the base they share, and the bounds msgspec does not know."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1, le=2**53)]
"""At most what every reader of JSON counts exactly."""
Seconds = Annotated[float, Meta(gt=0, le=1e9)]

LARGEST = 10**30
"""No amount is larger: what is made of it must still fit a number."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table of settings: immutable, and an unknown key is an error."""


def check_bounds(name: str, value: Decimal | None, low: Decimal | int, high: Decimal | int | None = None) -> None:
    """Bound a decimal, which msgspec's Meta cannot; by `LARGEST` where nothing less is given.

    Raises:
        ValueError: names the setting and its bound.
    """
    if value is None:
        return
    highest = LARGEST if high is None else high
    if not value.is_finite() or not low <= value <= highest:
        is_much = value.is_finite() and value > highest
        upper = f" and at most {highest}" if is_much or high is not None else ""
        message = f"{name} must be a number of at least {low}{upper}, not {value}"
        raise ValueError(message)
