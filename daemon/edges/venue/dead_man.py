"""The venue's dead-man switch: it withdraws our orders of a contract unless it hears of us in time.

Every third of the time it is wound up anew, as long as the core takes inputs; while the journal is in trouble it
does not, and nobody here could look after the orders. It goes off for all orders of a symbol that the venue counts
in, stops that protect a position not excepted: a daemon that is gone for longer comes back to a position without
one. A stop command disarms it, a signal does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import structlog

from daemon.edges.venue.errors import RequestError
from daemon.edges.venue.limits import Priority
from daemon.edges.venue.weights import COUNTDOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.edges.venue.contract_client import ContractClient
    from daemon.edges.venue.questions import Caller

_PARTS = 3

log = structlog.get_logger()


class DeadMan:
    """Keeps the switch wound up.

    Args:
        client: the venue.
        caller: makes the requests.
        symbols: contracts it is armed for.
        seconds: time without us after which it goes off.
        alive: whether the core takes inputs.
    """

    def __init__(
        self,
        client: ContractClient,
        caller: Caller,
        symbols: Sequence[str],
        seconds: int,
        alive: Callable[[], bool],
    ) -> None:
        self._client = client
        self._caller = caller
        self._symbols = symbols
        self._seconds = seconds
        self._alive = alive

    async def run(self) -> None:
        """Wind it up until cancelled."""
        while True:
            if self._alive():
                await self._arm(self._seconds * 1_000)
            else:
                log.warning("dead_man_not_renewed", reason="the core takes no inputs")
            await anyio.sleep(self._seconds / _PARTS)

    async def disarm(self) -> None:
        """Switch it off: nothing of ours is open any more."""
        await self._arm(0)

    async def _arm(self, milliseconds: int) -> None:
        for symbol in self._symbols:
            try:
                await self._caller.once(
                    Priority.EXIT,
                    COUNTDOWN,
                    lambda symbol=symbol: self._client.arm_countdown(symbol, milliseconds),  # type: ignore[misc]
                )
            except RequestError as failure:
                log.warning("dead_man_not_heard", symbol=symbol, reason=failure.reason)
