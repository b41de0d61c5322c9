"""A day at an employer's: a confirmed booking with named pupils, the clock moved to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from app.core.ids import new_id
from tests.today import time_in
from tests.world import World


@dataclass
class Visit:
    """One booking on its day. `parts` are participation ids, in the order of `pupils`."""

    world: World
    booking: str
    starts: datetime
    sittings: list[str]
    pupils: list[UUID]
    parts: list[str] = field(default_factory=list)

    async def at(self, minutes: float) -> None:
        """Move the clock to so many minutes after the start."""
        await self.world.move_clock(self.starts + timedelta(minutes=minutes))

    async def arrivals(
        self, who: str, there: list[str], missing: tuple[str, ...] = (), **more: Any
    ) -> httpx.Response:
        body = {"arrivals": [{"participation_id": one} for one in there], "missing": list(missing), **more}
        return await self.world.post(who, f"/v1/bookings/{self.booking}/arrivals", body)

    async def attendance(self, who: str, reports: list[dict[str, Any]], sitting: int = 0) -> httpx.Response:
        body = {"sitting_id": self.sittings[sitting], "reports": reports}
        return await self.world.post(who, f"/v1/bookings/{self.booking}/attendance", body)

    async def all_present(self, who: str, sitting: int = 0) -> httpx.Response:
        return await self.attendance(who, [said(one, "present") for one in self.parts], sitting)

    async def state(self) -> str:
        return str(
            await self.world.owner.fetchval("SELECT state FROM bookings WHERE id = $1", UUID(self.booking))
        )

    async def events(self, audience: str = "school_a") -> list[str]:
        rows = await self.world.owner.fetch(
            "SELECT type FROM events WHERE order_key = $1 AND audience_id = $2 ORDER BY sequence",
            UUID(self.booking),
            self.world[audience],
        )
        return [row["type"] for row in rows]

    async def balance(self, at: int = 0) -> dict[str, Any]:
        row = await self.world.owner.fetchrow(
            "SELECT * FROM balances WHERE enrolment_id = $1", self.pupils[at]
        )
        return dict(row) if row else {}


def said(part: str, status: str, **more: Any) -> dict[str, Any]:
    return {"participation_id": part, "status": status, **more}


@asynccontextmanager
async def visit(
    world: World, pupils: int = 2, *, sittings: int = 1, kind: str = "workplace_tour", nc_year: str = "8"
) -> AsyncIterator[Visit]:
    """A visit three weeks ahead, two hours a sitting, one sitting a day. Afterwards the clock is put back."""
    starts = time_in(21)
    slot = await world.slot(
        starts=starts, capacity=max(pupils, 1), kind=kind, years=("7", "8", "9", "10", "11")
    )
    for no in range(2, sittings + 1):
        begins = starts + timedelta(days=no - 1)
        await world.owner.execute(
            "INSERT INTO sittings (id, slot_id, employer_id, no, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6)",
            new_id(), slot, world["employer_a"], no, begins, begins + timedelta(hours=2),
        )  # fmt: skip
        await world.owner.execute(
            "UPDATE slots SET ends_at = $1 WHERE id = $2", begins + timedelta(hours=2), slot
        )
    asked = {"school_id": world["school_a"], "slot_id": slot, "places": pupils, "nc_year": nc_year}
    made = (await world.post("school_a", "/v1/bookings", asked)).json()
    confirmed = await world.post("employer_a", f"/v1/bookings/{made['id']}/confirm")
    assert confirmed.status_code == 200, confirmed.text
    ids = [await world.pupil("school_a", nc_year) for _ in range(pupils)]
    agreed = {"parental_agreement": "given"} if kind == "placement" else {}
    named = await world.post(
        "school_a",
        f"/v1/bookings/{made['id']}/participants",
        {"pupils": [{"pupil_id": one, **agreed} for one in ids]},
    )
    assert named.status_code == 200, named.text
    rows = await world.owner.fetch("SELECT id FROM sittings WHERE slot_id = $1 ORDER BY no", slot)
    found = Visit(world, made["id"], starts, [str(row["id"]) for row in rows], ids)
    by_pupil = {row["pupil_id"]: row["id"] for row in named.json()["data"]}
    found.parts = [by_pupil[str(one)] for one in ids]
    try:
        yield found
    finally:
        await world.move_clock(None)
