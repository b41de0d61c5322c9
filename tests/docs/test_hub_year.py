"""The guide "A hub's year", from an empty programme to the return: each step as it stands there, in its order."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import httpx
import orjson
import pytest

from app.dashboards import service
from app.rules.words import Criterion
from tests.docs.conftest import Desk
from tests.docs.guide import DOCS, Block, Values, blocks, unlike
from tests.docs.hub_year_made import YEAR, Hub, attended, booked, make, move_clock

pytestmark = pytest.mark.calendar

GUIDE: Final = DOCS / "hub-year.md"
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
ALL_CRITERIA: Final = [one.value for one in Criterion]


class Walk:
    """The page, followed by the hub, with what happens beside it between one section and the next."""

    def __init__(self, desk: Desk, hub: Hub) -> None:
        self.desk, self.hub = desk, hub
        named = {"YEAR": str(YEAR), "THEN": str(YEAR + 1), "BASIC": hub.basic}
        named |= {f"{name}_TOKEN": token for name, token in hub.tokens.items()}
        named |= {
            f"{name}_ID": str(one) for name, one in hub.ids.items() if name not in {"DUNMORE", "ALDERBROOK"}
        }
        self.values = Values(named)
        self.bookings: dict[str, dict[str, Any]] = {}
        self.told: list[tuple[str, Any]] = []
        self.steps = 0

    async def follow(self) -> None:
        """Every block of the page; what happens between two months happens before the blocks below a heading."""
        text = GUIDE.read_text(encoding="utf-8")
        headings = [(text.count("\n", 0, one.start()) + 1, one[1]) for one in _HEADING.finditer(text)]
        found = blocks(GUIDE, "http", "graphql", "json", "csv")
        for at, block in enumerate(found):
            while headings and headings[0][0] < block.line:
                await self._begin(headings.pop(0)[1])
            shown = found[at + 1] if at + 1 < len(found) else None
            await self._take(block, shown)

    async def _begin(self, heading: str) -> None:
        await BEFORE[heading](self)

    async def _take(self, block: Block, shown: Block | None) -> None:
        if block.language == "http":
            answer = await self.desk.take(GUIDE, block, self.values)
            if shown and shown.language == "csv":
                self._same_table(shown, answer.text)
        elif block.language == "graphql":
            assert shown, f"line {block.line}: no answer is shown"
            await self._ask(block, shown)
        else:
            return
        self.steps += 1

    async def _ask(self, block: Block, shown: Block) -> None:
        if "$RETURN_KNOWN_AT" in block.text:
            self.remember(RETURN_KNOWN_AT=await _now())
        query = self.values.put_into(block.text)
        answer = await self._answer(query)
        if "KNOWN_AT" in block.text:
            self.told.append((query, answer))
        wanted = orjson.loads(self.values.put_into(shown.text))
        problems = list(unlike(wanted, answer))
        text = orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()
        assert not problems, f"{GUIDE.name}, line {block.line}\n" + "\n".join(problems) + f"\n{text}"

    async def _answer(self, query: str) -> Any:
        """As the page's own client, with the scopes that it asked for."""
        bearer = f"Bearer {self.values.known['TOKEN']}"
        answer = await self.hub.world.send(None, "POST", "/graphql", {"query": query}, Authorization=bearer)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _same_table(self, shown: Block, answer: str) -> None:
        wanted = re.escape(self.values.put_into(shown.text)).replace("…", "[^,]*")
        assert re.fullmatch(wanted, answer.replace("\r\n", "\n")), f"line {shown.line}\n{answer}"

    async def ask_again(self) -> None:
        """Everything that was asked with a moment of knowledge is answered as it was."""
        for query, was in self.told:
            problems = list(unlike(was, await self._answer(query)))
            assert not problems, f"{query}\n" + "\n".join(problems)

    async def differ(self) -> int:
        """How many of these answers are others without that moment."""
        others = 0
        for query, was in self.told:
            now = re.sub(r', knownAt: "[^"]*"', "", query)
            others += was != await self._answer(now)
        return others

    def remember(self, **named: Any) -> None:
        """Names of the page: a text as it is, anything else as JSON."""
        for name, value in named.items():
            self.values.known[name] = (
                value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
            )

    def strand(self, name: str) -> tuple[str, str]:
        known = self.values.known
        return known["PROGRAMME_ID"], known[f"{name}_ID"]


async def _september(walk: Walk) -> None:
    await move_clock(walk.hub, f"{YEAR}-09-15T09:00:00Z")


async def _october(walk: Walk) -> None:
    await move_clock(walk.hub, f"{YEAR}-10-05T09:00:00Z")
    pupils = walk.hub.pupils
    going = pupils["ALDERBROOK", "8", "N"][:14] + pupils["ALDERBROOK", "8", "K"][:6]
    walk.remember(PUPILS=[{"pupil_id": one} for one in going])


async def _the_day(walk: Walk) -> None:
    """The other two bookings of October first. Then the morning: the last to be named, of those with support, is missing."""
    hub, pupils = walk.hub, walk.hub.pupils
    walk.bookings["project"] = await booked(
        hub, "ALDERBROOK", pupils["ALDERBROOK", "9", "N"][:15], [f"{YEAR}-11-18"], "employer_project",
        *walk.strand("PROJECT"),
    )  # fmt: skip
    walk.bookings["placement"] = await booked(
        hub, "BIRCHFIELD", pupils["BIRCHFIELD", "10", None][:15],
        [f"{YEAR + 1}-02-{day}" for day in ("14", "15", "16", "17", "18")], "placement",
        *walk.strand("PLACEMENT"),
    )  # fmt: skip
    await move_clock(hub, f"{YEAR}-10-20T10:10:00Z")
    path = f"/v1/bookings/{walk.values.known['BOOKING_ID']}/participants"
    named = (await hub.send("ALDERBROOK", "GET", path))["data"]
    late = str(pupils["ALDERBROOK", "8", "K"][5])
    there = [one for one in named if one["pupil_id"] != late]
    walk.remember(
        ARRIVALS=[{"participation_id": one["id"]} for one in there],
        REPORTS=[{"participation_id": one["id"], "status": "present"} for one in there],
        CORRECTED=[
            {
                "participation_id": one["id"],
                "status": "left_early",
                "left_at": f"{YEAR}-10-20T11:00:00Z",
                "decides": True,
            }
            for one in there
        ],
        MISSING_ID=next(one["id"] for one in named if one["pupil_id"] == late),
        SITTING_ID=named[0]["sittings"][0]["sitting_id"],
    )


async def _after(walk: Walk) -> None:
    await move_clock(walk.hub, f"{YEAR}-10-20T12:15:00Z")


async def _december(walk: Walk) -> None:
    await move_clock(walk.hub, f"{YEAR}-11-18T15:10:00Z")
    await attended(walk.hub, "ALDERBROOK", walk.bookings["project"], ALL_CRITERIA)
    await move_clock(walk.hub, f"{YEAR}-12-31T16:00:00Z")
    walk.remember(KNOWN_AT=await _now())


async def _spring(walk: Walk) -> None:
    await move_clock(walk.hub, f"{YEAR + 1}-02-18T15:10:00Z")
    await attended(walk.hub, "BIRCHFIELD", walk.bookings["placement"], ALL_CRITERIA)
    await move_clock(walk.hub, f"{YEAR + 1}-03-08T09:00:00Z")


async def _july(walk: Walk) -> None:
    assert len(walk.told) > 4
    await walk.ask_again()
    walk.told = [one for one in walk.told if "now:" not in one[0]]  # what is known now may change
    await move_clock(walk.hub, f"{YEAR + 1}-07-31T09:00:00Z")


BEFORE: Final[dict[str, Callable[[Walk], Awaitable[None]]]] = {
    "September: the programme": _september,
    "October: bookings": _october,
    "The day of the visit": _the_day,
    "After it: encounters, and what was paid": _after,
    "31 December: the figures": _december,
    "Spring: a correction": _spring,
    "31 July: the return": _july,
}
"""What happens beside the page, by the heading that it comes before."""


async def _unsettle_programme(walk: Walk) -> None:
    """After the return: other targets and money, another strand for the tour, a school that never was in it."""
    hub, known = walk.hub, walk.values.known
    path = f"/v1/programmes/{known['PROGRAMME_ID']}"
    await _change(hub, path, {"state": "running", "budget_pence": 250_000})
    for part, body in (
        ("targets", {"value": 60}), ("allocations", {"amount_pence": 60_000}), ("schools", {"own_budget": "sufficient"}),
    ):  # fmt: skip
        first = (await hub.send("HUB", "GET", f"{path}/{part}"))["data"][0]
        await _change(hub, f"{path}/{part}/{first['id']}", body)
    assigned = {"programme_id": known["PROGRAMME_ID"], "strand_id": known["PROJECT_ID"]}
    await hub.send("ALDERBROOK", "POST", f"/v1/bookings/{known['BOOKING_ID']}/assign", assigned)
    await hub.send("ALDERBROOK", "POST", f"/v1/bookings/{known['BOOKING_ID']}/criteria", {"criteria": []})
    await hub.send("HUB", "POST", f"{path}/schools/{known['INVITED_ID']}/leave", {"left_on": f"{YEAR}-10-01"})
    line = (await hub.send("HUB", "GET", f"{path}/costs"))["data"][0]
    assert (await _sent(hub, "DELETE", f"{path}/costs/{line['id']}")).status_code == 204
    told = {name: line[name] for name in ("school_id", "booking_id", "kind", "stage", "paid_by", "on_date")}
    await hub.send("HUB", "POST", f"{path}/costs", {**told, "amount_pence": 100})


async def _unsettle_pupils(walk: Walk) -> None:
    """And other pupils: who had support, who was in Year 7, who was there at all, and whose school it was."""
    hub, run = walk.hub, walk.hub.world.owner.execute
    supported = hub.pupils["ALDERBROOK", "8", "K"]
    await run(
        "UPDATE characteristics SET superseded_at = now() WHERE enrolment_id = ANY ($1)", supported[:12]
    )
    youngest = hub.pupils["ALDERBROOK", "7", "N"]
    await run("UPDATE nc_years SET nc_year = '10' WHERE enrolment_id = ANY ($1)", youngest)
    left = "UPDATE enrolments SET ends_on = $2, state = 'left' WHERE id = $1"
    await run(left, supported[0], date(YEAR, 9, 30))
    gone = "UPDATE memberships SET ends_on = $2 WHERE member_id = $1"
    await run(gone, hub.ids["BIRCHFIELD"], date(YEAR, 9, 1))


async def _sent(hub: Hub, method: str, path: str) -> httpx.Response:
    return await hub.world.send(None, method, path, Authorization=f"Bearer {hub.tokens['HUB']}")


async def _change(hub: Hub, path: str, body: dict[str, Any]) -> None:
    bearer = f"Bearer {hub.tokens['HUB']}"
    read = await hub.world.get(None, path, Authorization=bearer)
    done = await hub.world.send(
        None, "PATCH", path, body, Authorization=bearer, If_Match=read.headers["ETag"]
    )
    assert done.status_code == 200, f"{path}: {done.text}"


async def _now() -> str:
    """This moment, in milliseconds as answers have them: what was written just before it lies before it."""
    await asyncio.sleep(0.005)
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_hubs_year(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # Recorded times are wall time, and nobody waits a minute here, or for a midnight: whatever is answered has been written.
    monkeypatch.setattr(service, "SETTLED", timedelta(0))
    monkeypatch.setattr(service, "is_closing", lambda _: True)
    walk = Walk(desk, await make(desk.world))
    await walk.follow()
    assert walk.steps > 40
    await _unsettle_programme(walk)
    await _unsettle_pupils(walk)
    await walk.ask_again()
    assert await walk.differ() == len(walk.told)
