"""The demonstration set: both pilots in small, made at first start in one transaction, and the file of credentials.

All of it or nothing: the loader works as the database's owner, enters as each client in turn, and lets the rooms'
own services judge what is made. A second call finds the demonstration and only makes missing credentials anew.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from app.access import service as access
from app.access.scopes import allowed_for
from app.core.caller import Caller
from app.core.clock import school_day, wall_now
from app.core.db import Database, Writer
from app.core.ids import new_id
from app.core.secrets import Keyring
from app.demo import data, past, sql
from app.demo.offers import open_offers
from app.demo.pupils import roll
from app.demo.welcome import requests_to_copy
from app.employers import service as employers
from app.organisations import consent
from app.organisations import service as organisations
from app.programmes import service as programmes
from app.rules.school_calendar import academic_year, first_day, last_day
from app.rules.words import FieldGroup
from app.students import service as students
from app.students.rows import Sent

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["load", "requests_to_copy"]
_AT_ONCE = 300


@dataclass
class Cast:
    """Everybody by key: organisations, and the clients that act for them."""

    tx: Writer
    ids: dict[str, UUID] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)
    clients: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    async def enter(self, key: str, school: str | None = None) -> None:
        """Be the client of `key` from here on, acting for `school` if one is named."""
        caller = self.callers[key]
        await sql.enter(self.tx, caller.acting_for(self.ids[school]) if school else caller)

    @property
    def today(self) -> date:
        """The school day by the domain clock."""
        return school_day(self.tx.caller.now)


async def load(settings: "Settings") -> None:
    """Make the demonstration and write `settings.credentials_path` (0600). Shows what it is doing. Development only."""
    db = await Database(settings.owner_database_url or "", development=True, pool=1).open()
    try:
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            transient=True,
            disable=not Console().is_terminal,
        ) as shown:
            task = shown.add_task("Demonstration ...")

            def say(what: str) -> None:
                shown.update(task, description=f"Demonstration: {what} ...")

            await _load(settings, db, say)
    finally:
        await db.close()


async def _load(settings: "Settings", db: Database, say: Callable[[str], None]) -> None:
    async with db.write(None) as tx:
        await sql.alone(tx)
        cast = Cast(tx, await _found(tx))
        if cast.ids and settings.credentials_path.exists():
            return
        fresh = not cast.ids
        say("organisations and clients")
        await _give_clients(cast, fresh=fresh)
        if fresh:
            await _fill(cast, settings.keyring(), say)
        # Written before the commit: a file without its clients is written anew, clients without a file are lost.
        _write_credentials(settings, cast)


async def _found(tx: Writer) -> dict[str, UUID]:
    known = await sql.known(tx, [one.name for one in data.ORGANISATIONS])
    return {one.key: known[one.name] for one in data.ORGANISATIONS if one.name in known}


async def _fill(cast: Cast, keyring: Keyring, say: Callable[[str], None]) -> None:
    say("agreements and grants")
    await _agree(cast)
    for at, school in enumerate(data.SCHOOLS, 1):
        say(f"pupils of school {at} of {len(data.SCHOOLS)}")
        await _send_roll(cast, keyring, school, at)
    await _complete_rolls(cast)
    say("employers, sites, cover and approvals")
    sites = await _open_sites(cast)
    await _approve(cast, sites)
    say("offers and slots")
    for employer in data.EMPLOYERS:
        await cast.enter(employer.key)
        await open_offers(cast.tx, employer, cast.today)
    say("programmes")
    await _begin_programmes(cast)
    say("what happened before")
    for at, school in enumerate(data.SCHOOLS):
        await cast.enter(school, school)
        await past.record(cast.tx, cast.ids[school], at, cast.today, cast.ids)


# --- who there is ---------------------------------------------------------------------------------


async def _give_clients(cast: Cast, *, fresh: bool) -> None:
    if fresh:
        first = data.ORGANISATIONS[0]
        cast.ids[first.key] = new_id()
        await sql.add_first(cast.tx, cast.ids[first.key], first.kind, first.name)
    await _give_client(cast, data.NATIONAL)
    await cast.enter(data.NATIONAL)
    if fresh:
        await _register(cast)
    for key in data.CLIENTS:
        if key != data.NATIONAL:
            await _give_client(cast, key)


async def _register(cast: Cast) -> None:
    start = first_day(academic_year(cast.today) - 4)
    for one in data.ORGANISATIONS[1:]:
        given = {
            "kind": one.kind,
            "name": one.name,
            "region": one.region,
            "urn": one.urn,
            "laestab": one.laestab,
        }
        row = await organisations.register(cast.tx, given)
        cast.ids[one.key] = row["id"]
    for one in data.ORGANISATIONS:
        for parent in one.parents:
            joined = {"parent_id": cast.ids[parent], "member_id": cast.ids[one.key], "starts_on": start}
            await organisations.let_join(cast.tx, joined)
    for employer in data.EMPLOYERS:
        await employers.register(
            cast.tx, cast.ids[employer.key], size_band=employer.size_band, sic_section=employer.sic_section,
            sectors=[employer.sector], about=employer.about,
        )  # fmt: skip


async def _give_client(cast: Cast, key: str) -> None:
    one = next(each for each in data.ORGANISATIONS if each.key == key)
    made = await access.register_client(
        cast.tx,
        org_id=cast.ids[key],
        org_kind=one.kind,
        name=data.CLIENTS[key],
        environment="test",
        development=True,
    )
    scopes = allowed_for(one.kind, development=True)
    cast.callers[key] = Caller(made.id, cast.ids[key], one.kind, scopes, wall_now())
    cast.clients[key] = {
        "client_id": made.id,
        "client_secret": made.secret.secret if made.secret else None,
        "organisation": one.name,
        "org_id": cast.ids[key],
        "scopes": sorted(made.scopes),
    }


async def _agree(cast: Cast) -> None:
    start = first_day(academic_year(cast.today) - 4)
    for controller in ("trust", *data.MAINTAINED):
        await cast.enter(controller)
        await consent.record_agreement(cast.tx, {**data.AGREEMENT, "signed_on": start})
        await consent.grant(
            cast.tx,
            {
                "grantee_id": cast.ids["vendor"],
                "school_id": None,
                "except_school_ids": [],
                "field_groups": [group.value for group in data.GRANTED],
                "starts_on": start,
            },
        )


# --- pupils -----------------------------------------------------------------------------------------


async def _send_roll(cast: Cast, keyring: Keyring, school: str, number: int) -> None:
    """The MIS vendor sends the roll, as it does every night."""
    await cast.enter("vendor", school)
    rows = [dict(row) for row in roll(number, cast.today)]
    sent = [Sent(at, row.pop("external_ref"), row) for at, row in enumerate(rows)]
    for at in range(0, len(sent), _AT_ONCE):
        await students.keep_roll(
            cast.tx, keyring, cast.ids[school], sent[at : at + _AT_ONCE], scoped=frozenset(FieldGroup), atomic=True,
            development=True,
        )  # fmt: skip


async def _complete_rolls(cast: Cast) -> None:
    schools = [cast.ids[key] for key in data.SCHOOLS]
    await sql.add_other_years(cast.tx, schools)
    await sql.mark_rolls_complete(cast.tx, schools, wall_now(), [group.value for group in data.GRANTED])


# --- employers ----------------------------------------------------------------------------------------


async def _open_sites(cast: Cast) -> dict[str, UUID]:
    sites = {}
    for employer in data.EMPLOYERS:
        await cast.enter(employer.key)
        row = await employers.add_site(cast.tx, {**employer.site, "external_ref": "main"})
        sites[employer.key] = row["id"]
        for liability, pounds in (("public_liability", 5_000_000), ("employers_liability", 10_000_000)):
            await employers.add_cover(cast.tx, _cover(employer.key, liability, pounds, cast.today))
    return sites


def _cover(key: str, liability: str, pounds: int, today: date) -> dict[str, Any]:
    return {
        "kind": "policy",
        "liability": liability,
        "insurer": "Harbour Mutual",
        "policy_number": f"HM-{key.upper()}-{liability[:2].upper()}",
        "limit_pence": pounds * 100,
        "expires_on": today + timedelta(days=3 * 365),
    }


async def _approve(cast: Cast, sites: Mapping[str, UUID]) -> None:
    expires = cast.today + timedelta(days=2 * 365)
    for employer in data.EMPLOYERS:
        for hub in employer.approvers:
            await cast.enter(hub)
            for kind in sorted({offer.kind for offer in employer.offers}):
                asked = {
                    "site_id": sites[employer.key],
                    "kind": kind,
                    "activity_band": "low",
                    "expires_on": expires,
                }
                await employers.approve(cast.tx, {**asked, "basis": "Visited by the hub's adviser."})
    for school in data.SCHOOLS:
        await cast.enter(school, school)
        await employers.accept_approver(cast.tx, cast.ids[school], cast.ids[data.HUBS_OF[school]])


# --- programmes -----------------------------------------------------------------------------------------


async def _begin_programmes(cast: Cast) -> None:
    year = academic_year(cast.today)
    for one in data.PROGRAMMES:
        await cast.enter(one["owner"])
        dates = {"starts_on": first_day(year), "ends_on": last_day(year)}
        programme = await programmes.begin(cast.tx, {**one["programme"], **dates})
        strands = {}
        for code, (name, model) in one["strands"].items():
            row = await programmes.add(
                cast.tx, programme["id"], "strands", {"code": code, "name": name, "model": model}
            )
            strands[code] = row["id"]
        for school, code in one["schools"].items():
            joined = {"school_id": cast.ids[school], "strand_id": strands[code], "joined_on": first_day(year)}
            joined["own_budget"] = one["budgets"].get(school, "unknown")
            await programmes.add(cast.tx, programme["id"], "schools", joined)
        for target in one["targets"]:
            await programmes.add(cast.tx, programme["id"], "targets", {**target, "due_on": last_day(year)})


# --- credentials -----------------------------------------------------------------------------------------


def _write_credentials(settings: "Settings", cast: Cast) -> None:
    content = {
        "base_url": settings.issuer,
        "token_url": f"{settings.issuer}/oauth/token",
        "clients": cast.clients,
        "ids": cast.ids,
    }
    _write_private(settings.credentials_path, orjson.dumps(content, default=str, option=orjson.OPT_INDENT_2))


def _write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, and readable by its owner alone from the first byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    half.replace(path)
