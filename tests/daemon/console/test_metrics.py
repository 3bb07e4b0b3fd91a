"""What Prometheus is told, and the dashboard that shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from actors.runtime.journal import FILE_NAME as JOURNAL
from daemon.console.app import Console
from daemon.console.metrics import Metrics, _histogram
from daemon.histogram import Histogram
from daemon.live import Latencies
from tests.daemon.alerts.test_news import World, mirror_of
from tests.daemon.conftest import eventually

if TYPE_CHECKING:
    from prometheus_client import Metric

    from tests.daemon.console.conftest import Client

pytestmark = pytest.mark.slow

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana.json"
STRICT = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"

Sample = tuple[str, tuple[tuple[str, str], ...]]


def parsed(client: Client) -> list[Metric]:
    """Return every family in the text format."""
    return list(text_string_to_metric_families(client.ask("GET", "/metrics").raw.decode()))


def scraped(client: Client, accept: str = "text/plain") -> tuple[dict[str, str], dict[Sample, float]]:
    """Return the type of every family and every sample."""
    answer = client.ask("GET", "/metrics", headers={"Accept": accept})
    assert answer.status == 200, answer
    text = answer.raw.decode()
    parse = text_string_to_metric_families
    if answer.headers["Content-Type"].startswith("application/openmetrics-text"):
        parse = openmetrics.text_string_to_metric_families
    families = list(parse(text))
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }
    return {family.name: family.type for family in families}, samples


def test_metrics_say_what_the_status_says(client: Client) -> None:
    client.daemon.wait_for(lambda s: s["positions"] and s["orders"], "a position and an order")
    before = client.daemon.status()
    eventually(
        lambda: scraped(client)[1]["pitboss_inputs_total", (("kind", "Bar"),)] > before["last_input"]["seq"],
        "metrics of later",
    )
    types, samples = scraped(client)
    after = client.daemon.status()

    def value(name: str, **labels: str) -> float:
        return samples[name, tuple(sorted(labels.items()))]

    inputs = sum(number for (name, _), number in samples.items() if name == "pitboss_inputs_total")
    assert before["last_input"]["seq"] <= inputs <= after["last_input"]["seq"]
    assert types["pitboss_input_latency_seconds"] == types["pitboss_order_round_trip_seconds"] == "histogram"
    for until in ("decided", "released"):
        buckets = [
            number
            for (name, labels), number in samples.items()
            if name == "pitboss_input_latency_seconds_bucket" and ("until", until) in labels
        ]
        assert buckets == sorted(buckets)
        assert buckets[-1] == value("pitboss_input_latency_seconds_count", until=until) > 0
    decided, released = (value("pitboss_input_latency_seconds_sum", until=until) for until in ("decided", "released"))
    assert 0 < decided < released
    filled = value("pitboss_order_round_trip_seconds_count", until="filled")
    assert 0 < filled <= value("pitboss_order_round_trip_seconds_count", until="acknowledged")
    assert value("pitboss_order_round_trip_seconds_sum", until="filled") >= filled * 60  # at the next bar at best
    assert value("pitboss_actor_up", actor="strategy.Holder") == value("pitboss_venue_up", kind="simulated") == 1
    assert value("pitboss_mailbox_messages", actor="core") >= 0
    assert value("pitboss_trading_state", pitboss_trading_state="running") == 1
    assert value("pitboss_position_base", strategy="Holder", symbol="SYN/USDT") > 0
    assert 0 <= value("pitboss_drawdown_ratio") < 1
    assert value("pitboss_equity_peak_quote") >= value("pitboss_equity_quote") > 0
    assert value("pitboss_feed_age_seconds") < 60
    assert (value("pitboss_dead_letters_total"), value("pitboss_symbol_stale", symbol="SYN/USDT")) == (0, 0)
    assert value("pitboss_journal_lag_seconds") < 10
    for process in ("daemon", "console"):
        assert value(f"pitboss_{process}_process_resident_memory_bytes") > 10e6
        assert value(f"pitboss_{process}_process_cpu_seconds_total") > 0


def test_names_units_and_labels_are_as_prometheus_wants_them(client: Client) -> None:
    eventually(lambda: "pitboss_dead_letters_total" in str(scraped(client)[1]), "counts")
    types, _ = scraped(client, STRICT)
    answer = client.ask("GET", "/metrics", headers={"Accept": STRICT})
    assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.raw.endswith(b"# EOF\n")

    assert not [problem for family in parsed(client) for problem in problems_of(family)]
    assert types["pitboss_run"] == "info"
    lines = [line for line in client.ask("GET", "/metrics").raw.decode().splitlines() if not line.startswith("#")]
    assert len(lines) == len({line.rpartition(" ")[0] for line in lines}) < 600


def problems_of(family: Metric) -> list[str]:
    """Return what `promtool check metrics` would say of a family."""
    name, words = family.name, set(family.name.split("_"))
    rules = {
        "no help": not family.documentation,
        "not in snake case": re.fullmatch(r"pitboss(_[a-z0-9]+)+", name) is None,
        "a unit that is no base unit": words & {"ms", "us", "ns", "minutes", "hours", "days", "percent", "kb", "mb"},
        "its type in its name": words & {"gauge", "counter", "histogram", "summary"},
        "named as a counter and is none": family.type != "counter" and name.endswith(("_total", "_count", "_sum")),
        "a counter that does not end in _total": family.type == "counter"
        and any(not sample.name.endswith("_total") for sample in family.samples),
        "buckets of what is no histogram": family.type != "histogram"
        and any({"le", "quantile"} & sample.labels.keys() for sample in family.samples),
        "a label that is not in snake case": any(
            re.fullmatch(r"[a-z_]+", label) is None for sample in family.samples for label in sample.labels
        ),
        "a histogram without its end": family.type == "histogram"
        and "+Inf" not in {sample.labels.get("le") for sample in family.samples},
    }
    return [f"{name}: {problem}" for problem, found in rules.items() if found]


def test_the_dashboard_asks_for_nothing_that_is_not_served_and_every_panel_shows_something(client: Client) -> None:
    eventually(lambda: "pitboss_dead_letters_total" in str(scraped(client)[1]), "counts")
    dashboard: Any = json.loads(DASHBOARD.read_text())
    types, samples = scraped(client)
    served = {name for name, _ in samples} | types.keys() | {f"{name}_total" for name in types}
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    queries += [variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    asked = {name for query in queries for name in re.findall(r"\bpitboss_\w+(?=[{,])", query)}

    assert len(asked) > 25
    assert asked <= served, asked - served
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    without = {
        panel["title"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        if not shown(target, [(name, dict(labels)) for name, labels in samples])
    }
    of_a_real_feed = {"Streams: opened anew, missing, told by REST", "Request weight", "Feed age"}
    assert without == of_a_real_feed | {"Risk: refused, cut, acted", "Alerts"}, "all that this daemon does not have"


def shown(target: dict[str, str], samples: list[tuple[str, dict[str, str]]]) -> bool:
    """Return whether every selector of a query finds samples, with the labels it is grouped and named by."""
    grouped = {word for words in re.findall(r"by \(([\w, ]+)\)", target["expr"]) for word in words.split(", ")}
    named = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
    for name, matchers in re.findall(r"(pitboss_\w+){([^}]*)}", target["expr"]):
        found = [labels for each, labels in samples if each == name]
        for label, is_regex, value in re.findall(r'(\w+)=(~?)"([^"]*)"', matchers):
            if label != "instance":
                pattern = value if is_regex else re.escape(value)
                found = [labels for labels in found if re.fullmatch(pattern, labels.get(label, ""))]
        if not found or not all((grouped | named) <= labels.keys() for labels in found):
            return False
    return True


async def test_a_journal_that_cannot_be_read_hides_nothing_but_the_drawdown(tmp_path: Path) -> None:
    world = World(tmp_path)
    metrics = Metrics(Console(world.hello(), mirror_of()))
    await metrics.refresh()
    peak = metrics._peak_atoms
    assert peak
    (tmp_path / JOURNAL).unlink()

    await metrics.refresh()

    assert metrics._peak_atoms == peak


@pytest.mark.parametrize(
    ("duration_ns", "index"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1 << 20, 20), (1 << 63, 63)]
)
def test_a_bucket_holds_its_own_bound(duration_ns: int, index: int) -> None:
    for histogram in (Histogram(), Latencies()):
        histogram.add(duration_ns)

        row = histogram.row()
        assert [at for at, count in enumerate(row.buckets) if count] == [index]
        assert row.sum_ns == duration_ns


def test_a_duration_counts_in_every_bucket_that_is_at_least_as_long() -> None:
    histogram = Histogram()
    for duration_ns in (1, 1_024, 1_025, 2**34, 2**34 + 1, 2**40):
        histogram.add(duration_ns)
    family = HistogramMetricFamily("x", "x", labels=("until",))

    _histogram(family, "now", histogram.row(), (10, 34))

    upto = {sample.labels.get("le", sample.name): sample.value for sample in family.samples}
    assert (upto["1.024e-06"], upto["2.048e-06"], upto["17.179869184"], upto["+Inf"]) == (2, 3, 4, 6)
    assert (upto["x_count"], upto["x_sum"]) == (6, (1 + 1_024 + 1_025 + 2**35 + 1 + 2**40) / 1e9)
