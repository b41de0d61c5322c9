"""How alembic runs migrations: as the owner, over asyncpg, each in one transaction, impatient of locks."""

import asyncio
import importlib
import pkgutil

from alembic import context
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import app
from app.core.db import metadata
from app.settings import SettingsRefused, load


def app_metadata() -> MetaData:
    """Every table of every room: whichever `app.*.tables` there is has been imported."""
    for room in pkgutil.iter_modules(app.__path__, "app."):
        if not room.ispkg:
            continue
        names = [module.name for module in pkgutil.iter_modules(importlib.import_module(room.name).__path__)]
        if "tables" in names:
            importlib.import_module(f"{room.name}.tables")
    return metadata


def owner_dsn() -> str:
    """The owner's address: from `tendays migrate`, else from TENDAYS_OWNER_DATABASE_URL."""
    given = context.config.attributes.get("owner_dsn") or load().owner_database_url
    if not given:
        raise SettingsRefused("TENDAYS_OWNER_DATABASE_URL is not set")
    return str(given).replace("postgresql://", "postgresql+asyncpg://", 1)


def migrate(connection: Connection) -> None:
    """Run what there is to run."""
    connection.execute(text("SET statement_timeout = 0"))
    # Two instances that start at once: the second one waits here, and then finds nothing to do.
    connection.execute(text("SELECT pg_advisory_lock(7310338420118)"))
    # A migration that waits for a lock makes everybody behind it wait as well: it gives up and is run again.
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=app_metadata(),
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def online() -> None:
    """Connect, migrate, let go."""
    engine = create_async_engine(owner_dsn(), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database only: scripts with $$ bodies need its own parser.")
asyncio.run(online())
