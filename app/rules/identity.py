"""Whether two descriptions are of one pupil: number, given name, family name, date of birth.

A reference of a management information system can be given to another child, and a number can be typed at the wrong
one. What a pupil has earned must then not go to somebody else. So a description that contradicts the one that is
held is refused until a person has said that it is a correction.
"""

import unicodedata
from dataclasses import dataclass
from datetime import date

FACTS = ("given_name", "family_name", "date_of_birth")


@dataclass(frozen=True, slots=True)
class Description:
    """Who a pupil is said to be. `upn` and `former_upn` are keyed hashes of the numbers, or None."""

    given_name: str
    family_name: str
    date_of_birth: date
    upn: str | None = None
    former_upn: str | None = None


def contradicts(held: Description, told: Description, *, number_told: bool, protected: bool) -> bool:
    """Whether `told` cannot be taken for the pupil who is `held`.

    Nothing contradicts where the number, or a former one, agrees. Else it does when a held number is replaced or
    emptied and any of the three facts differs, or when two of the facts differ. A number that comes where there was
    none replaces nothing. `number_told`: the number was part of what was told. `protected`: a former number proves
    nothing, as an old number must never lead to a child whose identity is protected.
    """
    differing = sum(not _alike(getattr(held, fact), getattr(told, fact)) for fact in FACTS)
    if not differing or (number_told and told.upn is not None and told.upn == held.upn):
        return False
    if not protected and _by_a_former_number(held, told, number_told=number_told):
        return False
    replaced = number_told and held.upn is not None and told.upn != held.upn
    return replaced or differing > 1


def _by_a_former_number(held: Description, told: Description, *, number_told: bool) -> bool:
    if told.former_upn is not None and told.former_upn in (held.upn, held.former_upn):
        return True
    return number_told and told.upn is not None and told.upn == held.former_upn


def _alike(one: object, other: object) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _bare(one) == _bare(other) != ""
    return one == other


def _bare(name: str) -> str:
    """A name without case, accents, blanks, hyphens and apostrophes: systems differ in how they write these."""
    taken_apart = unicodedata.normalize("NFKD", name.casefold())
    return "".join(sign for sign in taken_apart if sign.isalnum())
