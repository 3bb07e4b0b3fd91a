"""What can be declared, what is refused, and that declaring stays cheap."""

import subprocess
import sys
from collections.abc import Callable
from inspect import signature

import msgspec
import numpy as np
import pytest

from strategies import indicators
from strategies.indicators import (
    Indicator,
    atr,
    bbands,
    ema,
    highest,
    lowest,
    rsi,
    sma,
    stddev,
)
from strategies.indicators.declaration import KINDS, PERIOD_MAX

MAKERS: tuple[Callable[[int], Indicator], ...] = (
    ema,
    sma,
    stddev,
    bbands,
    rsi,
    atr,
    highest,
    lowest,
)
by_maker = pytest.mark.parametrize("maker", MAKERS)


def test_every_kind_has_its_maker() -> None:
    """The function is called like the kind it declares, and declares what the kind's table says by default."""
    for kind in KINDS.values():
        maker = getattr(indicators, kind.name)
        given: list[object] = [int(param.default) if param.whole else param.default for param in kind.params]
        unset = [each for each in signature(maker).parameters.values() if each.default is each.empty]
        given += kind.sources[: max(0, len(unset) - len(given))]
        expected = Indicator(kind.name, tuple(param.default for param in kind.params), kind.sources, kind.outputs)
        assert maker(*given) == expected
        assert maker.__doc__ is not None
        assert kind.name in indicators.__all__


def test_fields_say_what_was_asked_for() -> None:
    """Parameters, sources and outputs stand in the declaration, defaults included."""
    assert ema(20) == Indicator("ema", (20.0,), ("close",), ("value",))
    assert atr(14) == Indicator("atr", (14.0,), ("high", "low", "close"), ("value",))
    assert highest(5).sources == ("high",)
    assert lowest(5).sources == ("low",)
    assert sma(5, "volume").sources == ("volume",)
    bands = bbands(20, 2.5, source="open")
    assert bands == Indicator("bbands", (20.0, 2.5), ("open",), ("upper", "middle", "lower"))
    assert bbands(20).params == (20.0, 2.0)


@pytest.mark.parametrize(
    ("indicator", "warmup"),
    [
        (ema(20), 19),
        (sma(1), 0),
        (stddev(20), 19),
        (bbands(20), 19),
        (rsi(14), 14),
        (atr(14), 14),
        (highest(20), 19),
        (lowest(1), 0),
    ],
)
def test_warmup_counts_the_leading_bars_without_value(indicator: Indicator, warmup: int) -> None:
    """RSI and ATR need a bar more, because they compare with the bar before."""
    assert indicator.warmup == warmup


@by_maker
def test_equal_by_value_and_hashable(maker: Callable[[int], Indicator]) -> None:
    """Two strategies that ask for the same feature can share it."""
    assert maker(9) == maker(9)
    assert len({maker(9), maker(9), maker(10)}) == 2


@by_maker
def test_survives_encoding(maker: Callable[[int], Indicator]) -> None:
    """A declaration can be stored in a manifest."""
    data = msgspec.msgpack.encode(maker(9))
    assert msgspec.msgpack.decode(data, type=Indicator) == maker(9)


def test_is_frozen() -> None:
    """A shared declaration cannot change under anyone."""
    with pytest.raises(AttributeError):
        ema(9).kind = "sma"


@by_maker
@pytest.mark.parametrize("period", [0, -1, PERIOD_MAX + 1, 10**400, 2.5, 20.0, float("nan"), "20", None, True])
def test_bad_period_is_refused_in_one_line(maker: Callable[[object], Indicator], period: object) -> None:
    """The line names the indicator and the bounds."""
    with pytest.raises(ValueError, match=rf"^\w+: period must be .* to {PERIOD_MAX}, got .*\Z"):
        maker(period)


@pytest.mark.parametrize("maker", [stddev, bbands, rsi])
def test_period_of_one_is_refused_where_it_says_nothing(maker: Callable[[int], Indicator]) -> None:
    """One value deviates from nothing, and one change is all gain or all loss."""
    with pytest.raises(ValueError, match="whole number 2 to"):
        maker(1)


@by_maker
def test_whole_numbers_of_any_type_and_the_bound_itself_are_periods(
    maker: Callable[[object], Indicator],
) -> None:
    """An optimiser's grid may come from numpy."""
    assert maker(np.int64(7)) == maker(7)
    assert maker(PERIOD_MAX).params[0] == PERIOD_MAX


@pytest.mark.parametrize("deviations", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_deviations_are_refused(deviations: float) -> None:
    """Bands of no width, or of infinite width, are a mistake."""
    with pytest.raises(ValueError, match=r"^bbands: deviations must be a number 1e-09 to 1e\+09, got"):
        bbands(20, deviations)


def test_unknown_source_is_refused() -> None:
    """The line lists what there is."""
    with pytest.raises(
        ValueError, match=r"^sma: unknown source 'clsoe' \(did you mean 'close'\?\), use open, high, low"
    ):
        sma(5, "clsoe")


@pytest.mark.parametrize(
    ("kind", "params", "sources", "outputs", "complaint"),
    [
        ("emma", (5.0,), ("close",), ("value",), r"unknown indicator 'emma' \(did you mean 'ema'"),
        ("ema", (), ("close",), ("value",), "expected 1 params"),
        ("ema", (5.0, 1.0), ("close",), ("value",), "expected 1 params"),
        ("ema", (2.5,), ("close",), ("value",), "period must be"),
        ("ema", (float("nan"),), ("close",), ("value",), "period must be"),
        ("atr", (5.0,), ("close",), ("value",), "expected 3 sources"),
        ("ema", (5.0,), ("close",), ("upper",), "the outputs are"),
    ],
)
def test_a_hand_made_declaration_is_checked_too(
    kind: str,
    params: tuple[float, ...],
    sources: tuple[str, ...],
    outputs: tuple[str, ...],
    complaint: str,
) -> None:
    """Whatever reaches the kernels has passed the same checks, decoded or made by hand."""
    with pytest.raises(ValueError, match=complaint):
        Indicator(kind, params, sources, outputs)
    fields = {"kind": kind, "params": params, "sources": sources, "outputs": outputs}
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=Indicator)


def test_declaring_loads_neither_numba_nor_numpy() -> None:
    """`pitboss --help` and the like import declarations and should not wait for a compiler."""
    script = (
        "import sys\n"
        "from strategies.indicators import bbands\n"
        "bbands(20)\n"
        "print(sorted({'numba', 'numpy'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
