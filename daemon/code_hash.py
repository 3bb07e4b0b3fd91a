"""Which code this is: a hash over our own source files, kept with every run."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

PACKAGES = ("config", "actors", "strategies", "replay", "daemon")
_HASH_BYTES = 8


def code_hash() -> str:
    """Return a hash of every source file that can influence a decision."""
    root = Path(__file__).resolve().parent.parent
    hasher = blake2b(digest_size=_HASH_BYTES)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            hasher.update(path.relative_to(root).as_posix().encode())
            hasher.update(path.read_bytes())
    return hasher.hexdigest()


def foreign_packages() -> list[str]:
    """Return our package names that Python resolves to somebody else's files, with where they came from.

    Names such as ``config`` and ``daemon`` are common; a file of that name on the path would shadow ours.
    """
    from importlib.util import find_spec

    root = Path(__file__).resolve().parent.parent
    foreign: list[str] = []
    for package in (*PACKAGES, "tui"):
        spec = find_spec(package)
        origin = None if spec is None else spec.origin
        if origin is None or Path(origin).resolve() != root / package / "__init__.py":
            foreign.append(f"{package} is {origin or 'missing'}")
    return foreign
