"""Safe figures: bands, rounding, suppression, and `unknown` that is never 0."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import coverage
from app.rules.coverage import Cell, Figure, FigureState
from app.rules.words import CoverageBand

B = CoverageBand


@pytest.mark.parametrize(
    ("reached", "base", "band"),
    [
        (0, 200, B.NONE),
        (1, 1_000, B.TO_25),
        (50, 200, B.TO_25),
        (51, 200, B.TO_50),
        (100, 200, B.TO_50),
        (101, 200, B.TO_75),
        (150, 200, B.TO_75),
        (151, 200, B.TO_99),
        (199, 200, B.TO_99),
        (200, 200, B.ALL),
        (None, 200, B.UNKNOWN),
        (0, None, B.UNKNOWN),
        (0, 0, B.UNKNOWN),
    ],
)
def test_the_bands_leave_no_gap(reached: int | None, base: int | None, band: CoverageBand) -> None:
    assert coverage.band(reached, base) == band


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (2, 0), (3, 5), (7, 5), (8, 10), (12, 10), (13, 15)])
def test_counts_are_rounded_to_five(count: int, shown: int) -> None:
    assert coverage.rounded(count) == shown


def test_a_rate_comes_from_the_rounded_counts() -> None:
    shown = coverage.figure(Cell(7, 12))
    assert shown == Figure(FigureState.KNOWN, 5, 10, 50, B.TO_50)


def test_no_data_is_unknown_and_not_nought() -> None:
    shown = coverage.figure(Cell(None, 180))
    assert shown.state == FigureState.UNKNOWN
    assert shown.percent is None
    assert shown.band == B.UNKNOWN


def test_nobody_is_shown_out_of_fewer_than_ten() -> None:
    assert coverage.figure(Cell(4, 9)).state == FigureState.WITHHELD
    assert coverage.figure(Cell(4, 10)).state == FigureState.KNOWN


def test_a_part_is_not_more_than_the_whole() -> None:
    with pytest.raises(ValueError, match="part"):
        Cell(11, 10)


def test_one_small_cell_takes_the_next_smallest_with_it() -> None:
    table = coverage.publish({"a": Cell(1, 4), "b": Cell(20, 40), "c": Cell(60, 90)})
    assert [table.cells[key].state for key in "abc"] == ["withheld", "withheld", "known"]
    assert table.total.base == 135


def test_two_tiny_cells_are_not_enough_cover_for_each_other() -> None:
    table = coverage.publish({"a": Cell(1, 2), "b": Cell(1, 3), "c": Cell(60, 90), "d": Cell(60, 95)})
    assert [table.cells[key].state for key in "abcd"] == ["withheld", "withheld", "withheld", "known"]


def test_a_school_without_data_makes_a_total_partial_not_smaller_in_silence() -> None:
    table = coverage.publish({"a": Cell(50, 100), "b": Cell(None, None)})
    assert table.partial
    assert table.cells["b"].state == FigureState.UNKNOWN
    assert table.total.base == 100
    assert coverage.publish({"b": Cell(None, None)}).total.state == FigureState.UNKNOWN


cells = st.integers(0, 60).flatmap(lambda base: st.builds(Cell, st.integers(0, base), st.just(base)))
tables = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), cells, min_size=1, max_size=8)


@given(tables)
def test_no_held_back_cell_follows_from_the_total(table: dict[str, Cell]) -> None:
    shown = coverage.publish(table)
    held = [cell.base or 0 for key, cell in table.items() if shown.cells[key].state == FigureState.WITHHELD]
    if held and shown.total.state == FigureState.KNOWN:
        assert len(held) >= 2
        assert sum(held) >= coverage.SMALLEST_BASE


@given(tables)
def test_what_is_shown_is_safe_by_itself(table: dict[str, Cell]) -> None:
    shown = coverage.publish(table)
    for key, figure in [*shown.cells.items(), ("", shown.total)]:
        if figure.state == FigureState.KNOWN:
            assert figure.base is not None
            assert figure.reached is not None
            assert figure.base % 5 == figure.reached % 5 == 0
            assert 0 <= figure.reached <= figure.base
            assert figure.base >= coverage.SMALLEST_BASE
            assert key == "" or (table[key].base or 0) >= coverage.SMALLEST_BASE


@given(st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=2, max_size=4))
def test_neither_rows_nor_columns_give_a_cell_away(rows: list[list[int]]) -> None:
    bases = {f"{y}{x}": base for y, row in enumerate(rows) for x, base in enumerate(row)}
    lines = [[f"{y}{x}" for x in range(3)] for y in range(len(rows))]
    columns = [[f"{y}{x}" for y in range(len(rows))] for x in range(3)]
    hidden = coverage.withheld(bases, [*lines, *columns])
    for line in [*lines, *columns]:
        held = [bases[key] for key in line if key in hidden]
        safe = len(held) >= 2 and sum(held) >= coverage.SMALLEST_BASE
        assert not held or safe or len(held) == len(line)
