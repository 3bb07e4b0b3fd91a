"""Make the peers' own environment in `bench/out/peers-venv` (`make bench-peers`).

It is theirs alone: half a gigabyte of packages that nobody needs for trading. Running this again
does nothing unless the pinned requirements or the interpreter have changed; then the environment is
made anew.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ENVIRONMENT = Path(__file__).resolve().parents[1] / "out" / "peers-venv"
STAMP = ENVIRONMENT / "pitboss-peers.stamp"


def wanted() -> str:
    """Return what identifies a finished environment: interpreter and pins."""
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return f"{platform.python_version()} {pins}\n"


def main() -> int:
    """Make the environment unless it is there; return the installer's exit status."""
    if STAMP.exists() and STAMP.read_text() == wanted():
        print("peers are installed")
        return 0
    venv.EnvBuilder(clear=True, with_pip=True).create(ENVIRONMENT)
    python = ENVIRONMENT / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    finished = subprocess.run([*install, "--requirement", str(REQUIREMENTS)], check=False)
    if finished.returncode == 0:
        STAMP.write_text(wanted())
        print("peers are installed")
    return finished.returncode


if __name__ == "__main__":
    sys.exit(main())
