"""`pitboss demo`: the loopback exchange, and the daemon trading on it for real through ccxt.pro.

The exchange is a child process that ends with us, however we end. As a program, this module is that child.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import structlog

from config.errors import UserError
from daemon.commands.exchange import ARGUMENTS_NAME, DEFAULT_SYMBOL
from daemon.commands.inputs import settings_from
from daemon.commands.run import run_command
from daemon.log import configure_logging
from daemon.state_dir import DEMO_NAME, StateLock, default_state_dir, prepare_state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_READY_S = 60.0
_END_S = 10.0
_POLL_S = 0.02
_PR_SET_PDEATHSIG = 1
_LIVELY = ("ema_cross", ("fast=5", "slow=12"))
"""A strategy that does something every few seconds, unless another is asked for."""
_FOREIGN = ("PITBOSS_API_", "PITBOSS_EXCHANGE__")
"""Variables that say how to trade elsewhere."""

log = structlog.get_logger()


def demo_command(
    state_dir: Path | None,
    speed: float,
    seed: int,
    strategy: str | None,
    param: Sequence[str] | None,
    setting: Sequence[str] | None,
    port: int | None,
    *,
    new_session: bool,
) -> None:
    """Run both until Ctrl-C, and print the session's summary.

    Raises:
        UserError: something was asked for that does not exist, or a demo runs there already.
    """
    if strategy is None and not param and not any(text.startswith("strategies") for text in setting or ()):
        strategy, param = _LIVELY
    configure_logging(settings_from(None, setting, strategy, param).log)
    os.umask(0o077)
    folder = prepare_state_dir(state_dir or default_state_dir() / DEMO_NAME).absolute()
    for name in [name for name in os.environ if name.startswith(_FOREIGN) or name == "CREDENTIALS_DIRECTORY"]:
        del os.environ[name]
    with StateLock(folder), _exchange(folder / "exchange", speed, seed) as arguments:
        where = "" if state_dir is None else f" --state-dir {folder / 'daemon'}"
        log.info(
            "demo",
            market=f"made up, {speed:g} seconds of it in a second",
            orders="real ones, through ccxt.pro, to the loopback exchange",
            look=f"pitboss ctl status{where}",
            console=f"pitboss tui{where}",
            end="Ctrl-C",
        )
        run_command(
            folder / "daemon", None, None, None, strategy, param, [*(setting or ()), *_settings(arguments, speed)],
            None, None, None, None, port, mode="real", exit_at_end=False, new_session=new_session, loosen=False,
        )  # fmt: skip


def _settings(arguments: Path, speed: float) -> list[str]:
    """Return what makes the daemon trade on the exchange of `arguments`, and on no other."""
    return [
        "feed.source=exchange",
        "exchange.id=binance",
        f"exchange.file={arguments}",
        f"exchange.symbols=['{DEFAULT_SYMBOL}']",
        "exchange.clock=venue",
        f"exchange.reconcile_s={60 * speed:g}",
        "live.armed=true",
        "risk.max_daily_loss=5000",
        "risk.max_notional=50000",
        "risk.max_orders_per_minute=10",
    ]


@contextlib.contextmanager
def _exchange(folder: Path, speed: float, seed: int) -> Iterator[Path]:
    """Run the exchange for as long as the block lasts; yield the file that says how to trade on it.

    Raises:
        UserError: it does not start.
    """
    prepare_state_dir(folder)
    arguments = folder / ARGUMENTS_NAME
    arguments.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "daemon.commands.demo", str(os.getpid())),
        *("exchange", "--port", "0", "--admin-port", "0", "--state-dir", str(folder)),
        *("--speed", f"{speed:g}", "--seed", str(seed), "--no-catch-up"),
    ]
    # a session of its own: Ctrl-C is for the daemon, which ends before the venue it trades on
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own words
    try:
        deadline_s = time.monotonic() + _READY_S
        while not arguments.exists():
            if child.poll() is not None:
                message = f"the loopback exchange ended with exit code {child.returncode}; it said why above"
                raise UserError(message)
            if time.monotonic() > deadline_s:
                message = f"the loopback exchange was not ready within {_READY_S:g} s"
                raise UserError(message)
            time.sleep(_POLL_S)
        yield arguments
    finally:
        child.terminate()
        try:
            child.wait(_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _be_the_exchange(parent: int, words: list[str]) -> None:
    """Become the exchange of `parent`, and end when it does, even if it cannot say so."""
    from daemon.cli import main

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return
    sys.argv = ["pitboss", *words]
    main()


if __name__ == "__main__":
    _be_the_exchange(int(sys.argv[1]), sys.argv[2:])
