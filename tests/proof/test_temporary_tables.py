"""No function that runs with its owner's rights can be given a table by its caller."""

import asyncpg

from app.core.roles import Dsns
from tests.world import World

_PATHS = """
SELECT p.oid::regprocedure::text AS signature, p.prosecdef AS definer,
       (SELECT substring(setting FROM '^search_path=(.*)$') FROM unnest(p.proconfig) AS setting
         WHERE setting LIKE 'search_path=%') AS path
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


async def test_every_function_with_its_owners_rights_looks_among_temporary_tables_last(dsns: Dsns) -> None:
    connection = await asyncpg.connect(dsns.owner)
    try:
        found = await connection.fetch(_PATHS)
    finally:
        await connection.close()
    assert sum(row["definer"] for row in found) > 100
    open_to_callers = [
        row["signature"]
        for row in found
        if (row["definer"] or row["path"]) and not (row["path"] or "").endswith(", pg_temp")
    ]
    assert open_to_callers == []


async def test_a_temporary_table_does_not_make_an_employer_a_school(world: World) -> None:
    await world.pupil("school_a")
    school = await world.owner.fetchrow("SELECT * FROM clients WHERE id = $1", world.clients["school_a"])
    row = {**dict(school), "id": world.clients["employer_a"]}
    marks = ", ".join(f"${at}" for at in range(1, len(row) + 1))
    connection = await asyncpg.connect(world.dsns.app)
    try:
        await connection.execute("CREATE TEMP TABLE clients (LIKE public.clients)")
        await connection.execute("GRANT ALL ON pg_temp.clients TO PUBLIC")
        await connection.execute(
            f"INSERT INTO pg_temp.clients ({', '.join(row)}) VALUES ({marks})", *row.values()
        )
        async with connection.transaction():
            await connection.execute("SELECT app.enter($1, NULL, NULL)", world.clients["employer_a"])
            assert await connection.fetchval("SELECT count(*) FROM public.enrolments") == 0
        async with connection.transaction():
            await connection.execute("SELECT app.enter($1, NULL, NULL)", world.clients["school_a"])
            assert await connection.fetchval("SELECT count(*) FROM public.enrolments") >= 1
    finally:
        await connection.close()
