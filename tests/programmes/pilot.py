"""A programme under test: begun by an owner, with short ways to its parts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from tests.today import TODAY
from tests.world import World

STARTS, ENDS = TODAY - timedelta(days=60), TODAY + timedelta(days=300)


@dataclass
class Pilot:
    """One programme: `path` is its own."""

    world: World
    owner: str
    path: str

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]

    async def add(self, part: str, body: Any, *, who: str | None = None) -> httpx.Response:
        return await self.world.post(who or self.owner, f"{self.path}/{part}", body)

    async def made(self, part: str, body: Any, *, who: str | None = None) -> dict[str, Any]:
        answer = await self.add(part, body, who=who)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def strand(self, code: str) -> str:
        return str((await self.made("strands", {"code": code, "name": code.title()}))["id"])

    async def enrol(self, school: str, strand: str | None = None, **more: Any) -> dict[str, Any]:
        return await self.made("schools", {"school_id": self.world[school], "strand_id": strand, **more})

    async def allocate(self, school: str, pence: int) -> dict[str, Any]:
        return await self.made("allocations", {"school_id": self.world[school], "amount_pence": pence})

    async def rows(self, part: str, who: str | None = None) -> list[dict[str, Any]]:
        answer = await self.world.get(who or self.owner, f"{self.path}/{part}")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    async def export(self, part: str, who: str | None = None) -> str:
        answer = await self.world.get(who or self.owner, f"{self.path}/export?part={part}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        return answer.text

    async def load(
        self,
        part: str,
        table: str | bytes,
        *,
        who: str | None = None,
        query: str = "",
        media: str = "text/csv",
    ) -> httpx.Response:
        body = table if isinstance(table, bytes) else table.encode()
        path = f"{self.path}/import?part={part}{query}"
        return await self.world.post(who or self.owner, path, body, Content_Type=media)

    async def refused(self, answer: httpx.Response, status: int, code: str, pointer: str | None) -> None:
        """A refusal with this code, whose first fault is at `pointer` (and of this code where it is a conflict)."""
        assert answer.status_code == status, answer.text
        said = answer.json()
        faults = said.get("errors", [])
        assert code in {said["code"], *(one["code"] for one in faults)}, said
        if pointer is not None:
            assert faults[0]["pointer"] == pointer, said


async def pilot(world: World, owner: str = "hub_a", **more: Any) -> Pilot:
    body = {
        "name": "Pilot",
        "funder": "A fund",
        "starts_on": STARTS,
        "ends_on": ENDS,
        "budget_pence": 100_000,
    }
    made = await world.post(owner, "/v1/programmes", body | more)
    assert made.status_code == 201, made.text
    return Pilot(world, owner, str(made.headers["location"]))


def cost(world: World, school: str, pence: int, **more: Any) -> dict[str, Any]:
    line = {
        "school_id": world[school], "kind": "coach", "stage": "commitment", "paid_by": "programme",
        "amount_pence": pence, "on_date": TODAY,
    }  # fmt: skip
    return line | more
