"""Nothing that comes later changes what was decided before: tapes are cut off, and rewritten behind the cut."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from actors import messages as m
from actors.instrument import Instrument
from config.load import check_settings
from config.schema import Settings
from replay.driver import replay_tape
from replay.record import Recorder
from replay.tape import tape_from_frame

Configure = Callable[..., Settings]
ENTRIES = [("Trader", "a", None, 11), ("Slow", "b", None, 12)]
Chain = list[tuple[int, bytes]]


def chain(drive: Any, settings: Settings, table: dict[str, Any], tape_of: Any, count: int | None = None) -> Chain:
    tape = tape_of(table, count=count)
    decisions: Chain = drive(settings, tape).start().play(tape.bars()).decisions
    return decisions


def until(decisions: Chain, ts_ns: int) -> Chain:
    return [each for each in decisions if each[0] <= ts_ns]


@pytest.mark.slow
@pytest.mark.parametrize("gaps", [False, True])
def test_cutting_a_tape_off_never_changes_earlier_decisions(
    configure: Configure, walk: Any, tape_of: Any, drive: Any, gaps: bool
) -> None:
    """Decision by decision, not only fill by fill."""
    table, settings = walk(41, 500, gaps=gaps), configure(*ENTRIES)
    whole = chain(drive, settings, table, tape_of)
    assert len(whole) > 200
    for count in range(7, 500, 23):
        end_ns = (int(table["ts"][count - 1]) + 60_000) * 1_000_000
        assert chain(drive, settings, table, tape_of, count) == until(whole, end_ns), count


@pytest.mark.slow
def test_rewriting_what_comes_later_never_changes_earlier_decisions(
    configure: Configure, walk: Any, tape_of: Any, drive: Any
) -> None:
    table, other, settings = walk(42, 400), walk(43, 400), configure(*ENTRIES)
    whole = chain(drive, settings, table, tape_of)
    for count in range(9, 400, 31):
        rewritten = {
            name: np.concatenate([column[:count], other[name][count:] * (1 if name in ("ts", "volume") else 3)])
            for name, column in table.items()
        }
        end_ns = (int(table["ts"][count - 1]) + 60_000) * 1_000_000
        changed = chain(drive, settings, rewritten, tape_of)
        assert until(changed, end_ns) == until(whole, end_ns), count
        assert changed != whole


def fills(settings: Settings, frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Return the fills of a preloaded replay, which computes features a chunk at a time."""
    tape = tape_from_frame(frame, symbol="BTCUSD", timeframe="1m", tick=Decimal("0.01"))
    recorder = Recorder({"BTCUSD": Instrument(tape.series[0].instrument)})
    replay_tape(settings, tape, recorder=recorder)
    return recorder.fills().select("ts", "strategy", "side", "price_ticks", "quantity_lots", "fee_atoms").rows()


@pytest.mark.slow
def test_recorded_data_cut_off_inside_and_between_chunks(shared_data: Path) -> None:
    """A chunk has 16,384 rows: cuts around its border, and far from it."""
    frame = pl.read_parquet(shared_data / "ohlcv/1m/bitfinex_BTCUSD_1m_2019.parquet").head(17_000)
    entries = [{"use": "ema_cross"}, {"use": "bollinger_reversion", "params": {"short": True}}]
    settings = check_settings({"strategies": entries}, "test")
    whole = fills(settings, frame)
    assert len(whole) > 1_000
    for count in (700, 16_383, 16_384, 16_385, 16_900):
        last_ms = int(frame["ts"][count - 1])
        cut = fills(settings, frame.head(count))
        assert cut == [fill for fill in whole if fill[0] < last_ms + 60_000], count


def test_a_bar_is_known_at_its_close_and_not_before(configure: Configure, walk: Any, tape_of: Any, drive: Any) -> None:
    tape = tape_of(walk(1, 50))
    driven = drive(configure(), tape).start()
    for bar in tape.bars():
        driven.play([bar])
        assert driven.core.context.now_ns == bar.close_ns == bar.open_ns + 60_000_000_000
    assert all(isinstance(bar, m.Bar) for bar in tape.bars())
