"""The command `tendays`: run everything, or one part of it; prepare, migrate, forget."""

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
import uvloop
from rich.console import Console

from app import checks
from app.by_hand import Refused, Wanted, list_keys, make_client, retire, rotate_keys
from app.core import logs, traces
from app.core.embedded import EmbeddedFailed, forget, running_dsns
from app.core.roles import APP, OWNER, WORKER, make_roles_and_database, new_passwords
from app.rules.words import OrganisationKind
from app.running import (
    answers,
    bring_up_to_date,
    console,
    database,
    needed,
    refuse_taken_port,
    run_everything,
    say,
    step,
)
from app.running import generate as make_up
from app.running import rebuild as rebuild_all
from app.settings import Settings, SettingsRefused, load
from app.supervisor import GaveUp

if TYPE_CHECKING:
    from fastapi import FastAPI

REFUSALS = (SettingsRefused, EmbeddedFailed, GaveUp, Refused, PermissionError)
cli = typer.Typer(
    name="tendays",
    help="TenDays: an open API for modern work experience.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback with local variables would print secrets
)


keys = typer.Typer(help="The keys that sign tokens.", no_args_is_help=True, pretty_exceptions_enable=False)
cli.add_typer(keys, name="keys")


def main() -> None:
    """Run the command line. A refusal of ours is one line on standard error and exit code 1."""
    try:
        cli()
    except REFUSALS as refusal:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]✗[/] {refusal}")
        sys.exit(1)


# --- running --------------------------------------------------------------------------------------


@cli.command()
def run(story: Annotated[bool, typer.Option(help="Play the story at first start.")] = True) -> None:
    """Database, migrations, demonstration at first start, API and worker, until Ctrl-C."""
    asyncio.run(_until_told(run_everything(load(), with_story=story)))


@cli.command()
def api() -> None:
    """The API alone, in TENDAYS_PROCESSES processes. It needs a database that has been migrated."""
    settings = _beside_a_database()
    _mind_the_supervisor()
    refuse_taken_port(settings)
    asyncio.run(checks.api(settings))
    if settings.with_worker:
        needed(settings, "worker_database_url")
        asyncio.run(checks.worker(settings))
    _begin_logs(settings)
    from app.rest.serving import Served, run  # noqa: PLC0415 - as in `served`

    run(
        Served(
            "app.cli:served",
            host=settings.host,
            port=settings.port,
            processes=settings.processes,
            proxies=settings.trusted_proxies,
            pause=settings.stop_pause_seconds,
            metrics=settings.metrics,
        )
    )


def served() -> "FastAPI":
    """The application of one API process."""
    from app.main import create_app  # noqa: PLC0415 - the other commands start without the web

    settings = load()
    _begin_logs(settings)
    traces.begin("tendays-api")
    made = create_app(settings)
    _spare_the_lasting()
    return made


def _spare_the_lasting() -> None:
    """What lives as long as the process is not searched for garbage again and again: a quarter of a request's time.

    Garbage of requests is still found, after 50,000 objects instead of 700 (some megabytes).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


@cli.command()
def worker() -> None:
    """The worker alone: sequencer, webhooks, deadlines. It needs a database that has been migrated."""
    settings = _beside_a_database()
    needed(settings, "worker_database_url")
    _begin_logs(settings)
    traces.begin("tendays-worker")
    _mind_the_supervisor()
    from app.worker import run as work  # noqa: PLC0415 - as in `served`

    uvloop.run(_until_told(work(settings)))


@cli.command()
def health(url: Annotated[str, typer.Option(help="Where the API is.")] = "") -> None:
    """Exit 0 if the API answers and is well, 1 otherwise."""
    if not asyncio.run(answers(url or _anywhere().local_url)):
        raise typer.Exit(1)


@cli.command()
def story(
    base_url: Annotated[str, typer.Option(help="Where the API is.")] = "",
    credentials: Annotated[Path | None, typer.Option(help="The file the loader wrote.")] = None,
) -> None:
    """Play the story against a running system, with references of its own. Exit 0 if every step is green."""
    from app.demo.story import play  # noqa: PLC0415 - as in `served`

    settings = _anywhere()
    raise typer.Exit(
        int(asyncio.run(play(base_url or settings.local_url, credentials or settings.credentials_path)))
    )


@cli.command()
def listen(
    port: Annotated[int, typer.Option(help="The local port; 0 is a free one.", min=0, max=65535)] = 9000,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            help="whsec_... or whpk_... to verify with; may be given again.", envvar="TENDAYS_LISTEN_SECRET"
        ),
    ] = None,
    credentials: Annotated[
        bool,
        typer.Option(
            "--credentials", help="Register an endpoint for the time being, as a demonstration client."
        ),
    ] = False,
    client: Annotated[str, typer.Option(help="Which client of the credentials file.")] = "vendor",
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object per line, with headers and bytes.")
    ] = False,
) -> None:
    """Print and verify the webhooks that arrive on a local port, until Ctrl-C."""
    from app.demo.ears import REFUSALS as UNHEARD  # noqa: PLC0415 - as in `served`
    from app.demo.ears import listen as hear  # noqa: PLC0415 - as in `served`

    file = _anywhere().credentials_path if credentials else None
    try:
        asyncio.run(_until_told(hear(port, secret or [], file, client, as_json=as_json)))
    except UNHEARD as refusal:
        raise SettingsRefused(str(refusal)) from None


# --- the database ---------------------------------------------------------------------------------


@cli.command()
def migrate() -> None:
    """Bring the database up to date, as its owner."""
    asyncio.run(_until_told(_with_database(bring_up_to_date)))


@cli.command()
def roles(
    admin_url: Annotated[
        str, typer.Option(envvar="TENDAYS_ADMIN_DATABASE_URL", help="A superuser's address.")
    ],
    name: Annotated[str, typer.Option(help="The database to make.")] = "tendays",
    renew: Annotated[
        bool,
        typer.Option("--renew-passwords", help="Give the roles that are there new passwords, too."),
    ] = False,
) -> None:
    """Make the three roles and the database on a server of yours; print their addresses as settings.

    The password of a role that is there stays as it is, and its address is not printed, unless it is to be renewed.
    """
    asyncio.run(checks.reached("TENDAYS_ADMIN_DATABASE_URL", admin_url))
    dsns, kept = asyncio.run(make_roles_and_database(admin_url, new_passwords(), name, renew=renew))
    for role, variable, address in (
        (APP, "TENDAYS_DATABASE_URL", dsns.app),
        (WORKER, "TENDAYS_WORKER_DATABASE_URL", dsns.worker),
        (OWNER, "TENDAYS_OWNER_DATABASE_URL", dsns.owner),
    ):
        if role in kept:
            print(
                f"{role} is there and keeps its password (--renew-passwords gives it a new one)",
                file=sys.stderr,
            )
        else:
            print(f"{variable}={address}")


@cli.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete the embedded database, the credentials and the keys: everything in the data folder is lost."""
    settings = _anywhere()
    if settings.database_url:
        raise SettingsRefused("TENDAYS_DATABASE_URL is set: that database is yours to empty")
    if not yes:
        typer.confirm(f"Delete all that is kept in {settings.data_dir}?", abort=True)
    forget(settings.data_dir / "postgres")
    for each in (
        settings.credentials_path,
        *(settings.data_dir / n for n in ("first-start.json", "secret.key")),
    ):
        each.unlink(missing_ok=True)
    say("Everything is forgotten. The next start is a first start.")


@cli.command()
def rebuild() -> None:
    """Count balances, summaries and kept figures anew from the ledger; the ledger itself is not touched."""

    async def recount(settings: Settings) -> None:
        with step("Balances, summaries and kept figures rebuilt"):
            schools = await rebuild_all(settings)
        say(f"{schools} schools")

    asyncio.run(_until_told(_with_database(recount)))


@cli.command()
def generate(
    schools: Annotated[int, typer.Option(help="How many schools; a hub for every hundred.")] = 100,
    pupils: Annotated[int, typer.Option(help="Pupils on roll, of all schools together.")] = 100_000,
    encounters: Annotated[
        int | None, typer.Option(help="Encounters, of all pupils together; ten to a pupil without it.", min=0)
    ] = None,
    years: Annotated[
        int, typer.Option(help="Academic years over which they are spread, this one the last.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="Another seed, other schools.")] = 1,
) -> None:
    """Make schools, pupils and years of encounters to measure with, beside what is there. Development only."""
    much = {
        "schools": schools,
        "pupils": pupils,
        "encounters": 10 * pupils if encounters is None else encounters,
        "years": years,
        "seed": seed,
    }

    async def make(settings: Settings) -> None:
        await make_up(settings, **much)

    asyncio.run(_until_told(_with_database(make)))


# --- by hand --------------------------------------------------------------------------------------


@cli.command()
def client(
    name: Annotated[str, typer.Option(help="What the client is called.")],
    kind: Annotated[OrganisationKind, typer.Option(help="The kind of its organisation.")],
    organisation: Annotated[
        str | None, typer.Option(help="The organisation's name, if it is to be made.")
    ] = None,
    urn: Annotated[str | None, typer.Option(help="The school with this URN.")] = None,
    organisation_id: Annotated[UUID | None, typer.Option(help="The organisation with this id.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="Only these scopes; without it all that its kind can have.")
    ] = None,
) -> None:
    """Make the first client of an organisation, and the organisation; print id and secret, this once, as JSON."""
    wanted = Wanted(name, kind, organisation, urn, organisation_id, tuple(scope or ()))

    async def make(settings: Settings) -> None:
        print(json.dumps(await make_client(settings, wanted), default=str, indent=2))

    _quietly(make)


@keys.command("list")
def keys_list() -> None:
    """The keys that are in use, the newest first, as JSON."""

    async def show(settings: Settings) -> None:
        print(json.dumps(await list_keys(settings), indent=2))

    _quietly(show)


@keys.command("rotate")
def keys_rotate(
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Sign with it at once: some new tokens are refused for 30 s.")
    ] = False,
) -> None:
    """Make a new key; print its id. It signs after two minutes, and the one before verifies on. No restart."""

    async def rotate(settings: Settings) -> None:
        print(await rotate_keys(settings, at_once=at_once))

    _quietly(rotate)


# A key's id may begin with a hyphen: what looks like an option here is one.
@keys.command("retire", context_settings={"ignore_unknown_options": True})
def keys_retire(kid: Annotated[str, typer.Argument(help="The key's id.")]) -> None:
    """End a key that leaked, and within half a minute every token it signed. Prints the key made in its place, if any."""

    async def end(settings: Settings) -> None:
        made = await retire(settings, kid)
        if made:
            print(made)

    _quietly(end)


def _quietly(work: Callable[[Settings], Awaitable[None]]) -> None:
    """Work as the owner with nothing on standard output but what the work prints."""
    console.stderr = True
    asyncio.run(_until_told(_with_database(work)))


async def _with_database(work: Callable[[Settings], Awaitable[None]]) -> None:
    """Work as the owner: on the database that is set, on the one that runs, or on one started for the purpose."""
    settings = _settings()
    if settings.owner_database_url:
        await checks.address(settings, "owner_database_url")
        await work(settings)
        return
    async with database(settings) as (complete, _server):
        await work(complete)


# --- the contract ---------------------------------------------------------------------------------


@cli.command()
def contract(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if a file is out of date.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the contract lies.")] = Path("openapi"),
) -> None:
    """Write OpenAPI, SDL, event schemas and signature vectors, as the code says they are."""
    from app import published  # noqa: PLC0415 - as in `served`

    if not check:
        for path in published.write(folder):
            say(f"{path} brought up to date")
        return
    late = published.drift(folder)
    for path in late:
        console.print(f"[red]✗[/] {path} is out of date: run `make contract`")
    if late:
        raise typer.Exit(1)


# --- processes ------------------------------------------------------------------------------------


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Work until it is done, or until SIGINT or SIGTERM; then let it clean up. Told twice is told once."""
    task = asyncio.ensure_future(work)
    told = asyncio.Event()

    def tell() -> None:
        if not told.is_set():
            told.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, tell)
    try:
        await task
    except asyncio.CancelledError:
        if not told.is_set():
            raise


def _settings() -> Settings:
    """The settings. Beside the embedded database that `make run` started TENDAYS_ENV goes without saying: it is for
    development.
    """
    said = any(os.environ.get(f"TENDAYS_{name}") for name in ("ENV", "DATABASE_URL", "OWNER_DATABASE_URL"))
    if not said and running_dsns(_anywhere().data_dir / "postgres"):
        os.environ["TENDAYS_ENV"] = "development"  # the processes of the API read it themselves
    return load()


def _anywhere() -> Settings:
    """The settings for what is the same in production and development."""
    return load() if os.environ.get("TENDAYS_ENV") else load(env="development")


def _beside_a_database() -> Settings:
    """The settings of a part that starts no database itself; a running embedded one is found."""
    settings = _settings()
    settings.require("secret_key", "base_url")
    if settings.database_url:
        return settings
    found = running_dsns(settings.data_dir / "postgres")
    if found is None:
        raise SettingsRefused(
            "TENDAYS_DATABASE_URL is not set, and no embedded database runs (`tendays run`)"
        )
    # By the environment, because the processes of the API are started afresh and read it themselves.
    os.environ |= {"TENDAYS_DATABASE_URL": found.app, "TENDAYS_WORKER_DATABASE_URL": found.worker}
    return load()


def _begin_logs(settings: Settings) -> None:
    logs.configure(settings.log_level, as_json=settings.log_json)
    # That the database is away is said once, by who needs it; not with a traceback for each connection.
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)


def _mind_the_supervisor() -> None:
    """When started by a supervisor: stop as soon as it is gone, which ends our standard input."""
    if not os.environ.get("TENDAYS_SUPERVISED"):
        return

    def mind() -> None:
        while os.read(0, 1024):  # not sys.stdin: Python would wait for its lock at the end
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=mind, name="supervisor", daemon=True).start()


if __name__ == "__main__":
    main()
