"""The guides are true: each request in them is sent as it stands, in order, and answered as they say."""

from collections.abc import AsyncIterator
from datetime import date, datetime

import pytest
import pytest_asyncio
from aiohttp import web

from app.rules.school_calendar import academic_year
from tests.docs.conftest import Desk
from tests.docs.guide import DOCS

pytestmark = pytest.mark.calendar


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[str]:
    """Somebody who listens and says 204. Signatures are another test's."""

    async def take(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/tendays", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/tendays"
    await runner.cleanup()


async def _slot(desk: Desk, day: str) -> str:
    starts = datetime.fromisoformat(f"{day}T10:00:00Z")
    return str(await desk.world.slot("employer_a", starts=starts))


async def test_the_guide_for_a_mis_vendor(desk: Desk, receiver: str) -> None:
    values = await desk.values("vendor", TRUST="trust", SCHOOL="school_a", EMPLOYER="employer_a")
    values.known |= {
        "RECEIVER_URL": receiver,
        "YEAR": str(academic_year(date.fromisoformat(values.known["DAY"]))),
        "FIRST_SLOT_ID": await _slot(desk, values.known["DAY"]),
        "NEXT_SLOT_ID": await _slot(desk, values.known["NEXT_DAY"]),
    }
    assert await desk.follow(DOCS / "mis-vendor.md", values) > 25


async def test_the_guide_for_an_employers_hr_system(desk: Desk, receiver: str) -> None:
    values = await desk.values("employer_b", SCHOOL="school_c", HUB="hub_a")
    pupils = [str(await desk.world.pupil("school_c")) for _ in range(2)]
    values.known |= {"RECEIVER_URL": receiver, "PUPIL_ID": pupils[0], "OTHER_PUPIL_ID": pupils[1]}
    assert await desk.follow(DOCS / "employer-hr-system.md", values) > 25


async def test_the_guide_for_who_runs_a_programme(desk: Desk) -> None:
    values = await desk.values("hub_a", MEMBER="school_a", GUEST="school_b")
    values.known |= {"TOKEN": desk.world.tokens["hub_a"], "SLOT_ID": await _slot(desk, values.known["DAY"])}
    assert await desk.follow(DOCS / "programmes.md", values) > 20
