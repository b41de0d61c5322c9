"""Schools whose controllers have signed, and pupils as an MIS sends them."""

from collections.abc import Callable
from datetime import date
from itertools import count
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from app.rules.upn import check_letter
from tests.world import World

_numbers = count(1)


def new_upn() -> str:
    body = f"9{next(_numbers):011d}"
    return check_letter(body) + body


@pytest.fixture
def pupil() -> Callable[..., dict[str, Any]]:
    """A row of a bulk with what every row needs, a fresh reference and a fresh UPN."""

    def make(**more: Any) -> dict[str, Any]:
        row = {
            "external_ref": str(uuid4()),
            "upn": new_upn(),
            "given_name": "Ada",
            "family_name": "Example",
            "date_of_birth": "2014-03-09",
            "nc_year": "8",
        }
        return {name: value for name, value in {**row, **more}.items() if value is not ...}

    return make


@pytest.fixture
def send(world: World) -> Callable[..., Any]:
    """`await send(who, school, rows, atomic=False)`: a bulk and its answer."""

    async def bulk(who: str, school: str, rows: list[Any], query: str = "") -> dict[str, Any]:
        answer = await world.post(who, f"/v1/schools/{world[school]}/pupils/bulk{query}", {"pupils": rows})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = orjson.loads(answer.content)
        return found

    return bulk


@pytest_asyncio.fixture(scope="module", autouse=True)
async def signed(world: World) -> None:
    """The trust and the school outside it have recorded agreements."""
    for who in ("trust", "school_c"):
        await world.insert(
            "agreements", controller_id=world[who], agreement_version="1", signed_on=date(2026, 9, 1),
            signatory_role="Head", lawful_basis="public task", recorded_by=world.clients[who],
        )  # fmt: skip
