"""The plan of a session: what decides it, what would make it another one, and how a core is built of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.ledger import Account, Holding
from actors.system import EDITION
from config.errors import UserError
from config.load import check_settings
from config.schema import Settings
from replay.journal import decode_plan, encode_plan
from replay.plan import SessionPlan, build_core, check_strategies, difference, inherited, plan_session, start_core
from replay.tape import Tape, tape_from_frame

Configure = Callable[..., Settings]
MINUTE = 60_000_000_000


@pytest.fixture
def tape(walk: Any, tape_of: Any, joined: Any) -> Tape:
    made: Tape = joined(tape_of(walk(1, 50), "X"), tape_of(walk(2, 50), "Y"))
    return made


def entry(**values: Any) -> Settings:
    return check_settings({"strategies": [values]}, "test")


def refused(settings: Settings, tape: Tape) -> str:
    with pytest.raises(UserError) as caught:
        start_core(build_core(plan_session(settings, tape)))
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- planning ---------------------------------------------------------------------------------------


def test_a_plan_holds_all_that_decides_a_session(configure: Configure, tape: Tape, trader: str) -> None:
    plan = plan_session(configure(("Slow", "s", "Y", 7)), tape, tape_name="a tape")
    (record,) = plan.strategies
    assert (record.id, record.symbol, record.timeframe_ns) == ("s", "Y", 5 * MINUTE)
    assert record.params == {"seed": 7, "quantity": 0.5}
    assert record.source.code == Path(trader).read_text()
    assert [(one.symbol, one.timeframe_ns) for one in plan.series] == [("X", MINUTE), ("Y", MINUTE)]
    assert [spec.symbol for spec in plan.instruments] == ["X", "Y"]
    assert plan.start_ns == tape.series[0].first_open_ns
    assert plan.account == Account(100_000 * 10**8)
    assert (plan.tape, plan.tape_fingerprint) == ("a tape", tape.fingerprint)


def test_a_plan_survives_the_journal(configure: Configure, tape: Tape) -> None:
    account = Account(5, [Holding("s", "X", -3, -7, 1, 2, 3, 4)])
    settings = configure(("Slow", "s", "Y", 7), risk__max_position=1.5, account__cash="0.1")
    plan = plan_session(settings, tape, account)
    kept = decode_plan(encode_plan(plan))
    assert msgspec.to_builtins(kept) == msgspec.to_builtins(plan)
    assert difference(kept, plan) is None


def test_a_session_of_before_there_were_editions_goes_on_by_the_rules_it_began_with(
    configure: Configure, tape: Tape
) -> None:
    plan = plan_session(configure(("Slow", "s", "Y", 7)), tape)
    told = msgspec.json.decode(encode_plan(plan))
    assert told.pop("edition") == EDITION
    kept = decode_plan(msgspec.json.encode(told))
    assert difference(kept, plan) is None
    assert [build_core(each).risk._displaced._in_pauses for each in (kept, plan)] == [False, True]


def test_a_damaged_plan_is_a_clear_line() -> None:
    with pytest.raises(UserError, match="corrupt: a session's plan cannot be read"):
        decode_plan(b'{"settings": {}}')


def test_the_first_symbol_is_the_default(tape: Tape) -> None:
    assert plan_session(entry(use="ema_cross"), tape).strategies[0].symbol == "X"


def test_names_of_strategies(configure: Configure, tape: Tape, trader: str) -> None:
    """A built-in's name, a user's class, or what was given."""
    names = [
        plan_session(entry(**values), tape).strategies[0].id
        for values in ({"use": "ema_cross"}, {"use": f"{trader}:Slow"}, {"use": "ema_cross", "id": "mine"})
    ]
    assert names == ["ema_cross", "Slow", "mine"]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"use": "ema_cros"}, "there is no strategy ema_cros (did you mean 'ema_cross'?); built in are"),
        ({"use": "ema_cross", "symbol": "Z"}, "strategy ema_cross: no tape for Z"),
        ({"use": "ema_cross", "symbols": ["X", "YY"]}, "strategy ema_cross: no tape for YY (did you mean 'Y'?)"),
        (
            {"use": "ema_cross", "symbols": ["X", "Y"]},
            "strategy ema_cross: it trades 1 symbol, and 2 are there: X, Y",
        ),
        ({"use": "ema_cross", "symbols": ["X", "X"]}, "strategy ema_cross: X is named twice"),
        (
            {"use": "ema_cross", "symbol": "X", "symbols": ["X"]},
            "strategy ema_cross: give symbol or symbols, not both",
        ),
        ({"use": "ema_cross", "params": {"fst": 1}}, "ema_cross: there is no parameter fst (did you mean 'fast'?)"),
        ({"use": "ema_cross", "params": {"fast": 0}}, "ema_cross: parameter fast: Expected `int` >= 1"),
        ({"use": "ema_cross", "id": "m", "params": {"fast": 0}}, "m: parameter fast: Expected `int` >= 1"),
    ],
)
def test_a_mistake_is_one_line(tape: Tape, values: dict[str, Any], line: str) -> None:
    assert refused(entry(**values), tape).startswith(line)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({"symbols": {"XX": {"max_position": 1}}}, "risk.symbols.XX: the session has no symbol XX (did you mean 'X'?)"),
        (
            {"strategies": {"emacross": {"max_strategy_net": 1}}},
            "risk.strategies.emacross: the session has no strategy emacross (did you mean 'ema_cross'?)",
        ),
        (
            {"groups": {"majors": {"symbols": ["X", "Q"], "max_group_net": 1}}},
            "risk.groups.majors.symbols: the session has no symbol Q",
        ),
    ],
)
def test_limits_of_what_there_is_not_are_one_line(tape: Tape, table: dict[str, Any], line: str) -> None:
    settings = check_settings({"risk": table, "strategies": [{"use": "ema_cross"}]}, "test")
    assert refused(settings, tape).startswith(line)


def test_limits_on_margin_without_any_are_one_line(tape: Tape) -> None:
    for name in ("max_margin", "min_liquidation_distance"):
        settings = check_settings({"risk": {name: "0.5"}, "strategies": [{"use": "ema_cross"}]}, "test")
        assert refused(settings, tape).startswith(f"risk.{name}: the session has no contracts on margin; they take")


def test_two_of_one_name_are_refused(tape: Tape) -> None:
    settings = check_settings({"strategies": [{"use": "ema_cross"}, {"use": "ema_cross"}]}, "test")
    assert refused(settings, tape) == "two strategies are called ema_cross; give one of them another id"


@pytest.mark.parametrize(
    ("markets", "named", "traded"),
    [
        (2, {}, ("X", "Y")),
        (2, {"symbols": ["Y", "X"]}, ("Y", "X")),
        (1, {}, ("X",)),
        (1, {"symbols": ["Y"]}, ("Y",)),
        (None, {}, ("X", "Y")),
        (None, {"symbol": "Y"}, ("Y",)),
        (2, {"symbol": "Y"}, "strategy Mine: it trades 2 symbols, and 1 is there: Y"),
        (3, {}, "strategy Mine: it trades 3 symbols, and 2 are there: X, Y"),
        (0, {}, "strategy Mine: markets must be a number of symbols, or None for all, not 0"),
        ("'all'", {}, "strategy Mine: markets must be a number of symbols, or None for all, not 'all'"),
    ],
)
def test_how_many_symbols_it_trades(
    tape: Tape, tmp_path: Path, markets: Any, named: dict[str, Any], traded: tuple[str, ...] | str
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}    markets = {markets}\n")
    settings = entry(use=f"{path}:Mine", **named)
    if isinstance(traded, str):
        assert refused(settings, tape) == traded
        return
    (record,) = plan_session(settings, tape).strategies
    assert record.symbols == traded
    assert decode_plan(encode_plan(plan_session(settings, tape))).strategies == [record]


def test_symbols_of_bars_of_several_lengths_need_a_timeframe(
    walk: Any, tape_of: Any, joined: Any, tmp_path: Path
) -> None:
    table = walk(2, 50)
    table["ts"] = table["ts"][0] + 5 * (table["ts"] - table["ts"][0])
    slow = tape_from_frame(table, symbol="Y", timeframe="5m", tick=Decimal("0.01"))
    tape = joined(tape_of(walk(1, 50), "X"), slow)
    path = tmp_path / "mine.py"
    path.write_text(f"{HEAD}    markets = 2\n")
    line = "strategy Mine: its symbols have bars of different lengths; set timeframe in its class"
    assert refused(entry(use=f"{path}:Mine"), tape) == line
    path.write_text(f"{HEAD}    markets = 2\n    timeframe = '5m'\n")
    assert plan_session(entry(use=f"{path}:Mine"), tape).strategies[0].timeframe_ns == 5 * MINUTE


HEAD = "from pitboss import Strategy, ema\n\n\nclass Mine(Strategy):\n"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("    timeframe = '90s'\n", "strategy Mine: 90s bars cannot be built from 1m bars"),
        ("    timeframe = '30s'\n", "strategy Mine: 30s bars cannot be built from 1m bars"),
        ("    timeframe = 'soon'\n", "'soon' is no timeframe"),
        (
            "    def features(self):\n        return {'x': ema(0)}\n",
            "strategy Mine: features(): ValueError: ema: period",
        ),
        ("    def features(self):\n        return 5\n", "strategy Mine: features() must return features by name"),
        (
            "    def features(self):\n        return {'x': 5}\n",
            "strategy Mine: features() must return features by name",
        ),
        ("    def on_start(self):\n        1 / 0\n", "strategy Mine: on_start: ZeroDivisionError: division by zero"),
        (
            "    def on_start(self):\n        self.x = object()\n",
            "strategy Mine: on_start: StateError: self.x cannot be kept",
        ),
        (
            "    def on_start(self):\n        self.buy(1)\n",
            "strategy Mine: on_start: ValueError: orders can be given from",
        ),
    ],
)
def test_a_strategy_that_cannot_start_is_one_line(tape: Tape, tmp_path: Path, body: str, line: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(HEAD + body)
    assert refused(entry(use=f"{path}:Mine"), tape).startswith(line)


def test_mistakes_of_a_strategy_show_before_any_tape_is_read() -> None:
    check_strategies(entry(use="ema_cross"))
    with pytest.raises(UserError, match="parameter fast"):
        check_strategies(entry(use="ema_cross", params={"fast": 0}))


# --- another session --------------------------------------------------------------------------------


def replanned(configure: Configure, tape: Tape, change: str, trader: str, walk: Any, tape_of: Any) -> SessionPlan:
    """Return the plan of the same command, but for one change."""
    if change == "tape":
        return plan_session(configure(("Trader", "t", None, 1)), tape_of(walk(3, 50)), tape_name="another")
    if change == "file":
        path = Path(trader)
        path.write_text(path.read_text() + "\n# changed\n")
        return plan_session(configure(("Trader", "t", None, 1)), tape, tape_name="one")
    given: dict[str, Any] = {
        "nothing": (("Trader", "t", None, 1), {}),
        "id": (("Trader", "u", None, 1), {}),
        "class": (("Slow", "t", None, 1), {}),
        "seed": (("Trader", "t", None, 2), {}),
        "symbol": (("Trader", "t", "Y", 1), {}),
        "symbols": (("Pair", "t", "Y,X", 1), {}),
        "account": (("Trader", "t", None, 1), {"account__cash": 1}),
        "venue": (("Trader", "t", None, 1), {"venue__slippage_bps": 1}),
        "risk": (("Trader", "t", None, 1), {"risk__max_position": 1}),
        "market": (("Trader", "t", None, 1), {"market__stale_after_bars": 7}),
        "supervision": (("Trader", "t", None, 1), {"supervision__restarts_max": 1}),
        "feed": (("Trader", "t", None, 1), {"feed__speed": 9.0}),
        "http": (("Trader", "t", None, 1), {"http__port": 1}),
        "journal": (("Trader", "t", None, 1), {"journal__batch_max": 1}),
    }
    strategy, values = given[change]
    return plan_session(configure(strategy, **values), tape, tape_name="one")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("nothing", None),
        ("feed", None),
        ("http", None),
        ("journal", None),
        ("risk", None),
        ("tape", "the tape differs: one then, another now"),
        ("file", "the file of strategy t has changed"),
        ("id", "the strategies differ"),
        ("class", "strategy t was"),
        ("seed", "parameter seed of t was 1, now 2"),
        ("symbol", "strategy t traded X, now Y"),
        ("symbols", "strategy t traded X, Y, now Y, X"),
        ("account", "the settings [account] differ"),
        ("venue", "the settings [venue] differ"),
        ("market", "the settings [market] differ"),
        ("supervision", "the settings [supervision] differ"),
    ],
)
def test_what_makes_it_another_session(
    configure: Configure, tape: Tape, trader: str, walk: Any, tape_of: Any, change: str, words: str | None
) -> None:
    """What only paces or bounds the process may change from run to run; what decides may not, limits apart."""
    before = ("Pair", "t", "X,Y", 1) if change == "symbols" else ("Trader", "t", None, 1)
    kept = plan_session(configure(before), tape, tape_name="one")
    found = difference(kept, replanned(configure, tape, change, trader, walk, tape_of))
    assert (found is None) == (words is None)
    assert words is None or (found is not None and found.startswith(words))


def test_a_new_session_inherits_positions_and_cash_and_begins_its_counters_anew() -> None:
    account = Account(70, [Holding("a", "X", 3, 30, 5, 6, 7, 8), Holding("a", "Y", 0, 0, 5, 6, 7, 8)])
    assert inherited(account) == Account(70, [Holding("a", "X", 3, 30)])
    core_account = account.holdings[0]
    assert core_account.realized_atoms == 5, "the old account is left as it was"


def test_a_core_is_built_from_the_kept_text_not_from_the_file(
    configure: Configure, tape: Tape, trader: str, drive: Any
) -> None:
    plan = plan_session(configure(("Trader", "t", None, 1)), tape)
    before = drive(configure(("Trader", "t", None, 1)), tape).start().play(tape.bars()).digest
    Path(trader).write_text("this is no Python any more\n")
    core = build_core(plan)
    start_core(core)
    core.scheduler.post_bars(tape.bars())
    assert core.digest.value == before
