"""The entitlement policy in force: dated data if there is any, else the default of `rules.entitlement`."""

from datetime import date
from fractions import Fraction

from app.core.db import Door, Row
from app.ledger import sql
from app.rules.entitlement import POLICIES, BandRule, Policy, policy_on
from app.rules.words import EntitlementBand, ExperienceKind


async def policy_in_force(tx: Door, day: date) -> Policy:
    """The policy of a day. One statement."""
    kept = [_policy(row) for row in await sql.policies(tx)]
    return policy_on(day, kept or POLICIES)


def _policy(row: Row) -> Policy:
    body = row["body"]
    return Policy(
        code=body["code"],
        valid_from=row["starts_on"],
        valid_until=row["ends_on"],
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
