"""What an operator does by hand, as the owner of the database: the first client, the keys that sign tokens."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.access import service as access
from app.access import sql as keys
from app.access.tokens import SETTLE, Tokens, retire_key
from app.checks import signing_keys_open
from app.core.clock import rfc3339
from app.core.db import Database, Row, Writer
from app.core.errors import Problem
from app.core.ids import new_id
from app.organisations import sql
from app.rules import identifiers
from app.rules.answers import Refusal
from app.rules.words import OrganisationKind
from app.settings import Settings

_UNDEFINED_TABLE = "42P01"
_AT_MOST = 3  # of the same name, to be shown


class Refused(Exception):
    """It was not done; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A client to make: its own name, and the organisation by kind and by id, URN or name."""

    name: str
    kind: OrganisationKind
    organisation: str | None = None
    urn: str | None = None
    organisation_id: UUID | None = None
    scopes: tuple[str, ...] = ()


@asynccontextmanager
async def _owner(settings: Settings) -> AsyncIterator[Database]:
    db = await Database(settings.owner_database_url or "", pool=1).open()
    try:
        yield db
    except Exception as error:
        if _has_no_tables(error):
            raise Refused("The database has not been migrated yet: `tendays migrate`.") from None
        raise
    finally:
        await db.close()


def _has_no_tables(error: Exception) -> bool:
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _UNDEFINED_TABLE


# --- the first client -----------------------------------------------------------------------------


async def make_client(settings: Settings, wanted: Wanted) -> dict[str, Any]:
    """Make a client, and its organisation if it is not there; what to keep of it, the secret included.

    The organisation is looked for by its id, else by its URN. One that is named only is made, unless an active one
    of this kind and name is there. All or nothing. Raises Refused.
    """
    try:
        async with _owner(settings) as db, db.write(None) as tx:
            found = await _organisation(tx, wanted)
            organisation = found or await _make(tx, wanted)
            made = await access.register_client(
                tx,
                org_id=organisation["id"],
                org_kind=organisation["kind"],
                name=wanted.name,
                wanted=wanted.scopes or None,
                environment="test" if settings.development else "live",
                development=settings.development,
            )
    except Problem as problem:
        raise Refused("; ".join([one.detail for one in problem.faults]) or problem.detail) from problem
    return {
        "client_id": made.id,
        "client_secret": made.secret.secret if made.secret else None,
        "organisation_id": organisation["id"],
        "organisation": organisation["name"],
        "organisation_made": found is None,
        "kind": organisation["kind"],
        "scopes": made.scopes,
    }


async def _organisation(tx: Writer, wanted: Wanted) -> Row | None:
    by_id = await sql.one(tx, "organisation", wanted.organisation_id) if wanted.organisation_id else None
    by_urn = next(iter(await _active(tx, urn=_urn(wanted))), None) if wanted.urn else None
    if wanted.organisation_id and by_urn and by_urn["id"] != wanted.organisation_id:
        raise Refused(f"The URN {wanted.urn} is that of {by_urn['name']} ({by_urn['id']}).")
    found = by_id or by_urn
    if found is None:
        if not wanted.organisation_id and not wanted.urn:
            await _refuse_namesake(tx, wanted)
        return None
    if found["kind"] != wanted.kind or found["status"] != "active":
        raise Refused(
            f"{found['name']} ({found['id']}) is of the kind {found['kind']}, and {found['status']}."
        )
    return found


async def _refuse_namesake(tx: Writer, wanted: Wanted) -> None:
    """A name is no proof: somebody else's credentials must not be made by one that happens to be the same."""
    same = [row for row in await _active(tx, kind=wanted.kind) if row["name"] == wanted.organisation]
    if same:
        ids = ", ".join(str(row["id"]) for row in same[:_AT_MOST])
        raise Refused(f"There is a {wanted.kind} of this name: say --organisation-id ({ids}).")


async def _active(tx: Writer, *, urn: str | None = None, kind: str | None = None) -> Sequence[Row]:
    found: list[Row] = []
    while True:
        after = found[-1]["id"] if found else None
        rows = await sql.after_id(tx, "organisation", sql.organisations_where(urn=urn, kind=kind), after, 500)
        found += rows[:500]
        if len(rows) <= 500:  # noqa: PLR2004 - the page asked for
            return [row for row in found if row["status"] == "active"]


async def _make(tx: Writer, wanted: Wanted) -> Row:
    if not wanted.organisation:
        raise Refused("There is no such organisation. To make it, say how it is called: --organisation.")
    urn = _urn(wanted) if wanted.urn else None
    given = {"kind": wanted.kind.value, "name": wanted.organisation, "urn": urn}
    return await sql.add(tx, "organisation", {**given, "id": wanted.organisation_id or new_id()})


def _urn(wanted: Wanted) -> str:
    if wanted.kind != OrganisationKind.SCHOOL:
        raise Refused(f"A {wanted.kind} has no URN.")
    number = identifiers.urn(wanted.urn or "")
    if isinstance(number, Refusal):
        raise Refused(number.detail)
    return number


# --- the keys that sign tokens --------------------------------------------------------------------


async def list_keys(settings: Settings) -> list[Mapping[str, Any]]:
    """The keys that are not retired, the newest first: id, when it was made, when it signs from."""
    async with _owner(settings) as db, db.write(None) as tx:
        rows = await keys.signing_keys_newest(tx)
    return [
        {
            "kid": row["kid"],
            "created_at": rfc3339(row["created_at"]),
            "signs_from": rfc3339(row["created_at"] + SETTLE),
        }
        for row in rows
    ]


async def rotate_keys(settings: Settings, *, at_once: bool) -> str:
    """Make a new key and give its id. It signs after two minutes; `at_once`, as soon as it is read.

    Raises SettingsRefused if the master key does not open the keys there are: one sealed with another would stop the API.
    """
    async with _owner(settings) as db:
        return await _rotate(settings, db, at_once=at_once)


async def retire(settings: Settings, kid: str) -> str | None:
    """End a key and what it signed, within half a minute; the id of the key made in its place, if it was the only one.

    Raises Refused for a key that is not there.
    """
    async with _owner(settings) as db:
        async with db.write(None) as tx:
            kids = [row["kid"] for row in await keys.signing_keys_newest(tx, most=1000)]
        if kid not in kids:
            raise Refused("There is no such key, or it has been retired.")
        made = await _rotate(settings, db, at_once=True) if kids == [kid] else None
        await retire_key(db, kid)
    return made


async def _rotate(settings: Settings, db: Database, *, at_once: bool) -> str:
    await signing_keys_open(settings, db)
    kid = await Tokens(db, settings.keyring(), issuer=settings.issuer).rotate(at_once=at_once)
    return kid or ""
