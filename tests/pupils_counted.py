"""A counted world for the tests of coverage: two hubs, a trust across them, an authority, and pupils with minutes.

Written by the owner's hand, so that every figure is known beforehand. Hub A: Ash (30 in Year 8, 20 in Year 10),
Beech (12 in Year 8, 4 in Year 9: too few to show), Cedar (20 in Year 8), Dogwood (no data). Hub B: Elm (25 in Year 8).
Trust T has Ash and Elm. Half of each group has 1,600 minutes of tours in Year 8, one in ten has 3,200.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import asyncpg

from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.ids import new_id
from tests.today import TODAY, YEAR

LONG_AGO = date(YEAR - 6, 9, 1)
SCOPES = frozenset({"coverage:read", "programmes:read"})
ORGS = {
    "hub_a": "hub", "hub_b": "hub", "trust": "trust", "other_trust": "trust", "authority": "authority",
    "ash": "school", "beech": "school", "cedar": "school", "dogwood": "school", "elm": "school", "fir": "school",
    "employer": "employer", "vendor": "vendor", "stranger_vendor": "vendor",
    "pilot_hub": "hub", "pilot_trust": "trust", "pilot_authority": "authority",
    "oak": "school", "pine": "school", "rowan": "school", "aspen": "school", "pilot_employer": "employer",
}  # fmt: skip
MEMBERS = (
    ("hub_a", "ash", "hub"), ("hub_a", "beech", "hub"), ("hub_a", "cedar", "hub"), ("hub_a", "dogwood", "hub"),
    ("hub_b", "elm", "hub"), ("trust", "ash", "trust"), ("trust", "elm", "trust"), ("authority", "hub_a", "authority"),
    ("pilot_hub", "oak", "hub"), ("pilot_hub", "pine", "hub"), ("pilot_hub", "rowan", "hub"),
    ("pilot_trust", "oak", "trust"), ("pilot_trust", "pine", "trust"), ("pilot_authority", "pilot_hub", "authority"),
)  # fmt: skip
GROUPS = (
    ("ash", "8", 30),
    ("ash", "10", 20),
    ("beech", "8", 12),
    ("beech", "9", 4),
    ("cedar", "8", 20),
    ("elm", "8", 25),
)
STRANGERS = ("hub_b", "other_trust", "fir", "employer", "stranger_vendor")
"""None of these may have anything of Ash, Beech, Cedar or Dogwood."""


@dataclass
class Counted:
    """The organisations, and the client of each."""

    owner: asyncpg.Connection
    ids: dict[str, UUID] = field(default_factory=dict)
    clients: dict[str, UUID] = field(default_factory=dict)
    programme: UUID | None = None

    def caller(self, name: str, scopes: frozenset[str] = SCOPES) -> Caller:
        """The caller of this name."""
        return Caller(self.clients[name], self.ids[name], ORGS.get(name, "school"), scopes, wall_now())

    async def insert(self, table: str, **values: object) -> UUID:
        """One row; gives its id."""
        row = {"id": new_id(), **values}
        marks = ", ".join(f"${at}" for at in range(1, len(row) + 1))
        await self.owner.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())
        return UUID(str(row["id"]))

    async def pupil(
        self,
        school: str,
        nc_year: str | None,
        minutes: int = 0,
        *,
        kind: str = "workplace_tour",
        **more: object,
    ) -> UUID:
        """A pupil with minutes in this academic year; `person`, `registration`, `state` and `born` may be given."""
        person = more.get("person") or new_id()
        no = await self.owner.fetchval(
            "INSERT INTO persons (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET identity_protected = false RETURNING no",
            person,
        )
        pupil = await self.insert(
            "enrolments", school_id=self.ids[school], person_id=person, person_no=no, starts_on=LONG_AGO,
            kind=more.get("registration", "main"), state=more.get("state", "active"), given_name="A", family_name="B",
            date_of_birth=more.get("born", date(YEAR - 12, 10, 1)),
        )  # fmt: skip
        if nc_year:
            await self.owner.execute(
                "INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year) VALUES ($1, $2, $3, $4)",
                pupil, YEAR, self.ids[school], nc_year,
            )  # fmt: skip
        if minutes:
            await self._earned((pupil, no), school, nc_year or "8", kind, minutes)
        return pupil

    async def _earned(
        self, who: tuple[UUID, int], school: str, nc_year: str, kind: str, minutes: int
    ) -> None:
        pupil, no = who
        activity = minutes if nc_year in {"7", "8", "9"} else 0
        placement = minutes if kind == "placement" and nc_year in {"10", "11"} else 0
        bm6 = int(minutes >= 3_000)
        await self.owner.execute(
            "INSERT INTO balances (enrolment_id, school_id, person_no, minutes, activity_minutes, placement_minutes, days,"
            " encounters, bm5, bm6) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, 1, $8)",
            pupil, self.ids[school], no, minutes, activity, placement, -(-minutes // 300), bm6,
        )  # fmt: skip
        await self.owner.execute(
            "INSERT INTO yearly_balances (enrolment_id, academic_year, school_id, person_no, nc_year, kind, minutes,"
            " encounters, days, bm5, bm6) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, 1, $9)",
            pupil, YEAR, self.ids[school], no, nc_year, kind, minutes, -(-minutes // 300), bm6,
        )  # fmt: skip

    async def state(self, school: str, *, overdue: int = 0) -> None:
        """The roll of a school has come whole."""
        now = datetime.now(UTC)
        await self.owner.execute(
            "INSERT INTO school_states (school_id, roll_complete_at, last_sync_at, field_groups, attendance_overdue)"
            " VALUES ($1, $2, $2, '{identity,enrolment,sen}', $3)",
            self.ids[school], now, overdue,
        )  # fmt: skip


async def build(owner: asyncpg.Connection) -> Counted:
    """Everything at the head of this page."""
    made = Counted(owner)
    for at, (name, kind) in enumerate(ORGS.items()):
        urn = f"9{at:05d}" if kind == "school" else None
        title = name.replace("_", " ").title()
        made.ids[name] = await made.insert("organisations", kind=kind, name=title, urn=urn)
        made.clients[name] = await made.insert(
            "clients", org_id=made.ids[name], name=name, scopes=sorted(SCOPES)
        )
    for parent, member, kind in MEMBERS:
        await _join(made, parent, member, kind)
    for school, nc_year, number in GROUPS:
        for at in range(number):
            minutes = 3_200 if at < number // 10 else 1_600 if at < number // 2 else 0
            await made.pupil(
                school, nc_year, minutes, kind="placement" if nc_year == "10" else "workplace_tour"
            )
    for school in ("ash", "beech", "elm"):
        await made.state(school, overdue=2 if school == "ash" else 0)
    await made.insert(
        "grants", grantor_id=made.ids["beech"], grantee_id=made.ids["vendor"], school_id=made.ids["beech"],
        field_groups=["identity", "enrolment"], starts_on=LONG_AGO, recorded_by=made.clients["beech"],
    )  # fmt: skip
    await _programme(made)
    return made


async def _join(made: Counted, parent: str, member: str, kind: str) -> None:
    no = await made.owner.fetchval("SELECT no FROM organisations WHERE id = $1", made.ids[member])
    await made.insert(
        "memberships", member_id=made.ids[member], member_no=no, parent_id=made.ids[parent], kind=kind,
        starts_on=LONG_AGO,
    )  # fmt: skip


async def _programme(made: Counted) -> None:
    made.programme = await made.insert(
        "programmes", owner_id=made.ids["hub_a"], name="Ten days", funder="A fund", starts_on=LONG_AGO,
        ends_on=TODAY + timedelta(days=400), budget_pence=1_000_000,
    )  # fmt: skip
    strand = await made.insert(
        "strands", programme_id=made.programme, owner_id=made.ids["hub_a"], code="tour", name="Two-hour tour"
    )
    for school in ("ash", "beech"):
        await made.insert(
            "programme_schools", programme_id=made.programme, owner_id=made.ids["hub_a"], strand_id=strand,
            school_id=made.ids[school],
        )  # fmt: skip
