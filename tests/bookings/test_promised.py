"""What the search shows can be booked, and what can be booked it shows: slots x schools x year groups of a random world."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from app.bookings import service
from app.core.caller import Caller
from app.core.db import Database
from app.core.errors import Problem
from app.core.ids import new_id
from app.rules.offering import year_mask
from tests.today import YEAR_AGO, date_in, time_in
from tests.world import KINDS, World

pytestmark = pytest.mark.calendar

SLOTS, EMPLOYERS = 80, 16
SCHOOLS = ("school_a", "school_b", "school_c")
YEARS = (None, "8", "10")
ON_SITE = ("workplace_tour", "placement", "work_shadowing")
ASKING = (("school_a", "school_a"), ("school_b", "trust"), ("school_a", "vendor"), ("school_b", "vendor"),
          ("school_c", "school_c"))  # fmt: skip
"""For which school, and who asks."""
REASONS = {
    "employer_unavailable", "year_group_not_offered", "placement_unlawful", "no_places", "approval_missing",
    "approval_not_accepted", "approval_lapsed", "cover_missing", "cover_too_low", "cover_lapsed", "cover_not_attested",
    "booking_closed", "not_found",
}  # fmt: skip
"""Each of them occurs: a world in which everything can be booked would prove nothing."""


class _Undo(Exception):
    """What was tried is not kept."""


class Dice(Random):
    """Chooses for a world. The first of some choices is the one with which a booking is taken."""

    def mostly(self, usual: Any, *others: Any, odds: float = 0.85) -> Any:
        return usual if self.random() < odds else self.choice(others)


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.app, development=True).open()
    yield made
    await made.close()


async def _employer(world: World, dice: Dice, at: int) -> UUID:
    status = "closed" if at == 1 else "active"
    employer = await world.insert("organisations", kind="employer", name=f"Employer {at}", status=status)
    world.ids[str(employer)] = employer
    await world.insert("employers", id=employer, size_band="small")
    sites = [
        await world.insert(
            "sites", employer_id=employer, name=f"Site {no}", address="1", town="Leeds", postcode="LS1 4AP",
            state=dice.mostly("open", "closed"),
        )
        for no in range(2)
    ]  # fmt: skip
    for liability in ("employers_liability", "public_liability"):
        for _ in range(dice.mostly(2, 0, 1, odds=0.75)):
            await _cover(world, dice, employer, liability, dice.mostly(None, *sites))
    if dice.random() < 0.2:
        by = dice.choice(("hub_a", "hub_b", "trust", "national"))
        lifted = datetime.now(UTC) if dice.random() < 0.2 else None
        await world.insert(
            "suspensions",
            employer_id=employer,
            suspended_by=world[by],
            suspended_at=time_in(-3),
            lifted_at=lifted,
        )
    for site in sites:
        for kind in ON_SITE:
            for _ in range(dice.mostly(2, 0, 1, odds=0.75)):
                await _approval(world, dice, employer, site, kind)
    return employer


async def _cover(world: World, dice: Dice, employer: UUID, liability: str, site: UUID | None) -> None:
    kind = dice.mostly(
        "policy", "nhs_indemnity", "public_body_exempt", "taken_out_for_this_booking", odds=0.6
    )
    policy = kind == "policy"
    await world.insert(
        "covers",
        employer_id=employer,
        site_id=site,
        kind=kind,
        liability=liability,
        insurer="Mutual" if policy else None,
        policy_number="P-1" if policy else None,
        limit_pence=dice.mostly(1_000_000_000, 400_000_000, 500_000_000, odds=0.6) if policy else None,
        starts_on=dice.mostly(YEAR_AGO, date_in(22)),
        expires_on=date_in(dice.mostly(700, 21)) if policy else None,
        attested_on=None if policy else dice.mostly(YEAR_AGO, date_in(80), odds=0.6),
        attested_by=None if policy else "Head of estates",
        withdrawn_at=dice.mostly(None, time_in(-1)),
    )


async def _approval(world: World, dice: Dice, employer: UUID, site: UUID, kind: str) -> None:
    await world.insert(
        "approvals",
        approver_id=world[dice.mostly("hub_a", "hub_b", "trust", *SCHOOLS, odds=0.5)],
        employer_id=employer,
        site_id=site,
        kind=kind,
        activity_band=dice.mostly("low", "medium"),
        state=dice.mostly("approved", "withdrawn"),
        approved_on=dice.mostly(YEAR_AGO, date_in(22)),
        expires_on=dice.mostly(date_in(700), None, date_in(21), odds=0.6),
    )


async def _slot(world: World, dice: Dice, employer: UUID) -> UUID:
    sites = await world.owner.fetch("SELECT id FROM sites WHERE employer_id = $1", employer)
    site = dice.choice(sites)["id"]
    kind = dice.mostly(
        dice.choice(ON_SITE), "virtual_experience", "school_based_encounter", "workplace_visit"
    )
    years = (
        dice.choice((("7", "8"), ("10", "11"), ("8", "10", "X"), ())) if kind != "placement" else ("10", "11")
    )
    visibility = dice.mostly("all_schools", "named_hubs", "named_schools")
    offer = await world.insert(
        "offers",
        employer_id=employer,
        site_id=site,
        title="A visit",
        kind=kind,
        mode=dice.mostly("in_person", "virtual", "hybrid"),
        grouping="group",
        tier=1,
        year_groups=list(years),
        year_mask=year_mask(kind, years),
        visibility=visibility,
        state=dice.mostly("open", "draft", "withdrawn", odds=0.95),
    )
    starts = dice.mostly(time_in(21, 22), time_in(60), time_in(1), time_in(-1), odds=0.6)
    slot = await world.slot(
        str(employer), site=site, offer=offer, starts=starts, visibility=visibility, capacity=3
    )
    if visibility != "all_schools":
        kind, shown_to = ("hub", ("hub_a", "hub_b")) if visibility == "named_hubs" else ("school", SCHOOLS)
        await world.owner.execute(
            "INSERT INTO offer_audiences (offer_id, audience_id, employer_id, kind) VALUES ($1, $2, $3, $4)",
            offer, world[dice.choice(shown_to)], employer, kind,
        )  # fmt: skip
    await _occupy(world, dice, slot, employer, site, offer, kind, starts)
    return slot


async def _occupy(
    world: World, dice: Dice, slot: UUID, employer: UUID, site: UUID, offer: UUID, kind: str, starts: datetime
) -> None:
    """Places that are taken, bookings that wait, and slots that are closed."""
    await world.owner.execute("UPDATE slots SET taken = $2 WHERE id = $1", slot, dice.choice((0, 0, 1, 2, 3)))
    if dice.random() < 0.3:
        await world.insert(
            "bookings", school_id=world[dice.choice(SCHOOLS)], employer_id=employer, site_id=site, offer_id=offer,
            slot_id=slot, state="waiting", kind="workplace_tour", places=dice.choice((1, 2, 3)), starts_at=starts,
            ends_at=starts + timedelta(hours=2), name_by=starts, requested_at=time_in(-1), requested_by=new_id(),
            set_aside_at=dice.mostly(None, time_in(-1)),
        )  # fmt: skip
    if dice.random() < 0.05:
        await world.owner.execute("UPDATE slots SET state = 'closed' WHERE id = $1", slot)


async def _world_of(world: World, dice: Dice) -> list[UUID]:
    """Employers with slots as chance will have it; each school accepts some approvers."""
    await world.owner.execute("DELETE FROM approval_acceptances")
    for school in SCHOOLS:
        for approver in ("hub_a", "hub_b", "trust"):
            if dice.random() < 0.6:
                await world.owner.execute(
                    "INSERT INTO approval_acceptances (school_id, approver_id) VALUES ($1, $2)",
                    world[school], world[approver],
                )  # fmt: skip
    await world.owner.execute("DELETE FROM dated_policies WHERE topic = 'cover'")
    for kind, pounds, begins, ends in (
        ("workplace_visit", 20_000_000, YEAR_AGO, date_in(30)),
        ("work_shadowing", 1_000_000, date_in(40), None),
    ):
        await world.insert(
            "dated_policies", topic="cover", name=f"{kind} {pounds}", starts_on=begins, ends_on=ends,
            body=orjson.dumps({"kind": kind, "liability": "public_liability", "minimum_pounds": pounds}).decode(),
        )  # fmt: skip
    employers = [await _employer(world, dice, at) for at in range(EMPLOYERS)]
    return [await _slot(world, dice, dice.choice(employers)) for _ in range(SLOTS)]


async def _tried(
    db: Database, world: World, who: str, school: str, slot: UUID, year: str | None
) -> list[str]:
    """Why this school may not book one place for this year group, by trying; empty: it may."""
    caller = Caller(
        world.clients[who], world[who], KINDS[who], frozenset({"bookings:write"}), datetime.now(UTC)
    )
    try:
        async with db.write(caller) as tx:
            made = await service.request(tx, service.Request(world[school], slot, 1, nc_year=year))
            assert made["state"] == "requested"
            raise _Undo  # noqa: TRY301 - it has to leave the transaction
    except _Undo:
        return []
    except Problem as refused:
        return [one["code"] for one in refused.extra.get("reasons", ())] or [refused.code]


async def _search(world: World, who: str, school: str, year: str | None, more: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    query = f"limit=50&school_id={world[school]}{more}" + (f"&year_group={year}" if year else "")
    path: str | None = f"/v1/open-slots?{query}"
    while path:
        answer = await world.get(who, path)
        assert answer.status_code == 200, answer.text
        found |= {one["slot_id"]: one for one in answer.json()["data"]}
        link = answer.headers.get("link")
        path = link.partition(">")[0][1:] if link else None
    return found


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_found_is_what_can_be_booked(world: World, db: Database, seed: int) -> None:
    slots = await _world_of(world, Dice(seed))
    seen: Counter[str] = Counter()
    for school, who in ASKING:
        for year in YEARS:
            found = await _search(world, who, school, year)
            every = await _search(world, who, school, year, "&include_unbookable=true")
            assert {key: one["bookable"] for key, one in found.items()} == dict.fromkeys(found, True)
            for at, slot in enumerate(slots):
                where = (school, who, year, str(slot))
                against = await _tried(db, world, who, school, slot, year)
                seen.update(against or ["booked"])
                assert (str(slot) in found) == (not against), (where, against)
                if str(slot) in every:
                    assert every[str(slot)]["bookable"] == (not against), (where, against)
                if at % 3 == 0:
                    await _single(world, who, school, year, slot, against)
    assert seen["booked"] > 50, seen
    assert set(seen) >= REASONS, seen


async def _single(
    world: World, who: str, school: str, year: str | None, slot: UUID, against: list[str]
) -> None:
    """The slot by itself says the same, and why."""
    query = f"school_id={world[school]}" + (f"&year_group={year}" if year else "")
    read = await world.get(who, f"/v1/open-slots/{slot}?{query}")
    if read.status_code == 404:
        assert against, "what can be booked can be read"
        return
    told = [one["code"] for one in read.json()["reasons"]]
    assert read.json()["bookable"] == (not against), (told, against)
    assert not against or set(against) & set(told), (told, against)
