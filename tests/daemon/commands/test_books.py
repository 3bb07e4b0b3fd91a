"""The books of several strategies, as `pitboss replay` and `pitboss run` show them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.daemon.conftest import Run

pytestmark = pytest.mark.slow

TWO = "strategies=[{use='ema_cross',params={fast=3,slow=9}},{use='rsi2',id='second'}]"
MARKET = ("--synthetic", "7:1500")


def books(shown: str) -> dict[str, list[str]]:
    """Return the rows of the table of books by strategy, as text."""
    _, _, table = shown.partition("\nBooks")
    rows = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in table.splitlines() if line[:1] == "│"]
    return {row[0]: row[1:] for row in rows}


def test_a_replay_of_two_strategies_shows_each_ones_book(invoke: Callable[..., Run]) -> None:
    run = invoke("replay", *MARKET, "--set", TWO)
    told = invoke("replay", *MARKET, "--set", TWO, "--json").json

    assert run.code == 0, run
    shown = books(run.output)
    assert list(shown) == [book["strategy"] for book in told["books"]] == ["ema_cross", "second"]
    for book in told["books"]:
        assert shown[book["strategy"]][:3] == [book["symbol"], f"{book['orders']:,}", f"{book['fills']:,}"]
        assert 0 < book["fills"] <= book["orders"]
    gained = Decimal(str(told["final_equity"])) - Decimal(str(told["start_equity"]))
    assert sum(Decimal(str(book["profit"])) for book in told["books"]) == gained
    assert "Books" not in invoke("replay", *MARKET).output


def test_a_session_of_two_strategies_shows_each_ones_book_at_its_end(
    invoke: Callable[..., Run], tmp_path: Path
) -> None:
    where = ("--state-dir", str(tmp_path / "state"), "--set", "http.port=0", "--set", "feed.speed=0")
    run = invoke("run", *MARKET, *where, "--set", TWO, "--exit-at-end")

    assert run.code == 0, run
    replayed = invoke("replay", *MARKET, "--set", TWO)
    assert list(books(run.output)) == ["ema_cross", "second"]
    assert books(run.output) == books(replayed.output)
