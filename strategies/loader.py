"""From what a person types to a strategy that runs: a built-in's name, or ``path/to/file.py:ClassName``."""

from __future__ import annotations

import sys
from decimal import Decimal
from hashlib import blake2b
from importlib import import_module
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from config.errors import UserError, nearest
from strategies.base import Strategy
from strategies.library import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODULE_PREFIX = "pitboss_user_"

REGISTERED: dict[str, type[Strategy]] = {}
"""Classes handed over from Python, by name; they live as long as the process."""


class StrategySource(msgspec.Struct, frozen=True):
    """Where a strategy came from, as a session's manifest keeps it."""

    use: str
    """What the person typed, with the file's path made absolute."""
    code: str | None = None
    """The text of the user's file; None for a built-in."""


def read_source(use: str) -> StrategySource:
    """Return the source of `use`, reading the user's file where it names one.

    Raises:
        UserError: no such built-in, or a file that cannot be read.
    """
    path_text, colon, class_name = use.rpartition(":")
    if not colon and not use.endswith(".py"):
        if use not in BUILT_IN and use not in REGISTERED:
            message = f"there is no strategy {use}{nearest(use, BUILT_IN)}; built in are {', '.join(BUILT_IN)}"
            raise UserError(message)
        return StrategySource(use)
    if not colon:
        message = f"{use}: name the class too, as {use}:ClassName"
        raise UserError(message)
    path = Path(path_text)
    try:
        code = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        message = f"{path}: {reason}"
        raise UserError(message) from error
    return StrategySource(f"{path.resolve()}:{class_name}", code)


def load_class(source: StrategySource) -> type[Strategy]:
    """Return the strategy class of `source`; a user's class comes from the kept code, not from the file.

    Raises:
        UserError: the code does not run, or has no such strategy.
    """
    if source.code is None and source.use in REGISTERED:
        return REGISTERED[source.use]
    if source.code is None:
        if source.use not in BUILT_IN:
            message = f"there is no strategy {source.use}{nearest(source.use, BUILT_IN)}"
            raise UserError(message)
        module_name, _, class_name = BUILT_IN[source.use].partition(":")
        found: type[Strategy] = getattr(import_module(module_name), class_name)
        return found
    path, _, class_name = source.use.rpartition(":")
    module = _run(path, source.code)
    strategies = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy
    }
    if class_name not in strategies:
        known = ", ".join(strategies) or "none"
        message = (
            f"{path}: there is no strategy {class_name}{nearest(class_name, strategies)}; strategies there: {known}"
        )
        raise UserError(message)
    return strategies[class_name]


def make_strategy(kind: type[Strategy], params: Mapping[str, Any], label: str) -> Strategy:
    """Return an instance with `params`.

    Raises:
        UserError: an unknown parameter, a wrong type, a value out of its bounds, or a parameter that hides a method.
    """
    known = [field.name for field in msgspec.structs.fields(kind)]
    hiding = next((name for name in known if hasattr(Strategy, name)), None)
    if hiding is not None:
        message = f"{label}: parameter {hiding}: every strategy has something of that name already; choose another"
        raise UserError(message)
    for name in params:
        if name not in known:
            message = f"{label}: there is no parameter {name}{nearest(name, known)}; parameters are {', '.join(known)}"
            raise UserError(message)
    plain = {name: float(value) if isinstance(value, Decimal) else value for name, value in params.items()}
    for name, value in plain.items():
        if isinstance(value, float) and not isfinite(value):
            message = f"{label}: parameter {name}: must be a finite number, not {value}"
            raise UserError(message)
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        message = f"{label}: parameter {where.rstrip('`') or '?'}: {what}"
        raise UserError(message) from error


def all_params(strategy: Strategy) -> dict[str, Any]:
    """Return every parameter's value, defaults included."""
    params: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(strategy))
    return params


def _run(path: str, code: str) -> ModuleType:
    """Execute a user's file as a module of its own, once a text: the state it stores finds its classes there again."""
    identity = blake2b(f"{path}\0{code}".encode(), digest_size=8).hexdigest()
    name = f"{_MODULE_PREFIX}{Path(path).stem}_{identity}"
    known = sys.modules.get(name)
    if known is not None:
        return known
    module = ModuleType(name)
    module.__file__ = path
    folder = str(Path(path).parent)
    if folder not in sys.path:
        sys.path.append(folder)
    sys.modules[name] = module
    try:
        exec(compile(code, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - the user's own strategy
    except SyntaxError as error:
        del sys.modules[name]
        message = f"{path}:{error.lineno}: {error.msg}"
        raise UserError(message) from error
    except Exception as error:
        del sys.modules[name]
        message = f"{path}: {type(error).__name__} while it was loaded: {error}"
        raise UserError(message) from error
    return module
