"""How a command is sent, and how a person hears what became of it."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING, Literal

from textual import work

from tui.client import AwayError, InDoubtError, RefusedError
from tui.figures import words

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tui.client import Action, Terms
    from tui.status import Status

Severity = Literal["information", "warning", "error"]

_AWAITED_MAX = 64


class Sending:
    """The part of the console that sends; what shall be sent is asked for by the part it is mixed into."""

    if TYPE_CHECKING:
        status: Any
        sealed: Any
        client: Any
        notify: Any
        set_timer: Any
        look: Callable[[], None]
        _pace: Any
        _under_way: set[str]
        _awaited: dict[str, str]
        _sealed_session: str | None

    def send(self, action: Action, terms: Terms | None = None) -> None:
        """Send a command, unless the same one is still under way."""
        what = " ".join([action, *(str(term) for term in (terms or {}).values() if term is not True)])
        if what not in self._under_way:
            self._under_way.add(what)
            self._deliver(action, terms, what)

    @work(group="commands")
    async def _deliver(self, action: Action, terms: Terms | None, what: str) -> None:
        """Send one command under one key until an answer comes, and say so where none does."""
        key = secrets.token_hex(16)
        in_doubt = False
        waiting = self.set_timer(
            self._pace.patience_s, partial(self._tell, what, "on its way; no answer yet", "information")
        )
        try:
            for attempt_index in range(self._pace.sends_max):
                if attempt_index:
                    await asyncio.sleep(self._pace.retry_s)
                try:
                    command_id = await self.client.control(action, key, terms)
                except AwayError as error:
                    in_doubt = in_doubt or isinstance(error, InDoubtError)
                    reason = str(error)
                else:
                    self._await(command_id, action, what)
                    return
            fate = "in doubt: it may or may not have been taken" if in_doubt else "not sent"
            self._tell(what, f"{fate} ({reason})", "error")
        except RefusedError as error:
            self._tell(what, f"refused: {error}", "error")
        finally:
            waiting.stop()
            self._under_way.discard(what)
            self.look()

    def _await(self, command_id: str, action: Action, what: str) -> None:
        """Tell of a command's outcome once the status has it, and in the meantime that it was taken."""
        if action == "stop" and self.status is not None:
            self._sealed_session = self.status.session
            self.sealed = True
        self._awaited[command_id] = what
        if len(self._awaited) > _AWAITED_MAX:
            del self._awaited[next(iter(self._awaited))]
        if self.status is not None:
            self.tell_outcomes(self.status)
        self.set_timer(self._pace.patience_s, partial(self._tell_pending, command_id))

    def _tell_pending(self, command_id: str) -> None:
        if command_id in self._awaited:
            self._tell(self._awaited[command_id], "taken; not done yet", "information")

    def tell_outcomes(self, status: Status) -> None:
        """Tell what a status says became of our commands."""
        for command in status.commands:
            if command.outcome != "pending" and command.command_id in self._awaited:
                said = f"{command.outcome}: {command.note}" if command.note else command.outcome
                severity: Severity = "information" if command.outcome == "done" else "warning"
                self._tell(self._awaited.pop(command.command_id), said, severity)

    def _tell(self, what: str, said: str, severity: Severity) -> None:
        title = words(what[:1].upper() + what[1:])
        timeout_s = 10 if severity == "error" else 5
        self.notify(words(said), title=title, severity=severity, timeout=timeout_s, markup=False)
