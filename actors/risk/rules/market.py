"""When nothing is opened because of the market or the hour: hours, funding, stale data, spread, price, regime.

Each of these rules lets an order pass or does not; how large it is plays no part.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from actors.risk.rules.base import Proposal, Rule, Verdict
from config.hours import minute_of_week, open_minutes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from actors.instrument import Instrument
    from actors.risk.market import Newest, Windows
    from actors.risk.rules.base import Action
    from actors.runtime.scheduler import Context

_BPS = 10_000
_NS_PER_S = 1_000_000_000
_NS_PER_HOUR = 3_600 * _NS_PER_S


class TradingHours(Rule):
    """Windows of the week, in UTC."""

    __slots__ = ("_context", "_open")

    def __init__(self, windows: Sequence[str], action: Action, context: Context) -> None:
        super().__init__("trading_hours", ", ".join(windows), action)
        self._open = open_minutes(windows)
        self._context = context

    def judge(self, order: Proposal) -> Verdict | None:  # noqa: ARG002 - the hour is everybody's
        """Let orders pass within a window."""
        if self._open >> minute_of_week(self._context.now_ns) & 1:
            return None
        return Verdict(f"outside trading hours {self.limit}")


class FundingTime(Rule):
    """Minutes around the times at which a contract's funding is paid."""

    __slots__ = ("_around_ns", "_context", "_every_ns", "_newest")

    needs = ("funding",)

    def __init__(self, minutes: float, hours: int, action: Action, newest: Newest, context: Context) -> None:
        super().__init__("funding_veto_minutes", f"{minutes:g}", action)
        self._around_ns = round(minutes * 60 * _NS_PER_S)
        self._every_ns = hours * _NS_PER_HOUR
        self._newest = newest
        self._context = context

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass far enough from the times that were announced; without a next one, from the whole hours."""
        if not order.instrument.spec.contract:
            return None
        now_ns = self._context.now_ns
        seen = self._newest.seen.get(order.symbol)
        known_ns = (0, 0) if seen is None else (seen.paid_ns, seen.funding_ns)
        away_ns = min((abs(now_ns - known) for known in known_ns if known), default=self._around_ns)
        if known_ns[1] <= now_ns:
            past_ns = now_ns % self._every_ns
            away_ns = min(away_ns, past_ns, self._every_ns - past_ns)
        if away_ns >= self._around_ns:
            return None
        return Verdict(f"within {self.limit} minutes of a funding time")


class DataAge(Rule):
    """The age of what is known of a symbol."""

    __slots__ = ("_context", "_most_ns", "_newest")

    needs = ("trades", "quotes")

    def __init__(self, seconds: float, action: Action, newest: Newest, context: Context) -> None:
        super().__init__("max_data_age_s", f"{seconds:g}", action)
        self._most_ns = round(seconds * _NS_PER_S)
        self._newest = newest
        self._context = context

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass on what is new enough."""
        told_ns = self._newest.told_ns(order.symbol)
        if self._context.now_ns - told_ns <= self._most_ns:
            return None
        if not told_ns:
            return Verdict(f"nothing is known of {order.symbol} yet")
        age_s = (self._context.now_ns - told_ns) / _NS_PER_S
        return Verdict(f"the newest data of {order.symbol} is {age_s:.1f} s old, more than {self.limit}")


class Spread(Rule):
    """The distance of the best ask from the best bid."""

    __slots__ = ("_most", "_newest")

    needs = ("quotes",)

    def __init__(self, bps: Decimal, action: Action, newest: Newest) -> None:
        super().__init__("max_spread_bps", f"{bps}", action)
        self._most = Fraction(bps) / _BPS
        self._newest = newest

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass while it is narrow, and where nobody tells it."""
        seen = self._newest.seen.get(order.symbol)
        if seen is None or not seen.bid:
            return None
        bid_ticks = order.instrument.price_to_ticks(seen.bid)
        ask_ticks = order.instrument.price_to_ticks(seen.ask)
        if 2 * (ask_ticks - bid_ticks) * self._most.denominator <= self._most.numerator * (ask_ticks + bid_ticks):
            return None
        bps = 2 * _BPS * (ask_ticks - bid_ticks) / (ask_ticks + bid_ticks)
        return Verdict(f"the spread of {order.symbol} is {bps:.4g} bps, wider than {self.limit}")


class PriceCollar(Rule):
    """How far an order's own prices are from what the market says."""

    __slots__ = ("_most", "_newest")

    needs = ("trades", "quotes", "marks")

    def __init__(self, bps: Decimal, action: Action, newest: Newest) -> None:
        super().__init__("price_collar_bps", f"{bps}", action)
        self._most = Fraction(bps) / _BPS
        self._newest = newest

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass whose limit and trigger, or else whose price of decision, are near the mark or the last."""
        seen = self._newest.seen.get(order.symbol)
        mark = 0.0 if seen is None or not order.instrument.spec.contract else seen.mark
        around = "mark" if mark else "last price"
        around_ticks = order.instrument.price_to_ticks(mark) if mark else self._newest.last_ticks(order.symbol)
        if not around_ticks:
            return Verdict(f"price collar {self.limit} bps, and no price is known yet")
        for ticks in (
            (order.limit_ticks, order.stop_ticks) if order.limit_ticks or order.stop_ticks else (order.price_ticks,)
        ):
            away_ticks = abs(ticks - around_ticks)
            if ticks and away_ticks * self._most.denominator > self._most.numerator * around_ticks:
                price = order.instrument.price(ticks).normalize()
                return Verdict(f"{price:f} is more than {self.limit} bps from the {around}")
        return None


class Volatility(Rule):
    """The volatility of a symbol's bars."""

    __slots__ = ("_bars", "_most", "_windows")

    needs = ("bars",)

    def __init__(self, limit: Decimal, bars: int, action: Action, windows: Windows) -> None:
        super().__init__("max_volatility", f"{limit}", action)
        self._most = float(limit)
        self._bars = bars
        self._windows = windows

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass while it is low, and while too few bars are known."""
        volatility = self._windows.volatility(order.symbol, self._bars)
        if volatility is None or volatility <= self._most:
            return None
        return Verdict(f"the volatility of {order.symbol} is {volatility:.4g} a year, more than {self.limit}")


class VolatilityRatio(Rule):
    """The volatility of a symbol's bars against its usual one."""

    __slots__ = ("_bars", "_most", "_usual", "_windows")

    needs = ("bars",)

    def __init__(self, limit: Decimal, bars: int, usual: int, action: Action, windows: Windows) -> None:
        super().__init__("max_volatility_ratio", f"{limit}", action)
        self._most = float(limit)
        self._bars = bars
        self._usual = usual
        self._windows = windows

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass while it is usual, and while too few bars are known; prices that stand still are usual."""
        usual = self._windows.volatility(order.symbol, self._usual)
        now = self._windows.volatility(order.symbol, self._bars)
        if usual is None or now is None or now <= self._most * usual:
            return None
        return Verdict(
            f"the volatility of {order.symbol} is {now:.4g} a year, more than {self.limit} times the usual {usual:.4g}"
        )


class Gap(Rule):
    """Opens far from the close before them."""

    __slots__ = ("_bars", "_windows")

    needs = ("bars",)

    def __init__(self, limit: Decimal, bars: int, action: Action, windows: Windows) -> None:
        super().__init__("max_gap", f"{limit}", action)
        self._bars = bars
        self._windows = windows

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass once so many bars have closed since the last gap, the one with the gap counted."""
        moves = self._windows.moves.get(order.symbol)
        if moves is None or not 0 < moves.since_gap <= self._bars:
            return None
        bars = "with its newest bar" if moves.since_gap == 1 else f"{moves.since_gap - 1} bars before its newest"
        return Verdict(f"{order.symbol} has gapped by more than {self.limit}, {bars}")


class Shortfall(Rule):
    """Expected shortfall of all positions over one bar, by what the last bars did to what is held now.

    The order counts as filled, and so does every other order that would enlarge what is held of its symbol.
    """

    __slots__ = ("_bars", "_instruments", "_most", "_newest", "_tail", "_windows")

    holds = True

    needs = ("bars",)

    def __init__(
        self,
        limit: Decimal,
        bars: int,
        tail: Decimal,
        action: Action,
        windows: Windows,
        newest: Newest,
        instruments: Mapping[str, Instrument],
    ) -> None:
        super().__init__("max_shortfall", f"{limit}", action)
        self._most = float(limit)
        self._bars = bars
        self._tail = float(tail)
        self._windows = windows
        self._newest = newest
        self._instruments = instruments

    def judge(self, order: Proposal) -> Verdict | None:
        """Let orders pass that leave it low enough, or lower than it is."""
        if order.lots <= 0:
            return None
        held: dict[str, int] = {}
        ahead: dict[tuple[str, int], int] = {}
        for (_, symbol), exposure in order.exposures.items():
            held[symbol] = held.get(symbol, 0) + exposure.held_lots
            ahead[symbol, 1] = ahead.get((symbol, 1), 0) + exposure.buying_lots
            ahead[symbol, -1] = ahead.get((symbol, -1), 0) + exposure.selling_lots
        before = {
            symbol: lots + (ahead[symbol, 1] if lots > 0 else -ahead[symbol, -1] if lots < 0 else 0)
            for symbol, lots in held.items()
        }
        side = order.side
        after = before | {
            order.symbol: held.get(order.symbol, 0) + side * (ahead.get((order.symbol, side), 0) + order.lots)
        }
        shortfall = self._of(after)
        if shortfall is None or shortfall <= self._most or shortfall <= (self._of(before) or 0.0):
            return None
        return Verdict(f"the expected shortfall would be {shortfall:.2f}, more than {self.limit}")

    def _of(self, lots: Mapping[str, int]) -> float | None:
        values = {
            symbol: float(self._instruments[symbol].quantity(held)) * self._newest.last(symbol)
            for symbol, held in lots.items()
            if held
        }
        return self._windows.shortfall(values, self._bars, self._tail)
