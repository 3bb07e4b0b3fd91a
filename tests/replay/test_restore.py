"""A snapshot at any input, loaded into a fresh core, goes on as if nothing had been."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from actors import messages as m
from config.schema import Settings
from replay.tape import Tape

Configure = Callable[..., Settings]

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "latency": {"venue__latency_ms": 25_000.0, "venue__slippage_bps": 7},
    "limits": {"risk__max_position": 2, "risk__max_notional": 150, "risk__max_orders_per_minute": 2},
    "daily loss": {"risk__max_daily_loss": 1},
    "many limits": {
        "risk__max_daily_loss": 30,
        "risk__max_drawdown": "0.001",
        "risk__actions": {"max_daily_loss": "pause", "max_drawdown": "cancel_all", "max_open_orders": "veto"},
        "risk__max_consecutive_losses": 2,
        "risk__loss_cooldown_s": 300,
        "risk__max_gap": "0.001",
        "risk__gap_bars": 2,
        "risk__max_volatility_ratio": "1.5",
        "risk__volatility_bars": 5,
        "risk__regime_bars": 30,
        "risk__max_open_orders": 6,
        "risk__max_orders_per_minute": 3,
        "risk__max_symbol_gross": 300,
        "risk__max_leverage": "0.01",
        "risk__max_shortfall": 2,
        "risk__shortfall_bars": 60,
        "risk__max_correlated_gross": 280,
        "risk__correlation_threshold": "0.05",
        "risk__correlation_bars": 20,
    },
    "checkpoints": {"supervision__checkpoint_inputs": 3, "market__stale_after_bars": 2},
}


def with_commands(bars: list[m.Bar], seed: int) -> list[m.Message]:
    """Strew commands over a tape; end it, and flatten after the end."""
    generator = random.Random(seed)
    inputs: list[m.Message] = []
    for index, bar in enumerate(bars):
        inputs.append(bar)
        if generator.random() < 0.03:
            kind = generator.choice([m.Pause, m.Resume, m.Flatten, m.Resume])
            inputs.append(kind(f"c{index}", generator.choice(["", f"k{index % 5}"])))
        if generator.random() < 0.02:
            inputs.append(m.Resume(f"r{index}"))
        if generator.random() < 0.02:
            limit, value = generator.choice([("max_position", 20), ("max_weekly_loss", 90), ("max_open_orders", 30)])
            inputs.append(m.Tighten(f"t{index}", limit, str(value - index // 20)))
    return [*inputs, m.TapeEnded(), m.Flatten("last")]


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_snapshot_continues_to_the_same_digest_and_the_same_state(
    configure: Configure, walk: Any, tape_of: Any, joined: Any, drive: Any, variant: str, seed: int
) -> None:
    tape: Tape = joined(tape_of(walk(seed, 260, gaps=True), "X"), tape_of(walk(seed + 50, 250, gaps=True), "Y"))
    settings = configure(
        ("Trader", "a", "X", seed),
        ("Slow", "b", "X", seed + 1),
        ("Trader", "c", "Y", seed + 2),
        ("Pair", "d", "Y,X", seed + 3),
        ("SlowPair", "e", "X,Y", seed + 4),
        ("Sized", "f", "Y", seed + 5),
        **VARIANTS[variant],
    )
    inputs = with_commands(list(tape.bars()), seed)
    generator = random.Random(f"{variant} {seed}")
    cuts = sorted({0, len(inputs) - 1, len(inputs), *generator.sample(range(len(inputs)), 9)})

    whole = drive(settings, tape).start()
    snapshots: dict[int, bytes] = {0: whole.snapshot()}
    for index, message in enumerate(inputs, start=1):
        whole.play([message])
        if index in cuts:
            snapshots[index] = whole.snapshot()
    assert len(whole.decisions) > (100 if "risk__actions" in VARIANTS[variant] else 200), "the traders traded"

    for cut in cuts:
        other = drive(settings, tape).restored(snapshots[cut])
        assert other.snapshot() == snapshots[cut], f"cut {cut}: a loaded core is the one that was kept"
        other.play(inputs[cut:])
        assert other.digest == whole.digest, f"cut {cut}"
        assert other.snapshot() == whole.snapshot(), f"cut {cut}"
        assert other.decisions == whole.decisions[len(whole.decisions) - len(other.decisions) :], f"cut {cut}"


def test_a_snapshot_behind_a_timer_and_many_restarts_in_a_row(
    configure: Configure, walk: Any, tape_of: Any, drive: Any
) -> None:
    """Restarted behind every single input, timers included."""
    tape = tape_of(walk(9, 60))
    settings = configure()
    inputs = with_commands(list(tape.bars()), 9)
    whole = drive(settings, tape).start().play(inputs)

    current = drive(settings, tape).start()
    for message in inputs:
        states: list[bytes] = []
        current.play([message], after=lambda states=states, current=current: states.append(current.snapshot()))
        for state in states:
            assert drive(settings, tape).restored(state).snapshot() == state
        current = drive(settings, tape).restored(states[-1])
    assert current.digest == whole.digest
    assert current.snapshot() == whole.snapshot()


def test_a_snapshot_of_another_wiring_is_refused(configure: Configure, walk: Any, tape_of: Any, drive: Any) -> None:
    tape = tape_of(walk(1, 20))
    one = drive(configure(("Trader", "a", None, 1)), tape).start()
    other = drive(configure(("Trader", "b", None, 1)), tape)
    with pytest.raises(AssertionError):
        other.restored(one.snapshot())


def test_a_snapshot_is_small_whatever_has_happened(configure: Configure, walk: Any, tape_of: Any, drive: Any) -> None:
    """State is bounded by what is open, and by windows."""
    tape = tape_of(walk(4, 1_500))
    settings = configure(risk__max_orders_per_minute=50)
    driven = drive(settings, tape).start()
    bars = list(tape.bars())
    sizes = []
    for start in range(0, 1_500, 250):
        driven.play([*bars[start : start + 250], m.Flatten(f"c{start}"), m.Resume("r", "again")])
        driven.core.control.commands.clear()
        sizes.append(len(driven.snapshot()))
    assert max(sizes) < 1.5 * min(sizes), sizes
