"""Rate limits: weight by the minute, orders by ten seconds, minute and day, a ban for who does not listen.

Windows are whole minutes, tens of seconds and days of the wall clock, as at Binance, whatever the speed of the tape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replay.exchange.model import VenueError

if TYPE_CHECKING:
    from collections.abc import Callable

_TOO_MANY = 429
_BANNED = 418
_REFUSALS_MAX = 5
"""Requests refused within a window before the next one means a ban."""
_BAN_S = 120.0


class LimitError(VenueError):
    """A refusal that says when to come back."""

    def __init__(self, code: int, text: str, status: int, retry_after_s: float) -> None:
        super().__init__(code, text, status)
        self.retry_after_s = max(1, int(retry_after_s + 0.999))


class _Window:
    """Counts what happens within a fixed length of time."""

    def __init__(self, kind: str, interval: str, number: int, seconds: int, limit: int) -> None:
        self.rule = {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
        self.limit = limit
        self.header = f"{number}{interval[0]}"
        self._seconds = seconds
        self._index = -1
        self._used = 0

    def used(self, now_s: float) -> int:
        index = int(now_s // self._seconds)
        if index != self._index:
            self._index, self._used = index, 0
        return self._used

    def add(self, count: int) -> None:
        self._used += count

    def left_s(self, now_s: float) -> float:
        return self._seconds - now_s % self._seconds


def futures_limits(now_s: Callable[[], float]) -> Limits:
    """Return the limits of perpetuals, which are counted apart from those of spot."""
    return Limits(now_s, weight_per_minute=2_400, orders_per_10s=300, orders_per_minute=1_200, orders_per_day=0)


class Limits:
    """The limits of one client: everything on this machine is one.

    Args:
        now_s: reads the wall clock.
        weight_per_minute: of requests.
        orders_per_10s: new orders.
        orders_per_minute: new orders; 0 for no such limit, as on spot.
        orders_per_day: new orders; 0 for no such limit, as of perpetuals.
        ban_s: how long the first ban lasts; each one after it lasts twice as long.
    """

    def __init__(
        self,
        now_s: Callable[[], float],
        *,
        weight_per_minute: int = 6_000,
        orders_per_10s: int = 100,
        orders_per_minute: int = 0,
        orders_per_day: int = 200_000,
        ban_s: float = _BAN_S,
    ) -> None:
        self._now_s = now_s
        self._weight = _Window("REQUEST_WEIGHT", "MINUTE", 1, 60, weight_per_minute)
        windows = (
            _Window("ORDERS", "SECOND", 10, 10, orders_per_10s),
            _Window("ORDERS", "MINUTE", 1, 60, orders_per_minute),
            _Window("ORDERS", "DAY", 1, 86_400, orders_per_day),
        )
        self._orders = tuple(window for window in windows if window.limit)
        self._refused = 0
        self._ban_s = ban_s
        self._banned_until_s = 0.0

    def rules(self) -> list[dict[str, Any]]:
        """Return the limits as `exchangeInfo` lists them."""
        return [dict(window.rule) for window in (self._weight, *self._orders)]

    def counts(self, *, orders_only: bool = False) -> list[dict[str, Any]]:
        """Return the limits with what is used of each."""
        now_s = self._now_s()
        windows = self._orders if orders_only else (*self._orders, self._weight)
        return [window.rule | {"count": window.used(now_s)} for window in windows]

    def headers(self) -> dict[str, str]:
        """Return what every REST reply says about the limits."""
        now_s = self._now_s()
        used = str(self._weight.used(now_s))
        return {"x-mbx-used-weight": used, "x-mbx-used-weight-1m": used} | {
            f"x-mbx-order-count-{window.header.lower()}": str(window.used(now_s)) for window in self._orders
        }

    def charge(self, weight: int) -> None:
        """Count a request.

        Raises:
            LimitError: 429 once the weight is used up, 418 for who goes on regardless.
        """
        now_s = self._now_s()
        if now_s < self._banned_until_s:
            raise self._ban(now_s)
        if self._weight.used(now_s) + weight <= self._weight.limit:
            self._weight.add(weight)
            self._refused = 0
            return
        self._refused += 1
        if self._refused > _REFUSALS_MAX:
            self._banned_until_s = now_s + self._ban_s
            self._ban_s *= 2
            self._refused = 0
            raise self._ban(now_s)
        text = (
            f"Too much request weight used; current limit is {self._weight.limit} request weight per 1 MINUTE."
            " Please use WebSocket Streams for live updates to avoid polling the API."
        )
        raise LimitError(-1003, text, _TOO_MANY, self._weight.left_s(now_s))

    def charge_order(self) -> None:
        """Count a new order.

        Raises:
            LimitError: -1015 once a window is full.
        """
        now_s = self._now_s()
        for window in self._orders:
            if window.used(now_s) >= window.limit:
                rule = window.rule
                per = f"{rule['intervalNum']} {rule['interval']}"
                text = f"Too many new orders; current limit is {window.limit} orders per {per}."
                raise LimitError(-1015, text, _TOO_MANY, window.left_s(now_s))
        for window in self._orders:
            window.add(1)

    def _ban(self, now_s: float) -> LimitError:
        until_ms = int(self._banned_until_s * 1000)
        text = (
            f"Way too much request weight used; IP banned until {until_ms}."
            " Please use WebSocket Streams for live updates to avoid bans."
        )
        return LimitError(-1003, text, _BANNED, self._banned_until_s - now_s)
