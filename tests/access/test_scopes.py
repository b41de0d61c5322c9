"""The table of scopes: complete, lawful in form, and narrow where it has to be."""

import re

import pytest

from app.access import scopes
from app.rules.words import FieldGroup, OrganisationKind, values

KINDS = values(OrganisationKind)


def test_every_scope_is_a_scope_token_and_named_once() -> None:
    names = scopes.known(development=True)
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z._]+:(read|write|search)", name) for name in names)
    assert set(scopes.SCOPES) == set(names)


def test_every_field_group_has_scopes_and_identity_and_enrolment_go_with_pupils() -> None:
    for group in FieldGroup:
        for verb in ("read", "write"):
            assert scopes.for_group(group, verb) in scopes.SCOPES
    assert scopes.for_group(FieldGroup.IDENTITY, "read") == "pupils:read"
    assert scopes.for_group(FieldGroup.SEN, "read") == "pupils.sen:read"
    opened = scopes.groups_in(frozenset({"pupils:read", "pupils.sen:read", "pupils.eal:write"}), "read")
    assert opened == {FieldGroup.IDENTITY, FieldGroup.ENROLMENT, FieldGroup.SEN}


@pytest.mark.parametrize("kind", ["employer", "hub", "authority", "national"])
def test_no_scope_on_pupils_encounters_or_disclosures_outside_the_school_side(kind: str) -> None:
    closed = ("pupils", "encounters", "disclosures", "ledger")
    assert not [scope for scope in scopes.allowed_for(kind) if scope.startswith(closed)]


def test_only_employers_write_offers_and_only_controllers_grant() -> None:
    def having(scope: str) -> set[str]:
        return {kind for kind in KINDS if scope in scopes.allowed_for(kind)}

    assert having("offers:write") == having("slots:write") == having("sites:write") == {"employer"}
    assert having("grants:write") == having("agreements:write") == {"school", "trust"}
    assert having("suspensions:write") == {"hub", "trust", "national"}
    assert having("webhooks:write") == having("events:read") == having("clients:write") == set(KINDS)


def test_the_clock_is_moved_in_development_only() -> None:
    for kind in KINDS:
        assert "clock:write" not in scopes.allowed_for(kind)
        assert "clock:write" in scopes.allowed_for(kind, development=True)
    assert "clock:write" not in scopes.known()


def test_an_unknown_kind_can_have_nothing() -> None:
    assert scopes.allowed_for("nobody", development=True) == frozenset()


def test_the_published_table_says_what_is_allowed() -> None:
    for line in scopes.table():
        for verb in ("read", "write", "search"):
            scope = f"{line.area}:{verb}"
            kinds = tuple(kind for kind in KINDS if scope in scopes.allowed_for(kind, development=True))
            assert getattr(line, verb) == kinds
