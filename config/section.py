"""What every table of settings is made of: the base they share, and the bounds msgspec does not know."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=1e9)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every table of settings: immutable, and an unknown key is an error."""


def check_bounds(name: str, value: Decimal | None, low: Decimal | int, high: Decimal | int | None = None) -> None:
    """Bound a decimal, which msgspec's Meta cannot.

    Raises:
        ValueError: names the setting and its bound.
    """
    if value is None:
        return
    if not value.is_finite() or value < low or (high is not None and value > high):
        upper = "" if high is None else f" and at most {high}"
        message = f"{name} must be a number of at least {low}{upper}, not {value}"
        raise ValueError(message)
