"""Build the wheel, install it into an empty virtual environment, and use it as a stranger would."""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TYPED_PROGRAM = """\
from pitboss import ReplayResult, Strategy, replay, synthetic_tape

result: ReplayResult = replay(synthetic_tape("7:500"), "ema_cross", {"fast": 5})
fills: int = result.summary.fills
kind: type[Strategy] = Strategy
"""


def call(*command: str | Path, cwd: Path) -> str:
    """Run a command and return what it printed; a failure ends this program with its output."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Build, install, run, type-check."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place, ROOT, cwd=place)
        (wheel,) = place.glob("*.whl")
        venv.create(place / "venv", with_pip=True)
        binaries = place / "venv" / "bin"
        # What nobody imports here need not be compiled.
        call(binaries / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", wheel, cwd=place)
        call(binaries / "pip", "check", cwd=place)
        summary = json.loads(call(binaries / "pitboss", "replay", "--synthetic", "7:2000", "--json", cwd=place))
        assert summary["bars"] == 2000, summary
        state = place / "state"
        run = ("run", "--state-dir", state, "--synthetic", "7:2000", "--speed", "0", "--port", "0", "--exit-at-end")
        call(binaries / "pitboss", *run, cwd=place)
        journal = json.loads(call(binaries / "pitboss", "journal", "replay", "--state-dir", state, "--json", cwd=place))
        assert journal["equal"], journal
        assert journal["digest_live"] == summary["digest"], (journal, summary)
        for name in ("page.html", "app.js", "plotly.js"):
            read = f"from daemon.console.pages import read; read({name!r}, is_open=False)"
            call(binaries / "python", "-c", read, cwd=place)
        program = place / "typed.py"
        program.write_text(TYPED_PROGRAM)
        python = binaries / "python"
        call(sys.executable, "-m", "mypy", "--strict", "--python-executable", python, program, cwd=place)
        print(f"{wheel.name}: installs into an empty environment, replays, runs, is typed")


if __name__ == "__main__":
    main()
