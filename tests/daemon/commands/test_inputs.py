"""Words of the command line that say what a strategy trades."""

from __future__ import annotations

import pytest

from config.errors import UserError
from daemon.commands.inputs import settings_from


@pytest.mark.parametrize("strategy", [None, "ema_cross"])
def test_symbols_are_written_with_commas_between(strategy: str | None) -> None:
    (entry,) = settings_from(None, None, strategy, None, symbols="BTC/USDT, ETH/USDT").strategies
    assert (entry.symbol, entry.symbols) == (None, ("BTC/USDT", "ETH/USDT"))


@pytest.mark.parametrize("text", ["", ",", "A,,B", "A,"])
def test_symbols_without_a_name_are_one_line(text: str) -> None:
    with pytest.raises(UserError, match="write names with commas between, for example BTC/USDT,ETH/USDT"):
        settings_from(None, None, None, None, symbols=text)
