"""Expressions as text: what is read, what is written, and what is refused where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.features.text import parse
from strategies.indicators import (
    KINDS,
    Column,
    Expression,
    Indicator,
    bbands,
    close,
    crossed_above,
    ema,
    external,
    high,
    hl2,
    rsi,
    where,
)
from strategies.indicators.expression import Combined, lifted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("crossed_above(ema(10), ema(50)) and rsi(14) < 70", crossed_above(ema(10), ema(50)) & (rsi(14) < 70)),
        ("(close - ema(50).on('1h')) / 2", (close - ema(50).on("1h")) / 2),
        ("bbands(20, deviations=2.5).upper", bbands(20, 2.5)["upper"]),
        ('bbands(20)["upper"]', bbands(20)["upper"]),
        ("ema(10, rsi(14)) > ema(period=10, source=volume)", ema(10, rsi(14)) > ema(10, "volume")),
        ("close.lag(2)", close.lag(2)),
        ("hl2.lag()", hl2.lag(1)),
        ("not close > high or -close < 1e-3", ~(close > high) | (-close < 0.001)),
        ('external("fear_greed") < 20', external("fear_greed") < 20),
        ('close.on("1h", symbol="ETH/USDT")', close.on("1h", symbol="ETH/USDT")),
        ("where(close > open, 1, -1)", where(close > Column("open"), 1, -1)),
        ("trend * 2", ema(99) * 2),
        ("(close +\n high)", close + high),
    ],
)
def test_text_means_what_it_means_in_python(text: str, expected: Expression) -> None:
    assert parse(text, {"trend": ema(99)}) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("emma(10)", r"column 1: there is no indicator emma \(did you mean 'ema'\?\)"),
        ("close + clsoe", r"column 9: there is no clsoe \(did you mean 'close'\?\)"),
        ("ema > close", r"column 1: ema is an indicator: write ema\(...\)"),
        ("ema(0)", "column 1: ema: period must be a whole number 1 to 100000, got 0"),
        ("ema()", "column 1: .*missing 1 required positional argument: 'period'"),
        ("ema(perod=3)", r"column 1: ema has no perod \(did you mean 'period'\?\); it takes period, source$"),
        ("close + ema(period=3, period=4)", "column 9: ema is given period twice"),
        ("close.on('1h', timeframe='2h')", "column 1: .on is given the timeframe twice"),
        ("close > ) 1", "column 9: unmatched"),
        ("1 < close < 2", "column 1: comparisons do not chain"),
        ("close == 2", "column 1: compare with < <= > >="),
        ("bbands(20) > 1", "column 1: .* has 3 values: pick one, such as .upper"),
        ("bbands(20).top", "column 1: .* has no 'top', it has upper, middle, lower"),
        ("close ** 2", "column 1: close \\*\\* 2 has no place in an expression"),
        ("__import__('os')", "column 1: there is no indicator __import__"),
        ("close.__class__", "column 1: close has no '__class__'"),
        ("(lambda: 1)()", "cannot be called"),
        ("[1]", "has no place in an expression"),
        ("'close'", "'close' is no number"),
        ("True", "True is no number"),
        ("-True", "column 2: True is no number"),
        ("1e999", "a constant must be a finite number"),
        ("close > -1" + "0" * 400, "column 9: a constant must be a finite number, not one of more than 308 digits$"),
        ("(close\n  + external('ä') + nix)", "line 2, column 21: there is no nix"),
        ("\n\n close ** 2", r"line 3, column 2: close \*\* 2 has no place"),
        ("close.on(3)", ".on takes a timeframe and a symbol"),
        ("close.on('1h', 'X')", ".on takes the symbol by name"),
        ("close.on()", "needs a timeframe or a symbol"),
        ("1 + ema(3).on('soon')", "column 5: 'soon' is no timeframe: write a whole number and one of the units"),
        ("external(close)", "external takes the name of a series"),
        ("ema(**close)", r"\*\* has no place"),
        ("", "column"),
        ("(" * 300 + "close" + ")" * 300, "nested|too many"),
        ("-" * 150 + "close", "nested too deeply"),
        ("(" + "close+" * 500 + "close) ** 2", "has no place in an expression"),
        ("close" + "()" * 500, r"close\(\).* cannot be called"),
        ("ä" * 5_000, "there is no ä+...$"),
        ("close+" * 3000 + "close", "an expression of 18005 characters; 10000 at most"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_place(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        parse(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1_100


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_can_be_written_and_read(kind: object) -> None:
    name = kind.name  # type: ignore[attr-defined]
    params = tuple(param.default for param in KINDS[name].params)
    expression = Indicator(name, params, KINDS[name].sources, KINDS[name].outputs)
    assert parse(str(expression)) == expression


leaves = st.sampled_from(
    [close, high, Column("volume"), ema(3), rsi(14), bbands(5)["lower"], external("mood")]
) | st.floats(-1e6, 1e6).map(lifted)


def combined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    two = st.tuples(st.sampled_from(["+", "-", "*", "/", "<", "<=", ">", ">=", "&", "|"]), inner, inner)
    one = st.tuples(st.sampled_from(["neg", "not"]), inner)
    return (
        two.map(lambda made: Combined(made[0], made[1:]))
        | one.map(lambda made: Combined(made[0], made[1:]))
        | inner.map(lambda made: made.lag(2))
        | inner.map(lambda made: made.on("1h"))
        | inner.map(lambda made: ema(7, made))
    )


@given(expression=st.recursive(leaves, combined, max_leaves=12))
def test_whatever_is_written_reads_back(expression: Expression) -> None:
    """By its text: a number with a sign may stand for a sign before a number."""
    assert str(parse(str(expression))) == str(expression)


def test_an_expression_is_no_truth() -> None:
    with pytest.raises(TypeError, match="has a value per bar, not one truth"):
        bool(close > high)
