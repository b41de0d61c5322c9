"""An employer's offers, and their open slots in the weeks ahead of the Monday of this week."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from app.core.clock import LONDON
from app.core.db import Writer
from app.demo.data import Employer, Offer
from app.offers import service as offers

REPLY_HOURS = 120
SKILLS = ["listening", "speaking", "problem_solving"]


async def open_offers(tx: Writer, employer: Employer, today: date) -> None:
    """Post the offers and all their slots as the employer, which the transaction has entered."""
    for offer in employer.offers:
        await offers.add_offer(tx, _offer(employer, offer))
        slots = list(_slots(offer, today - timedelta(days=today.weekday())))
        await offers.add_slots(tx, slots, [f"/slots/{at}" for at in range(len(slots))], atomic=True)


def _offer(employer: Employer, offer: Offer) -> Mapping[str, Any]:
    return {
        "external_ref": offer.ref,
        "site_ref": "main",
        "title": offer.title,
        "kind": offer.kind.value,
        "mode": "in_person",
        "grouping": offer.grouping,
        "tier": offer.tier,
        "sector": employer.sector,
        "skills": SKILLS,
        "year_groups": list(offer.years),
        "criteria": list(offer.criteria),
        "activity_band": "low",
        "visibility": "all_schools",
        **(offer.more or {}),
    }


def _slots(offer: Offer, monday: date) -> Iterator[Mapping[str, Any]]:
    for weeks in offer.weeks:
        first = monday + timedelta(weeks=weeks, days=offer.weekday)
        yield {
            "offer_ref": offer.ref,
            "external_ref": f"{offer.ref}-{first.isoformat()}",
            "capacity": offer.capacity,
            "reply_within_hours": REPLY_HOURS,
            "sittings": [
                {
                    "starts_at": moment(first + timedelta(days=day), offer.begins),
                    "ends_at": moment(first + timedelta(days=day), offer.ends),
                    "break_minutes": offer.break_minutes,
                }
                for day in range(offer.days)
            ],
        }


def moment(day: date, clock: time) -> datetime:
    """The instant at which a London clock shows this on that day."""
    return datetime.combine(day, clock, LONDON)
