"""The entitlement policy in force: dated data from the day they begin, until then the default of `rules.entitlement`."""

from collections.abc import Iterable
from datetime import date
from fractions import Fraction

from app.core.clock import as_date
from app.core.db import Door, Row
from app.ledger import sql
from app.rules.entitlement import BandRule, Policy, policies_with, policy_on
from app.rules.words import EntitlementBand, ExperienceKind


async def policy_in_force(tx: Door, day: date) -> Policy:
    """The policy of a day. One statement."""
    return policy_of(await sql.policies(tx), day)


def policy_of(rows: Iterable[Row], day: date) -> Policy:
    """The policy of a day, given the rows of dated data about the entitlement; dates may be as JSON has them."""
    return policy_on(day, policies_with(map(_policy, rows)))


def _policy(row: Row) -> Policy:
    body = row["body"]
    return Policy(
        code=body["code"],
        valid_from=as_date(row["starts_on"]) or date.min,
        valid_until=as_date(row["ends_on"]),
        bands=tuple(_band(one) for one in body["bands"]),
        total_minutes=body["total_minutes"],
        day_minutes=body["day_minutes"],
        daily_cap=body["daily_cap"],
    )


def _band(body: Row) -> BandRule:
    kinds = body["kinds"]
    return BandRule(
        band=EntitlementBand(body["band"]),
        minutes=body["minutes"],
        kinds=None if kinds is None else frozenset(ExperienceKind(one) for one in kinds),
        virtual_share=Fraction(body["virtual_share"]),
    )
