"""`tendays run`: the database, migrations, the first start, then API and worker until told to stop."""

import asyncio
import errno
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

import migrations
from app.core.clock import school_day, wall_now
from app.core.embedded import EmbeddedPostgres, running_dsns
from app.core.roles import Dsns, set_clock_door
from app.settings import Settings, SettingsRefused
from app.supervisor import GaveUp, Part, Supervisor

READY_SECONDS = 30.0
PAGE = 200
console = Console(highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """One line for a person."""
    console.print(f"[cyan]·[/] {line}")


@contextmanager
def step(doing: str) -> Iterator[None]:
    """Show that something is going on, and leave one line with the seconds it took."""
    began = time.monotonic()
    with console.status(f"{doing} ..."):
        yield
    console.print(f"[green]✓[/] {doing} [dim]{time.monotonic() - began:.1f} s[/]")


# --- the database ---------------------------------------------------------------------------------


@asynccontextmanager
async def database(
    settings: Settings, *, alone: bool = False
) -> AsyncIterator[tuple[Settings, EmbeddedPostgres | None]]:
    """The settings with the addresses of a living database, and the embedded server if we had to start it.

    TENDAYS_DATABASE_URL goes before all. Else the embedded server that another process of ours runs (unless
    we are to be `alone`), else one that lives until the block ends.
    """
    if settings.database_url:
        yield settings, None
        return
    settings.require("database_url")
    folder = settings.data_dir / "postgres"
    if not alone and (found := running_dsns(folder)):
        yield with_dsns(settings, found), None
        return
    server = EmbeddedPostgres(folder, bin_dir=settings.pg_bin, say=say)
    try:
        with step(f"Postgres {server.version} started"):
            await server.start()
            dsns = await server.prepare()
        yield with_dsns(settings, dsns), server
    finally:
        await server.stop()


def with_dsns(settings: Settings, dsns: Dsns) -> Settings:
    """The same settings, with these addresses."""
    urls = {"database_url": dsns.app, "worker_database_url": dsns.worker, "owner_database_url": dsns.owner}
    return settings.model_copy(update=urls)


async def bring_up_to_date(settings: Settings) -> None:
    """Migrate, as the owner; and let the application move the domain clock in development, nowhere else."""
    from app.checks import address  # noqa: PLC0415 - as in `rebuild`

    owner = needed(settings, "owner_database_url")
    await address(settings, "owner_database_url", direct="migrations need a session of their own (locks).")
    with step("Database migrated"):
        await asyncio.to_thread(migrations.upgrade, owner)
        await set_clock_door(owner, is_open=settings.development)


async def rebuild(settings: Settings) -> int:
    """Count every school's balances, summaries and kept figures anew from the ledger, school by school.

    Gives how many schools.
    """
    from app.core.db import Database, system  # noqa: PLC0415 - only this command opens the database itself
    from app.dashboards.service import keep  # noqa: PLC0415 - as above
    from app.ledger import service  # noqa: PLC0415 - as above
    from app.organisations import sql  # noqa: PLC0415 - as above

    db = await Database(needed(settings, "owner_database_url"), pool=1).open()
    rows: Sequence[Any] = []
    done: list[UUID] = []
    try:
        while True:
            async with db.write(None) as tx:
                rows = (await sql.after_id(tx, "organisation", [], rows[-1]["id"] if rows else None, PAGE))[
                    :PAGE
                ]
            for school in (row["id"] for row in rows if row["kind"] == "school"):
                async with db.write(None) as tx:
                    await service.rebuild(tx, school)
                done.append(school)
            if len(rows) < PAGE:
                break
        for school in done:  # only now: a school's figures may have a part from another's balances
            async with db.write(system()) as tx:
                await keep(tx, school)
    finally:
        await db.close()
    return len(done)


async def generate(settings: Settings, **much: int) -> None:
    """Make schools, pupils and encounters to measure with, showing how far it is. Refuses outside development."""
    from app.core.db import Database  # noqa: PLC0415 - as in `rebuild`
    from app.demo import generate as making  # noqa: PLC0415 - as in `rebuild`

    if settings.env != "development":
        raise SettingsRefused("Made-up pupils are for development (TENDAYS_ENV)")
    await bring_up_to_date(settings)
    wanted = making.Wanted(**much, today=school_day(wall_now()))
    db = await Database(needed(settings, "owner_database_url"), pool=making.SIDE_BY_SIDE).open()
    began = time.monotonic()
    try:
        with _progress() as shown:
            people = shown.add_task("pupils", total=wanted.pupils)
            done = shown.add_task("encounters", total=wanted.encounters)

            def told(pupils: int, encounters: int) -> None:
                shown.advance(people, pupils)
                shown.advance(done, encounters)

            made = await making.generate(db, wanted, told)
        say(f"{made.schools} schools, {made.pupils:,} pupils, {made.encounters:,} encounters")
        say(
            f"{time.monotonic() - began:.1f} s; the first hub is {made.hubs[0]} (`tendays client --organisation-id`)"
        )
    except asyncio.CancelledError:
        there = await making.what_is_there(db, wanted)
        say(f"{there} of {wanted.schools} schools are there, whole. The same command goes on from here.")
        raise
    except making.Refused as refusal:
        raise SettingsRefused(str(refusal)) from None
    finally:
        await db.close()


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, refresh_per_second=2)


def needed(settings: Settings, name: str) -> str:
    """A setting without which this command cannot go on. Refuses with `SettingsRefused`."""
    value = getattr(settings, name)
    if not value:
        raise SettingsRefused(f"TENDAYS_{name.upper()} is not set (`tendays roles` tells how to get it)")
    return str(value)


# --- everything -----------------------------------------------------------------------------------


async def run_everything(settings: Settings, *, with_story: bool) -> None:
    """Start it all, and keep it alive until cancelled; then stop it in order, losing nothing."""
    refuse_taken_port(settings)
    try:
        await _run_everything(settings, with_story=with_story)
    except asyncio.CancelledError:
        say("Stopped. Everything is kept.")
        raise


async def _run_everything(settings: Settings, *, with_story: bool) -> None:
    async with database(settings, alone=True) as (complete, server):
        await bring_up_to_date(complete)
        needed(complete, "worker_database_url")
        from app import checks  # noqa: PLC0415 - as in `rebuild`

        await checks.api(complete)
        if complete.development:
            await FirstStart(complete).once("demonstration", lambda: load_demonstration(complete))
        supervisor = Supervisor(say)
        try:
            await _side_by_side(complete, server, supervisor, with_story=with_story)
        finally:
            say("Stopping: the API first, then the worker, then the database.")
            await supervisor.stop()


async def _side_by_side(
    settings: Settings, server: EmbeddedPostgres | None, supervisor: Supervisor, *, with_story: bool
) -> None:
    try:
        async with asyncio.TaskGroup() as parts:
            for name in ("api", "worker"):
                parts.create_task(supervisor.keep(_part(name, settings)))
            if server is not None:
                parts.create_task(_keep_database(server))
            with step(f"API and worker ready at {settings.issuer}"):
                await _ready(settings)
            if settings.development and with_story:
                await FirstStart(settings).once("story", lambda: play_story(settings))
            _tell_where(settings)
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


async def _keep_database(server: EmbeddedPostgres) -> None:
    """A database that dies is started again, with all that was committed, where everybody looks for it."""
    port = server.port
    while True:
        await server.wait()
        say("The database server ended; it is started again.")
        await server.restart()
        if server.port != port:
            raise GaveUp("Somebody took the port of the database while it was down. Start again.")


def _part(name: str, settings: Settings) -> Part:
    """A process of its own. It gets the addresses of its roles only: never the owner's."""
    environment = {
        "TENDAYS_SUPERVISED": "1",
        "TENDAYS_ENV": settings.env,
        # A person reads what is said here: not a line for each request, unless they asked for it.
        "TENDAYS_LOG_LEVEL": settings.log_level if "log_level" in settings.model_fields_set else "warning",
        "TENDAYS_DATA_DIR": str(settings.data_dir),
        # No balancer stands before us that would have to hear of it first.
        "TENDAYS_STOP_PAUSE_SECONDS": str(
            settings.stop_pause_seconds if "stop_pause_seconds" in settings.model_fields_set else 0
        ),
        "TENDAYS_DATABASE_URL": settings.database_url or "",
        "TENDAYS_WORKER_DATABASE_URL": (settings.worker_database_url or "") if name == "worker" else "",
        "TENDAYS_OWNER_DATABASE_URL": "",
    }
    return Part(name, [sys.executable, "-m", "app.cli", name], environment)


def refuse_taken_port(settings: Settings) -> None:
    """Say so at once if somebody else listens where the API is to be. Refuses with `SettingsRefused`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsRefused(
                    f"TENDAYS_HOST or TENDAYS_PORT: {settings.host}:{settings.port}: {error.strerror}"
                ) from None
            raise SettingsRefused(
                f"Something else already listens on {settings.host}:{settings.port}. "
                f"Stop it, or choose another port: TENDAYS_PORT={settings.port + 1}"
            ) from None


async def _ready(settings: Settings) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not await answers(settings.local_url):
        if time.monotonic() > deadline:
            raise GaveUp(f"The API did not answer at {settings.local_url} within {READY_SECONDS:.0f} s.")
        await asyncio.sleep(0.1)


async def answers(url: str, path: str = "/health") -> bool:
    """Whether the API at `url` answers, and not with a fault of its own (5xx)."""
    where = urlsplit(url)
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(where.hostname, where.port or 80)
            try:
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n".encode()
                )
                status = (await reader.readline()).split()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return len(status) > 1 and status[1].isdigit() and int(status[1]) < 500  # noqa: PLR2004 - 5xx


# --- the first start ------------------------------------------------------------------------------


class FirstStart:
    """Remembers, in the data folder, what has been done once to this database."""

    def __init__(self, settings: Settings) -> None:
        where = urlsplit(settings.database_url or "")
        self._database = where.netloc.rpartition("@")[2].partition(":")[0] + where.path
        self._path = settings.data_dir / "first-start.json"

    async def once(self, name: str, do: Callable[[], Any]) -> None:
        """Do it if it has not been done; it counts as done when it gives None or 0."""
        done: dict[str, list[str]] = json.loads(self._path.read_text()) if self._path.exists() else {}
        if name in done.get(self._database, []):
            return
        if await do():
            say(f"The {name} did not come to its end; it is tried again at the next start.")
            return
        done.setdefault(self._database, []).append(name)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(done))


async def load_demonstration(settings: Settings) -> None:
    """Make the demonstration, both pilots, and its clients' credentials."""
    from app.demo.loader import load  # noqa: PLC0415 - only the first start needs it
    from app.demo.welcome import what_there_is  # noqa: PLC0415 - as above

    console.print(f"[green]✓[/] Demonstration loaded, {what_there_is(await load(settings))}", highlight=False)


async def play_story(settings: Settings) -> int:
    """Play the story against our own API; 0 if every step was green."""
    from app.demo.story import play  # noqa: PLC0415 - only the first start needs it

    return int(await play(settings.issuer, settings.credentials_path))


def _tell_where(settings: Settings) -> None:
    """Addresses, where the credentials lie, and requests to copy."""
    from app.demo.loader import requests_to_copy  # noqa: PLC0415 - as above

    url = settings.issuer
    console.print(f"\n[bold]TenDays runs at {url}[/]")
    places = {
        "API docs": f"{url}/docs",
        "GraphQL explorer": f"{url}/graphql",
        "Credentials": f"{_near(settings.credentials_path)} (hub, trust, school's MIS, employer)",
    }
    for name, place in places.items():
        console.print(f"  {name:<17} {place}")
    console.print("\n[bold]Three requests to copy[/]")
    for request in requests_to_copy(url, settings.credentials_path):
        console.print(f"  {request}", markup=False)
    console.print("\nCtrl-C stops everything and loses nothing.\n")


def _near(path: Path) -> str:
    """The path as short as it can be said from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
