"""Why a booking, or a pupil's place in it, may not be: named rules in order, each giving its reasons.

`reasons_against` refuses; there is no override. What only advises is in `advice`. A booking of "25 places for
Year 8" is judged by `BookingFacts` before any name is known; each name later by `PupilFacts`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from app.rules.answers import Reason
from app.rules.hours import Sitting, overlap
from app.rules.school_calendar import (
    age_on,
    london_date,
    placements_lawful_from,
)
from app.rules.statutes import (
    AGE_PROHIBITIONS,
    COVER_RULES,
    KINDS_WITHOUT_PLACEMENT,
    PLACEMENT_NC_YEARS,
    AgeProhibition,
    CoverRule,
    cover_rule_for,
    prohibitions_on,
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


@dataclass(frozen=True)
class Approval:
    """An approval of the slot's site. `accepted`: this school relies on whoever gave it. `expires_on` is its
    last day.
    """

    kind: ExperienceKind
    activity_band: ActivityBand
    accepted: bool
    valid_from: date
    expires_on: date | None = None
    state: ApprovalState = ApprovalState.APPROVED


@dataclass(frozen=True)
class Cover:
    """One typed cover of the employer. Limit and expiry (its last day) belong to `policy`; `attested_on` to
    the exempt.

    `taken_out_for_this_booking` is listed only where it was promised for this booking.
    """

    kind: CoverKind
    liability: Liability
    limit_pounds: int | None = None
    valid_from: date | None = None
    expires_on: date | None = None
    attested_on: date | None = None


@dataclass(frozen=True)
class BookingFacts:
    """What is known before names are: the slot, its employer, and what the school asks.

    `year_groups_offered` empty means every one. `year_groups_asked` are those that the school books for; None
    as `places_free` means that the booking already holds its places.
    """

    kind: ExperienceKind
    mode: Mode
    activity_band: ActivityBand
    sittings: tuple[Sitting, ...]
    year_groups_offered: frozenset[str] = frozenset()
    year_groups_asked: frozenset[str] = frozenset()
    places: int = 1
    places_free: int | None = None
    employer_suspended: bool = False
    approvals: tuple[Approval, ...] = ()
    covers: tuple[Cover, ...] = ()
    hazards: frozenset[Hazard] = frozenset()
    insurer_notified: bool = False
    cover_rules: tuple[CoverRule, ...] = field(default=COVER_RULES, repr=False)


@dataclass(frozen=True)
class PupilFacts:
    """What is known of one pupil against one booking. `busy` are the pupil's other sittings, this booking's
    left out.

    `agreement_due` False puts the question of parental agreement off: names may come before the parents'
    answers.
    """

    kind: ExperienceKind
    sittings: tuple[Sitting, ...]
    date_of_birth: date
    nc_year: str
    year_groups_offered: frozenset[str] = frozenset()
    hazards: frozenset[Hazard] = frozenset()
    busy: tuple[Sitting, ...] = ()
    barred: bool = False
    last_day: date | None = None
    parental_agreement: ParentalAgreement = ParentalAgreement.NOT_ASKED
    agreement_due: bool = True
    prohibitions: tuple[AgeProhibition, ...] = field(default=AGE_PROHIBITIONS, repr=False)


def first_and_last_day(sittings: Iterable[Sitting]) -> tuple[date, date]:
    """The first and the last London date of a slot. Refuses an empty one with ValueError."""
    days = [london_date(moment) for each in sittings for moment in (each.starts_at, each.ends_at)]
    return min(days), max(days)


def on_site(facts: BookingFacts) -> bool:
    """Whether it takes place at the employer's: neither on a screen nor at school."""
    elsewhere = (ExperienceKind.VIRTUAL_EXPERIENCE, ExperienceKind.SCHOOL_BASED_ENCOUNTER)
    return facts.mode != Mode.VIRTUAL and facts.kind not in elsewhere


# --- a booking, before names ------------------------------------------------------------------


def employer_available(facts: BookingFacts) -> Iterator[Reason]:
    """No request goes to a suspended employer; the school is told no more than this."""
    if facts.employer_suspended:
        yield Reason("employer_unavailable", "This employer cannot take bookings at present.")


def year_groups_fit(facts: BookingFacts) -> Iterator[Reason]:
    """The year groups asked are among those offered."""
    outside = facts.year_groups_asked - facts.year_groups_offered
    if facts.year_groups_offered and outside:
        yield Reason("year_group_not_offered", f"Not offered to {_years(outside)}.")


def placement_year_groups(facts: BookingFacts) -> Iterator[Reason]:
    """No placement for a year group below Year 10. Education Act 1996 s.560."""
    young = facts.year_groups_asked - PLACEMENT_NC_YEARS
    if facts.kind == ExperienceKind.PLACEMENT and young:
        yield _placement_unlawful(f"A placement is not lawful for {_years(young)}.")


def places_left(facts: BookingFacts) -> Iterator[Reason]:
    """There are as many places as are asked, and at least one is asked."""
    if facts.places < 1:
        yield Reason("no_places_asked", "A booking asks for at least one place.")
    elif facts.places_free is not None and facts.places > facts.places_free:
        yield Reason("no_places", f"{facts.places} places asked, {facts.places_free} free.")


def approval_accepted(facts: BookingFacts) -> Iterator[Reason]:
    """The site is approved for this kind and activity band, to the last day, by someone this school relies
    on.
    """
    if not on_site(facts):
        return
    what = f"{facts.kind.value} at {facts.activity_band.value} activity"
    fitting = [row for row in facts.approvals if _approves(row, facts)]
    first, last = first_and_last_day(facts.sittings)
    accepted = [row for row in fitting if row.accepted]
    if not fitting:
        yield Reason("approval_missing", f"The site is not approved for {what}.")
    elif not accepted:
        yield Reason("approval_not_accepted", f"The school accepts no approval of this site for {what}.")
    elif not any(_spans(row.valid_from, row.expires_on, first, last) for row in accepted):
        yield Reason("approval_lapsed", f"No accepted approval for {what} is valid on every day.")


def covered(facts: BookingFacts) -> Iterator[Reason]:
    """The cover that the kind needs, at its limit, valid to the last day."""
    first, last = first_and_last_day(facts.sittings)
    rule = cover_rule_for(facts.kind, last, facts.cover_rules)
    if rule is None or not on_site(facts):
        return
    fitting = [row for row in facts.covers if row.liability == rule.liability]
    problems = [_problem_with_cover(row, rule, first, last) for row in fitting]
    if not fitting:
        yield Reason("cover_missing", f"{rule.liability.value} is needed for {facts.kind.value}.")
    elif all(problems):
        yield from (problem for problem in problems[:1] if problem)


# --- one pupil --------------------------------------------------------------------------------


def not_barred(facts: PupilFacts) -> Iterator[Reason]:
    """A bar is never explained."""
    if facts.barred:
        yield Reason("not_available", "This is not available to this pupil.")


def still_enrolled(facts: PupilFacts) -> Iterator[Reason]:
    """Nobody is named for a day after the last day on the roll."""
    if facts.last_day is None:
        return
    if any(london_date(one.starts_at) > facts.last_day for one in facts.sittings):
        yield Reason(
            "after_last_day",
            f"The pupil's last day on the roll, {facts.last_day.isoformat()}, is before this.",
        )


def year_group_fits(facts: PupilFacts) -> Iterator[Reason]:
    """The pupil's year group on the date is among those offered."""
    if facts.year_groups_offered and facts.nc_year not in facts.year_groups_offered:
        yield Reason("year_group_not_offered", f"Not offered to {_years({facts.nc_year})}.")


def placement_lawful(facts: PupilFacts) -> Iterator[Reason]:
    """Every day of a placement lies in the school years in which 15 or 16 is reached, or after them.

    Education Act 1996 s.560, from the date of birth alone: a school that has promoted early changes nothing.
    """
    if facts.kind != ExperienceKind.PLACEMENT:
        return
    lawful_from = placements_lawful_from(facts.date_of_birth)
    if first_and_last_day(facts.sittings)[0] < lawful_from:
        yield _placement_unlawful(f"A placement is lawful for this pupil from {lawful_from.isoformat()}.")


def old_enough(facts: PupilFacts) -> Iterator[Reason]:
    """The age-numbered prohibitions in force, on the first day."""
    first, last = first_and_last_day(facts.sittings)
    age = age_on(facts.date_of_birth, first)
    for row in prohibitions_on(last, facts.prohibitions):
        if row.hazard in facts.hazards and age < row.minimum_age:
            yield Reason("too_young", f"{row.hazard.value} is barred below {row.minimum_age}: {row.source}.")


def free_then(facts: PupilFacts) -> Iterator[Reason]:
    """Nobody is in two places at once."""
    if any(overlap(mine, other) for mine in facts.sittings for other in facts.busy):
        yield Reason("overlap", "The pupil has another booking at that time.")


def parents_agree(facts: PupilFacts) -> Iterator[Reason]:
    """A placement needs the parents' agreement, once it is due; a refusal holds at any time."""
    if facts.kind != ExperienceKind.PLACEMENT or facts.parental_agreement == ParentalAgreement.GIVEN:
        return
    refused = facts.parental_agreement in (ParentalAgreement.REFUSED, ParentalAgreement.WITHDRAWN)
    if refused or facts.agreement_due:
        yield Reason("parental_agreement_missing", "A placement needs the parents' agreement.")


BOOKING_RULES: Final[tuple[Callable[[BookingFacts], Iterator[Reason]], ...]] = (
    employer_available,
    year_groups_fit,
    placement_year_groups,
    places_left,
    approval_accepted,
    covered,
)
PUPIL_RULES: Final[tuple[Callable[[PupilFacts], Iterator[Reason]], ...]] = (
    not_barred,
    still_enrolled,
    year_group_fits,
    placement_lawful,
    old_enough,
    free_then,
    parents_agree,
)


def reasons_against(facts: BookingFacts | PupilFacts) -> list[Reason]:
    """Every reason against, in the order of the rules; an empty list is a yes.

    Codes for a booking: `employer_unavailable`, `year_group_not_offered`, `placement_unlawful`,
    `no_places_asked`, `no_places`, `approval_missing`, `approval_not_accepted`, `approval_lapsed`,
    `cover_missing`, `cover_too_low`, `cover_lapsed`, `cover_not_attested`. For a pupil: `not_available` (then
    alone: a bar is not to be guessed from its company), `after_last_day`, `year_group_not_offered`,
    `placement_unlawful`, `too_young`, `overlap`, `parental_agreement_missing`. Refuses facts without a sitting with
    ValueError.
    """
    if isinstance(facts, BookingFacts):
        return [reason for rule in BOOKING_RULES for reason in rule(facts)]
    if facts.barred:
        return list(not_barred(facts))
    return [reason for rule in PUPIL_RULES for reason in rule(facts)]


# --- behind the rules -------------------------------------------------------------------------


def _approves(row: Approval, facts: BookingFacts) -> bool:
    same = (row.kind, row.activity_band) == (facts.kind, facts.activity_band)
    return same and row.state == ApprovalState.APPROVED


def _spans(valid_from: date | None, expires_on: date | None, first: date, last: date) -> bool:
    return (valid_from is None or valid_from <= first) and (expires_on is None or last <= expires_on)


def _problem_with_cover(row: Cover, rule: CoverRule, first: date, last: date) -> Reason | None:
    if row.kind == CoverKind.TAKEN_OUT_FOR_THIS_BOOKING:
        return None
    if row.kind != CoverKind.POLICY:
        attested = row.attested_on is not None and row.attested_on <= last
        return None if attested else Reason("cover_not_attested", "The exemption needs a dated attestation.")
    if row.expires_on is None or not _spans(row.valid_from, row.expires_on, first, last):
        return Reason("cover_lapsed", f"The {rule.liability.value} policy is not valid on every day.")
    if (row.limit_pounds or 0) < rule.minimum_pounds:
        return Reason("cover_too_low", f"{rule.liability.value} of at least {rule.minimum_pounds} is needed.")
    return None


def _placement_unlawful(detail: str) -> Reason:
    return Reason("placement_unlawful", detail, KINDS_WITHOUT_PLACEMENT)


def _years(years: Iterable[str]) -> str:
    return ", ".join(f"Year {year}" for year in sorted(years, key=lambda year: (len(year), year)))
