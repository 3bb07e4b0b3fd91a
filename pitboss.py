"""The public face: what a user of pitboss imports.

    from pitboss import Strategy, ema, load_tape, replay

    tape = load_tape("BTCUSDT=prices.parquet")
    result = replay(tape, "ema_cross", {"fast": 10, "slow": 20}, {"account.cash": 50_000})
    print(result.summary.final_equity, result.fills)

Names are loaded when they are first used, so importing this module is cheap. Everything listed in
`__all__` is typed, documented and stable within a major version.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.messages import (
        Bar,
        BookSnapshot,
        External,
        Funding,
        Liquidation,
        Mark,
        OpenInterest,
        Quote,
        Trade,
    )
    from actors.strategy_port import Execution, OrderUpdate
    from config.errors import UserError
    from config.schema import Settings
    from replay.driver import Summary
    from replay.journal import JournalSummary, replay_journal
    from replay.run import ReplayResult, load_tape, replay
    from replay.tape import Tape, open_tape, synthetic_tape, tape_from_frame
    from strategies import indicators as ta
    from strategies import sizing
    from strategies.base import Annotated, Meta, Strategy
    from strategies.indicators import Indicator, atr, bbands, ema, highest, lowest, rsi, sma, stddev

__all__ = [
    "Annotated",
    "Bar",
    "BookSnapshot",
    "Execution",
    "External",
    "Funding",
    "Indicator",
    "JournalSummary",
    "Liquidation",
    "Mark",
    "Meta",
    "OpenInterest",
    "OrderUpdate",
    "Quote",
    "ReplayResult",
    "Settings",
    "Strategy",
    "Summary",
    "Tape",
    "Trade",
    "UserError",
    "atr",
    "bbands",
    "ema",
    "highest",
    "load_tape",
    "lowest",
    "open_tape",
    "replay",
    "replay_journal",
    "rsi",
    "sizing",
    "sma",
    "stddev",
    "synthetic_tape",
    "ta",
    "tape_from_frame",
]

_HOMES = {
    "actors.messages": (
        "Bar",
        "BookSnapshot",
        "External",
        "Funding",
        "Liquidation",
        "Mark",
        "OpenInterest",
        "Quote",
        "Trade",
    ),
    "actors.strategy_port": ("Execution", "OrderUpdate"),
    "config.errors": ("UserError",),
    "config.schema": ("Settings",),
    "replay.driver": ("Summary",),
    "replay.journal": ("JournalSummary", "replay_journal"),
    "replay.run": ("ReplayResult", "load_tape", "replay"),
    "replay.tape": ("Tape", "open_tape", "synthetic_tape", "tape_from_frame"),
    "strategies.base": ("Annotated", "Meta", "Strategy"),
    "strategies.indicators": ("Indicator", "atr", "bbands", "ema", "highest", "lowest", "rsi", "sma", "stddev"),
}
_MODULES = {"ta": "strategies.indicators", "sizing": "strategies.sizing"}
"""Whole modules, as in ta.ema(20) and sizing.atr_risk(...)."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attributes have every type
    if name in _MODULES:
        return import_module(_MODULES[name])
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module 'pitboss' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
