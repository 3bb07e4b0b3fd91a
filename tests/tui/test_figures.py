"""How values are written."""

from decimal import Decimal

import pytest

from tui.figures import (
    amount,
    count,
    counted,
    duration,
    moment,
    money,
    percent,
    price,
    quantity,
    time_of_day,
    when,
    words,
)


@pytest.mark.parametrize(
    ("amount", "plain", "signed"),
    [
        ("0", "0.00", "0.00"),
        ("1234567.891", "1,234,567.89", "+1,234,567.89"),
        ("-1234.5", "-1,234.50", "-1,234.50"),
        ("2130.045", "2,130.05", "+2,130.05"),
        ("-2130.045", "-2,130.05", "-2,130.05"),
        ("0.004", "0.00", "0.00"),
        ("-0.004", "0.00", "0.00"),
    ],
)
def test_money_is_rounded_half_up_and_a_zero_has_no_sign(amount: str, plain: str, signed: str) -> None:
    assert money(Decimal(amount)) == plain
    assert money(Decimal(amount), signed=True) == signed


@pytest.mark.parametrize(
    ("amount", "text"), [("1E+1", "10"), ("0.00000001", "0.00000001"), ("-12345.5", "-12,345.5"), ("0", "0")]
)
def test_a_quantity_has_exactly_its_own_decimals(amount: str, text: str) -> None:
    assert quantity(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (41_640.126666666664, "41,640.13"),
        (Decimal(100), "100.00"),
        (99.5, "99.5000"),
        (0.000123456, "0.00012346"),
        (None, "–"),  # noqa: RUF001 - a dash, not a minus
    ],
)
def test_a_price_has_the_decimals_its_size_calls_for(value: Decimal | float | None, text: str) -> None:
    assert price(value) == text


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (95_376.0, "0.1", "95,376.0"),
        (41_640.126666666664, "0.01", "41,640.13"),
        (Decimal("0.125"), "0.01", "0.13"),
        (1.5, "1E-8", "1.50000000"),
        (1_234.0, "5", "1,234"),
        (1_234.0, "1E+1", "1,234"),
        (99.5, "0", "99.5000"),
    ],
)
def test_a_price_has_the_decimals_of_its_step_where_that_is_known(value: Decimal | float, step: str, text: str) -> None:
    assert price(value, Decimal(step)) == text


@pytest.mark.parametrize(
    ("share", "decimals", "text"),
    [(0.125, 0, "13%"), (0.0041, 2, "0.41%"), (2.5, 0, "250%"), (-0.0529, 2, "-5.29%"), (0.0, 2, "0.00%")],
)
def test_a_percentage_is_rounded_half_up(share: float, decimals: int, text: str) -> None:
    assert percent(share, decimals) == text
    assert percent(share, decimals, signed=True) == f"{'+' if share > 0 else ''}{text}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),  # noqa: RUF001 - a dash, not a minus
        (0.0, "0"),
        (0.002243, "0.0022"),
        (0.5, "0.5"),
        (0.000012345, "1.2e-05"),
        (3.5, "3.5"),
        (210.54, "210.5"),
        (59_377.6, "59,378"),
        (1e30, "1e+30"),
    ],
)
def test_an_amount_of_any_unit_is_short(value: float | None, text: str) -> None:
    assert amount(value) == text


def test_a_time_of_another_day_has_its_date() -> None:
    now_ns = 1_704_486_540_000_000_000
    assert when(now_ns, now_ns) == "20:29:00"
    assert when(now_ns - 20 * 3_600 * 10**9, now_ns) == "00:29:00"
    assert when(now_ns - 21 * 3_600 * 10**9, now_ns) == "01-04 23:29:00"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E+30", "1.000e+30"),
        ("-123456789012345678901", "-1.235e+20"),
        ("NaN", "not a number"),
        ("Infinity", "∞"),
        ("-Infinity", "-∞"),
    ],
)
def test_a_number_beyond_all_reason_still_has_room_on_a_line(number: str, text: str) -> None:
    amount = Decimal(number)
    assert money(amount) == quantity(amount) == price(amount) == price(float(number)) == text
    assert money(Decimal("1E-400")) == "0.00"
    assert (quantity(Decimal("1E-40")), price(1e-300)) == ("1.000e-40", "0.00000000")
    assert (quantity(Decimal("0E+40")), price(0.0), price(-0.0)) == ("0", "0.00000000", "-0.00000000")
    assert (duration(float("nan")), duration(1e300), moment(10**30), time_of_day(-(10**30))) == ("–", "–", "–", "–")  # noqa: RUF001


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60.0, "1 m 00 s"),
        (3_599.0, "59 m 59 s"),
        (3_600.0, "1 h 00 m"),
        (86_399.0, "23 h 59 m"),
        (90_000.0, "1 d 01 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_are_utc_whatever_the_zone_of_the_machine() -> None:
    assert moment(1_704_486_540_999_999_999) == "2024-01-05 20:29:00"
    assert time_of_day(1_704_486_540_000_000_000) == "20:29:00"


def test_counts_have_thousands_separators_and_nouns_agree() -> None:
    assert count(1_006_989) == "1,006,989"
    assert [counted(number, "order") for number in (0, 1, 2_000)] == ["no orders", "1 order", "2,000 orders"]


def test_text_of_unknown_origin_loses_what_a_terminal_would_obey() -> None:
    assert words("a\x1b[31mred\x1b[0m\n  line\ttwo\x07") == "a [31mred [0m line two"
