"""A database opened as each role, two organisations, and the tokens of a house."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import insert

from app.access import service
from app.access.service import NewClient
from app.access.tokens import Tokens
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database
from app.core.ids import new_id
from app.core.roles import Dsns
from app.core.secrets import Keyring
from app.organisations.tables import organisations

ISSUER = "https://tendays.test"
KEYRING = Keyring([b"k" * 32])


@dataclass(frozen=True)
class Org:
    id: UUID
    kind: str
    client: NewClient

    def caller(self) -> Caller:
        scopes = frozenset(self.client.scopes)
        return Caller(self.client.id, self.id, self.kind, scopes, wall_now())


async def register(owner: Database, kind: str) -> Org:
    """An organisation and its first client, as the loader makes them."""
    org_id = new_id()
    async with owner.write(None) as tx:
        await tx.run(insert(organisations).values(id=org_id, kind=kind, name=f"A {kind}"))
        made = await service.register_client(tx, org_id=org_id, org_kind=kind, name="first")
    return Org(org_id, kind, made)


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return KEYRING


@pytest_asyncio.fixture(scope="module")
async def db(dsns: Dsns) -> AsyncIterator[Database]:
    opened = await Database(dsns.app, pool=6).open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module")
async def owner(dsns: Dsns) -> AsyncIterator[Database]:
    opened = await Database(dsns.owner, pool=2).open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module")
async def worker(dsns: Dsns) -> AsyncIterator[Database]:
    opened = await Database(dsns.worker, pool=2).open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module")
async def school(owner: Database) -> Org:
    return await register(owner, "school")


@pytest_asyncio.fixture(scope="module")
async def employer(owner: Database) -> Org:
    return await register(owner, "employer")


@pytest_asyncio.fixture(scope="module")
async def tokens(db: Database) -> AsyncIterator[Tokens]:
    opened = await Tokens(db, KEYRING, issuer=ISSUER).open()
    yield opened
    await opened.close()
