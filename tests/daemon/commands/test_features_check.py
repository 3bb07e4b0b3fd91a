"""`pitboss features check`: exit 1 and the feature's name where something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

TAPE = ("--synthetic", "7:1000")
SUMS = """
from pitboss import Strategy, ta


def total(state, volume):
    state[0] += volume
    return state[0]


class Sums(Strategy):
    def features(self):
        return {"mean": ta.sma(5), "total": ta.custom(total, sources=("volume",), slots=1)}
"""


@pytest.mark.slow
def test_a_guilty_feature_is_named_with_exit_code_one(invoke: Callable[..., Run], tmp_path: Path) -> None:
    file = tmp_path / "sums.py"
    file.write_text(SUMS)
    run = invoke("features", "check", "-s", f"{file}:Sums", *TAPE, "--json")
    assert run.code == 1
    assert [(found["kind"], found["feature"]) for found in run.json["findings"]] == [("unstable", "total")]
    run = invoke("features", "check", "-s", f"{file}:Sums", *TAPE, "--bars", "800")
    assert run.code == 1
    shown = " ".join(run.output.split())
    assert "unstable: total: it depends on where the tape begins" in shown
    assert "2 values on 800 rows" in shown


def test_sound_features_of_a_file_end_with_zero(invoke: Callable[..., Run], tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[features]\nfast = "ema(10)"\n')
    run = invoke("features", "check", "--declare", str(rules), *TAPE)
    assert run.code == 0
    assert "nothing looks ahead" in run.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("-s", "ema_cros"), "there is no strategy ema_cros (did you mean 'ema_cross'?)"),
        (("-s", "ema_cross", "--timeframe", "5m"), "--timeframe and --strategy exclude each other"),
        (("-s", "ema_cross", "--tolerance", "0"), "--tolerance more than 0"),
        (("-s", "ema_cross", "--bars", "0"), "--bars must be 1 or more"),
        (("-s", "ema_cross", "--symbol", "X"), "no tape for X"),
        (("--declare", "no.toml"), "no.toml: No such file or directory"),
    ],
)
def test_what_cannot_be_checked_is_refused(
    invoke: Callable[..., Run], arguments: tuple[str, ...], complaint: str
) -> None:
    assert complaint in invoke("features", "check", *arguments, *TAPE).refusal
