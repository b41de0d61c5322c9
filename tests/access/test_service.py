"""Client credentials, revocation, and an organisation's own clients, as `tendays_app`."""

import base64
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
import pytest_asyncio
from sqlalchemy import text

from app.access import service, sql
from app.access.service import Credentials, NewClient, OAuthRefusal, credentials_in
from app.access.tokens import Issued, Tokens
from app.core.clock import wall_now
from app.core.db import Database, system
from app.core.errors import Conflict, Invalid, NotFound, Stale, Unauthenticated
from app.core.ids import new_id
from app.core.secrets import new_client_secret
from tests.access.conftest import Org

AUDIENCES = ("https://tendays.test", "https://tendays.test/oauth/token")


async def granted(
    db: Database, tokens: Tokens, given: Credentials, scope: str | None = None, **more: object
) -> Issued:
    stated = {"grant_type": "client_credentials", "audiences": AUDIENCES, "now": wall_now(), **more}
    return await service.grant_token(db, tokens, given, scope=scope, **stated)


async def error(awaitable: Awaitable[Any]) -> str:
    with pytest.raises(OAuthRefusal) as caught:
        await awaitable
    return caught.value.code


def by_secret(org: Org) -> Credentials:
    return Credentials(str(org.client.id), secret=org.client.secret.secret)


# --- credentials ------------------------------------------------------------------------------------


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(user)}:{quote_plus(password)}".encode()).decode()


def test_credentials_come_by_basic_or_in_the_form() -> None:
    assert credentials_in({}, basic("a b:c", "p%&+")) == Credentials("a b:c", secret="p%&+")
    assert credentials_in({"client_id": "a", "client_secret": "s"}, None) == Credentials("a", secret="s")
    assert "s3cret" not in repr(Credentials("a", secret="s3cret"))


@pytest.mark.parametrize(
    ("form", "authorization", "code"),
    [
        ({}, None, "invalid_client"),
        ({"client_id": "a"}, None, "invalid_client"),
        ({"client_secret": "a"}, None, "invalid_client"),
        ({}, "Bearer x", "invalid_client"),
        ({}, "Basic !!!", "invalid_client"),
        ({}, "Basic " + base64.b64encode(b"nocolon").decode(), "invalid_client"),
        ({"client_id": "b"}, basic("a", "s"), "invalid_request"),
        ({"client_secret": "s"}, basic("a", "s"), "invalid_request"),
        ({"client_secret": "s", "client_assertion": "x"}, None, "invalid_request"),
        ({"client_assertion": "x"}, None, "invalid_request"),
        ({"client_assertion": "x", "client_assertion_type": service.ASSERTION_TYPE}, None, "invalid_client"),
    ],
)
def test_two_ways_at_once_none_or_a_broken_one_are_refused(
    form: dict[str, str], authorization: str | None, code: str
) -> None:
    with pytest.raises(OAuthRefusal) as caught:
        credentials_in(form, authorization)
    assert caught.value.code == code


# --- tokens -----------------------------------------------------------------------------------------


async def test_a_secret_gets_a_token_with_all_scopes_in_one_statement(
    db: Database, tokens: Tokens, school: Org
) -> None:
    before = db.statements
    issued = await granted(db, tokens, by_secret(school))
    assert db.statements - before == 1
    claims = tokens.verify(issued.token)
    assert claims.client_id == school.client.id
    assert (claims.org_id, claims.org_kind) == (school.id, "school")
    assert claims.scopes == set(school.client.scopes)
    async with db.read(claims.caller(wall_now())) as tx:
        assert await sql.by_id(tx, school.client.id)


async def test_scopes_are_narrowed_and_never_widened(db: Database, tokens: Tokens, school: Org) -> None:
    issued = await granted(db, tokens, by_secret(school), "bookings:read  slots:search")
    assert issued.scope == "bookings:read slots:search"
    for scope in ("offers:write", "bookings:read offers:write", "nonsense", "clock:write"):
        assert await error(granted(db, tokens, by_secret(school), scope)) == "invalid_scope"


async def test_a_scope_that_the_kind_lost_is_not_granted_any_more(
    db: Database, tokens: Tokens, owner: Database, employer: Org
) -> None:
    async with owner.write(None) as tx:
        await tx.run(
            text("UPDATE clients SET scopes = scopes || '{grants:write}' WHERE id = :id"),
            {"id": employer.client.id},
        )
    assert "grants:write" not in (await granted(db, tokens, by_secret(employer))).scope


async def test_unknown_clients_and_wrong_secrets_get_the_same_words(
    db: Database, tokens: Tokens, school: Org, employer: Org
) -> None:
    told = set()
    for given in (
        Credentials(str(new_id()), secret=school.client.secret.secret),
        Credentials("not-a-uuid", secret=school.client.secret.secret),
        Credentials(str(school.client.id), secret=new_client_secret("live")),
        Credentials(str(school.client.id), secret=employer.client.secret.secret),
        Credentials(str(school.client.id), secret="hunter2"),
        Credentials(str(school.client.id), secret=""),
    ):
        with pytest.raises(OAuthRefusal) as caught:
            await granted(db, tokens, given)
        told.add((caught.value.code, caught.value.detail))
    assert len(told) == 1
    assert told.pop()[0] == "invalid_client"


async def test_other_grant_types_are_refused(db: Database, tokens: Tokens, school: Org) -> None:
    given = by_secret(school)
    assert await error(granted(db, tokens, given, grant_type="password")) == "unsupported_grant_type"
    assert await error(granted(db, tokens, given, grant_type=None)) == "invalid_request"


async def test_a_revoked_token_is_dead_in_the_next_transaction(
    db: Database, tokens: Tokens, school: Org
) -> None:
    token = (await granted(db, tokens, by_secret(school))).token
    other = (await granted(db, tokens, by_secret(school))).token
    stated = {"audiences": AUDIENCES, "now": wall_now()}
    assert await service.revoke_token(db, tokens, by_secret(school), token=token, **stated)
    assert await service.revoke_token(db, tokens, by_secret(school), token=token, **stated)
    for door in (db.read, db.write):
        with pytest.raises(Unauthenticated):
            async with door(tokens.caller_of(token)):
                pass
    async with db.read(tokens.caller_of(other)):
        pass


async def test_a_strangers_token_is_left_alone(
    db: Database, tokens: Tokens, school: Org, employer: Org
) -> None:
    token = (await granted(db, tokens, by_secret(school))).token
    stated = {"audiences": AUDIENCES, "now": wall_now()}
    assert not await service.revoke_token(db, tokens, by_secret(employer), token=token, **stated)
    assert not await service.revoke_token(db, tokens, by_secret(employer), token="rubbish", **stated)
    async with db.read(tokens.caller_of(token)):
        pass
    wrong = Credentials(str(employer.client.id), secret=new_client_secret("live"))
    assert await error(service.revoke_token(db, tokens, wrong, token=token, **stated)) == "invalid_client"


async def test_the_broom_takes_expired_assertions_and_revocations_only(
    db: Database, worker: Database, school: Org, employer: Org
) -> None:
    async with db.write(None) as tx:
        for jti, minutes in (("past", -1), ("future", 5)):
            when = wall_now() + timedelta(minutes=minutes)
            await sql.use_assertion(tx, employer.client.id, jti, when)
            await sql.revoke_token(tx, employer.client.id, jti, when)
    async with worker.write(system()) as tx:
        assert await sql.forget_assertions(tx) + await sql.forget_revocations(tx) == 2
        assert await tx.value(text("SELECT array_agg(jti) FROM assertion_ids")) == ["future"]


# --- clients ----------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def made(db: Database, school: Org) -> NewClient:
    async with db.write(school.caller()) as tx:
        return await service.create_client(tx, name="second", wanted=["bookings:read", "clients:write"])


async def test_a_client_makes_another_of_its_own_organisation_with_no_scope_it_lacks(
    db: Database, tokens: Tokens, school: Org, made: NewClient
) -> None:
    issued = await granted(db, tokens, Credentials(str(made.id), secret=made.secret.secret))
    assert issued.scope == "bookings:read clients:write"
    async with db.write(tokens.caller_of(issued.token)) as tx:
        with pytest.raises(Invalid) as caught:
            await service.create_client(tx, name="x", wanted=["bookings:read", "pupils:read", "nonsense"])
    assert [(one.pointer, one.code) for one in caught.value.faults] == [
        ("/scopes/1", "scope_not_allowed"),
        ("/scopes/2", "unknown_scope"),
    ]


async def test_secrets_are_kept_as_hashes_and_shown_as_hints(
    db: Database, school: Org, made: NewClient
) -> None:
    async with db.read(school.caller()) as tx:
        row = await sql.by_id(tx, made.id)
    (kept,) = row["secrets"]
    assert kept["hint"] == made.secret.hint == "…" + made.secret.secret[-4:]
    assert kept.keys() == {"id", "hint", "created_at", "expires_at"}
    assert made.secret.secret not in repr(made)


async def test_clients_are_listed_page_by_page_and_a_strangers_never(
    db: Database, school: Org, employer: Org, made: NewClient
) -> None:
    async with db.read(school.caller()) as tx:
        rows = await sql.page(tx, None, 50)
        ids = [row["id"] for row in rows]
        assert {school.client.id, made.id} <= set(ids)
        assert [row["id"] for row in await sql.page(tx, ids[0], 50)] == ids[1:]
        assert len(await sql.page(tx, None, 1)) == 2
        assert await sql.by_id(tx, employer.client.id) is None
    async with db.read(employer.caller()) as tx:
        assert [row["id"] for row in await sql.page(tx, None, 50)] == [employer.client.id]


async def test_the_app_cannot_make_a_client_for_another_organisation(
    db: Database, school: Org, employer: Org
) -> None:
    with pytest.raises(NotFound):
        async with db.write(school.caller()) as tx:
            await service.register_client(tx, org_id=employer.id, org_kind="employer", name="mine")


async def test_a_rotated_secret_overlaps_with_the_old_one_or_ends_it_at_once(
    db: Database, tokens: Tokens, school: Org, made: NewClient
) -> None:
    old = Credentials(str(made.id), secret=made.secret.secret)
    async with db.write(school.caller()) as tx:
        second = await service.rotate_secret(tx, made.id)
    assert await granted(db, tokens, old)
    assert await granted(db, tokens, Credentials(str(made.id), secret=second.secret))
    async with db.write(school.caller()) as tx:
        third = await service.rotate_secret(tx, made.id, overlap=timedelta(0))
    for dead in (old, Credentials(str(made.id), secret=second.secret)):
        assert await error(granted(db, tokens, dead)) == "invalid_client"
    assert await granted(db, tokens, Credentials(str(made.id), secret=third.secret))


async def test_secrets_do_not_pile_up(db: Database, school: Org, made: NewClient) -> None:
    async with db.write(school.caller()) as tx:
        for _ in range(service.MOST_SECRETS - 1):
            await service.rotate_secret(tx, made.id)
        with pytest.raises(Conflict, match="overlap"):
            await service.rotate_secret(tx, made.id)
        await service.rotate_secret(tx, made.id, overlap=timedelta(0))
        for days in (-1, 31):
            with pytest.raises(Invalid):
                await service.rotate_secret(tx, made.id, overlap=timedelta(days=days))


async def test_a_revoked_client_is_out_with_every_token_it_holds(
    db: Database, tokens: Tokens, school: Org, made: NewClient
) -> None:
    given = Credentials(str(made.id), secret=made.secret.secret)
    token = (await granted(db, tokens, given)).token
    async with db.write(school.caller()) as tx:
        with pytest.raises(Stale):
            await service.revoke_client(tx, made.id, version=7)
        await service.revoke_client(tx, made.id, version=1)
        await service.revoke_client(tx, made.id)
        with pytest.raises(Conflict, match="revoked"):
            await service.rotate_secret(tx, made.id)
    assert await error(granted(db, tokens, given)) == "invalid_client"
    with pytest.raises(Unauthenticated):
        async with db.read(tokens.caller_of(token)):
            pass


async def test_a_strangers_client_is_not_found_and_not_changed(
    db: Database, school: Org, employer: Org
) -> None:
    async with db.write(school.caller()) as tx:
        for act in (service.revoke_client, service.rotate_secret):
            with pytest.raises(NotFound):
                await act(tx, employer.client.id)
    async with db.read(employer.caller()) as tx:
        assert (await sql.by_id(tx, employer.client.id))["version"] == 1
