"""One row of a roll: which field groups it touches, what is wrong with it, and what it changes. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from uuid import UUID

from app.core.db import Row
from app.core.errors import Fault
from app.rules import upn
from app.rules.answers import Refusal
from app.rules.characteristics import as_text
from app.rules.identity import FACTS, Description, contradicts
from app.rules.words import CHARACTERISTIC_GROUPS, EnrolmentState, FieldGroup

IDENTITY: Final = (
    "upn",
    "former_upn",
    "given_name",
    "family_name",
    "known_as",
    "date_of_birth",
    "identity_protected",
    "correction",
)
ENROLMENT: Final = ("nc_year", "academic_year", "kind", "starts_on", "ends_on")
GROUP_OF: Final[Mapping[str, FieldGroup]] = {
    **dict.fromkeys(IDENTITY, FieldGroup.IDENTITY),
    **dict.fromkeys(ENROLMENT, FieldGroup.ENROLMENT),
    "access_needs": FieldGroup.ACCESS_NEEDS,
}
_KEPT: Final = (
    "kind",
    "starts_on",
    "ends_on",
    "given_name",
    "family_name",
    "known_as",
    "date_of_birth",
    "identity_protected",
    "access_needs",
)
_FRESH: Final = {
    "kind": "main",
    "ends_on": None,
    "known_as": None,
    "identity_protected": False,
    "access_needs": None,
}
_NEVER_NULL: Final = (
    "given_name",
    "family_name",
    "date_of_birth",
    "nc_year",
    "kind",
    "starts_on",
    "identity_protected",
)
_OLDEST: Final = 30
Hash = Callable[[str], str]
"""From a UPN to the hex of its keyed hash."""


@dataclass(frozen=True, slots=True)
class Access:
    """What the caller may read, or send, of one school's pupils."""

    school_id: UUID
    own: bool
    granted: frozenset[str]
    scoped: frozenset[str]
    grant_id: UUID | None
    today: date

    @property
    def groups(self) -> frozenset[str]:
        """The groups that both grant and scope open."""
        return self.granted & self.scoped


@dataclass(slots=True)
class Sent:
    """One row as it was sent: only the fields that were. `faults` has pointers relative to the row."""

    index: int
    external_ref: str | None
    given: Mapping[str, Any]
    faults: list[Fault] = field(default_factory=list)
    upn: str | None = None
    upn_hash: str | None = None
    former_hash: str | None = None

    @property
    def protected(self) -> bool:
        """Whether the row itself says that the identity is protected."""
        return bool(self.given.get("identity_protected"))

    @property
    def correction(self) -> bool:
        """Whether the row says that it puts right who the pupil is."""
        return bool(self.given.get("correction"))


def judge(sent: Sent, access: Access, digest: Hash) -> None:
    """Find what is wrong with a row by itself, and read its numbers.

    Codes: `field_group_not_granted`, `insufficient_scope`, `required`, `upn_format`, `upn_check_letter`, `not_a_birth_date`,
    `ends_before_start`. The value of a UPN is never repeated.
    """
    sent.faults += [fault for fault in _closed(sent.given, access) if fault]
    sent.faults += [
        Fault(f"/{name}", "required", "This cannot be empty.")
        for name in _NEVER_NULL
        if name in sent.given and sent.given[name] is None
    ]
    sent.upn, sent.upn_hash = _number(sent, "upn", digest)
    _, sent.former_hash = _number(sent, "former_upn", digest)
    born = sent.given.get("date_of_birth")
    if born is not None and not date(access.today.year - _OLDEST, 1, 1) <= born < access.today:
        sent.faults.append(
            Fault("/date_of_birth", "not_a_birth_date", "A pupil was born before today, not so long ago.")
        )
    starts, ends = sent.given.get("starts_on"), sent.given.get("ends_on")
    if starts and ends and ends < starts:
        sent.faults.append(Fault("/ends_on", "ends_before_start", "The last day is before the first."))


def _closed(given: Mapping[str, Any], access: Access) -> Iterable[Fault | None]:
    for name in given:
        if name == "characteristics":
            for group in given[name] or ():
                yield _refused(f"/characteristics/{group}", group, access)
        else:
            yield _refused(f"/{name}", GROUP_OF[name], access)


def _refused(pointer: str, group: str, access: Access) -> Fault | None:
    if group not in access.granted:
        return Fault(
            pointer, "field_group_not_granted", f"The controller has not granted you the field group {group}."
        )
    if group not in access.scoped:
        return Fault(pointer, "insufficient_scope", f"This field needs the scope pupils.{group}:write.")
    return None


def _number(sent: Sent, name: str, digest: Hash) -> tuple[str | None, str | None]:
    text = sent.given.get(name)
    if text is None:
        return None, None
    number = upn.upn(text)
    if isinstance(number, Refusal):
        sent.faults.append(Fault(f"/{name}", number.code, number.detail))
        return None, None
    return number, digest(number)


def who(sent: Sent, found: Row | None, held: Mapping[UUID, Row]) -> UUID | None:
    """Which enrolment of the school a row means; None for a new pupil. Adds a fault where it cannot be told.

    The caller's own reference decides. A first link by number asks for the same date of birth, and never links a
    protected identity; by a former number it does not even say so.
    """
    if found is None:
        return None
    by_ref, by_upn, by_former = (found[name] for name in ("by_ref", "by_upn", "by_former"))
    if by_upn is not None and by_upn != by_ref and (by_ref is not None or not _same(sent, held[by_upn])):
        sent.faults.append(
            Fault("/upn", "upn_of_another_pupil", "Another pupil of this school has this number.")
        )
        return None
    meant: UUID | None = by_ref or by_upn
    if meant is None and by_former is not None and _same(sent, held[by_former]):
        meant = by_former
    return meant


def _same(sent: Sent, row: Row) -> bool:
    return (
        not sent.protected
        and not row["identity_protected"]
        and sent.given.get("date_of_birth") == row["date_of_birth"]
    )


def is_somebody_else(sent: Sent, held: Row) -> bool:
    """Whether a row contradicts the pupil whom it would change."""
    return contradicts(
        _described(held, _hex(held["upn_hash"]), _hex(held["former_upn_hash"])),
        _described({**held, **_facts(sent)}, sent.upn_hash, sent.former_hash),
        number_told="upn" in sent.given,
        protected=sent.protected or held["identity_protected"],
    )


def _described(row: Mapping[str, Any], number: str | None, former: str | None) -> Description:
    given_name, family_name, born = (row[fact] for fact in FACTS)
    return Description(given_name, family_name, born, number, former)


def _facts(sent: Sent) -> dict[str, Any]:
    return {fact: sent.given[fact] for fact in FACTS if fact in sent.given}


def put_right(sent: Sent, held: Row) -> list[str]:
    """Which of the number, the names and the date of birth a row changes."""
    changed = [fact for fact, value in _facts(sent).items() if value != held[fact]]
    return ["upn", *changed] if "upn" in sent.given and sent.upn_hash != _hex(held["upn_hash"]) else changed


def _hex(held: bytes | None) -> str | None:
    return held.hex() if held is not None else None


def merged(sent: Sent, held: Row | None, today: date) -> dict[str, Any]:
    """The columns of the enrolment as they will stand, numbers apart."""
    base: Mapping[str, Any] = held if held is not None else {**_FRESH, "starts_on": today}
    return {name: sent.given[name] if name in sent.given else base[name] for name in _KEPT}


def differs(row: Mapping[str, Any], held: Row) -> bool:
    """Whether any column that is compared would change."""
    return any(row[name] != held[name] for name in _KEPT)


def state(row: Mapping[str, Any], today: date, *, elsewhere: bool) -> str:
    """`left` after the last day; `claimed` for a main enrolment of one who is active elsewhere; else `active`."""
    if row["ends_on"] is not None and row["ends_on"] < today:
        return EnrolmentState.LEFT
    return EnrolmentState.CLAIMED if elsewhere and row["kind"] == "main" else EnrolmentState.ACTIVE


def new_year(sent: Sent, held: Row | None, year: int) -> tuple[int, str] | None:
    """The academic year and NC year to record, if they say something new."""
    value = sent.given.get("nc_year")
    if value is None:
        return None
    in_year = sent.given.get("academic_year") or year
    known = (held["years"] if held is not None else {}).get(str(in_year))
    return None if known == value else (in_year, str(value))


def new_characteristics(sent: Sent, held: Row | None, today: date) -> list[tuple[str, str, date]]:
    """Group, value, first day: those that say something new. A value that stands already since before is not."""
    known = {group: (value, since) for group, value, since in (held["standing"] if held is not None else ())}
    told = []
    for group in CHARACTERISTIC_GROUPS:
        said = (sent.given.get("characteristics") or {}).get(group)
        if said is None:
            continue
        value, since = as_text(said["value"]), said.get("valid_from") or today
        stands = known.get(group)
        if not (stands and stands[0] == value and stands[1] <= since.isoformat()):
            told.append((str(group), value, since))
    return told
