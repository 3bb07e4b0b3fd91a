"""`pitboss panic` and `pitboss doctor` on contracts of the loopback exchange."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.instrument import InstrumentSpec
from actors.messages import AccountReported, ForcedTrade, TradeReported
from tests.daemon.commands.journals import write_journal

if TYPE_CHECKING:
    from tests.daemon.commands.conftest import Loopback
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

SYMBOL = "BTC/USDT:USDT"
SPEC = InstrumentSpec(
    symbol=SYMBOL,
    tick=Decimal("0.01"),
    lot=Decimal("0.001"),
    min_notional=Decimal(5),
    base="BTC",
    quote="USDT",
    contract=True,
)
HERE = ("exchange.id=binanceusdm", f"exchange.symbols=['{SYMBOL}']", "exchange.leverage=20")
QUICK = ("exchange.recv_window_ms=500", "exchange.timeout_ms=1000")
REAL = (
    *("--mode", "real", "--set", "live.armed=true", "--set", "risk.max_daily_loss=5000"),
    *("--set", "risk.max_notional=90000", "--set", "risk.max_orders_per_minute=60"),
)


def as_options(settings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for setting in settings for word in ("--set", setting))


def told(fill: dict[str, Any]) -> TradeReported:
    """Return a fill of the exchange's book as the gateway tells it."""
    return TradeReported(
        fill["client_order_id"],
        fill["symbol"],
        fill["trade_id"],
        1 if fill["side"] == "BUY" else -1,
        int(Decimal(fill["price"]) / SPEC.tick),
        int(Decimal(fill["quantity"]) / SPEC.lot),
        fill["commission_asset"],
        int(Decimal(fill["commission"]) * 10**8),
        "taker",
        fill["time_ms"] * 1_000_000,
        realized_atoms=int(Decimal(fill["realized"]) * 10**8),
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def panic(invoke: Callable[..., Run], state: Path) -> Callable[..., Run]:
    def run(*arguments: str) -> Run:
        return invoke("panic", "--state-dir", str(state), "--yes", "--json", *arguments)

    return run


def position(loopback: Loopback) -> Decimal:
    return sum((Decimal(row["amount"]) for row in loopback.book()["positions"]), Decimal(0))


# --- panic ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_position_and_its_stop_go_and_a_second_look_proves_it(
    loopback: Loopback, panic: Callable[..., Run], state: Path, side: str
) -> None:
    back, stop = ("sell", "90") if side == "buy" else ("buy", "110")
    loopback.order("pb0000000a", side, "0.5", symbol=SYMBOL)
    loopback.order("pb0000000b", back, "0.5", symbol=SYMBOL, triggerPrice=stop, reduceOnly=True)
    loopback.order("pb0000000c", side, "0.1", "50" if side == "buy" else "150", symbol=SYMBOL)
    (fill,) = loopback.book()["fills"]
    write_journal(state, (loopback.file, True, (told(fill),)), spec=SPEC, further=(*HERE, *QUICK))

    run = panic()

    assert run.code == 0, run
    assert sorted(deed["action"] for deed in run.json["deeds"]) == sorted(["cancel", "cancel", back])
    assert run.json["flat"]
    assert position(loopback) == 0
    book = loopback.book()
    assert [row["status"] for row in book["conditional_orders"]] == ["CANCELED"]
    (closing,) = [
        row for row in book["orders"] if row["client_order_id"].startswith("pb0000000-") or row["reduce_only"]
    ]
    assert (closing["reduce_only"], closing["filled"]) == (True, "0.50000000")


def test_what_is_not_ours_stays_unless_everything_is_to_go(
    loopback: Loopback, panic: Callable[..., Run], state: Path
) -> None:
    loopback.order("pb0000000a", "buy", "0.5", symbol=SYMBOL)
    loopback.order("web_1", "buy", "0.3", symbol=SYMBOL)
    loopback.order("web_2", "sell", "0.1", symbol=SYMBOL, triggerPrice="80")
    ours, _ = loopback.book()["fills"]
    write_journal(state, (loopback.file, True, (told(ours),)), spec=SPEC, further=(*HERE, *QUICK))

    assert panic().code == 0
    assert position(loopback) == Decimal("0.3")
    assert [row["status"] for row in loopback.book()["conditional_orders"]] == ["NEW"]

    assert panic("--all").code == 0
    assert position(loopback) == 0
    assert [row["status"] for row in loopback.book()["conditional_orders"]] == ["CANCELED"]


def test_what_the_venue_closed_is_not_closed_again(loopback: Loopback, panic: Callable[..., Run], state: Path) -> None:
    bought = TradeReported("pb0000000a", SYMBOL, 1, 1, 10_000, 500, "USDT", 0, "taker", 0)
    forced = ForcedTrade(SYMBOL, "liquidation", "autoclose-1", 2, -1, 9_000, 500, "USDT", 0, -5, 0)
    report = AccountReported("period", (), (), (), (), (), forced=(forced,))
    write_journal(state, (loopback.file, True, (bought, report, forced)), spec=SPEC, further=(*HERE, *QUICK))

    run = panic()

    assert (run.code, run.json["deeds"], position(loopback)) == (0, [], 0)


def test_a_position_on_the_other_side_is_not_ours_to_close(
    loopback: Loopback, panic: Callable[..., Run], state: Path
) -> None:
    loopback.order("pb0000000a", "buy", "0.5", symbol=SYMBOL)
    loopback.order("web_1", "sell", "0.8", symbol=SYMBOL)
    ours, _ = loopback.book()["fills"]
    write_journal(state, (loopback.file, True, (told(ours),)), spec=SPEC, further=(*HERE, *QUICK))

    run = panic()

    assert position(loopback) == Decimal("-0.3")
    assert "our executions make a position of 0.5 BTC, the account's is -0.3" in json.dumps(run.json["notes"])


# --- doctor -----------------------------------------------------------------------------------------


@pytest.fixture
def diagnose(invoke: Callable[..., Run], loopback: Loopback, state: Path) -> Callable[..., Any]:
    def diagnose(*arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
        where = ("--state-dir", str(state), "--set", "http.port=0", *loopback.settings, *as_options(HERE))
        run = invoke("doctor", "--json", *where, *arguments)
        assert run.errors == ""
        return run.code, {row["check"]: (row["verdict"], row["detail"]) for row in run.json}

    return diagnose


def test_the_doctor_shows_modes_margin_filters_and_funding(loopback: Loopback, diagnose: Callable[..., Any]) -> None:
    loopback.order("web_1", "sell", "0.8", symbol=SYMBOL)

    code, findings = diagnose(*REAL)

    assert code == 0, findings
    assert findings["modes"] == ("ok", "one-way positions, single-asset margin, all as configured")
    assert findings[f"margin {SYMBOL}"] == ("ok", "cross margin, leverage 20, a position of -0.8")
    assert findings[f"symbol {SYMBOL}"] == ("ok", "price step 0.01, quantity step 0.001, at least 5 USDT an order")
    assert findings[f"funding {SYMBOL}"][0] == "ok"
    assert "longs pay shorts 0.01 % at 20" in findings[f"funding {SYMBOL}"][1]
    assert "USDT" in findings["key"][1]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("exchange.leverage=5", "the leverage is 20, exchange.leverage is 5: change one of them"),
        ("exchange.margin_mode=isolated", "the margin mode is cross, exchange.margin_mode is isolated"),
    ],
)
def test_the_doctor_finds_modes_that_differ(diagnose: Callable[..., Any], setting: str, words: str) -> None:
    code, findings = diagnose(*REAL, "--set", setting)

    assert code == 1
    assert findings["modes"][0] == "error"
    assert words in findings["modes"][1]


def test_the_doctor_wants_the_leverage_to_be_named(invoke: Callable[..., Run], loopback: Loopback, state: Path) -> None:
    where = ("--state-dir", str(state), "--set", "http.port=0", *loopback.settings, *as_options(HERE[:2]))
    run = invoke("doctor", "--json", *where, *REAL)
    (real,) = [row for row in run.json if row["check"] == "real mode"]
    assert (real["verdict"], "--set exchange.leverage=..." in real["detail"]) == ("error", True)
