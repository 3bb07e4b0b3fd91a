"""The strategies in the box, rule by rule."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.messages import Bar
from strategies.indicators import bbands, ema
from strategies.library.bollinger_reversion import BollingerReversion
from strategies.library.ema_cross import EmaCross


class Desk:
    """A desk whose position follows every target at once."""

    symbol = "X"

    def __init__(self) -> None:
        self.position = 0.0
        self.targets: list[float | None] = []

    def target(self, quantity: float, *_: Any) -> int:
        self.targets[-1] = quantity
        self.position = quantity
        return 1


def bar(close: float) -> Bar:
    return Bar("X", 60, 0, 60, close, close, close, close, 1.0)


def targets(strategy: Any, rows: list[tuple[float, dict[str, float]]], position: float = 0.0) -> list[float | None]:
    """Return what the strategy aimed at on each bar, None where it was content."""
    desk = Desk()
    desk.position = position
    strategy.bind(desk)
    strategy.on_start()
    for close, features in rows:
        desk.targets.append(None)
        strategy.on_bar(bar(close), SimpleNamespace(**features))
    return desk.targets


def cross(*gaps: float) -> list[float | None]:
    """Feed differences of fast and slow."""
    return targets(EmaCross(quantity=0.5), [(1.0, {"fast": 10.0 + gap, "slow": 10.0}) for gap in gaps])


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ((1,), [None]),
        ((-1,), [None]),
        ((1, 2, 3), [None, None, None]),
        ((-1, 1), [None, 0.5]),
        ((0, 1), [None, 0.5]),
        ((1, -1), [None, 0.0]),
        ((0, -1), [None, 0.0]),
        ((-1, 0, 1), [None, None, 0.5]),
        ((1, 0, -1), [None, None, 0.0]),
        ((-1, 1, 0, 1), [None, 0.5, None, 0.5]),
        ((-1, 1, 0, 0, -1), [None, 0.5, None, None, 0.0]),
        ((-1, 1, -1, 1), [None, 0.5, 0.0, 0.5]),
    ],
)
def test_ema_cross_acts_when_the_averages_cross(gaps: tuple[float, ...], expected: list[float | None]) -> None:
    """From at or below to above it buys, from at or above to below it leaves; to be equal is no cross."""
    assert cross(*gaps) == expected


def test_ema_cross_forgets_nothing_over_a_restart() -> None:
    strategy = EmaCross(quantity=0.5)
    targets(strategy, [(1.0, {"fast": 9.0, "slow": 10.0})])
    other = EmaCross(quantity=0.5)
    desk = Desk()
    other.bind(desk)  # type: ignore[arg-type]
    other.load_state(strategy.dump_state())
    desk.targets.append(None)
    other.on_bar(bar(1.0), SimpleNamespace(fast=11.0, slow=10.0))
    assert desk.targets == [0.5]


def test_ema_cross_looks_at_two_averages_of_the_close() -> None:
    assert EmaCross(fast=3, slow=7).features() == {"fast": ema(3), "slow": ema(7)}


BANDS = {"bands_upper": 12.0, "bands_middle": 10.0, "bands_lower": 8.0}


def reversion(*closes: float, short: bool = False) -> list[float | None]:
    return targets(BollingerReversion(quantity=0.5, short=short), [(close, BANDS) for close in closes])


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        ((9, 8, 8.5), [None, None, None]),
        ((7.9,), [0.5]),
        ((7.9, 7, 9.9), [0.5, None, None]),
        ((7.9, 10), [0.5, 0.0]),
        ((7.9, 13), [0.5, 0.0]),
        ((7.9, 10, 7), [0.5, 0.0, 0.5]),
        ((12.1, 13), [None, None]),
    ],
)
def test_reversion_buys_below_the_band_and_leaves_at_the_middle(
    closes: tuple[float, ...], expected: list[float | None]
) -> None:
    assert reversion(*closes) == expected


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        ((12,), [None]),
        ((12.1,), [-0.5]),
        ((12.1, 13, 10.1), [-0.5, None, None]),
        ((12.1, 9.9), [-0.5, 0.0]),
        ((12.1, 10), [-0.5, 0.0]),
        ((12.1, 7), [-0.5, 0.0]),
        ((7.9, 10, 12.1), [0.5, 0.0, -0.5]),
    ],
)
def test_reversion_sells_short_above_the_band_where_told_to(
    closes: tuple[float, ...], expected: list[float | None]
) -> None:
    assert reversion(*closes, short=True) == expected


def test_reversion_looks_at_the_bands_of_the_close() -> None:
    assert BollingerReversion(period=9, deviations=1.5).features() == {"bands": bbands(9, 1.5)}
