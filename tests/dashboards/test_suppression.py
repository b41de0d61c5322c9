"""Suppression over several levels at once, as a property: what is held back never follows from one sum."""

from collections import defaultdict
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from app.dashboards import figures
from app.dashboards.figures import Counts, Group, School
from app.dashboards.suppression import Sums
from app.rules.words import key_stage

YEARS = ("7", "8", "9", "10", "11", "12")
HUBS = (UUID(int=900), UUID(int=901))


def school(at: int, hub: int) -> School:
    return School(UUID(int=at), HUBS[hub], f"S{at}", None, None, None, frozenset(), 0)


rolls = st.lists(
    st.tuples(st.integers(0, 1), st.dictionaries(st.sampled_from(YEARS), st.integers(1, 60), max_size=6)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(rolls)
def test_no_sum_gives_away_a_group_that_is_held_back(roll: list[tuple[int, dict[str, int]]]) -> None:
    schools = {UUID(int=at): school(at, hub) for at, (hub, _) in enumerate(roll, 1)}
    groups = [
        Group(UUID(int=at), year, key_stage(year), Counts(pupils=number))
        for at, (_, years) in enumerate(roll, 1)
        for year, number in years.items()
    ]
    held = figures.hidden(groups, schools)
    bases: defaultdict[str, int] = defaultdict(int)
    sums: defaultdict[str, set[str]] = defaultdict(set)
    for group in groups:
        places, parts = figures._places(group, schools), figures._parts(group)
        for place in places:
            for part in parts:
                bases[f"{place}|{part}"] += group.counts.pupils
        figures._relate(sums, places, parts)
    assert {key for key, base in bases.items() if base < 10} <= held
    for one in sums.values():
        hidden = [key for key in one if key in held]
        distinct = len({bases[key] for key in hidden}) > 1 or len(hidden) > 1
        assert not hidden or distinct or one <= held


def test_of_two_groups_that_would_do_the_one_of_less_interest_goes() -> None:
    bases = {"total": 60, "tiny": 4, "cell": 36, "school": 20}
    ranks = {"total": 6, "tiny": 0, "cell": 0, "school": 4}
    assert Sums(bases, ranks).held([bases]) == {"tiny", "cell"}


def test_nothing_is_held_back_where_every_group_is_large() -> None:
    assert Sums({"a": 30, "b": 10, "t": 40}, {"a": 0, "b": 0, "t": 1}).held([["a", "b", "t"]]) == frozenset()
