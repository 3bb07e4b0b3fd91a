"""The systemd unit fits the daemon it starts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from replay.tape.catalogue.keys import DATA_DIR_VARIABLE

UNIT = Path(__file__).parents[2] / "daemon" / "systemd" / "pitboss.service"


def assignments() -> dict[str, list[str]]:
    """Return the unit's settings; a key may be given more than once."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_waits_for_readiness_and_watches() -> None:
    unit = assignments()

    assert (unit["Type"], unit["KillSignal"]) == (["notify"], ["SIGTERM"])
    assert int(unit["WatchdogSec"][0]) > 0
    assert int(unit["TimeoutStopSec"][0]) > 5
    assert unit["StateDirectory"] == ["pitboss"]
    assert unit["StateDirectoryMode"] == ["0700"]
    assert unit["Environment"] == [f"{DATA_DIR_VARIABLE}=%S/pitboss/data"]


def test_a_users_mistake_is_not_tried_again() -> None:
    unit = assignments()

    assert unit["Restart"] == ["on-failure"]
    assert unit["RestartPreventExitStatus"] == ["2"]


@pytest.mark.parametrize(
    "key",
    ["NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "ProtectKernelTunables", "RestrictNamespaces"],
)
def test_the_unit_is_hardened(key: str) -> None:
    unit = assignments()

    assert unit[key] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert {"AF_INET", "AF_UNIX"} <= set(unit["RestrictAddressFamilies"][0].split())


@pytest.mark.slow
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/pitboss/bin/pitboss", sys.executable))

    done = subprocess.run(
        [analyze, "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=30, check=False
    )

    about_us = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, about_us) == (0, []), done.stderr
