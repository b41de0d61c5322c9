"""A small world for the tests of the faces: organisations of every kind, clients with tokens, a bookable slot.

`world` (module) builds the application on this module's own database and opens it. Everything else is made
through `World`: `await world.post("school_a", "/v1/...", {...})` sends a token of that organisation and a fresh
Idempotency-Key.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson
import pytest_asyncio
from fastapi import FastAPI
from jsonschema import Draft202012Validator, FormatChecker

from app.access.scopes import allowed_for
from app.core.ids import new_id
from app.core.roles import Dsns
from app.main import create_app
from app.outbox.catalogue import TYPES, data_schema, side_of
from app.settings import Settings
from tests.today import YEAR, YEAR_AGO, date_in, time_in

KINDS = {
    "national": "national",
    "authority": "authority",
    "hub_a": "hub",
    "hub_b": "hub",
    "trust": "trust",
    "school_a": "school",
    "school_b": "school",
    "school_c": "school",
    "vendor": "vendor",
    "stranger_vendor": "vendor",
    "employer_a": "employer",
    "employer_b": "employer",
}
MEMBERS = (
    ("hub_a", "school_a", "hub"),
    ("hub_a", "school_c", "hub"),
    ("hub_b", "school_b", "hub"),
    ("trust", "school_a", "trust"),
    ("trust", "school_b", "trust"),
    ("authority", "hub_a", "authority"),
)


@dataclass
class World:
    """The application, its database as the owner, and the organisations by name."""

    app: FastAPI
    http: httpx.AsyncClient
    owner: asyncpg.Connection
    dsns: Dsns
    data_dir: Path
    ids: dict[str, UUID] = field(default_factory=dict)
    clients: dict[str, UUID] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> UUID:
        return self.ids[name]

    async def send(
        self,
        who: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        **headers: str,
    ) -> httpx.Response:
        """One request; `headers` with underscores for hyphens. A POST gets a fresh Idempotency-Key."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            sent.setdefault("Authorization", f"Bearer {self.tokens[who]}")
        if method == "POST":
            sent.setdefault("Idempotency-Key", key or str(uuid4()))
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else orjson.dumps(body, default=str)
            sent.setdefault("Content-Type", "application/json")
        return await self.http.request(method, path, content=content, headers=sent)

    async def post(self, who: str | None, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.send(who, "POST", path, {} if body is None else body, **more)

    async def get(self, who: str | None, path: str, **more: Any) -> httpx.Response:
        return await self.send(who, "GET", path, **more)

    def token(self, who: str, scopes: frozenset[str] | None = None) -> str:
        """A token of this organisation's client; by default with every scope its kind may have."""
        kind = KINDS[who]
        chosen = allowed_for(kind, development=True) if scopes is None else scopes
        issued = self.app.state.house.doorkeeper.issue(
            client_id=self.clients[who], org_id=self.ids[who], org_kind=kind, scopes=chosen
        )
        return str(issued.token)

    async def insert(self, table: str, **values: Any) -> UUID:
        """One row as the owner; gives its id."""
        values.setdefault("id", new_id())
        names = ", ".join(values)
        marks = ", ".join(f"${at}" for at in range(1, len(values) + 1))
        await self.owner.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", *values.values())
        found: UUID = values["id"]
        return found

    async def count(self, table: str, where: str = "true", *args: Any) -> int:
        return int(await self.owner.fetchval(f"SELECT count(*) FROM {table} WHERE {where}", *args))

    async def fingerprint(self) -> dict[str, int]:
        """How many rows there are and what they hash to, table by table: equal means that nothing changed."""
        tables = await self.owner.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
        )
        sums = ", ".join(
            f"(SELECT coalesce(sum(hashtext(x::text)::bigint), 0) FROM {row['relname']} x) AS {row['relname']}"
            for row in tables
        )
        return dict(await self.owner.fetchrow(f"SELECT {sums}"))

    async def pupil(self, school: str, nc_year: str = "8", *, born: date | None = None) -> UUID:
        """A pupil with a NC year in this academic year and the next."""
        age = int(nc_year) + 4
        person = new_id()
        no = await self.owner.fetchval("INSERT INTO persons (id) VALUES ($1) RETURNING no", person)
        pupil = await self.insert(
            "enrolments",
            school_id=self.ids[school],
            person_id=person,
            person_no=no,
            starts_on=YEAR_AGO,
            given_name="Ada",
            family_name="Example",
            date_of_birth=born or date(YEAR - age, 10, 1),
        )
        for each in (YEAR - 1, YEAR, YEAR + 1):
            await self.owner.execute(
                "INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year) VALUES ($1, $2, $3, $4)",
                pupil,
                each,
                self.ids[school],
                nc_year,
            )
        return pupil

    async def slot(
        self,
        employer: str = "employer_a",
        *,
        capacity: int = 30,
        starts: datetime | None = None,
        kind: str = "workplace_tour",
        years: tuple[str, ...] = ("7", "8", "9"),
        visibility: str = "all_schools",
        site: UUID | None = None,
        offer: UUID | None = None,
    ) -> UUID:
        """A two-hour slot with one sitting, three weeks ahead at 10:00 London unless said otherwise."""
        starts = starts or time_in(21)
        site = site or self.ids[f"{employer}.site"]
        offer = offer or await self.insert(
            "offers",
            employer_id=self.ids[employer],
            site_id=site,
            title="A tour",
            kind=kind,
            grouping="group",
            tier=1,
            sector="life_sciences",
            year_groups=list(years),
            year_mask=sum(1 << int(one) for one in years),
            criteria=["clear_shared_purpose", "learning_outcomes", "two_way_interaction", "reflection"],
            visibility=visibility,
        )
        slot = await self.insert(
            "slots",
            offer_id=offer,
            employer_id=self.ids[employer],
            site_id=site,
            starts_at=starts,
            ends_at=starts + timedelta(hours=2),
            capacity=capacity,
            minutes=120,
            book_by=starts - timedelta(days=2),
            name_by=starts - timedelta(hours=12),
            restricted=visibility != "all_schools",
        )
        await self.insert(
            "sittings",
            slot_id=slot,
            employer_id=self.ids[employer],
            no=1,
            starts_at=starts,
            ends_at=starts + timedelta(hours=2),
        )
        return slot

    async def booking(
        self, *, school: str = "school_a", state: str = "requested", places: int = 5, slot: UUID | None = None
    ) -> dict[str, Any]:
        """A booking made through the API, requested or confirmed."""
        slot = slot or await self.slot()
        made = await self.post(
            school,
            "/v1/bookings",
            {"school_id": self.ids[school], "slot_id": slot, "places": places, "nc_year": "8"},
        )
        assert made.status_code == 201, made.text
        found: dict[str, Any] = made.json()
        if state == "confirmed":
            confirmed = await self.post("employer_a", f"/v1/bookings/{found['id']}/confirm")
            assert confirmed.status_code == 200, confirmed.text
            found = confirmed.json()
        return found

    async def move_clock(self, to: datetime | None) -> None:
        """Set the domain clock as the owner would; None puts it back."""
        seconds = 0 if to is None else int((to - datetime.now(UTC)).total_seconds())
        await self.owner.execute("UPDATE clock SET offset_seconds = $1", seconds)


@pytest_asyncio.fixture(scope="module")
async def world(dsns: Dsns, tmp_path_factory: Any) -> AsyncIterator[World]:
    async with a_world(dsns, tmp_path_factory.mktemp("data")) as made:
        yield made


@asynccontextmanager
async def a_world(dsns: Dsns, folder: Path) -> AsyncIterator[World]:
    """The API on this database, with everybody in it. At the end every event that was announced is judged."""
    settings = Settings(
        env="test",
        database_url=dsns.app,
        worker_database_url=dsns.worker,
        data_dir=folder,
        rate_limit=1_000_000,
        base_url="http://tendays.test",
    )
    app = create_app(settings)
    owner = await asyncpg.connect(dsns.owner)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://tendays.test") as http:
            made = World(app, http, owner, dsns, settings.data_dir)
            await _populate(made)
            yield made
    problems = await problems_with_events(owner)
    await owner.close()
    assert not problems, problems


async def _populate(world: World) -> None:
    for at, (name, kind) in enumerate(KINDS.items()):
        urn = f"9{at:05d}" if kind == "school" else None
        world.ids[name] = await world.insert(
            "organisations", kind=kind, name=name.replace("_", " ").title(), urn=urn
        )
        world.clients[name] = await world.insert("clients", org_id=world.ids[name], name=name)
        world.tokens[name] = world.token(name)
    for parent, member, kind in MEMBERS:
        no = await world.owner.fetchval("SELECT no FROM organisations WHERE id = $1", world.ids[member])
        await world.insert(
            "memberships",
            member_id=world.ids[member],
            member_no=no,
            parent_id=world.ids[parent],
            kind=kind,
            starts_on=YEAR_AGO,
        )
    await world.insert(
        "grants",
        grantor_id=world.ids["trust"],
        grantee_id=world.ids["vendor"],
        starts_on=YEAR_AGO,
        field_groups=["identity", "enrolment"],
        recorded_by=world.clients["trust"],
    )
    for employer in ("employer_a", "employer_b"):
        await _equip(world, employer)


async def _equip(world: World, employer: str) -> None:
    """A profile, a site, both covers, and the hub's approvals, accepted by every school."""
    await world.insert("employers", id=world.ids[employer], size_band="small", sectors=["life_sciences"])
    site = await world.insert(
        "sites",
        employer_id=world.ids[employer],
        name="Main",
        address="1 High Street",
        town="Stevenage",
        postcode="SG1 1AA",
    )
    world.ids[f"{employer}.site"] = site
    for liability in ("employers_liability", "public_liability"):
        await world.insert(
            "covers",
            employer_id=world.ids[employer],
            kind="policy",
            liability=liability,
            insurer="Mutual",
            policy_number="P-1",
            limit_pence=1_000_000_000,
            starts_on=YEAR_AGO,
            expires_on=date_in(700),
        )
    for kind in ("workplace_tour", "placement", "workplace_visit"):
        await world.insert(
            "approvals",
            approver_id=world.ids["hub_a"],
            employer_id=world.ids[employer],
            site_id=site,
            kind=kind,
            activity_band="low",
            approved_on=YEAR_AGO,
            expires_on=date_in(700),
        )
    for school in ("school_a", "school_b", "school_c"):
        await world.owner.execute(
            "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            world.ids[school],
            world.ids["hub_a"],
        )


# --- what was announced -----------------------------------------------------------------------------

_JUDGES = {
    name: Draft202012Validator(data_schema(kind), format_checker=FormatChecker())
    for name, kind in TYPES.items()
}


async def problems_with_events(owner: asyncpg.Connection) -> list[str]:
    """What is not as the catalogue says, of everything that a module's tests have announced.

    Rows that a test has put there by hand are not judged: their bodies do not speak of them.
    """
    rows = await owner.fetch(
        "SELECT e.id, type, audience, audience_id, order_key, sequence, body, o.kind"
        " FROM events e LEFT JOIN organisations o ON o.id = e.audience_id"
    )
    announced = [row for row in rows if str(row["id"]).encode() in row["body"] and b'"type"' in row["body"]]
    return [problem for row in announced for problem in _problems_with_event(row)]


def _problems_with_event(row: asyncpg.Record) -> Iterator[str]:
    told = orjson.loads(row["body"])
    for error in _JUDGES[row["type"]].iter_errors(told):
        yield f"{row['type']}: {error.json_path} {error.message[:200]}"
    said = (told["type"], told["audience"], told["order_key"], told["sequence"])
    side = {"side": row["audience"], "id": str(row["audience_id"])}
    if said != (row["type"], side, str(row["order_key"]), row["sequence"]):
        yield f"{row['type']}: the row and the body differ"
    if row["kind"] is not None and row["audience"] != side_of(row["kind"]):
        yield f"{row['type']}: told to a {row['kind']} as to the side {row['audience']}"
