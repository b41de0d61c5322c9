"""A counted programme for the tests of its figures, written by the owner's hand so that every figure is known.

The pilot hub's programme "Tours and projects" has the strands `tour`, `visit`, `project` and `talk`, and the schools Oak
(on tour and visit; no budget), Pine (on tour and project; too little), Rowan (on project; has sent no pupils) and Aspen,
which is invited. Oak and Pine belong to the pilot trust. All of it was recorded a day ago.

    what  strand   school  days ago  pupils       minutes  what else
    T1    tour     oak     30        oak 1-12     120      oak 13 did not come; BM5 for all twelve
    T2    tour     pine    20        pine 1-8     180      BM5 for pine 1-4
    P1    project  pine    10 and 9  pine 1-6     2 x 300  BM5 and BM6 for all six
    V1    visit    oak     5         oak 1-14     60
    F1    tour     oak     -14       oak 1, 15, 16 of 10 places, 120 minutes, confirmed
    F2    visit    pine    -40, -41  nobody of 5 places, 2 x 60 minutes, confirmed
    F3    tour     pine    -14       nobody of 6 places, requested
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Range

from app.rules.school_calendar import academic_year
from tests.pupils_counted import TODAY, Counted

RECORDED = datetime.now(UTC) - timedelta(days=1)
STRANDS = {
    "project": "A project on the premises",
    "talk": "A talk",
    "tour": "Two-hour tour",
    "visit": "A visit",
}
ENROLLED = (
    ("oak", "tour", "none"), ("oak", "visit", "none"), ("pine", "tour", "too_little"), ("pine", "project", "too_little"),
    ("rowan", "project", "unknown"),
)  # fmt: skip


def at(days_ago: int, hour: int = 10) -> datetime:
    """A moment of that day, UTC."""
    return datetime.combine(TODAY - timedelta(days=days_ago), time(hour), UTC)


@dataclass
class Pilot:
    """The programme, and what can be changed about it later."""

    world: Counted
    id: UUID
    owner: str
    strands: dict[str, UUID] = field(default_factory=dict)
    pupils: dict[str, list[UUID]] = field(default_factory=dict)
    bookings: dict[str, UUID] = field(default_factory=dict)
    rows: dict[str, UUID] = field(default_factory=dict)

    async def insert(self, table: str, **values: Any) -> UUID:
        return await self.world.insert(table, **values)

    async def strand(self, code: str, name: str) -> None:
        self.strands[code] = await self.insert(
            "strands", programme_id=self.id, owner_id=self.world.ids[self.owner], code=code, name=name
        )

    async def enrol(self, school: str, strand: str | None, own_budget: str, **more: Any) -> None:
        values = {"joined_on": TODAY - timedelta(days=100), "state": "enrolled", **more}
        self.rows[f"{school} {strand}"] = await self.insert(
            "programme_schools", programme_id=self.id, owner_id=self.world.ids[self.owner], own_budget=own_budget,
            school_id=self.world.ids[school], strand_id=self.strands[strand] if strand else None, **values,
        )  # fmt: skip

    async def target(self, measure: str, value: int, strand: str | None = None, **more: Any) -> None:
        self.rows[f"{measure} {strand}"] = await self.insert(
            "targets", programme_id=self.id, owner_id=self.world.ids[self.owner], measure=measure, value=value,
            strand_id=self.strands[strand] if strand else None, **more,
        )  # fmt: skip

    async def cost(self, name: str, school: str, pence: int, **more: Any) -> None:
        values = {
            "kind": "coach",
            "stage": "spend",
            "paid_by": "programme",
            "on_date": TODAY - timedelta(days=8),
        }
        self.rows[name] = await self.insert(
            "costs", programme_id=self.id, owner_id=self.world.ids[self.owner], school_id=self.world.ids[school],
            amount_pence=pence, **{"created_at": RECORDED, **values, **more},
        )  # fmt: skip

    async def booking(
        self, name: str, school: str, strand: str | None, days_ago: list[int], minutes: int, places: int, state: str
    ) -> UUID:  # fmt: skip
        """A booking with a sitting on each of these days, asked for a hundred days ago."""
        employer, world = self.world.ids["pilot_employer"], self.world
        starts, ends = at(days_ago[0]), at(days_ago[-1]) + timedelta(minutes=minutes)
        slot = await self.insert(
            "slots", offer_id=self.rows["offer"], employer_id=employer, site_id=self.rows["site"], starts_at=starts,
            ends_at=ends, capacity=100, minutes=minutes * len(days_ago), book_by=starts, name_by=starts,
        )  # fmt: skip
        for no, day in enumerate(days_ago, 1):
            self.rows[f"{name} sitting {day}"] = await self.insert(
                "sittings", slot_id=slot, employer_id=employer, no=no, starts_at=at(day),
                ends_at=at(day) + timedelta(minutes=minutes),
            )  # fmt: skip
        self.bookings[name] = await self.insert(
            "bookings", school_id=world.ids[school], employer_id=employer, site_id=self.rows["site"],
            offer_id=self.rows["offer"], slot_id=slot, programme_id=self.id, places=places, state=state,
            strand_id=self.strands[strand] if strand else None, kind="workplace_tour", starts_at=starts, ends_at=ends,
            name_by=starts, requested_at=at(100, 0), requested_by=world.clients[school],
        )  # fmt: skip
        await self.move(name, "request", "school", None, "requested", at(100, 0))
        return self.bookings[name]

    async def move(
        self, name: str, action: str, actor: str, before: str | None, after: str, when: datetime,
        recorded: datetime = RECORDED,
    ) -> None:  # fmt: skip
        """A move of a booking, and of nothing else."""
        booking = await self.world.owner.fetchrow(
            "SELECT *, (SELECT count(*) FROM booking_moves m WHERE m.booking_id = b.id) AS moves"
            " FROM bookings b WHERE id = $1",
            self.bookings[name],
        )
        await self.insert(
            "booking_moves", booking_id=booking["id"], school_id=booking["school_id"], places=booking["places"],
            employer_id=booking["employer_id"], no=booking["moves"] + 1, action=action, actor=actor,
            client_id=booking["requested_by"], from_state=before, to_state=after, from_slot_id=booking["slot_id"],
            to_slot_id=booking["slot_id"], at=when, recorded_at=recorded, programme_id=booking["programme_id"],
            strand_id=booking["strand_id"],
        )  # fmt: skip

    async def name(self, name: str, school: str, number: int, days: list[int], minutes: int) -> UUID:
        """A pupil (by number) is named in a booking, and expected at its sittings."""
        world, pupil = self.world, self.pupils[school][number - 1]
        no = await world.owner.fetchval("SELECT person_no FROM enrolments WHERE id = $1", pupil)
        slot = await world.owner.fetchval("SELECT slot_id FROM bookings WHERE id = $1", self.bookings[name])
        shared = {
            "booking_id": self.bookings[name], "school_id": world.ids[school], "person_no": no,
            "employer_id": world.ids["pilot_employer"], "created_at": RECORDED, "updated_at": RECORDED,
        }  # fmt: skip
        part = await self.insert("participations", slot_id=slot, enrolment_id=pupil, nc_year="8", **shared)
        self.rows[f"{name} {number}"] = part
        for day in days:
            self.rows[f"{name} {number} on {day}"] = await self.insert(
                "participation_sittings", participation_id=part, sitting_id=self.rows[f"{name} sitting {day}"],
                during=_range(day, minutes), **shared,
            )  # fmt: skip
        return part

    async def came(
        self, name: str, school: str, number: int, days: list[int], minutes: int, *, bm5: bool = False,
        bm6: bool = False
    ) -> None:  # fmt: skip
        """A pupil was named, came, and was credited."""
        part = await self.name(name, school, number, days, minutes)
        world, year = self.world, academic_year(TODAY - timedelta(days=days[0]))
        pupil = self.pupils[school][number - 1]
        no = await world.owner.fetchval("SELECT person_no FROM enrolments WHERE id = $1", pupil)
        encounter = await self.insert(
            "encounters", academic_year=year, school_id=world.ids[school], enrolment_id=pupil, person_no=no,
            participation_id=part, booking_id=self.bookings[name], employer_id=world.ids["pilot_employer"],
            kind="workplace_tour", mode="in_person", starts_on=TODAY - timedelta(days=days[0]),
            ends_on=TODAY - timedelta(days=days[-1]), nc_year="8", in_person_minutes=minutes * len(days),
            virtual_minutes=0, days=len(days), per_day="[]", recorded_by=world.clients[school],
        )  # fmt: skip
        for day in days:
            await self.insert(
                "ledger_entries", academic_year=academic_year(TODAY - timedelta(days=day)), school_id=world.ids[school],
                enrolment_id=pupil, person_no=no, encounter_id=encounter, entry="credit", kind="workplace_tour",
                on_date=TODAY - timedelta(days=day), nc_year="8", mode="in_person", in_person_minutes=minutes,
                virtual_minutes=0, bm5=bm5, bm6=bm6, happened_at=at(day), known_at=RECORDED,
            )  # fmt: skip

    async def take_back(self, name: str, number: int) -> None:
        """What a pupil was credited with in a booking is reversed, as it is known now."""
        await self.world.owner.execute(
            "INSERT INTO ledger_entries (academic_year, id, school_id, enrolment_id, person_no, encounter_id, entry,"
            " reverses_id, on_date, nc_year, kind, mode, in_person_minutes, virtual_minutes, bm5, bm6, happened_at)"
            " SELECT l.academic_year, gen_random_uuid(), l.school_id, l.enrolment_id, l.person_no, l.encounter_id,"
            " 'reversal', l.id, on_date, l.nc_year, l.kind, l.mode, -l.in_person_minutes, 0, l.bm5, l.bm6, happened_at"
            " FROM ledger_entries l JOIN encounters e ON e.id = l.encounter_id"
            " WHERE e.participation_id = $1 AND l.entry = 'credit'",
            self.rows[f"{name} {number}"],
        )

    async def recorded(self) -> None:
        """The history so far was written a day ago."""
        await self.world.owner.execute(
            "UPDATE programme_changes SET recorded_at = $2 WHERE programme_id = $1", self.id, RECORDED
        )


def _range(days_ago: int, minutes: int) -> Any:
    return Range(at(days_ago), at(days_ago) + timedelta(minutes=minutes))


async def begin(world: Counted, owner: str, name: str, **more: Any) -> Pilot:
    """A programme of this owner; the employer's offer is made with the first."""
    made = await world.insert(
        "programmes", owner_id=world.ids[owner], name=name, starts_on=TODAY - timedelta(days=300),
        ends_on=TODAY + timedelta(days=100), **more,
    )  # fmt: skip
    pilot = Pilot(world, made, owner)
    employer = world.ids["pilot_employer"]
    await world.owner.execute(
        "INSERT INTO employers (id, size_band, sectors) VALUES ($1, 'small', '{life_sciences}') ON CONFLICT DO NOTHING",
        employer,
    )
    pilot.rows["site"] = await world.insert(
        "sites",
        employer_id=employer,
        name="Works",
        address="1 Mill Lane",
        town="Stevenage",
        postcode="SG1 1AA",
    )
    pilot.rows["offer"] = await world.insert(
        "offers", employer_id=employer, site_id=pilot.rows["site"], title="A look", kind="workplace_tour",
        grouping="group", tier=1, year_groups=["8"], year_mask=256,
    )  # fmt: skip
    return pilot


async def add_pilot(world: Counted) -> Pilot:
    """Everything at the head of this page, its targets and its costs."""
    pilot = await begin(world, "pilot_hub", "Tours and projects", budget_pence=500_000, funder="A fund")
    for code, name in STRANDS.items():
        await pilot.strand(code, name)
    for school, strand, budget in ENROLLED:
        await pilot.enrol(school, strand, budget)
    await pilot.enrol("aspen", "tour", "unknown", state="invited", joined_on=None)
    for school, number in (("oak", 16), ("pine", 10)):
        pilot.pupils[school] = [await world.pupil(school, "8") for _ in range(number)]
    await world.owner.execute(
        "UPDATE enrolments SET created_at = $1 WHERE school_id = ANY ($2)", RECORDED, [world.ids["oak"], world.ids["pine"]]
    )  # fmt: skip
    await _visits(pilot)
    await _ahead(pilot)
    await _answers(pilot)
    await _characteristics(pilot)
    await _aims(pilot)
    await pilot.recorded()
    return pilot


async def _visits(pilot: Pilot) -> None:
    await pilot.booking("T1", "oak", "tour", [30], 120, 13, "completed")
    for one in range(1, 13):
        await pilot.came("T1", "oak", one, [30], 120, bm5=True)
    part = await pilot.name("T1", "oak", 13, [30], 120)
    await pilot.insert(
        "no_shows", participation_sitting_id=pilot.rows["T1 13 on 30"], participation_id=part, opened_at=at(30, 11),
        booking_id=pilot.bookings["T1"], school_id=pilot.world.ids["oak"], opened_by="employer", recorded_at=RECORDED,
        employer_id=pilot.world.ids["pilot_employer"], resolution="in_school",
    )  # fmt: skip
    await pilot.booking("T2", "pine", "tour", [20], 180, 8, "completed")
    for one in range(1, 9):
        await pilot.came("T2", "pine", one, [20], 180, bm5=one <= 4)
    await pilot.booking("P1", "pine", "project", [10, 9], 300, 6, "completed")
    for one in range(1, 7):
        await pilot.came("P1", "pine", one, [10, 9], 300, bm5=True, bm6=True)
    await pilot.booking("V1", "oak", "visit", [5], 60, 14, "completed")
    for one in range(1, 15):
        await pilot.came("V1", "oak", one, [5], 60)


async def _ahead(pilot: Pilot) -> None:
    await pilot.booking("F1", "oak", "tour", [-14], 120, 10, "confirmed")
    for one in (1, 15, 16):
        await pilot.name("F1", "oak", one, [-14], 120)
    await pilot.booking("F2", "pine", "visit", [-40, -41], 60, 5, "confirmed")
    await pilot.booking("F3", "pine", "tour", [-14], 120, 6, "requested")


async def _answers(pilot: Pilot) -> None:
    """The employer's hours: tour 24, 48, 100 (a decline), 10 (a decline) and one lapsed; project 5; visit 12 and 20."""
    asked = at(100, 0)
    for name, hours, answer in (
        ("T1", 24, "confirm"), ("T2", 48, "confirm"), ("P1", 5, "confirm"), ("V1", 12, "counter"), ("F2", 20, "confirm"),
    ):  # fmt: skip
        after = "countered" if answer == "counter" else "confirmed"
        await pilot.move(name, answer, "employer", "requested", after, asked + timedelta(hours=hours))
    await pilot.move("V1", "accept_counter", "school", "countered", "confirmed", asked + timedelta(hours=30))
    for name in ("T1", "T2", "P1", "V1"):
        await pilot.move(name, "complete", "system", "confirmed", "completed", at(2))
    await pilot.move("F1", "confirm", "employer", "requested", "confirmed", asked + timedelta(hours=30))
    for name, hours in (("X1", 100), ("X2", 10)):
        await pilot.booking(name, "oak", "tour", [60], 120, 5, "declined")
        await pilot.move(name, "decline", "employer", "requested", "declined", asked + timedelta(hours=hours))
    await pilot.booking("X3", "pine", "tour", [60], 120, 5, "expired")
    await pilot.move("X3", "expire", "system", "requested", "expired", at(80))
    await pilot.booking("X4", "pine", "tour", [60], 120, 5, "cancelled")
    await pilot.move("X4", "cancel", "school", "requested", "cancelled", at(90))


async def _characteristics(pilot: Pilot) -> None:
    """Of Pine, which grants SEN: pine 1 has K, pine 2 E, pine 3 N, pine 4 K since after its first day. Oak grants none."""
    await pilot.world.owner.execute(
        "INSERT INTO school_states (school_id, roll_complete_at, last_sync_at, field_groups)"
        " VALUES ($1, $3, $3, '{identity,enrolment,sen}'), ($2, $3, $3, '{identity,enrolment}')",
        pilot.world.ids["pine"], pilot.world.ids["oak"], RECORDED,
    )  # fmt: skip
    for number, value, since in ((1, "K", 200), (2, "E", 200), (3, "N", 200), (4, "K", 15)):
        await pilot.insert(
            "characteristics", school_id=pilot.world.ids["pine"], enrolment_id=pilot.pupils["pine"][number - 1],
            field_group="sen", value=value, valid_from=TODAY - timedelta(days=since), recorded_at=RECORDED,
        )  # fmt: skip


async def _aims(pilot: Pilot) -> None:
    await pilot.target("young_people", 40, due_on=TODAY + timedelta(days=30))
    await pilot.target("minutes", 9_000)
    await pilot.target("schools", 4)
    await pilot.target("share", 20, characteristic="sen")
    await pilot.target("young_people", 10, "project")
    await pilot.insert(
        "allocations", programme_id=pilot.id, owner_id=pilot.world.ids["pilot_hub"], amount_pence=100_000,
        school_id=pilot.world.ids["oak"],
    )  # fmt: skip
    await pilot.cost("coach", "oak", 30_000, booking_id=pilot.bookings["T1"])
    await pilot.cost("lift", "pine", 12_000, booking_id=pilot.bookings["T2"], paid_by="school")
    await pilot.cost("kit", "pine", 6_000, kind="kit", strand_id=pilot.strands["project"])
    await pilot.cost("lunch", "oak", 2_000, kind="lunch")
    await pilot.cost("promised", "oak", 5_000, stage="commitment", booking_id=pilot.bookings["V1"])


async def add_trust_pilot(world: Counted, academy: list[UUID]) -> Pilot:
    """The trust's own programme: four pupils of Oak, 100 minutes each; no cost was ever recorded."""
    pilot = await begin(world, "pilot_trust", "Academies at work")
    await pilot.strand("only", "The only one")
    pilot.pupils["oak"] = academy
    await pilot.enrol("oak", None, "sufficient")
    await pilot.booking("W1", "oak", "only", [4], 100, 4, "completed")
    for one in range(1, 5):
        await pilot.came("W1", "oak", one, [4], 100)
    await pilot.target("young_people", 4)
    await pilot.recorded()
    return pilot
