"""A set of named expressions in text, as a rule file has them: any may refer to any other by name.

    [features]
    trend = "fast - slow"
    fast = "ema(10)"
    slow = "ema(50).on('1h')"

The order does not matter; what would refer to itself in the end is refused.
"""

from __future__ import annotations

import ast
import tomllib
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from config.errors import UserError, nearest
from strategies.features.text import PRICES, parse
from strategies.indicators.expression import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from strategies.indicators.expression import Expression

FEATURES_MAX = 10_000
_SECTION = "features"
_SIGNALS = ("entry", "exit")


def read_declarations(path: Path) -> dict[str, Expression]:
    """Return the features of a TOML file: its table [features], and `entry` and `exit` beside it.

    Raises:
        UserError: it cannot be read, or one of the features cannot; names the file and the feature, or the line.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: {error.strerror if isinstance(error, OSError) else 'is not UTF-8 text'}"
        raise UserError(message) from error
    except tomllib.TOMLDecodeError as error:
        message = f"{path}: {error}"
        raise UserError(message) from error
    known = (_SECTION, *_SIGNALS)
    for name in table:
        if name not in known:
            message = f"{path}: there is no place for {name}{nearest(name, known)}; there are {', '.join(known)}"
            raise UserError(message)
    texts = table.get(_SECTION, {})
    if not isinstance(texts, dict) or (not texts and not any(name in table for name in _SIGNALS)):
        message = f'{path}: write features into a table [{_SECTION}], such as fast = "ema(10)"'
        raise UserError(message)
    signals = {name: table[name] for name in _SIGNALS if name in table}
    for name in signals:
        if name in texts:
            message = f"{path}: {name} is there twice, as a feature and beside them"
            raise UserError(message)
    return declarations({**texts, **signals}, str(path))


def declarations(texts: Mapping[str, object], where: str) -> dict[str, Expression]:
    """Return named texts as expressions, in their order.

    Args:
        texts: one expression a name.
        where: what they come from, for the refusals.

    Raises:
        UserError: a name or an expression is wrong, or some refer to each other in a circle; one line with the place.
    """
    if len(texts) > FEATURES_MAX:
        message = f"{where}: {len(texts)} features, {FEATURES_MAX} at most"
        raise UserError(message)
    checked: dict[str, str] = {}
    for name, text in texts.items():
        if not name.isidentifier() or name in COLUMNS or name in PRICES:
            why = "a column has that name" if name.isidentifier() else "names are letters, digits and _"
            message = f"{where}: feature {name}: choose another name, {why}"
            raise UserError(message)
        if not isinstance(text, str):
            message = f'{where}: feature {name}: write the expression as text, such as "ema(10)", not {text!r}'
            raise UserError(message)
        checked[name] = text
    references = {name: _references(text) & checked.keys() for name, text in checked.items()}
    try:
        order = list(TopologicalSorter(references).static_order())
    except CycleError as error:
        # graphlib tells whom each one is referred to by; people read whom it refers to.
        circle = " -> ".join(reversed(error.args[1]))
        message = f"{where}: feature {error.args[1][-1]}: it refers to itself: {circle}"
        raise UserError(message) from None
    known: dict[str, Expression] = {}
    for name in order:
        try:
            known[name] = parse(checked[name], known)
        except ValueError as error:
            message = f"{where}: feature {name}: {error}"
            raise UserError(message) from error
    return {name: known[name] for name in checked}


def _references(text: str) -> set[str]:
    """Return the names a text reads; what it calls is none of them."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()  # refused in its turn, with the place
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}
