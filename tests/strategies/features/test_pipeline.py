"""The preset: its groups and names."""

from __future__ import annotations

import pytest

from config.errors import UserError
from strategies.features.needs import reads
from strategies.features.pipeline import GROUPS, pipeline
from strategies.indicators.expression import COLUMNS


def test_bars_alone_feed_what_reads_nothing_else() -> None:
    columns = pipeline()
    assert not [found for name in columns for found in reads(columns[name], "X")]
    assert {"rsi_14_1h", "rsi_14_4h", "rsi_14_1d", "body", "breakout_up"} <= columns.keys()


def test_everything_that_is_told_is_used() -> None:
    columns = pipeline(told=COLUMNS, external=("fear_greed", "score"))
    read = {found for name in columns for found in reads(columns[name], "X")}
    assert {"funding", "open_interest", "mark", "bid", "buy_volume", "long_liquidations"} <= {name for _, name in read}
    assert {name for where, name in read if where is None} == {"fear_greed", "score"}
    assert all(name.isidentifier() for name in columns)
    parts = [pipeline([group], told=COLUMNS, external=("fear_greed", "score")) for group in GROUPS]
    assert sum(map(len, parts)) == len(columns), "no name is in two groups"


def test_a_group_that_is_not_there_or_not_fed_is_refused() -> None:
    with pytest.raises(UserError, match=r"the pipeline has no group candels \(did you mean 'candles'\?\); it has"):
        pipeline(["candels"])
    with pytest.raises(UserError, match="the group funding of the pipeline reads funding, which nothing here tells"):
        pipeline(["funding"])
