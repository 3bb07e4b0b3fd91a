"""The kinds of series: what each one's columns are, and what is said of one that does not exist."""

import polars as pl
import pytest

from config.errors import UserError
from replay.tape.kinds import KINDS, POLARS_NAMES, Kind, kind_of


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_kind_begins_with_its_time_and_its_key_is_among_its_columns(kind: Kind) -> None:
    assert next(iter(kind.columns)) == "ts"
    assert kind.columns["ts"] == "time"
    assert set(kind.key) <= kind.types().keys()
    assert not kind.columns.keys() & kind.optional.keys()
    assert all(isinstance(getattr(pl, POLARS_NAMES[each])(), pl.DataType) for each in kind.types().values())


def test_a_kind_that_does_not_exist_is_refused_with_the_one_that_was_meant() -> None:
    assert kind_of("bars").has_timeframe
    with pytest.raises(UserError, match=r"no kind of series 'bar'.*'bars'"):
        kind_of("bar")
