"""Employers around the counted world, made by the owner's hand so that every figure is known beforehand.

Ahead, and what of it is open to whom (Hub A's approvals are relied on by Ash, Beech and Cedar, Hub B's by Elm):

- Acme (small, life sciences): a tour of 120 minutes for Years 7-9, 30 places of which 10 are taken; a placement of five
  days of 300 minutes for Years 10-11, 4 places; a full tour; a tour that Hub B has approved, 10 places.
- Bolt (large, digital and creative): a visit of 420 minutes for Years 8-9, shown to Ash alone, 5 places (300 count).
- Corner (micro, no sector): a virtual experience of 60 minutes for Years 7-9, 50 places.
- Dud (medium, construction): approved, and its cover has lapsed.

The year's last week has no days ahead: what is open counts until the academic year ends. Then this world's domain clock
is put back by two weeks (`BACK`), and `TODAY` is its today.

Behind: a tour of Acme ten days ago, 20 places of which 12 were taken; Ash's five bookings with Acme, answered after 1, 2,
3, 5 and 7 hours, one of Beech declined after 26, and one of Ash with Bolt that expired.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.db import Database
from app.core.ids import new_id
from app.core.roles import Dsns
from app.rules.school_calendar import academic_year
from tests.pupils_counted import LONG_AGO, YEAR, Counted
from tests.today import TODAY as WALL_TODAY
from tests.today import date_in, time_in

BACK = timedelta(days=14) if academic_year(date_in(7)) > YEAR else timedelta()
TODAY = WALL_TODAY - BACK
AHEAD = time_in(2) - BACK
BEHIND = AHEAD - timedelta(days=12)
LONG = date(YEAR + 5, 9, 1)
THIS_YEAR = min(date(YEAR, 9, 15), TODAY)
"""A day of this academic year that is not ahead."""
EMPLOYERS = {
    "acme": ("small", ["life_sciences"]),
    "bolt": ("large", ["digital_and_technologies", "creative_industries"]),
    "corner": ("micro", []),
    "dud": ("medium", ["construction"]),
}
KS3, KS4 = ("7", "8", "9"), ("10", "11")


def reading(dsns: Dsns, pool: int) -> Database:
    """The application's database, not yet open; it asks for the domain clock where that is put back."""
    return Database(dsns.app, development=bool(BACK), pool=pool)


async def furnish(made: Counted) -> None:
    """Everything at the head of this page."""
    await made.owner.execute("UPDATE clock SET offset_seconds = $1", -int(BACK.total_seconds()))
    for name, (size, sectors) in EMPLOYERS.items():
        await _employer(made, name, size, sectors)
    for hub, school in (("hub_a", "ash"), ("hub_a", "beech"), ("hub_a", "cedar"), ("hub_b", "elm")):
        await made.owner.execute(
            "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2)",
            made.ids[school],
            made.ids[hub],
        )
    await slot(made, "acme", capacity=30, taken=10)
    await slot(made, "acme", kind="placement", years=KS4, capacity=4, days=5, hours=6, rest=60)
    await slot(made, "acme", capacity=3, taken=3)
    await slot(made, "acme", kind="workplace_visit", capacity=10, approver="hub_b")
    bolt = await slot(
        made, "bolt", kind="workplace_visit", years=("8", "9"), capacity=5, hours=7, sector="creative_industries",
        audience="ash",
    )  # fmt: skip
    await slot(made, "corner", kind="virtual_experience", mode="virtual", capacity=50, hours=1, approver=None)
    await slot(made, "dud", capacity=8)
    past = await slot(made, "acme", starts=BEHIND, capacity=20, taken=12)
    for hours in (1, 2, 3, 5, 7):
        await booking(made, "ash", past, "confirm", hours)
    await booking(made, "beech", past, "decline", 26, reason="too_time_consuming")
    await booking(made, "ash", bolt, "expire", 120, reason="no_answer_from_employer")


async def _employer(made: Counted, name: str, size: str, sectors: list[str]) -> None:
    made.ids[name] = await made.insert("organisations", kind="employer", name=name.title())
    await made.insert("employers", id=made.ids[name], size_band=size, sectors=sectors)
    made.ids[f"{name}.site"] = await made.insert(
        "sites", employer_id=made.ids[name], name="Main", address="1 High Street", town="Stevenage", postcode="SG1 1AA"
    )  # fmt: skip
    for liability in ("employers_liability", "public_liability"):
        await made.insert(
            "covers", employer_id=made.ids[name], kind="policy", liability=liability, insurer="Mutual",
            policy_number="P", limit_pence=1_000_000_000, starts_on=LONG_AGO,
            expires_on=date(YEAR - 1, 9, 1) if name == "dud" else LONG,
        )  # fmt: skip


_PLAIN: dict[str, Any] = {
    "kind": "workplace_tour", "mode": "in_person", "years": KS3, "capacity": 10, "taken": 0, "starts": AHEAD, "days": 1,
    "hours": 2, "rest": 0, "sector": None, "audience": None, "approver": "hub_a",
}  # fmt: skip


async def slot(made: Counted, employer: str, **more: Any) -> UUID:
    """A slot with an offer of its own; see the defaults. `audience`: a school; `approver`: who approved it, or None."""
    given = _PLAIN | more
    who, site = made.ids[employer], made.ids[f"{employer}.site"]
    offer = await made.insert(
        "offers", employer_id=who, site_id=site, title="An offer", kind=given["kind"], mode=given["mode"],
        grouping="group", tier=1, sector=given["sector"], year_groups=list(given["years"]),
        year_mask=sum(1 << int(year) for year in given["years"]),
        visibility="named_schools" if given["audience"] else "all_schools",
    )  # fmt: skip
    if given["audience"]:
        await made.owner.execute(
            "INSERT INTO offer_audiences (offer_id, audience_id, employer_id, kind) VALUES ($1, $2, $3, 'school')",
            offer, made.ids[given["audience"]], who,
        )  # fmt: skip
    if given["approver"] and not await _approved(made, given["approver"], site, given["kind"]):
        await made.insert(
            "approvals", approver_id=made.ids[given["approver"]], employer_id=who, site_id=site, kind=given["kind"],
            activity_band="low", approved_on=LONG_AGO, expires_on=LONG,
        )  # fmt: skip
    lasts = timedelta(hours=given["hours"])
    made_slot = await made.insert(
        "slots", offer_id=offer, employer_id=who, site_id=site, starts_at=given["starts"],
        ends_at=given["starts"] + timedelta(days=given["days"] - 1) + lasts, capacity=given["capacity"],
        taken=given["taken"], minutes=(given["hours"] * 60 - given["rest"]) * given["days"],
        book_by=given["starts"] - timedelta(days=1), name_by=given["starts"] - timedelta(hours=1),
        restricted=bool(given["audience"]),
    )  # fmt: skip
    for day in range(given["days"]):
        begins = given["starts"] + timedelta(days=day)
        await made.insert(
            "sittings", slot_id=made_slot, employer_id=who, no=day + 1, starts_at=begins, ends_at=begins + lasts,
            break_minutes=given["rest"], virtual=given["mode"] == "virtual",
        )  # fmt: skip
    return made_slot


async def _approved(made: Counted, approver: str, site: UUID, kind: str) -> bool:
    return bool(
        await made.owner.fetchval(
            "SELECT 1 FROM approvals WHERE approver_id = $1 AND site_id = $2 AND kind = $3",
            made.ids[approver], site, kind,
        )
    )  # fmt: skip


async def booking(
    made: Counted,
    school: str,
    slot_id: UUID,
    action: str,
    hours: int,
    *,
    reason: str | None = None,
    places: int = 2,
) -> UUID:
    """A booking asked for twenty days ago, and what came of it after some hours."""
    row = await made.owner.fetchrow(
        "SELECT s.*, o.kind FROM slots s JOIN offers o ON o.id = s.offer_id WHERE s.id = $1", slot_id
    )
    asked = datetime.now(UTC) - BACK - timedelta(days=20)
    state = {"confirm": "completed", "decline": "declined", "expire": "expired"}[action]
    who = {"school_id": made.ids[school], "employer_id": row["employer_id"]}
    found = await made.insert(
        "bookings", **who, site_id=row["site_id"], offer_id=row["offer_id"], slot_id=slot_id, state=state,
        kind=row["kind"], places=places, starts_at=row["starts_at"], ends_at=row["ends_at"], name_by=row["name_by"],
        requested_at=asked, requested_by=made.clients[school],
    )  # fmt: skip
    client = made.clients[school]
    await made.insert(
        "booking_moves", booking_id=found, **who, no=1, action="request", actor="school", client_id=client,
        to_state="requested", to_slot_id=slot_id, places=places, at=asked,
    )  # fmt: skip
    await made.insert(
        "booking_moves", booking_id=found, **who, no=2, action=action, client_id=client, from_state="requested",
        actor="system" if action == "expire" else "employer", to_slot_id=slot_id, places=places, reason_code=reason,
        to_state={"confirm": "confirmed", "decline": "declined", "expire": "expired"}[action],
        at=asked + timedelta(hours=hours),
    )  # fmt: skip
    return found


async def earn(
    made: Counted,
    pupil: UUID,
    employer: str | None,
    kind: str = "workplace_tour",
    *,
    here: int = 120,
    there: int = 0,
    on: date | None = None,
    booking_id: UUID | None = None,
    known: datetime | None = None,
    reverses: UUID | None = None,
) -> UUID:
    """An encounter and its entry in the ledger; gives the entry. `reverses` takes an earlier entry back."""
    row = await made.owner.fetchrow("SELECT school_id, person_no FROM enrolments WHERE id = $1", pupil)
    day = on or THIS_YEAR
    year = day.year if day.month >= 9 else day.year - 1
    who = {"school_id": row["school_id"], "enrolment_id": pupil, "person_no": row["person_no"]}
    firm = made.ids[employer] if employer else None
    encounter = new_id()
    if reverses:
        encounter = await made.owner.fetchval(
            "SELECT encounter_id FROM ledger_entries WHERE id = $1", reverses
        )
    else:
        await made.insert(
            "encounters", id=encounter, academic_year=year, **who, booking_id=booking_id, employer_id=firm, kind=kind,
            mode="in_person", starts_on=day, ends_on=day, nc_year="8", in_person_minutes=here, virtual_minutes=there,
            days=1, per_day="[]", recorded_by=made.clients["ash"],
        )  # fmt: skip
    sign = -1 if reverses else 1
    return await made.insert(
        "ledger_entries", academic_year=year, **who, encounter_id=encounter, entry="reversal" if reverses else "credit",
        reverses_id=reverses, on_date=day, nc_year="8", kind=kind, mode="in_person", in_person_minutes=sign * here,
        virtual_minutes=sign * there, employer_id=firm, happened_at=datetime.now(UTC),
        known_at=known or datetime.now(UTC),
    )  # fmt: skip


async def visited(made: Counted) -> None:
    """Twelve of Ash's Year 8 have toured Acme, and two of them have been to Bolt as well."""
    pupils = await made.owner.fetch(
        "SELECT e.id FROM enrolments e JOIN nc_years n ON n.enrolment_id = e.id WHERE e.school_id = $1 AND n.nc_year = '8'"
        " ORDER BY e.id LIMIT 12", made.ids["ash"],
    )  # fmt: skip
    for at, row in enumerate(pupils):
        await earn(made, row["id"], "acme")
        if at in (0, 1):
            await earn(made, row["id"], "bolt", "workplace_visit")


async def made_long_ago(made: Counted) -> None:
    """The roll, the year groups and the memberships have been known for a year."""
    for table in ("enrolments_known", "nc_years_known", "memberships_known"):
        await made.owner.execute(
            f"UPDATE {table} SET known_from = known_from - interval '1 year' WHERE known_to IS NULL"
        )
