"""What is said twice says the same: tables and migrations, code and published files, and migrations and their history."""

import hashlib
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Computed, Connection, ForeignKeyConstraint, Index, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

import migrations
from app.core.db import metadata
from app.core.roles import Dsns
from app.published import drift, write
from tests.proof.rows import every_table

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("migrations.lock")
TABLES = every_table()


# --- tables.py and the migrated database ----------------------------------------------------------


# SQLAlchemy stumbles over its own word for a check that is NOT VALID.
@pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")
async def test_autogenerate_finds_nothing_to_migrate(dsns: Dsns) -> None:
    engine = create_async_engine(dsns.owner.replace("postgresql://", "postgresql+asyncpg://", 1))

    def compare(connection: Connection) -> Any:
        options = {"compare_type": True, "include_object": _is_ours}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(compare)
    finally:
        await engine.dispose()
    assert found == []


def _is_ours(_thing: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Partitions are made by a function; alembic's own table is its own."""
    return kind != "table" or name in TABLES


async def _catalogue(dsns: Dsns, query: str) -> dict[str, set[Any]]:
    connection = await asyncpg.connect(dsns.owner)
    try:
        found: dict[str, set[Any]] = {name: set() for name in TABLES}
        for row in await connection.fetch(query):
            if row[0] in found:
                found[row[0]].add(tuple(row)[1:])
        return found
    finally:
        await connection.close()


async def test_columns_have_the_same_names_nullability_and_identity(dsns: Dsns) -> None:
    found = await _catalogue(
        dsns,
        "SELECT c.relname, a.attname, a.attnotnull, a.attidentity <> '', a.attgenerated <> ''"
        "  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')",
    )
    for name, table in TABLES.items():
        said = {
            (one.name, not one.nullable, one.identity is not None, _computed(one)) for one in table.columns
        }
        assert said == found[name], name


def _computed(column: Any) -> bool:
    return isinstance(column.computed, Computed)


async def test_primary_unique_exclusion_check_and_foreign_keys_have_the_same_names(dsns: Dsns) -> None:
    """`p`, `u`, `x`, `c`, `f`: what the errors are told apart by is the name."""
    found = await _catalogue(
        dsns,
        "SELECT c.relname, k.contype::text, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND k.contype <> 'n'",
    )
    for name, table in TABLES.items():
        assert {(kind, str(one)) for kind, one in _constraints(table)} == found[name], name


def _constraints(table: Table) -> Any:
    kinds = {
        "PrimaryKeyConstraint": "p",
        "UniqueConstraint": "u",
        "ExcludeConstraint": "x",
        "CheckConstraint": "c",
        "ForeignKeyConstraint": "f",
    }
    for one in (*table.constraints, *(inner for column in table.columns for inner in column.constraints)):
        yield kinds[type(one).__name__], _formatted(table, one)


def _formatted(table: Table, constraint: Any) -> Any:
    """The name as the naming convention makes it."""
    return postgresql.dialect().identifier_preparer.format_constraint(constraint)  # type: ignore[no-untyped-call]


async def test_foreign_keys_lead_to_the_same_columns(dsns: Dsns) -> None:
    found = await _catalogue(
        dsns,
        "SELECT c.relname, k.conname, r.relname, (SELECT array_agg(attname::text ORDER BY ord) FROM"
        "  unnest(k.confkey) WITH ORDINALITY x(no, ord) JOIN pg_attribute ON attrelid = r.oid AND attnum = no)::text"
        "  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class r ON r.oid = k.confrelid"
        " WHERE k.contype = 'f'",
    )
    for name, table in TABLES.items():
        said = {
            (
                str(_formatted(table, one)),
                one.referred_table.name,
                "{" + ",".join(element.column.name for element in one.elements) + "}",
            )
            for one in table.constraints
            if isinstance(one, ForeignKeyConstraint)
        }
        assert said == found[name], name


async def test_indexes_have_the_same_names_columns_and_conditions(dsns: Dsns) -> None:
    found = await _catalogue(
        dsns,
        "SELECT t.relname, i.relname, x.indisunique, x.indpred IS NOT NULL,"
        "  (SELECT string_agg(replace(pg_get_indexdef(i.oid, n, true), '\"', ''), ',' ORDER BY n)"
        "     FROM generate_series(1, x.indnkeyatts) n)"
        "  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid"
        " WHERE NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid AND k.contype <> 'f')",
    )
    for name, table in TABLES.items():
        said = {_index(one) for one in table.indexes}
        assert said == found[name], name


def _index(index: Index) -> tuple[str, bool, bool, str]:
    partial = index.dialect_options["postgresql"]["where"] is not None
    keys = [one.name if isinstance(one, Column) else str(one) for one in index.expressions]
    return str(index.name), bool(index.unique), partial, ",".join(keys)


def test_every_unique_constraint_has_a_name_of_its_own() -> None:
    names = [
        one.name
        for table in TABLES.values()
        for one in table.constraints
        if isinstance(one, UniqueConstraint)
    ]
    assert len(set(names)) == len(names)


# --- migrations -----------------------------------------------------------------------------------


def test_migrations_have_one_head_and_one_root() -> None:
    history = ScriptDirectory.from_config(migrations.configuration("postgresql://nobody@127.0.0.1/nothing"))
    assert len(history.get_heads()) == 1
    assert len(history.get_bases()) == 1
    revisions = [one.revision for one in history.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True), "the file names no longer tell the order"


def test_every_script_is_run_by_the_migration_of_its_name() -> None:
    folder = ROOT / "migrations" / "versions"
    for script in folder.glob("*.sql"):
        text = script.with_suffix(".py").read_text(encoding="utf-8")
        assert f'run_script(op, "{script.stem}")' in text


def sums() -> dict[str, str]:
    """The SHA-256 of each migration, by file name."""
    files = sorted((ROOT / "migrations" / "versions").glob("2*.*"))
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.suffix != ".pyc"
    }


def test_a_migration_that_was_released_is_never_edited() -> None:
    """A database that has run it would not run it again. New ones are added by `make seal`."""
    locked = dict(reversed(line.split()) for line in LOCK.read_text(encoding="utf-8").splitlines())
    now = sums()
    changed = {name for name, value in locked.items() if now.get(name) != value}
    assert not changed, f"edited or gone: {changed}"
    assert not set(now) - set(locked), "not in migrations.lock: run `make seal`"


# --- published files ------------------------------------------------------------------------------


def test_what_is_published_says_what_the_code_says() -> None:
    stale = drift(ROOT / "openapi")
    assert not stale, f"run `make contract`: {sorted(path.name for path in stale)}"


def test_drift_notices_every_file_that_says_something_else(tmp_path: Path) -> None:
    """So that the test above can fail."""
    changed = write(tmp_path)
    for path in changed:
        path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    stray = tmp_path / "events" / "no.such.event.json"
    stray.write_text("{}", encoding="utf-8")
    found = drift(tmp_path)
    assert set(found) == {*changed, stray}
    assert {path.parent.name for path in changed} == {tmp_path.name, "events", "vectors"}
    assert found[stray] is None, "to be removed"
