"""What an operator does by hand, as real processes on real Postgres: the first client, the keys, the master key."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.access import sql
from app.access.service import Credentials, grant_token
from app.access.tokens import SETTLE, Tokens
from app.by_hand import Refused, Wanted, make_client, retire, rotate_keys
from app.core.clock import wall_now
from app.core.db import Database
from app.core.embedded import free_port
from app.core.ids import new_id
from app.core.roles import Dsns
from app.core.secrets import new_master
from app.rules.words import OrganisationKind as Kind
from app.settings import Settings, SettingsRefused, load
from tests.access.conftest import ISSUER

MASTER = new_master()
ROOT = Path(__file__).parents[2]


@dataclass
class Done:
    code: int
    out: str
    said: str


async def tendays(*asked: str, **settings: str) -> Done:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("TENDAYS_")}
    named = {f"TENDAYS_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", *asked, cwd=ROOT, env=plain | named,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, said = await asyncio.wait_for(process.communicate(), 60)
    return Done(process.returncode or 0, out.decode(), said.decode())


@pytest.fixture(scope="module")
def settings(dsns: Dsns) -> Settings:
    return load(
        env="production",
        owner_database_url=dsns.owner,
        database_url=dsns.app,
        secret_key=MASTER,
        base_url=ISSUER,
    )


# --- the first client -----------------------------------------------------------------------------


async def test_in_production_a_client_and_its_organisation_are_made_by_one_command(
    db: Database, dsns: Dsns, settings: Settings
) -> None:
    asked = (
        "client",
        "--name",
        "First",
        "--kind",
        "hub",
        "--organisation",
        "Hub of the north",
        "--scope",
        "clients:write",
    )
    done = await tendays(*asked, env="production", owner_database_url=dsns.owner)
    assert done.code == 0, done.said
    made = json.loads(done.out)
    assert made["client_secret"].startswith("tds_live_")
    assert (made["organisation_made"], made["scopes"]) == (True, ["clients:write"])
    tokens = await Tokens(db, settings.keyring(), issuer=ISSUER).open()
    given = Credentials(made["client_id"], secret=made["client_secret"])
    issued = await grant_token(
        db, tokens, given, grant_type="client_credentials", scope=None, audiences=(ISSUER,), now=wall_now()
    )
    assert str(tokens.verify(issued.token).org_id) == made["organisation_id"]
    await tokens.close()
    again = await tendays(*asked, env="production", owner_database_url=dsns.owner)
    assert again.code == 1
    assert again.out == ""
    assert made["organisation_id"] in again.said
    assert "Traceback" not in again.said


@pytest.mark.parametrize("named", [{"urn": "123456"}, {"organisation_id": new_id()}])
async def test_an_organisation_is_never_made_twice(settings: Settings, named: dict[str, Any]) -> None:
    wanted = Wanted("First", Kind.SCHOOL, "Lea Bridge School", **named)
    made = [await make_client(settings, wanted) for _ in range(3)]
    assert len({one["organisation_id"] for one in made}) == 1
    assert len({one["client_id"] for one in made}) == 3
    assert [one["organisation_made"] for one in made] == [True, False, False]


async def test_what_does_not_fit_is_refused_and_leaves_nothing(settings: Settings, owner: Database) -> None:
    school = await make_client(settings, Wanted("First", Kind.SCHOOL, "Ash", urn="654321"))
    before = await _organisations(owner)
    for wanted, why in (
        (Wanted("x", Kind.HUB, organisation_id=school["organisation_id"]), "kind school"),
        (Wanted("x", Kind.SCHOOL, "Beech", urn="654321", organisation_id=new_id()), "Ash"),
        (Wanted("x", Kind.HUB, "H", urn="654321"), "no URN"),
        (Wanted("x", Kind.SCHOOL, "H", urn="12"), "URN"),
        (Wanted("x", Kind.SCHOOL, urn="111111"), "--organisation"),
        (Wanted("x", Kind.SCHOOL, "Ash"), "--organisation-id"),
        (Wanted("x", Kind.HUB, "New hub", scopes=("pupils:read",)), "scope"),
    ):
        with pytest.raises(Refused, match=why):
            await make_client(settings, wanted)
    assert await _organisations(owner) == before


async def _organisations(owner: Database) -> int:
    from app.organisations import sql as organisations  # noqa: PLC0415  (here only)

    async with owner.write(None) as tx:
        return len(await organisations.after_id(tx, "organisation", [], None, 1000))


# --- the keys -------------------------------------------------------------------------------------


async def _kids(owner: Database) -> Sequence[str]:
    async with owner.write(None) as tx:
        return [row["kid"] for row in await sql.signing_keys_newest(tx)]


async def test_a_key_made_by_hand_signs_later_and_a_retired_one_is_refused(
    db: Database, owner: Database, settings: Settings
) -> None:
    tokens = await Tokens(db, settings.keyring(), issuer=ISSUER).open()
    who: dict[str, Any] = {"client_id": new_id(), "org_id": new_id(), "org_kind": "hub", "scopes": []}
    old, token = tokens._signer().kid, tokens.issue(**who).token
    made = await rotate_keys(settings, at_once=False)
    await tokens.reload()
    assert tokens._signer().kid == old
    assert {key["kid"] for key in tokens.jwks()["keys"]} >= {old, made}
    tokens._clock = lambda: wall_now() + SETTLE
    assert tokens._signer().kid == made
    assert tokens.verify(token)
    assert await retire(settings, old) is None
    await tokens.reload()
    with pytest.raises(Exception, match="not one of ours"):
        tokens.verify(token)
    for kid in (await _kids(owner))[:-1]:
        assert await retire(settings, kid) is None
    (last,) = await _kids(owner)
    another = await retire(settings, last)
    assert await _kids(owner) == [another], "a house without a key could let nobody in"
    with pytest.raises(Refused, match="no such key"):
        await retire(settings, last)
    await tokens.close()


async def test_a_master_key_that_does_not_fit_is_named_in_one_line(
    db: Database, owner: Database, dsns: Dsns, settings: Settings
) -> None:
    await (await Tokens(db, settings.keyring(), issuer=ISSUER).open()).close()
    before = await _kids(owner)
    wrong = {"env": "production", "secret_key": new_master(), "base_url": ISSUER, "port": str(free_port())}
    for asked in (("api",), ("keys", "rotate")):
        done = await tendays(
            *asked,
            **wrong,
            owner_database_url=dsns.owner,
            database_url=dsns.app,
            worker_database_url=dsns.worker,
        )
        assert (done.code, done.out) == (1, ""), done.said
        assert "TENDAYS_SECRET_KEY" in done.said
        assert len(done.said.strip().splitlines()) == 1, done.said
        assert wrong["secret_key"] not in done.said
    assert await _kids(owner) == before, "no key is sealed with it"


def test_a_master_key_that_is_none_is_named(dsns: Dsns) -> None:
    with pytest.raises(SettingsRefused, match="TENDAYS_SECRET_KEY"):
        load(env="test", secret_key="short").keyring()
