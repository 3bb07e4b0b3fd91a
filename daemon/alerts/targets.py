"""A target: apprise in a thread of its own, which may hang without holding anybody up. Its URL is a secret."""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import apprise

from config.errors import UserError
from daemon.alerts.secret import secret_of
from daemon.log import masked

if TYPE_CHECKING:
    from apprise.logger import NotifyLogEntry

    from config.alerts import AlertTarget

_TYPES = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "error": apprise.NotifyType.FAILURE,
}
_PART_CHARS_MIN = 4
_REASON_CHARS_MAX = 300


class Target:
    """Somebody who is told.

    Args:
        settings: of the target.
        timeout_s: longest wait for an answer.

    Attributes:
        chars_max: longest message the service takes.
        reason: why the last message was not taken; empty if it was.

    Raises:
        UserError: there is no such service, or the URL cannot be read.
    """

    def __init__(self, settings: AlertTarget, timeout_s: float) -> None:
        self.name = settings.name
        self.reason = ""
        self._timeout_s = timeout_s
        url = secret_of(settings)
        host = urlsplit(url).hostname or ""
        parts = {part for part in re.split(r"[^\w.-]+", url) if len(part) >= _PART_CHARS_MIN}
        self._secrets = sorted(parts - {host, urlsplit(url).scheme}, key=len, reverse=True)
        self._said = ""
        """What apprise has told its log of the message in hand: why it was not taken stands nowhere else."""
        logging.getLogger("apprise").propagate = False  # its lines may show parts of the URL
        self._service = apprise.Apprise(log_callback=self._hear, log_level=logging.WARNING)
        if not self._service.add(url):
            message = f"alerts: target {settings.name}: apprise knows no such service, or something is missing"
            raise UserError(message)
        self.chars_max = min(int(service.body_maxlen) for service in self._service)
        self._hanging: Future[bool] | None = None

    @property
    def hangs(self) -> bool:
        """Whether a message is still under way."""
        return self._hanging is not None and not self._hanging.done()

    async def send(self, title: str, body: str, level: str) -> bool:
        """Return whether the target has taken a message."""
        if self.hangs:
            self.reason = f"it has not answered the last message for more than {self._timeout_s:g} s"
            await asyncio.sleep(0)
            return False
        self._hanging = sending = Future[bool]()
        try:
            Thread(
                target=self._send, args=(sending, title, body, level), name=f"alert-{self.name}", daemon=True
            ).start()
        except RuntimeError as error:  # the system has no more threads
            self._hanging, self.reason = None, str(error)
            return False
        try:
            async with asyncio.timeout(self._timeout_s):  # `wait_for` may forget that it was cancelled
                return await asyncio.shield(asyncio.wrap_future(sending))
        except TimeoutError:
            self.reason = f"it has not answered within {self._timeout_s:g} s"
            return False

    def _send(self, sending: Future[bool], title: str, body: str, level: str) -> None:
        self._said = ""
        try:
            taken = bool(self._service.notify(body, title, _TYPES[level]))
        except Exception as error:  # noqa: BLE001 - a hundred services' code: whatever it raises is no answer
            self.reason, taken = type(error).__name__, False
        else:
            self.reason = "" if taken else self._masked(self._said) or "it was not taken"
        sending.set_result(taken)

    def _hear(self, entry: NotifyLogEntry, _: object) -> None:
        self._said = entry.message

    def _masked(self, text: str) -> str:
        text = str(masked(text))
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        return text[:_REASON_CHARS_MAX]
