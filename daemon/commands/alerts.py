"""`pitboss alerts test`: whether those who are to be told can be."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

from config.errors import UserError, nearest
from config.load import load_settings
from daemon.alerts.targets import Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXIT_FAULT = 1


def test_command(names: Sequence[str], config: Path | None, setting: Sequence[str]) -> None:
    """Send a message to every target, print what came of it, and exit 1 if one did not take it.

    Raises:
        UserError: there are no targets, none of that name, or one cannot be used.
    """
    alerts = load_settings(config, setting).alerts
    known = [target.name for target in alerts.targets]
    if not known:
        message = "there is nobody to be told: the settings have no [[alerts.targets]]"
        raise UserError(message)
    for name in names:
        if name not in known:
            message = f"alerts: there is no target {name}{nearest(name, known)}"
            raise UserError(message)
    targets = [Target(one, alerts.timeout_s) for one in alerts.targets if not names or one.name in names]
    taken = [asyncio.run(_tell(target)) for target in targets]
    sys.stdout.flush()
    if any(target.hangs for target in targets):
        os._exit(EXIT_FAULT)  # its thread would keep us until it has an answer
    if not all(taken):
        raise SystemExit(EXIT_FAULT)


async def _tell(target: Target) -> bool:
    started_s = time.monotonic()
    taken = await target.send("pitboss: test", "This is a test: alerts come here.", "info")
    took = f"{time.monotonic() - started_s:.1f} s"
    sys.stdout.write(f"{target.name}: {'told' if taken else 'NOT told: ' + target.reason} ({took})\n")
    return taken
