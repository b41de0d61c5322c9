"""Steps 1 to 4 of the story: offered, searched, booked, confirmed, told, named."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from app.core.clock import LONDON, school_day, wall_now
from app.demo.party import Refused
from app.demo.stage import NC_YEAR, PLACES, Stage, moment, on, term_days
from app.rules.school_calendar import academic_year

AHEAD: Final = timedelta(days=21)
SECTOR: Final = "life_sciences"
KIND: Final = "workplace_tour"
CRITERIA: Final = ("clear_shared_purpose", "learning_outcomes", "two_way_interaction", "reflection")
_NOT_FOUND: Final = 404


async def sign_in(stage: Stage) -> None:
    """Everybody gets a token, and the story chooses days on which the school's pupils are free."""
    for party in stage.parties.values():
        async with stage.step(0, f"{party.name} signs in as {party.key}"):
            await party.sign_in()
    now = wall_now()
    try:
        clock = await stage.hub.get("/v1/dev/clock")
        now, stage.offset = moment(clock["now"]), int(clock["offset_seconds"])
    except Refused as refused:
        if refused.status != _NOT_FOUND:
            raise
    earliest = school_day(now) + AHEAD
    stage.days = term_days(earliest, await _taken(stage, earliest), 3)


async def _taken(stage: Stage, earliest: date) -> frozenset[date]:
    """Days on which the school goes somewhere already: no pupil is in two places at once."""
    taken: set[date] = set()
    query: dict[str, str | int] = {"school_id": stage.school_id, "starts_from": on(earliest, 0), "limit": 200}
    while True:
        page = await stage.vendor.get("/v1/bookings", **query)
        taken |= {moment(one["starts_at"]).astimezone(LONDON).date() for one in page["data"]}
        if not page["next"]:
            return frozenset(taken)
        query["after"] = page["next"]


# --- 1: the employer ------------------------------------------------------------------------------


async def offer(stage: Stage) -> None:
    """A site with its cover, an offer of two hours, three dates; all by the employer's own references."""
    employer, ref = stage.employer, stage.ref
    async with stage.step(1, f"{employer.name} posts a site") as done:
        site = await employer.post("/v1/sites", {"external_ref": f"SITE-{ref}", **_SITE})
        await employer.post("/v1/cover", {"site_id": site["id"], **_cover(stage.days[-1])})
        done(f"SITE-{ref}, public liability £5m")
    async with stage.step(1, f"{stage.hub.name} approves it, {stage.school.name} relies on that"):
        await stage.hub.post("/v1/approvals", _approval(site["id"], stage.days[-1]))
        accepted = f"/v1/schools/{stage.school_id}/accepted-approvers/{stage.hub.org_id}"
        await stage.school.put(accepted)
    async with stage.step(1, f"{employer.name} posts an offer and three slots") as done:
        given = {"external_ref": f"TOUR-{ref}", "site_ref": f"SITE-{ref}", **_OFFER}
        stage.offer = dict(await employer.post("/v1/offers", given))
        slots = [_slot(ref, day) for day in stage.days]
        made = await employer.post("/v1/slots/bulk?atomic=true", {"slots": slots})
        done(f"TOUR-{ref}; {', '.join(f'{day:%a %d %b}' for day in stage.days)}; {made['created']} created")


_SITE: Final[Mapping[str, Any]] = {
    "name": "Greenhouse laboratory",
    "address": "4 Orchard Court",
    "town": "Stevenage",
    "postcode": "SG1 9ZZ",
    "access": "Step-free throughout.",
}
_OFFER: Final[Mapping[str, Any]] = {
    "title": "From sample to result: two hours in the laboratory",
    "kind": KIND,
    "grouping": "group",
    "tier": 1,
    "sector": SECTOR,
    "skills": ["listening", "problem_solving"],
    "year_groups": ["7", "8", "9"],
    "criteria": list(CRITERIA),
}


def _cover(last: date) -> dict[str, Any]:
    return {
        "kind": "policy",
        "liability": "public_liability",
        "insurer": "Harbour Mutual",
        "policy_number": "HM-2216-PL",
        "limit_pence": 500_000_000,
        "expires_on": (last + timedelta(days=365)).isoformat(),
    }


def _approval(site_id: str, last: date) -> dict[str, Any]:
    expires = (last + timedelta(days=365)).isoformat()
    return {"site_id": site_id, "kind": KIND, "activity_band": "low", "expires_on": expires}


def _slot(ref: str, day: date) -> dict[str, Any]:
    return {
        "offer_ref": f"TOUR-{ref}",
        "external_ref": f"TOUR-{ref}-{day.isoformat()}",
        "capacity": PLACES + 5,
        "sittings": [{"starts_at": on(day, 10), "ends_at": on(day, 12)}],
    }


# --- 2: the school's MIS --------------------------------------------------------------------------


async def book(stage: Stage) -> None:
    """The vendor registers where it listens, searches by kind, date, sector and year group, and books."""
    vendor, day = stage.vendor, stage.days[0].isoformat()
    async with stage.step(2, f"{vendor.name} registers its receiver") as done:
        endpoint = {"url": stage.listener.url, "school_id": stage.school_id, "description": "The story"}
        made = await vendor.post("/v1/webhook-endpoints", endpoint)
        stage.endpoint_id = made["id"]
        await stage.listener.trust(made["secret"])
        done(stage.listener.url)
    async with stage.step(2, f"{vendor.name} searches tours in life sciences for Year {NC_YEAR}") as done:
        found = await vendor.get(
            "/v1/open-slots", kind=KIND, from_=day, to=day, sector=SECTOR, year_group=NC_YEAR, min_places=PLACES,
            school_id=stage.school_id, limit=200,
        )  # fmt: skip
        stage.slot = next(one for one in found["data"] if one["offer_id"] == stage.offer["id"])
        done(f"{len(found['data'])} found; {stage.slot['places_left']} places on {stage.days[0]:%a %d %b}")
    async with stage.step(2, f"{vendor.name} books {PLACES} places") as done:
        asked = {"school_id": stage.school_id, "slot_id": stage.slot["slot_id"], "places": PLACES}
        asked |= {"nc_year": str(NC_YEAR), "external_ref": f"TRIP-{stage.ref}"}
        stage.booking = dict(await vendor.post("/v1/bookings", asked))
        done(f"TRIP-{stage.ref} is {stage.booking['state']}")


# --- 3 and 4: confirmed, told, named --------------------------------------------------------------


async def confirm(stage: Stage) -> None:
    """The employer lists what it is asked, and confirms; the school's receiver has it at once."""
    employer = stage.employer
    async with stage.step(3, f"{employer.name} lists its requests") as done:
        listed = await employer.get("/v1/bookings", state="requested", slot_id=stage.slot["slot_id"])
        request = next(one for one in listed["data"] if one["id"] == stage.booking["id"])
        done(f"{request['places']} places on {moment(request['starts_at']):%a %d %b}")
    async with stage.step(3, f"{employer.name} confirms") as done:
        stage.booking |= await employer.post(f"/v1/bookings/{request['id']}/confirm")
        done(str(stage.booking["state"]))
    async with stage.step(4, f"{stage.school.name}'s receiver gets booking.confirmed") as done:
        (got,) = await stage.listener.until("booking.confirmed", stage.about)
        done(f"signature verified, {after(got.at, got.body)}")
    stage.console.print(
        "  [dim]Measured from the event's own timestamp, taken just before its COMMIT, to the last byte here.[/]"
    )


def after(at: float, event: Mapping[str, Any]) -> str:
    """The milliseconds from commit to receipt. An event's `timestamp` is taken just before the COMMIT that makes it
    true, to the millisecond: the figure holds that COMMIT as well, and is never too small.
    """
    return f"{(at - moment(event['timestamp']).timestamp()) * 1000:.0f} ms from commit to receipt"


async def name(stage: Stage) -> None:
    """The school names its pupils by its MIS's own references."""
    async with stage.step(4, f"{stage.school.name} names its {PLACES} pupils") as done:
        year = academic_year(stage.days[0])
        listed = await stage.vendor.get(
            f"/v1/schools/{stage.school_id}/pupils", nc_year=NC_YEAR, academic_year=year, limit=200
        )
        pupils = [{"external_ref": one["external_ref"]} for one in _turn(stage, listed["data"])]
        path = f"/v1/bookings/{stage.booking['id']}/participants"
        named = await stage.vendor.post(path, {"pupils": pupils})
        done(f"{len(named['data'])} of Year {NC_YEAR}; the employer sees no name yet")


def _turn(stage: Stage, pupils: list[Any]) -> list[Any]:
    """Other pupils each day, so that in time everybody goes."""
    start = stage.days[0].toordinal() * PLACES % len(pupils)
    return [*pupils, *pupils][start : start + PLACES]
