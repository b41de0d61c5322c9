"""Eligibility: reasons against a booking and against a pupil, and warnings."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.advice import longest_stretch, warnings
from app.rules.eligibility import Approval, BookingFacts, Cover, PupilFacts, reasons_against
from app.rules.hours import Break, Sitting
from app.rules.school_calendar import academic_year, year_turning
from app.rules.statutes import (
    AGE_PROHIBITIONS,
    COVER_RULES,
    AgeProhibition,
    CoverRule,
    cover_rule_for,
    cover_rules_with,
    prohibitions_on,
    prohibitions_with,
)
from app.rules.words import (
    ActivityBand,
    ApprovalState,
    CoverKind,
    ExperienceKind,
    Hazard,
    Liability,
    Mode,
    ParentalAgreement,
)

DAY = date(2026, 6, 15)


def sitting(day: date = DAY, start: int = 9, hours: float = 2, break_minutes: int = 0) -> Sitting:
    begins = datetime(day.year, day.month, day.day, start, tzinfo=UTC)
    return Sitting(begins, begins + timedelta(hours=hours), break_minutes=break_minutes)


APPROVAL = Approval(
    ExperienceKind.WORKPLACE_TOUR, ActivityBand.LOW, accepted=True, valid_from=date(2026, 1, 1)
)
PUBLIC = Cover(CoverKind.POLICY, Liability.PUBLIC, 2_000_000, date(2026, 1, 1), date(2026, 12, 31))
EMPLOYERS = Cover(CoverKind.POLICY, Liability.EMPLOYERS, 5_000_000, date(2026, 1, 1), date(2026, 12, 31))
TOUR = BookingFacts(
    kind=ExperienceKind.WORKPLACE_TOUR,
    mode=Mode.IN_PERSON,
    activity_band=ActivityBand.LOW,
    sittings=(sitting(),),
    year_groups_offered=frozenset({"8", "9"}),
    year_groups_asked=frozenset({"8"}),
    places=25,
    places_free=25,
    approvals=(APPROVAL,),
    covers=(PUBLIC,),
)
PLACEMENT = replace(
    TOUR,
    kind=ExperienceKind.PLACEMENT,
    sittings=tuple(sitting(DAY + timedelta(days=day), hours=6) for day in range(5)),
    year_groups_offered=frozenset(),
    year_groups_asked=frozenset({"10"}),
    approvals=(replace(APPROVAL, kind=ExperienceKind.PLACEMENT),),
    covers=(EMPLOYERS,),
)


def codes(facts: BookingFacts | PupilFacts) -> list[str]:
    return [reason.code for reason in reasons_against(facts)]


def test_a_tour_for_year_8_is_fine() -> None:
    assert reasons_against(TOUR) == []
    assert warnings(TOUR) == []


def test_a_placement_for_year_10_is_fine() -> None:
    assert reasons_against(PLACEMENT) == []


LAST = DAY + timedelta(days=4)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(TOUR, employer_suspended=True), ["employer_unavailable"]),
        (replace(TOUR, year_groups_asked=frozenset({"8", "10"})), ["year_group_not_offered"]),
        (replace(TOUR, places=26), ["no_places"]),
        (replace(TOUR, places=0), ["no_places_asked"]),
        (replace(TOUR, places=99, places_free=None), []),
        (replace(TOUR, approvals=()), ["approval_missing"]),
        (replace(TOUR, activity_band=ActivityBand.HIGH), ["approval_missing"]),
        (replace(TOUR, approvals=(replace(APPROVAL, state=ApprovalState.WITHDRAWN),)), ["approval_missing"]),
        (replace(TOUR, approvals=(replace(APPROVAL, accepted=False),)), ["approval_not_accepted"]),
        (replace(TOUR, approvals=(replace(APPROVAL, expires_on=date(2026, 6, 14)),)), ["approval_lapsed"]),
        (replace(TOUR, approvals=(replace(APPROVAL, expires_on=DAY),)), []),
        (replace(TOUR, covers=()), ["cover_missing"]),
        (replace(TOUR, covers=(EMPLOYERS,)), ["cover_missing"]),
        (replace(TOUR, covers=(replace(PUBLIC, expires_on=None),)), ["cover_lapsed"]),
        (replace(TOUR, mode=Mode.VIRTUAL, approvals=(), covers=()), []),
        (replace(TOUR, kind=ExperienceKind.SCHOOL_BASED_ENCOUNTER, approvals=(), covers=()), []),
        (replace(PLACEMENT, covers=(PUBLIC,)), ["cover_missing"]),
        (replace(PLACEMENT, covers=(replace(EMPLOYERS, limit_pounds=4_999_999),)), ["cover_too_low"]),
        (
            replace(PLACEMENT, covers=(replace(EMPLOYERS, expires_on=LAST - timedelta(days=1)),)),
            ["cover_lapsed"],
        ),
        (replace(PLACEMENT, covers=(replace(EMPLOYERS, expires_on=LAST),)), []),
        (
            replace(PLACEMENT, covers=(Cover(CoverKind.NHS_INDEMNITY, Liability.EMPLOYERS),)),
            ["cover_not_attested"],
        ),
        (
            replace(
                PLACEMENT,
                covers=(
                    Cover(CoverKind.PUBLIC_BODY_EXEMPT, Liability.EMPLOYERS, attested_on=date(2026, 1, 5)),
                ),
            ),
            [],
        ),
        (
            replace(PLACEMENT, covers=(Cover(CoverKind.TAKEN_OUT_FOR_THIS_BOOKING, Liability.EMPLOYERS),)),
            [],
        ),
    ],
)
def test_a_booking_is_refused_for_named_reasons(facts: BookingFacts, expected: list[str]) -> None:
    assert codes(facts) == expected


def test_one_good_cover_outweighs_a_lapsed_one() -> None:
    lapsed = replace(PUBLIC, expires_on=date(2026, 2, 1))
    assert reasons_against(replace(TOUR, covers=(lapsed, PUBLIC))) == []


def test_a_placement_for_year_8_is_refused_before_any_name_and_names_what_is_possible() -> None:
    (reason,) = reasons_against(replace(PLACEMENT, year_groups_asked=frozenset({"8"})))
    assert reason.code == "placement_unlawful"
    assert ExperienceKind.WORK_SHADOWING in reason.possible_kinds
    assert ExperienceKind.PLACEMENT not in reason.possible_kinds


def test_every_reason_is_given_in_the_order_of_the_rules() -> None:
    facts = replace(TOUR, employer_suspended=True, places=99, covers=())
    assert codes(facts) == ["employer_unavailable", "no_places", "cover_missing"]


PUPIL = PupilFacts(
    kind=ExperienceKind.PLACEMENT,
    sittings=PLACEMENT.sittings,
    date_of_birth=date(2011, 3, 1),
    nc_year="10",
    parental_agreement=ParentalAgreement.GIVEN,
)


def test_a_pupil_of_15_may_go_on_placement() -> None:
    assert reasons_against(PUPIL) == []


@pytest.mark.parametrize(
    ("born", "lawful"),
    [
        (date(2011, 8, 31), True),  # turns 15 on the last day of 2025/26
        (date(2011, 9, 1), False),  # turns 15 on the first day of 2026/27
        (date(2009, 9, 1), True),
        (date(2000, 1, 1), True),
    ],
)
def test_a_placement_goes_by_the_school_year_in_which_15_is_reached(born: date, *, lawful: bool) -> None:
    facts = replace(PUPIL, date_of_birth=born, nc_year="10")
    assert codes(facts) == ([] if lawful else ["placement_unlawful"])


def test_a_school_that_promotes_in_july_changes_nothing() -> None:
    in_july = replace(
        PUPIL, date_of_birth=date(2012, 2, 1), nc_year="10", sittings=(sitting(date(2026, 7, 20)),)
    )
    assert codes(in_july) == ["placement_unlawful"]
    assert codes(replace(in_july, sittings=(sitting(date(2026, 9, 1)),))) == []


def test_one_day_before_the_lawful_year_is_enough_to_refuse() -> None:
    days = (sitting(date(2026, 8, 31)), sitting(date(2026, 9, 1)))
    assert codes(replace(PUPIL, date_of_birth=date(2011, 10, 1), sittings=days)) == ["placement_unlawful"]


@given(st.dates(date(2005, 1, 1), date(2016, 12, 31)), st.dates(date(2020, 1, 1), date(2032, 12, 31)))
def test_placements_are_lawful_exactly_from_the_year_of_turning_15(born: date, day: date) -> None:
    facts = replace(PUPIL, date_of_birth=born, sittings=(sitting(day),))
    assert ("placement_unlawful" in codes(facts)) == (academic_year(day) < year_turning(born, 15))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(PUPIL, nc_year="9", year_groups_offered=frozenset({"10"})), ["year_group_not_offered"]),
        (replace(PUPIL, busy=(sitting(start=10),)), ["overlap"]),
        (replace(PUPIL, busy=(sitting(start=15),)), []),
        (replace(PUPIL, parental_agreement=ParentalAgreement.ASKED), ["parental_agreement_missing"]),
        (replace(PUPIL, parental_agreement=ParentalAgreement.ASKED, agreement_due=False), []),
        (
            replace(PUPIL, parental_agreement=ParentalAgreement.REFUSED, agreement_due=False),
            ["parental_agreement_missing"],
        ),
        (replace(PUPIL, hazards=frozenset({Hazard.GAMBLING_PREMISES})), ["too_young"]),
        (replace(PUPIL, hazards=frozenset({Hazard.AGRICULTURAL_VEHICLES})), []),
    ],
)
def test_a_pupil_is_refused_for_named_reasons(facts: PupilFacts, expected: list[str]) -> None:
    assert codes(facts) == expected


def test_a_bar_stands_alone_and_says_nothing() -> None:
    (reason,) = reasons_against(replace(PUPIL, barred=True, busy=(sitting(),)))
    assert reason.code == "not_available"


def test_a_prohibition_counts_between_its_dates_only() -> None:
    gone = AgeProhibition(Hazard.SHIPS, 18, "an old act", date(1990, 1, 1), date(2020, 1, 1))
    facts = replace(PUPIL, hazards=frozenset({Hazard.SHIPS}), prohibitions=(gone,))
    assert codes(facts) == []
    assert codes(replace(facts, prohibitions=(replace(gone, valid_until=None),))) == ["too_young"]


def from_nine(hours: float, break_minutes: int = 0) -> BookingFacts:
    return replace(TOUR, sittings=(sitting(start=8, hours=hours, break_minutes=break_minutes),))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (from_nine(9, break_minutes=60), []),
        (from_nine(9.5, break_minutes=60), ["more_than_8_hours"]),
        (from_nine(4.5), []),
        (from_nine(5), ["no_break_after_4_5_hours"]),
        (replace(TOUR, sittings=(sitting(start=5),)), ["outside_7_to_19"]),  # 06:00 in London
        (replace(TOUR, sittings=(sitting(start=6),)), []),
        (replace(TOUR, sittings=(sitting(start=16),)), []),  # to 19:00 in London
        (replace(TOUR, sittings=(sitting(start=17),)), ["outside_7_to_19"]),
        (replace(TOUR, sittings=tuple(sitting(DAY + timedelta(days=n)) for n in range(5))), []),
        (
            replace(TOUR, sittings=tuple(sitting(DAY + timedelta(days=n)) for n in range(6))),
            ["more_than_5_days_in_7"],
        ),
        (
            replace(TOUR, sittings=(sitting(), sitting(DAY + timedelta(days=14)))),
            ["insurer_not_notified"],
        ),
    ],
)
def test_a_long_or_odd_day_warns_and_does_not_refuse(facts: BookingFacts, expected: list[str]) -> None:
    assert [warning.code for warning in warnings(facts)] == expected
    assert reasons_against(facts) == []


def test_a_break_at_a_known_time_divides_the_day() -> None:
    day = sitting(hours=8)
    noon = Break(day.starts_at + timedelta(hours=3), day.starts_at + timedelta(hours=4))
    assert longest_stretch(replace(day, breaks=(noon,))) == timedelta(hours=4)


@pytest.mark.parametrize(
    ("day", "age"),
    [(date(2027, 8, 31), 16), (date(2027, 9, 1), 18), (date(2028, 8, 31), 18), (date(2028, 9, 1), 0)],
)
def test_a_prohibition_kept_as_data_takes_the_place_of_ours_from_its_day(day: date, age: int) -> None:
    kept = [
        AgeProhibition(Hazard.SHIPS, 18, "an Act", date(2027, 9, 1)),
        AgeProhibition(Hazard.SHIPS, 0, "its repeal", date(2028, 9, 1)),
    ]
    rows = prohibitions_on(day, prohibitions_with(kept))
    assert [row.minimum_age for row in rows if row.hazard == Hazard.SHIPS] == [age]
    assert {row.hazard for row in rows} == {row.hazard for row in AGE_PROHIBITIONS}


@pytest.mark.parametrize(("day", "pounds"), [(date(2027, 8, 31), 5_000_000), (date(2027, 9, 1), 10_000_000)])
def test_a_rule_of_cover_kept_as_data_takes_the_place_of_ours_from_its_day(day: date, pounds: int) -> None:
    shadowing = ExperienceKind.WORK_SHADOWING
    rules = cover_rules_with([CoverRule(shadowing, Liability.EMPLOYERS, 10_000_000, date(2027, 9, 1))])
    found = cover_rule_for(shadowing, day, rules)
    assert found is not None
    assert found.minimum_pounds == pounds
    for kind in set(ExperienceKind) - {shadowing}:
        assert cover_rule_for(kind, day, rules) == cover_rule_for(kind, day, COVER_RULES)


def test_without_data_our_own_hold() -> None:
    assert (prohibitions_with([]), cover_rules_with([])) == (AGE_PROHIBITIONS, COVER_RULES)
