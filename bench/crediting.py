"""What the figures of dashboards cost those who write: crediting 25 pupils with summaries and marks, and without.

`python -m bench.crediting` starts a database of its own; `measure` takes the addresses of one that runs.
"""

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

import migrations
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database
from app.core.embedded import EmbeddedPostgres
from app.core.ids import new_id
from app.core.roles import Dsns
from app.ledger import service, sql
from app.ledger.service import Credit
from app.rules.school_calendar import london_midnight
from app.rules.words import ExperienceKind, Mode

PUPILS, WARM = 25, 10


async def measure(dsns: Dsns, rounds: int = 100) -> float:
    """How many times as long a credit takes with summaries and marks as without: the medians of turns that alternate.

    Needs the owner's address: it switches the triggers off and on. Makes a school and pupils of its own.
    """
    owner = await asyncpg.connect(dsns.owner)
    db = await Database(dsns.app, pool=1).open()
    whole, bare = sql._WRITE, _without_summaries()  # noqa: SLF001  (what is measured is that statement)
    took: dict[bool, list[float]] = {True: [], False: []}
    try:
        caller, pupils = await _school(owner)
        for turn in range(2 * (rounds + WARM)):
            kept = bool(turn % 2)
            await _triggers(owner, "ENABLE" if kept else "DISABLE")
            sql._WRITE = whole if kept else bare  # noqa: SLF001
            seconds = await _credit(db, caller, pupils, date(2026, 9, 7) + timedelta(days=turn % 60))
            if turn >= 2 * WARM:
                took[kept].append(seconds)
    finally:
        sql._WRITE = whole  # noqa: SLF001
        await _triggers(owner, "ENABLE")
        await db.close()
        await owner.close()
    return statistics.median(took[True]) / statistics.median(took[False])


def _without_summaries() -> TextClause:
    """The ledger's writing statement, less the summaries."""
    head, _, rest = str(sql._WRITE).partition(", moved AS (")  # noqa: SLF001
    balances = rest.partition("), pupil AS (")[2].partition("INSERT INTO summaries")[0]
    made = text(f"{head}, pupil AS ({balances} SELECT 1")
    return made.bindparams(bindparam("yearly", type_=JSONB), bindparam("balances", type_=JSONB))


async def _triggers(owner: asyncpg.Connection, word: str) -> None:
    for table in ("balances", "yearly_balances"):
        await owner.execute(f"ALTER TABLE {table} {word} TRIGGER USER")


async def _school(owner: asyncpg.Connection) -> tuple[Caller, list[tuple[UUID, int]]]:
    school, client = new_id(), new_id()
    await owner.execute(
        "INSERT INTO organisations (id, kind, name) VALUES ($1, 'school', 'Credited')", school
    )
    await owner.execute("INSERT INTO clients (id, org_id, name) VALUES ($1, $2, 'Credited')", client, school)
    pupils = []
    for _ in range(PUPILS):
        person, pupil = new_id(), new_id()
        no = await owner.fetchval("INSERT INTO persons (id) VALUES ($1) RETURNING no", person)
        await owner.execute(
            "INSERT INTO enrolments (id, school_id, person_id, person_no, starts_on, given_name, family_name, date_of_birth)"
            " VALUES ($1, $2, $3, $4, '2024-09-01', 'Ada', 'Example', '2013-10-01')",
            pupil, school, person, no,
        )  # fmt: skip
        pupils.append((pupil, no))
    return Caller(client, school, "school", frozenset(), wall_now()), pupils


async def _credit(db: Database, caller: Caller, pupils: list[tuple[UUID, int]], on: date) -> float:
    entries = [
        Credit(
            caller.org_id, pupil, no, new_id(), on, "8", ExperienceKind.WORKPLACE_VISIT, Mode.IN_PERSON, 60, 0,
            london_midnight(on),
        )
        for pupil, no in pupils
    ]  # fmt: skip
    began = time.perf_counter()
    async with db.write(caller) as tx:
        await service.credit(tx, entries)
    return time.perf_counter() - began


async def main() -> int:
    """On a durable database of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tendays-bench-"))
    folder.chmod(0o711)
    try:
        server = EmbeddedPostgres(folder / "postgres")
        async with server:
            dsns = await server.prepare()
            await asyncio.to_thread(migrations.upgrade, dsns.owner)
            print(
                f"crediting {PUPILS} pupils, with summaries and marks against without: {await measure(dsns):.2f}"
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
