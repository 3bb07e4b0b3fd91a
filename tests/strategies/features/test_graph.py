"""The graph of features: one evaluation of what is asked for twice, several series, and what comes between bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numba import njit

from actors import messages as m
from actors.features import SeriesKey
from config.errors import UserError
from strategies.features import nodes
from strategies.features.graph import FeatureGraph
from strategies.features.needs import Told
from strategies.features.rows import FailedRow, FeatureError, FeatureRows
from strategies.indicators import Column, Expression, bbands, close, custom, ema, external, sma

MINUTE = 60_000_000_000
X, Y = SeriesKey("X", MINUTE), SeriesKey("Y", MINUTE)
BASE = {"X": MINUTE, "Y": MINUTE}


def bar(number: int, price: float, symbol: str = "X", minutes: int = 1) -> m.Bar:
    open_ns = number * minutes * MINUTE
    return m.Bar(symbol, minutes * MINUTE, open_ns, open_ns + minutes * MINUTE, price, price, price, price, 1.0)


def test_what_two_strategies_ask_for_is_computed_once() -> None:
    graph = FeatureGraph(BASE)
    one = FeatureRows({"a": ema(3) - ema(5), "b": ema(3)}, graph, X)
    other = FeatureRows({"c": ema(5), "d": bbands(4)["upper"], "e": bbands(4)["lower"]}, graph, X)
    kernels = [node for node in graph.lanes[X].nodes if type(node).__name__ == "Kernel"]
    assert len(kernels) == 3, "two averages and one pair of bands"
    rows = [(one.step(each), other.step(each)) for each in (bar(number, 10.0 + number) for number in range(8))]
    alone = FeatureRows({"a": ema(3) - ema(5), "b": ema(3)}, FeatureGraph(BASE), X)
    again = [alone.step(bar(number, 10.0 + number)) for number in range(8)]
    assert [None if row is None else row.a for row, _ in rows] == [None if row is None else row.a for row in again]


def test_what_is_named_again_and_again_is_computed_once_and_needs_no_room_written_out() -> None:
    """Each doubles the one before: written out it is 2 ** 60 names."""
    made: Expression = close
    for _ in range(60):
        made = made + made
    graph = FeatureGraph(BASE)
    rows = FeatureRows({"a": made, "b": made.on("1m"), "c": (made - 1).on("60s") + 1}, graph, X)
    Told({"X": frozenset()}).check({"a": made}, "X")
    assert (rows.step(bar(0, 2.0)).a, len(graph.nodes)) == (2.0**61, 62)
    assert len(str(made)) < 10_100


def test_numbers_that_are_equal_are_one() -> None:
    graph = FeatureGraph(BASE)
    rows = FeatureRows({"a": close * 0, "b": close * -0.0, "c": close * np.float64(0.0)}, graph, X)
    assert [str(value) for value in values(rows.step(bar(0, 5.0)))] == ["0.0", "0.0", "0.0"]
    assert len(graph.constants) == 1


def test_another_timeframe_is_read_as_of_its_last_closed_bar() -> None:
    graph = FeatureGraph(BASE)
    rows = FeatureRows({"hour": sma(2).on("1h"), "here": close}, graph, X)
    assert graph.built == [SeriesKey("X", 60 * MINUTE), X]
    assert graph.merges
    assert not rows.by_chunks
    graph.take(bar(0, 10.0, minutes=60))
    assert rows.step(bar(60, 1.0)) is None
    graph.take(bar(1, 20.0, minutes=60))
    assert [rows.step(bar(120, 2.0)).hour, rows.step(bar(121, 3.0)).hour] == [15.0, 15.0]
    graph.take(bar(2, 40.0, minutes=60))
    assert rows.step(bar(180, 4.0)).hour == 30.0
    assert rows.history == {SeriesKey("X", 60 * MINUTE): 1, X: 0}


def test_another_symbol_is_read_as_it_stands_and_can_be_compared_with() -> None:
    graph = FeatureGraph(BASE)
    rows = FeatureRows({"ratio": close / close.on(symbol="Y")}, graph, X)
    assert SeriesKey("Y", MINUTE) in graph.stepped
    assert rows.step(bar(0, 10.0)) is None
    graph.take(bar(0, 5.0, "Y"))
    assert rows.step(bar(1, 20.0)).ratio == 4.0


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        (close.on(symbol="Z"), r"feature a: there are no bars of Z \(did you mean|feature a: there are no bars of Z$"),
        (close.on("90s"), "feature a: 90s bars of X cannot be built from its own"),
        (close.on("30s"), "feature a: 30s bars of X cannot be built"),
    ],
)
def test_a_series_that_is_not_there_is_refused_in_one_line(expression: Expression, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        FeatureRows({"a": expression}, FeatureGraph(BASE), X)


def test_a_value_is_read_from_when_it_was_told_and_sums_run_from_bar_to_bar() -> None:
    graph = FeatureGraph(BASE)
    declared = {
        "mood": external("mood"),
        "rate": Column("funding"),
        "spread": Column("ask") - Column("bid"),
        "flow": Column("buy_volume") - Column("sell_volume"),
        "count": Column("trade_count"),
    }
    rows = FeatureRows(declared, graph, X)
    assert graph.hears == {m.External, m.Funding, m.Quote, m.BookSnapshot, m.Trade}
    graph.hear(m.Funding("X", 0.0001, 0, 0))
    graph.hear(m.Funding("Y", 0.5, 0, 0))
    graph.hear(m.Quote("X", 9.0, 1.0, 11.0, 2.0, 0))
    graph.hear(m.Trade("X", 1, 10.0, 3.0, m.BUY, 0))
    graph.hear(m.Trade("X", 2, 10.0, 1.0, m.SELL, 0))
    graph.hear(m.Trade("X", 3, 10.0, 7.0, 0, 0))
    graph.hear(m.Trade("Y", 3, 10.0, 100.0, m.BUY, 0))
    assert rows.step(bar(0, 10.0)) is None, "nobody has said anything of the mood"
    graph.hear(m.External("mood", 20.0, 0, 0))
    graph.hear(m.External("other", 90.0, 0, 0))
    row = rows.step(bar(1, 10.0))
    assert (row.mood, row.rate, row.spread, row.flow, row.count) == (20.0, 0.0001, 2.0, 0.0, 0.0)
    graph.hear(m.Trade("X", 4, 10.0, 3.0, m.BUY, 0))
    graph.hear(m.BookSnapshot("X", 1, ((9.5, 1.0), (9.0, 4.0)), ((10.5, 1.0),), 0))
    row = rows.step(bar(2, 10.0))
    assert (row.spread, row.flow, row.count) == (1.0, 3.0, 1.0)


def test_an_older_reading_that_is_corrected_is_not_the_newest_also_in_a_continued_session() -> None:
    def fresh() -> tuple[FeatureRows, FeatureGraph]:
        graph = FeatureGraph(BASE)
        return FeatureRows({"gdp": external("gdp")}, graph, X), graph

    told = ((1, 10.0), (2, 20.0), (1, 11.0), (2, 21.0), (3, 30.0))
    rows, graph = fresh()
    found = []
    for number, (ts_ns, value) in enumerate(told):
        heirs, heir = fresh()
        heir.load(graph.dump())
        rows, graph = heirs, heir
        graph.hear(m.External("gdp", value, ts_ns, number))
        found.append(rows.step(bar(number, 1.0)).gdp)
    assert found == [10.0, 20.0, 20.0, 21.0, 30.0]


def test_sums_and_told_values_survive_a_restart() -> None:
    def fresh() -> tuple[FeatureRows, FeatureGraph]:
        graph = FeatureGraph(BASE)
        return FeatureRows({"flow": Column("buy_volume"), "mood": external("mood")}, graph, X), graph

    _, graph = fresh()
    graph.hear(m.External("mood", 20.0, 0, 0))
    graph.hear(m.Trade("X", 1, 10.0, 3.0, m.BUY, 0))
    rows, heir = fresh()
    heir.load(graph.dump())
    heir.hear(m.Trade("X", 2, 10.0, 4.0, m.BUY, 0))
    row = rows.step(bar(0, 10.0))
    assert (row.flow, row.mood) == (7.0, 20.0)


def test_dividing_by_zero_gives_no_number_and_no_fault() -> None:
    graph = FeatureGraph(BASE)
    rows = FeatureRows({"here": close, "there": close / (close - 10)}, graph, X)
    assert rows.step(bar(0, 10.0)) is None
    assert rows.step(bar(1, 11.0)).there == 11.0
    assert np.isnan(rows.step(bar(2, 10.0)).there)


def force(state: Any, price: float, scale: float) -> float:
    """Give the change since the bar before."""
    change: float = (price - state[0]) * scale
    state[0] = price
    return change


@pytest.mark.parametrize("step", [force, njit(force)], ids=["python", "numba"])
def test_a_users_own_step_function_is_a_feature_like_any_other(step: Any) -> None:
    graph = FeatureGraph(BASE)
    rows = FeatureRows(
        {"force": custom(step, 2.0, slots=1, warmup=1), "mean": ema(2, custom(step, 2.0, slots=1, warmup=1))}, graph, X
    )
    found = [rows.step(bar(number, price)) for number, price in enumerate((10.0, 11.0, 13.0, 12.0))]
    assert found[:2] == [None, None]
    assert [row.force for row in found[2:]] == [4.0, -2.0]
    heir = FeatureGraph(BASE)
    again = FeatureRows(
        {"force": custom(step, 2.0, slots=1, warmup=1), "mean": ema(2, custom(step, 2.0, slots=1, warmup=1))}, heir, X
    )
    heir.load(graph.dump())
    again.warm = rows.warm
    assert values(again.step(bar(4, 15.0))) == values(rows.step(bar(4, 15.0)))


def values(row: Any) -> list[float]:
    return [getattr(row, name) for name in row.__struct_fields__]


def test_a_failing_step_function_fails_whoever_reads_it_and_recovers() -> None:
    def moody(state: Any, price: float) -> float:
        state[0] += 1.0
        if price == 13.0:
            raise ZeroDivisionError("bad luck")
        return float(state[0])

    graph = FeatureGraph(BASE)
    mine = FeatureRows({"mood": custom(moody, slots=1)}, graph, X)
    other = FeatureRows({"here": close}, graph, X)
    assert mine.step(bar(0, 10.0)).mood == 1.0
    failed = bar(1, 13.0)
    row = mine.step(failed)
    assert isinstance(row, FailedRow)
    with pytest.raises(FeatureError, match="feature mood: ZeroDivisionError: bad luck"):
        _ = row.mood
    assert other.step(failed).here == 13.0
    assert mine.step(bar(2, 10.0)).mood == 2.0, "the bar it failed on left no trace in its memory"


def test_why_a_row_failed_is_known_in_a_continued_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a strategy would be given no number there, and decide otherwise than without the restart."""

    def moody(state: Any, price: float) -> float:
        state[0] += 1.0
        return state[0] if price < 100.0 else float("nothing")

    def fresh() -> tuple[FeatureRows, FeatureGraph]:
        graph = FeatureGraph(BASE)
        return FeatureRows({"mood": custom(moody, slots=1).on("1h"), "words": close}, graph, X), graph

    rows, graph = fresh()
    hours = [bar(hour, price, minutes=60) for hour, price in enumerate((10.0, 100.0, 10.0))]
    graph.take(hours[0])
    assert rows.step(bar(60, 1.0)).mood == 1.0
    graph.take(hours[1])
    failed = rows.step(bar(120, 1.0))
    heirs, heir = fresh()
    heir.load(graph.dump())
    for row in (failed, heirs.step(bar(121, 1.0)), heirs.row(heirs.kept(failed))):
        with pytest.raises(FeatureError, match=r"^feature words: ValueError: could not convert string to float"):
            _ = row.words
    heir.take(hours[2])
    assert heirs.row(heirs.kept(heirs.step(bar(180, 1.0)))).mood == 2.0

    monkeypatch.setattr(nodes, "_OwnState", lambda *kept: kept[:2])
    before = graph.dump()
    monkeypatch.undo()
    rows, graph = fresh()
    graph.load(before)  # as it was kept before it had words
    graph.take(hours[2])
    assert rows.step(bar(180, 1.0)).mood == 2.0


@pytest.mark.parametrize("given", ["1.5", b"1", None, [1.0], 1j])
def test_what_a_step_function_gives_must_be_a_number(given: Any) -> None:
    rows = FeatureRows({"a": custom(lambda _, __: given)}, FeatureGraph(BASE), X)
    with pytest.raises(FeatureError, match="feature a: TypeError: "):
        _ = rows.step(bar(0, 10.0)).a


def test_a_step_function_may_be_anything_that_can_be_called() -> None:
    @dataclass
    class Scaled:
        by: float

        def __call__(self, _: Any, price: float) -> float:
            return self.by * price

    two = Scaled(2.0)
    graph = FeatureGraph(BASE)
    rows = FeatureRows({"a": custom(two), "b": custom(two) + 1, "c": custom(Scaled(3.0))}, graph, X)
    assert values(rows.step(bar(0, 10.0))) == [20.0, 21.0, 30.0]
    assert len(graph.nodes) == 3


def test_a_step_function_that_gives_the_wrong_number_of_values_fails() -> None:
    def three(_: Any, price: float) -> tuple[float, ...]:
        return price, price, price

    rows = FeatureRows({"pair": custom(three, outputs=("a", "b"))}, FeatureGraph(BASE), X)
    with pytest.raises(FeatureError, match="gave 3 values, and names 2"):
        _ = rows.step(bar(0, 10.0)).pair_a


def test_bars_that_end_together_are_closed_before_those_that_read_them() -> None:
    graph = FeatureGraph(BASE)
    quarter, hour = SeriesKey("X", 15 * MINUTE), SeriesKey("X", 60 * MINUTE)
    timeframes_ns = (240 * MINUTE, quarter.timeframe_ns, hour.timeframe_ns, hour.timeframe_ns)
    assert graph.closing_order("X", timeframes_ns) == [15 * MINUTE, 60 * MINUTE, 240 * MINUTE]
    FeatureRows({"own": sma(3), "hour": close.on("1h")}, graph, quarter)
    assert graph.closing_order("X", timeframes_ns) == [60 * MINUTE, 15 * MINUTE, 240 * MINUTE]
    FeatureRows({"day": close - ema(3).on("4h")}, graph, hour)
    assert graph.closing_order("X", timeframes_ns) == [240 * MINUTE, 60 * MINUTE, 15 * MINUTE]
    assert graph.closing_order("Y", timeframes_ns) == [15 * MINUTE, 60 * MINUTE, 240 * MINUTE]
    FeatureRows({"less": close.on("15m")}, FeatureGraph(BASE), hour)
