"""A proposal to move a confirmed booking: what is agreed stands until it is accepted, and however else it ends, it is as
if nobody had asked.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.bookings import upkeep
from app.core.db import Database
from tests.world import World

SIDES = (("school_a", "employer_a"), ("employer_a", "school_a"))
STANDS = (
    "state",
    "slot_id",
    "places",
    "named",
    "starts_at",
    "ends_at",
    "name_by",
    "confirmed_at",
    "expires_at",
    "reason_code",
)


@pytest_asyncio.fixture(scope="module")
async def db(world: World) -> AsyncIterator[Database]:
    made = await Database(world.dsns.worker, development=True).open()
    yield made
    await made.close()


class Agreed:
    """A confirmed booking of three places with two pupils named, and another slot a day later."""

    def __init__(self, world: World, booking: dict[str, Any], other: UUID, pupils: list[UUID]) -> None:
        self.world, self.booking, self.other, self.pupils = world, booking, other, pupils
        self.path = f"/v1/bookings/{booking['id']}"

    @classmethod
    async def make(cls, world: World, *, capacity: int = 10, other: UUID | None = None) -> "Agreed":
        starts = (datetime.now(UTC) + timedelta(days=22)).replace(hour=10, minute=0, second=0, microsecond=0)
        booking = await world.booking(state="confirmed", places=3, slot=await world.slot(capacity=capacity))
        pupils = [await world.pupil("school_a") for _ in range(2)]
        made = cls(world, booking, other or await world.slot(capacity=capacity, starts=starts), pupils)
        named = await world.post(
            "school_a", f"{made.path}/participants", {"pupils": [{"pupil_id": one} for one in pupils]}
        )
        assert named.status_code == 200, named.text
        return made

    async def read(self, who: str = "school_a") -> dict[str, Any]:
        found: dict[str, Any] = (await self.world.get(who, self.path)).json()
        return found

    async def propose(self, who: str, **more: Any) -> dict[str, Any]:
        answer = await self.world.post(who, f"{self.path}/reschedule", {"slot_id": self.other, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def taken(self) -> tuple[int, int]:
        slots = (UUID(self.booking["slot_id"]), self.other)
        agreed, other = [
            await self.world.owner.fetchval("SELECT taken FROM slots WHERE id = $1", one) for one in slots
        ]
        return agreed, other

    async def names(self) -> list[tuple[str, str, str]]:
        rows = await self.world.owner.fetch(
            "SELECT p.enrolment_id, p.state, t.status, t.active, s.slot_id FROM participations p"
            " JOIN participation_sittings t ON t.participation_id = p.id JOIN sittings s ON s.id = t.sitting_id"
            " WHERE p.booking_id = $1 AND p.state <> 'withdrawn' ORDER BY 1",
            UUID(self.booking["id"]),
        )
        return [
            (str(row["enrolment_id"]), row["status"], str(row["slot_id"])) for row in rows if row["active"]
        ]

    async def events(self, who: str) -> list[str]:
        rows = await self.world.owner.fetch(
            "SELECT type FROM events WHERE order_key = $1 AND audience_id = $2 ORDER BY sequence",
            UUID(self.booking["id"]), self.world[who],
        )  # fmt: skip
        return [row["type"] for row in rows]


@pytest.mark.parametrize(("who", "other"), SIDES)
async def test_what_is_agreed_stands_beside_a_proposal_whose_places_are_held(
    world: World, who: str, other: str
) -> None:
    agreed = await Agreed.make(world)
    before, names = await agreed.read(), await agreed.names()
    after = await agreed.propose(who, reason_code="date_unsuitable")
    assert [after[name] for name in STANDS if name != "reason_code"] == [
        before[name] for name in STANDS if name != "reason_code"
    ]
    proposal = (await agreed.read(other))["proposal"]
    assert {name: proposal[name] for name in ("by", "slot_id", "places", "reason_code")} == {
        "by": who.split("_", maxsplit=1)[0], "slot_id": str(agreed.other), "places": 3, "reason_code": "date_unsuitable",
    }  # fmt: skip
    assert await agreed.taken() == (3, 3)
    assert await agreed.names() == names
    assert (await agreed.events(other))[-1] == "booking.proposed"
    told = await world.get("employer_a", f"{agreed.path}/participants")
    assert [one["known_as"] for one in told.json()["data"]] == ["Ada", "Ada"]


@pytest.mark.parametrize(("who", "other"), SIDES)
async def test_accepting_is_one_swap_and_the_names_come_along(world: World, who: str, other: str) -> None:
    agreed = await Agreed.make(world)
    await agreed.propose(who)
    alone = await world.post(who, f"{agreed.path}/proposal/accept")
    assert (alone.status_code, alone.json()["code"]) == (409, "no_proposal")
    accepted = await world.post(other, f"{agreed.path}/proposal/accept")
    assert accepted.status_code == 200, accepted.text
    now = accepted.json()
    assert (now["state"], now["slot_id"], now["places"], now["named"], now["proposal"]) == (
        "confirmed", str(agreed.other), 3, 2, None,
    )  # fmt: skip
    assert await agreed.taken() == (0, 3)
    assert await agreed.names() == [
        (str(one), "expected", str(agreed.other)) for one in sorted(agreed.pupils)
    ]
    history = (await world.get("school_a", f"{agreed.path}/history")).json()["data"]
    assert [(one["action"], one["actor"]) for one in history[-2:]] == [
        ("reschedule", who.split("_", maxsplit=1)[0]), ("accept_proposal", other.split("_", maxsplit=1)[0]),
    ]  # fmt: skip
    assert (history[-1]["from_slot_id"], history[-1]["to_slot_id"]) == (
        agreed.booking["slot_id"],
        str(agreed.other),
    )
    assert history[-2]["proposed_slot_id"] == str(agreed.other)
    for side in SIDES[0]:
        assert (await agreed.events(side))[-2:] == ["booking.proposed", "booking.rescheduled"]


async def _declined(agreed: Agreed, other: str, _who: str, _db: Database) -> None:
    answer = await agreed.world.post(
        other, f"{agreed.path}/proposal/decline", {"reason_code": "date_unsuitable"}
    )
    assert answer.status_code == 200, answer.text


async def _withdrawn(agreed: Agreed, _other: str, who: str, _db: Database) -> None:
    answer = await agreed.world.post(who, f"{agreed.path}/proposal/withdraw")
    assert answer.status_code == 200, answer.text


async def _expired(agreed: Agreed, _other: str, _who: str, db: Database) -> None:
    assert await upkeep.end_proposals(db) == 0
    await agreed.world.move_clock(datetime.now(UTC) + timedelta(days=6))
    assert await upkeep.end_proposals(db) >= 1


async def _slot_cancelled(agreed: Agreed, _other: str, _who: str, db: Database) -> None:
    answer = await agreed.world.post("employer_a", f"/v1/slots/{agreed.other}/cancel")
    assert answer.status_code == 200, answer.text
    assert await upkeep.end_proposals(db) >= 1
    assert await upkeep.cancel_with_slot(db) == 0


ENDS: dict[str, Callable[[Agreed, str, str, Database], Awaitable[None]]] = {
    "declined": _declined,
    "withdrawn": _withdrawn,
    "expired": _expired,
    "slot_cancelled": _slot_cancelled,
}


@pytest.mark.parametrize("outcome", ENDS)
@pytest.mark.parametrize(("who", "other"), SIDES)
async def test_however_else_it_ends_it_is_as_if_nobody_had_asked(
    world: World, db: Database, who: str, other: str, outcome: str
) -> None:
    agreed = await Agreed.make(world)
    before, names = await agreed.read(), await agreed.names()
    await agreed.propose(who, reason_code="other")
    try:
        await ENDS[outcome](agreed, other, who, db)
    finally:
        await world.move_clock(None)
    after = await agreed.read()
    assert {name: after[name] for name in STANDS} == {name: before[name] for name in STANDS}
    assert after["proposal"] is None
    assert (await agreed.names(), await agreed.taken()) == (names, (3, 0))
    last = await world.owner.fetchval(
        "SELECT convert_from(body, 'UTF8')::jsonb->'data'->>'outcome' FROM events WHERE order_key = $1"
        " AND type = 'booking.proposal_ended' AND audience_id = $2",
        UUID(agreed.booking["id"]), world[other],
    )  # fmt: skip
    assert last == outcome


@pytest.mark.parametrize("who", ["school_a", "employer_a"])
async def test_a_booking_that_is_cancelled_gives_both_its_places_back(world: World, who: str) -> None:
    agreed = await Agreed.make(world)
    await agreed.propose("employer_a")
    cancelled = await world.post(who, f"{agreed.path}/cancel", {"reason_code": "other"})
    assert (cancelled.json()["state"], cancelled.json()["proposal"]) == ("cancelled", None), cancelled.text
    assert await agreed.taken() == (0, 0)
    assert (await agreed.events("school_a"))[-2:] == ["booking.proposal_ended", "booking.cancelled"]


async def test_a_cancelled_agreed_slot_and_a_hold_end_the_proposal_too(world: World, db: Database) -> None:
    agreed = await Agreed.make(world)
    await agreed.propose("employer_a")
    held = await Agreed.make(world)
    await held.propose("school_a")
    await world.post("employer_a", f"/v1/slots/{agreed.booking['slot_id']}/cancel")
    assert await upkeep.cancel_with_slot(db) >= 1
    assert ((await agreed.read())["state"], await agreed.taken()) == ("cancelled", (0, 0))
    made = (await world.post("hub_a", "/v1/suspensions", {"employer_id": world["employer_a"]})).json()
    try:
        await upkeep.hold_and_release(db)
        now = await held.read()
        assert (now["state"], now["proposal"], await held.taken()) == ("on_hold", None, (3, 0))
    finally:
        await world.post("hub_a", f"/v1/suspensions/{made['id']}/lift")
        await upkeep.hold_and_release(db)
    assert ((await held.read())["state"], (await held.read())["named"]) == ("confirmed", 2)


async def test_one_proposal_at_a_time_to_another_slot_with_places(world: World) -> None:
    agreed = await Agreed.make(world, capacity=3)
    same = await world.post("employer_a", f"{agreed.path}/reschedule", {"slot_id": agreed.booking["slot_id"]})
    assert (same.status_code, same.json()["code"]) == (409, "same_slot")
    full = await world.slot(capacity=2)
    none = await world.post("employer_a", f"{agreed.path}/reschedule", {"slot_id": full})
    assert (none.status_code, none.json()["code"]) == (409, "no_places")
    await agreed.propose("employer_a")
    assert (await agreed.read())["possible"] == ["accept_proposal", "decline_proposal", "cancel"]
    assert (await agreed.read("employer_a"))["possible"] == ["withdraw_proposal", "cancel"]
    for who in ("school_a", "employer_a"):
        twice = await world.post(who, f"{agreed.path}/reschedule", {"slot_id": agreed.other})
        assert (twice.status_code, twice.json()["code"]) == (409, "proposal_open")
    taken = await world.post(
        "school_c", "/v1/bookings", {"school_id": world["school_c"], "slot_id": agreed.other, "places": 1}
    )
    assert (taken.status_code, taken.json()["code"]) == (409, "no_places"), "its places are held"


async def test_a_pupil_who_is_elsewhere_then_stays_behind_whichever_school_says_so(world: World) -> None:
    agreed = await Agreed.make(world)
    await agreed.propose("school_a")
    then = await world.booking(
        slot=await world.slot(starts=(datetime.now(UTC) + timedelta(days=22)).replace(
            hour=10, minute=0, second=0, microsecond=0)), school="school_c")  # fmt: skip
    row = await world.owner.fetchrow(
        "SELECT person_no, person_id FROM enrolments WHERE id = $1", agreed.pupils[0]
    )
    twin = await world.pupil("school_c")
    await world.owner.execute(
        "UPDATE enrolments SET person_id = $1, person_no = $2, kind = 'subsidiary' WHERE id = $3",
        row["person_id"], row["person_no"], twin,
    )  # fmt: skip
    named = await world.post(
        "school_c", f"/v1/bookings/{then['id']}/participants", {"pupils": [{"pupil_id": twin}]}
    )
    assert named.status_code == 200, named.text
    accepted = await world.post("employer_a", f"{agreed.path}/proposal/accept")
    assert (accepted.status_code, accepted.json()["named"]) == (200, 1), accepted.text
    assert await agreed.names() == [(str(agreed.pupils[1]), "expected", str(agreed.other))]
    assert (await agreed.events("school_a"))[-2:] == ["booking.rescheduled", "booking.participants_named"]


async def test_a_strangers_answer_is_404_and_changes_nothing(world: World) -> None:
    agreed = await Agreed.make(world)
    await agreed.propose("employer_a")
    before = await world.fingerprint()
    for who in ("school_b", "employer_b", "stranger_vendor"):
        for action in ("accept", "decline", "withdraw"):
            answer = await world.post(who, f"{agreed.path}/proposal/{action}")
            assert answer.status_code == 404, answer.text
    after = await world.fingerprint()
    assert {name for name in after if after[name] != before[name]} <= {"idempotency_keys"}


async def test_a_visit_that_has_begun_is_not_moved_any_more(world: World) -> None:
    agreed = await Agreed.make(world)
    late = await Agreed.make(world)
    await agreed.propose("employer_a")
    await world.move_clock(datetime.fromisoformat(agreed.booking["starts_at"]) + timedelta(minutes=1))
    try:
        accepted = await world.post("school_a", f"{agreed.path}/proposal/accept")
        assert (accepted.status_code, accepted.json()["code"]) == (409, "deadline_passed")
        moved = await world.post("employer_a", f"{late.path}/reschedule", {"slot_id": late.other})
        assert (moved.status_code, moved.json()["code"]) == (409, "slot_started")
    finally:
        await world.move_clock(None)
