"""The drift report: what a session did beside what the simulated venue makes of the same time, to the last atom."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import messages as m
from actors.ledger import Account, Holding
from actors.runtime.journal import JournalReader
from config.errors import UserError
from config.schema import Settings
from replay.activity import Wish, pair, recorded, session_inputs, simulated
from replay.divergence import SoundRecords
from replay.drift import DriftReport, OrderDrift, StrategyDrift, TapeDrift, drift_report
from replay.journal import decode_plan, find_session
from replay.plan import SessionPlan, plan_session
from replay.tape import Tape, tape_from_frame

MINUTE = 60_000_000_000
BARS = 60


@pytest.fixture
def table(walk: Any) -> dict[str, Any]:
    made: dict[str, Any] = walk(77, BARS)
    return made


@pytest.fixture
def tape(table: dict[str, Any], tape_of: Any) -> Tape:
    made: Tape = tape_of(table)
    return made


@pytest.fixture
def traded(tape: Tape, keep: Any, real_plan: Any, venue: Any) -> Callable[..., Path]:
    """Return a runner of sessions traded for real."""

    def run(*inputs: m.Message, values: dict[str, Any] | None = None, **exchange: Any) -> Path:
        path: Path = keep(real_plan(tape, **(values or {})), inputs or tape.bars(), venue(**exchange))
        return path

    return run


def drift_of(path: Path, *arguments: Any, **options: Any) -> TapeDrift:
    report: DriftReport = drift_report(path, None, *arguments, code_hash="a", **options)
    assert options.get("overrides") or report.own.equal, report.own
    assert report.drift is not None
    return check_sums(report.drift)


def check_sums(drift: TapeDrift) -> TapeDrift:
    """Check what must hold of any report."""
    for figures in (drift.total, *drift.strategies):
        parts = (figures.cost_slippage, figures.cost_fees, figures.cost_missed, figures.cost_extra, figures.cost_rest)
        assert sum(parts) + figures.cost_funding == figures.cost
        assert figures.cost_fees == figures.fees_live - figures.fees_replay
    assert drift.total.cost == drift.equity_replay - drift.equity_live
    for name in StrategyDrift.__struct_fields__:
        if name not in {"strategy", "slippage_bps"}:
            assert getattr(drift.total, name) == sum(getattr(each, name) for each in drift.strategies), name
    assert drift.total.cost_slippage == sum(row.slippage for row in drift.orders)
    for outcome in ("missed", "extra", "pending"):
        assert getattr(drift.total, outcome) == sum(row.outcome == outcome for row in drift.orders)
    return drift


def gain(rows: list[OrderDrift], last_price: float) -> Decimal:
    """Return what orders that only one side executed have gained by the last price."""
    total = Decimal(0)
    for row in rows:
        price = row.price_live or row.price_replay
        assert price is not None
        side = 1 if row.side == "buy" else -1
        total += side * (row.quantity_live + row.quantity_replay) * (Decimal(str(last_price)) - price)
    return total


# --- a paper session --------------------------------------------------------------------------------


@pytest.fixture
def paper(configure: Callable[..., Settings], walk: Any, tape_of: Any, joined: Any, keep: Any) -> tuple[Path, Tape]:
    """Return the journal of a paper session on two markets, with commands, and its tape."""
    tape = joined(tape_of(walk(77, 120, gaps=True)), tape_of(walk(78, 110), "Y/USD"))
    inputs: list[m.Message] = list(tape.bars())
    inputs[50:50] = [m.Pause("c1")]
    inputs[70:70] = [m.Resume("c2"), m.Flatten("c3")]
    inputs[80:80] = [m.Resume("c4")]
    settings = configure(("Trader", "t", None, 4), ("Slow", "s", None, 5), ("Trader", "y", "Y/USD", 6))
    return keep(plan_session(settings, tape), [*inputs, m.TapeEnded(), m.Flatten("c5")]), tape


def test_a_paper_session_is_what_the_simulated_venue_makes_of_its_bars_order_by_order(paper: tuple[Path, Tape]) -> None:
    reader = JournalReader(paper[0])
    session = find_session(reader, None)
    plan, records = decode_plan(session.plan), SoundRecords(reader, session)
    live, replay = recorded(plan, records), simulated(plan, session_inputs(records))
    reader.close()

    assert live.orders == replay.orders
    assert live.wishes == replay.wishes
    assert live.books == replay.books
    assert len(live.orders) > 40


def test_a_paper_session_has_no_drift(paper: tuple[Path, Tape]) -> None:
    drift = drift_of(paper[0])

    assert drift.total.cost == drift.total.cost_missed == drift.total.cost_slippage == drift.total.cost_rest == 0
    assert drift.total.intents_live == drift.total.intents_matched == drift.total.intents_replay > 100
    assert drift.total.orders_live == drift.total.orders_matched == drift.total.orders_replay
    assert {row.outcome for row in drift.orders} == {"both"}
    assert [each.strategy for each in drift.strategies] == ["t", "s", "y"]
    assert drift.total.fees_live == drift.total.fees_replay > 0


def test_its_tape_gives_the_same_as_its_own_bars(paper: tuple[Path, Tape]) -> None:
    own, taped = drift_of(paper[0]), drift_of(paper[0], paper[1], "the tape")

    assert taped.tape == "the tape"
    assert taped.bars == own.bars
    assert (taped.total, taped.orders) == (own.total, own.orders)


def test_another_setting_of_the_simulated_venue_is_a_drift_of_its_own(paper: tuple[Path, Tape]) -> None:
    drift = drift_of(paper[0], overrides=["venue.taker_fee=0", "venue.maker_fee=0"])

    assert drift.total.fees_replay == 0
    assert drift.total.cost == drift.total.cost_fees == drift.total.fees_live > 0


# --- a session traded for real ----------------------------------------------------------------------


def test_what_a_real_venue_fills_worse_is_slippage(traded: Callable[..., Path], table: dict[str, Any]) -> None:
    """A market order fills at the last close and 3 ticks; the simulated venue takes the next open."""
    drift = drift_of(traded(slip_ticks=3))

    markets = [row for row in drift.orders if row.kind == "market" and row.outcome == "both"]
    assert len(markets) == BARS // 2 - 1
    for row in markets:
        bar = (row.ts - int(table["ts"][0])) // 60_000
        side = 1 if row.side == "buy" else -1
        live, replay = Decimal(str(table["close"][bar - 1])), Decimal(str(table["open"][bar]))
        assert row.price_live == live + side * Decimal("0.03")
        assert row.price_replay == replay
        assert row.slippage == side * (row.price_live - replay) * min(row.quantity_live, row.quantity_replay)
    assert drift.total.slippage_bps is not None
    assert drift.total.cost_slippage == sum(row.slippage for row in markets) != 0
    assert (drift.total.missed, drift.total.extra) == (0, 0)


def test_decisions_match_by_their_bar_however_late_the_bar_was_known(traded: Callable[..., Path]) -> None:
    drift = drift_of(traded())

    total = drift.total
    assert total.intents_live == total.intents_matched == total.intents_replay == 30
    assert total.orders_live == total.orders_matched == total.orders_replay
    assert drift.strategies[0].strategy == "f"


def test_a_fee_in_the_base_asset_counts_at_its_value(traded: Callable[..., Path]) -> None:
    drift = drift_of(traded())

    buy, sale = [row for row in drift.orders if row.outcome == "both"][:2]
    assert buy.price_live is not None
    assert sale.price_live is not None
    assert buy.fee_live == Decimal("0.0005") * buy.price_live
    assert (sale.quantity_live, sale.quantity_replay) == (Decimal("0.499"), Decimal("0.5"))
    assert abs(sale.fee_live - Decimal("0.000499") * sale.price_live) < Decimal("1e-7")
    assert drift.total.fees_live == sum(row.fee_live for row in drift.orders)


def test_an_order_that_fills_in_parts_is_one_row_at_their_average_price(
    traded: Callable[..., Path], table: dict[str, Any]
) -> None:
    """Five parts of 0.1, each one tick worse than the one before: two ticks worse on average."""
    drift = drift_of(traded(parts=5))

    first = drift.orders[0]
    bar = (first.ts - int(table["ts"][0])) // 60_000
    assert (first.quantity_live, first.quantity_replay) == (Decimal("0.5"), Decimal("0.5"))
    assert first.price_live == Decimal(str(table["close"][bar - 1])) + Decimal("0.02")
    assert drift.total.fills_live > 4 * drift.total.fills_replay


def test_an_order_the_venue_refused_is_missed_with_its_words(
    traded: Callable[..., Path], table: dict[str, Any]
) -> None:
    drift = drift_of(traded(refuse=[4]))

    missed = [row for row in drift.orders if row.outcome == "missed"]
    assert drift.total.rejected_live == 1
    assert missed[0].why == "rejected: no balance"
    assert missed[0].price_live is None
    assert missed[0].slippage_bps is None
    assert missed[0].order_id.startswith("pbabcdefg")
    assert drift.total.cost_missed == gain(missed, table["close"][-1]) != 0


def test_what_a_halt_vetoed_live_is_missed_and_told(tape: Tape, traded: Callable[..., Path]) -> None:
    """A halt is the world's doing and is not replayed; a pause is a person's, and is."""
    bars = list(tape.bars())

    halted = drift_of(traded(*bars[:20], m.Halt("the disk is full"), *bars[20:]))

    missed = [row for row in halted.orders if row.outcome == "missed"]
    assert halted.total.vetoes_live > 5
    assert halted.total.vetoes_replay == 0
    assert {row.why for row in missed if row.side == "buy"} == {"vetoed: trading is halted"}


def test_a_pause_is_replayed_with_the_session(tape: Tape, traded: Callable[..., Path]) -> None:
    bars = list(tape.bars())

    paused = drift_of(traded(*bars[:20], m.Pause("c1"), *bars[20:]))

    assert paused.total.vetoes_live == paused.total.vetoes_replay > 5
    assert paused.total.missed == 0


def test_a_tightened_limit_is_replayed_with_the_session(tape: Tape, traded: Callable[..., Path]) -> None:
    bars = list(tape.bars())

    tightened = drift_of(traded(*bars[:20], m.Tighten("c1", "max_position", "0.0001"), *bars[20:]))

    assert tightened.total.vetoes_live == tightened.total.vetoes_replay > 5
    assert tightened.total.missed == 0


def test_what_the_replay_would_not_do_is_extra(traded: Callable[..., Path], table: dict[str, Any]) -> None:
    drift = drift_of(traded(), overrides=["risk.max_position=0.0001"])

    assert drift.total.intents_matched == drift.total.intents_live
    assert {row.why for row in drift.orders if row.side == "buy"} == {"vetoed: position limit 0.0001"}
    assert drift.total.extra == drift.total.fills_live > 20
    assert drift.total.cost_extra == -gain(drift.orders, table["close"][-1]) != 0
    assert drift.total.slippage_bps is None
    assert drift.equity_replay == 100_000


def test_what_the_last_bar_leaves_no_time_for_is_pending(tape: Tape, traded: Callable[..., Path]) -> None:
    bars = list(tape.bars())

    drift = drift_of(traded(*bars[:9]))

    last = drift.orders[-1]
    assert (last.outcome, last.why) == ("pending", "the bars end here")
    assert (drift.total.pending, drift.total.extra, drift.total.cost_extra) == (1, 0, 0)


def test_an_intent_of_another_size_still_matches(traded: Callable[..., Path], flip: Path) -> None:
    path = traded()
    flip.write_text(flip.read_text().replace("self.buy(self.quantity)\n", "self.buy(self.quantity / 2)\n"))

    drift = check_sums(drift_report(path, current=True, code_hash="a").drift or pytest.fail("no drift"))

    assert drift.total.intents_resized == BARS // 4
    assert drift.total.intents_matched == drift.total.intents_live


def test_a_session_that_began_with_a_position_costs_only_what_drifted(
    tape: Tape, keep: Any, real_plan: Any, venue: Any
) -> None:
    plan: SessionPlan = real_plan(tape)
    held = Holding("f", "X/USD", 10**8, 90 * 10**8, 7 * 10**8, 3 * 10**8)
    plan = msgspec.structs.replace(plan, account=Account(10**12, [held]))

    drift = drift_of(keep(plan, tape.bars(), venue()))

    assert drift.total.intents_live == drift.total.intents_matched == 30
    assert abs(drift.total.cost) < 2
    assert abs(drift.equity_live - 10_100) < 20
    assert held.quantity_lots == 10**8, "a session leaves its plan as it was"


# --- over a tape ------------------------------------------------------------------------------------


def longer(table: dict[str, Any], before: int, after: int) -> dict[str, Any]:
    """Return the table with further rows at both ends."""
    first, last = int(table["ts"][0]), int(table["ts"][-1])
    times = [first - 60_000 * (before - i) for i in range(before)] + list(table["ts"])
    times += [last + 60_000 * (1 + i) for i in range(after)]
    values = {n: np.concatenate([[c[0]] * before, c, [c[-1]] * after]) for n, c in table.items() if n != "ts"}
    return {"ts": np.array(times), **values}


def test_a_longer_tape_is_cut_to_the_session(traded: Callable[..., Path], table: dict[str, Any], tape_of: Any) -> None:
    path = traded()

    own, taped = drift_of(path), drift_of(path, tape_of(longer(table, 30, 40)), "longer")

    assert (taped.total, taped.orders, taped.bars) == (own.total, own.orders, own.bars)
    assert taped.bars.shifted_ns == 0


@pytest.mark.parametrize("days", [-400, 400])
def test_a_tape_of_another_time_is_shifted_to_where_its_bars_were_seen(
    traded: Callable[..., Path], table: dict[str, Any], tape_of: Any, days: int
) -> None:
    path = traded()
    moved = longer(table, 30, 40)
    moved["ts"] = moved["ts"] + days * 86_400_000

    own, taped = drift_of(path), drift_of(path, tape_of(moved), "moved")

    assert (taped.total, taped.orders) == (own.total, own.orders)
    assert taped.bars.shifted_ns == -days * 86_400 * 10**9


def test_bars_the_feed_missed_and_bars_it_saw_otherwise_are_counted(
    tape: Tape, traded: Callable[..., Path], table: dict[str, Any], tape_of: Any
) -> None:
    bars = list(tape.bars())
    path = traded(*bars[:10], *bars[12:])
    table["close"][20] = table["low"][20]
    table["high"][30] += 0.01

    drift = drift_of(path, tape_of({name: column[:50] for name, column in table.items()}), "other")

    bars_compared = drift.bars
    assert (bars_compared.live, bars_compared.replay) == (BARS - 2, 50)
    assert (bars_compared.only_replay, bars_compared.only_live) == (2, 10)
    assert bars_compared.different == 1 + (table["close"][20] != bars[20].close)


def test_a_tape_that_never_was_what_the_session_saw_is_refused(
    traded: Callable[..., Path], walk: Any, tape_of: Any
) -> None:
    other = walk(5, 50)
    other["ts"] = other["ts"] - 400 * 86_400_000

    with pytest.raises(UserError, match="its bars are nowhere on the tape"):
        drift_of(traded(), tape_of(other))


def test_a_tape_of_another_timeframe_is_refused(traded: Callable[..., Path], table: dict[str, Any]) -> None:
    table["ts"] = table["ts"][0] + (table["ts"] - table["ts"][0]) * 5
    other = tape_from_frame(table, symbol="X/USD", timeframe="5m")

    with pytest.raises(UserError, match=r"bars of X/USD are of 1m, the tape's of 5m"):
        drift_of(traded(), other)


def test_the_only_tape_of_a_session_of_one_symbol_may_be_called_anything(
    traded: Callable[..., Path], table: dict[str, Any], tape_of: Any
) -> None:
    path = traded()

    assert drift_of(path, tape_of(table, "MYBARS")).total == drift_of(path).total


def test_a_symbol_the_tapes_do_not_have_is_refused(
    paper: tuple[Path, Tape], walk: Any, tape_of: Any, joined: Any
) -> None:
    found = joined(tape_of(walk(77, 120, gaps=True), "XUSD"), tape_of(walk(78, 110), "YUSX"))

    with pytest.raises(UserError, match=r"trades Y/USD, which the tape does not have \(did you mean 'YUSX'\?\)"):
        drift_of(paper[0], found)


# --- matching ---------------------------------------------------------------------------------------


def wish(bar: int, side: int = 1) -> Wish:
    return Wish(bar * MINUTE, m.Intent("s", "X/USD", bar, "order", side, 1.0))


def match(live: list[Wish], replay: list[Wish]) -> tuple[list[tuple[Wish, Wish]], list[Wish], list[Wish]]:
    return pair(live, replay, lambda one: (one.intent.symbol, one.intent.side), {"X/USD": MINUTE})


def bars_of(wishes: list[Wish]) -> list[int]:
    return [one.bar_ns // MINUTE for one in wishes]


def test_the_same_bar_matches_before_a_bar_beside_it() -> None:
    pairs, live, replay = match([wish(1), wish(2)], [wish(2), wish(3)])

    assert [bars_of(list(each)) for each in pairs] == [[2, 2]]
    assert (bars_of(live), bars_of(replay)) == ([1], [3])


def test_what_is_one_bar_apart_matches_and_what_is_two_does_not() -> None:
    pairs, live, replay = match([wish(1), wish(10), wish(20)], [wish(2), wish(9), wish(22)])

    assert [bars_of(list(each)) for each in pairs] == [[1, 2], [10, 9]]
    assert (bars_of(live), bars_of(replay)) == ([20], [22])


def test_the_other_side_never_matches() -> None:
    assert match([wish(1, 1)], [wish(1, -1)]) == ([], [wish(1, 1)], [wish(1, -1)])


_WISHES = st.lists(st.tuples(st.integers(1, 12), st.sampled_from([1, -1])), max_size=12).map(
    lambda drawn: [wish(bar, side) for bar, side in sorted(drawn)]
)


@given(_WISHES, _WISHES)
def test_matching_loses_and_invents_nothing(live: list[Wish], replay: list[Wish]) -> None:
    pairs, left_live, left_replay = match(live, replay)

    def told(wishes: list[Wish]) -> list[tuple[int, int]]:
        return sorted((one.bar_ns, one.intent.side) for one in wishes)

    assert told([one for one, _ in pairs] + left_live) == told(live)
    assert told([other for _, other in pairs] + left_replay) == told(replay)
    for one, other in pairs:
        assert abs(one.bar_ns - other.bar_ns) <= MINUTE
        assert one.intent.side == other.intent.side
    both = {one.bar_ns for one in left_live if one.intent.side == 1} & {
        other.bar_ns for other in left_replay if other.intent.side == 1
    }
    assert not both, "a pair of the same bar was left"
