"""The three roles and the database, made on any Postgres server that lets us: the embedded one or yours."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

OWNER, APP, WORKER = "tendays_owner", "tendays_app", "tendays_worker"
ROLES = (OWNER, APP, WORKER)

_LOCK = 7_310_338_420_117  # any number, as long as nobody else uses it


@dataclass(frozen=True)
class Dsns:
    """Where each role finds the database: `postgresql://role:password@host:port/database`."""

    app: str
    worker: str
    owner: str
    admin: str


def new_passwords() -> dict[str, str]:
    """One generated password for each role."""
    return {role: secrets.token_urlsafe(24) for role in ROLES}


def dsns_for(admin_dsn: str, passwords: Mapping[str, str], database: str) -> Dsns:
    """The addresses of the roles in `database`, on the server that `admin_dsn` names."""

    def at(role: str) -> str:
        return _with_user(admin_dsn, role, passwords[role], database)

    return Dsns(app=at(APP), worker=at(WORKER), owner=at(OWNER), admin=in_database(admin_dsn, database))


def in_database(dsn: str, database: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{quote(database)}"))


async def ensure_roles_and_database(
    admin_dsn: str, passwords: Mapping[str, str], database: str = "tendays"
) -> Dsns:
    """Make what is missing, set the passwords, give the addresses. Safe to repeat, and to run twice at once.

    `admin_dsn` is a superuser, or a role with CREATEROLE and CREATEDB. None of our roles is a superuser or
    passes by row security; the database belongs to the owner, who runs migrations.
    """
    dsns, _ = await make_roles_and_database(admin_dsn, passwords, database, renew=True)
    return dsns


async def make_roles_and_database(
    admin_dsn: str, passwords: Mapping[str, str], database: str, *, renew: bool
) -> tuple[Dsns, frozenset[str]]:
    """The same; without `renew` a role that is there keeps its password. Gives the names of those that kept it, too."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        kept = {
            role for role in ROLES if not await _ensure_role(connection, role, passwords[role], renew=renew)
        }
        await _ensure_database(connection, database)
    finally:
        await connection.close()  # lets go of the lock as well
    return dsns_for(admin_dsn, passwords, database), frozenset(kept)


async def set_clock_door(owner_dsn: str, *, is_open: bool) -> None:
    """Let the application move the domain clock (development), or take that from it. Asked of the database's owner."""
    verb, who = ("GRANT", f"TO {APP}") if is_open else ("REVOKE", f"FROM {APP}")
    connection = await asyncpg.connect(owner_dsn)
    try:
        await connection.execute(f"{verb} EXECUTE ON FUNCTION app.move_clock(bigint) {who}")
        if not is_open:
            await connection.execute("UPDATE clock SET offset_seconds = 0 WHERE offset_seconds <> 0")
    finally:
        await connection.close()


async def clone_database(admin_dsn: str, template: str, name: str) -> None:
    """Make the database `name` as a copy of `template` (to which nobody may be connected)."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(
            await _formatted(
                connection,
                "CREATE DATABASE %I TEMPLATE %I STRATEGY FILE_COPY OWNER %I",
                name,
                template,
                OWNER,
            )
        )
        await _open_to_roles(connection, name)
    finally:
        await connection.close()


async def drop_database(admin_dsn: str, name: str) -> None:
    """Remove the database `name` and everybody connected to it."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(
            await _formatted(connection, "DROP DATABASE IF EXISTS %I WITH (FORCE)", name)
        )
    finally:
        await connection.close()


async def _ensure_role(connection: Any, role: str, password: str, *, renew: bool) -> bool:  # noqa: ANN401
    """Make the role, or renew its password; whether the password is the given one now."""
    exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if exists else "CREATE"
    given = renew or not exists
    await connection.execute(
        await _formatted(
            connection,
            f"{verb} ROLE %I LOGIN NOCREATEDB NOCREATEROLE" + (" PASSWORD %L" if given else ""),
            *((role, password) if given else (role,)),
        )
    )
    found = await connection.fetchrow("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = $1", role)
    if found["rolsuper"] or found["rolbypassrls"]:
        raise PermissionError(
            f"The role {role} passes by row security; take SUPERUSER and BYPASSRLS from it."
        )
    return given


async def _ensure_database(connection: Any, database: str) -> None:  # noqa: ANN401
    if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
        if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            await connection.execute(await _formatted(connection, "GRANT %I TO CURRENT_USER", OWNER))
        await connection.execute(
            await _formatted(
                connection, "CREATE DATABASE %I OWNER %I ENCODING 'UTF8' TEMPLATE template0", database, OWNER
            )
        )
    await _open_to_roles(connection, database)


async def _open_to_roles(connection: Any, database: str) -> None:  # noqa: ANN401
    """Only our roles may connect; TEMPORARY is for COPY, which goes to a temporary table first."""
    for statement, names in (
        ("REVOKE ALL ON DATABASE %I FROM PUBLIC", (database,)),
        ("GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I, %I", (database, APP, WORKER)),
        ("ALTER DATABASE %I SET timezone = 'UTC'", (database,)),
    ):
        await connection.execute(await _formatted(connection, statement, *names))


async def _formatted(connection: Any, template: str, *names: str) -> str:  # noqa: ANN401
    """A utility statement takes no parameters, so Postgres itself quotes what goes into it."""
    return str(await connection.fetchval("SELECT format($1, VARIADIC $2::text[])", template, list(names)))


def _with_user(dsn: str, user: str, password: str, database: str) -> str:
    parts = urlsplit(dsn)
    where = parts.netloc.rpartition("@")[2]
    return urlunsplit(
        parts._replace(netloc=f"{user}:{quote(password, safe='')}@{where}", path=f"/{quote(database)}")
    )
