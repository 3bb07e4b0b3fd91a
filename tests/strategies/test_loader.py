"""From what a person types to a strategy, and one clear line for every mistake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.errors import UserError
from strategies.library import BUILT_IN
from strategies.loader import StrategySource, all_params, load_class, make_strategy, read_source
from strategies.state import dump_state, load_state

GOOD = """
from typing import Annotated
from pitboss import Meta, Strategy, ema
import msgspec


class Memory(msgspec.Struct):
    count: int = 0


class Mine(Strategy):
    period: Annotated[int, Meta(ge=1, le=50)] = 3
    share: Annotated[float, Meta(gt=0)] = 0.5
    long_only: bool = True
    label: str = "x"

    def features(self):
        return {"fast": ema(self.period)}


class Other(Strategy):
    pass


not_a_strategy = 5
"""

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a writer of a user's file; it returns what `--strategy` takes."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(code: str = GOOD, name: str = "mine.py", kind: str = "Mine") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
        return f"{path}:{kind}"

    return write


def refused(use: str) -> str:
    with pytest.raises(UserError) as caught:
        load_class(read_source(use))
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- built in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_built_in_is_found_by_its_name_and_starts_with_its_defaults(name: str) -> None:
    source = read_source(name)
    assert source == StrategySource(name)
    strategy = make_strategy(load_class(source), {}, name)
    assert isinstance(strategy.features(), dict)
    assert any(strategy.hears(hook) for hook in ("on_bar", "on_slice", "on_quote"))
    assert all_params(strategy)


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    assert refused("emacross") == (
        f"there is no strategy emacross (did you mean 'ema_cross'?); built in are {', '.join(BUILT_IN)}"
    )
    assert "did you mean" not in refused("qqq")


def test_a_stored_name_this_release_does_not_have_is_a_clear_line() -> None:
    """A journal may name a strategy that a later release has dropped."""
    with pytest.raises(UserError, match="there is no strategy ema_crosss"):
        load_class(StrategySource("ema_crosss"))


# --- a user's own file ------------------------------------------------------------------------------


def test_a_class_in_a_file_is_found_and_its_text_kept(write: Write) -> None:
    use = write()
    source = read_source(use)
    assert source.code == GOOD
    assert source.use == use
    kind = load_class(source)
    assert kind.__name__ == "Mine"
    assert all_params(kind()) == {"period": 3, "share": 0.5, "long_only": True, "label": "x"}


def test_the_path_is_made_absolute(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    monkeypatch.chdir(tmp_path)
    assert read_source("mine.py:Mine").use == f"{tmp_path.resolve()}/mine.py:Mine"


def test_a_kept_text_needs_no_file(write: Write, tmp_path: Path) -> None:
    source = read_source(write())
    (tmp_path / "mine.py").unlink()
    assert load_class(source).__name__ == "Mine"


def test_the_same_text_is_one_module_and_a_changed_text_another(write: Write) -> None:
    first = load_class(read_source(write()))
    again = load_class(read_source(write()))
    other = load_class(read_source(write(kind="Other")))
    changed = load_class(read_source(write(GOOD.replace("= 3", "= 4"))))
    assert first is again
    assert other.__module__ == first.__module__
    assert changed.__module__ != first.__module__
    assert (first().period, changed().period) == (3, 4)  # type: ignore[attr-defined]


def test_files_of_one_name_in_two_folders_keep_their_own_classes(write: Write) -> None:
    """Both remember a struct called Memory: each must find its own again."""
    here, there = write(name="a/mine.py"), write(GOOD.replace("count", "total"), name="b/mine.py")
    for use, field in ((here, "count"), (there, "total")):
        module = sys.modules[load_class(read_source(use)).__module__]
        load_class(read_source(here))
        load_class(read_source(there))
        loaded = load_state(dump_state({"memory": module.Memory(**{field: 7})}))["memory"]
        assert type(loaded) is module.Memory
        assert getattr(loaded, field) == 7


def test_a_file_may_import_its_neighbour(write: Write) -> None:
    write("FACTOR = 7\n", name="neighbour_of_mine.py")
    use = write("import neighbour_of_mine\n" + GOOD.replace("= 3", "= neighbour_of_mine.FACTOR"))
    assert load_class(read_source(use))().period == 7  # type: ignore[attr-defined]


def test_a_file_is_compiled_as_it_stands(write: Write) -> None:
    """Without the future imports of the loader: annotations are values there."""
    code = GOOD + "\n\ndef f(x: int) -> str: ...\n\nassert f.__annotations__ == {'x': int, 'return': str}\n"
    assert load_class(read_source(write(code))).__name__ == "Mine"


@pytest.mark.parametrize(
    ("code", "kind", "part"),
    [
        (GOOD, "Mien", "there is no strategy Mien (did you mean 'Mine'?); strategies there: Mine, Other"),
        (GOOD, "Memory", "there is no strategy Memory; strategies there: Mine, Other"),
        (GOOD, "not_a_strategy", "there is no strategy not_a_strategy"),
        (GOOD, "Strategy", "there is no strategy Strategy"),
        ("x = 1\n", "Mine", "strategies there: none"),
        ("class Mine(\n", "Mine", "mine.py:1: '(' was never closed"),
        ("import nothing_of_that_name\n", "Mine", "ModuleNotFoundError while it was loaded"),
        ("raise ValueError('no')\n", "Mine", "ValueError while it was loaded: no"),
        ("x = '\0'\n", "Mine", "mine.py"),
    ],
)
def test_a_file_that_is_no_strategy_is_one_line_that_names_it(write: Write, code: str, kind: str, part: str) -> None:
    line = refused(write(code, kind=kind))
    assert "mine.py" in line
    assert part in line


def test_a_file_that_failed_once_can_be_mended(write: Write) -> None:
    broken = write("import nothing_of_that_name\n")
    for _ in range(2):
        refused(broken)
    assert load_class(read_source(write())).__name__ == "Mine"


def test_a_file_that_is_missing_or_unreadable_is_named(tmp_path: Path) -> None:
    assert refused(f"{tmp_path}/none.py:Mine") == f"{tmp_path}/none.py: No such file or directory"
    assert refused(f"{tmp_path}:Mine") == f"{tmp_path}: Is a directory"
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"\xff\xfe")
    assert refused(f"{binary}:Mine") == f"{binary}: is not UTF-8 text"


def test_a_file_without_a_class_is_answered_with_how_to_name_one() -> None:
    assert refused("mine.py") == "mine.py: name the class too, as mine.py:ClassName"


# --- parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "line"),
    [
        (
            {"perod": 3},
            "m: there is no parameter perod (did you mean 'period'?); parameters are period, share, long_only, label",
        ),
        ({"period": 0}, "m: parameter period: Expected `int` >= 1"),
        ({"period": 51}, "m: parameter period: Expected `int` <= 50"),
        ({"period": Decimal("1.5")}, "m: parameter period: Expected `int`, got `float`"),
        ({"period": "3"}, "m: parameter period: Expected `int`, got `str`"),
        ({"share": 0}, "m: parameter share: Expected `float` > 0.0"),
        ({"share": Decimal("nan")}, "m: parameter share: must be a finite number, not nan"),
        ({"share": Decimal("inf")}, "m: parameter share: must be a finite number, not inf"),
        ({"long_only": 1}, "m: parameter long_only: Expected `bool`, got `int`"),
        ({"label": 5}, "m: parameter label: Expected `str`, got `int`"),
    ],
)
def test_a_wrong_parameter_is_one_line_that_names_it(write: Write, params: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        make_strategy(load_class(read_source(write())), params, "m")
    assert str(caught.value) == line


def test_a_parameter_that_would_hide_a_method_is_refused(write: Write) -> None:
    """Else `self.close()` would call a number, at the first exit."""
    use = write("from pitboss import Strategy\n\n\nclass Mine(Strategy):\n    close: float = 1.0\n")
    kind = load_class(read_source(use))
    with pytest.raises(UserError, match=r"^hider: parameter close: every strategy has something of that name already"):
        make_strategy(kind, {}, "hider")


def test_parameters_take_the_types_they_declare(write: Write) -> None:
    kind = load_class(read_source(write()))
    strategy = make_strategy(kind, {"period": 7, "share": 1, "long_only": False}, "m")
    assert all_params(strategy) == {"period": 7, "share": 1.0, "long_only": False, "label": "x"}
    assert type(all_params(strategy)["share"]) is float
    assert all_params(make_strategy(kind, {"share": Decimal("0.25")}, "m"))["share"] == 0.25


def test_a_strategy_is_made_anew_each_time(write: Write) -> None:
    kind = load_class(read_source(write()))
    one, two = make_strategy(kind, {}, "m"), make_strategy(kind, {}, "m")
    one.__dict__["memory"] = 5
    assert "memory" not in two.__dict__


def test_sources_survive_a_manifest(write: Write) -> None:
    source = read_source(write())
    assert msgspec.json.decode(msgspec.json.encode(source), type=StrategySource) == source
