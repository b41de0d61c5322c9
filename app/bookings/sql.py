"""The statements of bookings. A booking is locked before it moves; its places are taken by one conditional UPDATE."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Integer, Select, Table, bindparam, cast, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, Range
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.dialects.postgresql import insert as insert_or

from app.bookings.tables import (
    booking_moves,
    bookings,
    parental_agreements,
    participation_sittings,
    participations,
)
from app.core.db import Door, Row, Writer
from app.core.paging import Pull
from app.core.sql import pulled

_UUID = PG_UUID(as_uuid=True)
_MOMENT = TIMESTAMP(timezone=True)

# Everything the rules ask of a slot, its employer, this school's acceptances and the law of the day, in one statement.
_SLOT_FACTS = text(
    """
    SELECT s.id, s.offer_id, s.employer_id, s.site_id, s.state, s.starts_at, s.ends_at, s.capacity, s.taken,
           s.book_by, s.name_by, s.reply_within_hours, o.kind, o.mode, o.activity_band,
           CASE (SELECT x.state FROM sites x WHERE x.id = s.site_id) WHEN 'closed' THEN 'closed' ELSE o.state END
             AS offer_state,
           o.year_groups, o.hazards, o.criteria, o.title, app.is_suspended(s.employer_id, :school) AS suspended,
           :school = ANY (app.schools()) AS acts_for,
           (SELECT jsonb_agg(jsonb_build_object('id', t.id, 'starts_at', t.starts_at, 'ends_at', t.ends_at,
                     'break_minutes', t.break_minutes, 'virtual', t.virtual) ORDER BY t.no)
              FROM sittings t WHERE t.slot_id = s.id) AS sittings,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', a.kind, 'activity_band', a.activity_band,
                     'state', a.state, 'approved_on', a.approved_on, 'expires_on', a.expires_on,
                     'accepted', a.approver_id = :school OR EXISTS (SELECT 1 FROM approval_acceptances x
                        WHERE x.school_id = :school AND x.approver_id = a.approver_id))), '[]')
              FROM approvals a WHERE a.site_id = s.site_id) AS approvals,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', c.kind, 'liability', c.liability,
                     'limit_pence', c.limit_pence, 'starts_on', c.starts_on, 'expires_on', c.expires_on,
                     'attested_on', c.attested_on)), '[]')
              FROM covers c WHERE c.employer_id = s.employer_id AND c.withdrawn_at IS NULL
                AND (c.site_id IS NULL OR c.site_id = s.site_id)) AS covers,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('topic', d.topic, 'name', d.name, 'starts_on', d.starts_on,
                     'ends_on', d.ends_on, 'source', d.source, 'body', d.body)), '[]')
              FROM dated_policies d WHERE d.topic IN ('age_prohibition', 'cover')) AS statutes
      FROM slots s JOIN offers o ON o.id = s.offer_id
     WHERE s.id = :slot
    """
).bindparams(bindparam("slot", type_=_UUID), bindparam("school", type_=_UUID))

_TAKE = select(
    func.app.take_places(
        bindparam("slot", type_=_UUID), bindparam("school", type_=_UUID), bindparam("places", type_=Integer)
    )
)
_GIVE = select(func.app.give_places(bindparam("booking", type_=_UUID), bindparam("places", type_=Integer)))
_TAKE_IN_TURN = select(func.app.take_places_in_turn(bindparam("booking", type_=_UUID)))
_GIVE_PROPOSED = select(func.app.give_proposed_places(bindparam("booking", type_=_UUID)))

# A pupil's facts for one slot; `busy` are the pupil's other sittings that the caller may know of.
_PUPILS = text(
    """
    SELECT e.id, e.person_no, e.date_of_birth, e.state, e.ends_on, y.nc_year,
           EXISTS (SELECT 1 FROM site_bars b WHERE b.enrolment_id = e.id AND b.site_id = :site) AS barred,
           p.state AS agreement,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('starts_at', lower(t.during), 'ends_at', upper(t.during))), '[]')
              FROM participation_sittings t
             WHERE t.school_id = :school AND t.person_no = e.person_no AND t.active AND t.booking_id <> :booking) AS busy
      FROM enrolments e
      LEFT JOIN nc_years y ON y.enrolment_id = e.id AND y.academic_year = :year
      LEFT JOIN parental_agreements p ON p.enrolment_id = e.id AND p.booking_id = :booking
     WHERE e.school_id = :school AND e.id = ANY (:pupils)
     ORDER BY e.person_no
    """
).bindparams(
    bindparam("site", type_=_UUID),
    bindparam("school", type_=_UUID),
    bindparam("booking", type_=_UUID),
    bindparam("year", type_=Integer),
    bindparam("pupils", type_=ARRAY(_UUID)),
)
_BY_REF = text(
    "SELECT external_ref, enrolment_id FROM pupil_refs WHERE school_id = :school AND org_id = app.org()"
    " AND external_ref = ANY (:refs)"
).bindparams(bindparam("school", type_=_UUID))

_RELEASE = text(
    "SELECT participation_id, known_as, family_initial, access_needs"
    " FROM app.release_participants(:booking, :ids, :route)"
).bindparams(bindparam("booking", type_=_UUID), bindparam("ids", type_=ARRAY(_UUID)))

_NAMED = text(
    """
    SELECT p.id, p.enrolment_id AS pupil_id, p.state, p.nc_year, p.created_at, p.criteria_confirmed,
           (SELECT jsonb_agg(jsonb_build_object('sitting_id', t.sitting_id, 'status', t.status, 'arrived_at', t.arrived_at,
                     'left_at', t.left_at, 'minutes', t.minutes, 'disputed', t.disputed) ORDER BY lower(t.during))
              FROM participation_sittings t WHERE t.participation_id = p.id) AS sittings
      FROM participations p WHERE p.booking_id = :booking ORDER BY p.id
    """
).bindparams(bindparam("booking", type_=_UUID))


_PROGRAMME = text(
    "SELECT state, starts_on, ends_on, strand_known, enrolled"
    " FROM app.programme_for_booking(:programme, :strand, :school)"
).bindparams(
    bindparam("programme", type_=_UUID), bindparam("strand", type_=_UUID), bindparam("school", type_=_UUID)
)


async def programme_for(
    tx: Writer, programme_id: UUID, strand_id: UUID | None, school_id: UUID
) -> Row | None:
    """A programme for a booking of this school: its window, and whether the strand is known and the school enrolled.

    None for one that the caller does not run and the school takes no part in. Locked against its owner's changes.
    """
    params = {"programme": programme_id, "strand": strand_id, "school": school_id}
    return await tx.one_or_none(_PROGRAMME, params)


async def slot_facts(tx: Door, slot_id: UUID, school_id: UUID) -> Row | None:
    """A slot with its sittings, approvals (and whether this school accepts them) and covers; None if not to be seen."""
    return await tx.one_or_none(_SLOT_FACTS, {"slot": slot_id, "school": school_id})


async def take_places(tx: Writer, slot_id: UUID, school_id: UUID, places: int) -> bool:
    """Take places if there are enough, and nobody waits for whom the free ones are enough; else False, and nothing is
    changed.
    """
    return bool(await tx.value(_TAKE, {"slot": slot_id, "school": school_id, "places": places}))


async def take_places_in_turn(tx: Writer, booking_id: UUID) -> bool:
    """Take the places of a waiting booking; False if there are not enough, or one that has waited longer fits, too."""
    return bool(await tx.value(_TAKE_IN_TURN, {"booking": booking_id}))


async def set_aside(tx: Writer, booking_id: UUID, now: datetime) -> None:
    """Let others pass a waiting booking that cannot be promoted as things are."""
    waits = (bookings.c.id == booking_id, bookings.c.state == "waiting", bookings.c.set_aside_at.is_(None))
    await tx.run(update(bookings).where(*waits).values(set_aside_at=now))


async def give_places(tx: Writer, booking_id: UUID, places: int) -> None:
    """Give places of a booking back to the slot it is in."""
    await tx.run(_GIVE, {"booking": booking_id, "places": places})


async def give_proposed_places(tx: Writer, booking_id: UUID) -> None:
    """Give the places held for a booking's proposal back to the slot that was proposed."""
    await tx.run(_GIVE_PROPOSED, {"booking": booking_id})


async def add(tx: Writer, values: Mapping[str, Any]) -> Row:
    """Insert a booking and give it back."""
    row = await tx.one_or_none(insert(bookings).values(**values).returning(bookings))
    return row or {}


_OF_HISTORY: Mapping[str, Table] = {
    "bookings": bookings,
    "moves": booking_moves,
    "participations": participations,
    "agreements": parental_agreements,
    "sittings": participation_sittings,
}


async def add_past(tx: Writer, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Copy the rows of bookings of the past, table by table; the sittings in the order of `person_no`."""
    for name, table in _OF_HISTORY.items():
        await tx.copy_rows(table, rows[name])


async def add_move(tx: Writer, values: Mapping[str, Any]) -> None:
    """Append a move."""
    await tx.run(insert(booking_moves).values(**values))


_HAPPENED = text("participation_sittings.status NOT IN ('expected', 'closed', 'excused')")
_RECORDED = (
    select(1)
    .where(participation_sittings.c.booking_id == bookings.c.id, _HAPPENED)
    .exists()
    .label("attendance_recorded")
)
"""Whether somebody was reported to be there, or missing: one probe of an index for each booking."""


async def lock(tx: Writer, booking_id: UUID) -> Row | None:
    """A booking, locked until the transaction ends."""
    return await tx.one_or_none(select(bookings).where(bookings.c.id == booking_id).with_for_update())


async def so_far(tx: Writer, booking_id: UUID, *, acts: bool = False) -> Row:
    """The number of `moves` made of a booking that is locked, and whether `attendance_recorded`.

    A statement of its own: the one that waited for the lock counts as of before it waited, and misses what the other did.
    `acts`: from here on the caller acts on both sides of its booking, and reads which approvals the school accepts.
    """
    moves = select(func.count()).where(booking_moves.c.booking_id == booking_id).scalar_subquery()
    recorded = select(1).where(participation_sittings.c.booking_id == booking_id, _HAPPENED).exists()
    stmt = select(moves.label("moves"), recorded.label("attendance_recorded"))
    if acts:
        stmt = stmt.add_columns(func.app.act_on_booking(booking_id).label("acting_for"))
    return await tx.one_or_none(stmt) or {}


async def change(tx: Writer, booking_id: UUID, values: Mapping[str, Any]) -> Row:
    """Update a booking, with its version, and give it back."""
    stmt = (
        update(bookings)
        .where(bookings.c.id == booking_id)
        .values(version=bookings.c.version + 1, updated_at=func.now(), **values)
        .returning(bookings, _RECORDED)
    )
    return await tx.one_or_none(stmt) or {}


async def by_id(tx: Door, booking_id: UUID) -> Row | None:
    """One booking of the caller's, with whether `attendance_recorded`."""
    return await tx.one_or_none(select(bookings, _RECORDED).where(bookings.c.id == booking_id))


def _mine(school_ids: UUID | None, employer_id: UUID | None) -> Select[Any]:
    stmt = select(bookings, _RECORDED)
    if employer_id is not None:
        return stmt.where(bookings.c.employer_id == employer_id)
    if school_ids is not None:
        return stmt.where(bookings.c.school_id == school_ids)
    return stmt.where(bookings.c.school_id == func.any(func.app.schools()))


async def page(
    tx: Door,
    *,
    school_id: UUID | None,
    employer_id: UUID | None,
    state: str | None,
    slot_id: UUID | None,
    external_ref: str | None,
    starts_from: datetime | None,
    starts_to: datetime | None,
    pull: Pull,
    programme_id: UUID | None = None,
    strand_id: UUID | None = None,
) -> Sequence[Row]:
    """A page of one side's bookings, as `core.sql.pulled` gives them."""
    stmt = _mine(school_id, employer_id)
    if state:
        stmt = stmt.where(bookings.c.state == state)
    if slot_id:
        stmt = stmt.where(bookings.c.slot_id == slot_id)
    if external_ref:
        own = bookings.c.employer_ref if employer_id is not None else bookings.c.school_ref
        stmt = stmt.where(own == external_ref)
    if programme_id:
        stmt = stmt.where(bookings.c.programme_id == programme_id)
    if strand_id:
        stmt = stmt.where(bookings.c.strand_id == strand_id)
    if starts_from:
        stmt = stmt.where(bookings.c.starts_at >= starts_from)
    if starts_to:
        stmt = stmt.where(bookings.c.starts_at < starts_to)
    return await tx.rows(pulled(stmt, bookings, pull))


async def moves(tx: Door, booking_id: UUID) -> Sequence[Row]:
    """The moves of a booking, in order."""
    return await tx.rows(
        select(booking_moves).where(booking_moves.c.booking_id == booking_id).order_by(booking_moves.c.no)
    )


async def pupils_by_ref(tx: Door, school_id: UUID, refs: Sequence[str]) -> dict[str, UUID]:
    """The caller's own references to pupils of a school."""
    rows = await tx.rows(_BY_REF, {"school": school_id, "refs": list(refs)})
    return {row["external_ref"]: row["enrolment_id"] for row in rows}


async def pupil_facts(
    tx: Door, *, school_id: UUID, booking_id: UUID, site_id: UUID, year: int, pupils: Sequence[UUID]
) -> dict[UUID, Row]:
    """What the rules ask of pupils, by pupil id, in the order of `person_no`."""
    rows = await tx.rows(
        _PUPILS,
        {"school": school_id, "booking": booking_id, "site": site_id, "year": year, "pupils": list(pupils)},
    )
    return {row["id"]: row for row in rows}


async def add_participations(
    tx: Writer, named: Sequence[Mapping[str, Any]], places: Sequence[Mapping[str, Any]]
) -> None:
    """Name pupils, with a row per sitting; in the order of `person_no`, so that two callers never wait in a ring."""
    await tx.run(insert(participations), [dict(one) for one in named])
    rows = [{**one, "during": Range(one["starts_at"], one["ends_at"])} for one in places]
    for one in rows:
        one.pop("starts_at")
        one.pop("ends_at")
    await tx.run(insert(participation_sittings), rows)


async def record_agreements(tx: Writer, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record what parents answered about this booking; a later answer takes the place of an earlier one."""
    if not rows:
        return
    given = insert_or(parental_agreements)
    anew = given.on_conflict_do_update(
        constraint="uq_parental_agreements_pupil",
        set_={
            "state": given.excluded.state,
            "answered_on": given.excluded.answered_on,
            "version": parental_agreements.c.version + 1,
            "updated_at": func.now(),
        },
    )
    await tx.run(anew, [dict(one) for one in rows])


async def withdraw(tx: Writer, booking_id: UUID, participation_id: UUID | None = None) -> int:
    """Withdraw one participation, or all of a booking: their pupils are free at those times again. Gives how many."""
    mine = participations.c.booking_id == booking_id
    sittings = participation_sittings.c.booking_id == booking_id
    if participation_id:
        mine &= participations.c.id == participation_id
        sittings &= participation_sittings.c.participation_id == participation_id
    count = await tx.run(
        update(participations)
        .where(mine, participations.c.state == "named")
        .values(state="withdrawn", version=participations.c.version + 1, updated_at=func.now())
    )
    if count:
        await tx.run(
            update(participation_sittings)
            .where(sittings, participation_sittings.c.status == "expected")
            .values(active=False, status="closed", updated_at=func.now())
        )
    return count


async def participation(tx: Door, participation_id: UUID) -> Row | None:
    """One participation of the caller's."""
    return await tx.one_or_none(select(participations).where(participations.c.id == participation_id))


async def named(tx: Door, booking_id: UUID) -> Sequence[Row]:
    """The participations of a booking with their sittings."""
    return await tx.rows(_NAMED, {"booking": booking_id})


async def release(tx: Writer, booking_id: UUID, ids: Sequence[UUID], route: str) -> Sequence[Row]:
    """To the employer of a booking that stands: who is coming. Each name is written down as a disclosure."""
    return await tx.rows(_RELEASE, {"booking": booking_id, "ids": list(ids), "route": route})


# --- what the worker looks for -----------------------------------------------------------------------------------


async def due_to_expire(tx: Door, now: datetime, most: int) -> Sequence[Row]:
    """Unanswered bookings whose time has passed or whose slot has begun."""
    stmt = select(bookings.c.id).where(
        bookings.c.state
        == func.any(cast(["requested", "countered", "waiting"], ARRAY(bookings.c.state.type))),
        (bookings.c.expires_at <= now) | (bookings.c.starts_at <= now),
    )
    return await tx.rows(stmt.order_by(bookings.c.id).limit(most))


_PROPOSALS_OVER = text(
    """
    SELECT id FROM (
      SELECT b.id FROM bookings b WHERE b.proposal_expires_at <= :now
       UNION
      SELECT b.id FROM bookings b JOIN slots s ON s.id = b.proposal_slot_id WHERE s.state = 'cancelled') over
     ORDER BY id LIMIT :most
    """
).bindparams(bindparam("now", type_=_MOMENT), bindparam("most", type_=BigInteger))
_TO_HOLD = text(
    """
    SELECT b.id FROM bookings b
     WHERE b.state = 'confirmed' AND b.starts_at > :now
       AND EXISTS (SELECT 1 FROM suspensions s WHERE s.employer_id = b.employer_id AND s.lifted_at IS NULL)
       AND app.is_suspended(b.employer_id, b.school_id)
     ORDER BY b.id LIMIT :most
    """
).bindparams(bindparam("now", type_=_MOMENT), bindparam("most", type_=BigInteger))

# As rules/eligibility has it: does some cover of the employer's satisfy the rule of the booking's kind to its last day?
# Of several rules it is the one that came into force last.
# `:rules` are those of rules/statutes, with what is kept as dated data.
_COVERED = """
       (o.mode = 'virtual' OR coalesce((
          SELECT EXISTS (
               SELECT 1 FROM covers c
                WHERE c.employer_id = b.employer_id AND c.liability = r.liability AND c.withdrawn_at IS NULL
                  AND (c.site_id IS NULL OR c.site_id = b.site_id)
                  AND CASE c.kind
                      WHEN 'taken_out_for_this_booking' THEN true
                      WHEN 'policy' THEN c.limit_pence >= r.minimum_pence
                        AND c.starts_on <= (b.starts_at AT TIME ZONE 'Europe/London')::date
                        AND c.expires_on >= (b.ends_at AT TIME ZONE 'Europe/London')::date
                      ELSE c.attested_on <= (b.ends_at AT TIME ZONE 'Europe/London')::date END)
            FROM jsonb_to_recordset(:rules) AS r (kind text, liability text, minimum_pence bigint, valid_from date,
                                                  valid_until date)
           WHERE r.kind = b.kind AND r.valid_from <= (b.ends_at AT TIME ZONE 'Europe/London')::date
             AND (r.valid_until IS NULL OR (b.ends_at AT TIME ZONE 'Europe/London')::date < r.valid_until)
           ORDER BY r.valid_from DESC LIMIT 1), true))
"""

# A booking is confirmed under cover that reaches to its last day, and a cover is not changed: only one that is withdrawn
# leaves bookings without. So those employers alone are looked at.
_TO_HOLD_UNCOVERED = text(
    f"""
    SELECT b.id FROM bookings b JOIN offers o ON o.id = b.offer_id
     WHERE b.state = 'confirmed' AND b.starts_at > :now
       AND EXISTS (SELECT 1 FROM covers w WHERE w.employer_id = b.employer_id AND w.withdrawn_at IS NOT NULL
                      AND (w.expires_on IS NULL OR w.expires_on >= (:now AT TIME ZONE 'Europe/London')::date))
       AND NOT {_COVERED}
     ORDER BY b.id LIMIT :most
    """
).bindparams(
    bindparam("now", type_=_MOMENT), bindparam("most", type_=BigInteger), bindparam("rules", type_=JSONB)
)
_TO_RELEASE = text(
    f"""
    SELECT b.id FROM bookings b JOIN offers o ON o.id = b.offer_id
     WHERE b.state = 'on_hold' AND b.reason_code IN ('employer_suspended', 'cover_lapsed') AND b.starts_at > :now
       AND NOT app.is_suspended(b.employer_id, b.school_id) AND {_COVERED}
     ORDER BY b.id LIMIT :most
    """
).bindparams(
    bindparam("now", type_=_MOMENT), bindparam("most", type_=BigInteger), bindparam("rules", type_=JSONB)
)
_STATUTES = text(
    "SELECT topic, name, starts_on, ends_on, source, body FROM dated_policies"
    " WHERE topic IN ('age_prohibition', 'cover')"
)
_TO_HAND_BACK = text(
    """
    SELECT b.id FROM bookings b
     WHERE b.state = 'confirmed' AND b.name_by <= :now AND b.named < b.places AND b.starts_at > :now
     ORDER BY b.id LIMIT :most
    """
).bindparams(bindparam("now", type_=_MOMENT), bindparam("most", type_=BigInteger))
_TO_CANCEL = text(
    """
    SELECT b.id FROM bookings b JOIN slots s ON s.id = b.slot_id
     WHERE s.state = 'cancelled' AND b.state IN ('waiting', 'requested', 'countered', 'confirmed', 'on_hold')
     ORDER BY b.id LIMIT :most
    """
).bindparams(bindparam("most", type_=BigInteger))
# In the order of waiting. One that cannot be promoted is set aside at the first try, and then left out for as long as a
# request would be refused for a suspension or an approval: many of them would stand in the way of others.
_TO_PROMOTE = text(
    """
    SELECT b.id FROM bookings b JOIN slots s ON s.id = b.slot_id JOIN offers o ON o.id = s.offer_id
     WHERE b.state = 'waiting' AND s.state = 'open' AND s.capacity - s.taken >= b.places AND b.starts_at > :now
       AND (b.set_aside_at IS NULL OR NOT app.is_suspended(b.employer_id, b.school_id)
       AND (o.mode = 'virtual' OR o.kind IN ('virtual_experience', 'school_based_encounter') OR EXISTS (
         SELECT 1 FROM approvals a
          WHERE a.site_id = s.site_id AND a.kind = o.kind AND a.activity_band = o.activity_band AND a.state = 'approved'
            AND a.approved_on <= (s.starts_at AT TIME ZONE 'Europe/London')::date
            AND (a.expires_on IS NULL OR a.expires_on >= (s.ends_at AT TIME ZONE 'Europe/London')::date)
            AND (a.approver_id = b.school_id OR EXISTS (SELECT 1 FROM approval_acceptances x
                   WHERE x.school_id = b.school_id AND x.approver_id = a.approver_id)))))
     ORDER BY b.id LIMIT :most
    """
).bindparams(bindparam("now", type_=_MOMENT), bindparam("most", type_=BigInteger))
# The condition on `expires_at` is that of the index: unanswered bookings are few, however many there were.
_OFFER_ENDED = """
      FROM bookings b JOIN offers o ON o.id = b.offer_id JOIN sites s ON s.id = b.site_id
     WHERE b.state IN ('waiting', 'requested', 'countered') AND b.expires_at IS NOT NULL
       AND (o.state = 'withdrawn' OR s.state = 'closed')
"""
_TO_END = text(f"SELECT b.id {_OFFER_ENDED} ORDER BY b.id LIMIT :most").bindparams(
    bindparam("most", type_=BigInteger)
)
_WHY_ENDED = text(
    f"SELECT CASE o.state WHEN 'withdrawn' THEN 'offer_withdrawn' ELSE 'site_closed' END {_OFFER_ENDED} AND b.id = :booking"
).bindparams(bindparam("booking", type_=_UUID))
_LOOKS = {
    "offer_ended": _TO_END,
    "hold": _TO_HOLD,
    "hold_uncovered": _TO_HOLD_UNCOVERED,
    "release": _TO_RELEASE,
    "hand_back": _TO_HAND_BACK,
    "proposal_over": _PROPOSALS_OVER,
    "slot_cancelled": _TO_CANCEL,
    "promote": _TO_PROMOTE,
}


_ASKING = {
    "slot_cancelled": ("most",),
    "offer_ended": ("most",),
    "hold_uncovered": ("now", "most", "rules"),
    "release": ("now", "most", "rules"),
}


async def waiting_for(
    tx: Door, what: str, now: datetime, most: int, rules: Sequence[Mapping[str, Any]] = ()
) -> Sequence[UUID]:
    """The ids of bookings on which the worker must act: `hold`, `hold_uncovered`, `release`, `hand_back`,
    `proposal_over`, `slot_cancelled`, `offer_ended`, `promote`. `rules` are those of cover, for the second and third.
    """
    given = {"now": now, "most": most, "rules": [dict(one) for one in rules]}
    asked = {name: given[name] for name in _ASKING.get(what, ("now", "most"))}
    return [row["id"] for row in await tx.rows(_LOOKS[what], asked)]


async def why_ended(tx: Writer, booking_id: UUID) -> str | None:
    """`offer_withdrawn` or `site_closed` for a booking that nobody has agreed and that has lost its offer."""
    reason: str | None = await tx.value(_WHY_ENDED, {"booking": booking_id})
    return reason


_CANCELLED_SLOT = text(
    "SELECT s.cancel_reason, s.cancelled_by FROM slots s JOIN bookings b ON b.slot_id = s.id WHERE b.id = :booking"
).bindparams(bindparam("booking", type_=_UUID))


async def cancelled_slot_of(tx: Door, booking_id: UUID) -> Row | None:
    """Why the slot of a booking was cancelled (`cancel_reason`), and by which client (`cancelled_by`)."""
    return await tx.one_or_none(_CANCELLED_SLOT, {"booking": booking_id})


async def statutes(tx: Door) -> Sequence[Row]:
    """What is kept as dated data of prohibitions by age and of cover."""
    return await tx.rows(_STATUTES)


# --- pupils who leave -------------------------------------------------------------------------------------------

# What a pupil is still expected at on a day after the last day on the roll. Begins with those whose last day was set.
_AFTER_LAST_DAY = """
      FROM pupils_leaving l
      JOIN enrolments e ON e.id = l.enrolment_id
      JOIN participations p ON p.enrolment_id = e.id AND p.state = 'named'
      JOIN bookings b ON b.id = p.booking_id AND b.state IN ('requested', 'countered', 'confirmed', 'on_hold')
      JOIN participation_sittings t ON t.participation_id = p.id AND t.status = 'expected' AND t.active
       AND (lower(t.during) AT TIME ZONE 'Europe/London')::date > e.ends_on
"""
_WITH_LEAVERS = text(f"SELECT DISTINCT b.id {_AFTER_LAST_DAY} ORDER BY b.id LIMIT :most").bindparams(
    bindparam("most", type_=BigInteger)
)
_LEAVERS = text(
    f"SELECT p.id, array_agg(t.id) AS days {_AFTER_LAST_DAY} WHERE b.id = :booking GROUP BY p.id"
).bindparams(bindparam("booking", type_=_UUID))
_IDS = bindparam("ids", type_=ARRAY(_UUID))
_WITHDRAW_MANY = text(
    """
    WITH gone AS (UPDATE participations SET state = 'withdrawn', version = version + 1, updated_at = now()
                   WHERE id = ANY (:ids) AND state = 'named' RETURNING id)
    UPDATE participation_sittings t SET active = false, status = 'closed', updated_at = now()
      FROM gone WHERE t.participation_id = gone.id AND t.status = 'expected'
    """
).bindparams(_IDS)
_CLOSE_DAYS = text(
    """
    UPDATE participation_sittings SET active = false, status = 'closed', version = version + 1, updated_at = now()
     WHERE id = ANY (:ids) AND status = 'expected'
    """
).bindparams(_IDS)
# A name that was being written while the last day was: it is seen at one of the next turns, so nobody is forgotten at once.
_LOOKED_AFTER = text(
    f"""
    DELETE FROM pupils_leaving g WHERE g.noted_at < now() - interval '5 minutes'
       AND NOT EXISTS (SELECT 1 {_AFTER_LAST_DAY} WHERE l.enrolment_id = g.enrolment_id)
    """
)


async def with_leavers(tx: Door, most: int) -> list[UUID]:
    """Bookings in which a pupil is expected after the last day on the roll."""
    return [row["id"] for row in await tx.rows(_WITH_LEAVERS, {"most": most})]


async def leavers(tx: Door, booking_id: UUID) -> Sequence[Row]:
    """Participations of a booking whose pupil has left before some of its days: `id`, and the `days` it is about."""
    return await tx.rows(_LEAVERS, {"booking": booking_id})


async def withdraw_many(tx: Writer, participation_ids: Sequence[UUID]) -> None:
    """Withdraw these participations: one statement."""
    await tx.run(_WITHDRAW_MANY, {"ids": list(participation_ids)})


async def close_days(tx: Writer, ids: Sequence[UUID]) -> None:
    """Nobody is expected at these days of participations any more: one statement."""
    await tx.run(_CLOSE_DAYS, {"ids": list(ids)})


async def forget_leavers(tx: Writer) -> int:
    """Forget those noted as leaving who are expected nowhere any more. Gives how many."""
    return await tx.run(_LOOKED_AFTER)
