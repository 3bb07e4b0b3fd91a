"""What rules look at: the state that belongs to no rule alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.risk.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.execution.margin_account import Terms
    from actors.instrument import Instrument
    from actors.risk.account import Equity, Streaks
    from actors.risk.books import Books
    from actors.risk.market import Newest, Windows
    from actors.runtime.scheduler import Context


class Sources:
    """What rules look at.

    Attributes:
        context: the time.
        instruments: exact units by symbol.
        books: positions and working orders.
        pace: when orders were given.
        equity: at bar closes.
        streaks: how trades ended.
        newest: prices, quotes, funding times.
        windows: how bars moved.
        margin: how each contract is held, where they are on margin.
    """

    def __init__(
        self,
        context: Context,
        instruments: Mapping[str, Instrument],
        books: Books,
        equity: Equity,
        streaks: Streaks,
        newest: Newest,
        windows: Windows,
        margin: Mapping[str, Terms],
    ) -> None:
        self.context = context
        self.instruments = instruments
        self.books = books
        self.pace = Pace(context)
        self.equity = equity
        self.streaks = streaks
        self.newest = newest
        self.windows = windows
        self.margin = margin
