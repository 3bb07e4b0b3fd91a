"""How numbers, times and words of the daemon are written on the screen."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal

NOTHING = "–"  # noqa: RUF001 - a dash, not a minus
"""Stands where there is no value."""

_CENT = Decimal("0.01")
_DIGITS_MAX = 18
"""Of a number before or after its point; those of another size are written with an exponent."""
_EXACT = Context(prec=2 * _DIGITS_MAX)
_MINUTE_S = 60
_HOUR_S = 3_600
_DAY_S = 86_400
_SECONDS_MAX = 1e10
_LARGE_PRICE = 100.0
_SHORT_FROM = 1_000.0
_SMALL = 1e-4
_EXPONENT_FROM = 1e15
_DAY_NS = 86_400_000_000_000


def money(amount: Decimal | None, *, signed: bool = False) -> str:
    """Write quote units with thousands separators and two decimals, rounded half-up as the ledger rounds.

    Args:
        amount: how much, or None.
        signed: whether a gain carries its plus.
    """
    if amount is None:
        return NOTHING
    if _is_huge(amount):
        return _short(amount)
    rounded = amount.quantize(_CENT, ROUND_HALF_UP, _EXACT) or Decimal("0.00")
    return f"{rounded:+,.2f}" if signed and rounded else f"{rounded:,.2f}"


def quantity(amount: Decimal) -> str:
    """Write base units with exactly the decimals they have."""
    tiny = amount and amount.adjusted() <= -_DIGITS_MAX
    return _short(amount) if _is_huge(amount) or tiny else f"{amount:,f}"


def price(value: Decimal | float | None, step: Decimal | None = None) -> str:
    """Write a price.

    Args:
        value: in quote units, or None.
        step: of the symbol's prices, whose decimals it gets; without it, those that its size calls for.
    """
    if value is None:
        return NOTHING
    if _is_huge(value):
        return _short(value)
    size = abs(float(value))
    decimals = 2 if size >= _LARGE_PRICE else 4 if size >= 1 else 8
    if step is not None and step > 0:
        exponent = step.normalize(_EXACT).as_tuple().exponent
        decimals = min(_DIGITS_MAX, max(0, -exponent)) if isinstance(exponent, int) else decimals
        value = Decimal(repr(value)) if isinstance(value, float) else value
        return f"{value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _EXACT):,f}"
    return f"{value:,.{decimals}f}"


def percent(share: float, decimals: int = 0, *, signed: bool = False) -> str:
    """Write a fraction as a percentage, rounded half-up.

    Args:
        share: 1 is all of it.
        decimals: of the percentage.
        signed: whether a gain carries its plus.
    """
    if not abs(share) < _EXPONENT_FROM:
        return f"{share:.3g}"
    rounded = Decimal(repr(share * 100)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _EXACT) or Decimal(0)
    return f"{rounded:{'+' if signed and rounded else ''},.{decimals}f}%"


def amount(value: float | None) -> str:
    """Write an amount of whatever unit: short, and with the decimals its size calls for."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size < 1:
        return f"{value:.2g}" if 0 < size < _SMALL else f"{value:.4f}".rstrip("0").rstrip(".")
    return f"{value:,.0f}" if _EXPONENT_FROM > size >= _SHORT_FROM else f"{value:,.4g}"


def _is_huge(value: Decimal | float) -> bool:
    """Return whether a number is none, or has more digits than a line has room for."""
    exact = Decimal(value)
    return not exact.is_finite() or (bool(exact) and exact.adjusted() >= _DIGITS_MAX)


def _short(value: Decimal | float) -> str:
    exact = Decimal(value)
    return "not a number" if exact.is_nan() else f"{value:.3e}" if exact.is_finite() else "∞" if value > 0 else "-∞"


def count(number: int) -> str:
    """Write a whole number with thousands separators."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Write how many there are of something: no orders, 1 order, 2 orders."""
    return f"{count(number) if number else 'no'} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Write a length of time in its two largest units."""
    if not seconds < _SECONDS_MAX:
        return NOTHING
    whole = max(0, int(seconds)) if seconds > 0 else 0
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} m {whole % _MINUTE_S:02} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S:02} m"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S:02} h"


def moment(ts_ns: int) -> str:
    """Write a time of the core as date and time in UTC."""
    return _time(ts_ns, "%Y-%m-%d %H:%M:%S")


def time_of_day(ts_ns: int) -> str:
    """Write a time of the core as the time in UTC alone."""
    return _time(ts_ns, "%H:%M:%S")


def when(ts_ns: int, now_ns: int) -> str:
    """Write a time of the core as the time in UTC, behind its date where that is another day's than now's."""
    return _time(ts_ns, "%H:%M:%S" if day_of(ts_ns) == day_of(now_ns) else "%m-%d %H:%M:%S")


def day_of(ts_ns: int) -> int:
    """Return the number of a day in UTC."""
    return ts_ns // _DAY_NS


def _time(ts_ns: int, form: str) -> str:
    try:
        return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):{form}}"
    except (ValueError, OverflowError, OSError):
        return NOTHING


def words(text: str) -> str:
    """Make text of unknown origin fit for one line of a terminal: no control characters, single spaces."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
