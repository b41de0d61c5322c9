"""Every router of the REST face, in the order of the docs."""

from fastapi import APIRouter

from app.rest import (
    agreements,
    approvals,
    attendance,
    bookings,
    certifications,
    clients,
    contacts,
    cover,
    disclosures,
    encounters,
    events,
    grants,
    offers,
    organisations,
    programme_csv,
    programme_money,
    programme_parts,
    programmes,
    progress,
    pupils,
    sites,
    slot_search,
    slots,
    suspensions,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = tuple(
    module.router
    for module in (
        # Asked most, so first: routes are tried in this order, each twice.
        slot_search,
        bookings,
        organisations,
        agreements,
        grants,
        programmes,
        programme_parts,
        programme_money,
        programme_csv,
        pupils,
        progress,
        sites,
        contacts,
        cover,
        approvals,
        suspensions,
        offers,
        slots,
        attendance,
        encounters,
        webhooks,
        certifications,
        events,
        disclosures,
        clients,
    )
)
