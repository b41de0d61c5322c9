"""From rows to what the rules ask: the facts of a slot for one school, and of a pupil for one booking."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

from app.core.clock import as_date
from app.core.db import Row
from app.rules import booking as law
from app.rules.eligibility import Approval, BookingFacts, Cover, PupilFacts, covered
from app.rules.hours import Sitting
from app.rules.statutes import (
    AgeProhibition,
    CoverRule,
    cover_rules_with,
    prohibitions_with,
)
from app.rules.words import (
    ActivityBand,
    Actor,
    ApprovalState,
    CoverKind,
    ExperienceKind,
    Hazard,
    Liability,
    Mode,
    ParentalAgreement,
)

TIME_TO_NAME: Final = timedelta(days=2)


def sittings_of(rows: Iterable[Row]) -> tuple[Sitting, ...]:
    """Sittings as the rules read them. A virtual sitting is virtual as a whole."""
    return tuple(_sitting(row) for row in rows)


def _sitting(row: Row) -> Sitting:
    starts, ends = moment(row["starts_at"]), moment(row["ends_at"])
    rest = int(row.get("break_minutes", 0))
    whole = int((ends - starts).total_seconds() // 60) - rest
    return Sitting(starts, ends, break_minutes=rest, virtual_minutes=whole if row.get("virtual") else 0)


def moment(value: datetime | str) -> datetime:
    """A time as Postgres put it in JSON, or as a datetime already."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def booking_facts(slot: Row, *, places: int, year_groups: Iterable[str], holds_places: bool) -> BookingFacts:
    """The facts of a booking before names. `holds_places`: it has its places already."""
    return BookingFacts(
        kind=ExperienceKind(slot["kind"]),
        mode=Mode(slot["mode"]),
        activity_band=ActivityBand(slot["activity_band"]),
        sittings=sittings_of(slot["sittings"]),
        year_groups_offered=frozenset(slot["year_groups"]),
        year_groups_asked=frozenset(year_groups),
        places=places,
        places_free=None if holds_places else slot["capacity"] - slot["taken"],
        employer_suspended=bool(slot["suspended"]),
        approvals=tuple(_approval(row) for row in slot["approvals"]),
        covers=tuple(_cover(row) for row in slot["covers"]),
        hazards=frozenset(Hazard(one) for one in slot["hazards"] or ()),
        cover_rules=cover_rules(slot["statutes"]),
    )


def cover_rules(kept: Iterable[Row]) -> tuple[CoverRule, ...]:
    """The rules of cover, those kept as dated data among them."""
    return cover_rules_with(
        CoverRule(
            kind=ExperienceKind(row["body"]["kind"]),
            liability=Liability(row["body"]["liability"]),
            minimum_pounds=int(row["body"]["minimum_pounds"]),
            valid_from=as_date(row["starts_on"]) or date.min,
            valid_until=as_date(row["ends_on"]),
        )
        for row in kept
        if row["topic"] == "cover"
    )


def prohibitions(kept: Iterable[Row]) -> tuple[AgeProhibition, ...]:
    """The prohibitions by age, those kept as dated data among them."""
    return prohibitions_with(
        AgeProhibition(
            hazard=Hazard(row["body"]["hazard"]),
            minimum_age=int(row["body"]["minimum_age"]),
            source=row["source"] or row["name"],
            valid_from=as_date(row["starts_on"]) or date.min,
            valid_until=as_date(row["ends_on"]),
        )
        for row in kept
        if row["topic"] == "age_prohibition"
    )


def _approval(row: Row) -> Approval:
    return Approval(
        kind=ExperienceKind(row["kind"]),
        activity_band=ActivityBand(row["activity_band"]),
        accepted=bool(row["accepted"]),
        valid_from=as_date(row["approved_on"]) or date.min,
        expires_on=as_date(row["expires_on"]),
        state=ApprovalState(row["state"]),
    )


def _cover(row: Row) -> Cover:
    pence = row["limit_pence"]
    return Cover(
        kind=CoverKind(row["kind"]),
        liability=Liability(row["liability"]),
        limit_pounds=None if pence is None else int(pence) // 100,
        valid_from=as_date(row["starts_on"]),
        expires_on=as_date(row["expires_on"]),
        attested_on=as_date(row["attested_on"]),
    )


def time_to_name(slot: Row, now: datetime) -> datetime:
    """Until when pupils are named: the slot's deadline, but never less than two days from now, or the start."""
    ends: datetime = max(slot["name_by"], min(now + TIME_TO_NAME, slot["starts_at"]))
    return ends


def reply_by(slot: Row, now: datetime) -> datetime:
    """Until when what is asked now of a slot is answered."""
    ends: datetime = min(now + timedelta(hours=slot["reply_within_hours"]), slot["starts_at"])
    return ends


def standing_facts(booking: Row) -> law.Facts:
    """A booking as it stands, in its own slot, as the table of moves reads it. `attendance_recorded` where it is known."""
    by = booking["proposal_by"]
    return law.Facts(
        first_start=booking["starts_at"],
        last_end=booking["ends_at"],
        places=booking["places"],
        places_free=booking["places"],
        expires_at=booking["expires_at"],
        attendance_recorded=bool(booking.get("attendance_recorded")),
        agreed_start=booking["starts_at"],
        proposed_by=Actor(by) if by else None,
        proposal_expires_at=booking["proposal_expires_at"],
    )


def employer_blocked(slot: Row) -> bool:
    """Whether the employer cannot take or keep bookings: suspended for this school, or its cover has lapsed."""
    facts = booking_facts(slot, places=1, year_groups=(), holds_places=True)
    return facts.employer_suspended or any(True for _ in covered(facts))


def pupil_facts(slot: Row, pupil: Row, agreement: ParentalAgreement | None) -> PupilFacts:
    """The facts of one pupil. `agreement`: what the parents answered, as sent with the name."""
    return PupilFacts(
        kind=ExperienceKind(slot["kind"]),
        sittings=sittings_of(slot["sittings"]),
        date_of_birth=pupil["date_of_birth"],
        nc_year=pupil["nc_year"],
        year_groups_offered=frozenset(slot["year_groups"]),
        hazards=frozenset(Hazard(one) for one in slot["hazards"] or ()),
        busy=sittings_of(pupil["busy"]),
        barred=bool(pupil["barred"]),
        last_day=pupil["ends_on"],
        parental_agreement=agreement or ParentalAgreement(pupil["agreement"] or "not_asked"),
        prohibitions=prohibitions(slot["statutes"]),
    )
