"""What is withheld of a programme, as a property: no strand of fewer than ten follows from what a hub is shown."""

from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from app.dashboards import programmes
from app.dashboards.programmes import Figures
from app.rules.coverage import FigureState

PROGRAMME = UUID(int=1)


def row(grouped: str, strand: int | None, people: int, costed: int, requests: int) -> dict[str, Any]:
    return {
        "programme_id": PROGRAMME, "grouped": grouped, "strand_id": UUID(int=strand) if strand else None, "whole": True,
        "exact": False, "schools": 3, "schools_unknown": 0, "young_people": people, "minutes": 120 * people,
        "squares": 14_400 * people, "days": people, "day_squares": people, "bm5": people, "bm6": 0,
        "expected_people": people, "expected": people, "no_shows": 0, "costed_people": costed,
        "costed_minutes": [120 * costed], "lapsed": 0,
        "spent": [1_000] if costed else [], "spent_by_programme": [0] if costed else [], "seconds": [3_600] * requests,
    }  # fmt: skip


strands = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 12)), min_size=1, max_size=7
)


@settings(max_examples=300, deadline=None)
@given(strands, st.integers(0, 15))
def test_no_strand_of_fewer_than_ten_follows_from_the_whole_and_the_others(
    sizes: list[tuple[int, int, int]], loose: int
) -> None:
    rows = [
        row("strand", at, people, min(people, costed), asked)
        for at, (people, costed, asked) in enumerate(sizes, 1)
    ]
    rows.append(row("none", None, loose, 0, 0))
    rows.append(
        row(
            "all",
            None,
            sum(one["young_people"] for one in rows),
            sum(one["costed_people"] for one in rows),
            sum(len(one["seconds"]) for one in rows),
        )
    )
    sheet = programmes.sheets(rows)[PROGRAMME]
    shown = {at: sheet.strands[UUID(int=at)] for at in range(1, len(sizes) + 1)}
    _follows_not(sizes, shown, sheet.whole, loose)
    for at, (people, costed, _) in enumerate(sizes, 1):
        _cost_is_safe(shown[at], people, min(people, costed))


def _follows_not(
    sizes: list[tuple[int, int, int]], shown: dict[int, Figures], whole: Figures, loose: int
) -> None:
    for at, (people, _, asked) in enumerate(sizes, 1):
        if 0 < people < 10:
            assert (shown[at].state, shown[at].young_people) == (FigureState.WITHHELD, None)
        if 0 < asked < 5:
            assert (shown[at].answered.count, shown[at].response.value) == (None, None)
    held = [people for at, (people, _, _) in enumerate(sizes, 1) if shown[at].young_people is None]
    left = sum(held) + loose
    if whole.young_people is not None and any(0 < one < 10 for one in (*held, loose)):
        assert left >= 10
    unsaid = [asked for at, (_, _, asked) in enumerate(sizes, 1) if asked and shown[at].answered.base is None]
    if whole.answered.base is not None and unsaid:
        assert sum(unsaid) >= 5
        assert len(unsaid) > 1 or unsaid[0] >= 5


def _cost_is_safe(figures: Figures, people: int, costed: int) -> None:
    if figures.cost.value is not None:
        assert costed >= 10
        assert people - costed == 0 or people - costed >= 10


def test_figures_are_null_where_they_are_withheld_and_nought_where_there_is_nothing() -> None:
    rows = [
        row("strand", 1, 0, 0, 0),
        row("strand", 2, 30, 0, 0),
        row("none", None, 0, 0, 0),
        row("all", None, 30, 0, 0),
    ]
    sheet = programmes.sheets(rows)[PROGRAMME]
    none, some = sheet.strands[UUID(int=1)], sheet.strands[UUID(int=2)]
    assert (none.state, none.young_people, none.bm5.state) == (FigureState.KNOWN, 0, FigureState.UNKNOWN)
    assert (some.young_people, some.minutes, some.cost.state) == (30, 3_600, FigureState.UNKNOWN)
    assert sheet.of(UUID(int=9)) is None
    assert sheet.of(None) is sheet.whole
