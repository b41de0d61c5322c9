"""The hub of the guide "A hub's year": its schools, their pupils, two employers, and what the page does not repeat.

Mercia Careers Hub has Alderbrook (Year 7: 10, Year 8: 50, Year 9: 20, Year 10: 10), Birchfield (Year 8: 20, Year 10: 20)
and Coldwater, which has sent no pupils; Dunmore belongs to another hub. Alderbrook has granted and told SEN: in Year 8 20
have support (K) and 10 a plan (E), everybody else none (N). Northgate Labs (small, life sciences) and Harbour Engineering
(medium, advanced manufacturing) have cover, and a site that the hub has approved.

The year is the one that begins next September, so that the test does not grow old; the pupils have been there for years.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from uuid import UUID

from app.access.scopes import allowed_for
from app.core.ids import new_id
from tests import today
from tests.world import World

YEAR: Final = today.YEAR + 1
LONG_AGO: Final = date(YEAR - 6, 9, 1)
ORGS: Final = {
    "HUB": ("hub", "Mercia Careers Hub", None),
    "OTHER_HUB": ("hub", "Marches Careers Hub", None),
    "ALDERBROOK": ("school", "Alderbrook", "990101"),
    "BIRCHFIELD": ("school", "Birchfield", "990102"),
    "COLDWATER": ("school", "Coldwater", "990103"),
    "DUNMORE": ("school", "Dunmore", "990104"),
    "NORTHGATE": ("employer", "Northgate Labs", None),
    "HARBOUR": ("employer", "Harbour Engineering", None),
}
MEMBERS: Final = (
    ("HUB", "ALDERBROOK"), ("HUB", "BIRCHFIELD"), ("HUB", "COLDWATER"), ("OTHER_HUB", "DUNMORE"),
)  # fmt: skip
ROLL: Final = (
    ("ALDERBROOK", "7", "N", 10), ("ALDERBROOK", "8", "N", 20), ("ALDERBROOK", "8", "K", 20),
    ("ALDERBROOK", "8", "E", 10), ("ALDERBROOK", "9", "N", 20), ("ALDERBROOK", "10", "N", 10),
    ("BIRCHFIELD", "8", None, 20), ("BIRCHFIELD", "10", None, 20),
)  # fmt: skip
EMPLOYERS: Final = {
    "NORTHGATE": ("small", "life_sciences", ("workplace_tour",)),
    "HARBOUR": ("medium", "advanced_manufacturing", ("employer_project", "placement")),
}
HOURS: Final = {"workplace_tour": 2, "employer_project": 5, "placement": 5}


@dataclass
class Hub:
    """The hub and those around it, with their tokens and their pupils."""

    world: World
    ids: dict[str, UUID] = field(default_factory=dict)
    clients: dict[str, UUID] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    pupils: dict[tuple[str, str, str | None], list[UUID]] = field(default_factory=dict)
    basic: str = ""

    async def send(self, who: str, method: str, path: str, body: Any = None) -> Any:
        """One request of somebody's, which has to succeed; gives its JSON."""
        bearer = f"Bearer {self.tokens[who]}"
        answer = await self.world.send(None, method, path, body, Authorization=bearer)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json()


async def make(world: World) -> Hub:
    """Everything at the head of this page."""
    hub = Hub(world)
    for name, (kind, title, urn) in ORGS.items():
        await _organisation(hub, name, kind, title, urn)
    for parent, member in MEMBERS:
        no = await world.owner.fetchval("SELECT no FROM organisations WHERE id = $1", hub.ids[member])
        await world.insert(
            "memberships", member_id=hub.ids[member], member_no=no, parent_id=hub.ids[parent], kind="hub",
            starts_on=LONG_AGO,
        )  # fmt: skip
    for school, nc_year, sen, number in ROLL:
        found = [await _pupil(hub, school, nc_year, sen) for _ in range(number)]
        hub.pupils[school, nc_year, sen] = found
    await _sent(hub, "ALDERBROOK", ["identity", "enrolment", "sen"])
    await _sent(hub, "BIRCHFIELD", ["identity", "enrolment"])
    for employer in EMPLOYERS:
        await _equip(hub, employer)
    scopes = ["programmes:read", "programmes:write", "coverage:read", "organisations:read"]
    made = await hub.send("HUB", "POST", "/v1/clients", {"name": "From the guide", "scopes": scopes})
    hub.basic = b64encode(f"{made['id']}:{made['client_secret']}".encode()).decode()
    return hub


async def _organisation(hub: Hub, name: str, kind: str, title: str, urn: str | None) -> None:
    world = hub.world
    hub.ids[name] = await world.insert("organisations", kind=kind, name=title, urn=urn)
    hub.clients[name] = await world.insert("clients", org_id=hub.ids[name], name=title)
    issued = world.app.state.house.doorkeeper.issue(
        client_id=hub.clients[name], org_id=hub.ids[name], org_kind=kind,
        scopes=allowed_for(kind, development=True),
    )  # fmt: skip
    hub.tokens[name] = str(issued.token)


async def _pupil(hub: Hub, school: str, nc_year: str, sen: str | None) -> UUID:
    world, person = hub.world, new_id()
    no = await world.owner.fetchval("INSERT INTO persons (id) VALUES ($1) RETURNING no", person)
    pupil = await world.insert(
        "enrolments", school_id=hub.ids[school], person_id=person, person_no=no, starts_on=LONG_AGO, given_name="Ada",
        family_name="Example", date_of_birth=date(YEAR - 5 - int(nc_year), 10, 1),
    )  # fmt: skip
    await world.owner.execute(
        "INSERT INTO nc_years (enrolment_id, academic_year, school_id, nc_year) VALUES ($1, $2, $3, $4)",
        pupil, YEAR, hub.ids[school], nc_year,
    )  # fmt: skip
    if sen:
        await world.insert(
            "characteristics", school_id=hub.ids[school], enrolment_id=pupil, field_group="sen", value=sen,
            valid_from=LONG_AGO,
        )  # fmt: skip
    return pupil


async def _sent(hub: Hub, school: str, groups: list[str]) -> None:
    await hub.world.owner.execute(
        "INSERT INTO school_states (school_id, roll_complete_at, last_sync_at, field_groups) VALUES ($1, now(), now(), $2)"
        " ON CONFLICT (school_id) DO UPDATE SET roll_complete_at = now(), last_sync_at = now(), field_groups = $2",
        hub.ids[school], groups,
    )  # fmt: skip


async def _equip(hub: Hub, employer: str) -> None:
    world, (size, sector, kinds) = hub.world, EMPLOYERS[employer]
    lasts = date(YEAR + 3, 8, 31)
    await world.insert("employers", id=hub.ids[employer], size_band=size, sectors=[sector])
    site = await world.insert(
        "sites", employer_id=hub.ids[employer], name="Main", external_ref="MAIN", address="1 High Street",
        town="Wem", postcode="SY4 5AA",
    )  # fmt: skip
    for liability in ("employers_liability", "public_liability"):
        await world.insert(
            "covers", employer_id=hub.ids[employer], kind="policy", liability=liability, insurer="Mutual",
            policy_number="P-1", limit_pence=1_000_000_000, starts_on=LONG_AGO, expires_on=lasts,
        )  # fmt: skip
    for kind in kinds:
        await world.insert(
            "approvals", approver_id=hub.ids["HUB"], employer_id=hub.ids[employer], site_id=site, kind=kind,
            activity_band="low", approved_on=LONG_AGO, expires_on=lasts,
        )  # fmt: skip
    for school in ("ALDERBROOK", "BIRCHFIELD", "COLDWATER"):
        await world.owner.execute(
            "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            hub.ids[school], hub.ids["HUB"],
        )  # fmt: skip


# --- what the page says in a sentence, through the same doors ---------------------------------------------------------


async def booked(
    hub: Hub, school: str, pupils: list[UUID], days: list[str], kind: str, programme: str, strand: str
) -> dict[str, Any]:
    """Harbour's slot on these days, a school's booking of it in the strand, confirmed, and its pupils named."""
    offer = await hub.send("HARBOUR", "PUT", f"/v1/offers/by-ref/{kind}", {
        "site_ref": "MAIN", "title": "At work with engineers", "description": "A day's work with our engineers.",
        "kind": kind, "grouping": "group", "tier": 3, "sector": "advanced_manufacturing",
        "year_groups": ["10", "11"] if kind == "placement" else ["9"],
    })  # fmt: skip
    sittings = [{"starts_at": f"{day}T10:00:00Z", "ends_at": f"{day}T15:00:00Z"} for day in days]
    slot = await hub.send("HARBOUR", "PUT", f"/v1/slots/by-ref/{kind}", {
        "offer_id": offer["id"], "capacity": len(pupils), "sittings": sittings,
    })  # fmt: skip
    booking = await hub.send(school, "POST", "/v1/bookings", {
        "school_id": hub.ids[school], "slot_id": slot["id"], "places": len(pupils),
        "nc_year": "10" if kind == "placement" else "9", "programme_id": programme, "strand_id": strand,
    })  # fmt: skip
    await hub.send("HARBOUR", "POST", f"/v1/bookings/{booking['id']}/confirm", {})
    agreed = {"parental_agreement": "given"} if kind == "placement" else {}
    named = {"pupils": [{"pupil_id": one, **agreed} for one in pupils]}
    await hub.send(school, "POST", f"/v1/bookings/{booking['id']}/participants", named)
    found: dict[str, Any] = booking
    return found


async def attended(hub: Hub, school: str, booking: dict[str, Any], criteria: list[str]) -> None:
    """Everybody was there at every sitting; the school confirms the criteria. Once the clock is past it."""
    coming = await hub.send(school, "GET", f"/v1/bookings/{booking['id']}/participants")
    for sitting in [one["sitting_id"] for one in coming["data"][0]["sittings"]]:
        reports = [{"participation_id": one["id"], "status": "present"} for one in coming["data"]]
        said = {"sitting_id": sitting, "reports": reports}
        await hub.send("HARBOUR", "POST", f"/v1/bookings/{booking['id']}/attendance", said)
    await hub.send(school, "POST", f"/v1/bookings/{booking['id']}/criteria", {"criteria": criteria})


async def move_clock(hub: Hub, to: str) -> None:
    """Domain time, as a client in development moves it."""
    await hub.send("HUB", "PUT", "/v1/dev/clock", {"now": to})
