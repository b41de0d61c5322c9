"""Random histories through the API, every figure of coverage counted again from the ledger, and the two compared.

Encounters with and without bookings, corrections, pupils who move or are registered twice, NC years, characteristics and
memberships that change, and figures kept at random moments in between. What is asked is compared for those who see exact
figures (a trust, a school) in the API, and for the hub before rounding; of today, of past days, as known at past moments;
and what was answered for a past moment is answered again, byte for byte, when the history is over.
"""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.caller import Caller
from app.core.clock import school_day, wall_now
from app.core.db import Database
from app.dashboards import service, sql, upkeep
from app.rules.entitlement import DEFAULT_POLICY
from app.rules.school_calendar import academic_year
from app.rules.words import ExperienceKind
from tests.dashboards import recount
from tests.dashboards.recount import State
from tests.encounters.day import Visit, said, visit
from tests.world import World

SCHOOLS = ("school_a", "school_b", "school_c")
BM5 = ["clear_shared_purpose", "learning_outcomes", "two_way_interaction", "reflection"]
KINDS = ("workplace_visit", "placement", "virtual_experience", "employer_project")
FIGURES = """figures { pupils minutes days reached { count } week: at25Hours { count } total: at50Hours { count }
  activity: at25HoursOfActivity { count } placement: at25HoursOfPlacement { count } bm5 { count } bm6 { count } }"""
QUERY = f"""query C($by: CoverageBy!, $year: Int, $asAt: Date, $knownAt: DateTime) {{
  coverage(by: $by, academicYear: $year, asAt: $asAt, knownAt: $knownAt, first: 200) {{
    edges {{ node {{ key {FIGURES} standsOn {{ on knownAt schools schoolsUnknown rollComplete attendanceOverdue }} }} }}
    total {{ {FIGURES} }} totalCount }} }}"""


@dataclass
class History:
    """What has happened so far, and what was answered on the way."""

    world: World
    worker: Database
    db: Database
    chance: random.Random
    pupils: list[tuple[str, UUID]] = field(default_factory=list)
    encounters: list[tuple[str, str]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    answers: dict[tuple[Any, ...], bytes] = field(default_factory=dict)

    async def today(self) -> date:
        return school_day(await self.world.owner.fetchval("SELECT app.domain_now()"))

    # --- what happens ---------------------------------------------------------------------------------

    async def encounter(self) -> None:
        school, pupil = self.chance.choice(self.pupils)
        first = await self.today() - timedelta(days=self.chance.choice((1, 2, 3, 40, 41, 100, 200, 300)))
        kind = self.chance.choice(KINDS)
        body = {
            "school_id": self.world[school],
            "pupil_id": pupil,
            "kind": kind,
            "mode": "virtual" if kind == "virtual_experience" else "hybrid",
            "employer_name": "Bakery",
            "per_day": [
                self._day(first + timedelta(days=at), kind) for at in range(self.chance.randint(1, 5))
            ],
            "criteria_confirmed": BM5 if self.chance.random() < 0.5 else [],
        }
        body["per_day"] = [one for one in body["per_day"] if one["on"] <= await self.today()]
        made = await self.world.post(school, "/v1/encounters", body)
        refusal = made.json().get("errors", [{}])[0].get("code")
        assert made.status_code == 201 or refusal == "placement_unlawful", made.text
        if made.status_code == 201:
            self.encounters.append((school, made.headers["location"]))

    def _day(self, on: date, kind: str) -> dict[str, Any]:
        minutes = self.chance.choice((30, 120, 300, 420))
        if kind == "virtual_experience":
            return {"on": on, "virtual_minutes": minutes}
        return {"on": on, "in_person_minutes": minutes, "virtual_minutes": self.chance.choice((0, 0, 60))}

    async def correction(self) -> None:
        if not self.encounters:
            return
        school, where = self.chance.choice(self.encounters)
        one = await self.world.get(school, where)
        body: dict[str, Any] = {"reason": "It was otherwise."}
        if self.chance.random() < 0.3:
            body["void"] = True
        else:
            was = one.json()
            body["per_day"] = [self._day(date.fromisoformat(was["starts_on"]), was["kind"])]
        done = await self.world.post(school, f"{where}/corrections", body, If_Match=one.headers["etag"])
        assert done.status_code in {200, 409}, done.text

    async def nc_year(self) -> None:
        school, pupil = self.chance.choice(self.pupils)
        path = f"/v1/schools/{self.world[school]}/pupils/{pupil}"
        one = await self.world.get(school, path)
        body = {"nc_year": self.chance.choice(("7", "8", "9", "10", "11", "X", "X", "X"))}
        changed = await self.world.send(school, "PATCH", path, body, If_Match=one.headers["etag"])
        assert changed.status_code == 200, changed.text

    async def born(self) -> None:
        """A date of birth is put right: what was earned in a year X may be of another band."""
        school, pupil = self.chance.choice(self.pupils)
        path = f"/v1/schools/{self.world[school]}/pupils/{pupil}"
        one = await self.world.get(school, path)
        was = date.fromisoformat(one.json()["date_of_birth"])
        body = {"date_of_birth": was.replace(year=(await self.today()).year - self.chance.randint(12, 15))}
        changed = await self.world.send(school, "PATCH", path, body, If_Match=one.headers["etag"])
        assert changed.status_code == 200, changed.text

    async def registered_twice(self) -> None:
        _, pupil = self.chance.choice(self.pupils)
        school = self.chance.choice(SCHOOLS)
        guest = await self._enrol(pupil, school, self.chance.choice(("guest", "subsidiary")))
        if self.chance.random() < 0.4:
            await self.world.owner.execute("UPDATE enrolments SET state = 'claimed' WHERE id = $1", guest)

    async def accepted(self) -> None:
        await self.world.owner.execute("UPDATE enrolments SET state = 'active' WHERE state = 'claimed'")

    async def moves(self) -> None:
        school, pupil = self.chance.choice(self.pupils)
        other = self.chance.choice([one for one in SCHOOLS if one != school])
        on = await self.today() - timedelta(days=self.chance.choice((0, 5, 50)))
        left = await self.world.owner.execute(
            "UPDATE enrolments SET state = 'left', ends_on = $2 WHERE id = $1 AND kind = 'main' AND state = 'active'"
            " AND starts_on < $2",
            pupil,
            on,
        )
        if left == "UPDATE 1":
            await self._enrol(pupil, other, "main", starts_on=on)

    async def _enrol(self, pupil: UUID, school: str, kind: str, **more: Any) -> UUID:
        was = await self.world.owner.fetchrow("SELECT * FROM enrolments WHERE id = $1", pupil)
        values = {"starts_on": was["starts_on"], **more}
        made = await self.world.insert(
            "enrolments", school_id=self.world[school], person_id=was["person_id"], person_no=was["person_no"], kind=kind,
            given_name="Ada", family_name="Example", date_of_birth=was["date_of_birth"], **values,
        )  # fmt: skip
        for year in range(-1, 2):
            await self.world.owner.execute(
                "INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year) VALUES ($1, $2, $3, '9')",
                made,
                academic_year(await self.today()) + year,
                self.world[school],
            )
        self.pupils.append((school, made))
        return made

    async def membership(self) -> None:
        """A school leaves its hub or trust on a day, and perhaps joins the other hub; or a day is put right."""
        kind = self.chance.choice(("hub", "trust"))
        row = await self.world.owner.fetchrow(
            "SELECT * FROM memberships WHERE kind = $1 AND ends_on IS NULL ORDER BY id LIMIT 1", kind
        )
        on = await self.today() - timedelta(days=self.chance.choice((0, 3, 90)))
        if row is None or row["starts_on"] >= on:
            return
        await self.world.owner.execute("UPDATE memberships SET ends_on = $2 WHERE id = $1", row["id"], on)
        parent = self.world[self.chance.choice(("hub_a", "hub_b")) if kind == "hub" else "trust"]
        await self.world.insert(
            "memberships", member_id=row["member_id"], member_no=row["member_no"], parent_id=parent, kind=kind, starts_on=on
        )  # fmt: skip

    async def told(self) -> None:
        """What a school says of a pupil's needs or absence, from some day on; what it said before ends there."""
        school, pupil = self.chance.choice(self.pupils)
        group, values = self.chance.choice((("sen", "NKE"), ("behaviour", ("true", "false"))))
        since = await self.today() - timedelta(days=self.chance.choice((0, 10, 100, 200)))
        said = {"school_id": self.world[school], "enrolment_id": pupil, "field_group": group}
        async with self.world.owner.transaction():
            old = await self.world.owner.fetch(
                "UPDATE characteristics SET superseded_at = now() WHERE enrolment_id = $1 AND field_group = $2"
                " AND superseded_at IS NULL AND (valid_to IS NULL OR valid_to > $3) RETURNING value, valid_from",
                pupil, group, since,
            )  # fmt: skip
            for row in old:
                if row["valid_from"] < since:
                    await self.world.insert("characteristics", **said, **row, valid_to=since)
            await self.world.insert(
                "characteristics", **said, value=self.chance.choice(values), valid_from=since
            )

    async def keep(self) -> None:
        await upkeep.keep_figures(self.worker)

    async def step(self) -> None:
        acts = (
            (self.encounter, 20), (self.correction, 5), (self.nc_year, 3), (self.born, 4), (self.registered_twice, 1),
            (self.accepted, 1), (self.moves, 2), (self.membership, 2), (self.told, 6), (self.keep, 3),
        )  # fmt: skip
        act = self.chance.choices([one for one, _ in acts], [weight for _, weight in acts])[0]
        if self.chance.random() < 0.5:
            await self.keep()  # so that what the act alone does not mark would be missed
        await act()
        self.states.append(await recount.state_of(self.world.owner))
        await self.agree_now(self.states[-1])

    # --- what is asked --------------------------------------------------------------------------------

    async def agree_now(self, state: State) -> None:
        """Each school's cells of today are those of its ledger, right after whatever happened."""
        ledger, day = await recount.ledger_of(self.world.owner), await self.today()
        year = academic_year(day)
        for who in SCHOOLS:
            for only in (False, True):
                found = recount.pupils(state, ledger, {self.world[who]}, day, year, only=only)
                async with self.db.read(self._caller(who)) as tx:
                    cells = await sql.cells(
                        tx, None, day, year, service.marks(DEFAULT_POLICY), year_only=only
                    )
                assert {tuple(row)[:3]: tuple(row)[3:] for row in cells} == recount.cells(found), (who, only)

    async def known(self) -> None:
        """The hub's cells of some days before, as known at moments before."""
        ledger, today = await recount.ledger_of(self.world.owner), await self.today()
        for before in self.chance.sample(self.states, 3):
            on = today - timedelta(days=self.chance.choice((21, 25, 60, 150)))
            hub = recount.schools_of(before, self.world["hub_a"], "hub", on)
            found = recount.pupils(
                before, ledger, hub, on, academic_year(on), only=False, known=before.moment
            )
            async with self.db.read(self._caller("hub_a")) as tx:
                cells = await sql.cells(
                    tx,
                    None,
                    on,
                    academic_year(on),
                    service.marks(DEFAULT_POLICY),
                    year_only=False,
                    known=before.moment,
                )
            assert {tuple(row)[:3]: tuple(row)[3:] for row in cells} == recount.cells(found), (
                on,
                before.moment,
            )

    async def agree(self, state: State, on: date, year: int | None, known: datetime | None) -> None:
        """Whatever is asked of a day, as known at a moment, is what the ledger comes to."""
        ledger = await recount.ledger_of(self.world.owner)
        day, counted, only = recount.day_and_year(on, year)
        hub = recount.schools_of(state, self.world["hub_a"], "hub", day)
        found = recount.pupils(state, ledger, hub, day, counted, only=only, known=known)
        async with self.db.read(self._caller("hub_a")) as tx:
            cells = await sql.cells(
                tx, None, day, counted, service.marks(DEFAULT_POLICY), year_only=only, known=known
            )
            kinds = await sql.kinds(tx, None, day, counted, year_only=only, known=known)
        await self.agree_beside("hub_a", state, found, (day, counted, known), only=only)
        assert {tuple(row)[:3]: tuple(row)[3:] for row in cells} == recount.cells(found), (day, year, known)
        got = {(row["school_id"], row["kind"]): tuple(row)[2:] for row in kinds}
        assert {key: row for key, row in got.items() if any(row)} == recount.kinds(found), (day, year, known)
        trust = recount.schools_of(state, self.world["trust"], "trust", day)
        for who, schools in (("trust", trust), ("school_a", {self.world["school_a"]})):
            found = recount.pupils(state, ledger, schools, day, counted, only=only, known=known)
            await self.agree_beside(who, state, found, (day, counted, known), only=only)
            for cut in ("SCHOOL", "YEAR_GROUP", "KEY_STAGE"):
                shown = await self._shown(who, cut, on, year, known)
                assert shown == recount.lines(found, cut), (who, cut, day, year, known)

    async def agree_beside(
        self,
        who: str,
        state: State,
        found: list[recount.Pupil],
        when: tuple[date, int, datetime | None],
        *,
        only: bool,
    ) -> None:
        """The same pupils by characteristic, what they are short of, and how varied it was."""
        day, year, known = when
        asked: dict[str, Any] = {"day": day, "year": year, "known": known}
        marks = service.marks(DEFAULT_POLICY)
        async with self.db.read(self._caller(who)) as tx:
            traits = await sql.traits(tx, None, day, year, marks, year_only=only, known=known)
            varied = await sql.variety(tx, None, {**asked, "year_only": only}, [*ExperienceKind])
            short = await sql.shortfall(
                tx, None, asked, {name: marks[name] for name in ("activity", "placement")}
            )
        assert {tuple(row)[:5]: tuple(row)[5:] for row in traits} == recount.traits(state, found, day), when
        sectors = dict(await self.world.owner.fetch("SELECT id, sectors FROM employers"))
        assert {tuple(row)[:3]: tuple(row)[3:] for row in varied} == recount.variety(found, sectors), when
        if not only:
            assert {tuple(row)[:3]: tuple(row)[3:] for row in short} == recount.shortfall(found), when

    def _caller(self, who: str) -> Caller:
        return Caller(self.world.clients[who], self.world[who], "hub", frozenset(), wall_now())

    async def _shown(self, who: str, cut: str, on: date, year: int | None, known: datetime | None) -> Any:
        data = await self.ask(who, cut, on, year, known)
        return {
            one["node"]["key"]: {
                name: value["count"] if isinstance(value, dict) else value
                for name, value in one["node"]["figures"].items()
            }
            for one in data["coverage"]["edges"]
            if one["node"]["figures"]["pupils"] is not None
        }

    async def ask(self, who: str, cut: str, on: date, year: int | None, known: datetime | None) -> Any:
        """One question; of a past moment the answer is remembered, and may never change."""
        as_at = None if on == await self.today() and known is None else on
        variables = {"by": cut, "year": year, "asAt": as_at, "knownAt": known}
        answer = await self.world.post(who, "/graphql", {"query": QUERY, "variables": variables})
        assert answer.status_code == 200, answer.text
        if known is not None:
            assert self.answers.setdefault((who, cut, on, year, known), answer.content) == answer.content
        return answer.json()["data"]

    async def check(self) -> None:
        """Today, today without anything kept (by asking for a moment), and some day and moment before."""
        state, today = self.states[-1], await self.today()
        await self.agree(state, today, None, None)
        await self.agree(state, today, academic_year(today) - self.chance.randint(0, 1), None)
        await self.agree(state, today - timedelta(days=self.chance.choice((1, 4, 60, 150))), None, None)
        before = self.chance.choice(self.states)
        on = min(school_day(before.moment), today) - timedelta(days=self.chance.choice((0, 4, 60, 150)))
        await self.agree(before, on, self.chance.choice((None, academic_year(on))), before.moment)
        await self.known()


@pytest_asyncio.fixture
async def history(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[History]:
    monkeypatch.setattr(service, "SETTLED", timedelta())
    monkeypatch.setattr(upkeep, "REST_SECONDS", 0)
    worker = await Database(world.dsns.worker, development=True).open()
    db = await Database(world.dsns.app, development=True, pool=2).open()
    yield History(world, worker, db, random.Random(20261122))
    await worker.close()
    await db.close()


async def attended(history: History, visits: list[Visit]) -> None:
    """The day of the visits has come: some are there, some are not."""
    await visits[0].at(130)
    for one in visits:
        states = [history.chance.choice(("present", "present", "excused")) for _ in one.parts]
        reports = [said(part, state) for part, state in zip(one.parts, states, strict=True)]
        done = await one.attendance("school_a", reports)
        assert done.status_code == 200, done.text
    history.states.append(await recount.state_of(history.world.owner))


async def test_every_figure_is_what_the_ledger_comes_to_through_a_random_history(history: History) -> None:
    for school, groups in (("school_a", ["sen", "behaviour"]), ("school_c", ["sen"])):
        await history.world.owner.execute(
            "INSERT INTO school_states (school_id, field_groups) VALUES ($1, $2)",
            history.world[school],
            groups,
        )
    for at in range(12):
        school = SCHOOLS[at % 3]
        history.pupils.append(
            (school, await history.world.pupil(school, history.chance.choice(("8", "9", "10"))))
        )
    async with AsyncExitStack() as stack:
        visits = [await stack.enter_async_context(visit(history.world, 3)) for _ in range(2)]
        history.pupils += [("school_a", pupil) for one in visits for pupil in one.pupils]
        for at in range(60):
            await history.step()
            if at % 12 == 11:
                await history.check()
        await attended(history, visits)
        await history.check()
        for at in range(30):
            await history.step()
            if at % 10 == 9:
                await history.check()
        kept = await history.world.count("kept_schools")
        assert kept == len(SCHOOLS)
        assert await history.world.count("ledger_entries") > 60  # enough has happened
        for who, cut, on, year, known in tuple(history.answers):
            await history.ask(who, cut, on, year, known)  # asked again: byte for byte the same
