"""Words of the command line that say what a strategy trades, and when."""

from __future__ import annotations

import pytest

from config.errors import UserError
from daemon.commands.inputs import settings_from, span_from


@pytest.mark.parametrize("strategy", [None, "ema_cross"])
def test_symbols_are_written_with_commas_between(strategy: str | None) -> None:
    (entry,) = settings_from(None, None, strategy, None, symbols="BTC/USDT, ETH/USDT").strategies
    assert (entry.symbol, entry.symbols) == (None, ("BTC/USDT", "ETH/USDT"))


@pytest.mark.parametrize("text", ["", ",", "A,,B", "A,"])
def test_symbols_without_a_name_are_one_line(text: str) -> None:
    with pytest.raises(UserError, match="write names with commas between, for example BTC/USDT,ETH/USDT"):
        settings_from(None, None, None, None, symbols=text)


def test_a_part_of_a_tape_lies_between_two_times_of_which_one_may_be_left_out() -> None:
    day_ns = 86_400 * 10**9
    assert span_from(None, None) is None
    assert span_from("1970-01-02", "1970-01-03T12:00+12:00") == (day_ns, 2 * day_ns)
    assert span_from("1970-01-02", None) == (day_ns, 2**63 - 1)
    assert span_from(None, "1970-01-02") == (0, day_ns)
    with pytest.raises(UserError, match="--to soon: write a date or a time"):
        span_from(None, "soon")
    with pytest.raises(UserError, match="--from 2024-01-02 lies behind --to 2024-01-01: there is nothing between them"):
        span_from("2024-01-02", "2024-01-01")
