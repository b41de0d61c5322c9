"""What each characteristic of a pupil may say, as text, the way it is stored and compared.

The codes of SEN provision and the bands of absence are the census's; the rest is yes or no. `behaviour` has no
census code: it is the school's own flag.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from app.rules.words import CHARACTERISTIC_GROUPS, AbsenceBand, FieldGroup, Sen, values


class FreeSchoolMeals(StrEnum):
    """Eligible now, eligible at some time in the last six years (FSM6), or neither."""

    NONE = "none"
    EVER_6 = "ever_6"
    CURRENT = "current"


YES_OR_NO: Final[tuple[str, ...]] = ("true", "false")
VALUES: Final[Mapping[FieldGroup, tuple[str, ...]]] = {
    **dict.fromkeys(CHARACTERISTIC_GROUPS, YES_OR_NO),
    FieldGroup.SEN: values(Sen),
    FieldGroup.FREE_SCHOOL_MEALS: values(FreeSchoolMeals),
    FieldGroup.ATTENDANCE: values(AbsenceBand),
}
"""The values of each group."""

PEERS: Final[Mapping[FieldGroup, str]] = {
    **dict.fromkeys(CHARACTERISTIC_GROUPS, "false"),
    FieldGroup.SEN: Sen.NONE.value,
    FieldGroup.FREE_SCHOOL_MEALS: FreeSchoolMeals.NONE.value,
    FieldGroup.ATTENDANCE: AbsenceBand.NONE.value,
}
"""With which value the others of a group are compared. It is told like any other: nothing told is not "no"."""


def as_text(value: str | bool) -> str:  # noqa: FBT001  (a yes or no is the datum itself)
    """The stored form: `true` and `false` for a yes or no."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_sent(group: str, text: str) -> str | bool:
    """The form in which it was sent."""
    return text == "true" if VALUES[FieldGroup(group)] == YES_OR_NO else text
