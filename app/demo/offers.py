"""What an employer offers, and its open slots in the months ahead of the Monday of this week."""

import random
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from app.core.db import Row, Writer
from app.demo.businesses import FORMS, Employer
from app.demo.terms import anchor_of
from app.demo.visits import REPLY_HOURS, at, days_of, starts
from app.offers import service as offers

_SLOTS = 3


async def open_offers(tx: Writer, employer: Employer, today: date) -> dict[str, Row]:
    """Post the offers and their slots as the employer, which the transaction has entered; gives offers by form."""
    made = {form: await offers.add_offer(tx, employer.offer(form)) for form in employer.forms}
    slots = [slot for form in employer.forms for slot in _slots(employer, form, anchor_of(today))]
    await offers.add_slots(tx, slots, [f"/slots/{number}" for number in range(len(slots))], atomic=True)
    return made


def _slots(employer: Employer, form: str, monday: date) -> Iterator[Mapping[str, Any]]:
    """Three dates, at least four weeks ahead."""
    chance = random.Random(f"slots {employer.key} {form}")  # noqa: S311
    shape = FORMS[form]
    days = starts(form, monday + timedelta(weeks=4), monday + timedelta(weeks=30))
    for first in sorted(chance.sample(days, min(_SLOTS, len(days)))):
        yield {
            "offer_ref": employer.ref(form),
            "external_ref": f"{employer.ref(form)}-{first.isoformat()}",
            "capacity": shape.capacity,
            "reply_within_hours": REPLY_HOURS,
            "sittings": [
                {
                    "starts_at": at(day, shape.begins),
                    "ends_at": at(day, shape.ends),
                    "break_minutes": shape.rest,
                }
                for day in days_of(shape, first)
            ],
        }
