"""Which comparisons of the accounts are a line in the log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from actors import messages as m
from daemon.edges.reporter import Reporter


def lines_of(*messages: m.Message) -> list[tuple[str, str]]:
    """Return the level and the reason of every comparison that was written."""
    reporter = Reporter()
    core: Any = SimpleNamespace(scheduler=SimpleNamespace(seq=1))
    reporter.attach(core)
    with capture_logs() as lines:
        for message in messages:
            reporter.on_message(message)
        reporter.release(1)
    assert {line["event"] for line in lines} <= {"reconciled"}
    return [(line["log_level"], line["reason"]) for line in lines]


def test_the_first_comparison_after_a_connection_is_told_whatever_it_was_asked_for() -> None:
    usual = m.Reconciled("period", (), 0)
    up, down = m.VenueLink(up=True), m.VenueLink(up=False, reason="lost")
    told = lines_of(up, usual, usual, down, up, usual, usual)
    assert [level for level, _ in told] == ["info", "debug", "info", "debug"]


def test_later_ones_are_told_if_they_are_not_the_usual() -> None:
    up = m.VenueLink(up=True)
    told = lines_of(
        up,
        m.Reconciled("start", (), 0),
        m.Reconciled("period", (), 0),
        m.Reconciled("period", (), 1),
        m.Reconciled("period", ("USDT: differs",), 0),
    )
    assert [level for level, _ in told] == ["info", "debug", "info", "warning"]
