"""The house rules, enforced: what a reviewer would have to look for in every change."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("config", "actors", "strategies", "replay", "daemon", "tui")
CORE = ("actors", "strategies")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "base_utils"}
LINES_MAX = 500

AMBIENT = {
    "time": "the stamp of the input in hand (context.now_ns)",
    "random": "a seed in the configuration and a generator of your own",
    "uuid": "a counter in the core's state",
    "secrets": "a value drawn by an edge and journaled",
    "threading": "messages",
    "asyncio": "messages; waiting is for edges",
    "datetime": "int nanoseconds",
    "os": "config/, which reads the environment once",
}
"""Module -> what to use instead, in the core packages. An exception says `# house-ok: why`."""

BROAD_HANDLERS = {
    "actors/runtime/scheduler.py": "the dispatch boundary",
    "actors/runtime/supervision.py": "what a failure of the user's code says of itself, which is their code, too",
    "daemon/alerts/targets.py": "the code of a hundred services that alerts go to",
    "daemon/console/app.py": "alerts end neither the console nor themselves",
    "daemon/console/jobs/manager.py": "a backtest ends, whatever it died of",
    "daemon/live.py": "the pump raises what failed in an edge's turn",
    "daemon/supervisor.py": "the supervisor",
    "replay/plan.py": "the user's own features() and on_start(), turned into one line",
    "strategies/features/nodes.py": "the user's own step function, whose failure meets who reads its value",
    "strategies/loader.py": "the user's own file, turned into one line",
}
"""Where `except Exception` may stand, and why."""


def sources(*packages: str) -> list[Path]:
    files = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    assert files
    return files


@cache
def read(path: Path) -> tuple[list[str], ast.Module]:
    text = path.read_text(encoding="utf-8")
    return text.splitlines(), ast.parse(text)


def trees(*packages: str) -> Iterator[tuple[str, list[str], ast.Module]]:
    for path in sources(*packages):
        yield path.relative_to(ROOT).as_posix(), *read(path)


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def line_of(node: ast.AST) -> int:
    line: int = getattr(node, "lineno", 1)
    return line


def test_imports_point_left() -> None:
    rank = {name: index for index, name in enumerate(PACKAGES[:-1])}
    against = []
    for name, _, tree in trees(*PACKAGES):
        package = name.split("/", 1)[0]
        for node in ast.walk(tree):
            for module in imported(node):
                target = module.split(".", 1)[0]
                console = package == "tui" and target in rank and target != "config"
                right = package in rank and rank.get(target, -1) > rank[package]
                if console or right:
                    against.append(f"{name}:{line_of(node)} imports {module}")
    assert not against, "\n".join(against)


def test_relative_imports_are_not_used() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, _, tree in trees(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not found, found


def test_core_handlers_never_wait() -> None:
    waiting = [
        f"{name}:{node.lineno} {node.name}"
        for name, _, tree in trees(*CORE)
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef)
    ]
    assert not waiting, "a core actor is a synchronous state machine: " + ", ".join(waiting)


def test_core_reads_nothing_ambient() -> None:
    found = [
        f"{name}:{line_of(node)} {module}; use {AMBIENT[module]}"
        for name, lines, tree in trees(*CORE)
        for node in ast.walk(tree)
        for module in AMBIENT.keys() & {target.split(".", 1)[0] for target in imported(node)}
        if "# house-ok:" not in lines[line_of(node) - 1] and not name.startswith("strategies/indicators/cache")
    ]
    assert not found, found


def test_core_never_iterates_a_set_or_hashes_a_string() -> None:
    found = []
    for name, lines, tree in trees("actors"):
        for node in ast.walk(tree):
            iterated = node.iter if isinstance(node, (ast.For, ast.comprehension)) else None
            literal = isinstance(iterated, (ast.Set, ast.SetComp)) or (
                isinstance(iterated, ast.Call) and ast.unparse(iterated.func) in {"set", "frozenset"}
            )
            called = isinstance(node, ast.Call) and ast.unparse(node.func) in {"hash", "id"}
            line = line_of(node if iterated is None else iterated)
            if (literal or called) and "# house-ok:" not in lines[line - 1]:
                found.append(f"{name}:{line}")
    assert not found, found


def test_broad_handlers_stand_in_named_places_only() -> None:
    found = {
        name
        for name, _, tree in trees(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
    }
    assert found <= set(BROAD_HANDLERS), sorted(found - set(BROAD_HANDLERS))


def test_nothing_is_swallowed() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, _, tree in trees(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and all(isinstance(step, ast.Pass) for step in node.body)
    ]
    assert not found, found


def test_no_room_is_called_after_nothing() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for path in sources(*PACKAGES)
        if FORBIDDEN_NAMES & {path.stem, *path.relative_to(ROOT).parts}
    ]
    assert not found, found


def test_files_tell_one_story() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for path in sources(*PACKAGES)
        if (count := path.read_text(encoding="utf-8").count("\n")) > LINES_MAX
    ]
    assert not found, found


def test_nothing_is_left_over() -> None:
    leftover = re.compile(r"\b(FIXME|XXX|HACK|TODO|WIP)\b|breakpoint\(|NotImplementedError")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*sources(*PACKAGES), ROOT / "pitboss.py"]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if leftover.search(line)
    ]
    assert not found, found


def test_every_package_is_typed_and_every_module_says_what_it_is() -> None:
    assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)
    silent = [name for name, _, tree in trees(*PACKAGES) if ast.get_docstring(tree) is None]
    assert not silent, silent


def test_lock_is_exact_and_names_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", lock, flags=re.MULTILINE))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[<>=; \[]", requirement, maxsplit=1)[0].lower().replace("_", "-") for requirement in wanted}
    assert names <= pinned, names - pinned
    assert "://" not in lock
    assert "--hash=sha256:" in lock
