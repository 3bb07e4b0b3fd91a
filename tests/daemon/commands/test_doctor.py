"""`pitboss doctor`: what is wrong here, found by looking."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

STRATEGIES = Path(__file__).parents[1] / "user_strategies.py"
CHECKS = {
    "python",
    "packages",
    "sqlite",
    "configuration",
    "state directory",
    "disk",
    "token",
    "journal",
    "kernel cache",
    "port",
    "strategies",
    "clock",
}


@pytest.fixture
def diagnose(invoke: Callable[..., Run], tmp_path: Path) -> Callable[..., tuple[int, dict[str, tuple[str, str]]]]:
    """Return a run of the doctor: the exit code, and (verdict, detail) by check."""

    def diagnose(*arguments: str, state_dir: Path | None = None) -> tuple[int, dict[str, tuple[str, str]]]:
        where = ("--state-dir", str(state_dir or tmp_path / "state"))
        run = invoke("doctor", "--json", *where, "--set", "http.port=0", *arguments)
        assert run.errors == ""
        return run.code, {row["check"]: (row["verdict"], row["detail"]) for row in run.json}

    return diagnose


Diagnose = Callable[..., tuple[int, dict[str, tuple[str, str]]]]


def test_a_machine_without_fault_is_exit_code_0(diagnose: Diagnose) -> None:
    code, findings = diagnose()

    assert code == 0
    assert findings.keys() == CHECKS
    assert {verdict for verdict, _ in findings.values()} <= {"ok", "warning"}


def test_for_people_it_is_a_table(invoke: Callable[..., Run], tmp_path: Path) -> None:
    run = invoke("doctor", "--state-dir", str(tmp_path), "--set", "http.port=0")

    assert run.code == 0
    assert "pitboss doctor" in run.output
    assert all(check in run.output for check in CHECKS)


@pytest.mark.parametrize(
    ("arguments", "check", "detail"),
    [
        (("--set", "account.csah=1"), "configuration", "there is no setting account.csah (did you mean 'cash'?)"),
        (
            ("--set", "exchange.symbols=['BTC/USDT','ETH/BTC']"),
            "configuration",
            "BTC/USDT in USDT; ETH/BTC in BTC; run",
        ),
        (("--config", "nope.toml"), "configuration", "nope.toml: No such file or directory"),
        (("--set", "strategies=[{use='ema_cros'}]"), "strategies", "there is no strategy ema_cros"),
        (("--set", "strategies=[{use='ema_cross',params={fast=0}}]"), "strategies", "parameter fast"),
        (("--set", "strategies=[{use='nope.py:X'}]"), "strategies", "nope.py: No such file or directory"),
    ],
)
def test_a_mistake_in_the_configuration_is_an_error(
    diagnose: Diagnose, arguments: tuple[str, ...], check: str, detail: str
) -> None:
    code, findings = diagnose(*arguments)

    verdict, found = findings[check]
    assert (code, verdict) == (1, "error")
    assert detail in found


def test_a_state_directory_that_is_a_file_is_an_error(diagnose: Diagnose, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    code, findings = diagnose(state_dir=tmp_path / "file")

    assert (code, findings["state directory"]) == (1, ("error", f"state directory {tmp_path / 'file'}: File exists"))
    assert "journal" not in findings


def test_who_cannot_be_told_is_an_error_that_keeps_the_secret_and_nobody_is_told_anything(
    diagnose: Diagnose, tmp_path: Path
) -> None:
    urls = {"phone": "json://127.0.0.1:9/s3cr3t", "chat": "tgram://s3cr3t", "mail": "nothing"}
    (tmp_path / "alerts.toml").write_text(
        "\n".join(f'[[alerts.targets]]\nname = "{name}"\nurl = "{url}"' for name, url in urls.items())
    )

    code, findings = diagnose("--config", str(tmp_path / "alerts.toml"))

    told = {name: findings[f"alerts: {name}"] for name in urls}
    assert (code, [verdict for verdict, _ in told.values()]) == (1, ["ok", "error", "error"])
    assert told["chat"][1] == "alerts: target chat: apprise knows no such service, or something is missing"
    assert "is no URL" in told["mail"][1]
    assert "s3cr3t" not in str(findings)


def test_a_port_that_is_taken_is_a_warning(diagnose: Diagnose) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        for check, section in (("port", "http"), ("console port", "console")):
            code, findings = diagnose("--set", f"{section}.port={port}", "--set", "console.enabled=true")

            assert (code, findings[check][0]) == (0, "warning")
            assert f"127.0.0.1 port {port}" in findings[check][1]
        assert "console port" not in diagnose("--set", "console.enabled=false")[1]


def test_a_token_that_others_can_read_is_a_warning(diagnose: Diagnose, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "control.token").write_text("x" * 40)
    (tmp_path / "state" / "control.token").chmod(0o644)

    code, findings = diagnose()

    assert (code, findings["token"][0]) == (0, "warning")
    assert "x" * 40 not in str(findings)


def test_a_disk_below_its_minimum_is_a_warning(diagnose: Diagnose) -> None:
    code, findings = diagnose("--set", "journal.free_mb_min=1000000000")

    assert (code, findings["disk"][0]) == (0, "warning")


def test_the_journal_is_read_through(diagnose: Diagnose, invoke: Callable[..., Run], tmp_path: Path) -> None:
    state = tmp_path / "state"
    invoke(
        *("run", "--state-dir", str(state), "--port", "0", "--speed", "0", "--exit-at-end"),
        *("--synthetic", "7:20", "-s", f"{STRATEGIES}:Holder"),
    )
    code, findings = diagnose()
    assert (code, findings["journal"][0]) == (0, "ok")
    assert "(open), 21 inputs, chain intact" in findings["journal"][1]

    with closing(sqlite3.connect(state / "journal.sqlite")) as db, db:
        db.execute("DELETE FROM inputs WHERE seq = 7")
    code, findings = diagnose()

    assert (code, findings["journal"][0]) == (1, "error")
    assert "corrupt at input 7" in findings["journal"][1]


def test_a_package_of_ours_that_a_stranger_shadows_is_an_error(
    diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.commands.doctor.foreign_packages", lambda: ["config is /elsewhere/config.py"])

    code, findings = diagnose()

    assert (code, findings["packages"]) == (1, ("error", "shadowed by strangers: config is /elsewhere/config.py"))


def test_a_stranger_ahead_of_us_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from daemon.code_hash import foreign_packages

    assert foreign_packages() == []
    (tmp_path / "tui").mkdir()
    (tmp_path / "tui" / "__init__.py").touch()
    for name in [name for name in sys.modules if name.split(".")[0] == "tui"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)

    assert foreign_packages() == [f"tui is {tmp_path / 'tui' / '__init__.py'}"]
    assert os.environ is not None
