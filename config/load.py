"""Settings in layers: embedded ``system.toml`` < user's file < environment < command line.

A value is written the same way everywhere: ``account.cash = 100000`` in TOML,
``PITBOSS_ACCOUNT__CASH=100000`` in the environment, ``--set account.cash=100000`` on the command line.
"""

from __future__ import annotations

import os
import tomllib
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from config.alerts import AlertTarget
from config.errors import UserError, nearest
from config.margin import MarginTier
from config.schema import Settings, StrategyEntry
from config.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENVIRONMENT_PREFIX = "PITBOSS_"
_ROWS: dict[str, type[Section]] = {"strategies": StrategyEntry, "tiers": MarginTier, "targets": AlertTarget}
"""Settings that are a list of tables."""


def load_settings(
    file: Path | None = None,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    defaults: Sequence[str] = (),
) -> Settings:
    """Return the settings of all layers.

    Args:
        file: the user's TOML file; a missing one is an error.
        overrides: ``"section.key=value"`` strings of the command line, later ones win.
        environment: variables to read; the process's own when ``None``.
        defaults: strings like `overrides` that a command puts above the embedded layer and below all others.

    Raises:
        UserError: a file that cannot be read, a key that does not exist, a value out of its bounds.
    """
    merged: dict[str, Any] = {}
    _merge(merged, _parse(resources.files("config").joinpath("system.toml").read_text(), "system.toml"))
    for default in defaults:
        path, _, raw = default.partition("=")
        _merge(merged, _assignment(path, raw))
    if file is not None:
        layer = _read(file)
        check_settings(layer, str(file))
        _merge(merged, layer)
    for name, raw in sorted((os.environ if environment is None else environment).items()):
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            path = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            layer = _assignment(path, raw)
            check_settings(layer, f"environment variable {name}")
            _merge(merged, layer)
    _override(merged, overrides)
    return check_settings(merged, "settings")


def override_settings(settings: Settings, overrides: Sequence[str]) -> Settings:
    """Return `settings` with ``"section.key=value"`` strings of the command line on top.

    Raises:
        UserError: a key that does not exist, a value out of its bounds.
    """
    merged = describe_settings(settings)
    _override(merged, overrides)
    return check_settings(merged, "settings")


def check_settings(values: Mapping[str, Any], origin: str) -> Settings:
    """Return `values` as settings, or raise a UserError that names the key and its origin."""
    _check_names(values, Settings, origin, "")
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        key = where.rstrip("`") or "settings"
        separator = "." if isinstance(error.__cause__, ValueError) else ": "
        message = f"{origin}: {key}{separator}{what}"
        raise UserError(message) from error


def describe_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain values that `check_settings` takes back."""
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    return plain


def _check_names(values: Mapping[str, Any], section: type[Section], origin: str, prefix: str) -> None:
    known = {field.name: field.type for field in msgspec.structs.fields(section)}
    for key, value in values.items():
        if key not in known:
            message = f"{origin}: there is no setting {prefix}{key}{nearest(key, known)}"
            raise UserError(message)
        kind = known[key]
        if isinstance(kind, type) and issubclass(kind, Section):
            if not isinstance(value, dict):
                message = f"{origin}: {prefix}{key} is a table of settings, not a value"
                raise UserError(message)
            _check_names(value, kind, origin, f"{prefix}{key}.")
        elif (named := _named_sections(kind)) is not None:
            if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
                message = f"{origin}: {prefix}{key} holds tables under names, such as [{prefix}{key}.NAME]"
                raise UserError(message)
            for name, entry in value.items():
                _check_names(entry, named, origin, f"{prefix}{key}.{name}.")
        elif key in _ROWS and isinstance(value, list):
            for index, entry in enumerate(value):
                if isinstance(entry, dict):
                    _check_names(entry, _ROWS[key], origin, f"{prefix}{key}[{index}].")


def _named_sections(kind: object) -> type[Section] | None:
    """Return what the tables of a setting such as ``dict[str, GroupRisk]`` are; None if it holds none."""
    values = get_args(kind)[-1:]
    return values[0] if values and isinstance(values[0], type) and issubclass(values[0], Section) else None


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        message = f"{file}: {reason}"
        raise UserError(message) from error
    return _parse(text, str(file))


def _parse(text: str, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        message = f"{origin}: not valid TOML: {error}"
        raise UserError(message) from error


def parse_value(raw: str) -> Any:  # noqa: ANN401 - a TOML value has whatever type it was written in
    """Return `raw` as the TOML value it spells, or as a plain string."""
    try:
        return tomllib.loads(f"value = {raw}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        return raw


def _override(merged: dict[str, Any], overrides: Sequence[str]) -> None:
    for override in overrides:
        path, equals, raw = override.partition("=")
        if not equals or not path:
            message = f"--set {override}: write it as section.key=value, for example account.cash=50000"
            raise UserError(message)
        layer = _assignment(path.strip(), raw.strip())
        check_settings(layer, f"--set {override}")
        _merge(merged, layer)


def _assignment(path: str, raw: str) -> dict[str, Any]:
    value = parse_value(raw)
    for key in reversed(path.split(".")):
        value = {key: value}
    layer: dict[str, Any] = value
    return layer


def _merge(base: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        below = base.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            _merge(below, value)
        else:
            base[key] = value
