"""Named expressions in text: any order, no circles, and refusals that name the place and the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.features import SeriesKey
from actors.messages import Bar
from config.errors import UserError
from strategies.features.declarations import declarations, read_declarations
from strategies.features.graph import FeatureGraph
from strategies.features.rows import FeatureRows
from strategies.indicators import Column, close, crossed_above, ema, rsi


def test_names_may_refer_to_others_in_any_order() -> None:
    found = declarations(
        {"up": "crossed_above(fast, slow) and rsi < 70", "fast": "ema(10)", "slow": "ema(50)", "rsi": "rsi(14)"}, "r"
    )
    assert list(found) == ["up", "fast", "slow", "rsi"]
    assert found["up"] == (crossed_above(ema(10), ema(50)) & (rsi(14) < 70))


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        ({"a": "a + 1"}, r"^r: feature a: it refers to itself: a -> a$"),
        ({"x": "b", "a": "b + 1", "b": "ema(3, c)", "c": "a"}, r"r: feature (\w): it refers to itself: \1 -> \w -> \w"),
        ({"fast": "close", "up": "low > fats"}, r"r: feature up: column 7: there is no fats \(did you mean 'fast'\?\)"),
        ({"up": "ema(10"}, r"^r: feature up: column 4: '\(' was never closed: ema\(10$"),
        ({"up": "emma(10)"}, r"^r: feature up: column 1: there is no indicator emma \(did you mean"),
        ({"up": "ema(0)"}, r"^r: feature up: column 1: ema: period must be a whole number 1 to 100000, got 0$"),
        ({"volume": "ema(10)"}, r"^r: feature volume: choose another name, a column has that name$"),
        ({"a-b": "ema(10)"}, r"^r: feature a-b: choose another name, names are letters"),
        ({"up": 3}, r'^r: feature up: write the expression as text, such as "ema\(10\)", not 3$'),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(texts: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        declarations(texts, "r")


def test_a_long_chain_of_names_is_no_depth() -> None:
    texts: dict[str, object] = {f"f{number}": f"f{number + 1} + 1" for number in range(2_000)}
    found = declarations(texts | {"f2000": "close"}, "r")
    assert len(found) == 2_001
    key = SeriesKey("X", 60_000_000_000)
    rows = FeatureRows(found, FeatureGraph({"X": key.timeframe_ns}), key)
    row = rows.step(Bar("X", key.timeframe_ns, 0, key.timeframe_ns, 5.0, 5.0, 5.0, 5.0, 1.0))
    assert (row.f0, row.f2000) == (2_005.0, 5.0)
    assert str(found["f0"]).startswith("close + 1 + 1 + 1")
    assert len(str(found["f0"])) < 10_100


def test_a_file_has_features_and_signals(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('entry = "far > 2"\n[features]\nfar = "close - ema(3)"\n')
    far = close - ema(3)
    assert read_declarations(path) == {"far": far, "entry": far > 2}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[feature]\na='close'", r"rules.toml: there is no place for feature \(did you mean 'features'\?\)"),
        ("[features]\na='close", r"rules.toml: .*at end of document"),
        ("", r"rules.toml: write features into a table \[features\]"),
        ("features = 3", r"rules.toml: write features into a table"),
        ("entry='close'\n[features]\nentry='open'", "rules.toml: entry is there twice"),
    ],
)
def test_a_file_with_a_mistake_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_declarations(path)
    with pytest.raises(UserError, match="No such file"):
        read_declarations(tmp_path / "other.toml")


def test_a_name_that_is_called_is_the_indicator() -> None:
    assert declarations({"ema": "ema(3)"}, "r") == {"ema": ema(3)}
    assert declarations({"a": "bid"}, "r") == {"a": Column("bid")}
