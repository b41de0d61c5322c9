"""Row security: who sees which row, and that each policy matters: with it opened or taken away, the answer changes.

Every table has a row of school_a, employer_a, hub_a or their trust (`full`). All that is changed here is rolled back.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.core.ids import new_id
from app.core.roles import APP, OWNER, WORKER, Dsns
from tests.proof.readers import EMPLOYER, EVERYBODY, HUB, NOBODY, READERS, SCHOOL, SCHOOL_SIDE
from tests.proof.rows import Row, every_table
from tests.world import KINDS, World

TABLES = tuple(sorted(every_table()))
REFUSED = asyncpg.InsufficientPrivilegeError


class Scratch:
    """One transaction as a superuser that plays the roles, with foreign keys and triggers asleep; rolled back."""

    def __init__(self, connection: Any, world: World) -> None:
        self.db, self.world = connection, world

    async def become(self, who: str) -> None:
        """An organisation by name, through `app.enter` as tendays_app; or a role."""
        await self.db.execute("RESET ROLE")
        if who in KINDS:
            await self.db.execute(f"SET LOCAL ROLE {APP}")
            await self.db.execute("SELECT app.enter($1, NULL, NULL)", self.world.clients[who])
        elif who:
            await self.db.execute(f"SET LOCAL ROLE {who}")

    async def sees(self, who: str, table: str, row: Row) -> bool:
        """Whether this row is there for them. A table that is closed altogether counts as not."""
        await self.become(who)
        where, args = _is(table, row)
        return await self._try(f"SELECT count(*) FROM {table} WHERE {where}", *args) == 1

    async def touches(self, who: str, statement: str, *args: Any) -> bool:
        """Whether the statement changes a row; what it did is undone."""
        await self.become(who)
        try:
            async with self.db.transaction():
                done = await self.db.execute(statement, *args)
                raise _UndoneError(done)  # noqa: TRY301  (what a savepoint is undone by)
        except _UndoneError as undone:
            return not str(undone).endswith(" 0")
        except REFUSED:
            return False

    async def _try(self, statement: str, *args: Any) -> Any:
        try:
            async with self.db.transaction():
                return await self.db.fetchval(statement, *args)
        except REFUSED:
            return None

    async def as_owner(self, statement: str) -> None:
        await self.become("")
        await self.db.execute(statement)


class _UndoneError(Exception):
    pass


@pytest_asyncio.fixture(scope="module")
async def superuser(dsns: Dsns) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsns.admin)
    yield connection
    await connection.close()


@asynccontextmanager
async def scratch(superuser: Any, world: World) -> AsyncIterator[Scratch]:
    transaction = superuser.transaction()
    await transaction.start()
    try:
        await superuser.execute("SET LOCAL session_replication_role = replica")
        yield Scratch(superuser, world)
    finally:
        await transaction.rollback()


def _is(table: str, row: Row) -> tuple[str, list[Any]]:
    keys = [column.name for column in every_table()[table].primary_key]
    return " AND ".join(f"{name} = ${at}" for at, name in enumerate(keys, 1)), [row[name] for name in keys]


def _insert(table: str, row: Row) -> tuple[str, list[Any]]:
    columns = [one.name for one in every_table()[table].columns if not one.computed]
    marks = ", ".join(f"${at}" for at in range(1, len(columns) + 1))
    text = f"INSERT INTO {table} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE VALUES ({marks})"
    return text, [row[name] for name in columns]


async def _policies(world: World, role: str) -> list[asyncpg.Record]:
    found = await world.owner.fetch(
        "SELECT tablename AS table, policyname AS name, cmd, qual, with_check FROM pg_policies"
        " WHERE schemaname = 'public' AND $1 = ANY (roles) ORDER BY 1, 2",
        role,
    )
    assert found
    return list(found)


async def _open(db: Scratch, policy: asyncpg.Record) -> None:
    """Let the policy pass everything, as if it were not there."""
    parts = [
        f"{word} (true)"
        for word, part in (("USING", "qual"), ("WITH CHECK", "with_check"))
        if policy[part] is not None
    ]
    await db.as_owner(f"ALTER POLICY {policy['name']} ON {policy['table']} {' '.join(parts)}")


# --- the shape of the lock ------------------------------------------------------------------------


async def test_every_table_has_row_security_that_is_forced_and_a_policy_for_its_owner(world: World) -> None:
    open_tables = await world.owner.fetch(
        "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, EXISTS (SELECT 1 FROM pg_policies p"
        "   WHERE p.tablename = c.relname AND $1 = ANY (p.roles) AND p.cmd = 'ALL') AS owned"
        "  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        "   AND c.relname <> 'alembic_version'",
        OWNER,
    )
    assert {row["relname"] for row in open_tables} == set(TABLES)
    for row in open_tables:
        assert row["relrowsecurity"], f"{row['relname']}: row security is off"
        assert row["relforcerowsecurity"], f"{row['relname']}: not forced on its owner"
        assert row["owned"], f"{row['relname']}: no policy for the owner, so backfills change nothing"


async def test_nobody_but_the_owner_reaches_a_partition_directly(world: World) -> None:
    found = await world.owner.fetch(
        "SELECT c.relname, r.rolname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r"
        " WHERE n.nspname = 'public' AND c.relispartition AND c.relkind = 'r' AND r.rolname IN ($1, $2)"
        "   AND has_table_privilege(r.oid, c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER')",
        APP,
        WORKER,
    )
    assert not found
    assert (
        await world.owner.fetchval("SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'")
        > 10
    )


async def test_no_role_of_ours_passes_by_row_security_or_owns_what_it_reads(world: World) -> None:
    roles = await world.owner.fetch(
        "SELECT rolname, rolsuper OR rolbypassrls AS free FROM pg_roles WHERE rolname IN ($1, $2, $3)",
        APP,
        WORKER,
        OWNER,
    )
    assert len(roles) == 3
    assert not [row["rolname"] for row in roles if row["free"]]
    owned = await world.owner.fetch(
        "SELECT relname FROM pg_class WHERE relowner IN (SELECT oid FROM pg_roles WHERE rolname IN ($1, $2))",
        APP,
        WORKER,
    )
    assert not owned


async def test_functions_let_past_row_security_fix_their_search_path_and_are_closed_to_the_public(
    world: World,
) -> None:
    loose = await world.owner.fetch(
        "SELECT p.proname, p.prosecdef, p.proconfig, has_function_privilege('public', p.oid, 'EXECUTE') AS public"
        "  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'app'"
    )
    assert loose
    for row in loose:
        assert not row["public"], f"app.{row['proname']} may be run by anybody"
        if row["prosecdef"]:
            path = [one for one in row["proconfig"] or () if one.startswith("search_path=")]
            assert path, f"app.{row['proname']} is SECURITY DEFINER without a search_path"


# --- who sees which row ---------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
async def test_a_row_is_seen_by_those_it_belongs_to_and_by_no_stranger(
    world: World, full: dict[str, Row], superuser: Any, table: str
) -> None:
    assert table in READERS, f"{table} is not in READERS: say who may see its rows"
    async with scratch(superuser, world) as db:
        seen = {who for who in KINDS if await db.sees(who, table, full[table])}
    assert seen == READERS[table]


@pytest.mark.parametrize("table", [one for one in TABLES if READERS.get(one) not in {EVERYBODY, NOBODY}])
async def test_a_transaction_that_has_not_entered_is_refused_by_name(
    world: World, full: dict[str, Row], dsns: Dsns, table: str
) -> None:
    connection = await asyncpg.connect(dsns.app)
    try:
        for _ in range(2):  # in the second transaction the setting is '' and no longer NULL
            with pytest.raises(asyncpg.PostgresError) as refused:
                await connection.fetch(f"SELECT 1 FROM {table}")
            assert refused.value.sqlstate == "TD401"
            async with connection.transaction():
                await connection.execute("SELECT app.enter($1, NULL, NULL)", world.clients["school_a"])
                await connection.fetch(f"SELECT 1 FROM {table}")
    finally:
        await connection.close()


# --- each policy, taken away ----------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
async def test_without_its_read_policy_a_stranger_would_see_the_row(
    world: World, full: dict[str, Row], superuser: Any, table: str
) -> None:
    policies = [one for one in await _policies(world, APP) if (one["table"], one["cmd"]) == (table, "SELECT")]
    if READERS[table] in {EVERYBODY, NOBODY}:
        assert READERS[table] == NOBODY or [one["qual"] for one in policies] == ["true"]
        return
    assert len(policies) == 1, "several read policies are joined by OR: each has to be shown to matter"
    strangers = sorted(EVERYBODY - READERS[table])
    async with scratch(superuser, world) as db:
        await _open(db, policies[0])
        assert all([await db.sees(who, table, full[table]) for who in strangers])


@pytest.mark.parametrize("table", TABLES)
async def test_a_strangers_insert_is_refused_by_its_policy_alone(
    world: World, full: dict[str, Row], superuser: Any, table: str
) -> None:
    statement, values = _insert(table, full[table])
    for policy in await _policies(world, APP):
        if (
            policy["table"] != table
            or policy["cmd"] not in {"INSERT", "ALL"}
            or policy["with_check"] == "true"
        ):
            continue
        async with scratch(superuser, world) as db:
            where, args = _is(table, full[table])
            await db.db.execute(f"DELETE FROM {table} WHERE {where}", *args)
            for who in _strangers_to(table):
                assert not await db.touches(who, statement, *values), f"{who} wrote into {table}"
            await _open(db, policy)
            who = _strangers_to(table)[0]
            assert await db.touches(who, statement, *values), f"not {policy['name']} kept {who} out"


@pytest.mark.parametrize("table", TABLES)
async def test_a_strangers_update_or_delete_is_refused_by_its_policy_alone(
    world: World, full: dict[str, Row], superuser: Any, table: str
) -> None:
    """With reading opened to all, the policy for changing still keeps strangers from the row; without it, they reach it."""
    policies = [one for one in await _policies(world, APP) if one["table"] == table]
    reading = [one for one in policies if one["cmd"] == "SELECT"]
    where, args = _is(table, full[table])
    column = every_table()[table].columns.keys()[-1]
    for policy in (one for one in policies if one["cmd"] in {"UPDATE", "DELETE"}):
        verb = (
            f"UPDATE {table} SET {column} = {column}" if policy["cmd"] == "UPDATE" else f"DELETE FROM {table}"
        )
        async with scratch(superuser, world) as db:
            for one in reading:
                await _open(db, one)
            for who in _strangers_to(table):
                assert not await db.touches(who, f"{verb} WHERE {where}", *args), f"{who} changed {table}"
            await _open(db, policy)
            who = _strangers_to(table)[0]
            assert await db.touches(who, f"{verb} WHERE {where}", *args), (
                f"not {policy['name']} kept {who} out"
            )


OWNERS = {
    "school_id": "school_c",
    "employer_id": "employer_b",
    "org_id": "school_c",
    "owner_id": "hub_b",
    "approver_id": "hub_b",
    "suspended_by": "national",
    "controller_id": "school_c",
    "grantor_id": "school_c",
}


@pytest.mark.parametrize(
    "table", [one for one in TABLES if set(OWNERS) & set(every_table()[one].columns.keys())]
)
async def test_a_row_cannot_be_handed_to_a_stranger_by_an_update(
    world: World, full: dict[str, Row], superuser: Any, table: str
) -> None:
    """Both sides of a row have to change hands: where either may write, the other's name alone does not matter.

    Where there is no policy for changing, nobody changes anything, those who read it included.
    """
    policies = [one for one in await _policies(world, APP) if one["table"] == table]
    changing = [one for one in policies if one["cmd"] == "UPDATE"]
    columns = [name for name in OWNERS if name in every_table()[table].columns]
    if not changing:
        where, args = _is(table, full[table])
        async with scratch(superuser, world) as db:
            for who in KINDS:
                assert not await db.touches(
                    who, f"UPDATE {table} SET {columns[0]} = {columns[0]} WHERE {where}", *args
                )
        return
    owner = next(iter(sorted(_writers(table) & READERS[table])))
    names = ", ".join(
        f"{name} = ${at}" for at, name in enumerate(columns, len(_is(table, full[table])[1]) + 1)
    )
    where, args = _is(table, full[table])
    statement = f"UPDATE {table} SET {names} WHERE {where}"
    values = [*args, *(world[OWNERS[name]] for name in columns)]
    async with scratch(superuser, world) as db:
        for one in policies:
            if one["cmd"] == "SELECT":
                await _open(db, one)
        assert not await db.touches(owner, statement, *values)
        for one in changing:
            await _open(db, one)
        assert await db.touches(owner, statement, *values)


WRITERS: dict[str, frozenset[str]] = {
    "agreements": frozenset({"trust"}),
    "allocations": HUB,
    "approvals": HUB,
    "contacts": EMPLOYER,
    "covers": EMPLOYER,
    "disclosures": SCHOOL_SIDE,
    "identity_corrections": SCHOOL,
    "employers": EMPLOYER | {"hub_a", "hub_b", "national"},
    "grants": frozenset({"trust"}),
    "memberships": HUB | {"national"},
    "offers": EMPLOYER,
    "organisations": SCHOOL | {"national"},
    "programme_schools": HUB,
    "programmes": HUB,
    "sites": EMPLOYER,
    "sitting_marks": SCHOOL_SIDE,
    "sittings": EMPLOYER,
    "slots": EMPLOYER,
    "strands": HUB,
}
"""Who may write a row of these where it is not all who may read it."""


def _writers(table: str) -> frozenset[str]:
    return WRITERS.get(table, READERS[table])


def _strangers_to(table: str) -> list[str]:
    return sorted(EVERYBODY - _writers(table))


@pytest.mark.parametrize("role", [OWNER, WORKER])
async def test_without_its_policy_the_owner_and_the_worker_would_find_nothing(
    world: World, full: dict[str, Row], superuser: Any, role: str
) -> None:
    for policy in await _policies(world, role):
        table = policy["table"]
        async with scratch(superuser, world) as db:
            await db.become(role)
            seen = await db._try(f"SELECT count(*) FROM (SELECT 1 FROM {table}) x")
            await db.as_owner(f"DROP POLICY {policy['name']} ON {table}")
            await db.become(role)
            left = await db._try(f"SELECT count(*) FROM (SELECT 1 FROM {table}) x")
        if policy["cmd"] in {"ALL", "SELECT"}:
            assert seen, f"{role} sees nothing of {table}"
            assert left == 0, f"{role} sees {table} without {policy['name']}"


async def test_a_revoked_grant_closes_the_door_in_the_next_transaction(
    world: World, full: dict[str, Row], superuser: Any
) -> None:
    async with scratch(superuser, world) as db:
        assert await db.sees("vendor", "enrolments", full["enrolments"])
        await db.as_owner("UPDATE grants SET revoked_at = now()")
        assert not await db.sees("vendor", "enrolments", full["enrolments"])


async def test_a_client_that_is_not_there_cannot_enter(world: World, dsns: Dsns) -> None:
    connection = await asyncpg.connect(dsns.app)
    try:
        with pytest.raises(asyncpg.PostgresError) as refused:
            await connection.execute("SELECT app.enter($1, NULL, NULL)", new_id())
        assert refused.value.sqlstate == "TD401"
        with pytest.raises(REFUSED):
            await connection.execute("SELECT app.enter_system()")
    finally:
        await connection.close()
