"""The switches themselves: seeded, counted, narrowed, bounded, refused by name."""

from pathlib import Path

import pytest

from replay.exchange.faults import KINDS, FaultError, Faults, parse_fault


def strikes(faults: Faults, count: int = 200) -> list[bool]:
    return [faults.strikes("latency", "GET /api/v3/time") for _ in range(count)]


def test_same_seed_same_faults() -> None:
    first, same, other = (strikes(Faults(seed, {"latency": 0.3})) for seed in (7, 7, 8))
    assert first == same
    assert first != other
    assert 30 < sum(first) < 90


def test_faults_do_not_disturb_one_another() -> None:
    alone, beside = Faults(7, {"latency": 0.3}), Faults(7, {"latency": 0.3, "stall": 0.5})
    drawn = []
    for _ in range(200):
        drawn.append(beside.strikes("latency", "GET /api/v3/time"))
        beside.strikes("stall", "market btcusdt@trade")
    assert drawn == strikes(alone)


def test_what_struck_is_counted() -> None:
    faults = Faults(7, {"latency": 0.3})
    assert sum(strikes(faults)) == faults.counts["latency"]


def test_rate_is_never_or_always_at_its_ends() -> None:
    assert all(strikes(Faults(7, {"latency": 1})))
    assert not any(strikes(Faults(7, {"latency": 0})))
    assert not any(strikes(Faults(7)))


def test_fault_can_be_narrowed_and_bounded() -> None:
    faults = Faults(7)
    faults.set("latency", 1.0, on="/order", times=2)
    assert not faults.strikes("latency", "GET /api/v3/time")
    assert [faults.strikes("latency", "POST /api/v3/order") for _ in range(3)] == [True, True, False]


def test_seconds_are_the_kind_s_unless_given() -> None:
    faults = Faults(7, {"stall": 1.0})
    assert faults.seconds("stall") == KINDS["stall"].seconds
    faults.set("stall", 1.0, seconds=0.5)
    assert faults.seconds("stall") == 0.5


def test_setting_again_replaces_and_zero_ends() -> None:
    faults = Faults(7, {"latency": {"rate": 1.0, "on": "nowhere"}})
    faults.update({"latency": 1})
    assert faults.strikes("latency", "somewhere")
    faults.update({"latency": 0})
    assert not faults.strikes("latency", "somewhere")
    faults.update({"latency": 1})
    faults.clear()
    assert not faults.strikes("latency", "somewhere")


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ({"latence": 0.1}, r"there is no such fault \(did you mean 'latency'\?\); there are latency"),
        ({"latency": 1.5}, "from 0 to 1"),
        ({"latency": -0.1}, "from 0 to 1"),
        ({"latency": float("nan")}, "from 0 to 1"),
        ({"latency": "often"}, "latency"),
        ({"latency": {"rate": 0.1, "how": "hard"}}, "how"),
        ({"latency": {"rate": 0.1, "times": -1}}, "times"),
    ],
)
def test_nonsense_is_refused_whole(rates: dict[str, object], text: str) -> None:
    faults = Faults(7)
    with pytest.raises(FaultError, match=text):
        faults.update({"stall": 1.0} | rates)
    assert not faults.strikes("stall", "anywhere")


def test_report_names_every_fault_with_its_meaning() -> None:
    rows = Faults(7, {"latency": 0.25}).report()
    assert [row["name"] for row in rows] == list(KINDS)
    assert all(row["meaning"].endswith(".") for row in rows)
    assert rows[0] == {
        "name": "latency", "meaning": KINDS["latency"].meaning, "rate": 0.25, "seconds": 0.5, "on": "", "times": None,
        "count": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("latency=0.1", ("latency", {"rate": 0.1})),
        ("stall=1:2.5", ("stall", {"rate": 1.0, "seconds": 2.5})),
    ],
)
def test_flags_are_a_name_and_a_rate(text: str, parsed: tuple[str, dict[str, float]]) -> None:
    assert parse_fault(text) == parsed


@pytest.mark.parametrize(
    "text", ["latency", "latency=", "latency=often", "latency=0.1:soon", "nope=1", "=1", "latency=2"]
)
def test_flags_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(FaultError):
        parse_fault(text)


def test_every_fault_is_drawn_somewhere_and_tested_somewhere() -> None:
    here = Path(__file__).resolve()
    sources = [path for path in (here.parents[3] / "replay/exchange").rglob("*.py") if path.stem != "faults"]
    tests = [path for path in here.parent.glob("test_*.py") if path != here]
    for paths in (sources, tests):
        text = "".join(path.read_text(encoding="utf-8") for path in paths)
        assert [name for name in KINDS if f'"{name}"' not in text] == []
