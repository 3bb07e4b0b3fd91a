"""Funding on paper: who pays how much, when, and what is not paid at all."""

from __future__ import annotations

from typing import Any

import pytest

from actors import messages as m

MINUTE = 60_000_000_000
UNIT = 10**8


def announce(bench: Any, rate: float, minutes: int, mark: float | None = 120.0) -> int:
    """Announce funding `minutes` after now, and a mark; return when it is paid."""
    next_ns: int = bench.now_ns + minutes * MINUTE
    if mark is not None:
        bench.post(m.Mark("X", mark, 0.0, 0))
    bench.post(m.Funding("X", rate, next_ns, 0))
    return next_ns


def buyer(lots: float, scripted: Any) -> Any:
    return scripted({0: lambda strategy: strategy.target(lots)})


@pytest.mark.parametrize(("lots", "rate", "paid"), [(3, 0.01, 3.6), (-3, 0.01, -3.6), (3, -0.01, -3.6), (3, 0.0, 0.0)])
def test_longs_pay_shorts_at_a_positive_rate(
    rig: Any, scripted: Any, of: Any, lots: float, rate: float, paid: float
) -> None:
    bench = rig(buyer(lots, scripted), contract=True)
    bench.flat(100, 2)
    cash_atoms = bench.core.ledger.cash_atoms
    next_ns = announce(bench, rate, 1)
    bench.flat(100)
    (shared,) = of(m.FundingShared, bench.flat(100))
    assert shared == m.FundingShared("a", "X", next_ns // 1_000_000, -round(paid * UNIT), next_ns)
    assert bench.core.ledger.cash_atoms == cash_atoms - round(paid * UNIT)


def test_it_is_paid_once_and_the_newest_rate_and_mark_count(rig: Any, scripted: Any, of: Any) -> None:
    bench = rig(buyer(1, scripted), contract=True)
    bench.flat(100, 2)
    next_ns = announce(bench, 0.01, 3, 100.0)
    bench.post(m.Funding("X", 0.02, next_ns, 0))
    bench.post(m.Mark("X", 50.0, 0.0, 0))
    (shared,) = of(m.FundingShared, bench.flat(100, 10))
    assert shared.amount_atoms == -UNIT


def test_each_book_pays_its_part(rig: Any, scripted: Any, of: Any) -> None:
    bench = rig(buyer(3, scripted), buyer(-2, scripted), scripted({}), contract=True)
    bench.flat(100, 2)
    announce(bench, 0.01, 1, 100.0)
    bench.flat(100)
    shared = of(m.FundingShared, bench.flat(100))
    assert [(each.strategy, each.amount_atoms) for each in shared] == [("a", -3 * UNIT), ("b", 2 * UNIT)]


def test_the_position_at_the_time_counts(rig: Any, scripted: Any, of: Any) -> None:
    strategy = scripted({0: lambda s: s.target(3), 2: lambda s: s.target(0)})
    bench = rig(strategy, contract=True)
    bench.flat(100, 2)
    announce(bench, 0.01, 5)
    assert of(m.FundingShared, bench.flat(100, 10)) == []


def test_without_a_mark_nobody_can_say_how_much(rig: Any, scripted: Any, of: Any) -> None:
    bench = rig(buyer(3, scripted), contract=True)
    bench.flat(100, 2)
    announce(bench, 0.01, 1, mark=None)
    assert of(m.FundingShared, bench.flat(100, 5)) == []


def test_an_announcement_of_the_past_or_without_a_time_is_not_settled(rig: Any, scripted: Any, of: Any) -> None:
    bench = rig(buyer(3, scripted), contract=True)
    bench.flat(100, 2)
    bench.post(m.Mark("X", 100.0, 0.0, 0))
    for next_ns in (0, bench.now_ns - MINUTE, bench.now_ns):
        bench.post(m.Funding("X", 0.01, next_ns, 0))
    assert of(m.FundingShared, bench.flat(100, 5)) == []


def test_an_announcement_of_the_next_time_settles_the_last_one_first(rig: Any, scripted: Any, of: Any) -> None:
    """A venue's clock may be ahead of ours."""
    bench = rig(buyer(1, scripted), contract=True)
    bench.flat(100, 2)
    next_ns = announce(bench, 0.01, 1, 100.0)
    (shared,) = of(m.FundingShared, bench.post(m.Funding("X", 0.05, next_ns + 480 * MINUTE, 0)))
    assert (shared.paid_ns, shared.amount_atoms) == (next_ns, -UNIT)
    assert of(m.FundingShared, bench.flat(100, 5)) == []


def test_what_is_announced_survives_a_snapshot(rig: Any, scripted: Any, of: Any) -> None:
    bench, again = (rig(buyer(1, scripted), contract=True) for _ in range(2))
    bench.flat(100, 2)
    announce(bench, 0.01, 2, 100.0)
    again.restore(bench.snapshot())
    (shared,) = of(m.FundingShared, again.flat(100, 5))
    assert shared.amount_atoms == -UNIT


def test_spot_has_no_funding(rig: Any, scripted: Any, of: Any) -> None:
    bench = rig(buyer(3, scripted))
    bench.flat(100, 2)
    announce(bench, 0.01, 1)
    assert of(m.FundingShared, bench.flat(100, 5)) == []
    assert bench.core.paper_funding is None


def record(bench: Any, rate: float) -> list[m.Message]:
    """Tell what is paid at this very time, as a series beside a tape does."""
    said: list[m.Message] = bench.post(m.Funding("X", rate, bench.now_ns, bench.now_ns))
    return said


def test_a_record_of_what_was_paid_is_taken_at_the_close_of_the_newest_bar(rig: Any, scripted: Any, of: Any) -> None:
    bench = rig(buyer(3, scripted), contract=True)
    bench.flat(100, 2)
    bench.bar(100, close=110)
    paid_ns = bench.now_ns
    assert of(m.FundingShared, record(bench, 0.01)) == [], "who decides at that time does so before it is paid"
    (shared,) = of(m.FundingShared, bench.flat(500))
    assert shared == m.FundingShared("a", "X", paid_ns // 1_000_000, -round(3.3 * UNIT), paid_ns)


def test_a_mark_goes_before_the_close(rig: Any, scripted: Any, of: Any) -> None:
    bench = rig(buyer(3, scripted), contract=True)
    bench.flat(100, 2)
    bench.post(m.Mark("X", 120.0, 0.0, bench.now_ns))
    record(bench, 0.01)
    (shared,) = of(m.FundingShared, bench.flat(100))
    assert shared.amount_atoms == -round(3.6 * UNIT)


def test_a_record_waits_through_a_restart(rig: Any, scripted: Any, of: Any) -> None:
    bench = rig(buyer(3, scripted), contract=True)
    bench.flat(100, 2)
    record(bench, 0.01)
    again = rig(buyer(3, scripted), contract=True)
    again.restore(bench.snapshot())
    assert of(m.FundingShared, again.flat(100)) == of(m.FundingShared, bench.flat(100)) != []
