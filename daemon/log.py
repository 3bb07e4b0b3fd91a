"""Logging: structlog, for people on a terminal and as JSON lines elsewhere, with secrets redacted.

A secret is recognised by its key (`token`, `secret`, `password`, ...) and by its value: whatever was
registered with `hide` is replaced wherever it appears, also inside tracebacks.
"""

from __future__ import annotations

import atexit
import logging
import sys
import time
from collections import deque
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import structlog

from config.secrets import REDACTED, is_secret, masked_addresses, secrets_of
from daemon.log_stream import LogStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger

    from config.schema import Log, Settings

_SECRET_CHARS_MIN = 6
_PARAMETER_CHARS_MIN = 16
"""What is shorter may be the name of a market, and a log without that would tell nothing."""

_LINES_WAITING_MAX = 1_000

_hidden: set[str] = set()
_waiting: deque[dict[str, Any]] | None = None
_numbers = count(1)
_subject: dict[str, Any] = {}
_newest_seq: Callable[[], int] | None = None


def hide(secret: str) -> None:
    """Never let this value appear in a log line."""
    if len(secret) >= _SECRET_CHARS_MIN:
        _hidden.add(secret)


def hide_those_of(settings: Settings) -> None:
    """Never let the secrets that settings hold appear in a log line, or in an error that is shown."""
    exchange = settings.exchange
    for secret in (*secrets_of(exchange.urls), *secrets_of(exchange.options)):
        hide(secret)
    for entry in settings.strategies:
        for secret in secrets_of(entry.params):
            if len(secret) >= _PARAMETER_CHARS_MIN:
                hide(secret)


def keep_lines() -> deque[dict[str, Any]]:
    """Keep the newest lines from now on, for who takes them out of what is returned; they are redacted already."""
    global _waiting  # noqa: PLW0603 - as the configuration of logging itself, one for the process
    _waiting = deque(maxlen=_LINES_WAITING_MAX)
    return _waiting


def _keep(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep a line for others, as it is written."""
    if _waiting is not None:
        _waiting.append({"wall_ns": time.time_ns(), "number": next(_numbers), **event})
    return event


def bind(newest_seq: Callable[[], int] | None = None, **subject: object) -> None:
    """Have every JSON line from now on say what it is about, where it does not say so itself.

    Args:
        newest_seq: number of the input in hand, or else of the newest.
        subject: the session, the run, and so on.
    """
    global _newest_seq  # noqa: PLW0603 - as the configuration of logging itself, one for the process
    _newest_seq = newest_seq
    _subject.clear()
    _subject.update(subject)


def newest_seq() -> int | None:
    """Return the number of the input in hand, or else of the newest; None before there is a core."""
    return None if _newest_seq is None else _newest_seq()


def _about(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Say what a line is about: programs read one line without those before it."""
    for key, value in _subject.items():
        event.setdefault(key, value)
    if _newest_seq is not None and "seq" not in event:
        event["seq"] = _newest_seq()
    return event


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace secrets by key and by value."""
    for key, value in event.items():
        event[key] = _clean_under(key, value)
    return event


def _clean_under(key: str, value: Any) -> Any:  # noqa: ANN401 - whatever was logged
    return REDACTED if is_secret(key) else _clean(value)


def _clean(value: Any) -> Any:  # noqa: ANN401 - whatever was logged
    if isinstance(value, str):
        for secret in _hidden:
            value = value.replace(secret, REDACTED)
        return masked_addresses(value)
    if isinstance(value, dict):
        return {_clean(str(key)): _clean_under(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    if isinstance(value, (int, float, bool)) or value is None:
        return value
    return _clean(str(value))


def masked(value: Any) -> Any:  # noqa: ANN401 - whatever is shown
    """Return a value as people may see it: what is secret by its key or as such is replaced."""
    return _clean(value)


class _Lines:
    """Standard error that may fill up, or lose its reader: a log that cannot be written must not stop trading."""

    def __init__(self) -> None:
        self._stream: LogStream | None = None

    def write(self, text: str) -> None:
        """Write a line to whatever standard error is now."""
        if sys.stderr is not sys.__stderr__:
            with suppress(OSError, ValueError):
                sys.stderr.write(text)
        elif sys.stderr is not None:
            if self._stream is None:
                self._stream = LogStream(sys.stderr.fileno())
            self._stream.write(text)

    def flush(self) -> None:
        """Do nothing: a line waits for room alone."""

    def take_lost(self) -> int:
        """Return how many lines were given up since that was last said."""
        return 0 if self._stream is None else self._stream.take_lost()

    def end(self) -> None:
        """Write what waits, within half a second."""
        if self._stream is not None:
            self._stream.end()


_lines = _Lines()
atexit.register(_lines.end)


def end_lines() -> None:
    """Write the lines that wait for room yet; for who ends the process without further ado."""
    _lines.end()


def _count_lost(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if lost := _lines.take_lost():
        event["lines_lost"] = lost
    return event


class _Bridge(logging.Handler):
    """Brings what libraries log through `logging` into our lines, so that it is redacted like everything else."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, "library", logger=record.name, message=record.getMessage(), exc_info=record.exc_info
        )


def configure_logging(settings: Log) -> None:
    """Set structlog up for this process; lines go to standard error."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    processors: list[Processor] = [
        _count_lost,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if console else "iso", utc=not console),
    ]
    if console:
        processors += [
            structlog.processors.format_exc_info,
            redact,
            _keep,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), sort_keys=False),
        ]
    else:
        processors += [structlog.processors.format_exc_info, redact, _keep, _about, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("Any", _lines)),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)
