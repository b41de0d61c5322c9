"""Offers and slots: year masks, what stands against an offer, times and deadlines."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.rules import offering
from app.rules.offering import Timing
from app.rules.words import ExperienceKind

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def at(days: float, hours: float = 2, **more: Any) -> Timing:
    start = NOW + DAY * days
    return Timing(start, start + timedelta(hours=hours), **more)


def codes(faults: list[offering.Fault]) -> list[tuple[str, str]]:
    return [(pointer, refusal.code) for pointer, refusal in faults]


@pytest.mark.parametrize(
    ("kind", "years", "mask"),
    [
        ("workplace_tour", ["8"], 1 << 8),
        ("workplace_tour", ["7", "9", "9"], 1 << 7 | 1 << 9),
        ("workplace_tour", ["X"], 1 << 15),
        ("workplace_tour", [], sum(1 << bit for bit in range(7, 16))),
        ("placement", [], sum(1 << bit for bit in range(10, 16))),
    ],
)
def test_year_groups_become_bits_and_none_is_every_lawful_one(kind: str, years: list[str], mask: int) -> None:
    assert offering.year_mask(ExperienceKind(kind), years) == mask


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"year_groups": ["8", "3"]}, [("/year_groups/1", "not_one_of")]),
        ({"kind": "placement", "year_groups": ["10", "9"]}, [("/year_groups/1", "placement_unlawful")]),
        ({"kind": "innovative"}, [("/description", "required")]),
        ({"kind": "innovative", "description": "New"}, []),
        ({"audience_ids": ["x"]}, [("/audience_ids", "not_here")]),
        ({"visibility": "named_hubs"}, [("/audience_ids", "required")]),
        ({"visibility": "named_hubs", "audience_ids": ["x"]}, []),
    ],
)
def test_an_offer_is_judged_as_a_whole(changed: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    offer = {"kind": "workplace_tour", "year_groups": [], "visibility": "all_schools", "audience_ids": []}
    assert codes(offering.problems_with_offer(offer | changed)) == expected


@pytest.mark.parametrize(
    ("timings", "mode", "expected"),
    [
        ([at(10)], "in_person", []),
        ([at(10, hours=0)], "in_person", [("/sittings/0/ends_at", "out_of_order")]),
        ([at(10, hours=25)], "in_person", [("/sittings/0/ends_at", "too_long")]),
        ([at(10, break_minutes=120)], "in_person", [("/sittings/0/break_minutes", "too_long")]),
        ([at(-1)], "in_person", [("/sittings/0/starts_at", "in_the_past")]),
        ([at(2000)], "in_person", [("/sittings/0/starts_at", "too_far_ahead")]),
        ([at(11), at(10), at(10.05)], "in_person", [("/sittings/2/starts_at", "overlap")]),
        ([at(10), at(10 + 2 / 24)], "in_person", []),
        ([at(10, virtual=True)], "in_person", [("/sittings/0/virtual", "not_in_this_mode")]),
        ([at(10, virtual=False)], "virtual", [("/sittings/0/virtual", "not_in_this_mode")]),
        ([at(10, virtual=True), at(11, virtual=False)], "hybrid", []),
    ],
)
def test_the_times_of_a_slot(timings: list[Timing], mode: str, expected: list[tuple[str, str]]) -> None:
    assert codes(offering.problems_with_sittings(timings, mode, NOW)) == expected


def test_minutes_leave_breaks_out_and_a_virtual_sitting_is_virtual_as_a_whole() -> None:
    sittings = offering.sittings_of([at(11, 6, break_minutes=45), at(10)], "virtual")
    assert [one.starts_at for one in sittings] == [NOW + 10 * DAY, NOW + 11 * DAY]
    assert offering.minutes_of(sittings) == 120 + 315
    assert [one.virtual_minutes for one in sittings] == [120, 315]


@pytest.mark.parametrize(("days", "book_by", "name_by"), [(30, 28, 23), (5, 3, 3), (1, 1, 1)])
def test_deadlines_are_two_and_seven_days_before_or_as_late_as_they_can_be(
    days: int, book_by: int, name_by: int
) -> None:
    found = offering.deadlines(NOW + days * DAY, NOW, None, None)
    assert found == (NOW + book_by * DAY, NOW + name_by * DAY)


def test_a_deadline_lies_between_now_and_the_start() -> None:
    faults = offering.problems_with_deadlines(NOW + DAY, NOW, NOW + 2 * DAY, NOW - DAY)
    assert codes(faults) == [("/book_by", "out_of_order"), ("/name_by", "in_the_past")]


def test_what_is_unusual_about_times_is_a_warning() -> None:
    sittings = offering.sittings_of([at(10, 9)], "in_person")
    warned = offering.warnings_about("workplace_visit", "in_person", "low", sittings)
    assert {one.code for one in warned} == {"more_than_8_hours", "no_break_after_4_5_hours"}
