"""How a table fits itself to its width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.panels.table import Cell, Column, Row, _cells, _fit, _headings, elide

COLUMNS = (
    Column("name", elides_to=6),
    Column("qty", align="point"),
    Column("price", align="right", worth=5),
    Column("id", worth=1),
)


def rows(*lines: tuple[str, ...]) -> list[Row]:
    return [Row(tuple(Cell(text) for text in line)) for line in lines]


def drawn(columns: tuple[Column, ...], shown: list[Row], width: int) -> list[str]:
    fitted = _fit(columns, shown, width)
    lines = ["".join(_headings(columns, fitted))]
    lines += ["".join(text for text, _ in _cells(columns, fitted, row)) for row in shown]
    return [line.rstrip() for line in lines]


LONG = rows(("strategy.long", "0.75", "41,640.13", "x1"), ("core", "-12.5", "9.00", "x22"), ("a", "3", "–", ""))  # noqa: RUF001


def test_everything_is_shown_with_wide_gaps_where_there_is_room() -> None:
    assert drawn(COLUMNS, LONG, 60) == [
        "name              qty      price  id",
        "strategy.long    0.75  41,640.13  x1",
        "core           -12.5        9.00  x22",
        "a                3             –",  # noqa: RUF001
    ]


def test_gaps_narrow_before_anything_is_lost() -> None:
    assert drawn(COLUMNS, LONG, 34)[1] == "strategy.long   0.75 41,640.13 x1"


def test_a_column_that_may_be_elided_gives_way_before_one_is_left_out() -> None:
    assert drawn(COLUMNS, LONG, 30)[1] == "strategy…   0.75 41,640.13 x1"
    assert drawn(COLUMNS, LONG, 30)[2] == "core      -12.5       9.00 x22"


def test_columns_of_least_worth_are_left_out_first() -> None:
    assert drawn(COLUMNS, LONG, 25)[:2] == ["name        qty     price", "strateg…   0.75 41,640.13"]
    assert drawn(COLUMNS, LONG, 16)[:2] == ["name         qty", "strategy…   0.75"]
    assert drawn(COLUMNS, LONG, 9)[:2] == ["name", "strategy…"]


def test_a_column_without_text_is_left_out_before_anything_is_elided() -> None:
    bare = [Row((*row.cells[:3], Cell(""))) for row in LONG]
    assert drawn(COLUMNS, bare, 60)[0].endswith("id")
    assert drawn(COLUMNS, bare, 32)[:2] == ["name              qty      price", "strategy.long    0.75  41,640.13"]


def test_names_keep_their_end_by_which_they_are_told_apart() -> None:
    columns = (Column("strategy", elides_to=8, names=True),)
    names = rows(("mean_reversion_of_the_basis_07",), ("mean_reversion_of_the_basis_08",))
    assert drawn(columns, names, 16)[1:] == ["mean_rever…is_07", "mean_rever…is_08"]


def test_what_is_elided_is_the_column_of_least_worth() -> None:
    columns = (Column("actor", elides_to=4, worth=9), Column("message", elides_to=4, worth=1))
    assert drawn(columns, rows(("strategy", "a long message")), 16)[1] == "strategy a long…"


@given(
    st.lists(st.tuples(*[st.text(max_size=12)] * 4), max_size=4),
    st.integers(1, 70),
)
def test_no_line_is_ever_wider_than_the_panel(texts: list[tuple[str, str, str, str]], width: int) -> None:
    fitted = _fit(COLUMNS, rows(*texts), width)
    taken = sum(column.width + column.gap for column in fitted) - fitted[-1].gap
    assert fitted
    assert taken <= width or len(fitted) == 1
    for row in rows(*texts):
        for (text, _), column in zip(_cells(COLUMNS, fitted, row), fitted, strict=True):
            assert cell_len(text) == column.width + column.gap


@given(st.text(max_size=20), st.integers(0, 25))
def test_elided_text_fits_and_what_fits_is_left_alone(text: str, width: int) -> None:
    for keep_end in (False, True):
        shown = elide(text, width, keep_end=keep_end)
        assert cell_len(shown) <= width
        if cell_len(text) <= width:
            assert shown == text
        elif width:
            assert "…" in shown if keep_end else shown.endswith("…")
