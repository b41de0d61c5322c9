"""The counted world with characteristics, so that every gap is known beforehand.

Ash tells SEN of its 50: of 30 in Year 8 ten N (all reached), ten K (five reached), ten E (none), and N of 20 in Year 10 (ten
reached). Nobody else of hub A tells anything, though Beech stands on it: unknown.

`in_hub_b` makes hub B of two schools. Elm: ten N (all reached), 15 K (two reached), ten E (none). Fir: ten of each in
Year 8, of whom five, none and all are reached. Both tell who is looked after: ten at each, all without a minute.
"""

from datetime import date
from uuid import UUID

from tests.pupils_counted import LONG_AGO, Counted, _join


async def tell(
    made: Counted, school: str, pupil: UUID, value: str, field: str = "sen", **more: object
) -> UUID:
    """A characteristic of a pupil; `valid_from`, `valid_to`, `recorded_at`, `superseded_at` may be given."""
    return await made.insert(
        "characteristics", school_id=made.ids[school], enrolment_id=pupil, field_group=field, value=value,
        **{"valid_from": LONG_AGO, **more},
    )  # fmt: skip


async def pupils_of(made: Counted, school: str) -> list[UUID]:
    """In the order in which they were made."""
    rows = await made.owner.fetch(
        "SELECT id FROM enrolments WHERE school_id = $1 ORDER BY id", made.ids[school]
    )
    return [row["id"] for row in rows]


async def in_ash(made: Counted) -> None:
    """SEN of Ash."""
    for at, pupil in enumerate(await pupils_of(made, "ash")):
        await tell(made, "ash", pupil, "K" if 10 <= at < 20 else "E" if 20 <= at < 30 else "N")


async def in_hub_b(made: Counted, since: date = LONG_AGO) -> None:
    """Elm and Fir, as at the head of this page."""
    await _join(made, "hub_b", "fir", "hub")
    await made.state("fir")
    await made.owner.execute(
        "UPDATE school_states SET field_groups = '{identity,enrolment,sen,looked_after}' WHERE school_id = ANY ($1)",
        [made.ids["elm"], made.ids["fir"]],
    )
    for _ in range(10):
        await made.pupil("elm", "8")
    for value, reached in (("N", 5), ("K", 0), ("E", 10)):
        for at in range(10):
            pupil = await made.pupil("fir", "8", 300 if at < reached else 0)
            await tell(made, "fir", pupil, value, valid_from=since)
            await _looked_after(made, "fir", pupil, yes=value == "K")
    for at, pupil in enumerate(await pupils_of(made, "elm")):
        await tell(made, "elm", pupil, "N" if at < 10 else "K" if at < 25 else "E", valid_from=since)
        await _looked_after(made, "elm", pupil, yes=at >= 25)


async def _looked_after(made: Counted, school: str, pupil: UUID, *, yes: bool) -> None:
    await tell(made, school, pupil, "true" if yes else "false", "looked_after")
