"""Settings in layers, and one clear line for every mistake in them."""

from __future__ import annotations

import textwrap
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from config.errors import UserError, nearest
from config.hours import minute_of_week, open_minutes
from config.load import check_settings, describe_settings, load_settings, parse_value
from config.schema import Settings, StrategyEntry


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def refused(**layers: Any) -> str:
    """Return the line of the error these layers give."""
    with pytest.raises(UserError) as caught:
        load_settings(**{"environment": {}} | layers)
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- layers -----------------------------------------------------------------------------------------


def test_the_embedded_file_is_the_schemas_defaults() -> None:
    assert load_settings(environment={}) == Settings()


def test_the_embedded_file_names_every_setting() -> None:
    """Those that are off stand there behind ``#:``."""
    text = resources.files("config").joinpath("system.toml").read_text()
    lines = {line.removeprefix("#: ").partition(" = ")[0] for line in text.splitlines()}

    def check(kind: Any, table: str) -> None:
        assert f"[{table}" in text
        for field in msgspec.structs.fields(kind):
            below = [one for one in (field.type, *get_args(field.type)) if hasattr(one, "__struct_fields__")]
            if below:
                check(below[0], f"{table}.{field.name}")
            else:
                assert field.name in lines, table

    for section in msgspec.structs.fields(Settings):
        check(StrategyEntry if section.name == "strategies" else section.type, section.name)


def test_what_the_embedded_file_shows_as_off_can_be_switched_on(toml: Path) -> None:
    text = resources.files("config").joinpath("system.toml").read_text()
    toml.write_text(text.replace("#: ", ""))
    values = load_settings(toml, environment={})
    assert values.risk.max_position is not None
    assert values.instrument.tick is not None
    assert values.journal.size_mb_max is not None
    assert values.strategies[0].symbol is not None


def test_layers_go_embedded_command_file_environment_command_line(toml: Path) -> None:
    toml.write_text("[account]\ncash = 3\n[feed]\nspeed = 3\n[http]\nport = 3\n")
    environment = {"PITBOSS_FEED__SPEED": "4", "PITBOSS_HTTP__PORT": "4"}
    defaults = ["account.cash=2", "feed.speed=2", "http.port=2", "venue.slippage_bps=2"]
    values = load_settings(toml, ["http.port=5"], environment, defaults)
    assert values.venue.slippage_bps == 2
    assert values.account.cash == 3
    assert values.feed.speed == 4
    assert values.http.port == 5
    assert values.venue.taker_fee == Settings().venue.taker_fee


def test_a_later_assignment_wins() -> None:
    assert load_settings(overrides=["http.port=1", "http.port=2"], environment={}).http.port == 2


def test_a_layer_changes_only_what_it_names(toml: Path) -> None:
    toml.write_text("[risk]\nmax_position = 1.5\n")
    values = load_settings(toml, ["risk.max_notional=100"], {})
    assert (values.risk.max_position, values.risk.max_notional) == (Decimal("1.5"), 100)
    assert values.account == Settings().account


def test_the_strategies_of_a_file_take_the_place_of_the_default_one(toml: Path) -> None:
    toml.write_text(
        '[[strategies]]\nuse = "bollinger_reversion"\nid = "one"\nparams = { deviations = 2.5, short = true }\n'
        '[[strategies]]\nuse = "ema_cross"\nsymbol = "BTCUSDT"\n'
    )
    one, two = load_settings(toml, environment={}).strategies
    assert (one.use, one.id, one.params) == ("bollinger_reversion", "one", {"deviations": 2.5, "short": True})
    assert (two.use, two.symbol, two.params) == ("ema_cross", "BTCUSDT", {})


def test_the_environment_of_others_is_left_alone() -> None:
    environment = {"HOME": "/", "PITBOSS_TEST": "x", "PITBOSSX_A__B": "x", "pitboss_account__cash": "5"}
    assert load_settings(environment=environment) == Settings()


def test_the_process_environment_is_read_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITBOSS_ACCOUNT__CASH", "123")
    assert load_settings().account.cash == 123


@pytest.mark.parametrize("number", ["0.1", "0.30000000000000004", "1e-8", "12345678901.12345678"])
def test_money_is_exactly_what_was_written(toml: Path, number: str) -> None:
    toml.write_text(f"[account]\ncash = {number}\n")
    written = Decimal(number)
    assert load_settings(toml, environment={}).account.cash == written
    assert load_settings(overrides=[f"account.cash={number}"], environment={}).account.cash == written
    assert load_settings(environment={"PITBOSS_ACCOUNT__CASH": number}).account.cash == written


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("5", 5),
        ("1_000", 1_000),
        ("0.10", Decimal("0.10")),
        ("true", True),
        ("words of a person", "words of a person"),
        ('"5"', "5"),
        ("[1, 2]", [1, 2]),
        ("", ""),
        ("a\n[venue]", "a\n[venue]"),
    ],
)
def test_a_value_is_read_as_toml_or_taken_as_text(raw: str, value: Any) -> None:
    assert parse_value(raw) == value
    assert type(parse_value(raw)) is type(value)


def test_settings_survive_being_described() -> None:
    values = load_settings(overrides=["account.cash=0.1", "risk.max_position=3", "http.allowed_hosts=['a']"])
    assert check_settings(describe_settings(values), "stored") == values


# --- mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("account.csh=5", "--set account.csh=5: there is no setting account.csh (did you mean 'cash'?)"),
        ("acount.cash=5", "--set acount.cash=5: there is no setting acount (did you mean 'account'?)"),
        ("zzz.cash=5", "--set zzz.cash=5: there is no setting zzz"),
        ("account=5", "--set account=5: account is a table of settings, not a value"),
        ("account.cash", "--set account.cash: write it as section.key=value, for example account.cash=50000"),
        ("=5", "--set =5: write it as section.key=value, for example account.cash=50000"),
        ("account.cash.more=5", "--set account.cash.more=5: account.cash: Expected `decimal`, got `object`"),
        ("account.cash=abc", "--set account.cash=abc: account.cash: Invalid decimal string"),
        ("account.cash=true", "--set account.cash=true: account.cash: Expected `decimal`, got `bool`"),
        ("http.port=http", "--set http.port=http: http.port: Expected `int`, got `str`"),
        ("http.port=70000", "--set http.port=70000: http.port: Expected `int` <= 65535"),
        ("http.port=1.5", "--set http.port=1.5: http.port: Expected `int`, got `decimal`"),
        ("log.level=loud", "--set log.level=loud: log.level: Invalid enum value 'loud'"),
        ("journal.batch_max=0", "--set journal.batch_max=0: journal.batch_max: Expected `int` >= 1"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_that_names_it(override: str, line: str) -> None:
    assert refused(overrides=[override]) == line


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "1e30", "1e999999999"])
@pytest.mark.parametrize(
    "name",
    [
        "account.cash",
        "venue.taker_fee",
        "venue.maker_fee",
        "venue.slippage_bps",
        "venue.latency_ms",
        "instrument.tick",
        "instrument.lot",
        "instrument.min_notional",
        "risk.max_position",
        "risk.max_notional",
        "risk.max_daily_loss",
        "supervision.restart_window_s",
        "supervision.backoff_s",
        "feed.speed",
        "journal.stall_s",
        "http.port",
    ],
)
def test_no_number_reaches_the_core_that_is_none(name: str, value: str) -> None:
    rebate = name.endswith("_fee") and value == "-1"
    unbounded = value == "1e30" and name.split(".")[1] in (
        "min_notional",
        "max_position",
        "max_notional",
        "max_daily_loss",
    )
    if rebate or unbounded:
        load_settings(overrides=[f"{name}={value}"], environment={})
    else:
        section, key = name.split(".")
        assert f"{section}.{key}" in refused(overrides=[f"{name}={value}"])


def test_zero_is_no_price_step() -> None:
    assert "instrument.tick must be a number of at least" in refused(overrides=["instrument.tick=0"])


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    line = refused(environment={"PITBOSS_ACCOUNT__CSH": "5"})
    assert line == ("environment variable PITBOSS_ACCOUNT__CSH: there is no setting account.csh (did you mean 'cash'?)")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[account]\ncash = 'much'\n", "account.cash: Invalid decimal string"),
        ("[account]\ncsh = 5\n", "there is no setting account.csh (did you mean 'cash'?)"),
        ("account = 5\n", "account is a table of settings, not a value"),
        ("[account\n", "not valid TOML: Expected ']'"),
        ("[account]\ncash = 1\ncash = 2\n", "not valid TOML: Cannot overwrite a value"),
        ("strategies = 5\n", "strategies: Expected `array`, got `int`"),
        ('[[strategies]]\nuse = "ema_cross"\nsmbol = "X"\n', "no setting strategies[0].smbol (did you mean 'symbol'?)"),
        ("[[strategies]]\nuse = 5\n", "strategies[0].use: Expected `str`, got `int`"),
        ("[[strategies]]\nparams = { fast = [1] }\n", "strategies[0].params[...]: Expected"),
        ("strategies = [5]\n", "strategies[0]: Expected `object`, got `int`"),
    ],
)
def test_a_mistake_in_a_file_names_the_file_and_the_key(toml: Path, text: str, part: str) -> None:
    toml.write_text(text)
    line = refused(file=toml)
    assert line.startswith(f"{toml}: ")
    assert part in line


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert refused(file=missing) == f"{missing}: No such file or directory"
    assert refused(file=tmp_path) == f"{tmp_path}: Is a directory"
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert refused(file=binary) == f"{binary}: is not UTF-8 text"


def test_the_nearest_name_is_suggested_only_if_it_is_near() -> None:
    assert nearest("slipage_bps", ["slippage_bps", "latency_ms"]) == " (did you mean 'slippage_bps'?)"
    assert nearest("zzz", ["slippage_bps"]) == ""
    assert nearest("x", []) == ""


def test_settings_cannot_be_changed() -> None:
    values: Any = Settings()
    with pytest.raises(AttributeError):
        values.account.cash = Decimal(5)


# --- limits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("risk.max_drawdonw=0.1", "there is no setting risk.max_drawdonw (did you mean 'max_drawdown'?)"),
        ("risk.max_drawdown=1.1", "max_drawdown must be a number of at least 1E-12 and at most 1, not 1.1"),
        ("risk.max_leverage=0", "max_leverage must be a number of at least 1E-12 and at most 1000, not 0"),
        ("risk.actions.max_net=clipp", "risk.actions.max_net: Invalid enum value 'clipp'"),
        ("risk.actions.trading_hours=clip", "risk.actions.trading_hours: Invalid enum value 'clip'"),
        ("risk.actions.max_nett=veto", "there is no setting risk.actions.max_nett (did you mean 'max_net'?)"),
        ("risk.regime_bars=60", "regime_bars must be more than volatility_bars, 60, not 60"),
        ("risk.funding_hours=5", "risk.funding_hours: Invalid enum value 5"),
        ('risk.trading_hours=["mon-fri 8-16"]', "'mon-fri 8-16' is no window; write it as 'mon-fri 08:00-16:30', in"),
        ('risk.trading_hours=["mno 08:00-16:00"]', "'mno 08:00-16:00': there is no day mno (did you mean 'mon'?)"),
        ('risk.trading_hours=["mon 08:00-24:01"]', "'mon 08:00-24:01': there is no time 24:01"),
        ('risk.trading_hours=["mon 08:60-09:00"]', "'mon 08:60-09:00': there is no time 08:60"),
        ('risk.trading_hours=["mon 08:00-08:00"]', "'mon 08:00-08:00' holds no minute"),
        (
            "risk.correlation_threshold=1.01",
            "correlation_threshold must be a number of at least 0.01 and at most 1, no",
        ),
        ("risk.groups.majors=5", "risk.groups holds tables under names, such as [risk.groups.NAME]"),
        ("risk.groups.majors.max_group_net=5", "missing required field `symbols`"),
        ("risk.groups.majors.max_net=5", "no setting risk.groups.majors.max_net (did you mean 'max_group_net'?)"),
        ("risk.symbols.X.max_postion=5", "no setting risk.symbols.X.max_postion (did you mean 'max_position'?)"),
        ("risk.symbols.X.max_position=-5", "max_position must be a number of at least 1E-12, not -5"),
    ],
)
def test_a_mistake_in_a_limit_is_one_line(override: str, line: str) -> None:
    assert line in refused(overrides=[override])


def test_the_limits_the_readme_shows_are_limits(toml: Path) -> None:
    text = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    shown = text[text.index("    [risk]\n") : text.index("Summary and status (`risk.rules`)")]
    toml.write_text(textwrap.dedent(shown), encoding="utf-8")
    risk = load_settings(toml, environment={}).risk
    assert (risk.max_correlated_gross, risk.actions.max_drawdown) == (5_000, "flatten")


@pytest.mark.parametrize(
    ("window", "within", "beyond"),
    [
        ("mon 08:00-16:30", [480, 989], [479, 990, 480 + 1440]),
        ("Mon-Wednesday 00:00-24:00", [0, 3 * 1440 - 1], [3 * 1440, 7 * 1440 - 1]),
        ("08:00-09:00", [480, 6 * 1440 + 539], [540, 479 + 1440]),
        ("sun 22:00-02:00", [6 * 1440 + 1320, 7 * 1440 - 1, 0, 119], [120, 6 * 1440 + 1319]),
        ("sat-mon 23:00-01:00", [5 * 1440 + 1380, 6 * 1440 + 59, 59, 1380, 1440 + 59], [60, 1440 + 60, 4 * 1440]),
        ("mon 08:00-09:00, tue 08:00-09:00", [480, 1440 + 480], [2 * 1440 + 480]),
    ],
)
def test_windows_of_the_week(window: str, within: list[int], beyond: list[int]) -> None:
    minutes = open_minutes([window])
    assert [minutes >> minute & 1 for minute in within] == [1] * len(within)
    assert [minutes >> minute & 1 for minute in beyond] == [0] * len(beyond)


def test_the_week_begins_on_monday() -> None:
    monday_ns = 1_729_468_800 * 10**9
    assert [minute_of_week(monday_ns + after) for after in (-1, 0, 59_999_999_999, 60_000_000_000)] == [10_079, 0, 0, 1]
