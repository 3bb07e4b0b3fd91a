"""How much to trade: pure functions from money and risk to a quantity in base units, 0 or more.

    quantity = atr_risk(self.equity, f.atr, risk=0.01, multiple=2)
    self.bracket(self.fit(quantity), stop=bar.close - 2 * f.atr)

Money is in quote units, a price or a distance in quote units per base unit, fractions are of 1. What markets and
accounts give (equity, price, volatility, distance, an estimated edge) may be anything: where it is no positive finite
number the quantity is 0.0, for nothing can be said of the risk. What a person chooses (a fraction, a target, a cap)
must be within its bounds: a `ValueError` names it.

A quantity becomes whole lots, never more than it says, where it is ordered; `Strategy.fit` shows what that will be, and
keeps a purchase on spot within the account's cash.
"""

from __future__ import annotations

from math import inf, isfinite, sqrt

__all__ = [
    "annualised",
    "atr_risk",
    "fixed",
    "kelly",
    "kelly_fraction",
    "kelly_fraction_of_returns",
    "percent_of_equity",
    "risk_per_trade",
    "volatility_target",
]

_YEAR_NS = 365 * 86_400 * 10**9
_LEVERAGE_MAX = 150.0


def fixed(quantity: float) -> float:
    """Return `quantity`: always the same.

    Raises:
        ValueError: it is no positive finite number.
    """
    _check("quantity", quantity, 0.0, inf)
    return float(quantity)


def percent_of_equity(equity: float, price: float, *, fraction: float) -> float:
    """Return what `fraction` of the equity buys at `price`.

    Args:
        equity: in quote units.
        price: of one base unit.
        fraction: of the equity, above 0; above 1 is with leverage.
    """
    _check("fraction", fraction, 0.0, _LEVERAGE_MAX)
    return _ratio(equity * fraction, price) if _is_known(equity, price) else 0.0


def risk_per_trade(equity: float, stop_distance: float, *, risk: float) -> float:
    """Return the quantity that loses `risk` of the equity if the price goes `stop_distance` against it.

    Fees and slippage come on top. Source: R. Vince, "Portfolio Management Formulas" (1990), fixed fractional trading.

    Args:
        equity: in quote units.
        stop_distance: between entry and stop, in quote units per base unit.
        risk: fraction of the equity, above 0 and at most 1.
    """
    _check("risk", risk, 0.0, 1.0)
    return _ratio(equity * risk, stop_distance) if _is_known(equity, stop_distance) else 0.0


def atr_risk(equity: float, atr: float, *, risk: float, multiple: float = 2.0) -> float:
    """Return the quantity that loses `risk` of the equity over `multiple` average true ranges.

    Source: C. Faith, "The Original Turtle Trading Rules" (2003): a unit is 1% of the account over N, stops 2 N away.

    Args:
        equity: in quote units.
        atr: average true range, in quote units per base unit.
        risk: fraction of the equity, above 0 and at most 1.
        multiple: how many ranges the stop is away.
    """
    _check("multiple", multiple, 0.0, inf)
    return risk_per_trade(equity, atr * multiple, risk=risk)


def volatility_target(
    equity: float, price: float, volatility: float, *, target: float, leverage_max: float = 1.0
) -> float:
    """Return the quantity whose value has the volatility `target` relative to the equity.

    Source: Moskowitz, Ooi and Pedersen, "Time series momentum" (2012), section 3: positions of target / volatility.

    Args:
        equity: in quote units.
        price: of one base unit.
        volatility: standard deviation of returns, over the same time as `target` (see `annualised`).
        target: standard deviation of returns of the equity, above 0.
        leverage_max: most value in multiples of the equity, which a quiet market would otherwise ask for.
    """
    _check("target", target, 0.0, inf)
    _check("leverage_max", leverage_max, 0.0, _LEVERAGE_MAX)
    if not _is_known(equity, price, volatility):
        return 0.0
    return _ratio(equity * min(target / volatility, leverage_max), price)


def annualised(volatility: float, timeframe_ns: int) -> float:
    """Return a standard deviation of returns per bar as one per year of 365 days, for returns that are independent."""
    _check("timeframe_ns", timeframe_ns, 0, inf)
    return volatility * sqrt(_YEAR_NS / timeframe_ns)


def kelly_fraction(win_rate: float, win_loss_ratio: float, *, scale: float = 0.5, cap: float = 1.0) -> float:
    """Return the fraction of the equity to stake on a bet that wins or loses: (p - (1 - p) / b) x `scale`.

    Without an edge it is 0.

    Source: J. L. Kelly, "A New Interpretation of Information Rate" (1956); on why to scale it down, E. O. Thorp, "The
    Kelly Criterion in Blackjack, Sports Betting and the Stock Market" (2006).

    Args:
        win_rate: p, estimated share of bets that win; what is not within 0 and 1 gives 0.
        win_loss_ratio: b, average win over average loss.
        scale: part of the full fraction that is taken, above 0 and at most 1.
        cap: largest fraction, above 0.
    """
    if not (_is_known(win_rate, win_loss_ratio) and win_rate <= 1):
        return _bounded(0.0, scale, cap)
    return _bounded(win_rate - (1 - win_rate) / win_loss_ratio, scale, cap)


def kelly_fraction_of_returns(mean: float, variance: float, *, scale: float = 0.5, cap: float = 1.0) -> float:
    """Return the fraction of the equity to hold of something with such returns: mean / variance x `scale`.

    Source: Thorp (2006), section 7.1, the continuous approximation.

    Args:
        mean: of returns in excess of what cash earns, over any time.
        variance: of returns, over the same time.
        scale: part of the full fraction that is taken, above 0 and at most 1.
        cap: largest fraction, above 0.
    """
    return _bounded(_ratio(mean, variance) if _is_known(mean, variance) else 0.0, scale, cap)


def kelly(
    equity: float, price: float, win_rate: float, win_loss_ratio: float, *, scale: float = 0.5, cap: float = 1.0
) -> float:
    """Return what `kelly_fraction` of the equity buys at `price`."""
    fraction = kelly_fraction(win_rate, win_loss_ratio, scale=scale, cap=cap)
    return percent_of_equity(equity, price, fraction=fraction) if fraction else 0.0


def _bounded(fraction: float, scale: float, cap: float) -> float:
    _check("scale", scale, 0.0, 1.0)
    _check("cap", cap, 0.0, _LEVERAGE_MAX)
    return min(max(0.0, fraction) * scale, cap)


def _check(name: str, value: float, above: float, at_most: float) -> None:
    if not (isfinite(value) and above < value <= at_most):
        bound = "" if at_most == inf else f" and at most {at_most:g}"
        message = f"{name} must be a number above {above:g}{bound}, not {value}"
        raise ValueError(message)


def _is_known(*values: float) -> bool:
    return all(isfinite(value) and value > 0 for value in values)


def _ratio(amount: float, per_unit: float) -> float:
    """Return amount / per_unit; 0.0 where that cannot be counted."""
    if not _is_known(amount, per_unit):
        return 0.0
    quantity = amount / per_unit
    return quantity if isfinite(quantity) else 0.0
