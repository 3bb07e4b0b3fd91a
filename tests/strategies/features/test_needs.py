"""Features that read what nobody will tell are refused, by name, with how to get it."""

from __future__ import annotations

import pytest

from actors.messages import BookSnapshot, Funding
from config.errors import UserError
from strategies.features.needs import Told, reads, told_by
from strategies.indicators import Column, Expression, close, ema, external

TAPE = Told({"X": frozenset({"funding"}), "Y": frozenset()}, frozenset({"fear_greed"}))
LIVE = Told({"X": told_by({BookSnapshot})}, is_live=True)


def test_what_is_read_is_found_however_deep() -> None:
    funding = ema(3, Column("funding"))
    expression = (close - funding.on("1h", symbol="Y")) / external("mood") + funding
    assert set(reads(expression, "X")) == {("Y", "funding"), ("X", "funding"), (None, "mood")}
    TAPE.check({"a": ema(3) + Column("funding") + external("fear_greed"), "b": close.on(symbol="Y")}, "X")


@pytest.mark.parametrize(
    ("told", "expression", "complaint"),
    [
        (TAPE, external("fear_gred"), r"\(did you mean 'fear_greed'\?\): give it with --series fear_gred=FILE$"),
        (TAPE, Column("open_interest") + 1, "nothing tells open_interest of X: give it with --series X=FILE, a file"),
        (TAPE, Column("funding").on(symbol="Y"), "feature a: nothing tells funding of Y: give it with --series Y"),
        (TAPE, Column("buy_volume"), "nothing tells buy_volume of X: play a tape of trades, such as --tape trades:V"),
        (TAPE, Column("bid"), "play a tape of quotes"),
        (TAPE, Column("bid_depth"), "play a tape of book"),
        (LIVE, Column("funding"), r"^feature a: nothing tells funding of X: add funding to exchange.streams$"),
        (LIVE, Column("open_interest"), "a live feed does not tell it"),
        (LIVE, external("mood"), r'there is no series "mood": a live feed has no external series'),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_how_to_get_it(told: Told, expression: Expression, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        told.check({"b": close, "a": expression}, "X")


def test_a_book_tells_its_best_levels_too() -> None:
    assert told_by({BookSnapshot}) >= {"bid", "ask", "bid_quantity", "bid_depth", "ask_depth"}
    assert told_by({Funding}) == {"funding"}
