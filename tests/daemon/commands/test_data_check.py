"""`pitboss data check`: a table for people, JSON for programs, and exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from config.errors import UserError
from daemon.commands.data_check import check_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.daemon.conftest import Run

GOOD = "ts,open,high,low,close,volume\n" + "".join(
    f"{1_699_999_980_000 + 60_000 * row},10,12,9,11,{1 + row % 3}\n" for row in range(12)
)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Return files by what they are."""
    texts = {
        "good": GOOD,
        "gappy": "\n".join(line for row, line in enumerate(GOOD.splitlines()) if row not in {5, 6}),
        "bad": GOOD.replace("1700000100000,10", "1700000100000,-10"),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return {name: str(tmp_path / f"{name}.csv") for name in texts}


def test_what_is_sound_or_only_noted_ends_well(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    check_command([files["good"], files["gappy"]], None, None, None, as_json=True)
    report = json.loads(capsys.readouterr().out)
    good, gappy = report["series"]
    assert (report["errors"], good["findings"], good["rows"], good["timeframe_ns"]) == (0, [], 12, 60_000_000_000)
    (gap,) = gappy["findings"]
    assert gap == {
        "kind": "gap",
        "severity": "note",
        "count": 1,
        "first_row": 5,
        "first_ns": 1_700_000_340_000_000_000,
        "example": "2 missing between 2023-11-14 22:16:00 and 2023-11-14 22:19:00",
        "figures": {"missing": 2, "longest": 2},
    }


def test_an_error_is_exit_code_1_and_a_line_of_the_table(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        check_command([files["bad"]], None, None, None, as_json=False)
    assert ended.value.code == 1
    shown = capsys.readouterr().out
    for words in ("bars of 1m, 12 rows", "price_not_positive", "2023-11-14 22:15:00", "open -10.0, high 12"):
        assert words in shown


def test_a_timeframe_can_be_given_and_a_wrong_one_is_refused(files: dict[str, str]) -> None:
    with pytest.raises(SystemExit):
        check_command([files["good"]], None, "2m", None, as_json=True)
    with pytest.raises(UserError, match="'2x' is no timeframe"):
        check_command([files["good"]], None, "2x", None, as_json=True)


def test_the_command_line_tells_defects_from_wrong_questions(invoke: Callable[..., Run], files: dict[str, str]) -> None:
    assert invoke("data", "check", files["bad"]).code == 1
    assert invoke("data", "check", files["good"], files["gappy"], "--json").json["errors"] == 0
    refused = invoke("data", "check", files["good"] + "x")
    assert (refused.code, refused.errors) == (2, f"pitboss: {files['good']}x: No such file or directory\n")


def test_a_copy_is_repaired_by_named_policies(
    invoke: Callable[..., Run], files: dict[str, str], tmp_path: Path
) -> None:
    copy = str(tmp_path / "copy.parquet")
    refused = invoke("data", "check", files["bad"], "--repair", copy)
    assert (refused.code, "--policy price_not_positive=drop" in refused.errors) == (2, True)
    wanted = ("--policy", "price_not_positive=drop", "--policy", "outside_range=drop", "--policy", "gap=fill")
    done = invoke("data", "check", files["bad"], "--repair", copy, *wanted, "--json").json
    assert (done["rows_dropped"], done["rows_filled"], done["after"]["rows"]) == (1, 0, 11)
    shown = invoke("data", "check", files["gappy"], "--repair", copy, *wanted).output
    assert "repaired: gap=fill" in shown
    assert "filled in 2" in shown
    assert invoke("data", "check", copy).code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("good", "gappy", "--repair", "x.parquet"), "--repair writes one copy"),
        (("good", "--policy", "gap=fill"), "give the copy's name with --repair OUT"),
        (("good", "--repair", "x.parquet", "--policy", "gap=full"), "gap can be treated by: keep, fill, fail"),
    ],
)
def test_a_repair_that_is_asked_wrongly_is_refused(
    arguments: tuple[str, ...], words: str, invoke: Callable[..., Run], files: dict[str, str]
) -> None:
    run = invoke("data", "check", *(files.get(each, each) for each in arguments))
    assert (run.code, words in run.errors, run.errors.count("\n")) == (2, True, 1)
