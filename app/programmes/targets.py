"""What a target may aim at, and how much of what is reached its owner may be told."""

from collections.abc import Mapping
from typing import Final

from app.core.db import Row
from app.core.errors import Invalid, invalid
from app.rules.characteristics import VALUES
from app.rules.coverage import rounded
from app.rules.words import CHARACTERISTIC_GROUPS, HUB_LEVEL_ONLY_GROUPS, FieldGroup

ALL: Final = 100
DAY: Final = 300
"""Minutes, of a day of work experience."""


COUNTED_BY: Final = frozenset({"share", "young_people"})
"""The measures of which young people with a characteristic are counted."""


def problem_with_aim(target: Row, *, rounds: bool) -> Invalid | None:
    """A share is 0 to 100 per cent of the young people, of those with a characteristic; they may be counted too. It is a
    field group, or one of its values as `sen:K`. Who sees figures only rounded (`rounds`) is told of looked-after children
    and young carers of the programme as a whole alone.
    """
    said = target["characteristic"]
    if target["measure"] == "share" and target["value"] > ALL:
        return invalid("/value", "out_of_range", "A share is 0 to 100 per cent.")
    if said is None:
        missing = invalid("/characteristic", "characteristic_missing", "A share is of a characteristic.")
        return missing if target["measure"] == "share" else None
    group, _, value = said.partition(":")
    if group not in CHARACTERISTIC_GROUPS or (":" in said and value not in VALUES[FieldGroup(group)]):
        return invalid(
            "/characteristic",
            "unknown_characteristic",
            "A field group such as `sen`, or one of its values such as `sen:K`.",
        )
    if target["measure"] not in COUNTED_BY:
        detail = "Young people are counted by characteristic, and their share; schools and minutes are not."
        return invalid("/characteristic", "not_counted_by_characteristic", detail)
    if rounds and target["strand_id"] and group in HUB_LEVEL_ONLY_GROUPS:
        return invalid("/characteristic", "hub_level_only", "Told of a programme as a whole only.")
    return None


def shown_as(reached: Row, *, rounds: bool) -> Mapping[str, int]:
    """What is reached, as its owner may know it: who sees rounded figures cannot find the exact one by trying.

    Young people to the nearest 5; minutes to the nearest day, and none while nobody is shown. Schools are no secret.
    """
    exact = {name: int(reached[name]) for name in ("schools", "young_people", "minutes")}
    if not rounds:
        return exact
    people = rounded(exact["young_people"])
    minutes = (exact["minutes"] + DAY // 2) // DAY * DAY if people else 0
    return {**exact, "young_people": people, "minutes": minutes}
