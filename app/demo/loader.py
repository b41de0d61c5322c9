"""The demonstration set: both pilots, whole, made at first start in one transaction, and the file of credentials.

All of it or nothing: the loader works as the database's owner, enters as each client in turn, and lets the rooms'
own services judge what is made. A second call finds the demonstration and only makes missing credentials anew.
"""

import os
from collections.abc import Callable, Mapping, Sequence
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
from app.core.db import Database, Row, Writer
from app.core.ids import new_id
from app.core.secrets import Keyring
from app.demo import data, hub_pilot, past, sql, trust_pilot
from app.demo.businesses import EMPLOYERS, FORMS, Employer
from app.demo.offers import open_offers
from app.demo.past import Known
from app.demo.pilots import HUB, PILOTS, TRUST, Pilot, allocations
from app.demo.pupils import Pupil, roll
from app.demo.terms import anchor_of
from app.demo.welcome import requests_to_copy
from app.employers import history as vouched
from app.employers import service as employers
from app.organisations import consent
from app.organisations import service as organisations
from app.outbox.service import hushed
from app.programmes import service as programmes
from app.rules.school_calendar import academic_year, first_day
from app.rules.words import FieldGroup
from app.students import service as students
from app.students.rows import Sent

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["load", "requests_to_copy"]
Say = Callable[[str], None]
ORGANISATIONS = (
    data.Organisation(data.NATIONAL, "national", "The Careers & Enterprise Company"),
    *data.HUBS,
    *data.OTHERS,
    *data.SCHOOLS,
    *(data.Organisation(one.key, "employer", one.name) for one in EMPLOYERS),
)


@dataclass
class Cast:
    """Everybody by key: organisations, and the clients that act for them."""

    tx: Writer
    ids: dict[str, UUID] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)
    clients: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    offers: dict[tuple[str, str], Row] = field(default_factory=dict)
    programmes: dict[str, UUID] = field(default_factory=dict)
    strands: dict[tuple[str, str], UUID] = field(default_factory=dict)

    async def enter(self, key: str, school: str | None = None) -> None:
        """Be the client of `key` from here on, acting for `school` if one is named."""
        caller = self.callers[key]
        await sql.enter(self.tx, caller.acting_for(self.ids[school]) if school else caller)

    @property
    def monday(self) -> date:
        """Of this week, by the domain clock (or 1 September within it): what all made-up dates are anchored to."""
        return anchor_of(school_day(self.tx.caller.now))


async def load(settings: "Settings") -> Row:
    """Make the demonstration and write `settings.credentials_path` (0600). Shows what it is doing. Development only.

    Gives how much there is now: schools, pupils, employers, open_slots, bookings, encounters, minutes.
    """
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

            with hushed():  # history is no news
                return await _load(settings, db, say)
    finally:
        await db.close()


async def _load(settings: "Settings", db: Database, say: Say) -> Row:
    async with db.write(None) as tx:
        await sql.alone(tx)
        cast = Cast(tx, await _found(tx))
        if cast.ids and settings.credentials_path.exists():
            return await sql.counted(tx)
        fresh = not cast.ids
        say("organisations and clients")
        await _give_clients(cast, fresh=fresh)
        if fresh:
            await _fill(cast, settings.keyring(), say)
            await sql.analyse(tx)
        # Written before the commit: a file without its clients is written anew, clients without a file are lost.
        _write_credentials(settings, cast)
        return await sql.counted(tx)


async def _found(tx: Writer) -> dict[str, UUID]:
    known = await sql.known(tx, [one.name for one in ORGANISATIONS])
    return {one.key: known[one.name] for one in ORGANISATIONS if one.name in known}


async def _fill(cast: Cast, keyring: Keyring, say: Say) -> None:
    say("agreements and grants")
    await _agree(cast)
    rolls = {one.key: roll(one.number or 0, data.sizes(one), cast.monday) for one in data.SCHOOLS}
    for at, school in enumerate(rolls, 1):
        say(f"pupils of school {at} of {len(rolls)}")
        await _send_roll(cast, keyring, school, rolls[school])
    await _complete_rolls(cast)
    say("employers, sites, cover and approvals")
    sites = await _open_sites(cast)
    await _vouch(cast, sites)
    say("offers and slots")
    for employer in EMPLOYERS:
        await cast.enter(employer.key)
        for form, offer in (await open_offers(cast.tx, employer, cast.monday)).items():
            cast.offers[employer.key, form] = offer
    for pilot in PILOTS:
        say(f"the programme of the {pilot.owner}")
        await _begin_programme(cast, pilot)
    await _remember(cast, rolls, say)


# --- who there is ---------------------------------------------------------------------------------


async def _give_clients(cast: Cast, *, fresh: bool) -> None:
    first = ORGANISATIONS[0]
    if fresh:
        cast.ids[first.key] = new_id()
        await sql.add_first(cast.tx, cast.ids[first.key], first.kind, first.name)
    await _give_client(cast, first)
    await cast.enter(data.NATIONAL)
    if fresh:
        await _register(cast)
    for one in ORGANISATIONS[1:]:
        if one.key in cast.ids:
            await _give_client(cast, one)


async def _register(cast: Cast) -> None:
    start = _beginning(cast.monday)
    for one in ORGANISATIONS[1:]:
        given = {
            "kind": one.kind,
            "name": one.name,
            "region": one.region,
            "urn": one.urn,
            "laestab": one.laestab,
        }
        row = await organisations.register(cast.tx, given)
        cast.ids[one.key] = row["id"]
    for one in ORGANISATIONS:
        for parent in one.parents:
            joined = {"parent_id": cast.ids[parent], "member_id": cast.ids[one.key], "starts_on": start}
            await organisations.let_join(cast.tx, joined)
    for employer in EMPLOYERS:
        await employers.register(
            cast.tx, cast.ids[employer.key], size_band=employer.size_band, sic_section=employer.sic_section,
            sectors=[employer.sector] if employer.sector else [], about=f"{employer.about.capitalize()}.",
        )  # fmt: skip


def _beginning(today: date) -> date:
    """Before anything that is remembered happened."""
    return first_day(academic_year(today) - 6)


async def _give_client(cast: Cast, one: data.Organisation) -> None:
    made = await access.register_client(
        cast.tx,
        org_id=cast.ids[one.key],
        org_kind=one.kind,
        name=data.CLIENTS[one.kind],
        environment="test",
        development=True,
    )
    scopes = allowed_for(one.kind, development=True)
    cast.callers[one.key] = Caller(made.id, cast.ids[one.key], one.kind, scopes, wall_now())
    cast.clients[one.key] = {
        "client_id": made.id,
        "client_secret": made.secret.secret if made.secret else None,
        "organisation": one.name,
        "org_id": cast.ids[one.key],
        "scopes": sorted(made.scopes),
    }


async def _agree(cast: Cast) -> None:
    start = _beginning(cast.monday)
    for controller in ("trust", *data.MAINTAINED):
        await cast.enter(controller)
        await consent.record_agreement(cast.tx, {**data.AGREEMENT, "signed_on": start})
        await consent.grant(
            cast.tx,
            {
                "grantee_id": cast.ids["vendor"],
                "school_id": None,
                "except_school_ids": [],
                "field_groups": list(data.granted_by(controller)),
                "starts_on": start,
            },
        )


# --- pupils -----------------------------------------------------------------------------------------


async def _send_roll(cast: Cast, keyring: Keyring, school: str, pupils: Sequence[Pupil]) -> None:
    """The MIS vendor sends the roll, as it does every night."""
    await cast.enter("vendor", school)
    year, groups = academic_year(cast.monday), data.granted_by(school)
    sent = [Sent(at, one.ref, one.as_sent(year, groups)) for at, one in enumerate(pupils)]
    await students.keep_roll(
        cast.tx, keyring, cast.ids[school], sent, scoped=frozenset(FieldGroup), atomic=True, development=True
    )


async def _complete_rolls(cast: Cast) -> None:
    await sql.add_other_years(cast.tx, [cast.ids[one.key] for one in data.SCHOOLS])
    for one in data.SCHOOLS:
        await sql.mark_rolls_complete(cast.tx, [cast.ids[one.key]], wall_now(), data.granted_by(one.key))


# --- employers ----------------------------------------------------------------------------------------


async def _open_sites(cast: Cast) -> dict[str, UUID]:
    sites, covers, since = {}, [], _beginning(cast.monday)
    for employer in EMPLOYERS:
        await cast.enter(employer.key)
        site = {
            "external_ref": "main",
            "name": employer.name,
            "address": "1 Made-up Lane",
            "town": employer.town,
            "postcode": employer.postcode,
        }
        sites[employer.key] = (await employers.add_site(cast.tx, site))["id"]
        for liability, pounds in (("public_liability", 5_000_000), ("employers_liability", 10_000_000)):
            covers.append(
                {
                    "employer_id": cast.ids[employer.key],
                    "liability": liability,
                    **_cover(employer, liability, pounds, since),
                }
            )
    await vouched.cover(cast.tx, covers)
    return sites


def _cover(employer: Employer, liability: str, pounds: int, since: date) -> Mapping[str, Any]:
    if employer.cover != "policy":
        return vouched.exempt(employer.cover, since, "Head of estates")
    number = f"HM-{employer.key.upper()}-{liability[:2].upper()}"
    return vouched.policy("Harbour Mutual", number, pounds, since, since + timedelta(days=10 * 365))


async def _vouch(cast: Cast, sites: Mapping[str, UUID]) -> None:
    """Each hub has approved the sites in its area, for all that they offer; each school relies on its hub."""
    since = _beginning(cast.monday)
    await vouched.approve(
        cast.tx,
        [
            {
                "approver_id": cast.ids[employer.hub],
                "employer_id": cast.ids[employer.key],
                "site_id": sites[employer.key],
                "kind": kind,
                "activity_band": "low",
                "approved_on": since,
                "expires_on": since + timedelta(days=10 * 365),
                "basis": "Visited by the hub's adviser.",
            }
            for employer in EMPLOYERS
            for kind in sorted({FORMS[form].kind.value for form in employer.forms})
        ],
    )
    await vouched.rely(cast.tx, [(cast.ids[school], cast.ids[hub]) for school, hub in data.HUB_OF.items()])


# --- programmes -----------------------------------------------------------------------------------------


async def _begin_programme(cast: Cast, pilot: Pilot) -> None:
    await cast.enter(pilot.owner)
    begins, ends = pilot.begins(cast.monday), pilot.ends(cast.monday)
    given = {
        "external_ref": pilot.ref,
        "name": pilot.name,
        "funder": pilot.funder,
        "budget_pence": pilot.budget_pence,
    }
    programme = await programmes.begin(cast.tx, {**given, "starts_on": begins, "ends_on": ends})
    cast.programmes[pilot.ref] = programme["id"]
    for code, (name, model) in pilot.strands.items():
        strand = {"code": code, "name": name, "model": model}
        row = await programmes.add(cast.tx, programme["id"], "strands", strand)
        cast.strands[pilot.ref, code] = row["id"]
    for school, code in pilot.schools.items():
        joined = {
            "school_id": cast.ids[school],
            "strand_id": cast.strands[pilot.ref, code],
            "joined_on": begins,
            "own_budget": pilot.budgets.get(school, "unknown"),
        }
        await programmes.add(cast.tx, programme["id"], "schools", joined)
    for target in pilot.targets:
        await programmes.add(cast.tx, programme["id"], "targets", {**target, "due_on": ends})


# --- what happened before -------------------------------------------------------------------------------


async def _remember(cast: Cast, rolls: Mapping[str, list[Pupil]], say: Say) -> None:
    schools = [cast.ids[school] for school in rolls]
    known = Known(
        cast.ids,
        {key: one.client_id for key, one in cast.callers.items()},
        await sql.pupils(cast.tx, schools, cast.ids["vendor"]),
        cast.offers,
        cast.programmes,
        cast.strands,
    )
    for pilot, told, schools_of in (
        (HUB, hub_pilot.history, data.MAINTAINED),
        (TRUST, trust_pilot.history, data.ACADEMIES),
    ):
        say(f"what happened in {len(schools_of)} schools of the {pilot.owner}")
        await cast.enter(pilot.owner)
        history = told({school: rolls[school] for school in schools_of}, cast.monday)
        await past.record(cast.tx, known, history)
        for school, pence in allocations(history).items():
            aside = {"school_id": cast.ids[school], "amount_pence": pence}
            await programmes.add(cast.tx, cast.programmes[pilot.ref], "allocations", aside)


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
