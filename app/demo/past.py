"""From what happened, as it was made up, to the rooms' doors for history: slots, bookings, attendance, minutes, costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from app.bookings import history as bookings
from app.bookings.history import Made, Named, Past, Stood
from app.core.db import SYSTEM, Row, Writer
from app.demo.businesses import BY_KEY, FORMS
from app.demo.visits import REPLY_HOURS, Comer, History, Mark, Own, Visit, at
from app.encounters import history as encounters
from app.encounters.history import Recorded, Settled
from app.offers import history as offers
from app.offers.history import PastSlot
from app.programmes import history as programmes
from app.rules import booking as law
from app.rules.hours import ATTENDED, Sitting, attended
from app.rules.offering import Timing
from app.rules.words import Actor, AttendanceStatus, BookingAction, BookingState, NoShowResolution

_S = AttendanceStatus
_PATIENT: Final = 336
"""Hours that an employer has where nothing has been answered yet: it is still open all week."""
_RESOLVED: Final = (
    NoShowResolution.KNOWN_ABSENCE, NoShowResolution.IN_SCHOOL, NoShowResolution.KNOWN_ABSENCE, NoShowResolution.LOCATED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What the made-up names stand for in this database. Schools' pupils by (school, reference), offers by
    (employer, form), strands by (programme, code).
    """

    ids: Mapping[str, UUID]
    clients: Mapping[str, UUID]
    pupils: Mapping[tuple[UUID, str], Row]
    offers: Mapping[tuple[str, str], Row]
    programmes: Mapping[str, UUID]
    strands: Mapping[tuple[str, str], UUID]


async def record(tx: Writer, known: Known, history: History) -> None:
    """Write a history down: a fixed number of statements, however much happened."""
    visits = history.visits
    slots = await offers.add_slots(tx, [_slot(known, one) for one in visits])
    booked, days = await bookings.add_bookings(
        tx, [_booking(known, one, slot) for one, slot in zip(visits, slots, strict=True)]
    )
    over = [
        _settled(known, one, rows)
        for one, rows in zip(visits, days, strict=True)
        if one.end == BookingState.COMPLETED
    ]
    await encounters.add(tx, over, [_own(known, one) for one in history.owns])
    await programmes.add_costs(
        tx, [line for one, row in zip(visits, booked, strict=True) for line in _costs(one, row)]
    )


def _slot(known: Known, visit: Visit) -> PastSlot:
    return PastSlot(
        offer=known.offers[visit.employer, visit.form],
        external_ref=visit.ref,
        posted=visit.asked - timedelta(days=7),
        timings=[Timing(begins, ends, visit.shape.rest) for begins, ends in visit.sittings()],
        capacity=max(visit.places, visit.shape.capacity),
        taken=visit.places if law.holds_places(visit.end) else 0,
        reply_within_hours=_PATIENT if visit.end == BookingState.REQUESTED else REPLY_HOURS,
    )


def _booking(known: Known, visit: Visit, slot: Row) -> Past:
    after = at(visit.days[-1], time(18)) + timedelta(days=3)
    reflected = visit.reflected and visit.end == BookingState.COMPLETED
    return Past(
        slot=slot,
        kind=visit.shape.kind.value,
        school_id=known.ids[visit.school],
        external_ref=visit.ref,
        places=visit.places,
        moves=list(_moves(known, visit)),
        named=[_named(known, visit, one, slot, after if reflected else None) for one in visit.comers],
        nc_year=visit.nc_year,
        programme_id=known.programmes[visit.programme] if visit.programme else None,
        strand_id=known.strands[visit.programme, visit.strand] if visit.programme and visit.strand else None,
        parents_agreed_on=visit.asked.date() if visit.form == "placement" else None,
    )


def _moves(known: Known, visit: Visit) -> Iterator[Made]:
    school, employer = known.clients[visit.school], known.clients[visit.employer]
    yield Made(BookingAction.REQUEST, Actor.SCHOOL, school, visit.asked)
    if visit.answered:
        yield Made(BookingAction.CONFIRM, Actor.EMPLOYER, employer, visit.answered)
    if visit.end == BookingState.COMPLETED:
        over = visit.sittings()[-1][1] + timedelta(hours=1)
        yield Made(BookingAction.COMPLETE, Actor.SYSTEM, employer, over)
    elif visit.ended:
        how, who, client = {
            BookingState.DECLINED: (BookingAction.DECLINE, Actor.EMPLOYER, employer),
            BookingState.EXPIRED: (BookingAction.EXPIRE, Actor.SYSTEM, SYSTEM),
            BookingState.CANCELLED: (BookingAction.CANCEL, Actor.SCHOOL, school),
        }[visit.end]
        yield Made(how, who, client, visit.ended, visit.reason)


def _named(known: Known, visit: Visit, comer: Comer, slot: Row, reflected: datetime | None) -> Named:
    marks = comer.marks or (Mark(_S.EXPECTED),) * len(visit.days)
    stood = [_stood(mark, sitting) for mark, sitting in zip(marks, slot["sittings"], strict=True)]
    came = any(one.status in ATTENDED for one in stood)
    return Named(
        pupil=known.pupils[known.ids[visit.school], comer.pupil.ref],
        nc_year=str(comer.year),
        state="named" if not comer.marks else "attended" if came else "absent",
        stood=stood,
        criteria_confirmed=visit.shape.criteria if reflected and came else (),
        confirmed_at=reflected if came else None,
    )


def _stood(mark: Mark, sitting: Row) -> Stood:
    """With minutes as the rules count them."""
    if mark.status == _S.EXPECTED:
        return Stood()
    late, early = mark.status == _S.LATE, mark.status == _S.LEFT_EARLY
    arrived = sitting["starts_at"] + timedelta(minutes=mark.minutes) if late else None
    left = sitting["ends_at"] - timedelta(minutes=mark.minutes) if early else None
    whole = Sitting(sitting["starts_at"], sitting["ends_at"], break_minutes=sitting["break_minutes"])
    minutes = attended(whole, mark.status, arrived_at=arrived, left_at=left).total
    return Stood(mark.status, arrived, left, minutes)


def _settled(known: Known, visit: Visit, rows: Sequence[Row]) -> Settled:
    offer, employer = known.offers[visit.employer, visit.form], BY_KEY[visit.employer]
    facts = {name: offer[name] for name in ("kind", "mode", "activity_band", "criteria", "title")}
    missing = [row["id"] for row in rows if row["status"] == _S.NO_SHOW]
    return Settled(
        visit={**facts, "employer_name": employer.name},
        rows=rows,
        school_client=known.clients[visit.school],
        employer_client=known.clients[visit.employer],
        resolutions={one: _RESOLVED[number % len(_RESOLVED)] for number, one in enumerate(missing)},
    )


def _own(known: Known, own: Own) -> Recorded:
    form = FORMS[own.form]
    return Recorded(
        school_id=known.ids[own.school],
        pupil=known.pupils[known.ids[own.school], own.pupil.ref],
        nc_year=str(own.year),
        kind=form.kind.value,
        title=own.title,
        days=[(day, form.minutes) for day in own.days],
        criteria=form.criteria,
        employer_id=known.ids[own.employer] if own.employer else None,
        client_id=known.clients[own.school],
        mode=form.mode,
    )


def _costs(visit: Visit, booking: Row) -> Iterator[dict[str, Any]]:
    """Spent where the visit is over; committed where it is agreed and lies ahead."""
    if not visit.programme or not visit.answered:
        return
    over = visit.end == BookingState.COMPLETED
    for number, cost in enumerate(visit.costs, 1):
        yield {
            **{name: booking[name] for name in ("programme_id", "strand_id", "school_id")},
            "booking_id": booking["id"],
            "external_ref": f"{visit.ref}-{number}",
            "kind": cost.kind,
            "stage": "spend" if over else "commitment",
            "paid_by": cost.paid_by,
            "amount_pence": cost.pence,
            "on_date": visit.days[-1] if over else visit.answered.date(),
        }
