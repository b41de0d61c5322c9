"""The first client of an organisation over HTTP: its registrar makes it once, and nobody else does."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.core.ids import new_id
from app.core.secrets import hash_client_secret
from tests.world import World

BODY = {"name": "HR system, production"}


async def registered(world: World, by: str = "hub_a", kind: str = "employer") -> str:
    made = await world.post(by, "/v1/organisations", {"kind": kind, "name": f"New {kind}"})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def begin(world: World, who: str, organisation: Any, body: Any = None, **more: Any) -> httpx.Response:
    return await world.post(who, f"/v1/organisations/{organisation}/clients", body or BODY, **more)


async def test_the_registrar_makes_it_and_it_acts_for_the_organisation(world: World) -> None:
    organisation = await registered(world)
    made = await begin(world, "hub_a", organisation, {**BODY, "scopes": ["slots:write", "clients:read"]})
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["organisation_id"], shown["scopes"]) == (organisation, ["clients:read", "slots:write"])
    proof = httpx.BasicAuth(shown["id"], shown["client_secret"])
    token = await world.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=proof)
    headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
    own = await world.http.get("/v1/clients", headers=headers)
    assert [one["id"] for one in own.json()["data"]] == [shown["id"]]
    seen = await world.get("hub_a", f"/v1/clients/{shown['id']}")
    assert seen.status_code == 404, "it is the organisation's from now on"


async def test_a_repetition_gives_the_same_secret_and_a_second_one_is_refused(world: World) -> None:
    organisation = await registered(world)
    first = await begin(world, "hub_a", organisation, key="once")
    again = await begin(world, "hub_a", organisation, key="once")
    assert again.json() == first.json()
    second = await begin(world, "hub_a", organisation)
    assert (second.status_code, second.json()["code"]) == (409, "has_a_client")
    await world.owner.execute("UPDATE clients SET revoked_at = now() WHERE org_id = $1", UUID(organisation))
    assert (await begin(world, "hub_a", organisation)).status_code == 409, "nor after the first has ended"


async def test_of_two_at_once_one_is_made(world: World) -> None:
    organisation = await registered(world, kind="school")
    answers = await asyncio.gather(*(begin(world, "hub_a", organisation) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [201, 409, 409, 409, 409]


async def test_a_kind_gets_no_scope_that_it_cannot_have(world: World) -> None:
    organisation = await registered(world)
    refused = await begin(world, "hub_a", organisation, {**BODY, "scopes": ["slots:write", "pupils:read"]})
    assert [(one["pointer"], one["code"]) for one in refused.json()["errors"]] == [
        ("/scopes/1", "scope_not_allowed")
    ]
    assert await world.count("clients", "org_id = $1", UUID(organisation)) == 0


@pytest.mark.parametrize("who", ["hub_b", "national", "school_a", "vendor", "employer_a", "trust"])
async def test_an_organisation_that_somebody_else_registered_is_not_there(world: World, who: str) -> None:
    organisation = await registered(world)
    before = await world.fingerprint()
    for one in (organisation, world[who], world["school_c"], new_id()):
        answer = await begin(world, who, one)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), one
    assert await world.fingerprint() == before


async def test_a_closed_organisation_gets_none(world: World) -> None:
    organisation = await registered(world)
    await world.owner.execute("UPDATE organisations SET status = 'closed' WHERE id = $1", UUID(organisation))
    assert (await begin(world, "hub_a", organisation)).status_code == 404


# --- row security alone ---------------------------------------------------------------------------


async def _entered(world: World, who: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(world.dsns.app)
    await connection.execute("BEGIN")
    await connection.fetch("SELECT app.enter($1, NULL, NULL)", world.clients[who])
    return connection


ADD_CLIENT = "INSERT INTO clients (id, org_id, name, scopes, created_by) VALUES ($1, $2, 'x', '{}', $3)"
ADD_SECRET = "INSERT INTO client_secrets (id, client_id, hint, secret_hash) VALUES ($1, $2, 'x', $3)"


@pytest.mark.parametrize(
    ("who", "as_whom"), [("hub_b", "hub_b"), ("national", "national"), ("hub_a", "hub_b")]
)
async def test_the_database_refuses_a_client_of_anothers_organisation(
    world: World, who: str, as_whom: str
) -> None:
    organisation = UUID(await registered(world))
    tx = await _entered(world, who)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await tx.execute(ADD_CLIENT, new_id(), organisation, world.clients[as_whom])
    await tx.close()


async def test_the_database_refuses_the_registrar_a_second_client_and_a_later_secret(world: World) -> None:
    made = (await begin(world, "hub_a", organisation := await registered(world))).json()
    tx = await _entered(world, "hub_a")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await tx.execute(ADD_CLIENT, new_id(), UUID(organisation), world.clients["hub_a"])
    await tx.close()
    await world.owner.execute("DELETE FROM client_secrets WHERE client_id = $1", UUID(made["id"]))
    for client in (UUID(made["id"]), world.clients["school_a"]):
        tx = await _entered(world, "hub_a")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.execute(ADD_SECRET, new_id(), client, hash_client_secret("x"))
        await tx.close()
