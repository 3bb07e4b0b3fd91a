"""Where numba keeps compiled kernels: a directory that is writable wherever the daemon runs.

Left alone, numba writes beside the source or into the home directory.  Installed packages may be
read-only, and a hardened systemd unit has no home (ProtectHome) and a read-only file system, so
every start would compile anew, or fail.  In order of preference:

1. what the user set as ``NUMBA_CACHE_DIR``;
2. ``$CACHE_DIRECTORY/numba``, which systemd provides to units with ``CacheDirectory=``;
3. the user's cache directory (``~/.cache/pitboss/numba``);
4. a directory of this user's own under the system's temporary one.

Within it every version of the kernels has a folder of its own, named after a hash of their sources:
numba looks at the one file a kernel stands in, and not at the parts of other files compiled into it.
Of versions that are used no more the folders are removed: `FOLDERS_MAX` stay, those used last.

Processes that start at once take turns at compiling: one does, and the others load what it made.

What lies in the cache is loaded as code.  In a directory that others can write to, somebody else
may have prepared ours in advance; one that is not ours alone is refused.
"""

import fcntl
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from time import sleep  # house-ok: waits for another process, before there is a core

import platformdirs

_VARIABLE = "NUMBA_CACHE_DIR"
_PREFIX = "kernels-"
_FOLDER = re.compile(re.escape(_PREFIX) + "[0-9a-f]{16}")
FOLDERS_MAX = 8
_KERNELS = Path(__file__).parent / "kernels"
_said: set[str] = set()
_TURN_PAUSE_S = 0.02
_TURN_TRIES_MAX = 3_000  # A minute; a kernel takes seconds.


def set_cache_directory() -> None:
    """Point numba to this version's folder of a writable cache directory.

    Call this before numba is imported; where a strategy's own imports were faster, numba is told
    to read its settings again.

    Raises:
        OSError: No candidate is writable.
    """
    numba_config = sys.modules.get("numba.core.config")
    chosen = os.environ.get(_VARIABLE)  # house-ok: where to cache is the machine's business
    chosen = chosen or getattr(numba_config, "CACHE_DIR", "")
    base = Path(chosen) if chosen else find_cache_directory()
    if base.name.startswith(_PREFIX):  # A parent process of ours chose it.
        base = base.parent
    folder = base / version_folder()
    os.environ[_VARIABLE] = str(folder)  # house-ok: numba's only early setting
    _prune(folder)
    if numba_config is not None:
        numba_config.reload_config()


@contextmanager
def turn(folder: Path, kernel: str) -> Iterator[bool]:
    """Let one process at a time compile a kernel, so that the next one loads it; yield whether it is the first.

    Numba writes each file under a name of its own and renames it, so that nothing breaks without
    this: two processes would only do the same work.  Hence a file system that cannot lock is no
    reason to fail, nor is a process that was stopped in its turn.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{kernel}.lock"
        is_first = not path.exists()
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield True
        return
    try:
        for _ in range(_TURN_TRIES_MAX):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sleep(_TURN_PAUSE_S)
            except OSError:
                break
            else:
                break
        yield is_first
    finally:
        os.close(lock)


def say_once(line: str) -> None:
    """Tell a person at a terminal why the first start takes so long; a service's log has no use for it."""
    if line not in _said and sys.stderr.isatty():
        _said.add(line)
        sys.stderr.write(f"{line}\n")


def version_folder() -> str:
    """Name the folder of the kernels as they are now."""
    digest = blake2b(digest_size=8)
    for path in sorted(_KERNELS.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return _PREFIX + digest.hexdigest()


def _prune(mine: Path) -> None:
    """Note that a folder is used, and remove those of other versions that were not for longest.

    A process of such a version has read what it needs, and one that starts compiles anew.
    """
    try:
        if mine.is_dir():
            os.utime(mine)
        found = [each for each in os.scandir(mine.parent) if each.is_dir(follow_symlinks=False)]
        others = [each for each in found if _FOLDER.fullmatch(each.name) and each.name != mine.name]
        others.sort(key=lambda each: (each.stat().st_mtime_ns, each.name), reverse=True)
    except OSError:
        return  # not there yet, or another process was faster: the next start will do
    for each in others[FOLDERS_MAX - 1 :]:
        shutil.rmtree(each.path, ignore_errors=True)


def find_cache_directory() -> Path:
    """Give the first candidate that can be written to, creating it if need be.

    Raises:
        OSError: None can; the message names each and why.
    """
    refusals = []
    for candidate in _ordinary_candidates():
        try:
            candidate.mkdir(mode=0o700, parents=True, exist_ok=True)
            _probe(candidate)
        except OSError as error:
            refusals.append(str(error))
        else:
            return candidate
    try:
        return _private_temporary_directory()
    except OSError as error:
        refusals.append(str(error))
    message = f"no directory to keep compiled kernels in, set {_VARIABLE}: {'; '.join(refusals)}"
    raise OSError(message)


def _ordinary_candidates() -> list[Path]:
    """List the systemd cache directory, if there is one, and the user's."""
    provided = os.environ.get("CACHE_DIRECTORY", "")  # house-ok: systemd's way to tell
    first = provided.split(":")[0]  # Units may have several, separated by colons.
    users = Path(platformdirs.user_cache_dir("pitboss")) / "numba"
    return [Path(first) / "numba", users] if first else [users]


def _private_temporary_directory() -> Path:
    """Give this user's directory under the temporary one, verified to be nobody else's."""
    user = os.getuid()
    path = Path(tempfile.gettempdir()) / f"pitboss-numba-{user}"
    path.mkdir(mode=0o700, exist_ok=True)
    # lstat, because a link planted under our name may point to a directory that is ours.
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        message = f"{path} is not a directory of user {user} alone"
        raise PermissionError(message)
    _probe(path)
    return path


def _probe(path: Path) -> None:
    """Write into `path`, as numba itself does before it accepts a directory.

    Permission bits alone would not tell: they do not bind root, nor know of read-only mounts.
    """
    with tempfile.TemporaryFile(dir=path) as file:
        file.write(b"\0")
