"""The scopes as data: what each opens, and which kinds of organisation can have it, read and write apart.

A scope says what a *client* may ask for; whose rows it then finds is row security's matter, and which field
groups of a pupil it may see or send is the controller's grant. All three have to agree. The table in the
guides is made from `table()`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from app.rules.words import FieldGroup, OrganisationKind

Kinds = frozenset[OrganisationKind]

_K = OrganisationKind
_ALL: Final[Kinds] = frozenset(OrganisationKind)
_NONE: Final[Kinds] = frozenset()
_CONTROLLERS: Final[Kinds] = frozenset({_K.SCHOOL, _K.TRUST})
_SCHOOL_SIDE: Final[Kinds] = _CONTROLLERS | {_K.VENDOR}
_OVERSEERS: Final[Kinds] = frozenset({_K.HUB, _K.TRUST, _K.AUTHORITY, _K.NATIONAL})
_SUSPENDERS: Final[Kinds] = frozenset({_K.HUB, _K.TRUST, _K.NATIONAL})
_EMPLOYER: Final[Kinds] = frozenset({_K.EMPLOYER})
_BOTH_SIDES: Final[Kinds] = _SCHOOL_SIDE | _EMPLOYER


@dataclass(frozen=True, slots=True)
class Area:
    """One line of the table: an area, the kinds that may read it and the kinds that may write it."""

    name: str
    text: str
    read: Kinds
    write: Kinds = _NONE
    search: Kinds = _NONE
    development: bool = False

    def scopes(self) -> Iterator[tuple[str, Kinds]]:
        """The scopes of this area that anybody can be given, each with those kinds."""
        for verb, kinds in (("read", self.read), ("write", self.write), ("search", self.search)):
            if kinds:
                yield f"{self.name}:{verb}", kinds


IN_PUPILS: Final = frozenset({FieldGroup.IDENTITY, FieldGroup.ENROLMENT})
"""The field groups that `pupils:read` and `pupils:write` carry; every other has a scope of its own."""

AREAS: Final[tuple[Area, ...]] = (
    Area("organisations", "Organisations and their own entry", _ALL, _ALL),
    Area("memberships", "Who belongs to which hub and trust, and since when", _ALL, _OVERSEERS),
    Area("agreements", "Controllers' agreements", _SCHOOL_SIDE, _CONTROLLERS),
    Area("grants", "What a controller lets others see and send", _SCHOOL_SIDE | {_K.HUB}, _CONTROLLERS),
    Area("sites", "Employers' profiles, sites and contacts", _ALL, _EMPLOYER),
    Area("cover", "Employers' insurance, or why there need be none", _ALL, _EMPLOYER),
    Area("approvals", "Approvals of sites, acceptances and bars", _ALL, _CONTROLLERS | {_K.HUB}),
    Area("suspensions", "Suspensions of employers", _SUSPENDERS, _SUSPENDERS),
    Area("programmes", "Programmes, strands, schools, targets and money", _ALL, _OVERSEERS | {_K.SCHOOL}),
    Area("offers", "What employers offer", _ALL, _EMPLOYER),
    Area("slots", "Dated chances; `search` is over the open ones", _ALL, _EMPLOYER, _SCHOOL_SIDE | {_K.HUB}),
    Area("bookings", "Bookings, their moves and participants", _BOTH_SIDES, _BOTH_SIDES),
    Area("participants", "The names released for a booking that stands", _BOTH_SIDES),
    Area("attendance", "Arrivals, attendance, no-shows", _BOTH_SIDES, _BOTH_SIDES),
    Area("encounters", "What happened, with or without a booking", _SCHOOL_SIDE, _SCHOOL_SIDE),
    Area("pupils", "Pupils: identity and enrolment", _SCHOOL_SIDE, _SCHOOL_SIDE),
    *(
        Area(f"pupils.{group}", f"Pupils: {group.replace('_', ' ')}", _SCHOOL_SIDE, _SCHOOL_SIDE)
        for group in FieldGroup
        if group not in IN_PUPILS
    ),
    Area("ledger", "Minutes earned, entry by entry", _SCHOOL_SIDE),
    Area("coverage", "Figures", _SCHOOL_SIDE | _OVERSEERS),
    Area("webhooks", "Endpoints and deliveries", _ALL, _ALL),
    Area("events", "The event feed", _ALL),
    Area("disclosures", "What left the school's tenant", _CONTROLLERS),
    Area("clients", "The organisation's own API clients", _ALL, _ALL),
    Area("clock", "The domain clock, in development only", _ALL, _ALL, development=True),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the published table: area, what it is, and the kinds in the order of the enumeration."""

    area: str
    text: str
    read: tuple[str, ...]
    write: tuple[str, ...]
    search: tuple[str, ...]


def table() -> tuple[Line, ...]:
    """Scope by kind of organisation by read and write, for the guides."""
    return tuple(
        Line(area.name, area.text, _in_order(area.read), _in_order(area.write), _in_order(area.search))
        for area in AREAS
    )


def _in_order(kinds: Kinds) -> tuple[str, ...]:
    return tuple(kind.value for kind in OrganisationKind if kind in kinds)


@cache
def allowed_for(kind: str, *, development: bool = False) -> frozenset[str]:
    """Every scope a client of this kind of organisation can be given; none for a kind we do not know."""
    return frozenset(
        scope
        for area in AREAS
        if development or not area.development
        for scope, kinds in area.scopes()
        if kind in kinds
    )


@cache
def known(*, development: bool = False) -> tuple[str, ...]:
    """Every scope there is, in the order of the table (`scopes_supported`)."""
    return tuple(scope for area in AREAS if development or not area.development for scope, _ in area.scopes())


SCOPES: Final[Mapping[str, str]] = {
    scope: f"{area.text} ({scope.rpartition(':')[2]})" for area in AREAS for scope, _ in area.scopes()
}
"""Every scope with a line for people (the OpenAPI security scheme)."""


def for_group(group: FieldGroup, verb: str) -> str:
    """The scope that opens a field group of a pupil; `verb` is `read` or `write`."""
    return f"pupils:{verb}" if group in IN_PUPILS else f"pupils.{group.value}:{verb}"


def groups_in(scopes: frozenset[str], verb: str) -> frozenset[FieldGroup]:
    """The field groups that these scopes open for reading or writing. The grant has its own say."""
    return frozenset(group for group in FieldGroup if for_group(group, verb) in scopes)
