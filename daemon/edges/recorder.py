"""The recorder: takes what a feed tells, as a core would, and writes it down with its time and its place.

It stands where a session's driver stands and stamps as that does, so what it writes is what a session would have been
told. Nothing waits for it: rows are taken at once, and a task of its own brings them to the disk.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import structlog

from actors.runtime.clock import knowable_ns
from replay.tape.recording import HEARD, Broke, Opened, encode_said

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actors.messages import Message
    from actors.runtime.clock import Clock
    from daemon.control.types import StreamRow
    from replay.tape.catalogue.spool import Spool

FLUSH_S = 0.5
"""Time between two writes that are waited for: what a power cut costs."""
HAND_OVER_S = 300.0
HAND_OVER_BYTES = 64 * 1024 * 1024
LOOK_S = 1.0
"""Time between two looks at how the streams are doing."""

log = structlog.get_logger()


class Recorder:
    """The inbox of a feed that is recorded.

    Args:
        spools: where the rows of each symbol go.
        clock: who stamps them.
        next_seq: number of the first row.
    """

    def __init__(self, spools: Mapping[str, Spool], clock: Clock, next_seq: int) -> None:
        self.counts: dict[str, Counter[str]] = {symbol: Counter() for symbol in spools}
        """What was written down, by symbol and the name of the message."""
        self.missing: Counter[str] = Counter()
        """Bars and trades that nobody can tell any more, by symbol."""
        self._spools = spools
        self._clock = clock
        self._seq = next_seq

    async def post(self, message: Message) -> None:
        """Take a message."""
        self._take(message)

    async def deliver(self, message: Message) -> None:
        """Take a message."""
        self._take(message)

    def note(self, said: Opened | Broke) -> None:
        """Write down what is not market data."""
        text = encode_said(said)
        assert text is not None, said
        self._write(said.symbol, type(said).__name__, self._clock.stamp(None), text)
        if isinstance(said, Broke):
            self.missing[said.symbol] += said.missing
            log.warning("feed_broke", symbol=said.symbol, stream=said.stream, reason=said.reason, missing=said.missing)

    async def run(self) -> None:
        """Bring what was taken to the disk, and now and then into the catalogue, until cancelled.

        Raises:
            UserError: the disk refuses.
        """
        handed_s = anyio.current_time()
        while True:
            await anyio.sleep(FLUSH_S)
            spools = list(self._spools.values())
            is_due = anyio.current_time() >= handed_s + HAND_OVER_S
            for spool in spools:
                full = spool.size >= HAND_OVER_BYTES
                await anyio.to_thread.run_sync(spool.hand_over if is_due or full else spool.flush)
            if is_due:
                handed_s = anyio.current_time()

    async def watch(self, look: Callable[[], Sequence[StreamRow]]) -> None:
        """Write down what breaks and what is missing, until cancelled."""
        before: dict[tuple[str, str], tuple[int, int]] = {}
        while True:
            await anyio.sleep(LOOK_S)
            self.compare(before, look())

    def compare(self, before: dict[tuple[str, str], tuple[int, int]], rows: Sequence[StreamRow]) -> None:
        """Write down how streams differ from `before`, which becomes what they are now."""
        for row in rows:
            breaks, missing = before.get((row.symbol, row.stream), (0, 0))
            if row.reconnects > breaks or row.missing > missing:
                reason = row.last_error if row.reconnects > breaks else "the venue does not have them any more"
                self.note(Broke(row.symbol, row.stream, reason, row.missing - missing))
            before[row.symbol, row.stream] = row.reconnects, row.missing

    def _take(self, message: Any) -> None:  # noqa: ANN401 - whatever the feed says
        assert isinstance(message, HEARD), message
        text = encode_said(message)
        if text is None:
            self.counts[message.symbol]["not a number"] += 1
            return
        self._write(message.symbol, type(message).__name__, self._clock.stamp(knowable_ns(message)), text)

    def _write(self, symbol: str, name: str, ts_ns: int, text: bytes) -> None:
        self._spools[symbol].append(ts_ns, self._seq, text)
        self._seq += 1
        self.counts[symbol][name] += 1
