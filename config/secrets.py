"""What is a secret: told by its name, also in an address, or as user and password there, wherever settings hold one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

REDACTED = "[redacted]"
_WORDS = ("token", "secret", "password", "passphrase", "authorization", "credential", "cookie")
_PATH_SUFFIXES = ("_file", "_path")
_LOGIN = re.compile(r"(?<=://)[^/\s?#'\"]+@")
"""User and password of an address, as those of proxies have them."""

_QUERY = re.compile(r"(?<=[?&;])(?P<name>[^\s?&;=#'\"]+)=(?P<value>[^\s&;#'\"]+)")
"""What an address asks with."""


def is_secret(name: str) -> bool:
    """Return whether what is called so is a secret, and not just where one lies."""
    lowered = name.lower()
    named = lowered.endswith("key") or any(word in lowered for word in _WORDS)
    return named and not lowered.endswith(_PATH_SUFFIXES)


def masked_addresses(text: str) -> str:
    """Return a text without the users and passwords of addresses in it, and without the keys they ask with."""
    return _QUERY.sub(_masked, _LOGIN.sub(f"{REDACTED}@", text))


def _masked(query: re.Match[str]) -> str:
    return f"{query['name']}={REDACTED}" if is_secret(query["name"]) else query[0]


def redacted(value: Any) -> Any:  # noqa: ANN401 - whatever a setting may hold
    """Return a setting with its secrets replaced."""
    if isinstance(value, str):
        return masked_addresses(value)
    if isinstance(value, dict):
        return {name: REDACTED if is_secret(name) else redacted(item) for name, item in value.items()}
    if isinstance(value, list):
        return [redacted(item) for item in value]
    return value


def secrets_of(value: Any) -> Iterator[str]:  # noqa: ANN401 - likewise
    """Yield the secrets a setting holds, passwords of addresses apart from their users."""
    if isinstance(value, str):
        for login in _LOGIN.findall(value):
            yield login[:-1]
            yield login[:-1].partition(":")[2]
        for name, secret in _QUERY.findall(value):
            if is_secret(name):
                yield secret
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item) if is_secret(name) else secrets_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from secrets_of(item)


def gaps_in(value: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - likewise
    """Yield the names, within `name`, under which a secret was left out."""
    if isinstance(value, str):
        if REDACTED in value:
            yield name
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from gaps_in(item, f"{name}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from gaps_in(item, name)


def _leaves(value: Any) -> Iterator[str]:  # noqa: ANN401 - likewise
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
