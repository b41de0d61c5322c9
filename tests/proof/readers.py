"""Who may read the row of `full` in each table: everybody else is a stranger to it."""

from tests.world import KINDS

EVERYBODY = frozenset(KINDS)
NOBODY: frozenset[str] = frozenset()
SCHOOL = frozenset({"school_a"})
SCHOOL_SIDE = frozenset({"school_a", "trust", "vendor"})
EMPLOYER = frozenset({"employer_a"})
BOTH = SCHOOL_SIDE | EMPLOYER
HUB = frozenset({"hub_a"})
SHOWN_TO_SCHOOLS = EVERYBODY - {"employer_b"}
"""What an employer shows to all who are no employers."""

READERS: dict[str, frozenset[str]] = {
    "agreements": SCHOOL_SIDE | {"school_b"},  # the trust's, so its other academy's as well
    "allocations": HUB | SCHOOL_SIDE,
    "approval_acceptances": SCHOOL_SIDE,
    "approvals": SHOWN_TO_SCHOOLS,
    "assertion_ids": NOBODY,
    "attempts": SCHOOL,
    "attendance_reports": BOTH,
    "balances": SCHOOL_SIDE,
    "booking_moves": BOTH,
    "bookings": BOTH,
    "certifications": SCHOOL,
    "change_marks": EVERYBODY,
    "change_moments": EVERYBODY,
    "characteristics": SCHOOL_SIDE,
    "client_secrets": SCHOOL,
    "clients": SCHOOL,
    "clock": EVERYBODY,
    "contacts": BOTH,
    "costs": HUB | SCHOOL_SIDE,
    "covers": SHOWN_TO_SCHOOLS,
    "dated_policies": EVERYBODY,
    "deliveries": SCHOOL,
    "disclosures": SCHOOL_SIDE - {"vendor"},
    "employers": SHOWN_TO_SCHOOLS,
    "encounter_keys": SCHOOL_SIDE,
    "encounter_refs": SCHOOL,
    "encounter_versions": SCHOOL_SIDE,
    "encounters": SCHOOL_SIDE,
    "employers_known": NOBODY,
    "enrolments": SCHOOL_SIDE,
    "enrolments_known": NOBODY,
    "events": SCHOOL_SIDE,
    "fanout": EVERYBODY,
    "grants": SCHOOL_SIDE,
    "idempotency_keys": SCHOOL,
    "identity_corrections": SCHOOL_SIDE - {"vendor"},
    "kept_cells": NOBODY,
    "kept_schools": NOBODY,
    "ledger_entries": SCHOOL_SIDE,
    "memberships": SCHOOL_SIDE | HUB | {"national"},
    "memberships_known": NOBODY,
    "moved_schools": NOBODY,
    "nc_years": SCHOOL_SIDE,
    "nc_years_known": NOBODY,
    "no_shows": BOTH,
    "offer_audiences": EMPLOYER,
    "offers": BOTH,  # named to school_a alone
    "offers_known": NOBODY,
    "open_slots": SCHOOL_SIDE,
    "order_keys": NOBODY,
    "organisations": BOTH | HUB | {"authority", "national"},
    "parental_agreements": SCHOOL_SIDE,
    "participation_sittings": BOTH,
    "participations": BOTH,
    "persons": NOBODY,
    "pupils_leaving": NOBODY,
    "programme_changes": HUB | SCHOOL_SIDE,
    "programme_schools": HUB | SCHOOL_SIDE,
    "programmes": HUB | SCHOOL_SIDE,
    "pupil_refs": SCHOOL,
    "revoked_tokens": SCHOOL,
    "school_states": SCHOOL_SIDE,
    "sequencer": EVERYBODY,
    "signing_keys": EVERYBODY,  # sealed
    "site_bars": SCHOOL_SIDE,
    "sites": SHOWN_TO_SCHOOLS,
    "sitting_marks": BOTH,
    "sittings": BOTH,
    "slots": BOTH,
    "strands": HUB | SCHOOL_SIDE,
    "summaries": SCHOOL_SIDE,
    "suspensions": frozenset({"hub_b"}),  # nobody else learns who suspended
    "targets": HUB,
    "webhook_endpoints": SCHOOL,
    "webhook_replays": SCHOOL,
    "yearly_balances": SCHOOL_SIDE,
}
