"""Equal inputs, equal decisions: in one process, in two, by either driver, whatever the hash seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import messages as m
from actors.runtime.journal import decode_effects
from config.schema import Settings
from replay.driver import replay_tape
from replay.tape import Tape, synthetic_tape, tape_from_frame

Configure = Callable[..., Settings]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def two_markets(walk: Any, tape_of: Any, joined: Any) -> Tape:
    """Return two series with gaps, the second a little shorter."""
    tape: Tape = joined(tape_of(walk(21, 900, gaps=True), "X"), tape_of(walk(22, 850, gaps=True), "Y"))
    return tape


ENTRIES = [("Trader", "a", "X", 5), ("Slow", "b", "X", 6), ("Trader", "c", "Y", 7), ("Slow", "d", "Y", 8)]


# --- in one process ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_replay_repeats_itself(configure: Configure, two_markets: Tape) -> None:
    one, two = (replay_tape(configure(*ENTRIES), two_markets) for _ in range(2))
    assert one.fills > 300
    skip = {"wall_s", "bars_per_s"}
    assert {k: v for k, v in msgspec.structs.asdict(one).items() if k not in skip} == {
        k: v for k, v in msgspec.structs.asdict(two).items() if k not in skip
    }


@pytest.mark.slow
@pytest.mark.parametrize("latency_ms", [0.0, 25_000.0])
def test_stepping_bar_by_bar_as_live_does_equals_a_preloaded_replay(
    configure: Configure, two_markets: Tape, drive: Any, latency_ms: float
) -> None:
    settings = configure(*ENTRIES, venue__latency_ms=latency_ms)
    summary = replay_tape(settings, two_markets)
    live = drive(settings, two_markets).start().play([*two_markets.bars(), m.TapeEnded()])
    assert live.digest.hex() == summary.digest
    assert live.core.scheduler.messages() == summary.messages
    assert live.core.ledger.equity_atoms == int(summary.final_equity.scaleb(8))


def test_another_seed_is_another_history(configure: Configure, two_markets: Tape) -> None:
    digests = {replay_tape(configure(("Trader", "a", "X", seed)), two_markets).digest for seed in (1, 2, 3)}
    assert len(digests) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [("venue__slippage_bps", 1), ("venue__taker_fee", 0.002), ("venue__latency_ms", 100.0), ("risk__max_position", 1)],
)
def test_a_setting_that_matters_shows_in_the_digest(
    configure: Configure, two_markets: Tape, name: str, value: Any
) -> None:
    plain = replay_tape(configure(*ENTRIES), two_markets)
    changed = replay_tape(configure(*ENTRIES, **{name: value}), two_markets)
    assert plain.digest != changed.digest


def books(decisions: list[tuple[int, bytes]]) -> dict[str, list[Any]]:
    """Return what each strategy wished, ordered and got, without what is numbered across the account."""
    found: dict[str, list[Any]] = {}
    for ts_ns, effects in decisions:
        for each in decode_effects(effects):
            own = found.setdefault(each.strategy, [])
            if isinstance(each, m.Fill):
                own.append((ts_ns, "fill", each.ref, each.side, each.price_ticks, each.quantity_lots, each.fee_atoms))
            elif isinstance(each, m.PositionChanged):
                own.append((ts_ns, "book", each.quantity_lots, each.cost_atoms, each.realized_atoms))
            elif isinstance(each, m.OrderEvent):
                own.append((ts_ns, type(each).__name__, each.ref))
            else:
                own.append((ts_ns, each))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("order", [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]])
def test_the_order_of_strategies_matters_to_none_of_them(
    configure: Configure, two_markets: Tape, drive: Any, order: list[int]
) -> None:
    """Each has its own book; only what is numbered or limited across the account depends on the order."""
    inputs = [*two_markets.bars(), m.TapeEnded()]
    written = drive(configure(*ENTRIES), two_markets).start().play(inputs)
    permuted = drive(configure(*(ENTRIES[index] for index in order)), two_markets).start().play(inputs)
    assert books(written.decisions) == books(permuted.decisions)
    assert written.core.ledger.cash_atoms == permuted.core.ledger.cash_atoms


@pytest.mark.slow
def test_a_strategy_alone_trades_as_it_does_in_company(
    configure: Configure, walk: Any, tape_of: Any, joined: Any, drive: Any
) -> None:
    """On tapes without gaps: where the bar that closes an aggregate is missing, anybody's timer may complete it."""
    tape = joined(tape_of(walk(21, 700), "X"), tape_of(walk(22, 650), "Y"))
    inputs = [*tape.bars(), m.TapeEnded()]
    company = books(drive(configure(*ENTRIES), tape).start().play(inputs).decisions)
    for entry in ENTRIES:
        alone = drive(configure(entry), tape).start().play(inputs)
        assert books(alone.decisions) == {entry[1]: company[entry[1]]}


def test_the_order_of_series_matters_only_to_ties_between_them(
    configure: Configure, walk: Any, tape_of: Any, joined: Any, drive: Any
) -> None:
    """Who has a symbol of his own sees it alone; the account's marks of one time may swap places."""
    one, two = tape_of(walk(21, 400), "X"), tape_of(walk(22, 400), "Y")
    settings = configure(("Trader", "a", "X", 5), ("Trader", "c", "Y", 7))
    there, back = joined(one, two), joined(two, one)
    assert [bar.symbol for bar in there.bars()][:4] == ["X", "Y", "X", "Y"]
    assert [bar.symbol for bar in back.bars()][:4] == ["Y", "X", "Y", "X"]
    first = drive(settings, there).start().play([*there.bars(), m.TapeEnded()])
    second = drive(settings, back).start().play([*back.bars(), m.TapeEnded()])
    assert books(first.decisions) == books(second.decisions)
    assert first.core.ledger.equity_atoms == second.core.ledger.equity_atoms


def test_a_higher_timeframe_hears_the_bars_a_replay_of_them_would(
    configure: Configure, walk: Any, tape_of: Any, drive: Any
) -> None:
    """Slow on minutes decides as Trader does on the five-minute bars built of them; fills differ, wishes may not.

    With every wish vetoed the two states cannot part: what remains is what they were told of the market.
    """
    tape = tape_of(walk(31, 600))
    settings = configure(("Slow", "s", None, 3))
    slow = drive(settings, tape).start()
    slow.play([m.Pause("c"), *tape.bars(), m.TapeEnded()])
    fives: dict[str, list[float]] = {name: [] for name in ("ts", "open", "high", "low", "close", "volume")}
    table = walk(31, 600)
    for start in range(0, 600, 5):
        part = slice(start, start + 5)
        fives["ts"].append(table["ts"][start])
        fives["open"].append(table["open"][start])
        fives["high"].append(table["high"][part].max())
        fives["low"].append(table["low"][part].min())
        fives["close"].append(table["close"][start + 4])
        fives["volume"].append(table["volume"][part].sum())
    ready = tape_from_frame(fives, symbol="X/USD", timeframe="5m", tick=Decimal("0.01"), lot=Decimal("0.001"))
    direct = drive(configure(("Trader", "s", None, 3)), ready).start()
    direct.play([m.Pause("c"), *ready.bars(), m.TapeEnded()])
    assert slow.digest == direct.digest
    assert len(slow.decisions) > 50


# --- across processes -------------------------------------------------------------------------------


def run(hash_seed: str, *arguments: str) -> dict[str, Any]:
    """Return the JSON that `pitboss replay` prints in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PITBOSS_")}
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli", "replay", *arguments, "--json"],
        cwd=ROOT,
        env={**environment, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_two_processes_and_two_hash_seeds_give_one_digest(configure: Configure, trader: str, tmp_path: Path) -> None:
    config = tmp_path / "pitboss.toml"
    config.write_text(
        "".join(
            f'[[strategies]]\nuse = "{trader}:{kind}"\nid = "{identity}"\nparams = {{ seed = {seed} }}\n'
            for kind, identity, seed in (("Trader", "a", 5), ("Slow", "b", 6))
        )
    )
    arguments = ("--synthetic", "3:3000", "--config", str(config))
    runs = [run(seed, *arguments) for seed in ("0", "4242")]
    assert runs[0]["fills"] > 500
    assert runs[0]["digest"] == runs[1]["digest"]

    here = replay_tape(configure(("Trader", "a", None, 5), ("Slow", "b", None, 6)), synthetic_tape("3:3000"))
    assert here.digest == runs[0]["digest"], "and this process, with a hash seed of its own, agrees"
