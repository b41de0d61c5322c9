"""Tables and figures that are remembered are those of the very same rows, and of no others."""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any
from uuid import UUID

from app.dashboards import figures
from app.dashboards.figures import Cut, School, Table, everywhere, lines, table_of, whole

SCHOOL = School(UUID(int=1), UUID(int=9), "Ash", None, None, None, frozenset(), 0)
OTHER = School(UUID(int=2), UUID(int=9), "Oak", None, None, None, frozenset(), 0)
NAMES = ("nc_year", "settled_year", "pupils", "reached", "minutes", "days", "at_activity", "at_placement", "at_week",
         "at_total", "bm5", "bm6")  # fmt: skip


class Kept(dict[str, Any]):
    """A row as the reader gives it: hashed and compared by its values."""

    def __hash__(self) -> int:  # type: ignore[override]  # a dict says it has none
        return hash(tuple(self.items()))


def _row(school: School, reached: int, nc_year: str = "8") -> Kept:
    values = (nc_year, nc_year, 40, reached, reached * 60, reached, 0, 0, 0, 0, reached, 0)
    return Kept({"school_id": school.id, **dict(zip(NAMES, values, strict=True))})


def _table(*rows: Kept, schools: tuple[School, ...] = (SCHOOL, OTHER), rounds: bool = True) -> Table:
    return table_of({one.id: one for one in schools}, rows, rounds=rounds, known=None)


def test_the_same_rows_give_the_same_table_and_its_figures_are_worked_out_once() -> None:
    assert isinstance(_row(SCHOOL, 1), Hashable)
    first = _table(_row(SCHOOL, 20), _row(OTHER, 10))
    assert _table(_row(SCHOOL, 20), _row(OTHER, 10)) is first
    shown = [line.figures for line in lines(first, everywhere(first), Cut.SCHOOL)]
    again = [line.figures for line in lines(first, everywhere(first), Cut.SCHOOL)]
    assert all(one is other for one, other in zip(shown, again, strict=True))


def test_another_count_another_school_or_another_caller_is_another_table() -> None:
    first = _table(_row(SCHOOL, 20))
    assert whole(first, everywhere(first)).figures.reached.reached == 20
    changed = _table(_row(SCHOOL, 30))
    assert whole(changed, everywhere(changed)).figures.reached.reached == 30
    assert _table(_row(SCHOOL, 20), schools=(SCHOOL,)) is not first
    moved = replace(SCHOOL, hub_id=UUID(int=8))
    assert _table(_row(SCHOOL, 20), schools=(moved, OTHER)) is not first
    assert _table(_row(SCHOOL, 20), rounds=False) is not first


def test_a_table_made_from_another_begins_without_its_figures() -> None:
    first = _table(_row(SCHOOL, 20), _row(OTHER, 10))
    assert whole(first, everywhere(first)).figures.reached.reached == 30
    part = replace(first, groups={SCHOOL.id: first.groups[SCHOOL.id]})
    assert whole(part, everywhere(part)).figures.reached.reached == 20


def test_lines_of_different_cuts_with_the_same_name_keep_their_own_figures() -> None:
    rows = [_row(SCHOOL, 20, "8"), _row(SCHOOL, 5, "9")]
    rows += [Kept({**_row(SCHOOL, 30), "nc_year": None, "settled_year": None})]
    rows += [Kept({**_row(SCHOOL, 10), "nc_year": "R", "settled_year": None})]
    table = _table(*rows, rounds=False)
    years = {one.key: one.figures.reached.reached for one in lines(table, everywhere(table), Cut.YEAR_GROUP)}
    stages = {one.key: one.figures.reached.reached for one in lines(table, everywhere(table), Cut.KEY_STAGE)}
    assert years == {"8": 20, "9": 5, "R": 10, figures.NO_YEAR: 30}
    assert stages == {"KS3": 25, figures.NO_YEAR: 40}
