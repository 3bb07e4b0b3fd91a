"""Timeframes as people write them."""

import pytest

from config.errors import UserError
from config.timeframe import opening_ns
from replay.tape import format_timeframe, parse_timeframe

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90s", 90),
        ("1m", 60),
        ("5m", 300),
        ("4h", 14_400),
        ("1d", 86_400),
        ("2w", 1_209_600),
    ],
)
def test_a_timeframe_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_timeframe(text) == seconds * SECOND


@pytest.mark.parametrize("text", ["", "5", "m", "0m", "-5m", "5M", "1.5h", "5 m", "5min", "\u0665m", "1e3s"])
def test_nonsense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="for example 5m"):
        parse_timeframe(text)


@pytest.mark.parametrize("text", ["5201w", "36401d", "999999w"])
def test_a_bar_of_more_than_a_century_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=f"'{text}' is no timeframe: the longest is 5200w"):
        parse_timeframe(text)


@pytest.mark.parametrize("text", ["1s", "90s", "1m", "5m", "90m", "4h", "1d", "1w", "5200w"])
def test_a_timeframe_is_written_in_its_largest_unit(text: str) -> None:
    assert format_timeframe(parse_timeframe(text)) == text


def test_other_writings_of_a_timeframe_come_back_shortest() -> None:
    assert format_timeframe(parse_timeframe("60m")) == "1h"
    assert format_timeframe(parse_timeframe("7d")) == "1w"


def test_a_step_that_is_no_whole_second_can_still_be_shown() -> None:
    assert format_timeframe(1_500_000_000) == "1.5s"


def test_bars_begin_on_multiples_of_their_length_and_weeks_on_mondays() -> None:
    thursday = 1_704_326_400  # 4 January 2024, 00:00 UTC
    for text, expected in (("4h", 1_704_326_400), ("1d", 1_704_326_400), ("1w", 1_704_067_200)):
        assert opening_ns((thursday + 3_599) * SECOND, parse_timeframe(text)) == expected * SECOND
