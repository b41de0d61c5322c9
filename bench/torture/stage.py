"""What a run stands on: two schools, an employer with slots that are too small, two vendors under grants; made by the owner."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from app.core.ids import new_id

KINDS = {
    "school1": "school",
    "school2": "school",
    "employer": "employer",
    "vendor": "vendor",
    "hub": "hub",
    "mis": "vendor",
}
SLOTS, CAPACITY = 12, 60


@dataclass
class Stage:
    """The ids of the organisations and their clients by name, the slots, and the vendor's grant over `school1`."""

    orgs: dict[str, UUID] = field(default_factory=dict)
    clients: dict[str, UUID] = field(default_factory=dict)
    slots: list[UUID] = field(default_factory=list)
    grant: UUID = field(default_factory=new_id)

    def sees(self, who: str) -> list[str]:
        """The audiences an organisation may see while its grants run; those of `mis` are never taken back."""
        more = {"vendor": ("school1",), "mis": ("school1", "school2")}
        return [str(self.orgs[one]) for one in (who, *more.get(who, ()))]


async def make(owner: asyncpg.Connection) -> Stage:
    """Fill an empty, migrated database."""
    stage = Stage()
    for at, (name, kind) in enumerate(KINDS.items()):
        urn = f"9{at:05d}" if kind == "school" else None
        stage.orgs[name] = await _add(owner, "organisations", kind=kind, name=name.title(), urn=urn)
        stage.clients[name] = await _add(owner, "clients", org_id=stage.orgs[name], name=name)
    await _approved(owner, stage)
    await _grant(owner, stage, "school1", "vendor", stage.grant)
    for school in ("school1", "school2"):
        await _grant(owner, stage, school, "mis", new_id())
    return stage


async def _approved(owner: asyncpg.Connection, stage: Stage) -> None:
    employer, today = stage.orgs["employer"], datetime.now(UTC).date()
    lasting = {"starts_on": today - timedelta(days=300), "expires_on": today + timedelta(days=700)}
    await _add(owner, "employers", id=employer, size_band="small")
    site = await _add(
        owner,
        "sites",
        employer_id=employer,
        name="Main",
        address="1 High Street",
        town="Stevenage",
        postcode="SG1 1AA",
    )
    for liability in ("employers_liability", "public_liability"):
        policy = {"kind": "policy", "insurer": "Mutual", "policy_number": "P-1", "limit_pence": 1_000_000_000}
        await _add(owner, "covers", employer_id=employer, liability=liability, **policy, **lasting)
    given = {"approver_id": stage.orgs["hub"], "kind": "workplace_tour", "activity_band": "low"}
    dates = {"approved_on": lasting["starts_on"], "expires_on": lasting["expires_on"]}
    await _add(owner, "approvals", employer_id=employer, site_id=site, **given, **dates)
    for school in ("school1", "school2"):
        accepted = (
            "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        )
        await owner.execute(accepted, stage.orgs[school], stage.orgs["hub"])
    await _slots(owner, stage, site)


async def _slots(owner: asyncpg.Connection, stage: Stage, site: UUID) -> None:
    employer = stage.orgs["employer"]
    words = {
        "title": "A tour",
        "kind": "workplace_tour",
        "grouping": "group",
        "tier": 1,
        "sector": "life_sciences",
    }
    years = {"year_groups": ["7", "8", "9"], "year_mask": 896}
    offer = await _add(owner, "offers", employer_id=employer, site_id=site, **words, **years)
    for number in range(SLOTS):
        now = datetime.now(UTC).replace(microsecond=0)
        # A quarter is today (unless it is late): what is cancelled there takes the safety lane.
        starts = now + (timedelta(hours=5 + number) if number % 4 == 0 else timedelta(days=21 + number))
        times = {"starts_at": starts, "ends_at": starts + timedelta(hours=2)}
        by = {"book_by": starts - timedelta(hours=3), "name_by": starts - timedelta(hours=2)}
        sizes = {"capacity": CAPACITY, "minutes": 120}
        slot = await _add(
            owner, "slots", offer_id=offer, employer_id=employer, site_id=site, **times, **by, **sizes
        )
        await _add(owner, "sittings", slot_id=slot, employer_id=employer, no=1, **times)
        stage.slots.append(slot)


async def _grant(owner: asyncpg.Connection, stage: Stage, grantor: str, grantee: str, grant: UUID) -> None:
    school = stage.orgs[grantor]
    await _add(
        owner,
        "grants",
        id=grant,
        grantor_id=school,
        grantee_id=stage.orgs[grantee],
        school_id=school,
        starts_on=datetime.now(UTC).date() - timedelta(days=30),
        field_groups=["identity", "enrolment"],
        recorded_by=stage.clients[grantor],
    )


async def _add(owner: asyncpg.Connection, table: str, **values: Any) -> UUID:  # noqa: ANN401
    values.setdefault("id", new_id())
    marks = ", ".join(f"${at}" for at in range(1, len(values) + 1))
    await owner.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", *values.values())
    added: UUID = values["id"]
    return added
