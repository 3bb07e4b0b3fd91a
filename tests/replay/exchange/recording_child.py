"""An exchange that plays a recorded feed until it is killed: the child of `test_recording.py`.

Usage: ``python recording_child.py FEED STATE_DIR``. It says the number of each trade once that is durable.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from replay.exchange import venue as venues
from replay.exchange.model import Event, Printed
from replay.exchange.server import running


def say(events: Sequence[Event]) -> None:
    """Say which trades are durable."""
    for event in events:
        if isinstance(event, Printed):
            print(event.trade_id, flush=True)


async def play(feed: Path, state_dir: Path) -> None:
    """Play for ever, or to the end of the feed."""
    async with running(recording=feed, state_dir=state_dir) as exchange:
        exchange.venue.listen(say)
        await exchange.task


if __name__ == "__main__":
    venues.SNAPSHOT_EVERY = 20
    asyncio.run(play(Path(sys.argv[1]), Path(sys.argv[2])))
