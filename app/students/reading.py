"""Read a school's roll: only the field groups that scope and grant open, and every look from outside written down."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from app.core.db import Door, Row, Writer
from app.core.errors import NotFound
from app.core.paging import Pull
from app.core.secrets import Keyring
from app.disclosures import service as disclosures
from app.rules.characteristics import as_sent
from app.rules.school_calendar import academic_year
from app.rules.words import FieldGroup
from app.students import sql
from app.students.rows import Access
from app.students.service import PURPOSE, access_to

ALWAYS: Final = ("id", "school_id", "external_ref", "state", "version", "created_at", "updated_at")
"""What is no field group's: our id, the caller's own reference, and how things stand between the two."""

_SHOWN: Final = {
    FieldGroup.IDENTITY: ("given_name", "family_name", "known_as", "date_of_birth", "identity_protected"),
    FieldGroup.ENROLMENT: ("kind", "starts_on", "ends_on", "academic_year", "nc_year"),
    FieldGroup.ACCESS_NEEDS: ("access_needs",),
}


async def page(
    tx: Door,
    keyring: Keyring,
    school_id: UUID,
    *,
    scoped: frozenset[FieldGroup],
    route: str,
    with_upn: bool = False,
    nc_year: str | None = None,
    year: int | None = None,
    pull: Pull,
) -> Sequence[Row]:
    """A page of pupils as `core.sql.pulled` gives them, each beside what may be shown of it as `pupil`.

    The NC year is that of the academic `year`, by default today's. For anybody but the school and its trust a
    disclosure is written for each pupil shown: `tx` is then a Writer. NotFound.
    """
    access = await access_to(tx, school_id, scoped)
    in_year = year or academic_year(access.today)
    found = await sql.page(
        tx,
        school_id,
        today=access.today,
        year=in_year,
        nc_year=nc_year,
        pull=pull,
    )
    pupils = [
        {**row, "pupil": _shown(row, access, keyring, with_upn=with_upn) if row["id"] else None}
        for row in found
    ]
    await _disclose(tx, access, [row["pupil"] for row in pupils[: pull.limit] if row["id"]], route)
    return pupils


async def one(
    tx: Door,
    keyring: Keyring,
    school_id: UUID,
    pupil_id: UUID,
    *,
    scoped: frozenset[FieldGroup],
    route: str,
    with_upn: bool = False,
) -> dict[str, Any]:
    """One pupil, as in `page`. NotFound for a pupil of another school, too."""
    access = await access_to(tx, school_id, scoped)
    row = await sql.one(tx, school_id, pupil_id, today=access.today, year=academic_year(access.today))
    if row is None:
        raise NotFound("pupil")
    pupil = _shown(row, access, keyring, with_upn=with_upn)
    await _disclose(tx, access, [pupil], route)
    return pupil


async def corrections(tx: Door, school_id: UUID, *, before: UUID | None, limit: int) -> list[dict[str, Any]]:
    """Corrections of identity in a school, newest first, one more than `limit` if there is a next page.

    NotFound for anybody but the school and its trust.
    """
    access = await access_to(tx, school_id, frozenset())
    if not access.own:
        raise NotFound("school")
    found = await sql.corrections(tx, school_id, before=before, limit=limit)
    same = ("id", "school_id", "client_id", "fields", "has_encounters", "corrected_at")
    return [
        {**{name: row[name] for name in same}, "pupil_id": row["enrolment_id"], "by_org_id": row["org_id"]}
        for row in found
    ]


async def _disclose(tx: Door, access: Access, pupils: Sequence[dict[str, Any]], route: str) -> None:
    if access.own or not pupils:
        return
    if not isinstance(tx, Writer):
        raise TypeError("a look from outside the school needs a transaction that can write it down")
    seen = [(pupil["id"], list(_said(pupil))) for pupil in pupils]
    await disclosures.disclose(tx, access.school_id, seen, grant_id=access.grant_id, route=route)


def _said(pupil: dict[str, Any]) -> Iterator[str]:
    for name, value in pupil.items():
        if name == "characteristics":
            yield from value
        elif name not in ALWAYS and value is not None:
            yield name


def _shown(row: Row, access: Access, keyring: Keyring, *, with_upn: bool) -> dict[str, Any]:
    pupil = {name: row[name] for name in ALWAYS}
    for group, names in _SHOWN.items():
        if group in access.groups:
            pupil |= {name: row[name] for name in names}
    if with_upn and FieldGroup.IDENTITY in access.groups:
        sealed = row["upn_sealed"]
        pupil["upn"] = keyring.open_sealed(PURPOSE, sealed, row["id"].bytes).decode() if sealed else None
    pupil["characteristics"] = {
        group: {"value": as_sent(group, value), "valid_from": since}
        for group, value, since in row["characteristics"] or ()
        if group in access.groups
    }
    return pupil
